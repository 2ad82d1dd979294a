"""Cartoons of faces that the tests draw themselves, with landmarks where they drew them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from speech2face import cartoon, face_traits
from speech2face.cartoon import draw_cartoon

SIZE = 224
LIGHT, DARK = (226, 178, 150), (112, 70, 50)
BLACK, BLOND = (40, 32, 28), (205, 165, 95)


@dataclass(frozen=True)
class Person:
    """A face to draw: lengths in fractions of the picture, colours RGB."""

    skin: tuple[int, int, int] = LIGHT
    hair: tuple[int, int, int] = BLACK
    half_width: float = 0.26
    long_hair: bool = False
    bearded: bool = False

    def landmarks(self) -> np.ndarray:
        """(66, 2) in the order of speech2face.data.textures.LANDMARKS."""
        turn = np.radians(np.arange(-90, 270, 20))
        oval = np.stack([0.5 + self.half_width * np.cos(turn), 0.58 + 0.31 * np.sin(turn)], 1)
        eye = [(-5, 0), (-3, 1), (0, 1.5), (3, 1), (5, 0), (3, -1), (0, -1.5), (-3, -1)]
        brow = [(-7, -4), (-4, -6), (-1, -7), (3, -7), (6, -6)]
        nose = [(50, y) for y in (44, 47, 50, 53, 59, 63.5)]
        nose += [(44, 63), (56, 63), (42, 60), (58, 60)]
        lips = [(40, 72), (42, 74), (47, 76), (50, 76), (53, 76), (58, 74), (60, 72)]
        lips += [(42, 71), (47, 69), (50, 70), (53, 69), (58, 71)]
        sides = [np.array(part) * [sign, 1] for part in (eye, brow) for sign in (1, -1)]
        places = [(50 + sign * 12, 46) for sign in (-1, 1)] * 2
        features = [*(side + place for side, place in zip(sides, places, strict=True)), nose, lips]
        return np.concatenate([oval, np.concatenate(features) / 100])

    def picture(self) -> Image.Image:
        """Drawn without outlines and a little blurred, as the model draws."""
        marks = self.landmarks() * SIZE
        sheet = Image.new("RGB", (SIZE, SIZE), "white")
        pen = ImageDraw.Draw(sheet)

        def ellipse(left: float, top: float, right: float, bottom: float, colour: object) -> None:
            pen.ellipse([SIZE * at for at in (left, top, right, bottom)], fill=colour)

        side = self.half_width
        ellipse(0.1, 0.85, 0.9, 1.4, (90, 100, 130))
        ellipse(0.48 - side, 0.08, 0.52 + side, 0.8, self.hair)
        if self.long_hair:
            pen.rectangle([SIZE * at for at in (0.36 - side, 0.4, 0.64 + side, 1)], fill=self.hair)
        pen.polygon([tuple(p) for p in marks[:18]], fill=self.skin)
        if self.bearded:
            pen.polygon([tuple(p) for p in marks[5:14]], fill=self.hair)
            ellipse(0.38, 0.64, 0.62, 0.8, self.hair)
        for part, colour in (
            (slice(18, 26), (60, 40, 30)),
            (slice(26, 34), (60, 40, 30)),
            (slice(54, 66), (170, 80, 80)),
        ):
            middle = marks[part].mean(0)
            turn = (marks[part] - middle) @ [1, 1j]
            outline = marks[part][np.angle(turn).argsort()]
            pen.polygon([tuple(p) for p in outline], fill=colour)
        for part in (slice(34, 39), slice(39, 44)):
            pen.line([(x, y + 4) for x, y in marks[part]], fill=self.hair, width=8)
        return sheet.filter(ImageFilter.GaussianBlur(1.5))

    def cartoon(self, size: int | None = None) -> np.ndarray:
        return np.asarray(draw_cartoon(self.picture(), self.landmarks(), size)).astype(int)


def nearly(pixels: np.ndarray, colour: tuple[int, int, int], within: float = 30) -> np.ndarray:
    """Which pixels (...) are of a colour, give or take."""
    return np.sqrt(((pixels - np.array(colour)) ** 2).sum(-1)) < within


def crown(pixels: np.ndarray) -> np.ndarray:
    """The colour (3,) in the middle of the hair over the forehead."""
    column = pixels[:, pixels.shape[1] // 2]
    top = int((column.min(1) < 200).argmax())
    return column[top + len(column) // 30]


def test_where_the_landmarks_lie():
    from speech2face.data.textures import LANDMARKS

    chin, corners = 9, [face_traits.LIPS.start, face_traits.LIPS.start + 6]
    firsts = [part.start for part in (*face_traits.EYES, *face_traits.BROWS, face_traits.NOSE)]
    of_mesh = [LANDMARKS[i] for i in (chin, *corners, *firsts)]
    assert of_mesh == [152, 61, 291, 33, 263, 70, 300, 168]
    assert face_traits.LIPS.stop == len(LANDMARKS)


@pytest.mark.parametrize("size", [None, 64, 300])
def test_size_and_mode(size: int | None):
    person = Person()
    image = draw_cartoon(person.picture(), person.landmarks(), size)
    assert image.mode == "RGB"
    assert image.size == ((size or SIZE),) * 2


def test_the_same_picture_gives_the_same_cartoon():
    assert np.array_equal(Person().cartoon(), Person().cartoon())


@pytest.mark.parametrize("person", [Person(), Person(long_hair=True), Person(bearded=True)])
def test_few_flat_colours(person: Person):
    pixels = person.cartoon().reshape(-1, 3)
    counts = np.unique(pixels, axis=0, return_counts=True)[1]
    assert np.sort(counts)[-16:].sum() > 0.8 * len(pixels)


@pytest.mark.parametrize("skin", [LIGHT, DARK, (176, 124, 96)])
def test_skin_keeps_its_colour(skin: tuple[int, int, int]):
    pixels = Person(skin=skin, hair=(90, 90, 92)).cartoon()
    assert nearly(pixels, skin, within=20).mean() > 0.1


def test_the_ground_stays_white():
    pixels = Person().cartoon()
    assert (pixels[:8] == 255).all()
    assert (pixels[: SIZE // 2, [0, 8, -9, -1]] == 255).all()


def test_a_wider_face_gives_a_wider_cartoon():
    def width(person: Person) -> int:
        mouth = person.cartoon()[int(0.6 * SIZE) : int(0.7 * SIZE)]
        return int(nearly(mouth, person.skin, within=45).any(0).sum())

    assert width(Person(half_width=0.3)) > width(Person(half_width=0.22)) + 20


@pytest.mark.parametrize("hair", [BLACK, BLOND, (150, 150, 150)])
def test_hair_keeps_its_colour(hair: tuple[int, int, int]):
    assert nearly(crown(Person(hair=hair).cartoon()), hair, within=45)


def test_long_hair_falls_beside_the_neck():
    y, x = int(0.8 * SIZE), int(0.24 * SIZE)
    beside_neck = [Person(long_hair=long).cartoon()[y, x] for long in (False, True)]
    assert (beside_neck[0] == 255).all()
    assert nearly(beside_neck[1], BLACK, within=45)


def test_a_bald_head_is_drawn_without_hair():
    assert nearly(crown(Person(hair=LIGHT).cartoon()), LIGHT, within=40)


def test_a_beard_is_drawn_where_the_chin_is_dark():
    shaven, bearded = (Person(bearded=beard).cartoon() for beard in (False, True))
    y = int(0.76 * SIZE)
    assert nearly(shaven[y, SIZE // 2], LIGHT)
    assert bearded[y, SIZE // 2].sum() < 0.6 * shaven[y, SIZE // 2].sum()


def test_eyes_are_white_with_dark_pupils():
    pixels = Person().cartoon()
    middle = cartoon._ZOOM * 0.46 + cartoon._TOP
    row = pixels[int(middle * SIZE), : SIZE // 2]
    across = row[int(0.33 * SIZE) : int(0.46 * SIZE)]
    assert (across.min(1) > 220).any()
    assert (across.max(1) < 70).any()


@pytest.mark.parametrize("shape", [(65, 2), (66, 3), (468, 2), (132,)])
def test_landmarks_of_another_shape(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="landmarks are"):
        draw_cartoon(Person().picture(), np.zeros(shape))
