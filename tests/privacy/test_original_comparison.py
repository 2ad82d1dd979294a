"""A disguised recording beside its original: the same speech or not."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from helpers.sounds import EXAMPLES, RATE, talk
from speech2face.media import load_audio
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.original_comparison import (
    CourseStream,
    correlate_courses,
    find_same_speaker,
    judge_pair,
)
from speech2face.speech import find_each_speaker


def stream(samples: np.ndarray) -> CourseStream:
    stream = CourseStream((samples, RATE), 32.0)
    for _ in stream:
        pass
    return stream


def speech(name: str) -> np.ndarray:
    return load_audio(EXAMPLES / f"{name}.flac").samples


@pytest.mark.parametrize(
    "method", ["mcadams", "mcadams-random", "smoothing", "telephone", "vocoder"]
)
def test_a_disguise_is_known_as_of_the_same_speech(method: str):
    original = speech("emma")
    disguised = load_anonymiser(method)(original, 5)
    assert judge_pair(stream(original), stream(disguised), own_pace=False).same is True


def test_faster_or_later_speech_is_the_same():
    original = speech("george")
    faster = soxr.resample(original, RATE, RATE / 1.2)
    later = np.pad(original, (RATE // 2, 0))
    long_pauses = np.pad(original, 4 * RATE)
    for other in (faster, later, long_pauses):
        assert judge_pair(stream(original), stream(other), own_pace=False).same is True


def test_other_speech_is_not_the_same():
    streams = {name: stream(speech(name)) for name in ("emma", "george", "bella", "alex")}
    for name, one in streams.items():
        others = [other for key, other in streams.items() if key != name]
        assert all(judge_pair(one, other, own_pace=False).same is not True for other in others)
    short = stream(speech("emma")[: 2 * RATE])
    assert judge_pair(streams["emma"], short, own_pace=True).same is False  # by its length
    assert judge_pair(streams["emma"], streams["george"], own_pace=True).same is None


def test_too_short_sounds_are_not_compared():
    assert correlate_courses(np.zeros(3), np.zeros(500)) == 0


def test_the_same_speaker_of_an_original_speaks_at_the_same_time():
    original, (_, second, third, *_) = talk(("emma", 5), ("george", 4), ("emma", 3), ("george", 3))
    disguised = load_anonymiser("mcadams")(original, 5)
    disguised[round(third * RATE) :][: 3 * RATE] = 0  # now he speaks more than she does
    man, woman = find_each_speaker((disguised, RATE))
    for speech, number in ((man, 2), (woman, 1)):
        same = find_same_speaker(CourseStream((original, RATE), 32.0), speech)
        assert same.speaker == number
        assert same.warnings[-1].endswith(f"; speaker {number} was used")
    alone = CourseStream((original[: round(second * RATE)], RATE), 32.0)
    same = find_same_speaker(alone, man)
    assert (same.speaker, same.warnings) == (1, ())
