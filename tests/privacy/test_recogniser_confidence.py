"""What the recogniser made up is told from what it heard."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec

import numpy as np
import pytest

from helpers.sounds import RATE, load_example
from speech2face.media import load_audio
from speech2face.privacy.asr import transcribe
from speech2face.privacy.recogniser_confidence import (
    ENOUGH,
    LEAST_CONFIDENCE,
    Evidence,
    judge_utterances,
    measure_confidence,
)

GERMAN = "Die Behörde hat den Bericht nie veröffentlicht, obwohl viele Menschen davon wussten."
RUSSIAN = "Министерство так и не опубликовало доклад, хотя многие знали о нём."
SPANISH = "El ministerio nunca publicó el informe, aunque mucha gente conocía su contenido."
needs_recogniser = pytest.mark.skipif(not find_spec("moonshine_voice"), reason="not installed")


def say(count: int, log_probability: float, first: int = 10) -> Evidence:
    """So many tokens, none of them twice."""
    return Evidence(tuple(range(first, first + count)), (log_probability,) * count)


def speak(language: str, text: str) -> np.ndarray:
    command = ["espeak-ng", "-v", language, "--stdin", "--stdout"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    return load_audio(done.stdout).samples


def test_improbable_words_are_not_believed_and_repeated_ones_neither() -> None:
    assert judge_utterances([say(20, -0.1)]) == [(pytest.approx(-0.1), True)]
    assert judge_utterances([say(20, -1.5)]) == [(pytest.approx(-1.5), False)]
    looping = Evidence((1, 2, 3) * 8, (-0.4,) * 3 + (0.0,) * 21)  # sure only of what it repeats
    confidence = measure_confidence(looping)
    # Of 24 tokens 3 are new, and so is the first step back from the last to the first.
    assert confidence == pytest.approx(-0.3 - 20 / 24)
    assert confidence < LEAST_CONFIDENCE


def test_a_short_utterance_is_judged_with_its_neighbours() -> None:
    short = say(ENOUGH // 4, -1.0)
    assert not judge_utterances([short])[0][1]
    among_sure = judge_utterances([say(20, -0.1), short, say(20, -0.1)])
    assert [understood for _, understood in among_sure] == [True] * 3
    sure = say(ENOUGH // 4, -0.1)
    among_unsure = judge_utterances([say(20, -1.5), sure, say(20, -1.5)])
    assert [understood for _, understood in among_unsure] == [False] * 3
    long = judge_utterances([say(20, -1.5), say(ENOUGH, -0.1), say(20, -1.5)])
    assert [understood for _, understood in long] == [False, True, False]


def test_where_no_word_was_heard_nothing_is_believed() -> None:
    assert judge_utterances([]) == []
    nothing = Evidence((), ())
    assert [kept for _, kept in judge_utterances([say(20, 0), nothing, say(20, 0)])] == [1, 0, 1]


@needs_recogniser
def test_what_is_said_is_heard_with_its_times() -> None:
    quiet = np.zeros(RATE, np.float32)
    speech = [load_example("alex"), load_example("emma")]
    heard = transcribe(np.concatenate([quiet, speech[0], quiet, speech[1]]))
    assert all(utterance.understood for utterance in heard)
    assert heard[0].text.startswith("If you read one page aloud")
    assert heard[0].start == pytest.approx(1.1, abs=0.15)
    assert heard[0].end == pytest.approx(1 + len(speech[0]) / RATE, abs=0.2)
    assert heard[1].text.startswith("The morning began")
    assert heard[1].start == pytest.approx(2 + len(speech[0]) / RATE, abs=0.2)
    assert transcribe(quiet) == transcribe(quiet[:0]) == []


@needs_recogniser
@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
@pytest.mark.parametrize(("language", "text"), [("de", GERMAN), ("ru", RUSSIAN), ("es", SPANISH)])
def test_another_language_is_not_understood_and_english_around_it_is(
    language: str, text: str
) -> None:
    quiet, english = np.zeros(RATE, np.float32), load_example("alex")
    other = speak(language, text)
    heard = transcribe(np.concatenate([english, quiet, other, quiet, english]))
    middle = [len(english) / RATE, (len(english) + len(other)) / RATE + 2]
    for utterance in heard:
        assert utterance.understood == (not middle[0] < utterance.start < middle[1])
    assert {utterance.understood for utterance in heard} == {True, False}
