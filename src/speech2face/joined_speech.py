"""Several recordings of one person become one speech, to which each contributes the same at most.

What a voice sounds like changes from one recording to the next, with the microphone, the room and
the day: several recordings say more of a face than as many seconds of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from speech2face.errors import UsageError
from speech2face.media import AudioSource, AudioStream
from speech2face.media.opening import describe_source
from speech2face.speaker_clustering import SURELY_ALIKE, group
from speech2face.speaker_features import open_speaker_features
from speech2face.speech import (
    LONGEST,
    MOST_SECONDS,
    RecordingFacts,
    Speech,
    crossfade,
    find_speech,
)
from speech2face.speech_windows import WINDOW, WINDOW_SECONDS

Progress = Callable[[float], None]


def find_joined_speech(
    sources: Sequence[AudioSource | AudioStream],
    *,
    max_seconds: float = MOST_SECONDS,
    min_seconds: float = 0.5,
    speaker: str | int = LONGEST,
    progress: Progress | None = None,
) -> Speech:
    """Find the clearest speech of one person in several recordings, one after the other.

    Each gives an equal share of `max_seconds` at most, or 10 s where that is more, and
    `min_seconds` at least; `recordings` of the speech says what each gave. Of several people in a
    recording `speaker` chooses, as in `find_speech`. A warning says which recordings do not sound
    like the person of the others. `progress` is called with how many seconds have been heard.

    Raises what `find_speech` does, of any of the recordings, and UsageError where there is none.
    """
    if not sources:
        raise UsageError("no recordings are given; give at least one.")
    names = [_name(source) for source in sources]
    share = min(max_seconds, max(max_seconds / len(sources), WINDOW_SECONDS))
    found: list[Speech] = []
    for source in sources:
        found.append(
            find_speech(
                source,
                max_seconds=share,
                min_seconds=min_seconds,
                speaker=speaker,
                progress=_go_on(progress, sum(one.analysed_seconds for one in found)),
            )
        )
    noted = [
        f"{name}: {warning}"
        for name, speech in zip(names, found, strict=True)
        for warning in speech.warnings
    ]
    return Speech(
        speech_seconds=sum(speech.speech_seconds for speech in found),
        analysed_seconds=sum(speech.analysed_seconds for speech in found),
        segments=[],
        warnings=(*noted, *compare_voices(names, [speech.samples for speech in found])),
        speakers=(),
        speaker=None,
        samples=reduce(crossfade, [speech.samples for speech in found]),
        recordings=tuple(map(_describe, names, found)),
    )


def compare_voices(names: Sequence[str], voices: Sequence[np.ndarray]) -> tuple[str, ...]:
    """Warn where the speech (n,) of recordings of these names does not sound like one person.

    Raises ModelError where the speaker network is not installed properly.
    """
    if len(voices) < 2:
        return ()
    network = open_speaker_features()
    features = np.array([network.embed(samples[:WINDOW]) for samples in voices])
    labels = group((features @ features.T).astype(np.float64), SURELY_ALIKE)
    counts = np.bincount(labels)
    if len(counts) == 1:
        return ()
    most = int(counts.argmax())
    if 2 * counts[most] <= len(labels):
        people = (_list(names, labels == label) for label in range(len(counts)))
        return (f"the recordings sound like {len(counts)} people's: {'; '.join(people)}",)
    odd = labels != most
    verb = "does" if odd.sum() == 1 else "do"
    return (f"{_list(names, odd)} {verb} not sound like the person of the other recordings",)


def _name(source: AudioSource | AudioStream) -> str:
    return source.name if isinstance(source, AudioStream) else describe_source(source)


def _list(names: Sequence[str], chosen: np.ndarray) -> str:
    *others, last = (names[place] for place in np.flatnonzero(chosen).tolist())
    return f"{', '.join(others)} and {last}" if others else last


def _describe(name: str, speech: Speech) -> RecordingFacts:
    facts = {k: v for k, v in vars(speech).items() if k not in ("samples", "recordings")}
    return RecordingFacts(input=name, **facts)


def _go_on(progress: Progress | None, before: float) -> Progress | None:
    """Make the `progress` of a recording that comes after others of so many seconds."""
    return progress and (lambda seconds: progress(before + seconds))
