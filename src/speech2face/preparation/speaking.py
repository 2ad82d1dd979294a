"""Is this the face that speaks? How its mouth moves is held against the sound.

movement     standard deviation of the mouth's opening while someone speaks; a narrator's voice
             over a silent face leaves it near 0.
liveliness   speed of the mouth in speech by its speed in pauses; a face that chews is near 1.
agreement    correlation of the opening with the loudness of the voice, in speech and in the
             pauses around it, both without changes slower than syllables, at the best of some
             small lags.

The opening is the distance of the inner lips by that of the eyes. Of the ten real clips of GRID
(2 s of speech each), movement is 0.023 to 0.056, liveliness 1.7 to 10, agreement 0.30 to 0.77;
the limits below lie under the least of them by a third or more, for natural video is worse. With
another clip's sound (90 pairs, all sentences of one form) agreement is 0.25 in the median and up
to 0.64: in two seconds it refuses only a third of mouths that speak other words. But with a
second such mouth in the picture, the right one leads by the margin in 84 % of pairs and the wrong
one in 2 %; the rest are refused as unclear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.preparation import Refused
from speech2face.preparation.decoding import Sound

STAGE = "speak"

UPPER_LIP, LOWER_LIP = 13, 14  # of the mesh: the inner lips' middle
LEFT_EYE, RIGHT_EYE = (33, 133), (263, 362)
CONTEXT = 0.3  # s around a segment of speech that belong to the evidence: the mouth shuts there
TREND = 0.5  # s: slower changes are the sentence's and the smile's; syllables are faster
STEP = 0.02  # s, of lags
WINDOW = 0.08  # s over which loudness is measured
BAND = (300.0, 2500.0)  # Hz: an open mouth is loud there, a hiss is not
FLOOR = 40.0  # dB under the loud parts: what is quieter is silence
LOUD = 95  # percentile of the loudness that is "the loud parts"


@dataclass(frozen=True)
class Limits:
    """Below these a face is not the speaker's."""

    movement: float = 0.012  # eye distances
    liveliness: float = 1.15
    agreement: float = 0.2
    margin: float = 0.1  # of agreement, by which the speaker leads another face that could be
    largest_lag: float = 0.08  # s between picture and sound
    frames: int = 8  # on which the mouth is seen in speech
    pause_frames: int = 5  # fewer say nothing about pauses


@dataclass(frozen=True)
class Mouth:
    """The opening of one face's mouth over time."""

    times: np.ndarray  # (T,) s in the file, growing
    opening: np.ndarray  # (T,) gap between the lips, in eye distances


@dataclass(frozen=True)
class Evidence:
    """How a mouth moves with the sound; see above."""

    movement: float
    liveliness: float | None  # None without pauses
    agreement: float


Segments = Sequence[tuple[float, float]]  # of speech: start and end, s in the file


def measure_opening(mesh: np.ndarray) -> float:
    """The gap between the lips by the distance of the eyes, from a mesh (468, 2)."""
    eyes = mesh[list(LEFT_EYE)].mean(0) - mesh[list(RIGHT_EYE)].mean(0)
    return float(np.hypot(*(mesh[UPPER_LIP] - mesh[LOWER_LIP])) / np.hypot(*eyes))


def within(seconds: np.ndarray | float, segments: Segments, margin: float = 0.0) -> np.ndarray:
    """Which of the times lie in a segment, or at most `margin` beside it: bool, like `seconds`."""
    times = np.asarray(seconds)
    inside = [(times >= start - margin) & (times <= end + margin) for start, end in segments]
    return np.any(inside, axis=0) if inside else np.zeros(times.shape, bool)


def own_segments(mouth: Mouth, segments: Segments, limits: Limits = Limits()) -> Segments:
    """The segments during which the mouth moves: in others somebody unseen speaks."""
    own = []
    for segment in segments:
        opening = mouth.opening[within(mouth.times, [segment])]
        if len(opening) > 1 and opening.std() >= limits.movement / 2:
            own.append(segment)
    return own


def weigh(mouth: Mouth, sound: Sound, segments: Segments, limits: Limits = Limits()) -> Evidence:
    """The evidence for a mouth that it speaks in the segments. Refused where it does not."""
    spoken = within(mouth.times, segments)
    if spoken.sum() < limits.frames:
        raise Refused(STAGE, f"the mouth is seen on only {spoken.sum()} frames in speech")
    movement = float(mouth.opening[spoken].std())
    if movement < limits.movement:
        raise Refused(STAGE, "the mouth is still while someone speaks")
    liveliness = _liveliness(mouth, segments, limits)
    if liveliness is not None and liveliness < limits.liveliness:
        raise Refused(STAGE, "the mouth moves no more in speech than in pauses")
    agreement = _agreement(mouth, sound, segments, limits)
    if agreement < limits.agreement:
        raise Refused(STAGE, "the mouth does not move with the sound")
    return Evidence(movement, liveliness, agreement)


def choose_speaker(
    found: Sequence[Evidence | Refused],
    seen: Sequence[tuple[float, float]],
    limits: Limits = Limits(),
) -> int:
    """Which of some faces speaks, from what `weigh` said of each and when each is seen, s.

    Refused where none does, or where another face that is seen at the same time could be it.
    """
    speaking = [(one.agreement, n) for n, one in enumerate(found) if isinstance(one, Evidence)]
    if not speaking:
        reasons = dict.fromkeys(one.reason for one in found if isinstance(one, Refused))
        faces = f"none of {len(found)} faces speaks: " if len(found) > 1 else ""
        raise Refused(STAGE, faces + "; ".join(reasons))
    agreement, best = max(speaking)
    start, end = seen[best]
    for rival, number in speaking:
        together = seen[number][0] < end and seen[number][1] > start
        if number != best and together and agreement - rival < limits.margin:
            raise Refused(STAGE, "two mouths move with the sound")
    return best


def _liveliness(mouth: Mouth, segments: Segments, limits: Limits) -> float | None:
    """Mean speed of the mouth in speech by that in pauses."""
    speed = np.abs(np.diff(mouth.opening) / np.diff(mouth.times))
    middle = (mouth.times[1:] + mouth.times[:-1]) / 2
    spoken, near = within(middle, segments), within(middle, segments, limits.largest_lag)
    if (~near).sum() < limits.pause_frames:
        return None
    return float(speed[spoken].mean() / max(speed[~near].mean(), 1e-6))


def _agreement(mouth: Mouth, sound: Sound, segments: Segments, limits: Limits) -> float:
    """The greatest correlation of opening and loudness over all lags."""
    chosen = within(mouth.times, segments, CONTEXT)
    times, opening = mouth.times[chosen], mouth.opening[chosen]
    lags = np.arange(-limits.largest_lag, limits.largest_lag + STEP / 2, STEP)
    loudness = _loudness(sound, times + lags[:, None])  # (lags, frames)
    close = np.abs(times - times[:, None]) <= TREND / 2
    means = close / close.sum(0)  # times this: moving means
    opening, loudness = opening - opening @ means, loudness - loudness @ means
    norms = np.linalg.norm(loudness, axis=1) * np.linalg.norm(opening)
    return float((loudness @ opening / np.maximum(norms, 1e-9)).max())


def _loudness(sound: Sound, times: np.ndarray) -> np.ndarray:
    """The level of the voice's band at some times, dB of any reference: float, like `times`."""
    spectrum = np.fft.rfft(sound.samples)
    hertz = np.fft.rfftfreq(len(sound.samples), 1 / SAMPLE_RATE)
    spectrum[(hertz < BAND[0]) | (hertz > BAND[1])] = 0
    power = np.fft.irfft(spectrum, len(sound.samples)) ** 2
    total = np.concatenate([[0.0], np.cumsum(power)])
    half = round(WINDOW / 2 * SAMPLE_RATE)

    def level(places: np.ndarray) -> np.ndarray:
        first, last = (np.clip(places + shift, 0, len(power)) for shift in (-half, half))
        return 10 * np.log10((total[last] - total[first]) / (2 * half) + 1e-12)

    floor = np.percentile(level(np.arange(half, len(power), half)), LOUD) - FLOOR
    places = np.round((times - sound.start) * SAMPLE_RATE).astype(int)
    return np.maximum(level(places), floor)
