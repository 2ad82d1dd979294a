"""The face decoder: embedding → landmarks and texture → warp → canonical picture.

Shape and texture are drawn apart, as by Cole et al. (CVPR 2017): the texture is painted in the
coordinates of the mean shape, and a warp moves it onto the landmarks. Both are linear maps of the
embedding, solved in closed form (`training.face_decoder`), so whatever embedding comes gets a
plausible face, and a mean gets the mean. The warp is linear in the displacements of the landmarks
(thin-plate splines with their basis fixed at the mean shape), so it needs no solver and exports to
ONNX as a matrix product and `GridSample`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONTRAST = 28.0  # of the outline: where half of like people have hair, there is a clear edge


@dataclass(frozen=True)
class FaceDecoderConfig:
    """Sizes of the decoder; they travel in the metadata of its weights."""

    embedding: int = 128
    landmarks: int = 66
    size: int = 224  # of the picture, pixels
    head: int = 160  # of the texture, pixels
    warp_grid: int = 56  # points a side at which the displacement field is computed
    warp_steps: int = 2  # fixed-point steps that turn the field around


class FaceDecoder(nn.Module):
    """Embedding (B, D) → picture and landmarks.

    The texture is the colours of a head without ground, and how surely each place is covered by
    the head, to which `CONTRAST` gives an edge. Colours and white ground averaged into one another
    would be a haze. Texture and landmarks are symmetric: half of the texture is drawn, the other
    is its mirror image. What makes the halves of a photograph differ is light, pose and chance.
    """

    mean_shape: Tensor
    warp_basis: Tensor
    average: Tensor
    head_slope: Tensor
    head_offset: Tensor
    shape_slope: Tensor
    shape_offset: Tensor
    enlarging: Tensor

    def __init__(self, config: FaceDecoderConfig, mean_shape: np.ndarray | None = None) -> None:
        """`mean_shape` (landmarks, 2) in fractions of the picture; None before loading weights."""
        super().__init__()
        self.config = config
        shape = np.zeros((config.landmarks, 2)) if mean_shape is None else mean_shape
        basis = np.zeros((config.warp_grid**2, config.landmarks))
        if mean_shape is not None:
            basis = spline_basis(mean_shape, config.warp_grid)
        half = 4 * config.head * (config.head // 2)  # red, green, blue, cover
        self.register_buffer("mean_shape", torch.tensor(shape, dtype=torch.float32))
        self.register_buffer("warp_basis", torch.tensor(basis, dtype=torch.float32))
        self.register_buffer("average", torch.zeros(config.embedding))
        self.register_buffer("head_slope", torch.zeros(config.embedding, half))
        self.register_buffer("head_offset", torch.full((half,), 0.5))
        self.register_buffer("shape_slope", torch.zeros(config.embedding, config.landmarks * 2))
        self.register_buffer("shape_offset", torch.zeros(config.landmarks * 2))
        self.register_buffer("enlarging", enlarging_matrix(config.head, config.size), False)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) → picture (B, 3, S, S), RGB in [0, 1], and where its landmarks are (B, K, 2),
        fractions of it."""
        colours, cover = self.draw_head(embedding)
        displacement = self.draw_shape(embedding)
        picture = self.warp(colours * cover + 1 - cover, displacement).clamp(0, 1)
        return picture, self.mean_shape + displacement

    def draw_head(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) → colours (B, 3, S, S) in mean-shape coordinates, and where the head covers the
        ground (B, 1, S, S)."""
        side = self.config.head
        half = (embedding - self.average) @ self.head_slope + self.head_offset
        half = half.unflatten(1, (4, side, side // 2))
        head = torch.cat([half, half.flip(3)], dim=3)  # (B, 4, h, h)
        head = self.enlarging @ head @ self.enlarging.T  # (B, 4, S, S)
        return head[:, :3], torch.sigmoid(CONTRAST * (head[:, 3:] - 0.5))

    def draw_shape(self, embedding: Tensor) -> Tensor:
        """(B, D) → how far the landmarks lie from the mean shape's, (B, K, 2)."""
        moved = (embedding - self.average) @ self.shape_slope + self.shape_offset
        return moved.unflatten(1, (self.config.landmarks, 2))

    def warp(self, texture: Tensor, displacement: Tensor) -> Tensor:
        """Move a texture (B, 3, S, S) from the mean shape by displacements (B, K, 2)."""
        grid = self.config.warp_grid
        # The field D(q) says where a point q of the texture goes: q + D(q). The picture at p
        # takes the texture at T(p) = p − D(T(p)), found by a few fixed-point steps.
        field = torch.einsum("nk,bkc->bcn", self.warp_basis, displacement)
        field = field.unflatten(2, (grid, grid))  # (B, 2, G, G)
        line = (torch.arange(grid, device=field.device) + 0.5) * (2 / grid) - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        here = torch.stack([x, y], dim=-1)[None]  # (1, G, G, 2) in [−1, 1]
        there = here - 2 * field.permute(0, 2, 3, 1)
        for _ in range(self.config.warp_steps):
            moved = F.grid_sample(field, there, padding_mode="border", align_corners=False)
            there = here - 2 * moved.permute(0, 2, 3, 1)
        there = F.interpolate(
            (there - here).permute(0, 3, 1, 2),
            size=(self.config.size, self.config.size),
            mode="bilinear",
            align_corners=False,
        ).permute(0, 2, 3, 1)  # (B, S, S, 2), offsets
        size = self.config.size
        line = (torch.arange(size, device=field.device) + 0.5) * (2 / size) - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        there = there + torch.stack([x, y], dim=-1)[None]
        # Bicubic: bilinear, it would take a tenth of the sharpness away.
        return F.grid_sample(
            texture, there, mode="bicubic", padding_mode="border", align_corners=False
        )


def enlarging_matrix(old: int, new: int) -> Tensor:
    """Bicubic enlarging of a line of `old` values, as a matrix (new, old).

    A picture is enlarged by one product a side; runtimes do that far faster than `Resize`.
    """
    return F.interpolate(torch.eye(old)[None, None], size=(new, old), mode="bicubic")[0, 0]


def spline_basis(shape: np.ndarray, grid: int, border: int = 5) -> np.ndarray:
    """Thin-plate spline basis (grid², K) of the landmarks `shape` (K, 2), fractions of a picture.

    Times displacements (K, 2) it gives the displacement at each of grid² cell centres, row by
    row; points along the picture's border stay where they are (Bookstein, 1989).
    """
    line = np.linspace(0, 1, border)
    edge = [(x, y) for x in line for y in line if x in (0, 1) or y in (0, 1)]
    knots = np.concatenate([shape, np.array(edge)])  # (N, 2)
    n = len(knots)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _spline_kernel(knots, knots) + 1e-4 * np.eye(n)  # a little smoothing
    system[:n, n], system[:n, n + 1 :] = 1, knots
    system[n:, :n] = system[:n, n:].T
    solve = np.linalg.inv(system)[:, : len(shape)]  # displacements of the landmarks → weights
    centres = (np.arange(grid) + 0.5) / grid
    y, x = np.meshgrid(centres, centres, indexing="ij")
    points = np.stack([x.ravel(), y.ravel()], axis=1)  # (grid², 2)
    terms = np.hstack([_spline_kernel(points, knots), np.ones((len(points), 1)), points])
    return terms @ solve


def _spline_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return squared * np.log(np.maximum(squared, 1e-12)) / 2
