"""Calibrating a model of one's own: as its users meet it, and what is refused."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from helpers.command import run
from helpers.sounds import EXAMPLES
from helpers.synthetic_pairs import make_pairs
from helpers.tiny_networks import save_tiny_speaker, tiny_debug_recipe
from speech2face.data.pairs import read_pairs
from speech2face.data.split_leaks import IdentityEmbeddings
from speech2face.data.voice_encoder_data import Voices, identify_data
from speech2face.errors import UsageError
from speech2face.metrics.audit_results import AverageBits
from speech2face.metrics.intervals import Estimate
from speech2face.model_folders import FILES, Model, find_model, save_card
from speech2face.privacy.calibrate_model import (
    LENGTHS,
    CalibrationReport,
    ConditionReport,
    HeldOut,
    calibrate,
    find_averages,
    read_axes,
    read_recipe,
)
from speech2face.privacy.fit_calibration import Check
from speech2face.privacy.leakage_estimate import (
    FILE,
    Calibration,
    read_calibration,
    write_calibration,
)
from speech2face.training.encoder_options import Options
from speech2face.training.recipes import (
    attentive,
    contrastive,
    paper_pairs,
    voice_encoder,
    voice_encoder_debug,
    voice_encoder_frozen,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SECONDS = 1.0  # of speech, of each clip


def show(*_: object) -> None:
    pass


def make_model(folder: Path, recipe: Any, data: str = "abc") -> Model:
    """The released networks, on whose card stands that they were made otherwise."""
    released = find_model()
    told = json.loads(json.dumps(asdict(recipe)))
    facts = {"voice_encoder": {"recipe": told, "data": data}}
    sha256 = {name: released.card.sha256[name] for name in FILES}
    folder.mkdir()
    for name in FILES:
        shutil.copy(released.folder / name, folder)
    save_card(folder, replace(released.card, name="mine", sha256=sha256, facts=facts))
    return find_model(str(folder))


@pytest.mark.slow
def test_a_model_of_ones_own_is_calibrated_by_one_command(tmp_path: Path):
    pairs = make_pairs(tmp_path)
    clips = [pair.clip for pair in read_pairs(pairs)]
    with (pairs / "pairs.csv").open("w") as file:  # each piece of speech is somebody's
        csv.writer(file).writerows([("clip", "person"), *((clip, clip) for clip in clips)])
    for pair in read_pairs(pairs):
        samples, rate = soundfile.read(pair.audio)
        soundfile.write(pair.audio, samples[: round(SECONDS * rate)], rate)
    data = identify_data([pairs]).digest
    model = make_model(tmp_path / "mine", replace(voice_encoder_debug(), tuning=None), data)
    call = ("calibrate", model.folder, "--pairs", pairs, "--out", tmp_path / "run")
    done = run(*call)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(model.folder / FILE)
    for way in ("whole", "0.5 s", "noise 0 dB", "telephone"):
        assert f"\n  {way} " in done.stdout
    assert not any(clip in done.stdout for clip in clips)
    found = read_calibration(model)
    assert found.people == len(clips)
    assert min(found.doubt, found.shortness, found.noise, found.narrow) >= 0
    assert found.deviation > 0
    assert found.sex_axis == ()
    assert [one.seconds for one in found.averages] == [0.5]  # no clip holds a second of speech
    assert {one.people for one in found.averages} == {len(clips)}

    audited = run("audit", EXAMPLES / "bella.flac", "--model", model.folder, "--json")
    assert audited.returncode == 0, audited.stderr
    facts = json.loads(audited.stdout)
    assert facts["calibrated_on"] == len(clips)
    assert [one["seconds"] for one in facts["average_voice"]] == [0.5]

    again = run(*call)
    assert (again.returncode, again.stdout) == (2, "")
    assert "disclosure.json exists; --force" in again.stderr


@pytest.mark.parametrize(
    "recipe", [voice_encoder(), voice_encoder_frozen(), contrastive(), paper_pairs(), attentive()]
)
def test_a_recipe_is_read_from_the_card(recipe: Any, tmp_path: Path):
    assert read_recipe(make_model(tmp_path / "mine", recipe)) == recipe


def test_the_released_recipe_is_read_whatever_its_version_wrote():
    assert (
        read_recipe(find_model()).name == find_model().card.facts["voice_encoder"]["recipe"]["name"]
    )


def test_layers_of_the_paper_s_loss_are_given_again(tmp_path: Path):
    model = make_model(tmp_path / "mine", paper_pairs())
    with pytest.raises(UsageError, match="paper-pairs needs a layer for the paper's loss"):
        calibrate(model, [tmp_path], None, tmp_path / "run", show)
    layer = tmp_path / "layer.safetensors"
    save_file({"weight": torch.ones(5, 128), "bias": torch.zeros(5)}, layer)
    options = Options(decoder_layer=layer)
    with pytest.raises(UsageError, match=r"mine was trained with other layers .*--decoder-layer"):
        calibrate(model, [tmp_path], None, tmp_path / "run", show, options)
    assert not (tmp_path / "run").exists()


def test_other_pairs_than_those_of_the_training_are_refused(tmp_path: Path):
    model = make_model(tmp_path / "mine", voice_encoder_debug(), data="of others")
    with pytest.raises(UsageError, match="not what the model mine was trained on"):
        calibrate(model, [make_pairs(tmp_path, clips=1)], None, tmp_path / "run", show)


def test_too_few_people_are_refused_before_any_training(tmp_path: Path):
    few = Voices(["a", "b"], ["a", "b"], [np.zeros(16_000, np.float32)] * 2, np.eye(2, 128), "x")
    with pytest.raises(UsageError, match="only 2 people"):
        HeldOut.train(voice_encoder_debug(), few, tmp_path, show)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("image,gender\na.jpg,Female\n", "needs photographs with age"),
        ("image,gender,age\na.jpg,Female,30\n", "gender Female and Male"),
        ("image,gender,age\na.jpg,Female,30\nb.jpg,Male,old\n", "old is no age"),
    ],
)
def test_photographs_without_labels_are_refused(table: str, why: str, tmp_path: Path):
    (tmp_path / "faces.csv").write_text(table)
    with pytest.raises(UsageError, match=why):
        read_axes(tmp_path, "dlib", tmp_path / "cache", show)
    assert not (tmp_path / "cache").exists()


def test_the_averages_of_the_release_are_those_that_were_measured():
    conditions = json.loads((BENCHMARKS / "audit.json").read_text())["calibrate"]["conditions"]
    cut = {name: row for name, row in conditions.items() if re.fullmatch(r"[\d.]+ s", name)}
    averages = read_calibration(find_model()).averages
    assert [f"{one.seconds:g} s" for one in averages] == sorted(
        cut, key=lambda name: float(name[:-2])
    )
    assert len(averages) == len(LENGTHS)
    for one in averages:
        row = cut[f"{one.seconds:g} s"]
        found = {"value": one.bits, "low": one.low, "high": one.high}
        assert (one.people, found) == (row["people"], row["after"]["found_bits"])


def test_averages_are_of_the_lengths_that_enough_clips_have():
    def report(people: int, bits: float) -> ConditionReport:
        check = Check(0, Estimate(bits, bits - 0.1, bits + 0.1), 0, Estimate(0, 0, 0), {}, ())
        return ConditionReport(99, people, check, check)

    rows = {
        "whole": report(9, 3),
        "2 s": report(8, 2),
        "0.5 s": report(9, 1),
        "telephone": report(9, 1),
    }
    averages = find_averages(rows)
    assert averages == (AverageBits(0.5, 9, 1, 0.9, 1.1), AverageBits(2.0, 8, 2, 1.9, 2.1))
    calibration = Calibration(people=9, averages=averages)
    assert "averages" not in CalibrationReport("1", 9, calibration, rows).as_json()["numbers"]


def test_numbers_that_cannot_be_written_are_told(tmp_path: Path):
    gone = Model(tmp_path / "gone", find_model().card)
    with pytest.raises(UsageError, match="cannot be written"):
        write_calibration(Calibration(), gone)


def test_no_encoder_learns_from_those_whom_it_is_to_hear(tmp_path: Path):
    rng = np.random.default_rng(0)
    names = [str(number) for number in range(15)]
    speech = [rng.normal(size=10_000).astype(np.float32) for _ in names]
    faces = rng.normal(size=(15, 128)).astype(np.float32)
    recipe = replace(tiny_debug_recipe(), tuning=None)
    speaker = save_tiny_speaker(tmp_path / "speaker.safetensors")

    def train(faces: np.ndarray) -> HeldOut:
        looks = IdentityEmbeddings.gather({"dlib": faces}, len(faces))
        voices = Voices(names, names, speech, faces, "x", seen=looks)
        return HeldOut.train(recipe, voices, tmp_path, show, Options(speaker=speaker))

    first = train(faces)
    changed = np.where((first.fold == 0)[:, None], -faces, faces)
    second = train(changed)
    np.testing.assert_array_equal(first.fold, second.fold)
    same = [
        np.array_equal(one.head.weight, other.head.weight)
        for one, other in zip(first.encoders, second.encoders, strict=True)
    ]
    assert same == [True, False, False, False, False]
