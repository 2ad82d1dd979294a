"""People in a recording are told apart, and nobody is taken for two."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.sounds import EXAMPLES, load_example, noise, talk
from speech2face import speakers
from speech2face.errors import UsageError
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.speakers import Speaker, describe_speakers
from speech2face.speech import find_each_speaker, find_speech

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.flac"))


def seconds_within(segments: list[tuple[float, float]], start: float, end: float) -> float:
    return sum(max(0.0, min(b, end) - max(a, start)) for a, b in segments)


@pytest.mark.parametrize("name", NAMES)
def test_one_person_is_one_and_chosen_as_if_nobody_looked(name: str) -> None:
    sound = (load_example(name), SAMPLE_RATE)
    speech, plain = find_speech(sound), find_speech(sound, speaker="anyone")
    assert [who.number for who in speech.speakers] == [speech.speaker] == [1]
    assert speech.warnings == ()
    np.testing.assert_array_equal(speech.samples, plain.samples)
    assert speech.segments == plain.segments
    assert list(speech.speakers[0].segments) == speech.segments


def test_two_people_are_told_apart() -> None:
    sound, (_, second, third, end) = talk(("emma", 4), ("george", 5), ("emma", 4))
    emma, george = find_each_speaker((sound, SAMPLE_RATE))
    assert [who.number for who in emma.speakers] == [1, 2]
    assert (emma.speaker, george.speaker) == (1, 2)
    assert seconds_within(george.segments, second, third) > 0.95 * george.speech_seconds > 3
    assert seconds_within(emma.segments, second, third) < 0.05 * emma.speech_seconds
    assert seconds_within(emma.segments, third, end) > 2.5
    for who, speech in zip(emma.speakers, (emma, george), strict=True):
        assert who.speech_seconds == pytest.approx(speech.speech_seconds, abs=0.7)
        assert seconds_within(list(who.segments), 0, end) == pytest.approx(who.speech_seconds)


def test_who_speaks_most_is_chosen_and_everyone_told() -> None:
    sound, (_, second, _) = talk(("emma", 4), ("michael", 6))
    speech = find_speech((sound, SAMPLE_RATE))
    assert speech.speaker == 1
    assert seconds_within(speech.segments, 0, second) < 0.3
    told = describe_speakers(speech.speakers)
    assert speech.warnings == (f"{told}; only speaker 1 was used",)
    assert told.startswith("2 people speak, 1 for ")
    other = find_speech((sound, SAMPLE_RATE), speaker=2)
    assert seconds_within(other.segments, 0, second) > 0.9 * other.speech_seconds
    assert other.warnings == ()


def test_three_people_of_whom_two_speak_at_once() -> None:
    sound, (*_, fourth, _) = talk(("emma", 4), ("george", 5), ("sara", 4.5), ("emma", 4))
    early = round((fourth - 1) * SAMPLE_RATE)
    sound[early : early + 2 * SAMPLE_RATE] += load_example("george", 2)
    assert len(find_speech((sound, SAMPLE_RATE)).speakers) == 3


def test_there_is_no_such_speaker() -> None:
    sound = (load_example("emma"), SAMPLE_RATE)
    with pytest.raises(UsageError, match="one person speaks; there is no speaker 2"):
        find_speech(sound, speaker=2)
    for wrong in (0, -1, "loudest", "all", 1.5, True):
        with pytest.raises(UsageError):
            find_speech(sound, speaker=wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"not 'longst'\. Did you mean longest\?"):
        find_speech(sound, speaker="longst")


def test_people_in_a_channel_each_are_told_apart_to_the_moment() -> None:
    emma, george = (load_example(name, 8) for name in ("emma", "george"))
    turn = 2 * SAMPLE_RATE
    both = np.zeros((2, 16 * SAMPLE_RATE), np.float32)
    for k in range(4):
        both[0, 2 * k * turn :][:turn] = emma[k * turn :][:turn]
        both[1, (2 * k + 1) * turn :][:turn] = george[k * turn :][:turn]
    hiss = 0.001 * np.stack([noise(16, seed=k) for k in range(2)])
    found = find_each_speaker((both + hiss, SAMPLE_RATE))
    assert len(found) == 2
    for speech in found:
        own = [seconds_within(speech.segments, 4 * k, 4 * k + 2) for k in range(4)]
        first = sum(own) > speech.speech_seconds / 2
        right = sum(own) if first else speech.speech_seconds - sum(own)
        assert right > 0.98 * speech.speech_seconds


@pytest.mark.parametrize("levels", [(1, 1), (1, 0.5), (1, 0), (1, -1)])
def test_one_voice_in_two_channels_is_one(levels: tuple[float, float]) -> None:
    sound = np.outer(levels, load_example("emma"))
    assert len(find_speech((sound, SAMPLE_RATE)).speakers) == 1


def test_a_voice_that_changes_sides_is_one() -> None:
    sound = np.stack([load_example("emma", 10), np.zeros(10 * SAMPLE_RATE, np.float32)])
    sound[:, 5 * SAMPLE_RATE :] = sound[::-1, 5 * SAMPLE_RATE :]
    assert len(find_speech((sound, SAMPLE_RATE)).speakers) == 1


def test_of_a_long_recording_few_windows_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speakers, "MOST_WINDOWS", 24)
    sound, starts = talk(*[("emma", 9), ("george", 5)] * 5)
    speech = find_speech((sound, SAMPLE_RATE))
    assert len(speech.speakers) == 2
    of_emma = sum(
        seconds_within(speech.segments, a, b)
        for a, b in zip(starts[:-1:2], starts[1::2], strict=True)
    )
    assert of_emma > 0.95 * speech.speech_seconds > 7
    first, second = (who.speech_seconds for who in speech.speakers)
    assert first / (first + second) == pytest.approx(9 / 14, abs=0.15)


def test_of_a_part_of_a_recording_times_are_those_of_the_whole() -> None:
    sound, (_, second, third, _) = talk(("emma", 4), ("george", 6), ("emma", 4))
    george, emma = find_speech((sound, SAMPLE_RATE), start=2.5).speakers
    within = seconds_within(list(george.segments), second, third)
    assert within > 0.95 * george.speech_seconds
    assert emma.segments[0][0] >= 2.5
    assert seconds_within(list(emma.segments), second, third) < 0.2


def test_speakers_in_words_and_as_json() -> None:
    alone, other = Speaker(1, 41.23, ((0.0, 41.23),)), Speaker(2, 12.0, ((41.2304, 53.2304),))
    assert describe_speakers([alone]) == "one person speaks"
    assert describe_speakers([alone, other]) == "2 people speak, 1 for 41.2 s and 2 for 12.0 s"
    assert other.as_json()["segments"] == [[41.23, 53.23]]


ACTORS = EXAMPLES.parent / "shared" / "data" / "ravdess" / "audio"


@pytest.mark.skipif(not ACTORS.is_dir(), reason="needs the recordings of actors")
@pytest.mark.parametrize("actor", ["04", "11", "20"])
def test_one_actor_in_eight_emotions_is_one(actor: str) -> None:
    clips = [load_audio(path).samples for path in sorted(ACTORS.glob(f"*-{actor}.flac"))]
    assert len(clips) == 8
    assert len(find_speech((np.concatenate(clips), SAMPLE_RATE)).speakers) == 1
