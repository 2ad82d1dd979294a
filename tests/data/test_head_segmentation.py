"""Heads on white ground: hair, skin, collars and ground are told apart; typical hair is found."""

import cv2
import numpy as np
import pytest

from helpers.synthetic_pairs import make_face_shape
from speech2face.data.decoder_data import frame, picture_grid
from speech2face.data.hair_outlines import close_outline, wear
from speech2face.data.hair_prototypes import A_WAY, CHROMA, LEAST_ALIKE, find_colours, find_shapes
from speech2face.data.hair_removal import uncover_skin
from speech2face.data.hair_styles import RECEDING, SWEPT, TIED
from speech2face.data.head_segmentation import (
    Heads,
    blur_half,
    separate_heads,
    signed_distance,
    smooth_step,
    spread,
)

SIZE = 112
SHAPE = frame(make_face_shape())
SKIN, DARK, FAIR, COLLAR = (205, 160, 135), (50, 35, 28), (190, 150, 90), (70, 70, 75)


def at(x: float, y: float) -> tuple[int, int]:
    """A point of the canvas, in pixels of the drawn picture."""
    x, y = frame(np.array([x, y])) * SIZE
    return round(x), round(y)


def place(x: float, y: float) -> tuple[int, int]:
    """Row and column of a point of the canvas, in the drawn picture's left half."""
    column, row = at(x, y)
    return row, min(column, SIZE // 2 - 1)


def paint(colour=DARK, long=False, collar=True, bald=False, skin=SKIN) -> np.ndarray:
    """A head (S, S, 3): neck, collar, hair, ears, face."""
    picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
    unit = np.array(at(1, 1)) - at(0, 0)

    def ellipse(x, y, wide, high, tone):
        axes = tuple(int(v) for v in np.round(unit * [wide, high]))
        cv2.ellipse(picture, at(x, y), axes, 0, 0, 360, tone, -1)

    if collar:
        ellipse(0.5, 1.12, 0.36, 0.22, COLLAR)
    cv2.rectangle(picture, at(0.38, 0.7), at(0.62, 1.2), skin, -1)
    if not bald:
        ellipse(0.5, 0.40, 0.34, 0.32, colour)
        if long:
            cv2.rectangle(picture, at(0.16, 0.40), at(0.84, 1.2), colour, -1)
            cv2.rectangle(picture, at(0.38, 0.7), at(0.62, 1.2), skin, -1)
        else:
            cv2.rectangle(picture, at(0.10, 0.46), at(0.90, 0.80), (255, 255, 255), -1)
    ellipse(0.5, 0.54, 0.235, 0.315, skin)
    return picture


def alpha(heads: Heads, x: float, y: float, what: str = "hair") -> float:
    return float(getattr(heads, what)[0][place(x, y)])


def separate(*pictures: np.ndarray) -> Heads:
    return separate_heads(np.stack(pictures), SHAPE)


@pytest.mark.parametrize("colour", [DARK, FAIR], ids=["dark", "fair"])
def test_hair_skin_collar_and_ground_are_told_apart(colour):
    heads = separate(paint(colour, long=True))
    assert alpha(heads, 0.5, 0.13) > 0.9  # above the forehead
    assert alpha(heads, 0.2, 0.6) > 0.9  # beside the face
    assert alpha(heads, 0.45, 0.6) == 0  # the nose
    assert alpha(heads, 0.05, 0.05) == 0  # ground
    assert alpha(heads, 0.05, 0.05, "cover") == 0
    assert alpha(heads, 0.45, 0.6, "cover") > 0.7
    np.testing.assert_allclose(heads.skin[0] * 255, SKIN, atol=3)


def test_a_collar_is_no_hair_below_a_haircut():
    heads = separate(paint(DARK, collar=True))
    assert alpha(heads, 0.5, 0.13) > 0.9
    below = heads.hair[0][place(0.5, 0.6)[0] :]
    assert below.max() < 0.5


def test_the_bald_have_no_hair():
    heads = separate(paint(bald=True))
    assert heads.hair.max() < 0.1


def test_what_is_left_and_what_is_right_share_one_half():
    lopsided = paint()
    lopsided[:, SIZE // 2 :] = 255
    heads = separate(lopsided)
    wanted = (np.array(SKIN) + 255) / 2 / 255
    np.testing.assert_allclose(heads.colours[0][place(0.45, 0.6)], wanted, atol=0.01)


# Typical hair ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd() -> Heads:
    """Twenty short and dark, twenty long and fair, five bald."""
    rng = np.random.default_rng(0)
    short = [paint(tuple(int(c) for c in rng.integers(-5, 6, 3) + DARK)) for _ in range(20)]
    long = [paint(FAIR, long=True) for _ in range(20)]
    return separate(*short, *long, *[paint(bald=True)] * 5)


def test_shapes_are_what_many_wear(crowd):
    shapes = find_shapes(crowd)
    assert len(shapes.front) == 3
    assert (shapes.worn[40:] == 0).all()
    short, long = shapes.worn[0], shapes.worn[20]
    assert {short, long} == {1, 2}
    assert (shapes.worn[:20] == short).all()
    assert (shapes.worn[20:40] == long).all()
    assert (shapes.front[0] == 0).all()
    behind = place(0.5, 0.8)  # the neck
    shoulders = np.s_[round(0.8 * SIZE) :]
    assert shapes.front[long][shoulders].max() > 0.7
    assert shapes.front[short][shoulders].max() < 0.1
    assert shapes.back[long][behind] > 0.3
    assert shapes.back[short][round(0.6 * SIZE) :].max() < 0.01  # only behind the scalp
    assert shapes.groups.tolist() == [0, *[1 + (k == long) for k in (1, 2)]]
    for shape in (short, long):
        within = shapes.front[shape] > 0.99
        assert 0.8 < shapes.light[shape][within].mean() < 1.15
        assert shapes.light[shape][within].std() > 0.01


def test_an_outline_that_many_wear_is_worn_in_two_ways_the_older_one_by_the_greyer():
    each = A_WAY[0]
    heads = separate(*[paint(DARK)] * each, *[paint((112, 112, 112))] * (each + 1))
    shapes = find_shapes(heads)
    assert shapes.groups.tolist() == [0, 1, 1]
    assert np.bincount(shapes.worn).tolist() == [0, each + 1, each]
    assert np.abs(shapes.front[1] - shapes.front[2]).max() > 0.5
    grey = [np.mean(shapes.worn[each:] == shape) for shape in (1, 2)]
    older = int(RECEDING.age < SWEPT.age)  # these two are drawn
    assert grey[older] > 0.6 > 0.4 > grey[1 - older]


def test_colours_are_what_many_have(crowd):
    colours = find_colours(crowd, find_shapes(crowd))
    assert len(colours.colours) == 2
    for colour, wanted in zip(colours.colours, (DARK, FAIR), strict=True):
        found, own = (
            cv2.cvtColor(np.float32(c).reshape(1, 1, 3), cv2.COLOR_RGB2LAB).ravel()
            for c in (colour, np.array(wanted) / 255)
        )
        np.testing.assert_allclose(found, own * [1, CHROMA[1], CHROMA[1]], atol=3)
    assert colours.groups[0] == 0
    assert colours.groups[1] == 2
    assert colours.worn.tolist() == [0] * 20 + [1] * 20 + [-1] * 5


def test_what_few_wear_is_nobodys_shape():
    few = LEAST_ALIKE - 5
    heads = separate(*[paint(DARK)] * 20, *[paint(FAIR, long=True)] * few)
    shapes = find_shapes(heads)
    counts = np.bincount(shapes.worn, minlength=len(shapes.front))
    assert (counts[1:] >= LEAST_ALIKE).all()
    colours = find_colours(heads, shapes)
    assert (np.bincount(colours.worn[colours.worn >= 0]) >= LEAST_ALIKE).all()


def test_without_any_hair_there_is_none_to_choose():
    heads = separate(*[paint(bald=True)] * 4)
    shapes = find_shapes(heads)
    assert shapes.front.shape == (1, SIZE, SIZE)
    colours = find_colours(heads, shapes)
    assert colours.colours.shape == (1, 3)
    assert (colours.worn == -1).all()


def test_hair_that_the_picture_cuts_off_is_closed():
    line = np.ones((SIZE, SIZE // 2), bool)
    line[at(0, 0.4)[1] :] = False
    line[:, : at(0.2, 0)[0]] = False  # a block up to the upper end of the picture
    edge = close_outline(signed_distance(line))
    assert (edge[0] < 0).all()
    assert edge[at(0, 0.2)[1], -1] > 0
    top = np.argmax(edge > 0, axis=0)[at(0.25, 0)[0] :]
    assert (np.diff(top) <= 0).all()  # rising towards the middle


# Skin --------------------------------------------------------------------------------------------


def test_hair_drawn_back_rises_from_the_ears_to_the_temples():
    across, low = picture_grid(224)
    edge, _ = wear(np.full(across.shape, 60.0), TIED)
    columns = [int(np.argmin(np.abs(across[0] - a))) for a in (0.26, 0.24, 0.22, 0.1, 0.0)]
    ends = [low[edge[:, x] > 0, x].max() for x in columns]
    assert np.diff(ends[:3]).max() < -0.015
    assert ends[3] == ends[4]
    assert 0.45 < ends[0] < 0.50


def test_skin_goes_on_below_hair_and_the_neck_has_the_tone_of_the_face():
    pale, brown = SKIN, (120, 80, 60)
    heads = separate(
        *[paint(bald=True)] * 6, *[paint(DARK, long=True, skin=tone) for tone in (pale, brown)]
    )
    skin = uncover_skin(heads, SHAPE, 0.0)
    for spot in (place(0.5, 0.22), place(0.5, 0.98)):  # under the hair of the last two; the neck
        fair, dark = skin.colours[6][spot], skin.colours[7][spot]
        np.testing.assert_allclose(fair / dark, np.array(pale) / brown, rtol=0.25)
    assert skin.cover[place(0.45, 0.6)] > 0.95
    assert skin.cover[place(0.45, 0.9)] > 0.5
    assert skin.cover[: SIZE * 7 // 8, 0].max() < 0.05  # above the shoulders
    assert skin.cover[place(0.25, 0.99)] > 0.9  # a shoulder
    flat = uncover_skin(heads, SHAPE, 1.7).colours
    assert np.abs(flat - skin.colours).max() > 0.05  # sharpening brings out edges


# Planes ------------------------------------------------------------------------------------------


def test_distances_are_positive_within_and_in_pixels_of_224():
    line = (np.arange(SIZE) + 0.5) / SIZE
    disc = np.hypot(line[: SIZE // 2] - 0.5, line[:, None] - 0.5) < 0.1
    far = signed_distance(disc)
    assert far[SIZE // 2, SIZE // 2 - 1] == pytest.approx(0.1 * 224, abs=3)
    assert far[SIZE // 2, round(0.35 * SIZE)] == pytest.approx(-0.05 * 224, abs=2)
    assert far.min() == -30
    assert (signed_distance(np.zeros_like(disc)) == -30).all()


def test_what_is_spread_keeps_what_is_sure():
    rng = np.random.default_rng(0)
    colours = rng.random((SIZE, SIZE // 2, 3)).astype(np.float32)
    sure = np.zeros((SIZE, SIZE // 2), np.float32)
    sure[40:60, 20:40] = 1
    colours[sure > 0] = [0.2, 0.4, 0.6]
    np.testing.assert_allclose(
        spread(colours, sure), np.broadcast_to([0.2, 0.4, 0.6], colours.shape), atol=1e-3
    )


def test_a_half_is_blurred_as_the_whole_is():
    rng = np.random.default_rng(0)
    half = rng.random((SIZE, SIZE // 2)).astype(np.float32)
    whole = cv2.GaussianBlur(
        np.hstack([half, half[:, ::-1]]), (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE
    )
    np.testing.assert_allclose(blur_half(half, 4.0), whole[:, : SIZE // 2], atol=1e-5)


def test_a_smooth_step_is_smooth_and_bounded():
    steps = smooth_step(np.linspace(-1, 2, 301))
    assert steps.min() == 0
    assert steps.max() == 1
    assert (np.diff(steps) >= 0).all()
    assert np.diff(steps).max() < 0.016
