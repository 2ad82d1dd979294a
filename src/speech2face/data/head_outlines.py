"""Heads → how their outlines differ: skull, temples, ears, neck.

Landmarks say nothing of these. They are read from the heads of people whose hair is cropped, since
other hair hides them; what little hair and what collar there is still counts, so only a share of
what differs is taken for the head's own. Rows and points are in fractions of the drawn picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.head_segmentation import Heads
from speech2face.networks.spline_basis import spline_basis_at

# Points of the left half: from the middle line and the top, which way they move as the head grows
# there, the rows in which its width is read (None: its height), and the head's own share of that.
_POINTS = (
    ((0.000, 0.150), (0.0, -1.0), None, 0.14),  # the skull's top
    ((0.175, 0.210), (0.5, -0.5), (0.20, 0.24), 0.20),
    ((0.262, 0.380), (1.0, 0.0), (0.35, 0.41), 0.45),  # temple
    ((0.300, 0.470), (1.0, 0.0), (0.47, 0.55), 0.90),  # ear
    ((0.283, 0.550), (1.0, 0.0), (0.57, 0.60), 0.75),  # its lobe
)
CROPPED, HANGING = 0.10, 0.018  # most hair of a cropped head, share of the picture, and its locks
EXTREMES = 5, 95  # percent of people: beyond lie hats and turned heads
# The neck's side is not read, for collars hide it. A wide jaw has a wide neck: it moves as far as
# the jaw's corner does, times this.
NECK, JAW, FOLLOWING = (0.155, 0.885), (0.195, 0.745), 2.0
EAR_LENGTH = 0.006  # by which an ear's ends lie higher and lower in people, one standard deviation

_SIDES = [(row, side) for row in range(len(_POINTS)) for side in ((-1, 1) if row else (1,))]
_NECK, _JAW = (np.array([[0.5 - across, low], [0.5 + across, low]]) for across, low in (NECK, JAW))
_READ = np.array([[0.5 + side * _POINTS[i][0][0], _POINTS[i][0][1]] for i, side in _SIDES])
OUTLINE = np.concatenate([_READ, _NECK])


@dataclass(frozen=True)
class OutlineMoves:
    """How far the outline's points lie from their mean."""

    rows: np.ndarray  # (M,) of the heads in which they are seen
    moves: np.ndarray  # (M, len(OUTLINE), 2), fractions of the picture


def measure_outlines(heads: Heads) -> OutlineMoves:
    """Read the outlines of cropped heads; where hardly any is cropped, of all."""
    size = heads.cover.shape[1]
    covered = heads.cover > 0.5
    widths = covered.sum(2) / size
    hanging = (heads.hair[:, _rows((0.60, 0.80), size)] > 0.5).sum(2).max(1) / size
    seen = (hanging <= HANGING) & ((heads.hair > 0.5).mean((1, 2)) < CROPPED)
    rows = np.flatnonzero(seen) if seen.sum() > len(OUTLINE) else np.arange(len(heads))
    grown = np.empty((len(rows), len(_POINTS)))
    for place, (_, _, where, share) in enumerate(_POINTS):
        if where is None:
            values = -covered[rows][:, :, -size // 16 :].any(2).argmax(1) / size
        else:
            values = widths[rows][:, _rows(where, size)].mean(1)
        values = np.clip(values, *np.percentile(values, EXTREMES))
        grown[:, place] = share * (values - values.mean())
    return OutlineMoves(rows, np.stack([_move(each) for each in grown]))


def follow_landmarks(shape: np.ndarray) -> np.ndarray:
    """A matrix (len(OUTLINE), K): where moves of the landmarks `shape` (K, 2) take the outline."""
    neck = FOLLOWING * spline_basis_at(shape, _JAW)
    return np.concatenate([spline_basis_at(shape, _READ), neck])


def lengthen_ears() -> np.ndarray:
    """Moves (len(OUTLINE), 2) that make ears longer by one standard deviation of people's."""
    moves = np.zeros((len(_POINTS), 2))
    moves[3:5, 1] = -EAR_LENGTH, EAR_LENGTH
    return _leave_neck(np.array([moves[row] for row, _ in _SIDES]))


def _move(grown: np.ndarray) -> np.ndarray:
    """How much a head is larger at each place (P,) → moves of the outline's points."""
    ways = np.array([_POINTS[row][1] for row, _ in _SIDES])
    sides = np.array([[side, 1] for _, side in _SIDES])
    return _leave_neck(grown[[row for row, _ in _SIDES], None] * ways * sides)


def _leave_neck(moves: np.ndarray) -> np.ndarray:
    """Moves of the points that are read → those of all points."""
    return np.concatenate([moves, np.zeros_like(_NECK)])


def _rows(where: tuple[float, float], size: int) -> slice:
    return slice(round(where[0] * size), max(round(where[1] * size), round(where[0] * size) + 1))
