"""Network -> one self-contained ONNX file."""

import copy
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxscript import ir, optimizer
from torch import Tensor, nn

from speech2face.errors import ModelError
from speech2face.files import write_atomically

log = logging.getLogger(__name__)

LEAST_HALVED = 1024  # elements; smaller tensors are not worth a Cast


def export_onnx(
    module: nn.Module,
    path: str | os.PathLike[str],
    example_inputs: tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    dynamic_shapes: Any,
    metadata: Mapping[str, str],
    store_fp16: bool = True,
) -> None:
    """Writes `module`, as it computes in evaluation mode, to `path`.

    `dynamic_shapes` names the axes of each input that vary, as in ({0: "batch", 1: "samples"},);
    `metadata` goes to the model's `metadata_props`. With `store_fp16`, large tensors which half
    precision holds exactly are stored in it: runtimes widen them as they load, so nothing changes
    but the size of the file. Weights profit if they went through `round_to_half` first. Raises
    ModelError where the network has an LSTM of another kind than `OnnxLstm` stands in for.
    """
    path = Path(path)
    network = copy.deepcopy(module).eval()
    for name, child in list(network.named_modules()):
        if isinstance(child, nn.LSTM):
            network.set_submodule(name, OnnxLstm(child))
    with warnings.catch_warnings():
        # The exporter warns of its own future and of packages it could have used.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            example_inputs,
            input_names=input_names,
            output_names=output_names,
            dynamic_shapes=dynamic_shapes,
            dynamo=True,
            optimize=False,  # done below, without folding norms: half precision would not hold them
            verbose=False,
        )
    assert program is not None
    kept = network.state_dict().keys()  # whoever loads the file as a network looks for these

    def is_no_weight(node: ir.Node) -> bool | None:
        weights = any(value is not None and value.name in kept for value in node.inputs)
        return False if weights else None  # None: as the optimiser would

    optimizer.fold_constants(program.model, should_fold=is_no_weight)
    optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    _drop_traces(model)
    if store_fp16:
        store_in_half(model.graph)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)

    with write_atomically(path) as file:
        file.write(model.SerializeToString())
    log.info("wrote %s, %.2f MB", path, path.stat().st_size / 1e6)


def round_to_half(module: nn.Module) -> None:
    """Rounds the weights (all that is saved) to the nearest half-precision value, in place."""
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())


def load_onnx_weights(network: nn.Module, path: str | os.PathLike[str]) -> None:
    """Put the weights of a file that `export_onnx` wrote back into the network it was made of.

    Raises ModelError where the file lacks one of the network's weights.
    """
    # As a state dict, since a network reads there what older versions called its tensors.
    missing = network.load_state_dict(read_onnx_weights(path), strict=False).missing_keys
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(f"{path}: lacks weights of the network, {min(missing)} for one.")


def read_onnx_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Weights of a file that `export_onnx` wrote, in float32, by their names in the network."""
    graph = onnx.load(path).graph
    found = {
        tensor.name.removesuffix(".half"): torch.tensor(numpy_helper.to_array(tensor))
        for tensor in graph.initializer
    }
    found = {k: v.float() if v.dtype == torch.float16 else v for k, v in found.items()}
    for name in [name for name in found if name.rpartition(".")[2].startswith("inner")]:
        prefix, _, inner = name.rpartition(".")
        layer = inner.removeprefix("inner")
        for kind, own in (("inner", "weight_ih"), ("outer", "weight_hh")):
            stacked = found.pop(f"{prefix}.{kind}{layer}")[0]
            found[f"{prefix}.{own}_l{layer}"] = _restore_gates(stacked)
        first, second = found.pop(f"{prefix}.bias{layer}")[0].chunk(2)
        found[f"{prefix}.bias_ih_l{layer}"] = _restore_gates(first)
        found[f"{prefix}.bias_hh_l{layer}"] = _restore_gates(second)
    return found


class OnnxLstm(nn.Module):
    """Stands in for an LSTM during export and becomes ONNX `LSTM` nodes, one a layer.

    The exporter could translate `nn.LSTM` itself, but traces each step of it, for minutes.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        if not lstm.batch_first or lstm.bidirectional or not lstm.bias or lstm.proj_size:
            raise ModelError(
                f"{lstm} cannot be exported: only batch-first, one-way LSTMs with biases are, and "
                "none that is projected."
            )
        self.hidden_size = lstm.hidden_size
        self.layers = lstm.num_layers
        for layer in range(lstm.num_layers):
            inner, outer, *biases = (
                _reorder_gates(getattr(lstm, f"{kind}_l{layer}").detach())
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            self.register_buffer(f"inner{layer}", inner[None])
            self.register_buffer(f"outer{layer}", outer[None])
            self.register_buffer(f"bias{layer}", torch.cat(biases)[None])

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """(batch, time, input_size) -> (batch, time, hidden_size), and no states."""
        x = x.transpose(0, 1)
        for layer in range(self.layers):
            weights = [getattr(self, f"{kind}{layer}") for kind in ("inner", "outer", "bias")]
            outputs = torch.onnx.ops.symbolic(
                "LSTM",
                (x, *weights),
                {"hidden_size": self.hidden_size},
                dtype=x.dtype,
                shape=(x.shape[0], 1, x.shape[1], self.hidden_size),  # 1: directions
            )
            x = outputs.squeeze(1)
        return x.transpose(0, 1), None


def _reorder_gates(stacked: Tensor) -> Tensor:
    """Torch stacks the gates input, forget, cell, output; ONNX input, output, forget, cell."""
    entry, forget, cell, output = stacked.chunk(4)
    return torch.cat([entry, output, forget, cell])


def _restore_gates(stacked: Tensor) -> Tensor:
    """The inverse of `_reorder_gates`."""
    entry, output, forget, cell = stacked.chunk(4)
    return torch.cat([entry, forget, cell, output])


def _drop_traces(model: onnx.ModelProto) -> None:
    """Removes what the exporter noted of the source code, paths of this machine among it."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for initializer in graph.initializer:
        del initializer.metadata_props[:]
        initializer.doc_string = ""
    del graph.value_info[:]


def store_in_half(graph: onnx.GraphProto) -> None:
    casts = []
    for initializer in graph.initializer:
        if initializer.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(initializer)
        with np.errstate(over="ignore"):
            halved = values.astype(np.float16)
        if values.size < LEAST_HALVED or not np.array_equal(halved.astype(np.float32), values):
            continue
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(halved, f"{name}.half"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
