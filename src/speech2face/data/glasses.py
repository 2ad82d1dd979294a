"""Who wears glasses, among photographs unwarped onto the mean shape; no labels needed.

Glasses lie across the bridge of the nose, where skin changes little: the steepest step there gives
a first order. A ridge from the thin lines about the eyes, taught with the top and the bottom of
that order, orders the photographs anew, and so on; it finds rims that the bridge does not show.
"""

from __future__ import annotations

import numpy as np

from speech2face.data.ridge import foresee
from speech2face.data.textures import LANDMARKS

LEFT, RIGHT, TOP, BOTTOM = 0.214, 0.786, 0.375, 0.661  # about the eyes, parts of the picture
WIDTH, HEIGHT, CELL = 128, 64, 4  # of the region, pixels; cells in which lines are counted
WEARERS, BARE = 0.18, 0.6  # about so many wear some, surely so many none
ROUNDS = 3
FEWEST = 50  # photographs that can teach; of fewer none is said to show any
PENALTY = 2000.0


def find_glasses(textures: np.ndarray, mean_shape: np.ndarray) -> np.ndarray:
    """Textures (N, S, S, 3) uint8 in the coordinates of `mean_shape` (K, 2) → (N,) bool.

    Supposes that some wear glasses: of people without, a few with strong lines about the eyes
    would be taken for wearers. In fewer than FEWEST photographs it finds none.
    """
    if len(textures) < FEWEST:
        return np.zeros(len(textures), bool)
    score = np.array([_bridge_step(t, mean_shape) for t in textures])
    lines = np.array([_lines(t) for t in textures])
    for _ in range(ROUNDS):
        worn = score > np.quantile(score, 1 - WEARERS)
        sure = worn | (score <= np.quantile(score, BARE))
        score = foresee(lines, worn.astype(np.float32), sure, PENALTY)
    return score > 0.5


def _lines(texture: np.ndarray) -> np.ndarray:
    """How much there is of dark and of bright thin lines and of steps, both ways, in each cell of
    one half of the region about the eyes, in logarithms about their mean."""
    import cv2

    size = len(texture)
    rows, columns = (
        slice(round(a * size), round(b * size)) for a, b in ((TOP, BOTTOM), (LEFT, RIGHT))
    )
    grey = cv2.cvtColor(texture[rows, columns], cv2.COLOR_RGB2GRAY)
    grey = cv2.GaussianBlur(cv2.resize(grey, (WIDTH, HEIGHT)), (0, 0), 0.7)
    thin = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    steps = (np.abs(cv2.Sobel(grey, cv2.CV_32F, *way)) / 4 for way in ((1, 0), (0, 1)))
    kinds = [cv2.morphologyEx(grey, kind, thin) for kind in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT)]
    found = np.stack([*kinds, *steps]).astype(np.float32)  # (4, H, W)
    half = (found + found[..., ::-1])[..., : WIDTH // 2]
    cells = half.reshape(4, HEIGHT // CELL, CELL, -1, CELL).mean((2, 4))  # (4, H/4, W/8)
    logs = np.log(cells + 2).reshape(4, -1)
    return (logs - logs.mean(1, keepdims=True)).ravel()


def _bridge_step(texture: np.ndarray, mean_shape: np.ndarray) -> float:
    """The steepest step down the bridge of the nose, levels a pixel of 224."""
    import cv2

    size = len(texture)
    grey = cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    bridge = dict(zip(LANDMARKS, mean_shape * size, strict=True))
    (left, _), (right, _) = bridge[133], bridge[362]  # inner corners of the eyes
    inset = (right - left) * 0.2
    columns = slice(round(left + inset), round(right - inset))
    rows = slice(round(bridge[107][1]), round(bridge[197][1]))  # from the brows downwards
    smooth = cv2.GaussianBlur(grey, (0, 0), size / 224)
    return float(np.abs(np.diff(smooth[rows, columns].mean(1))).max() * size / 224)
