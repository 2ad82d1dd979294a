"""Disclosure by an attacker's scores: bits, matching, verification, linkability.

The scores are an attacker's, of every probe against every entry of its fold. To the measures of
metrics/rank_disclosure.py and metrics/retrieval.py one is added:

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

from speech2face.metrics.audit_results import SHARES, AttackMetrics
from speech2face.metrics.intervals import Estimate, summarise, weigh_people
from speech2face.metrics.rank_disclosure import compare_disclosure, measure_disclosure
from speech2face.metrics.retrieval import measure_retrieval, same_label, sort_pairs

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

    @property
    def same(self) -> np.ndarray:
        """True where a pair (n, m) is of one fold."""
        return same_label(self.probe_fold, self.fold)


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


def _plain(figure: Estimate) -> Estimate:
    return Estimate(figure.value, figure.low, figure.high)
