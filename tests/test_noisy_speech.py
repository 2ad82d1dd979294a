"""The second look finds speech in noise where the first finds none, and nothing else."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

from helpers.sounds import EXAMPLES, RATE, encode, music, noise, tones
from speech2face import noisy_speech, speech
from speech2face.errors import NoSpeechError
from speech2face.media import load_audio
from speech2face.noisy_speech import MOST_BLOCKS, UnclearBlocks, remove_steady
from speech2face.speech import UNCLEAR, find_speech
from speech2face.voice_activity import CHUNK

PAIRS = EXAMPLES.parent / "shared" / "data" / "pairs" / "audio"
HARD = "Wh-A1qr78Fc", "aVTrTR9eW3Q", "picaDS5DPJ0", "ysOfcFr9JU8"


def covered(name: str, slope: float, decibels: float) -> np.ndarray:
    """4 s of a voice of `examples/`, with noise that is so much louder."""
    voice = load_audio(EXAMPLES / f"{name}.flac").samples[: 4 * RATE]
    other = noise(4, slope)
    mixed = voice / voice.std() + other / other.std() * 10 ** (decibels / 20)
    return (0.5 * mixed / np.abs(mixed).max()).astype(np.float32)


@pytest.fixture
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """A second look that fails where it is taken."""
    judge = Mock(side_effect=AssertionError("looked again"))
    monkeypatch.setattr(noisy_speech.Look, "judge", judge)
    return judge


@pytest.mark.parametrize(("name", "slope"), [("emma", 0), ("emma", 1), ("george", 1)])
def test_speech_in_louder_noise_is_found_with_a_warning(
    name: str, slope: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = covered(name, slope, 11)
    found = find_speech((recording, RATE))
    assert found.warnings == (UNCLEAR,)
    assert found.speech_seconds > 2
    assert [start for start, _ in found.segments] == sorted(start for start, _ in found.segments)
    assert 20 * np.log10(found.samples.std()) == pytest.approx(-26, abs=0.1)
    monkeypatch.setattr(speech, "LOOKS", ())
    with pytest.raises(NoSpeechError, match="noise or music but no speech"):
        find_speech((recording, RATE))


@pytest.mark.parametrize("clip", HARD)
def test_people_who_speak_over_music_are_heard(clip: str) -> None:
    files = sorted(PAIRS.glob(f"{clip}*.flac"))
    if not files:
        pytest.skip("needs the clips of people, which are not part of the project")
    found = find_speech(str(files[0]))
    assert found.warnings == (UNCLEAR,)
    assert found.speech_seconds > 1


def test_what_is_plain_is_looked_at_once(no_second_look: Mock) -> None:
    found = find_speech(str(EXAMPLES / "emma.flac"))
    assert found.warnings == ()
    with pytest.raises(NoSpeechError, match="silence"):
        find_speech((np.zeros(3 * RATE), RATE))
    with pytest.raises(NoSpeechError, match=r"lasts only 0\.3 s"):
        find_speech((noise(0.3), RATE))
    no_second_look.assert_not_called()


@pytest.mark.parametrize(
    "sound",
    [
        music(12, 7),
        music(5, 8),
        noise(5, 0.5),
        noise(5, 1.5),
        tones(5, 440, 480),
        tones(5, 60, 180),
    ],
)
def test_music_noise_and_tones_are_still_refused(sound: np.ndarray) -> None:
    for level in (1.0, 0.02):
        with pytest.raises(NoSpeechError, match="noise or music but no speech"):
            find_speech((level * sound, RATE))


def test_says_how_much_a_second_look_found_where_it_is_too_little() -> None:
    with pytest.raises(NoSpeechError, match=r"only \d\.\d s of speech; at least 9 s"):
        find_speech((np.pad(covered("emma", 1, 11), (0, 8 * RATE)), RATE), min_seconds=9)


def test_speech_in_noise_is_found_at_its_time_in_a_long_file() -> None:
    hiss = 0.2 * noise(40, 1)
    recording = np.concatenate([hiss, covered("emma", 1, 11), hiss])
    found = find_speech(encode(recording, RATE, "wav", "pcm_s16le"))
    assert UNCLEAR in found.warnings
    assert 39 < found.segments[0][0] < found.segments[-1][1] < 45
    assert found.analysed_seconds == pytest.approx(84)


def test_of_a_long_recording_only_the_likeliest_blocks_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = Mock(side_effect=lambda block: np.zeros(-(-len(block) // CHUNK), np.float32))
    monkeypatch.setattr(noisy_speech.Look, "judge", looked)
    with pytest.raises(NoSpeechError, match="noise or music but no speech"):
        find_speech((np.resize(noise(30), 60 * 6 * RATE), RATE))
    assert looked.call_count == MOST_BLOCKS * len(noisy_speech.LOOKS)


def test_the_likeliest_blocks_are_kept_in_time_order() -> None:
    unclear = UnclearBlocks()
    likely = np.random.default_rng(0).permutation(20)
    for number, probability in enumerate(likely):
        unclear.add(np.zeros(CHUNK, np.float32), np.full(1, probability / 20), number * CHUNK)
    look = Mock(judge=lambda block: np.ones(1, np.float32), begin=0.5, least_voiced=1)
    starts = [each.start // CHUNK for found in unclear.look_again(look) for each in found]
    assert starts == np.flatnonzero(likely >= 20 - MOST_BLOCKS).tolist()
    unclear.clear()
    assert list(unclear.look_again(look)) == []


def test_what_is_steady_is_removed_and_what_passes_stays() -> None:
    hum, burst = tones(3, 150, 300, 1000), np.zeros(3 * RATE, np.float32)
    burst[RATE : RATE + RATE // 4] = noise(0.25)
    left = remove_steady(hum + burst)
    assert left.dtype == np.float32
    assert len(left) == 3 * RATE
    inside = slice(RATE, RATE + RATE // 4)
    quieter = 20 * np.log10(left[2 * RATE :].std() / hum[2 * RATE :].std())
    assert quieter < -20
    assert np.corrcoef(left[inside], burst[inside])[0, 1] > 0.9


@pytest.mark.parametrize("length", [1, 511, 1024, 1025, RATE])
def test_sound_of_any_length_stays_as_long(length: int) -> None:
    passing = noise(1)[:length]
    assert remove_steady(passing).shape == (length,)
    assert np.isfinite(remove_steady(np.zeros(length, np.float32))).all()
