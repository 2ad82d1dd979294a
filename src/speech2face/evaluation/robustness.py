"""Length and robustness: how well a voice is still matched when it is shortened or degraded.

two_way          matching by the likelihood ratio, among the faces of the fold; chance is .5
cosine_to_clean  of the predicted mean to that of the clean, whole clip, both less the average
                 face: 1 is the same face, 0 says nothing of the other

Length: each clip is cut to at most so many seconds, a random piece; shorter clips are taken whole,
so the people and the gallery are the same at all lengths. Robustness: the whole clip after each of
`DEGRADATIONS`, of some clips of each fold, beside the same clips as they were.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.degradations import DEGRADATIONS, Degradation
from speech2face.evaluation.cross_validation import DrawnFolds
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.evaluation_results import (
    CLEAN,
    WHOLE,
    DegradedMatching,
    ShortenedMatching,
)
from speech2face.metrics.intervals import bootstrap_people
from speech2face.metrics.retrieval import match_probes
from speech2face.training.fold_encoders import FoldEncoder
from speech2face.training.gaussian_head import log_likelihood_ratios

LENGTHS = (0.5, 1.0, 2.0, 3.0, 6.0, 10.0)  # seconds
CLIPS = 300  # that are degraded, of all folds


def measure_lengths(
    drawn: DrawnFolds, seed: int, show: ProgressCallback
) -> list[ShortenedMatching]:
    """Matching by clip length in s, whole clips last; lengths that no clip exceeds are left out."""
    by_length = []
    lengths = [t for t in LENGTHS if any(len(s) > t * SAMPLE_RATE for s in _speech(drawn))]
    for place, length in enumerate(lengths, 1):
        wins, moved, cut = _empty(drawn), _empty(drawn), 0
        for k, encoder in enumerate(drawn.encoders):
            rows = np.flatnonzero(drawn.fold == k)
            means, seconds, shortened = _embed_shortened(encoder, rows, length, seed, show)
            wins[rows], moved[rows] = _compare(drawn, k, rows, means, seconds)
            cut += shortened
        matching = _summarise(drawn, wins, moved, cut, seed)
        by_length.append(ShortenedMatching(**vars(matching), seconds=length))
        show("lengths", place, len(lengths), f"{length:g} s")
    clean = clean_wins(drawn)
    matching = _summarise(drawn, clean, np.ones(len(clean)), 0, seed)
    return [*by_length, ShortenedMatching(**vars(matching), seconds=WHOLE)]


def measure_robustness(
    drawn: DrawnFolds, seed: int, show: ProgressCallback, clips: int = CLIPS
) -> dict[str, DegradedMatching]:
    """Matching by degradation, and `CLEAN`, on some clips of each fold, evenly chosen."""
    chosen = []
    for k in range(len(drawn.encoders)):
        rows = np.flatnonzero(drawn.fold == k)
        count = min(len(rows), max(1, clips // len(drawn.encoders)))
        chosen.append(rows[np.linspace(0, len(rows) - 1, count).astype(int)])
    by_degradation = {}
    for place, (name, degrade) in enumerate(DEGRADATIONS.items(), 1):
        wins, moved = _empty(drawn), _empty(drawn)
        for k, (encoder, rows) in enumerate(zip(drawn.encoders, chosen, strict=True)):
            speak = partial(_degrade, degrade, encoder.clips.voices.speech, rows, seed)
            file = f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}-{seed}"
            means, seconds = encoder.predict([drawn.pairs[i].clip for i in rows], speak, file, show)
            wins[rows], moved[rows] = _compare(drawn, k, rows, means, seconds)
        by_degradation[name] = _summarise(drawn, wins, moved, sum(map(len, chosen)), seed)
        show("degradations", place, len(DEGRADATIONS), name)
    clean = _empty(drawn)
    every = np.concatenate(chosen)
    clean[every] = clean_wins(drawn)[every]
    matching = _summarise(drawn, clean, np.ones(len(clean)), 0, seed)
    return {CLEAN: matching} | by_degradation


def clean_wins(drawn: DrawnFolds) -> np.ndarray:
    """Two-way wins (N,) of whole clips by the likelihood ratio."""
    wins = _empty(drawn)
    for k, scores in enumerate(drawn.log_ratios):
        people = drawn.people[drawn.fold == k]
        wins[drawn.fold == k] = match_probes(scores, people, people)
    return wins


def _embed_shortened(
    encoder: FoldEncoder, rows: np.ndarray, length: float, seed: int, show: ProgressCallback
) -> tuple[np.ndarray, np.ndarray, int]:
    """Clips (n,), cut to so many seconds → means (n, D), seconds (n,), and the number cut.

    The crops that training took are there already; others are cut and embedded now.
    """
    clips, size = encoder.clips, round(length * SAMPLE_RATE)
    place = {int(i): row for row, i in enumerate(clips.clip[clips.whole])}
    long = {int(i) for i in rows if len(clips.voices.speech[i]) > size}
    cropped = ~clips.whole & (clips.seconds == size / SAMPLE_RATE)
    place |= {int(clips.clip[row]): int(row) for row in np.flatnonzero(cropped)}
    chosen = np.array([place[int(i)] for i in rows])
    seconds = clips.seconds[chosen]
    means = encoder.head.predict(clips.features[chosen], seconds)
    late = np.array([n for n, i in enumerate(rows) if int(i) in long and seconds[n] > length], int)
    if len(late):
        rng = np.random.default_rng(seed)
        speech = []
        for i in rows[late]:
            start = int(rng.integers(len(clips.voices.speech[i]) - size))
            speech.append(clips.voices.speech[i][start : start + size])
        names = [clips.voices.clips[i] for i in rows[late]]
        means[late], seconds[late] = encoder.predict(
            names, lambda: speech, f"{length:g}-s-{seed}", show
        )
    return means, seconds, len(long)


def _degrade(
    degrade: Degradation, speech: list[np.ndarray], rows: np.ndarray, seed: int
) -> list[np.ndarray]:
    return [degrade(speech[i], seed + int(i)) for i in rows]


def _compare(
    drawn: DrawnFolds, fold: int, rows: np.ndarray, means: np.ndarray, seconds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means (n, D) of clips (n,) of a fold → two-way wins (n,), cosine to the clean mean (n,)."""
    head, gallery = drawn.encoders[fold].head, drawn.fold == fold
    scores = log_likelihood_ratios(head, means, seconds, drawn.faces[gallery])
    now, clean = means - head.average, drawn.means[rows] - head.average
    lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(clean, axis=1)
    wins = match_probes(scores, drawn.people[rows], drawn.people[gallery])
    return wins, (now * clean).sum(1) / lengths


def _summarise(
    drawn: DrawnFolds, wins: np.ndarray, moved: np.ndarray, clips: int, seed: int
) -> DegradedMatching:
    known = np.isfinite(wins)
    people, less = drawn.people[known], (wins - clean_wins(drawn))[known]
    return DegradedMatching(
        clips,
        bootstrap_people(wins[known], people, seed),
        bootstrap_people(less, people, seed),
        bootstrap_people(moved[known], people, seed),
    )


def _speech(drawn: DrawnFolds) -> list[np.ndarray]:
    return drawn.encoders[0].clips.voices.speech


def _empty(drawn: DrawnFolds) -> np.ndarray:
    return np.full(len(drawn.pairs), np.nan)
