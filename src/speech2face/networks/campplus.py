"""CAM++: a fast network for speaker verification by context-aware masking.

Wang, Zheng, Chen, Cheng and Chen, "CAM++: A Fast and Efficient Network for Speaker Verification
Using Context-Aware Masking", Interspeech 2023. The default configuration is that of 3D-Speaker's
`speech_campplus_sv_zh_en_16k-common_advanced`: 6.85 M parameters, 192-D embeddings.

    features (batch, time, 80)
      front end    2-D residual convolutions over frequency and time    (batch, 320, time)
      entry        a convolution which halves the frame rate            (batch, 128, time / 2)
      3 blocks     densely connected layers, each gated by its context  (batch, 512, time / 2)
      pooling      mean and standard deviation over time                (batch, 1024)
      embedding    linear, normalised per dimension                     (batch, 192)
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class CamPlusPlusConfig:
    feature_bins: int = 80  # of the mel spectrum
    front_channels: int = 32  # of the two-dimensional front end
    entry_channels: int = 128  # that the first block is given
    growth: int = 32  # channels which each dense layer adds
    bottleneck: int = 128  # channels inside a dense layer
    block_layers: tuple[int, ...] = (12, 24, 16)  # dense layers of each block
    block_dilations: tuple[int, ...] = (1, 2, 2)  # frames from one that a layer sees to the next
    segment_frames: int = 100  # a layer's local context, at the halved frame rate: 2 s
    embedding_size: int = 192  # numbers that it says


class CamPlusPlus(nn.Module):
    def __init__(self, config: CamPlusPlusConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CamPlusPlusConfig()
        self.front = FrontEnd(config.feature_bins, config.front_channels)
        self.entry = nn.Sequential(
            nn.Conv1d(
                self.front.out_channels, config.entry_channels, 5, stride=2, padding=2, bias=False
            ),
            nn.BatchNorm1d(config.entry_channels),
            nn.ReLU(),
        )
        channels = config.entry_channels
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for layers, dilation in zip(config.block_layers, config.block_dilations, strict=True):
            block = DenseBlock(channels, layers, config.growth, config.bottleneck, dilation)
            self.blocks.append(block)
            channels = block.out_channels // 2
            self.transitions.append(
                nn.Sequential(
                    nn.BatchNorm1d(block.out_channels),
                    nn.ReLU(),
                    nn.Conv1d(block.out_channels, channels, 1, bias=False),
                )
            )
        self.exit = nn.Sequential(nn.BatchNorm1d(channels), nn.ReLU())
        self.embed = nn.Sequential(
            nn.Linear(2 * channels, config.embedding_size, bias=False),
            nn.BatchNorm1d(config.embedding_size, affine=False),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, time, feature_bins) -> (batch, embedding_size)."""
        return self.finish(self.begin(features))

    def begin(self, features: Tensor) -> Tensor:
        """(batch, time, feature_bins) -> (batch, entry_channels, time / 2): front end and entry."""
        return self.entry(self.front(features.transpose(1, 2)))

    def finish(self, x: Tensor) -> Tensor:
        """(batch, entry_channels, time / 2) -> (batch, embedding_size): the blocks and the rest."""
        return self.pool(self.pass_blocks(x))

    def pass_blocks(self, x: Tensor, first: int = 0, end: int | None = None) -> Tensor:
        """The blocks from `first` to before `end`: (batch, channels, time / 2) -> the same."""
        member, average = _segments(x, self.config.segment_frames)
        blocks = list(zip(self.blocks, self.transitions, strict=True))
        for block, transition in blocks[first:end]:
            x = transition(block(x, member, average))
        return x

    def pool(self, x: Tensor) -> Tensor:
        """Output of the last block (batch, channels, time / 2) -> (batch, embedding_size)."""
        return self.embed(_mean_and_deviation(self.exit(x)))


class FrontEnd(nn.Module):
    """Residual 2-D convolutions; frequency is halved three times, then folded into channels."""

    def __init__(self, bins: int, channels: int) -> None:
        super().__init__()
        self.stem = _conv_norm(1, channels, 3)
        self.stages = nn.Sequential(
            ResidualUnit(channels, halve=True),
            ResidualUnit(channels, halve=False),
            ResidualUnit(channels, halve=True),
            ResidualUnit(channels, halve=False),
        )
        self.last = _conv_norm(channels, channels, 3, stride=2)
        self.out_channels = channels * (bins // 8)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bins, time) -> (batch, channels * bins / 8, time)."""
        x = self.stages(F.relu(self.stem(x[:, None])))
        return F.relu(self.last(x)).flatten(1, 2)


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions and a shortcut; may halve frequency, never time."""

    def __init__(self, channels: int, halve: bool) -> None:
        super().__init__()
        stride = 2 if halve else 1
        self.first = _conv_norm(channels, channels, 3, stride)
        self.second = _conv_norm(channels, channels, 3)
        self.shortcut = _conv_norm(channels, channels, 1, stride) if halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution over (frequency, time), its stride over frequency alone, then batch norm."""
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride=(stride, 1), padding=kernel // 2, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class DenseBlock(nn.Module):
    """Each layer sees the outputs of all before it and adds `growth` channels."""

    def __init__(
        self, channels: int, layers: int, growth: int, bottleneck: int, dilation: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            MaskedLayer(channels + i * growth, growth, bottleneck, dilation) for i in range(layers)
        )
        self.out_channels = channels + layers * growth

    def forward(self, x: Tensor, member: Tensor, average: Tensor) -> Tensor:
        """(batch, channels, time) -> (batch, out_channels, time)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x, member, average)], dim=1)
        return x


class MaskedLayer(nn.Module):
    """A convolution over time whose output is gated by its context (context-aware masking).

    The context of a frame is the mean over the clip plus the mean over the frame's segment. All
    frames of a segment share it, so the gate is computed once a segment.
    """

    def __init__(self, inputs: int, growth: int, bottleneck: int, dilation: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.BatchNorm1d(inputs),
            nn.ReLU(),
            nn.Conv1d(inputs, bottleneck, 1, bias=False),
            nn.BatchNorm1d(bottleneck),
            nn.ReLU(),
        )
        self.local = nn.Conv1d(
            bottleneck, growth, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.gate = nn.Sequential(
            nn.Conv1d(bottleneck, bottleneck // 2, 1),
            nn.ReLU(),
            nn.Conv1d(bottleneck // 2, growth, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor, member: Tensor, average: Tensor) -> Tensor:
        x = self.reduce(x)  # (batch, bottleneck, time)
        gate = self.gate(x @ average)  # (batch, growth, segments)
        return self.local(x) * (gate @ member)  # a product is sooner done than a choice of columns


def _segments(x: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Segments along the time axis of x (batch, channels, time), the last maybe shorter.

    Returns two matrices: (segments, time), 1 where a frame is in a segment, which gives each frame
    what its segment has; and (time, segments), which takes the mean over a segment plus the mean
    over the whole clip.
    """
    time = x.shape[2]
    segment = torch.arange(time, device=x.device) // length
    segments = torch.arange((time + length - 1) // length, device=x.device)
    member = (segments[:, None] == segment).to(x.dtype)  # (segments, time)
    return member, (member / member.sum(dim=1, keepdim=True)).T + 1.0 / time


def _mean_and_deviation(x: Tensor) -> Tensor:
    """(batch, channels, time) -> (batch, 2 channels); the deviation is the unbiased one."""
    mean = x.mean(dim=2, keepdim=True)
    variance = (x - mean).square().sum(dim=2) / (x.shape[2] - 1)
    # The least variance keeps the gradient finite where a channel is silent throughout.
    return torch.cat([mean.squeeze(2), variance.clamp_min(1e-12).sqrt()], dim=1)
