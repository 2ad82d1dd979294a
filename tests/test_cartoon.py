"""Cartoons of faces that the tests draw themselves, with landmarks where they drew them."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.drawn_person import BLACK, BLOND, DARK, LIGHT, SIZE, Person
from speech2face import cartoon
from speech2face.cartoon import draw_cartoon


def cartoon_of(person: Person, size: int | None = None) -> np.ndarray:
    return np.asarray(draw_cartoon(person.picture(), person.landmarks(), size)).astype(int)


def nearly(pixels: np.ndarray, colour: tuple[int, int, int], within: float = 30) -> np.ndarray:
    """Which pixels (...) are of a colour, give or take."""
    return np.sqrt(((pixels - np.array(colour)) ** 2).sum(-1)) < within


def crown(pixels: np.ndarray) -> np.ndarray:
    """The colour (3,) in the middle of the hair over the forehead."""
    column = pixels[:, pixels.shape[1] // 2]
    top = int((column.min(1) < 200).argmax())
    return column[top + len(column) // 30]


@pytest.mark.parametrize("size", [None, 64, 300])
def test_size_and_mode(size: int | None):
    person = Person()
    image = draw_cartoon(person.picture(), person.landmarks(), size)
    assert image.mode == "RGB"
    assert image.size == ((size or SIZE),) * 2


def test_the_same_picture_gives_the_same_cartoon():
    assert np.array_equal(cartoon_of(Person()), cartoon_of(Person()))


@pytest.mark.parametrize("person", [Person(), Person(long_hair=True), Person(bearded=True)])
def test_few_flat_colours(person: Person):
    pixels = cartoon_of(person).reshape(-1, 3)
    counts = np.unique(pixels, axis=0, return_counts=True)[1]
    assert np.sort(counts)[-16:].sum() > 0.8 * len(pixels)


@pytest.mark.parametrize("skin", [LIGHT, DARK, (176, 124, 96)])
def test_skin_keeps_its_colour(skin: tuple[int, int, int]):
    pixels = cartoon_of(Person(skin=skin, hair=(90, 90, 92)))
    assert nearly(pixels, skin, within=20).mean() > 0.1


def test_the_ground_stays_white():
    pixels = cartoon_of(Person())
    assert (pixels[:8] == 255).all()
    assert (pixels[: SIZE // 2, [0, 8, -9, -1]] == 255).all()


def test_a_wider_face_gives_a_wider_cartoon():
    def width(person: Person) -> int:
        mouth = cartoon_of(person)[int(0.6 * SIZE) : int(0.7 * SIZE)]
        return int(nearly(mouth, person.skin, within=45).any(0).sum())

    assert width(Person(half_width=0.3)) > width(Person(half_width=0.22)) + 20


@pytest.mark.parametrize("hair", [BLACK, BLOND, (150, 150, 150)])
def test_hair_keeps_its_colour(hair: tuple[int, int, int]):
    assert nearly(crown(cartoon_of(Person(hair=hair))), hair, within=45)


def test_long_hair_falls_beside_the_neck():
    y, x = int(0.8 * SIZE), int(0.24 * SIZE)
    beside_neck = [cartoon_of(Person(long_hair=long))[y, x] for long in (False, True)]
    assert (beside_neck[0] == 255).all()
    assert nearly(beside_neck[1], BLACK, within=45)


@pytest.mark.parametrize("skin", [LIGHT, DARK])
def test_the_bust_is_skin_and_ends_at_the_lower_border(skin: tuple[int, int, int]):
    pixels = cartoon_of(Person(skin=skin))
    bust = pixels[int(0.96 * SIZE) :, :]
    assert nearly(bust, skin, within=40)[:, SIZE // 4 : -SIZE // 4].mean() > 0.8
    assert (bust[:, [0, -1]] == 255).all()


def test_ears_show_beside_short_hair_only():
    y = int(SIZE * (cartoon._ZOOM * 0.54 + cartoon._TOP))
    short, long = (cartoon_of(Person(long_hair=long))[y] for long in (False, True))

    def width(row: np.ndarray) -> int:
        return int(nearly(row, LIGHT, within=60).sum())

    assert width(short) > width(long) + 4


def test_the_outline_is_symmetrical():
    pixels = cartoon_of(Person(long_hair=True))
    outline = np.any(pixels < 250, axis=-1)
    assert (outline == outline[:, ::-1]).mean() > 0.99


def test_deep_folds_beside_the_mouth_are_drawn():
    smooth, folded = (cartoon_of(Person(folds=depth)) for depth in (0, 0.5))
    changed = np.argwhere(np.abs(smooth - folded).max(-1) > 15)
    assert len(changed) > 20
    beside_mouth = cartoon._ZOOM * 0.68 + cartoon._TOP
    assert np.abs(changed[:, 0] / SIZE - beside_mouth).min() < 0.02


def test_a_bald_head_is_drawn_without_hair():
    assert nearly(crown(cartoon_of(Person(hair=LIGHT))), LIGHT, within=40)


def test_a_beard_is_drawn_where_the_chin_is_dark():
    shaven, bearded = (cartoon_of(Person(bearded=beard)) for beard in (False, True))
    y = int(0.76 * SIZE)
    assert nearly(shaven[y, SIZE // 2], LIGHT)
    assert bearded[y, SIZE // 2].sum() < 0.6 * shaven[y, SIZE // 2].sum()


def test_eyes_are_white_with_dark_pupils():
    pixels = cartoon_of(Person())
    middle = cartoon._ZOOM * 0.46 + cartoon._TOP
    row = pixels[int(middle * SIZE), : SIZE // 2]
    across = row[int(0.33 * SIZE) : int(0.46 * SIZE)]
    assert (across.min(1) > 220).any()
    assert (across.max(1) < 70).any()


@pytest.mark.parametrize("shape", [(65, 2), (66, 3), (468, 2), (132,)])
def test_landmarks_of_another_shape(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="landmarks are"):
        draw_cartoon(Person().picture(), np.zeros(shape))
