"""Active speaker detection: the movement of each mouth is compared with the sound.

movement     standard deviation of the mouth's opening while someone speaks: near 0 of a photograph
             and of a silent face.
agreement    how far the mouth moves as the sound lets expect, see `lip_sync`: about 0.1 of
             a listener, 0.2 to 0.8 of a speaker.

The thresholds are from people whom the measure was not fitted to (benchmarks/speaking_faces.json).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.preparation import Refused
from speech2face.preparation.lip_sync import Synchrony
from speech2face.preparation.mouth_tracking import Mouth
from speech2face.preparation.video import Sound

STAGE = "speak"

CONTEXT = 0.3  # s around a segment of speech that belong to the evidence: the mouth shuts there


@dataclass(frozen=True)
class SpeakerThresholds:
    """The least evidence by which a face is the speaker's."""

    movement: float = 0.012  # eye distances
    agreement: float = 0.24
    margin: float = 0.05  # of agreement, by which the speaker leads another face that could be
    frames: int = 8  # on which the mouth is seen in speech


TRUST_ANY_FACE = SpeakerThresholds(movement=0.0, agreement=-1.0, margin=0.0, frames=0)
"""Thresholds that trust any face: of several, the one that agrees best speaks."""


@dataclass(frozen=True)
class Evidence:
    """Evidence that a mouth speaks: movement, agreement and lag, see above."""

    movement: float
    agreement: float
    lag: float  # s by which the sound comes after the mouth


Segments = Sequence[tuple[float, float]]  # of speech: start and end, s in the file


def within(seconds: np.ndarray | float, segments: Segments, margin: float = 0.0) -> np.ndarray:
    """True where a time lies in a segment, or at most `margin` beside it: bool, like `seconds`."""
    times = np.asarray(seconds)
    inside = [(times >= start - margin) & (times <= end + margin) for start, end in segments]
    return np.any(inside, axis=0) if inside else np.zeros(times.shape, bool)


def own_segments(
    mouth: Mouth, segments: Segments, thresholds: SpeakerThresholds = SpeakerThresholds()
) -> Segments:
    """The segments during which the mouth moves: in others somebody unseen speaks."""
    own = []
    for segment in segments:
        opening = mouth.opening[within(mouth.times, [segment])]
        if len(opening) > 1 and opening.std() >= thresholds.movement / 2:
            own.append(segment)
    return own


def measure_evidence(
    mouth: Mouth,
    sound: Sound,
    segments: Segments,
    synchrony: Synchrony,
    thresholds: SpeakerThresholds = SpeakerThresholds(),
) -> Evidence:
    """The evidence for a mouth that it speaks in the segments. Refused where it does not."""
    spoken = within(mouth.times, segments)
    if spoken.sum() < thresholds.frames:
        raise Refused(STAGE, f"the mouth is seen on only {spoken.sum()} frames in speech")
    movement = float(mouth.opening[spoken].std()) if spoken.any() else 0.0
    if movement < thresholds.movement:
        raise Refused(STAGE, "the mouth is still while someone speaks")
    spans = [(start - CONTEXT, end + CONTEXT) for start, end in segments]
    agreement, lag = synchrony.agreement(mouth, sound, spans)
    if agreement < thresholds.agreement:
        raise Refused(STAGE, "the mouth does not move with the sound")
    return Evidence(movement, agreement, lag)


def choose_speaker(
    evidence: Sequence[Evidence | Refused],
    seen: Sequence[tuple[float, float]],
    thresholds: SpeakerThresholds = SpeakerThresholds(),
) -> int:
    """The row of the face that speaks, from each face's evidence and when it is seen, s.

    Refused where none speaks, or where another face that is seen at the same time could be it.
    """
    speaking = [(one.agreement, n) for n, one in enumerate(evidence) if isinstance(one, Evidence)]
    if not speaking:
        reasons = dict.fromkeys(one.reason for one in evidence if isinstance(one, Refused))
        faces = f"none of {len(evidence)} faces speaks: " if len(evidence) > 1 else ""
        raise Refused(STAGE, faces + "; ".join(reasons))
    agreement, best = max(speaking)
    start, end = seen[best]
    for rival, number in speaking:
        together = seen[number][0] < end and seen[number][1] > start
        if number != best and together and agreement - rival < thresholds.margin:
            raise Refused(STAGE, "two mouths move with the sound")
    return best
