"""Times in a recording, as people write and read them: 83.5, 1:23.5, 1:02:03."""

from __future__ import annotations

import re
from collections.abc import Sequence

from speech2face.errors import UsageError

MOST_NAMED = 8  # parts of a recording
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+):([0-5]?\d)|(\d+)):([0-5]?\d(?:\.\d*)?)", re.ASCII)


def parse_time(text: str, option: str) -> float:
    """Seconds, M:SS or H:MM:SS, with decimals or without → seconds.

    Raises UsageError, which names the `option`, where it is none of them.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if clock := _CLOCK.fullmatch(text):
        hours, minutes_of_hour, minutes, seconds = (float(part or 0) for part in clock.groups())
        return 3600 * hours + 60 * (minutes_of_hour + minutes) + seconds
    raise UsageError(f"{option} is {text!r}; give seconds, M:SS or H:MM:SS, as 83.5 or 1:23.5.")


def format_time(seconds: float, decimals: int = 1) -> str:
    """83.5 → 1:23.5, 3723 → 1:02:03.0."""
    scale = 10**decimals
    whole, part = divmod(round(seconds * scale), scale)
    hours, minutes = divmod(whole // 60, 60)
    tail = f"{whole % 60:02d}" + (f".{part:0{decimals}d}" if decimals else "")
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def describe_times(spans: Sequence[tuple[float, float]]) -> str:
    """Words for spans in seconds, of which the first few are named, as what a verb follows."""
    named = [f"{format_time(start, 0)}–{format_time(end, 0)}" for start, end in spans]
    if (more := len(named) - MOST_NAMED) > 0:
        named = [*named[:MOST_NAMED], f"{more} more part{'s' if more > 1 else ''}"]
    *first, last = named
    together = f"{', '.join(first)} and {last}" if first else last
    return f"{together} {'were' if first else 'was'}"


def describe_part(
    seconds: float, segments: list[tuple[float, float]], start: float, analysed: float
) -> str:
    """Words for the part used of a recording that was analysed for `analysed` s from `start` on."""
    used = ", ".join(f"{format_time(a)}–{format_time(b)}" for a, b in segments)
    if len(segments) > MOST_NAMED:
        spread = f"{format_time(segments[0][0])}–{format_time(segments[-1][1])}"
        used = f"{len(segments)} parts of {spread}"
    whole = format_time(analysed, 1 if analysed < 60 else 0)
    if start:
        whole = f"{format_time(start)}–{format_time(start + analysed)}"
    return f"used {seconds:.1f} s of speech: {used} (of {whole})"
