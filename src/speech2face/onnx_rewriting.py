"""ONNX networks of pictures opened, and rewritten so that they give the same values sooner.

Needs the package onnx.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.errors import ModelError
from speech2face.runtime import import_runtime

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # the best first


def open_network(path: Path, any_size: bool = False) -> Any:
    """An ONNX session whose only input is the picture; with `any_size`, of any height and width.

    Some networks (SFace among them) list their weights as inputs too, which onnxruntime
    refuses when their types were changed by quantisation: those entries are taken out first. What
    else is changed makes it faster, SFace more than three times. One for pictures of any size runs
    on the CPU: a GPU would look for its best ways at each size anew.
    """
    import onnx

    try:
        model = onnx.load(str(path))
        weights = {tensor.name for tensor in model.graph.initializer}
        pictures = [entry for entry in model.graph.input if entry.name not in weights]
        del model.graph.input[:]
        model.graph.input.extend(pictures[:1])
        if any_size:
            _free_size(model.graph)
        unpack_weights(model.graph)
        replace_prelus(model.graph)
        return open_model(model, PROVIDERS[-1:] if any_size else PROVIDERS)
    except Exception as error:  # onnx and onnxruntime raise many types of their own
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not an ONNX network that can be run ({reason}).") from None


def open_model(model: ModelProto, providers: Sequence[str] = PROVIDERS) -> Any:
    """A session of a model in memory, on a GPU where there is one and `providers` has it."""
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    held = onnxruntime.get_available_providers()  # CUDA's comes with onnxruntime-gpu
    chosen = [name for name in providers if name in held]
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=chosen)


def _free_size(graph: GraphProto) -> None:
    """A picture (1, C, height, width) may be of any height and width, and what is made of it."""
    for axis, size in ((2, "height"), (3, "width")):
        graph.input[0].type.tensor_type.shape.dim[axis].dim_param = size
    del graph.value_info[:]
    for entry in graph.output:
        entry.type.tensor_type.ClearField("shape")


def unpack_weights(graph: GraphProto) -> None:
    """Weights that are kept in 8 bits are made floats once, not at every run.

    ONNX Runtime (1.32) leaves DequantizeLinear of a weight where it is; of a small recogniser whose
    weights were quantised by blocks that is a third of the time.
    """
    from onnx import numpy_helper

    held = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in held for name in node.input):
            parts = [numpy_helper.to_array(held[name]) for name in node.input]
            graph.initializer.append(numpy_helper.from_array(_unpack(node, parts), node.output[0]))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _unpack(node: NodeProto, parts: list[np.ndarray]) -> np.ndarray:
    """(packed − zero) × scale, with a scale for all, for each place of an axis, or for blocks."""
    packed, scale, *rest = parts
    zero = rest[0] if rest else np.zeros_like(scale, packed.dtype)
    settings = {one.name: one.i for one in node.attribute}
    axis, block = settings.get("axis", 1), settings.get("block_size", 0)
    values = packed.astype(np.float32)
    for change, given in ((np.subtract, zero), (np.multiply, scale)):
        spread = given.astype(np.float32)
        if block:
            spread = np.repeat(spread, block, axis)[tuple(map(slice, packed.shape))]
        elif spread.ndim == 1 and packed.ndim:
            shape = np.ones(packed.ndim, int)
            shape[axis] = -1
            spread = spread.reshape(shape)
        change(values, spread, out=values)
    return values


def replace_prelus(graph: GraphProto) -> None:
    """PRelu becomes relu(x) − slope · relu(−x): the same to the last bit.

    ONNX Runtime's own (1.32) goes through the values one by one on a CPU and was three quarters of
    the face mesh's time. Between convolutions the runtime keeps channels in blocks, as convolutions
    and Relu take them, but Mul does not: blocks would be undone and made again around it. So a
    channel is multiplied by a convolution of one weight; the mesh takes a quarter.
    """
    from onnx import helper, numpy_helper

    held = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "PRelu" or node.input[1] not in held:
            nodes.append(node)
            continue
        (values, _), (result,) = node.input, node.output
        slope = numpy_helper.to_array(held[node.input[1]])
        how: str = "Mul"
        settings: dict[str, Any] = {}
        if slope.ndim >= 3 and slope.shape[-3] == slope.size > 1:  # a picture's, of each channel
            how, settings = "Conv", {"group": slope.size}
            slope = slope.reshape(-1, 1, 1, 1)
        above, turned, below, sloped, turn, factor = (
            f"{result}.{part}" for part in ("above", "turned", "below", "sloped", "turn", "factor")
        )
        graph.initializer.append(numpy_helper.from_array(-np.ones_like(slope), turn))
        graph.initializer.append(numpy_helper.from_array(-slope, factor))
        nodes += [
            helper.make_node("Relu", [values], [above]),
            helper.make_node(how, [values, turn], [turned], **settings),
            helper.make_node("Relu", [turned], [below]),
            helper.make_node(how, [below, factor], [sloped], **settings),
            helper.make_node("Add", [sloped, above], [result]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def replace_channel_pads(model: ModelProto) -> None:
    """Channels of zeros behind the others are added by a convolution, for the same reason."""
    import onnx
    from onnx import helper, numpy_helper

    graph = model.graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {
        value.name: [one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for node in graph.node:
        if node.op_type != "Pad" or len(shapes.get(node.input[0], [])) != 4:
            continue
        pads = numpy_helper.to_array(held[node.input[1]])
        if np.flatnonzero(pads).tolist() == [5] and pads[5] > 0:
            channels = shapes[node.input[0]][1]
            weights = np.eye(channels + pads[5], channels, dtype=np.float32)[:, :, None, None]
            name = f"{node.output[0]}.weights"
            graph.initializer.append(numpy_helper.from_array(weights, name))
            wider = helper.make_node("Conv", [node.input[0], name], [node.output[0]])
            node.CopyFrom(wider)
