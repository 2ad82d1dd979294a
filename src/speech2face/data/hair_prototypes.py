"""Typical hair: the shapes and colours that are met most among people, none of them anybody's.

People of like hair are found by k-means; a shape is the mean of the outlines of at least
`LEAST_ALIKE` of them (of distances to the outline, so that the mean has one clear outline, too),
a colour the mean of theirs. In means there are no strands: `hair_strands.draw_hair` draws them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.decoder_data import FRAME, canvas_grid, picture_grid
from speech2face.data.hair_strands import LONG, SHORT, STRAIGHT, Style, draw_hair
from speech2face.data.head_segmentation import (
    Heads,
    blur_half,
    erode,
    seen,
    signed_distance,
    smooth_step,
    spread,
)

LEAST_ALIKE = 15  # people that a shape or colour is the mean of, where there are so many at all
SHAPES, COLOURS = 34, 9  # looked for; fewer are kept
HIGH, LOW = 0.14, 0.24  # hairlines of haircuts; beyond lie heads half bald, fringes and hats
WIDE, WIDE_LONG = 0.305, 0.40  # short and long hair that reaches further out is a hat or a hood
WIDEST = 0.314  # half of it, of any hair
WIDE_ABOVE_EAR = 0.272  # short hair is no wider there
HANGING = 0.63  # least reach of long hair, downwards
LIGHTNESS = 35.0, 46.0  # of CIE Lab, where hair is no longer dark, and where it is light
CHROMA = 0.2, 1.65  # of grey hair and of other, over that of canonical pictures, which are pale
GREY = 0.20  # chroma of hair half grey, of its lightness, CIE Lab
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SHARED = 1.0  # of a hairline with others
SHARED_BY_ALL = 0.8  # of these not with those of its group, but with all
DOME = 0.292, 0.315  # half widths and heights within which short and long hair lies
DOME_LONG = 0.306, 0.325
DOME_BACK = 0.276, 0.290
OUTSIDE = -30.0  # pixels from the outline: nowhere near


@dataclass(frozen=True)
class HairShapes:
    """Shapes of hair, left halves; the first is none."""

    front: np.ndarray  # (K, S, S/2) how surely hair covers head and ground
    back: np.ndarray  # (K, S, S/2) the same of the hair behind the neck
    light: np.ndarray  # (K, S, S/2) 1 on average
    worn: np.ndarray  # (N,) which shape each person wears
    groups: np.ndarray  # (K,) 0 for none, 1 for short, 2 for long hair


@dataclass(frozen=True)
class HairColours:
    colours: np.ndarray  # (C, 3)
    worn: np.ndarray  # (N,) which colour each person's hair is of; -1 where there is none
    groups: np.ndarray  # (C,) 0 for dark, 1 for medium, 2 for light hair


def find_shapes(heads: Heads) -> HairShapes:
    """The shapes of hair that at least `LEAST_ALIKE` people wear."""
    size = heads.colours.shape[1]
    outlines = np.stack([signed_distance(hair > 0.5) for hair in heads.hair])
    covered = (heads.hair > 0.5).mean((1, 2))
    wearers = np.flatnonzero(covered >= 0.02)
    empty = np.zeros((1, size, size // 2), np.float32)
    worn = np.zeros(len(heads), int)
    if not len(wearers):
        return HairShapes(empty, empty, np.ones_like(empty), worn, np.zeros(1, int))
    features = np.stack([_shrink(o, size) for o in np.clip(outlines[wearers], -17, 17)])
    group, distances = _cluster(features, SHAPES)
    plain = [k for k in range(distances.shape[1]) if _is_plain(outlines[wearers[group == k]])]
    kept = _keep(group, distances, plain)
    nearest, edges = [], []
    for number, k in enumerate(kept, 1):
        own = np.flatnonzero(group == k)
        worn[wearers[own]] = number
        nearest.append(own[np.argsort(distances[own, k])][: max(LEAST_ALIKE, len(own) // 2)])
        edges.append(_close(outlines[wearers[nearest[-1]]].mean(0)))
    groups = np.array([0, *(1 + _is_long(edge) for edge in edges)])
    edges = _share_hairline(np.stack(edges), groups[1:])
    styles = _choose_styles(edges, groups[1:])
    fronts, backs, lights = [empty[0]], [empty[0]], [np.ones_like(empty[0])]
    for number, (edge, style) in enumerate(zip(edges, styles, strict=True), 1):
        edge = _cut(_tuck(edge) if style.tucked else edge, style.end)
        backs.append(_fill(edge, style))
        cover, light = draw_hair(_draw_back(edge) if style.behind else edge, style, number)
        if style.behind:  # what falls behind the neck has strands of its own
            below = smooth_step((picture_grid(size)[1] - 0.48) / 0.04)
            light = light + below * (draw_hair(edge, STRAIGHT, number)[1] - light)
        fronts.append(cover)
        lights.append(light * _light(heads, wearers[nearest[number - 1]], edge))
    front, back, light = (np.stack(of) for of in (fronts, backs, lights))
    return HairShapes(front, back, light, worn, groups)


def find_colours(heads: Heads, shapes: HairShapes) -> HairColours:
    """The colours of hair that at least `LEAST_ALIKE` people have."""
    import cv2

    surely = np.stack(
        [(erode(h, 2) > 0.8) & (c > 0.97) for h, c in zip(heads.hair, heads.cover, strict=True)]
    )
    some = np.flatnonzero((surely.mean((1, 2)) > 0.002) & (shapes.worn > 0))
    worn = np.full(len(heads), -1)
    if not len(some):
        return HairColours(np.full((1, 3), 0.2), worn, np.zeros(1, int))
    own = np.stack([np.median(heads.colours[i][surely[i]], axis=0) for i in some])
    lab = cv2.cvtColor(own[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    group, _ = _cluster(lab * [1, 2.2, 2.2], COLOURS)
    kept = sorted(range(group.max() + 1), key=lambda k: float(lab[group == k, 0].mean()))
    for number, k in enumerate(kept):
        worn[some[group == k]] = number
    lightness = np.array([lab[group == k, 0].mean() for k in kept])
    colours = np.stack([lab[group == k].mean(0) for k in kept])
    chroma = np.hypot(colours[:, 1], colours[:, 2])
    grey = GREY * np.clip(lightness, 25, 75)
    colours[:, 1:] *= np.interp(chroma - grey, [-5, 5], CHROMA)[:, None]
    colours = cv2.cvtColor(colours[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0]
    return HairColours(colours, worn, np.digitize(lightness, LIGHTNESS))


def _cluster(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means, of which groups of less than `LEAST_ALIKE` are joined to the nearest: rows (N, F) →
    the group of each (N,), and squared distances to all groups (N, K)."""
    import cv2

    rows = np.ascontiguousarray(features, np.float32)
    count = max(1, min(count, len(rows) // LEAST_ALIKE))
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 100, 1e-4)
    group = cv2.kmeans(rows, count, np.empty(0), stop, 8, cv2.KMEANS_PP_CENTERS)[1].ravel()
    while True:
        group = np.unique(group, return_inverse=True)[1]
        sizes = np.bincount(group)
        centres = np.stack([rows[group == k].mean(0) for k in range(len(sizes))])
        smallest = int(sizes.argmin())
        if sizes[smallest] >= LEAST_ALIKE or len(sizes) == 1:
            return group, ((rows[:, None] - centres[None]) ** 2).sum(2)
        apart = ((centres - centres[smallest]) ** 2).sum(1)
        apart[smallest] = np.inf
        group[group == smallest] = apart.argmin()


def _keep(group: np.ndarray, distances: np.ndarray, among: list[int]) -> list[int]:
    """Some of the groups, at least the largest, the largest first; all others' rows go to the
    nearest of these, in place."""
    kept = among or [int(np.bincount(group).argmax())]
    strangers = ~np.isin(group, kept)
    group[strangers] = np.array(kept)[distances[strangers][:, kept].argmin(1)]
    return sorted(kept, key=lambda k: -int((group == k).sum()))


def _shrink(outline: np.ndarray, size: int) -> np.ndarray:
    import cv2

    return cv2.resize(outline, (16, 32), interpolation=cv2.INTER_AREA).ravel() / 17


def _is_plain(outlines: np.ndarray) -> bool:
    """True if outlines (N, S, S/2) are those of a haircut; also their hairline and width."""
    if not len(outlines):
        return False
    mean = outlines.mean(0)
    aside, down = canvas_grid(len(mean))
    line = down[mean[:, -1] > 0, -1].max(initial=0)
    row = int(np.argmax(down[:, 0] > 0.46))
    wide = aside[row, mean[row] > 0].max(initial=0) * FRAME
    if _is_long(mean):
        return line <= LOW and wide <= WIDE_LONG
    return HIGH <= line <= LOW and wide <= WIDE


def _is_long(edge: np.ndarray) -> bool:
    _, down = canvas_grid(len(edge))
    return bool((edge[int(np.argmax(down[:, 0] > HANGING))] > 0).any())


def _share_hairline(edges: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Outlines (K, S, S/2) whose hairlines are nearer to the mean than they were:
    what differs by chance near the face hides what does not."""
    across, low = picture_grid(edges.shape[1])
    radius = np.hypot(across / 0.27, np.minimum(low - 0.42, 0) / 0.27)
    share = SHARED * smooth_step((1.15 - radius) / 0.25) * smooth_step((0.6 - low) / 0.1)
    means = np.stack([edges[groups == group].mean(0) for group in groups])
    everybody = np.mean([edges[groups == group].mean(0) for group in np.unique(groups)], axis=0)
    means += SHARED_BY_ALL * smooth_step((0.48 - low) / 0.12) * (everybody - means)
    return edges + share * (means - edges)


def _choose_styles(edges: np.ndarray, groups: np.ndarray) -> list[Style]:
    """Choose a drawing style for each outline; the fullest of a group differs from the flattest."""
    fullness, styles = (edges > 0).mean((1, 2)), [SHORT[0]] * len(edges)
    for group in np.unique(groups):
        among, own = LONG if group > 1 else SHORT, np.flatnonzero(groups == group)
        for rank, number in enumerate(own[np.argsort(fullness[own])]):
            styles[number] = among[int((rank + 0.5) * len(among) / len(own))]
    return styles


def _cut(edge: np.ndarray, end: float) -> np.ndarray:
    """An outline that ends below, with round corners, and comes in towards there."""
    if end >= 1:
        return edge
    across, low = picture_grid(len(edge))
    beside = (0.315 - 0.025 * smooth_step((low - 0.66) / 0.2) - across) * 224
    edge, below = np.minimum(edge, beside), (end - low) * 224
    corner = np.maximum(20 - np.abs(edge - below), 0) / 20
    return blur_half(np.minimum(edge, below) - 5 * corner**2, 2.0)


def _draw_back(edge: np.ndarray) -> np.ndarray:
    """The outline of long hair → that of the same drawn back tightly over the head."""
    across, low = picture_grid(len(edge))
    wide, high = DOME_BACK
    radius = np.hypot(across / wide, np.minimum(low - 0.42, 0) / high)
    end = 0.49 - np.clip(0.275 - across, 0, 0.06)  # it rises from the ears to the temples
    tight = np.minimum((1 - radius) * wide, end - low) * 224
    return np.minimum(edge, tight)


def _tuck(edge: np.ndarray) -> np.ndarray:
    """The outline of long hair → that of the same behind the ears: little wider than these."""
    across, low = picture_grid(len(edge))
    beside = 0.306 - 0.03 * smooth_step((low - 0.5) / 0.4) - across
    narrow = smooth_step((low - 0.28) / 0.12)
    return blur_half(edge + narrow * (np.minimum(edge, beside * 224) - edge), 1.5)


def _half_width(edge: np.ndarray) -> np.ndarray:
    """Distance of the outline from the middle line in each row, in fractions of the picture (S,);
    -1 where there is no hair."""
    size, half = edge.shape
    width = np.full(size, -1.0)
    for y in np.flatnonzero((edge > 0).any(1)):
        x = int(np.argmax(edge[y] > 0))  # the outermost; the outline lies between it and the next
        part = edge[y, x] / (edge[y, x] - edge[y, x - 1] + 1e-6) if x else 0.0
        width[y] = (half - x - 0.5 + part) / size
    rows = width > 0
    if rows.any():
        weights = [0.1, 0.2, 0.4, 0.2, 0.1]
        width[rows] = np.convolve(np.pad(width[rows], 2, mode="edge"), weights, "valid")
    return width


def _close(edge: np.ndarray) -> np.ndarray:
    """A mean outline as it is drawn: closed where the canonical pictures cut it off, without
    collars, and no wider than it may be."""
    size = len(edge)
    (across, low), (_, down) = picture_grid(size), canvas_grid(size)
    edge, width = edge.copy(), np.maximum(_half_width(edge), 0)
    # Above: the ellipse that goes on from where the outline is cut off.
    cut, wide = int(np.argmax(down[:, 0] > 0.012)), int(np.argmax(down[:, 0] > 0.30))
    if width[cut + 1] > 0 < width[wide]:
        share = min(width[cut + 1] / width[wide], 0.93)
        height = (low[wide, 0] - low[cut, 0]) / np.sqrt(1 - share**2)
        height = min(height, low[wide, 0] - 0.02)
        radius = np.hypot(across / (width[cut + 1] / share), (low[wide, 0] - low) / height)
        dome = (1 - radius) * height * 224
        above = smooth_step((low[cut, 0] + 0.03 - low) / 0.03)
        edge = np.where(above > 0, edge * (1 - above) + dome * above, edge)
    # Below the ears an outline that has come in does not go out again: that is a collar.
    rows = np.flatnonzero((down[:, 0] > 0.3) & (down[:, 0] < 0.72))
    widest = rows[width[rows].argmax()]
    narrowest = np.minimum.accumulate(width[widest:])[:, None]
    within = np.where(width[widest:, None] > 0, (narrowest - across[widest:]) * 224, OUTSIDE)
    edge[widest:] = np.minimum(edge[widest:], within)
    # No fuller than a head of such hair is.
    wide, high = DOME_LONG if _is_long(edge) else DOME
    radius = np.hypot(across / wide, np.minimum(low - 0.42, 0) / high)
    edge = np.minimum(edge, (1 - radius) * wide * 224)
    # Beside: within the picture, and short hair lets the ears free.
    beside = (WIDEST - across) * 224
    if _is_long(edge):  # and long hair comes in as it falls
        beside -= 0.06 * smooth_step((low - 0.55) / 0.45) * 224
    else:
        beside -= smooth_step((down - 0.26) / 0.2) * (WIDEST - WIDE_ABOVE_EAR) * 224
    corner = np.maximum(5 - np.abs(edge - beside), 0) / 5
    edge = blur_half(np.minimum(edge, beside) - 1.25 * corner**2, 6.0 if _is_long(edge) else 2.4)
    return edge


def _fill(edge: np.ndarray, style: Style) -> np.ndarray:
    """Fill in the hair behind: of long hair behind face and neck, of any hair behind the scalp, so
    that no ground shines through between the strands. Hair that is drawn back is filled behind the
    neck alone."""
    (across, low), (_, down) = picture_grid(len(edge)), canvas_grid(len(edge))
    inset = 0.004 if style.tucked else 0.018
    behind = (_half_width(edge)[:, None] - inset - across) * 224
    if not _is_long(edge):
        top = low[int(np.argmax((edge > 0).any(1)))]
        behind = np.minimum(behind, np.minimum((low - top) * 224 - 4, (0.40 - down) * 224))
    elif style.behind:
        ends = style.behind - 0.05 * smooth_step((low - 0.6) / 0.4) - across
        behind = np.minimum(np.minimum(behind, ends * 224), (low - 0.4) * 224)
    return blur_half(behind > 0, 1.5)


def _light(heads: Heads, people: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Lightness of such people's hair at each place, darker towards its outline."""
    surely = np.stack(
        [
            np.clip((heads.hair[i] - 0.8) / 0.2, 0, 1) * (erode(heads.cover[i], 3) > 0.97)
            for i in people
        ]
    ) * seen(len(edge))
    luma = heads.colours[people] @ LUMA
    mean = (luma * surely).sum(0) / np.maximum(surely.sum(0), 1e-3)
    mean = spread(mean[..., None], surely.mean(0))[..., 0]
    within = edge > 2
    light = mean / max(float(mean[within].mean()) if within.any() else 1.0, 1e-3)
    return np.clip(1 + 0.6 * (light - 1), 0.8, 1.1)
