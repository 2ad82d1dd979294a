"""The same face as a flat illustration, for pictures that should not pass for photographs.

The landmarks give the lines of the face. Hair is read off the picture along rays from between
the eyes: where skin turns into hair, and hair into the white ground. All shapes are polygons in
fractions of the picture, filled with flat colours that are the picture's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

# Where the landmarks lie among the 66; left and right are the picture's.
_OVAL = slice(0, 18)  # clockwise from the top of the forehead; the chin is number 9
_EYES = slice(18, 26), slice(26, 34)  # outer corner, lower lid (3), inner corner, upper lid (3)
_BROWS = slice(34, 39), slice(39, 44)  # the upper edge, from the tail inwards
_NOSE = slice(44, 54)  # bridge (4), tip, base, wings from below (2), wings from the side (2)
_LIPS = slice(54, 66)  # left corner, lower edge (5), right corner, upper edge from the left (5)

_TURN = np.radians(np.arange(0, 360, 2))  # of the rays, clockwise from the right
_RAYS = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)  # (rays, 2); y points down
_RISE = -np.degrees(np.arcsin(_RAYS[:, 1]))  # 90 straight up, -90 straight down
_REACH = np.linspace(0, 0.8, 161)  # how far out along a ray the picture is looked at
_GROUND = 170  # the white ground: no channel is darker
_ZOOM, _TOP = 0.86, 0.035  # the drawing shows more than the picture, for the sake of shoulders

_WHITE, _EYE_WHITE = np.array([255, 255, 255]), np.array([250, 248, 245])
_DARK, _INK, _BLUSH = np.array([20, 8, 10]), np.array([40, 28, 26]), np.array([235, 95, 85])


def draw_cartoon(picture: Image, landmarks: np.ndarray, size: int | None = None) -> Image:
    """A drawn face and its landmarks (66, 2), fractions of the picture → the same face as a flat
    illustration, `size` pixels a side (default: the picture's)."""
    if landmarks.shape != (66, 2):
        raise ValueError(f"landmarks are (66, 2), not {landmarks.shape}")
    face = _read_face(np.asarray(picture.convert("RGB"), np.float64), landmarks)
    pen = _Pen(size or picture.width)
    _draw_hair(pen, face)
    _draw_shoulders(pen, face)
    _draw_head(pen, face)
    _draw_nose(pen, face)
    _draw_beard(pen, face)
    _draw_lips(pen, face)
    for eye, brow in zip(_EYES, _BROWS, strict=True):
        _draw_eye(pen, face, landmarks[eye])
        _draw_brow(pen, face, landmarks[brow])
    return pen.finish()


@dataclass(frozen=True)
class _Face:
    """What is drawn: lengths in fractions of the picture, colours (3,) RGB 0 to 255."""

    landmarks: np.ndarray  # (66, 2)
    centre: np.ndarray  # (2,) between the eyes, where the rays start
    unit: float  # from eye to eye
    skin_edge: np.ndarray  # (rays,) how far the face reaches: hairline, cheeks, jaw
    hair_edge: np.ndarray  # (rays,) how far the hair reaches
    ears: bool  # whether they show
    skin: np.ndarray
    hair: np.ndarray
    brow: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    clothes: np.ndarray
    heavy_brow: float  # 0 to 1
    beard: tuple[float, float, float]  # on cheeks, chin, upper lip: 0 none, 1 dark

    def at(self, radii: np.ndarray) -> np.ndarray:
        """Distances along the rays (rays,) → points (rays, 2)."""
        return self.centre + radii[:, None] * _RAYS


def _read_face(pixels: np.ndarray, landmarks: np.ndarray) -> _Face:
    """Picture (H, W, 3) RGB 0 to 255 and landmarks (66, 2) → what to draw."""
    oval, nose, lips = landmarks[_OVAL], landmarks[_NOSE], landmarks[_LIPS]
    eyes = np.stack([landmarks[eye].mean(0) for eye in _EYES])
    centre, unit = eyes.mean(0), float(np.hypot(*(eyes[1] - eyes[0])))
    patch = np.stack(np.meshgrid(*[np.linspace(-unit, unit, 11)] * 2), -1).reshape(-1, 1, 2)

    def colour(points: np.ndarray, radius: float = 0.08, dark: float = 50) -> np.ndarray:
        """Median colour around points (N, 2), or that of the `dark` per cent darkest."""
        return np.percentile(_look(pixels, points + radius * patch), dark, axis=(0, 1))

    def darker(points: np.ndarray, bare: float, full: float, radius: float = 0.08) -> float:
        """How much darker than the cheeks: 0 at the fraction `bare`, 1 at `full`."""
        fraction = 1 - _luma(colour(points, radius)) / max(_luma(skin), 1)
        return float(np.clip((fraction - bare) / (full - bare), 0, 1))

    skin = colour((eyes + lips[[0, 6]]) / 2)
    skin_edge, hair_edge, hair, ears = _read_hair(pixels, landmarks, centre, unit, skin)
    below_lip = 0.4 * lips[[3]] + 0.6 * oval[[9]]
    moustache = darker((nose[[6, 7]] + lips[[8, 10]]) / 2, 0.25, 0.45, radius=0.06)
    moustache = min(moustache, darker(below_lip, 0.1, 0.2))  # a smile's shadow is no moustache
    chin = min(moustache, darker(below_lip, 0.25, 0.45))
    cheeks = min(chin, darker(0.35 * lips[[0, 6]] + 0.65 * oval[[11, 7]], 0.3, 0.45))
    brows = landmarks[[36, 41]] + np.array([0, 0.08 * unit])
    brow = colour(brows, dark=35)
    brow_luma = max(min(1.6 * _luma(brow) - 0.6 * _luma(skin), 0.75 * _luma(skin)), 20)
    mouth = colour(0.6 * lips[[3]] + 0.4 * lips[[9]], radius=0.06)
    clothes = colour(np.array([[centre[0] + side * 1.2 * unit, 0.98] for side in (-1, 1)]), 0.15)
    if abs(_luma(clothes) - _luma(hair)) < 40:
        clothes = _mix(clothes, _WHITE, 0.25)
    return _Face(
        *(landmarks, centre, unit, skin_edge, hair_edge, ears),
        skin=_vivid(skin, 1.15),
        hair=hair,
        brow=brow * brow_luma / max(_luma(brow), 1),
        iris=_vivid(1.2 * colour(eyes, 0.05, dark=40), 1.3),
        lips=_mix(_vivid(mouth, 1.3), skin, 0.15),
        clothes=_vivid(clothes, 1.5),
        heavy_brow=darker(brows, 0.1, 0.5),
        beard=(cheeks, chin, moustache),
    )


def _read_hair(
    pixels: np.ndarray, landmarks: np.ndarray, centre: np.ndarray, unit: float, skin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """How far face and hair reach (rays,), the hair's colour (3,), and whether the ears show."""
    oval = _radii(landmarks[_OVAL] - centre)
    looked = _look(pixels, centre + _RAYS[:, None] * _REACH[:, None])  # (rays, reach, 3)
    outer = _first((looked.min(-1) > _GROUND) & (0.9 * oval[:, None] < _REACH))
    # Wisps at the picture's upper border are no hair.
    outer = _smooth(np.where(_RISE > 0, _median(outer, 24), _median(outer, 3)), 3)
    hair_edge, ears = _find_hair_edge(oval, outer)

    way = _REACH / outer[:, None]
    hair = np.median(looked[(_RISE[:, None] > 25) & (way > 0.72) & (way < 0.88)], axis=0)
    contrast = float(np.sqrt(((skin - hair) ** 2).sum()))
    if contrast < 15:  # bald
        return _join(outer, oval), np.zeros(len(_RAYS)), hair, True
    # Seen from above the brows, and beside them from the temples: where skin turns into hair.
    brows = np.concatenate([landmarks[brow] for brow in _BROWS]) - [0, 0.12 * unit]
    temples = centre + 0.85 * (landmarks[[3, 15]] - centre)
    start = _radii(np.concatenate([brows, temples, landmarks[4:15]]) - centre)
    likeness = (looked - hair) @ (skin - hair) / contrast**2
    hairline = _median(_first((likeness < 0.5) & (start[:, None] < _REACH)), 8)
    # Where hair is hardly told from skin, it is drawn where most people's begins, and darker.
    trust = np.clip((contrast - 15) / 25, 0, 1)
    hairline = np.minimum(trust * hairline + (1 - trust) * 1.25 * oval, outer)
    hair = _vivid(0.87 * hair, 1.3)  # the ground shines through it
    if abs(_luma(skin) - _luma(hair)) < 30:
        hair = hair * max(_luma(skin) - 30, 0) / max(_luma(hair), 1)
    return _join(hairline, oval), hair_edge, hair, ears


def _find_hair_edge(oval: np.ndarray, outer: np.ndarray) -> tuple[np.ndarray, bool]:
    """How far the hair reaches (rays,), and whether the ears show."""
    thick = np.maximum(outer - oval, 0)
    beside_jaw = ((thick[14:23] + thick[76:67:-1]) / 2).min()
    # How many degrees below the eyes it ends: at the ears, at the jaw, or not at all.
    length = np.interp(beside_jaw, [0.07, 0.075, 0.095, 0.105], [5, 25, 45, 200])
    taper = np.clip((length + _RISE) / 35, 0, 1)
    edge = oval + thick * taper**2 * (3 - 2 * taper)
    # Hair falls straight: below the jaw it is no wider than beside it.
    across = np.maximum(np.abs(_RAYS[:, 0]), 0.1)
    at_jaw = (edge * across)[np.abs(_RISE + 43) < 4].mean()
    widest = np.where(_RISE < -43, min(1.05 * at_jaw, 0.48), 0.48)
    return _smooth(np.minimum(edge, widest / across), 4), bool(length < 20)


def _draw_hair(pen: _Pen, face: _Face) -> None:
    thick = face.hair_edge - face.skin_edge
    pen.fill(face.at(face.hair_edge), face.hair)
    shadow = face.skin_edge + 0.5 * thick * np.clip(-_RISE / 25, 0, 1)
    pen.fill(face.at(shadow), 0.75 * face.hair)
    # A band of light over the crown.
    swell = np.clip(1 - np.abs(np.degrees(_TURN) - 245) / 32, 0, 1) ** 0.5
    inner = face.skin_edge + 0.5 * thick
    band = [face.at(inner)[swell > 0], face.at(inner + 0.25 * swell * thick)[swell > 0][::-1]]
    pen.fill(np.concatenate(band), _mix(face.hair, _WHITE, 0.12))


def _draw_shoulders(pen: _Pen, face: _Face) -> None:
    left, chin, right = face.landmarks[[11, 9, 7]]
    wide = 0.42 * (right - left)[0] / face.unit
    collar = wide + 0.09

    def fill(half: Iterable[tuple[float, float]], colour: np.ndarray) -> None:
        """A symmetric shape: from the middle to the right, in units from the chin."""
        side = np.array(list(half))
        line = np.concatenate([side[:0:-1] * [-1, 1], side])
        pen.fill(chin + face.unit * _curve(line, closed=False), colour)

    fill([(0, 0.3), (wide, 0.24), (1.2, 0.5), (1.7, 0.75), (1.95, 1.4), (1.95, 2)], face.clothes)
    fill([(0, 0.68), (0.6 * collar, 0.6), (collar, 0.3)], _mix(face.clothes, _DARK, 0.25))
    throat = (0, 0.6), (0.6 * wide, 0.52), (wide, 0.25), (0.97 * wide, -0.3), (wide, -1)
    fill(throat, _mix(face.skin, _DARK, 0.07))
    shadow = face.at(face.skin_edge)[_RISE < 0] + face.unit * np.array([0, 0.2])
    shadow[:, 0] = chin[0] + np.clip(shadow[:, 0] - chin[0], *face.unit * wide * np.array([-1, 1]))
    pen.fill(shadow, _mix(face.skin, _DARK, 0.22))


def _draw_head(pen: _Pen, face: _Face) -> None:
    shade = _mix(face.skin, _DARK, 0.14)
    for number in (14, 4) if face.ears else ():
        place = face.centre + 1.03 * (face.landmarks[number] - face.centre)
        pen.fill(place + _RAYS * [0.16, 0.28] * face.unit, face.skin)
        pen.fill(place + _RAYS * [0.09, 0.15] * face.unit, shade)
    edge = face.at(face.skin_edge)
    pen.fill(edge, shade)
    # The light comes from the left, below the fringe.
    pen.fill(edge - np.clip(_RAYS, [0, -1], [1, 0]) * [0.07, 0.1] * face.unit, face.skin)
    for corner, eye in zip(face.landmarks[[54, 60]], _EYES, strict=True):
        cheek = 0.45 * corner + 0.55 * face.landmarks[eye].mean(0)
        cheek[0] += 0.12 * (cheek - face.centre)[0]
        pen.fill(cheek + _RAYS * [0.2, 0.13] * face.unit, _mix(face.skin, _BLUSH, 0.13))


def _draw_nose(pen: _Pen, face: _Face) -> None:
    def outline(numbers: list[int], right: list[float], down: list[float]) -> np.ndarray:
        """Near landmarks of the nose, by so many units."""
        return face.landmarks[_NOSE][numbers] + face.unit * np.transpose([right, down])

    shade, dark = _mix(face.skin, _DARK, 0.14), _mix(face.skin, _DARK, 0.45)
    side = [0.1, 0.09, 0.13, 0.03, 0, 0.06, 0.04], [-0.1, 0.15, -0.03, -0.08, 0, 0.02, 0]
    pen.fill(_curve(outline([1, 1, 4, 7, 7, 5, 4], *side)), shade)
    below = [0, -0.08, 0.08, 0, 0], [-0.03, 0.03, 0.03, -0.03, -0.06]
    pen.fill(_curve(outline([6, 5, 5, 7, 5], *below)), shade)
    for wing, s in ((6, 1), (7, -1)):
        nostril = outline([wing] * 4, [0, -0.01 * s, 0.08 * s, 0.16 * s], [-0.09, 0, 0, 0.01])
        pen.stroke(_curve(nostril, closed=False), 0.04 * face.unit, dark)


def _draw_beard(pen: _Pen, face: _Face) -> None:
    oval, nose, lips = (face.landmarks[part] for part in (_OVAL, _NOSE, _LIPS))
    left, right = lips[[0, 6]] + face.unit * np.array([[-0.08, 0], [0.08, 0]])
    inner = (oval[[5, 13]] + lips[[6, 0]]) / 2
    cheeks = [*oval[4:15], inner[1], left, lips[9], right, inner[0]]
    beside, below = (lips[[1, 5]] + oval[[11, 7]]) / 2, (lips[[2, 4]] + 3 * oval[[10, 8]]) / 4
    chin = [left, beside[0], below[0], oval[9], below[1], beside[1], right, lips[9]]
    moustache = [left, *(nose[[6, 5, 7]] + lips[[7, 9, 11]]) / 2, right, *lips[11:6:-1]]
    dark = _mix((face.hair + face.brow) / 2, _DARK, 0.1)
    for outline, strength in zip((cheeks, chin, moustache), face.beard, strict=True):
        if strength > 0.3:
            pen.fill(_curve(np.stack(outline)), _mix(face.skin, dark, 0.3 + 0.55 * strength))


def _draw_lips(pen: _Pen, face: _Face) -> None:
    lips = face.landmarks[_LIPS].copy()
    lips[[0, 6], 1] -= 0.04 * face.unit  # a friendly mouth
    lower, upper = lips[:7], lips[[0, 7, 8, 9, 10, 11, 6]]
    middle = 0.55 * upper + 0.45 * lower
    pen.fill(_curve(np.concatenate([upper, lower[-2:0:-1]])), face.lips)
    pen.fill(_curve(np.concatenate([upper, middle[-2:0:-1]])), _mix(face.lips, _DARK, 0.15))
    pen.stroke(_curve(middle, closed=False), 0.035 * face.unit, _mix(face.lips, _DARK, 0.5))


def _draw_eye(pen: _Pen, face: _Face, eye: np.ndarray) -> None:
    middle = eye.mean(0)
    eye = middle + (eye - middle) * [1.25, 2.1]  # wide awake
    upper, lower = _curve(eye[[0, 7, 6, 5, 4]], closed=False), _curve(eye[:5], closed=False)
    pen.fill(np.concatenate([upper, lower[::-1]]), _EYE_WHITE)
    height = lower[:, 1].max() - upper[:, 1].min()
    lids = [lid[lid[:, 0].argsort()].T for lid in (upper, lower)]
    for radius, aside, colour in ((0.56, 0, face.iris), (0.28, 0, _INK), (0.12, 0.17, _WHITE)):
        disc = middle + height * (radius * _RAYS + [aside, -aside])
        disc[:, 1] = np.clip(disc[:, 1], *(np.interp(disc[:, 0], *lid) for lid in lids))
        pen.fill(disc, colour)
    pen.stroke(upper, 0.06 * face.unit, _INK)
    crease = middle + (upper - middle) * [1, 1.35] - [0, 0.03 * face.unit]
    pen.stroke(crease[4:-4], 0.02 * face.unit, _mix(face.skin, _DARK, 0.3))


def _draw_brow(pen: _Pen, face: _Face, brow: np.ndarray) -> None:
    line = _curve(brow + face.unit * np.array([0, 0.07]), closed=False)
    along = np.linspace(0, 1, len(line))
    thick = np.interp(along, [0, 0.3, 0.6, 0.93, 0.98, 1], [0.1, 0.75, 1, 0.9, 0.7, 0.3])
    pen.stroke(line, (0.09 + 0.06 * face.heavy_brow) * face.unit * thick, face.brow)


class _Pen:
    """Fills shapes given in fractions of the picture, larger than asked for, and shrinks them."""

    def __init__(self, size: int) -> None:
        from PIL import Image, ImageDraw

        self.size, self.side = size, size * max(2, min(4, 4096 // size))
        self.sheet = Image.new("RGB", (self.side, self.side), "white")
        self.draw = ImageDraw.Draw(self.sheet)

    def fill(self, points: np.ndarray, colour: np.ndarray) -> None:
        placed = ((points - [0.5, 0]) * _ZOOM + [0.5, _TOP]) * self.side
        red, green, blue = np.clip(np.round(colour), 0, 255).astype(int).tolist()
        self.draw.polygon([(x, y) for x, y in placed.tolist()], fill=(red, green, blue))

    def stroke(self, line: np.ndarray, width: float | np.ndarray, colour: np.ndarray) -> None:
        """Along a line (N, 2), as wide as given at each point, or `width` and thin at its ends."""
        if isinstance(width, float):
            width = width * np.sin(np.linspace(0.15, np.pi - 0.15, len(line)))
        x, y = np.gradient(line, axis=0).T
        aside = np.stack([-y, x], 1) * (width / 2 / np.hypot(x, y))[:, None]
        self.fill(np.concatenate([line + aside, (line - aside)[::-1]]), colour)

    def finish(self) -> Image:
        from PIL import Image

        return self.sheet.resize((self.size, self.size), Image.Resampling.LANCZOS)


def _curve(points: np.ndarray, closed: bool = True) -> np.ndarray:
    """A smooth curve (Catmull-Rom) through points (N, 2), ten points from each to the next."""
    before, after = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    padded = np.concatenate([before, points, after])
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.arange(0, 1, 0.1)[:, None]
    curve = b + t * (c - a) / 2 + t**2 * (a - 2.5 * b + 2 * c - d / 2)
    curve = (curve + t**3 * (1.5 * (b - c) + (d - a) / 2)).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def _radii(points: np.ndarray) -> np.ndarray:
    """Points (N, 2) around the origin → how far their outline lies along each ray (rays,)."""
    turn = np.arctan2(points[:, 1], points[:, 0])
    return np.interp(_TURN, turn, np.hypot(*points.T), period=2 * np.pi)


def _look(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Colours (..., 3) of the picture (H, W, 3) at points (..., 2)."""
    high, wide = pixels.shape[:2]
    x, y = np.moveaxis(np.clip(points * [wide, high], 0, [wide - 1, high - 1]).astype(int), -1, 0)
    return pixels[y, x]


def _first(found: np.ndarray) -> np.ndarray:
    """How far along each ray (rays,) something is found (rays, reach); the end where nowhere."""
    return np.where(found.any(1), _REACH[found.argmax(1)], _REACH[-1])


def _join(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One edge (rays,) that passes from one into the other beside the eyes."""
    share = np.clip((_RISE + 5) / 25, 0, 1)
    return _smooth(share * above + (1 - share) * below, 4)


def _median(radii: np.ndarray, reach: int) -> np.ndarray:
    return np.median([np.roll(radii, by) for by in range(-reach, reach + 1)], axis=0)


def _smooth(radii: np.ndarray, reach: int) -> np.ndarray:
    weights = np.hanning(2 * reach + 3)[1:-1] / (reach + 1)
    return weights @ [np.roll(radii, by) for by in range(-reach, reach + 1)]


def _luma(colour: np.ndarray) -> float:
    return float(colour @ [0.299, 0.587, 0.114])


def _vivid(colour: np.ndarray, by: float) -> np.ndarray:
    """More saturated, as light as before."""
    return np.clip(_luma(colour) + by * (colour - _luma(colour)), 0, 255)


def _mix(colour: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * colour + share * other
