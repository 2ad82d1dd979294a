"""The command as its users meet it: real processes, their exit codes and what they print."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from helpers.command import COMMAND, refuse, run, succeed
from helpers.sounds import EXAMPLES, RATE, encode, example_speech, noise
from speech2face import __version__
from speech2face.cli import commands
from speech2face.cli.help_pages import describe_parameter
from speech2face.media import load_audio
from speech2face.model_folders import find_model

AS_ROOT = os.geteuid() == 0


def read_rows(done: subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def size_of(path: str | Path) -> tuple[int, int]:
    """Width and height of a picture that can be read to its end."""
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def speak(rate: int = RATE) -> np.ndarray:
    """Five seconds of speech, float32 (n,), at `rate` Hz."""
    import soxr

    samples, original = example_speech()
    return soxr.resample(samples, original, rate)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# What cannot be drawn


def wav(samples: np.ndarray) -> bytes:
    return encode(samples.astype(np.float32), RATE, "wav", "pcm_s16le")


BAD_INPUTS: dict[str, tuple[int, str, Callable[[], bytes]]] = {
    "empty.wav": (3, "is empty", bytes),
    "notes.wav": (3, "is not sound", lambda: b"Dear diary,\n" * 100),
    "picture.png": (3, "is not sound", lambda: b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "start.mp3": (3, "cut off", lambda: encode(speak(), RATE, "mp3", "libmp3lame")[:60]),
    "mute.mp4": (3, "no sound", lambda: encode(np.empty(0), RATE, "mp4", "aac", video=True)),
    "short.wav": (4, "lasts only 0.2 s", lambda: wav(speak()[RATE : RATE * 6 // 5])),
    "silence.wav": (4, "silence", lambda: wav(np.zeros(5 * RATE))),
    "noise.wav": (4, "no speech", lambda: wav(noise(5))),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_a_bad_recording_is_named_in_one_line(name: str, tmp_path: Path, out: Path) -> None:
    exit_code, words, make = BAD_INPUTS[name]
    (tmp_path / name).write_bytes(make())
    line = refuse(exit_code, "reconstruct", tmp_path / name, "--out-dir", out)
    assert str(tmp_path / name) in line
    assert words in line
    assert list(out.iterdir()) == []


def test_what_cannot_be_opened_is_named_in_one_line(tmp_path: Path, out: Path) -> None:
    assert "does not exist" in refuse(3, "reconstruct", tmp_path / "no.wav", "--out-dir", out)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(AS_ROOT, reason="root may read and write everything")
def test_permissions_are_told(tmp_path: Path, recording: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(speak()))
    secret.chmod(0)
    assert "may not be read" in refuse(3, "reconstruct", secret, "-o", tmp_path / "face.png")
    locked = tmp_path / "locked"
    locked.mkdir(0o555)
    assert "no permission" in refuse(2, "reconstruct", recording, "--out-dir", locked)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["paint"], "No such command: paint; see speech2face --help."),
        (["recon", "a.wav"], "No such command: recon. Did you mean reconstruct?"),
        (["recontruct", "a.wav"], "No such command: recontruct. Did you mean reconstruct?"),
        (["train", "voice-encder"], "No such command: voice-encder. Did you mean voice-encoder?"),
        (["--nonsense"], "No such option: --nonsense; see speech2face --help."),
        (["--verison"], "No such option: --verison. Did you mean --version?"),
        (
            ["reconstruct", "a.wav", "--strenght", "1"],
            "No such option: --strenght. Did you mean --strength?",
        ),
        (["reconstruct", "a.wav", "--seeds=1"], "No such option: --seeds. Did you mean --seed?"),
        (["reconstruct", "a.wav", "-size", "9"], "No such option: -size. Did you mean --size?"),
        (["evaluate", "pairs", "x", "--flods", "3"], "Did you mean --folds?"),
        (["serve", "--port"], "'--port' needs a value"),
        (["evaluate", "card", "a", "b", "c"], "Too many arguments: c"),
        (["evaluate", "trials", "a", "b", "--right", "0"], "'--right': give a number, 1 or more"),
        (["reconstruct"], "Missing argument"),
        (["reconstruct", "a.wav", "--nonsense"], "No such option: --nonsense"),
        (["reconstruct", "a.wav", "--size", "0"], "'--size': give a number, 16 to 2048"),
        (["reconstruct", "a.wav", "--samples", "1000000000"], "--samples"),
        (["reconstruct", "a.wav", "--seed", "one"], "--seed"),
        (["reconstruct", "a.wav", "b.wav", "--strength", "1.6"], "give a number, 0 to 1.5"),
        (["reconstruct", "a.wav", "b.wav", "--strength", "nan"], "give a number, 0 to 1.5"),
        (["reconstruct", "a.wav", "b.wav", "--style", "oil"], "style is plain or cartoon"),
        (["reconstruct", "a.wav", "b.wav", "--hair", "99"], "hair "),
        (["reconstruct", "a.wav", "b.wav", "--hair", "long"], "hair "),
        (["reconstruct", "a.wav", "b.wav", "-o", "face.png"], "face.png cannot hold 2 outputs"),
        (["reconstruct", "a.wav", "-o", "face.png", "--out-dir", "."], "give one of them"),
        (["reconstruct", "a.wav", "--force", "--skip-existing"], "give one"),
        (["reconstruct", ""], "an input is empty"),
        (["reconstruct", "."], "no recordings in this folder"),
        (["reconstruct", "calls/**/*.wav"], "matches no recording"),
        (["anonymise", "http://example.org/a.wav", "b.wav"], "addresses are not opened"),
        (["audit", "."], "no recordings in this folder"),
        (["reconstruct", "a.wav", "-o", "face.jpg"], "pictures are PNG"),
        (["reconstruct", "a.wav", "-o", "no/face.png"], "no: no such folder"),
        (["reconstruct", "a.wav", "-o", "."], "is a folder"),
        (["reconstruct", "a.wav", "--out-dir", "/dev/null/faces"], "Not a directory"),
        (["reconstruct", "a.wav", "--out-dir", "/dev/null"], "a file, not a folder"),
        (["embed"], "Missing argument"),
        (["train", "voice"], "No such command: voice"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    assert words in refuse(2, *arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_or_damaged(tmp_path: Path, recording: Path) -> None:
    face = tmp_path / "face.png"
    call = ["reconstruct", recording, "-o", face, "--model"]
    assert "no model nobody" in refuse(5, *call, "nobody")
    damaged = tmp_path / "damaged"
    shutil.copytree(find_model().folder, damaged)
    with (damaged / "face_decoder.onnx").open("r+b") as file:
        file.truncate(1000)
    line = refuse(5, *call, damaged)
    assert "face_decoder.onnx is not the file on its card" in line
    assert not face.exists()


def test_nothing_is_overwritten_unless_forced(tmp_path: Path, recording: Path) -> None:
    face = tmp_path / "face.png"
    face.write_text("mine")
    assert "--force overwrites it" in refuse(2, "reconstruct", recording, "-o", face)
    assert face.read_text() == "mine"
    succeed("reconstruct", recording, "-o", face, "--force")
    assert size_of(face) == (224, 224)
    assert list(tmp_path.iterdir()) == [face]


def test_a_disk_that_takes_no_more_leaves_nothing_behind(out: Path, recording: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    arguments = ["reconstruct", recording, "--out-dir", out]
    assert "cannot be written" in refuse(1, *arguments, preexec_fn=limit)
    assert list(out.iterdir()) == []


def test_a_full_disk_under_stdout_is_told(recording: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "embed", str(recording)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "speech2face: No space left on device.\n"


# What can


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("telephone.wav", lambda: encode(speak(8_000), 8_000, "wav", "pcm_u8")),
        ("studio.flac", lambda: encode(speak(96_000), 96_000, "flac", "flac")),
        (
            "surround.wav",
            lambda: encode(np.stack([speak()] * 6), RATE, "wav", "pcm_s16le", layout="5.1"),
        ),
        ("video.mp4", lambda: encode(speak(48_000), 48_000, "mp4", "aac", video=True)),
        ("no suffix, ünlaut", lambda: encode(speak(48_000), 48_000, "ogg", "libopus")),
    ],
)
def test_all_kinds_of_recordings_are_drawn(
    name: str, data: Callable[[], bytes], tmp_path: Path, out: Path
) -> None:
    source = tmp_path / name
    source.write_bytes(data())
    done = succeed("reconstruct", source, "--out-dir", out)
    face = out / f"{source.stem}.face.png"
    assert done.stdout == f"{face}\n"
    (line,) = done.stderr.splitlines()
    assert re.match(rf"speech2face: {re.escape(str(source))}: used \d\.\d s of speech: 0:0", line)
    assert size_of(face) == (224, 224)
    assert sorted(tmp_path.iterdir()) == sorted([source, out])


def test_damage_is_told_as_a_warning(tmp_path: Path) -> None:
    mp3 = encode(speak(44_100), 44_100, "mp3", "libmp3lame")
    (tmp_path / "half.mp3").write_bytes(mp3[: len(mp3) // 2])
    doubles = bytearray(encode(speak(), RATE, "wav", "pcm_f64le", sample_format="dbl"))
    doubles[-8000:-7920] = np.full(10, np.nan).tobytes()
    (tmp_path / "nan.wav").write_bytes(doubles)
    for name, words in (("half.mp3", "the file ends early"), ("nan.wav", "10 samples were not")):
        done = succeed("reconstruct", tmp_path / name, "-o", tmp_path / f"{name}.png")
        used, line = done.stderr.splitlines()
        assert used.startswith(f"speech2face: {tmp_path / name}: used ")
        assert line.startswith(f"speech2face: {tmp_path / name}: {words}")


def test_from_to_and_the_seconds_that_were_used(tmp_path: Path) -> None:
    path = tmp_path / "interview.wav"
    path.write_bytes(wav(np.concatenate([np.resize(speak(), 20 * RATE), np.zeros(50 * RATE)])))
    part = ["--from", "0:03", "--to", "8.5"]
    done = succeed("embed", path, *part)
    (row,) = read_rows(done)
    assert done.stderr == ""
    assert row["analysed_seconds"] == 5.5
    assert 3 <= row["segments"][0][0] < row["segments"][-1][1] <= 8.5
    first = "0:{:04.1f}–0:{:04.1f}".format(*row["segments"][0])
    used = f"{path}: used {row['speech_seconds']:.1f} s of speech: {first}"
    for command in (["reconstruct", path, "-o", tmp_path / "face.png"], ["audit", path]):
        done = succeed(*command, *part)
        assert used in done.stderr
        assert done.stderr.endswith(" (of 0:03.0–0:08.5)\n")
    done = succeed("reconstruct", path, "-o", tmp_path / "whole.png")
    assert done.stderr.endswith(" (of 1:10)\n")


def test_of_two_people_each_can_be_drawn(tmp_path: Path) -> None:
    voices = [
        load_audio(EXAMPLES / f"{name}.flac").samples[: 4 * RATE] for name in ("emma", "george")
    ]
    path = tmp_path / "two.wav"
    path.write_bytes(wav(np.concatenate([voices[0], np.zeros(RATE // 2), voices[1], voices[0]])))
    both = [tmp_path / "two.face.png", tmp_path / "two.speaker2.face.png"]
    done = succeed("reconstruct", path, "--out-dir", tmp_path)
    assert done.stdout == f"{both[0]}\n"
    used, warning = done.stderr.splitlines()
    assert f"{path}, speaker 1: used " in used
    assert re.search(r"2 people speak, 1 for \d\.\d s and 2 for \d\.\d s; only speaker 1 ", warning)
    done = succeed("reconstruct", path, "--out-dir", tmp_path, "--speaker", "2")
    assert done.stdout == f"{both[1]}\n"
    assert len(done.stderr.splitlines()) == 1
    pictures = [picture.read_bytes() for picture in both]
    assert pictures[0] != pictures[1]
    done = succeed("reconstruct", path, "--out-dir", tmp_path, "--speaker", "all", "--force")
    assert done.stdout == "".join(f"{picture}\n" for picture in both)
    assert [picture.read_bytes() for picture in both] == pictures
    (row,) = read_rows(succeed("embed", path, "--speaker", "all"))
    first, second = row["speakers"]
    assert (row["speaker"], first["number"], second["number"]) == (1, 1, 2)
    assert first["mean"] == row["mean"] != second["mean"]
    assert 4 < second["used_segments"][0][0] < second["used_segments"][-1][1] < 9
    (row,) = read_rows(succeed("audit", path, "--speaker", "2", "--json"))
    assert (row["speaker"], len(row["speakers"])) == (2, 2)
    for speaker, words in {
        "3": "2 people speak, 1 for",
        "0": "--speaker is longest, all or a number from 1, not '0'.",
        "9" * 5000: "--speaker is longest, all or a number from 1, not '999",
        "longset": "Did you mean longest?",
    }.items():
        assert words in refuse(2, "reconstruct", path, "--speaker", speaker)
    assert "an audit is of one person" in refuse(2, "audit", path, "--speaker", "all")


def test_several_recordings_of_one_person_give_one_face(tmp_path: Path, out: Path) -> None:
    middle = len(speak()) // 2
    paths = [tmp_path / "monday.wav", tmp_path / "friday.wav"]
    for path, part in zip(paths, (speak()[:middle], speak()[middle:]), strict=True):
        path.write_bytes(wav(part))
    done = succeed("reconstruct", "--together", *paths, "--out-dir", out, "--json")
    (row,) = read_rows(done)
    assert [each["input"] for each in row["recordings"]] == [str(path) for path in paths]
    assert row["speech_seconds"] == pytest.approx(
        sum(each["speech_seconds"] for each in row["recordings"]), abs=0.01
    )
    assert row["output"] == str(out / "monday.together.face.png")
    assert [path.name for path in out.iterdir()] == ["monday.together.face.png"]
    (voice,) = read_rows(succeed("embed", "--together", *paths))
    assert len(voice["recordings"]) == 2
    (audit,) = read_rows(succeed("audit", "--together", *paths, "--json"))
    assert audit["recordings"] == voice["recordings"]
    odd = succeed(
        "reconstruct", "--together", *paths, EXAMPLES / "george.flac", "--out-dir", out, "--force"
    )
    assert "george.flac does not sound like the person of the other recordings" in odd.stderr
    assert f"{paths[1]}: used" in odd.stderr
    silent = tmp_path / "silent.wav"
    silent.write_bytes(wav(np.zeros(3 * RATE)))
    assert "silent.wav: silence" in refuse(
        4, "reconstruct", "--together", *paths, silent, cwd=tmp_path
    )
    assert "gone.wav" in refuse(3, "audit", "--together", *paths, tmp_path / "gone.wav")
    assert "add --together" in refuse(2, "audit", *paths)
    for options in (["--speaker", "2"], ["--from", "1"], ["--track", "1"]):
        assert "not with --together" in refuse(2, "embed", "--together", *paths, *options)
    assert "not with --together" in refuse(2, "audit", "--together", *paths, "--original", paths[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "abc"], "--from is 'abc'; give seconds, M:SS or H:MM:SS"),
        (["--from", "-1"], "--from is '-1'; give seconds"),
        (["--to", "nan"], "--to is 'nan'; give seconds"),
        (["--from", "1:75"], "--from is '1:75'; give seconds"),
        (["--from", "5", "--to", "0:03"], "--to is 3 s; it must lie after --from, 5 s"),
        (["--to", "0"], "--to is 0 s; it must lie after --from, 0 s"),
        (["--from", "1:00:00"], "nothing is left from 3600 s on; start earlier"),
        (["--track", "2"], "1 sound track; there is no track 2"),
    ],
)
def test_parts_that_are_none_are_refused(options: list[str], words: str, recording: Path) -> None:
    assert words in refuse(2, "reconstruct", recording, "-o", "face.png", *options)


def test_a_batch_goes_on_after_a_bad_input(tmp_path: Path, out: Path, recording: Path) -> None:
    bad, last = tmp_path / "bad.wav", tmp_path / "last.wav"
    bad.write_bytes(b"")
    last.write_bytes(wav(speak()))
    inputs = [recording, bad, last]
    done = run("reconstruct", *inputs, "--out-dir", out, "--json")
    assert done.returncode == 6
    assert done.stderr == "speech2face: 1 of 3 inputs failed; all others were done.\n"
    rows = read_rows(done)
    assert [row["input"] for row in rows] == list(map(str, inputs))
    for row in (rows[0], rows[2]):
        assert row["error"] is None
        assert row["output"] == str(out / f"{Path(row['input']).stem}.face.png")
        assert size_of(row["output"]) == (224, 224)
        assert 4 < row["speech_seconds"] < 6
        assert row["model"] == find_model().card.name
        assert row["warnings"] == []
    assert rows[1]["error"] == f"{bad} is empty; give a recording"
    assert rows[1]["exit_code"] == 3
    assert len(list(out.iterdir())) == 2
    done = run("reconstruct", *inputs, "--out-dir", out, "--force")
    assert done.returncode == 6
    assert done.stdout.splitlines() == [rows[0]["output"], rows[2]["output"]]
    assert f"speech2face: {rows[1]['error']}" in done.stderr.splitlines()


def test_a_name_that_is_too_long_ends_no_batch(tmp_path: Path, out: Path, recording: Path) -> None:
    inputs = [tmp_path / f"{name}.flac" for name in ("a", "n" * 250, "n" * 242, "b")]
    for path in inputs:
        path.symlink_to(recording)
    done = run("reconstruct", *inputs, "--out-dir", out)
    assert done.returncode == 6
    drawn = {f"{name}.face.png" for name in ("a", "n" * 242, "b")}
    assert {path.name for path in out.iterdir()} == drawn
    assert "File name too long" in done.stderr
    line = refuse(2, "anonymise", inputs[1], "--out-dir", out)
    assert "File name too long" in line


def test_folders_patterns_and_twins_are_drawn_once_each(
    tmp_path: Path, out: Path, recording: Path
) -> None:
    for name in ("id1/x.flac", "id2/x.flac", "id2/x.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(recording)
    calls = ["id1", "id?/*.flac", "./id2/x.wav", "id2/x.wav"]
    done = succeed("reconstruct", *calls, "--out-dir", out, cwd=tmp_path)
    faces = [out / name for name in ("id1/x.face.png", "id2/x.flac.face.png", "id2/x.wav.face.png")]
    assert done.stdout.splitlines() == list(map(str, faces))
    assert "given more than once, and done once: 2 of 3 inputs" in done.stderr
    assert sorted(path for path in out.rglob("*") if path.is_file()) == faces


def test_what_exists_is_skipped(tmp_path: Path, out: Path, recording: Path) -> None:
    first, second = tmp_path / "first.flac", tmp_path / "second.flac"
    for path in (first, second):
        path.symlink_to(recording)
    call = ["reconstruct", "--out-dir", out, "--skip-existing", "--json", "--size", "32"]
    succeed(*call, first)
    face = out / "first.face.png"
    face.write_text("kept")
    done = succeed(*call, tmp_path)
    assert done.stderr == "speech2face: 1 of 2 inputs skipped: their outputs exist.\n"
    assert [row.get("skipped") for row in read_rows(done)] == [True, None]
    assert [row["output"] for row in read_rows(done)] == [str(face), str(out / "second.face.png")]
    done = succeed(*call, first, "--samples", "1")  # a picture is missing: only that one is drawn
    assert "skipped" not in read_rows(done)[0]
    assert face.read_text() == "kept"
    assert size_of(out / "first.face.sample1.png") == (32, 32)
    call = ["anonymise", first, "--out-dir", out, "--skip-existing"]
    assert len(succeed(*call).stdout.splitlines()) == 1
    assert succeed(*call).stdout == ""


def test_standard_input_is_drawn_as_the_file(tmp_path: Path, recording: Path) -> None:
    succeed("reconstruct", recording, "-o", tmp_path / "file.png")
    with recording.open("rb") as file:
        done = succeed("reconstruct", "-", cwd=tmp_path, stdin=file)
    assert done.stdout == "stdin.face.png\n"
    assert (tmp_path / "stdin.face.png").read_bytes() == (tmp_path / "file.png").read_bytes()


def test_a_file_whose_name_begins_as_an_option_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "-take.wav").touch()
    line = refuse(2, "reconstruct", "-take.wav", cwd=tmp_path)
    assert "the file -take.wav is given as ./-take.wav" in line


def test_samples_are_those_of_their_seed(tmp_path: Path, recording: Path) -> None:
    def draw(folder: str, seed: int) -> list[bytes]:
        face = tmp_path / folder / "face.png"
        face.parent.mkdir()
        options = ["--samples", 2, "--seed", seed, "--size", 64]
        done = succeed("reconstruct", recording, "-o", face, *options)
        paths = [face, face.with_name("face.sample1.png"), face.with_name("face.sample2.png")]
        assert done.stdout.splitlines() == list(map(str, paths))
        assert all(size_of(path) == (64, 64) for path in paths)
        return [path.read_bytes() for path in paths]

    first, again, other = draw("first", 1), draw("again", 1), draw("other", 2)
    assert first == again
    assert len({*first, *other[1:]}) == 5


def test_a_style_is_plain_or_cartoon(tmp_path: Path, recording: Path) -> None:
    plain, cartoon = tmp_path / "plain.png", tmp_path / "cartoon.png"
    succeed("reconstruct", recording, "-o", plain)
    succeed("reconstruct", recording, "-o", cartoon, "--style", "cartoon")
    assert size_of(cartoon) == size_of(plain)
    with Image.open(cartoon) as drawn, Image.open(plain) as photograph:
        assert drawn.info["Source"] == "generated"
        assert len(drawn.getcolors(224 * 224)) < 0.5 * len(photograph.getcolors(224 * 224))


def test_a_face_is_drawn_at_a_strength_and_says_so(tmp_path: Path, recording: Path) -> None:
    pictures = set()
    for strength in ("0", "1", "1.5"):
        face = tmp_path / f"{strength}.png"
        options = ["--strength", strength, "--hair", "typical", "--json"]
        (row,) = read_rows(succeed("reconstruct", recording, "-o", face, *options))
        assert (row["strength"], row["hair"]) == (float(strength), "typical")
        with Image.open(face) as drawn:
            assert drawn.info["Comment"].startswith(f"strength {strength} (")
            pictures.add(drawn.tobytes())
    assert len(pictures) == 3


def test_embeddings_are_printed(recording: Path) -> None:
    (row,) = read_rows(succeed("embed", recording, "--covariance"))
    covariance = np.array(row["covariance"])
    assert covariance.shape == (len(row["mean"]),) * 2
    np.testing.assert_allclose(row["deviation"], covariance.diagonal() ** 0.5, rtol=1e-5)
    assert row["error"] is None


def test_a_file_name_need_not_be_text(tmp_path: Path, recording: Path) -> None:
    source = os.fsencode(tmp_path) + b"/na\xefve\n.flac"
    shutil.copy(recording, source)
    command = [*COMMAND, "reconstruct", source]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=True, timeout=120)
    assert done.stdout == b"na\xefve\n.face.png\n"
    assert (tmp_path / os.fsdecode(b"na\xefve\n.face.png")).is_file()


@pytest.mark.parametrize("settings", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX"}])
def test_a_terminal_need_not_have_its_letters(
    tmp_path: Path, recording: Path, settings: dict[str, str]
) -> None:
    names = [name.encode() for name in ("müßig.flac", "語.flac", "🎤.flac")]
    for name in names:
        shutil.copy(recording, os.fsencode(tmp_path) + b"/" + name)
    command = [*COMMAND, "reconstruct", *names, "none-ü.wav", "--size", "32"]
    done = subprocess.run(
        command, capture_output=True, cwd=tmp_path, env={**os.environ, **settings}, timeout=120
    )
    assert done.returncode == 6
    assert done.stdout.splitlines() == [name.replace(b".flac", b".face.png") for name in names]
    assert b"Traceback" not in done.stderr


def test_whoever_reads_the_results_may_go_away(recording: Path) -> None:
    command = [*COMMAND, "models"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=120)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


def test_results_stay_on_stdout_where_stderr_is_a_terminal(tmp_path: Path, recording: Path) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(wav(speak()))
    terminal, end = pty.openpty()
    command = [*COMMAND, "embed", str(recording), str(other)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, check=True, timeout=120)
    os.close(end)
    assert [json.loads(line)["error"] for line in done.stdout.splitlines()] == [None, None]
    assert b"recordings" in os.read(terminal, 10_000)
    os.close(terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_batch_with_whole_files_only(
    tmp_path: Path, out: Path, recording: Path, number: signal.Signals
) -> None:
    inputs = [tmp_path / f"{number}.flac" for number in range(200)]
    for path in inputs:
        path.symlink_to(recording)
    # As a user runs it: with every warning shown, an interrupt that arrives inside open() itself
    # is followed by a word about the file that the dying process did not close.
    command = [sys.executable, *COMMAND[3:], "reconstruct", *map(str, inputs)]
    command += ["--out-dir", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == f"{out / '0.face.png'}\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    said = [line for line in errors.splitlines() if ": used " not in line]
    assert said == ["speech2face: interrupted."]
    faces = list(out.iterdir())
    assert 0 < len(faces) < len(inputs)
    for face in faces:
        assert face.match("*.face.png")
        assert size_of(face) == (224, 224)


# What surrounds it


def modules_after(*arguments: object) -> set[str]:
    """Top-level modules that are imported once a command has run."""
    code = (
        "import sys; from speech2face.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*(name for name in sys.modules if '.' not in name), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return set(done.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    heavy = {"numpy", "onnxruntime", "av", "PIL", "rich", "torch"}
    assert not modules_after("--help") & heavy
    assert not modules_after("reconstruct", "--help") & heavy


def test_drawing_imports_nothing_of_training(tmp_path: Path, recording: Path) -> None:
    modules = modules_after("reconstruct", recording, "-o", tmp_path / "face.png")
    assert "onnxruntime" in modules
    assert not modules & {"torch", "onnx", "onnxscript", "safetensors", "cv2", "scipy"}


COMMANDS = [
    *("reconstruct", "embed", "protect", "anonymise", "audit", "check", "models", "doctor"),
    *("serve", "page", "prepare", "models add", "models remove"),
    *("export", "quantise", "calibrate", "train", "train face-decoder", "train voice-encoder"),
    "train recipe",
    "evaluate",
    *("evaluate pairs", "evaluate card", "evaluate trials", "evaluate copies"),
    "evaluate zoo",
]


def test_every_command_is_listed_here() -> None:
    def name_all(command: Any, name: str) -> Iterator[str]:
        for word, inner in getattr(command, "commands", {}).items():
            yield f"{name} {word}".strip()
            yield from name_all(inner, f"{name} {word}".strip())

    assert set(name_all(typer.main.get_command(commands.app), "")) == set(COMMANDS)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_says_in_sentences_what_each_option_is(name: str) -> None:
    command: Any = typer.main.get_command(commands.app)
    for word in name.split():
        command = command.commands[word]
    page = succeed(*name.split(), "--help").stdout
    assert page.startswith(f"Usage: {' '.join(['speech2face', *name.split()])} [OPTIONS]")
    assert max(map(len, page.splitlines())) <= 80
    words = " ".join(page.split())
    assert " ".join(command.help.split()) in words
    assert command.help.split("\n\n")[0].endswith((".", "?"))
    for parameter in command.params:
        shown, text = describe_parameter(parameter)
        assert " ".join(f"{shown} {text}".split()) in words
        sentence = text.split(" [")[0]
        assert re.fullmatch(r"[A-Z-].{14,}[.]", sentence, re.DOTALL), f"{shown}: {text}"
        if not getattr(parameter, "is_flag", False):
            assert parameter.metavar, f"{shown} does not say what is to be given"
            known = r"\[.*(required|default:|may be repeated)" if shown[0] == "-" else ""
            assert re.search(known, text), f"{shown} does not say what holds without it"


def test_version_and_help() -> None:
    assert succeed("--version").stdout == f"speech2face {__version__}\n"
    whole = succeed("--help").stdout
    for command in COMMANDS:
        assert f"\n  {command} " in whole or " " in command
    assert succeed("embed", "-h").stdout == succeed("embed", "--help").stdout
    for call in ([], ["train"]):  # a wrong call, and what to do
        done = run(*call)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == succeed(*call, "-h").stdout
    package = [sys.executable, "-m", "speech2face", "--version"]
    assert subprocess.run(package, capture_output=True, check=True).stdout.endswith(b"\n")


def test_models_are_listed() -> None:
    card = find_model().card
    assert succeed("models").stdout.startswith(f"default  {card.version}  ")
    assert card.licence in succeed("models").stdout
    row = read_rows(succeed("models", "--json"))[0]
    assert row["sha256"] == card.sha256


def test_doctor_finds_nothing_wrong() -> None:
    done = succeed("doctor")
    assert "✗" not in done.stdout
    assert done.stderr == ""
