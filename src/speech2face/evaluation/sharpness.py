"""Sharpness: the variance of the Laplacian (Pech-Pacheco, ICPR 2000), in skin and in hair apart.

It is of the grey face (0 … 255), aligned at 112 px. Of the whole face it is mostly that of eyes,
lips and outlines. Skin is two cheeks and the forehead between the brows and where hair may begin.
Hair is what lies around the forehead and is not of the skin's colour: an estimate, for a hat is
hair to it, too. Outlines are left out of both.
"""

from __future__ import annotations

import numpy as np

from speech2face.face_encoders import TEMPLATES, fit_similarity, warp_face

CROP = 112  # pixels a side of the aligned crop
PARTS = ("face", "skin", "hair")
SKIN = ((0.32, 0.66, 0.075), (0.68, 0.66, 0.075), (0.50, 0.31, 0.07))  # x, y, radius, of the crop
HEAD = (0.50, 0.46, 0.38, 0.50)  # x, y and radii of what may be hair, above the eyes
UNLIKE = 30.0  # of a colour to the skin's, CIE L*a*b* of 8 bits
FEWEST = 150  # pixels of hair that are enough


def measure_sharpness(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """RGB picture, five landmarks (5, 2) → sharpness of the `PARTS`; NaN where no hair is seen."""
    import cv2

    matrix = fit_similarity(landmarks, TEMPLATES["arcface"] * CROP)
    crop = warp_face(image, matrix, CROP)
    edges = cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_64F)
    skin, hair = find_skin_and_hair(crop)
    inside = warp_face(np.full_like(image, 255), matrix, CROP, outside=0)[..., 0]
    hair &= cv2.erode(inside, np.ones((5, 5))) == 255  # what lies beyond the picture is smeared
    return np.array(
        [edges.var(), edges[skin].var(), edges[hair].var() if hair.sum() >= FEWEST else np.nan]
    )


def find_skin_and_hair(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Aligned crop (112, 112, 3) → where skin is, and where hair is, without its outline."""
    import cv2

    y, x = (np.mgrid[:CROP, :CROP] + 0.5) / CROP
    skin = np.any([np.hypot(x - left, y - top) < radius for left, top, radius in SKIN], axis=0)
    colours = cv2.cvtColor(cv2.GaussianBlur(crop, (5, 5), 0), cv2.COLOR_RGB2LAB).astype(float)
    unlike = np.linalg.norm(colours - np.median(colours[skin], axis=0), axis=2) > UNLIKE
    left, top, wide, high = HEAD
    around = np.hypot((x - left) / wide, (y - top) / high) < 1
    inner = np.hypot((x - left) / 0.30, (y - top) / 0.22) < 1  # eyes and brows
    hair = (unlike & around & ~inner & (y < top)).astype(np.uint8)
    return skin, cv2.erode(hair, np.ones((5, 5))) > 0
