"""Reading sound: every container, every kind of array, and what goes wrong with each."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.sounds import encode, music, noise, tones
from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.media import SAMPLE_RATE, AudioSource, load_audio, stream_audio

LOSSLESS, LOSSY = 0.999, 0.95


def likeness(heard: np.ndarray, original: np.ndarray) -> float:
    """Greatest correlation over all lags: 1 for the same sound, shifted or not."""
    n = len(heard) + len(original)
    product = np.fft.irfft(np.fft.rfft(heard, n) * np.fft.rfft(original, n).conj(), n)
    return float(product.max() / np.linalg.norm(heard) / np.linalg.norm(original))


def refusal(source: AudioSource) -> str:
    with pytest.raises(UnreadableMediaError) as caught:
        load_audio(source)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 3
    return message


@pytest.mark.parametrize(
    ("container", "codec", "rate", "video", "least"),
    [
        ("wav", "pcm_s16le", 16_000, False, LOSSLESS),
        ("wav", "pcm_u8", 8_000, False, LOSSLESS),
        ("wav", "pcm_s24le", 96_000, False, LOSSLESS),
        ("wav", "pcm_f32le", 44_100, False, LOSSLESS),
        ("flac", "flac", 48_000, False, LOSSLESS),
        ("mp3", "libmp3lame", 44_100, False, LOSSY),
        ("ogg", "libopus", 48_000, False, LOSSY),
        ("ipod", "aac", 44_100, False, LOSSY),  # m4a
        ("webm", "libopus", 48_000, False, LOSSY),
        ("mp4", "aac", 44_100, True, LOSSY),
        ("matroska", "aac", 48_000, True, LOSSY),
    ],
)
def test_reads_a_file(
    tmp_path: Path, container: str, codec: str, rate: int, video: bool, least: float
) -> None:
    path = tmp_path / "recording"
    path.write_bytes(encode(music(3, rate=rate), rate, container, codec, video=video))
    heard = load_audio(path)
    assert heard.warnings == ()
    assert heard.samples.dtype == np.float32
    assert len(heard.samples) == pytest.approx(3 * SAMPLE_RATE, abs=0.06 * SAMPLE_RATE)
    original = load_audio((music(3, rate=rate), rate)).samples
    assert likeness(heard.samples, original) > least


def test_reads_bytes_a_name_and_standard_input_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(music(1, rate=44_100), 44_100, "ipod", "aac")
    path = tmp_path / "sound.m4a"
    path.write_bytes(data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    heard = [load_audio(source).samples for source in (data, path, str(path), "-")]
    for samples in heard[1:]:
        np.testing.assert_array_equal(samples, heard[0])


def test_reads_surround_sound() -> None:
    sound = music(2, rate=48_000)
    six = np.stack([sound * weight for weight in (0.1, 0.1, 1, 0, 0.1, 0.1)])
    heard = load_audio(encode(six, 48_000, "wav", "pcm_s16le", layout="5.1")).samples
    mono = load_audio((sound, 48_000)).samples
    assert likeness(heard, mono) > LOSSLESS
    assert heard.std() == pytest.approx(1.4 / 6 * mono.std(), rel=0.05)


def test_reads_doubles_and_silences_what_is_no_number() -> None:
    sound = encode(music(1), SAMPLE_RATE, "wav", "pcm_f64le", sample_format="dbl")
    values = bytearray(sound)
    values[-80:] = struct.pack("<10d", *[np.nan] * 5, *[np.inf] * 5)
    heard = load_audio(bytes(values))
    assert np.isfinite(heard.samples).all()
    assert heard.warnings == ("10 samples were not finite and were silenced",)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "float32"])
def test_integers_are_scaled_by_their_width(dtype: str) -> None:
    sound = tones(1, 300)
    info = np.iinfo(dtype) if dtype != "float32" else None
    half = (int(info.max) - int(info.min)) / 2 if info else 1
    samples = (sound * half + (half if dtype == "uint8" else 0)).astype(dtype)
    heard = load_audio((samples, SAMPLE_RATE)).samples
    np.testing.assert_allclose(heard, sound, atol=0.02)


@pytest.mark.parametrize(
    ("dtype", "half", "middle"),
    [
        ("int64", 2**15, 0),  # astype(int)
        ("int32", 2**15, 0),
        ("int32", 2**23, 0),  # 24 bits
        ("uint32", 2**15, 2**15),
        ("int64", 2**7, 2**7),  # bytes
    ],
)
def test_numbers_in_too_wide_a_type_are_scaled_by_their_peak(
    dtype: str, half: int, middle: int
) -> None:
    sound = music(1)
    sound = sound - sound.mean()
    sound *= 0.5 / np.abs(sound).max()
    samples = np.round(sound * (half - 1) + middle).astype(dtype)
    for source in (samples, samples.tolist()):
        heard = load_audio((source, SAMPLE_RATE))
        np.testing.assert_allclose(heard.samples, 2 * sound, atol=0.02)  # its peak is 0.5
        (warning,) = heard.warnings
        assert f"from {samples.min()} to {samples.max()}, use little of their type" in warning


def test_takes_lists_half_floats_and_big_endian_numbers() -> None:
    sound = music(1)
    expected = load_audio((sound, SAMPLE_RATE)).samples
    numbers = (32_768 * sound).astype(">i2")
    for source in (sound.tolist(), [sound, sound], sound.astype("f2"), numbers):
        heard = load_audio((source, float(SAMPLE_RATE)))
        np.testing.assert_allclose(heard.samples, expected, atol=1e-3)
        assert heard.warnings == ()


def test_masked_samples_are_refused_and_a_rate_may_be_an_array_of_one_number() -> None:
    sound = np.ma.masked_array(tones(1, 300), mask=False)
    expected = load_audio((sound.data, SAMPLE_RATE)).samples
    for rate in (np.array(SAMPLE_RATE), np.int32(SAMPLE_RATE), np.float32(SAMPLE_RATE)):
        np.testing.assert_array_equal(load_audio((sound, rate)).samples, expected)
    sound[3:9] = np.ma.masked
    assert "has samples that are masked; fill them in first" in refusal((sound, SAMPLE_RATE))


def test_takes_channels_first_and_last() -> None:
    stereo = np.stack([music(1), music(1, seed=1)])
    expected = load_audio((stereo.mean(axis=0), SAMPLE_RATE)).samples
    for samples in (stereo, stereo.T):
        np.testing.assert_allclose(load_audio((samples, SAMPLE_RATE)).samples, expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    samples=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int16, np.int32, np.uint8]),
        st.one_of(st.tuples(st.integers(1, 3000)), st.tuples(st.integers(8, 900), st.just(2))),
        elements={"allow_nan": False, "allow_infinity": False},
        fill=st.just(1),
    ),
    rate=st.integers(4_000, 192_000),
)
def test_any_array_becomes_finite_mono_sound_of_the_right_length(
    samples: np.ndarray, rate: int
) -> None:
    heard = load_audio((samples, rate)).samples
    assert heard.dtype == np.float32
    assert heard.ndim == 1
    assert np.isfinite(heard).all()
    assert len(heard) == pytest.approx(len(samples) * SAMPLE_RATE / rate, abs=1)


def test_blocks_are_the_whole_cut_up() -> None:
    source = (music(3, rate=44_100), 44_100)
    blocks = list(stream_audio(source, block_seconds=0.7))
    assert [len(block) for block in blocks] == [11_200] * 4 + [3_200]
    whole = load_audio(source).samples
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=0.01)  # the offset is another's


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.75, 2.25), (2.5, None), (2.5, 99.0)])
def test_a_part_of_a_recording_is_that_part_of_the_whole(start: float, end: float | None) -> None:
    data = encode(music(3, rate=44_100), 44_100, "flac", "flac")
    whole = load_audio(data).samples
    expected = whole[round(start * SAMPLE_RATE) : None if end is None else round(end * SAMPLE_RATE)]
    part = load_audio(data, start=start, end=end).samples
    np.testing.assert_allclose(part, expected, atol=0.01)  # the offset is another's
    assert len(part) == len(expected)


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"start": -1.0}, "start is -1 s; it counts from the recording's beginning"),
        ({"start": float("nan")}, "start is a number of seconds, not nan"),
        ({"start": 1e300}, "start is 1e\\+300 s; start earlier"),
        ({"start": 10**400}, "start is inf s; start earlier"),
        ({"start": 2.0, "end": 2.0}, "end is 2 s; it must lie after start, 2 s"),
        ({"start": 5.0}, "the array lasts 3.0 s, so nothing is left from 5 s on; start earlier"),
        ({"track": 0}, "track is a whole number, 1 or more, not 0"),
        ({"track": 2}, "the array has 1 sound track; there is no track 2"),
    ],
)
def test_refuses_a_part_that_is_not_there(part: dict[str, float], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        load_audio((music(3), SAMPLE_RATE), **part)  # type: ignore[arg-type]


def test_a_part_may_end_far_beyond_the_end() -> None:
    for end in (1e12, 1e308, float("inf"), 10**400):
        assert len(load_audio((music(1), SAMPLE_RATE), end=end).samples) == SAMPLE_RATE
    with pytest.raises(UsageError, match="block_seconds is 0 s; it must be more than 0"):
        stream_audio((music(1), SAMPLE_RATE), block_seconds=0)


def test_a_changed_sample_rate_within_a_stream_is_followed() -> None:
    parts = [encode(music(1, rate=rate), rate, "mp3", "libmp3lame") for rate in (32_000, 48_000)]
    assert len(load_audio(b"".join(parts)).samples) == pytest.approx(2 * SAMPLE_RATE, rel=0.1)


def test_warns_of_clipping_and_offset() -> None:
    loud = np.clip(8 * music(2), -1, 1)
    assert "clipped" in load_audio((loud, SAMPLE_RATE)).warnings[0]
    shifted = load_audio((music(2) + 0.2, SAMPLE_RATE))
    assert shifted.warnings == ("a constant offset of +0.20 was removed from the sound",)
    assert abs(shifted.samples.mean()) < 1e-4
    large = load_audio((20_000 * music(1), SAMPLE_RATE))
    assert large.warnings == ("the samples reach 1e+04 and were scaled down to ±1",)


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("wav", "pcm_s16le", 16_000),
        ("mp3", "libmp3lame", 44_100),
        ("flac", "flac", 16_000),
        ("webm", "libopus", 48_000),
    ],
)
def test_a_truncated_file_is_used_as_far_as_it_goes(container: str, codec: str, rate: int) -> None:
    data = encode(music(4, rate=rate), rate, container, codec)
    heard = load_audio(data[: len(data) // 2])
    assert len(heard.samples) == pytest.approx(2 * SAMPLE_RATE, rel=0.2)
    assert [warning[:19] for warning in heard.warnings] == ["the file ends early"]
    with pytest.raises(UnreadableMediaError):
        load_audio(data[:20])


def test_damage_in_the_middle_is_left_out() -> None:
    data = bytearray(encode(music(4, rate=44_100), 44_100, "mp3", "libmp3lame"))
    data[len(data) // 2 : len(data) // 2 + 600] = bytes([255]) * 600
    heard = load_audio(bytes(data))
    assert len(heard.samples) > 3 * SAMPLE_RATE


def test_a_title_that_is_no_utf_8_does_not_matter() -> None:
    plain = encode(noise(0.5), SAMPLE_RATE, "wav", "pcm_s16le")
    title = b"INFOINAM" + (6).to_bytes(4, "little") + b"caf\xe9!\0"
    chunk = b"LIST" + len(title).to_bytes(4, "little") + title
    size = int.from_bytes(plain[4:8], "little") + len(chunk)
    titled = plain[:4] + size.to_bytes(4, "little") + plain[8:12] + chunk + plain[12:]
    np.testing.assert_array_equal(load_audio(titled).samples, load_audio(plain).samples)


def test_refuses_what_is_no_sound(tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("Dear diary\n" * 100)
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"
    assert refusal(text).startswith(f"{text} is cut off or is not sound or video")
    assert refusal(playlist).startswith("the given data is cut off or is not")
    assert refusal(b"") == "the given data is empty; give a recording"
    assert refusal(tmp_path) == f"{tmp_path} is a directory; give a file in it"
    missing = tmp_path / "missing.wav"
    assert refusal(missing) == f"{missing} does not exist; check the path"
    silent = encode(np.empty(0), 16_000, "mp4", "aac", video=True)
    assert refusal(silent) == "the given data holds video but no sound; give a recording with sound"
    assert "no sound that can be decoded" in refusal(
        encode(music(1), 16_000, "wav", "pcm_s16le")[:78]
    )


def test_refuses_what_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.stat", deny)  # as root every file may be read
    assert refusal("secret.wav") == "secret.wav may not be read; check its permissions"


@pytest.mark.parametrize(
    ("samples", "rate", "problem"),
    [
        (np.zeros(0), 16_000, "is empty"),
        (np.zeros((2, 3, 4)), 16_000, "is of shape (2, 3, 4)"),
        (np.array(["a"]), 16_000, "type <U1"),
        (np.zeros(9, bool), 16_000, "type bool; give integers or floats"),
        (np.zeros(9, complex), 16_000, "type complex128"),
        ([2**80], 16_000, "type object"),
        ([[1, 2], [3]], 16_000, "cannot be taken (setting an array element"),
        (np.zeros(100), 0, "sample rate of 0 Hz"),
        (np.zeros(100), 1_000_000, "sample rate of 1000000 Hz"),
        (np.zeros(100), 10**400, "sample rate of 1000000"),
    ],
)
def test_refuses_an_array(samples: Any, rate: int, problem: str) -> None:
    assert problem in refusal((samples, rate))


def test_decoder_chatter_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(music(4, rate=44_100), 44_100, "mp3", "libmp3lame"))
    data[5_000:20_000:7] = bytes([255]) * len(data[5_000:20_000:7])
    load_audio(bytes(data))
    assert capfd.readouterr() == ("", "")


def test_two_hours_are_neither_held_nor_decoded_beyond_what_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    seconds = 2 * 3600
    sound = encode(noise(10, rate=8_000), 8_000, "wav", "pcm_u8")
    header = sound[: sound.index(b"data")]
    with path.open("wb") as file:
        size = seconds * 8_000
        file.write(header[:4] + struct.pack("<I", len(header) + size) + header[8:])
        file.write(b"data" + struct.pack("<I", size) + sound[-80_000:])
        file.truncate(len(header) + 8 + size)  # the rest is a hole
    tracemalloc.start()
    blocks = iter(stream_audio(path))
    heard = [len(next(blocks)) for _ in range(10)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert heard == [32 * SAMPLE_RATE] * 10
    assert peak < 20e6
