"""The ROC of verification agrees with every pair and every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2face.metrics.retrieval import sort_pairs
from speech2face.metrics.roc import area_under_roc, equal_error_rate, trace_roc, true_accepts


def verify_slowly(own: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Area and equal error rate from every threshold."""
    wins = (own[:, None] > other) + 0.5 * (own[:, None] == other)
    steps = np.r_[np.inf, np.unique(np.r_[own, other])[::-1]]
    accepted = np.array([(other >= t).mean() for t in steps])
    missed = np.array([(own < t).mean() for t in steps])
    after = int((accepted >= missed).argmax())
    d0, d1 = (accepted - missed)[[after - 1, after]]
    rate = accepted[after - 1] - d0 / (d1 - d0) * (accepted[after] - accepted[after - 1])
    return wins.mean(), rate


@given(st.integers(0, 1000), st.sampled_from([4, 30, 10**6]))
def test_the_roc_agrees_with_every_pair_and_every_threshold(seed, levels):
    rng = np.random.default_rng(seed)
    people = np.arange(12)
    scores = (rng.integers(levels, size=(12, 12)) + np.eye(12) * levels // 3).astype(float)
    true, others = sort_pairs(people, people)
    corners = trace_roc(scores, true, others, np.full((1, 12), 1 / 12))
    area, rate = verify_slowly(scores[true], scores[others])
    assert area_under_roc(*corners) == pytest.approx([area])
    assert equal_error_rate(*corners) == pytest.approx([rate])


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]))
def test_true_accepts_are_those_of_every_threshold(seed, rate):
    rng = np.random.default_rng(seed)
    people = np.arange(15)
    scores = rng.normal(size=(15, 15)) + np.eye(15)
    true, others = sort_pairs(people, people)
    corners = trace_roc(scores, true, others, np.full((1, 15), 1 / 15))
    own, other = scores[true], scores[others]
    allowed = [t for t in np.r_[np.inf, other, own] if (other >= t).mean() <= rate + 1e-12]
    expected = max((own >= t).mean() for t in allowed)
    if rate == 1:
        expected = 1.0
    assert true_accepts(*corners, rate) == pytest.approx([expected])


def test_ties_are_accepted_in_part():
    people = np.arange(10)
    corners = trace_roc(np.zeros((10, 10)), *sort_pairs(people, people), np.full((1, 10), 0.1))
    assert true_accepts(*corners, 0.01) == pytest.approx([0.01])


def test_weights_in_the_roc_are_as_good_as_repeated_probes():
    rng = np.random.default_rng(1)
    people, gallery = np.arange(8), np.repeat(np.arange(8), 2)
    scores = rng.normal(size=(8, 16))
    times = np.array([0, 1, 2, 3, 1, 0, 2, 1])
    often = np.repeat(people, times)
    for value in (area_under_roc, equal_error_rate):
        weighted = trace_roc(scores, *sort_pairs(people, gallery), times[None] / 10)
        repeated = trace_roc(scores[often], *sort_pairs(often, gallery), np.full((1, 10), 0.1))
        assert value(*weighted) == pytest.approx(value(*repeated))
