"""Retrieval: each probe's own person is sought among the people of a gallery.

Scores are (n probes, m gallery), higher is nearer. Voice → face: probes are voices; face → voice is
the same with the scores transposed and the people exchanged. A true match is an entry of the
probe's own person. Every true match is ranked among the entries of all other people (the person's
other entries are no opponents); 1 is first.

rank                 of a probe's best true match; entries that tie share the mean of their places
recall at rank k     how often that rank is k or better
recall at k per cent how often it is within k per cent of the gallery: the R@K of Speech2Face
                     (Oh et al., CVPR 2019), whose gallery of 5,000 makes R@1 rank 50
N-way                how often a true match beats N − 1 random others; two-way is the area under
                     the curve of the probe's row
average precision    mean, over a probe's true matches, of the share of true ones among all
                     that score as high; mAP over probes. A group of ties counts as a whole
area, equal error    of the ROC (roc.py): every pair of a probe and an entry, same person or not,
                     under one threshold for all

Within a stratum (sex, say, or sex and age band) a probe's gallery is its true matches and the
others of its own label. Each figure is a mean over people of the mean over their probes (the
median rank a median in which everybody weighs the same; in the ROC everybody's same-person pairs
weigh the same, and so do everybody's other pairs). Chance is what random scores would give.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.metrics.intervals import Figure, summarise, weigh_people
from speech2face.metrics.matching import average_people
from speech2face.metrics.roc import area_under_roc, equal_error_rate, trace_roc

RANKS = (1, 5, 10)
PERCENTS = (1, 2, 5, 10)  # as in the paper
TEN = 10  # faces among which the true one is sought in ten-way matching


@dataclass(frozen=True)
class Ranks:
    """Ranks of the true matches, one row for each: (n,) of all four."""

    probe: np.ndarray  # row of the scores
    rank: np.ndarray  # mean of the places it may take
    tied: np.ndarray  # other people's entries that score the same
    gallery: np.ndarray  # entries it is ranked among: itself and other people's


@dataclass(frozen=True)
class Retrieval:
    """All measures of one score matrix, each beside chance."""

    probes: int
    people: int
    gallery: float  # entries that a true match is ranked among, mean over probes
    median_rank: Figure
    recall_at_rank: dict[int, Figure]  # by k of `RANKS`
    recall_at_percent: dict[int, Figure]  # by per cent of the gallery
    two_way: Figure
    ten_way: Figure  # NaN where nobody has nine opponents
    mean_average_precision: Figure
    area_under_roc: Figure
    equal_error_rate: Figure


def measure_retrieval(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    *,
    stratum: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> Retrieval:
    """Scores (n, m) and the person of each probe (n,) and entry (m,) → all measures.

    `stratum`: labels (n,) where probes and gallery are the same clips, else a pair of labels (n,)
    and (m,). Probes without a true match or without an opponent are left out. The gallery stays
    as it is while people are drawn.
    """
    if np.isnan(scores).any():
        raise UsageError("scores hold NaN; leave out what has no embedding first.")
    same = None
    if stratum is not None:
        same = same_label(*(stratum if isinstance(stratum, tuple) else (stratum, stratum)))
    true, others = sort_pairs(probe_people, gallery_people, same)
    kept = true.any(1) & others.any(1)
    if not kept.any():
        raise UsageError("no probe has both a true match and an opponent in the gallery.")
    scores, people, true, others = scores[kept], probe_people[kept], true[kept], others[kept]
    weights = weigh_people(people, seed=seed, draws=draws)

    every = rank_matches(scores, true, others)
    best = best_of(every)
    chance = _RandomRanks(true.sum(1), others.sum(1), weights[0])
    accepted, hit = trace_roc(scores, true, others, weights)

    def mean(values: np.ndarray, by_chance: float) -> Figure:
        return _beside(_mean(values, weights), by_chance)

    def matched(n: int) -> Figure:
        values = n_way(every.rank, every.gallery, n, tied=every.tied)
        return mean(_mean_of_probe(every.probe, values), 1 / n)

    return Retrieval(
        probes=len(scores),
        people=len(np.unique(people)),
        gallery=float(weights[0] @ best.gallery),
        median_rank=_beside(weighted_median(best.rank, weights), chance.median()),
        recall_at_rank={
            k: mean(recall_at_rank(best.rank, k, tied=best.tied), chance.recall_at_rank(k))
            for k in RANKS
        },
        recall_at_percent={
            k: mean(
                recall_at_percent(best.rank, best.gallery, k, tied=best.tied),
                chance.recall_at_percent(k),
            )
            for k in PERCENTS
        },
        two_way=matched(2),
        ten_way=matched(TEN),
        mean_average_precision=mean(
            average_precision(scores, true, others), chance.average_precision()
        ),
        area_under_roc=_beside(area_under_roc(accepted, hit), 0.5),
        equal_error_rate=_beside(equal_error_rate(accepted, hit), 0.5),
    )


# Who is who --------------------------------------------------------------------------------------


def sort_pairs(
    probe_people: np.ndarray, gallery_people: np.ndarray, same: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """People (n,) and (m,) → which pairs (n, m) are true matches, which are opponents (bool).

    `same` (n, m), see `same_label`, says which opponents stay.
    """
    true = probe_people[:, None] == gallery_people[None]
    return true, ~true if same is None else ~true & same


def same_label(probe_labels: np.ndarray, gallery_labels: np.ndarray) -> np.ndarray:
    """Labels (n,) and (m,) → pairs of one label (n, m). The empty label is like no other."""
    probe, gallery = np.asarray(probe_labels, str), np.asarray(gallery_labels, str)
    return (probe[:, None] == gallery[None]) & (gallery != "")[None]


# Ranks -------------------------------------------------------------------------------------------


def rank_matches(scores: np.ndarray, true: np.ndarray, others: np.ndarray) -> Ranks:
    """Scores, true matches and opponents (n, m) → the rank of every true match, by probe."""
    probe, entry = np.nonzero(true)
    own = scores[probe, entry][:, None]
    row, opponents = scores[probe], others[probe]
    higher = ((row > own) & opponents).sum(1)
    tied = ((row == own) & opponents).sum(1)
    return Ranks(probe, 1 + higher + tied / 2, tied, 1 + opponents.sum(1))


def best_of(ranks: Ranks) -> Ranks:
    """The best true match of each probe: one row a probe."""
    order = np.lexsort((ranks.rank, ranks.probe))
    first = order[np.unique(ranks.probe[order], return_index=True)[1]]
    return Ranks(ranks.probe[first], ranks.rank[first], ranks.tied[first], ranks.gallery[first])


def rank_probes(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    same: np.ndarray | None = None,
) -> Ranks:
    """Scores (n, m), people, and which opponents stay → the rank of each probe's best true match.

    Probes without a true match or without an opponent are left out.
    """
    true, others = sort_pairs(probe_people, gallery_people, same)
    return best_of(rank_matches(scores, true & others.any(1, keepdims=True), others))


def recall_at_rank(
    ranks: np.ndarray, k: np.ndarray | float, *, tied: np.ndarray | float = 0
) -> np.ndarray:
    """Ranks (n,) → how often each is k or better (n,); a fraction where ties lie across k.

    `tied`: how many others share the rank; they are taken in a random order.
    """
    first = ranks - np.asarray(tied) / 2
    return np.clip((np.floor(k) - first + 1) / (np.asarray(tied) + 1), 0, 1)


def recall_at_percent(
    ranks: np.ndarray,
    gallery: np.ndarray | int,
    percent: float,
    *,
    tied: np.ndarray | float = 0,
) -> np.ndarray:
    """Ranks (n,) in galleries of so many → how often each is within so many per cent of it (n,)."""
    return recall_at_rank(ranks, np.asarray(gallery) * percent / 100, tied=tied)


def n_way(
    ranks: np.ndarray, gallery: np.ndarray | int, n: int, *, tied: np.ndarray | float = 0
) -> np.ndarray:
    """Ranks (n,) in galleries of so many → chance to beat n − 1 random others of it (n,).

    Exact, without drawing: with b others below, C(b, n − 1) of the C(gallery − 1, n − 1) sets of
    opponents lose; those who tie come in a random order, so b is averaged over the tied places.
    NaN where the gallery holds fewer than n.
    """
    tied, gallery = np.asarray(tied, float), np.asarray(gallery, float)
    below = gallery - ranks - tied / 2
    sets = _choose(gallery - 1, n - 1)
    won = (_choose(below + tied + 1, n) - _choose(below, n)) / (tied + 1)  # Σ C(b, n − 1), b tied
    return np.divide(won, sets, out=np.full(np.shape(won), np.nan), where=sets > 0)


def match_probes(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    same: np.ndarray | None = None,
    n: int = 2,
) -> np.ndarray:
    """Scores (n, m), people, and which opponents stay → N-way wins of each probe (n,).

    NaN where a probe has no true match, or fewer than n − 1 opponents.
    """
    ranks = rank_matches(scores, *sort_pairs(probe_people, gallery_people, same))
    wins = n_way(ranks.rank, ranks.gallery, n, tied=ranks.tied)
    times = np.bincount(ranks.probe, minlength=len(scores))
    won = np.bincount(ranks.probe, wins, len(scores))
    return np.divide(won, times, out=np.full(len(scores), np.nan), where=times > 0)


def trace_recall(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    same: np.ndarray | None = None,
) -> np.ndarray:
    """Scores (n, m) → recall at 1, 2 … 100 per cent of the gallery (100,); chance is the same k."""
    best = rank_probes(scores, probe_people, gallery_people, same)
    percents = range(1, 101)
    within = [recall_at_percent(best.rank, best.gallery, k, tied=best.tied) for k in percents]
    return average_people(np.array(within).T, probe_people[best.probe])


def average_precision(scores: np.ndarray, true: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Scores, true matches and opponents (n, m) → average precision of each probe (n,)."""
    probe, entry = np.nonzero(true)
    as_high = scores[probe] >= scores[probe, entry][:, None]
    right, wrong = (as_high & true[probe]).sum(1), (as_high & others[probe]).sum(1)
    return _mean_of_probe(probe, right / (right + wrong))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values (n,), weights (d, n) that sum to 1 → the lower weighted median by each row (d,)."""
    order = np.argsort(values)
    below = weights[:, order].cumsum(1)
    return values[order][(below >= 0.5 - 1e-9).argmax(1)]


# Chance ------------------------------------------------------------------------------------------


class _RandomRanks:
    """Chance: ranks by random scores of probes with `true` matches and `others` opponents (n,)."""

    def __init__(self, true: np.ndarray, others: np.ndarray, weights: np.ndarray) -> None:
        kinds, index = np.unique(np.stack([true, others], 1), axis=0, return_inverse=True)
        self.true, self.others = kinds.T
        self.weights = np.bincount(index.ravel(), weights)

    def _within(self, ranks: np.ndarray) -> np.ndarray:
        """Probability that the best of t matches among o others is of this rank or better:
        (kinds,).

        Not so where the first k of all entries are opponents: C(o, k) / C(o + t, k).
        """
        within = np.zeros(len(ranks))
        for kind, (t, o, k) in enumerate(zip(self.true, self.others, ranks, strict=True)):
            places = np.arange(min(k, o + 1))
            within[kind] = 1 - np.prod((o - places) / (o + t - places))
        return within

    def recall_at_rank(self, k: int) -> float:
        return float(self.weights @ self._within(np.full(len(self.true), k)))

    def recall_at_percent(self, percent: float) -> float:
        within = np.floor((self.others + 1) * percent / 100).astype(int)
        return float(self.weights @ self._within(within))

    def median(self) -> float:
        low, high = 1, int(self.others.max()) + 1
        while low < high:
            middle = (low + high) // 2
            if self.recall_at_rank(middle) >= 0.5 - 1e-9:
                high = middle
            else:
                low = middle + 1
        return float(low)

    def average_precision(self) -> float:
        """Expected precision: before a match at place k, (t − 1) / (t + o − 1) of k − 1 are
        true."""
        total = 0.0
        for t, o, weight in zip(self.true, self.others, self.weights, strict=True):
            places = np.arange(1, t + o + 1)
            precision = (1 + (places - 1) * (t - 1) / (t + o - 1)) / places
            total += weight * precision.mean()
        return float(total)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values of probes (n,), weights (d, n) → weighted means (d,) of those that are not NaN."""
    finite = np.isfinite(values)
    total = weights[:, finite].sum(1)
    sums = weights[:, finite] @ values[finite]
    return np.divide(sums, total, out=np.full(len(sums), np.nan), where=total > 0)


def _mean_of_probe(probe: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of true matches, probe of each → mean by probe (n,). Every probe has one."""
    return np.bincount(probe, values) / np.bincount(probe)


def _choose(x: np.ndarray, n: int) -> np.ndarray:
    """C(x, n) of whole numbers x from 0 on."""
    return np.prod([(x - i) / (i + 1) for i in range(n)], axis=0)


def _beside(values: np.ndarray, chance: float) -> Figure:
    return Figure(**asdict(summarise(values)), chance=chance)
