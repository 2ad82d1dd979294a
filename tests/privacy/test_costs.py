"""What anonymising costs: word errors and the proxies of naturalness, on known answers."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from helpers.sounds import RATE, example_speech, noise, tones
from helpers.synthetic_voices import hum
from speech2face.privacy.asr import recognise
from speech2face.privacy.speech_quality import (
    measure_delays,
    measure_distance,
    measure_roughness,
    measure_speech,
)
from speech2face.privacy.word_error_rate import WordErrors, count_errors, find_words


@pytest.mark.parametrize(
    ("said", "heard", "errors", "words"),
    [
        ("The rain, in Spain.", "the rain in spain", 0, 4),
        ("the rain in Spain", "the train in Spain", 1, 4),
        ("the rain in Spain", "rain Spain", 2, 4),
        ("the rain", "oh the the rain", 2, 2),
        ("the rain in Spain", "", 4, 4),
        ("", "words out of nowhere", 4, 0),
        ("one two three", "three one two", 2, 3),
    ],
)
def test_word_errors(said: str, heard: str, errors: int, words: int) -> None:
    assert count_errors(said, heard) == WordErrors(errors, words)


def test_words_are_found_without_case_and_punctuation() -> None:
    assert find_words("Don’t – “stop”, 12 Übel!") == ["don't", "stop", "12", "übel"]


def test_speech_is_counted_where_there_is_some() -> None:
    assert 4 < measure_speech(example_speech()[0]) < 6
    assert measure_speech(noise(2)) == 0


def test_delays_are_those_of_each_stretch_of_speech() -> None:
    speech, pause = example_speech()[0][: 2 * RATE], np.zeros(RATE, np.float32)
    original = np.concatenate([pause, speech, pause, speech])
    late = np.concatenate([pause, speech, pause[: RATE * 4 // 5], speech, pause[RATE * 4 // 5 :]])
    assert measure_delays(original, original).tolist() == [0, 0]
    np.testing.assert_allclose(measure_delays(original, late), [0, 0.2], atol=0.04)
    assert measure_delays(original, 0 * original).size == 0
    assert measure_delays(speech[:0], speech).size == 0


def test_distance_is_zero_to_itself_at_any_level_and_grows_with_what_is_taken() -> None:
    speech = example_speech()[0][: 2 * RATE]
    assert measure_distance(speech, speech) == 0
    assert measure_distance(speech, 0.5 * speech) == pytest.approx(0, abs=0.01)
    slightly = measure_distance(speech, speech + 0.001 * noise(2))
    greatly = measure_distance(speech, speech + 0.1 * noise(2))
    assert 0 < slightly < greatly
    assert np.isnan(measure_distance(speech, speech[:-1]))
    assert np.isnan(measure_distance(0 * speech, speech))


@pytest.mark.skipif(not find_spec("pyworld"), reason="not installed")
def test_roughness_is_small_for_a_steady_voice_and_nan_without_one() -> None:
    assert measure_roughness(hum(1, 125)) < 3
    wobble = np.random.default_rng(0).uniform(0.97, 1.03, 120).cumsum() / 125
    rough = np.zeros(RATE)
    rough[(wobble * RATE).astype(int)] = 0.5
    assert measure_roughness(rough) > 2 * measure_roughness(hum(1, 125)) + 3
    assert np.isnan(measure_roughness(noise(1)))
    assert np.isnan(measure_roughness(np.zeros(RATE)))
    assert np.isfinite(measure_roughness(tones(1, 200)))


@pytest.mark.skipif(not find_spec("moonshine_voice"), reason="not installed")
def test_words_are_heard_in_speech_and_none_in_noise() -> None:
    text = "If you read one page aloud every day, your voice will become clear and calm"
    heard = recognise(example_speech()[0])
    assert count_errors(text, " ".join(heard.split()[:15])).errors <= 1
    often = np.tile(example_speech()[0][: 5 * RATE], 5)
    assert len(find_words(recognise(often))) > 4 * 12  # longer than one piece
    for quiet in (noise(1), np.zeros(RATE), np.zeros(0)):
        assert recognise(quiet.astype(np.float32)) == ""
