"""The drawn neck: a column that goes over into shoulders, in the shadow of the jaw."""

import numpy as np
import pytest

from helpers.synthetic_pairs import make_face_shape
from speech2face.data.decoder_data import frame, picture_grid
from speech2face.data.face_unwarping import oval_mask
from speech2face.data.head_segmentation import signed_distance
from speech2face.data.neck import HALF_WIDTH, model_neck

SIZE = 224


def make_oval(lower: float = 0.0) -> np.ndarray:
    shape = frame(make_face_shape()) + np.array([0, lower])
    return signed_distance(oval_mask(shape, SIZE, 1.0)[:, : SIZE // 2])


@pytest.fixture(scope="module")
def neck() -> tuple[np.ndarray, np.ndarray]:
    return model_neck(make_oval())


def test_shoulders_slope_out_of_the_neck(neck):
    across, low = picture_grid(SIZE)
    widths = [across[row][neck[0][row] > 0].max() for row in range(180, 222, 2)]
    assert widths[3:] == sorted(widths[3:])
    assert min(widths) == pytest.approx(HALF_WIDTH, abs=0.02)
    assert widths[-1] > 0.3
    tops = [low[:, column][neck[0][:, column] > 0].min() for column in range(40, 75, 5)]
    assert tops == sorted(tops, reverse=True)  # from the outside in, higher and higher


def test_the_jaw_casts_a_shadow_that_moves_with_it(neck):
    _, colour = neck
    middle = colour[:, -20].mean(1)
    jaw = int(np.flatnonzero(make_oval()[:, -20] > 0).max()) + 1
    assert middle[jaw + 1] < 0.75
    assert middle[jaw + 1] < middle[jaw + 20] - 0.1
    lower = model_neck(make_oval(0.03))[1][:, -20].mean(1)
    assert lower[jaw + 12] < middle[jaw + 12] - 0.05


def test_shade_is_redder_than_light(neck):
    _, colour = neck
    dark = np.unravel_index(colour[:, :, 1].argmin(), colour.shape[:2])
    red, green, blue = colour[dark]
    assert red > green > blue


def test_muscles_run_down_to_the_breastbone_and_no_light_is_odd(neck):
    _, colour = neck
    row = round(0.93 * SIZE)
    across = picture_grid(SIZE)[0][row]
    light = colour[row].mean(1)
    muscle, hollow = (light[np.argmin(np.abs(across - place))] for place in (0.060, 0.036))
    assert muscle > hollow + 0.04
    assert (colour > 0.2).all()
    assert (colour < 1.2).all()
