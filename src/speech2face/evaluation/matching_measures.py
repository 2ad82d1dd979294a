"""Measures of matching: whose face is it, by each score of a rated set?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.evaluation.attribute_agreement import SEXES
from speech2face.evaluation.face_scores import LOST, Scores
from speech2face.evaluation.rated_pictures import RatedSet, join_labels
from speech2face.evaluation.rating_networks import RatedPictures
from speech2face.evaluation.system_differences import subtract_wins
from speech2face.metrics.evaluation_results import (
    RECOGNISERS,
    DisclosureResult,
    RetrievalResult,
    SetResult,
)
from speech2face.metrics.fairness import Fairness, compare_groups
from speech2face.metrics.intervals import Estimate
from speech2face.metrics.rank_disclosure import (
    Disclosure,
    SexDisclosure,
    explain_by_sex,
    measure_disclosure,
)
from speech2face.metrics.retrieval import measure_retrieval, same_label, trace_recall
from speech2face.metrics.similarity import Similarity, measure_similarity

CEILING = "oracle"  # a score of what the decoder loses, not of what a voice tells


def measure_two_way(rated: RatedSet) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Mean wins by stratum, system and rater."""
    return {stratum: _average_wins(rated, labels) for stratum, labels in rated.strata.items()}


def measure_set_results(rated: RatedSet) -> dict[str, SetResult]:
    """Each of several sets, its clips matched among themselves; nothing where there is one set.

    What sets differ in besides the people (microphones, cameras) does not help here.
    """
    if "same_set" not in rated.strata:
        return {}
    strata = {"everybody": rated.strata["same_set"]}
    if "same_sex" in rated.strata:
        sexed = join_labels(rated.strata["same_set"], rated.sex)
        strata["same_sex"] = np.where(rated.sex != "", sexed, "")
    results = {}
    for name in sorted(set(rated.clips.sets)):
        own = rated.clips.sets == name
        count = rated.count(own)
        results[name] = SetResult(
            count.people,
            count.clips,
            {stratum: _average_wins(rated, labels, own) for stratum, labels in strata.items()},
            {stratum: subtract_wins(rated, labels, own) for stratum, labels in strata.items()},
            _measure_bits_within(rated, own),
        )
    return results


def measure_similarities(rated: RatedSet) -> dict[str, dict[str, Similarity]]:
    """Embeddings of pictures and true faces by system and recogniser, then predicted embeddings.

    Beside them stands the mean face of the other folds' people. Left out is what has faces of fewer
    than two people.
    """
    similarities: dict[str, dict[str, Similarity]] = {}

    def add(system: str, rater: str, predicted: np.ndarray, true: np.ndarray) -> None:
        both = np.isfinite(predicted[:, 0]) & np.isfinite(true[:, 0])
        if len(np.unique(rated.people[both])) < 2:
            return
        average = np.empty_like(true)
        for k in np.unique(rated.clips.fold):
            fold = rated.clips.fold == k
            average[fold] = np.nanmean(true[~fold], axis=0)
        similarities.setdefault(system, {})[rater] = measure_similarity(
            predicted[both],
            true[both],
            rated.people[both],
            average[both],
            seed=rated.resampling.seed,
            draws=rated.resampling.draws,
        )

    for system, pictures in rated.predicted.items():
        for rater in RECOGNISERS:
            faces = rated.ground_truth.embeddings[rater]
            add(system, rater, pictures.embeddings[rater], faces)
    if rated.folds:
        encoder = Path(rated.folds.encoders[0].recipe.face_encoder).stem
        add("embedding", encoder, rated.folds.means, rated.folds.faces)
    return similarities


def measure_retrievals(
    rated: RatedSet, show: ProgressCallback
) -> dict[str, dict[str, RetrievalResult]]:
    """Retrieval by system and rater."""
    results: dict[str, dict[str, RetrievalResult]] = {}
    every = [(system, rater) for system, scores in rated.scores.items() for rater in scores]
    for place, (system, rater) in enumerate(every, 1):
        scores = rated.scores[system][rater]
        results.setdefault(system, {})[rater] = retrieve(rated, scores)
        show("retrieval", place, len(every), f"{system}, {rater}")
    return results


def measure_disclosures(
    rated: RatedSet, show: ProgressCallback
) -> dict[str, dict[str, DisclosureResult]]:
    """Bits disclosed, and how much of them is sex, by system and rater."""
    results: dict[str, dict[str, DisclosureResult]] = {}
    every = [
        (system, rater)
        for system, scores in rated.scores.items()
        if system != CEILING
        for rater in scores
    ]
    for place, (system, rater) in enumerate(every, 1):
        scores = rated.scores[system][rater]
        disclosure = measure_disclosure(
            np.maximum(scores.matrix, LOST),  # a picture without a face discloses nothing
            *rated.people_of(scores),
            same=rated.same_fold(scores),
            seed=rated.resampling.seed,
            draws=rated.resampling.fits,
        )
        results.setdefault(system, {})[rater] = DisclosureResult(
            disclosure, _explain_by_sex(rated, system, scores)
        )
        show("bits", place, len(every), f"{system}, {rater}")
    return results


def measure_fairness(rated: RatedSet) -> dict[str, dict[str, Fairness]]:
    """Two-way wins by estimated sex, estimated age and the probe's group."""
    labels = {"sex": rated.sex, "age": rated.age, "group": rated.group(rated.ground_truth)}
    return {
        system: {
            rater: compare_groups(
                rated.wins(system, rater), rated.people, labels, rated.resampling.seed
            )
            for rater in scores
        }
        for system, scores in rated.scores.items()
        if system != CEILING
    }


def has_opponents(
    labels: tuple[np.ndarray, np.ndarray], people: tuple[np.ndarray, np.ndarray]
) -> bool:
    """Labels and people of probes (p,) and faces (n,): is any probe matched with another person?"""
    return bool((same_label(*labels) & (people[0][:, None] != people[1])).any())


def _average_wins(
    rated: RatedSet, labels: np.ndarray, chosen: np.ndarray | None = None
) -> dict[str, dict[str, Estimate]]:
    """Mean wins by system and rater among clips of one label (N,), of `chosen` clips (N,) bool."""
    chosen = np.ones(len(labels), bool) if chosen is None else chosen
    return {
        system: {
            rater: rated.mean(np.where(chosen, rated.wins(system, rater, labels), np.nan))
            for rater in scores
        }
        for system, scores in rated.scores.items()
    }


def retrieve(rated: RatedSet, scores: Scores) -> RetrievalResult:
    """Retrieval by one score, in every stratum in which anybody has an opponent."""
    people = rated.people_of(scores)
    seed, draws = rated.resampling.seed, rated.resampling.draws
    strata = {
        stratum: (labels[scores.probes], labels[scores.rows])
        for stratum, labels in rated.strata.items()
    }
    everybody = strata["everybody"]
    return RetrievalResult(
        {
            stratum: measure_retrieval(
                scores.matrix, *people, stratum=labels, seed=seed, draws=draws
            )
            for stratum, labels in strata.items()
            if has_opponents(labels, people)
        },
        measure_retrieval(
            scores.matrix.T,
            *people[::-1],
            stratum=(everybody[1], everybody[0]),
            seed=seed,
            draws=draws,
        ),
        trace_recall(scores.matrix, *people, same_label(*everybody)),
    )


def _explain_by_sex(rated: RatedSet, system: str, scores: Scores) -> SexDisclosure | None:
    """The share of sex as the picture shows it; of embeddings, as our picture shows it."""
    people, sexed = rated.people_of(scores), rated.strata.get("same_sex")
    if sexed is None or not has_opponents((sexed[scores.probes], sexed[scores.rows]), people):
        return None
    shown = _sex_of(rated.predicted.get(system, rated.predicted[rated.clips.main]))
    return explain_by_sex(
        np.maximum(scores.matrix, LOST),
        *people,
        shown[scores.probes],
        rated.sex[scores.probes],
        rated.sex[scores.rows],
        same=rated.same_fold(scores),
        seed=rated.resampling.seed,
        draws=rated.resampling.draws,
    )


def _sex_of(pictures: RatedPictures) -> np.ndarray:
    """The sex that pictures show (N,); "" where no face is found."""
    male = pictures.age_sex[:, 1]
    return np.where(np.isfinite(male), np.array(SEXES)[np.int8(male > 0.5)], "")


def _measure_bits_within(rated: RatedSet, own: np.ndarray) -> dict[str, dict[str, Disclosure]]:
    """Bits of clips `own` (N,) among themselves, by system and rater that have any."""
    bits: dict[str, dict[str, Disclosure]] = {}
    for system, by_rater in rated.scores.items():
        for rater, scores in by_rater.items():
            if system != CEILING and (disclosure := _disclose_within(rated, scores, own)):
                bits.setdefault(system, {})[rater] = disclosure
    return bits


def _disclose_within(rated: RatedSet, scores: Scores, own: np.ndarray) -> Disclosure | None:
    probes, rows = own[scores.probes], own[scores.rows]
    people = rated.people[scores.probes[probes]], rated.people[scores.rows[rows]]
    same = rated.same_fold(scores)[np.ix_(probes, rows)]
    if not (same & (people[0][:, None] != people[1])).any():
        return None
    return measure_disclosure(
        np.maximum(scores.matrix[np.ix_(probes, rows)], LOST),
        *people,
        same=same,
        seed=rated.resampling.seed,
        draws=rated.resampling.fits,
    )
