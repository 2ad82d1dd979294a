"""GE2E: a recurrent speaker encoder trained by the generalised end-to-end loss.

Wan, Wang, Papir and Lopez Moreno, "Generalized End-to-End Loss for Speaker Verification", ICASSP
2018; in the size of Resemblyzer's released weights: 1.42 M parameters, 256-D embeddings.

    waveform (batch, samples)
      volume       raised to -30 dBFS where it is lower
      mel          40 bins, 25 ms every 10 ms                             (batch, time, 40)
      windows      160 frames each, every 80; short clips get silence     (batch * windows, 160, 40)
      LSTM         3 layers of 256; the last state of the last layer      (batch * windows, 256)
      embedding    linear, ReLU, unit length                              (batch * windows, 256)
      mean         over the windows, unit length                          (batch, 256)
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speech2face.networks.spectrogram import SlaneyMel


@dataclass(frozen=True)
class Ge2eConfig:
    mel_bins: int = 40  # of the mel spectrum
    hidden_size: int = 256  # of the recurrent layers
    layers: int = 3  # recurrent ones
    embedding_size: int = 256  # numbers that it says
    window_frames: int = 160  # 1.6 s: the length it was trained on
    hop_frames: int = 80  # from one window to the next
    least_dbfs: float = -30.0  # level that quieter speech is raised to


class Ge2e(nn.Module):
    def __init__(self, config: Ge2eConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or Ge2eConfig()
        self.mel = SlaneyMel(config.mel_bins)
        self.lstm = nn.LSTM(config.mel_bins, config.hidden_size, config.layers, batch_first=True)
        self.embed = nn.Sequential(nn.Linear(config.hidden_size, config.embedding_size), nn.ReLU())

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, embedding_size), of unit length."""
        config = self.config
        mel = self.mel(_raise_volume(waveform, config.least_dbfs))  # (batch, time, mel_bins)
        missing = cast(int, torch.sym_max(config.window_frames - mel.shape[1], 0))
        mel = F.pad(mel, (0, 0, 0, missing))  # silence: nearer to a longer clip than repetition
        frames = _window_frames(mel.shape[1], config.window_frames, config.hop_frames)
        windows = mel[:, frames.to(mel.device)]  # (batch, windows, window_frames, mel_bins)
        outputs, _ = self.lstm(windows.flatten(0, 1))
        embeddings = F.normalize(self.embed(outputs[:, -1]), dim=1)  # (batch * windows, ...)
        return F.normalize(embeddings.unflatten(0, windows.shape[:2]).mean(dim=1), dim=1)


def _window_frames(frames: int, length: int, hop: int) -> Tensor:
    """Frames of each window: (windows, length).

    A window starts every `hop` frames, but for the last, which ends where the clip ends.
    """
    room = frames - length
    starts = (torch.arange((room + hop - 1) // hop + 1) * hop).clamp(max=room)
    return starts[:, None] + torch.arange(length)


def _raise_volume(waveform: Tensor, least_dbfs: float) -> Tensor:
    """Amplifies clips (batch, samples) whose root mean square is below `least_dbfs`."""
    level = waveform.square().mean(dim=1, keepdim=True).sqrt()
    gain = 10 ** (least_dbfs / 20) / level.clamp_min(1e-6)  # silence stays silence
    return waveform * gain.clamp_min(1.0)
