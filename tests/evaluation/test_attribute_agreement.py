"""Attributes: the paper's own figures, labels drawn by lot, and a probe with a known optimum."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from speech2face.errors import UsageError
from speech2face.evaluation.attribute_agreement import (
    AGE_BANDS,
    SEXES,
    GroupProbe,
    age_band,
    compare_age_and_sex,
    compare_ages,
    compare_labels,
    judge_clips,
)

ABC = ("a", "b", "c")


def unfold(confusion: np.ndarray, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Counts (K, K), rows true → predicted and true labels."""
    rows, columns = np.indices(confusion.shape)
    names = np.array(classes)
    return (
        names[np.repeat(columns.ravel(), confusion.ravel())],
        names[np.repeat(rows.ravel(), confusion.ravel())],
    )


def test_the_papers_figure_of_sex_is_worth_two_thirds_of_a_bit():
    confusion = np.array([[352, 22], [38, 588]])  # 94 % right; 62.6 % are men
    agreement = compare_labels(*unfold(confusion, SEXES), SEXES, np.arange(1000))
    np.testing.assert_array_equal(agreement.confusion, confusion)
    assert agreement.accuracy.value == pytest.approx(0.94)
    assert agreement.majority.value == pytest.approx(0.626)
    assert agreement.information.value == pytest.approx(0.64, abs=0.01)
    assert 0.55 < agreement.information.low < 0.64 < agreement.information.high < 0.73
    assert agreement.balanced_accuracy.value == pytest.approx((352 / 374 + 588 / 626) / 2)


def test_a_perfect_match_tells_the_entropy():
    labels = np.repeat(ABC, [200, 100, 100])
    agreement = compare_labels(labels, labels, ABC, np.arange(400))
    one = agreement.accuracy
    assert one.value == one.low == one.high == agreement.balanced_accuracy.value == 1
    assert agreement.information.value == pytest.approx(1.5, abs=0.01)  # the bias is taken away
    assert agreement.majority.value == 0.5


def test_labels_drawn_by_lot_tell_nothing():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(7):
        predicted, true = rng.choice(ABC, p=[0.5, 0.3, 0.2], size=(2, 150))
        agreement = compare_labels(predicted, true, ABC, np.arange(150), seed=1)
        values.append(agreement.information.value)
        assert agreement.information.low < 0.03
    assert np.mean(values) == pytest.approx(0, abs=0.012)  # as counted: 0.019
    assert min(values) < 0  # not cut off at zero: that would make the mean too large
    assert agreement.balanced_accuracy.low < 1 / 3 < agreement.balanced_accuracy.high


def test_the_commonest_label_always_is_the_baseline():
    true = np.repeat(ABC, [60, 30, 10])
    agreement = compare_labels(np.full(100, "a"), true, ABC, np.arange(100))
    assert agreement.accuracy == agreement.majority
    assert agreement.accuracy.value == 0.6
    assert agreement.balanced_accuracy.value == pytest.approx(1 / 3)
    assert agreement.information.value == pytest.approx(0, abs=1e-12)


def test_a_class_nobody_has_does_not_count():
    labels = np.array(["a", "b"] * 20)
    agreement = compare_labels(labels, labels, ABC, np.arange(40))
    assert agreement.confusion.shape == (3, 3)
    assert agreement.balanced_accuracy.value == agreement.balanced_accuracy.low == 1


def test_clips_of_the_same_people_do_not_narrow_the_interval():
    rng = np.random.default_rng(1)
    predicted, true = rng.choice(ABC, size=(2, 60))
    once = compare_labels(predicted, true, ABC, np.arange(60)).accuracy
    ten = compare_labels(*np.repeat([predicted, true], 10, axis=1), ABC, np.arange(600) // 10)
    assert ten.accuracy.value == once.value
    assert ten.accuracy.high - ten.accuracy.low == pytest.approx(once.high - once.low, rel=0.1)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="'d' is none of a, b, c"):
        compare_labels(np.array(["d"]), np.array(["a"]), ABC, np.arange(1))
    with pytest.raises(UsageError, match="one length"):
        compare_labels(np.array(["a"]), np.array(["a", "b"]), ABC, np.arange(2))


# Age and sex -------------------------------------------------------------------------------------


def test_ages_fall_into_decades():
    bands = age_band(np.array([0.25, 9.9, 10, 34.5, 69.99, 70, 80]))
    assert [AGE_BANDS[band] for band in bands] == [
        *("0-9", "0-9", "10-19", "30-39", "60-69", "70+", "70+")
    ]


def test_ages_are_compared_by_band_and_by_year():
    true = np.array([25.0, 25, 35, 45, 65, 22])
    predicted = np.array([29.0, 31, 21, 45, 35, 18])  # bands off by 0, 1, 1, 0, 3, 1
    agreement = compare_ages(predicted, true, np.arange(6))
    assert agreement.bands.accuracy.value == pytest.approx(2 / 6)
    assert agreement.bands.majority.value == pytest.approx(3 / 6)
    assert agreement.within_one.value == pytest.approx(5 / 6)
    assert agreement.within_one_by_best.value == pytest.approx(5 / 6)  # all said to be 30-39
    assert agreement.years_apart.value == pytest.approx((4 + 6 + 14 + 0 + 30 + 4) / 6)
    assert agreement.years_apart_at_median.value == pytest.approx((5 + 5 + 5 + 15 + 35 + 8) / 6)


def test_what_the_judge_says_is_compared_where_both_faces_are_found():
    nan = np.nan
    original = np.array([[20, 0.9], [30, 0.2], [40, 0.1], [60, 0.3], [nan, nan]])
    drawn = np.array([[25, 0.6], [28, 0.7], [40, 0.4], [nan, nan], [50, 0.5]])
    agreement = compare_age_and_sex(drawn, original, np.arange(5))
    age, sex = agreement.age, agreement.sex
    assert age.years_apart.value == pytest.approx(7 / 3)
    np.testing.assert_array_equal(sex.confusion, [[1, 1], [0, 1]])
    assert sex.accuracy.value == sex.majority.value == pytest.approx(2 / 3)
    same, years = judge_clips(drawn, original)
    np.testing.assert_array_equal(same, [1, 0, 1, nan, nan])
    np.testing.assert_array_equal(years, [5, 2, 0, nan, nan])


# The probe ---------------------------------------------------------------------------------------


def make_groups(count: int, seed: int, apart: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (count, 6) of three groups; their first two directions tell them apart."""
    rng = np.random.default_rng(seed)
    group = rng.choice(3, p=[0.6, 0.3, 0.1], size=count)
    centres = np.zeros((3, 6))
    centres[:, :2] = apart * np.array([[0, 0], [1, 0], [0, 1]])
    embeddings = (centres[group] + rng.normal(size=(count, 6))) * [1, 50, 1, 1, 0.1, 1]
    return embeddings, np.array(ABC)[group]


def test_the_probe_reads_groups_that_are_there_and_says_how_well():
    probe = GroupProbe.fit(*make_groups(600, 0, apart=6))
    new, labels = make_groups(300, 1, apart=6)
    assert (probe.predict(new) == labels).mean() > 0.97
    agreement = probe.score(new, labels)
    assert agreement.accuracy.value == (probe.predict(new) == labels).mean()
    assert agreement.balanced_accuracy.low > 0.9 > agreement.majority.value
    np.testing.assert_allclose(probe.probabilities(new).sum(1), 1)


def test_the_probe_reads_nothing_where_nothing_is():
    rng = np.random.default_rng(5)
    embeddings, labels = rng.normal(size=(900, 6)), rng.choice(ABC, size=900)
    probe = GroupProbe.fit(embeddings[:600], labels[:600])
    agreement = probe.score(embeddings[600:], labels[600:])
    assert agreement.balanced_accuracy.low < 1 / 3 < agreement.balanced_accuracy.high
    assert agreement.information.low < 0 <= agreement.information.high


def test_the_probe_is_at_the_optimum_whatever_the_scale_of_the_embeddings():
    x, labels = make_groups(400, 2)
    probe = GroupProbe.fit(x, labels, ridge=3.0)
    wrong = (labels[:, None] == np.array(ABC)) - probe.probabilities(x)
    gradient = ((x - x.mean(0)) / x.std(0)).T @ wrong - 3.0 * probe.weight
    np.testing.assert_allclose(gradient, 0, atol=0.02)  # of sums over 400 photographs
    np.testing.assert_allclose(wrong.sum(0), 0, atol=0.02)  # each group as often as it is there
    scaled = GroupProbe.fit(7 * x + 100, labels, ridge=3.0)
    np.testing.assert_allclose(scaled.weight, probe.weight, atol=1e-4)


def test_a_direction_without_spread_does_no_harm():
    x, labels = make_groups(200, 3)
    x[:, 4] = 5
    probe = GroupProbe.fit(x, labels)
    np.testing.assert_allclose(probe.weight[4], 0, atol=1e-12)
    with pytest.raises(UsageError, match="two groups"):
        GroupProbe.fit(x, np.full(200, "a"))


def test_the_probe_is_scikit_learns():

    x, labels = make_groups(400, 4)
    probe = GroupProbe.fit(x, labels)
    twin = LogisticRegression(C=1.0, max_iter=1000).fit((x - probe.mean) / probe.scale, labels)
    np.testing.assert_allclose(
        probe.probabilities(x), twin.predict_proba((x - probe.mean) / probe.scale), atol=1e-3
    )
