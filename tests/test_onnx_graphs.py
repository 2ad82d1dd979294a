"""Rewritten graphs give what the graphs gave."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from speech2face.onnx_graphs import replace_prelus, unpack_weights
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
