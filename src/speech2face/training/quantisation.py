"""A voice encoder of floats → one of whole numbers of 8 bits, which takes less than half the time.

Processors multiply whole numbers of 8 bits four times as fast as floats, and the encoder's time is
nothing but products (benchmarks/quantisation.json). What gains by it is rounded:

- CAM++'s convolutions. Weights have a step for each channel; what a convolution is given has one
  step, from how far it reached in speech (Jacob et al., CVPR 2018). Batch normalisation is
  folded into the weights before. Those of one channel, the spectrograms' among them, and those that
  are done once a segment stay as they are: they are few products.
- GE2E's LSTM, but for its first layer, which hears levels: of quiet ones 8 bits leave nothing.

The head stays whole. The file is ONNX of the same inputs and outputs.

Processors of the x86 family without VNNI add two products of 8 bits in 16, and say nothing of what
overflows. So what convolutions are given has 7 bits, 2 · 127 · 127 < 2¹⁵; an LSTM is given 8, and
the steps of its weights are such that no two neighbours are too great. Weights are what counts.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from speech2face.errors import UsageError
from speech2face.files import write_atomically
from speech2face.runtime import Session, open_session
from speech2face.speaker_features import keep_features
from speech2face.training.onnx_export import store_in_half

LEAST_RECORDINGS, MOST_RECORDINGS = 8, 48  # of speech that shows how far values reach
MOVING = 0.1  # share of each recording in the mean of the reaches: one shout is no measure
ONCE_A_SEGMENT = ".gate."  # in the names of weights of convolutions that are done so
MOST = 127  # of a weight, and of two neighbours in an LSTM: 127 · 255 < 2¹⁵
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
            op_types_to_quantize=["Conv", "Relu"],
            nodes_to_exclude=_find_small(onnx.load(folded).graph),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": MOVING},
        )
        model = onnx.load(rounded)
    _leave_room(model.graph)
    _quantise_lstms(model.graph)
    _drop_unused(model)
    store_in_half(model.graph)
    helper.set_model_props(model, metadata)
    with write_atomically(path) as file:
        file.write(model.SerializeToString())


def open_features(encoder: Path, threads: int = 1) -> Session:
    """The part of an encoder's file that gives the features (batch, 448) which its head reads."""
    return open_session(encoder, threads, keep_features)


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """While inside, the quantiser says nothing of itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def _find_small(graph: GraphProto) -> list[str]:
    """The names of convolutions that stay in floats."""
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return [
        node.name
        for node in convolutions
        if shapes[node.input[1]][1] == 1 or ONCE_A_SEGMENT in node.input[1]
    ]


def _leave_room(graph: GraphProto) -> None:
    """Doubles the step of what convolutions are given, which is nowhere negative: 7 bits of 8."""
    held = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    doubled = set[str]()
    for node in graph.node:
        if node.op_type != "Conv" or node.input[0] not in makers:
            continue
        _, step, _ = makers[node.input[0]].input
        bias, bias_step, *_ = makers[node.input[2]].input
        _scale(held[bias], 0.5)
        for name in {step, bias_step} - doubled:
            _scale(held[name], 2)
            doubled.add(name)


def _scale(tensor: TensorProto, times: float) -> None:
    values = numpy_helper.to_array(tensor)
    scaled = np.asarray(values * times)
    if np.issubdtype(values.dtype, np.integer):
        scaled = np.round(scaled)
    tensor.CopyFrom(numpy_helper.from_array(scaled.astype(values.dtype), tensor.name))


def _quantise_lstms(graph: GraphProto) -> None:
    """All but the first become `DynamicQuantizeLSTM`, ONNX Runtime's: a step for each gate's
    weights, and for what it is given at each run one."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "LSTM"][1:]:
        values, inner, outer, bias = node.input
        steps = []
        for name in (inner, outer):
            weights = held[name].transpose(0, 2, 1)  # (directions, inputs, gates)
            # Rounded, two may be greater than their sum by 1.
            pairs = np.abs(weights[:, 1:] + weights[:, :-1]).max(axis=1) / (MOST - 1)
            step = np.maximum(np.abs(weights).max(axis=1) / MOST, pairs).astype(np.float32) + 1e-9
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
