"""Heads → heads all of skin, and where skin is drawn: face, scalp, ears, neck.

Where hair, a collar or the ground hides a person's skin, there is that of people in whom it is
seen, in the person's own tone. The neck is everybody's: it is drawn, not learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.decoder_data import canvas_grid, picture_grid
from speech2face.data.face_unwarping import oval_mask
from speech2face.data.head_segmentation import (
    Heads,
    blur_half,
    dilate,
    erode,
    join,
    seen,
    signed_distance,
    smooth_step,
    spread,
)
from speech2face.data.neck import model_neck

LEAST_SEEN = 6  # people in whom a place must show skin for their mean to stand for it
SKULL = 0.262, 0.292, 0.42  # half its width, its height, and how far down that begins
EAR = 0.256, 0.502, 0.027, 0.066  # across, down, half its width and height; of the picture
EAR_TINT = 1.02, 0.96, 0.94  # of the cheeks' colour: ears are redder
EDGE = 0.20  # darkening of skin that turns away, at the outline


@dataclass(frozen=True)
class Skin:
    """Heads all of skin, left halves."""

    colours: np.ndarray  # (N, S, S/2, 3) float32, in [0, 1.2]
    cover: np.ndarray  # (S, S/2) float32: where it is drawn, fading below the neck


def uncover_skin(heads: Heads, mean_shape: np.ndarray, sharpening: float) -> Skin:
    """Remove the hair from `heads`; visible skin is sharpened by an unsharp mask."""
    size = heads.colours.shape[1]
    oval = blur_half(signed_distance(oval_mask(mean_shape, size, 1.0)[:, : size // 2]), 3.5)
    head = _bare_head(heads, oval)
    neck, shade = model_neck(oval)
    ear, within = _shade_ear(oval)
    face = blur_half(_sigmoid(oval / 0.8), 1.0)
    below = np.clip(1 - np.maximum(face, _sigmoid(head / 0.8)), 0, 1)
    above = smooth_step((0.74 - picture_grid(size)[1]) / 0.06)
    visible = _find_visible(heads, oval)
    ratio = _compare_to_cheeks(heads, visible)
    ratio += below[..., None] * (shade - ratio)
    ratio += within[..., None] * (np.array(EAR_TINT) - ratio)
    ear = ear * (1 - EDGE * np.exp(-np.maximum(head, 0) / 2.2) * above)[..., None]
    inside = smooth_step(head / 4)  # at the outline the ground shines through
    colours = np.empty_like(heads.colours)
    for row, (own, tone) in enumerate(zip(heads.colours, heads.skin, strict=True)):
        kept = blur_half(visible[row] * (1 - below) * (1 - within) * inside, 1.8)[..., None]
        sharp = own + sharpening * (own - blur_half(own, 224 / 90))
        colours[row] = np.clip((kept * sharp + (1 - kept) * tone * ratio) * ear, 0, 1.2)
    bust = _sigmoid((neck - 0.4) / 0.6)
    cover = 1 - (1 - _sigmoid((head - 0.8) / 0.38)) * (1 - bust)
    return Skin(colours, cover.astype(np.float32))


def _compare_to_cheeks(heads: Heads, visible: np.ndarray) -> np.ndarray:
    """Skin over that of the cheeks, the mean of those in whom it is `visible`: (S, S/2, 3)."""
    total = np.zeros(heads.colours.shape[1:], np.float32)
    for seen_there, own, tone in zip(visible, heads.colours, heads.skin, strict=True):
        total += seen_there[..., None] * own / np.maximum(tone, 1e-2)
    people = visible.sum(0)
    ratio = total / np.maximum(people, 1e-3)[..., None]
    sure = np.clip(people / LEAST_SEEN, 0, 1)
    return sure[..., None] * ratio + (1 - sure[..., None]) * spread(ratio, sure)


def _find_visible(heads: Heads, oval: np.ndarray) -> np.ndarray:
    """(N, S, S/2) how surely a place shows a person's skin: in the face, or above the jaw where
    it has the colour of skin."""
    face, (_, down) = blur_half((oval > 0).astype(np.float32), 1.5), canvas_grid(len(oval))
    place = np.maximum(face, smooth_step((0.70 - down) / 0.06)) * seen(len(oval))
    out = np.empty_like(heads.hair)
    for row in range(len(heads)):
        covered = erode(np.clip((heads.cover[row] - 0.8) / 0.2, 0, 1), 2)
        like = np.where(oval > 0, 1, np.exp(-((heads.strangeness[row] / 16) ** 2)))
        out[row] = (1 - dilate(heads.hair[row], 5)) * covered * place * like
    return out


def _bare_head(heads: Heads, oval: np.ndarray) -> np.ndarray:
    """Outline of face, scalp and ears, `signed_distance` of it: the mean of the smallest heads."""
    size = len(oval)
    above = heads.cover[:, : round(0.42 * size)].sum((1, 2))
    order = np.argsort(above)
    few = order[len(order) // 160 : len(order) // 160 + max(1, min(40, len(order) // 4))]
    head = np.mean([signed_distance(heads.cover[row] > 0.5) for row in few], axis=0)
    across, low = picture_grid(size)
    dome = (1 - np.hypot(across / SKULL[0], np.minimum(low - SKULL[2], 0) / SKULL[1])) * 224
    head = join(join(head, SKULL[0] * dome, 3, -1), (0.56 - low) * 224, 6, -1)
    aside, up = _ear_grid(size)
    ear = (1 - np.hypot(aside, up)) * EAR[2] * 224
    return blur_half(join(join(oval, head, 3, 1), ear, 2, 1), 0.8)


def _ear_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances from an ear's middle, outwards and upwards, in halves of its width and height."""
    across, low = picture_grid(size)
    x, y, wide, high = EAR
    aside, up = across - x - 0.22 * (y - low), y - low  # leaning outwards
    return aside / (wide * (1 + 3 * np.clip(up, -0.05, 0.05))), up / high


def _shade_ear(oval: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Light and shade of the ears, lit from the front, (S, S/2, 1): a hollow within a rim; and a
    mask of them (S, S/2)."""
    aside, up = _ear_grid(len(oval))
    radius = np.hypot(aside, up)
    outside = _sigmoid(-oval / 0.8)  # of the face
    within = outside * _sigmoid((1.15 - radius) * 14)
    hollow = np.exp(-((np.hypot((aside + 0.05) / 0.36, (up + 0.05) / 0.42)) ** 4))
    fold = np.exp(-(((radius - 0.66) / 0.10) ** 2)) * _sigmoid((up + 0.45) * 8)
    ridge = np.exp(-(((np.hypot(aside, up + 0.08) - 0.50) / 0.08) ** 2)) * _sigmoid((up + 0.2) * 8)
    rim = np.exp(-(((radius - 0.84) / 0.10) ** 2))
    crease = np.exp(-(((oval + 2.0) / 1.4) ** 2)) * np.exp(-((up / 1.0) ** 4))
    light = 1.05 - 0.26 * hollow - 0.16 * fold + 0.06 * ridge + 0.10 * rim - 0.12 * crease
    light = blur_half(1 + within * (light - 1), 0.35)
    return light[..., None], blur_half(within, 1.5)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
