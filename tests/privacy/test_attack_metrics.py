"""Attacks whose outcome is known: nothing, everything, and what lies between."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from speech2face.metrics.audit_results import SHARES
from speech2face.metrics.intervals import weigh_people
from speech2face.metrics.rank_disclosure import histogram_bits
from speech2face.metrics.retrieval import Ranks
from speech2face.privacy.attack_metrics import (
    Attack,
    compare_attacks,
    measure_attack,
    measure_linkability,
)

PEOPLE, FOLDS = 60, 3


def attack(scores: np.ndarray, folds: int = FOLDS) -> Attack:
    people, fold = np.arange(len(scores)), np.arange(len(scores)) % folds
    return Attack(scores, people, fold, people, fold)


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
