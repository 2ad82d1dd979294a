"""Hair of strands: it keeps to its outline, thins out towards the face, ends, and shines."""

import numpy as np
import pytest

from speech2face.data.decoder_data import canvas_grid, picture_grid
from speech2face.data.hair_painting import draw_hair
from speech2face.data.hair_styles import (
    BACK,
    CROP,
    CURLY,
    STRAIGHT,
    TIED,
    TUCKED,
    WAVY,
    Style,
)
from speech2face.data.head_segmentation import signed_distance

SIZE = 112
ACROSS, LOW = picture_grid(SIZE)
_, DOWN = canvas_grid(SIZE)


def outline(long: bool) -> np.ndarray:
    """A ring of hair about a face, down to the ears or to the picture's end."""
    head = np.hypot(ACROSS / 0.30, np.minimum(LOW - 0.45, 0) / 0.38) < 1
    face = np.hypot(ACROSS / 0.22, (LOW - 0.55) / 0.30) < 1
    below = (LOW > 0.6) & (ACROSS < 0.2)
    return signed_distance(head & ~face & ~below & (long | (DOWN < 0.48)))


@pytest.fixture(scope="module", params=[BACK, CURLY, TIED, STRAIGHT, WAVY, TUCKED])
def drawn(request) -> tuple[Style, np.ndarray, np.ndarray, np.ndarray]:
    edge = outline(request.param.long)
    return request.param, edge, *draw_hair(edge, request.param, 3)


def test_hair_keeps_to_its_outline(drawn):
    _, edge, cover, light = drawn
    assert cover.min() >= 0
    assert cover.max() <= 1
    assert cover[edge < -8].max() < 0.1
    assert cover[(edge < -4) & (ACROSS > 0.32)].max() < 0.02
    deep = (edge > 9) & (DOWN < 0.28)
    assert deep.sum() > 50
    assert cover[deep].min() > 0.9
    assert light[cover > 0.9].mean() == pytest.approx(1, abs=0.08)
    assert light.min() >= 0


def test_strands_differ_in_lightness_and_the_outline_is_no_ruled_line(drawn):
    _, edge, cover, light = drawn
    deep = (edge > 5) & (DOWN < 0.4)
    assert light[deep].std() > 0.05
    rim = np.abs(edge) < 1.5
    assert 0.1 < cover[rim].mean() < 0.9
    assert cover[rim].std() > 0.1


def test_the_same_shape_has_the_same_strands_another_has_others(drawn):
    style, edge, cover, _ = drawn
    np.testing.assert_array_equal(draw_hair(edge, style, 3)[0], cover)
    assert np.abs(draw_hair(edge, style, 4)[0] - cover).max() > 0.1


def test_the_hairline_is_softer_than_the_outline():
    edge = outline(long=False)
    cover, _ = draw_hair(edge, BACK, 3)
    middle, steps = cover[:, -8:].mean(1), np.abs(np.diff(cover[:, -8:].mean(1)))
    crown = int(np.argmax(middle > 0.5))
    assert steps[: crown + 4].max() > 1.25 * steps[crown + 8 :].max()


def test_hair_casts_a_shadow_on_the_face_and_none_on_the_ground():
    edge = outline(long=True)
    cover, light = draw_hair(edge, STRAIGHT, 3)
    shadow = np.clip(cover * (1 - light), 0, 1)
    face = (ACROSS < 0.2) & (edge < -1.5) & (edge > -5) & (LOW > 0.3) & (LOW < 0.4)
    ground = (ACROSS > 0.3) & (edge < -3) & (LOW < 0.4)
    assert shadow[face].mean() > 0.02
    assert shadow[ground].max() < 0.01


def test_short_hair_leaves_the_ears_free_and_long_hair_hangs_to_the_end_of_the_picture():
    short, long = (draw_hair(outline(style.long), style, 3)[0] for style in (BACK, STRAIGHT))
    assert short[DOWN > 0.55].max() < 0.05
    beside = (ACROSS > 0.22) & (ACROSS < 0.28)
    assert long[beside & (LOW > 0.75) & (LOW < 0.8)].mean() > 0.9
    assert long[beside & (LOW > 0.95)].mean() > 0.8


def test_where_there_is_no_hair_none_is_drawn():
    cover, light = draw_hair(np.full((SIZE, SIZE // 2), -30.0), BACK, 1)
    assert cover.max() < 0.01
    assert np.isfinite(light).all()


@pytest.mark.parametrize("style", [BACK, CROP, CURLY, TIED])
def test_short_hair_narrows_towards_the_ears_and_leaves_what_lies_before_them_free(style):
    cover, _ = draw_hair(outline(long=False), style, 3)
    above, near = ((cover[np.abs(LOW - low) < 0.005] > 0.5).sum() for low in (0.36, 0.44))
    assert 0 < near < 0.8 * above
    assert cover[LOW > 0.5].max() < 0.05


def test_hair_tucked_behind_the_ears_leaves_them_free():
    edge = outline(long=True)
    tucked, loose = (draw_hair(edge, style, 3)[0] for style in (TUCKED, STRAIGHT))
    ears = (ACROSS > 0.24) & (ACROSS < 0.28) & (LOW > 0.48) & (LOW < 0.7)
    assert loose[ears].min() > 0.9
    assert tucked[ears].max() < 0.05
    np.testing.assert_allclose(tucked[LOW < 0.25], loose[LOW < 0.25], atol=0.02)


def test_the_outline_of_wavy_hair_goes_in_and_out():
    edge, beside = outline(long=True), (LOW[:, 0] > 0.55) & (LOW[:, 0] < 0.95)
    reach = [
        (draw_hair(edge, style, 3)[0] > 0.5).sum(1)[beside].astype(float)
        for style in (STRAIGHT, WAVY)
    ]
    trend = np.polynomial.Polynomial.fit(np.arange(len(reach[0])), reach[0], 2)
    straight, wavy = (np.std(r - trend(np.arange(len(r)))) for r in reach)
    assert wavy > 1.5 * straight
