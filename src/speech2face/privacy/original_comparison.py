"""A disguised recording beside the original that it was made of: is it the same speech, and whose?

Compared is how the level rises and falls. Methods that keep a recording's pace keep that; two
recordings of different words do not share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from speech2face.media import SAMPLE_RATE, AudioStream
from speech2face.metrics.audit_results import PairMatch
from speech2face.speakers import describe_speakers
from speech2face.speech import Speech, find_each_speaker

FRAME = SAMPLE_RATE // 50  # samples, 20 ms
SHORTEST = 25  # frames, half a second, that are compared at all
SMOOTH = 5  # frames, over which levels are averaged
DEPTH = 40.0  # dB below the loudest frame: what is quieter is a pause
SHIFT = 50  # frames, a second, by which one may start later than the other
SAME, OTHER = 0.75, 0.65  # correlation from which, and up to which, it is known what they are
PACE = 2.0  # greatest ratio of durations of one speech at two paces


class CourseStream(AudioStream):
    """Blocks of sound, as `AudioStream`; remembers the level of every 20 ms and the duration."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.seconds = 0.0
        self._levels: list[np.ndarray] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in super().__iter__():
            self.seconds += len(block) / SAMPLE_RATE
            frames = block[: len(block) // FRAME * FRAME].reshape(-1, FRAME)
            self._levels.append(10 * np.log10((frames**2).mean(1) + 1e-12))
            yield block

    @property
    def levels(self) -> np.ndarray:
        """dB (k,), of what has been decoded."""
        return np.concatenate([np.empty(0), *self._levels])


def find_same_speaker(plain: CourseStream, disguised: Speech) -> Speech:
    """The speech, in an original, of who speaks when the speech used of its disguise is said."""
    found = find_each_speaker(plain)
    same = max(found, key=lambda one: _measure_overlap(one, disguised))
    if len(found) < 2:
        return same
    chosen = f"{describe_speakers(same.speakers)}; speaker {same.speaker} was used"
    return replace(same, warnings=(*same.warnings, chosen))


def _measure_overlap(plain: Speech, disguised: Speech) -> float:
    """Seconds at which both speak; `plain` is of one of its `speakers`."""
    assert plain.speaker is not None
    turns = plain.speakers[plain.speaker - 1].segments
    return sum(
        max(0.0, min(end, last) - max(start, first))
        for start, end in turns
        for first, last in disguised.segments
    )


def correlate_courses(one: np.ndarray, other: np.ndarray) -> float:
    """Levels (k,) and (l,) in dB → the greatest correlation at any start, −1 … 1.

    The second is taken at its own pace, and as if it had been spoken faster or slower.
    """
    if min(len(one), len(other)) < SHORTEST:
        return 0.0
    one, other = _smooth(one), _smooth(other)
    places = np.linspace(0, len(other) - 1, len(one))
    paced = np.interp(places, np.arange(len(other)), other)
    common = min(len(one), len(other))
    return max(_correlate(one, paced), _correlate(one[:common], other[:common]))


def _correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Two courses (k,) → the greatest correlation where either starts up to a second later."""
    one, other, length = one - one.mean(), other - other.mean(), len(one)
    reach, correlations = min(SHIFT, length // 4), []
    for shift in range(-reach, reach + 1):
        a = one[max(0, shift) : length + min(0, shift)]
        b = other[max(0, -shift) : length - max(0, shift)]
        correlations.append(float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum() + 1e-9)))
    return max(correlations)


def judge_pair(original: CourseStream, disguised: CourseStream, own_pace: bool) -> PairMatch:
    """Compare the levels of two recordings: are they of the same speech?

    Pauses before and after the speech do not count. `own_pace`: of a method that speaks the words
    anew; only durations can be compared then.
    """
    one, other = (_trim(stream.levels) for stream in (original, disguised))
    correlation = correlate_courses(one, other)
    ratio = len(other) / max(len(one), 1)
    same = True if correlation >= SAME else False if correlation < OTHER else None
    if own_pace:
        same = None
    if not 1 / PACE <= ratio <= PACE:
        same = False
    seconds = (round(original.seconds, 2), round(disguised.seconds, 2))
    return PairMatch(same, round(correlation, 2), seconds)


def _trim(levels: np.ndarray) -> np.ndarray:
    """Levels (k,) in dB without the pauses at both ends (l,)."""
    loud = np.flatnonzero(levels > levels.max(initial=-np.inf) - DEPTH)
    return levels[loud[0] : loud[-1] + 1] if len(loud) else levels


def _smooth(levels: np.ndarray) -> np.ndarray:
    raised = np.maximum(levels, levels.max() - DEPTH)
    return np.convolve(raised, np.ones(SMOOTH) / SMOOTH, "same")
