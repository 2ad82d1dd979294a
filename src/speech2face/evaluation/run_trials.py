"""A model on a public list of trials: its voices and faces embedded, the trials scored.

A recording without speech and a picture without a face stand at the mean of all others, so that
every trial with them is a tie; how many there are is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from speech2face.array_cache import find_place, keep_rows
from speech2face.console import ProgressCallback
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.evaluation.rating_networks import embed_pictures
from speech2face.evaluation.trial_lists import (
    MatchingTrial,
    PairTrial,
    Trial,
    check_people,
    find_strata,
    is_voice,
    list_files,
    read_trials,
)
from speech2face.evaluation.trial_scores import (
    MatchingScores,
    PairScores,
    score_matching,
    score_pairs,
)
from speech2face.files import hash_file
from speech2face.reconstruct import Speech2Face
from speech2face.run_provenance import Provenance, describe, hash_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StratumScores:
    """Scores of the trials among people who share something."""

    trials: int
    scores: PairScores | MatchingScores


@dataclass(frozen=True)
class ListScores:
    """Scores of a list of trials, and the counts behind them."""

    trials: int
    voices: int
    faces: int
    without_speech: int
    without_a_face: int
    scores: PairScores | MatchingScores
    provenance: Provenance
    strata: dict[str, StratumScores] = field(default_factory=dict)  # by what people share


def score_list(
    path: Path,
    root: Path,
    model: Speech2Face,
    folder: Path,
    show: ProgressCallback,
    right: int | None = None,
    people: Mapping[str, str] | None = None,
    seed: int = 0,
    traits: Mapping[str, Mapping[str, str]] | None = None,
) -> ListScores:
    """Score the list at `path`, its files beneath `root`. `folder` keeps embeddings.

    `traits` of people make strata, see `find_strata`; one that has no figure is left out.
    """
    trials = read_trials(path, root, right)
    check_people(trials, people)  # before anything is embedded
    files = list(dict.fromkeys(file for trial in trials for file in list_files(trial)))
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

    def score(chosen: Sequence[Trial]) -> PairScores | MatchingScores:
        pairs = [trial for trial in chosen if isinstance(trial, PairTrial)]
        if pairs:
            return score_pairs(pairs, of_voice, of_face, people, seed)
        matching = [trial for trial in chosen if isinstance(trial, MatchingTrial)]
        return score_matching(matching, of_voice, of_face, people, seed)

    strata = {}
    for name, numbers in find_strata(trials, people, traits or {}).items():
        try:
            strata[name] = StratumScores(len(numbers), score([trials[n] for n in numbers]))
        except UsageError as error:
            log.warning("among people who share %s nothing is scored: %s", name, error)
    return ListScores(
        len(trials),
        len(spoken),
        len(seen),
        int((~known[0]).sum()),
        int((~known[1]).sum()),
        score(trials),
        describe(
            {"seed": seed, "right": right},
            {
                "list": hash_file(path)[:16],
                "files": hash_rows((file, hash_file(root / file)) for file in files),
                "people": hash_rows((people or {}).items()),
                **({"traits": hash_rows(_list_traits(traits))} if traits else {}),
                "model": hash_rows(model.card.sha256.items()),
            },
        ),
        strata,
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
        "95 % intervals over people"
    ]
    lines += _format(result.scores)
    for name, stratum in result.strata.items():
        lines.append(f"{stratum.trials} trials among people of one {name}")
        lines += _format(stratum.scores)
    return "\n".join(lines)


def _format(scores: PairScores | MatchingScores) -> list[str]:
    if isinstance(scores, PairScores):
        return [
            f"  area under the ROC  {scores.auc}, chance .500",
            f"  equal error rate    {scores.eer}, chance .500",
        ]
    chance = f"{scores.chance:.3f}".lstrip("0")
    return [f"  right one chosen    {scores.accuracy}, chance {chance}"]


def _list_traits(traits: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, str]]:
    return [(person, name, value) for person, own in traits.items() for name, value in own.items()]
