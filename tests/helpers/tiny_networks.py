"""Speaker networks of the released kind, but tiny and knowing nothing: a minute less to export."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from speech2face.networks.campplus import CamPlusPlusConfig
from speech2face.networks.ge2e import Ge2eConfig
from speech2face.networks.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from speech2face.networks.voice_encoder import VoiceEncoderConfig
from speech2face.training.recipes import voice_encoder_debug
from speech2face.training.voice_encoder import VoiceEncoderRecipe

TINY = VoiceEncoderConfig(
    speaker=SpeakerEncoderConfig(
        CamPlusPlusConfig(
            front_channels=4, entry_channels=16, growth=4, bottleneck=8, block_layers=(1, 1, 1)
        ),
        Ge2eConfig(hidden_size=32, layers=2),
    )
)


def tiny_debug_recipe() -> VoiceEncoderRecipe:
    """The recipe `debug`, with tiny networks."""
    return replace(voice_encoder_debug(), network=TINY)


def save_tiny_speaker(path: Path) -> Path:
    """Speaker networks to begin with, as `--speaker` takes them."""
    torch.manual_seed(0)
    config = json.dumps(asdict(TINY.speaker))
    save_file(SpeakerEncoder(TINY.speaker).state_dict(), path, {"config": config})
    return path
