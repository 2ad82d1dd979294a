"""Weights as safetensors, with what made them in the metadata. Never pickle.

A training that is stopped goes on from such a file, too: `TrainingState` is all it needs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from speech2face.errors import ModelError
from speech2face.files import write_atomically


def save_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and `metadata` (JSON) to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"speech2face": json.dumps(metadata, default=_plain)}
    # Not by `save_file`, whose files nobody but their owner may read.
    data = save({k: v.detach().contiguous() for k, v in tensors.items()}, header)
    with write_atomically(path) as file:
        file.write(data)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file by `save_weights`. Raises ModelError if it is not one."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {})["speech2face"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: not weights of speech2face ({error}).") from None
    return tensors, metadata


class TrainingState:
    """The state of a training: weights, their moving average, Adam's moments, the best so far.

    Frozen parameters are not kept; buffers are.
    """

    def __init__(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self.network, self.optimiser = network, optimiser
        self.trained = {k: p for k, p in network.named_parameters() if p.requires_grad}
        self.averages = {k: p.detach().clone() for k, p in self.trained.items()}
        self.step = 0  # steps that were taken
        self.best = math.inf  # of the validations so far
        self.waited = 0  # validations since then

    def average(self, decay: float) -> None:
        """Move the averages towards the weights; `decay` of them, 0 … 1, stays."""
        averages: list[Tensor] = [*self.averages.values()]
        weights: list[Tensor] = [*self.trained.values()]
        get_ema_multi_avg_fn(decay)(averages, weights, self.step)

    @torch.no_grad()
    def take_averages(self) -> None:
        """Leave the averaged weights in the network."""
        for name, parameter in self.trained.items():
            parameter.copy_(self.averages[name])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network, while inside, the averaged weights and evaluation mode."""
        own = {k: p.detach().clone() for k, p in self.trained.items()}
        self.take_averages()
        self.network.eval()
        yield
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(own[name])
        self.network.train()

    def save(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write the state to `path`, with its metadata."""
        tensors = {f"weight/{k}": p for k, p in self.trained.items()}
        tensors |= {f"average/{k}": v for k, v in self.averages.items()}
        tensors |= {f"buffer/{k}": v for k, v in self.network.named_buffers()}
        for name, parameter in self.trained.items():
            moments = self.optimiser.state[parameter]
            tensors |= {f"adam/{name}/{k}": v for k, v in moments.items()}
        best = self.best if math.isfinite(self.best) else None  # JSON knows no infinity
        validation = {"best": best, "waited": self.waited}
        save_weights(path, tensors, {**metadata, "step": self.step, "validation": validation})

    @torch.no_grad()
    def load(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Go on from `path`. Raises ModelError where it was made with other metadata."""
        tensors, saved = load_weights(path)
        step, validation = saved.pop("step", 0), saved.pop("validation", None)
        if saved != json.loads(json.dumps(metadata, default=_plain)) or not validation:
            raise ModelError(f"{path}: of another recipe or other data; choose another folder.")
        self.step, self.waited = step, validation["waited"]
        self.best = math.inf if validation["best"] is None else validation["best"]
        for name, parameter in self.trained.items():
            parameter.copy_(tensors[f"weight/{name}"])
            self.averages[name].copy_(tensors[f"average/{name}"])
            prefix = f"adam/{name}/"
            self.optimiser.state[parameter] = {
                k.removeprefix(prefix): _lay_out(v, parameter)
                for k, v in tensors.items()
                if k.startswith(prefix)
            }
        # As a state dict, since a network reads there what older versions called its buffers.
        buffers = {k.removeprefix("buffer/"): v for k, v in tensors.items() if k[:7] == "buffer/"}
        missing = set(self.network.load_state_dict(buffers, strict=False).missing_keys)
        if lost := sorted(missing & {name for name, _ in self.network.named_buffers()}):
            raise ModelError(f"{path}: lacks {lost[0]} of the network; choose another folder.")
        for name, buffer in self.network.named_buffers():
            if name in buffers:  # those too that a state dict leaves out
                buffer.copy_(buffers[name])


def _lay_out(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """Place a value like the parameter, in its order of numbers: a fused optimiser goes by
    addresses."""
    if value.dim():
        return torch.empty_like(parameter, requires_grad=False).copy_(value)
    return value.to(parameter.device)


def float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with half precision widened, as networks on a CPU want them."""
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


def hash_weights(module: nn.Module) -> str:
    """A digest of the weights, in sixteen letters."""
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
