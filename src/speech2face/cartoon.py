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
_ZOOM, _TOP = 0.82, 0.04  # the drawing shows more than the picture: the shoulders

_WHITE, _EYE_WHITE = np.array([255, 255, 255]), np.array([250, 248, 245])
_DARK, _INK, _BLUSH = np.array([20, 8, 10]), np.array([40, 28, 26]), np.array([235, 95, 85])


def draw_cartoon(picture: Image, landmarks: np.ndarray, size: int | None = None) -> Image:
    """A drawn face and its landmarks (66, 2), fractions of the picture → the same face as a flat
    illustration, `size` pixels a side (default: the picture's)."""
    if landmarks.shape != (66, 2):
        raise ValueError(f"landmarks are (66, 2), not {landmarks.shape}")
    face = _read_face(np.asarray(picture.convert("RGB"), np.float64), landmarks)
    pen = _Pen(size or picture.width)
    if face.hair and not face.hair.short:
        _draw_falling_hair(pen, face, face.hair)
    _draw_bust(pen, face)
    _draw_head(pen, face)
    _draw_nose(pen, face)
    _draw_beard(pen, face)
    _draw_age(pen, face)
    _draw_lips(pen, face)
    for eye, brow in zip(_EYES, _BROWS, strict=True):
        _draw_eye(pen, face, landmarks[eye])
        _draw_brow(pen, face, landmarks[brow])
    if face.hair:
        _draw_hair(pen, face, face.hair)
    return pen.finish()


@dataclass(frozen=True)
class _Hair:
    """Left and right alike; lengths in fractions of the picture."""

    line: np.ndarray  # (rays,) where it begins, seen from between the eyes
    edge: np.ndarray  # (rays,) how far it reaches
    end: float  # how low it falls
    short: bool  # whether the ears show
    colour: np.ndarray  # (3,)


@dataclass(frozen=True)
class _Face:
    """What is drawn: lengths in fractions of the picture, colours (3,) RGB 0 to 255."""

    landmarks: np.ndarray  # (66, 2)
    centre: np.ndarray  # (2,) between the eyes, where the rays start
    unit: float  # from eye to eye
    edge: np.ndarray  # (rays,) how far the skin reaches: crown, cheeks, jaw
    hair: _Hair | None
    skin: np.ndarray
    brow: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    heavy_brow: float  # 0 to 1
    beard: tuple[float, float, float]  # on cheeks, chin, upper lip: 0 none, 1 dark
    lines: float  # beside the mouth: 0 none, 1 deep

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
    below_lip = 0.4 * lips[[3]] + 0.6 * oval[[9]]
    moustache = darker((nose[[6, 7]] + lips[[8, 10]]) / 2, 0.12, 0.45, radius=0.06)
    chin = min(moustache, darker(below_lip, 0.1, 0.45))
    moustache = min(moustache, 1.5 * chin)  # a smile's shadow is no moustache
    cheeks = min(chin, darker(0.35 * lips[[0, 6]] + 0.65 * oval[[11, 7]], 0.2, 0.45))
    brows = landmarks[[36, 41]] + np.array([0, 0.08 * unit])
    brow = colour(brows, dark=35)
    brow_luma = max(min(1.4 * _luma(brow) - 0.4 * _luma(skin), 0.75 * _luma(skin)), 20)
    mouth = colour(0.6 * lips[[3]] + 0.4 * lips[[9]], radius=0.06)
    hair, edge = _read_hair(pixels, landmarks, centre, unit)
    return _Face(
        *(landmarks, centre, unit, edge, hair),
        skin=_vivid(skin, 1.1),
        brow=brow * brow_luma / max(_luma(brow), 1),
        iris=_vivid(1.2 * colour(eyes, 0.05, dark=40), 1.3),
        lips=_mix(_vivid(mouth, 1.3), skin, 0.15),
        heavy_brow=darker(brows, 0.1, 0.5),
        beard=(cheeks, chin, moustache),
        lines=_read_lines(pixels, nose, lips, unit),
    )


def _read_lines(pixels: np.ndarray, nose: np.ndarray, lips: np.ndarray, unit: float) -> float:
    """How deep the folds from nose to mouth are, against the skin on both their sides."""
    aside, depths = np.linspace(-0.05, 0.35, 17) * unit, []
    for sign, wing, corner in ((-1, nose[8], lips[0]), (1, nose[9], lips[6])):
        way = np.linspace(wing, corner + [0.1 * sign * unit, 0], 12)[2:-1, None]
        light = _look(pixels, way + aside[:, None] * [sign, 0]).mean((0, 2))
        depths.append(1 - light / np.linspace(light[:3].mean(), light[-3:].mean(), 17))
    return float(np.clip((np.mean(depths, axis=0).max() - 0.03) / 0.04, 0, 1))


def _read_hair(
    pixels: np.ndarray, landmarks: np.ndarray, centre: np.ndarray, unit: float
) -> tuple[_Hair | None, np.ndarray]:
    """The hair, if any, and how far the skin reaches (rays,)."""
    oval = _even(_radii(landmarks[_OVAL] - centre))
    looked = _look(pixels, centre + _RAYS[:, None] * _REACH[:, None])  # (rays, reach, 3)
    outer = _first((looked.min(-1) > _GROUND) & (0.9 * oval[:, None] < _REACH))
    # Wisps at the picture's upper border are no hair.
    outer = _even(_smooth(np.where(_RISE > 0, _median(outer, 12), _median(outer, 3)), 3))
    way = _REACH / outer[:, None]
    crown = (_RISE[:, None] > 25) & (way > 0.72) & (way < 0.88)
    colour = np.percentile(looked[crown], 65, axis=0)
    skin = _look(pixels, (landmarks[_OVAL][:1] + centre) / 2 + 0.15 * unit * _RAYS).mean(0)
    if _unlike(colour, skin) < 0.14:  # bald
        return None, _join(outer, oval)
    # Seen from above the brows, and beside them from the temples: where skin turns into hair.
    brows = np.concatenate([landmarks[brow] for brow in _BROWS]) - [0, 0.12 * unit]
    temples = centre + 0.85 * (landmarks[[3, 15]] - centre)
    start = _radii(np.concatenate([brows, temples, landmarks[4:15]]) - centre)
    is_hair = _unlike(looked, colour) < _unlike(looked, skin)
    line = _even(_median(_first(is_hair & (start[:, None] < _REACH)), 8))
    line = np.minimum(line, outer - 0.1 * unit)
    # How low it falls beside the mouth and below; short hair leaves the ground there white.
    beside = landmarks[[12, 6]] + unit * np.array([[-0.25, 0], [0.25, 0]])
    down = np.stack([np.zeros(161), np.linspace(0, 1.2 * unit, 161)], 1)[:, None]
    white = np.median(_look(pixels, beside + down).min(-1), axis=1) > _GROUND
    end = float(down[white.argmax() if white.any() else -1, 0, 1] + beside[:, 1].mean())
    short = bool(white[0])
    # It is short to above the ears, where the picture's edge is theirs; long hair falls.
    tip = -14 if short else -45
    beside_ear = (outer - oval)[np.abs(_RISE - 20) < 4].mean()
    thick = np.where(short & (_RISE < 20), beside_ear, outer - oval)
    edge = oval + np.maximum(thick, 0.06 * unit) * (_ramp(tip, 20) if short else 1)
    line = _join(line, oval - 0.1 * unit * (_ramp(tip, -2) if short else _ramp(-30, 10)))
    hair = _Hair(line, _smooth(edge, 4), end, short, _vivid(colour, 1.2))
    return hair, _join((line + outer) / 2, oval)


def _draw_falling_hair(pen: _Pen, face: _Face, hair: _Hair) -> None:
    """Behind the shoulders."""
    side = (hair.edge[:, None] * _RAYS)[np.arange(135, 200, 8) % len(_RAYS)]  # from the top
    wide, low = side[-1] + [0.02 * face.unit, 0.35 * face.unit]
    last = min(wide, 1.5 * face.unit)
    end = hair.end - face.centre[1]
    if hair.end > face.landmarks[9, 1]:  # to behind the shoulders
        end = face.landmarks[9, 1] - face.centre[1] + 0.95 * face.unit
    fall = [(wide, low), (0.4 * wide + 0.6 * last, 0.4 * low + 0.6 * end), (0.9 * last, end)]
    half = np.array([*side, *fall, (0.6 * last, end + 0.1 * face.unit)])
    pen.fill(face.centre + _curve(_mirror(half), closed=False), hair.colour)
    inner = 0.93 * np.abs(face.landmarks[[5, 13]] - face.centre)[:, 0].mean()
    box = np.array([(-inner, 0), (inner, 0), (inner, end), (-inner, end)])
    pen.fill(face.centre + box, _mix(hair.colour, _DARK, 0.3))


def _draw_hair(pen: _Pen, face: _Face, hair: _Hair) -> None:
    """Over the head: from the hairline out, down to the tips beside the face."""
    thick = hair.edge - hair.line
    if not hair.short:
        thick = 0.94 * thick * _ramp(-45, -20)
    over = np.roll(np.arange(len(_TURN)), -45)  # from straight down, clockwise
    over = over[thick[over] > 0]
    edges = [face.at(hair.line)[over], face.at(hair.line + thick)[over][::-1]]
    pen.fill(np.concatenate(edges), hair.colour)
    # A band of light over the crown, and strands.
    swell = np.clip(1 - np.abs(np.degrees(_TURN) - 245) / 32, 0, 1) ** 0.5
    edges = [face.at(hair.line + share * thick)[swell > 0] for share in (0.5, 0.5 + 0.25 * swell)]
    pen.fill(np.concatenate([edges[0], edges[1][::-1]]), _mix(hair.colour, _WHITE, 0.12))
    for first, last, share in ((150, 172, 0.3), (97, 118, 0.3), (96, 112, 0.65), (146, 174, 0.7)):
        strand = face.at(hair.line + share * thick)[first:last]
        pen.stroke(strand, 0.03 * face.unit, _mix(hair.colour, _DARK, 0.22))


def _draw_bust(pen: _Pen, face: _Face) -> None:
    left, chin, right = face.landmarks[[11, 9, 7]]
    wide = 0.45 * (right - left)[0] / face.unit

    def fill(half: Iterable[tuple[float, float]], colour: np.ndarray) -> None:
        """A symmetric shape: from the middle to the right, in units from the chin."""
        line = _curve(_mirror(np.array(list(half))), closed=False)
        pen.fill(chin + face.unit * line, colour)

    low = _mix(face.skin, _DARK, 0.07)
    neck = (wide, -1), (wide, 0), (wide + 0.06, 0.34), (wide + 0.4, 0.6), (1.5, 0.8), (1.85, 1.2)
    fill([(0, -1), *neck, (1.95, 2.6), (0, 2.6)], low)
    shadow = face.at(face.edge)[_RISE < 0] + face.unit * np.array([0, 0.2])
    shadow[:, 0] = chin[0] + np.clip(shadow[:, 0] - chin[0], *face.unit * wide * np.array([-1, 1]))
    pen.fill(shadow, _mix(face.skin, _DARK, 0.22))
    for sign in (-1, 1):
        bone = np.array([(0.16, 1.06), (0.3, 0.98), (0.7, 1.0), (1.2, 0.93)]) * [sign, 1]
        bone = chin + face.unit * _curve(bone, closed=False)
        pen.stroke(bone, 0.035 * face.unit, _mix(low, _DARK, 0.14))


def _draw_head(pen: _Pen, face: _Face) -> None:
    shade = _mix(face.skin, _DARK, 0.14)
    for number in (14, 4) if face.hair is None or face.hair.short else ():
        place = face.centre + 1.03 * (face.landmarks[number] - face.centre)
        pen.fill(place + _RAYS * [0.16, 0.28] * face.unit, face.skin)
        pen.fill(place + _RAYS * [0.09, 0.15] * face.unit, shade)
    edge = face.at(face.edge)
    pen.fill(edge, shade)
    # The light comes from the left.
    aside = 0.08 * face.unit * np.maximum(_RAYS[:, 0], 0) * _ramp(-5, -35)
    pen.fill(edge - np.stack([aside, 0 * aside], 1), face.skin)
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
    dark = face.brow if face.hair is None else (face.hair.colour + face.brow) / 2
    for outline, strength in zip((cheeks, chin, moustache), face.beard, strict=True):
        pen.fill(_curve(np.stack(outline)), _mix(face.skin, dark, 0.85 * strength))


def _draw_age(pen: _Pen, face: _Face) -> None:
    """Folds from nose to mouth, and lines below the eyes and, where those are deep, over them."""
    nose, lips = face.landmarks[_NOSE], face.landmarks[_LIPS]
    lines = [[(-0.5, -0.68), (0, -0.72), (0.5, -0.68)], [(-0.4, -0.84), (0, -0.88), (0.4, -0.84)]]
    lines = [face.centre + face.unit * np.array(line) for line in lines if face.lines > 0.5]
    for sign, wing, corner, eye in (
        (-1, nose[8], lips[0], _EYES[0]),
        (1, nose[9], lips[6], _EYES[1]),
    ):
        aside = face.unit * sign * np.array([[0.03, 0], [0.15, 0], [0.14, 0]])
        lines.append(np.stack([wing, (wing + corner) / 2, corner]) + aside)
        lines.append(face.landmarks[eye][1:5] + [0, 0.13 * face.unit])
    for line in lines:
        colour = _mix(face.skin, _DARK, 0.28 * face.lines)
        pen.stroke(_curve(line, closed=False), 0.035 * face.unit, colour)


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
    eye = middle + (eye - middle) * [1.2, 1.8]  # wide awake
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


def _mirror(half: np.ndarray) -> np.ndarray:
    """A symmetric line, from the left end: a right half (N, 2) that starts in the middle, x = 0."""
    return np.concatenate([half[:0:-1] * [-1, 1], half])


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


def _ramp(low: float, high: float) -> np.ndarray:
    """(rays,) 0 for those that rise less than `low` degrees, 1 above `high`, smooth between."""
    share = np.clip((_RISE - low) / (high - low), 0, 1)
    return share**2 * (3 - 2 * share)


def _even(radii: np.ndarray) -> np.ndarray:
    """Left and right alike: the mean of both."""
    return (radii + np.roll(radii[::-1], 91)) / 2


def _join(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One edge (rays,) that passes from one into the other beside the eyes."""
    share = np.clip((_RISE + 5) / 25, 0, 1)
    return _smooth(share * above + (1 - share) * below, 4)


def _median(radii: np.ndarray, reach: int) -> np.ndarray:
    return np.median([np.roll(radii, by) for by in range(-reach, reach + 1)], axis=0)


def _smooth(radii: np.ndarray, reach: int) -> np.ndarray:
    weights = np.hanning(2 * reach + 3)[1:-1] / (reach + 1)
    return weights @ [np.roll(radii, by) for by in range(-reach, reach + 1)]


def _luma(colours: np.ndarray) -> np.ndarray:
    return colours @ np.array([0.299, 0.587, 0.114])


def _unlike(colours: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far colours (..., 3) are from another (3,), hue before lightness."""
    light, dark = np.maximum(_luma(colours), 1), max(_luma(other), 1)
    hue = colours / light[..., None] - other / dark
    return np.hypot(hue[..., 0], hue[..., 2]) + np.abs(light - dark) / (light + dark)


def _vivid(colour: np.ndarray, by: float) -> np.ndarray:
    """More saturated, as light as before."""
    return np.clip(_luma(colour) + by * (colour - _luma(colour)), 0, 255)


def _mix(colour: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * colour + share * other
