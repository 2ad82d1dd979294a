"""Two-way matching: known answers, and an interval that holds what it promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2face.evaluation.matching import Estimate, bootstrap_people, centred_cosine, two_way

FOUR = np.array(["a", "b", "c", "d"])


def test_a_perfect_system_wins_always_and_a_reversed_one_never():
    np.testing.assert_array_equal(two_way(np.eye(4), FOUR), 1)
    np.testing.assert_array_equal(two_way(-np.eye(4), FOUR), 0)


def test_ties_count_half():
    np.testing.assert_array_equal(two_way(np.zeros((4, 4)), FOUR), 0.5)
    scores = np.array([[1.0, 1, 0, 2], [0, 1, 0, 0], [5, 5, 5, 5], [9, 9, 9, 0]])
    np.testing.assert_allclose(two_way(scores, FOUR), [0.5, 1, 0.5, 0])


def test_a_person_is_never_their_own_opponent():
    people = np.array(["a", "a", "b", "c"])
    scores = np.array([[1.0, 9, 0, 0], [9, 1, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_allclose(two_way(scores, people), [1, 0.5, 1, 1])


def test_random_scores_win_half():
    rng = np.random.default_rng(0)
    people = np.arange(300) // 2
    wins = two_way(rng.normal(size=(300, 300)), people)
    assert wins.mean() == pytest.approx(0.5, abs=0.05)


@given(st.integers(0, 1000))
def test_wins_are_the_area_under_the_curve_of_each_row(seed):
    rng = np.random.default_rng(seed)
    people = rng.integers(5, size=12)
    people[:2] = 0, 1  # two people at least
    scores = rng.integers(6, size=(12, 12)).astype(float)
    wins = two_way(scores, people)
    for row in range(12):
        others = [scores[row, j] for j in range(12) if people[j] != people[row]]
        won = [(o < scores[row, row]) + 0.5 * (o == scores[row, row]) for o in others]
        assert wins[row] == pytest.approx(np.mean(won))


def test_what_all_pictures_share_does_not_hide_who_is_who():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(50, 16))
    drawn = 0.3 * true + 100 * rng.normal(size=16)  # one strong offset for all that is drawn
    cosines = centred_cosine(drawn, true + 7)
    np.testing.assert_allclose(cosines.diagonal(), 1)
    assert (two_way(cosines, np.arange(50)) == 1).all()
    assert np.abs(cosines).max() <= 1 + 1e-12
    np.testing.assert_allclose(centred_cosine(drawn * 5 + 3, true), cosines)


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
