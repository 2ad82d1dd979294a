"""Weights to begin with: of runs, checkpoints and models; what fits is taken, the rest refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.golden_run import make_voices
from helpers.tiny_networks import TINY, save_tiny_speaker, tiny_debug_recipe
from speech2face.errors import ModelError, UsageError
from speech2face.model_folders import find_model
from speech2face.networks.attentive_voice_encoder import AttentiveEncoderConfig
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training.checkpoint import load_weights
from speech2face.training.encoder_factory import load_encoder, make_network
from speech2face.training.end_to_end_task import EndToEndRecipe, LossWeights
from speech2face.training.end_to_end_voice_encoder import train_end_to_end
from speech2face.training.init_weights import check_begun, read_init, refuse_met
from speech2face.training.loop import LoopConfig
from speech2face.training.voice_encoder import load_speaker, train_voice_encoder

SIZES = AttentiveEncoderConfig(channels=(8, 8, 8, 8, 12), attention=4, hidden=8, embedding_size=16)
RECIPE = EndToEndRecipe(
    name="tiny",
    network=SIZES,
    loop=LoopConfig(steps=2, warmup=1),
    weights=LossWeights(distance=1.0),
    batch=4,
    seconds=(0.5, 1.0),
    held_out=0.25,
)
STILL = replace(RECIPE, loop=LoopConfig(steps=1, learning_rate=0.0))


def quiet(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train_end_to_end(RECIPE, make_voices(), folder, quiet).save(folder)
    return folder


def test_all_files_of_a_run_give_the_same_weights(run: Path):
    whole = read_init(run)
    assert whole.digest == read_init(run / "voice_encoder.safetensors").digest
    checkpoint = read_init(run / "end-to-end" / "checkpoint.safetensors")
    for name, tensor in whole.tensors.items():
        assert torch.equal(checkpoint.tensors[name], tensor), name
    assert whole.met == (make_voices().data,)
    encoder, _ = load_encoder(run / "voice_encoder.safetensors")
    network = make_network(SIZES, seed=1)
    whole.put_into(network)
    for name, tensor in encoder.ear.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(network.state_dict()[name], tensor), name


def test_training_begins_with_them_and_says_so(run: Path, tmp_path: Path):
    init = read_init(run)
    path = train_end_to_end(STILL, make_voices(), tmp_path, quiet, init=init).save(tmp_path)
    encoder, facts = load_encoder(path)
    for name, parameter in encoder.ear.named_parameters():
        assert torch.equal(parameter, init.tensors[name]), name
    assert facts["init"] == {"weights": init.digest, "met": [make_voices().data]}
    again = read_init(path)
    assert again.met == (make_voices().data, make_voices().data)  # also by what it began with


def test_a_head_of_another_size_begins_anew(run: Path, caplog: pytest.LogCaptureFixture):
    network = make_network(replace(SIZES, embedding_size=5), seed=1)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        read_init(run).put_into(network)
    assert "the head is of another shape and begins anew" in caplog.text
    after = network.state_dict()
    assert torch.equal(after["embed.3.bias"], before["embed.3.bias"])
    assert not torch.equal(after["embed.0.weight"], before["embed.0.weight"])


def test_other_shapes_and_other_networks_are_refused(run: Path, tmp_path: Path):
    init = read_init(run)
    wider = make_network(replace(SIZES, channels=(8, 9, 8, 8, 12)))
    before = {k: v.clone() for k, v in wider.state_dict().items()}
    with pytest.raises(UsageError, match=r"other shapes: frames\.3\.weight 8×8×3 for 9×8×3, ") as e:
        init.put_into(wider)
    assert str(e.value).startswith(f"{run / 'voice_encoder.safetensors'}: ")
    assert all(torch.equal(v, before[k]) for k, v in wider.state_dict().items())
    with pytest.raises(UsageError, match=r"another network; none is called speaker\."):
        init.put_into(VoiceEncoder(TINY))


@pytest.mark.parametrize("name", ["", "nothing", "x.safetensors"])
def test_what_holds_no_weights_is_told(name: str, tmp_path: Path):
    (tmp_path / "x.safetensors").write_text("no weights")
    with pytest.raises((UsageError, ModelError), match=rf"^{tmp_path / name}: ") as error:
        read_init(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_recipe_in_closed_form_begins_with_tuned_networks(tmp_path: Path):
    speaker = save_tiny_speaker(tmp_path / "speaker.safetensors")
    recipe, voices = tiny_debug_recipe(), make_voices(size=128)
    path = train_voice_encoder(recipe, voices, speaker, tmp_path, tmp_path, quiet)
    tuned, _ = load_weights(path)
    network = load_speaker(recipe, init=read_init(path))
    for name, tensor in network.speaker.state_dict().items():
        assert torch.equal(tensor, tuned[f"speaker.{name}"]), name


def test_the_released_model_gives_what_it_was_tuned_from(caplog: pytest.LogCaptureFixture):
    model = find_model()
    with caplog.at_level(logging.WARNING):
        init = read_init(model.folder)
    assert "has 8 bits: training begins with the weights that it was tuned from" in caplog.text
    assert init.digest == read_init(model.folder / "untuned.safetensors").digest
    assert all(name.startswith("speaker.") for name in init.tensors)
    assert init.met == ()  # these weights have met none of the model's people


def test_folds_do_not_begin_with_what_met_their_people(run: Path):
    init = read_init(run)
    refuse_met(init, "of others", ["more"])
    refuse_met(None, make_voices().data, [])
    for data, sets in ((make_voices().data, []), ("joined", [make_voices().data])):
        with pytest.raises(UsageError, match="learned from these pairs"):
            refuse_met(init, data, sets)
    facts = {"init": init.describe()}
    check_begun(init, facts, "mine")
    check_begun(None, {}, "mine")
    with pytest.raises(UsageError, match="mine began with earlier weights: give the same"):
        check_begun(None, facts, "mine")
    with pytest.raises(UsageError, match="mine did not begin with earlier weights"):
        check_begun(init, {}, "mine")
