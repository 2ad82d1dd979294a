"""Which hair suits: likelier where people who look so wear it, and met as often as it is worn."""

import numpy as np
import pytest

from speech2face.training.hair_choice import solve_chances

GROUPS = np.array([0, 1, 1])


def crowd(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Directions (600, 8), of which the first number tells the wearers of the third kind."""
    rng = np.random.default_rng(seed)
    worn = rng.choice(3, 600, p=[0.2, 0.5, 0.3])
    towards = rng.normal(size=(600, 8))
    towards[:, 0] += 4 * (worn == 2)
    return towards, worn


def test_what_shows_in_the_face_is_chosen_and_all_as_often_as_worn():
    towards, worn = crowd()
    slope, offset = solve_chances(towards, worn, GROUPS)
    chances = towards @ slope + offset
    assert (chances.argmax(1)[worn == 2] == 2).mean() > 0.9
    assert (chances.argmax(1)[worn != 2] == 2).mean() < 0.1
    liking = np.random.default_rng(9).gumbel(size=(20, *chances.shape))
    met = np.bincount((chances + liking).argmax(2).ravel(), minlength=3) / (20 * 600)
    np.testing.assert_allclose(met, np.bincount(worn) / 600, atol=0.02)


def test_whoever_is_unknown_is_left_out():
    towards, worn = crowd()
    unknown = np.concatenate([worn, np.full(50, -1)])
    more = np.concatenate([towards, 100 * np.ones((50, 8))])
    for one, other in zip(
        solve_chances(towards, worn, GROUPS), solve_chances(more, unknown, GROUPS), strict=True
    ):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("kinds", [1, 2])
def test_what_nobody_wears_is_finite(kinds):
    towards, _ = crowd()
    slope, offset = solve_chances(towards, np.zeros(600, int), np.arange(kinds))
    assert slope.shape == (8, kinds)
    assert np.isfinite(slope).all()
    assert np.isfinite(offset).all()
    if kinds == 2:
        assert ((towards @ slope + offset).argmax(1) == 0).all()
