"""The voice encoder of "Speech2Face: Learning the Face Behind a Voice", layer for layer.

Oh, Dekel, Kim, Mosseri, Freeman, Rubinstein and Matusik, CVPR 2019, table 1. Every convolution is
4 by 4 without padding, followed by ReLU and then batch normalisation; every maximum is taken over
two frames and one frequency. With 148.07 M parameters, the
running statistics of the norms counted in; six seconds at 16 kHz become:

    layer                  channels   frames x frequencies
    spectrogram                   2   598 x 257
    convolutions 1, 2            64   592 x 251
    convolution 3, pool         128   294 x 248
    convolution 4, pool         128   145 x 245
    convolution 5, pool         128    71 x 242
    convolution 6, pool         256    34 x 239
    convolution 7               512    31 x 236
    convolution 8, stride 2     512    14 x 117
    convolution 9, stride 2     512     6 x 57    neither ReLU nor normalisation
    mean over time, then        512     1 x 57    ReLU and normalisation
    linear, ReLU               4096
    linear                     4096
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from speech2face.networks.spectrogram import SAMPLE_RATE, CompressedSpectrogram, repeat_to


@dataclass(frozen=True)
class PaperVoiceEncoderConfig:
    channels: tuple[int, ...] = (64, 64, 128, 128, 128, 256, 512, 512, 512)  # of each convolution
    pooled: tuple[int, ...] = (3, 4, 5, 6)  # convolutions, counted from 1, which a maximum follows
    strided: tuple[int, ...] = (8, 9)  # convolutions with a stride of 2
    fft_size: int = 512  # samples of a Fourier transform
    hidden: int = 4096  # units before the embedding
    embedding_size: int = 4096  # of the recogniser; the paper's has as many as are hidden
    least_seconds: float = 6.0  # shorter clips are repeated; 2.7 leave one frame to average

    @property
    def pooled_frequencies(self) -> int:
        """Frequencies left after the last convolution."""
        rows = self.fft_size // 2 + 1
        for number in range(1, len(self.channels) + 1):
            rows = (rows - 4) // (2 if number in self.strided else 1) + 1
        return rows


class PaperVoiceEncoder(nn.Module):
    def __init__(self, config: PaperVoiceEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PaperVoiceEncoderConfig()
        last = config.channels[-1]
        self.spectrogram = CompressedSpectrogram(config.fft_size)
        self.convolutions = nn.Sequential(*_convolutions(config))
        self.after_mean = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(last))
        self.embed = nn.Sequential(
            nn.Flatten(),
            nn.Linear(last * config.pooled_frequencies, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.embedding_size),
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, embedding_size)."""
        waveform = repeat_to(waveform, round(self.config.least_seconds * SAMPLE_RATE))
        x = self.spectrogram(waveform)  # (batch, 2, time, frequency)
        x = self.convolutions(x)  # (batch, 512, time, 57)
        x = self.after_mean(x.mean(dim=2, keepdim=True))  # (batch, 512, 1, 57)
        return self.embed(x)


def _convolutions(config: PaperVoiceEncoderConfig) -> Iterator[nn.Module]:
    inputs = 2
    for number, outputs in enumerate(config.channels, start=1):
        yield nn.Conv2d(inputs, outputs, 4, stride=2 if number in config.strided else 1)
        if number < len(config.channels):
            yield nn.ReLU()
            yield nn.BatchNorm2d(outputs)
        if number in config.pooled:
            yield nn.MaxPool2d((2, 1))
        inputs = outputs
