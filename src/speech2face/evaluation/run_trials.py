"""A model on a public list of trials: its voices and faces embedded, the trials scored.

A recording without speech and a picture without a face stand at the mean of all others, so that
every trial with them is a tie; how many there are is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.array_cache import find_place, keep_rows
from speech2face.console import ProgressCallback
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.evaluation.rating_networks import embed_pictures
from speech2face.evaluation.trial_lists import (
    PairTrial,
    TripletTrial,
    check_people,
    is_voice,
    read_trials,
)
from speech2face.evaluation.trial_scores import (
    PairScores,
    TripletScores,
    score_pairs,
    score_triplets,
)
from speech2face.model_folders import hash_file
from speech2face.reconstruct import Speech2Face
from speech2face.run_provenance import Provenance, describe, hash_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListScores:
    """Scores of a list of trials, and the counts behind them."""

    trials: int
    voices: int
    faces: int
    without_speech: int
    without_a_face: int
    scores: PairScores | TripletScores
    provenance: Provenance


def score_list(
    path: Path,
    root: Path,
    model: Speech2Face,
    folder: Path,
    show: ProgressCallback,
    right: int | None = None,
    people: Mapping[str, str] | None = None,
    seed: int = 0,
) -> ListScores:
    """Score the list at `path`, its files beneath `root`. `folder` keeps embeddings."""
    trials = read_trials(path, root, right)
    check_people(trials, people)  # before anything is embedded
    files = list(dict.fromkeys(file for trial in trials for file in _files(trial)))
    spoken, seen = [f for f in files if is_voice(f)], [f for f in files if not is_voice(f)]
    voices = embed_voices([root / f for f in spoken], model, folder / "cache", show)
    faces = embed_pictures(
        [root / f for f in seen], model.card.face_encoder, folder / "cache", show, "faces"
    ).embeddings
    known = [np.isfinite(rows[:, 0]) for rows in (voices, faces)]
    if not all(k.any() for k in known):
        raise UsageError(f"{path}: no speech, or no face, is found in any of its files.")
    of_voice, of_face = (
        dict(zip(names, np.where(k[:, None], rows, rows[k].mean(0)), strict=True))
        for names, rows, k in zip((spoken, seen), (voices, faces), known, strict=True)
    )
    pairs = [trial for trial in trials if isinstance(trial, PairTrial)]
    triplets = [trial for trial in trials if isinstance(trial, TripletTrial)]
    return ListScores(
        len(trials),
        len(spoken),
        len(seen),
        int((~known[0]).sum()),
        int((~known[1]).sum()),
        score_pairs(pairs, of_voice, of_face, people, seed)
        if pairs
        else score_triplets(triplets, of_voice, of_face, people, seed),
        describe(
            {"seed": seed, "right": right},
            {
                "list": hash_file(path)[:16],
                "files": hash_rows((file, hash_file(root / file)) for file in files),
                "people": hash_rows((people or {}).items()),
                "model": hash_rows(model.card.sha256.items()),
            },
        ),
    )


def embed_voices(
    recordings: Sequence[Path], model: Speech2Face, cache: Path, show: ProgressCallback
) -> np.ndarray:
    """Means (N, D), NaN where nobody speaks, kept in `cache` by content and model."""

    def compute(place: int) -> np.ndarray | None:
        try:
            return model.embed(str(recordings[place])).mean
        except NoSpeechError:
            return None
        except UnreadableMediaError as error:
            log.warning("taken for a recording without speech: %s", error)
            return None

    path = find_place(cache, "voices", hash_rows(model.card.sha256.items()))
    return keep_rows(path, [hash_file(path) for path in recordings], compute, show, "voices")


def format_scores(result: ListScores) -> str:
    """The scores as a few lines of text."""
    lines = [
        f"{result.trials} trials, {result.voices} recordings "
        f"({result.without_speech} without speech), "
        f"{result.faces} pictures ({result.without_a_face} without a face); "
        "95 % intervals over people; chance .500"
    ]
    if isinstance(result.scores, PairScores):
        lines += [
            f"  area under the ROC  {result.scores.auc}",
            f"  equal error rate    {result.scores.eer}",
        ]
    else:
        lines.append(f"  right of two        {result.scores.accuracy}")
    return "\n".join(lines)


def _files(trial: PairTrial | TripletTrial) -> tuple[str, ...]:
    if isinstance(trial, PairTrial):
        return trial.voice, trial.face
    return trial.probe, trial.right, trial.wrong
