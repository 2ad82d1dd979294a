"""Logistic regression: what it finds is where the penalised loss has no slope."""

import numpy as np
import pytest

from speech2face.metrics.logistic_regression import fit_logistic


def make_rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(300, 5))
    return rows, (rows[:, :4] + rng.gumbel(size=(300, 4))).argmax(axis=1)


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 1, 1])], ids=["all", "within groups"])
def test_the_penalised_loss_has_no_slope_there(groups):
    rows, labels = make_rows()
    slope, offset = fit_logistic(rows, labels, 2.0, groups=groups, offset_ridge=0.5)
    powers = np.exp(rows @ slope + offset)
    if groups is not None:
        powers *= groups[labels][:, None] == groups
    wrong = powers / powers.sum(axis=1, keepdims=True) - np.eye(4)[labels]
    np.testing.assert_allclose(rows.T @ wrong + 2.0 * slope, 0, atol=1e-4)
    np.testing.assert_allclose(wrong.sum(axis=0) + 0.5 * offset, 0, atol=1e-4)


def test_a_greater_penalty_makes_smaller_slopes_and_no_row_is_lost_of_a_class_met_once():
    rows, labels = make_rows(1)
    labels[labels == 3] = 0
    labels[0] = 3
    mild, strong = (fit_logistic(rows, labels, ridge)[0] for ridge in (0.1, 100.0))
    assert np.isfinite(mild).all()
    assert mild.shape == (5, 4)
    assert np.linalg.norm(strong) < np.linalg.norm(mild) / 3
