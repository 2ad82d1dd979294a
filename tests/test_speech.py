"""Finding speech: in a real recording it is found, in anything else it is not."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from helpers.sounds import EXAMPLES, RATE, example_speech, music, noise, tones
from speech2face.errors import NoSpeechError, UsageError
from speech2face.media import load_audio, stream_audio
from speech2face.speech import Speech, find_speech
from speech2face.voice_activity import CHUNK


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """At least 4 s of a recording with speech in it, float32 (n,) at 16 kHz."""
    sound = load_audio(example_speech()).samples
    return np.tile(sound, -(-4 * RATE // len(sound)))


def refusal(samples: np.ndarray) -> str:
    with pytest.raises(NoSpeechError) as caught:
        find_speech((samples, RATE))
    message = str(caught.value)
    assert "\n" not in message
    return message


def check(speech: Speech, recording_seconds: float) -> None:
    """What holds for all speech that was found."""
    assert speech.samples.dtype == np.float32
    assert np.abs(speech.samples).max() <= 1
    assert abs(speech.samples.mean()) < 1e-4
    assert len(speech.samples) == pytest.approx(speech.speech_seconds * RATE, rel=0.02)
    lengths = [end - start for start, end in speech.segments]
    assert sum(lengths) == pytest.approx(speech.speech_seconds)
    times = [time for segment in speech.segments for time in segment]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= recording_seconds


def test_finds_the_speech_of_a_recording(voice: np.ndarray) -> None:
    speech = find_speech((voice, RATE))
    check(speech, len(voice) / RATE)
    assert 1 < speech.speech_seconds <= 10
    assert speech.warnings == ()
    assert speech.analysed_seconds == len(voice) / RATE
    assert 20 * np.log10(speech.samples.std()) == pytest.approx(-26, abs=0.1)


def test_progress_is_called_with_the_seconds_listened_to() -> None:
    samples, rate = example_speech()
    heard: list[float] = []
    speech = find_speech((np.tile(samples, 12), rate), progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == speech.analysed_seconds > 32


def test_quiet_speech_is_found_and_made_as_loud(voice: np.ndarray) -> None:
    usual, quiet = (find_speech((scale * voice, RATE)) for scale in (1, 0.05))
    np.testing.assert_allclose(quiet.segments, usual.segments, atol=0.1)
    assert quiet.samples.std() == pytest.approx(usual.samples.std(), rel=0.02)


def test_half_a_second_is_enough(voice: np.ndarray) -> None:
    start = round(find_speech((voice, RATE), max_seconds=1).segments[0][0] * RATE)
    speech = find_speech((voice[start : start + RATE * 9 // 10], RATE))
    assert speech.speech_seconds >= 0.5


@pytest.mark.parametrize("seed", range(5))
def test_music_is_not_speech(seed: int) -> None:
    assert "noise or music but no speech" in refusal(music(8, seed))


@pytest.mark.parametrize("slope", [0, 1, 2])
def test_noise_is_not_speech(slope: float) -> None:
    assert "noise or music but no speech" in refusal(noise(8, slope))


@pytest.mark.parametrize("hertz", [(50, 100, 150), (440,), (220, 277, 330)])
def test_tones_are_not_speech(hertz: tuple[float, ...]) -> None:
    assert "noise or music but no speech" in refusal(tones(8, *hertz))


def test_says_why_there_is_too_little(voice: np.ndarray) -> None:
    assert refusal(np.zeros(3 * RATE)) == "the array: silence; at least 0.5 s of speech are needed"
    assert "the recording lasts only 0.2 s" in refusal(voice[: RATE // 5])
    assert "the recording lasts only 0.4 s; at least 0.5 s" in refusal(voice[: RATE * 49 // 100])
    needed = len(voice) / RATE + 1
    with pytest.raises(NoSpeechError, match=r"only \d+\.\d s of speech; at least"):
        find_speech((np.pad(voice, (0, 9 * RATE)), RATE), max_seconds=99, min_seconds=needed)


def test_long_pauses_are_left_out(voice: np.ndarray) -> None:
    once = find_speech((voice, RATE))
    gap = np.zeros(3 * RATE, np.float32)
    twice = find_speech((np.concatenate([voice, gap, voice]), RATE), max_seconds=30)
    check(twice, 2 * len(voice) / RATE + 3)
    assert twice.speech_seconds == pytest.approx(2 * once.speech_seconds, rel=0.1)
    assert any(start >= len(voice) / RATE + 2.8 for start, _ in twice.segments)


def test_speech_after_music_is_found_at_its_time(voice: np.ndarray) -> None:
    recording = np.concatenate([music(70), voice, 0.02 * noise(5)])
    speech = find_speech((recording, RATE))
    check(speech, len(recording) / RATE)
    alone = find_speech((voice, RATE))
    assert speech.segments[0][0] == pytest.approx(70 + alone.segments[0][0], abs=0.3)
    assert speech.segments[-1][1] == pytest.approx(70 + alone.segments[-1][1], abs=0.8)
    assert speech.analysed_seconds == len(recording) / RATE


def test_speech_across_a_border_of_blocks_is_one_segment(voice: np.ndarray) -> None:
    whole = find_speech((voice, RATE))
    middle = sum(max(whole.segments, key=lambda s: s[1] - s[0])) / 2
    block_seconds = round(middle * RATE / CHUNK) * CHUNK / RATE
    parts = find_speech(stream_audio((voice, RATE), block_seconds=block_seconds))
    np.testing.assert_allclose(parts.speech_seconds, whole.speech_seconds, atol=0.3)
    assert len(parts.segments) <= len(whole.segments) + 1


def test_near_speech_is_preferred_to_far(voice: np.ndarray) -> None:
    far = 0.05 * voice
    speech = find_speech((np.concatenate([far, voice, far]), RATE), max_seconds=1.5)
    seconds = len(voice) / RATE
    assert all(seconds <= start and end <= 2 * seconds for start, end in speech.segments)


def test_no_more_than_asked_for(voice: np.ndarray) -> None:
    for max_seconds in (0.5, 1, 2.5):
        speech = find_speech((voice, RATE), max_seconds=max_seconds)
        assert max_seconds - 0.5 < speech.speech_seconds <= max_seconds
    with pytest.raises(UsageError, match="max_seconds is"):
        find_speech((voice, RATE), max_seconds=0.4)


def test_warnings_of_the_recording_are_passed_on(voice: np.ndarray) -> None:
    assert "clipped" in find_speech((np.clip(60 * voice / voice.std(), -1, 1), RATE)).warnings[0]


def test_the_whole_recording_is_listened_to_at_a_bounded_cost(voice: np.ndarray) -> None:
    recording = np.resize(voice, 300 * RATE)
    speech = find_speech((recording, RATE), speaker="anyone")
    check(speech, 300)
    assert speech.analysed_seconds == 300
    assert 59 < speech.speech_seconds <= 60


@pytest.mark.parametrize("change", [-6, 0, 6])  # dB
@pytest.mark.parametrize(("main", "other"), [("emma", "george"), ("george", "emma")])
@pytest.mark.parametrize("order", ["other first", "other last", "by turns"])
def test_where_nobody_is_told_apart_most_is_of_who_speaks_most(
    main: str, other: str, change: float, order: str
) -> None:
    long, short = (load_audio(EXAMPLES / f"{name}.flac").samples for name in (main, other))
    long = np.resize(long / long.std() * 0.05, 100 * RATE)
    short = np.resize(short / short.std() * 0.05 * 10 ** (change / 20), 35 * RATE)
    parts = {
        "other first": [short, long],
        "other last": [long, short],
        "by turns": [
            part
            for k in range(5)
            for part in (short[k * 7 * RATE :][: 7 * RATE], long[k * 20 * RATE :][: 20 * RATE])
        ],
    }[order]
    for part in parts:  # a breath before the other begins
        part[-RATE // 2 :] *= 0.001
    borders = np.cumsum([0, *map(len, parts)]) / RATE
    speech = find_speech((np.concatenate(parts), RATE), speaker="anyone")
    assert (speech.speakers, speech.speaker) == ((), None)
    of_main = 0.0
    for part, start, end in zip(parts, borders, borders[1:], strict=False):
        if len(part) in (len(long), 20 * RATE):
            of_main += sum(max(0.0, min(b, end) - max(a, start)) for a, b in speech.segments)
    assert of_main > 0.9 * speech.speech_seconds


def test_a_part_of_a_recording(voice: np.ndarray) -> None:
    recording = np.concatenate([voice, np.zeros(2 * RATE, np.float32), voice])
    second = len(voice) / RATE + 2
    speech = find_speech((recording, RATE), start=second)
    assert speech.segments[0][0] >= second
    assert speech.analysed_seconds == pytest.approx(len(voice) / RATE)
    alone = find_speech((voice, RATE))
    np.testing.assert_allclose(np.array(speech.segments) - second, alone.segments, atol=0.001)
    ended = find_speech((recording, RATE), start=1.5, end=second)
    assert 1.5 <= ended.segments[0][0] < ended.segments[-1][1] <= second
    for part in (
        {"start": -1},
        {"start": 3, "end": 2},
        {"end": float("nan")},
        {"track": 2},
        {"start": 99},
    ):
        with pytest.raises(UsageError):
            find_speech((recording, RATE), **part)


def test_a_short_clear_stretch_before_a_long_one_is_no_reason_to_refuse():
    samples, rate = soundfile.read(EXAMPLES / "emma.flac", dtype="float32")
    piece = np.array_split(samples, 6)[2]  # its clearest stretch lasts 0.2 s
    for speaker in ("anyone", "longest"):
        assert find_speech((piece, rate), speaker=speaker).speech_seconds > 0.6


def test_more_than_ten_seconds_are_taken_of_clear_speech_alone(voice: np.ndarray) -> None:
    far = 0.02 * voice  # 34 dB below
    clear = np.resize(voice, 12 * RATE)
    pause = np.zeros(RATE, np.float32)
    recording = np.concatenate([far, pause, clear, pause, far])
    speech = find_speech((recording, RATE), speaker="anyone")
    start = len(far) / RATE + 1
    end = start + 12
    assert 9 < speech.speech_seconds < 12.2
    assert all(start - 0.2 <= a and b <= end + 0.2 for a, b in speech.segments)
    alone = find_speech((far, RATE), speaker="anyone")
    assert alone.speech_seconds > 4  # where there is nothing else, it is taken
