"""The voice encoder: waveform → a Gaussian over the face embedding.

In the released network two pretrained speaker networks listen (`speaker_encoder.py`), in others one
that says a point; one linear layer reads the face off them. What the voice does not tell is the
covariance: it grows as the clip gets shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech2face.media import SAMPLE_RATE
from speech2face.networks.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig

OLD_NAMES = {  # of the head's tensors, in files of versions up to 0.3
    "residual": "residual_covariance",
    "explained": "explained_covariance",
    "half_seconds": "half_gain_seconds",
    "stretch": "unshrink",
}


@dataclass(frozen=True)
class VoiceEncoderConfig:
    """Sizes of the encoder; they travel in the metadata of its weights."""

    face_embedding: int = 128  # numbers of a face's embedding
    speaker: SpeakerEncoderConfig = field(default_factory=SpeakerEncoderConfig)  # that listen


class GaussianEncoder(nn.Module):
    """(B, samples) at 16 kHz, from 0.5 s → mean (B, D), covariance (B, D, D), average and shown.

    The average (B, D) is the mean face of all people: what the mean is where a voice tells nothing.
    The face is drawn where `shown` (B, D) says. Subclasses have an `ear`, which listens: waveform
    (B, samples) → features (B, F).
    """

    head: GaussianHead

    @property
    def ear(self) -> nn.Module:
        raise NotImplementedError

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features = self.ear(waveform)  # (B, F)
        seconds = torch.ones_like(waveform[:, 0]) * (waveform.shape[1] / SAMPLE_RATE)
        mean, covariance = self.head(features, seconds)
        return mean, covariance, self.head.average.expand_as(mean), self.head.show(mean)


class VoiceEncoder(GaussianEncoder):
    """The released network: two speaker networks listen."""

    def __init__(self, config: VoiceEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VoiceEncoderConfig()
        self.speaker = SpeakerEncoder(config.speaker)
        self.head = GaussianHead(config.speaker.embedding_size, config.face_embedding)

    @property
    def ear(self) -> SpeakerEncoder:
        return self.speaker


class PointVoiceEncoder(GaussianEncoder):
    """A network that says one face, (B, samples) → (B, D), and the head that says how sure it is.

    At first the head believes the point as it is, and nothing else.
    """

    def __init__(self, point: nn.Module, outputs: int) -> None:
        super().__init__()
        self.point = point
        self.head = GaussianHead(outputs, outputs)
        nn.init.eye_(self.head.linear.weight)
        nn.init.zeros_(self.head.linear.bias)

    @property
    def ear(self) -> nn.Module:
        return self.point


class GaussianHead(nn.Module):
    """Features (B, F) and seconds (B,) → mean (B, D) and covariance (B, D, D) of the face.

    For an endless clip the mean is linear in the features, and the faces' covariance is
    explained + residual. A clip of t seconds hears the explained part through noise that falls
    as 1/t; the best estimate under that noise shrinks by g = t / (t + a), and the part (1 − g) of
    the explained covariance returns. So the law of total variance holds at any length.

    A conditional mean is nearer to the average than any face, the more so in directions that a
    voice says little of. To be drawn, each direction is enlarged by as much as it was shrunk, but
    no farther than people differ in it.
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs)
        self.register_buffer("average", torch.zeros(outputs))  # the mean face
        self.register_buffer("residual_covariance", torch.eye(outputs))
        self.register_buffer("explained_covariance", torch.zeros(outputs, outputs))
        self.register_buffer("half_gain_seconds", torch.tensor(0.0))  # a: where g is one half
        self.register_buffer("unshrink", torch.eye(outputs))
        self.register_buffer("reach", torch.eye(outputs))

    average: Tensor
    residual_covariance: Tensor
    explained_covariance: Tensor
    half_gain_seconds: Tensor
    unshrink: Tensor
    reach: Tensor

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for old, new in OLD_NAMES.items():
            if prefix + old in state_dict:
                state_dict[prefix + new] = state_dict.pop(prefix + old)
        if prefix + "unshrink" in state_dict:  # files of versions up to 0.5 have no `reach`
            state_dict.setdefault(prefix + "reach", torch.eye(len(self.reach)))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, features: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        gain = (seconds / (seconds + self.half_gain_seconds))[:, None]  # (B, 1)
        mean = self.average + gain * self.linear(features)
        covariance = self.residual_covariance + (1 - gain[:, :, None]) * self.explained_covariance
        return mean, covariance

    def show(self, mean: Tensor) -> Tensor:
        """(B, D) → where its face is drawn (B, D)."""
        return self.average + F.linear(F.linear(mean - self.average, self.unshrink), self.reach)
