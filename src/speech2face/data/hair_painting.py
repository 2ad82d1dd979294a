"""Strands of hair → two planes of the decoder: how surely hair covers a place, and how light it is.

Lock over lock, each in the light that falls on a strand that runs so (Kajiya and Kay, SIGGRAPH
1989). Lengths are in pixels of a picture of 224; planes are as wide as the picture, (S, S).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from speech2face.data.decoder_data import picture_grid
from speech2face.data.hair_outlines import wear
from speech2face.data.hair_pieces import behind_jaw, lay_bun, lay_fringe, lay_tail, lay_wisps
from speech2face.data.hair_strands import (
    Flow,
    Strands,
    blur,
    find_flow,
    grow_locks,
    mirror,
    unit,
    whole_grid,
)
from speech2face.data.hair_styles import BEHIND, Style
from speech2face.data.head_segmentation import blur_half, smooth_step

FINE = 4  # strands are drawn in so many times the picture's size, and made smaller
PIECE = 3  # steps of a strand that are of one lightness
UNDER = 0.66  # lightness of hair between the strands
LIGHT = np.array([-0.07, -0.60, 0.79])  # where light comes from: above and before
HALFWAY = np.array([-0.04, -0.32, 0.94])  # between light and eye
FRONT = 0.75  # how much less short hair shines at the hairline
SIDES = 0.3  # how much darker the sides of short hair are
SHADOW = 0.22  # of hair on the skin beside it
PIECES = 0.95  # lightness of a tail or bun on average, in hair's own
AIRY = 0.6  # how much softer the outline and the ends of long hair are
EARS = 76, 92, 132  # how far aside and from where to where down ears reach
SOFT = 0.55  # blur of what is drawn
UNIT = 100  # a lightness of 1, as it is drawn


def draw_layers(
    edge: np.ndarray, style: Style, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A closed outline → hair worn in a style: how surely it covers head and ground, the same of
    the hair behind the head, and how light hair is, (S, S) each."""
    outline, behind = wear(edge, style)
    front, light = draw_hair(outline, style, seed)
    if style.drawn_back:
        return _add_piece(outline, style, seed, front, light)
    if not style.long:  # no ground shines through between the strands
        return front, mirror(blur_half(behind > 0, 1.5)) * _ring(style, len(front)), light
    back, light_behind = draw_hair(behind, replace(BEHIND, end=min(style.end, 0.93)), seed)
    back = np.maximum(back, _fill(style, behind))
    light_behind = light_behind * _shade_behind(len(front))
    if any(style.tucked):
        front, light, back, light_behind = _tuck(style, front, light, back, light_behind)
    before = smooth_step(front / 0.15)
    return front, back, before * light + (1 - before) * light_behind


def draw_hair(outline: np.ndarray, style: Style, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An outline, left half (S, S/2) → how surely a place is covered by hair or its shadow, and how
    light that is, 1 on average for hair and 0 for shadow, (S, S) each."""
    random = np.random.default_rng(seed)
    flow = find_flow(random, outline, style)
    strands = grow_locks(random, style, flow)
    cover, light = _paint(style, strands, flow, _cover_ground(style, flow))
    cover = _fade(style, cover, flow)
    if any(style.fringe):
        for lay in (lay_wisps, lay_fringe):
            over, light_over = _paint(style, lay(random, style, flow), flow, np.zeros_like(cover))
            over = blur(over, 0.7)
            cover, light = cover + over * (1 - cover), light + over * (light_over - light)
    if style.long:  # no rungs where locks of both sides meet
        part = np.exp(-((flow.parting / 2.0) ** 2)) * smooth_step(flow.depth / 0.3)
        light = light + 0.8 * part * (blur(light, 2.0) - light)
    light = _even(light, cover * (flow.edge > 2))
    return _cast_shadow(cover, light, flow)


def _fill(style: Style, behind: np.ndarray) -> np.ndarray:
    """Mask (S, S) of the hair that hangs behind the neck, where no ground is seen through it."""
    _, low = whole_grid(len(behind))
    return mirror(smooth_step((behind - 3) / 5)) * smooth_step((224 * style.end - 28 - low) / 16)


def _add_piece(
    outline: np.ndarray, style: Style, seed: int, front: np.ndarray, light: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hair drawn back → cover before and behind the head, and lightness, with a tail that comes
    from behind the neck over a shoulder, or a bun behind the crown."""
    random = np.random.default_rng(seed)
    flow = find_flow(random, outline, BEHIND)
    lay = lay_tail if style.tail else lay_bun
    strands = lay(random, style, flow)
    thick = blur(_paint(BEHIND, strands, flow, np.zeros_like(front))[0], 2.5)
    piece, light_piece = _paint(BEHIND, strands, flow, smooth_step((thick - 0.3) / 0.3))
    mean = float((light_piece * piece).sum() / (piece.sum() + 1e-6))
    before = 1 - smooth_step(front / 0.15)
    light = light + before * (light_piece * PIECES / max(mean, 0.1) - light)
    shown = piece * behind_jaw(len(piece)) * before * (style.tail > 0)
    return front + shown * (1 - front), piece, light


def _cover_ground(style: Style, flow: Flow) -> np.ndarray:
    """Mask, 0 to 1, of hair so thick that nothing is seen between the strands."""
    inner = smooth_step((flow.depth - 0.3) / 0.3)
    _, low = whole_grid(len(inner))
    cut = not style.long and not style.drawn_back
    temple = cut * inner * smooth_step((low - 56) / 25)
    swing = style.wave[0] * style.long * (1 - inner) * smooth_step((low - 80) / 40)
    inset = 1.5 + (1.0 if style.long else 3.5) * inner - 2.0 * temple + swing
    soft = 0.8 + (0.4 if style.long else 1.4) * inner + 0.8 * temple
    ground = 1 / (1 + np.exp(-np.clip((flow.edge - inset) / soft, -30, 30)))
    if style.long:
        ground = ground * smooth_step((flow.end - 4 - style.ragged - low) / (10 + 3 * style.ragged))
    return ground * (1 - style.thin)


def _paint(
    style: Style, strands: Strands, flow: Flow, ground: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Strands on the covered ground, one over the other: how surely a place is covered, and how
    light it is."""
    import cv2

    size = len(ground)
    canvas = np.empty((size * FINE, size * FINE, 3), np.uint8)
    canvas[..., 0] = 0
    canvas[..., 1:] = round(UNIT * UNDER)
    pieces, places, tangents, owner = _cut_up(strands)
    light = _light(style, strands, flow, places, tangents, owner)
    values = np.clip(UNIT * light, 5, 255).astype(int).tolist()
    points = np.round(pieces * (16 * FINE * size / 224)).astype(np.int32)
    for line, value in zip(points, values, strict=True):
        cv2.polylines(canvas, [line], False, (255, value, value), 1, cv2.LINE_8, shift=4)
    cover, light = (
        cv2.resize(plane.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        for plane in (canvas[..., 0], canvas[..., 1])
    )
    cover = cover / 255
    if style.long:  # where it hangs there is no ground without strands on it
        _, low = whole_grid(size)
        bare = 1 - smooth_step((blur(cover, 1.2) - 0.2) / 0.4)
        ground = ground * (1 - bare * smooth_step((low - 80) / 30))
    both = cover + (1 - cover) * ground
    bare = UNIT * UNDER * (1 - cover) * (1 - ground)  # neither strands nor hair under them
    light = (light - bare) / np.maximum(both, 1e-2)
    soft = blur(both, SOFT)
    return soft, blur(light * both, SOFT) / (UNIT * np.maximum(soft, 1e-2))


def _cut_up(strands: Strands) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pieces of strands (P, PIECE + 1, 2), strand by strand; their middles and directions (P, 3;
    the last, how steeply they come forward), and whose they are (P,)."""
    starts = np.arange(0, strands.paths.shape[1] - PIECE, PIECE)
    begin, end = strands.steps[:, :1], strands.steps[:, 1:]
    owner, which = np.nonzero((starts >= begin) & (starts + PIECE <= end))
    at = starts[which][:, None] + np.arange(PIECE + 1)
    pieces = strands.paths[owner[:, None], at]
    ahead = (pieces[:, -1] - pieces[:, 0]) / PIECE
    forward = strands.swing[owner, at[:, PIECE // 2]]
    return pieces, pieces[:, PIECE // 2], np.column_stack([ahead, forward]), owner


def _light(
    style: Style,
    strands: Strands,
    flow: Flow,
    places: np.ndarray,
    tangents: np.ndarray,
    owner: np.ndarray,
) -> np.ndarray:
    """Lightness of pieces of strands on a round head: darkest where they run along the light, and
    shining where they run across the middle between light and eye."""
    size = len(flow.edge)
    x, y = np.clip(places * (size / 224), 0, size - 1).astype(int).T
    normal = _find_normals(flow)[y, x]
    ahead = unit(tangents[:, :2])
    aside = np.column_stack([-ahead[:, 1], ahead[:, 0], np.zeros(len(ahead))])
    normal = unit(normal + 0.5 * strands.tilt[owner, None] * aside)
    rise = np.clip(-(ahead * normal[:, :2]).sum(1) / np.maximum(normal[:, 2], 0.1), -3, 3)
    tangent = np.column_stack([ahead, rise + tangents[:, 2]])
    tangent = unit(unit(tangent) + 0.15 * strands.tilt[owner, None] * normal)
    light, halfway = (v / np.linalg.norm(v) for v in (LIGHT, HALFWAY))
    facing = np.clip(normal @ light, 0, 1)
    soft = np.sqrt(np.clip(1 - (tangent @ light) ** 2, 0, 1)) * (0.35 + 0.65 * facing)
    across = np.clip(1 - (tangent @ halfway) ** 2, 0, 1)
    shine = (0.55 * across**24 + 0.35 * across**7) * np.clip(normal @ halfway, 0, 1)
    if not style.long:  # what is cut short shines less
        shine = shine * np.clip(style.length / 28, 0.5, 1)
        shine = shine * (1 - 0.7 * smooth_step((places[:, 1] - 60) / 30))
        soft = soft * (1 - SIDES * smooth_step((places[:, 1] - 48) / 40))
        shine = shine * (1 - FRONT * smooth_step((flow.depth[y, x] - 0.45) / 0.35))
    edge = flow.edge[y, x]
    occluded = 1 - (0.10 if style.long else 0.18) * np.exp(-np.maximum(edge, 0) / 4)
    return strands.tone[owner] * occluded * (0.40 + 0.48 * soft) + shine * strands.tone[owner] ** 2


def _find_normals(flow: Flow) -> np.ndarray:
    """Unit vectors (S, S, 3) out of the surface of a round head, and of what falls from it."""
    right, low = whole_grid(len(flow.edge))
    hair = flow.edge > 0
    top = low[int(np.argmax(hair.any(1))), 0]
    wide = 1.04 * float(np.abs(right[hair & (low < 112)]).max(initial=22))
    high = max(107 - top, 22)
    aside, up = right / wide, np.minimum(low - 105, 0) / high
    aside = aside * (1 - 0.5 * smooth_step((low - 95) / 45))
    out = np.sqrt(np.clip(1 - aside**2 - up**2, 0.02, 1))
    return unit(np.stack([aside / wide, up / high, out / (0.9 * wide)], axis=2))


def _fade(style: Style, cover: np.ndarray, flow: Flow) -> np.ndarray:
    """How surely hair covers a place, softer where the forehead begins."""
    _, low = whole_grid(len(cover))
    inner = smooth_step((flow.depth - 0.35) / 0.25)
    soft = inner * smooth_step((112 - low) / 45) * (0.4 if style.long else 0.55)
    cover = cover + soft * (blur(cover, 2.2) - cover)
    cover = cover * (
        1 - smooth_step(-(flow.edge + 1.0) / 3) * smooth_step((flow.depth - 0.5) / 0.2)
    )
    cover = _fade_long(style, cover, flow) if style.long else _fade_short(style, cover, flow)
    front = smooth_step((flow.depth - 0.5) / 0.25) * smooth_step((100 - low) / 30)
    return cover * (1 - style.sparse * front * (1 - smooth_step(flow.edge / 10)))


def _fade_long(style: Style, cover: np.ndarray, flow: Flow) -> np.ndarray:
    """The same of long hair: the parting's skin is seen through, and outline and ends are airy."""
    right, low = whole_grid(len(cover))
    cover = _keep_within(cover, flow, 0.6 + 0.5 * style.wave[0] * smooth_step((low - 80) / 40))
    part = np.exp(-((flow.parting / 0.8) ** 2)) * smooth_step((flow.depth - 0.3) / 0.5)
    cover = cover * (1 - 0.25 * part * smooth_step((80 - low) / 20))
    ears = (np.abs(right) < EARS[0]) & (low > EARS[1]) & (low < EARS[2])  # no skin shines through
    outer = (1 - smooth_step(flow.edge / 5)) * (flow.depth < 0.5) * (1 - blur(ears, 1.5))
    airy = np.maximum(outer, smooth_step((low - flow.end + 34) / 30))
    return cover + AIRY * airy * (blur(cover, 1.3) - cover)


def _fade_short(style: Style, cover: np.ndarray, flow: Flow) -> np.ndarray:
    """The same of short hair and of hair drawn back: sides are shaven, a crown is bald."""
    _, low = whole_grid(len(cover))
    cover = _keep_within(cover, flow, 0.3 + style.over * smooth_step((76 - low) / 20))
    if style.thin:  # the shortest hair is a shade, not strands, where it is thin at the temples
        soft = smooth_step((low - 48) / 20) * smooth_step((flow.edge - 1) / 3)
        cover = cover + soft * (blur(cover, 2.5) - cover)
    if style.drawn_back:  # it is fine above the ears
        cover = cover + smooth_step((low - 78) / 14) * (0.9 * blur(cover, 2.5) - cover)
    return cover * (1 - style.shaven * smooth_step((low - 62) / 36)) * _ring(style, len(cover))


def _keep_within(cover: np.ndarray, flow: Flow, reach: np.ndarray) -> np.ndarray:
    """The same without loose strands beside the rest: so far beyond the outline none is left."""
    return cover * (1 - smooth_step((-flow.edge - reach) / 1.8) * (flow.depth < 0.5))


def _ring(style: Style, size: int) -> np.ndarray:
    """Mask, 0 to 1, of what is not bald: a ring of hair above the ears, or all."""
    right, low = whole_grid(size)
    line = style.bald + 0.4 * (60 - np.abs(right))
    return smooth_step((low - line) / 24) if style.bald else np.ones_like(low)


def _tuck(
    style: Style, front: np.ndarray, light: np.ndarray, back: np.ndarray, light_behind: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cover and lightness of hair before and behind → the same tucked behind the ears: locks go on
    behind ear and jaw, ever more in their shade, and come forward again on the shoulders."""
    left, right = (_free_ear(len(front)) * tucked for tucked in style.tucked)
    free = np.hstack([left, right[:, ::-1]])
    gone = smooth_step(front / 0.5) * (free > 0)
    _, low = whole_grid(len(front))
    light = light * (1 - 0.4 * blur(free, 9.0) * smooth_step((low - 90) / 50))
    light_behind = light_behind + gone * (light - light_behind)
    return front * (1 - free), light, np.maximum(back, front), light_behind


def _free_ear(size: int) -> np.ndarray:
    """What tucked hair leaves free, 0 to 1, left half: the ear and the cheek below it."""
    across, low = picture_grid(size)
    aside = np.maximum(across - 0.16, 0)
    line = 0.352 + 0.45 * aside + 3 * aside**2
    below = smooth_step((low - line) / (0.012 + 0.12 * np.maximum(0.24 - across, 0)))
    above = smooth_step((0.80 - low) / 0.06)
    return blur_half(below * above, 1.2)


def _shade_behind(size: int) -> np.ndarray:
    """How much light falls on hair behind the neck, (S, S): less near the neck."""
    right, low = whole_grid(size)
    return 0.5 + 0.42 * smooth_step((np.abs(right) - 34) / 26) * smooth_step((224 - low) / 40)


def _cast_shadow(cover: np.ndarray, light: np.ndarray, flow: Flow) -> tuple[np.ndarray, np.ndarray]:
    """The same with the shadow that hair casts on the face beside it: cover that is dark."""
    _, low = whole_grid(len(cover))
    near = np.roll(blur(cover, 2.5), 1, axis=0) * smooth_step((flow.depth - 0.5) / 0.3)
    shadow = SHADOW * near * smooth_step((112 - low) / 22)
    both = cover + (1 - cover) * shadow
    return both, light * np.where(both > 1e-3, cover / np.maximum(both, 1e-3), 1)


def _even(light: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """The same, 1 on average where hair covers."""
    return light / max(float((light * cover).sum() / max(cover.sum(), 1e-3)), 1e-3)
