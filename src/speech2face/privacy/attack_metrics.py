"""Disclosure by an attacker's scores: bits, matching, verification, linkability.

The scores are an attacker's, of every probe against every entry of its fold. To the measures of
metrics/rank_disclosure.py, metrics/retrieval.py and metrics/roc.py two are added:

exposed bits  mean bits of the tenth of people of whom most is found, each person's by the fitted
              model; a mean over all hides those who are easily found

linkability   D_sys of Gomez-Barrero et al. (IEEE TIFS 2018): of a score s, 2 p(same | s) − 1 where
              same and other are as likely before and s speaks for same, else 0; D_sys is its mean
              over same-person scores. 0 is chance, 1 is certain. The published code takes p from
              histograms, whose bins overstate linkability in small sets; here p is made to rise
              with the score by pooling adjacent violators (Ayer et al. 1955), which leaves about
              .01
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.metrics.intervals import (
    Estimate,
    bootstrap_statistic,
    summarise,
    weigh_people,
)
from speech2face.metrics.population_results import SHARES, AttackMetrics, Verification
from speech2face.metrics.rank_disclosure import compare_disclosure, measure_disclosure
from speech2face.metrics.retrieval import measure_retrieval, same_label, sort_pairs
from speech2face.metrics.roc import equal_error_rate, trace_roc, true_accepts

EXPOSED = 0.1  # share of people
DRAWS = 1000
LINKING_DRAWS = 200  # each sorts all scores into steps


@dataclass(frozen=True)
class Attack:
    """An attacker's scores: probes against entries, both in folds; opponents share the fold."""

    scores: np.ndarray  # (n, m), higher is nearer
    probe_people: np.ndarray  # (n,)
    probe_fold: np.ndarray  # (n,)
    people: np.ndarray  # (m,) of the entries
    fold: np.ndarray  # (m,)
    probe_sex: np.ndarray | None = None  # (n,), "" where it is not known
    sex: np.ndarray | None = None  # (m,)

    @property
    def same(self) -> np.ndarray:
        """True where a pair (n, m) is of one fold."""
        return same_label(self.probe_fold, self.fold)

    @property
    def same_sex(self) -> np.ndarray | None:
        """True where a pair (n, m) is of one fold and sex; None where no sex is known."""
        if self.probe_sex is None or self.sex is None or not (self.sex != "").any():
            return None
        return self.same & same_label(self.probe_sex, self.sex)


def measure_attack(attack: Attack, seed: int = 0, draws: int = DRAWS) -> AttackMetrics:
    """All measures of one attack. Raises UsageError where nobody has an opponent."""
    disclosed = measure_disclosure(
        attack.scores, attack.probe_people, attack.people, same=attack.same, seed=seed, draws=draws
    )
    strata = (attack.probe_fold.astype(str), attack.fold.astype(str))
    retrieved = measure_retrieval(
        attack.scores, attack.probe_people, attack.people, stratum=strata, seed=seed, draws=draws
    )
    of_people = np.quantile(np.sort(disclosed.person).round(4), SHARES).round(3)
    return AttackMetrics(
        retrieved.people,
        retrieved.probes,
        retrieved.gallery,
        disclosed.histogram,
        disclosed.fitted,
        (disclosed.model.a, disclosed.model.b),
        disclosed.worst_case,
        tuple(of_people.tolist()),
        _plain(retrieved.two_way),
        _plain(retrieved.equal_error_rate),
        measure_linkability(attack, seed, min(draws, LINKING_DRAWS)),
        _mean_of_exposed(disclosed.person, seed, draws),
        verify(attack, attack.same, seed, draws),
        None if attack.same_sex is None else verify(attack, attack.same_sex, seed, draws),
    )


def verify(attack: Attack, same: np.ndarray, seed: int, draws: int) -> Verification | None:
    """Same person or not, of all pairs (n, m) that `same` leaves; None where none are left."""
    true, others = sort_pairs(attack.probe_people, attack.people, same)
    true &= same
    kept = true.any(1) & others.any(1)
    if not kept.any():
        return None
    people, true, others = attack.probe_people[kept], true[kept], others[kept]
    weights = weigh_people(people, seed=seed, draws=draws)
    corners = trace_roc(attack.scores[kept], true, others, weights)
    false_pairs = int(others.sum())

    def find(rate: float) -> Estimate | None:
        if false_pairs * rate < 1:  # not one of them could be accepted
            return None
        return summarise(true_accepts(*corners, rate))

    return Verification(
        len(np.unique(people)),
        int(true.sum()),
        false_pairs,
        summarise(equal_error_rate(*corners)),
        find(0.01),
        find(0.001),
    )


def compare_attacks(one: Attack, other: Attack, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Bits that the first discloses less those of the other, of the same probes and entries."""
    return compare_disclosure(
        one.scores,
        other.scores,
        one.probe_people,
        one.people,
        same=one.same,
        seed=seed,
        draws=draws,
    )


def compare_errors(one: Attack, other: Attack, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Equal error rate of the first less that of the other, of the same probes and entries."""

    def draw_errors(attack: Attack) -> np.ndarray:
        true, others = sort_pairs(attack.probe_people, attack.people, attack.same)
        true &= attack.same
        kept = true.any(1) & others.any(1)
        weights = weigh_people(attack.probe_people[kept], seed=seed, draws=draws)
        return equal_error_rate(*trace_roc(attack.scores[kept], true[kept], others[kept], weights))

    return summarise(draw_errors(one) - draw_errors(other))


def measure_linkability(attack: Attack, seed: int = 0, draws: int = LINKING_DRAWS) -> Estimate:
    """D_sys, people drawn by whose probe it is."""
    true, others = sort_pairs(attack.probe_people, attack.people, attack.same)
    true &= attack.same & others.any(1, keepdims=True)
    others &= true.any(1, keepdims=True)
    rows = np.flatnonzero(true.any(1))
    kind, score, probe = [], [], []
    for pairs, label in ((true, 1.0), (others, 0.0)):
        row, entry = np.nonzero(pairs[rows])
        kind.append(np.full(len(row), label))
        score.append(attack.scores[rows[row], entry])
        probe.append(row)
    labels, probes = np.concatenate(kind), np.concatenate(probe)
    _, level = np.unique(np.concatenate(score), return_inverse=True)
    order = np.argsort(level, kind="stable")
    labels, probes, level = labels[order], probes[order], level[order]
    counts = np.stack([true[rows].sum(1), others[rows].sum(1)])  # each probe's pairs share its mass
    weights = weigh_people(attack.probe_people[rows], seed=seed, draws=draws)
    mass = lambda row: row[probes] / counts[1 - labels.astype(int), probes]  # noqa: E731
    return summarise(np.array([_link(labels, level, mass(row)) for row in weights]))


def _link(labels: np.ndarray, level: np.ndarray, mass: np.ndarray) -> float:
    """Labels (k,), level of each score, rising, mass (k,), 1 for either label → D_sys."""
    from scipy.optimize import isotonic_regression

    same = np.bincount(level, mass * labels)
    all_ = np.bincount(level, mass)
    met = all_ > 0
    same, all_ = same[met], all_[met]
    probability = isotonic_regression(same / all_, weights=all_).x
    return float(same @ np.maximum(2 * probability - 1, 0))


def _mean_of_exposed(bits: np.ndarray, seed: int, draws: int) -> Estimate:
    """Bits of each person (n,) → mean of the highest tenth; a part of a person counts in part."""
    falling = np.argsort(-bits, kind="stable")

    def mean(weights: np.ndarray) -> float:
        mass = weights[falling]
        inside = np.clip(EXPOSED - (mass.cumsum() - mass), 0, mass)
        return float(inside @ bits[falling] / EXPOSED)

    return bootstrap_statistic(mean, np.arange(len(bits)), seed=seed, draws=draws)


def _plain(figure: Estimate) -> Estimate:
    return Estimate(figure.value, figure.low, figure.high)
