"""Protects a recording: every speaker disguised by the best method, and what remains measured.

    listen ─► try methods ─► choose ─► write ─► measure what was written

Each speaker's disguise follows from a secret that is drawn here and kept nowhere. The recording is
read block by block, a few times; the memory needed does not grow with its length.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.errors import NoSpeechError, UsageError
from speech2face.files import MemoryFile
from speech2face.media import SAMPLE_RATE, AudioSource, stream_audio
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
from speech2face.privacy.anonymise_recording import CODECS, Losses
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.asr import Utterance
from speech2face.privacy.chunking import LONGEST, cut_pieces
from speech2face.privacy.disguise_metadata import SPOKEN_ANEW, find_mark
from speech2face.privacy.measure_protection import (
    Held,
    Measured,
    Original,
    Reading,
    listen,
    measure_protection,
)
from speech2face.privacy.method_trials import try_methods
from speech2face.privacy.original_comparison import CourseStream, judge_pair
from speech2face.privacy.remaining_disclosure import find_attack
from speech2face.privacy.telling_words import find_telling_words
from speech2face.privacy.video_sound import VIDEOS, has_picture
from speech2face.privacy.voice_left import VoiceMeter
from speech2face.privacy.write_disguised import transcribe_original, write_disguised
from speech2face.speakers import describe_speakers

HIDDEN_FRAMES = (
    "frames that editing cut off at the beginning of the picture are still in the file, where "
    "players do not show them"
)
PIECE = LONGEST / SAMPLE_RATE  # s, at most, that fall silent together
NEAR = 3.0  # s between two stretches of speech that are named as one


def protect_recording(
    source: AudioSource,
    target: Path | MemoryFile,
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
    copied as it is; a `MemoryFile` of such an end is filled in memory. `model` comes from
    `find_model`, and measures faces. `keep` moves the rule by which a method is chosen (`RULES`);
    `method` names one instead. `track` chooses among the sound tracks, from 1. `force` overwrites a
    file that exists; `again` takes a recording that is marked as disguised. `reading` is called
    with how many seconds have been heard, `show` with what is done after that.

    Raises UsageError where an argument is wrong, `target` exists or cannot be written, or the
    recording is disguised already; UnreadableMediaError; NoSpeechError where nobody speaks, or no
    speech is left; ModelError. Nothing is written then.
    """
    rule = choose_rule(keep)
    fixed = load_anonymiser(method) if method is not None else None
    check_target(target, force)
    name = describe_source(source)
    if isinstance(source, str | os.PathLike) and isinstance(target, Path):
        with suppress(OSError):  # one of them is missing
            if os.path.samefile(source, target):
                raise UsageError(f"{target} is the recording itself; give another name.")
    with _hold(source, name) as held:
        video = _check_kind(held, target, name)
        original = listen(held, name, track, again, reading)
        if len(original.speeches) > 1:
            people = describe_speakers(original.speeches[0].speakers)
            original = original.warned(f"{people}; each was disguised apart")
        seeds = {speech.speaker or 1: secrets.randbits(62) for speech in original.speeches}
        meter = VoiceMeter(model)
        trials: list[MethodTrial] = []
        left_out: dict[str, str] = {}
        if not fixed:
            methods = [load_anonymiser(name) for name in ANONYMISERS]
            tried, left_out = try_methods(
                methods,
                original.speeches,
                seeds,
                original.understood,
                rule.own_words,
                meter,
                show,
            )
            trials = rule.order(tried)
            if not trials:
                raise NoSpeechError(f"{name}: no method leaves speech; nothing was written.")
        used = fixed or load_anonymiser(trials[0].method)
        written = write_disguised(original, target, used, seeds, meter, video, show)
        if written.hides_frames:
            original = original.warned(HIDDEN_FRAMES)
    return _describe(
        original,
        written.measured,
        model,
        method=used.name,
        chosen_by="user" if fixed else "rule",
        rule=None if fixed else rule,
        exceeded=bool(trials) and not rule.allows(trials[0]),
        video=video,
        trials=tuple(trials),
        left_out=left_out,
        transcript=written.transcript,
        losses=written.losses,
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
    known = load_anonymiser(method).name if method is not None else None
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
        if not measured.speech_kept:
            raise NoSpeechError(f"{describe_source(disguised)}: nobody speaks in it")
        transcript: list[Utterance] = []
        for _ in transcribe_original(original, cut_pieces(original.blocks()), transcript, show):
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
        losses=Losses(),
    )


def choose_rule(keep: str) -> Rule:
    """The rule of a name. Raises UsageError where there is none."""
    if keep not in RULES:
        names = ", ".join(RULES)
        raise UsageError(f"keep is one of {names}, not {keep!r:.60}.{suggest(keep, tuple(RULES))}")
    return RULES[keep]


def check_target(target: Path | MemoryFile, force: bool) -> None:
    """Raise UsageError where `protect_recording` would, before anything is worked on."""
    if target.suffix.lower() not in (*CODECS, *VIDEOS):
        raise UsageError(
            f"{target}: end the name in {', '.join(CODECS)} or, of a video, {', '.join(VIDEOS)}."
        )
    if isinstance(target, Path):
        check_place(target, force)


@contextmanager
def _hold(source: AudioSource, name: str) -> Iterator[Held]:
    """The source as something that can be read several times."""
    if isinstance(source, tuple):
        yield source
    else:
        with open_source(source, name) as file:
            yield file


def _check_kind(held: Held, target: Path | MemoryFile, name: str) -> bool:
    """True if a video is to be made.

    Raises UsageError where there is none to make it of, and UnreadableMediaError where there is no
    sound either.
    """
    if target.suffix.lower() not in VIDEOS:
        return False
    if isinstance(held, tuple) or not has_picture(held):
        next(iter(stream_audio(held)))
        raise UsageError(
            f"{name} has no picture; end the name of the output in {' or '.join(CODECS)}."
        )
    return True


def _describe(
    original: Original,
    measured: Measured,
    model: Model,
    transcript: list[Utterance],
    losses: Losses,
    **facts: Any,
) -> Protection:
    """All that was found, as one result; `facts` are its other fields by name."""
    ends = [(start, min(start + PIECE, original.seconds)) for start in losses.silenced]
    silenced = _join_near(sorted(ends + losses.not_understood))
    unclear = [(one.start, one.end) for one in transcript if not one.understood]
    return Protection(
        version=__version__,
        model=f"{model.card.name} {model.card.version}",
        original_seconds=round(original.seconds, 3),
        disguised_seconds=round(measured.seconds, 3),
        speakers=measured.speakers,
        words_lost=measured.words_lost,
        population=None if original.disguised_before else find_attack(facts["method"]),
        hearing=original.understood.hearing,
        telling_words=tuple(find_telling_words(transcript)),
        silenced=tuple(silenced),
        not_understood=tuple(_join_near(unclear)),
        speech_kept=measured.speech_kept,
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
