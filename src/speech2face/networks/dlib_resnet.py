"""dlib's face recogniser in torch: the target space, with gradients.

The network of King (2017, dlib 19; weights CC0), a ResNet of 29 convolutions on 150×150 crops. Its
weights are read from dlib's own file. It serves the decoder's training: what is drawn from an
embedding should have that embedding.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech2face.errors import ModelError

SIZE = 150  # pixels a side of the aligned crop
# Width and blocks of each level; every level but the first begins by halving its input.
LEVELS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))


class DlibResNet(nn.Module):
    """Crops (B, 3, 150, 150), RGB in [0, 1] → embeddings (B, 128)."""

    average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", torch.tensor([122.782, 117.001, 104.298])[:, None, None])
        self.stem = ScaledConv(3, 32, 7, stride=2)
        blocks, inputs = [], 32
        for level, (width, count) in enumerate(LEVELS):
            for index in range(count):
                halve = level > 0 and index == 0
                blocks.append(Block(inputs, width, halve))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.embed = nn.Linear(inputs, 128, bias=False)

    def forward(self, crops: Tensor) -> Tensor:
        x = (crops * 255 - self.average) / 256
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)  # (B, 32, 35, 35)
        return self.embed(self.blocks(x).mean((2, 3)))


class ScaledConv(nn.Module):
    """A convolution and the scale and shift that batch normalisation became.

    dlib pads only where the stride is 1.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0)
        self.scale = nn.Parameter(torch.ones(outputs, 1, 1))
        self.shift = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.scale + self.shift


class Block(nn.Module):
    """Two 3×3 convolutions beside the input, which is averaged over 2×2 where the block halves.

    dlib adds tensors of unlike size as if the smaller one were filled up with zeros.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.first = ScaledConv(inputs, outputs, 3, 2 if halve else 1)
        self.second = ScaledConv(outputs, outputs, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x)))
        if self.halve:
            x = F.avg_pool2d(x, 2)
            rows, columns = x.shape[2] - y.shape[2], x.shape[3] - y.shape[3]
            y = F.pad(y, (0, columns, 0, rows))
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)


def load_dlib_resnet(path: Path) -> DlibResNet:
    """The network with the weights of dlib_face_recognition_resnet_model_v1.dat, frozen.

    dlib writes layers from input to output, each as a name followed by its tensors: a version,
    four dimensions (each a count of bytes, then these), and float32 values. Raises ModelError
    where the file is another network's.
    """
    network = DlibResNet()
    try:
        data = path.read_bytes()
        layers = iter([_read_tensor(data, m.end(), m[0]) for m in _LAYER.finditer(data)])
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, ScaledConv):
                    weight, affine = next(layers), next(layers)
                    size = module.conv.weight.numel()
                    module.conv.weight.copy_(_like(weight[:size], module.conv.weight))
                    assert module.conv.bias is not None
                    module.conv.bias.copy_(_like(weight[size:], module.conv.bias))
                    scale, shift = np.split(affine, 2)
                    module.scale.copy_(_like(scale, module.scale))
                    module.shift.copy_(_like(shift, module.shift))
            weight = next(layers).reshape(network.embed.in_features, -1)
            network.embed.weight.copy_(torch.tensor(weight.T))
    except (OSError, StopIteration, ValueError, RuntimeError, IndexError) as error:
        raise ModelError(f"{path}: not dlib's face recogniser ({error}).") from None
    return network.eval().requires_grad_(False)


_LAYER = re.compile(rb"con_4|affine_|fc_2")


def _read_tensor(data: bytes, position: int, layer: bytes) -> np.ndarray:
    def number() -> int:
        nonlocal position
        length = data[position] & 0x0F
        value = int.from_bytes(data[position + 1 : position + 1 + length], "little")
        position += 1 + length
        return value

    if layer == b"fc_2":  # has its two sizes before the tensor
        number()
        number()
    number()  # version
    count = int(np.prod([number() for _ in range(4)]))
    return np.frombuffer(data, "<f4", count, position)


def _like(values: np.ndarray, parameter: Tensor) -> Tensor:
    return torch.tensor(values.reshape(tuple(parameter.shape)))
