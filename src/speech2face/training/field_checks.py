"""What numbers of a recipe may be, beyond their type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEAST_SECONDS = 0.5  # that a network can hear


def check_at_least_one(numbers: Mapping[str, int]) -> None:
    """Raises ValueError where one of the numbers, by the name of its field, is less than 1."""
    for name, number in numbers.items():
        if not (isinstance(number, int) and number >= 1):
            raise ValueError(f"{name} is a whole number, 1 or more, not {number!r}")


def check_lengths(seconds: Sequence[float], name: str) -> None:
    """Raises ValueError where a length, in seconds, is less than a network can hear."""
    if any(not length >= LEAST_SECONDS for length in seconds):
        raise ValueError(f"{name}: of {LEAST_SECONDS:g} s or more, not {seconds}")


def check_share(share: float, name: str) -> None:
    """Raises ValueError where a share is not from 0 to 1."""
    if not 0 <= share <= 1:
        raise ValueError(f"{name}: a share from 0 to 1, not {share}")
