"""The outline of a head of hair → its locks and strands, grown along the way it is combed.

Nobody's strands: where each begins, how long it is and how light are drawn at random, the same for
the same shape. Lengths are in pixels of a picture of 224. Outlines are symmetric and come as left
halves, (S, S/2); hair is not, and what is made here is as wide as the picture, (S, S).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.hair_outlines import lay_sides, trim
from speech2face.data.hair_styles import Style
from speech2face.data.head_segmentation import blur_half, signed_distance, smooth_step

STRAND = 0.25  # how wide a strand is
SECTION = 5.0  # how far locks of long hair that are of one lightness lie apart
STUMP = 14  # shorter locks of long hair are none
LAYERS = 0.35  # how much chance has in which lock lies over which
CROSSING = 8.0  # how far locks of both sides reach over the parting's end on the crown


@dataclass(frozen=True)
class Flow:
    """Where hair is, and where it goes, (S, S, ...)."""

    edge: np.ndarray  # pixels of 224 from the outline, inwards
    depth: np.ndarray  # nearness to the face: 0 at the outer outline, 1 at the face
    growth: np.ndarray  # (2, S, S, 2) unit vectors, x and y, of locks of the left and the right
    parting: np.ndarray  # pixels of 224 from the parting
    end: np.ndarray  # (S, S) how low hair reaches in each column, pixels of 224


@dataclass(frozen=True)
class Strands:
    """M strands of hair, the undermost first."""

    paths: np.ndarray  # (M, steps + 1, 2) float32: x, y, one pixel of 224 a step
    steps: np.ndarray  # (M, 2) int: where each begins and ends
    tone: np.ndarray  # (M,) lightness, 1 on average
    tilt: np.ndarray  # (M,) how far its surface is turned aside
    swing: np.ndarray  # (M, steps + 1) float32: how steeply it comes forward


def whole_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the picture's pixels, in pixels of 224: from the middle line to the right, and from
    the top, (S, S) each."""
    line = (np.arange(size) + 0.5) * (224 / size)
    right, low = np.meshgrid(line - 112, line)
    return right, low


def blur(plane: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of a plane (S, S, ...), `sigma` in pixels of 224."""
    import cv2

    sigma *= len(plane) / 224
    plane = np.asarray(plane, np.float32)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def mirror(half: np.ndarray) -> np.ndarray:
    """The left half of a symmetric plane (S, S/2, ...) → the plane."""
    return np.concatenate([half, half[:, ::-1]], axis=1)


def find_flow(random: np.random.Generator, outline: np.ndarray, style: Style) -> Flow:
    """How hair lies that is worn in a style within an outline (S, S/2)."""
    depth, inwards, along = (mirror(p) for p in _find_directions(outline))
    half = outline.shape[1]
    inwards[:, half:, 0] *= -1
    along[:, half:, 1] *= -1
    if not style.long:
        outline = trim(style, outline, depth[:, :half])
    edge = _comb(random, style, mirror(outline), depth)
    right, low = whole_grid(len(edge))
    parting = right - style.parting * (0.5 + 0.5 * depth) + 0.8 * _noise(random, edge, 6)
    round_ = np.arctan2(np.abs(right), np.maximum(100 - low, 1e-3)) / (np.pi / 2)
    sides = smooth_step((round_ - 0.25) / 0.5)
    lift = style.lift[0] + (style.lift[1] - style.lift[0]) * sides
    if style.long:
        lift = style.lift[0] * np.exp(-np.abs(parting) / 16) * smooth_step((100 - low) / 60) * depth
    lift = lift + style.wander * (_noise(random, edge, 5) + _noise(random, edge, 12))
    falling = smooth_step((low - 150) / 40)[..., None]
    end = _find_end(random, style, edge)
    inner = -np.tanh(right / 12) * style.curl * smooth_step((low - end + 45) / 45)
    down = np.stack([inner, np.ones_like(inner)], axis=2)
    growth = []
    for side in (-1, 1):  # on the crown each side has a parting of its own: none is seen there
        own = parting + side * CROSSING * smooth_step((0.55 - depth) / 0.4)
        beside = np.tanh(-own / 2.5)
        way = (beside * np.cos(lift))[..., None] * along - np.sin(lift)[..., None] * inwards
        growth.append(unit(way + falling * (down - way)))
    return Flow(edge, depth, np.stack(growth), parting, end)


def _find_end(random: np.random.Generator, style: Style, edge: np.ndarray) -> np.ndarray:
    """How low hair reaches in each column, (S, S): in clumps of their own length, and lower on the
    side that it is combed to."""
    right, _ = whole_grid(len(edge))
    side = -np.sign(style.parting or 1.0)
    clumps = np.abs(_noise(random, edge, 4).mean(0)) + np.abs(_noise(random, edge, 9).mean(0))
    clumps = np.minimum(clumps / clumps.mean(), 1.5)
    uneven = style.uneven * (1 - side * np.tanh(right / 20)) / 2
    return 224 * style.end - uneven - style.ragged * np.broadcast_to(clumps, edge.shape)


def _find_directions(outline: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left halves: nearness to the face, 0 at the outer outline and 1 at the face; and unit vectors
    (S, S/2, 2; x, y) towards the face, and along both outlines, down from the crown."""
    import cv2

    half = outline.shape[1]
    hair = outline > 0
    face = _find_face(hair)
    outside = ~hair & ~face
    outside[: int(np.argmax(hair.any(1))) + 1] = True
    to_face, to_outside = (np.maximum(-signed_distance(m, 200), 0) for m in (face, outside))
    depth = blur_half(to_outside / np.maximum(to_face + to_outside, 1e-3), 3.0)
    down, right = np.gradient(mirror(depth))
    inwards = unit(np.stack([right, down], axis=2))
    inwards = unit(cv2.GaussianBlur(inwards, (0, 0), 2 * len(outline) / 224))[:, :half]
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


def _comb(
    random: np.random.Generator, style: Style, edge: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """An outline (S, S) made uneven: by how hair is combed to a side, and by chance."""
    import cv2

    right, low = whole_grid(len(edge))
    side = -np.sign(style.parting or 1.0)  # to which most of it is combed
    above = smooth_step((95 - low) / 50)
    outer, inner = smooth_step((0.5 - depth) / 0.3), smooth_step((depth - 0.5) / 0.3)
    across = np.clip(side * (right - 0.5 * style.parting) / 50, -1, 1)
    volume = style.volume * (1 - 0.5 * smooth_step((low - 56) / 20) * (not style.long))
    edge = edge + outer * (volume + style.quiff * above * (0.35 + 0.65 * across))
    edge = edge + outer * style.peak * np.exp(-((right / 34) ** 2)) * smooth_step((95 - low) / 50)
    fuller = (1 + side * np.tanh(right / 20)) / 2
    edge = edge + style.flare * fuller * outer * smooth_step((low - 100) / 80)
    edge = edge + style.sweep * above * inner * across
    rough = _noise(random, edge, 9) + 0.5 * _noise(random, edge, 3)
    line = _noise(random, edge, 4) + (not style.long) * _noise(random, edge, 2)
    line = (0.5 if style.long else 0.7) * line * inner
    edge = edge + style.rough * rough * outer + line
    if not style.long and not style.drawn_back:
        edge = lay_sides(edge, right, low, style.volume)
    if style.long:  # no tufts
        round_ = cv2.getStructuringElement(
            cv2.MORPH_ELLIPSE, (2 * round(5 * len(edge) / 224) + 1,) * 2
        )
        whole = cv2.morphologyEx((edge > 0).astype(np.uint8), cv2.MORPH_OPEN, round_)
        edge = np.where(whole > 0, edge, np.minimum(edge, -1))
    return edge


# Locks -------------------------------------------------------------------------------------------


def grow_locks(random: np.random.Generator, style: Style, flow: Flow) -> Strands:
    """Locks from all over the hair, each of strands that go one way."""
    roots = _choose_roots(random, style, flow)
    locks = len(roots)
    length = style.length * random.uniform(0.6, 1.15, locks)
    guides, grown = _follow(random, style, flow, roots, length)
    if style.long:  # stumps are no locks
        roots, guides, grown = (of[grown > STUMP] for of in (roots, guides, grown))
    order = _look_up(flow.depth, roots) + LAYERS * random.standard_normal(len(roots))
    order = np.argsort(order)
    return spread_locks(random, style, guides[order], grown[order], flow)


def _choose_roots(random: np.random.Generator, style: Style, flow: Flow) -> np.ndarray:
    """Where locks begin, (M, 2; x, y): anywhere in short hair; in the upper half of long hair, most
    of them above, and many at the parting."""
    size = len(flow.edge)
    scale, hair = size / 224, np.argwhere(flow.edge > 0.3)
    area = len(hair) / scale**2
    far = style.length * (0.55 if style.long else 0.8)  # that a lock goes until its end
    locks = round(style.cover * area / (far * style.strands * STRAND))
    groups = [(hair, 1.0)]
    if style.long:
        upper, above = (hair[hair[:, 0] < low * size] for low in (0.55, 0.36))
        parted = above[np.abs(flow.parting[above[:, 0], above[:, 1]]) < 7]
        groups += [(upper, 1.0), (above, 0.7), (parted, 0.35)]
    roots = np.zeros((locks, 2))
    for places, share in groups:
        some = np.flatnonzero(random.random(locks) < share * (len(places) > 0))
        roots[some] = places[random.integers(0, max(len(places), 1), len(some))]
    roots = (roots + random.random((locks, 2)))[:, ::-1] / scale
    return roots[_is_dense(random, style, flow, roots)]


def _is_dense(
    random: np.random.Generator, style: Style, flow: Flow, roots: np.ndarray
) -> np.ndarray:
    """Which of the roots (M, 2) stay: fewer where the face begins."""
    near = smooth_step((_look_up(flow.depth, roots) - 0.4) / 0.2)
    band = 4 if style.long or style.drawn_back else 9 - 4 * smooth_step((roots[:, 1] - 56) / 25)
    dense = 0.12 + 0.88 * smooth_step(_look_up(flow.edge, roots) / band)
    return random.random(len(roots)) < 1 - near * (1 - dense)


def _follow(
    random: np.random.Generator, style: Style, flow: Flow, roots: np.ndarray, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paths (M, steps + 1, 2) along the growth from roots (M, 2), and how far each goes (M,)."""
    locks, steps = len(roots), int(style.length * 1.15)
    paths, grown = np.empty((locks, steps + 1, 2), np.float32), np.zeros(locks, int)
    paths[:, 0], alive = roots, np.ones(locks, bool)
    side = random.integers(0, 2, locks)
    aim = style.drift * random.standard_normal(locks)
    over = style.over * random.uniform(-0.4, 1.2, locks)  # ends of their own, no straight edge
    earlier = random.exponential(0.5 * style.ragged, locks)
    down, right = np.gradient(blur(flow.edge, 3.0))
    inwards = np.stack([right, down], axis=2) * (len(flow.edge) / 224)
    for step in range(1, steps + 1):
        before = paths[:, step - 1]
        ahead = _look_up(flow.growth[0], before)
        ahead[side > 0] = _look_up(flow.growth[1], before[side > 0])
        ahead[:, 0] += aim * smooth_step((before[:, 1] - 110) / 60)
        if style.long:  # what comes to the outline goes on along it
            near = smooth_step((3 - _look_up(flow.edge, before)) / 4)[:, None]
            ahead = ahead + near * _look_up(inwards, before)
        place = before + unit(ahead)
        alive &= (step <= length) & (_look_up(flow.edge, place) > -over)
        if style.long:
            alive &= ~((place[:, 1] < before[:, 1]) & (place[:, 1] > 100))
            alive &= place[:, 1] < _look_up(flow.end, place) - earlier
        paths[:, step] = place
        grown[alive] = step
    return paths, grown


def spread_locks(
    random: np.random.Generator, style: Style, guides: np.ndarray, grown: np.ndarray, flow: Flow
) -> Strands:
    """The strands of locks that go along `guides`: wide at first, together at the end."""
    (locks, places), each = guides.shape[:2], style.strands
    ahead = np.gradient(guides, axis=1)
    aside = unit(np.stack([-ahead[..., 1], ahead[..., 0]], axis=2))
    offset = random.uniform(-1, 1, (locks, each))
    width = style.width * random.uniform(0.6, 1.4, (locks, 1, 1))
    way = np.arange(places) / np.maximum(grown, 1)[:, None]  # 0 at the root, 1 at the end
    wide = (0.6 + 0.4 * smooth_step(way / 0.3)) * (1 - style.taper * smooth_step((way - 0.4) / 0.6))
    swing, forward = _swing(random, style, guides, way, flow)
    lateral = offset[..., None] * width * wide[:, None] + swing[:, None]
    loose = random.random((locks, each, 1)) < style.loose
    lateral = lateral + loose * 3 * random.standard_normal((locks, each, 1)) * way[:, None] ** 2
    paths = guides[:, None] + lateral[..., None] * aside[:, None]
    start = random.integers(0, 3, (locks, each))
    end = (
        grown[:, None] * random.uniform(0.82 if style.long else 0.75, 1.0, (locks, each))
    ).astype(int)
    section = _look_up(_noise(random, flow.edge, SECTION), guides[:, 0])[:, None]
    tone = 1 + style.tone[0] * (random.standard_normal((locks, 1)) + 0.7 * style.long * section)
    tone = tone + style.tone[1] * random.standard_normal((locks, each)) - 0.10 * offset**2
    tilt = 0.9 * offset + style.tilt * random.standard_normal((locks, 1))
    return Strands(
        paths.reshape(-1, places, 2).astype(np.float32),
        np.stack([start, end], axis=2).reshape(-1, 2),
        tone.ravel(),
        tilt.ravel(),
        np.repeat(forward, each, axis=0).astype(np.float32),
    )


def _swing(
    random: np.random.Generator, style: Style, guides: np.ndarray, way: np.ndarray, flow: Flow
) -> tuple[np.ndarray, np.ndarray]:
    """How far wavy locks swing aside and how steeply they come forward, (M, steps + 1) each: as a
    spring does, each in its own way. Neighbours in long hair swing alike, and more from the ears
    down."""
    (locks, places), (far, period) = way.shape, style.wave
    phase, longer, wider = random.random((3, locks, 1))
    own = style.apart if style.long else 1.0
    period, far = period * (1 + 0.4 * own * (longer - 0.5)), far * (0.6 + 0.8 * wider)
    if style.long:
        bent = _look_up(_noise(random, flow.edge, 14), guides.reshape(-1, 2)).reshape(way.shape)
        turns = (guides[..., 1] - 60) / period + 0.22 * bent + style.apart * phase
        far = far * (0.2 + 0.8 * smooth_step((guides[..., 1] - 60) / 70))
    else:
        turns = np.arange(places) / period + phase
        far = far * smooth_step(way / 0.25)
    steep = 0.7 * far * 2 * np.pi / period
    return far * np.sin(2 * np.pi * turns), steep * np.cos(2 * np.pi * turns)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., D) of the same directions, of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def _noise(random: np.random.Generator, like: np.ndarray, sigma: float) -> np.ndarray:
    """A plane of smooth noise of spread 1."""
    noise = blur(random.standard_normal(like.shape), sigma)
    return noise / noise.std()


def _look_up(plane: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of a plane (S, S, ...) at places (M, 2; x, y in pixels of 224), between its pixels."""
    size = len(plane)
    at = np.clip(places * (size / 224) - 0.5, 0, size - 1.001)
    x, y = at.astype(int).T
    right, down = (at % 1).T.reshape(2, -1, *[1] * (plane.ndim - 2))
    above = plane[y, x] * (1 - right) + plane[y, x + 1] * right
    return above * (1 - down) + (plane[y + 1, x] * (1 - right) + plane[y + 1, x + 1] * right) * down
