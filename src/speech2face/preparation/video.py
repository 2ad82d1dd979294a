"""A clip of a video file → its frames, one at a time, and its sound.

Times are seconds from the beginning of the file as a player counts them, from the frames' own
time stamps: a variable frame rate is nothing special. Frames come upright, with square pixels and
at most `LONG_SIDE` long, whatever the file holds; only one is in memory. Of a file of hours no
more is read than the clip, and of a clip no more than `LONGEST_CLIP`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.data.samples import SampleSource
from speech2face.errors import UnreadableMediaError
from speech2face.media import (
    SAMPLE_RATE,
    SAMPLE_RATES,
    choose_track,
    load_audio,
    open_container,
)
from speech2face.preparation import Refused

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

STAGE = "decode"

LONG_SIDE = 1280  # px: frames are scaled down to it
MOST_PIXELS = 8192 * 8192  # of a frame that is decoded at all
LONGEST_CLIP = 60.0  # s: what lies after it is not looked at
MOST_FRAMES = 20_000  # decoded for one clip; more means that time stands still in the file
RUN_UP = 0.5  # s: sought before the clip, for containers that seek roughly
SLACK = 0.1  # s by which the sound's time stamps may jitter before they are believed


@dataclass(frozen=True)
class VideoClip:
    """A stretch of a video file."""

    path: Path
    start: float  # s in the file
    end: float


@dataclass(frozen=True)
class Frame:
    seconds: float  # in the file
    image: np.ndarray  # uint8 (H, W, 3) RGB


@dataclass(frozen=True)
class Sound:
    """Mono sound at 16 kHz."""

    start: float  # s in the file
    samples: np.ndarray  # float32 (n,)

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / SAMPLE_RATE

    def cut(self, start: float, end: float) -> Sound:
        """The part between two times in the file."""
        first = max(round((start - self.start) * SAMPLE_RATE), 0)
        last = max(round((end - self.start) * SAMPLE_RATE), first)
        return Sound(self.start + first / SAMPLE_RATE, self.samples[first:last])

    def only(self, segments: Sequence[tuple[float, float]]) -> Sound:
        """The sound, with silence outside the segments (start, end)."""
        times = self.start + np.arange(len(self.samples)) / SAMPLE_RATE
        kept = [(times >= start) & (times < end) for start, end in segments]
        return Sound(self.start, self.samples * np.any(kept, axis=0))


def find_clip(source: SampleSource, folder: Path) -> VideoClip:
    """The clip of `source`, whose file lies below `folder`."""
    if not 0 <= source.start < source.end:
        raise Refused(STAGE, f"no clip: from {source.start:g} s to {source.end:g} s")
    return VideoClip(
        folder / source.path, source.start, min(source.end, source.start + LONGEST_CLIP)
    )


def decode_frames(clip: VideoClip, step: float = 0.0) -> Iterator[Frame]:
    """The frames of a clip, those at least `step` seconds apart; at least one, or Refused."""
    from av.video.reformatter import VideoReformatter

    count = 0
    with _open(clip) as container:
        stream = _video_of(container)
        scaler = VideoReformatter()  # one for all frames: making it takes as long as using it
        aspect, due = float(stream.sample_aspect_ratio or 1), clip.start
        for seconds, frame in _timed_frames(container, stream, clip):
            if seconds + 1e-3 >= due:
                yield Frame(seconds, _to_image(frame, scaler, aspect))
                due = seconds + step
                count += 1
    if not count:
        raise Refused(STAGE, f"no picture between {clip.start:g} s and {clip.end:g} s")


def decode_sound(clip: VideoClip) -> Sound:
    """The sound of a clip; where the file has none for a while, silence. Refused without any."""
    with _open(clip) as container:
        _video_of(container)
        count = len(container.streams.audio)
        if not count:
            raise Refused(STAGE, "video without sound")
        if count == 1:
            return _decode_track(container, clip, 0)
        track, _ = choose_track(container, clip.start, clip.end)
    with _open(clip) as container:
        return _decode_track(container, clip, track)


def _decode_track(container: InputContainer, clip: VideoClip, track: int) -> Sound:
    from av.audio.resampler import AudioResampler

    stream = container.streams.audio[track]
    if stream.codec_context is None:
        raise Refused(STAGE, "sound in an unknown encoding")
    rate = stream.rate
    if rate not in SAMPLE_RATES:
        raise Refused(STAGE, f"a sample rate of {rate} Hz")
    same_form = AudioResampler("fltp", None, rate)  # where it changes within the file
    samples = np.zeros((stream.channels, round((clip.end - clip.start) * rate)), np.float32)
    filled, place = 0, -np.inf
    for seconds, frame in _timed_frames(container, stream, clip):
        stamp = (seconds - clip.start) * rate
        if abs(stamp - place) > SLACK * rate:
            place = round(stamp)
        for part in same_form.resample(frame):
            piece = part.to_ndarray()
            length = piece.shape[1]
            first, last = max(place, 0), min(place + length, samples.shape[1])
            if first < last:
                samples[:, first:last] = piece[:, first - place : last - place]
                filled = max(filled, last)
            place += length
    if not filled:
        raise Refused(STAGE, f"no sound between {clip.start:g} s and {clip.end:g} s")
    try:
        return Sound(clip.start, load_audio((samples[:, :filled], rate)).samples)
    except UnreadableMediaError as error:
        raise Refused(STAGE, str(error)) from None


@contextmanager
def _open(clip: VideoClip) -> Iterator[InputContainer]:
    """The file, sought to the clip; whatever FFmpeg finds wrong with it is Refused."""
    from av.error import FFmpegError

    head = b""
    try:
        with clip.path.open("rb") as file:
            head = file.read(16)
            if not head:
                raise Refused(STAGE, "the file is empty")
            with open_container(file) as container:
                if clip.start > RUN_UP:
                    target = clip.start - RUN_UP + _beginning(container)
                    with suppress(FFmpegError):  # what cannot be sought is read from its beginning
                        container.seek(round(target * 1_000_000))
                yield container
    except FileNotFoundError:
        raise Refused(STAGE, "the file does not exist") from None
    except IsADirectoryError:
        raise Refused(STAGE, "a folder, not a file") from None
    except PermissionError:
        raise Refused(STAGE, "the file may not be read") from None
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refused(STAGE, f"{_guess_kind(head)} ({reason})") from None


def _guess_kind(head: bytes) -> str:
    """Guess the kind of a file that cannot be read, by its first bytes."""
    if head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3"):  # mp4 and mov, mkv and webm
        return "a video that is cut off or damaged"
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8")):
        return "a picture, not a video"
    return "not a video that can be read"


def _beginning(container: InputContainer) -> float:
    """The time stamp, in seconds, that a player shows as 0."""
    return (container.start_time or 0) / 1_000_000


def _video_of(container: InputContainer) -> VideoStream:
    """The moving pictures; the cover of a song is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise Refused(STAGE, "pictures in an unknown encoding")
        if stream.width * stream.height > MOST_PIXELS:
            raise Refused(STAGE, f"pictures of {stream.width} × {stream.height} pixels")
        return stream
    raise Refused(STAGE, "sound without video" if container.streams.audio else "no video")


def _timed_frames(
    container: InputContainer, stream: VideoStream | AudioStream, clip: VideoClip
) -> Iterator[tuple[float, Any]]:
    """The frames, of pictures or of sound, that lie in the clip, with the times they begin.

    What cannot be decoded is left out.
    """
    from av.error import FFmpegError

    stream.codec_context.thread_type = "SLICE"  # frame threads can hang when left early
    stream.codec_context.thread_count = 1
    beginning = _beginning(container)
    sounds = stream.type == "audio"
    following, decoded = 0.0, 0
    try:
        for packet in container.demux(stream):
            try:
                frames: list[Any] = packet.decode()
            except (FFmpegError, ValueError):
                continue
            for frame in frames:
                decoded += not sounds
                if decoded > MOST_FRAMES:
                    raise Refused(STAGE, f"more than {MOST_FRAMES} frames in a clip")
                seconds = following if frame.time is None else frame.time - beginning
                if sounds:
                    following = last = seconds + frame.samples / frame.sample_rate
                else:
                    following, last = seconds + 1 / float(stream.average_rate or 25), seconds
                if seconds >= clip.end:
                    return
                if last >= clip.start:
                    yield seconds, frame
    except (FFmpegError, IndexError):  # cut off here, or PyAV of a track that was met on the way
        return


def _to_image(frame: VideoFrame, scaler: VideoReformatter, aspect: float) -> np.ndarray:
    """Upright RGB, uint8 (H, W, 3), at most LONG_SIDE long; `aspect` is that of its pixels."""
    width, height = frame.width * aspect, frame.height
    scale = min(1.0, LONG_SIDE / max(width, height))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    picture = scaler.reformat(frame, *size, "rgb24", interpolation="AREA")
    # The file says how far the picture is to be turned, counter-clockwise as rot90 turns.
    return np.ascontiguousarray(np.rot90(picture.to_ndarray(), round(frame.rotation / 90)))
