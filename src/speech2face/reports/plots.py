"""Plots as SVG: lines with bands, dots with intervals, and tables of counts.

Colours come from the stylesheet, templates/report.css (`--ink`, `--line`, `--faint`, `--s0` to
`--s4`), so they follow its light or dark mode. Series are told apart by the shape of their marks,
too. A value that is None is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 44  # margins of a plot with axes
ROW, STEP = 20, 6  # least height of a line of dots, and what each dot of it takes
NAMES = 210  # width of the names beside dots
MARKS = 5  # kinds of marks


@dataclass(frozen=True)
class Series:
    """One curve; bands are drawn where `low` and `high` are given."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    marked: bool = True
    plain: bool = False  # what is held against: grey, dashed


@dataclass(frozen=True)
class Dot:
    """One figure with its interval, of a series by number."""

    value: float | None
    low: float | None
    high: float | None
    series: int = 0


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with ticks and a name."""

    name: str
    low: float
    high: float
    ticks: Sequence[float]
    names: Sequence[str] = ()  # of the ticks, where they are not plain numbers

    def place(self, value: float, start: float, end: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return start + min(max(share, -0.02), 1.02) * (end - start)

    def tick_names(self) -> Sequence[str]:
        return self.names or [f"{tick:g}" for tick in self.ticks]


def draw_lines(series: Sequence[Series], x: Axis, y: Axis, title: str) -> str:
    """Curves over two axes, their names below."""
    across = lambda value: x.place(value, LEFT, WIDTH - RIGHT)  # noqa: E731
    down = lambda value: y.place(value, HEIGHT - BOTTOM, TOP)  # noqa: E731
    parts = [_frame(x, y, across, down)]
    number = 0
    for one in series:
        colour, dash = f"var(--s{number % MARKS})", ""
        if one.plain:
            colour, dash = "var(--faint)", ' stroke-dasharray="5 4"'
        rows = [(a, b) for a, b in zip(one.x, one.y, strict=True) if b is not None]
        bands = [
            (a, lower, upper)
            for a, lower, upper in zip(one.x, one.low, one.high, strict=bool(one.low))
            if lower is not None and upper is not None
        ]
        if bands:
            outline = [(a, upper) for a, _, upper in bands] + [
                (a, low) for a, low, _ in bands[::-1]
            ]
            points = " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in outline)
            parts.append(f'<polygon points="{points}" fill="{colour}" opacity=".16"/>')
        points = " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in rows)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        if one.marked and not one.plain:
            parts += [_mark(across(a), down(b), number) for a, b in rows]
        number += not one.plain
    legend = _legend([s.name for s in series if not s.plain], [s.name for s in series if s.plain])
    return _figure(parts, WIDTH, HEIGHT, title, legend)


def draw_dots(
    rows: Sequence[tuple[str, Sequence[Dot]]],
    axis: Axis,
    title: str,
    names: Sequence[str] = (),
    chance: float | None = None,
) -> str:
    """A line for each name, with its figures and their intervals."""
    most = max((len(dots) for _, dots in rows), default=0)
    row = max(ROW, STEP * (most + 1))
    height = TOP + row * len(rows) + BOTTOM
    across = lambda value: axis.place(value, NAMES, WIDTH - RIGHT)  # noqa: E731
    end = height - BOTTOM
    parts = []
    for tick, name in zip(axis.ticks, axis.tick_names(), strict=True):
        place = across(tick)
        parts.append(f'<path d="M{place:.1f} {TOP}V{end}" stroke="var(--line)"/>')
        parts.append(_text(place, end + 16, name, "middle"))
    if chance is not None:
        place = across(chance)
        parts.append(
            f'<path d="M{place:.1f} {TOP}V{end}" stroke="var(--faint)" stroke-width="1.5" '
            'stroke-dasharray="5 4"/>'
        )
    for number, (name, dots) in enumerate(rows):
        middle = TOP + row * (number + 0.5)
        parts.append(_text(NAMES - 10, middle + 4, name, "end"))
        known = [dot for dot in dots if dot.value is not None]
        for place, dot in enumerate(known):
            level = middle + (place - (len(known) - 1) / 2) * STEP
            if dot.low is not None and dot.high is not None:
                parts.append(
                    f'<path d="M{across(dot.low):.1f} {level:.1f}H{across(dot.high):.1f}" '
                    f'stroke="var(--s{dot.series % MARKS})" stroke-width="2"/>'
                )
            parts.append(_mark(across(dot.value or 0), level, dot.series))
    parts.append(_text((NAMES + WIDTH - RIGHT) / 2, height - 8, axis.name, "middle"))
    chances = [] if chance is None else [f"chance, {chance:g}"]
    return _figure(parts, WIDTH, height, title, _legend(names, chances))


def draw_matrix(classes: Sequence[str], counts: Sequence[Sequence[int]], title: str) -> str:
    """Counts (true, judged), each row shaded by its shares."""
    cell, names, head, tail = max(30, min(54, 300 // len(classes))), 116, 78, 56
    width = names + cell * len(classes) + tail
    height = head + cell * len(classes) + 8
    parts = [_text(names - 8, head - 8, "true ↓  drawn →", "end")]
    for column, name in enumerate(classes):
        x, y = names + cell * (column + 0.5), head - 8
        parts.append(
            f'<text x="{x:.0f}" y="{y}" class="small" '
            f'transform="rotate(-32 {x:.0f} {y})">{escape(name)}</text>'
        )
    for row, (name, line) in enumerate(zip(classes, counts, strict=True)):
        y, total = head + cell * row, sum(line)
        parts.append(_text(names - 8, y + cell / 2 + 4, name, "end"))
        for column, count in enumerate(line):
            x, share = names + cell * column, count / total if total else 0
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="var(--s0)" '
                f'fill-opacity="{0.75 * share:.2f}" stroke="var(--line)"/>'
            )
            if count:
                parts.append(_text(x + cell / 2, y + cell / 2 + 4, str(count), "middle"))
    return _figure(parts, width, height, title, "")


def _frame(
    x: Axis, y: Axis, across: Callable[[float], float], down: Callable[[float], float]
) -> str:
    parts = []
    for tick, name in zip(x.ticks, x.tick_names(), strict=True):
        place = across(tick)
        parts.append(f'<path d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="var(--line)"/>')
        parts.append(_text(place, HEIGHT - BOTTOM + 16, name, "middle"))
    for tick, name in zip(y.ticks, y.tick_names(), strict=True):
        place = down(tick)
        parts.append(f'<path d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}" stroke="var(--line)"/>')
        parts.append(_text(LEFT - 6, place + 4, name, "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x.name, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="14" y="{middle:.0f}" class="small" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle:.0f})">{escape(y.name)}</text>'
    )
    return "".join(parts)


def _mark(x: float, y: float, number: int) -> str:
    """A circle, a square, a diamond, a triangle, or a ring."""
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6"',
        f'<rect x="{x - 3.3:.1f}" y="{y - 3.3:.1f}" width="6.6" height="6.6"',
        f'<path d="M{x:.1f} {y - 4.6:.1f}l4.6 4.6l-4.6 4.6l-4.6 -4.6z"',
        f'<path d="M{x:.1f} {y - 4.4:.1f}l4.4 7.6h-8.8z"',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" stroke-width="1.6"',
    )
    number %= MARKS
    fill = "none" if number == MARKS - 1 else f"var(--s{number})"
    return f'{shapes[number]} fill="{fill}" stroke="var(--s{number})"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="small" text-anchor="{anchor}">{escape(words)}</text>'
    )


def _legend(names: Sequence[str], plain: Sequence[str]) -> str:
    entries = [
        f'<span><svg width="14" height="12">{_mark(7, 6, number)}</svg>{escape(name)}</span>'
        for number, name in enumerate(names)
    ] + [
        '<span><svg width="22" height="12"><path d="M0 6H22" stroke="var(--faint)" '
        f'stroke-width="2" stroke-dasharray="5 4"/></svg>{escape(name)}</span>'
        for name in plain
    ]
    return f'<div class="legend">{"".join(entries)}</div>' if entries else ""


def _figure(parts: Sequence[str], width: float, height: float, title: str, legend: str) -> str:
    drawing = (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawing}{legend}</figure>"
