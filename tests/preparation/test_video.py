"""Frames and sound of a clip: times, turning, sizes, and what cannot be decoded."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from helpers.sounds import RATE, noise, tones
from helpers.synthetic_video import write_video
from speech2face.data.samples import SampleSource
from speech2face.preparation import Refused
from speech2face.preparation.video import (
    LONG_SIDE,
    LONGEST_CLIP,
    RUN_UP,
    Sound,
    VideoClip,
    decode_frames,
    decode_sound,
    find_clip,
)


def grey_frames(levels: np.ndarray, size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    return [np.full((*size, 3), level, np.uint8) for level in levels]


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_frame_comes_at_its_own_time(tmp_path, container):
    times = np.cumsum([0.0, 0.04, 0.2, 0.013, 0.5, 0.03, 0.1])  # a variable frame rate
    levels = np.linspace(20, 230, len(times))
    path = write_video(tmp_path / f"v.{container}", grey_frames(levels), times, None)
    frames = list(decode_frames(VideoClip(path, 0, 10)))
    np.testing.assert_allclose([f.seconds for f in frames], times, atol=2e-3)
    np.testing.assert_allclose([f.image.mean() for f in frames], levels, atol=4)


def test_frames_are_at_least_a_step_apart(tmp_path):
    times = np.arange(60) / 30
    path = write_video(tmp_path / "v.mkv", grey_frames(np.full(60, 99)), times, None)
    seconds = [f.seconds for f in decode_frames(VideoClip(path, 0, 10), 0.15)]
    np.testing.assert_allclose(np.diff(seconds), 1 / 6, atol=2e-3)


def test_only_the_clip_is_decoded(tmp_path):
    times = np.arange(100) / 10
    sound = np.concatenate([tones(4, 300), 0 * tones(2, 300), tones(4, 300)])
    path = write_video(tmp_path / "v.mp4", grey_frames(2 * np.arange(100)), times, sound)
    clip = VideoClip(path, 3, 7)
    frames = list(decode_frames(clip))
    np.testing.assert_allclose([f.seconds for f in frames], times[30:70], atol=2e-3)
    heard = decode_sound(clip)
    assert (heard.start, heard.end) == pytest.approx((3, 7), abs=0.01)
    silent = np.abs(heard.cut(4.1, 5.9).samples).max()
    assert silent < 0.02 < np.abs(heard.cut(3, 3.9).samples).max()
    assert np.abs(heard.cut(6.1, 7).samples).max() > 0.02


def test_of_a_long_clip_no_more_is_read_than_the_longest(tmp_path):
    times = np.arange(300.0)
    path = write_video(tmp_path / "v.mp4", grey_frames(times % 200), times, None)
    clip = find_clip(SampleSource("c", path.name, 100, 36_000, "p"), tmp_path)
    seconds = [f.seconds for f in decode_frames(clip)]
    assert min(seconds) >= 100 - RUN_UP
    assert max(seconds) < 100 + LONGEST_CLIP


@pytest.mark.parametrize("turned", [0, 90, 180, -90])
def test_pictures_are_upright(tmp_path, turned):
    upright = np.full((48, 96, 3), 40, np.uint8)
    upright[:24, :48] = 200
    lying = np.rot90(upright, -turned // 90)
    path = write_video(tmp_path / "v.mp4", [lying] * 3, np.arange(3) / 10, None, turned=turned)
    image = next(decode_frames(VideoClip(path, 0, 1))).image
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 5


def test_eight_k_is_scaled_down(tmp_path):
    picture = np.full((4320, 7680, 3), 90, np.uint8)
    path = write_video(tmp_path / "v.mp4", [picture], np.zeros(1), None)
    shapes = {frame.image.shape for frame in decode_frames(VideoClip(path, 0, 1))}
    assert shapes == {(LONG_SIDE * 9 // 16, LONG_SIDE, 3)}


def test_damaged_parts_are_left_out(tmp_path):
    times = np.arange(100) / 25
    pictures = [noise_picture(seed) for seed in range(100)]
    path = write_video(tmp_path / "v.mkv", pictures, times, noise(4))
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 4, 3 * len(data) // 4, 40):
        data[place : place + 20] = rng.bytes(20)
    path.write_bytes(data)
    seconds = [f.seconds for f in decode_frames(VideoClip(path, 0, 10))]
    assert len(seconds) > 40
    assert all(before < after for before, after in pairwise(seconds))


def test_a_title_in_no_known_letters_does_no_harm(tmp_path):
    path = write_video(tmp_path / "v.mp4", grey_frames(np.zeros(3)), np.arange(3) / 10, None)
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xff\xfe\xfa\x80"))
    assert len(list(decode_frames(VideoClip(path, 0, 1)))) == 3


def noise_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def test_sound_is_cut_and_silenced_by_the_files_times():
    sound = Sound(5.0, np.ones(2 * RATE, np.float32))
    part = sound.cut(5.5, 6.0)
    assert (part.start, part.end, len(part.samples)) == (5.5, 6.0, RATE // 2)
    assert len(sound.cut(6.5, 99).samples) == RATE // 2
    assert len(sound.cut(8, 9).samples) == 0
    only = sound.only([(5.0, 5.5), (6.5, 7.0)]).samples
    np.testing.assert_array_equal(only.reshape(4, -1).mean(1), [1, 0, 0, 1])


@pytest.mark.parametrize(("start", "end"), [(3, 3), (5, 2), (-1, 2), (np.nan, 2), (0, np.nan)])
def test_a_clip_has_a_beginning_and_an_end(start, end):
    with pytest.raises(Refused, match="no clip"):
        find_clip(SampleSource("c", "v.mp4", start, end, "p"), Path())


def test_a_picture_beyond_all_sizes_is_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.mp4", grey_frames(np.zeros(3)), np.arange(3) / 10, None)
    monkeypatch.setattr("speech2face.preparation.video.MOST_PIXELS", 48 * 64 - 1)
    with pytest.raises(Refused, match="pictures of 64 × 48 pixels"):
        next(decode_frames(VideoClip(path, 0, 1)))


def test_time_that_stands_still_ends(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.mp4", grey_frames(np.zeros(30)), np.arange(30) / 10, None)
    monkeypatch.setattr("speech2face.preparation.video.MOST_FRAMES", 20)
    with pytest.raises(Refused, match="more than 20 frames"):
        list(decode_frames(VideoClip(path, 0, 10)))
