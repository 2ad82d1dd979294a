"""The same face as a flat illustration, for pictures that should not pass for photographs.

The landmarks give the lines of the face, the picture its colours and hair, see `face_traits`. All
shapes are polygons in fractions of the picture, filled with flat colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speech2face.cartoon_traits import (
    BROWS,
    EYES,
    LIPS,
    NOSE,
    OVAL,
    RAYS,
    RISE,
    TURN,
    FaceTraits,
    HairTraits,
    mix,
    ramp,
    read_face,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_ZOOM, _TOP = 0.82, 0.04  # the drawing shows more than the picture: the shoulders

_WHITE, _EYE_WHITE = np.array([255, 255, 255]), np.array([250, 248, 245])
_DARK, _INK, _BLUSH = np.array([20, 8, 10]), np.array([40, 28, 26]), np.array([235, 95, 85])


def draw_cartoon(picture: Image, landmarks: np.ndarray, size: int | None = None) -> Image:
    """A drawn face and its landmarks (66, 2), fractions of the picture → the same face as a flat
    illustration, `size` pixels a side (default: the picture's)."""
    if landmarks.shape != (66, 2):
        raise ValueError(f"landmarks are (66, 2), not {landmarks.shape}")
    face = read_face(np.asarray(picture.convert("RGB"), np.float64), landmarks)
    pen = _Pen(size or picture.width)
    if face.hair and not face.hair.short:
        _draw_falling_hair(pen, face, face.hair)
    _draw_bust(pen, face)
    _draw_head(pen, face)
    _draw_nose(pen, face)
    _draw_beard(pen, face)
    _draw_age(pen, face)
    _draw_lips(pen, face)
    for eye, brow in zip(EYES, BROWS, strict=True):
        _draw_eye(pen, face, landmarks[eye])
        _draw_brow(pen, face, landmarks[brow])
    if face.hair:
        _draw_hair(pen, face, face.hair)
    return pen.finish()


def _draw_falling_hair(pen: _Pen, face: FaceTraits, hair: HairTraits) -> None:
    """Draw the hair behind the shoulders."""
    side = (hair.edge[:, None] * RAYS)[np.arange(135, 200, 8) % len(RAYS)]  # from the top
    wide, low = side[-1] + [0.02 * face.unit, 0.35 * face.unit]
    last = min(wide, 1.5 * face.unit)
    end = face.landmarks[9, 1] - face.centre[1] + 0.95 * face.unit
    fall = [(wide, low), (0.4 * wide + 0.6 * last, 0.4 * low + 0.6 * end), (0.9 * last, end)]
    half = np.array([*side, *fall, (0.6 * last, end + 0.1 * face.unit)])
    pen.fill(face.centre + _curve(_mirror(half), closed=False), hair.colour)
    inner = 0.93 * np.abs(face.landmarks[[5, 13]] - face.centre)[:, 0].mean()
    box = np.array([(-inner, 0), (inner, 0), (inner, end), (-inner, end)])
    pen.fill(face.centre + box, mix(hair.colour, _DARK, 0.3))


def _draw_hair(pen: _Pen, face: FaceTraits, hair: HairTraits) -> None:
    """Draw the hair over the head: from the hairline out, down to the tips beside the face."""
    thick = hair.edge - hair.line
    if not hair.short:
        thick = 0.94 * thick * ramp(-45, -20)
    over = np.roll(np.arange(len(TURN)), -45)  # from straight down, clockwise
    over = over[thick[over] > 0]
    edges = [face.at(hair.line)[over], face.at(hair.line + thick)[over][::-1]]
    pen.fill(np.concatenate(edges), hair.colour)
    # A band of light over the crown, and strands.
    swell = np.clip(1 - np.abs(np.degrees(TURN) - 245) / 32, 0, 1) ** 0.5
    edges = [face.at(hair.line + share * thick)[swell > 0] for share in (0.5, 0.5 + 0.25 * swell)]
    pen.fill(np.concatenate([edges[0], edges[1][::-1]]), mix(hair.colour, _WHITE, 0.12))
    for first, last, share in ((150, 172, 0.3), (97, 118, 0.3), (96, 112, 0.65), (146, 174, 0.7)):
        strand = face.at(hair.line + share * thick)[first:last]
        pen.stroke(strand, 0.03 * face.unit, mix(hair.colour, _DARK, 0.22))


def _draw_bust(pen: _Pen, face: FaceTraits) -> None:
    left, chin, right = face.landmarks[[11, 9, 7]]
    wide = 0.45 * (right - left)[0] / face.unit

    low = mix(face.skin, _DARK, 0.07)
    neck = (wide, -1), (wide, 0), (wide + 0.06, 0.34), (wide + 0.4, 0.6), (1.5, 0.8), (1.85, 1.2)
    line = _mirror(np.array([(0, -1), *neck, (1.95, 2.6), (0, 2.6)]))
    pen.fill(chin + face.unit * _curve(line, closed=False), low)
    shadow = face.at(face.edge)[RISE < 0] + face.unit * np.array([0, 0.2])
    shadow[:, 0] = chin[0] + np.clip(shadow[:, 0] - chin[0], *face.unit * wide * np.array([-1, 1]))
    pen.fill(shadow, mix(face.skin, _DARK, 0.22))
    for sign in (-1, 1):
        bone = np.array([(0.16, 1.06), (0.3, 0.98), (0.7, 1.0), (1.2, 0.93)]) * [sign, 1]
        bone = chin + face.unit * _curve(bone, closed=False)
        pen.stroke(bone, 0.035 * face.unit, mix(low, _DARK, 0.14))


def _draw_head(pen: _Pen, face: FaceTraits) -> None:
    shade = mix(face.skin, _DARK, 0.14)
    for number in (14, 4) if face.hair is None or face.hair.short else ():
        place = face.centre + 1.03 * (face.landmarks[number] - face.centre)
        pen.fill(place + RAYS * [0.16, 0.28] * face.unit, face.skin)
        pen.fill(place + RAYS * [0.09, 0.15] * face.unit, shade)
    pen.fill(face.at(face.edge), face.skin)
    for corner, eye in zip(face.landmarks[[54, 60]], EYES, strict=True):
        cheek = 0.45 * corner + 0.55 * face.landmarks[eye].mean(0)
        cheek[0] += 0.12 * (cheek - face.centre)[0]
        pen.fill(cheek + RAYS * [0.2, 0.13] * face.unit, mix(face.skin, _BLUSH, 0.13))


def _draw_nose(pen: _Pen, face: FaceTraits) -> None:
    def outline(numbers: list[int], right: list[float], down: list[float]) -> np.ndarray:
        """Near landmarks of the nose, by so many units."""
        return face.landmarks[NOSE][numbers] + face.unit * np.transpose([right, down])

    shade, dark = mix(face.skin, _DARK, 0.14), mix(face.skin, _DARK, 0.45)
    side = [0.1, 0.09, 0.13, 0.03, 0, 0.06, 0.04], [-0.1, 0.15, -0.03, -0.08, 0, 0.02, 0]
    pen.fill(_curve(outline([1, 1, 4, 7, 7, 5, 4], *side)), shade)
    below = [0, -0.08, 0.08, 0, 0], [-0.03, 0.03, 0.03, -0.03, -0.06]
    pen.fill(_curve(outline([6, 5, 5, 7, 5], *below)), shade)
    for wing, s in ((6, 1), (7, -1)):
        nostril = outline([wing] * 4, [0, -0.01 * s, 0.08 * s, 0.16 * s], [-0.09, 0, 0, 0.01])
        pen.stroke(_curve(nostril, closed=False), 0.04 * face.unit, dark)


def _draw_beard(pen: _Pen, face: FaceTraits) -> None:
    oval, nose, lips = (face.landmarks[part] for part in (OVAL, NOSE, LIPS))
    left, right = lips[[0, 6]] + face.unit * np.array([[-0.08, 0], [0.08, 0]])
    inner = (oval[[5, 13]] + lips[[6, 0]]) / 2
    cheeks = [*oval[4:15], inner[1], left, lips[9], right, inner[0]]
    beside, below = (lips[[1, 5]] + oval[[11, 7]]) / 2, (lips[[2, 4]] + 3 * oval[[10, 8]]) / 4
    chin = [left, beside[0], below[0], oval[9], below[1], beside[1], right, lips[9]]
    moustache = [left, *(nose[[6, 5, 7]] + lips[[7, 9, 11]]) / 2, right, *lips[11:6:-1]]
    dark = face.brow if face.hair is None else (face.hair.colour + face.brow) / 2
    for outline, strength in zip((cheeks, chin, moustache), face.beard, strict=True):
        if strength > 0:
            pen.fill(_curve(np.stack(outline)), mix(face.skin, dark, 0.85 * strength))


def _draw_age(pen: _Pen, face: FaceTraits) -> None:
    """Draw folds from nose to mouth and, where deep, lines below and over the eyes."""
    nose, lips = face.landmarks[NOSE], face.landmarks[LIPS]
    lines = [[(-0.5, -0.68), (0, -0.72), (0.5, -0.68)], [(-0.4, -0.84), (0, -0.88), (0.4, -0.84)]]
    lines = [face.centre + face.unit * np.array(line) for line in lines if face.lines > 0.5]
    for sign, wing, corner, eye in (
        (-1, nose[8], lips[0], EYES[0]),
        (1, nose[9], lips[6], EYES[1]),
    ):
        aside = face.unit * sign * np.array([[0.03, 0], [0.15, 0], [0.14, 0]])
        lines.append(np.stack([wing, (wing + corner) / 2, corner]) + aside)
        lines.append(face.landmarks[eye][1:5] + np.array([0, 0.13 * face.unit]))
    for line in lines:
        colour = mix(face.skin, _DARK, 0.28 * face.lines)
        pen.stroke(_curve(line, closed=False), 0.035 * face.unit, colour)


def _draw_lips(pen: _Pen, face: FaceTraits) -> None:
    lips = face.landmarks[LIPS].copy()
    lips[[0, 6], 1] -= 0.04 * face.unit  # a friendly mouth
    lower, upper = lips[:7], lips[[0, 7, 8, 9, 10, 11, 6]]
    middle = 0.55 * upper + 0.45 * lower
    pen.fill(_curve(np.concatenate([upper, lower[-2:0:-1]])), face.lips)
    pen.fill(_curve(np.concatenate([upper, middle[-2:0:-1]])), mix(face.lips, _DARK, 0.15))
    pen.stroke(_curve(middle, closed=False), 0.035 * face.unit, mix(face.lips, _DARK, 0.5))


def _draw_eye(pen: _Pen, face: FaceTraits, eye: np.ndarray) -> None:
    middle = eye.mean(0)
    eye = middle + (eye - middle) * [1.2, 1.8]  # wide awake
    upper, lower = _curve(eye[[0, 7, 6, 5, 4]], closed=False), _curve(eye[:5], closed=False)
    pen.fill(np.concatenate([upper, lower[::-1]]), _EYE_WHITE)
    height = lower[:, 1].max() - upper[:, 1].min()
    lids = [lid[lid[:, 0].argsort()].T for lid in (upper, lower)]
    for radius, aside, colour in ((0.56, 0, face.iris), (0.28, 0, _INK), (0.12, 0.17, _WHITE)):
        disc = middle + height * (radius * RAYS + [aside, -aside])
        disc[:, 1] = np.clip(disc[:, 1], *(np.interp(disc[:, 0], *lid) for lid in lids))
        pen.fill(disc, colour)
    pen.stroke(upper, 0.06 * face.unit, _INK)
    crease = middle + (upper - middle) * [1, 1.35] - [0, 0.03 * face.unit]
    pen.stroke(crease[4:-4], 0.02 * face.unit, mix(face.skin, _DARK, 0.3))


def _draw_brow(pen: _Pen, face: FaceTraits, brow: np.ndarray) -> None:
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
