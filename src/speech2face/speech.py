"""A recording becomes the up to a minute of it in which someone speaks most clearly."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speech2face.check_numbers import check_whole
from speech2face.deprecation import renamed
from speech2face.errors import NoSpeechError, UsageError
from speech2face.media import SAMPLE_RATE, AudioSource, AudioStream, stream_audio
from speech2face.name_suggestions import suggest
from speech2face.noisy_speech import LOOKS, UnclearBlocks
from speech2face.speakers import Speaker, SpeakerSearch, Voices, describe_speakers, join_spans
from speech2face.speech_selection import ENOUGH_SECONDS, Candidates, Stretch
from speech2face.speech_stretches import cut_stretches
from speech2face.voice_activity import detect_speech, measure_chunks

CROSSFADE = 80  # samples, 5 ms, where two stretches are joined

MOST_SECONDS = 60.0  # of speech that are used, where nothing else is asked for
LONGEST, ANYONE = "longest", "anyone"  # whose speech is chosen, beside numbers
ALL = "all"  # each speaker's, of which `find_each_speaker` finds the speech
MOST_DIGITS = 9  # of a speaker's number

SPEECH_LEVEL = -26.0  # dBFS of the speech returned
GREATEST_GAIN = 100.0  # +40 dB
SILENCE = 10 ** (-70 / 20)  # RMS of the loudest chunk of a recording called silent

UNCLEAR = "the speech was hard to tell from music or noise; the face is less sure"


@dataclass(frozen=True)
class SpeechFacts:
    """Facts on the speech that was used; Python, the commands' JSON and HTTP name them the same."""

    speech_seconds: float  # of speech that was used
    analysed_seconds: float  # of the recording, or of the part that was asked for
    segments: list[tuple[float, float]]  # start and end in the recording, s, in time order
    warnings: tuple[str, ...]  # what was wrong with the sound, a sentence each
    speakers: tuple[Speaker, ...]  # who speaks, who speaks most first; empty if nobody looked
    speaker: int | None  # the number of whose speech it is; None if nobody looked
    # What each gave, where they are several: `segments` and `speakers` are of each then.
    recordings: tuple[RecordingFacts, ...] = field(default=(), kw_only=True)

    def as_json(self) -> dict[str, Any]:
        """The facts by their names, times to a thousandth of a second."""
        facts = {
            "speech_seconds": round(self.speech_seconds, 3),
            "analysed_seconds": round(self.analysed_seconds, 3),
            "segments": [[round(start, 3), round(end, 3)] for start, end in self.segments],
            "warnings": list(self.warnings),
            "speakers": [speaker.as_json() for speaker in self.speakers],
            "speaker": self.speaker,
        }
        if self.recordings:
            facts["recordings"] = [recording.as_json() for recording in self.recordings]
        return facts


@dataclass(frozen=True)
class RecordingFacts(SpeechFacts):
    """What was used of one of several recordings."""

    input: str

    def as_json(self) -> dict[str, Any]:
        """The facts by their names, times to a thousandth of a second."""
        return {"input": self.input, **super().as_json()}


@dataclass(frozen=True)
class Speech(SpeechFacts):
    """The speech that was chosen of a recording, and where it lies in it."""

    samples: np.ndarray  # float32 (n,), 16 kHz, RMS -26 dBFS, peak at most 1

    seconds = renamed("Speech.seconds", "speech_seconds")
    heard_seconds = renamed("Speech.heard_seconds", "analysed_seconds")


def find_speech(
    source: AudioSource | AudioStream,
    *,
    max_seconds: float = MOST_SECONDS,
    min_seconds: float = 0.5,
    start: float = 0.0,
    end: float | None = None,
    track: int | None = None,
    speaker: str | int = "longest",
    progress: Callable[[float], None] | None = None,
) -> Speech:
    """The clearest speech of one person in a recording, at most `max_seconds` of it.

    Listens to the whole recording, or from `start` to `end`, in seconds of it; `track` chooses
    among the sound tracks of a file, from 1. (Of a stream, all that it gives is listened to.)
    Where several people speak, `speaker` chooses: "longest" is who speaks most, with a warning; a
    number, from 1, is one of them in the order of how long they speak; with "anyone" nobody is told
    apart, which saves time where one person is known to speak.
    More than 10 s are taken only of what is about as clear as the clearest. Of a recording longer
    than 32 s, what is about equally clear is chosen for sounding like the rest of its speech.
    Speech counts with its soft edges and short pauses. `progress` is called with how many seconds
    have been listened to.

    Raises NoSpeechError where there are not `min_seconds` of speech, UnreadableMediaError where
    there is nothing to listen to, ModelError where the detector is not installed properly,
    UsageError where `max_seconds` is below `min_seconds` or below 0.5, where there is no such
    speaker, and as `stream_audio` does.
    """
    wanted = check_speaker(speaker)
    _check_lengths(max_seconds, min_seconds)
    stream = _open_stream(source, start, end, track)
    recording = _analyse(stream, max_seconds, min_seconds, wanted != ANYONE, progress)
    return recording.choose(wanted, max_seconds)


def find_each_speaker(
    source: AudioSource | AudioStream,
    *,
    max_seconds: float = MOST_SECONDS,
    min_seconds: float = 0.5,
    start: float = 0.0,
    end: float | None = None,
    track: int | None = None,
    most_together: float = float("inf"),
    progress: Callable[[float], None] | None = None,
) -> list[Speech]:
    """The clearest speech of each person in a recording, who speaks most first.

    Where many speak, each one's share of `most_together` seconds is chosen, but at least 10 s.
    Takes and raises what `find_speech` does.
    """
    _check_lengths(max_seconds, min_seconds)
    stream = _open_stream(source, start, end, track)
    recording = _analyse(stream, max_seconds, min_seconds, True, progress)
    speakers = recording.voices.speakers
    seconds = min(max_seconds, max(ENOUGH_SECONDS, most_together / len(speakers)))
    return [recording.choose(who.number, seconds) for who in speakers]


def check_speaker(speaker: str | int) -> str | int:
    """`speaker` of `find_speech`; raises UsageError where it is none."""
    if speaker in (LONGEST, ANYONE):
        return speaker
    if isinstance(speaker, str):
        raise UsageError(
            f"speaker is {LONGEST}, {ANYONE} or a number from 1, not {speaker!r:.60}."
            f"{suggest(speaker, (LONGEST, ANYONE))}"
        )
    return check_whole("speaker", speaker, 1)


def parse_speaker(speaker: str, option: str = "speaker") -> str | int:
    """Text → `speaker` of `find_speech`, or "all"; raises UsageError, on the `option`."""
    if speaker in (LONGEST, ALL):
        return speaker
    digits = speaker.isascii() and speaker.isdigit() and len(speaker) <= MOST_DIGITS
    if digits and int(speaker):
        return int(speaker)
    raise UsageError(
        f"{option} is {LONGEST}, {ALL} or a number from 1, not {speaker!r:.60}."
        f"{suggest(speaker, (LONGEST, ALL))}"
    )


def find_chosen_speech(
    source: AudioSource | AudioStream, speaker: str | int, **listening: Any
) -> list[Speech]:
    """The speech of each that `speaker` chooses, which `parse_speaker` gave.

    Takes and raises what `find_speech` does.
    """
    if speaker == ALL:
        return find_each_speaker(source, **listening)
    return [find_speech(source, speaker=speaker, **listening)]


def _check_lengths(max_seconds: float, min_seconds: float) -> None:
    if not max_seconds >= max(min_seconds, 0.5):
        raise UsageError(f"max_seconds is {max_seconds:g}; it must be at least 0.5 and min_seconds")


def _open_stream(
    source: AudioSource | AudioStream, start: float, end: float | None, track: int | None
) -> AudioStream:
    if isinstance(source, AudioStream):
        return source
    return stream_audio(source, start=start, end=end, track=track)


@dataclass(frozen=True)
class _Recording:
    """A recording that was listened to."""

    stream: AudioStream
    analysed_seconds: float
    clearest: list[Stretch]  # whoever speaks
    voices: Voices  # without speakers if nobody was told apart
    unclear: bool  # whether only a second look found the speech

    def choose(self, wanted: str | int, max_seconds: float) -> Speech:
        """Raises UsageError where there is no such speaker."""
        speakers = self.voices.speakers
        number = wanted if isinstance(wanted, int) else 1 if speakers else None
        if number and number > len(speakers):
            raise UsageError(
                f"{self.stream.name}: {describe_speakers(speakers)}; there is no speaker {number}"
            )
        chosen = self.clearest
        if number and len(speakers) > 1:
            own = Candidates()
            own.add(self.voices.stretches[number - 1])
            chosen = own.choose(max_seconds)
        warnings = self.stream.warnings + ((UNCLEAR,) if self.unclear else ())
        if wanted == LONGEST and len(speakers) > 1:
            warnings += (f"{describe_speakers(speakers)}; only speaker 1 was used",)
        return Speech(
            speech_seconds=sum(s.seconds for s in chosen),
            analysed_seconds=self.analysed_seconds,
            segments=_segments(chosen),
            warnings=warnings,
            speakers=speakers,
            speaker=number,
            samples=level_speech(_join(chosen)),
        )


class _FoundSpeech:
    """The speech that was found in a recording, and by whom it is if people are told apart."""

    def __init__(self, tell_apart: bool) -> None:
        self.candidates, self.search = Candidates(), SpeakerSearch()
        self.seconds = 0.0
        self._tell_apart = tell_apart

    def add(self, stretches: list[Stretch]) -> None:
        """Take in the speech of the next block."""
        self.candidates.add(stretches)
        if self._tell_apart:
            self.search.add(stretches)
        self.seconds += sum(stretch.seconds for stretch in stretches)


def _analyse(
    stream: AudioStream,
    max_seconds: float,
    min_seconds: float,
    tell_apart: bool,
    progress: Callable[[float], None] | None,
) -> _Recording:
    """Raises NoSpeechError, before anybody is told apart."""
    found, unclear = _FoundSpeech(tell_apart), UnclearBlocks()
    first = position = round(stream.start * SAMPLE_RATE)
    loudest = 0.0
    for block, probabilities in detect_speech(stream):
        loudest = max(loudest, float(measure_chunks(block).max()))
        found.add(cut_stretches(block, probabilities, position))
        if found.seconds < min_seconds:
            unclear.add(block, probabilities, position)
        else:
            unclear.clear()
        position += len(block)
        if progress:
            progress((position - first) / SAMPLE_RATE)
    analysed_seconds = (position - first) / SAMPLE_RATE
    again = found.seconds < min_seconds <= analysed_seconds and loudest >= SILENCE
    if again:
        found = _look_again(found, unclear, tell_apart, min_seconds)
    clearest = found.candidates.choose(max_seconds)
    seconds = sum(stretch.seconds for stretch in clearest)
    if seconds < min_seconds:
        reason = _reason(analysed_seconds, loudest, seconds, min_seconds)
        raise NoSpeechError(f"{stream.name}: {reason}")
    voices = found.search.find(stream.channel_levels)
    return _Recording(stream, analysed_seconds, clearest, voices, again)


def _look_again(
    before: _FoundSpeech, unclear: UnclearBlocks, tell_apart: bool, min_seconds: float
) -> _FoundSpeech:
    """The speech of the first look that finds enough; else the most that any found."""
    most = before
    for look in LOOKS:
        found = _FoundSpeech(tell_apart)
        for stretches in unclear.look_again(look):
            found.add(stretches)
        if found.seconds >= min_seconds:
            return found
        most = max(most, found, key=lambda each: each.seconds)
    return most


def _reason(analysed: float, loudest: float, seconds: float, needed: float) -> str:
    remedy = f"at least {needed:g} s of speech are needed"
    if analysed < needed:
        return f"the recording lasts only {_floor(analysed):.1f} s; {remedy}"
    if loudest < SILENCE:
        return f"silence; {remedy}"
    if seconds == 0:
        return f"noise or music but no speech; {remedy}"
    return f"only {_floor(seconds):.1f} s of speech; {remedy}"


def _floor(seconds: float) -> float:
    """Round down to tenths, so that too little does not read as enough."""
    return int(10 * seconds) / 10


def _segments(stretches: list[Stretch]) -> list[tuple[float, float]]:
    return join_spans((stretch.start, stretch.end) for stretch in stretches)


def _join(stretches: list[Stretch]) -> np.ndarray:
    """The stretches one after the other, cross-faded where something between them is left out."""
    joined = stretches[0].samples
    for before, after in itertools.pairwise(stretches):
        follow = crossfade if before.end < after.start else _append
        joined = follow(joined, after.samples)
    return joined


def crossfade(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Join two sounds; the last 5 ms of the one fade into the first of the other."""
    length = min(CROSSFADE, len(before), len(after))
    fade = np.linspace(0, 1, length, dtype=np.float32)
    both = before[-length:] * (1 - fade) + after[:length] * fade
    return np.concatenate([before[:-length], both, after[length:]])


def _append(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.concatenate([before, after])


def level_speech(samples: np.ndarray) -> np.ndarray:
    """Speech (n,) without a constant offset, at the level that `find_speech` gives."""
    samples = samples - samples.mean()
    rms, peak = np.sqrt(np.mean(samples**2)), np.abs(samples).max()
    gain = min(10 ** (SPEECH_LEVEL / 20) / max(rms, 1e-9), GREATEST_GAIN, 1 / max(peak, 1e-9))
    return samples * np.float32(gain)
