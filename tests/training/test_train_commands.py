"""Training, export and evaluation as a user calls them, on a small made-up folder.

Their networks are tiny; examples/train.py and evaluate.py train and export those of the release.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command import run
from helpers.sounds import EXAMPLES
from helpers.synthetic_pairs import make_pairs, save_recogniser
from helpers.tiny_networks import save_tiny_speaker, tiny_debug_recipe
from helpers.train_commands import read_log, succeed
from speech2face.data.splits import split_people
from speech2face.evaluation import zoo_systems
from speech2face.evaluation.leaderboard import check_same_data, read_results
from speech2face.model_folders import find_model
from speech2face.training import recipes
from speech2face.training.face_decoder import load_face_decoder
from speech2face.training.voice_encoder import load_voice_encoder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """8 people with 3 clips each, and 14 photographs."""
    folder = tmp_path_factory.mktemp("data")
    make_pairs(folder)
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Iterator[tuple[object, ...]]:
    """How a voice encoder is trained by the recipe `debug`, but with tiny networks."""
    speaker = save_tiny_speaker(tmp_path_factory.mktemp("speaker") / "tiny.safetensors")
    with patch.dict(recipes.VOICE_ENCODERS, tiny=tiny_debug_recipe):
        yield "train", "voice-encoder", "--recipe", "tiny", "--speaker", speaker


@pytest.fixture(scope="module")
def runs(data, start, tmp_path_factory) -> Path:
    """Both networks, trained by the debug recipes."""
    folder = tmp_path_factory.mktemp("runs")
    out = succeed(*start, "--pairs", data / "pairs", "--out", folder / "voice")
    assert out == str(folder / "voice" / "voice_encoder.safetensors")
    decoder = ("train", "face-decoder", "--pairs", data / "pairs")
    out = succeed(*decoder, "--out", folder / "face", "--recipe", "debug")
    assert out == str(folder / "face" / "face_decoder.safetensors")
    return folder


@pytest.fixture(scope="module")
def model(runs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "mine"
    weights = (
        runs / "voice" / "voice_encoder.safetensors",
        runs / "face" / "face_decoder.safetensors",
    )
    assert succeed("export", *weights, "--out", folder, "--name", "toy") == str(folder)
    return folder


def test_the_voice_encoder_is_trained(runs):
    network, facts = load_voice_encoder(runs / "voice" / "voice_encoder.safetensors")
    assert (facts["people"], facts["clips"]) == (8, 24)
    rows = read_log(runs / "voice" / "tuning")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all(np.isfinite(row["distance"]) for row in rows)
    head = network.head
    for seconds in (0.5, 10.0):
        gain = seconds / (seconds + float(head.half_gain_seconds))
        np.linalg.cholesky(
            (head.residual_covariance + (1 - gain) * head.explained_covariance).double().numpy()
        )


def test_the_face_decoder_is_solved(runs):
    network, facts = load_face_decoder(runs / "face" / "face_decoder.safetensors")
    assert facts["recipe"]["name"] == "face-decoder-debug"
    shape = network.mean_shape
    assert (shape > 0.1).all()
    assert (shape < 0.95).all()
    ends = network.average + torch.tensor([[-0.2], [0.2]]) * torch.randn(1, 128)
    (one, other), landmarks = network(ends)
    assert (one - other).abs().max() > 0.05
    assert (landmarks[0] - landmarks[1]).abs().max() > 1e-3
    assert one[:, :4, :4].min() > 0.9  # white ground
    assert one[:, 28:36, 28:36].mean() < 0.8


def test_a_device_that_is_not_there_is_a_usage_error(data, tmp_path):
    command = ("train", "voice-encoder", "--pairs", data / "pairs")
    done = run(*command, "--out", tmp_path / "run", "--recipe", "debug", "--device", "tpu")
    assert (done.returncode, done.stderr) == (
        2,
        "speech2face: --device is cpu or cuda, not tpu. Did you mean cpu?\n",
    )
    if not torch.cuda.is_available():
        done = run(*command, "--out", tmp_path / "run", "--recipe", "debug", "--device", "cuda")
        assert (done.returncode, "no CUDA device" in done.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_the_same_command_finds_its_work_done(runs, data, start):
    path = runs / "voice" / "voice_encoder.safetensors"
    before = path.read_bytes()
    assert succeed(*start, "--pairs", data / "pairs", "--out", runs / "voice") == str(path)
    assert len(read_log(runs / "voice" / "tuning")) == 3  # no step was taken again
    assert path.read_bytes() == before


def test_an_exported_model_draws(model, tmp_path):
    card = find_model(str(model)).card
    assert (card.name, card.licence, card.face_encoder) == ("toy", "unstated", "dlib")
    assert card.facts["voice_encoder"]["clips"] == 24
    target = tmp_path / "face.png"
    succeed("reconstruct", EXAMPLES / "emma.flac", "--model", model, "-o", target)
    with Image.open(target) as picture:
        assert picture.size == (224, 224)
        assert "model toy" in picture.text["Software"]


@pytest.mark.slow
def test_a_model_of_one_s_own_recogniser(data, start, tmp_path):
    """Its embeddings are of another size than those of the released model."""
    recogniser, voice, face = (tmp_path / name for name in ("mine.onnx", "voice", "face"))
    save_recogniser(recogniser, size=112)
    recogniser.with_suffix(".toml").touch()
    how = ("--pairs", data / "pairs", "--face-encoder", recogniser)
    weights = (
        succeed(*start, *how, "--out", voice),
        succeed("train", "face-decoder", "--recipe", "debug", *how, "--out", face),
    )
    model = tmp_path / "model"
    succeed("export", *weights, "--out", model)
    assert find_model(str(model)).card.face_encoder == str(recogniser)
    told = json.loads(succeed("embed", EXAMPLES / "emma.flac", "--model", model))
    assert len(told["mean"]) == 3
    succeed("reconstruct", EXAMPLES / "emma.flac", "--model", model, "-o", tmp_path / "face.png")
    done = run(*start, *how[:-1], tmp_path / "no.onnx", "--out", voice)
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)


def test_a_model_is_not_overwritten_unasked(model, runs):
    before = (model / "card.json").read_bytes()
    missing = runs / "no.safetensors"
    done = run("export", missing, missing, "--out", model)
    assert done.returncode == 2
    assert "--force" in done.stderr
    done = run("export", missing, missing, "--out", model, "--force")
    assert done.returncode == 5  # and what cannot be exported leaves the model that was there
    assert (model / "card.json").read_bytes() == before


def test_pairs_are_evaluated_by_folds(data, start, tmp_path):
    out = tmp_path / "evaluation"
    recipes = ("--voice-recipe", *start[3:], "--decoder-recipe", "debug", "--folds", 2)
    told = succeed(*("evaluate", "pairs", data / "pairs", "--out", out), *recipes)
    assert told.startswith("8 people, 24 clips, 2 folds by person")
    assert told.endswith(str(out / "report.html"))
    report = json.loads((out / "report.json").read_text())
    assert (report["people"], report["clips"], report["folds"]) == (8, 24, 2)
    assert report["left_out"] == 0
    for by_rater in report["two_way"]["everybody"].values():
        for figure in by_rater.values():
            assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
    for folder in ("voice-????????", "voice-1.5-*"):
        drawn = sorted(path.name for path in out.glob(f"fold?/{folder}/*.png"))
        assert len(drawn) == len(set(drawn)) == 24  # each clip in one fold


@pytest.mark.slow
def test_the_zoo_measures_baselines_recipes_and_others_on_the_same_folds(
    data, start, tmp_path, monkeypatch
):
    monkeypatch.setattr(zoo_systems, "voice_encoder", tiny_debug_recipe)
    out, pictures = tmp_path / "zoo", data / "pairs" / "face"
    zoo = ("evaluate", "zoo", data / "pairs", "--out", out, "--folds", 2, *start[4:])
    file = tmp_path / "my_recipes.py"  # a stranger's
    file.write_text(
        "from helpers.tiny_networks import tiny_debug_recipe\n\n\n"
        "def mine():\n    return tiny_debug_recipe()\n"
    )
    own = ("--system", "linear-map", "--system", f"{file}:mine", "--decoder-recipe", "debug")
    assert succeed(*zoo, *own) == str(out / "leaderboard.html")
    before = {path: path.read_bytes() for path in out.glob("*.json")}
    assert {path.stem for path in before} == {"linear-map", "mine"}
    table = tmp_path / "table.csv"
    header = ",".join(["clip", *(f"e{n}" for n in range(128))])
    random = np.random.default_rng(0).normal(size=(24, 128))
    clips = sorted(path.stem for path in pictures.iterdir())
    lines = [",".join([c, *map(str, row)]) for c, row in zip(clips, random, strict=True)]
    table.write_text("\n".join([header, *lines]))
    others = ("--pictures", f"true={pictures}", "--embeddings", f"noise={table}")
    succeed(*zoo, *own, *others)
    assert {path: path.read_bytes() for path in before} == before  # they were not measured again
    results = read_results(out)
    check_same_data(results)
    assert {name: sorted(one.judges) for name, one in results.items()} == {
        "linear-map": ["cosine"],
        "mine": ["cosine", "dlib", "likelihood_ratio", "sface"],
        "noise": ["cosine"],
        "true": ["dlib", "sface"],
    }
    found = results["true"].judges["dlib"].retrieval.voice_to_face["everybody"]
    assert found.median_rank.value == 1
    fold = split_people([name.split("_")[0] for name in clips], 2, 0)
    galleries = results["noise"].judges["cosine"].ranks["everybody"].gallery
    assert set(galleries) == {(fold == k).sum() - 2 for k in range(2)}  # one of one's own three
    named = run(*zoo, "--pictures", f"noise={pictures}")
    assert named.returncode == 2
    assert "give another name, or --force" in named.stderr
    assert "noise" in (out / "leaderboard.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "voice-encoder", "--pairs", "{}", "--out", "{}/o", "--recipe", "x"), "debug"),
        (("train", "voice-encoder", "--pairs", "{}", "--out", "{}/o"), "pairs.csv: not found"),
        (("train", "face-decoder", "--pairs", "{}", "--out", "{}/o"), "pairs.csv: not found"),
        (("evaluate", "pairs", "{}", "--out", "{}/o"), "pairs.csv: not found"),
    ],
)
def test_what_is_missing_is_told_at_once(arguments, message, tmp_path):
    done = run(*(a.format(tmp_path) for a in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("speech2face: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
