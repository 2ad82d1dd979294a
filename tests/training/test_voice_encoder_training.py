"""The voice encoder's training: too few clips, the head in the network, and what tuning moves."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import ModelError, UsageError
from speech2face.model_folders import UNTUNED, Model, find_model
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training import voice_encoder
from speech2face.training.checkpoint import save_weights
from speech2face.training.gaussian_head import HeadSolution
from speech2face.training.recipes import voice_encoder_debug
from speech2face.training.voice_encoder import (
    BLOCKS,
    LAST_BLOCK,
    TuningTask,
    load_speaker,
    prepare_clips,
    set_head,
)

RECIPE = replace(voice_encoder_debug(), crop_seconds=(0.5,))


def make_speech(seconds) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=round(s * 16_000)).astype(np.float32) for s in seconds]


def make_voices(count: int) -> Voices:
    faces = np.random.default_rng(0).normal(size=(count, 128)).astype(np.float32)
    names = [f"clip {i}" for i in range(count)]
    return Voices(names, names, make_speech([0.7] * count), faces, "made up")


def quiet(*_) -> None:
    pass


def test_too_few_clips_are_told(tmp_path):
    voices = make_voices(3)
    with pytest.raises(UsageError, match="only 3 clips have both speech and a face"):
        prepare_clips(RECIPE, load_speaker(RECIPE), voices, tmp_path, quiet)


def test_the_network_gets_the_head_that_was_solved():
    network = load_speaker(RECIPE)
    rng = np.random.default_rng(0)
    solved = HeadSolution(
        weight=rng.normal(size=(128, 448)),
        bias=rng.normal(size=128),
        average=rng.normal(size=128),
        residual_covariance=np.eye(128) * 2,
        explained_covariance=np.eye(128),
        half_gain_seconds=0.6,
        unshrink=np.eye(128) * 6,
        reach=np.eye(128) / 2,
    )
    set_head(network, solved)
    features = torch.randn(1, 448)
    mean, covariance = network.head(features, torch.tensor([0.6]))
    wanted = solved.average + 0.5 * (solved.weight @ features[0].numpy() + solved.bias)
    np.testing.assert_allclose(mean[0].detach(), wanted, atol=1e-3)
    np.testing.assert_allclose(covariance[0], 2.5 * np.eye(128), atol=1e-5)
    shown = network.head.show(mean)[0].detach()
    np.testing.assert_allclose(shown, solved.average + 3 * (wanted - solved.average), atol=1e-2)


@pytest.mark.parametrize("tuned", [BLOCKS, LAST_BLOCK])
def test_tuning_moves_the_layers_of_the_recipe_and_the_head_only(tuned, tmp_path):
    recipe = replace(RECIPE, tuning_batch=2, tuned=tuned)
    network, voices = load_speaker(recipe), make_voices(4)
    network.head.residual_covariance.copy_(torch.eye(128))
    clips = prepare_clips(recipe, network, voices, tmp_path, quiet)
    task = TuningTask(recipe, network, clips, np.array([1, 3]))
    batch = task.batch(0, np.random.default_rng(0))
    entered, ge2e, face = batch
    assert entered.shape == (2, 128, 50)  # a clip shorter than that is repeated
    assert {tuple(row) for row in face.numpy()} == {tuple(voices.faces[1]), tuple(voices.faces[3])}
    heard = network.speaker.ge2e(torch.from_numpy(np.stack([voices.speech[i] for i in (1, 3)])))
    same = torch.cdist(ge2e, heard).min(1).values  # in whatever order
    torch.testing.assert_close(same, torch.zeros(2), atol=1e-4, rtol=0)
    statistics = {k: v.clone() for k, v in network.named_buffers() if "running" in k}
    task.losses(batch)["distance"].backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert moved == {"speaker", "head"}
    for name, parameter in network.speaker.named_parameters():
        assert (parameter.grad is not None) == name.startswith(tuned), name
    for name, buffer in network.named_buffers():
        if "running" in name:
            assert torch.equal(buffer, statistics[name]), name


@pytest.mark.parametrize("name", ["campplus.", "campplus.entry.", "ge2e.", ""])
def test_layers_that_were_heard_already_cannot_be_tuned(name):
    with pytest.raises(ValueError, match="cannot be tuned"):
        replace(RECIPE, tuned=(*BLOCKS, name))


def test_networks_that_met_everyone_are_no_start(tmp_path, monkeypatch):
    """Folds that began with tuned networks would know their test people."""
    folder = shutil.copytree(find_model().folder, tmp_path / "model")
    (folder / UNTUNED).unlink(missing_ok=True)
    card = find_model().card
    card.facts["voice_encoder"]["recipe"]["tuning"] = {"steps": 200}
    card.sha256.pop(UNTUNED, None)
    monkeypatch.setattr(voice_encoder, "find_model", lambda: Model(folder, card))
    with pytest.raises(ModelError, match="--speaker"):
        load_speaker(RECIPE)
    del card.facts["voice_encoder"]["recipe"]["tuning"]  # as of a recipe that is end to end
    with pytest.raises(ModelError, match="--speaker"):
        load_speaker(RECIPE)
    # With the weights as they were before, these are what training starts from.
    before = VoiceEncoder().speaker.state_dict()
    save_weights(folder / UNTUNED, before, {})
    card.sha256[UNTUNED] = ""
    start = load_speaker(RECIPE).speaker.state_dict()
    assert all(torch.equal(start[name], weights) for name, weights in before.items())
