"""Fixed maps of a line of values, as matrices.

A picture is blurred, enlarged or made smaller by one product a side; runtimes do that far faster
than `Resize`, and everywhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def enlarging_matrix(old: int, new: int) -> Tensor:
    """Bicubic enlarging of a line of `old` values, as a matrix (new, old)."""
    return F.interpolate(torch.eye(old)[None, None], size=(new, old), mode="bicubic")[0, 0]


def blur_matrix(size: int, sigma: float) -> Tensor:
    """A Gaussian blur of a line of `size` values, as a matrix (size, size)."""
    return narrowing_matrix(size, size, sigma)


def narrowing_matrix(old: int, new: int, sigma: float) -> Tensor:
    """Gaussian means, `sigma` of the `old` values wide, of a line, as a matrix (new, old)."""
    places = (torch.arange(new) + 0.5) * (old / new) - 0.5
    weights = torch.exp(-((places[:, None] - torch.arange(old)) ** 2) / (2 * sigma**2))
    return weights / weights.sum(1, keepdim=True)


def fold(matrix: Tensor) -> Tensor:
    """A map of a symmetric line (..., new, old) → of its first half (..., new/2, old/2)."""
    new, old = matrix.shape[-2] // 2, matrix.shape[-1] // 2
    return matrix[..., :new, :old] + matrix[..., :new, old:].flip(-1)
