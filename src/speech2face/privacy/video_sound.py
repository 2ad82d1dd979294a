"""A video with another sound: its picture is copied unchanged, and nothing else of it.

Metadata, chapters, subtitles, attachments and other tracks are left behind, and so are messages
that cameras put between the frames of H.264 and H.265 (SEI), which may hold place and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.files import MemoryFile, atomic_path, cannot_write
from speech2face.media import SAMPLE_RATE, choose_track, open_container

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.bitstream import BitStreamFilterContext
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Container, codec of the sound, and its bits a second.
VIDEOS = {
    ".mp4": ("mp4", "aac", 64_000),
    ".m4v": ("mp4", "aac", 64_000),
    ".mov": ("mov", "aac", 64_000),
    ".mkv": ("matroska", "libopus", 48_000),
    ".webm": ("webm", "libopus", 48_000),
}
OF_WEBM = ("vp8", "vp9", "av1", "libdav1d")
WITHOUT_EDITS = (".mkv", ".webm")  # containers in which all frames are shown
BETWEEN_FRAMES = {"h264": "6", "hevc": "39-40"}  # units of a stream that hold messages
SLACK = 0.1  # s: sound that begins later is preceded by silence already (media/audio_tracks.py)


def has_picture(file: BinaryIO) -> bool:
    """True if an open file is media that hold a video, which a cover is not."""
    return choose_container(file) is not None


def choose_container(file: BinaryIO) -> str | None:
    """The end of a name, one of `VIDEOS`, for what is made of a video; None where there is none.

    It is the container that the video has, or else .mkv, which takes all pictures.
    """
    from av.error import FFmpegError

    try:
        with open_container(file) as container:
            picture = _find_picture(container)
            if picture is None:
                return None
            if "mp4" in container.format.name.split(","):
                return ".mp4"
            return ".webm" if picture.codec_context.name in OF_WEBM else ".mkv"
    except (FFmpegError, OSError, ValueError):  # who listens to it says what is wrong
        return None


def find_sound_start(file: BinaryIO, track: int | None) -> float:
    """When the sound begins that `stream_audio` gives of this track, from 1: s.

    Raises UnreadableMediaError where there is no such track.
    """
    with open_container(file) as container:
        count = len(container.streams.audio)
        if count < (track or 1):
            raise UnreadableMediaError(
                f"{getattr(file, 'name', 'the recording')} has no sound track {track or 1}"
            )
        index = choose_track(container)[0] if track is None and count > 1 else (track or 1) - 1
    with open_container(file) as container:
        frame = next(_decode_sound(container, index), None)
        if frame is None or frame.time is None:
            return 0.0
        begins = frame.time - (container.start_time or 0) / 1_000_000
        return begins if abs(begins) <= SLACK else 0.0


def _decode_sound(container: InputContainer, index: int) -> Iterator[AudioFrame]:
    """The frames of a track; damaged ones are left out, as where the sound is read."""
    from av.error import FFmpegError

    with suppress(FFmpegError):
        for packet in container.demux(container.streams.audio[index]):
            with suppress(FFmpegError, ValueError):
                yield from packet.decode()


def write_video(
    file: BinaryIO,
    sound: Path | BinaryIO,
    target: Path | MemoryFile,
    start: float,
    tags: Mapping[str, str],
) -> bool:
    """The picture of an open media file and the sound of another → a video, whole or not at all.

    The sound begins at `start`, s. `tags` are all metadata that it has. Returns whether the file
    holds frames that its editing hides, up to the key frame before the first one shown. Raises
    UsageError where the container of `target` does not take such a picture, UnreadableMediaError
    where the picture is damaged, and StorageError where the disk is full.
    """
    from av.error import ArgumentError, FFmpegError, InvalidDataError

    suffix = target.suffix.lower()
    try:
        if isinstance(target, MemoryFile):
            return _copy(file, sound, target.content, suffix, start, tags)
        with atomic_path(target) as partial:
            return _copy(file, sound, str(partial), suffix, start, tags)
    except FFmpegError as error:
        if isinstance(target, MemoryFile) or isinstance(error, ArgumentError | InvalidDataError):
            raise UnreadableMediaError(
                "the picture of the video is damaged, so it cannot be copied; ask for the sound "
                "alone, by a name in .flac (over HTTP by Accept: audio/flac)"
            ) from None
        raise cannot_write(target, error) from None


def _copy(
    file: BinaryIO,
    sound: Path | BinaryIO,
    target: str | BinaryIO,
    suffix: str,
    start: float,
    tags: Mapping[str, str],
) -> bool:
    import av
    from av.bitstream import BitStreamFilterContext
    from av.error import FFmpegError

    form, codec, bit_rate = VIDEOS[suffix]
    with ExitStack() as opened:
        source = opened.enter_context(open_container(file))
        picture = _find_picture(source)
        assert picture is not None
        options = {"fflags": "+bitexact"}
        output = opened.enter_context(av.open(target, "w", format=form, options=options))
        output.metadata.update(tags)
        name = picture.codec_context.name
        copied = _add_picture(output, picture, name, suffix)
        units = BETWEEN_FRAMES.get(name)
        strip = None
        if units:
            strip = BitStreamFilterContext(f"filter_units=remove_types={units}", picture, copied)
        voice: Any = output.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        voice.codec_context.flags |= 1 << 23  # bit exact: else it signs with its version
        voice.bit_rate = bit_rate
        try:
            output.start_encoding()
        except (FFmpegError, ValueError):
            raise _does_not_fit(name, suffix) from None
        sounding = _encode(sound, voice, start)
        next_sound, hides = next(sounding, None), False
        for packet in _copy_packets(source, picture, strip):
            time = _time_of(packet)
            while next_sound and _time_of(next_sound) <= time:
                output.mux(next_sound)
                next_sound = next(sounding, None)
            if packet.is_discard and suffix in WITHOUT_EDITS:
                raise UsageError(
                    f"frames at the beginning of this video are hidden by editing, and {suffix} "
                    "would show them; end the name of the output in .mp4."
                )
            hides |= packet.is_discard
            packet.stream = copied
            output.mux(packet)
        while next_sound:
            output.mux(next_sound)
            next_sound = next(sounding, None)
    return hides


def _time_of(packet: Packet) -> Fraction:
    """When a packet is due, s."""
    return (packet.dts or 0) * (packet.time_base or Fraction(1))


def _find_picture(container: InputContainer) -> VideoStream | None:
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def _add_picture(output: Any, picture: VideoStream, name: str, suffix: str) -> Any:
    """A track for copied packets. Raises UsageError where the container does not take them."""
    try:
        return output.add_stream_from_template(picture)
    except ValueError:
        raise _does_not_fit(name, suffix) from None


def _does_not_fit(codec: str, suffix: str) -> UsageError:
    other = ".mkv" if suffix != ".mkv" else ".mp4"
    return UsageError(
        f"a {suffix} file does not take this picture ({codec}), which is copied as it is; end the "
        f"name of the output in {other}."
    )


def _copy_packets(
    source: InputContainer, picture: VideoStream, strip: BitStreamFilterContext | None
) -> Iterator[Packet]:
    """The picture's packets, on a time line that begins at 0, those due first first."""

    tick = picture.time_base or Fraction(1, 1_000_000)
    moved = round(Fraction(source.start_time or 0, 1_000_000) / tick)
    last: int | None = None
    for packet in _fill_due(source.demux(picture), picture, tick):
        for part in strip.filter(packet) if strip else [packet]:
            shown = part.dts if part.pts is None else part.pts
            assert shown is not None  # since all have a time at which they are due
            assert part.dts is not None
            due = part.dts - moved
            last = due if last is None else max(due, last + 1)  # as all containers demand
            part.pts, part.dts = shown - moved, last
            yield part


def _fill_due(packets: Iterable[Packet], picture: VideoStream, tick: Fraction) -> Iterator[Packet]:
    """Packets with the times at which they are due; Matroska leaves out the first few."""
    step = max(1, round(1 / (picture.average_rate or 25) / tick))
    waiting: list[Packet] = []
    last: int | None = None
    for packet in packets:
        if not packet.size:
            continue
        if packet.dts is None and last is None:
            waiting.append(packet)
            continue
        if packet.dts is None:
            packet.dts = (last or 0) + step
        last = packet.dts
        for number, early in enumerate(waiting):
            early.dts = last - (len(waiting) - number) * step
            yield early
        waiting = []
        yield packet
    for packet in waiting:  # none of them is due before another one is shown
        packet.dts = packet.pts or 0
        yield packet


def _encode(sound: Path | BinaryIO, voice: Any, start: float) -> Iterator[Packet]:
    """The packets of a sound file, which begins at `start`."""
    import av

    if not isinstance(sound, Path):
        sound.seek(0)
    with av.open(str(sound) if isinstance(sound, Path) else sound, "r") as source:
        resampler = av.AudioResampler(voice.format, "mono", SAMPLE_RATE, voice.frame_size or 320)
        place = round(start * SAMPLE_RATE)

        def place_frames(frames: Iterable[Any]) -> Iterator[Packet]:
            nonlocal place
            for frame in frames:
                frame.pts, frame.time_base = place, Fraction(1, SAMPLE_RATE)
                place += frame.samples
                yield from voice.encode(frame)

        for frame in source.decode(audio=0):
            frame.pts = None
            yield from place_frames(resampler.resample(frame))
        yield from place_frames(resampler.resample(None))
        yield from voice.encode(None)
