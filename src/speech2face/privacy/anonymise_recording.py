"""A recording of any length is anonymised piece by piece and written as WAV or FLAC.

The memory needed does not grow with the recording. Of the input nothing goes in but its sound: no
tags, no times, no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.files import MemoryFile, cannot_write, write_atomically
from speech2face.media import SAMPLE_RATE, AudioSource, stream_audio
from speech2face.pictures import check_place
from speech2face.privacy.chunking import MOMENT, cut_pieces, join_pieces
from speech2face.privacy.disguise_metadata import SEVERAL, find_mark, make_mark
from speech2face.privacy.resynthesis import Resynthesis
from speech2face.speech import ANYONE, SILENCE, find_speech
from speech2face.timestamps import describe_times, format_time

if TYPE_CHECKING:
    from speech2face.privacy.anonymisers import Anonymiser

CODECS = {".wav": ("wav", "pcm_s16le"), ".flac": ("flac", "flac")}  # container and codec
AUDIBLE = 10 ** (-45 / 20)  # RMS of a piece that is not silent
PAUSE = 2.0  # s: what is closer together is named as one in a warning


@dataclass(frozen=True)
class DisguisedRecording:
    """A recording that was disguised and written."""

    method: str  # as the mark has it; `SEVERAL` where the voice was disguised before
    warnings: tuple[str, ...]  # what was wrong with the sound, and what of it was lost


def anonymise_recording(
    source: AudioSource, target: Path, anonymiser: Anonymiser, seed: int, force: bool = False
) -> DisguisedRecording:
    """Write `source` with another voice to `target`, mono, 16 kHz, 16 bits, marked as disguised.

    `anonymiser` is what `load_anonymiser` gives. `seed`, 0 or more, chooses the new voice and is a
    secret: whoever knows it may undo some of the disguise. `force` overwrites a file that exists.

    Raises UsageError where `target` exists (without `force`), has another ending than .wav or
    .flac, or cannot be written; UnreadableMediaError where there is nothing to listen to;
    NoSpeechError where no speech is left; and what the anonymiser raises. Nothing is written then.
    """
    check_recording(target, force)
    stream = stream_audio(source)
    losses = Losses()
    pieces = disguise_pieces(cut_pieces(stream), anonymiser, lambda _: seed, losses)

    def check(made: AudioSource) -> None:
        try:
            find_speech(made, speaker=ANYONE)
        except (NoSpeechError, UnreadableMediaError):
            raise _no_speech(source, stream.name, anonymiser.name, losses) from None

    blocks = join_pieces(pieces)
    blocks = chain(iter([next(blocks)]), blocks)  # the source is open now: its tags are known
    earlier = find_mark(stream.tags)
    method = SEVERAL if earlier else anonymiser.name
    write_sound(blocks, target, make_mark(method), check)
    warnings = stream.warnings
    if earlier:
        by = {SEVERAL: "more than once", "command": "by another program"}
        again = f"was disguised already, {by.get(earlier.method, f'by {earlier.method}')}"
        after = f"what is left after {anonymiser.name} on top of that was not measured"
        warnings = (*warnings, f"{again}; {after}")
    return DisguisedRecording(method, (*warnings, *losses.describe(anonymiser.name)))


@dataclass
class Losses:
    """What became silence, in seconds of the recording."""

    silenced: list[float] = field(default_factory=list)  # starts of pieces
    not_understood: list[tuple[float, float]] = field(default_factory=list)

    def describe(self, method: str) -> Iterator[str]:
        if self.silenced:
            count = len(self.silenced)
            part = "one part" if count == 1 else f"{count} parts"
            first = format_time(self.silenced[0], 0)
            yield f"{method} left only silence of {part} of up to 20 s, the first at {first}"
        if self.not_understood:
            yield (
                f"{describe_times(self.not_understood)} not understood (not English, or not clear) "
                f"and {'is' if len(self.not_understood) == 1 else 'are'} silent"
            )

    def add(self, spans: Iterable[tuple[float, float]], start: float) -> None:
        """Add what of a piece that begins at `start` was not understood."""
        for first, last in spans:
            before = self.not_understood
            if before and start + first - before[-1][1] < PAUSE:
                first = before.pop()[0] - start
            before.append((start + first, start + last))


def disguise_pieces(
    pieces: Iterable[np.ndarray],
    anonymiser: Anonymiser,
    choose_seed: Callable[[int], int],
    losses: Losses,
) -> Iterator[np.ndarray]:
    """Pieces of `cut_pieces` in another voice; to `losses` is added what of them became silence.

    `choose_seed` gives the seed of a piece by the sample at which it begins.
    """
    start = 0
    for piece in pieces:
        lost: tuple[tuple[float, float], ...] = ()
        if isinstance(anonymiser, Resynthesis):
            again = anonymiser.speak_again(piece)
            changed, lost = again.samples, again.lost
        else:
            changed = anonymiser(piece, choose_seed(start))
        if lost:
            losses.add(lost, start / SAMPLE_RATE)
        elif _loudness(piece) > AUDIBLE and _loudness(changed) < SILENCE:
            losses.silenced.append(start / SAMPLE_RATE)
        start += len(piece) - MOMENT
        yield changed


def _loudness(samples: np.ndarray) -> float:
    """RMS of samples (n,), which may be none."""
    return float(np.sqrt(np.square(samples, dtype=np.float64).sum() / max(1, len(samples))))


def _no_speech(source: AudioSource, name: str, method: str, losses: Losses) -> NoSpeechError:
    """Why there is no speech in what was made: there was none before, or the method left none."""
    if losses.not_understood:
        return NoSpeechError(
            f"{name}: no word was understood, and {method} speaks English only; nothing was "
            "written; choose a method that changes the voice itself, whisper or mcadams."
        )
    if not isinstance(source, tuple | bytes) and str(source) != "-":
        try:
            find_speech(source, speaker=ANYONE)
        except NoSpeechError as error:
            return error
    method = "the program" if method == "command" else method
    return NoSpeechError(
        f"{name}: no speech is left after {method}; nothing was written; choose another method, or "
        "another seed where it draws by one."
    )


def check_recording(target: Path, force: bool) -> None:
    """Raise UsageError where `anonymise_recording` would, before anything is worked on."""
    if target.suffix.lower() not in CODECS:
        raise UsageError(f"{target}: sound is written as WAV or FLAC; end the name in one of them.")
    check_place(target, force)


def write_sound(
    blocks: Iterable[np.ndarray],
    target: Path | MemoryFile,
    tags: Mapping[str, str] | None = None,
    check: Callable[[AudioSource], None] = lambda _: None,
) -> None:
    """Blocks of mono sound at 16 kHz → a file of 16 bits with `tags`, whole or not at all.

    `check` is given the file before it has its name, and may refuse it by an error. Raises
    UsageError where `target` is no place for a file, and StorageError where the disk is full or
    fails.
    """
    from av.error import FFmpegError

    form = CODECS[target.suffix.lower()]
    if isinstance(target, MemoryFile):
        _encode(blocks, target.content, tags or {}, *form)
        return check(target.content)
    with write_atomically(target) as file:
        try:
            _encode(blocks, file.name, tags or {}, *form)
        except FFmpegError as error:
            raise cannot_write(target, error) from None
        check(Path(file.name))


def _encode(
    blocks: Iterable[np.ndarray],
    file: str | BinaryIO,
    tags: Mapping[str, str],
    container: str,
    codec: str,
) -> None:
    import av

    # Bit exact: else FFmpeg signs the file with its version.
    with av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as output:
        output.metadata.update(tags)
        track: Any = output.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        track.codec_context.flags |= 1 << 23  # bit exact as well
        track.format = "s16"
        track.open()
        written = 0
        for chunk in _chunks(blocks, track.frame_size or SAMPLE_RATE):
            levels = np.round(chunk.clip(-1, 1) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(levels[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, written
            frame.time_base = Fraction(1, SAMPLE_RATE)
            output.mux(track.encode(frame))
            written += len(chunk)
        output.mux(track.encode(None))


def _chunks(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    held = np.empty(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        for start in range(0, len(held) - size + 1, size):
            yield held[start : start + size]
        held = held[len(held) // size * size :]
    if len(held):
        yield held
