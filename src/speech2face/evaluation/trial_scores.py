"""Verification trials, scored: does this voice go with this face, and with which of two?

AUC        how often, of a trial of one person and one of two, the former has the greater score
EER        equal error rate: as many trials of one person refused as of two accepted
accuracy   share of matching trials in which the right candidate has the greatest score

Ties are shared, and chance is .5, or 1 / N among N candidates. Scores are cosines after each side's
mean is taken away (see retrieval.py). Intervals are 95 %, by the bootstrap over people: a trial
counts as often as the person in it was drawn, or with two people, the one's times the other's; of
more than two candidates, as often as the probe's. trial_lists.py reads the lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.evaluation.trial_lists import (
    MatchingTrial,
    PairTrial,
    check_people,
    find_people,
    is_voice,
)
from speech2face.metrics.intervals import Estimate, summarise
from speech2face.metrics.roc import auc_and_eer, weighted_auc_and_eer

Embeddings = Mapping[str, np.ndarray] | Callable[[str], np.ndarray]
"""File, as the list names it → embedding (D,), of voices and faces in one space."""


@dataclass(frozen=True)
class PairScores:
    auc: Estimate
    eer: Estimate
    chance: float = 0.5  # of both


@dataclass(frozen=True)
class MatchingScores:
    accuracy: Estimate
    chance: float = 0.5  # 1 / candidates, the mean over trials


def score_pairs(
    trials: Sequence[PairTrial],
    voices: Embeddings,
    faces: Embeddings,
    people: Mapping[str, str] | None = None,
    seed: int = 0,
    draws: int = 1_000,
) -> PairScores:
    """AUC and EER over all trials. `people`: file or first folder → person."""
    same = np.array([t.same for t in trials], bool)
    if same.all() or not same.any():
        raise UsageError(f"all {len(trials)} trials have one label; both are needed to score.")
    pairs = [(t.voice, t.face) for t in trials]
    people_of = find_people([(*files, s) for files, s in zip(pairs, same, strict=True)], people)
    scores = _score(pairs, voices, faces)
    level = np.unique(scores, return_inverse=True)[1]
    drawn = [
        weighted_auc_and_eer(level, same, weights) for weights in _draw(people_of, seed, draws)
    ]
    auc, eer = np.array([auc_and_eer(scores, same), *drawn]).T
    return PairScores(summarise(auc), summarise(eer))


def score_matching(
    trials: Sequence[MatchingTrial],
    voices: Embeddings,
    faces: Embeddings,
    people: Mapping[str, str] | None = None,
    seed: int = 0,
    draws: int = 1_000,
) -> MatchingScores:
    """Accuracy over all trials. `people`: file or first folder → person."""
    if not trials:
        raise UsageError("no trials; one or more are needed to score.")
    check_people(trials, people)
    pairs = [(t.probe, file) for t in trials for file in (t.right, *t.wrong)]
    scores = _score([p if is_voice(p[0]) else p[::-1] for p in pairs], voices, faces)
    sizes = np.array([1 + len(t.wrong) for t in trials])
    wins = np.array([_win(own) for own in np.split(scores, sizes.cumsum()[:-1])])
    if (sizes == 2).all():  # both people of a trial are drawn
        people_of = find_people([(t.probe, t.wrong[0], False) for t in trials], people)
    else:
        people_of = find_people([(t.probe, t.right, True) for t in trials], people)
    drawn = [
        weights @ wins / weights.sum() for weights in _draw(people_of, seed, draws) if weights.any()
    ]
    return MatchingScores(summarise(np.array([wins.mean(), *drawn])), float((1 / sizes).mean()))


def _win(scores: np.ndarray) -> float:
    """Scores of candidates, the right one first → 1 where it wins, a share where it ties."""
    best = scores == scores.max()
    return float(best[0] / best.sum())


def _score(pairs: Sequence[tuple[str, ...]], voices: Embeddings, faces: Embeddings) -> np.ndarray:
    """Centred cosine (N,) of each voice and face."""
    first = _centre([voice for voice, _ in pairs], voices)
    second = _centre([face for _, face in pairs], faces)
    return np.einsum("nd,nd->n", first, second)


def _centre(files: Sequence[str], embeddings: Embeddings) -> np.ndarray:
    """Unit vectors (N, D) from the files' mean; zero, and so a tie, where there is no telling."""
    row_of = {file: row for row, file in enumerate(dict.fromkeys(files))}
    look_up = embeddings if callable(embeddings) else embeddings.__getitem__
    try:
        rows = np.array([look_up(file) for file in row_of], np.float64)
    except KeyError as error:
        raise UsageError(f"{error.args[0]}: the trials name it, but it has no embedding.") from None
    least = 1e-9 * np.abs(rows).max()  # what is nearer to the mean is rounding
    rows -= rows.mean(0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > least, lengths, np.inf))[[row_of[file] for file in files]]


def _draw(people_of: np.ndarray, seed: int, draws: int) -> Iterator[np.ndarray]:
    """People of each trial (N, 2) → weights (N,), once for each draw of as many people."""
    rng = np.random.default_rng(seed)
    count = int(people_of.max()) + 1
    one, other = people_of.T
    for _ in range(draws):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        yield times[one] * np.where(one == other, 1, times[other]).astype(float)
