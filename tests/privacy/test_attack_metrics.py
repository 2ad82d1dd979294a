"""Attacks whose outcome is known: nothing, everything, and what lies between."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from speech2face.metrics.intervals import weigh_people
from speech2face.metrics.population_results import SHARES
from speech2face.metrics.rank_disclosure import histogram_bits
from speech2face.metrics.retrieval import Ranks
from speech2face.privacy.attack_metrics import (
    Attack,
    compare_attacks,
    measure_attack,
    measure_linkability,
)

PEOPLE, FOLDS = 60, 3


def attack(scores: np.ndarray, folds: int = FOLDS, sex: np.ndarray | None = None) -> Attack:
    people, fold = np.arange(len(scores)), np.arange(len(scores)) % folds
    return Attack(scores, people, fold, people, fold, sex, sex)


def test_scores_that_ignore_the_voice_disclose_nothing():
    found = measure_attack(attack(np.zeros((PEOPLE, PEOPLE))), draws=20)
    assert found.bits.value == pytest.approx(0)
    assert found.fitted_bits.value == pytest.approx(0, abs=1e-3)
    assert found.two_way.value == pytest.approx(0.5)
    assert found.equal_error_rate.value == pytest.approx(0.5)
    assert found.linkability.value == pytest.approx(0)


def test_scores_that_know_the_face_disclose_the_whole_gallery():
    found = measure_attack(attack(np.eye(PEOPLE)), draws=20)
    assert found.gallery == pytest.approx(PEOPLE / FOLDS)
    assert found.fitted_bits.value == pytest.approx(np.log2(PEOPLE / FOLDS), abs=0.01)
    assert found.of_people == pytest.approx([np.log2(PEOPLE / FOLDS)] * len(SHARES), abs=0.01)
    assert found.equal_error_rate.value == pytest.approx(0)
    assert found.linkability.value == pytest.approx(1)


def test_other_folds_are_no_opponents():
    scores = np.eye(PEOPLE)
    fold = np.arange(PEOPLE) % FOLDS
    scores[fold[:, None] != fold] = 99
    assert measure_attack(attack(scores), draws=5).two_way.value == pytest.approx(1)
    assert measure_linkability(attack(scores), draws=5).value == pytest.approx(1)


def test_few_false_matches_leave_what_two_gaussians_do():
    rng = np.random.default_rng(3)
    count, apart = 500, 2.0
    found = measure_attack(attack(rng.normal(size=(count,) * 2) + apart * np.eye(count), 1), 0, 50)
    pairs = found.mixed
    assert pairs is not None
    assert (pairs.people, pairs.true_pairs, pairs.false_pairs) == (count, count, count**2 - count)
    for rate, share in ((0.01, pairs.true_at_1_percent), (0.001, pairs.true_at_01_percent)):
        assert share is not None
        expected = stats.norm.sf(stats.norm.isf(rate) - apart)
        assert share.value == pytest.approx(expected, abs=0.06)
        assert share.low < expected < share.high
    assert pairs.equal_error_rate == found.equal_error_rate


def test_chance_accepts_as_many_true_pairs_as_false_ones():
    pairs = measure_attack(attack(np.zeros((PEOPLE, PEOPLE))), draws=20).mixed
    assert pairs is not None
    assert pairs.true_at_1_percent is not None
    assert pairs.true_at_1_percent.value == pytest.approx(0.01)
    assert pairs.true_at_01_percent is not None  # 1,140 false pairs
    assert measure_attack(attack(np.zeros((20, 20)), folds=1), draws=5).mixed is not None
    few = measure_attack(attack(np.zeros((20, 20)), folds=1), draws=5).mixed
    assert few is not None
    assert few.true_at_01_percent is None  # of 380, none could be accepted


def test_pairs_of_one_sex_are_told_apart_by_more_than_sex():
    sex = np.array([*"mf" * 15, *[""] * 30])
    by_sex = (sex[:, None] == sex[None]).astype(float)
    found = measure_attack(attack(by_sex, folds=1, sex=sex), draws=20)
    assert found.mixed is not None
    assert found.one_sex is not None
    assert found.mixed.equal_error_rate.value < 0.5
    assert found.one_sex.equal_error_rate.value == pytest.approx(0.5)
    assert found.one_sex.people == 30
    assert found.one_sex.false_pairs == 30 * 14
    for unknown in (None, np.full(PEOPLE, "")):
        assert measure_attack(attack(by_sex, sex=unknown), draws=5).one_sex is None
    alone = np.array(["m", "f", *[""] * 58])
    assert measure_attack(attack(by_sex, sex=alone), draws=5).one_sex is None  # nobody beside them


def test_the_most_exposed_tenth_is_not_hidden_in_the_mean():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 200))
    scores[np.arange(20), np.arange(20)] += 9  # a tenth whose faces are found at once
    found = measure_attack(attack(scores, folds=1), draws=50)
    assert found.exposed_bits is not None
    assert found.exposed_bits.value > found.fitted_bits.value + 1
    assert found.exposed_bits.low <= found.exposed_bits.value <= found.exposed_bits.high
    of_people = np.interp(np.linspace(0.9, 1, 50), SHARES, found.of_people)
    assert found.exposed_bits.value == pytest.approx(of_people.mean(), abs=0.3)
    nothing = measure_attack(attack(np.zeros((PEOPLE, PEOPLE))), draws=20).exposed_bits
    assert nothing is not None
    assert nothing.value == pytest.approx(0, abs=0.01)


def test_linkability_of_two_gaussians_is_their_integral():
    rng = np.random.default_rng(0)
    count, apart = 400, 1.5
    scores = rng.normal(size=(count, count)) + apart * np.eye(count)
    line = np.linspace(-6, 8, 20_001)
    same, other = stats.norm.pdf(line, apart), stats.norm.pdf(line)
    expected = np.trapezoid(same * np.maximum((same - other) / (same + other), 0), line)
    found = measure_linkability(attack(scores, folds=1), draws=20)
    assert found.value == pytest.approx(expected, abs=0.05)
    assert found.low < expected < found.high + 0.02


def test_chance_is_hardly_linkable():
    scores = np.random.default_rng(1).normal(size=(300, 300))
    assert measure_linkability(attack(scores, folds=1), draws=5).value < 0.05


def test_what_is_hidden_is_the_difference():
    none, all_ = attack(np.zeros((PEOPLE, PEOPLE))), attack(np.eye(PEOPLE))
    hidden = compare_attacks(all_, none, draws=20)
    assert hidden.value == pytest.approx(measure_attack(all_, draws=20).bits.value)
    assert compare_attacks(all_, all_, draws=20).value == 0


def test_the_published_table_of_the_paper_gives_seven_to_ten_tenths_of_a_bit():
    """Oh et al. 2019, 6 s: shares of true faces within 1, 2, 5, 10 % of a gallery of 5,000."""
    edges, within = np.array([0.01, 0.02, 0.05, 0.1]), [0.1092, 0.17, 0.306, 0.4582]
    shape = stats.beta(0.6546, 3.1087)  # by likelihood the smooth curve through the table
    np.testing.assert_allclose(shape.cdf(edges), within, atol=0.003)
    ranks = np.ceil(5000 * shape.ppf((np.arange(2000) + 0.5) / 2000))
    table = Ranks(np.arange(2000), ranks, np.zeros(2000, int), np.full(2000, 5000))
    people = np.arange(2000)
    (bits,) = histogram_bits(table, people, weigh_people(people, draws=0), bins=10)
    steps = np.diff([0, *within, 1]), np.diff([0, *edges, 1])  # nothing told but the table itself
    least = float((steps[0] * np.log2(steps[0] / steps[1])).sum())
    assert 0.67 < least < bits < 1.06
