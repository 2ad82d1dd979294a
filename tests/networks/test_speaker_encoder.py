import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from helpers.numeric_voice import make_voice
from speech2face.errors import ModelError
from speech2face.networks.campplus import CamPlusPlus
from speech2face.networks.ge2e import Ge2e
from speech2face.networks.speaker_encoder import SpeakerEncoder, load_speaker_encoder
from speech2face.training.onnx_export import export_onnx
from speech2face.training.voice_encoder import VoiceEncoderRecipe, load_speaker

GOLDEN = json.loads((Path(__file__).parent / "golden_speaker_encoder.json").read_text())
CAMPPLUS, GE2E = slice(0, 192), slice(192, 448)


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    return load_speaker(VoiceEncoderRecipe(name="test")).speaker.requires_grad_(False)


@pytest.fixture(scope="module")
def exported(encoder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "speaker_encoder.onnx"
    dynamic = {0: "batch", 1: "samples"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of torch, to itself
        warnings.filterwarnings("ignore", category=FutureWarning)
        export_onnx(
            encoder,
            path,
            example_inputs=(torch.zeros(2, 48_123),),
            input_names=["waveform"],
            output_names=["embedding"],
            dynamic_shapes=(dynamic,),
            metadata={"card": "for the test"},
        )
    return path


@pytest.fixture(scope="module")
def session(exported) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])


def embed(encoder: SpeakerEncoder, *clips: np.ndarray) -> np.ndarray:
    return encoder(torch.from_numpy(np.stack(clips))).numpy()


def test_parameters():
    assert sum(weight.numel() for weight in CamPlusPlus().parameters()) == 6_848_544
    assert sum(weight.numel() for weight in Ge2e().parameters()) == 1_423_616


@pytest.mark.parametrize("seconds", GOLDEN["campplus"])
def test_campplus_is_the_released_network(encoder, seconds):
    embedding = embed(encoder, make_voice(float(seconds)))[0, CAMPPLUS]
    # The weights were rounded to half precision since.
    np.testing.assert_allclose(embedding[:32], GOLDEN["campplus"][seconds], atol=2e-3)


@pytest.mark.parametrize("seconds", GOLDEN["ge2e"])
def test_ge2e_is_the_released_network(encoder, seconds):
    embedding = embed(encoder, make_voice(float(seconds)))[0, GE2E]
    np.testing.assert_allclose(embedding[:32], GOLDEN["ge2e"][seconds], atol=1e-3)


@pytest.mark.parametrize("seconds", [0.5, 1.6, 2.3])
def test_both_halves_have_unit_length(encoder, seconds):
    embedding = embed(encoder, make_voice(seconds))[0]
    assert np.linalg.norm(embedding[CAMPPLUS]) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(embedding[GE2E]) == pytest.approx(1, abs=1e-5)


def test_quiet_clips_are_raised(encoder):
    clip = 0.01 * make_voice(2)
    embeddings = embed(encoder, clip, 0.5 * clip)[:, GE2E]
    np.testing.assert_allclose(embeddings[0], embeddings[1], atol=1e-5)


def test_silence_gives_finite_numbers(encoder):
    assert np.isfinite(embed(encoder, np.zeros(16_000, np.float32))).all()


def test_gradients_are_finite():
    encoder = SpeakerEncoder()
    waveform = torch.from_numpy(np.stack([make_voice(1), np.zeros(16_000, np.float32)]))
    encoder(waveform).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seconds", [0.5, 0.51234, 1, 1.6, 2.4073, 3, 6, 7.7777, 10])
def test_onnx_computes_the_same(encoder, session, seconds, batch):
    samples = round(seconds * 16_000)
    whole = make_voice(seconds + 1)
    clips = np.stack([whole[start:][:samples] for start in range(0, batch * 4000, 4000)])
    (embeddings,) = session.run(["embedding"], {"waveform": clips})
    np.testing.assert_allclose(embeddings, embed(encoder, *clips), atol=1e-4)


@pytest.mark.slow
def test_onnx_file_is_small_and_says_nothing_of_its_maker(exported):
    assert exported.stat().st_size < 19.5e6
    assert [file.name for file in exported.parent.iterdir()] == [exported.name]
    model = onnx.load(exported)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"card": "for the test"}
    assert [node.op_type for node in model.graph.node].count("LSTM") == 3
    assert str(Path(__file__).parents[2]).encode() not in exported.read_bytes()


@pytest.mark.parametrize("kind", ["missing", "a folder", "a table", "a checkpoint"])
def test_what_holds_no_speaker_networks_is_refused_in_one_line(kind, tmp_path):
    path = tmp_path if kind == "a folder" else tmp_path / "weights.safetensors"
    if kind == "a table":
        path.write_text("clip,person\n")
    if kind == "a checkpoint":
        save_file({"campplus.exit": torch.zeros(2)}, path, {"speech2face": "{}"})
    with pytest.raises(ModelError, match=str(path)) as refused:
        load_speaker_encoder(path)
    assert "\n" not in str(refused.value)
