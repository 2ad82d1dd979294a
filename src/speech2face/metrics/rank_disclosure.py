"""Bits: how much of the face a voice discloses.

Similarity rank disclosure (Bäckström et al., arXiv 2508.05250 and 2605.07291): the divergence, in
bits, of the distribution of the true face's rank among N from the uniform one that a voice without
any say would give; from 0 to log2(N). One more bit halves the crowd in which a person hides.

histogram    the ranks' shares in bins of equal width, less the bias that chance unevenness adds.
             Where everybody falls into one bin that is (bins in use − 1) / (2 people ln 2) (Miller
             1955); see `histogram_bits`. A histogram assumes no shape, but says no more than
             log2(bins); slightly below 0 means nothing
fitted       a beta-binomial of the ranks, by maximum likelihood: for few data, and where the true
             face is often among the very first. Steps, such as sex alone gives, it blurs
of a person  log2(N · p(rank)), p the fitted model; negative where the voice misleads
worst case   the most that any rank discloses: the same at the likeliest rank

Every true match is ranked alone, among other people's entries. Where entries tie, each of their
places is as likely. Everybody weighs the same. Chance is 0 bits throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.metrics.intervals import (
    Estimate,
    bootstrap_statistic,
    summarise,
    weigh_people,
)
from speech2face.metrics.retrieval import Ranks, rank_matches, same_label, sort_pairs

BINS = 20
NARROWEST, WIDEST = -10.0, 10.0  # of the logarithms of the beta-binomial's parameters


@dataclass(frozen=True)
class BetaBinomial:
    """The rank less one of the true match among N: beta-binomial of N − 1 trials."""

    a: float
    b: float

    def disclosed(self, ranks: np.ndarray, gallery: np.ndarray | int) -> np.ndarray:
        """Ranks (n,) in galleries of N → log2(N · p(rank)) of each, in bits (n,)."""
        from scipy.special import betaln

        before, behind = ranks - 1, gallery - ranks
        nats = betaln(before + self.a, behind + self.b) - betaln(self.a, self.b)
        return (nats - betaln(before + 1, behind + 1)) / np.log(2)

    def divergence(self, gallery: int) -> float:
        """Divergence from the uniform distribution of ranks 1 … N, in bits."""
        bits = self.disclosed(np.arange(1, gallery + 1), gallery)
        return float((2**bits / gallery) @ bits)

    def worst_case(self, gallery: int) -> float:
        """Disclosure of the likeliest of the ranks 1 … N, in bits."""
        return float(self.disclosed(np.arange(1, gallery + 1), gallery).max())


@dataclass(frozen=True)
class Disclosure:
    """The disclosure of one score matrix in bits; chance is 0."""

    gallery: float  # mean N
    model: BetaBinomial
    histogram: Estimate
    fitted: Estimate
    person: np.ndarray  # (people,) mean over each person's matches, in the order of their names
    worst_person: float  # the most of these
    worst_case: float  # at the likeliest rank


@dataclass(frozen=True)
class SexDisclosure:
    """The part of a disclosure that is sex, by histogram, all on the same draws. Bits."""

    whole: Estimate
    sex_alone: Estimate  # the score is only whether the voice's sex is the face's
    within_sex: Estimate  # the gallery holds only the person's own sex
    share: Estimate  # of sex alone in the whole


def measure_disclosure(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    *,
    same: np.ndarray | None = None,
    bins: int = BINS,
    seed: int = 0,
    draws: int = 1000,
) -> Disclosure:
    """Scores (n, m), person of each probe (n,) and entry (m,) → bits.

    `same` (n, m), see `retrieval.same_label`, restricts the opponents. (A fit for every draw takes
    a few seconds.)
    """
    ranks = _rank(scores, probe_people, gallery_people, same)
    people = probe_people[ranks.probe]
    weights = weigh_people(people, seed=seed, draws=draws)
    model = fit_ranks(ranks, weights[0])
    sizes, index = np.unique(ranks.gallery, return_inverse=True)

    def fitted(row: np.ndarray) -> float:
        drawn = fit_ranks(ranks, row, model)
        return float(np.bincount(index, row) @ [drawn.divergence(size) for size in sizes])

    _, person = np.unique(people, return_inverse=True)
    disclosed = model.disclosed(ranks.rank, ranks.gallery)
    of_person = np.bincount(person, disclosed) / np.bincount(person)
    return Disclosure(
        float(weights[0] @ ranks.gallery),
        model,
        summarise(histogram_bits(ranks, people, weights, bins)),
        bootstrap_statistic(fitted, people, seed=seed, draws=draws),
        of_person,
        float(of_person.max()),
        max(model.worst_case(size) for size in sizes),
    )


def explain_by_sex(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    heard: np.ndarray,
    sex: np.ndarray,
    face_sex: np.ndarray,
    *,
    same: np.ndarray | None = None,
    bins: int = BINS,
    seed: int = 0,
    draws: int = 1000,
) -> SexDisclosure:
    """Scores (n, m), people as above → how much of the disclosure is sex.

    `heard` (n,) is the sex each voice is judged to be, `sex` (n,) what it is, `face_sex` (m,) that
    of the faces. With `sex` as `heard`, sex alone is all that sex could say. `same` restricts the
    opponents, as above, throughout.
    """
    own = same_label(sex, face_sex)

    def bits(scores: np.ndarray, opponents: np.ndarray | None) -> np.ndarray:
        return _draw_bits(scores, probe_people, gallery_people, opponents, bins, seed, draws)

    whole = bits(scores, same)
    alone = bits(same_label(heard, face_sex).astype(float), same)
    within = bits(scores, own if same is None else own & same)
    return SexDisclosure(*map(summarise, (whole, alone, within, alone / whole)))


def compare_disclosure(
    scores: np.ndarray,
    other: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    *,
    same: np.ndarray | None = None,
    bins: int = BINS,
    seed: int = 0,
    draws: int = 1000,
) -> Estimate:
    """Scores of two systems (n, m), the rest as above → bits of the first less the other's.

    By histogram, both on the same draws.
    """
    first, second = (
        _draw_bits(system, probe_people, gallery_people, same, bins, seed, draws)
        for system in (scores, other)
    )
    return summarise(first - second)


def histogram_bits(
    ranks: Ranks, people: np.ndarray, weights: np.ndarray, bins: int = BINS
) -> np.ndarray:
    """Ranks of n matches, their people (n,), weights (d, n) → divergence from uniform, bits (d,).

    Place k of N is the piece from (k − 1)/N to k/N of a line that the bins divide, so galleries of
    several sizes go together, and ties cover all their places. The bias is half the sum over bins
    of variance of share / share, the variance that of a weighted mean over people; of ties, which
    are spread without chance, it takes nothing away. In a bootstrap draw it is about twice as
    large, which takes away what drawing adds.
    """
    start = (ranks.rank - ranks.tied / 2 - 1) / ranks.gallery
    width = (ranks.tied + 1) / ranks.gallery
    edges = np.arange(bins + 1) / bins
    covered = np.clip((edges - start[:, None]) / width[:, None], 0, 1)  # up to each edge
    names, first, index = np.unique(people, return_index=True, return_inverse=True)
    sharing = (np.arange(len(names))[:, None] == index).astype(float)  # (people, n)
    matches = sharing.sum(1)
    of_person = sharing @ np.diff(covered, axis=1) / matches[:, None]  # (people, bins)
    weight = weights[:, first] * matches  # (d, people)
    share, square = weight @ of_person, weight**2  # (d, bins), (d, people)
    variance = square @ of_person**2 - 2 * share * (square @ of_person)
    variance += share**2 * square.sum(1, keepdims=True)
    share = np.maximum(share, 1e-12)  # an empty bin adds nothing to either sum
    bits = (share * np.log2(share * bins)).sum(1)
    return bits - (variance / share).sum(1) / (2 * np.log(2))


def fit_ranks(ranks: Ranks, weights: np.ndarray, start: BetaBinomial | None = None) -> BetaBinomial:
    """Ranks of n matches, weights (n,) → the beta-binomial that makes them the most likely."""
    from scipy.optimize import minimize
    from scipy.special import betaln, digamma

    before, behind, mass = _spread(ranks, weights)

    def cost(logs: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean negative log-likelihood in nats, less a constant, and its slopes."""
        a, b = np.exp(logs)
        ends = digamma(before + behind + a + b)
        slopes = np.array(
            [
                mass @ (digamma(before + a) - ends) - digamma(a) + digamma(a + b),
                mass @ (digamma(behind + b) - ends) - digamma(b) + digamma(a + b),
            ]
        )
        value = mass @ betaln(before + a, behind + b) - betaln(a, b)
        return -value, -slopes * (a, b)

    found = minimize(
        cost,
        np.log([start.a, start.b]) if start else np.zeros(2),
        jac=True,
        method="L-BFGS-B",
        bounds=[(NARROWEST, WIDEST)] * 2,
    )
    a, b = np.exp(found.x)
    return BetaBinomial(float(a), float(b))


def mutual_information(confusion: np.ndarray) -> float:
    """Counts or shares (labels, judgements), weighted or not → bits of one in the other.

    As counted: with few counts it is too high, by about (rows − 1)(columns − 1) / (2 n ln 2).
    """
    joint = confusion / confusion.sum()
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    met = joint > 0
    return float((joint[met] * np.log2(joint[met] / alone[met])).sum())


def _draw_bits(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    same: np.ndarray | None,
    bins: int,
    seed: int,
    draws: int,
) -> np.ndarray:
    """Bits by histogram, of all and then of each draw (1 + draws,)."""
    ranks = _rank(scores, probe_people, gallery_people, same)
    people = probe_people[ranks.probe]
    return histogram_bits(ranks, people, weigh_people(people, seed=seed, draws=draws), bins)


def _rank(
    scores: np.ndarray,
    probe_people: np.ndarray,
    gallery_people: np.ndarray,
    same: np.ndarray | None,
) -> Ranks:
    if np.isnan(scores).any():
        raise UsageError("scores hold NaN; leave out what has no embedding first.")
    true, others = sort_pairs(probe_people, gallery_people, same)
    ranks = rank_matches(scores, true & others.any(1, keepdims=True), others)
    if not len(ranks.probe):
        raise UsageError("no probe has both a true match and an opponent in the gallery.")
    return ranks


def _spread(ranks: Ranks, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every place of every size of gallery: places before and behind it, and its weight."""
    first = (ranks.rank - ranks.tied / 2 - 1).round().astype(int)
    each = weights / (ranks.tied + 1)
    before, behind, mass = [], [], []
    for size in np.unique(ranks.gallery):
        rows = ranks.gallery == size
        enters = np.bincount(first[rows], each[rows], size + 1)
        leaves = np.bincount(first[rows] + ranks.tied[rows] + 1, each[rows], size + 1)
        before.append(np.arange(size))
        behind.append(size - 1 - np.arange(size))
        mass.append((enters - leaves).cumsum()[:size])
    return np.concatenate(before), np.concatenate(behind), np.concatenate(mass)
