"""Measures a disguised recording beside its original: what of each speaker remains.

The disguise may be ours or any other program's. Where both run at one pace, the same moments of
both are compared; of speech at another pace what the other recording has of clear speech is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from speech2face.errors import NoSpeechError, UsageError
from speech2face.media import SAMPLE_RATE, AudioSource, stream_audio
from speech2face.metrics.protection_results import ProtectedSpeaker, Span, WordsLost
from speech2face.privacy.disguise_detection import find_disguise
from speech2face.privacy.disguise_metadata import find_mark
from speech2face.privacy.method_trials import Understood, count_words_lost, understand
from speech2face.privacy.original_comparison import CourseStream
from speech2face.privacy.plain_passages import find_plain_passages
from speech2face.privacy.speech_excerpts import cut_excerpts
from speech2face.privacy.speech_quality import measure_speech
from speech2face.privacy.voice_left import VoiceMeter
from speech2face.speech import Speech, find_each_speaker, find_speech

BLOCK_SECONDS = 32.0
MOST_SECONDS = 120.0  # of speech of all speakers together on which methods are tried
SAME_PACE = 0.01  # of the length, by which two recordings of one pace may differ

Held = BinaryIO | tuple[Any, float]  # a source that can be read several times
Reading = Callable[[float], None]
"""Called with how many seconds of a recording have been read."""


@dataclass(frozen=True)
class Original:
    """A recording that was listened to, as it was before it is disguised."""

    source: Held
    track: int | None
    stream: CourseStream
    speeches: tuple[Speech, ...]  # the clearest of each speaker, who speaks most first
    understood: Understood
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return self.stream.seconds

    @property
    def disguised_before(self) -> bool:
        """True if its mark says that it is disguised already."""
        return find_mark(self.stream.tags) is not None

    def warned(self, warning: str) -> Original:
        """The same with one more warning."""
        return replace(self, warnings=(*self.warnings, warning))

    def blocks(self) -> Iterator[np.ndarray]:
        """The sound of it, read anew."""
        return iter(stream_audio(self.source, block_seconds=BLOCK_SECONDS, track=self.track))


@dataclass(frozen=True)
class Measured:
    """What remains of an original in its disguise."""

    seconds: float  # of the disguised recording
    speakers: tuple[ProtectedSpeaker, ...]
    words_lost: WordsLost | None
    speech_kept: float  # share of the seconds in which speech is still found
    plain: tuple[Span, ...]


def listen(source: Held, name: str, track: int | None, again: bool, reading: Reading) -> Original:
    """Find who speaks in a recording, and whether their words can be recognised.

    Raises UsageError where its mark says that it is disguised already, unless `again`;
    UnreadableMediaError, NoSpeechError and ModelError.
    """
    stream = CourseStream(source, BLOCK_SECONDS, track=track)
    stream.name = name
    speeches = find_each_speaker(stream, most_together=MOST_SECONDS, progress=reading)
    warnings = list(speeches[0].warnings)
    if mark := find_mark(stream.tags):
        if not again:
            raise UsageError(
                f"{name} is marked as disguised already ({mark.method}); give the recording as it "
                "was before, or add --again (again=true over HTTP and in Python), of which nothing "
                "was measured."
            )
        warnings.append(f"it was disguised already ({mark.method}): no figure holds for this voice")
    elif find_disguise(speeches[0].samples, {}).by:
        warnings.append(
            "it sounds as if it were disguised already; if it is, no figure holds for this voice"
        )
    return Original(source, track, stream, tuple(speeches), understand(speeches), tuple(warnings))


def measure_protection(
    original: Original,
    disguised: AudioSource,
    method: str | None,
    meter: VoiceMeter,
) -> Measured:
    """Measure what `disguised`, made of `original` by `method`, leaves.

    Where no speech is left `speech_kept` is 0, and nobody is measured. Raises UnreadableMediaError.
    """
    stream = CourseStream(disguised, BLOCK_SECONDS)
    wanted = [speech.segments for speech in original.speeches]
    excerpts = cut_excerpts(stream, wanted)
    plain: Sequence[Span] = ()
    used: Sequence[Speech] = original.speeches
    lost: WordsLost | None = None
    if abs(stream.seconds - original.seconds) <= SAME_PACE * original.seconds:
        plain = find_plain_passages(original.blocks(), stream_audio(disguised))
        lost = count_words_lost(method, original.understood, excerpts)
    else:
        used, excerpts = used[:1], [_find_clearest(disguised)]
    spoken = sum(measure_speech(speech.samples) for speech in used)
    heard = sum(measure_speech(samples) for samples in excerpts if len(samples))
    kept = heard / max(spoken, 0.1)
    if not kept:
        return Measured(stream.seconds, (), None, 0.0, ())
    return Measured(
        stream.seconds,
        tuple(
            _measure_speaker(speech, samples, method, meter)
            for speech, samples in zip(used, excerpts, strict=True)
        ),
        lost,
        round(min(kept, 1.0), 2),
        tuple(plain),
    )


def _find_clearest(recording: AudioSource) -> np.ndarray:
    """The clearest speech of who speaks most (n,); none where nobody does."""
    try:
        return find_speech(recording).samples
    except NoSpeechError:
        return np.empty(0, np.float32)


def _measure_speaker(
    speech: Speech, disguised: np.ndarray, method: str | None, meter: VoiceMeter
) -> ProtectedSpeaker:
    number = speech.speaker or 1
    return ProtectedSpeaker(
        number,
        round(speech.speakers[number - 1].speech_seconds, 1),
        round(len(disguised) / SAMPLE_RATE, 1),
        meter.measure(meter.state_bits(speech), disguised, method),
    )
