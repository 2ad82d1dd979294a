"""Trained weights → a model for inference: the same numbers at any length and batch."""

import copy
import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from helpers.tiny_networks import TINY
from speech2face.errors import ModelError, UsageError
from speech2face.face_drawing import draw_faces
from speech2face.files import hash_file
from speech2face.model_folders import FILES, UNTUNED, find_model
from speech2face.networks.face_decoder import LEVELS, FaceDecoder, to_levels
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.reconstruct import load
from speech2face.training import package_model
from speech2face.training.checkpoint import load_weights, save_weights
from speech2face.training.encoder_factory import KINDS, make_network
from speech2face.training.end_to_end_task import EndToEndRecipe
from speech2face.training.face_decoder import load_face_decoder
from speech2face.training.onnx_export import export_onnx
from speech2face.training.package_model import export_model
from speech2face.training.recipes import (
    contrastive,
    end_to_end_debug,
    face_decoder_debug,
    voice_encoder_debug,
)
from speech2face.training.untuned_weights import unpack_untuned


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
    factor = torch.randn(128, 256)
    encoder.head.residual_covariance.copy_(factor @ factor.T / 256 + 1e-3 * torch.eye(128))
    encoder.head.explained_covariance.copy_(factor[:, :64] @ factor[:, :64].T / 256)
    encoder.head.average.copy_(torch.randn(128))
    encoder.head.half_gain_seconds.fill_(0.7)
    return encoder


@pytest.fixture(scope="module")
def decoder_weights(tmp_path_factory):
    torch.manual_seed(0)
    recipe = face_decoder_debug()
    shape = np.random.default_rng(0).uniform(0.2, 0.8, (77, 2))
    network = FaceDecoder(recipe.network, shape, SHAPES, colours=2)
    network.light_slope.copy_(0.01 * torch.randn_like(network.light_slope))
    network.light_offset.copy_(torch.rand_like(network.light_offset))
    network.light_middle.fill_(0.5)
    network.light_spread.fill_(0.3)
    network.skin_cover.fill_(1.0)
    network.hair_front.fill_(0)
    network.hair_back.fill_(0)
    for number in range(1, SHAPES + 1):
        network.hair_front[number, : 200 * number] = LEVELS
    network.hair_light.fill_(to_levels(torch.tensor(1.0), "hair_light"))
    network.hair_colours.copy_(torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.7, 0.3]]))
    network.shape_slope.copy_(0.001 * torch.randn_like(network.shape_slope))
    network.shape_spread.fill_(0.01)
    path = tmp_path_factory.mktemp("decoder") / "face_decoder.safetensors"
    save_weights(path, network.state_dict(), {"recipe": asdict(recipe), "data": "abc"})
    return path


SHAPES = 3  # of hair
MOVED = "campplus.exit.0.weight"


@pytest.fixture(scope="module")
def exported(encoder, decoder_weights, tmp_path_factory):
    """The card and the folder of a model with a tiny encoder."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    facts = {"recipe": asdict(voice_encoder_debug()), "people": 8}
    # Before tuning weights of one layer were 0.1: what the model's file says of it must be that.
    weights = torch.full_like(encoder.speaker.state_dict()[MOVED], 0.1)
    tensors = encoder.state_dict() | {f"untuned/{MOVED}": weights}
    save_weights(decoder_weights.with_name("voice_encoder.safetensors"), tensors, facts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package_model, "load_encoder", lambda _: (copy.deepcopy(encoder), facts))
        arguments = decoder_weights.with_name("voice_encoder.safetensors"), decoder_weights
        card = export_model(*arguments, folder, name="tiny", licence="MIT", summary="For tests.")
    return card, folder


def open_session(path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_the_model_can_be_found_and_its_card_says_what_it_is(exported, encoder):
    card, folder = exported
    model = find_model(str(folder))
    assert asdict(model.card) == json.loads(json.dumps(asdict(card)))
    assert (card.name, card.licence, card.summary) == ("tiny", "MIT", "For tests.")
    assert card.face_encoder == "dlib"
    files = [*FILES, UNTUNED]
    assert card.sha256 == {name: hash_file(folder / name) for name in files}
    assert card.facts["voice_encoder"]["people"] == 8
    assert card.typical == face_decoder_debug().typical != 1
    assert card.hair_shapes == SHAPES
    assert sorted(p.name for p in folder.iterdir()) == sorted([*files, "card.json"])
    assert model.untuned == folder / UNTUNED
    packed, _ = load_weights(folder / UNTUNED)
    before = unpack_untuned(packed, encoder.speaker.state_dict())
    assert [*before] == [MOVED]
    assert (before[MOVED] == torch.tensor(0.1).half()).all()


def test_its_files_say_nothing_of_their_maker(exported):
    for name, lstms in zip(FILES, (TINY.speaker.ge2e.layers, 0), strict=True):
        path = exported[1] / name
        assert [node.op_type for node in onnx.load(path).graph.node].count("LSTM") == lstms
        assert str(Path(__file__).parents[2]).encode() not in path.read_bytes()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.7])
def test_the_encoder_hears_the_same_at_any_length_and_batch(exported, encoder, batch, seconds):
    generator = torch.Generator().manual_seed(batch)
    waveform = 0.1 * torch.randn(batch, round(seconds * 16_000), generator=generator)
    session = open_session(exported[1] / FILES[0])
    mean, covariance, _, shown = session.run(None, {"waveform": waveform.numpy()})
    wanted_mean, wanted_covariance, _, wanted_shown = encoder(waveform)
    # The speaker networks are stored in half precision, the head in full.
    spread = float((wanted_mean - encoder.head.average).std())
    np.testing.assert_allclose(mean, wanted_mean, atol=0.02 * spread)
    spread = float((wanted_shown - encoder.head.average).std())
    np.testing.assert_allclose(shown, wanted_shown, atol=0.02 * spread)
    np.testing.assert_allclose(covariance, wanted_covariance, rtol=1e-4, atol=1e-6)
    for matrix in covariance:
        np.linalg.cholesky(matrix.astype(np.float64))


@pytest.mark.parametrize("batch", [1, 3])
def test_the_decoder_draws_the_same_at_any_batch(exported, encoder, decoder_weights, batch):
    network, _ = load_face_decoder(decoder_weights)
    embedding = torch.randn(batch, 128, generator=torch.Generator().manual_seed(batch))
    session = open_session(exported[1] / FILES[1])
    hair, turn = torch.zeros(2, batch, network.kinds)
    given = {"embedding": embedding.numpy(), "hair": hair.numpy(), "turn": turn.numpy()}
    picture, landmarks = session.run(None, given)
    pictures, _ = draw_faces(session, embedding.numpy())  # which gives no hair of its own
    np.testing.assert_array_equal(pictures[..., 0], np.round(255 * picture[:, 0]).astype(np.uint8))
    network.hair_centre.copy_(encoder.head.average)  # as it is where both are released
    with torch.inference_mode():
        wanted, places = network(embedding, hair, turn)
    assert picture.shape == (batch, 3, 64, 64)
    assert picture.std() > 0.05
    np.testing.assert_allclose(picture, wanted, atol=0.02)  # of weights rounded to halves
    np.testing.assert_allclose(landmarks, places, atol=1e-3)


def test_a_typical_face_lies_farther_out_than_the_encoder_says(exported):
    card, folder = exported
    waveform = 0.1 * np.random.default_rng(0).standard_normal((2, 16_000), np.float32)
    told = open_session(folder / FILES[0]).run(None, {"waveform": waveform})
    mean, covariance, average, shown = load(folder).encode(waveform)
    for value, same in zip((mean, covariance, average), told, strict=False):
        np.testing.assert_array_equal(value, same)
    np.testing.assert_allclose(shown - average, card.typical * (told[3] - average), atol=1e-5)


def test_hair_is_chosen_by_name_by_number_and_by_seed(exported):
    model = load(exported[1])
    assert model.hair_shapes == SHAPES
    faces = np.random.default_rng(0).standard_normal((2, 128), np.float32)
    kinds = ["none", *range(1, SHAPES + 1)]
    worn = [model.decode(faces, hair=hair)[0] for hair in kinds]
    for face in (0, 1):
        assert len({pictures[face].tobytes() for pictures in worn}) == len(kinds)
    own = model.decode(faces)[0]
    np.testing.assert_array_equal(own, model.decode(faces, seed=0)[0])
    seeds = [model.decode(faces, seed=seed)[0] for seed in range(12)]
    met = {pictures[0].tobytes() for pictures in seeds}
    assert met > {own[0].tobytes()}  # it, and others
    np.testing.assert_array_equal(seeds[3], model.decode(faces, seed=3)[0])
    with pytest.raises(UsageError, match=f"a number from 1 to {SHAPES}, not {SHAPES + 1}"):
        model.decode(faces, hair=SHAPES + 1)


def test_decoders_of_older_recipes_draw_as_far_out_as_the_encoder_says(
    encoder, decoder_weights, tmp_path, monkeypatch
):
    tensors, facts = load_weights(decoder_weights)
    del facts["recipe"]["typical"]
    weights = tmp_path / "face_decoder.safetensors"
    save_weights(weights, tensors, facts)
    monkeypatch.setattr(
        package_model, "export_onnx", lambda _, path, *__: path.write_bytes(b"network")
    )
    told = {"recipe": asdict(voice_encoder_debug())}
    monkeypatch.setattr(package_model, "load_encoder", lambda _: (encoder, told))
    monkeypatch.setattr(package_model, "load_untuned", lambda _: {})
    assert export_model(weights, weights, tmp_path / "model", name="x").typical == 1


@pytest.mark.parametrize("kind", ["without layers", "of halves", "without an outline", "of floats"])
def test_a_decoder_of_an_older_version_is_refused(decoder_weights, tmp_path, kind):
    tensors, facts = load_weights(decoder_weights)
    weights = tmp_path / "face_decoder.safetensors"
    layers = {k: v for k, v in tensors.items() if "hair" in k} if kind == "of halves" else {}
    halves = {k: v[:, : v.shape[1] // 2] for k, v in layers.items() if v.ndim == 2}
    old = {k: v for k, v in tensors.items() if "hair" not in k}
    if kind == "without an outline":
        old = {k: v for k, v in tensors.items() if "quirk" not in k}
    if kind == "of floats":
        old = {k: v.float() for k, v in tensors.items()}
    save_weights(weights, {**old, **layers, **halves}, facts)
    with pytest.raises(ModelError, match=r"version 0\.6 or older; train anew\."):
        load_face_decoder(weights)


def test_a_model_is_overwritten_only_when_asked(exported, decoder_weights):
    _, folder = exported
    before = hash_file(folder / "card.json")
    with pytest.raises(UsageError, match="holds a model; --force overwrites it"):
        export_model(decoder_weights, decoder_weights, folder, name="other")
    assert hash_file(folder / "card.json") == before


def save_fresh(path: Path, recipe: EndToEndRecipe) -> dict[str, Any]:
    """Weights as end-to-end training leaves them, and what is said of them."""
    facts = {"network": KINDS[type(recipe.network)], "recipe": asdict(recipe)}
    save_weights(path, make_network(recipe.network).state_dict(), facts)
    return facts


def test_what_older_versions_trained_end_to_end_is_exported_if_it_gives_a_gaussian(
    decoder_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        package_model, "export_onnx", lambda _, path, *__: path.write_bytes(b"network")
    )
    weights = tmp_path / "voice_encoder.safetensors"
    facts = save_fresh(weights, contrastive())
    card = export_model(weights, decoder_weights, tmp_path / "model", name="x")
    assert card.facts["voice_encoder"] == json.loads(json.dumps(facts))
    assert card.sha256.keys() == {*FILES}
    save_fresh(weights, end_to_end_debug())
    with pytest.raises(ModelError, match=r"without a Gaussian .* train anew\.$") as told:
        export_model(weights, decoder_weights, tmp_path / "other", name="x")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "other").exists()


def test_networks_of_different_spaces_are_refused(encoder, decoder_weights, tmp_path, monkeypatch):
    recipe = replace(voice_encoder_debug(), face_encoder="sface")
    facts = {"recipe": asdict(recipe)}
    monkeypatch.setattr(package_model, "load_encoder", lambda _: (encoder, facts))
    with pytest.raises(ModelError, match="live in different spaces: "):
        export_model(tmp_path / "x", decoder_weights, tmp_path / "model", name="x")
    assert not (tmp_path / "model").exists()


def test_an_export_that_fails_leaves_no_card(exported, encoder, decoder_weights, monkeypatch):
    """Files of two models under one card would be worse than none."""
    facts = {"recipe": asdict(voice_encoder_debug())}
    folder = decoder_weights.parent / "half"
    folder.mkdir()
    (folder / "card.json").write_text((exported[1] / "card.json").read_text())

    def fail(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(package_model, "load_encoder", lambda _: (encoder, facts))
    monkeypatch.setattr(package_model, "export_onnx", fail)
    with pytest.raises(OSError, match="No space"):
        export_model(decoder_weights, decoder_weights, folder, name="x", force=True)
    assert not (folder / "card.json").exists()
    with pytest.raises(ModelError, match="no model"):
        find_model(str(folder))


@pytest.mark.parametrize(
    "kind",
    [
        {"batch_first": False},
        {"bidirectional": True},
        {"bias": False},
        {"proj_size": 1},
    ],
)
def test_an_lstm_of_another_kind_is_refused(tmp_path, kind):
    network = torch.nn.Sequential(torch.nn.LSTM(2, 3, **{"batch_first": True, **kind}))
    path = tmp_path / "network.onnx"
    with pytest.raises(ModelError, match="cannot be exported"):
        export_onnx(network, path, (torch.zeros(1, 4, 2),), ["x"], ["y"], ({0: "batch"},), {})
    assert not path.exists()
