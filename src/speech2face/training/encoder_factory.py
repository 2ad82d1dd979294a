"""The voice encoders that can be trained end to end: made anew, or read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from speech2face.errors import ModelError
from speech2face.networks.attentive_voice_encoder import AttentiveEncoder, AttentiveEncoderConfig
from speech2face.networks.paper_voice_encoder import PaperVoiceEncoder, PaperVoiceEncoderConfig
from speech2face.networks.speaker_encoder import read_config
from speech2face.networks.voice_encoder import (
    GaussianEncoder,
    PointVoiceEncoder,
    VoiceEncoder,
    VoiceEncoderConfig,
)
from speech2face.training.checkpoint import float32, load_weights
from speech2face.training.voice_encoder import load_voice_encoder

Network = PaperVoiceEncoderConfig | AttentiveEncoderConfig | VoiceEncoderConfig
KINDS: dict[type[Network], str] = {
    PaperVoiceEncoderConfig: "paper_voice_encoder",
    AttentiveEncoderConfig: "attentive_encoder",
    VoiceEncoderConfig: "voice_encoder",
}


POINTS = {name: kind for kind, name in KINDS.items() if kind is not VoiceEncoderConfig}


def fit_size(network: Network, faces: int) -> Network:
    """The same network, but with as many outputs as embeddings of faces have numbers."""
    if isinstance(network, VoiceEncoderConfig):
        return replace(network, face_embedding=faces)
    return replace(network, embedding_size=faces)


def make_network(network: Network, seed: int = 0) -> nn.Module:
    """A network that knows nothing yet, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match network:
            case PaperVoiceEncoderConfig():
                return PaperVoiceEncoder(network)
            case AttentiveEncoderConfig():
                return AttentiveEncoder(network)
            case VoiceEncoderConfig():
                return VoiceEncoder(network)


def load_encoder(path: Path) -> tuple[GaussianEncoder, dict[str, Any]]:
    """The encoder of a weights file, ready to run, and the file's metadata.

    Raises ModelError where the file is none, or of another network.
    """
    tensors, metadata = load_weights(path)
    if metadata.get("network", "voice_encoder") not in POINTS:
        return load_voice_encoder(path)
    if "head.average" not in tensors:
        raise ModelError(
            f"{path}: says a point without a Gaussian (version 0.4.0 or older); train anew."
        )
    encoder = make_encoder(metadata)
    encoder.load_state_dict(float32(tensors))
    return encoder.eval(), metadata


def make_encoder(metadata: Mapping[str, Any]) -> GaussianEncoder:
    """The encoder that weights with this metadata are of, without them. Raises ModelError."""
    kind, sizes = metadata.get("network", "voice_encoder"), metadata["recipe"]["network"]
    if kind == "voice_encoder":
        speaker = read_config(sizes["speaker"])
        return VoiceEncoder(VoiceEncoderConfig(sizes["face_embedding"], speaker))
    if kind not in POINTS:
        raise ModelError(f"a {kind} is no voice encoder.")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
    return PointVoiceEncoder(make_network(POINTS[kind](**given)), sizes["embedding_size"])
