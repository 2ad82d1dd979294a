"""Samples in memory: arrays and lists of any number type become pieces of channels within ±1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from speech2face.errors import UnreadableMediaError
from speech2face.media.rates import SAMPLE_RATE

NARROW = 1 / 256  # of a type's range: numbers that reach no further were made for a narrower type


def read_array(
    samples: Any, rate: float, name: str, notes: list[str]
) -> Iterator[tuple[np.ndarray, float]]:
    """(n,), (n, channels) or (channels, n) → pieces (channels, m) of at most a second.

    Floats beyond ±1 and integers that use little of a wide type (16-bit numbers as int64) are
    scaled by their peak, which is written into `notes`. Raises UnreadableMediaError where
    `samples` are no numbers, have another shape, or are none.
    """
    channels = _order_channels(_to_numbers(samples, name), name)
    if channels.dtype.kind == "f":
        channels = _scale_floats(channels, notes)
    elif channels.dtype.itemsize >= 4:
        channels = _scale_wide_integers(channels, notes)
    step = max(int(rate), SAMPLE_RATE)
    for start in range(0, channels.shape[1], step):
        yield channels[:, start : start + step], rate


def _to_numbers(samples: Any, name: str) -> np.ndarray:
    wanted = "give integers or floats of shape (n,), (n, channels) or (channels, n)"
    try:
        array = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, tensors elsewhere
        reason = " ".join(str(error).split())
        raise UnreadableMediaError(f"{name} cannot be taken ({reason}); {wanted}") from None
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2):
        raise UnreadableMediaError(
            f"{name} is of shape {array.shape} and type {array.dtype}; {wanted}"
        )
    if np.ma.is_masked(samples):
        raise UnreadableMediaError(f"{name} has samples that are masked; fill them in first")
    if array.size == 0:
        raise UnreadableMediaError(f"{name} is empty; give a recording")
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return array


def _order_channels(array: np.ndarray, name: str) -> np.ndarray:
    """(n,), (n, channels) or (channels, n) → (channels, n)."""
    channels = np.atleast_2d(array)
    return channels.T if channels.shape[0] > channels.shape[1] else channels


def _scale_floats(channels: np.ndarray, notes: list[str]) -> np.ndarray:
    peak = np.abs(channels[np.isfinite(channels)]).max(initial=0)
    if peak <= 1:
        return channels
    notes.append(f"the samples reach {peak:.3g} and were scaled down to ±1")
    return channels / peak


def _scale_wide_integers(channels: np.ndarray, notes: list[str]) -> np.ndarray:
    kind, half = channels.dtype, 2.0 ** (8 * channels.dtype.itemsize - 1)
    lowest, highest = int(channels.min()), int(channels.max())
    if max(-lowest, highest) > NARROW * half:
        return channels
    # Unsigned samples of a narrower type swing about the middle of its range.
    middle = round(float(channels.mean())) if lowest >= 0 else 0
    peak = max(middle - lowest, highest - middle, 1)
    notes.append(
        f"the samples, {kind} from {lowest} to {highest}, use little of their type's range "
        f"and were scaled by their peak to ±1"
    )
    return (channels.astype(np.float64) - middle) / peak
