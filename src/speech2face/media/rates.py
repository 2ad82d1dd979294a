"""The sample rates that are taken, and the one that everything is worked on at."""

from __future__ import annotations

import numbers
from typing import Any

from speech2face.check_numbers import to_float
from speech2face.errors import UnreadableMediaError, UsageError

SAMPLE_RATE = 16_000
SAMPLE_RATES = range(4_000, 768_001)  # taken as input, Hz


def check_rate(rate: Any, name: str) -> float:
    """Check a `rate` in Hz; `name` is the source's, for the error.

    Raises UnreadableMediaError where it is too low or too high, UsageError where it is no number.
    """
    if getattr(rate, "ndim", None) == 0:  # an array or a tensor of one number
        rate = rate.item()
    if not isinstance(rate, numbers.Real) or isinstance(rate, bool):
        raise UsageError(
            f"{name} comes with a sample rate of type {type(rate).__name__}; "
            f"give (samples, sample rate in Hz), in this order"
        )
    hertz = to_float(rate)
    if not SAMPLE_RATES[0] <= hertz <= SAMPLE_RATES[-1]:
        raise UnreadableMediaError(
            f"{name} has a sample rate of {rate!s:.30} Hz; "
            f"resample it to between {SAMPLE_RATES[0]} and {SAMPLE_RATES[-1]} Hz"
        )
    return hertz
