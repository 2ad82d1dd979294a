"""Numbers and text as people read them; the filters of the templates."""

from __future__ import annotations

import json
import re
from typing import Any

from markupsafe import Markup, escape

from speech2face.metrics.intervals import Estimate

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
    """1.234 → 1.2"""
    return f"{number:.{digits}f}"


def format_percent(share: float, digits: int = 0) -> str:
    """0.123 → 12 %"""
    return f"{100 * share:.{digits}f} %"


def format_thousands(number: float) -> str:
    """1000 → 1,000"""
    return f"{number:,}"


def format_estimate(
    estimate: Estimate, digits: int = 2, scale: float = 1.0, least: float = float("-inf")
) -> str:
    """1.23 [1.10, 1.35], none of the three below `least`."""
    numbers = (estimate.value, estimate.low, estimate.high)
    value, low, high = (f"{max(least, scale * number):.{digits}f}" for number in numbers)
    return f"{value} [{low}, {high}]"


def format_share(share: float) -> str:
    """0.55 → about half (55 %)"""
    if share < UNNAMED:
        return format_percent(share)
    name = next(name for limit, name in SHARES if share < limit)
    return f"about {name} ({format_percent(share)})"


def mark_code(text: str) -> Markup:
    """Text, in which code stands between backticks → HTML."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def format_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


FILTERS = {
    "code": mark_code,
    "estimate": format_estimate,
    "fixed": format_fixed,
    "json": format_json,
    "percent": format_percent,
    "share": format_share,
    "thousands": format_thousands,
}
