"""Weights as safetensors, with what made them in the metadata. Never pickle."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from speech2face.errors import ModelError


def save_weights(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and `facts` (JSON) to `path`: first beside it, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    metadata = {"speech2face": json.dumps(facts, default=_plain)}
    # Not by `save_file`, whose files nobody but their owner may read.
    partial.write_bytes(save({k: v.detach().contiguous() for k, v in tensors.items()}, metadata))
    os.replace(partial, path)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file that `save_weights` wrote. Raises ModelError if it is not one."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = json.loads((file.metadata() or {})["speech2face"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: not weights of speech2face ({error}).") from None
    return tensors, facts


def float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with half precision widened, as networks on a CPU want them."""
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
