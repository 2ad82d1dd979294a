"""A model on a public list of trials: its voices and faces embedded, the trials scored.

A recording without speech and a picture without a face stand at the mean of all others, so that
every trial with them is a tie; how many there are is reported.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face import __version__
from speech2face.console import Show
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.evaluation.raters import embed_pictures, read_kept
from speech2face.evaluation.verification_trials import (
    PairScores,
    PairTrial,
    TripletScores,
    TripletTrial,
    check_people,
    is_voice,
    read_trials,
    score_pairs,
    score_triplets,
)
from speech2face.files import write_atomically
from speech2face.provenance import Provenance, describe, hash_rows
from speech2face.reconstruct import Speech2Face
from speech2face.weights import hash_file

log = logging.getLogger(__name__)

SAVED = 50  # recordings after which embeddings are saved


@dataclass(frozen=True)
class ListScores:
    """What a list gave, and what it rests on."""

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
    show: Show,
    right: int | None = None,
    people: Mapping[str, str] | None = None,
    seed: int = 0,
) -> ListScores:
    """Score the list at `path`, its files beneath `root`. `folder` keeps embeddings."""
    trials = read_trials(path, root, right)
    check_people(trials, people)  # before anything is embedded
    files = list(dict.fromkeys(file for trial in trials for file in _files(trial)))
    spoken, seen = [f for f in files if is_voice(f)], [f for f in files if not is_voice(f)]
    voices = embed_voices([root / f for f in spoken], model, folder / "voices.json", show)
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
    recordings: Sequence[Path], model: Speech2Face, file: Path, show: Show
) -> np.ndarray:
    """Means (N, D), NaN where nobody speaks; `file` keeps them by content and model."""
    file.parent.mkdir(parents=True, exist_ok=True)
    means = read_kept(file)
    own = "".join(model.card.sha256.values())[:16]
    names = [f"{hash_file(path)} {own} {__version__}" for path in recordings]
    new = [i for i, name in enumerate(names) if name not in means]
    for done, i in enumerate(new, 1):
        try:
            means[names[i]] = model.embed(str(recordings[i])).mean.tolist()
        except NoSpeechError:
            means[names[i]] = None
        except UnreadableMediaError as error:
            log.warning("taken for a recording without speech: %s", error)
            means[names[i]] = None
        if done % SAVED == 0 or done == len(new):
            with write_atomically(file) as kept:
                kept.write(json.dumps(means).encode())
            show("voices", len(names) - len(new) + done, len(names), "")
    size = next((len(mean) for mean in means.values() if mean), 1)
    return np.array([means[name] or [np.nan] * size for name in names]).reshape(len(names), -1)


def format_scores(result: ListScores) -> str:
    """In a few lines."""
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
