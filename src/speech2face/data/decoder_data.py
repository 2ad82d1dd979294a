"""Measured canonical pictures → what the face decoder learns from, in memory.

Canonical pictures are frontal, neutral, evenly lit and stand on a white ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.face_unwarping import MeasuredFaces, unwarp
from speech2face.networks.spline_basis import spline_basis
from speech2face.photographs import load_image

# The picture shows more than the canvas of a canonical picture: there is room above high hair.
FRAME, MIDDLE = 0.86, (0.5, 0.56)  # the canvas' side in the picture, and the point that stays


@dataclass(frozen=True)
class Targets:
    """Targets of training, one row a face; a texture takes 150 kB."""

    textures: np.ndarray  # (N, S, S, 3) uint8
    displacements: np.ndarray  # (N, K, 2), fractions of the canvas
    embeddings: np.ndarray  # (N, V, D): V views of each person, any of which may be the input

    def __len__(self) -> int:
        return len(self.textures)


def build_targets(
    pictures: Sequence[Path],
    faces: MeasuredFaces,
    mean_shape: np.ndarray,
    size: int,
    show: ProgressCallback,
    *,
    warp: bool = True,
) -> Targets:
    """Unwarp each measured face onto the mean shape.

    Without `warp` faces are only moved, turned and scaled; displacements are 0.
    """
    field = spline_basis(mean_shape, size)
    count = len(faces)
    textures = np.empty((count, size, size, 3), np.uint8)
    displacements = np.empty((count, len(mean_shape), 2), np.float32)
    for row in range(count):
        textures[row], displacements[row] = unwarp(
            load_image(pictures[faces.index[row]]),
            faces.landmarks[row],
            mean_shape,
            field * warp,
            size,
        )
        if row % 50 == 49 or row == count - 1:
            show("unwarping faces", row + 1, count, "")
    return Targets(textures, displacements * warp, faces.embeddings[:, None])


def frame(points: np.ndarray) -> np.ndarray:
    """Points (..., 2), fractions of the canvas → fractions of the drawn picture."""
    return MIDDLE + FRAME * (points - np.array(MIDDLE))


def picture_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the pixels of the drawn picture's left half, in fractions of the picture: distance
    from the middle line, and from the top, (S, S/2) each."""
    line = (np.arange(size) + 0.5) / size
    across, low = np.meshgrid(0.5 - line[: size // 2], line)
    return across, low


def canvas_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The same in fractions of the canvas."""
    across, low = picture_grid(size)
    return across / FRAME, MIDDLE[1] + (low - MIDDLE[1]) / FRAME
