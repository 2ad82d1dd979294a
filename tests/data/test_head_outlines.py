"""What differs in the outlines of heads is read from cropped heads, and moves points outwards."""

import numpy as np
import pytest

from helpers.synthetic_pairs import make_face_shape
from speech2face.data.decoder_data import frame, picture_grid
from speech2face.data.head_outlines import (
    FOLLOWING,
    OUTLINE,
    follow_landmarks,
    lengthen_ears,
    measure_outlines,
)
from speech2face.data.head_segmentation import Heads

SIZE = 112


def make_heads(widths: np.ndarray, hanging: np.ndarray) -> Heads:
    """Elliptical heads of these half widths, some with hair that hangs."""
    across, low = picture_grid(SIZE)
    cover = np.stack([np.hypot(across / w, (low - 0.5) / (w + 0.1)) < 1 for w in widths])
    hair = np.zeros(cover.shape, np.float32)
    hair[hanging] = (across > 0.2) & (low > 0.3)
    blank = np.zeros((len(widths), SIZE, SIZE // 2, 3), np.float32)
    return Heads(blank, blank[:, 0, 0], cover.astype(np.float32), hair, hair)


def test_wider_heads_move_the_outline_outwards_and_hair_that_hangs_is_left_out():
    widths = np.linspace(0.24, 0.32, 40)
    hanging = np.arange(40) % 4 == 0
    found = measure_outlines(make_heads(widths, hanging))
    np.testing.assert_array_equal(found.rows, np.flatnonzero(~hanging))
    assert found.moves.shape == (30, len(OUTLINE), 2)
    np.testing.assert_allclose(found.moves.mean(0), 0, atol=1e-9)
    outwards = np.sign(OUTLINE[:, 0] - 0.5)
    moved = (found.moves[-1] * outwards[:, None])[:, 0]
    neck = OUTLINE[:, 1] > 0.8
    assert (moved[1:][~neck[1:]] > 0).all()
    assert (moved[neck] == 0).all()
    assert found.moves[-1, 0, 1] < 0 < found.moves[0, 0, 1]  # the skull's top, up is less
    side = found.moves[:, np.argmax(OUTLINE[:, 0]), 0]  # an ear
    assert np.ptp(side) == pytest.approx(0.08, abs=0.03)


def test_the_outline_is_symmetric_and_ears_grow_at_both_ends():
    mirrored = {(round(1 - x, 6), round(y, 6)) for x, y in OUTLINE}
    assert mirrored == {(round(x, 6), round(y, 6)) for x, y in OUTLINE}
    longer = lengthen_ears()
    assert longer[:, 0].max() == 0
    assert sorted(np.sign(longer[:, 1]).tolist()) == [-1, -1, *[0] * 7, 1, 1]


def test_a_neck_widens_with_the_jaw():
    shape = frame(make_face_shape())
    wider = (shape - 0.5) * [0.04, 0]
    moves = follow_landmarks(shape) @ wider
    neck = OUTLINE[:, 1] > 0.8
    assert neck.sum() == 2
    np.testing.assert_allclose(
        moves[neck, 0], [-FOLLOWING * 0.04 * 0.195, FOLLOWING * 0.04 * 0.195], rtol=0.3
    )
    ears = np.abs(OUTLINE[:, 1] - 0.47) < 0.01
    assert (np.sign(moves[ears, 0]) == np.sign(OUTLINE[ears, 0] - 0.5)).all()
