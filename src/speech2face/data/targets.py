"""Measured canonical pictures → what the face decoder learns from, in memory.

Canonical pictures are frontal, neutral, evenly lit and stand on a white ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.console import Show
from speech2face.data.textures import MeasuredFaces, unwarp
from speech2face.networks.face_decoder import spline_basis
from speech2face.photographs import load_image

GROUND = 0.4  # what is darker than white by less than this is partly ground: mist, fine hair


@dataclass(frozen=True)
class Targets:
    """One row each; a texture takes 150 kB."""

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
    show: Show,
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


def sharpen(targets: Targets, amount: float) -> None:
    """An unsharp mask, in place: canonical pictures are drawn, and softer than photographs."""
    import cv2

    radius = targets.textures.shape[1] / 90
    for texture in targets.textures:
        soft = cv2.GaussianBlur(texture, (0, 0), radius)
        cv2.addWeighted(texture, 1 + amount, soft, -amount, 0, dst=texture)


def separate_ground(textures: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Textures (N, S, S, 3) uint8 on white ground → colours of the head and its cover, halves of
    symmetric heads: (N, S, S/2, 4) float32 in [0, 1].

    A place is covered as far as it is darker than the ground, and wholly within `face` (S, S).
    Where it is not, it has the colours of the head nearby, so that colours averaged over people
    are colours of heads, however many of them show ground there.
    """
    side = textures.shape[1]
    halves = np.empty((len(textures), side, side // 2, 4), np.float32)
    for half, texture in zip(halves, textures, strict=True):
        pixels = texture.astype(np.float32) / 255
        cover = np.clip((1 - pixels.min(2)) / GROUND, 0, 1)
        cover = np.maximum(cover, face)[..., None]
        colours = np.clip((pixels - (1 - cover)) / np.maximum(cover, 0.05), 0, 1)
        head = np.concatenate([_spread(colours, cover), cover], axis=2)
        half[...] = ((head + head[:, ::-1]) / 2)[:, : side // 2]
    return halves


def _spread(colours: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Colours (S, S, 3), and where the cover (S, S, 1) is little those nearby, by ever coarser
    means."""
    import cv2

    size, least = colours.shape[:2], 1e-3
    mean = (colours * cover).mean((0, 1)) / max(cover.mean(), least)
    spread = np.broadcast_to(mean, colours.shape)
    for side in (4, 7, 14, 28, 56):
        total, weight = (
            cv2.resize(cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA), size)
            for x in (colours * cover, cover)
        )
        weight = weight[..., None]
        sure = np.minimum(4 * weight, 1)
        spread = sure * total / np.maximum(weight, least) + (1 - sure) * spread
    return cover * colours + (1 - cover) * spread
