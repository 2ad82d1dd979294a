"""Differences of the first system from each other one, clip by clip and as each rater sees them.

Every difference is of the clips that have both figures, and both are on the same draws of people.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from speech2face.evaluation.attribute_agreement import judge_clips
from speech2face.evaluation.craniofacial_ratios import compare_ratios
from speech2face.evaluation.face_scores import LOST
from speech2face.evaluation.rated_pictures import RatedSet
from speech2face.metrics.evaluation_results import RECOGNISERS, Difference
from speech2face.metrics.intervals import Estimate
from speech2face.metrics.rank_disclosure import compare_disclosure
from speech2face.metrics.retrieval import (
    rank_probes,
    recall_at_percent,
    recall_at_rank,
    same_label,
)


def measure_win_differences(rated: RatedSet) -> dict[str, dict[str, dict[str, Difference]]]:
    """Two-way wins, by stratum, other system and recogniser."""
    every = np.ones(len(rated.people), bool)
    return {
        stratum: subtract_wins(rated, labels, every) for stratum, labels in rated.strata.items()
    }


def measure_paired_differences(rated: RatedSet) -> dict[str, dict[str, dict[str, Difference]]]:
    """All other measures of `PAIRED_MEASURES`, by measure, other system and rater."""
    first, *others = rated.clips.systems
    differences: dict[str, dict[str, dict[str, Difference]]] = {}
    for other in others:
        by_rater = {rater: _compare_scores(rated, first, other, rater) for rater in RECOGNISERS}
        by_rater["age_sex"] = _compare_age_and_sex(rated, first, other)
        by_rater["landmarks"] = _compare_ratios(rated, first, other)
        for rater, measures in by_rater.items():
            for measure, difference in measures.items():
                differences.setdefault(measure, {}).setdefault(other, {})[rater] = difference
    return differences


def subtract_wins(
    rated: RatedSet, labels: np.ndarray, chosen: np.ndarray
) -> dict[str, dict[str, Difference]]:
    """Two-way wins among clips of one label (N,), of `chosen` clips (N,) bool; by other system and
    recogniser."""
    first, *others = rated.clips.systems
    return {
        other: {
            rater: _subtract(
                rated,
                np.where(chosen, rated.wins(first, rater, labels), np.nan),
                rated.wins(other, rater, labels),
            )
            for rater in RECOGNISERS
        }
        for other in others
    }


def _compare_scores(rated: RatedSet, first: str, other: str, rater: str) -> dict[str, Difference]:
    one, two = _recalls(rated, first, rater), _recalls(rated, other, rater)
    differences = {measure: _subtract(rated, one[measure], two[measure]) for measure in one}
    scores, others = rated.scores[first][rater], rated.scores[other][rater]
    rows = scores.rows  # of both: they depend on the true faces only
    both = np.intersect1d(scores.probes, others.probes)
    matched = both[np.isfinite(rated.wins(first, rater)[both])]
    if not len(matched):
        return differences
    first_matrix, other_matrix = (
        np.maximum(one.matrix[np.searchsorted(one.probes, both)], LOST) for one in (scores, others)
    )
    fold = rated.clips.fold
    bits = compare_disclosure(
        first_matrix,
        other_matrix,
        rated.people[both],
        rated.people[rows],
        same=same_label(fold[both], fold[rows]),
        seed=rated.resampling.seed,
        draws=rated.resampling.draws,
    )
    return differences | {"bits": _difference(rated, bits, matched)}


def _recalls(rated: RatedSet, system: str, rater: str) -> dict[str, np.ndarray]:
    """Recall of each clip's face among the first (N,), by measure; NaN where it has no rank."""
    scores = rated.scores[system][rater]
    best = rank_probes(scores.matrix, *rated.people_of(scores), rated.same_fold(scores))
    values = {
        "recall_at_10_percent": recall_at_percent(best.rank, best.gallery, 10, tied=best.tied),
        "recall_at_rank_10": recall_at_rank(best.rank, 10, tied=best.tied),
    }
    recalls = {measure: np.full(len(rated.people), np.nan) for measure in values}
    for measure, recall in values.items():
        recalls[measure][scores.probes[best.probe]] = recall
    return recalls


def _compare_age_and_sex(rated: RatedSet, first: str, other: str) -> dict[str, Difference]:
    """Beside the true face, of clips in whose three pictures faces are found."""
    if not rated.sex_is_known:
        return {}
    true = rated.ground_truth.age_sex
    same_sex, years_apart = judge_clips(rated.predicted[first].age_sex, true)
    other_same_sex, other_years_apart = judge_clips(rated.predicted[other].age_sex, true)
    return {
        "same_sex": _subtract(rated, same_sex, other_same_sex),
        "years_apart": _subtract(rated, years_apart, other_years_apart),
    }


def _compare_ratios(rated: RatedSet, first: str, other: str) -> dict[str, Difference]:
    """Each beside its own oracle pictures, of clips in whose four pictures faces are found."""
    if not {first, other} <= rated.oracle.keys():
        return {}
    one, two = (
        (rated.oracle[system].ratios, rated.predicted[system].ratios) for system in (first, other)
    )
    known = np.flatnonzero(np.isfinite(np.hstack([*one, *two])).all(1))
    if not len(known):
        return {}
    one, two = ((a[known], b[known]) for a, b in (one, two))
    mean = compare_ratios(one, two, rated.people[known], rated.resampling.seed)
    return {"craniofacial": _difference(rated, mean, known)}


def _subtract(rated: RatedSet, one: np.ndarray, other: np.ndarray) -> Difference:
    """Figures of clips (N,) twice; clips that have only one of them are left out."""
    less = one - other
    return _difference(rated, rated.mean(less), np.isfinite(less))


def _difference(rated: RatedSet, estimate: Estimate, clips: np.ndarray) -> Difference:
    return Difference(**asdict(estimate), people=len(np.unique(rated.people[clips])))
