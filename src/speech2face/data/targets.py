"""Measured pictures → what the face decoder learns from, in memory.

Photographs differ in more than who is on them. Their ground is taken away, how they were taken is
written down (`CONDITIONS`), and those that show something else than a face (a hand, a mask,
glasses, odd light) are left out: bad targets make bad faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from speech2face.console import Show
from speech2face.data.glasses import find_glasses
from speech2face.data.ridge import foresee
from speech2face.data.textures import MeasuredFaces, oval_mask, unwarp, yaw_of
from speech2face.faces import MESH_FIVE, PersonMask, load_image
from speech2face.networks.face_decoder import spline_basis

# What makes two photographs of one face differ. The decoder is told it while it learns, so that it
# need not draw the blur of all of them, and draws at values of our choice.
CONDITIONS = ("yaw", "mouth", "smile", "sharpness")
MIRRORED = np.array([-1, 1, 1, 1], np.float32)  # times this, those of the mirror image
LIGHT = 0.6  # difference of the halves' log brightness above which light comes from the side


@dataclass(frozen=True)
class Targets:
    """One row each; a texture takes 150 kB."""

    textures: np.ndarray  # (N, S, S, 3) uint8
    known: np.ndarray  # (N, S, S) bool
    displacements: np.ndarray  # (N, K, 2), fractions of the canvas
    conditions: np.ndarray  # (N, C)
    embeddings: np.ndarray  # (N, V, D): V views of each person, any of which may be the input

    def __len__(self) -> int:
        return len(self.textures)

    def take(self, rows: np.ndarray) -> Targets:
        return Targets(*(getattr(self, f.name)[rows] for f in fields(self)))


def build_targets(
    pictures: Sequence[Path],
    faces: MeasuredFaces,
    mean_shape: np.ndarray,
    size: int,
    show: Show,
    *,
    white_ground: bool = False,
    warp: bool = True,
) -> Targets:
    """Unwarp each measured face onto the mean shape.

    With `white_ground` whatever is not a person becomes white; pictures that have a plain ground
    need that not. Without `warp` faces are only moved, turned and scaled; displacements are 0.
    """
    person = None if white_ground else PersonMask()
    field = spline_basis(mean_shape, size)
    count = len(faces)
    textures = np.empty((count, size, size, 3), np.uint8)
    known = np.empty((count, size, size), bool)
    displacements = np.empty((count, len(mean_shape), 2), np.float32)
    conditions = np.empty((count, len(CONDITIONS)), np.float32)
    for row in range(count):
        image = load_image(pictures[faces.index[row]])
        if person:
            mask = person.mask(image)[..., None]
            image = np.round(image * mask + 255 * (1 - mask)).astype(np.uint8)
        textures[row], known[row], displacements[row] = unwarp(
            image, faces.landmarks[row], mean_shape, field * warp, size
        )
        conditions[row] = measure_conditions(faces.mesh[row], textures[row], mean_shape)
        if row % 50 == 49 or row == count - 1:
            show("unwarping faces", row + 1, count, "")
    return Targets(textures, known, displacements * warp, conditions, faces.embeddings[:, None])


def measure_conditions(mesh: np.ndarray, texture: np.ndarray, mean_shape: np.ndarray) -> np.ndarray:
    """A face's mesh (468, 2) and texture (S, S, 3) → its conditions (4,) float32.

    yaw          see `yaw_of`; positive where the nose points to the picture's right
    mouth        gap between the lips, in eye distances
    smile        how far the corners of the mouth stand above its middle, in eye distances
    sharpness    log variance of the Laplacian within the face, whose mean is brought to mid-grey
    """
    import cv2

    left, right, _, *corners = (mesh[list(index)].mean(0) for index in MESH_FIVE)
    unit = np.hypot(*(right - left))
    across = (right - left) / unit
    mouth = np.hypot(*(mesh[13] - mesh[14])) / unit
    above = (mesh[13] + mesh[14] - corners[0] - corners[1]) / 2
    smile = (above @ [-across[1], across[0]]) / unit
    grey = cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    inside = oval_mask(mean_shape, len(texture), 0.85)
    grey *= 128 / max(grey[inside].mean(), 8)
    sharpness = np.log(cv2.Laplacian(grey, cv2.CV_32F)[inside].var() + 1)
    return np.array([yaw_of(mesh), mouth, smile, sharpness], np.float32)


def mean_texture(targets: Targets) -> np.ndarray:
    """The mean of what is known (3, S, S) in [0, 1], and of its mirror image; white where nothing
    is."""
    total = np.zeros(targets.textures.shape[1:])
    for texture, known in zip(targets.textures, targets.known, strict=True):
        total += texture * known[..., None]
    count = targets.known.sum(0)[..., None]
    mean = (total + 255 * 20) / (count + 20)  # as if white had been seen twenty times
    mean = (mean + mean[:, ::-1]) / 2
    return (mean / 255).transpose(2, 0, 1).astype(np.float32)


def neutral_conditions(targets: Targets) -> np.ndarray:
    """What a canonical face is drawn at (4,): frontal, mouth closed, no smile, and the sharpness
    of the best photographs."""
    quantiles = (0.1, 0.25, 0.95)
    columns = targets.conditions[:, 1:].T
    closed, calm, clear = (
        np.quantile(column, q) for column, q in zip(columns, quantiles, strict=True)
    )
    return np.array([0, closed, calm, clear], np.float32)


def even_light(targets: Targets, mean_shape: np.ndarray) -> None:
    """Bring each photograph, in place, to the tint that its embedding foresees, and half-way to
    the brightness.

    How a face is coloured on a photograph is as much the camera's and the lamp's work as its own.
    A ridge from embeddings foresees the mean of each colour within the face, as log odds between
    black and white. Shifting a photograph's log odds multiplies dark values, as light does, and
    leaves a white ground white.
    """
    inside = oval_mask(mean_shape, targets.textures.shape[1], 0.85)
    means = targets.textures[:, inside].mean(1) / 255  # (N, 3)
    odds = np.log(means / (1 - means))
    shifts = foresee(targets.embeddings[:, 0], odds) - odds
    shifts -= shifts.mean(1, keepdims=True) / 2
    levels = np.arange(256) / 255
    for row, factors in enumerate(np.exp(shifts)):
        curves = [255 * k * levels / (1 + (k - 1) * levels) for k in factors]
        for channel, curve in enumerate(curves):
            plane = targets.textures[row, ..., channel]
            plane[...] = np.round(curve).astype(np.uint8)[plane]


def sharpen(targets: Targets, amount: float = 0.7) -> None:
    """An unsharp mask, in place: canonical pictures are drawn, and softer than photographs."""
    import cv2

    radius = targets.textures.shape[1] / 90
    for texture in targets.textures:
        soft = cv2.GaussianBlur(texture, (0, 0), radius)
        cv2.addWeighted(texture, 1 + amount, soft, -amount, 0, dst=texture)


def find_typical(targets: Targets, mean_shape: np.ndarray, strange: float = 0.12) -> np.ndarray:
    """Rows of the photographs that show a face in full and in colour.

    A ridge from embeddings and conditions foresees each texture; of the share `strange` that it
    foresees worst, most are partly covered, painted, tinted, or in hard light.
    """
    size = targets.textures.shape[1]
    inside = oval_mask(mean_shape, size, 0.95)
    pixels = targets.textures[:, inside].astype(np.float32)  # (N, P, 3)
    red, _, blue = pixels.mean(1).T
    grey = np.ptp(pixels, axis=2).mean(1) < 14
    erased = (pixels.min(2) > 245).mean(1) > 0.05  # the person mask missed the face
    unknown = targets.known[:, inside].mean(1) < 0.97
    glasses = find_glasses(targets.textures, mean_shape)
    middle = size // 2
    left, right = (
        targets.textures[:, :, half][:, inside[:, half]].mean((1, 2)) + 8
        for half in np.s_[:middle, middle:]
    )
    good = ~(grey | erased | unknown | glasses | (red < 1.05 * blue))
    good &= np.abs(np.log(left / right)) < LIGHT
    if not good.any():
        return np.flatnonzero(good)
    pixels = pixels[:, ::16].reshape(len(pixels), -1)
    known = np.hstack([targets.embeddings[:, 0], targets.conditions])
    error = (pixels - foresee(known, pixels, good)).reshape(len(known), -1, 3)
    error -= error.mean(1, keepdims=True)  # of exposure nobody knows
    error = np.sqrt((error**2).mean((1, 2)))
    return np.flatnonzero(good & (error <= np.quantile(error[good], 1 - strange)))
