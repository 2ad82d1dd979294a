"""Numbers and text as people read them; the filters of the templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from speech2face.metrics.intervals import Estimate
from speech2face.run_provenance import flatten
from speech2face.timestamps import format_time

SHARES = (  # names of shares, each up to a limit
    (0.29, "a quarter"),
    (0.415, "a third"),
    (0.58, "half"),
    (0.7, "two thirds"),
    (0.82, "three quarters"),
    (1.01, "nearly all"),
)
UNNAMED = 0.125  # a share below which it has no name


def format_fixed(number: float, digits: int) -> str:
    """A number with a fixed count of decimals: 1.234 → 1.2"""
    return f"{number:.{digits}f}"


def format_percent(share: float, digits: int = 0) -> str:
    """A share in per cent: 0.123 → 12 %"""
    return f"{100 * share:.{digits}f} %"


def format_thousands(number: float) -> str:
    """A whole number with thousands apart: 1000 → 1,000"""
    return f"{number:,}"


def format_estimate(
    estimate: Estimate, digits: int = 2, scale: float = 1.0, least: float = float("-inf")
) -> str:
    """An estimate with its interval: 1.23 [1.10, 1.35], none of the three below `least`."""
    numbers = (estimate.value, estimate.low, estimate.high)
    value, low, high = (f"{max(least, scale * number):.{digits}f}" for number in numbers)
    return f"{value} [{low}, {high}]"


def format_found(estimate: Estimate | None) -> str:
    """A share with its interval in per cent, – where it is not known: 71 [65, 76] %"""
    return f"{format_estimate(estimate, 0, 100)} %" if estimate else "–"


def format_share(share: float) -> str:
    """A share in words: 0.55 → about half (55 %)"""
    if share < UNNAMED:
        return format_percent(share)
    name = next(name for limit, name in SHARES if share < limit)
    return f"about {name} ({format_percent(share)})"


def format_clock(seconds: float) -> str:
    """A time in a recording, to a second: 63.4 → 1:03"""
    return format_time(seconds, 0)


def mark_code(text: str) -> Markup:
    """Text, in which code stands between backticks → HTML."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def format_settings(settings: Mapping[str, Any]) -> str:
    """Format settings: {"loop": {"warm_up": 0.5, "balance": False}} → loop warm up 0.5; …"""

    def word(value: Any) -> str:
        if value is None or value == []:
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list | tuple):
            return ", ".join(map(word, value))
        if isinstance(value, Mapping):
            return f"({format_settings(value)})" if value else "none"
        return f"{value:g}" if isinstance(value, float) else str(value)

    return "; ".join(
        f"{name.replace('_', ' ').replace('.', ' ')} {word(value)}"
        for name, value in flatten(settings).items()
    )


FILTERS = {
    "clock": format_clock,
    "code": mark_code,
    "estimate": format_estimate,
    "found": format_found,
    "fixed": format_fixed,
    "percent": format_percent,
    "settings": format_settings,
    "share": format_share,
    "thousands": format_thousands,
}
