"""The examples as a reader runs them: real processes, and what they print."""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.sounds import EXAMPLES, RATE, encode, noise
from speech2face.extras import find_missing

NOTEBOOK = EXAMPLES / "speech2face.ipynb"
needs_training = pytest.mark.skipif(bool(find_missing("train")), reason="needs the extra train")


def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, **options)


def succeed(name: str, *arguments: object) -> list[str]:
    """What an example prints, line by line."""
    done = run(EXAMPLES / name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def size_of(path: str | Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_and_says_what_it_does(path):
    code = path.read_text()
    assert code.count("\n") <= 80
    said = ast.get_docstring(ast.parse(code))
    assert said
    assert f"python examples/{path.name}" in said or "make " in said


@pytest.mark.slow
def test_one_file_becomes_a_face_and_three_more(tmp_path):
    shutil.copy(EXAMPLES / "george.flac", tmp_path / "my voice.flac")
    told, *pictures = succeed("one_file.py", tmp_path / "my voice.flac", tmp_path / "faces")
    assert re.fullmatch(r"my voice\.flac: \d\.\d s of speech in \d\.\d s", told)
    assert len(pictures) == len(set(pictures)) == 4
    for path in pictures:
        assert size_of(path) == (224, 224)
        with Image.open(path) as picture:
            assert "nobody's portrait" in picture.text["Description"]


def test_a_file_that_is_no_recording_is_told_in_one_line(tmp_path):
    done = run(EXAMPLES / "one_file.py", tmp_path / "no.wav", tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path / 'no.wav'} does not exist; check the path\n"


@pytest.mark.slow
def test_a_batch_goes_on_after_a_bad_file(tmp_path):
    for name in ("bella", "omega"):
        shutil.copy(EXAMPLES / f"{name}.flac", tmp_path)
    (tmp_path / "hiss.wav").write_bytes(encode(noise(3), RATE, "wav", "pcm_s16le"))
    (tmp_path / "notes.txt").write_text("not a recording")
    out = tmp_path / "out"
    lines = succeed("batch.py", tmp_path, out)
    assert [line.split()[0] for line in lines] == ["bella.flac", "hiss.wav", "omega.flac", "3"]
    with (out / "faces.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert "no speech" in rows["hiss.wav"]["error"]
    assert rows["hiss.wav"]["picture"] == ""
    for name in ("bella.flac", "omega.flac"):
        assert size_of(out / rows[name]["picture"]) == (224, 224)
        assert 4 < float(rows[name]["seconds"]) <= 10


@pytest.mark.slow
def test_two_recordings_are_compared():
    """Two women's voices nearly as near as one voice to itself: this is no verifier."""
    between, within = succeed("compare.py")
    assert float(between.removeprefix("emma.flac and sara.flac: ")) == pytest.approx(0.85, abs=0.02)
    assert float(within.removeprefix("emma.flac, its halves: ")) == pytest.approx(0.95, abs=0.02)
    apart, _ = succeed("compare.py", EXAMPLES / "alex.flac", EXAMPLES / "bella.flac")
    assert float(apart.split()[-1]) < -0.7


@pytest.mark.slow
@needs_training
def test_own_pairs_are_trained_on_and_evaluated(tmp_path):
    lines = succeed("train.py", tmp_path)
    commands = [line.split()[2:4] for line in lines if line.startswith("$ ")]
    assert [words[0] for words in commands] == ["train", "train", "export", "reconstruct"]
    assert lines[-1] == str(tmp_path / "emma.png")
    assert size_of(tmp_path / "emma.png") == (224, 224)

    command, people, *figures, page = succeed("evaluate.py", tmp_path)
    assert command.startswith(f"$ speech2face evaluate pairs {tmp_path / 'pairs'}")
    assert people == "8 people, 16 clips"
    printed = dict(line.split(": ") for line in figures)
    for rater in ("sface", "dlib"):
        value, low, high = map(float, re.findall(r"\d\.\d+", printed[f"two-way, {rater}"]))
        assert 0.5 < low < value < high  # of faces drawn by the model that draws the pictures
    assert Path(page).is_file()


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    """Its cells as one program, in the folder it lies in."""
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    assert len(cells) >= 4
    program = tmp_path / "notebook.py"
    program.write_text("\n".join("".join(cell["source"]) for cell in cells))
    done = run(program, cwd=EXAMPLES)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"5\.\d s of speech, in \d stretches", lines[0])
    distances = [float(line.split()[2]) for line in lines[1:5]]
    assert distances == sorted(distances)  # the more is heard, the further from the average
    cosines = [list(map(float, line.split()[1:])) for line in lines[6:]]
    assert len(cosines) == 8
    assert all(row[i] == 1 for i, row in enumerate(cosines))


def test_the_notebook_holds_no_output():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells if "outputs" in c)
    assert len({cell["id"] for cell in cells}) == len(cells)
