"""The face decoder: embedding → landmarks and texture → warp → canonical picture.

Shape and texture are drawn apart, as by Cole et al. (CVPR 2017): a small network places the
landmarks, a convolutional generator paints the texture in the coordinates of the mean shape, and
a warp moves the texture onto the landmarks. The warp is linear in the displacements of the
landmarks (thin-plate splines with their basis fixed at the mean shape), so it needs no solver and
exports to ONNX as a matrix product and `GridSample`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech2face.faces import TEMPLATES, fit_similarity


@dataclass(frozen=True)
class FaceDecoderConfig:
    """Sizes of the decoder; they travel in the metadata of its weights."""

    embedding: int = 128
    landmarks: int = 66
    size: int = 224  # of the picture, pixels
    hidden: int = 384  # width of the landmark network
    channels: tuple[int, ...] = (256, 192, 128, 64)  # at size/32, /16, /8, /4
    warp_grid: int = 56  # points a side at which the displacement field is computed
    warp_steps: int = 2  # fixed-point steps that turn the field around


class FaceDecoder(nn.Module):
    """Embedding (B, D) and domain (B,) → picture, texture and landmarks.

    The embedding is standardised by the mean and scale of the faces trained on (buffers). The
    domain tells photographs (0) from canonical pictures (1) in training, so that photographs
    teach what people look like and canonical pictures how to draw them; drawing is at 1.
    """

    mean_shape: Tensor
    warp_basis: Tensor
    embedding_mean: Tensor
    embedding_scale: Tensor

    def __init__(self, config: FaceDecoderConfig, mean_shape: np.ndarray | None = None) -> None:
        """`mean_shape` (landmarks, 2) in fractions of the picture; None before loading weights."""
        super().__init__()
        self.config = config
        shape = np.zeros((config.landmarks, 2)) if mean_shape is None else mean_shape
        basis = np.zeros((config.warp_grid**2, config.landmarks))
        if mean_shape is not None:
            basis = spline_basis(mean_shape, config.warp_grid)
        self.register_buffer("mean_shape", torch.tensor(shape, dtype=torch.float32))
        self.register_buffer("warp_basis", torch.tensor(basis, dtype=torch.float32))
        self.register_buffer("embedding_mean", torch.zeros(config.embedding))
        self.register_buffer("embedding_scale", torch.ones(config.embedding))

        self.shape_network = nn.Sequential(
            nn.Linear(config.embedding + 1, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.landmarks * 2),
        )
        first, *_ = config.channels
        self.seed_size = config.size // 2 ** (len(config.channels) + 1)
        self.seed = nn.Linear(config.embedding + 1, first * self.seed_size**2)
        self.blocks = nn.Sequential(
            *(UpBlock(a, b) for a, b in zip(config.channels[:-1], config.channels[1:], strict=True))
        )
        self.to_rgb = nn.Conv2d(config.channels[-1], 3 * 16, 3, padding=1)

    def forward(self, embedding: Tensor, domain: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, D) → picture (B, 3, S, S), RGB in [0, 1], and where its landmarks are (B, K, 2),
        fractions of the picture."""
        texture, displacement = self.draw(embedding, domain)
        return self.warp(texture, displacement), self.mean_shape + displacement

    def draw(self, embedding: Tensor, domain: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, D) → texture (B, 3, S, S) in mean-shape coordinates, displacements (B, K, 2)."""
        x = (embedding - self.embedding_mean) / self.embedding_scale
        flag = torch.ones_like(x[:, :1]) if domain is None else domain[:, None]
        x = torch.cat([x, flag], dim=1)  # (B, D + 1)
        displacement = 0.1 * self.shape_network(x).unflatten(1, (self.config.landmarks, 2))
        y = self.seed(x).unflatten(1, (-1, self.seed_size, self.seed_size))  # (B, C, S/32, S/32)
        y = self.to_rgb(self.blocks(y))  # (B, 48, S/4, S/4)
        return torch.sigmoid(F.pixel_shuffle(y, 4)), displacement

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
        return F.grid_sample(texture, there, padding_mode="border", align_corners=False)


class UpBlock(nn.Module):
    """Twice the size: nearest-neighbour upsampling and two convolutions with a residual path."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(inputs, outputs, 1)
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # The 1×1 path runs before the upsampling: the same result at a quarter of the cost.
        skip = F.interpolate(self.skip(x), scale_factor=2.0, mode="bilinear")
        x = F.interpolate(F.leaky_relu(x, 0.2), scale_factor=2.0, mode="nearest")
        return skip + F.leaky_relu(self.conv(x), 0.2)


def crop_canvas(pictures: Tensor, template: str, size: int) -> Tensor:
    """Drawn pictures (B, 3, S, S) → crops (B, 3, size, size) as a recogniser's template asks."""
    matrix = fit_similarity(TEMPLATES[template], TEMPLATES["canvas"])  # crop → canvas, fractions
    # The same between the coordinates of grid_sample, which run from −1 to 1.
    matrix[:, 2] = 2 * matrix[:, 2] + matrix[:, :2].sum(1) - 1
    theta = torch.tensor(matrix, dtype=pictures.dtype).expand(len(pictures), 2, 3)
    grid = F.affine_grid(theta, [len(pictures), 3, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


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
