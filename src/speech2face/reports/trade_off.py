"""A plot of words lost against bits left, a point for each anonymiser, with its name beside it.

Here places are found; the template population.html draws them. All are in units of the drawing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from speech2face.metrics.intervals import Estimate
from speech2face.reports.plots import Axis

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 360, 58, 20, 16, 46  # right and bottom: margins
LINE, LETTER = 15, 7  # height of a name, and width of its letters
BESIDE = ((9, 4), (-9, 4), (9, -10), (-9, -10), (9, 18), (-9, 18))  # where a name may begin or end
MOST_LOST = (0.2, 0.4, 0.6, 0.8, 1.0, 10.0)  # ends of the axis
MOST_BITS = (1.0, 1.5, 2.0, 3.0, 12.0)

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Label:
    """Words at a place, which begin, end or have their middle there (an SVG text anchor)."""

    text: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Point:
    """An anonymiser: words lost across, bits left upwards with their interval."""

    name: str
    x: float
    low: float
    y: float
    high: float


@dataclass(frozen=True)
class TradeOff:
    """The plot: its points, names and axes."""

    x_ticks: list[Label]
    y_ticks: list[Label]  # 4 below their lines
    points: list[Point]
    names: list[Label]  # of the points
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def place_trade_off(figures: Mapping[str, tuple[float, Estimate]]) -> TradeOff:
    """Share of words lost and bits left, by name → the plot."""
    right = next(t for t in MOST_LOST if t >= max(cost for cost, _ in figures.values()))
    top = next(t for t in MOST_BITS if t >= max(bits.high for _, bits in figures.values()))
    x = Axis("", 0, right, [right * k / 4 for k in range(5)])
    y = Axis("", 0, top, [top * k / 5 for k in range(6)])

    def across(cost: float) -> float:
        return x.place(cost, LEFT, WIDTH - RIGHT)

    def level(bits: float) -> float:
        return y.place(bits, HEIGHT - BOTTOM, TOP)

    points = [
        Point(name, across(cost), level(bits.low), level(bits.value), level(bits.high))
        for name, (cost, bits) in figures.items()
    ]
    y_ticks = [Label(f"{tick:g}", LEFT - 8, level(tick) + 4, "end") for tick in y.ticks]
    numbers = [(0.0, level(t) - LINE / 2, float(LEFT), level(t) + LINE / 2) for t in y.ticks]
    x_ticks = [
        Label(f"{100 * tick:.0f}", across(tick), HEIGHT - BOTTOM + 17, "middle") for tick in x.ticks
    ]
    return TradeOff(x_ticks, y_ticks, points, _name_points(points, numbers))


def _name_points(points: list[Point], taken: list[Box]) -> list[Label]:
    """A name beside each point, where it covers the least of what is `taken`."""
    taken = taken + [(one.x - 6, one.high, one.x + 6, one.low) for one in points]
    labels = []
    for point in points:
        width = LETTER * len(point.name)
        boxes = []
        for right, down in BESIDE:
            start, line = point.x + right - (width if right < 0 else 0), point.y + down
            boxes.append((start, line - LINE + 3, start + width, line + 3))
        box = min(boxes, key=lambda box: _covered(box, taken))
        taken.append(box)
        right, down = BESIDE[boxes.index(box)]
        anchor = "end" if right < 0 else "start"
        labels.append(Label(point.name, point.x + right, point.y + down, anchor))
    return labels


def _covered(box: Box, taken: list[Box]) -> float:
    """Overlap of a box with what is taken, and with what lies outside the frame."""
    left, top, right, bottom = box
    outside = (
        max(0.0, -left) + max(0.0, right - WIDTH + 3 * RIGHT) + max(0.0, bottom - HEIGHT + BOTTOM)
    )
    return 1000 * outside + sum(
        max(0.0, min(right, other[2]) - max(left, other[0]))
        * max(0.0, min(bottom, other[3]) - max(top, other[1]))
        for other in taken
    )
