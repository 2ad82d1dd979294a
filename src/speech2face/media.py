"""A file, bytes, standard input or an array becomes mono sound at 16 kHz, block by block.

Decoding is lazy: the memory needed does not grow with the length of a recording, and whoever
stops asking for blocks stops the decoding. Damage that leaves something to hear is told in
`AudioStream.warnings`; anything else raises `UnreadableMediaError`.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from speech2face.errors import UnreadableMediaError, UsageError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream as AudioTrack
    from av.container import InputContainer

SAMPLE_RATE = 16_000
SAMPLE_RATES = range(4_000, 768_001)  # what is taken as input, Hz

# Without playlists and scripts, which would let a file name other files or addresses.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,"
    "ogg,rm,w64,wav,wv"
)
WITHOUT_DURATION = {"aac", "ac3", "amr", "eac3", "mpeg", "mpegts"}  # FFmpeg guesses it

Source = str | Path | bytes | tuple[np.ndarray, int]
"""A path ("-" is standard input), the bytes of a media file, or (samples, sample rate in Hz).

Samples are (n,), (n, channels) or (channels, n): floats within ±1, or integers of any width.
"""


@dataclass(frozen=True)
class Waveform:
    """Mono sound at 16 kHz."""

    samples: np.ndarray  # float32 (n,), full scale ±1
    warnings: tuple[str, ...] = ()


def load_audio(
    source: Source, *, start: float = 0.0, end: float | None = None, track: int | None = None
) -> Waveform:
    """The sound of `source` from `start` to `end`; an hour needs 230 MB of memory.

    Takes and raises what `stream_audio` and its iteration do.
    """
    stream = stream_audio(source, start=start, end=end, track=track)
    samples = np.concatenate([np.empty(0, np.float32), *stream])
    return Waveform(samples, stream.warnings)


def stream_audio(
    source: Source,
    *,
    block_seconds: float = 32.0,
    start: float = 0.0,
    end: float | None = None,
    track: int | None = None,
) -> AudioStream:
    """The sound of `source` as an iterable of blocks of `block_seconds`, the last one shorter.

    Only the part from `start` to `end` is given, in seconds of the recording; without `end`, up
    to the recording's end. `track` chooses among the sound tracks of a file, from 1.

    Raises UsageError where `start` is negative, `end` is not after it, or `track` is below 1.
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
        source: Source,
        block_seconds: float,
        *,
        start: float = 0.0,
        end: float | None = None,
        track: int | None = None,
    ) -> None:
        _check_part(start, end, track)
        self.name = _describe(source)
        self._source = source
        self._block_samples = round(block_seconds * SAMPLE_RATE)
        self._start, self._end, self._track = start, end, track
        self._values = self._clipped = self._not_finite = 0  # samples of all channels
        self._offset = 0.0
        self._notes: list[str] = []

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
        if self._values == 0:
            raise self._unreadable(
                "holds no sound that can be decoded", "give a complete recording"
            )

    def _cut(self, pieces: Generator[np.ndarray]) -> Iterator[np.ndarray]:
        """The part from `start` to `end` of sound at 16 kHz; nothing after it is decoded."""
        first = round(self._start * SAMPLE_RATE)
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
                f"{self._start:g} s on; start earlier"
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the sound decoded so far, a sentence each."""
        found = list(self._notes)
        if self._not_finite:
            found.append(f"{self._not_finite} samples were not finite and were silenced")
        if self._clipped > 0.01 * self._values:
            share = self._clipped / self._values
            found.append(f"the sound is clipped: {share:.0%} of its samples are at full scale")
        if abs(self._offset) > 0.05:
            found.append(f"a constant offset of {self._offset:+.2f} was removed from the sound")
        return tuple(found)

    def _read_array(self, samples: np.ndarray, rate: int) -> Iterator[tuple[np.ndarray, int]]:
        self._choose_track(1)
        samples = np.asarray(samples)
        if samples.dtype.kind not in "iuf" or samples.ndim not in (1, 2):
            raise self._unreadable(
                f"is of shape {samples.shape} and type {samples.dtype}",
                "give numbers of shape (n,), (n, channels) or (channels, n)",
            )
        if samples.size == 0:
            raise self._unreadable("is empty", "give a recording")
        self._check_rate(rate)
        channels = np.atleast_2d(samples)
        if channels.shape[0] > channels.shape[1]:
            channels = channels.T
        if samples.dtype.kind == "f":
            peak = np.abs(channels[np.isfinite(channels)]).max(initial=0)
            if peak > 1:
                self._notes.append(f"the samples reach {peak:.3g} and were scaled down to ±1")
                channels = channels / peak
        for start in range(0, channels.shape[1], SAMPLE_RATE):
            yield self._mix(channels[:, start : start + SAMPLE_RATE]), rate

    def _read_file(self, source: str | Path | bytes) -> Iterator[tuple[np.ndarray, int]]:
        import av
        from av.error import FFmpegError

        options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
        try:
            with _open(source) as file:
                self._check_size(file)
                with av.open(
                    file, "r", container_options=options, metadata_errors="replace"
                ) as container:
                    yield from self._decode(container)
        except FileNotFoundError:
            raise self._unreadable("does not exist", "check the path") from None
        except IsADirectoryError:
            raise self._unreadable("is a directory", "give a file in it") from None
        except PermissionError:
            raise self._unreadable("may not be read", "check its permissions") from None
        except (FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self._unreadable(
                f"is cut off or is not sound or video that can be read ({reason})",
                "give wav, flac, mp3, ogg, m4a, webm, mp4 or mkv",
            ) from None

    def _decode(self, container: InputContainer) -> Iterator[tuple[np.ndarray, int]]:
        from av.error import FFmpegError

        if not container.streams.audio:
            held = "video but no sound" if container.streams.video else "no sound"
            raise self._unreadable(f"holds {held}", "give a recording with sound")
        track = container.streams.audio[self._choose_track(len(container.streams.audio))]
        if track.codec_context is None:
            raise self._unreadable(
                "holds sound in an unknown encoding", "give wav, flac, mp3, ogg, m4a or webm"
            )
        track.codec_context.thread_type = "SLICE"  # frame threads can hang when left early
        track.codec_context.thread_count = 1
        seconds, damaged = 0.0, False
        try:
            for packet in container.demux(track):
                try:
                    frames = [(frame, frame.to_ndarray()) for frame in packet.decode()]
                except (FFmpegError, ValueError):
                    damaged = True
                    continue
                for frame, channels in frames:
                    if not frame.format.is_planar:
                        channels = channels.reshape(-1, frame.layout.nb_channels).T
                    seconds += frame.samples / self._check_rate(frame.sample_rate)
                    yield self._mix(channels), frame.sample_rate
        except FFmpegError:
            damaged = True
        expected = _expected_seconds(container, track)
        if seconds < 0.98 * expected - 0.2 and not self._notes:
            part = f"{seconds:.1f} s of {expected:.1f} s"
            self._notes.append(f"the file ends early or is damaged: {part} could be read")
        elif damaged:
            self._notes.append("damaged parts of the file were left out")

    def _choose_track(self, count: int) -> int:
        """The index of the track to decode, of `count`."""
        if self._track is not None and self._track > count:
            tracks = "1 sound track" if count == 1 else f"{count} sound tracks"
            raise UsageError(f"{self.name} has {tracks}; there is no track {self._track}")
        return (self._track or 1) - 1

    def _mix(self, channels: np.ndarray) -> np.ndarray:
        """(channels, n) of any number type -> the mean of the channels, float32 (n,) within ±1."""
        finite = np.isfinite(channels)
        if channels.dtype.kind == "f":
            sound = np.where(finite, channels, 0).clip(-1, 1)
        else:
            half = 2.0 ** (8 * channels.dtype.itemsize - 1)
            sound = channels / half - (channels.dtype.kind == "u")
        self._values += sound.size
        self._not_finite += sound.size - int(finite.sum())
        self._clipped += int((np.abs(sound) >= 0.999).sum())
        return sound.mean(axis=0).astype(np.float32)

    def _check_size(self, file: BinaryIO) -> None:
        """Notes a RIFF file (wav, avi) that is shorter than its header says."""
        size = file.seek(0, io.SEEK_END)
        if size == 0:
            raise self._unreadable("is empty", "give a recording")
        file.seek(0)
        header = file.read(8)
        promised = int.from_bytes(header[4:], "little") + 8
        # A few bytes are sloppy writers'; sizes from 2³¹ on stand for a stream of unknown length.
        if header[:4] == b"RIFF" and size < 0.995 * promised < 2**31:
            self._notes.append(f"the file ends early: {size / promised:.0%} of it is there")
        file.seek(0)

    def _check_rate(self, rate: int) -> int:
        if rate not in SAMPLE_RATES:
            raise self._unreadable(
                f"has a sample rate of {rate} Hz",
                f"resample it to between {SAMPLE_RATES[0]} and {SAMPLE_RATES[-1]} Hz",
            )
        return rate

    def _unreadable(self, wrong: str, remedy: str) -> UnreadableMediaError:
        return UnreadableMediaError(f"{self.name} {wrong}; {remedy}")


def _check_part(start: float, end: float | None, track: int | None) -> None:
    if not 0 <= start < float("inf"):
        raise UsageError(f"start is {start:g} s; it counts from the recording's beginning, 0 s")
    if end is not None and not end > start:
        raise UsageError(f"end is {end:g} s; it must lie after start, {start:g} s")
    if track is not None and track < 1:
        raise UsageError(f"track is {track}; sound tracks are counted from 1")


def _describe(source: Source) -> str:
    if isinstance(source, tuple):
        return "the array"
    if isinstance(source, bytes):
        return "the given data"
    return "standard input" if str(source) == "-" else " ".join(str(source).splitlines())


def _open(source: str | Path | bytes) -> BinaryIO:
    """A binary file that can be rewound, as mp4 needs; a pipe is first copied to the disk."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if str(source) == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise UnreadableMediaError("standard input is closed; pipe a recording into it.")
        return _copy(sys.stdin.buffer)
    file = open(source, "rb")  # noqa: SIM115
    if file.seekable():
        return file
    with file:
        return _copy(file)


def _copy(pipe: BinaryIO) -> BinaryIO:
    copy: Any = tempfile.TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(pipe, copy)
    copy.seek(0)
    return copy


def _expected_seconds(container: InputContainer, track: AudioTrack) -> float:
    """How long the file says its sound is; 0 where it says nothing."""
    if container.format.name in WITHOUT_DURATION:
        return 0.0
    if track.duration and track.time_base:
        return float(track.duration * track.time_base)
    if container.duration and not container.streams.video:
        return container.duration / 1_000_000
    return 0.0


def _resample(pieces: Iterable[tuple[np.ndarray, int]]) -> Generator[np.ndarray]:
    """Pieces of mono sound with their rates -> the same sound at 16 kHz."""
    import soxr

    nothing = np.empty(0, np.float32)
    resampler, resampler_rate = None, 0
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
