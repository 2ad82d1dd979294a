"""Bits: known disclosures, planted beta-binomials found again, and what sex alone explains."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from speech2face.errors import UsageError
from speech2face.metrics.intervals import weigh_people
from speech2face.metrics.rank_disclosure import (
    BetaBinomial,
    compare_disclosure,
    explain_by_sex,
    fit_ranks,
    histogram_bits,
    measure_disclosure,
    mutual_information,
)
from speech2face.metrics.retrieval import Ranks, same_label


def ranked(ranks: np.ndarray, gallery: int | np.ndarray, tied: int = 0) -> Ranks:
    count = len(ranks)
    return Ranks(
        np.arange(count),
        np.asarray(ranks, float),
        np.full(count, tied),
        np.broadcast_to(gallery, count),
    )


def histogram(ranks: Ranks, bins: int, draws: int = 0) -> np.ndarray:
    people = np.arange(len(ranks.rank))
    return histogram_bits(ranks, people, weigh_people(people, draws=draws), bins)


def everyone(ranks: Ranks) -> np.ndarray:
    return np.full(len(ranks.rank), 1 / len(ranks.rank))


# The histogram -----------------------------------------------------------------------------------


def test_always_first_of_n_is_all_bits():
    assert histogram(ranked(np.ones(50), 64), bins=64) == pytest.approx([6])
    assert histogram(ranked(np.ones(50), 64), bins=16) == pytest.approx([4])  # no more than log2
    model = fit_ranks(ranked(np.ones(50), 64), np.full(50, 1 / 50))
    assert model.divergence(64) == pytest.approx(6, abs=1e-3)


def test_the_correction_is_millers():
    ranks = ranked(np.arange(1, 101), 100)
    assert histogram(ranks, bins=10) == pytest.approx([-9 / (2 * 100 * np.log(2))])
    half = ranked(np.arange(1, 51), 100)
    assert histogram(half, bins=10) == pytest.approx([1 - 4 / (2 * 50 * np.log(2))])


def test_uniform_ranks_disclose_nothing_on_average():
    rng = np.random.default_rng(0)
    found = np.array(
        [histogram(ranked(rng.integers(1, 501, size=200), 500), bins=20)[0] for _ in range(100)]
    )
    assert abs(found.mean()) < 3 * found.std() / 10  # uncorrected it would be .069
    model = fit_ranks(ranked(np.arange(1, 501), 500), np.full(500, 1 / 500))
    assert (model.a, model.b) == pytest.approx((1, 1), abs=1e-3)
    assert model.divergence(500) == pytest.approx(0, abs=1e-6)


def test_drawing_people_does_not_add_bits():
    rng = np.random.default_rng(1)
    found = histogram(ranked(rng.integers(1, 251, size=200), 500), bins=20, draws=500)
    assert found[1:].mean() == pytest.approx(found[0], abs=0.01)  # uncorrected .03


def test_ties_cover_all_their_places():
    half = ranked(np.full(30, 25.5), 100, tied=49)  # places 1 to 50
    assert histogram(half, bins=10) == pytest.approx([1])
    everywhere = ranked(np.full(30, 50.5), 100, tied=99)
    assert histogram(everywhere, bins=7) == pytest.approx([0])
    model = fit_ranks(everywhere, everyone(everywhere))
    assert (model.a, model.b) == pytest.approx((1, 1), abs=1e-3)


def test_galleries_of_several_sizes_go_together():
    sizes = np.array([40, 80] * 20)
    assert histogram(ranked(np.ones(40), sizes), bins=40) == pytest.approx([np.log2(40)])
    first_half = ranked(np.where(sizes == 40, 10.5, 20.5), sizes)
    first_half = Ranks(first_half.probe, first_half.rank, sizes // 2 - 1, sizes)
    assert histogram(first_half, bins=10) == pytest.approx([1])


# The fit -----------------------------------------------------------------------------------------


def test_the_model_is_scipys_beta_binomial():
    model, ranks = BetaBinomial(0.7, 2.5), np.arange(1, 301)
    known = stats.betabinom(299, 0.7, 2.5).pmf(ranks - 1)
    np.testing.assert_allclose(2 ** model.disclosed(ranks, 300) / 300, known, rtol=1e-9)
    assert model.divergence(300) == pytest.approx(stats.entropy(known, np.full(300, 1 / 300), 2))
    assert model.worst_case(300) == pytest.approx(np.log2(300 * known[0]))
    assert BetaBinomial(3, 1).worst_case(300) > np.log2(2)  # misled every time: last place


@pytest.mark.parametrize(("a", "b"), [(0.6, 3), (1.5, 1.5), (0.3, 0.9), (2, 8)])
def test_a_planted_model_is_found_again(a, b):
    rng = np.random.default_rng(2)
    sizes = np.repeat([400, 900], 2000)
    ranks = ranked(stats.betabinom.rvs(sizes - 1, a, b, random_state=rng) + 1, sizes)
    model = fit_ranks(ranks, everyone(ranks))
    assert (model.a, model.b) == pytest.approx((a, b), rel=0.1)
    again = fit_ranks(ranks, everyone(ranks), start=BetaBinomial(5, 0.2))
    assert (again.a, again.b) == pytest.approx((model.a, model.b), rel=1e-3)
    planted = BetaBinomial(a, b).divergence(900)
    assert model.divergence(900) == pytest.approx(planted, rel=0.1)
    known = histogram(ranks, bins=100)
    assert known == pytest.approx([planted], rel=0.15)


def test_weights_are_as_good_as_repeated_ranks():
    ranks, times = np.array([1, 3, 7, 20, 50]), np.array([4, 3, 2, 1, 1])
    weighted = fit_ranks(ranked(ranks, 64), times / times.sum())
    often = ranked(np.repeat(ranks, times), 64)
    repeated = fit_ranks(often, everyone(often))
    assert (weighted.a, weighted.b) == pytest.approx((repeated.a, repeated.b), rel=1e-4)


# From scores -------------------------------------------------------------------------------------

PEOPLE = np.arange(120)
SEX = np.where(PEOPLE % 2, "male", "female")
SAME = SEX[:, None] == SEX


def test_random_scores_disclose_nothing_and_perfect_ones_everything():
    rng = np.random.default_rng(3)
    nothing = measure_disclosure(rng.normal(size=(120, 120)), PEOPLE, PEOPLE, bins=10, draws=50)
    assert nothing.histogram.low < 0.03
    assert nothing.fitted.value < 0.03
    assert abs(nothing.person.mean()) < 0.05

    wanted = np.log2(120)
    found = measure_disclosure(np.eye(120), PEOPLE, PEOPLE, bins=120, draws=20)
    assert (found.gallery, found.histogram.value) == pytest.approx((120, wanted))
    assert found.fitted.value == pytest.approx(wanted, abs=0.01)
    assert found.person == pytest.approx(np.full(120, wanted), abs=0.01)
    assert (found.worst_person, found.worst_case) == pytest.approx((wanted, wanted), abs=0.01)


def test_a_person_of_several_clips_weighs_no_more():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(120, 120)) + 2 * np.eye(120)
    once = measure_disclosure(scores, PEOPLE, PEOPLE, draws=20)
    rows = np.r_[PEOPLE, np.zeros(200, int)]
    often = measure_disclosure(scores[rows], PEOPLE[rows], PEOPLE, draws=20)
    assert often.histogram.value == pytest.approx(once.histogram.value)
    assert often.fitted.value == pytest.approx(once.fitted.value, abs=1e-4)
    assert often.person == pytest.approx(once.person, abs=1e-3)


def test_several_faces_of_a_person_are_no_head_start():
    rng = np.random.default_rng(5)
    gallery = np.repeat(PEOPLE, 5)
    found = measure_disclosure(rng.normal(size=(120, 600)), PEOPLE, gallery, draws=20)
    assert found.histogram.low < 0.02
    assert found.fitted.value < 0.02


def test_where_the_voice_tells_sex_alone_it_is_one_bit_and_nothing_is_left():
    rng = np.random.default_rng(6)
    scores = SAME + 0.01 * rng.normal(size=(120, 120))
    found = explain_by_sex(scores, PEOPLE, PEOPLE, SEX, SEX, SEX, bins=10, draws=100)
    assert found.whole.value == pytest.approx(1, abs=0.05)
    assert found.sex_alone.value == pytest.approx(1, abs=0.05)
    assert found.within_sex.low < 0 < found.within_sex.high
    assert found.share.low < 1 < found.share.high
    within = measure_disclosure(scores, PEOPLE, PEOPLE, same=same_label(SEX, SEX), draws=20)
    assert within.gallery == 60
    assert within.fitted.value < 0.05


def test_where_it_tells_more_the_parts_add_up():
    rng = np.random.default_rng(7)
    scores = 9 * SAME + rng.normal(size=(120, 120)) + 2 * np.eye(120)
    found = explain_by_sex(scores, PEOPLE, PEOPLE, SEX, SEX, SEX, bins=20, draws=50)
    parts = found.sex_alone.value + found.within_sex.value
    assert found.whole.value == pytest.approx(parts, abs=0.3)
    assert found.within_sex.low > 0.5
    assert found.share.high < 0.7


def test_a_voice_whose_sex_is_heard_wrong_gives_less():
    rng = np.random.default_rng(8)
    heard = np.where(rng.random(120) < 0.06, np.where(SEX == "male", "female", "male"), SEX)
    found = explain_by_sex(SAME.astype(float), PEOPLE, PEOPLE, heard, SEX, SEX, draws=50)
    assert 0.5 < found.sex_alone.value < 0.9
    assert found.whole.value > 0.95


def test_two_systems_are_compared_on_the_same_draws():
    rng = np.random.default_rng(10)
    noise = rng.normal(size=(120, 120))
    weak, strong, perfect = (noise + k * np.eye(120) for k in (1, 2, 99))
    same = compare_disclosure(strong, strong, PEOPLE, PEOPLE, draws=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)

    alone = [measure_disclosure(s, PEOPLE, PEOPLE, draws=50).histogram for s in (strong, weak)]
    less = compare_disclosure(strong, weak, PEOPLE, PEOPLE, draws=50)
    assert less.value == pytest.approx(alone[0].value - alone[1].value)
    assert 0 < less.low < less.value < less.high
    assert less.high - less.low < sum(e.high - e.low for e in alone)
    back = compare_disclosure(weak, strong, PEOPLE, PEOPLE, draws=50)
    assert (back.value, back.low, back.high) == pytest.approx((-less.value, -less.high, -less.low))

    whole = compare_disclosure(perfect, noise, PEOPLE, PEOPLE, bins=8, draws=50)
    assert whole.value == pytest.approx(3, abs=0.1)  # log2(8) less chance
    within = compare_disclosure(perfect, SAME * 9.0, PEOPLE, PEOPLE, same=SAME, bins=8, draws=50)
    assert within.value == pytest.approx(3)  # of sex alone nothing is left


def test_what_has_no_rank_is_told():
    with pytest.raises(UsageError, match="no probe has both"):
        measure_disclosure(np.eye(3), np.arange(3), np.arange(3, 6))
    with pytest.raises(UsageError, match="NaN"):
        measure_disclosure(np.full((3, 3), np.nan), np.arange(3), np.arange(3))


# Mutual information ------------------------------------------------------------------------------


def test_mutual_information_of_known_tables():
    assert mutual_information(np.diag([3, 3, 3, 3])) == pytest.approx(2)
    assert mutual_information(np.outer([1, 2], [3, 4, 5])) == pytest.approx(0)
    assert mutual_information(np.array([[7.0], [2]])) == pytest.approx(0)
    table = np.random.default_rng(9).integers(1, 20, size=(3, 5))
    shares = table / table.sum()
    wanted = stats.entropy(shares.ravel(), np.outer(shares.sum(1), shares.sum(0)).ravel(), 2)
    assert mutual_information(table) == pytest.approx(wanted)


def test_a_sex_heard_right_in_94_of_100_is_worth_less_than_two_thirds_of_a_bit():
    table = np.array([[0.626 - 0.03, 0.03], [0.03, 0.374 - 0.03]])  # the majority is .626
    assert mutual_information(table) == pytest.approx(0.64, abs=0.02)


def test_mutual_information_is_that_of_scikit_learn():
    rng = np.random.default_rng(4)
    true = rng.integers(4, size=500)
    seen = np.where(rng.random(500) < 0.6, true, rng.integers(4, size=500))
    counts = np.bincount(true * 4 + seen, minlength=16).reshape(4, 4)
    assert mutual_information(counts) == pytest.approx(mutual_info_score(true, seen) / np.log(2))
