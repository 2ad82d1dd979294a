"""A voice's features by two pretrained speaker networks.

CAM++ listens to the log spectrum over the whole clip, GE2E to the level spectrum in windows of
1.6 s; what they say of a face adds up. Their embeddings, each of unit length, stand side by side.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from speech2face.errors import ModelError
from speech2face.networks.campplus import CamPlusPlus, CamPlusPlusConfig
from speech2face.networks.ge2e import Ge2e, Ge2eConfig
from speech2face.networks.spectrogram import KaldiFbank


@dataclass(frozen=True)
class SpeakerEncoderConfig:
    campplus: CamPlusPlusConfig = field(default_factory=CamPlusPlusConfig)  # its sizes
    ge2e: Ge2eConfig = field(default_factory=Ge2eConfig)  # its sizes

    @property
    def embedding_size(self) -> int:
        return self.campplus.embedding_size + self.ge2e.embedding_size


class SpeakerEncoder(nn.Module):
    """Any clip from half a second: (batch, samples) at 16 kHz -> (batch, 192 + 256)."""

    def __init__(self, config: SpeakerEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SpeakerEncoderConfig()
        self.fbank = KaldiFbank(config.campplus.feature_bins)
        self.campplus = CamPlusPlus(config.campplus)
        self.ge2e = Ge2e(config.ge2e)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, embedding_size)."""
        return self.finish(*self.begin(waveform))

    def begin(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples) -> what CAM++'s blocks are given (batch, 128, time), and what GE2E says
        (batch, 256)."""
        return self.campplus.begin(self.fbank(waveform)), self.ge2e(waveform)

    def finish(self, entered: Tensor, ge2e: Tensor) -> Tensor:
        """Output of `begin` -> (batch, embedding_size)."""
        return _join(self.campplus.finish(entered), ge2e)

    def pass_lower_blocks(self, entered: Tensor) -> Tensor:
        """What CAM++'s blocks are given -> what its last block is given (batch, 512, time)."""
        return self.campplus.pass_blocks(entered, end=-1)

    def finish_last_block(self, middle: Tensor, ge2e: Tensor) -> Tensor:
        """Output of `pass_lower_blocks`, and what GE2E says -> (batch, embedding_size)."""
        return _join(self.campplus.pool(self.campplus.pass_blocks(middle, first=-1)), ge2e)


def _join(campplus: Tensor, ge2e: Tensor) -> Tensor:
    return torch.cat([F.normalize(campplus, dim=1), ge2e], dim=1)


def read_config(sizes: Mapping[str, Any]) -> SpeakerEncoderConfig:
    """The configuration that was written as JSON, which made lists of its tuples."""
    campplus: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in sizes["campplus"].items()
    }
    return SpeakerEncoderConfig(CamPlusPlusConfig(**campplus), Ge2eConfig(**sizes["ge2e"]))


def load_speaker_encoder(path: str | os.PathLike[str]) -> SpeakerEncoder:
    """The encoder of a safetensors file, whose metadata hold its configuration, ready for use.

    Raises ModelError where the file cannot be read or holds something else: a trained voice
    encoder, or a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            config = read_config(json.loads((file.metadata() or {})["config"]))
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        encoder = SpeakerEncoder(config)
        encoder.load_state_dict(weights)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
        raise ModelError(
            f"{path}: not speaker networks as scripts/import_speaker_networks.py writes them; a "
            "trained encoder or a checkpoint is no start."
        ) from None
    return encoder.eval()
