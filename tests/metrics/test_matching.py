"""Two-way matching: known answers, chance, and the same from slower definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2face.metrics.matching import average_people, centred_cosine, two_way

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


def test_pictures_that_are_all_the_same_score_nothing():
    true = np.random.default_rng(0).normal(size=(20, 16))
    assert np.abs(centred_cosine(np.tile(true[:1], (20, 1)), true)).max() < 1e-5


def test_who_is_heard_in_many_clips_weighs_as_much_as_anybody():
    people = np.array(["a", "b", "a", "a"])
    np.testing.assert_allclose(average_people(np.array([0.0, 1, 0, 3]), people), 1)
    faces = np.array([[0.0, 6], [2, 0], [0, 0], [0, 0]])
    np.testing.assert_allclose(average_people(faces, people), [1, 1])


@pytest.mark.parametrize("face", [[0.1, 0.7, -0.3], [12.3, 1e-3, 7.7], [0.0, 0.0, 0.0]])
def test_one_face_for_all_scores_exactly_nothing(face):
    true = np.random.default_rng(0).normal(size=(7, 3))
    np.testing.assert_array_equal(centred_cosine(np.tile(face, (7, 1)), true), 0)
