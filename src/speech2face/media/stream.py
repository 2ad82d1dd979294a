"""A recording becomes mono sound at 16 kHz, block by block.

Decoding is lazy: the memory needed does not grow with the length of a recording, and whoever
stops asking for blocks stops the decoding. Damage that leaves something to hear is told in
`AudioStream.warnings`; anything else raises `UnreadableMediaError`.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from speech2face.check_numbers import check_seconds, check_whole
from speech2face.errors import Speech2FaceError, UnreadableMediaError, UsageError
from speech2face.media.arrays import read_array
from speech2face.media.audio_tracks import (
    TrackDecoder,
    choose_track,
    find_peak,
    headroom_of,
    keeps_floats,
)
from speech2face.media.completeness import (
    describe_appended,
    describe_missing_end,
    find_stated_seconds,
)
from speech2face.media.downmix import Downmixer
from speech2face.media.ogg_chains import split_links
from speech2face.media.opening import (
    AudioSource,
    describe_source,
    open_container,
    open_source,
    unreadable,
)
from speech2face.media.rates import SAMPLE_RATE, check_rate
from speech2face.read_ahead import read_ahead

if TYPE_CHECKING:
    from av.container import InputContainer

ALONE, AHEAD = 64, 8  # s that are decoded before another thread decodes on, and how far ahead
LONGEST = 1e9  # s: times beyond it, thirty years, are mistakes, or mean the end
FAILURES = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.EACCES, errno.EPERM}  # of a disk


@dataclass(frozen=True)
class Waveform:
    """Mono sound at 16 kHz."""

    samples: np.ndarray  # float32 (n,), full scale ±1
    warnings: tuple[str, ...] = ()  # faults of the sound, a sentence each


def load_audio(
    source: AudioSource, *, start: float = 0.0, end: float | None = None, track: int | None = None
) -> Waveform:
    """The sound of `source` from `start` to `end`; an hour needs 230 MB of memory.

    Takes and raises what `stream_audio` and its iteration do.
    """
    stream = stream_audio(source, start=start, end=end, track=track)
    samples = np.concatenate([np.empty(0, np.float32), *stream])
    return Waveform(samples, stream.warnings)


def stream_audio(
    source: AudioSource,
    *,
    block_seconds: float = 32.0,
    start: float = 0.0,
    end: float | None = None,
    track: int | None = None,
) -> AudioStream:
    """The sound of `source` as an iterable of blocks of `block_seconds`, the last one shorter.

    Only the part from `start` to `end` is given, in seconds of the recording; without `end`, up
    to the recording's end. `track` chooses among the sound tracks of a file, from 1.

    Raises UsageError where `start` is negative, `end` is not after it, `track` is below 1, or one
    of them is no such number.
    """
    return AudioStream(source, block_seconds, start=start, end=end, track=track)


class AudioStream:
    """Blocks of mono sound at 16 kHz, float32 (n,), decoded while one iterates. Iterate once.

    Iterating raises UnreadableMediaError where the input is missing, empty, not media or
    without sound, and UsageError where the recording ends before `start` or has no such track.
    `warnings` holds what was wrong with the sound as far as it has been decoded.
    """

    def __init__(
        self,
        source: AudioSource,
        block_seconds: float,
        *,
        start: float = 0.0,
        end: float | None = None,
        track: int | None = None,
    ) -> None:
        self.name = describe_source(source)
        self._source = source
        self._block_samples = _count_samples(block_seconds)
        self.start, self._end, self._track = _check_part(start, end, track)
        self._mixer = Downmixer()
        self._offset = 0.0
        self._notes: list[str] = []
        self.tags: dict[str, str] = {}  # of the file and its sound tracks, once one has iterated

    def __iter__(self) -> Iterator[np.ndarray]:
        if isinstance(self._source, tuple):
            pieces = self._read_array(*self._source)
        else:
            pieces = self._read_file(self._source)
        blocks = _regroup(self._cut(_resample(pieces)), self._block_samples)
        for number, block in enumerate(blocks):
            if number == 0:  # an offset belongs to the microphone: one value for all blocks
                self._offset = float(block.mean())
            yield block - np.float32(self._offset)
        if not self._mixer.samples:
            raise unreadable(
                self.name, "holds no sound that can be decoded", "give a complete recording"
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Faults of the sound decoded so far, a sentence each."""
        notes = [*self._notes, *self._mixer.warnings]
        if abs(self._offset) > 0.05:
            notes.append(f"a constant offset of {self._offset:+.2f} was removed from the sound")
        return tuple(notes)

    @property
    def channel_levels(self) -> np.ndarray | None:
        """The mean square of each channel, every 32 ms of the recording from its beginning on, as
        far as it has been decoded: (slots, channels). None of sound that is in one channel."""
        return self._mixer.levels.read()

    def _cut(self, pieces: Generator[np.ndarray]) -> Iterator[np.ndarray]:
        """The part from `start` to `end` of sound at 16 kHz; nothing after it is decoded."""
        first = round(self.start * SAMPLE_RATE)
        last = None if self._end is None else round(self._end * SAMPLE_RATE)
        place = 0
        with closing(pieces):
            for piece in pieces:
                part = piece[max(first - place, 0) : None if last is None else last - place]
                place += len(piece)
                if len(part):
                    yield part
                if last is not None and place >= last:
                    return
        if 0 < place <= first:
            raise UsageError(
                f"{self.name} lasts {place / SAMPLE_RATE:.1f} s, so nothing is left from "
                f"{self.start:g} s on; start earlier"
            )

    def _read_array(self, samples: object, rate: object) -> Iterator[tuple[np.ndarray, float]]:
        self._check_track(1)
        hertz = check_rate(rate, self.name)
        yield from self._mixer.mix(read_array(samples, hertz, self.name, self._notes))

    def _read_file(self, source: AudioSource) -> Iterator[tuple[np.ndarray, float]]:
        from av.error import FFmpegError

        try:
            with open_source(source, self.name) as file:
                if not file.read(1):
                    raise unreadable(self.name, "is empty", "give a recording")
                cut = describe_missing_end(file)
                self._notes += [note for note in (cut, describe_appended(file)) if note]
                first, *others = split_links(file)
                yield from self._decode(first, bool(cut))
                for link in others:
                    try:
                        yield from self._decode(link, bool(cut))
                    except (FFmpegError, UnreadableMediaError):
                        self._notes.append("damaged parts of the file were left out")
        except (FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) in FAILURES:
                raise unreadable(self.name, f"cannot be read ({reason})", "try again") from None
            raise unreadable(
                self.name,
                f"is cut off or is not sound or video that can be read ({reason})",
                "give wav, flac, mp3, ogg, m4a, webm, mp4 or mkv",
            ) from None
        except Speech2FaceError:
            raise
        except Exception as error:  # a file object's own: zlib.error, BadZipFile, IncompleteRead
            if not hasattr(source, "read"):
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise unreadable(
                self.name, f"cannot be read ({reason})", "give a complete recording"
            ) from None

    def _decode(self, file: BinaryIO, cut: bool) -> Iterator[tuple[np.ndarray, float]]:
        with ExitStack() as opened:

            def reopen() -> InputContainer:
                opened.close()
                return opened.enter_context(open_container(file))

            container = reopen()
            for part in (container, *container.streams.audio):
                self.tags |= part.metadata
            count = len(container.streams.audio)
            if not count:
                held = "video but no sound" if container.streams.video else "no sound"
                raise unreadable(self.name, f"holds {held}", "give a recording with sound")
            self._check_track(count)
            index = (self._track or 1) - 1
            if self._track is None and count > 1:
                index, note = choose_track(container, self.start, self._end)
                self._notes += [note] if note else []
                container = reopen()
            track = container.streams.audio[index]
            if track.codec_context is None:
                raise unreadable(
                    self.name,
                    "holds sound in an unknown encoding",
                    "give wav, flac, mp3, ogg, m4a or webm",
                )
            if keeps_floats(track):
                self._mixer.expect_peak(find_peak(container, track, self._end))
                container = reopen()
                track = container.streams.audio[index]
            decoder = TrackDecoder(container, track, self.name)
            with closing(read_ahead(decoder, ALONE, AHEAD)) as pieces:
                yield from self._mixer.mix(pieces, headroom_of(track))
            stated = find_stated_seconds(container, track)
            if decoder.note:
                self._notes.append(decoder.note)
            elif decoder.seconds < 0.98 * stated - 0.2 and not cut:
                part = f"{decoder.seconds:.1f} s of {stated:.1f} s"
                self._notes.append(f"the file ends early or is damaged: {part} could be read")
            elif decoder.damaged and not cut:
                self._notes.append("damaged parts of the file were left out")

    def _check_track(self, count: int) -> None:
        if self._track is not None and self._track > count:
            tracks = "1 sound track" if count == 1 else f"{count} sound tracks"
            raise UsageError(f"{self.name} has {tracks}; there is no track {self._track}")


def _check_part(
    start: float, end: float | None, track: int | None
) -> tuple[float, float | None, int | None]:
    start = check_seconds("start", start)
    if not 0 <= start <= LONGEST:
        counted = "it counts from the recording's beginning, 0 s"
        raise UsageError(f"start is {start:g} s; {counted if start < 0 else 'start earlier'}")
    if end is not None:
        end = check_seconds("end", end)
        if not end > start:
            raise UsageError(f"end is {end:g} s; it must lie after start, {start:g} s")
        if end > LONGEST:
            end = None
    if track is not None:
        track = check_whole("track", track, 1)
    return start, end, track


def _count_samples(block_seconds: float) -> int:
    seconds = check_seconds("block_seconds", block_seconds)
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"block_seconds is {seconds:g} s; it must be more than 0")
    return max(round(seconds * SAMPLE_RATE), 1)


def _resample(pieces: Iterable[tuple[np.ndarray, float]]) -> Generator[np.ndarray]:
    """Pieces of mono sound with their rates -> the same sound at 16 kHz."""
    import soxr

    nothing = np.empty(0, np.float32)
    resampler, resampler_rate = None, 0.0
    for samples, rate in pieces:
        if rate != resampler_rate:
            if resampler:
                yield resampler.resample_chunk(nothing, last=True)
            resampler, resampler_rate = soxr.ResampleStream(rate, SAMPLE_RATE, 1), rate
        assert resampler
        yield resampler.resample_chunk(samples)
    if resampler:
        yield resampler.resample_chunk(nothing, last=True)


def _regroup(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Pieces of any length -> blocks of `size` samples, the last one shorter."""
    held, length = [], 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        while length >= size:
            joined = np.concatenate(held)
            yield joined[:size]
            held, length = [joined[size:]], length - size
    if length:
        yield np.concatenate(held)
