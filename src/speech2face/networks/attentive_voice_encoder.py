"""A voice encoder whose frames are weighed by how much they tell: attentive statistics pooling.

Okabe, Koshinaka and Shinoda, "Attentive Statistics Pooling for Deep Speaker Embedding", Interspeech
2018, on the time-delay network of the x-vectors (Snyder, Garcia-Romero, Sell, Povey and Khudanpur,
ICASSP 2018); 4.6 M parameters.

    waveform (batch, samples)
      features     log mel energies, 25 ms every 10 ms                      (batch, time, 80)
      frames       five convolutions over time, each of ReLU and norm       (batch, time', 1500)
      pooling      mean and deviation over time, weighted by attention      (batch, 3000)
      embedding    linear, ReLU, norm, linear                               (batch, 128)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from speech2face.networks.spectrogram import KaldiFbank


@dataclass(frozen=True)
class AttentiveEncoderConfig:
    feature_bins: int = 80  # of the mel spectrum
    channels: tuple[int, ...] = (512, 512, 512, 512, 1500)  # of each convolution
    kernels: tuple[int, ...] = (5, 3, 3, 1, 1)  # frames that a convolution sees
    dilations: tuple[int, ...] = (1, 2, 3, 1, 1)  # frames from one of them to the next; 15 in all
    attention: int = 64  # hidden units that weigh a frame
    hidden: int = 512  # units before the embedding
    embedding_size: int = 128  # numbers of a face's embedding


class AttentiveEncoder(nn.Module):
    def __init__(self, config: AttentiveEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AttentiveEncoderConfig()
        last, embedding = config.channels[-1], nn.Linear(config.hidden, config.embedding_size)
        nn.init.zeros_(embedding.weight)  # it begins by saying the same of everybody
        self.fbank = KaldiFbank(config.feature_bins)
        self.frames = nn.Sequential(*_convolutions(config))
        self.pool = AttentivePooling(last, config.attention)
        self.embed = nn.Sequential(
            nn.Linear(2 * last, config.hidden),
            nn.ReLU(),
            nn.BatchNorm1d(config.hidden),
            embedding,
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples), from 0.2 s at 16 kHz -> (batch, embedding_size)."""
        features = self.fbank(waveform).transpose(1, 2)  # (batch, feature_bins, time)
        return self.embed(self.pool(self.frames(features)))


class AttentivePooling(nn.Module):
    """Frames (batch, channels, time) -> their weighted mean and deviation (batch, 2 channels)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv1d(channels, hidden, 1), nn.ReLU(), nn.Conv1d(hidden, 1, 1)
        )

    def forward(self, frames: Tensor) -> Tensor:
        weights = self.weigh(frames).softmax(dim=2)  # (batch, 1, time)
        mean = (weights * frames).sum(dim=2, keepdim=True)
        variance = (weights * (frames - mean).square()).sum(dim=2)
        # The least variance keeps the gradient finite where a channel is silent throughout.
        return torch.cat([mean.squeeze(2), variance.clamp_min(1e-12).sqrt()], dim=1)


def _convolutions(config: AttentiveEncoderConfig) -> Iterator[nn.Module]:
    inputs = config.feature_bins
    for outputs, kernel, dilation in zip(
        config.channels, config.kernels, config.dilations, strict=True
    ):
        yield nn.Conv1d(inputs, outputs, kernel, dilation=dilation)
        yield nn.ReLU()
        yield nn.BatchNorm1d(outputs)
        inputs = outputs
