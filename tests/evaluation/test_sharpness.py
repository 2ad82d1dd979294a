"""Sharpness: known patterns, and skin and hair told apart."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from helpers.drawn_faces import draw_faces
from speech2face.evaluation.sharpness import CROP, find_skin_and_hair, measure_sharpness
from speech2face.face_detection import FaceDetector
from speech2face.face_encoders import TEMPLATES

ON_TEMPLATE = TEMPLATES["arcface"] * CROP
HAIRLINE = 18  # rows of a capped face


def wear_cap(skin: int, hair: int) -> np.ndarray:
    """A face of one colour, its forehead's top under hair of another."""
    face = np.full((CROP, CROP, 3), skin, np.uint8)
    face[:HAIRLINE] = hair
    return face


def stripe(face: np.ndarray, rows: slice, change: int) -> np.ndarray:
    """Every second column of those rows is brighter: of the Laplacian, ± twice the change."""
    striped = face.copy()
    striped[rows, ::2] += np.uint8(change)
    return striped


def test_sharpness_of_plain_and_striped_pictures():
    plain = np.full((CROP, CROP, 3), 90, np.uint8)
    face, skin, hair = measure_sharpness(plain, ON_TEMPLATE)
    assert face == skin == 0
    assert np.isnan(hair)  # all is of the skin's colour
    striped = stripe(plain, slice(None), 100)
    assert measure_sharpness(striped, ON_TEMPLATE)[0] == pytest.approx(200**2)


@pytest.mark.parametrize(("skin", "hair"), [(200, 30), (80, 10), (120, 220)])
def test_what_is_sharp_in_hair_is_not_so_in_skin(skin, hair):
    capped = wear_cap(skin, hair)
    _, calm, smooth = measure_sharpness(capped, ON_TEMPLATE)
    assert calm == smooth == 0  # the hairline belongs to neither
    hairy = stripe(capped, slice(HAIRLINE), 8)
    _, calm, strands = measure_sharpness(hairy, ON_TEMPLATE)
    assert calm == 0
    assert strands == pytest.approx(16**2, rel=0.02)
    rough = stripe(capped, slice(HAIRLINE + 2, None), 8)
    _, pores, smooth = measure_sharpness(rough, ON_TEMPLATE)
    assert pores == pytest.approx(16**2, rel=0.02)
    assert smooth < 1


def test_hair_lies_around_the_forehead_and_not_on_the_eyes_or_beyond_the_picture():
    _, hair = find_skin_and_hair(wear_cap(200, 30))
    rows, columns = np.nonzero(hair)
    assert rows.max() < HAIRLINE
    assert abs(columns.mean() - (CROP - 1) / 2) < 1
    masked = wear_cap(200, 200)
    masked[45:60, 25:87] = 20  # dark glasses
    assert not find_skin_and_hair(masked)[1].any()
    cut = wear_cap(200, 30)[HAIRLINE - 3 :]  # a picture that ends above the forehead
    assert np.isnan(measure_sharpness(cut, ON_TEMPLATE - [0, HAIRLINE - 3])[2])


def test_a_blurred_face_is_less_sharp_and_its_place_does_not_matter():
    picture = Image.fromarray(draw_faces(1)[0])
    (face,) = FaceDetector().detect(np.asarray(picture))
    sharp = measure_sharpness(np.asarray(picture), face.landmarks)
    blurred = picture.filter(ImageFilter.GaussianBlur(3))
    assert measure_sharpness(np.asarray(blurred), face.landmarks)[0] < 0.7 * sharp[0]
    moved = np.pad(np.asarray(picture), ((40, 0), (7, 0), (0, 0)), mode="edge")
    again = measure_sharpness(moved, face.landmarks + np.array([7, 40]))
    np.testing.assert_allclose(again[:2], sharp[:2], rtol=0.02)
