"""Traits of a drawn face that a cartoon keeps, measured on the picture and its landmarks.

Colours are those of the picture. Hair is read along rays from between the eyes: where skin turns
into hair, and hair into the white ground. Beard and lines of age are read off how dark the skin is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Where the landmarks lie among the 66; left and right are the picture's.
OVAL = slice(0, 18)  # clockwise from the top of the forehead; the chin is number 9
EYES = slice(18, 26), slice(26, 34)  # outer corner, lower lid (3), inner corner, upper lid (3)
BROWS = slice(34, 39), slice(39, 44)  # the upper edge, from the tail inwards
NOSE = slice(44, 54)  # bridge (4), tip, base, wings from below (2), wings from the side (2)
LIPS = slice(54, 66)  # left corner, lower edge (5), right corner, upper edge from the left (5)

TURN = np.radians(np.arange(0, 360, 2))  # of the rays, clockwise from the right
RAYS = np.stack([np.cos(TURN), np.sin(TURN)], 1)  # (rays, 2); y points down
RISE = -np.degrees(np.arcsin(RAYS[:, 1]))  # 90 straight up, -90 straight down
_REACH = np.linspace(0, 0.8, 161)  # how far out along a ray the picture is looked at
_GROUND = 200  # the white ground: no channel is darker


@dataclass(frozen=True)
class HairTraits:
    """Hair of a face, left and right alike; lengths in fractions of the picture."""

    line: np.ndarray  # (rays,) where it begins, seen from between the eyes
    edge: np.ndarray  # (rays,) how far it reaches
    short: bool  # whether the ears show
    colour: np.ndarray  # (3,)


@dataclass(frozen=True)
class FaceTraits:
    """Traits of one face: lengths in fractions of the picture, colours (3,) RGB 0 to 255."""

    landmarks: np.ndarray  # (66, 2)
    centre: np.ndarray  # (2,) between the eyes, where the rays start
    unit: float  # from eye to eye
    edge: np.ndarray  # (rays,) how far the skin reaches: crown, cheeks, jaw
    hair: HairTraits | None
    skin: np.ndarray
    brow: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    heavy_brow: float  # 0 to 1
    beard: tuple[float, float, float]  # on cheeks, chin, upper lip: 0 none, 1 dark
    lines: float  # beside the mouth: 0 none, 1 deep

    def at(self, radii: np.ndarray) -> np.ndarray:
        """Distances along the rays (rays,) → points (rays, 2)."""
        return self.centre + radii[:, None] * RAYS


def read_face(pixels: np.ndarray, landmarks: np.ndarray) -> FaceTraits:
    """Picture (H, W, 3) RGB 0 to 255 and landmarks (66, 2) → what to draw."""
    oval, nose, lips = landmarks[OVAL], landmarks[NOSE], landmarks[LIPS]
    eyes = np.stack([landmarks[eye].mean(0) for eye in EYES])
    centre, unit = eyes.mean(0), float(np.hypot(*(eyes[1] - eyes[0])))
    patch = np.stack(np.meshgrid(*[np.linspace(-unit, unit, 11)] * 2), -1).reshape(-1, 1, 2)

    def colour(points: np.ndarray, radius: float = 0.08, dark: float = 50) -> np.ndarray:
        """Median colour around points (N, 2), or that of the `dark` per cent darkest."""
        return np.percentile(_look(pixels, points + radius * patch), dark, axis=(0, 1))

    def darker(points: np.ndarray, bare: float, full: float, radius: float = 0.08) -> float:
        """Darkness relative to the cheeks: 0 at the fraction `bare`, 1 at `full`."""
        fraction = 1 - _luma(colour(points, radius)) / max(_luma(skin), 1)
        return float(np.clip((fraction - bare) / (full - bare), 0, 1))

    skin = colour((eyes + lips[[0, 6]]) / 2)
    below_lip = 0.4 * lips[[3]] + 0.6 * oval[[9]]
    moustache = darker((nose[[6, 7]] + lips[[8, 10]]) / 2, 0.12, 0.45, radius=0.06)
    chin = min(moustache, darker(below_lip, 0.1, 0.45))
    moustache = min(moustache, 1.5 * chin)  # a smile's shadow is no moustache
    cheeks = min(chin, darker(0.35 * lips[[0, 6]] + 0.65 * oval[[11, 7]], 0.2, 0.45))
    brows = landmarks[[36, 41]] + np.array([0, 0.08 * unit])
    brow = colour(brows, dark=35)
    brow_luma = max(min(1.4 * _luma(brow) - 0.4 * _luma(skin), 0.75 * _luma(skin)), 20)
    mouth = colour(0.6 * lips[[3]] + 0.4 * lips[[9]], radius=0.06)
    hair, edge = _read_hair(pixels, landmarks, centre, unit, skin)
    return FaceTraits(
        *(landmarks, centre, unit, edge, hair),
        skin=_vivid(skin, 1.1),
        brow=brow * brow_luma / max(_luma(brow), 1),
        iris=_vivid(1.2 * colour(eyes, 0.05, dark=40), 1.3),
        lips=mix(_vivid(mouth, 1.3), skin, 0.15),
        heavy_brow=darker(brows, 0.1, 0.5),
        beard=(cheeks, chin, moustache),
        lines=_read_lines(pixels, nose, lips, unit),
    )


def _read_lines(pixels: np.ndarray, nose: np.ndarray, lips: np.ndarray, unit: float) -> float:
    """Depth of the folds from nose to mouth, against the skin on both sides, 0 to 1."""
    aside, depths = np.linspace(-0.05, 0.35, 17)[:, None] * [unit, 0], []
    for sign, wing, corner in ((-1, nose[8], lips[0]), (1, nose[9], lips[6])):
        way = np.linspace(wing, corner + np.array([0.1 * sign * unit, 0]), 12)[2:-1, None]
        light = np.maximum(_look(pixels, way + sign * aside).mean((0, 2)), 1)
        depths.append(1 - light / np.linspace(light[:3].mean(), light[-3:].mean(), 17))
    return float(np.clip((np.mean(depths, axis=0).max() - 0.03) / 0.04, 0, 1))


def _read_hair(
    pixels: np.ndarray, landmarks: np.ndarray, centre: np.ndarray, unit: float, cheek: np.ndarray
) -> tuple[HairTraits | None, np.ndarray]:
    """The hair, if any, and how far the skin reaches (rays,)."""
    oval = _even(_radii(landmarks[OVAL] - centre))
    places = centre + RAYS[:, None] * _REACH[:, None]
    looked = _look(pixels, places)  # (rays, reach, 3)
    ground = (looked.min(-1) > _GROUND) | (np.abs(places - 0.5).max(-1) > 0.5)
    outer = _first(ground & (0.9 * oval[:, None] < _REACH))
    # Wisps at the picture's upper border are no hair.
    outer = _even(_smooth(np.where(RISE > 0, _median(outer, 12), _median(outer, 3)), 3))
    # Beside the ears the picture's edge is theirs; the head's goes on from above them.
    beside_ear = (outer - oval)[np.abs(RISE - 20) < 4].mean()
    thick = np.maximum(np.where(RISE < 20, beside_ear, outer - oval), 0.06 * unit)
    head = _smooth(oval + thick * ramp(-14, 20), 4)
    # Hair is what is least like the skin of cheeks and brow; that of the bald is much like it.
    brow = _look(pixels, (landmarks[OVAL][:1] + centre) / 2 + 0.15 * unit * RAYS).mean(0)
    over = (RISE > 15)[:, None] & (oval[:, None] < _REACH) & (0.93 * outer[:, None] > _REACH)
    unlike = np.minimum(_unlike(looked, cheek), _unlike(looked, brow))
    contrast = float(np.percentile(unlike[over], 80)) if over.any() else 0
    if contrast < 0.15:
        return None, head
    is_hair = unlike > 0.45 * contrast
    colour = np.percentile(looked[over & is_hair], 65, axis=0)
    # Seen from above the brows, and beside them from the temples: where skin turns into hair.
    brows = np.concatenate([landmarks[brow] for brow in BROWS]) - [0, 0.12 * unit]
    temples = centre + 0.85 * (landmarks[[3, 15]] - centre)
    start = _radii(np.concatenate([brows, temples, landmarks[4:15]]) - centre)
    line = _smooth(_even(_median(_first(is_hair & (start[:, None] < _REACH)), 11)), 5)
    line = np.minimum(line, outer - 0.1 * unit)
    # Short hair leaves the ground beside the mouth white.
    beside = landmarks[[12, 6]] + unit * np.array([[-0.17, 0], [0.17, 0]])
    short = bool(np.median(_look(pixels, beside).min(-1)) > _GROUND)
    edge = head if short else _smooth(np.maximum(outer, oval + 0.06 * unit), 4)
    line = _join(line, oval - 0.1 * unit * (ramp(-14, -2) if short else ramp(-30, 10)))
    return HairTraits(line, edge, short, _vivid(colour, 1.1)), _join((line + outer) / 2, oval)


def _radii(points: np.ndarray) -> np.ndarray:
    """Points (N, 2) around the origin → how far their outline lies along each ray (rays,)."""
    turn = np.arctan2(points[:, 1], points[:, 0])
    return np.interp(TURN, turn, np.hypot(*points.T), period=2 * np.pi)


def _look(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Colours (..., 3) of the picture (H, W, 3) at points (..., 2)."""
    high, wide = pixels.shape[:2]
    x, y = np.moveaxis(np.clip(points * [wide, high], 0, [wide - 1, high - 1]).astype(int), -1, 0)
    return pixels[y, x]


def _first(found: np.ndarray) -> np.ndarray:
    """Distance along each ray (rays,) to the first True of (rays, reach); the end if none is."""
    return np.where(found.any(1), _REACH[found.argmax(1)], _REACH[-1])


def ramp(low: float, high: float) -> np.ndarray:
    """Weights (rays,) by rise: 0 below `low` degrees, 1 above `high`, smooth between."""
    share = np.clip((RISE - low) / (high - low), 0, 1)
    return share**2 * (3 - 2 * share)


def _even(radii: np.ndarray) -> np.ndarray:
    """Left and right alike: the mean of both."""
    return (radii + np.roll(radii[::-1], 91)) / 2


def _join(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One edge (rays,) that passes from one into the other beside the eyes."""
    share = np.clip((RISE + 5) / 25, 0, 1)
    return _smooth(share * above + (1 - share) * below, 4)


def _median(radii: np.ndarray, reach: int) -> np.ndarray:
    return np.median([np.roll(radii, by) for by in range(-reach, reach + 1)], axis=0)


def _smooth(radii: np.ndarray, reach: int) -> np.ndarray:
    weights = np.hanning(2 * reach + 3)[1:-1] / (reach + 1)
    return weights @ [np.roll(radii, by) for by in range(-reach, reach + 1)]


def _luma(colours: np.ndarray) -> np.ndarray:
    return colours @ np.array([0.299, 0.587, 0.114])


def _unlike(colours: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distance of colours (..., 3) from another (3,), hue before lightness."""
    light, dark = np.maximum(_luma(colours), 1), max(_luma(other), 1)
    hue = colours / light[..., None] - other / dark
    return np.hypot(hue[..., 0], hue[..., 2]) + np.abs(light - dark) / (light + dark)


def _vivid(colour: np.ndarray, by: float) -> np.ndarray:
    """More saturated, as light as before."""
    return np.clip(_luma(colour) + by * (colour - _luma(colour)), 0, 255)


def mix(colour: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * colour + share * other
