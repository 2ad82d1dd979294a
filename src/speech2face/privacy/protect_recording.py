"""Protects a recording: every speaker disguised by the best method, and what remains measured.

    listen ─► try methods ─► choose ─► write ─► measure what was written

Each speaker's disguise follows from a secret that is drawn here and kept nowhere. The recording is
read block by block, a few times; the memory needed does not grow with its length.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.errors import NoSpeechError, UsageError
from speech2face.media import SAMPLE_RATE, AudioSource
from speech2face.media.opening import describe_source, open_source
from speech2face.metrics.protection_results import (
    RULES,
    MethodTrial,
    Protection,
    Rule,
    Span,
)
from speech2face.model_folders import Model
from speech2face.name_suggestions import suggest
from speech2face.pictures import check_place
from speech2face.privacy.anonymise_recording import CODECS, disguise_pieces, write_sound
from speech2face.privacy.anonymisers import ANONYMISERS, Anonymiser, load_anonymiser
from speech2face.privacy.asr import Utterance
from speech2face.privacy.chunking import LONGEST, MOMENT, cut_pieces, join_pieces
from speech2face.privacy.disguise_metadata import SEVERAL, find_mark, make_mark
from speech2face.privacy.measure_protection import (
    Held,
    Measured,
    Original,
    Reading,
    listen,
    measure_protection,
)
from speech2face.privacy.method_trials import SPOKEN_ANEW, try_methods
from speech2face.privacy.original_comparison import CourseStream, judge_pair
from speech2face.privacy.remaining_disclosure import find_attack
from speech2face.privacy.speaker_turns import divide_turns
from speech2face.privacy.telling_words import find_telling_words
from speech2face.privacy.transcript import transcribe_pieces
from speech2face.privacy.video_sound import VIDEOS, find_sound_start, has_picture, write_video
from speech2face.privacy.voice_left import VoiceMeter

HIDDEN_FRAMES = (
    "frames that editing cut off at the beginning of the picture are still in the file, where "
    "players do not show them"
)
NEAR = 3.0  # s between two stretches of speech that are named as one


def protect_recording(
    source: AudioSource,
    target: Path,
    model: Model,
    *,
    keep: str = "both",
    method: str | None = None,
    track: int | None = None,
    force: bool = False,
    again: bool = False,
    reading: Reading = lambda _: None,
    show: ProgressCallback = lambda *_: None,
) -> Protection:
    """Write `source` to `target` with every voice disguised, and measure what remains.

    `target` ends in .wav or .flac, or of a video in .mp4, .mov, .mkv or .webm, whose picture is
    copied as it is. `model` comes from `find_model`, and measures faces. `keep` moves the rule
    by which a method is chosen (`RULES`); `method` names one instead. `track` chooses among the
    sound tracks, from 1. `force` overwrites a file that exists; `again` takes a recording that is
    marked as disguised. `reading` is called with how many seconds have been heard, `show` with
    what is done after that.

    Raises UsageError where an argument is wrong, `target` exists or cannot be written, or the
    recording is disguised already; UnreadableMediaError; NoSpeechError where nobody speaks, or no
    speech is left; ModelError. Nothing is written then.
    """
    rule = choose_rule(keep)
    fixed = load_anonymiser(method) if method else None
    check_target(target, force)
    name = describe_source(source)
    with _hold(source, name) as held:
        video = _check_kind(held, target, name)
        original = listen(held, name, track, again, reading)
        seeds = {speech.speaker or 1: secrets.randbits(62) for speech in original.speeches}
        meter = VoiceMeter(model)
        candidates = [fixed] if fixed else _candidates(video)
        trials, left_out = try_methods(
            candidates, original.speeches, seeds, original.understood, meter, show
        )
        if not trials:  # the only one, which was named, cannot run
            raise UsageError(f"{method}: {'; '.join(left_out.values())}.")
        ordered = rule.order(trials)
        best = ordered[0]
        if not best.speech_kept:
            raise NoSpeechError(
                f"{name}: no speech is left after {best.method}; nothing was written; choose "
                "another method."
            )
        written = _write(original, target, best, seeds, meter, video, show)
        if written.hides_frames:
            original = original.warned(HIDDEN_FRAMES)
    return _describe(
        original,
        written.measured,
        model,
        method=best.method,
        chosen_by="user" if fixed else "rule",
        rule=None if fixed else rule,
        exceeded=not fixed and not rule.allows(best),
        video=video,
        trials=tuple(ordered),
        left_out=left_out,
        transcript=written.transcript,
        silenced=tuple(written.silenced),
    )


def measure_disguised(
    source: AudioSource,
    disguised: AudioSource,
    model: Model,
    *,
    method: str | None = None,
    track: int | None = None,
    reading: Reading = lambda _: None,
    show: ProgressCallback = lambda *_: None,
) -> Protection:
    """Measure what `disguised`, which any program made of `source`, leaves of its voices.

    `method` is how it was disguised, where its mark does not say so. Takes and raises what
    `protect_recording` does, and UsageError where the two hold the same sound.
    """
    known = load_anonymiser(method).name if method else None
    name = describe_source(source)
    with _hold(source, name) as held, _hold(disguised, describe_source(disguised)) as other:
        original = listen(held, name, track, False, reading)
        stream = CourseStream(other, 32.0)
        for _ in stream:
            reading(stream.seconds)
        if np.array_equal(stream.levels, original.stream.levels):
            raise UsageError(
                f"{name} and {describe_source(disguised)} hold the same sound; give the disguised "
                "recording."
            )
        mark = find_mark(stream.tags)
        known = known or (mark.method if mark else None)
        pair = judge_pair(original.stream, stream, known in SPOKEN_ANEW)
        if pair.same is not True:
            original = original.warned(
                "the two recordings do not seem to be of the same speech; the figures hold only if "
                "they are"
                if pair.same is False
                else "whether the two recordings are of the same speech could not be checked"
            )
        measured = measure_protection(original, other, known, VoiceMeter(model))
        transcript: list[Utterance] = []
        for _ in _transcribe(original, cut_pieces(original.blocks()), transcript, show):
            pass
    return _describe(
        original,
        measured,
        model,
        method=known,
        chosen_by="other program",
        rule=None,
        exceeded=False,
        video=False,
        trials=(),
        left_out={},
        transcript=transcript,
        silenced=(),
    )


def choose_rule(keep: str) -> Rule:
    """The rule of a name. Raises UsageError where there is none."""
    if keep not in RULES:
        names = ", ".join(RULES)
        raise UsageError(f"keep is one of {names}, not {keep!r:.60}.{suggest(keep, tuple(RULES))}")
    return RULES[keep]


def check_target(target: Path, force: bool) -> None:
    """Raise UsageError where `protect_recording` would, before anything is worked on."""
    if target.suffix.lower() not in (*CODECS, *VIDEOS):
        raise UsageError(
            f"{target}: end the name in {', '.join(CODECS)} or, of a video, {', '.join(VIDEOS)}."
        )
    check_place(target, force)


@dataclass(frozen=True)
class _Written:
    """What was written, and what was learned on the way."""

    measured: Measured
    transcript: list[Utterance]
    silenced: list[Span]
    hides_frames: bool


@contextmanager
def _hold(source: AudioSource, name: str) -> Iterator[Held]:
    """The source as something that can be read several times."""
    if isinstance(source, tuple):
        yield source
    else:
        with open_source(source, name) as file:
            yield file


def _check_kind(held: Held, target: Path, name: str) -> bool:
    """True if a video is to be made. Raises UsageError where there is none to make it of."""
    if target.suffix.lower() not in VIDEOS:
        return False
    if isinstance(held, tuple) or not has_picture(held):
        raise UsageError(
            f"{name} has no picture; end the name of the output in {' or '.join(CODECS)}."
        )
    return True


def _candidates(video: bool) -> list[Anonymiser]:
    """The methods to try; for a video those whose sound stays in time with the picture."""
    return [load_anonymiser(name) for name in ANONYMISERS if not (video and name in SPOKEN_ANEW)]


def _write(
    original: Original,
    target: Path,
    trial: MethodTrial,
    seeds: Mapping[int, int],
    meter: VoiceMeter,
    video: bool,
    show: ProgressCallback,
) -> _Written:
    """Write the disguised recording, once it was measured, to `target`."""
    transcript: list[Utterance] = []
    silenced: list[float] = []
    found: list[Measured] = []
    turns = divide_turns(original.speeches[0].speakers)
    pieces = cut_pieces(original.blocks(), turns.starts)
    pieces = _transcribe(original, pieces, transcript, show)
    disguised = disguise_pieces(
        pieces,
        load_anonymiser(trial.method),
        lambda sample: seeds[turns.speaker_at(sample)],
        silenced,
    )
    tags = make_mark(SEVERAL if find_mark(original.stream.tags) else trial.method)

    def check(made: Path) -> None:
        found.append(measure_protection(original, made, trial.method, meter, trial.words_lost))

    hides = False
    if video:
        hides = _write_video(original, target, join_pieces(disguised), tags, check)
    else:
        write_sound(join_pieces(disguised), target, tags, check)
    spans = [(start, min(start + LONGEST / SAMPLE_RATE, original.seconds)) for start in silenced]
    return _Written(found[0], transcript, spans, hides)


def _write_video(
    original: Original,
    target: Path,
    blocks: Iterator[np.ndarray],
    tags: Mapping[str, str],
    check: Callable[[Path], None],
) -> bool:
    """Write the disguised sound beside `target`, measure it, and join it with the picture.

    Returns whether the file holds frames that its editing hides.
    """
    file = original.source
    assert not isinstance(file, tuple)
    with tempfile.TemporaryDirectory(prefix=".speech2face-", dir=target.parent) as folder:
        sound = Path(folder, "sound.flac")
        write_sound(blocks, sound, check=check)
        return write_video(file, sound, target, find_sound_start(file, original.track), tags)


def _transcribe(
    original: Original,
    pieces: Iterator[np.ndarray],
    transcript: list[Utterance],
    show: ProgressCallback,
) -> Iterator[np.ndarray]:
    """The pieces, shown as they go by; where the words are understood they are transcribed."""
    if original.understood.texts:
        pieces = transcribe_pieces(pieces, transcript)
    seconds, done = max(1, round(original.seconds)), 0
    for piece in pieces:
        yield piece
        done += len(piece) - MOMENT
        show("seconds disguised", min(seconds, done // SAMPLE_RATE), seconds, "")


def _describe(
    original: Original,
    measured: Measured,
    model: Model,
    transcript: list[Utterance],
    **facts: Any,
) -> Protection:
    """All that was found, as one result; `facts` are its other fields by name."""
    unclear = [(one.start, one.end) for one in transcript if not one.understood]
    return Protection(
        version=__version__,
        model=f"{model.card.name} {model.card.version}",
        original_seconds=round(original.seconds, 3),
        disguised_seconds=round(measured.seconds, 3),
        speakers=measured.speakers,
        words_lost=measured.words_lost,
        population=find_attack(facts["method"]),
        hearing=original.understood.hearing,
        telling_words=tuple(find_telling_words(transcript)),
        not_understood=tuple(_join_near(unclear)),
        plain=measured.plain,
        warnings=original.warnings,
        **facts,
    )


def _join_near(spans: list[Span]) -> list[Span]:
    """Spans in order → fewer, of which those with less than a few seconds between them are one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and start - joined[-1][1] < NEAR:
            start = joined.pop()[0]
        joined.append((round(start, 1), round(end, 1)))
    return joined
