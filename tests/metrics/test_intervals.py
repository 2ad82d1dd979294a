"""The bootstrap over people: intervals that hold what they promise, for any statistic."""

import numpy as np
import pytest

from speech2face.metrics.intervals import (
    Estimate,
    Figure,
    bootstrap_people,
    bootstrap_statistic,
    summarise,
    weigh_people,
)
from speech2face.metrics.rank_disclosure import mutual_information
from speech2face.metrics.retrieval import weighted_median


def simulate(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Wins of people with one to five clips each, around a true mean of 0.7."""
    clips = np.repeat(np.arange(people), rng.integers(1, 6, size=people))
    own = rng.beta(3.5, 1.5, size=people)  # each person's own level
    return rng.beta(own[clips] * 20, (1 - own[clips]) * 20), clips


def test_the_interval_holds_the_true_mean_nineteen_times_of_twenty():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        wins, people = simulate(rng, 60)
        estimate = bootstrap_people(wins, people, seed=int(rng.integers(1000)), draws=400)
        held += estimate.low <= 0.7 <= estimate.high
    assert 0.91 <= held / 400 <= 0.98  # over clips it would hold far less often


def test_many_clips_of_one_person_do_not_narrow_the_interval():
    wins, people = simulate(np.random.default_rng(2), 30)
    once = bootstrap_people(wins, people)
    often = np.concatenate([np.arange(len(wins)), np.tile(np.flatnonzero(people == 3), 50)])
    again = bootstrap_people(wins[often], people[often])
    assert again.value == pytest.approx(once.value)  # nor does anybody weigh more
    assert (again.low, again.high) == pytest.approx((once.low, once.high))
    everyone = np.tile(np.arange(len(wins)), 10)
    again = bootstrap_people(wins[everyone], people[everyone])
    assert again.high - again.low == pytest.approx(once.high - once.low)


def test_an_estimate_is_the_same_for_a_seed_and_reads_well():
    wins, people = simulate(np.random.default_rng(3), 30)
    assert bootstrap_people(wins, people, seed=5) == bootstrap_people(wins, people, seed=5)
    assert bootstrap_people(wins, people, seed=5) != bootstrap_people(wins, people, seed=6)
    assert str(Estimate(0.71234, 0.6, 0.8)) == "0.712 [0.600, 0.800]"


def test_a_sure_thing_has_no_width():
    estimate = bootstrap_people(np.full(6, 0.25), np.array(list("aabbcc")))
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)


def test_a_figure_reads_as_an_estimate_does():
    assert str(Figure(0.71234, 0.6, 0.8, chance=0.5)) == "0.712 [0.600, 0.800]"


def test_all_clips_of_a_drawn_person_come_along():
    people = np.array(list("abbccc"))
    weights = weigh_people(people, draws=200)
    assert weights.shape == (201, 6)
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights[0], np.array([6, 3, 3, 2, 2, 2]) / 18)
    np.testing.assert_array_equal(weights[:, 1], weights[:, 2])
    times = weights * 3 * [1, 2, 2, 3, 3, 3]  # how often each clip's person was drawn
    np.testing.assert_allclose(times, times.round())
    assert set(times[1:, 0].round()) == {0, 1, 2, 3}


def test_for_a_mean_both_bootstraps_agree():
    wins, people = simulate(np.random.default_rng(4), 30)
    mean = bootstrap_statistic(lambda weights: weights @ wins, people, seed=3)
    wanted = bootstrap_people(wins, people, seed=3, draws=1000)
    assert (mean.value, mean.low, mean.high) == pytest.approx(
        (wanted.value, wanted.low, wanted.high)
    )


def test_the_interval_of_a_mean_is_the_usual_one():
    values = np.random.default_rng(0).normal(size=400)
    estimate = bootstrap_statistic(lambda weights: weights @ values, np.arange(400), seed=1)
    half = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.02)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.02)


def correlate(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Pearson's r of weighted clips."""
    x, y = x - weights @ x, y - weights @ y
    return weights @ (x * y) / np.sqrt((weights @ x**2) * (weights @ y**2))


def test_a_correlation_is_held_as_often_as_promised():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        people = np.arange(80)
        x = rng.normal(size=80)
        y = 0.6 * x + 0.8 * rng.normal(size=80)
        estimate = bootstrap_statistic(
            lambda weights, x=x, y=y: correlate(x, y, weights), people, draws=200
        )
        held += estimate.low <= 0.6 <= estimate.high
        assert estimate.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert 0.86 <= held / 100 <= 1


def test_medians_and_mutual_information_are_bootstrapped_too():
    rng = np.random.default_rng(6)
    people = np.repeat(np.arange(40), 2)
    values = rng.normal(size=80)
    median = bootstrap_statistic(
        lambda weights: float(weighted_median(values, weights[None])[0]), people
    )
    assert median.value == np.sort(values)[39]
    assert median.low < median.value < median.high

    label = np.repeat(np.arange(40) % 2, 2)
    judged = label ^ (rng.random(80) < 0.1)

    def informs(weights: np.ndarray) -> float:
        return mutual_information(np.bincount(2 * label + judged, weights, 4).reshape(2, 2))

    bits = bootstrap_statistic(informs, people)
    assert 0 < bits.low < bits.value < bits.high <= 1


def test_pairing_takes_away_what_two_systems_share():
    rng = np.random.default_rng(7)
    people = np.arange(50)
    hard = rng.normal(size=50)
    first, second = hard + 0.1 + 0.01 * rng.normal(size=50), hard
    alone = bootstrap_statistic(lambda weights: weights @ first, people)
    paired = bootstrap_statistic(lambda weights: weights @ first - weights @ second, people)
    assert paired.low > 0.09
    assert alone.high - alone.low > 20 * (paired.high - paired.low)


def test_draws_without_a_value_are_left_out():
    assert summarise(np.array([1, 2, np.nan, 2, 2])) == Estimate(1, 2, 2)
    none = summarise(np.array([1, np.nan]))
    assert none.value == 1
    assert np.isnan([none.low, none.high]).all()
