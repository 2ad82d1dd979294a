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

# Lightness and the differences of blue and of red from it → red, green, blue.
RGB_OF_COLOURS = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


# Lengths of embeddings from the average face, in parts of the root mean square of people's: at the
# one nothing, at the other all of a face's detail is drawn. Nine of ten people's are 0.85 to 1.15,
# of voices (see `stretch_mean`) 0.42 to 0.86.
UNKNOWN, KNOWN = 0.85, 1.0


@dataclass(frozen=True)
class FaceDecoderConfig:
    """Sizes of the decoder; they travel in the metadata of its weights."""

    embedding: int = 128
    landmarks: int = 66
    size: int = 224  # of the picture, pixels
    hidden: int = 384  # width of the landmark network
    conditions: int = 4  # what is told of a photograph beside whose it is
    channels: tuple[int, ...] = (256, 160, 80, 40)  # at size/16, /8, /4, /2
    base: int = 112  # pixels a side of the linear base
    warp_grid: int = 56  # points a side at which the displacement field is computed
    warp_steps: int = 2  # fixed-point steps that turn the field around


class FaceDecoder(nn.Module):
    """Embedding (B, D) and conditions (B, C) → picture, texture and landmarks.

    The texture is symmetric: its left half is drawn, the right one is its mirror image. What makes
    the halves of a photograph differ is light and chance, not who is on it. Landmarks are free.
    Colours are drawn at a quarter of the size, and what is finer as lightness alone, as eyes see
    and JPEG stores it. They are drawn as lightness and two differences that lightness does not
    depend on (ITU-R BT.601), so what is asked of lightness alone cannot move them.

    Detail is drawn as far as the embedding knows it. One much shorter than people's, as means of
    distributions are, is of no person; its face comes from `base`, a linear map from embeddings to
    canonical textures, which of a mean draws the mean (`settle`).

    Both are standardised by the mean and scale of the photographs trained on (buffers). The
    conditions say how a photograph was taken (`data.textures.CONDITIONS`): in training they are
    the photograph's own, so that what the embedding cannot know is not blurred into an average;
    a canonical face is drawn at those of the buffer `neutral`.
    """

    mean_shape: Tensor
    mean_texture: Tensor
    warp_basis: Tensor
    embedding_mean: Tensor
    embedding_scale: Tensor
    condition_mean: Tensor
    condition_scale: Tensor
    neutral: Tensor
    colours: Tensor
    face: Tensor
    base_slope: Tensor
    base_offset: Tensor

    def __init__(self, config: FaceDecoderConfig, mean_shape: np.ndarray | None = None) -> None:
        """`mean_shape` (landmarks, 2) in fractions of the picture; None before loading weights."""
        super().__init__()
        self.config = config
        shape = np.zeros((config.landmarks, 2)) if mean_shape is None else mean_shape
        basis = np.zeros((config.warp_grid**2, config.landmarks))
        if mean_shape is not None:
            basis = spline_basis(mean_shape, config.warp_grid)
        self.register_buffer("mean_shape", torch.tensor(shape, dtype=torch.float32))
        self.register_buffer("mean_texture", torch.full((3, config.size, config.size), 0.5))
        self.register_buffer("warp_basis", torch.tensor(basis, dtype=torch.float32))
        self.register_buffer("embedding_mean", torch.zeros(config.embedding))
        self.register_buffer("embedding_scale", torch.ones(config.embedding))
        self.register_buffer("condition_mean", torch.zeros(config.conditions))
        self.register_buffer("condition_scale", torch.ones(config.conditions))
        self.register_buffer("neutral", torch.zeros(config.conditions))
        self.register_buffer("colours", torch.tensor(RGB_OF_COLOURS))
        half = 3 * config.base * (config.base // 2)
        self.register_buffer("face", torch.zeros(config.size, config.size))
        self.register_buffer("base_slope", torch.zeros(config.embedding, half))
        self.register_buffer("base_offset", torch.zeros(half))

        inputs = config.embedding + config.conditions
        self.shape_network = nn.Sequential(
            nn.Linear(inputs, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.landmarks * 2),
        )
        first, *_ = config.channels
        self.seed_size = config.size // 2 ** len(config.channels)
        self.seed = nn.Linear(inputs, first * self.seed_size * (self.seed_size // 2))
        self.blocks = nn.Sequential(
            *(UpBlock(a, b) for a, b in zip(config.channels[:-1], config.channels[1:], strict=True))
        )
        *_, coarse, fine = config.channels
        self.to_colour = nn.Conv2d(coarse, 3, 3, padding=1, padding_mode="replicate")
        self.to_detail = nn.Conv2d(fine, 4, 3, padding=1, padding_mode="replicate")

    def forward(self, embedding: Tensor, conditions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, D) → picture (B, 3, S, S), RGB in [0, 1], and where its landmarks are (B, K, 2),
        fractions of it; neutral unless conditions are given."""
        texture, displacement = self.draw(embedding, conditions)
        texture = self.settle(texture, embedding)
        picture = self.warp(texture, displacement).clamp(0, 1)
        return picture, self.mean_shape + displacement

    def draw(self, embedding: Tensor, conditions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, D) → texture (B, 3, S, S) in mean-shape coordinates, displacements (B, K, 2)."""
        x = (embedding - self.embedding_mean) / self.embedding_scale
        if conditions is None:
            conditions = self.neutral.expand(len(x), -1)
        c = (conditions - self.condition_mean) / self.condition_scale
        x = torch.cat([x, c], dim=1)  # (B, D + C)
        displacement = 0.1 * self.shape_network(x).unflatten(1, (self.config.landmarks, 2))
        y = self.seed(x).unflatten(1, (-1, self.seed_size, self.seed_size // 2))
        *blocks, last = self.blocks
        for block in blocks:
            y = block(y)
        colour = torch.einsum("rc,bchw->brhw", self.colours, self.to_colour(y))
        colour = F.interpolate(colour, scale_factor=4.0, mode="bilinear")
        detail = F.pixel_shuffle(self.to_detail(last(y)), 2)  # (B, 1, S, S/2)
        y = colour + 0.2 * detail  # (B, 3, S, S/2)
        # Not squashed: where a squashed output runs against its end, nothing brings it back.
        return self.mean_texture + torch.cat([y, y.flip(3)], dim=3), displacement

    def settle(self, texture: Tensor, embedding: Tensor) -> Tensor:
        """Within the face, the linear base instead of what is drawn of short embeddings (B, D)."""
        offset = embedding - self.embedding_mean
        length = (offset.square().sum(1) / self.embedding_scale.square().sum()).sqrt()
        known = ((length - UNKNOWN) / (KNOWN - UNKNOWN)).clamp(0, 1)[:, None, None, None]
        side = self.config.base
        half = (offset @ self.base_slope + self.base_offset).unflatten(1, (3, side, side // 2))
        base = torch.cat([half, half.flip(3)], dim=3)  # (B, 3, b, b)
        base = F.interpolate(base, size=texture.shape[-2:], mode="bilinear")
        return texture + (1 - known) * self.face * (base - texture)

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


class UpBlock(nn.Module):
    """Twice the size: nearest-neighbour upsampling and two convolutions with a residual path.

    Beyond the border it goes on as at the border: at the middle of the face that is its mirror.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(inputs, outputs, 1)
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")

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
    theta = torch.tensor(matrix).to(pictures).expand(len(pictures), 2, 3)
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
