"""Hearing clips for the voice encoder: crops, caches, and the head in the network."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from speech2face.data.voices import Voices
from speech2face.errors import ModelError, UsageError
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training import voice_encoder
from speech2face.training.checkpoint import save_weights
from speech2face.training.gaussian_head import HeadSolution
from speech2face.training.recipes import voice_encoder_debug
from speech2face.training.voice_encoder import (
    TuningTask,
    embed_clips,
    hear_clips,
    load_speaker,
    set_head,
)
from speech2face.weights import UNTUNED, Model, find_model

RECIPE = replace(voice_encoder_debug(), crop_seconds=(0.5, 1.0))


class Listener(torch.nn.Module):
    """In place of the speaker networks: three numbers of each sound, and how often it was asked."""

    def __init__(self, patience: int = 10**9) -> None:
        super().__init__()
        self.asked, self.patience = 0, patience

    @property
    def speaker(self) -> torch.nn.Module:
        return self

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        if self.asked == self.patience:
            raise KeyboardInterrupt
        self.asked += 1
        return torch.stack([waveform.sum(1), waveform[:, 0], waveform[:, -1]], dim=1)


def make_speech(seconds) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=round(s * 16_000)).astype(np.float32) for s in seconds]


def make_voices(count: int) -> Voices:
    faces = np.random.default_rng(0).normal(size=(count, 128)).astype(np.float32)
    names = [f"clip {i}" for i in range(count)]
    return Voices(names, names, make_speech([0.7] * count), faces, "made up")


def quiet(*_) -> None:
    pass


def test_whole_clips_come_first_then_crops_of_those_that_are_longer():
    speech = make_speech([2.0, 0.8, 1.5])
    features, seconds, clip = embed_clips(Listener(), RECIPE, speech, None, quiet)
    np.testing.assert_allclose(seconds, [2, 0.8, 1.5, 0.5, 0.5, 0.5, 1, 1])
    assert clip.tolist() == [0, 1, 2, 0, 1, 2, 0, 2]
    for row, whole in enumerate(speech):
        np.testing.assert_allclose(features[row], [whole.sum(), whole[0], whole[-1]], rtol=1e-3)
    for row in range(3, 8):  # a crop lies in its own clip, in one piece
        whole = speech[clip[row]]
        (start,) = np.flatnonzero(whole == features[row, 1])
        end = start + round(seconds[row] * 16_000)
        assert whole[end - 1] == features[row, 2]
    again = embed_clips(Listener(), RECIPE, speech, None, quiet)
    np.testing.assert_array_equal(again[0], features)


def test_finished_clips_are_kept_and_a_stopped_run_goes_on(tmp_path):
    speech = make_speech(np.linspace(0.6, 2.0, 60))  # of 60 lengths; crops are of two
    whole = Listener()
    wanted, *_ = embed_clips(whole, RECIPE, speech, None, quiet)
    assert len(wanted) > 130
    assert 60 < whole.asked < 75  # crops of one length are heard together
    with pytest.raises(KeyboardInterrupt):
        embed_clips(Listener(patience=58), RECIPE, speech, tmp_path / "cache", quiet)
    rest = Listener()
    features, *_ = embed_clips(rest, RECIPE, speech, tmp_path / "cache", quiet)
    np.testing.assert_array_equal(features, wanted)
    assert rest.asked == whole.asked - 50  # kept by fifties
    nothing = Listener()
    features, *_ = embed_clips(nothing, RECIPE, speech, tmp_path / "cache", quiet)
    np.testing.assert_array_equal(features, wanted)
    assert nothing.asked == 0
    assert not list(tmp_path.rglob("*.part*"))


def test_too_few_clips_are_told(tmp_path):
    voices = make_voices(3)
    with pytest.raises(UsageError, match="only 3 clips have both speech and a face"):
        hear_clips(RECIPE, Listener(), voices, tmp_path, quiet)


def test_the_network_gets_the_head_that_was_solved():
    network = load_speaker(RECIPE)
    rng = np.random.default_rng(0)
    solved = HeadSolution(
        weight=rng.normal(size=(128, 448)),
        bias=rng.normal(size=128),
        average=rng.normal(size=128),
        residual=np.eye(128) * 2,
        explained=np.eye(128),
        half_seconds=0.6,
        stretch=np.eye(128) * 3,
    )
    set_head(network, solved)
    features = torch.randn(1, 448)
    mean, covariance = network.head(features, torch.tensor([0.6]))
    wanted = solved.average + 0.5 * (solved.weight @ features[0].numpy() + solved.bias)
    np.testing.assert_allclose(mean[0].detach(), wanted, atol=1e-3)
    np.testing.assert_allclose(covariance[0], 2.5 * np.eye(128), atol=1e-5)
    shown = network.head.show(mean)[0].detach()
    np.testing.assert_allclose(shown, solved.average + 3 * (wanted - solved.average), atol=1e-2)


def test_tuning_moves_the_last_block_and_the_head_only():
    network, voices = load_speaker(RECIPE), make_voices(4)
    network.head.residual.copy_(torch.eye(128))
    task = TuningTask(replace(RECIPE, tuning_batch=2), network, voices, np.array([1, 3]))
    waveform, face = task.batch(0, np.random.default_rng(0))
    assert waveform.shape == (2, 16_000)  # a clip shorter than that is repeated
    assert {tuple(row) for row in face.numpy()} == {tuple(voices.faces[1]), tuple(voices.faces[3])}
    statistics = {k: v.clone() for k, v in network.named_buffers() if "running" in k}
    loss = task.losses((waveform, face))["distance"]
    loss.backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert moved == {"speaker", "head"}
    for name, parameter in network.speaker.named_parameters():
        late = name.startswith(
            ("campplus.blocks.2.", "campplus.transitions.2.", "campplus.exit.", "campplus.embed.")
        )
        assert (parameter.grad is not None) == late, name
    for name, buffer in network.named_buffers():
        if "running" in name:
            assert torch.equal(buffer, statistics[name]), name


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
    name = "campplus.embed.0.weight"
    before = torch.rand_like(VoiceEncoder().speaker.state_dict()[name]).half()
    save_weights(folder / UNTUNED, {name: before}, {})
    card.sha256[UNTUNED] = ""
    assert torch.equal(load_speaker(RECIPE).speaker.state_dict()[name], before.float())
