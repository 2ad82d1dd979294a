"""The warp that moves a picture painted on the mean shape onto the landmarks of a face.

It is linear in the displacements of the landmarks (thin-plate splines with their basis fixed at
the mean shape), so it needs no solver and exports to ONNX as a matrix product and `GridSample`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(picture: Tensor, displacement: Tensor, basis: Tensor, steps: int = 2) -> Tensor:
    """Move a picture (B, C, S, S) from the mean shape by displacements (B, K, 2).

    `basis` (grid², K) is that of `spline_basis`; `steps` fixed-point steps turn the field around.
    """
    size, grid = picture.shape[-1], round(basis.shape[0] ** 0.5)
    # The field D(q) says where a point q of the texture goes: q + D(q). The picture at p takes
    # the texture at T(p) = p − D(T(p)), found by a few fixed-point steps.
    field = torch.einsum("nk,bkc->bcn", basis, displacement)
    field = field.unflatten(2, (grid, grid))  # (B, 2, G, G)
    here = _centres(grid, field)  # (1, G, G, 2) in [−1, 1]
    there = here - 2 * field.permute(0, 2, 3, 1)
    for _ in range(steps):
        moved = F.grid_sample(field, there, padding_mode="border", align_corners=False)
        there = here - 2 * moved.permute(0, 2, 3, 1)
    offsets = F.interpolate(
        (there - here).permute(0, 3, 1, 2),
        size=(size, size),
        mode="bilinear",
        align_corners=False,
    ).permute(0, 2, 3, 1)  # (B, S, S, 2)
    # Bicubic: bilinear, it would take a tenth of the sharpness away.
    return F.grid_sample(
        picture,
        offsets + _centres(size, field),
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    )


def _centres(side: int, like: Tensor) -> Tensor:
    """Centres of a picture's pixels, x and y in [−1, 1]: (1, side, side, 2)."""
    line = (torch.arange(side, device=like.device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1)[None]
