"""Painted hair: it keeps to its outline, thins out towards the face, ends, and shines."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from speech2face.data.decoder_data import canvas_grid, picture_grid
from speech2face.data.hair_painting import draw_hair, draw_layers
from speech2face.data.hair_strands import mirror
from speech2face.data.hair_styles import (
    BACK,
    BUN,
    BUZZ,
    CROP,
    CURLY,
    CURTAIN,
    FRINGE,
    ONE_SIDE,
    RING,
    STRAIGHT,
    SWEPT,
    TIED,
    TUCKED,
    WAVY,
    Style,
)
from speech2face.data.head_segmentation import signed_distance

SIZE = 112
ACROSS, LOW = (mirror(plane) for plane in picture_grid(SIZE))
DOWN = mirror(canvas_grid(SIZE)[1])


def outline(long: bool) -> np.ndarray:
    """A ring of hair about a face, down to the ears or to the picture's end: a left half."""
    (across, low), (_, down) = picture_grid(SIZE), canvas_grid(SIZE)
    head = np.hypot(across / 0.30, np.minimum(low - 0.45, 0) / 0.38) < 1
    face = np.hypot(across / 0.22, (low - 0.55) / 0.30) < 1
    below = (low > 0.6) & (across < 0.2)
    return signed_distance(head & ~face & ~below & (long | (down < 0.48)))


@lru_cache
def draw(style: Style, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return draw_hair(outline(style.long), style, seed)


@lru_cache
def layers(style: Style) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return draw_layers(outline(long=style.long or style.drawn_back), style, 3)


@pytest.fixture(params=[BACK, CURLY, TIED, STRAIGHT, WAVY])
def drawn(request) -> tuple[Style, np.ndarray, np.ndarray, np.ndarray]:
    return request.param, mirror(outline(request.param.long)), *draw(request.param)


def test_hair_keeps_to_its_outline(drawn):
    style, edge, cover, light = drawn
    assert cover.shape == light.shape == (SIZE, SIZE)
    assert cover.min() >= 0
    assert cover.max() <= 1
    assert cover[edge < -11].max() < 0.1
    face = (np.hypot(ACROSS / 0.22, (LOW - 0.55) / 0.30) < 0.8) & (LOW < 0.7)
    assert cover[face].max() < 0.1
    deep = (edge > 9) & (DOWN < 0.28)
    assert deep.sum() > 100
    parted = np.abs(ACROSS) < 0.12 if style.long else np.zeros_like(deep)
    assert cover[deep & ~parted].min() > 0.85
    assert light[cover > 0.9].mean() == pytest.approx(1, abs=0.1)
    assert light.min() >= 0


def test_strands_differ_in_lightness_and_the_outline_is_no_ruled_line(drawn):
    _, edge, cover, light = drawn
    deep = (edge > 5) & (DOWN < 0.4)
    assert light[deep].std() > 0.05
    rim = np.abs(edge) < 1.5
    assert 0.1 < cover[rim].mean() < 0.9
    assert cover[rim].std() > 0.1


def test_the_same_shape_has_the_same_strands_another_has_others():
    cover, _ = draw(BACK)
    np.testing.assert_array_equal(draw_hair(outline(False), BACK, 3)[0], cover)
    assert np.abs(draw(BACK, 4)[0] - cover).max() > 0.1


def test_hair_differs_left_and_right_and_is_fuller_where_it_is_combed_to():
    for style in (SWEPT, STRAIGHT):
        cover, light = draw(style)
        both = (cover > 0.9) & (cover[:, ::-1] > 0.9)
        assert np.abs(light - light[:, ::-1])[both].mean() > 0.05
    cover, _ = draw(SWEPT)  # parted on the right
    above = cover * (LOW < 0.3)
    assert above[:, : SIZE // 2].sum() > 1.03 * above[:, SIZE // 2 :].sum()


def test_a_parting_shows_skin():
    cover, _ = draw(STRAIGHT)
    row = int(np.argmax(LOW[:, 0] > 0.19))
    place = 56 + round(STRAIGHT.parting / 2)
    assert cover[row, place - 4 : place + 5].min() < 0.88
    assert cover[row, 56 - 14 : 56 - 5].min() > 0.9


def test_hair_shines_across_the_head_more_than_at_its_sides():
    _, light = draw(BACK)
    edge = mirror(outline(False))
    top, side = (edge > 4) & (ACROSS < 0.1), (edge > 4) & (LOW > 0.36)
    assert np.percentile(light[top], 90) > 1.15 * np.percentile(light[side], 90)


def test_the_hairline_is_softer_than_the_outline():
    middle = draw(BACK)[0][:, 48:64].mean(1)
    steps = np.abs(np.diff(middle))
    crown = int(np.argmax(middle > 0.5))
    assert steps[: crown + 4].max() > 1.25 * steps[crown + 8 :].max()


def test_hair_casts_a_shadow_on_the_face_and_none_on_the_ground():
    edge = mirror(outline(long=True))
    cover, light = draw(STRAIGHT)
    shadow = np.clip(cover * (1 - light), 0, 1)
    face = (ACROSS < 0.2) & (edge < -1.5) & (edge > -5) & (LOW > 0.3) & (LOW < 0.4)
    ground = (ACROSS > 0.3) & (edge < -9) & (LOW < 0.4)
    assert shadow[face].mean() > 0.02
    assert shadow[ground].max() < 0.01


def test_short_hair_leaves_the_ears_free_and_long_hair_hangs_in_ends_of_their_own():
    short, long = draw(BACK)[0], draw(STRAIGHT)[0]
    assert short[DOWN > 0.55].max() < 0.05
    beside = (ACROSS > 0.23) & (ACROSS < 0.28)
    assert long[beside & (LOW > 0.65) & (LOW < 0.75)].mean() > 0.85
    thinner = [long[beside & (np.abs(LOW - low) < 0.02)].mean() for low in (0.75, 0.92, 0.985)]
    assert thinner[0] > thinner[1] > thinner[2]
    assert thinner[2] < 0.3


def test_where_there_is_no_hair_none_is_drawn():
    for style in (BACK, STRAIGHT):
        cover, light = draw_hair(np.full((SIZE, SIZE // 2), -30.0), style, 1)
        assert cover.max() < 0.01
        assert np.isfinite(light).all()


@pytest.mark.parametrize("style", [BACK, CROP, CURLY])
def test_short_hair_narrows_towards_the_ears_and_leaves_what_lies_before_them_free(style):
    cover, _ = draw(style)
    above, near = ((cover[np.abs(LOW - low) < 0.005] > 0.15).sum() for low in (0.36, 0.44))
    assert 0 < near < 0.8 * above
    assert cover[LOW > 0.5].max() < 0.05


def test_stubble_shows_the_scalp_and_lies_close_to_the_head():
    stubble, cropped = draw(BUZZ)[0], draw(CROP)[0]
    deep = mirror(outline(False)) > 12
    assert 0.3 < stubble[deep & (LOW < 0.25)].mean() < 0.95
    above = LOW < 0.3
    assert (stubble > 0.3)[above].sum() < 0.8 * (cropped > 0.3)[above].sum()


def test_a_bald_crown_has_a_ring_of_hair_above_the_ears():
    front, behind, _ = layers(RING)
    above = (LOW < 0.24) & (ACROSS < 0.3)
    beside = (LOW > 0.38) & (LOW < 0.42) & (ACROSS > 0.23) & (ACROSS < 0.25)
    assert max(front[above].max(), behind[above].max()) < 0.05
    assert front[beside].mean() > 0.5


def test_sides_of_cropped_hair_fade_towards_the_ears():
    cover, _ = draw(CROP)
    beside = (ACROSS > 0.225) & (ACROSS < 0.245)
    high, middle, low = (
        cover[beside & (np.abs(LOW - at) < 0.01)].mean() for at in (0.3, 0.36, 0.42)
    )
    assert high > 0.8
    assert high > middle + 0.15 > low + 0.3


def test_hair_tucked_behind_an_ear_leaves_it_free_and_goes_on_behind_it():
    left = np.arange(SIZE) < SIZE // 2
    ear = (ACROSS > 0.24) & (ACROSS < 0.28) & (LOW > 0.48) & (LOW < 0.7)
    shoulder = (ACROSS > 0.22) & (ACROSS < 0.28) & (LOW > 0.80) & (LOW < 0.84)
    loose, both, right = (layers(style) for style in (STRAIGHT, TUCKED, ONE_SIDE))
    assert loose[0][ear].mean() > 0.9
    assert both[0][ear].max() < 0.05
    assert right[0][ear & ~left].max() < 0.05
    assert right[0][ear & left].mean() > 0.8
    for front, behind, _ in (both, right):
        assert behind[ear & ~left].mean() > 0.7
        assert front[shoulder & ~left].max() > 0.5
    # One tone that darkens gradually: no step between neighbouring rows.
    light = both[2][:, np.abs(ACROSS[0] - 0.26) < 0.015].mean(1)
    rows = (LOW[:, 0] > 0.42) & (LOW[:, 0] < 0.84)
    assert np.abs(np.diff(light[rows])).max() < 0.15


def test_wavy_hair_shines_in_bands():
    beside = (ACROSS > 0.22) & (ACROSS < 0.27)
    rows = (LOW[:, 0] > 0.45) & (LOW[:, 0] < 0.8)
    bands = []
    for style in (STRAIGHT, WAVY):
        cover, light = draw(style)
        left, right = (
            (light * cover * beside)[:, half].sum(1)[rows] / beside[:, half].sum(1)[rows]
            for half in (np.s_[: SIZE // 2], np.s_[SIZE // 2 :])
        )
        bands.append(np.mean([np.std(np.diff(side)) for side in (left, right)]))
    assert bands[1] > 1.3 * bands[0]


def test_a_bun_lies_behind_the_crown_and_nothing_hangs_behind_the_neck():
    bun, bun_behind, _ = layers(BUN)
    _, tied_behind, _ = layers(TIED)
    crown = LOW[int(np.argmax((bun > 0.5).any(1))), 0]
    over = crown - LOW
    above = (ACROSS < 0.03) & (over > 0.01) & (over < 0.03)
    assert bun_behind[above].mean() > 0.8
    assert tied_behind[above].max() < 0.05
    assert bun[above].max() < 0.2
    assert bun_behind[LOW > 0.6].max() < 0.01


def test_a_tail_comes_from_behind_the_jaw_over_one_shoulder():
    front, behind, _ = layers(TIED)  # combed to the left
    jaw = (ACROSS < 0.19) & (LOW > 0.55) & (LOW < 0.72)
    beside = (ACROSS > 0.20) & (ACROSS < 0.26) & (LOW > 0.82) & (LOW < 0.90)
    left = np.arange(SIZE) < SIZE // 2
    assert front[jaw].max() < 0.05
    assert behind[jaw & left].max() > 0.9
    assert front[beside & left].mean() > 0.7
    assert front[beside & ~left].max() < 0.05


def test_a_fringe_lies_over_the_foreheads_sides_and_off_the_brows_and_eyes():
    for style in (FRINGE, CURTAIN):
        plain, fringed = (draw(replace(style, fringe=f))[0] for f in ((0.0, 0.0), style.fringe))
        forehead = (ACROSS < 0.18) & (LOW > 0.25) & (LOW < 0.34)
        assert (fringed - plain)[forehead].sum() > 20
        eyes = (ACROSS < 0.14) & (LOW > 0.36) & (LOW < 0.5)
        assert fringed[eyes].mean() < plain[eyes].mean() + 0.02
        assert np.percentile((fringed - plain)[eyes], 99) < 0.2


def test_dark_hair_behind_the_scalp_keeps_within_the_hair_before_it():
    front, behind, light = layers(BUZZ)
    ground = np.hypot(ACROSS / 0.30, np.minimum(LOW - 0.45, 0) / 0.38) > 1
    assert behind[ground].max() < 0.05
    assert behind[front > 0.5].mean() > 0.8
    assert behind[LOW > 0.5].max() < 0.01
    assert np.isfinite(light).all()
