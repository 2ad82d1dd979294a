"""A voice encoder of floats → one of whole numbers of 8 bits, which takes less than half the time.

Processors multiply whole numbers of 8 bits four times as fast as floats, and the encoder's time is
nothing but products (benchmarks/quantisation.json). What gains by it is rounded:

- CAM++'s convolutions. Weights have a step for each channel; what a convolution is given has one
  step, from how far it reached in speech (Jacob et al., CVPR 2018). Batch normalisation is
  folded into the weights before. Those of one channel, the spectrograms' among them, and those that
  are done once a segment stay as they are: they are few products.
- GE2E's LSTM, but for its first layer, which hears levels: of quiet ones 8 bits leave nothing.

The head stays whole. The file is ONNX of the same inputs and outputs.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from speech2face.errors import UsageError
from speech2face.files import write_atomically
from speech2face.network_cutting import Node, cut_network
from speech2face.runtime import Session, open_session
from speech2face.speaker_features import READER
from speech2face.training.onnx_export import store_in_half

LEAST_RECORDINGS, MOST_RECORDINGS = 8, 48  # of speech that shows how far values reach
MOVING = 0.1  # share of each recording in the mean of the reaches: one shout is no measure
ONCE_A_SEGMENT = ".gate."  # in the names of weights of convolutions that are done so
OPSETS = (("", 20), ("com.microsoft", 1))  # the second for `DynamicQuantizeLSTM`


class _Speech(CalibrationDataReader):
    """Gives the network one recording after the other."""

    def __init__(self, speech: Sequence[np.ndarray]) -> None:
        self._rest = iter(speech)

    def get_next(self) -> Any:  # of inputs by name; None at the end
        samples = next(self._rest, None)
        return None if samples is None else {"waveform": samples[None]}


def quantise_encoder(network: Path, speech: Sequence[np.ndarray], path: Path) -> None:
    """Write the encoder in `network`, a file by `export_onnx`, to `path` with 8 bits.

    `speech` are recordings float32 (n,) at 16 kHz, as the encoder is given them; of more than 48,
    so many are taken, spread evenly. Raises UsageError where they are fewer than 8.
    """
    if len(speech) < LEAST_RECORDINGS:
        raise UsageError(
            f"{len(speech)} recordings with speech; at least {LEAST_RECORDINGS} are needed to see "
            "how far values reach."
        )
    chosen = np.linspace(0, len(speech) - 1, min(len(speech), MOST_RECORDINGS)).round().astype(int)
    metadata = {entry.key: entry.value for entry in onnx.load(network).metadata_props}
    with tempfile.TemporaryDirectory() as folder, _quiet_logs():
        folded, rounded = Path(folder) / "folded.onnx", Path(folder) / "rounded.onnx"
        quant_pre_process(network, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            rounded,
            _Speech([speech[i] for i in chosen]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[node.name for node in _find_small(onnx.load(folded).graph)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": MOVING},
        )
        model = onnx.load(rounded)
    _quantise_lstms(model.graph)
    _drop_unused(model)
    store_in_half(model.graph)
    helper.set_model_props(model, metadata)
    with write_atomically(path) as file:
        file.write(model.SerializeToString())


def open_features(encoder: Path, threads: int = 1) -> Session:
    """The part of an encoder's file that gives the features (batch, 448) which its head reads."""
    return open_session(encoder, threads, lambda model: cut_network(model, _find_features))


def _find_features(nodes: list[Node]) -> str:
    return next(node.inputs[0] for node in nodes if READER in node.inputs)


class _quiet_logs:  # noqa: N801
    """While inside, the quantiser says nothing of itself."""

    def __enter__(self) -> None:
        self._level = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._level)


def _find_small(graph: GraphProto) -> Iterator[NodeProto]:
    """Convolutions that stay in floats."""
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            weights = node.input[1]
            if shapes[weights][1] == 1 or ONCE_A_SEGMENT in weights:
                yield node


def _quantise_lstms(graph: GraphProto) -> None:
    """All but the first become `DynamicQuantizeLSTM`, ONNX Runtime's: a step for each gate's
    weights, and for what it is given at each run one."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "LSTM"][1:]:
        values, inner, outer, bias = node.input
        steps = []
        for name in (inner, outer):
            weights = held[name].transpose(0, 2, 1)  # (directions, inputs, gates)
            step = np.maximum(np.abs(weights).max(axis=1), 1e-9).astype(np.float32) / 127
            whole = np.round(weights / step[:, None]).astype(np.int8)
            parts = {"quantised": whole, "step": step, "zero": np.zeros_like(step, np.int8)}
            for part, content in parts.items():
                graph.initializer.append(numpy_helper.from_array(content, f"{name}.{part}"))
            steps += [f"{name}.step", f"{name}.zero"]
        weights = [f"{name}.quantised" for name in (inner, outer)]
        node.op_type, node.domain = "DynamicQuantizeLSTM", OPSETS[1][0]
        size = next(setting for setting in node.attribute if setting.name == "hidden_size")
        del node.input[:], node.attribute[:]
        node.attribute.append(size)
        node.input.extend([values, *weights, bias, "", "", "", "", *steps])


def _drop_unused(model: ModelProto) -> None:
    """Takes out weights that nobody reads any more, and names of operator sets."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:], graph.value_info[:], model.opset_import[:]
    graph.initializer.extend(kept)
    model.opset_import.extend(helper.make_opsetid(*one) for one in OPSETS)
