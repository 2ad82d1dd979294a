"""Recordings of any length: pieces, joints, files; and the command on a real process."""

from __future__ import annotations

import os
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import command
from helpers.sounds import RATE, example_speech, noise
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.media import load_audio
from speech2face.privacy.anonymise_recording import anonymise_recording, write_sound
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.chunking import LONGEST, MOMENT, cut_pieces, join_pieces


class Unchanged:
    name = "unchanged"

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        assert len(samples) <= LONGEST
        return samples


@settings(max_examples=15)
@given(st.lists(st.integers(0, 30 * RATE), max_size=4), st.integers(0, 9))
def test_pieces_that_are_not_changed_give_the_sound_back(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    blocks = [random.uniform(-1, 1, n).astype(np.float32) for n in lengths]
    pieces = list(cut_pieces(blocks))
    assert all(len(piece) <= LONGEST for piece in pieces)
    again = np.concatenate(list(join_pieces(pieces)))
    np.testing.assert_allclose(again, np.concatenate([np.empty(0), *blocks]), atol=1e-6)


def test_a_piece_ends_where_it_is_quiet() -> None:
    sound = noise(30)
    sound[17 * RATE : 17 * RATE + MOMENT] = 0
    first, second = cut_pieces([sound])
    assert len(first) == 17 * RATE + MOMENT
    assert not second[:MOMENT].any()


def test_a_long_recording_takes_no_more_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What listening to the result takes is tests/test_speech.py's.
    listening = "speech2face.privacy.anonymise_recording.find_speech"
    monkeypatch.setattr(listening, lambda *_, **__: None)
    recording, target = tmp_path / "long.flac", tmp_path / "out.flac"
    soundfile.write(recording, np.tile(noise(30), 30), RATE)  # 15 minutes, 58 MB as float32
    tracemalloc.start()
    anonymise_recording(recording, target, Unchanged(), 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
    assert soundfile.info(target).frames == 15 * 60 * RATE


def test_there_are_no_gaps_where_pieces_are_joined(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    pieces = cut_pieces([noise(45)])
    write_sound(join_pieces(load_anonymiser("mcadams")(p, 0) for p in pieces), target)
    heard = load_audio(target).samples
    assert len(heard) == 45 * RATE
    levels = (heard[RATE:-RATE].reshape(-1, RATE // 10) ** 2).mean(1)
    assert levels.min() > 0.4 * levels.max()


@pytest.mark.parametrize("ending", [".wav", ".flac", ".WAV"])
def test_a_file_is_what_was_written_mono_16_khz_16_bits(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out{ending}"
    sound = noise(1.3)
    write_sound([sound[:5000], sound[5000:5001], sound[5001:]], target)
    again, rate = soundfile.read(target, dtype="float32")
    assert (rate, soundfile.info(target).subtype) == (RATE, "PCM_16")
    np.testing.assert_allclose(again, sound, atol=1 / 32_000)
    assert os.listdir(tmp_path) == [target.name]


def test_nothing_of_the_input_but_its_sound_goes_in(tmp_path: Path) -> None:
    tagged = tmp_path / "tagged.flac"
    with av.open(tagged, "w") as output:
        output.metadata.update({"artist": "Jane Roe", "comment": "recorded at home"})
        track = output.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (example_speech()[0][None] * 32767).astype(np.int16), "s16", "mono"
        )
        frame.sample_rate = RATE
        output.mux([*track.encode(frame), *track.encode(None)])
    assert b"Jane Roe" in tagged.read_bytes()
    for ending in ("wav", "flac"):
        target = tmp_path / f"out.{ending}"
        anonymise_recording(tagged, target, load_anonymiser("mcadams"), 0)
        with av.open(target) as written:
            assert list(written.metadata) == ["comment"]
            assert "at home" not in written.metadata["comment"]
        assert b"Jane" not in target.read_bytes()
        assert b"Lavf6" not in target.read_bytes()


def test_a_target_that_cannot_be_is_refused_and_left_alone(tmp_path: Path) -> None:
    speech, unchanged = example_speech(), Unchanged()
    kept = tmp_path / "kept.wav"
    kept.write_bytes(b"dear to someone")
    for target, words in (
        (kept, "--force overwrites"),
        (tmp_path / "voice.mp3", "WAV or FLAC"),
        (tmp_path / "nowhere" / "voice.wav", "no such folder"),
        (tmp_path, "WAV or FLAC"),
    ):
        with pytest.raises(UsageError, match=words):
            anonymise_recording(speech, target, unchanged, 0)
    with pytest.raises(UnreadableMediaError):
        anonymise_recording(tmp_path / "none.wav", tmp_path / "out.wav", unchanged, 0)
    assert kept.read_bytes() == b"dear to someone"
    anonymise_recording(speech, kept, unchanged, 0, force=True)
    assert len(load_audio(kept).samples) == len(speech[0])
    assert os.listdir(tmp_path) == ["kept.wav"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail():
        yield noise(0.5)
        raise UsageError("stop")

    with pytest.raises(UsageError, match="stop"):
        write_sound(fail(), tmp_path / "out.wav")
    assert os.listdir(tmp_path) == []


class Mute:
    """Leaves nothing of the pieces with these numbers."""

    name = "mute"

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.count = numbers, 0

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        self.count += 1
        return samples * 0 if self.count in self.numbers else samples


class Hiss:
    name = "hiss"

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        return noise(len(samples) / RATE)


class Nothing:
    name = "nothing"

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        return samples[:0]


def test_a_disguise_that_leaves_no_speech_writes_nothing(tmp_path: Path, recording: Path) -> None:
    for anonymiser, source, words in (
        (Mute(1), recording, "no speech is left after mute"),
        (Hiss(), recording, "no speech is left after hiss"),
        (Nothing(), recording, "no speech is left after nothing"),
        (Unchanged(), (np.zeros(3 * RATE, np.float32), RATE), "no speech is left"),
    ):
        with pytest.raises(NoSpeechError, match=words):
            anonymise_recording(source, tmp_path / "out.flac", anonymiser, 0)
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(3 * RATE), RATE)
    with pytest.raises(NoSpeechError, match=r"silent.wav: silence"):
        anonymise_recording(silent, tmp_path / "out.flac", Unchanged(), 0)
    assert os.listdir(tmp_path) == ["silent.wav"]


def test_parts_of_which_nothing_is_left_are_named(tmp_path: Path) -> None:
    sound = np.resize(example_speech()[0], 70 * RATE)
    target = tmp_path / "out.wav"
    (warning,) = anonymise_recording((sound, RATE), target, Mute(2, 3), 0).warnings
    assert warning.startswith("mute left only silence of 2 parts of up to 20 s, the first at 0:1")
    assert soundfile.info(target).frames == 70 * RATE


@pytest.mark.parametrize("method", ["mcadams", "smoothing", "telephone", "vocoder"])
@pytest.mark.parametrize("seconds", [0.9, 5.3, 41.07])
def test_what_comes_out_is_as_long_as_what_went_in(
    tmp_path: Path, method: str, seconds: float
) -> None:
    sound = np.resize(example_speech()[0], round(seconds * RATE))
    target = tmp_path / "out.flac"
    anonymise_recording((sound, RATE), target, load_anonymiser(method), 0)
    assert soundfile.info(target).frames == len(sound)


def test_channels_out_of_phase_are_disguised_too(tmp_path: Path) -> None:
    sound, _ = example_speech()
    target = tmp_path / "out.flac"
    anonymise_recording((np.stack([sound, -sound]), RATE), target, load_anonymiser("mcadams"), 0)
    assert np.abs(load_audio(target).samples).max() > 0.5 * np.abs(sound).max()


# The command


run = partial(command.run, "anonymise")


def test_the_command_gives_a_recording_another_voice(tmp_path: Path, recording: Path) -> None:
    first, again, drawn = (tmp_path / f"{name}.wav" for name in ("first", "again", "drawn"))
    random = ("--method", "telephone")
    done = run(recording, first, *random, "--seed", 7)
    assert (done.returncode, done.stdout) == (0, f"{first}\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "speech2face: an attacker who trains on voices changed by telephone still gets"
    )
    with recording.open("rb") as file:
        assert run("-", again, *random, "--seed", 7, stdin=file).returncode == 0
    assert first.read_bytes() == again.read_bytes()
    assert run(recording, drawn, *random).returncode == 0
    assert drawn.read_bytes() != first.read_bytes()
    assert len(load_audio(first).samples) == len(load_audio(recording).samples)


def test_of_what_was_disguised_before_no_figures_are_told(tmp_path: Path, recording: Path) -> None:
    once, twice, again = (tmp_path / f"{name}.flac" for name in ("once", "twice", "again"))
    method = ("--method", "telephone")
    assert "still gets" in run(recording, once, *method).stderr
    done = run(once, twice, *method)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.endswith("was not measured")
    assert "by telephone; what is left after telephone on top of that" in line
    (line,) = run(twice, again, *method).stderr.splitlines()
    assert "more than once" in line
    done = run(recording, once, "--out-dir", tmp_path / "out", *method)
    assert "of the 1 of 2 that were plain before: an attacker" in done.stderr


def test_the_command_takes_several_and_does_all_it_can(tmp_path: Path, recording: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound at all")
    out = tmp_path / "out"
    copy = f"{sys.executable} -c 'import shutil, sys; shutil.copy(*sys.argv[1:])' {{in}} {{out}}"
    done = run(recording, broken, "--out-dir", out, "--command", copy)
    assert done.returncode == 6
    assert done.stdout == f"{out / 'emma.anonymous.flac'}\n"
    assert str(broken) in done.stderr
    assert os.listdir(out) == ["emma.anonymous.flac"]


def test_the_command_refuses_in_one_line(tmp_path: Path, recording: Path) -> None:
    broken, out = tmp_path / "broken.wav", tmp_path / "out.wav"
    broken.write_bytes(b"no sound at all")
    for exit_code, words, arguments in (
        (3, "is not sound", (broken, out)),
        (2, "--out-dir", (recording,)),
        (2, "WAV or FLAC", (recording, tmp_path / "voice.ogg")),
        (2, "no anonymiser wizard", (recording, out, "--method", "wizard")),
        (5, "failed with status 1", (recording, out, "--command", "false {in} {out}")),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (exit_code, ""), done.stderr
        (line,) = done.stderr.splitlines()
        assert words in line
    assert os.listdir(tmp_path) == ["broken.wav"]
