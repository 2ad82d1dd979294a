"""Checks of numbers that callers give: what does not fit is one line of our own."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from speech2face.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


def check_whole(name: str, value: Any, least: int, most: int | None = None, unit: str = "") -> int:
    """Return `value` as an int. Raises UsageError unless it is whole, from `least` to `most`."""
    bounds = f"{least} or more" if most is None else f"{least} to {most}"
    wanted = f"{name} is a whole number, {bounds}{unit and f' {unit}'}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        raise UsageError(f"{wanted}, not {value!r:.60}.")
    return number


def check_number(name: str, value: Any, least: float, most: float) -> float:
    """Return `value` as a float. Raises UsageError unless it is from `least` to `most`."""
    number = _read_number(value)
    if not least <= number <= most:
        raise UsageError(f"{name} is a number from {least:g} to {most:g}, not {value!r:.60}.")
    return number


def check_seconds(name: str, value: Any) -> float:
    """Return `value` as a float, which may be infinite. Raises UsageError unless it is a number."""
    seconds = _read_number(value)
    if math.isnan(seconds):
        raise UsageError(f"{name} is a number of seconds, not {value!r:.60}.")
    return seconds


def _read_number(value: Any) -> float:
    """NaN for what is none."""
    try:
        return math.nan if isinstance(value, bool | str | bytes) else to_float(value)
    except (TypeError, ValueError):
        return math.nan


def to_float(value: Any) -> float:
    """Return `float(value)`, infinite for whole numbers that no float reaches."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def check_rows(name: str, value: Any, *, least: int, most: int | None = None) -> np.ndarray:
    """Return `value` as float32 (B, n). Raises UsageError unless n is from `least` to `most`."""
    import numpy as np

    length = str(least) if least == most else f"n from {least}"
    wanted = f"{name} are finite numbers of shape (B, {length})"
    try:
        rows = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, tensors elsewhere
        raise UsageError(f"{wanted}.") from None
    if rows.dtype.kind not in "iuf" or rows.ndim != 2:
        raise UsageError(f"{wanted}, not of shape {rows.shape} and type {rows.dtype}.")
    if rows.shape[1] < least or (most is not None and rows.shape[1] > most):
        raise UsageError(f"{wanted}, not of shape {rows.shape}.")
    with np.errstate(over="ignore"):
        rows = rows.astype(np.float32)
    if not np.isfinite(rows).all():
        raise UsageError(f"{wanted}; these are not all finite.")
    return rows
