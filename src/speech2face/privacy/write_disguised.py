"""Writes a recording disguised turn by turn, once what was made has been measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.errors import NoSpeechError
from speech2face.files import MemoryFile
from speech2face.media import SAMPLE_RATE, AudioSource
from speech2face.privacy.anonymise_recording import Losses, disguise_pieces, write_sound
from speech2face.privacy.anonymisers import Anonymiser
from speech2face.privacy.asr import Utterance
from speech2face.privacy.chunking import MOMENT, cut_pieces, join_pieces
from speech2face.privacy.disguise_metadata import SEVERAL, make_mark
from speech2face.privacy.measure_protection import Measured, Original, measure_protection
from speech2face.privacy.speaker_turns import divide_turns
from speech2face.privacy.transcript import transcribe_pieces
from speech2face.privacy.video_sound import find_sound_start, write_video
from speech2face.privacy.voice_left import VoiceMeter


@dataclass(frozen=True)
class Written:
    """What was written, and what was learned on the way."""

    measured: Measured
    transcript: list[Utterance]
    losses: Losses
    hides_frames: bool


def write_disguised(
    original: Original,
    target: Path | MemoryFile,
    method: Anonymiser,
    seeds: Mapping[int, int],
    meter: VoiceMeter,
    video: bool,
    show: ProgressCallback,
) -> Written:
    """Write the disguised recording, once it was measured, to `target`."""
    transcript: list[Utterance] = []
    losses = Losses()
    found: list[Measured] = []
    turns = divide_turns(original.speeches[0].speakers)
    pieces = cut_pieces(original.blocks(), turns.starts)
    pieces = transcribe_original(original, pieces, transcript, show)
    disguised = disguise_pieces(
        pieces, method, lambda sample: seeds[turns.speaker_at(sample)], losses
    )
    made_by = SEVERAL if original.disguised_before else method.name

    def check(made: AudioSource) -> None:
        measured = measure_protection(original, made, made_by, meter)
        if not measured.speech_kept:
            raise NoSpeechError(
                f"{original.stream.name}: no speech is left after {method.name}; nothing was "
                "written; choose another method."
            )
        found.append(measured)

    hides = False
    if video:
        hides = _write_video(original, target, join_pieces(disguised), make_mark(made_by), check)
    else:
        write_sound(join_pieces(disguised), target, make_mark(made_by), check)
    return Written(found[0], transcript, losses, hides)


def _write_video(
    original: Original,
    target: Path | MemoryFile,
    blocks: Iterator[np.ndarray],
    tags: Mapping[str, str],
    check: Callable[[AudioSource], None],
) -> bool:
    """Write the disguised sound beside `target`, measure it, and join it with the picture.

    Returns whether the file holds frames that its editing hides.
    """
    file = original.source
    assert not isinstance(file, tuple)
    start = find_sound_start(file, original.track)
    if isinstance(target, MemoryFile):
        made = MemoryFile(".flac")
        write_sound(blocks, made, check=check)
        return write_video(file, made.content, target, start, tags)
    with tempfile.TemporaryDirectory(prefix=".speech2face-", dir=target.parent) as folder:
        sound = Path(folder, "sound.flac")
        write_sound(blocks, sound, check=check)
        return write_video(file, sound, target, start, tags)


def transcribe_original(
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
        show("seconds worked on", min(seconds, done // SAMPLE_RATE), seconds, "")
