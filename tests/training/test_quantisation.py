"""The voice encoder in 8 bits: near the floats, at any length and batch; a model made so."""

import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from helpers.numeric_voice import make_voice
from helpers.tiny_networks import TINY
from speech2face.errors import ModelError, UsageError
from speech2face.files import hash_file
from speech2face.model_folders import FILES, UNTUNED, Card, Model, find_model, save_card
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.runtime import open_session
from speech2face.speaker_features import SpeakerFeatures
from speech2face.training import fold_encoders, light_model
from speech2face.training.checkpoint import hash_weights, save_weights
from speech2face.training.fold_encoders import FoldEncoder
from speech2face.training.light_model import quantise_model
from speech2face.training.onnx_export import load_onnx_weights, round_to_half
from speech2face.training.package_model import export_encoder
from speech2face.training.quantisation import LEAST_RECORDINGS, open_features, quantise_encoder
from speech2face.training.recipes import voice_encoder_debug
from speech2face.training.untuned_weights import pack_untuned
from speech2face.training.voice_encoder import load_start

MOVED = "campplus.blocks.0.layers.0.reduce.2.weight"


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """The warnings of torch's exporter, to itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    torch.manual_seed(0)
    encoder = VoiceEncoder(TINY).requires_grad_(False).eval()
    round_to_half(encoder.speaker)
    encoder.head.average.copy_(torch.randn(128))
    encoder.head.half_gain_seconds.fill_(0.7)
    return encoder


@pytest.fixture(scope="module")
def speech() -> list[np.ndarray]:
    return [make_voice(1 + n / 8) * (1 + n % 3) for n in range(LEAST_RECORDINGS)]


@pytest.fixture(scope="module")
def model(encoder, tmp_path_factory) -> Model:
    """A model of floats, of which one layer was tuned."""
    folder = tmp_path_factory.mktemp("models") / "floats"
    folder.mkdir()
    facts = {"recipe": asdict(replace(voice_encoder_debug(), network=TINY)) | {"tuning": {}}}
    facts = json.loads(json.dumps(facts)) | {"data": "0" * 16}
    export_encoder(encoder, folder / FILES[0], facts)
    (folder / FILES[1]).write_bytes(b"decoder")
    tuned = encoder.speaker.state_dict()
    save_weights(folder / UNTUNED, pack_untuned({MOVED: tuned[MOVED] + 0.1}, tuned), facts)
    hashes = {name: hash_file(folder / name) for name in (*FILES, UNTUNED)}
    save_card(folder, Card("tiny", "0.1.0", "MIT", "", "dlib", hashes, {"voice_encoder": facts}))
    return find_model(folder)


@pytest.fixture(scope="module")
def copy_encoder(model) -> Callable[..., None]:
    """Writes what an export would, which takes its time."""

    def copy(_: VoiceEncoder, path: Path, facts: dict[str, Any]) -> None:
        written = onnx.load(model.voice_encoder)
        onnx.helper.set_model_props(written, {"speech2face": json.dumps(facts)})
        onnx.save(written, path)

    return copy


@pytest.fixture(scope="module")
def light(model, speech, copy_encoder) -> Model:
    folder = model.folder.with_name("light")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(light_model, "export_encoder", copy_encoder)
        quantise_model(model, speech, folder)
    return find_model(folder)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seconds", [0.5, 2.7])
def test_eight_bits_say_nearly_what_floats_say(encoder, light, batch, seconds):
    voices = np.stack([make_voice(seconds) * (n + 1) for n in range(batch)])
    mean, covariance, _, _ = open_session(light.voice_encoder).run(None, {"waveform": voices})
    wanted, wanted_covariance, _, _ = encoder(torch.tensor(voices))
    wanted = wanted.numpy()
    assert np.abs(mean - wanted).max() > 0
    average = encoder.head.average.numpy()
    assert np.linalg.norm(mean - wanted) < 0.1 * np.linalg.norm(wanted - average)
    np.testing.assert_allclose(covariance, wanted_covariance, rtol=1e-5)


def test_products_are_of_whole_numbers_and_all_else_is_as_it_was(encoder, model, light):
    graph = onnx.load(light.voice_encoder).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("LSTM") == 1  # the first layer
    assert kinds.count("DynamicQuantizeLSTM") == TINY.speaker.ge2e.layers - 1
    makers = {node.output[0]: node.op_type for node in graph.node}
    quantised = [
        makers.get(node.input[1]) == "DequantizeLinear"
        for node in graph.node
        if node.op_type == "Conv"
    ]
    # Two spectrograms, the first of CAM++, and two a gate stay floats.
    assert quantised.count(False) == 3 + 2 * sum(TINY.speaker.campplus.block_layers)
    assert quantised.count(True) > 20
    head = copy.deepcopy(encoder.head)
    torch.nn.init.zeros_(head.linear.weight)
    load_onnx_weights(torch.nn.ModuleDict({"head": head}), light.voice_encoder)
    assert hash_weights(head) == hash_weights(encoder.head)
    stored = {entry.key: entry.value for entry in onnx.load(light.voice_encoder).metadata_props}
    assert json.loads(stored["speech2face"])["quantised"]["recordings"] == LEAST_RECORDINGS


def test_no_two_products_overflow_sixteen_bits(light):
    """Processors without VNNI add two of them in so many, and would say nothing."""
    graph = onnx.load(light.voice_encoder).graph
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLSTM":
            for name in node.input[1:3]:
                weights = held[name].astype(int)
                assert 100 < np.abs(weights).max() <= 127
                assert np.abs(weights[:, 1:] + weights[:, :-1]).max() * 255 < 2**15
        elif node.op_type == "Conv" and node.input[0] in makers:
            given = makers[node.input[0]]
            assert held[given.input[2]] == 0  # nothing is negative, so 7 bits are up to 127
            bias, step = (held[name] for name in makers[node.input[2]].input[:2])
            weights_step = held[makers[node.input[1]].input[1]]
            np.testing.assert_allclose(step, held[given.input[1]] * weights_step, rtol=1e-5)
            assert bias.dtype == np.int32


def test_its_features_and_speaker_embeddings_are_found(encoder, light):
    voice = make_voice(2.3)
    (features,) = open_features(light.voice_encoder).run(None, {"waveform": voice[None]})
    wanted = encoder.speaker(torch.tensor(voice[None])).numpy()
    assert features.shape == wanted.shape
    assert np.linalg.norm(features - wanted) < 0.2 * np.linalg.norm(wanted)
    alone = SpeakerFeatures(light.voice_encoder).embed(voice)
    np.testing.assert_allclose(alone, features[0, :192], atol=1e-4)


def test_training_starts_from_the_same_weights(model, light):
    starts = [load_start(one, VoiceEncoder(TINY).speaker) for one in (model, light)]
    assert hash_weights(starts[0]) == hash_weights(starts[1])
    tuned = VoiceEncoder(TINY).speaker
    load_onnx_weights(torch.nn.ModuleDict({"speaker": tuned}), model.voice_encoder)
    moved = starts[1].state_dict()[MOVED] - tuned.state_dict()[MOVED]
    np.testing.assert_allclose(moved, 0.1, atol=1e-3)


def test_its_card_says_so(model, light):
    assert light.card.facts["voice_encoder"]["quantised"]["recordings"] == LEAST_RECORDINGS
    assert (light.card.name, light.card.licence) == (model.card.name, model.card.licence)
    assert light.card.sha256[FILES[1]] == model.card.sha256[FILES[1]]


def test_a_fold_hears_with_eight_bits(encoder, speech, copy_encoder, tmp_path, monkeypatch):
    """The audit is calibrated by what such folds hear."""
    monkeypatch.setattr(fold_encoders, "export_encoder", copy_encoder)
    clips: Any = SimpleNamespace(voices=SimpleNamespace(data="voices"))
    head: Any = SimpleNamespace(predict=lambda features, seconds: features)
    recipe = replace(voice_encoder_debug(), network=TINY)
    floats = FoldEncoder(recipe, encoder, head, clips, tmp_path)
    light = floats.quantise(speech)
    assert light.quantised
    written = light.quantised.stat().st_mtime_ns
    assert floats.quantise(speech).quantised == light.quantised
    assert light.quantised.stat().st_mtime_ns == written  # it is kept
    heard = [
        one.predict(
            ["a", "b"], lambda: [make_voice(1.3), make_voice(0.7)], "whole", lambda *_: None
        )
        for one in (floats, light)
    ]
    (wanted, seconds), (found, same) = heard
    np.testing.assert_array_equal(seconds, same)
    assert wanted.shape == found.shape == (2, TINY.speaker.embedding_size)
    assert 0 < np.linalg.norm(found - wanted) < 0.2 * np.linalg.norm(wanted)


def test_what_cannot_be_made_light_is_refused(model, light, speech, tmp_path):
    with pytest.raises(ModelError, match="has 8 bits already"):
        quantise_model(light, speech, tmp_path / "again")
    with pytest.raises(UsageError, match="is the model itself"):
        quantise_model(model, speech, model.folder, force=True)
    with pytest.raises(UsageError, match="holds a model; --force overwrites it"):
        quantise_model(model, speech, light.folder)
    with pytest.raises(UsageError, match="7 recordings with speech; at least 8"):
        quantise_encoder(model.voice_encoder, speech[1:], tmp_path / "few.onnx")
    assert [*Path(tmp_path).iterdir()] == []
