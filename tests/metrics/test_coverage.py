"""Calibration: Gaussians that hold or not, confidence that tells or not."""

from math import erf, exp, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from speech2face.errors import UsageError
from speech2face.metrics.coverage import (
    LEVELS,
    confidence_bins,
    measure_coverage,
    transform_distances,
    transform_marginals,
    whiten,
)

N, D = 300, 6


def make_errors(count: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Errors (count, D), each drawn from a covariance of its own (count, D, D)."""
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(D, D)) * np.linspace(3, 0.5, D)
    own = rng.uniform(0.5, 2, size=count)
    factors = own[:, None, None] * (spread + 0.5 * np.eye(D))
    errors = np.einsum("nij,nj->ni", factors, rng.normal(size=(count, D)))
    return errors, factors @ factors.transpose(0, 2, 1)


def test_chi_squares_distribution_is_the_known_one():
    x = np.array([0.0, 0.3, 1, 2.5, 9])
    np.testing.assert_allclose(transform_distances(x, 1), [erf(sqrt(v / 2)) for v in x])
    np.testing.assert_allclose(transform_distances(x, 2), [1 - exp(-v / 2) for v in x])
    for directions, quantile in ((10, 18.307), (80, 101.879), (100, 124.342)):  # of 95 %
        assert transform_distances(np.array([quantile]), directions)[0] == pytest.approx(
            0.95, abs=1e-5
        )


def test_the_normal_distribution_is_the_known_one():
    x = np.array([[-3.0, -0.5], [0, 1.96]])
    expected = [[NormalDist().cdf(v) for v in row] for row in x]
    np.testing.assert_allclose(transform_marginals(x), expected)


def test_whitened_errors_are_measured_in_the_leading_directions():
    covariance = np.diag([1.0, 9, 4])
    errors = np.array([[1.0, 3, 4], [2, 0, 0]])
    distances, standardised = whiten(errors, np.stack([covariance] * 2))
    np.testing.assert_allclose(distances, [1 + 1 + 4, 4])
    np.testing.assert_allclose(abs(standardised), [[1, 2, 1], [0, 0, 2]])
    distances, standardised = whiten(errors, np.stack([covariance] * 2), directions=2)
    np.testing.assert_allclose(distances, [5, 0])
    assert standardised.shape == (2, 2)
    with pytest.raises(UsageError, match="1 to 3, not 4"):
        whiten(errors, np.stack([covariance] * 2), directions=4)


def test_a_gaussian_covers_its_own_samples():
    errors, covariances = make_errors()
    coverage = measure_coverage(errors, covariances, np.arange(N))
    assert coverage.directions == D
    for curve in (coverage.joint, coverage.marginal):
        held = [s.low <= level <= s.high for s, level in zip(curve.shares, LEVELS, strict=True)]
        assert sum(held) >= 16
        assert curve.error.value < 3 * curve.luck
    assert coverage.stretch.low < 1 < coverage.stretch.high
    assert coverage.marginal.luck < coverage.joint.luck


@pytest.mark.parametrize(("factor", "sign"), [(0.5, -1), (2, 1)])
def test_a_covariance_halved_covers_too_little_and_doubled_too_much(factor, sign):
    errors, covariances = make_errors()
    coverage = measure_coverage(errors, factor * covariances, np.arange(N))
    for curve in (coverage.joint, coverage.marginal):
        off = np.array([s.value for s in curve.shares]) - LEVELS
        assert (sign * off > 0).all()
        assert curve.error.value == pytest.approx(abs(off).mean())
        assert curve.error.low > curve.luck
    assert coverage.stretch.value == pytest.approx(1 / factor, rel=0.1)
    assert not coverage.stretch.low <= 1 <= coverage.stretch.high


def test_a_correlation_of_the_wrong_sign_shows_in_all_directions_at_once_only():
    rng = np.random.default_rng(3)
    side = np.where(np.arange(N) % 2, 0.9, -0.9)
    covariances = np.tile(np.diag([4.0, 1]), (N, 1, 1))  # which is also what they pool to
    covariances[:, 0, 1] = covariances[:, 1, 0] = 2 * side
    factors = np.linalg.cholesky(covariances)
    errors = np.einsum("nij,nj->ni", factors, rng.normal(size=(N, 2)))
    right = measure_coverage(errors, covariances, np.arange(N))
    wrong = measure_coverage(errors, covariances * [[1, -1], [-1, 1]], np.arange(N))
    assert right.joint.error.value < 3 * right.joint.luck
    assert wrong.joint.error.low > 3 * wrong.joint.luck
    assert wrong.marginal == right.marginal


def test_covariances_may_be_given_one_at_a_time():
    errors, covariances = make_errors(60)
    people = np.arange(60) // 2
    whole = measure_coverage(errors, covariances, people, directions=3)
    assert measure_coverage(errors, lambda row: covariances[row], people, directions=3) == whole


def test_directions_in_which_nothing_lives_can_be_left_out():
    errors, covariances = make_errors()
    dead = np.zeros((N, 3))
    dead[:, 0] = 1e-3  # far outside the tiny variance that is left there
    wide = np.zeros((N, D + 3, D + 3))
    wide[:, :D, :D] = covariances
    wide[:, range(D, D + 3), range(D, D + 3)] = 1e-9
    coverage = measure_coverage(np.hstack([errors, dead]), wide, np.arange(N), directions=D)
    alone = measure_coverage(errors, covariances, np.arange(N))
    assert coverage.stretch.value == pytest.approx(alone.stretch.value)
    assert coverage.joint.error.value == pytest.approx(alone.joint.error.value)
    assert measure_coverage(np.hstack([errors, dead]), wide, np.arange(N)).stretch.low > 2


def test_nobody_weighs_more_for_having_more_clips():
    errors, covariances = make_errors(60)
    once = measure_coverage(errors, covariances, np.arange(60))
    rows = np.concatenate([np.arange(60), np.full(40, 7)])  # forty more clips of the eighth
    again = measure_coverage(errors[rows], covariances[rows], rows)
    assert again.joint.error == once.joint.error
    assert again.joint.luck == once.joint.luck
    assert again.stretch.value == pytest.approx(once.stretch.value)


# Confidence --------------------------------------------------------------------------------------


def test_a_confidence_that_tells_shows_in_bins_and_ranks():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 3, size=400)
    wins = np.clip(0.5 + confidence / 6 + 0.1 * rng.normal(size=400), 0, 1)
    told = confidence_bins(confidence, wins, np.arange(400))
    assert [group.n for group in told.bins] == [80] * 5
    means = [group.wins.value for group in told.bins]
    assert means == sorted(means)
    assert told.bins[0].wins.high < told.all.value < told.bins[-1].wins.low
    assert np.mean(means) == pytest.approx(told.all.value)
    assert told.spearman.low > 0.7
    edges = [edge for group in told.bins for edge in (group.low, group.high)]
    assert edges == sorted(edges)


def test_a_confidence_that_does_not_tell_shows_that_too():
    rng = np.random.default_rng(1)
    told = confidence_bins(rng.normal(size=300), rng.beta(4, 1, size=300), np.arange(300), bins=3)
    for group in told.bins:
        assert group.wins.low < told.all.value < group.wins.high
    assert told.spearman.low < 0 < told.spearman.high


def test_spearman_asks_only_for_the_order_and_shares_ties():
    confidence = np.array([1.0, 2, 2, 3, 5, 8])
    told = confidence_bins(confidence, np.exp(confidence), np.arange(6), bins=2)
    assert told.spearman.value == pytest.approx(1)
    wins = np.array([0.1, 0.3, 0.2, 0.2, 0.9, 0.4])
    # By hand: ranks 1, 2.5, 2.5, 4, 5, 6 and 1, 4, 2.5, 2.5, 6, 5.
    told = confidence_bins(confidence, wins, np.arange(6), bins=2)
    assert told.spearman.value == pytest.approx(13.75 / 17)


def test_one_confidence_for_all_has_no_correlation():
    told = confidence_bins(np.ones(10), np.linspace(0, 1, 10), np.arange(10), bins=3)
    assert told.spearman is None
    assert [group.n for group in told.bins] == [4, 3, 3]
    with pytest.raises(UsageError, match="10 clips cannot be put into 11 bins"):
        confidence_bins(np.ones(10), np.ones(10), np.arange(10), bins=11)
