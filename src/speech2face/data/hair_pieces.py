"""Pieces of hair that lie over the rest: a fringe on the forehead, a tail on the shoulder, a bun.

Their locks do not follow a field but are laid along curves that are given here, in pixels of a
picture of 224 from the middle line to the right, and from the top, each with chance of its own.
Curves are quadratic ones of Bézier, through three points.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from speech2face.data.hair_strands import Flow, Strands, spread_locks, whole_grid
from speech2face.data.hair_styles import Style
from speech2face.data.head_segmentation import smooth_step

MIDDLE = 112.0  # of the picture
HAIRLINE, TEMPLE = 54.0, 50.0  # how low the forehead begins; how far aside the face ends
# So far down, jaw and neck reach so far aside.
JAW = (130, 150, 160, 170, 180, 200, 214), (52, 48, 44, 39, 35, 34, 30)
# Of a full fringe on one side, and loose ones; of a tail, of a bun.
FRINGE_LOCKS, WISPS, TAIL_LOCKS, BUN_LOCKS = 34, 26, 110, 130


def behind_jaw(size: int) -> np.ndarray:
    """Mask (S, S), 0 where jaw or neck lie before a tail of hair, else 1."""
    right, low = whole_grid(size)
    return smooth_step((np.abs(right) - np.interp(low, *JAW)) / 3)


def lay_fringe(random: np.random.Generator, style: Style, flow: Flow) -> Strands:
    """Locks from the parting over the forehead's sides to the temples; none reaches the brows.
    Those that begin higher lie above."""
    curves = []
    for side, reach in zip((-1, 1), style.fringe, strict=True):
        locks = round(reach * FRINGE_LOCKS)
        high = random.uniform(0, 1, locks) ** 0.6  # 0 for what begins at the hairline: few
        far = abs(side * TEMPLE - style.parting)
        root = (style.parting + side * random.uniform(-2, 9, locks), HAIRLINE + 1 - 24 * high)
        bend = (
            style.parting + side * far * random.uniform(0.62, 0.86, locks),
            HAIRLINE - 14 * high + 3 * reach * (1 - high) + random.normal(0, 2.5, locks),
        )
        end = (
            side * (TEMPLE + 5 + 6 * high + random.normal(0, 2, locks)),
            HAIRLINE + 34 + 6 * reach + 22 * high + random.normal(0, 6, locks),
        )
        curves.append(_curve(root, bend, end))
    curves = np.concatenate(curves)
    above = random.normal(0, 4, len(curves)) - curves[:, 0, 1]
    thin = replace(style, width=0.6 * style.width)
    return _lay(random, thin, flow, curves[np.argsort(above)])


def lay_wisps(random: np.random.Generator, style: Style, flow: Flow) -> Strands:
    """Thin locks that hang loose from the fringe over the forehead's sides, off the brows."""
    curves = []
    for side, reach in zip((-1, 1), style.fringe, strict=True):
        locks = round(reach * WISPS)
        far = abs(side * TEMPLE - style.parting)
        low = random.uniform(0, 1, locks) ** 1.5
        root = (style.parting + side * random.uniform(-3, 18, locks), HAIRLINE - 5 + 6 * low)
        bend = (
            style.parting + side * far * random.uniform(0.5, 0.75, locks),
            HAIRLINE + 4 + 9 * low,
        )
        end = (
            style.parting + side * far * random.uniform(0.85, 1.0, locks),
            HAIRLINE + 24 + 14 * low,
        )
        curves.append(_curve(root, bend, end))
    thin = replace(style, width=0.8, strands=7, taper=0.9, cover=1)
    return _lay(random, thin, flow, np.concatenate(curves))


def lay_tail(random: np.random.Generator, style: Style, flow: Flow) -> Strands:
    """Locks from behind the neck over one shoulder, fullest below the jaw, together at their ends.
    The inner ones lie above."""
    locks, side = TAIL_LOCKS, -np.sign(style.parting or 1.0)
    spot = np.sort(random.uniform(-1, 1, locks))[::-1]
    root = (side * (30 + 4 * spot), 150 - 6 * spot)
    bend = (side * (60 + 1.2 * style.tail * spot), 165 - 7 * spot)
    end = (
        side * (54 + 0.5 * style.tail * spot + random.normal(0, 2, locks)),
        226 - 30 * random.uniform(0, 1, locks) ** 2 - 8 * np.abs(spot),
    )
    return _lay(random, style, flow, _curve(root, bend, end))


def lay_bun(random: np.random.Generator, style: Style, flow: Flow) -> Strands:
    """Locks wound into a loose knot behind the crown, wider than high. The outer ones lie below."""
    top = float(np.argmax(flow.edge.max(1) > 0)) * 224 / len(flow.edge)
    far = np.sort(random.uniform(0.05, 1, BUN_LOCKS))[::-1]
    start = random.uniform(0, 2 * np.pi, BUN_LOCKS)
    turn = random.uniform(0.9, 1.5, BUN_LOCKS)

    def place(angle: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return style.bun * out * np.cos(angle), top + 4 + 0.8 * style.bun * out * np.sin(angle)

    curves = _curve(
        place(start, far),
        place(start + turn / 2, far / np.cos(turn / 2)),
        place(start + turn, far * random.uniform(0.8, 1.15, BUN_LOCKS)),
    )
    return _lay(random, style, flow, curves)


def _curve(*points: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Three points of M curves, from the middle line and from the top → (M, 3, 2)."""
    return np.stack([np.column_stack([MIDDLE + right, low]) for right, low in points], axis=1)


def _lay(random: np.random.Generator, style: Style, flow: Flow, curves: np.ndarray) -> Strands:
    """Locks along curves (M, 3, 2): from the first point to the last, drawn to the middle one."""
    long = np.linalg.norm(np.diff(curves, axis=1), axis=2).sum(1)
    places = int(long.max()) + 1
    way = np.minimum(np.arange(places) / long[:, None], 1.2)[..., None]
    first, middle, last = (curves[:, None, i] for i in range(3))
    guides = (1 - way) ** 2 * first + 2 * way * (1 - way) * middle + way**2 * last
    return spread_locks(random, style, guides, long.astype(int), flow)
