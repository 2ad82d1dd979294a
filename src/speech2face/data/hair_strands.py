"""The outline of a head of hair → hair as it is drawn: strands along its growth, light and shade.

Nobody's strands: where each begins, how long it is and how light are drawn at random, the same for
the same shape. Distances are in pixels of a picture of 224; all planes are left halves, (S, S/2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from speech2face.data.decoder_data import canvas_grid, picture_grid
from speech2face.data.head_segmentation import blur_half, signed_distance, smooth_step

FINE = 4  # strands are drawn in so many times the picture's size, and made smaller
UNDER = 0.80  # lightness of hair between the strands
LIGHT = np.array([0.0, -0.62, 0.78])  # where light comes from: above and before
HALFWAY = np.array([0.0, -0.33, 0.94])  # between light and eye
SHADOW = 0.22  # of hair on the skin beside it
SOFT = 0.5  # blur of strands, pixels of 224


@dataclass(frozen=True)
class Style:
    """A style of drawing strands."""

    long: bool
    count: float  # a pixel of 224 that is hair
    length: float
    over: float  # mean reach beyond the outline
    locks: float  # differences in lightness of locks
    each: float  # the same of strands
    forward: bool = False  # towards the forehead, not away from it
    curl: float = 0.0  # how far strands turn, radians
    end: float = 2.0  # where hair is cut off below, fractions of the picture
    receding: float = 1.5  # how far the hairline goes back at the temples
    tucked: bool = False  # behind the ears
    waves: float = 0.0  # of long hair's outlines, pixels of 224
    behind: float = 0.0  # half the width of what falls behind the neck, of hair drawn back


STRAIGHT = Style(long=True, count=1.2, length=80, over=0.2, locks=0.05, each=0.06)
WAVY = replace(STRAIGHT, length=60, over=0.4, locks=0.08, curl=0.3, waves=1.8)
BOB = replace(STRAIGHT, length=60, end=0.865)
TUCKED = replace(STRAIGHT, tucked=True)
BACK = Style(long=False, count=4.5, length=11, over=0.4, locks=0.05, each=0.07, curl=0.25)
TIED = replace(BACK, length=26, over=0.2, curl=0.08, receding=0.5, behind=0.265)
CROP = replace(BACK, length=7, over=0.5, each=0.08, forward=True, curl=0.4)
CURLY = replace(BACK, count=4.0, length=8, over=0.4, locks=0.06, each=0.09, curl=1.6)
LONG = (TIED, TUCKED, STRAIGHT, BOB, WAVY)  # from the flattest hair to the fullest
RECEDING = replace(CROP, forward=False, receding=7.0)
SHORT = (RECEDING, CROP, CROP, BACK, CURLY, BACK)  # the same


@dataclass(frozen=True)
class Strands:
    """M strands of hair."""

    paths: np.ndarray  # (M, steps + 1, 2): x, y
    steps: np.ndarray  # (M,) how many each goes, one pixel of 224 each
    lightness: np.ndarray  # (M,)


def draw_hair(edge: np.ndarray, style: Style, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of 224 from the outline, inwards → how surely a place is covered by hair or its
    shadow, and how light that is, 1 on average for hair and 0 for shadow."""
    random = np.random.default_rng(seed)
    aside, down = canvas_grid(len(edge))
    depth, inwards, along = _find_growth(edge)
    if not style.long:
        edge = _trim(style, edge, depth)
    elif style.waves:
        edge = edge + _wave(style, edge)
    rough = (0.3 if style.long else 0.45) * _noise(random, edge, 3.5)
    rough = rough + (0.08 if style.long else 0.2) * _noise(random, edge, 1.2)
    edge = edge + rough * (0.3 + 0.7 * smooth_step(aside / 0.08))
    if not style.long:  # no hairline is straight; all go alike, as they hide what is a face's own
        line = _noise(np.random.default_rng(1), edge, 5)
        edge = edge + 1.4 * line * smooth_step((depth - 0.5) / 0.3)
    growth = along
    if not style.long:  # it grows away from the face or towards it, at the sides downwards
        turn = 1.41 * smooth_step((down - 0.16) / 0.24) + 0.25 * smooth_step(aside / 0.1)
        away = inwards if style.forward else -inwards
        growth = np.cos(turn)[..., None] * away + np.sin(turn)[..., None] * along
    turn = 0.14 * _noise(random, edge, 5) + 0.10 * _noise(random, edge, 12)
    turn = turn + style.curl * _noise(random, edge, 2.2 if style.curl > 1 else 4)
    turned = _turn(growth, turn * smooth_step(aside / 0.06))
    locks = style.locks * _part_locks(random, style, depth)
    strands = _grow(random, style, edge, turned, depth, locks)
    cover, light = _paint(strands, _cover_ground(style, edge, depth))
    cover = _fade(style, cover, depth)
    if style.tucked:
        cover = cover * (1 - _tuck(len(edge)))
    light = _even(light * _shine(edge, growth, locks), edge)
    return _cast_shadow(cover, light, depth)


def _trim(style: Style, edge: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The outline of a haircut: its corners above the temples round or receding, its sides running
    out in a point before the ears."""
    (across, _), (aside, down) = picture_grid(len(edge)), canvas_grid(len(edge))
    inner = smooth_step((depth - 0.4) / 0.2)
    temples = np.exp(-(((aside - 0.175) / 0.05) ** 2)) * smooth_step((0.36 - down) / 0.1)
    middle = np.exp(-((aside / 0.12) ** 2))
    edge = edge + inner * (4 * middle + (4 - 1.5 * style.receding) * temples)
    beside = (0.280 - 0.036 * smooth_step((down - 0.28) / 0.22) - across) * 224
    edge = edge + smooth_step((down - 0.2) / 0.1) * (np.minimum(edge, beside) - edge)
    edge = edge - 2.0 * inner * smooth_step((down - 0.30) / 0.16)
    return blur_half(edge, 2.5) - 3 * smooth_step((down - 0.44) / 0.1)


def _tuck(size: int) -> np.ndarray:
    """Cover of the ears by tucked hair, 0 to 1: from the temples over the ears, and down from
    there."""
    across, low = picture_grid(size)
    aside = np.maximum(across - 0.16, 0)
    line = 0.295 + 0.75 * aside + 4 * aside**2
    crisp = smooth_step((low - line) / (0.012 + 0.2 * np.maximum(0.24 - across, 0)))
    beside = smooth_step((across - 0.285) / 0.03)
    return blur_half(crisp * (1 - beside) + beside * smooth_step((low - 0.44) / 0.16), 1.2)


def _wave(style: Style, edge: np.ndarray) -> np.ndarray:
    """Distance by which outlines of wavy hair lie outside `edge`; it grows downwards."""
    _, low = picture_grid(len(edge))
    wave = np.sin(2 * np.pi * (low - 0.40) / 0.18)
    return style.waves * wave * smooth_step((low - 0.42) / 0.2)


# Growth ------------------------------------------------------------------------------------------


def _find_growth(edge: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearness to the face, 0 at the outer outline and 1 at the face; and unit vectors (S, S/2, 2;
    x, y) towards the face, and along both outlines, down from the crown."""
    import cv2

    half = edge.shape[1]
    hair = edge > 0
    face = _find_face(hair)
    outside = ~hair & ~face
    outside[: int(np.argmax(hair.any(1))) + 1] = True
    to_face, to_outside = (np.maximum(-signed_distance(m, 200), 0) for m in (face, outside))
    depth = blur_half(to_outside / np.maximum(to_face + to_outside, 1e-3), 3.0)
    whole = np.concatenate([depth, depth[:, ::-1]], axis=1)
    down, right = np.gradient(whole)
    inwards = _unit(np.stack([right, down], axis=2))
    inwards = _unit(cv2.GaussianBlur(inwards, (0, 0), 2 * len(edge) / 224))[:, :half]
    return depth, inwards, np.stack([-inwards[..., 1], inwards[..., 0]], axis=2)


def _find_face(hair: np.ndarray) -> np.ndarray:
    """Mask (S, S/2) bool of the places nearer to the middle than hair, and below it."""
    half = hair.shape[1]
    innermost = half - 1 - np.argmax(hair[:, ::-1], axis=1)
    innermost[~hair.any(1)] = -1
    face, end = np.zeros_like(hair), half
    for y in range(len(hair)):
        if 0 <= innermost[y] < half - 1 or end < half:
            end = innermost[y] if innermost[y] >= 0 else end
            face[y, end + 1 :] = True
    return face


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-6)


def _turn(vectors: np.ndarray, by: np.ndarray) -> np.ndarray:
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([np.cos(by) * x - np.sin(by) * y, np.sin(by) * x + np.cos(by) * y], axis=2)


def _noise(random: np.random.Generator, like: np.ndarray, sigma: float) -> np.ndarray:
    """A plane of smooth noise of spread 1."""
    noise = blur_half(random.standard_normal(like.shape), sigma)
    return noise / noise.std()


def _part_locks(random: np.random.Generator, style: Style, depth: np.ndarray) -> np.ndarray:
    """Lightness of locks, about 0: short ones are spots, long ones follow the outlines."""
    if not style.long:
        return np.sum([_noise(random, depth, sigma) for sigma in (1.5, 3, 6)], axis=0)
    spots = np.sum([_noise(random, depth, sigma) for sigma in (2, 4, 8)], axis=0)
    places = np.arange(201)
    lines = np.stack([_blur_line(random.standard_normal(201), sigma) for sigma in (2, 5, 12)])
    across = np.interp(200 * np.clip(depth, 0, 1), places, lines.sum(0))
    return 0.3 * spots + 0.4 * across * smooth_step((0.95 - depth) / 0.3)


def _blur_line(values: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    blurred = cv2.GaussianBlur(values[None], (0, 0), sigma)[0]
    return blurred / blurred.std()


def _grow(
    random: np.random.Generator,
    style: Style,
    edge: np.ndarray,
    growth: np.ndarray,
    depth: np.ndarray,
    locks: np.ndarray,
) -> Strands:
    """Strands from all over the hair, fewer where the face begins, each along `growth` until it is
    at its length or beyond the outline."""
    unit, steps = len(edge) / 224, int(style.length * 1.3)
    hair = np.argwhere(edge > 0.2)
    count = round(style.count * len(hair) / unit**2)
    roots = hair[random.integers(0, max(len(hair), 1), count)] + random.random((count, 2))
    roots = roots[:, ::-1] / unit
    near = smooth_step((_look_up(depth, roots) - 0.4) / 0.2)
    dense = 0.10 + 0.90 * smooth_step(_look_up(edge, roots) / (4 if style.long else 9))
    roots = roots[random.random(count) < 1 - near * (1 - dense)]
    count = len(roots)
    length = style.length * random.uniform(0.5, 1.3, count)
    over = style.over * random.exponential(1, count)
    if style.long:  # beside the face a single hair would be a line
        over *= smooth_step((0.5 - _look_up(depth, roots)) / 0.2)
    lock = _look_up(locks, roots)
    lightness = 1 + lock + style.each * random.standard_normal(count)
    paths, grown = np.empty((count, steps + 1, 2)), np.zeros(count, int)
    paths[:, 0], alive = roots, np.ones(count, bool)
    for step in range(1, steps + 1):
        place = paths[:, step - 1] + _look_up(growth, paths[:, step - 1])
        alive &= (step <= length) & (_look_up(edge, place) > -over)
        paths[:, step] = place
        grown[alive] = step
    return Strands(paths, grown, lightness)


def _look_up(plane: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of a plane (S, S/2, ...) at places (M, 2; x, y in pixels of 224), between its
    pixels."""
    size, half = plane.shape[:2]
    at = np.clip(places * (size / 224) - 0.5, 0, [half - 1.001, size - 1.001])
    x, y = at.astype(int).T
    right, down = (at % 1).T.reshape(2, -1, *[1] * (plane.ndim - 2))
    above = plane[y, x] * (1 - right) + plane[y, x + 1] * right
    return above * (1 - down) + (plane[y + 1, x] * (1 - right) + plane[y + 1, x + 1] * right) * down


# Drawing -----------------------------------------------------------------------------------------


def _cover_ground(style: Style, edge: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Mask, 0 to 1, of hair so thick that nothing is seen between the strands."""
    _, down = canvas_grid(len(edge))
    inset, soft = np.full(edge.shape, 0.8 if style.long else 1.2), np.full(edge.shape, 0.6)
    if not style.long:  # it is thinner towards the face, less so at the temples
        thin = 4.5 - 1.5 * smooth_step((down - 0.28) / 0.14)
        inset += thin * smooth_step((depth - 0.3) / 0.3)
        soft += 1.2 * smooth_step((depth - 0.3) / 0.3)
    return 1 / (1 + np.exp(-np.clip((edge - inset) / soft, -30, 30)))


def _paint(strands: Strands, ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strands on the covered ground, one over the other: how surely a place is covered, and how
    light it is."""
    import cv2

    size, half = ground.shape
    fine = (half * FINE, size * FINE)
    cover = np.ascontiguousarray((255 * cv2.resize(ground, fine)).astype(np.uint8))
    light = np.full(cover.shape, round(100 * UNDER), np.uint8)
    points = np.round(strands.paths * (16 * FINE * size / 224)).astype(np.int32)
    values = np.clip(100 * strands.lightness, 30, 200)
    for line, steps, value in zip(points, strands.steps, values, strict=True):
        if steps > 1:
            for plane, tone in ((cover, 255), (light, int(value))):
                cv2.polylines(plane, [line[: steps + 1]], False, tone, 1, cv2.LINE_8, shift=4)
    cover, light = (
        cv2.resize(plane.astype(np.float32), (half, size), interpolation=cv2.INTER_AREA)
        for plane in (cover, light)
    )
    return blur_half(cover, SOFT) / 255, blur_half(light, SOFT) / 100


def _fade(style: Style, cover: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Softer where the forehead begins."""
    _, down = canvas_grid(len(cover))
    soft = smooth_step((depth - 0.35) / 0.25) * smooth_step((0.5 - down) / 0.2)
    soft *= 0.4 if style.long else 0.55
    cover = cover + soft * (blur_half(cover, 2.2) - cover)
    if not style.long:  # shaven sides
        cover = cover * (1 - 0.35 * smooth_step((down - 0.36) / 0.12))
    return cover


def _cast_shadow(
    cover: np.ndarray, light: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same with the shadow that hair casts on the face beside it: cover that is dark."""
    _, low = picture_grid(len(cover))
    near = np.roll(blur_half(cover, 2.5), 1, axis=0) * smooth_step((depth - 0.5) / 0.3)
    shadow = SHADOW * near * smooth_step((0.5 - low) / 0.1)
    both = cover + (1 - cover) * shadow
    return both, light * np.where(both > 1e-3, cover / np.maximum(both, 1e-3), 1)


def _shine(edge: np.ndarray, growth: np.ndarray, locks: np.ndarray) -> np.ndarray:
    """Light and shade on a round head, after Kajiya and Kay (SIGGRAPH 1989): hair is darkest where
    it runs along the light, and shines where it runs across the middle between light and eye."""
    across, low = picture_grid(len(edge))
    hair = edge > 0
    top = low[int(np.argmax(hair.any(1))), 0]
    wide = 1.04 * float(across[hair & (low < 0.5)].max(initial=0.1))
    high = max(0.48 - top, 0.1)
    right, down = -across / wide, np.minimum(low - 0.47, 0) / high
    out = np.sqrt(np.clip(1 - right**2 - down**2, 0.02, 1))
    normal = _unit(np.stack([right / wide, down / high, out / (0.9 * wide)], axis=2))
    rise = -(growth * normal[..., :2]).sum(2, keepdims=True) / normal[..., 2:]
    tangent = np.concatenate([growth, np.clip(rise, -3, 3)], axis=2)
    tangent = _unit(_unit(tangent) + 0.35 * locks[..., None] * normal)
    light, halfway = (v / np.linalg.norm(v) for v in (LIGHT, HALFWAY))
    facing = np.clip(normal @ light, 0, 1)
    soft = np.sqrt(np.clip(1 - (tangent @ light) ** 2, 0, 1)) * (0.4 + 0.6 * facing)
    shine = np.clip(1 - (tangent @ halfway) ** 2, 0, 1) ** 14 * np.clip(normal @ halfway, 0, 1)
    lit = blur_half(0.66 + 0.30 * soft + 0.26 * shine, 2.5)
    return lit * (1 - 0.10 * np.exp(-np.maximum(edge, 0) / 4))


def _even(light: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """The same, 1 on average within the outline."""
    within = edge > 2
    return light / max(float(light[within].mean()) if within.any() else 1.0, 1e-3)
