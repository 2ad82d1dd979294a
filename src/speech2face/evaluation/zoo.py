"""The zoo: systems measured alike, on the same clips, folds and judges; a file for each.

A clip without speech or without a face in its photograph is left out for everybody. Galleries are
of one fold. A system may lack some clips: its figures are of those it has, among the same faces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.attribute_classifier import find_judge
from speech2face.data.merge_pairs import join_people
from speech2face.data.pairs import Pair, identify_pairs
from speech2face.data.voice_encoder_data import KINDS, load_pair_voices
from speech2face.errors import UsageError
from speech2face.evaluation.cross_validation import deal_folds
from speech2face.evaluation.evaluation_set import EvaluationSet
from speech2face.evaluation.face_scores import LOST, Scores, score_pictures
from speech2face.evaluation.matching_measures import has_opponents, retrieve
from speech2face.evaluation.rated_pictures import RatedSet, Resampling
from speech2face.evaluation.rating_networks import (
    embed_pictures,
    name_recognisers,
    rate_pictures,
)
from speech2face.evaluation.report import to_plain
from speech2face.evaluation.zoo_systems import SPACE, Learners, System
from speech2face.files import write_text_atomically
from speech2face.metrics.evaluation_results import RECOGNISERS
from speech2face.metrics.leaderboard_results import (
    PAIRED_STRATA,
    SCHEMA,
    JudgeResult,
    MatchRanks,
    SystemResult,
)
from speech2face.metrics.rank_disclosure import measure_disclosure
from speech2face.metrics.retrieval import rank_matches, same_label, sort_pairs
from speech2face.run_provenance import Provenance, describe, hide_folders


@dataclass(frozen=True)
class SharedClips:
    """The clips that every system is measured on, and all that measuring them takes."""

    rated: RatedSet  # the true faces, without any system
    learners: Learners
    run: Provenance  # which data, folds and seed

    @property
    def pairs(self) -> list[Pair]:
        return self.rated.clips.pairs


def describe_clips(pairs: Sequence[Pair], folds: int, seed: int) -> Provenance:
    """Which data, folds and seed all systems share."""
    return describe({"folds": folds, "seed": seed}, {"pairs": identify_pairs(pairs, KINDS)})


def share_clips(
    pairs: Sequence[Pair],
    cache: Path,
    folds: int,
    seed: int,
    show: ProgressCallback,
    speaker: Path | None = None,
) -> SharedClips:
    """Find speech and faces, deal the people into folds, and judge the true faces.

    `cache` keeps what was measured; `speaker` is as for `load_speaker`. Raises UsageError where a
    person, or nearly the same face, would stand in two folds.
    """
    run = describe_clips(pairs, folds, seed)
    pairs = join_people(pairs, cache, show)
    voices = load_pair_voices(pairs, SPACE, cache, show, recognise=True)
    dealt, rows = deal_folds(pairs, voices, folds, seed)
    kept, fold, people = [pairs[row] for row in rows], dealt[rows], np.array(voices.people)
    truth = rate_pictures(
        [pair.face for pair in kept], find_judge(), cache, show, "faces", name_recognisers()
    )
    left_out = [pair for row, pair in enumerate(pairs) if row not in set(rows)]
    clips = EvaluationSet(kept, people, fold, {}, {}, left_out)
    resampling = Resampling(seed)
    rated = RatedSet(clips, None, [*RECOGNISERS], truth, {}, {}, {}, {}, None, resampling)
    return SharedClips(rated, Learners(voices, fold, rated.sex, cache, show, seed, speaker), run)


def measure_system(system: System, shared: SharedClips) -> SystemResult:
    """All figures of a system, by every judge of what it gave."""
    rated, scores = shared.rated, dict(system.scores)
    count = len(shared.pairs)
    covered, undetected, judged = np.zeros(count, bool), 0, {}
    if system.pictures is not None:
        there = np.array([path.is_file() for path in system.pictures])
        drawn = rate_pictures(
            system.pictures,
            None,
            shared.learners.cache,
            shared.learners.show,
            system.name,
            name_recognisers(),
        )
        covered, undetected = covered | there, int((there & ~drawn.found).sum())
        for recogniser in RECOGNISERS:
            true = rated.ground_truth.embeddings[recogniser]
            judged[recogniser] = _score(drawn.embeddings[recogniser], true, there, shared)
    if system.embeddings is not None and system.face_encoder is not None:
        there = np.isfinite(system.embeddings[:, 0])
        covered = covered | there
        true = _embed_true_faces(system.face_encoder, shared)
        judged["cosine"] = _score(system.embeddings, true, there, shared)
    judges = {}
    for place, (judge, score) in enumerate((judged | scores).items(), 1):
        judges[judge] = measure_judge(score, rated)
        shared.learners.show(f"measuring {system.name}", place, len(judged | scores), judge)
    return SystemResult(
        SCHEMA,
        system.name,
        _name_kind(system),
        system.description,
        Path(system.face_encoder).stem if system.face_encoder else None,
        describe_system(system, shared),
        len(rated.clips.left_out),
        rated.count(covered),
        undetected,
        np.unique(rated.people, return_inverse=True)[1],
        judges,
    )


def measure_judge(scores: Scores, rated: RatedSet) -> JudgeResult:
    """All figures by one score."""
    people = rated.people_of(scores)
    disclosure = measure_disclosure(
        np.maximum(scores.matrix, LOST),  # a picture without a face discloses nothing
        *people,
        same=rated.same_fold(scores),
        seed=rated.resampling.seed,
        draws=rated.resampling.fits,
    )
    ranks = {}
    for stratum in PAIRED_STRATA:
        if stratum in rated.strata:
            labels = rated.strata[stratum]
            both = labels[scores.probes], labels[scores.rows]
            if has_opponents(both, people):
                ranks[stratum] = _rank(scores, people, same_label(*both))
    return JudgeResult(retrieve(rated, scores), disclosure.histogram, ranks)


def describe_system(system: System, shared: SharedClips) -> Provenance:
    """The making of a system's result: the data and folds of all, and what is its own."""
    return replace(
        shared.run,
        recipe={**shared.run.recipe, **json.loads(json.dumps(system.recipe))},
        data={**shared.run.data, **system.data},
        command=hide_folders(shared.run.command),
    )


def is_measured(path: Path, made: Provenance, read: Mapping[str, SystemResult]) -> bool:
    """True if the file of a system holds its result, made in just this way."""
    if (there := read.get(path.stem)) is None:
        return False
    before, now = to_plain(there.provenance), to_plain(made)
    return all(before[part] == now[part] for part in ("recipe", "data", "version"))


def write_result(result: SystemResult, path: Path) -> None:
    """Write a system's file. Raises what `write_text_atomically` raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps(to_plain(result), separators=(",", ":")) + "\n")


def check_name(name: str) -> str:
    """A system's name, which is that of its file. Raises UsageError where it cannot be."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not plain.isalnum() or not name[0].isalnum() or len(name) > 64:
        raise UsageError(
            f"{name!r}: a system's name is of letters, digits, hyphens, dots and underscores, 64 "
            "at most."
        )
    return name


def _score(given: np.ndarray, true: np.ndarray, there: np.ndarray, shared: SharedClips) -> Scores:
    return score_pictures(given, true, there, shared.rated.people, shared.rated.clips.fold)


def _embed_true_faces(face_encoder: str, shared: SharedClips) -> np.ndarray:
    """The true faces (N, D) by the face encoder that a system says its embeddings are of."""
    if face_encoder == SPACE:
        return shared.learners.voices.faces
    paths = [pair.face for pair in shared.pairs]
    learners = shared.learners
    return embed_pictures(paths, face_encoder, learners.cache, learners.show, "faces").embeddings


def _rank(scores: Scores, people: tuple[np.ndarray, np.ndarray], same: np.ndarray) -> MatchRanks:
    true, others = sort_pairs(*people, same)
    true &= others.any(1, keepdims=True)
    ranks = rank_matches(scores.matrix, true, others)
    lost = scores.matrix[np.nonzero(true)] < LOST
    return MatchRanks(scores.probes[ranks.probe], ranks.rank, ranks.tied, ranks.gallery, lost)


def _name_kind(system: System) -> str:
    if system.pictures is None:
        return "embeddings"
    return "both" if system.scores or system.embeddings is not None else "pictures"
