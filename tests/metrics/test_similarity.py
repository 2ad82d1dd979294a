"""Similarity: known angles, and shuffles in which nobody meets themselves."""

import numpy as np
import pytest

from speech2face.errors import UsageError
from speech2face.metrics.intervals import bootstrap_people, bootstrap_statistic
from speech2face.metrics.similarity import (
    SHUFFLES,
    compare,
    measure_alikeness,
    measure_similarity,
    shuffle_people,
)


def test_known_pairs_have_known_figures():
    some = np.array([[3.0, 0], [3, 0], [3, 0], [1, 1]])
    others = np.array([[0.5, 0], [0, 2], [-7, 0], [0, 1]])
    cosine, angle, l1, l2 = compare(some, others)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(cosine, [1, 0, -1, root], atol=1e-12)
    np.testing.assert_allclose(angle, [0, 90, 180, 45])
    np.testing.assert_allclose(l1, [0, 2, 2, 1], atol=1e-12)
    np.testing.assert_allclose(l2, [0, np.sqrt(2), 2, 2 * np.sin(np.pi / 8)])


def test_tiny_angles_are_told_apart():
    some = np.array([[1.0, 0]])
    tiny = np.array([[1.0, 1e-9]])
    assert compare(some, tiny)[1] == pytest.approx(np.degrees([1e-9]))


def test_a_perfect_prediction_and_the_average_face():
    true = np.eye(6)
    found = measure_similarity(2 * true, true, np.arange(6), np.ones(6), draws=50)
    assert (found.true.cosine.value, found.true.angle.value) == pytest.approx((1, 0))
    assert found.true.angle_deviation.high == 0
    assert (found.shuffled.cosine.value, found.shuffled.angle.value) == pytest.approx((0, 90))
    assert (found.shuffled.l1.value, found.shuffled.l2.value) == pytest.approx((2, np.sqrt(2)))
    assert found.average.cosine.value == pytest.approx(1 / np.sqrt(6))
    each = measure_similarity(true, true, np.arange(6), np.tile(np.ones(6), (6, 1)), draws=50)
    assert each.average == found.average


def test_a_random_prediction_is_no_nearer_than_a_shuffled_one():
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 200, 32)) + 1
    found = measure_similarity(predicted, true, np.arange(200), np.ones(32), draws=200)
    assert found.true.angle.low < found.shuffled.angle.value < found.true.angle.high
    assert found.average.angle.value < found.true.angle.value


def test_mean_and_deviation_are_those_of_clips_in_which_everybody_weighs_the_same():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(15), rng.integers(1, 4, size=15))
    true, predicted = rng.normal(size=(2, len(people), 8)) + 1
    found = measure_similarity(predicted, true, people, true.mean(0), seed=2, draws=300).true
    angles = compare(predicted, true)[1]
    mean = bootstrap_people(angles, people, seed=2, draws=300)
    assert (found.angle.value, found.angle.low, found.angle.high) == pytest.approx(
        (mean.value, mean.low, mean.high)
    )
    spread = bootstrap_statistic(
        lambda w: np.sqrt(w @ (angles - w @ angles) ** 2), people, seed=2, draws=300
    )
    deviation = found.angle_deviation
    assert (deviation.value, deviation.low, deviation.high) == pytest.approx(
        (spread.value, spread.low, spread.high)
    )


def test_nobody_is_shuffled_onto_themselves_and_few_meet_everybody():
    people = np.array(list("cabbacdaa"))
    shuffles = shuffle_people(people)
    met = {(p, q) for rows in shuffles for p, q in zip(people, people[rows], strict=True)}
    assert met == {(p, q) for p in "abcd" for q in "abcd" if p != q}
    for rows, again in zip(shuffles, shuffle_people(people), strict=True):
        np.testing.assert_array_equal(rows, again)

    many = np.arange(500) // 2
    shuffles = shuffle_people(many)
    assert len(shuffles) == SHUFFLES
    for rows in shuffles:
        assert (many[rows] != many).all()
        assert sorted(rows) == list(range(500))  # as many clips each: everyone once


def test_alikeness_is_of_two_people_of_one_label():
    rng = np.random.default_rng(0)
    people = np.array(list("abbcdefgh"))
    labels = np.array(["0 m", "0 m", "0 m", "0 m", "1 m", "1 m", "0 f", "0 f", ""])
    faces = rng.normal(size=(9, 5))
    unit = faces / np.linalg.norm(faces, axis=1, keepdims=True)
    cosine = unit @ unit.T
    # b has two clips, of half the weight each.
    pairs = [cosine[0, 1:3].mean(), cosine[0, 3], cosine[1:3, 3].mean(), cosine[4, 5], cosine[6, 7]]
    found = measure_alikeness(faces * 3, people, labels, draws=200)
    assert found
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.low < found.value < found.high


def test_one_face_for_all_is_alike_and_faces_of_nobody_are_left_out():
    people = np.arange(6)
    labels = np.array(["m"] * 6)
    one = np.tile([1.0, 2, 2], (6, 1))
    found = measure_alikeness(one, people, labels, draws=50)
    assert found
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))
    three = np.vstack([one[:2], [[-1.0, -2, -2]], np.full((3, 3), np.nan)])
    found = measure_alikeness(three, people, labels, draws=50)
    assert found
    assert found.value == pytest.approx(-1 / 3)
    assert measure_alikeness(one, people, people.astype(str)) is None
    assert measure_alikeness(one, np.zeros(6), labels) is None


def test_what_cannot_be_compared_is_told():
    faces = np.eye(3)
    with pytest.raises(UsageError, match="one person alone"):
        measure_similarity(faces, faces, np.zeros(3), faces[0])
    for wrong in (0, np.nan):
        with pytest.raises(UsageError, match="zero or NaN"):
            measure_similarity(faces * wrong, faces, np.arange(3), faces[0])
