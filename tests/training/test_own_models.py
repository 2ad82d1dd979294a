"""Models of one's own recipes: exported, heard by folds, and used by each command."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.command import refuse, succeed
from helpers.golden_run import make_voices
from helpers.numeric_voice import make_voice
from helpers.service import start_service
from helpers.sounds import EXAMPLES
from helpers.synthetic_pairs import make_pairs
from speech2face.data.pairs import read_pairs
from speech2face.errors import ModelError
from speech2face.model_folders import find_model
from speech2face.networks.attentive_voice_encoder import AttentiveEncoderConfig
from speech2face.networks.voice_encoder import PointVoiceEncoder
from speech2face.privacy.leakage_estimate import infer_face_covariance, read_calibration
from speech2face.reconstruct import load
from speech2face.training.checkpoint import hash_weights
from speech2face.training.encoder_factory import load_encoder, make_network
from speech2face.training.encoder_options import Options
from speech2face.training.fold_encoders import prepare_folds
from speech2face.training.onnx_export import round_to_half
from speech2face.training.package_model import find_common_space
from speech2face.training.recipe_files import RecipeSource, load_recipe
from speech2face.training.recipes import ENCODERS, end_to_end_debug

DOCS = Path(__file__).parents[2] / "docs" / "training.md"
SIZE = 16
ATTENTIVE = AttentiveEncoderConfig(
    channels=(8, 8, 8, 8, 12), attention=4, hidden=8, embedding_size=SIZE
)
RECIPE = """
from speech2face.networks.attentive_voice_encoder import AttentiveEncoderConfig
from speech2face.training.end_to_end_task import EndToEndRecipe, LossWeights
from speech2face.training.loop import LoopConfig


def tiny():
    return EndToEndRecipe(
        name="tiny",
        network=AttentiveEncoderConfig(channels=(8, 8, 8, 8, 12), attention=4, hidden=8),
        loop=LoopConfig(steps=1000, warmup=1),
        weights=LossWeights(distance=1.0),
        seconds=(0.5, 1.0),
        held_out=0.3,
    )
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The warnings of torch's exporter, to itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


def show(*_: object) -> None:
    pass


def test_the_covariance_of_a_point_falls_with_length_and_is_found_again():
    """What the audit reads off an encoder is what its head was solved with."""
    network = PointVoiceEncoder(make_network(ATTENTIVE), SIZE).eval().requires_grad_(False)
    network.head.explained_covariance.copy_(0.5 * torch.eye(SIZE))
    network.head.half_gain_seconds.fill_(0.4)
    found = infer_face_covariance(
        lambda waveforms: tuple(x.numpy() for x in network(torch.from_numpy(waveforms)))
    )
    assert found.half_gain_seconds == pytest.approx(0.4, rel=1e-3)
    np.testing.assert_allclose(found.explained, 0.5 * np.eye(SIZE), atol=1e-3)
    np.testing.assert_allclose(found.prior, 1.5 * np.eye(SIZE), atol=1e-3)


def test_no_fold_of_an_end_to_end_recipe_learns_from_those_whom_it_is_to_hear(tmp_path: Path):
    recipe = replace(end_to_end_debug(), loop=replace(end_to_end_debug().loop, steps=2))
    recipe = replace(recipe, weights=replace(recipe.weights, paper=0.0))
    voices = make_voices(people=12)
    test = np.array([person in {"person 3", "person 7"} for person in voices.people])
    # Other faces of those who are heard change nothing; of one who is learned from they do.
    learned = []
    for name, changed in (("as it is", ~test & test), ("heard", test), ("learned", ~test)):
        faces = np.where(changed[:, None], -voices.faces, voices.faces)
        train = prepare_folds(recipe, Options(), replace(voices, faces=faces), tmp_path, show)
        encoder = train(test, tmp_path / name, {"fold": 0})
        assert encoder.clips.features.shape[1] == SIZE
        means, seconds = encoder.predict(["a"], lambda: [voices.speech[0]], "once", show)
        row = encoder.clips.features[:1]
        np.testing.assert_allclose(means, encoder.head.predict(row, seconds), atol=1e-5)
        learned.append(hash_weights(encoder.network))
    assert learned[0] == learned[1] != learned[2]


def test_a_released_decoder_is_taken_only_in_its_own_space():
    def facts(space: str, content: str | None = None) -> dict[str, Any]:
        return {"recipe": {"face_encoder": space}, **({"face_encoder": content} if content else {})}

    assert find_common_space(facts("dlib", "a"), facts("dlib", "a"), True) == "dlib"
    assert find_common_space(facts("dlib"), facts("dlib", "a"), False) == "dlib"
    with pytest.raises(ModelError, match="train a face decoder with --face-encoder sface and name"):
        find_common_space(facts("sface", "b"), facts("dlib", "a"), True)
    with pytest.raises(ModelError, match="different spaces: sface, dlib"):
        find_common_space(facts("sface", "b"), facts("dlib", "a"), False)
    with pytest.raises(ModelError, match="two recognisers of the name dlib: a and b"):
        find_common_space(facts("dlib", "b"), facts("dlib", "a"), False)


def make_people(folder: Path, clips: int) -> Path:
    """Pairs in which each clip is another person's."""
    pairs = make_pairs(folder, clips=clips)
    names = [pair.clip for pair in read_pairs(pairs)]
    table = "".join(f"{name},{name}\n" for name in names)
    (pairs / "pairs.csv").write_text(f"clip,person\n{table}")
    return pairs


def test_a_recipe_file_becomes_a_model_that_draws(tmp_path: Path):
    pairs, recipe = make_people(tmp_path, 1), tmp_path / "mine.py"
    recipe.write_text(RECIPE)
    run, model = tmp_path / "run", tmp_path / "model"
    how = ("--set", "loop.steps=3", "--set", "batch=4", "--pairs", pairs)
    weights = succeed(
        *("train", "voice-encoder", "--recipe", f"{recipe}:tiny", "--out", run), *how
    ).stdout.strip()
    told = json.loads((run / "recipe.json").read_text())
    assert (told["from"], told["set"]) == (f"{recipe}:tiny", ["loop.steps=3", "batch=4"])
    again = ("train", "voice-encoder", "--recipe", run / "recipe.json", "--pairs", pairs)
    assert succeed(*again, "--out", run).stdout.strip() == weights  # the same run, found done
    succeed("export", weights, "--out", model, "--name", "tiny")
    card = find_model(model).card
    assert card.facts["voice_encoder"]["held_out"] == {"people": 2, "clips": 2}
    assert card.hair_shapes == find_model().card.hair_shapes
    encoder, _ = load_encoder(Path(weights))
    round_to_half(encoder.ear)  # as it is stored
    for seconds in (0.5, 1.01, 4.3):
        clips = np.stack([make_voice(seconds), 0.1 * make_voice(seconds)[::-1]])
        mean, covariance, *_ = load(model).encode(clips)
        with torch.inference_mode():
            wanted, wanted_covariance, *_ = encoder(torch.from_numpy(clips))
        np.testing.assert_allclose(mean, wanted, atol=0.02 * float(wanted.std()))
        np.testing.assert_allclose(covariance, wanted_covariance, rtol=1e-4, atol=1e-6)
        assert not np.array_equal(mean[0], mean[1])
        np.linalg.cholesky(covariance.astype(np.float64))
    succeed("reconstruct", EXAMPLES / "emma.flac", "--model", model, "-o", tmp_path / "face.png")
    assert (tmp_path / "face.png").stat().st_size > 1000
    line = refuse(5, "quantise", model, EXAMPLES / "emma.flac", "--out", tmp_path / "light")
    assert "not a attentive_encoder" in line
    assert not (tmp_path / "light").exists()


@pytest.mark.slow
def test_the_commands_of_the_documentation_run_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """But for fewer steps, and without evaluation by folds, which takes a minute."""
    section = DOCS.read_text().partition("## A recipe of your own")[2].partition("\n## ")[0]
    recipe, commands = re.findall(r"```(?:python|bash)\n(.*?)```", section, re.DOTALL)
    (tmp_path / "my_recipes.py").write_text(recipe)
    make_people(tmp_path, 4)
    shutil.copy(EXAMPLES / "emma.flac", tmp_path / "clip.wav")
    monkeypatch.chdir(tmp_path)
    assert commands.count("loop.steps=400") == 2
    lines = commands.replace("loop.steps=400", "loop.steps=4").replace("\\\n", " ").splitlines()
    evaluated, compared = (line for line in lines if "evaluate" in line)
    *lines, served = (line.split()[1:] for line in lines if "evaluate" not in line)
    for words in lines:
        succeed(*words)
    model = find_model("models/small")
    assert model.card.facts["voice_encoder"]["recipe"]["batch"] == 8
    assert read_calibration(model).people == 32
    assert "--voice-recipe runs/small/recipe.json" in evaluated
    assert "--system runs/small/recipe.json" in compared
    assert load_recipe(RecipeSource("runs/small/recipe.json"), ENCODERS).name == "small"
    assert served[0] == "serve"
    with start_service(tmp_path / "log.txt", *served[1:]) as service:
        answer = service.post("/v1/reconstruct", (EXAMPLES / "emma.flac").read_bytes())
        assert answer.status_code == 200, answer.text
