"""dlib's face recogniser as an ONNX graph: the same embeddings in a tenth of dlib's time.

A residual network of 29 convolutions (He et al., CVPR 2016, half as wide; King, 2017; weights CC0).
Its file holds, layer by layer from the picture on, a name and the layer's numbers. What is peculiar
to dlib: convolutions with a stride have no border; where a shortcut is smaller than what it is
added to, or has fewer channels, what is missing counts as zero, and the other way round.
Needs the package onnx.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

SIZE, LENGTH = 150, 128  # px of the picture; of the embedding
LEVELS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
# channels, blocks, and whether the first block halves the picture
MEAN = (122.782, 117.001, 104.298)  # of red, green and blue, which are then divided by 256
LAYER = re.compile(rb"con_4|affine_|fc_2")


def build_network(path: Path) -> ModelProto:
    """RGB faces, float32 (N, 3, 150, 150), 0 to 255 → `embedding` (N, 128).

    Raises ValueError where the file is not of this network.
    """
    from onnx import TensorProto, helper

    net = _Graph(_read_tensors(path.read_bytes()))
    mean = net.hold(np.array(MEAN, np.float32).reshape(1, 3, 1, 1))
    scale = net.hold(np.array(1 / 256, np.float32))
    value = net.add("Mul", net.add("Sub", "picture", mean), scale)
    value = net.add("Relu", net.convolve(value, 3, 32, 7, 2))
    value = net.add("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2])
    side, channels = 35, 32
    for width, blocks, halves in LEVELS:
        for block in range(blocks):
            stride = 2 if halves and block == 0 else 1
            inner = net.add("Relu", net.convolve(value, channels, width, 3, stride))
            inner = net.convolve(inner, width, width, 3, 1)
            inside = (side - 3) // 2 + 1 if stride == 2 else side
            if stride == 2:
                value = net.add("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
                side //= 2
            value = net.pad(value, width - channels, 0)
            inner = net.pad(inner, 0, side - inside)
            value, channels = net.add("Relu", net.add("Add", inner, value)), width
    value = net.add("Flatten", net.add("GlobalAveragePool", value))
    weights = net.hold(net.take("fc_2", channels * LENGTH).reshape(channels, LENGTH))
    net.nodes.append(helper.make_node("MatMul", [value, weights], ["embedding"]))
    net.finish()
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", LENGTH])
    graph = helper.make_graph(
        net.nodes, "dlib_face_recognition_resnet_v1", [picture], [embedding], net.held
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class _Graph:
    """Nodes that take the file's tensors one after the other."""

    def __init__(self, tensors: Iterator[tuple[str, np.ndarray]]) -> None:
        self.nodes: list[Any] = []
        self.held: list[Any] = []
        self._tensors = tensors

    def take(self, layer: str, size: int) -> np.ndarray:
        """The numbers (size,) of the next layer."""
        found, numbers = next(self._tensors, ("", np.zeros(0)))
        if found != layer or len(numbers) != size:
            raise ValueError(f"{size} numbers of {layer} expected, {len(numbers)} of {found} found")
        return numbers

    def finish(self) -> None:
        if next(self._tensors, None):
            raise ValueError("more layers than expected")

    def hold(self, values: np.ndarray) -> str:
        from onnx import numpy_helper

        self.held.append(numpy_helper.from_array(np.asarray(values), f"held{len(self.held)}"))
        return self.held[-1].name

    def add(self, kind: str, *inputs: str, **settings: Any) -> str:
        from onnx import helper

        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **settings))
        return name

    def convolve(self, value: str, channels: int, width: int, size: int, stride: int) -> str:
        """A convolution, then a factor and a shift for each channel: batch normalisation, once."""
        numbers = self.take("con_4", width * channels * size**2 + width)
        kernels, bias = numbers[:-width].reshape(width, channels, size, size), numbers[-width:]
        factor, shift = self.take("affine_", 2 * width).reshape(2, width)
        border = size // 2 if stride == 1 else 0
        return self.add(
            "Conv",
            value,
            self.hold(kernels * factor[:, None, None, None]),
            self.hold(bias * factor + shift),
            strides=[stride] * 2,
            pads=[border] * 4,
        )

    def pad(self, value: str, channels: int, side: int) -> str:
        """So many more channels, rows and columns of zeros behind the others."""
        if not channels and not side:
            return value
        return self.add("Pad", value, self.hold(np.array([0] * 5 + [channels, side, side])))


def _read_tensors(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """The layers with numbers, in order: name and float32 (n,)."""
    place = 0
    while found := LAYER.search(data, place):
        place = found.end()
        integers = []
        # A full connection first counts outputs and inputs; then the tensor: version, four sizes.
        for _ in range(7 if found.group() == b"fc_2" else 5):
            number, place = _read_integer(data, place)
            integers.append(number)
        version, *sizes = integers[-5:]
        count = int(np.prod(sizes))
        if version != 2 or place + 4 * count > len(data):
            raise ValueError(f"{found.group().decode()} is cut off or of another version")
        yield found.group().decode(), np.frombuffer(data, "<f4", count, place)
        place += 4 * count


def _read_integer(data: bytes, place: int) -> tuple[int, int]:
    """dlib's integers: how many bytes, then these, the lowest first. And the place behind them."""
    count = data[place] & 0x0F
    return int.from_bytes(data[place + 1 : place + 1 + count], "little"), place + 1 + count
