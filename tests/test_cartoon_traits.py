"""What is read off faces that the tests draw themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.drawn_person import BLACK, BLOND, DARK, LIGHT, WHITE, Person
from speech2face.cartoon_traits import BROWS, EYES, LIPS, NOSE, RISE, FaceTraits, read_face

MIDDLE = (176, 124, 96)


def read(person: Person) -> FaceTraits:
    return read_face(np.asarray(person.picture(), np.float64), person.landmarks())


def test_where_the_landmarks_lie():
    from speech2face.data.face_unwarping import LANDMARKS

    chin, corners = 9, [LIPS.start, LIPS.start + 6]
    firsts = [part.start for part in (*EYES, *BROWS, NOSE)]
    of_mesh = [LANDMARKS[i] for i in (chin, *corners, *firsts)]
    assert of_mesh == [152, 61, 291, 33, 263, 70, 300, 168]
    assert LIPS.stop == len(LANDMARKS)


@pytest.mark.parametrize("skin", [LIGHT, MIDDLE, DARK])
@pytest.mark.parametrize("hair", [BLACK, BLOND, WHITE])
@pytest.mark.parametrize("long", [False, True])
def test_hair_is_told_from_skin(skin: tuple[int, int, int], hair: tuple[int, int, int], long: bool):
    person = Person(skin=skin, hair=hair, long_hair=long)
    face = read(person)
    assert face.hair is not None
    assert face.hair.short is not long
    straight_up = RISE.argmax()
    hairline = face.centre[1] - face.hair.line[straight_up]
    assert hairline == pytest.approx(person.landmarks()[0, 1], abs=0.03)
    assert face.centre[1] - face.hair.edge[straight_up] == pytest.approx(0.08, abs=0.03)
    np.testing.assert_allclose(face.hair.colour, hair, atol=25)


@pytest.mark.parametrize("skin", [LIGHT, MIDDLE, DARK])
def test_a_scalp_of_skin_is_bald(skin: tuple[int, int, int]):
    darker = Person(skin=skin, hair=(int(0.9 * skin[0]), int(0.9 * skin[1]), int(0.9 * skin[2])))
    assert read(darker).hair is None


def test_left_and_right_hair_are_alike():
    hair = read(Person(long_hair=True)).hair
    assert hair is not None
    for radii in (hair.line, hair.edge):
        np.testing.assert_allclose(radii[:91], radii[90::-1], atol=1e-9)


@pytest.mark.parametrize("skin", [LIGHT, MIDDLE, DARK])
def test_a_beard(skin: tuple[int, int, int]):
    shaven = Person(skin=skin)
    assert max(read(shaven).beard) == 0
    assert min(read(replace(shaven, bearded=True)).beard) > 0.8


@pytest.mark.parametrize("skin", [LIGHT, MIDDLE, DARK])
def test_folds_beside_the_mouth(skin: tuple[int, int, int]):
    depths = [read(Person(skin=skin, folds=depth)).lines for depth in (0, 0.15, 0.5)]
    assert depths[0] == 0
    assert depths[1] <= depths[2]
    assert depths[2] > 0.5


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_picture_of_nothing_is_read_all_the_same(grey: int):
    face = read_face(np.full((64, 64, 3), float(grey)), Person().landmarks())
    assert face.hair is None
    np.testing.assert_allclose(face.skin, grey, atol=1)
