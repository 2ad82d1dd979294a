"""Retrieval: known answers, chance by brute force, and the same from slower definitions."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from speech2face.errors import UsageError
from speech2face.metrics.intervals import bootstrap_people, bootstrap_statistic
from speech2face.metrics.matching import two_way
from speech2face.metrics.retrieval import (
    Ranks,
    Retrieval,
    average_precision,
    best_of,
    measure_retrieval,
    n_way,
    rank_matches,
    rank_probes,
    recall_at_percent,
    recall_at_rank,
    same_label,
    sort_pairs,
    weighted_median,
)
from speech2face.metrics.roc import auc_and_eer

# Ranks -------------------------------------------------------------------------------------------


def rank(scores: np.ndarray, probes: np.ndarray, gallery: np.ndarray) -> Ranks:
    return best_of(rank_matches(scores, *sort_pairs(probes, gallery)))


def test_the_best_of_several_true_matches_is_ranked_among_other_people():
    probes, gallery = np.array(["a", "b"]), np.array(["b", "a", "c", "a", "d"])
    scores = np.array([[5.0, 1, 4, 3, 3], [0, 9, 8, 7, 0]])
    ranks = rank(scores, probes, gallery)
    np.testing.assert_array_equal(ranks.probe, [0, 1])
    np.testing.assert_array_equal(ranks.rank, [3.5, 4.5])  # a: behind b and c, beside d
    np.testing.assert_array_equal(ranks.tied, [1, 1])
    np.testing.assert_array_equal(ranks.gallery, [4, 5])


def test_whoever_has_no_match_or_no_opponent_has_no_rank():
    people, labels = np.array(["a", "b", "c", "c"]), np.array(["x", "x", "y", "y"])
    ranks = rank_probes(np.eye(4), people, people, same_label(labels, labels))
    np.testing.assert_array_equal(ranks.probe, [0, 1])  # among those of y there is only c
    np.testing.assert_array_equal(ranks.rank, [1, 1])
    assert not len(rank_probes(np.eye(4), np.array(list("abcd")), np.array(list("efgh"))).probe)


def test_ranks_agree_with_sorting():
    rng = np.random.default_rng(0)
    people = np.arange(30)
    scores = rng.normal(size=(30, 30))
    places = (-scores).argsort(1)
    wanted = [list(row).index(i) + 1 for i, row in enumerate(places)]
    np.testing.assert_array_equal(rank(scores, people, people).rank, wanted)


def test_recall_at_a_rank_is_not_recall_at_a_percentage():
    ranks = np.array([1.0, 2, 50, 51, 5000])
    np.testing.assert_array_equal(recall_at_rank(ranks, 1), [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(recall_at_percent(ranks, 5000, 1), [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(recall_at_percent(ranks, 5000, 100), 1)
    sizes = np.array([10, 20, 5000, 5000, 5000])
    np.testing.assert_array_equal(recall_at_percent(ranks, sizes, 10), [1, 1, 1, 1, 0])


def test_those_who_tie_share_their_places():
    ranks, tied = np.array([3.0]), np.array([4])  # places 1 to 5
    recalls = [recall_at_rank(ranks, k, tied=tied)[0] for k in range(7)]
    assert recalls == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1])


def test_n_way_matching_agrees_with_all_sets_of_opponents():
    own, others = 3, [1, 2, 3, 3, 4, 0]
    for n in (2, 3, 5, 7):
        won = []
        for opponents in combinations(others, n - 1):
            best = max(opponents) <= own
            won.append(best / (1 + opponents.count(own)))
        ranks, tied = np.array([3.0]), np.array([2])  # behind 4, beside two 3s
        assert n_way(ranks, 7, n, tied=tied)[0] == pytest.approx(np.mean(won))
    assert np.isnan(n_way(ranks, 7, 8, tied=tied)).all()
    np.testing.assert_allclose(n_way(np.array([1.0, 5000]), 5000, 10), [1, 0])


def test_average_precision_agrees_with_its_definition():
    probes, gallery = np.array(["a"]), np.array(list("abacda"))
    scores = np.array([[9.0, 8, 7, 7, 6, 1]])
    # The true ones at 9, at 7 beside one other, and last.
    wanted = (1 / 1 + 2 / 4 + 3 / 6) / 3
    assert average_precision(scores, *sort_pairs(probes, gallery)) == pytest.approx([wanted])


def test_a_weighted_median_counts_weights_not_values():
    values = np.array([5.0, 1, 3])
    weights = np.array([[1, 1, 1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0, 1, 1]])
    weights = weights / weights.sum(1, keepdims=True)
    np.testing.assert_array_equal(weighted_median(values, weights), [3, 1, 5, 1])


# All together ------------------------------------------------------------------------------------


def figures(found: Retrieval) -> dict[str, tuple[float, float]]:
    """Value and chance of each measure."""
    flat = {}
    for name, figure in vars(found).items():
        for k, one in (figure if isinstance(figure, dict) else {"": figure}).items():
            if hasattr(one, "chance"):
                flat[f"{name} {k}".strip()] = (one.value, one.chance)
    return flat


def test_a_perfect_system_has_the_best_of_every_figure_both_ways():
    people = np.arange(40)
    for scores in (np.eye(40), np.eye(40).T):
        found = measure_retrieval(scores, people, people, draws=50)
        assert (found.probes, found.people, found.gallery) == (40, 40, pytest.approx(40))
        values = {name: value for name, (value, _) in figures(found).items()}
        assert values.pop("recall_at_percent 1") == values.pop("recall_at_percent 2") == 0
        assert values.pop("equal_error_rate") == pytest.approx(0)  # 1 and 2 % of 40: no entry
        assert list(values.values()) == pytest.approx([1] * len(values))
        assert found.two_way.low == pytest.approx(1)


def test_a_constant_system_is_at_chance():
    people = np.arange(41)
    found = measure_retrieval(np.zeros((41, 41)), people, people, draws=20)
    wanted = figures(found)
    value, chance = wanted.pop("mean_average_precision")
    assert value == pytest.approx(1 / 41)  # a group of ties counts as a whole
    assert value < chance
    for value, chance in wanted.values():
        assert value == pytest.approx(chance)
    assert found.recall_at_percent[10].chance == pytest.approx(4 / 41)
    assert found.median_rank.chance == 21


def test_chance_is_what_random_scores_give_on_average():
    rng = np.random.default_rng(2)
    probes = np.array(list("aabcd"))
    gallery = np.array(list("aaabbcddeefghijkl"))
    sex = {name: "mf"[i % 2] for i, name in enumerate("abcdefghijkl")}
    labels = tuple(np.array([sex[p] for p in people]) for people in (probes, gallery))
    for stratum in (None, labels):
        drawn = []
        for _ in range(200):
            scores = rng.normal(size=(5, 17))
            found = measure_retrieval(scores, probes, gallery, stratum=stratum, draws=1)
            drawn.append(figures(found))
        for name, (_, chance) in drawn[0].items():
            values = np.array([figure[name][0] for figure in drawn])
            if name == "ten_way" and stratum:
                assert np.isnan(values).all()  # nobody has nine opponents of one sex
            elif name in ("median_rank", "equal_error_rate"):  # not means: near, not equal
                assert np.median(values) == pytest.approx(chance, rel=0.4)
            else:
                error = 4.5 * values.std() / np.sqrt(len(values))
                assert values.mean() == pytest.approx(chance, abs=error + 1e-9), name


def test_two_way_matching_and_its_interval_are_those_of_one_face_each():
    rng = np.random.default_rng(3)
    people = np.arange(30)
    scores = rng.normal(size=(30, 30)) + np.eye(30)
    found = measure_retrieval(scores, people, people, seed=4).two_way
    wanted = bootstrap_people(two_way(scores, people), people, seed=4, draws=1000)
    assert (found.value, found.low, found.high) == pytest.approx(
        (wanted.value, wanted.low, wanted.high)
    )


def test_the_median_rank_is_bootstrapped_over_people():
    rng = np.random.default_rng(4)
    probes, gallery = np.repeat(np.arange(20), 3), np.arange(20)
    scores = rng.normal(size=(60, 20)) + (probes[:, None] == gallery)
    ranks = rank(scores, probes, gallery).rank
    found = measure_retrieval(scores, probes, gallery, seed=1, draws=100).median_rank
    wanted = bootstrap_statistic(
        lambda weights: float(weighted_median(ranks, weights[None])[0]), probes, seed=1, draws=100
    )
    assert (found.value, found.low, found.high) == (wanted.value, wanted.low, wanted.high)
    assert found.chance == 10


def test_within_a_stratum_its_label_alone_is_worth_nothing():
    people = np.arange(40)
    sex = np.where(people % 2, "male", "female")
    scores = (sex[:, None] == sex).astype(float)
    whole = measure_retrieval(scores, people, people, draws=20)
    within = measure_retrieval(scores, people, people, stratum=sex, draws=20)
    assert whole.two_way.value == pytest.approx((19 / 2 + 20) / 39)
    assert (within.gallery, within.two_way.value) == pytest.approx((20, 0.5))
    assert within.recall_at_percent[5].value == pytest.approx(1 / 20)


def test_the_empty_label_is_like_no_other_and_whoever_has_no_opponent_is_left_out():
    people = np.array(list("abcd"))
    sex = np.array(["male", "male", "", ""])
    np.testing.assert_array_equal(same_label(sex, sex)[2:], False)
    found = measure_retrieval(np.eye(4), people, people, stratum=sex, draws=5)
    assert (found.probes, found.people) == (2, 2)
    alone = measure_retrieval(np.eye(4), people, np.array(list("abxy")), draws=5)
    assert (alone.probes, alone.people) == (2, 2)
    with pytest.raises(UsageError, match="no probe has both"):
        measure_retrieval(np.eye(4), people, np.array(list("wxyz")))
    with pytest.raises(UsageError, match="NaN"):
        measure_retrieval(np.full((4, 4), np.nan), people, people)


def test_areas_and_precision_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    people = rng.integers(6, size=30)
    scores = rng.normal(size=(30, 30)) + (people[:, None] == people[None])
    true, others = sort_pairs(people, people)
    precision = average_precision(scores, true, others)
    for probe in range(30):
        either = true[probe] | others[probe]
        wanted = average_precision_score(true[probe][either], scores[probe][either])
        assert precision[probe] == pytest.approx(wanted)
    same, values = true[true | others], scores[true | others]
    assert auc_and_eer(values, same)[0] == pytest.approx(roc_auc_score(same, values))
