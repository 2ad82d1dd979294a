"""Typical hair: the shapes and colours that are met most among people, none of them anybody's.

People of like hair are found by k-means; a shape is the mean of the outlines of at least
`LEAST_ALIKE` of them (of distances to the outline, so that the mean has one clear outline, too),
a colour the mean of theirs. In means there are no strands: `hair_strands.draw_hair` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.data.decoder_data import FRAME, canvas_grid, picture_grid
from speech2face.data.hair_outlines import close_outline, is_long
from speech2face.data.hair_painting import draw_layers
from speech2face.data.hair_strands import mirror
from speech2face.data.hair_styles import LONG, SHORT, Style
from speech2face.data.head_segmentation import (
    Heads,
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
LIGHTNESS = 35.0, 46.0  # of CIE Lab, where hair is no longer dark, and where it is light
CHROMA = 0.2, 1.65  # of grey hair and of other, over that of canonical pictures, which are pale
WHITER = 5.0  # what grey hair is lighter by, where it is light
GREYER = 1.5  # how much chroma counts against lightness in how grey hair is
GREY = 0.20  # chroma of hair half grey, of its lightness, CIE Lab
WAYS = 3  # of wearing an outline, at most
A_WAY = 36, LEAST_ALIKE  # people that each is worn by, at least: of short, of long hair
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SHARED = 1.0  # of a hairline with others
SHARED_BY_ALL = 0.8  # of these not with those of its group, but with all


@dataclass(frozen=True)
class HairShapes:
    """Shapes of hair; the first is none."""

    front: np.ndarray  # (K, S, S) how surely hair covers head and ground
    back: np.ndarray  # (K, S, S) the same of the hair behind the neck
    light: np.ndarray  # (K, S, S) 1 on average
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
    empty = np.zeros((1, size, size), np.float32)
    worn = np.zeros(len(heads), int)
    if not len(wearers):
        return HairShapes(empty, empty, np.ones_like(empty), worn, np.zeros(1, int))
    features = np.stack([_shrink(o, size) for o in np.clip(outlines[wearers], -17, 17)])
    group, distances = _cluster(features, SHAPES)
    plain = [k for k in range(distances.shape[1]) if _is_plain(outlines[wearers[group == k]])]
    kept = _keep(group, distances, plain)
    own = [np.flatnonzero(group == k) for k in kept]
    nearest = [
        wearers[of[np.argsort(distances[of, k])][: max(LEAST_ALIKE, len(of) // 2)]]
        for k, of in zip(kept, own, strict=True)
    ]
    edges = np.stack([close_outline(outlines[of].mean(0)) for of in nearest])
    kinds = np.array([1 + is_long(edge) for edge in edges])
    edges = _share_hairline(edges, kinds)
    counts = [
        int(np.clip(len(of) // A_WAY[kind - 1], 1, WAYS))
        for of, kind in zip(own, kinds, strict=True)
    ]
    styles = _choose_styles(edges, kinds, counts)
    lab = _measure_colours(heads)
    grey = np.nan_to_num(lab[:, 0] - GREYER * np.hypot(lab[:, 1], lab[:, 2]))
    groups, layers = [0], [(empty[0], empty[0], np.ones_like(empty[0]))]
    for of, edge, kind, people, worn_so in zip(own, edges, kinds, nearest, styles, strict=True):
        worn[wearers[of]] = len(groups) + _share_out(worn_so, grey[wearers[of]])
        lighter = mirror(_light(heads, people, edge))
        for style in worn_so:
            front, back, light = draw_layers(edge, style, len(groups))
            groups.append(int(kind))
            layers.append((front, back, light * lighter))
    front, back, light = (np.stack(planes) for planes in zip(*layers, strict=True))
    return HairShapes(front, back, light, worn, np.array(groups))


def find_colours(heads: Heads, shapes: HairShapes) -> HairColours:
    """The colours of hair that at least `LEAST_ALIKE` people have."""
    import cv2

    lab = _measure_colours(heads)
    some = np.flatnonzero(np.isfinite(lab[:, 0]) & (shapes.worn > 0))
    worn = np.full(len(heads), -1)
    if not len(some):
        return HairColours(np.full((1, 3), 0.2), worn, np.zeros(1, int))
    lab = lab[some]
    group, _ = _cluster(lab * [1, 2.2, 2.2], COLOURS)
    kept = sorted(range(group.max() + 1), key=lambda k: float(lab[group == k, 0].mean()))
    for number, k in enumerate(kept):
        worn[some[group == k]] = number
    lightness = np.array([lab[group == k, 0].mean() for k in kept])
    colours = np.stack([lab[group == k].mean(0) for k in kept])
    chroma = np.hypot(colours[:, 1], colours[:, 2])
    grey = GREY * np.clip(lightness, 25, 75)
    colourful = np.interp(chroma - grey, [-5, 5], [0, 1])
    colours[:, 1:] *= (CHROMA[0] + colourful * (CHROMA[1] - CHROMA[0]))[:, None]
    colours[:, 0] += WHITER * (1 - colourful) * np.interp(lightness, LIGHTNESS, [0, 1])
    colours = cv2.cvtColor(colours[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0]
    return HairColours(colours, worn, np.digitize(lightness, LIGHTNESS))


def _measure_colours(heads: Heads) -> np.ndarray:
    """The colour of each person's hair well within it, CIE Lab (N, 3); NaN where there is none."""
    import cv2

    own = np.full((len(heads), 3), np.nan, np.float32)
    for i, (hair, cover) in enumerate(zip(heads.hair, heads.cover, strict=True)):
        surely = (erode(hair, 2) > 0.8) & (cover > 0.97)
        if surely.mean() > 0.002:
            own[i] = np.median(heads.colours[i][surely], axis=0)
    return cv2.cvtColor(own[None], cv2.COLOR_RGB2LAB)[0]


def _share_out(styles: Sequence[Style], grey: np.ndarray) -> np.ndarray:
    """Which of the styles each person (N,) wears, as many each: the greyer, the more often an older
    one's, and else by chance."""
    older = np.argsort([style.age for style in styles], kind="stable")
    chance = np.random.default_rng(0).standard_normal(len(grey))
    rank = np.argsort(np.argsort(grey + grey.std() * chance))
    return older[rank * len(styles) // len(grey)]


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
    if is_long(mean):
        return line <= LOW and wide <= WIDE_LONG
    return HIGH <= line <= LOW and wide <= WIDE


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


def _choose_styles(
    edges: np.ndarray, groups: np.ndarray, counts: Sequence[int]
) -> list[list[Style]]:
    """Choose so many drawing styles for each outline; the fullest of a group differs from the
    flattest."""
    fullness = (edges > 0).mean((1, 2))
    styles: list[list[Style]] = [[] for _ in edges]
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        among, places = (
            LONG if group > 1 else SHORT,
            [number for number in own[np.argsort(fullness[own])] for _ in range(counts[number])],
        )
        for rank, number in enumerate(places):
            styles[number].append(among[int((rank + 0.5) * len(among) / len(places))])
    return styles


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
