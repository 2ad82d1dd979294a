"""Cuts the stretches of speech out of sound by the probability of speech in each chunk of it."""

from __future__ import annotations

import numpy as np

from speech2face.speech_selection import Stretch
from speech2face.voice_activity import CHUNK

START, STAY = 0.4, 0.25  # probability at which speech begins, and above which it goes on
LONGEST_PAUSE = 9  # chunks: pauses up to 0.29 s are kept, so that the voice stays natural
EDGE = 3  # chunks kept before and after speech: soft onsets and endings
LEAST_VOICED = 6  # chunks: less than 0.19 s is a knock or a note, not speech


def cut_stretches(
    block: np.ndarray,
    probabilities: np.ndarray,
    start: int,
    begin: float = START,
    least_voiced: int = LEAST_VOICED,
) -> list[Stretch]:
    """The stretches of speech in a block that begins at sample `start` of the recording: in each
    there are `least_voiced` chunks whose probability is `begin` or more."""
    runs: list[list[int]] = []  # first and last chunk
    for index in np.flatnonzero(probabilities >= STAY).tolist():
        if runs and index - runs[-1][1] <= 1 + LONGEST_PAUSE:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    stretches = []
    for first, last in runs:
        inside = probabilities[first : last + 1]
        if (inside >= begin).sum() < least_voiced:
            continue
        first, last = max(first - EDGE, 0), last + 1 + EDGE
        samples = block[first * CHUNK : last * CHUNK]
        stretches.append(Stretch(start + first * CHUNK, samples.copy(), probabilities[first:last]))
    return stretches
