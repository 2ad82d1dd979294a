"""A recording of any length is anonymised piece by piece and written as WAV or FLAC.

The memory needed does not grow with the recording. Of the input nothing goes in but its sound: no
tags, no times, no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.files import cannot_write, write_atomically
from speech2face.media import SAMPLE_RATE, AudioSource, stream_audio
from speech2face.pictures import check_place
from speech2face.privacy.chunking import MOMENT, cut_pieces, join_pieces
from speech2face.privacy.disguise_metadata import SEVERAL, find_mark, make_mark
from speech2face.speech import ANYONE, SILENCE, find_speech

if TYPE_CHECKING:
    from speech2face.privacy.anonymisers import Anonymiser

CODECS = {".wav": ("wav", "pcm_s16le"), ".flac": ("flac", "flac")}  # container and codec
AUDIBLE = 10 ** (-45 / 20)  # RMS of a piece that is not silent


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
    silenced: list[float] = []
    pieces = disguise_pieces(cut_pieces(stream), anonymiser, lambda _: seed, silenced)

    def check(made: Path) -> None:
        try:
            find_speech(made, speaker=ANYONE)
        except (NoSpeechError, UnreadableMediaError):
            raise _no_speech(source, stream.name, anonymiser.name) from None

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
    if not silenced:
        return DisguisedRecording(method, warnings)
    part = "one part" if len(silenced) == 1 else f"{len(silenced)} parts"
    lost = f"{anonymiser.name} left only silence of {part} of up to 20 s, the first at "
    lost = f"{lost}{int(silenced[0]) // 60}:{int(silenced[0]) % 60:02}"
    return DisguisedRecording(method, (*warnings, lost))


def disguise_pieces(
    pieces: Iterable[np.ndarray],
    anonymiser: Anonymiser,
    choose_seed: Callable[[int], int],
    silenced: list[float],
) -> Iterator[np.ndarray]:
    """Pieces of `cut_pieces` in another voice.

    `choose_seed` gives the seed of a piece by the sample at which it begins. To `silenced` are
    added the starts, s, of those that fell silent.
    """
    start = 0
    for piece in pieces:
        changed = anonymiser(piece, choose_seed(start))
        if _loudness(piece) > AUDIBLE and _loudness(changed) < SILENCE:
            silenced.append(start / SAMPLE_RATE)
        start += len(piece) - MOMENT
        yield changed


def _loudness(samples: np.ndarray) -> float:
    """RMS of samples (n,), which may be none."""
    return float(np.sqrt(np.square(samples, dtype=np.float64).sum() / max(1, len(samples))))


def _no_speech(source: AudioSource, name: str, method: str) -> NoSpeechError:
    """Why there is no speech in what was made: there was none before, or the method left none."""
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
    target: Path,
    tags: Mapping[str, str] | None = None,
    check: Callable[[Path], None] = lambda _: None,
) -> None:
    """Blocks of mono sound at 16 kHz → a file of 16 bits with `tags`, whole or not at all.

    `check` is given the file before it has its name, and may refuse it by an error. Raises
    UsageError where `target` is no place for a file, and StorageError where the disk is full or
    fails.
    """
    from av.error import FFmpegError

    with write_atomically(target) as file:
        try:
            _encode(blocks, file.name, tags or {}, *CODECS[target.suffix.lower()])
        except FFmpegError as error:
            raise cannot_write(target, error) from None
        check(Path(file.name))


def _encode(
    blocks: Iterable[np.ndarray], path: str, tags: Mapping[str, str], container: str, codec: str
) -> None:
    import av

    # Bit exact: else FFmpeg signs the file with its version.
    with av.open(path, "w", format=container, options={"fflags": "+bitexact"}) as output:
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
