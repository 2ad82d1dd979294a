"""A video's sound is replaced: in time with the picture, and nothing else is carried over."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from helpers.sounds import RATE
from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.files import MemoryFile
from speech2face.media import stream_audio
from speech2face.privacy.anonymise_recording import write_sound
from speech2face.privacy.video_sound import (
    choose_container,
    find_sound_start,
    has_picture,
    write_video,
)

FLASH, SECONDS, FRAMES = 1.0, 2, 25  # s at which it flashes and clicks; frames a second


def make_video(path: Path, begins: float = 0.0, codec: str = "mpeg4") -> None:
    """Two seconds of black picture that flashes, and a click whose track begins late.

    With a title, a chapter, and a second sound track.
    """
    with av.open(str(path), "w") as output:
        output.metadata["title"] = "Secret title"
        output.metadata["location"] = "+52.5+013.4/"
        output.set_chapters(
            [{"id": 1, "start": 0, "end": 1, "time_base": Fraction(1), "metadata": {"title": "A"}}]
        )
        picture = output.add_stream(codec, rate=FRAMES)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        tracks = [output.add_stream("aac", rate=RATE, layout="mono") for _ in range(2)]
        for number in range(SECONDS * FRAMES):
            white = 0 <= number / FRAMES - FLASH < 0.1
            image = np.full((64, 64, 3), 255 * white, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        sound = np.zeros(SECONDS * RATE, np.float32)
        place = round((FLASH - begins) * RATE)
        sound[place : place + 400] = np.sin(2 * np.pi * 1000 * np.arange(400) / RATE)
        for track in tracks:
            for start in range(0, len(sound), 1024):
                part = sound[None, start : start + 1024]
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = start + round(begins * RATE)
                output.mux(track.encode(frame))
            output.mux(track.encode(None))


def replace_sound(source: Path, target: Path) -> None:
    """Replace the sound by itself, as the command does with a disguised one."""
    sound = target.with_suffix(".flac")
    with source.open("rb") as file:
        write_sound(stream_audio(file), sound)
        write_video(file, sound, target, find_sound_start(file, None), {"comment": "disguised"})


def find_events(path: Path) -> tuple[float, float]:
    """When a player shows the flash, and when it sounds the click, s."""
    with av.open(str(path)) as container:
        start = (container.start_time or 0) / 1e6
        flashes = [
            frame.time - start
            for frame in container.decode(video=0)
            if frame.to_ndarray(format="gray").mean() > 128
        ]
    clicks = [time - start for time, level in _levels(path) if level > 0.3]
    return min(flashes), min(clicks)


def _levels(path: Path) -> Iterator[tuple[float, float]]:
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for place, value in enumerate(np.abs(frame.to_ndarray()[0]).tolist()):
                yield frame.time + place / frame.sample_rate, value


@pytest.mark.parametrize("begins", [0.0, 0.06, 0.5])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_the_sound_stays_in_time_with_the_picture(
    begins: float, ending: str, tmp_path: Path
) -> None:
    source, target = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    make_video(source, begins)
    replace_sound(source, target)
    for path in (source, target):
        flash, click = find_events(path)
        assert flash == pytest.approx(FLASH, abs=0.045), path  # codecs begin with a delay
        assert click - flash == pytest.approx(0, abs=0.02), path


@pytest.mark.parametrize(("source", "target"), [(".mkv", ".mp4"), (".mp4", ".mov")])
def test_a_video_may_change_its_container(source: str, target: str, tmp_path: Path) -> None:
    before, after = tmp_path / f"in{source}", tmp_path / f"out{target}"
    make_video(before, codec="libx264")  # with frames that are shown in another order
    replace_sound(before, after)
    flash, click = find_events(after)
    assert click == pytest.approx(flash, abs=0.02)
    with av.open(str(before)) as one, av.open(str(after)) as other:
        pictures = zip(one.decode(video=0), other.decode(video=0), strict=True)
        assert all((a.to_ndarray() == b.to_ndarray()).all() for a, b in pictures)


@pytest.mark.parametrize(
    ("ending", "codec", "made"),
    [(".mp4", "libx264", ".mp4"), (".mov", "mpeg4", ".mp4"), (".mkv", "libx264", ".mkv"),
     (".mkv", "libvpx", ".webm"), (".avi", "mpeg4", ".mkv")],
)  # fmt: skip
def test_in_memory_the_same_video_is_made(
    ending: str, codec: str, made: str, tmp_path: Path
) -> None:
    source, target = tmp_path / f"in{ending}", tmp_path / f"out{made}"
    make_video(source, codec=codec)
    tags = {"comment": "disguised"}
    with source.open("rb") as file:
        assert choose_container(file) == made
        sound, video = MemoryFile(".flac"), MemoryFile(made)
        write_sound(stream_audio(file), sound)
        write_video(file, sound.content, video, 0.0, tags)
        write_sound(stream_audio(file), tmp_path / "sound.flac")
        write_video(file, tmp_path / "sound.flac", target, 0.0, tags)
    assert sound.content.getvalue() == (tmp_path / "sound.flac").read_bytes()
    assert video.content.getvalue() == target.read_bytes()


def test_damage_is_left_out_of_the_sound_and_refused_in_the_picture(tmp_path: Path) -> None:
    make_video(tmp_path / "in.mp4", codec="libx264")
    with av.open(str(tmp_path / "in.mp4")) as container:
        packets = {
            kind: next(packet for packet in container.demux(**{kind: 0}) if packet.size)
            for kind in ("audio", "video")
        }
    whole = (tmp_path / "in.mp4").read_bytes()
    for kind, packet in packets.items():
        assert packet.pos
        end = packet.pos + packet.size
        damaged = whole[: packet.pos] + b"\xff" * packet.size + whole[end:]
        (tmp_path / f"{kind}.mp4").write_bytes(damaged)
    replace_sound(tmp_path / "audio.mp4", tmp_path / "out.mp4")
    flash, click = find_events(tmp_path / "out.mp4")
    assert click == pytest.approx(flash, abs=0.08)  # what is damaged is not there
    for target in (tmp_path / "none.mp4", MemoryFile(".mp4")):
        refused = pytest.raises(UnreadableMediaError, match="picture of the video is damaged")
        with (tmp_path / "video.mp4").open("rb") as file, refused:
            write_video(file, tmp_path / "out.flac", target, 0.0, {})
    assert not (tmp_path / "none.mp4").exists()


def test_nothing_else_is_carried_over(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    make_video(source, codec="libx264")
    replace_sound(source, target)
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.metadata["comment"] == "disguised"
        assert not {"title", "location", "creation_time", "encoder"} & set(container.metadata)
        assert not container.chapters()
    assert b"x264 - core" in source.read_bytes()  # what an encoder says between the frames
    data = target.read_bytes()
    for secret in (b"x264 - core", b"Secret", b"52.5", b"Lavc", b"Lavf"):
        assert secret not in data


def test_a_picture_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.webm"
    make_video(source)
    with pytest.raises(UsageError, match=r"does not take this picture \(mpeg4\).* in \.mkv"):
        replace_sound(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.flac"]


def cut_by_editing(source: Path, target: Path) -> None:
    """Copy a video so that players begin within a group of frames, as phones trim it."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        video, sound = given.streams.video[0], given.streams.audio[0]
        tracks = {s.index: output.add_stream_from_template(s) for s in (video, sound)}
        for packet in given.demux(video, sound):
            if packet.dts is None:
                continue
            moved = round(0.5 / packet.time_base)
            index = packet.stream.index
            if index == sound.index and packet.pts < moved:
                continue
            packet.pts, packet.dts = packet.pts - moved, packet.dts - moved
            packet.stream = tracks[index]
            output.mux(packet)


def test_frames_that_editing_hides_are_not_shown(tmp_path: Path) -> None:
    whole, source = tmp_path / "whole.mp4", tmp_path / "in.mp4"
    make_video(whole)
    cut_by_editing(whole, source)
    before = find_events(source)
    assert before[0] < 0.6  # the half second is gone
    sound = tmp_path / "sound.flac"
    with source.open("rb") as file:
        write_sound(stream_audio(file), sound)
        assert write_video(file, sound, tmp_path / "out.mp4", 0.0, {})
        with pytest.raises(UsageError, match=r"hidden by editing.*end the name .* in \.mp4"):
            write_video(file, sound, tmp_path / "out.mkv", 0.0, {})
    after = find_events(tmp_path / "out.mp4")
    assert after[1] - after[0] == pytest.approx(before[1] - before[0], abs=0.02)
    assert not (tmp_path / "out.mkv").exists()


def test_a_cover_is_no_picture(tmp_path: Path) -> None:
    cover, video = tmp_path / "cover.mp4", tmp_path / "video.mp4"
    with av.open(str(cover), "w") as output:
        picture = output.add_stream("mjpeg", rate=1)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuvj420p"
        picture.disposition = Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        output.mux([*picture.encode(frame), *picture.encode(None)])
    make_video(video)
    with cover.open("rb") as one, video.open("rb") as other:
        assert not has_picture(one)
        assert has_picture(other)


def test_where_no_such_sound_is_one_line_says_so(tmp_path: Path) -> None:
    silent, video = tmp_path / "silent.mkv", tmp_path / "video.mkv"
    with av.open(str(silent), "w") as output:
        picture = output.add_stream("mpeg4", rate=1)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        output.mux([*picture.encode(frame), *picture.encode(None)])
    make_video(video)  # with two tracks
    for path, track in ((silent, None), (silent, 1), (video, 3)):
        with path.open("rb") as file, pytest.raises(UnreadableMediaError, match="no sound track"):
            find_sound_start(file, track)
    with video.open("rb") as file:
        assert find_sound_start(file, 2) == pytest.approx(0.0, abs=0.1)
