"""Neck and shoulders of a bust, drawn: their outline, and light and shade on them.

Canonical pictures show collars, so a neck cannot be learned from them. It has everybody's form and
the tone of each face. It is drawn below the mean shape's jaw and moved with it, so the shadow that
falls from a jaw follows that jaw. Light comes from the front and above. Lengths are in fractions of
the drawn picture, or, where it is said, in pixels of a picture of 224.
"""

from __future__ import annotations

import numpy as np

from speech2face.data.decoder_data import picture_grid
from speech2face.data.head_segmentation import blur_half, join, smooth_step

HALF_WIDTH, NARROWER = 0.152, 0.010  # of the neck under the ears, and what it loses on its way down
SHOULDER, SLOPE = 0.885, 0.32  # where the shoulders would meet the neck's side, and how they fall
ROUND = 30.0  # of the corner of neck and shoulder, pixels
NOTCH = 0.985  # how far down the muscles of the neck meet, at the breastbone
SHADE = 1.0  # of the cheeks' lightness: the neck lies behind the face
CAST, REACH = 0.48, 13.0  # how dark the jaw's shadow is, and how many pixels it falls
TINT = np.array([0.97, 1.0, 1.02])  # of the cheeks' colour: they are redder
WARMTH = np.array([0.94, 1.02, 1.06])  # of shade, by channel: light that skin sends back is red


def model_neck(oval: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the face's oval, pixels (S, S/2) → those to the outline of neck and shoulders,
    and the skin's colour there over that of the cheeks, (S, S/2, 3)."""
    across, low = picture_grid(len(oval))
    width = HALF_WIDTH - NARROWER * smooth_step((low - 0.76) / 0.1)
    beside = np.maximum(across - width, 0)  # of the neck's side
    fall = SHOULDER + SLOPE * (across - HALF_WIDTH) + 0.9 * np.maximum(across - 0.33, 0) ** 2
    column = np.minimum((width - across) * 224, (low - 0.62) * 224)
    outline = join(column, (low - fall) * 224 * 0.96, ROUND, 1)
    light = SHADE * _round_off(across / width, beside, low)
    light = light * _model_muscles(across, low)
    light = light * (1 - CAST * _cast_shadow(oval, across))
    return outline, TINT * light[..., None] ** WARMTH


def _round_off(aside: np.ndarray, beside: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Light on a column that turns away to its sides, and on the shoulders behind it."""
    turned = 1 - 0.24 * np.clip(aside, 0, 1) ** 3.5
    behind = 1 - 0.22 * np.exp(-beside / 0.07)
    onto_chest = smooth_step((low - 0.90) / 0.07)
    side = np.where(aside < 1, turned, behind)
    return np.asarray(side + onto_chest * (1 - 0.25 * (1 - behind) - side) * 0.85)


def _model_muscles(across: np.ndarray, low: np.ndarray) -> np.ndarray:
    """The two muscles that run from behind the ears to the breastbone, the hollow beside each, and
    the windpipe between them."""
    down = np.clip((low - 0.80) / (NOTCH - 0.80), 0, 1.05)
    middle = 0.135 - 0.113 * down**1.15
    wide = 0.020 - 0.008 * down
    aside = (across - middle) / wide
    seen = smooth_step((low - 0.80) / 0.05) * smooth_step((NOTCH + 0.008 - low) / 0.02)
    ridge = 0.035 * np.exp(-(aside**2)) - 0.050 * np.exp(-((aside + 1.7) ** 2))
    behind = -0.05 * np.exp(-(((aside - 2.0) / 1.3) ** 2))
    windpipe = 0.03 * np.exp(-((across / 0.03) ** 2))
    return 1 + seen * (ridge + behind + windpipe)


def _cast_shadow(oval: np.ndarray, across: np.ndarray) -> np.ndarray:
    """How deep in the jaw's shadow a place lies, 0 to 1: darkest under the jaw's edge, with a soft
    end, and shorter to the sides."""
    below = np.maximum(-blur_half(oval, 2), 0)
    reach = REACH * (1 - 0.35 * np.clip(across / HALF_WIDTH, 0, 1) ** 2)
    cast = 0.7 * smooth_step((reach - below) / (0.75 * reach)) + 0.3 * np.exp(-below / 3)
    return blur_half(cast, 1.2)
