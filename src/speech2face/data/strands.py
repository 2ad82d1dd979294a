"""The outline of a head of hair → hair as it is drawn: strands along its growth, light and shade.

Nobody's strands: where each begins, how long it is and how light are drawn at random, the same for
the same shape. Lengths are in pixels of a picture of 224.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.heads import blur_half, signed_distance, smooth_step
from speech2face.data.targets import canvas_grid, picture_grid

FINE = 4  # strands are drawn in so many times the picture's size, and made smaller
UNDER = 0.74  # how light hair is between the strands
LIGHT = np.array([0.0, -0.62, 0.78])  # where light comes from: above and before
END = 0.86, 0.14  # where hair begins to end, as the bust does, and within how much: of the picture


@dataclass(frozen=True)
class Strands:
    """How the parts of a style are drawn."""

    count: float  # a pixel of 224 that is hair
    length: float
    over: float  # how far they reach beyond the outline
    locks: float  # how differently light locks are
    each: float  # how differently light strands are


SHORT = Strands(count=4.5, length=10, over=0.4, locks=0.06, each=0.13)
LONG = Strands(count=1.2, length=80, over=0.3, locks=0.08, each=0.12)


def draw_hair(edge: np.ndarray, long: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of 224 from the outline, inwards (S, S/2) → how surely a place is covered by hair,
    and how light that is, 1 on average, (S, S/2) each."""
    random = np.random.default_rng(seed)
    style = LONG if long else SHORT
    aside, down = canvas_grid(len(edge))
    inwards, along, depth = _find_growth(edge)
    if not long:  # the hairline goes back at the temples
        edge = edge - 3.0 * np.exp(-(((aside - 0.165) / 0.045) ** 2)) * smooth_step((depth - 0.4) / 0.2) * smooth_step((0.36 - down) / 0.1)
        edge = edge - 7 * smooth_step((down - 0.37) / 0.14)
    edge = edge + 0.6 * _roughness(random, edge.shape, 3.5) + 0.2 * _roughness(random, edge.shape, 1.2)
    if long:
        growth = along
    else:
        turn = 0.9 * np.pi / 2 * smooth_step((down - 0.16) / 0.24) + 0.25 * smooth_step(aside / 0.1)
        growth = np.cos(turn)[..., None] * -inwards + np.sin(turn)[..., None] * along
    turned = 0.14 * _roughness(random, edge.shape, 5) + 0.10 * _roughness(random, edge.shape, 12)
    growth = _rotate(growth, turned * smooth_step(aside / 0.06))
    shade = style.locks * sum(
        _roughness(random, edge.shape, sigma) for sigma in ((2, 4, 8) if long else (1.5, 3, 6))
    )
    if long:
        line = np.clip(depth, 0, 1) * 200
        locks = sum(np.interp(line, np.arange(201), _wave(random, 201, s)) for s in (2, 5, 12))
        shade = style.locks * (0.55 * locks + 0.25 * shade / style.locks)
    cover, light = _draw_strands(random, style, edge, growth, shade, depth, long)
    return cover, light * _shine(edge, growth, shade)


def _find_growth(edge: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (S, S/2, 2; x, y) from the outer outline inwards to the face and along both
    outlines, down from the crown; and how near to the face a place is: 0 outside, 1 at the face."""
    hair = edge > 0
    size, half = hair.shape
    across = np.arange(half)[None]
    rows = hair.any(1)
    last = np.where(rows, half - 1 - np.argmax(hair[:, ::-1], axis=1), -1)
    first_row = int(np.argmax(rows))
    closed = np.flatnonzero(rows & (last < half - 1))  # rows in which the face is seen
    inner = np.zeros_like(hair)
    if len(closed):
        for y in range(closed[0], size):
            if rows[y]:
                end = last[y]
            inner[y] = across[0] > end
    outer = ~hair & ~inner
    outer[: first_row + 1] = True
    far_in, far_out = (np.maximum(-signed_distance(m, 200), 0) for m in (inner, outer))
    depth = blur_half(far_out / np.maximum(far_in + far_out, 1e-3), 3.0)
    whole = np.concatenate([depth, depth[:, ::-1]], axis=1)
    dy, dx = (g[:, :half] for g in np.gradient(whole))
    inwards = np.stack([dx, dy], axis=2)
    inwards /= np.maximum(np.linalg.norm(inwards, axis=2, keepdims=True), 1e-6)
    inwards = blur_half_vectors(inwards, 2.0)
    return inwards, np.stack([-inwards[..., 1], inwards[..., 0]], axis=2), depth


def blur_half_vectors(vectors: np.ndarray, sigma: float) -> np.ndarray:
    """Unit vectors (S, S/2, 2), smoothed; those of the right half point the other way aside."""
    import cv2

    half = vectors.shape[1]
    whole = np.concatenate([vectors, vectors[:, ::-1] * [-1, 1]], axis=1)
    out = cv2.GaussianBlur(whole, (0, 0), sigma * 2 * half / 224)[:, :half]
    return out / np.maximum(np.linalg.norm(out, axis=2, keepdims=True), 1e-6)


def _rotate(vectors: np.ndarray, by: np.ndarray) -> np.ndarray:
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([np.cos(by) * x - np.sin(by) * y, np.sin(by) * x + np.cos(by) * y], axis=2)


def _roughness(random: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Smooth noise of spread 1, `sigma` pixels of 224 wide."""
    noise = blur_half(random.standard_normal(shape), sigma)
    return noise / noise.std()


def _wave(random: np.random.Generator, count: int, sigma: float) -> np.ndarray:
    """A line of smooth noise of spread 1."""
    kernel = np.exp(-(np.arange(-3 * sigma, 3 * sigma + 1) ** 2) / (2 * sigma**2))
    wave = np.convolve(random.standard_normal(count + 6 * sigma), kernel, "valid")
    return wave / wave.std()


def _draw_strands(
    random: np.random.Generator,
    style: Strands,
    edge: np.ndarray,
    growth: np.ndarray,
    shade: np.ndarray,
    depth: np.ndarray,
    long: bool,
) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    size, half = edge.shape
    unit = size / 224
    _, down = canvas_grid(size)
    _, low = picture_grid(size)
    # Where the ground is covered anyhow; near the outline only strands are.
    inset = 1.2 if long else 1.2 + smooth_step((depth - 0.3) / 0.3) * (2.3 + 2.5 * smooth_step((down - 0.28) / 0.14)) + 2.0 * smooth_step((down - 0.40) / 0.1)
    solid = 1 / (1 + np.exp(-np.clip((edge - inset) / (0.6 if long else 1.1), -30, 30)))
    solid = solid * (1 - smooth_step((low - END[0] + 0.05) / END[1]))
    fine = (half * FINE + 2 * FINE, size * FINE)
    cover = cv2.resize(solid, (half * FINE, size * FINE), interpolation=cv2.INTER_LINEAR)
    cover = np.pad(cover, ((0, 0), (0, 2 * FINE)), mode="edge")
    cover = np.ascontiguousarray((255 * cover).astype(np.uint8))
    light = np.full(fine[::-1], round(100 * UNDER), np.uint8)
    places = np.argwhere(edge > 0.2)
    if not len(places):
        return solid, np.ones_like(edge)
    count = round(style.count * len(places) / unit**2)
    roots = places[random.integers(0, len(places), count)] + random.random((count, 2))
    roots = roots[:, ::-1] / unit  # x, y in pixels of 224
    # Towards the face hair gets thinner.
    near = smooth_step((_at(depth, roots, unit) - 0.4) / 0.2)
    dense = 1 - near * (1 - 0.12 - 0.88 * smooth_step(_at(edge, roots, unit) / (3 if long else 6)))
    roots = roots[random.random(count) < dense]
    count = len(roots)
    length = style.length * random.uniform(0.5, 1.3, count)
    over = style.over * random.exponential(1, count)
    lock = _at(shade, roots, unit)
    tone = 1 + lock + style.each * random.standard_normal(count)
    ends = 224 * (END[0] + END[1] * np.clip(0.5 + 3 * lock, 0, 1))
    ends += 224 * 0.025 * random.standard_normal(count)
    steps = int(style.length * 1.3)
    path = np.empty((steps + 1, count, 2))
    path[0], grown = roots, np.zeros(count, int)
    alive = np.ones(count, bool)
    for step in range(1, steps + 1):
        path[step] = path[step - 1] + _at(growth, path[step - 1], unit)
        alive &= (step <= length) & (_at(edge, path[step], unit) > -over)
        alive &= (path[step, :, 1] < ends) | (not long)
        grown[alive] = step
    pixels = np.round(path.transpose(1, 0, 2) * (unit * FINE * 16)).astype(np.int32)  # 4 bits of fractions
    for row in np.argsort(random.random(count)):
        if grown[row] < 2:
            continue
        line = np.ascontiguousarray(pixels[row, : grown[row] + 1])
        value = int(np.clip(100 * tone[row], 30, 200))
        thin = max(1, round(0.65 * grown[row]))
        for part, wide in ((line[: thin + 1], 1), (line[thin:], 1)):
            cv2.polylines(cover, [part], False, 255, wide, cv2.LINE_8, 4)
            cv2.polylines(light, [part], False, value, wide, cv2.LINE_8, 4)
    shrink = (half, size)
    cover, light = (p[:, : half * FINE].astype(np.float32) for p in (cover, light))
    cover = cv2.resize(cover / 255, shrink, interpolation=cv2.INTER_AREA)
    light = cv2.resize(light / 100, shrink, interpolation=cv2.INTER_AREA)
    fade = 1 - smooth_step((low - END[0] - 0.03) / (END[1] - 0.03))
    soft = (0.35 if long else 0.6) * smooth_step((depth - 0.35) / 0.25) * smooth_step((0.5 - down) / 0.2)
    cover = cover + soft * (blur_half(cover, 2.2) - cover)
    cover = cover * fade
    return cover, light / max(float(light[edge > 2].mean()) if (edge > 2).any() else 1.0, 1e-3)


def _at(plane: np.ndarray, places: np.ndarray, unit: float) -> np.ndarray:
    """Values of a plane (S, S/2, ...) at places (N, 2; x, y in pixels of 224)."""
    import cv2

    x, y = ((places * unit - 0.5).T.astype(np.float32))[:, None]
    out = cv2.remap(plane.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out)[0]


def _shine(edge: np.ndarray, growth: np.ndarray, shade: np.ndarray) -> np.ndarray:
    """Light and shade on the head, after Kajiya and Kay (SIGGRAPH 1989): hair is darkest where it
    runs along the light, and shines where it runs across the middle of light and eye."""
    size, half = edge.shape
    across, low = picture_grid(size)
    hair = edge > 0
    if not hair.any():
        return np.ones_like(edge)
    top = low[int(np.argmax(hair.any(1))), 0]
    wide = float(across[hair & (low < 0.5)].max(initial=0.1)) * 1.04
    middle = 0.47
    high = middle - top + 0.01
    aside, up = -across / wide, np.minimum(low - middle, 0) / high
    out = np.sqrt(np.clip(1 - aside**2 - up**2, 0.02, 1))
    normal = np.stack([aside / wide, up / high, out / (0.9 * wide)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    rise = -(growth[..., 0] * normal[..., 0] + growth[..., 1] * normal[..., 1]) / normal[..., 2]
    tangent = np.concatenate([growth, np.clip(rise, -3, 3)[..., None]], axis=2)
    tangent = tangent + 0.35 * shade[..., None] * normal
    tangent /= np.linalg.norm(tangent, axis=2, keepdims=True)
    light = LIGHT / np.linalg.norm(LIGHT)
    between = light + [0, 0, 1]
    between /= np.linalg.norm(between)
    facing = np.clip(normal @ light, 0, 1)
    soft = np.sqrt(np.clip(1 - (tangent @ light) ** 2, 0, 1))
    shine = np.clip(1 - (tangent @ between) ** 2, 0, 1) ** 14 * np.clip(normal @ between, 0, 1)
    lit = 0.62 + 0.30 * soft * (0.4 + 0.6 * facing) + 0.36 * shine
    lit = blur_half(lit, 2.5)
    lit *= 1 - 0.16 * np.exp(-np.maximum(edge, 0) / 4)
    return lit / max(float(lit[edge > 2].mean()) if (edge > 2).any() else 1.0, 1e-3)
