"""A recording of any length is anonymised piece by piece and written as WAV or FLAC.

The memory needed does not grow with the recording. Of the input nothing goes in but its sound: no
tags, no times, no pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.errors import UsageError
from speech2face.files import cannot_write, write_atomically
from speech2face.media import SAMPLE_RATE, Source, stream_audio
from speech2face.pictures import check_place
from speech2face.privacy.pieces import cut_pieces, join_pieces

if TYPE_CHECKING:
    from speech2face.privacy.anonymise import Anonymiser

CODECS = {".wav": ("wav", "pcm_s16le"), ".flac": ("flac", "flac")}  # container and codec


def anonymise_recording(
    source: Source, target: Path, anonymiser: Anonymiser, seed: int, force: bool = False
) -> tuple[str, ...]:
    """Write `source` with another voice, mono, 16 kHz, 16 bits → what was wrong with its sound.

    Raises UsageError where `target` exists (without `force`), has another ending than .wav or
    .flac, or cannot be written; UnreadableMediaError where there is nothing to hear; and what the
    anonymiser raises. In all these cases nothing is written.
    """
    check_recording(target, force)
    stream = stream_audio(source)
    pieces = (anonymiser(piece, seed) for piece in cut_pieces(stream))
    write_sound(join_pieces(pieces), target)
    return stream.warnings


def check_recording(target: Path, force: bool) -> None:
    """Raise UsageError where `anonymise_recording` would, before anything is worked on."""
    if target.suffix.lower() not in CODECS:
        raise UsageError(f"{target}: sound is written as WAV or FLAC; end the name in one of them.")
    check_place(target, force)


def write_sound(blocks: Iterable[np.ndarray], target: Path) -> None:
    """Blocks of mono sound at 16 kHz → a file of 16 bits, whole or not at all.

    Raises UsageError where `target` is no place for a file, and StorageError where the disk is
    full or fails.
    """
    from av.error import FFmpegError

    with write_atomically(target) as file:
        try:
            _encode(blocks, file.name, *CODECS[target.suffix.lower()])
        except FFmpegError as error:
            raise cannot_write(target, error) from None


def _encode(blocks: Iterable[np.ndarray], path: str, container: str, codec: str) -> None:
    import av

    # Bit exact: else FFmpeg signs the file with its version.
    with av.open(path, "w", format=container, options={"fflags": "+bitexact"}) as output:
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
