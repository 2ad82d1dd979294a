"""Several recordings of one person: one speech of them, and a warning where they are not one's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.sounds import EXAMPLES, noise
from speech2face import Speech2Face
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.joined_speech import compare_voices, find_joined_speech
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.speech import find_speech


def halves(name: str) -> list[tuple[np.ndarray, int]]:
    """Two recordings of one example's voice."""
    samples = load_audio(EXAMPLES / f"{name}.flac").samples
    middle = len(samples) // 2
    return [(samples[:middle], SAMPLE_RATE), (0.3 * samples[middle:], SAMPLE_RATE)]


def test_all_that_each_recording_holds_is_in_it() -> None:
    first, second = halves("emma")
    joined = find_joined_speech([first, second])
    alone = [find_speech(first), find_speech(second)]
    assert joined.speech_seconds == sum(speech.speech_seconds for speech in alone)
    assert joined.analysed_seconds == sum(speech.analysed_seconds for speech in alone)
    assert joined.warnings == ()
    assert [facts.segments for facts in joined.recordings] == [s.segments for s in alone]
    assert len(joined.samples) == sum(len(speech.samples) for speech in alone) - 80
    levels = [np.std(part) for part in np.array_split(joined.samples, 2)]
    assert levels[0] == pytest.approx(levels[1], rel=0.4)  # the quiet one is raised


def test_each_gives_an_equal_share_of_what_is_used() -> None:
    voices = [load_audio(path).samples for path in sorted(EXAMPLES.glob("*.flac"))]
    hour = (np.resize(np.concatenate(voices), 50 * SAMPLE_RATE), SAMPLE_RATE)
    joined = find_joined_speech([hour, hour], speaker="anyone", max_seconds=24)
    assert [round(facts.speech_seconds) for facts in joined.recordings] == [12, 12]
    joined = find_joined_speech([hour] * 3, speaker="anyone", max_seconds=24)
    assert [round(facts.speech_seconds) for facts in joined.recordings] == [10, 10, 10]


def test_one_of_them_alone_is_itself() -> None:
    path = EXAMPLES / "emma.flac"
    joined = find_joined_speech([path])
    np.testing.assert_array_equal(joined.samples, find_speech(path).samples)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ("gone.wav", UnreadableMediaError, r"gone\.wav"),
        ((noise(3), SAMPLE_RATE), NoSpeechError, "the array"),
        (3.5, UsageError, "no recording"),
    ],
)
def test_none_is_left_out_in_silence(
    wrong: object, error: type[Exception], words: str, tmp_path: Path
) -> None:
    if wrong == "gone.wav":
        wrong = tmp_path / "gone.wav"
    with pytest.raises(error, match=words):
        find_joined_speech([EXAMPLES / "emma.flac", wrong])
    with pytest.raises(UsageError, match="no recordings"):
        find_joined_speech([])


def test_who_is_not_the_person_of_the_others_is_named() -> None:
    voices = {name: [part for part, _ in halves(name)] for name in ("emma", "george", "sara")}
    assert compare_voices(["a", "b"], voices["emma"]) == ()
    assert compare_voices(["a"], voices["emma"][:1]) == ()
    (odd,) = compare_voices(["a", "b", "c"], [*voices["emma"], voices["george"][0]])
    assert odd == "c does not sound like the person of the other recordings"
    (odd,) = compare_voices(["c", "a"], [voices["george"][0], voices["emma"][0]])
    assert odd == "the recordings sound like 2 people's: c; a"
    mixed = [*voices["emma"], voices["george"][0], voices["sara"][0]]
    (odd,) = compare_voices(["a", "b", "c", "d"], mixed)
    assert odd == "the recordings sound like 3 people's: a and b; c; d"
    two = compare_voices(["a", "b", "c", "d"], [*voices["emma"], *voices["sara"]])
    assert two == ("the recordings sound like 2 people's: a and b; c and d",)


def test_in_python_a_list_is_of_one_person(model: Speech2Face) -> None:
    parts = halves("emma")
    voice = model.embed(parts)
    assert len(voice.speech.recordings) == 2
    mean = model.encode(find_joined_speech(parts).samples[None])[0][0]
    np.testing.assert_array_equal(voice.mean, mean)
    face = model.reconstruct([EXAMPLES / "emma.flac", EXAMPLES / "george.flac"])
    assert "2 people's" in face.warnings[-1]
    row = json.loads(json.dumps(face.voice.speech.as_json()))
    assert [Path(each["input"]).name for each in row["recordings"]] == ["emma.flac", "george.flac"]
    with pytest.raises(UsageError, match="one recording"):
        model.embed(parts, start=1)
