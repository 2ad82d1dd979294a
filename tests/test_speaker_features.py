"""Voices are told apart by what the released encoder hears."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.sounds import EXAMPLES
from speech2face.errors import ModelError
from speech2face.media import load_audio
from speech2face.runtime import import_runtime
from speech2face.speaker_features import RELEASED, SpeakerFeatures


def test_a_voice_is_nearer_to_itself_than_to_others():
    features = SpeakerFeatures()
    halves = []
    for name in ("emma", "george", "michael"):
        speech = load_audio(str(EXAMPLES / f"{name}.flac")).samples
        halves.append([features.embed(part) for part in np.array_split(speech, 2)])
    first, second = np.array(halves).transpose(1, 0, 2)
    assert first.shape == (3, 192)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-5)
    alike = first @ second.T
    assert (alike.diagonal() > alike.max(0, where=~np.eye(3, dtype=bool), initial=-1)).all()
    assert features.embed(np.ones(100, np.float32)).shape == (192,)


def test_many_voices_at_once_are_what_each_is_alone():
    speech = load_audio(str(EXAMPLES / "emma.flac")).samples[:48_000].reshape(2, -1)
    features = SpeakerFeatures()
    alone = np.stack([features.embed(one) for one in speech])
    together = features.embed_batch(speech)  # floats are added in another order
    assert ((together * alone).sum(axis=1) > 0.99).all()
    assert (together * alone[::-1]).sum(axis=1).max() < 0.9


def test_the_speaker_network_alone_gives_what_the_whole_encoder_computes():
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(RELEASED))
    encoder = {name: node for node in graph.graph.node for name in node.output}
    reader = next(node for node in graph.graph.node if "head.linear.weight" in node.input)
    inner = encoder[reader.input[0]].input[0]
    graph.graph.output.append(onnx.helper.make_tensor_value_info(inner, 1, None))
    speech = load_audio(str(EXAMPLES / "emma.flac")).samples[:32_000]
    session = import_runtime().InferenceSession(graph.SerializeToString())
    (whole,) = session.run([inner], {"waveform": speech[None]})
    np.testing.assert_allclose(SpeakerFeatures().embed(speech), whole[0], atol=1e-5)


def test_an_encoder_without_speaker_networks_is_refused(tmp_path):
    with pytest.raises(ModelError):
        SpeakerFeatures(tmp_path)
    with pytest.raises(ModelError):
        SpeakerFeatures(RELEASED.with_name("face_decoder.onnx"))


def test_a_damaged_encoder_is_refused(tmp_path):
    content = RELEASED.read_bytes()
    for name, damaged in {"short": content[:9_000_000], "no model": b"text", "none": b""}.items():
        path = tmp_path / name
        path.write_bytes(damaged)
        with pytest.raises(ModelError):
            SpeakerFeatures(path)
