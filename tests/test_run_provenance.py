"""A run is known by the content of its data, its recipe and its version; all else is refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from helpers.synthetic_pairs import make_pairs, save_recogniser
from speech2face import run_provenance
from speech2face.data import face_unwarping
from speech2face.data.face_unwarping import measure_faces
from speech2face.data.pairs import read_pairs
from speech2face.errors import ModelError, UsageError
from speech2face.evaluation.cross_validation import describe_folds, draw_by_folds
from speech2face.face_encoders import identify_face_encoder
from speech2face.run_provenance import FILE, claim_run, describe, hash_key
from speech2face.training.encoder_command import claim_encoder_run, train
from speech2face.training.encoder_options import Options
from speech2face.training.face_decoder import claim_decoder_run
from speech2face.training.recipes import (
    end_to_end_debug,
    face_decoder_debug,
    voice_encoder_debug,
)


def quiet(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("data"), clips=2, faces=False)


@pytest.fixture(scope="module")
def runs(pairs, tmp_path_factory) -> Path:
    """A folder of runs that were begun, one of each task."""
    folder = tmp_path_factory.mktemp("runs")
    claim_encoder_run(folder / "voice", voice_encoder_debug(), [pairs], Options())
    claim_encoder_run(folder / "end-to-end", end_to_end_debug(), [pairs], Options())
    claim_decoder_run(folder / "face", face_decoder_debug(), read_pairs(pairs))
    recipes = voice_encoder_debug(), face_decoder_debug()
    run = describe_folds(*recipes, read_pairs(pairs), folds=2, seed=0)
    claim_run(folder / "folds", "evaluate pairs", run, ["fold0"])
    return folder


def train_voice(pairs: Path, runs: Path) -> None:
    train(voice_encoder_debug(), [pairs], runs / "voice", Options(), quiet)


def train_face(pairs: Path, runs: Path) -> None:
    claim_decoder_run(runs / "face", face_decoder_debug(), read_pairs(pairs))


def train_whole(pairs: Path, runs: Path) -> None:
    train(end_to_end_debug(), [pairs], runs / "end-to-end", Options(), quiet)


def evaluate(pairs: Path, runs: Path) -> None:
    recipes = voice_encoder_debug(), face_decoder_debug()
    draw_by_folds(*recipes, read_pairs(pairs), runs / "folds", 2, 0, quiet)


def swap(folder: Path) -> None:
    """Another file of the same name and length."""
    path = min(folder.iterdir())
    path.write_bytes(path.read_bytes()[::-1])


def relabel(pairs: Path) -> None:
    table = pairs / "pairs.csv"
    header, (clip, _, *rest), *rows = csv.reader(table.read_text().splitlines())
    with table.open("w") as file:
        csv.writer(file).writerows([header, [clip, "somebody else", *rest], *rows])


CHANGES: dict[str, Callable[[Path], None]] = {
    "sounds": lambda pairs: swap(pairs / "audio"),
    "photographs": lambda pairs: swap(pairs / "face"),
    "canonical pictures": lambda pairs: swap(pairs / "canonical"),
    "names": relabel,
}
VOICE, FACE = ("sounds", "photographs", "names"), ("photographs", "canonical pictures", "names")


@pytest.mark.parametrize(
    ("work", "parts"),
    [(train_voice, VOICE), (train_face, FACE), (train_whole, VOICE), (evaluate, tuple(CHANGES))],
)
def test_other_data_are_refused_whatever_of_them_differs(work, parts, pairs, runs, tmp_path):
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    for part in parts:
        shutil.copytree(pairs, tmp_path / part)
        CHANGES[part](tmp_path / part)
        message = (
            rf"holds a run of other data \({part} of the pairs differ\); choose another folder"
        )
        with pytest.raises(UsageError, match=message):
            work(tmp_path / part, runs)
    assert before == {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}


class Planned(Exception):  # noqa: N818
    pass


def test_the_same_data_elsewhere_go_on(pairs, runs, tmp_path):
    shutil.copytree(pairs, tmp_path / "moved")
    known = json.loads((runs / "face" / FILE).read_text())
    train_face(tmp_path / "moved", runs)
    claim_encoder_run(runs / "voice", voice_encoder_debug(), [tmp_path / "moved"], Options())
    assert json.loads((runs / "face" / FILE).read_text()) == known
    data = known["train face-decoder"]["data"]["pairs"]
    assert (data["people"], data["clips"]) == (8, 16)


def test_another_recipe_another_version_and_other_networks_are_refused(
    pairs, runs, tmp_path, monkeypatch
):
    recipe, folder = voice_encoder_debug(), runs / "voice"
    changed = replace(recipe, head=replace(recipe.head, ridge=3.0), seed=1)
    message = r"another recipe \(head\.ridge 14\.0 there, 3\.0 here, seed 0 there, 1 here\)"
    with pytest.raises(UsageError, match=message):
        train(changed, [pairs], folder, Options(), quiet)
    speaker = tmp_path / "speaker.safetensors"
    speaker.write_bytes(b"other networks")
    loading = "speech2face.training.voice_encoder.load_speaker_encoder"
    with monkeypatch.context() as patch:
        patch.setattr(loading, lambda _: None)
        with pytest.raises(UsageError, match=r"other data \(speaker networks differ\)"):
            train(recipe, [pairs], folder, Options(speaker=speaker), quiet)
    with pytest.raises(ModelError, match="cannot be read"):
        train(recipe, [pairs], folder, Options(speaker=tmp_path / "none"), quiet)
    sharper = replace(face_decoder_debug(), sharpening=2.0)
    with pytest.raises(UsageError, match=r"another recipe \(sharpening 2\.8 there, 2\.0 here\)"):
        claim_decoder_run(runs / "face", sharper, read_pairs(pairs))
    monkeypatch.setattr(run_provenance, "__version__", "9.9")
    with pytest.raises(UsageError, match=r"another version \(.*, this is 9\.9\); choose another"):
        train_face(pairs, runs)


def test_results_that_do_not_say_how_they_were_made_are_refused(pairs, tmp_path):
    (tmp_path / "face_decoder.safetensors").write_bytes(b"of an older version")
    with pytest.raises(UsageError, match=r"holds face_decoder\.safetensors, but no run\.json"):
        claim_decoder_run(tmp_path, face_decoder_debug(), read_pairs(pairs))
    assert not (tmp_path / FILE).exists()
    odd = ("1", '{"data": [1]}', '{"recipe": 3}')
    for text in ("{", "[]", *(f'{{"train face-decoder": {one}}}' for one in odd)):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(UsageError, match=r"run\.json: .*choose another folder"):
            claim_decoder_run(tmp_path, face_decoder_debug(), read_pairs(pairs))


@pytest.mark.parametrize(
    "told", ['{"train": {"data": [1]}}', '{"train": {"recipe": 3}}', "[]", "{"]
)
def test_what_is_no_account_of_runs_is_one_line(told, tmp_path):
    (tmp_path / FILE).write_text(told)
    with pytest.raises(UsageError, match=r"run\.json: (not written by|cannot be read)"):
        claim_run(tmp_path, "train", describe({}, {}), [])


def test_a_decoder_needs_canonical_pictures(pairs, tmp_path):
    few = [replace(pair, canonical=tmp_path / "none.png") for pair in read_pairs(pairs)]
    with pytest.raises(UsageError, match=r"only 0 of the \d+ pairs have a picture in canonical/"):
        claim_decoder_run(tmp_path / "run", face_decoder_debug(), few)
    assert not (tmp_path / "run").exists()


def test_a_folder_may_hold_one_run_of_each_task(pairs, tmp_path):
    claim_decoder_run(tmp_path, face_decoder_debug(), read_pairs(pairs))
    claim_encoder_run(tmp_path, voice_encoder_debug(), [pairs], Options())
    assert [*json.loads((tmp_path / FILE).read_text())] == [
        "train face-decoder",
        "train voice-encoder",
    ]


def test_command_and_date_are_told_and_identify_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/x/speech2face", "train", "--out", "a b", "\udcff"])
    run = describe({"steps": 3}, {"model": "abc"})
    assert run.command == "speech2face train --out 'a b' '?'"
    claim_run(tmp_path, "a task", run, [])
    monkeypatch.setattr("sys.argv", ["/x/speech2face/__main__.py"])
    later = replace(describe({"steps": 3}, {"model": "abc"}), date="2031-01-01T00:00:00+00:00")
    assert later.command == "speech2face"
    claim_run(tmp_path, "a task", later, [])
    stored = json.loads((tmp_path / FILE).read_text())["a task"]
    assert stored == asdict(run)


def test_a_recogniser_is_known_by_the_content_of_its_files(tmp_path, monkeypatch):
    path = tmp_path / "mine.onnx"
    save_recogniser(path, size=112)
    with pytest.raises(ModelError, match=r"mine\.toml: cannot be read"):
        identify_face_encoder(str(path))
    path.with_suffix(".toml").touch()
    before = identify_face_encoder(str(path))
    assert before.startswith("mine ")
    path.with_suffix(".toml").write_text("mean = 100.0\n")
    assert identify_face_encoder(str(path)) not in (before, identify_face_encoder("dlib"))

    picture, kept = tmp_path / "a.png", []  # and so is what it measured, by version, too
    picture.write_bytes(b"no picture")

    def measured(jobs: object) -> None:
        kept.extend(file.name for _, files in jobs for file in files.values())  # pyright: ignore[reportGeneralTypeIssues]
        raise Planned

    class Pool:
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def map(self, _, jobs):
            return measured(jobs)

    monkeypatch.setattr(face_unwarping, "ProcessPoolExecutor", Pool)
    for change in (
        lambda: None,
        lambda: path.with_suffix(".toml").write_text("mean = 101.0\n"),
        lambda: picture.write_bytes(b"no other"),
        lambda: monkeypatch.setattr(run_provenance, "__version__", "9.9"),
    ):
        change()
        with pytest.raises(Planned):
            measure_faces([picture], str(path), tmp_path)
    assert len(set(kept)) == len(kept) == 4


def test_keys_tell_where_one_part_ends():
    assert hash_key(["ab", "c"]) != hash_key(["a", "bc"]) != hash_key("a", ["bc"])
