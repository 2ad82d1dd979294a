"""Strands of hair: they are combed from the parting, lie in locks, and end where hair ends."""

from dataclasses import replace

import numpy as np
import pytest

from speech2face.data.decoder_data import picture_grid
from speech2face.data.hair_strands import Flow, Strands, find_flow, grow_locks, whole_grid
from speech2face.data.hair_styles import (
    BACK,
    BOB,
    CROP,
    CURLS,
    LONG,
    SHORT,
    STRAIGHT,
    SWEPT,
    WAVY,
    Style,
)
from speech2face.data.head_segmentation import signed_distance

SIZE = 64
RIGHT, LOW = whole_grid(SIZE)


def outline(long: bool) -> np.ndarray:
    across, low = picture_grid(SIZE)
    head = np.hypot(across / 0.30, np.minimum(low - 0.45, 0) / 0.38) < 1
    face = np.hypot(across / 0.22, (low - 0.55) / 0.30) < 1
    below = (low > 0.6) & (across < 0.2)
    return signed_distance(head & ~face & ~below & (long | (low < 0.48)))


def grow(style: Style, seed: int = 0) -> tuple[Flow, Strands]:
    random = np.random.default_rng(seed)
    flow = find_flow(random, outline(style.long), style)
    return flow, grow_locks(random, style, flow)


def ends(strands: Strands) -> np.ndarray:
    """Where strands end, (M, 2)."""
    return strands.paths[np.arange(len(strands.paths)), strands.steps[:, 1]]


def test_hair_falls_to_both_sides_of_the_parting():
    flow, _ = grow(replace(STRAIGHT, wander=0.0))
    above = (flow.edge > 2) & (LOW < 50) & (flow.depth < 0.6)
    for side in (-1, 1):
        beyond = above & (side * flow.parting > 8)
        assert beyond.sum() > 20
        assert (side * flow.growth[:, beyond][..., 0]).min() > 0
    falling = (flow.edge > 2) & (LOW > 150)
    assert flow.growth[:, falling][..., 1].min() > 0.8


def test_locks_of_both_sides_lie_over_the_partings_end_on_the_crown():
    flow, _ = grow(replace(STRAIGHT, wander=0.0))
    near = (flow.edge > 1) & (LOW < 60) & (np.abs(flow.parting) < 4)
    crown, forehead = near & (flow.depth < 0.2), near & (flow.depth > 0.7)
    right = flow.growth[..., 0]
    assert crown.sum() > 3
    assert (right[0, crown] * right[1, crown]).max() < 0
    np.testing.assert_allclose(right[0, forehead], right[1, forehead], atol=1e-6)


def test_short_hair_grows_away_from_the_forehead():
    for style in (BACK, CROP):
        flow, _ = grow(replace(style, wander=0.0))
        above = (flow.edge > 2) & (np.abs(RIGHT) < 15)
        assert flow.growth[:, above][..., 1].max() < -0.2
        beside = (flow.edge > 1) & (LOW > 85) & (LOW < 100)
        assert flow.growth[:, beside][..., 1].mean() > 0.8


def test_locks_come_together_at_their_ends():
    style = replace(STRAIGHT, loose=0.0)
    _, strands = grow(style)
    locks = strands.paths.reshape(-1, style.strands, *strands.paths.shape[1:])
    steps = strands.steps[:, 1].reshape(-1, style.strands)
    kept = steps.min(1) > 60
    assert kept.sum() > 10
    wide, narrow = (
        np.mean(
            [np.ptp(lock[:, at], axis=0).max() for lock, at in zip(locks[kept], of, strict=True)]
        )
        for of in ((0.3 * steps[kept].min(1)).astype(int), steps[kept].min(1))
    )
    assert narrow < 0.7 * wide
    tones = strands.tone.reshape(-1, style.strands)
    assert tones.mean(1).std() > 0.05


def test_long_hair_ends_at_different_heights_and_a_bob_in_one_line():
    heights = [ends(grow(style)[1])[:, 1] for style in (STRAIGHT, BOB)]
    low = [of[of > np.percentile(of, 60)] for of in heights]
    assert 195 < max(heights[0]) < 226
    assert max(heights[1]) < 224 * BOB.end + 2
    assert np.std(low[1]) < np.std(low[0])


def test_curls_swing_and_straight_hair_does_not():
    curled, straight = (grow(style)[1] for style in (CURLS, STRAIGHT))
    assert np.abs(curled.swing).max() > 0.4
    assert np.abs(straight.swing).max() < 0.2


def test_curls_swing_each_in_its_own_way_and_waves_together():
    together = []
    for style in (CURLS, WAVY):
        _, strands = grow(style)
        locks = slice(None, None, style.strands)
        at = strands.steps[locks, 1] > 90
        swing = strands.swing[locks][at][:, 90]
        place = strands.paths[locks][at][:, 90]
        order = np.lexsort((place[:, 1], place[:, 0] > 112))
        first, second = swing[order][:-1], swing[order][1:]
        together.append(np.corrcoef(first, second)[0, 1])
    assert together[1] > together[0] + 0.2


def test_ends_hang_in_clumps_lower_on_the_side_that_hair_is_combed_to():
    style = replace(STRAIGHT, uneven=20.0)  # parted on the right
    flow, strands = grow(style)
    reach = [np.percentile(ends(strands)[of, 1], 97) for of in sides(ends(strands))]
    assert reach[0] > reach[1] + 8
    assert flow.end[0].std() > 3
    assert (flow.end <= 224 * style.end).all()


def sides(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the places (M, 2) lie on the left, which on the right."""
    return places[:, 0] < 100, places[:, 0] > 124


def test_ends_turn_inwards():
    for style in (replace(BOB, curl=0.0), replace(BOB, curl=0.8)):
        flow, _ = grow(style)
        low = (flow.edge > 2) & (np.abs(flow.end - LOW) < 5)
        inwards = -np.sign(RIGHT[low]) * flow.growth[0, low][:, 0]
        assert (inwards.mean() > 0.5) == (style.curl > 0)


def test_the_outline_is_fuller_on_the_side_that_hair_is_combed_to():
    flow, _ = grow(SWEPT)
    plain, _ = grow(replace(SWEPT, quiff=0.0))
    above = (LOW < 50) & (flow.depth < 0.2)
    more = flow.edge - plain.edge
    assert more[above & (RIGHT < -40)].mean() > 3
    assert np.abs(more[above & (RIGHT > 60)]).mean() < 2


@pytest.mark.parametrize("style", [*LONG, *SHORT], ids=lambda style: f"parted at {style.parting:g}")
def test_strands_are_within_reach_of_the_hair_and_within_their_paths(style):
    flow, strands = grow(style)
    assert len(strands.paths) > 100
    assert np.isfinite(strands.paths).all()
    assert (strands.steps[:, 1] < strands.paths.shape[1]).all()
    x, y = (np.clip(ends(strands) / 224 * SIZE, 0, SIZE - 1)).astype(int).T
    assert np.percentile(flow.edge[y, x], 1) > -12
