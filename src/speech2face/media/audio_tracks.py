"""A container's sound: which of its tracks is used, and that track decoded, pauses kept in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.media.completeness import measure_tag
from speech2face.media.downmix import scale_integers
from speech2face.media.rates import check_rate

if TYPE_CHECKING:
    from av.audio.fifo import AudioFifo
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream as AudioTrack
    from av.container import InputContainer

SILENT = 10 ** (-70 / 20)  # RMS within ±1 below which a frame is silent
SEARCHED = 600.0  # s of a track in which there may be nothing before another one is preferred
PADDING = 4  # bytes: what is shorter, and cannot be decoded, fills a file up

TIMED = {"asf", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mpeg", "mpegts", "ogg"}
BARE = {"aac", "ac3", "eac3", "mp3"}  # frames without a container: anything may lie between them
SLACK = 0.1  # s by which time stamps may jitter before they are believed
MOST_SILENCE = 7200.0  # s that are filled in for pauses, all together

LOSSLESS = ("pcm_", "wavpack")  # decoders of floats that do not overshoot by themselves
OVERSHOOT = 2.0  # largest float of a lossy decoder for a sound within ±1


def choose_track(
    container: InputContainer, start: float = 0.0, end: float | None = None
) -> tuple[int, str | None]:
    """The sound track to use, from 0, and a sentence about it unless it is simply the first.

    It is the one marked as the default, otherwise the first; but rather one that can be decoded
    than one that cannot, and one with sound than one that is silent for 10 minutes, as far as the
    part from `start` to `end` shows. The container has to be opened anew afterwards.
    """
    tracks = container.streams.audio
    order = sorted(range(len(tracks)), key=lambda i: not _is_default(tracks[i]))
    decoded, sounding = _try_tracks(container, order, start, end)
    usable = sounding or decoded or set(order)
    chosen = next(i for i in order if i in usable)
    passed = order[: order.index(chosen)]
    if not passed and chosen == 0:
        return chosen, None
    reasons = [
        f"track {i + 1} {'is silent' if i in decoded else 'cannot be decoded'}" for i in passed
    ]
    reason = " and ".join(reasons) or "it is marked as the default"
    return chosen, f"track {chosen + 1} of {len(tracks)} was used: {reason}"


class TrackDecoder:
    """The sound of one track, as pieces (channels, n) of the decoder's number type with rates.

    Where the time stamps leave a gap it is filled with silence; where they run backwards (a new
    recording appended) they are taken to go on from where the sound is.
    """

    def __init__(self, container: InputContainer, track: AudioTrack, name: str) -> None:
        self._container, self._track, self._name = container, track, name
        self.seconds = 0.0  # decoded so far, pauses included
        self.damaged = False  # something was left out
        self.note: str | None = None  # about the time stamps
        self._timed = container.format.name in TIMED
        self._beginning = (container.start_time or 0) / 1_000_000  # a player shows it as 0
        self._filled = 0.0

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        from av.audio.fifo import AudioFifo

        tick = float(self._track.time_base) if self._track.time_base else 0.0  # s
        held, form, rate = AudioFifo(), None, 0.0  # of one form: frames are too short one by one
        for frame in self._frames():
            now = (frame.sample_rate, frame.format.name, frame.layout.name)
            if now != form:
                yield from _empty(held, rate)
                held, form, rate = AudioFifo(), now, check_rate(frame.sample_rate, self._name)
            if self._timed and tick and frame.pts is not None:
                for silence in self._fill(frame.pts * tick, rate):
                    yield from _empty(held, rate)
                    channels = read_channels(frame)
                    zero = 128 if channels.dtype == np.uint8 else 0
                    yield np.full((len(channels), silence), zero, channels.dtype), rate
            self.seconds += frame.samples / rate
            frame.pts = None  # the fifo would want them to follow on one another
            held.write(frame)
            if held.samples >= rate:
                yield from _empty(held, rate)
        yield from _empty(held, rate)

    def _frames(self) -> Iterator[AudioFrame]:
        from av.error import FFmpegError

        prepare_decoder(self._track)
        bare = self._container.format.name in BARE
        tag_end, failed = 0, False
        try:
            for packet in self._container.demux(self._track):
                try:
                    frames = packet.decode()
                except (FFmpegError, ValueError):
                    place = packet.pos or 0
                    if bare and (length := measure_tag(bytes(memoryview(packet)[:10]))):
                        tag_end = place + length  # of a recording that was appended
                    failed = failed or (place >= tag_end if bare else packet.size >= PADDING)
                    continue
                self.damaged = self.damaged or (failed and bool(frames))
                yield from frames
            # Bytes after the last bare frame are padding, or a tag unknown to FFmpeg.
            self.damaged = self.damaged or (failed and not bare)
        except FFmpegError:
            self.damaged = True
        except IndexError:  # PyAV, at the end, of a track that was first met while reading
            pass

    def _fill(self, time: float, rate: float) -> Iterator[int]:
        """The lengths of the pieces of silence before a frame that begins at `time`."""
        gap = time - self._beginning - self.seconds
        if abs(gap) <= SLACK:
            return
        if gap < 0 or self._filled + gap > MOST_SILENCE:
            self._beginning += gap
            if gap > 0 and self.note is None:
                self.note = (
                    f"the time stamps jump by {gap:.0f} s at {self.seconds:.1f} s, "
                    f"which was taken for a mistake"
                )
            return
        self._filled += gap
        self.seconds += gap
        left = round(gap * rate)
        while left:
            yield min(left, int(rate))
            left -= min(left, int(rate))


def _empty(held: AudioFifo, rate: float) -> Iterator[tuple[np.ndarray, float]]:
    """Empty the fifo: one piece (channels, n) with its rate, or nothing if it holds nothing."""
    if held.samples:
        yield read_channels(held.read(0)), rate


def headroom_of(track: AudioTrack) -> float:
    """The largest float a decoder may give for a sound that was recorded within ±1."""
    return 1.0 if track.codec_context.name.startswith(LOSSLESS) else OVERSHOOT


def keeps_floats(track: AudioTrack) -> bool:
    """True if the file keeps its samples as floats, which may be of any size."""
    lossless = track.codec_context.name.startswith(LOSSLESS)
    form = track.format  # None where a file that was cut off does not say
    return lossless and form is not None and form.name.startswith(("flt", "dbl"))


def find_peak(container: InputContainer, track: AudioTrack, end: float | None) -> float:
    """The largest magnitude up to `end` seconds. The container has to be opened anew afterwards."""
    peak = 0.0
    decoder = TrackDecoder(container, track, "the track")
    for channels, _ in decoder:
        magnitudes = np.abs(channels)
        highest = magnitudes.max(initial=0)
        if not np.isfinite(highest):
            highest = magnitudes[np.isfinite(magnitudes)].max(initial=0)
        peak = max(peak, float(highest))
        if end is not None and decoder.seconds > end:
            break
    return peak


def prepare_decoder(track: AudioTrack) -> None:
    track.codec_context.thread_type = "SLICE"  # frame threads can hang when left early
    track.codec_context.thread_count = 1


def read_channels(frame: Any) -> np.ndarray:
    """A decoded frame → (channels, n) of its number type."""
    channels = frame.to_ndarray()
    if not frame.format.is_planar:
        channels = channels.reshape(-1, frame.layout.nb_channels).T
    return channels


def _is_default(track: AudioTrack) -> bool:
    from av.stream import Disposition

    return bool(track.disposition & Disposition.default)


def _try_tracks(
    container: InputContainer, order: list[int], start: float, end: float | None
) -> tuple[set[int], set[int]]:
    """Find the tracks that can be decoded, and those with sound, as far as has to be known."""
    from av.error import FFmpegError

    tracks = container.streams.audio
    index = {tracks[i].index: i for i in order if tracks[i].codec_context is not None}
    decoded: set[int] = set()
    sounding: set[int] = set()
    if not index:
        return decoded, sounding
    best = min(index.values(), key=order.index)
    for i in index.values():
        prepare_decoder(tracks[i])
    beginning = (container.start_time or 0) / 1_000_000
    if start:
        with suppress(FFmpegError):
            container.seek(round((start + beginning) * 1_000_000))
    searched, until = beginning + start + SEARCHED, beginning + (end or np.inf)
    with suppress(FFmpegError, IndexError):
        for packet in container.demux([tracks[i] for i in index.values()]):
            i = index[packet.stream.index]
            time = -np.inf if packet.pts is None else packet.pts * packet.time_base
            if time >= until or (sounding and time >= searched):
                break
            if any(order.index(j) <= order.index(i) for j in sounding):
                continue
            with suppress(FFmpegError, ValueError):
                for frame in packet.decode():
                    decoded.add(i)
                    if _is_loud(read_channels(frame)):
                        sounding.add(i)
            if best in sounding:
                break
    return decoded, sounding


def _is_loud(channels: np.ndarray) -> bool:
    sound = np.nan_to_num(scale_integers(channels), nan=0, posinf=0, neginf=0)
    return bool(sound.size) and bool((sound**2).mean() > SILENT**2)
