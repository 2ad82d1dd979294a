"""Tracks, pauses, channels out of phase, and files that end early or only seem to."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from helpers.sounds import encode, music, noise, tones
from speech2face.media import SAMPLE_RATE, audio_tracks, load_audio

RATE = 48_000
SILENCE = np.zeros(2 * RATE, np.float32)


def encode_tracks(
    tracks: Sequence[np.ndarray],
    container: str,
    codec: str,
    default: int = 1,
    move: Callable[[float], float | None] = lambda time: time,
    delay: float = 0.0,
) -> bytes:
    """A file of several sound tracks at 48 kHz; `move` says when a packet begins, None drops it.

    The last track begins `delay` seconds after the first.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams = []
        for number, _ in enumerate(tracks, 1):
            stream: Any = output.add_stream(codec, rate=RATE, layout="mono")
            stream.format = stream.codec.audio_formats[0].name
            stream.disposition = int(number == default)  # 1: the default
            streams.append(stream)
        for stream, samples in zip(streams, tracks, strict=True):
            late = delay * (stream is streams[-1])
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            parts = av.AudioResampler(stream.format, "mono", RATE, stream.frame_size or 960)
            packets = []
            for part in [*parts.resample(frame), *parts.resample(None)]:
                packets += stream.encode(part)
            for packet in [*packets, *stream.encode(None)]:
                if packet.pts is None:
                    continue
                time = move(float(packet.pts * packet.time_base))
                if time is not None:
                    packet.pts = packet.dts = round((time + late) / packet.time_base)
                    output.mux(packet)
    return file.getvalue()


def level(samples: np.ndarray) -> float:
    return float(samples.std())


SOUND = music(2, rate=RATE)


@pytest.mark.parametrize(
    ("tracks", "default", "warning"),
    [
        ((SOUND, SILENCE), 1, ()),
        ((SILENCE, SOUND), 2, ("track 2 of 2 was used: it is marked as the default",)),
        ((SILENCE, SOUND), 1, ("track 2 of 2 was used: track 1 is silent",)),
        ((SOUND, SILENCE), 2, ("track 1 of 2 was used: track 2 is silent",)),
        (
            (SILENCE, SILENCE, SOUND),
            2,
            ("track 3 of 3 was used: track 2 is silent and track 1 is silent",),
        ),
    ],
)
@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("matroska", "pcm_s16le")])
def test_uses_the_track_with_sound(
    tracks: Sequence[np.ndarray], default: int, warning: tuple[str, ...], container: str, codec: str
) -> None:
    data = encode_tracks(tracks, container, codec, default)
    chosen = load_audio(data)
    assert chosen.warnings == warning
    assert level(chosen.samples) > 0.05
    for number, track in enumerate(tracks, 1):
        taken = load_audio(data, track=number)
        assert taken.warnings == ()
        assert (level(taken.samples) > 0.05) == (track is SOUND)


def test_passes_over_a_track_in_an_unknown_encoding() -> None:
    data = encode_tracks((SOUND, SOUND), "matroska", "aac")
    unknown = data.replace(b"A_AAC", b"A_XYZ", 1)
    assert load_audio(unknown).warnings == ("track 2 of 2 was used: track 1 cannot be decoded",)
    for source, track in ((unknown, 1), (data.replace(b"A_AAC", b"A_XYZ"), None)):
        with pytest.raises(Exception, match="holds sound in an unknown encoding"):
            load_audio(source, track=track)


def test_a_track_is_silent_or_not_in_the_part_that_is_asked_for() -> None:
    late = np.concatenate([SILENCE, SOUND])
    data = encode_tracks((late, np.concatenate([SOUND, SILENCE])), "matroska", "pcm_s16le")
    assert load_audio(data).warnings == ()
    assert load_audio(data, start=2).warnings == ()
    beginning = load_audio(data, end=2)
    assert beginning.warnings == ("track 2 of 2 was used: track 1 is silent",)
    assert level(beginning.samples) > 0.05


def test_where_all_tracks_begin_silent_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_tracks, "SEARCHED", 1.0)
    late = np.concatenate([SILENCE, SOUND])
    data = encode_tracks((np.zeros_like(late), late), "matroska", "pcm_s16le")
    assert load_audio(data).warnings == ("track 2 of 2 was used: track 1 is silent",)
    silent = load_audio(data, end=1.9)
    assert silent.warnings == ()
    assert level(silent.samples) == 0


@pytest.mark.parametrize(
    ("container", "codec"), [("webm", "libopus"), ("mp4", "aac"), ("mpegts", "aac")]
)
def test_a_pause_keeps_its_time(container: str, codec: str) -> None:
    def pause(time: float) -> float:
        return time if time < 1 else time + 3

    heard = load_audio(encode_tracks((SOUND,), container, codec, move=pause))
    assert heard.warnings == ()
    assert len(heard.samples) == pytest.approx(5 * SAMPLE_RATE, abs=0.06 * SAMPLE_RATE)
    assert level(heard.samples[round(1.2 * SAMPLE_RATE) : round(3.8 * SAMPLE_RATE)]) < 1e-3
    assert level(heard.samples[round(4.2 * SAMPLE_RATE) :]) > 0.05


def test_dropped_packets_keep_their_time() -> None:
    def drop(time: float) -> float | None:
        return None if 0.5 < time < 1.5 else time

    heard = load_audio(encode_tracks((SOUND,), "webm", "libopus", move=drop))
    assert len(heard.samples) == pytest.approx(2 * SAMPLE_RATE, abs=0.06 * SAMPLE_RATE)
    assert level(heard.samples[round(0.7 * SAMPLE_RATE) : round(1.3 * SAMPLE_RATE)]) < 1e-3


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
def test_a_track_that_begins_later_keeps_its_time(container: str) -> None:
    data = encode_tracks((SOUND, SOUND), container, "aac", delay=1.0)
    late = load_audio(data, track=2).samples
    assert len(late) == pytest.approx(3 * SAMPLE_RATE, abs=0.06 * SAMPLE_RATE)
    assert level(late[: round(0.9 * SAMPLE_RATE)]) < 1e-3


def test_what_a_file_says_of_all_its_tracks_is_not_said_of_one() -> None:
    data = encode_tracks((np.tile(SOUND, 10), SOUND), "matroska", "pcm_s16le", delay=10)
    assert load_audio(data, track=2).warnings == ()
    shifted = encode_tracks((SOUND,), "matroska", "pcm_s16le", move=lambda t: t + 1000)
    heard = load_audio(shifted)
    assert heard.warnings == ()
    assert len(heard.samples) == pytest.approx(2 * SAMPLE_RATE, abs=100)


def test_a_jump_of_days_is_not_believed_and_small_ones_are_jitter() -> None:
    jump = encode_tracks((SOUND,), "matroska", "pcm_s16le", move=lambda t: t + 864_000 * (t > 1))
    heard = load_audio(jump)
    assert len(heard.samples) == pytest.approx(2 * SAMPLE_RATE, abs=100)
    assert heard.warnings == (
        "the time stamps jump by 864000 s at 1.0 s, which was taken for a mistake",
    )
    jitter = encode_tracks((SOUND,), "matroska", "pcm_s16le", move=lambda t: t + 0.05 * (t > 1))
    assert len(load_audio(jitter).samples) == pytest.approx(2 * SAMPLE_RATE, abs=100)


@pytest.mark.parametrize(
    ("container", "codec"), [("ogg", "libopus"), ("adts", "aac"), ("mp3", "libmp3lame")]
)
def test_a_recording_appended_to_another_is_read_on(container: str, codec: str) -> None:
    parts = [
        encode(
            np.stack([music(1, rate=rate)] * channels),
            rate,
            container,
            codec,
            layout=("mono", "stereo")[channels - 1],
        )
        for rate, channels in ((48_000 if container == "ogg" else 32_000, 1), (48_000, 2))
    ]
    heard = load_audio(b"".join(parts))
    assert len(heard.samples) == pytest.approx(2 * SAMPLE_RATE, rel=0.1)
    assert heard.warnings == ()


INVERTED = "the channels are out of phase and would cancel each other: channel 2 was inverted"


@pytest.mark.parametrize("factor", [-1.0, -0.9, -0.5])
def test_channels_out_of_phase_do_not_cancel(factor: float) -> None:
    sound = music(3)
    heard = load_audio((np.stack([sound, factor * sound]), SAMPLE_RATE))
    assert heard.warnings == (INVERTED,)
    expected = (1 - factor) / 2 * sound
    np.testing.assert_allclose(heard.samples, expected - expected.mean(), atol=1e-3)


def test_channels_out_of_phase_under_hum_noise_and_lossy_encoding() -> None:
    sound = music(3, rate=RATE)
    hum = 0.4 * tones(3, 50, rate=RATE) + 0.02 * noise(3, rate=RATE)
    for channels in ([sound, -sound], [sound + hum, hum - sound]):
        data = encode(np.stack(channels), RATE, "adts", "aac", layout="stereo")
        heard = load_audio(data)
        assert heard.warnings == (INVERTED,)
        assert level(heard.samples) > 0.8 * level(sound)


def test_channels_go_out_of_phase_without_a_click_and_keep_what_one_holds() -> None:
    sound, other = tones(4, 440), np.concatenate([np.zeros(48_000), noise(1)]).astype(np.float32)
    second = np.concatenate([sound[: 2 * SAMPLE_RATE], -sound[2 * SAMPLE_RATE :]])
    heard = load_audio((np.stack([sound, second + other]), SAMPLE_RATE)).samples
    steps = np.abs(np.diff(heard[: 3 * SAMPLE_RATE - 400]))
    assert steps.max() < 1.1 * np.abs(np.diff(sound)).max()
    assert level(heard[1600:-SAMPLE_RATE]) > 0.9 * level(sound)
    assert level(heard[-SAMPLE_RATE:]) > level(sound)  # the noise is there as well


@pytest.mark.parametrize(
    "channels",
    [(music(2), music(2)), (music(2), np.zeros(32_000)), (music(2), noise(2)), (noise(2),) * 6],
)
def test_channels_in_phase_are_averaged(channels: tuple[np.ndarray, ...]) -> None:
    stacked = np.stack(channels).astype(np.float32)
    heard = load_audio((stacked, SAMPLE_RATE))
    assert heard.warnings == ()
    expected = stacked.mean(axis=0)
    np.testing.assert_allclose(heard.samples, expected - expected.mean(), atol=1e-6)


@pytest.mark.parametrize("peak", [2.0, 32_768.0])
@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_f32le"), ("matroska", "pcm_f32le"), ("wv", "wavpack")]
)
def test_float_files_beyond_full_scale_are_scaled(peak: float, container: str, codec: str) -> None:
    sound = 2 * music(3)
    quiet_first = np.concatenate([0.01 * sound, sound])
    form = "fltp" if codec == "wavpack" else None
    heard = load_audio(
        encode(peak * quiet_first, SAMPLE_RATE, container, codec, sample_format=form)
    )
    assert heard.warnings == (f"the samples reach {peak:.3g} and were scaled down to ±1",)
    np.testing.assert_allclose(heard.samples, quiet_first - quiet_first.mean(), atol=1e-3)


def wav_of_sizes(riff: int, data: int) -> bytes:
    sound = bytearray(encode(music(1), SAMPLE_RATE, "wav", "pcm_s16le"))
    struct.pack_into("<I", sound, 4, riff)
    struct.pack_into("<I", sound, sound.index(b"data") + 4, data)
    return bytes(sound)


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0x7FFFF024, 0x7FFFF000),  # sox, espeak-ng
        (0x7FFFFF24, 0x7FFFFF00),  # arecord
        (0x80000024, 0x80000000),
        (0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg
        (0, 0),  # never written
    ],
)
def test_a_streamed_wav_is_whole(riff: int, data: int) -> None:
    heard = load_audio(wav_of_sizes(riff, data))
    assert heard.warnings == ()
    assert len(heard.samples) == SAMPLE_RATE


def test_nothing_is_guessed_by_the_bit_rate() -> None:
    def mp3(sound: np.ndarray) -> bytes:
        return encode(sound, 44_100, "mp3", "libmp3lame")

    quiet_first = np.concatenate([np.zeros(44_100 * 6, np.float32), music(2, rate=44_100)])
    bare = mp3(quiet_first).replace(b"Xing", b"\0\0\0\0", 1).replace(b"Info", b"\0\0\0\0", 1)
    one, other = mp3(music(1, rate=44_100)), mp3(music(2, seed=1, rate=44_100))
    for data, seconds in ((bare, 8), (one + other, 3), (one + bytes(20_000), 1)):
        heard = load_audio(data)
        assert heard.warnings == ()
        assert len(heard.samples) == pytest.approx(seconds * SAMPLE_RATE, abs=2000)


@pytest.mark.parametrize(
    ("container", "codec", "video"),
    [
        ("aiff", "pcm_s16be", False),
        ("au", "pcm_s16be", False),
        ("caf", "pcm_s16be", False),
        ("w64", "pcm_s16le", False),
        ("flac", "flac", False),
        ("ogg", "libopus", False),
        ("matroska", "aac", True),
        ("avi", "libmp3lame", True),
        ("mp3", "libmp3lame", False),
    ],
)
def test_a_file_that_was_cut_off_says_so(container: str, codec: str, video: bool) -> None:
    data = encode(music(4, rate=RATE), RATE, container, codec, video=video)
    assert load_audio(data).warnings == ()
    assert [w[:19] for w in load_audio(data[: len(data) * 2 // 3]).warnings] == [
        "the file ends early"
    ]


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "aac"),
        ("flv", "aac"),
        ("wav", "adpcm_ima_wav"),
        ("webm", "libopus"),
        ("ogg", "libopus"),
    ],
)
@pytest.mark.parametrize("rest", [b"hello world\n", bytes(5000), b"\0"])
def test_what_follows_on_a_file_is_no_damage(container: str, codec: str, rest: bytes) -> None:
    heard = load_audio(encode(music(1, rate=RATE), RATE, container, codec) + rest)
    assert heard.warnings == ()
    assert len(heard.samples) == pytest.approx(SAMPLE_RATE, rel=0.1)


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("aiff", "pcm_s16be"), ("mp4", "aac")]
)
def test_says_that_an_appended_recording_is_not_read(container: str, codec: str) -> None:
    data = encode(music(1, rate=44_100), 44_100, container, codec)
    (warning,) = load_audio(data + data).warnings
    assert warning == "another recording was appended to the first and was not read"


def test_a_last_block_of_a_byte_is_padding() -> None:
    sound = bytearray(encode(music(1), SAMPLE_RATE, "wav", "adpcm_ima_wav")) + b"\0"
    place = sound.index(b"data") + 4
    struct.pack_into("<I", sound, place, len(sound) - place - 4)
    struct.pack_into("<I", sound, 4, len(sound) - 8)
    assert load_audio(bytes(sound)).warnings == ()


def test_a_cut_off_mp4_says_so() -> None:
    plain = encode_tracks((SOUND,), "mp4", "aac")
    place = plain.index(b"moov") - 4
    moov = bytearray(plain[place:])
    table = moov.index(b"stco") + 8  # where the sound lies in the file: a number, then offsets
    for entry in range(
        table + 4, table + 4 + 4 * int.from_bytes(moov[table : table + 4], "big"), 4
    ):
        (offset,) = struct.unpack_from(">I", moov, entry)
        struct.pack_into(">I", moov, entry, offset + len(moov))
    moov_first = plain[:28] + moov + plain[28:place]  # as a web server wants it
    assert load_audio(moov_first).warnings == ()
    heard = load_audio(moov_first[: len(moov_first) * 2 // 3])
    assert "the file ends early" in heard.warnings[0]
