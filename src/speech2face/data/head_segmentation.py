"""Textures of canonical pictures → what of each head is hair, what is skin and what is ground.

The pictures are made symmetric, and only their left halves are looked at. Hair is what differs
from the skin of the cheeks as the crown of the head does. All distances are in fractions of the
canvas (`decoder_data.canvas_grid`) or in pixels of a picture of 224.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.decoder_data import canvas_grid
from speech2face.data.face_unwarping import oval_mask

GROUND = 0.4  # what is darker than white by less than this is partly ground: mist, fine hair
WEIGHTS = np.array([0.6, 1.2, 1.2], np.float32)  # of lightness and colour, where hair is told
BALD = 13.0, 17.0  # the crown is this far from the cheeks: surely skin, surely hair
EAR, BELOW_EAR = 0.46, 0.54  # where a haircut ends that leaves the ears free


@dataclass(frozen=True)
class Heads:
    """Parts of symmetric heads, left halves, one row each."""

    colours: np.ndarray  # (N, S, S/2, 3) float32 in [0, 1]
    skin: np.ndarray  # (N, 3) the colour of the cheeks
    cover: np.ndarray  # (N, S, S/2) float32: 1 on the head, 0 on white ground
    hair: np.ndarray  # (N, S, S/2) float32: 1 where there is hair
    strangeness: np.ndarray  # (N, S, S/2) float32: how far a colour is from that of the cheeks

    def __len__(self) -> int:
        return len(self.colours)


def separate_heads(textures: np.ndarray, mean_shape: np.ndarray) -> Heads:
    """Textures (N, S, S, 3) uint8 on the mean shape, framed, and white ground → their parts."""
    import cv2

    count, size = textures.shape[:2]
    half, unit = size // 2, size / 224
    aside, down = canvas_grid(size)
    sure = oval_mask(mean_shape, size, np.array([0.86, 0.80]))[:, :half]  # surely no hair
    cheeks = oval_mask(mean_shape, size, 0.6)[:, :half] & (down > 0.42) & (down < 0.68)
    below_ears = smooth_step((down - EAR) / (BELOW_EAR - EAR))
    wide = np.ones((1, 2 * round(7 * unit) + 1), np.uint8)
    near_middle = np.flatnonzero(aside[0] < 0.12)
    hanging = int(np.argmax(down[:, 0] > 0.5))
    colours = np.empty((count, size, half, 3), np.float32)
    skin = np.empty((count, 3), np.float32)
    cover, hair, strangeness = (np.empty((count, size, half), np.float32) for _ in range(3))
    for row, texture in enumerate(textures):
        pixels = texture.astype(np.float32) / 255
        pixels = ((pixels + pixels[:, ::-1]) / 2)[:, :half].copy()
        lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
        covered = np.clip((1 - pixels.min(2)) / GROUND, 0, 1)
        tone = np.median(lab[cheeks], axis=0)
        away = lab - tone
        crown = _look_at_crown(lab, covered, near_middle, round(0.034 * size)) - tone
        gap = float(np.linalg.norm(crown * WEIGHTS))
        like_crown = (away * WEIGHTS) @ (crown * WEIGHTS) / max(gap**2, 1e-6)
        hair_share = np.clip((like_crown - 0.3) / 0.4, 0, 1)
        hair_share *= np.clip((gap - BALD[0]) / (BALD[1] - BALD[0]), 0, 1)
        # Below the ears only what surely is no mist, is as wide as a lock, and hangs from hair;
        # the rest are collars.
        hair_share *= np.clip((covered - 0.4 - 0.4 * below_ears) / (0.3 - 0.1 * below_ears), 0, 1)
        hair_share[sure] = 0
        both = np.hstack([hair_share, hair_share[:, ::-1]])
        locks = cv2.morphologyEx(both, cv2.MORPH_OPEN, wide)[:, :half]
        hair_share += below_ears * (np.minimum(hair_share, locks) - hair_share)
        for y in range(hanging, size):
            above = hair_share[y - 1]
            if y % 3 == 0:  # it may spread by a third of its length
                above = np.max([above, np.roll(above, -1), np.roll(above, 1)], axis=0)
            hair_share[y] = np.minimum(hair_share[y], above)
        colours[row], cover[row], hair[row] = pixels, covered, hair_share
        skin[row] = np.median(pixels[cheeks], axis=0)
        strangeness[row] = np.linalg.norm(away * [0.5, 1, 1], axis=2)
    return Heads(colours, skin, cover, hair, strangeness)


def _look_at_crown(
    lab: np.ndarray, cover: np.ndarray, columns: np.ndarray, depth: int
) -> np.ndarray:
    """The colour (3,) of the head just below its upper end."""
    top = np.argmax(cover[:, columns] > 0.9, axis=0)
    rows = np.minimum(top + np.arange(1, depth + 1)[:, None], len(lab) - 1)
    return np.median(lab[rows, columns].reshape(-1, 3), axis=0)


def smooth_step(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def signed_distance(mask: np.ndarray, most: float = 30) -> np.ndarray:
    """Half of a symmetric shape (S, S/2) → how far each place lies within it, at most `most`, in
    pixels of a picture of 224; negative outside."""
    import cv2

    size, half = mask.shape
    full = np.hstack([mask, mask[:, ::-1]]).astype(np.uint8)
    if not full.any():
        return np.full(mask.shape, -most, np.float32)
    transformed = (cv2.distanceTransform(m, cv2.DIST_L2, 5) for m in (full, 1 - full))
    inside, outside = (np.minimum(far, size) for far in transformed)  # endless without an edge
    far = np.where(full > 0, inside - 0.5, 0.5 - outside) * (224 / size)
    return np.clip(far[:, :half], -most, most).astype(np.float32)


def blur_half(plane: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of half of a symmetric plane (S, S/2, ...), `sigma` in pixels of 224."""
    import cv2

    size, half = plane.shape[:2]
    full = np.concatenate([plane, plane[:, ::-1]], axis=1).astype(np.float32)
    sigma *= size / 224
    blurred = cv2.GaussianBlur(full, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred[:, :half])


def spread(colours: np.ndarray, surely: np.ndarray) -> np.ndarray:
    """Values (S, S/2, C), and where they are not sure (S, S/2) those nearby, by ever finer
    means."""
    least = 1e-3
    out = np.broadcast_to(
        (colours * surely[..., None]).sum((0, 1)) / max(float(surely.sum()), least), colours.shape
    )
    for sigma in (28, 14, 7, 3.5, 1.75):
        weight = blur_half(surely, sigma)[..., None]
        total = blur_half(colours * surely[..., None], sigma).reshape(colours.shape)
        sure = np.clip(3 * weight, 0, 1)
        out = sure * total / np.maximum(weight, least) + (1 - sure) * out
    return out


def seen(size: int) -> np.ndarray:
    """Mask (S, S/2) bool: the part of the drawn left half that a canonical picture shows."""
    aside, down = canvas_grid(size)
    return (aside < 0.5) & (down > 0) & (down < 1)


def erode(plane: np.ndarray, by: float) -> np.ndarray:
    """The least within `by` pixels of 224 on each side."""
    return _extreme(plane, by, "erode")


def dilate(plane: np.ndarray, by: float) -> np.ndarray:
    """The most within `by` pixels of 224 on each side."""
    return _extreme(plane, by, "dilate")


def _extreme(plane: np.ndarray, by: float, what: str) -> np.ndarray:
    import cv2

    size, half = plane.shape
    full = np.hstack([plane, plane[:, ::-1]]).astype(np.float32)
    side = 2 * round(by * size / 224) + 1
    return np.asarray(getattr(cv2, what)(full, np.ones((side, side), np.uint8))[:, :half])


def join(a: np.ndarray, b: np.ndarray, round_by: float, sign: int) -> np.ndarray:
    """The greater (`sign` 1) or the lesser (-1) of two distances, with a rounded corner."""
    near = np.maximum(round_by - np.abs(a - b), 0) / round_by
    return sign * np.maximum(sign * a, sign * b) + sign * near**2 * round_by / 4
