"""The voice encoders that can be trained end to end: made anew, or read from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from speech2face.networks.attentive_voice_encoder import AttentiveEncoder, AttentiveEncoderConfig
from speech2face.networks.paper_voice_encoder import PaperVoiceEncoder, PaperVoiceEncoderConfig
from speech2face.networks.voice_encoder import VoiceEncoder, VoiceEncoderConfig
from speech2face.training.checkpoint import float32, load_weights
from speech2face.training.voice_encoder import load_voice_encoder

Network = PaperVoiceEncoderConfig | AttentiveEncoderConfig | VoiceEncoderConfig
KINDS: dict[type[Network], str] = {
    PaperVoiceEncoderConfig: "paper_voice_encoder",
    AttentiveEncoderConfig: "attentive_encoder",
    VoiceEncoderConfig: "voice_encoder",
}


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


def load_encoder(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The encoder of a weights file, ready to run, and the file's metadata.

    Raises ModelError where the file is none, or of another network.
    """
    tensors, metadata = load_weights(path)
    sizes: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in metadata["recipe"]["network"].items()
    }
    match metadata.get("network"):
        case "paper_voice_encoder":
            network = PaperVoiceEncoder(PaperVoiceEncoderConfig(**sizes))
        case "attentive_encoder":
            network = AttentiveEncoder(AttentiveEncoderConfig(**sizes))
        case _:
            return load_voice_encoder(path)
    network.load_state_dict(float32(tensors))
    return network.eval(), metadata
