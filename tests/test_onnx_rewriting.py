"""Rewritten graphs give what the graphs gave."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from speech2face.onnx_rewriting import replace_channel_pads, replace_prelus, unpack_weights
from speech2face.runtime import import_runtime

RANDOM = np.random.default_rng(0)
SCALES = {  # of 6 × 8 weights: scale and zero, axis, size of blocks
    "one for all": ((), 1, 0),
    "one a row": ((6,), 0, 0),
    "one a column": ((8,), -1, 0),
    "blocks of a row": ((6, 2), 1, 4),
    "blocks, the last short": ((6, 3), 1, 3),
}


def run(model, values: np.ndarray) -> np.ndarray:
    runtime = import_runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # Optimised, it rounds the values as well, to multiply whole numbers.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": values})[0]


def make(nodes: list, tensors: dict[str, np.ndarray], width: int):
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])
    told = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", width])
    held = [numpy_helper.from_array(np.asarray(a), name) for name, a in tensors.items()]
    graph = helper.make_graph(nodes, "test", [given], [told], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("kind", SCALES)
def test_weights_in_8_bits_are_unpacked_to_the_same(kind):
    shape, axis, block = SCALES[kind]
    tensors = {
        "w": RANDOM.integers(-128, 128, (6, 8)).astype(np.int8),
        "s": RANDOM.uniform(0.01, 0.1, shape).astype(np.float32),
        "z": RANDOM.integers(-9, 9, shape).astype(np.int8),
    }
    settings = {"axis": axis} | ({"block_size": block} if block else {})
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"], **settings),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
    ]
    model, values = make(nodes, tensors, 8), RANDOM.normal(size=(3, 6)).astype(np.float32)
    before = run(model, values)
    unpack_weights(model.graph)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    np.testing.assert_allclose(run(model, values), before, rtol=1e-5, atol=1e-5)


def test_a_prelu_is_replaced_by_the_same():
    slope = RANDOM.normal(size=6).astype(np.float32)
    model = make([helper.make_node("PRelu", ["x", "s"], ["y"])], {"s": slope}, 6)
    values = RANDOM.normal(size=(3, 6)).astype(np.float32)
    before = run(model, values)
    replace_prelus(model.graph)
    np.testing.assert_array_equal(run(model, values), before)


@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1), (1, 1, 1), (6, 4, 5)])
def test_so_is_one_of_pictures(shape):
    slope = RANDOM.normal(size=shape).astype(np.float32)
    model = make_of_pictures([helper.make_node("PRelu", ["x", "s"], ["y"])], {"s": slope}, 6)
    values = RANDOM.normal(size=(1, 6, 4, 5)).astype(np.float32)
    before = run(model, values)
    replace_prelus(model.graph)
    assert "PRelu" not in {node.op_type for node in model.graph.node}
    np.testing.assert_array_equal(run(model, values), before)


def test_channels_of_zeros_are_added_by_a_convolution_and_rows_are_not():
    def build(pads: list[int], channels: int):
        nodes = [
            helper.make_node("Relu", ["x"], ["above"]),
            helper.make_node("Pad", ["above", "p"], ["y"]),
        ]
        return make_of_pictures(nodes, {"p": np.array(pads)}, channels)

    values = RANDOM.normal(size=(1, 6, 4, 5)).astype(np.float32)
    for pads, channels, kind in (
        ([0, 0, 0, 0, 0, 3, 0, 0], 9, "Conv"),
        ([0, 0, 0, 0, 0, 3, 1, 0], 9, "Pad"),
        ([0, 2, 0, 0, 0, 3, 0, 0], 11, "Pad"),
    ):
        model = build(pads, channels)
        before = run(model, values)
        replace_channel_pads(model)
        assert [node.op_type for node in model.graph.node] == ["Relu", kind]
        np.testing.assert_array_equal(run(model, values), before)


def make_of_pictures(nodes: list, tensors: dict[str, np.ndarray], channels: int):
    model = make(nodes, tensors, 6)
    for entry, sizes in ((model.graph.input[0], [1, 6, 4, 5]), (model.graph.output[0], None)):
        shape = sizes or [1, channels, "h", "w"]
        entry.CopyFrom(helper.make_tensor_value_info(entry.name, TensorProto.FLOAT, shape))
    return model
