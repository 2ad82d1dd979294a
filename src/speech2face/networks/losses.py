"""What the networks are trained to make small."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

# Red, green, blue → lightness, and the differences of blue and of red from it (ITU-R BT.601).
COLOURS_OF_RGB = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def texture_loss(drawn: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of textures (B, 3, S, S) where `mask` (B, 1, S, S) is set.

    Cole et al. (CVPR 2017), section 4. The absolute error draws the median of what an embedding
    leaves open, where the squared error would draw the blur of its mean. It is taken of lightness
    and of colour apart: a face that is too dark is no reason to change its colour.
    """
    matrix = torch.tensor(COLOURS_OF_RGB, device=drawn.device)
    error = torch.einsum("cr,brhw->bchw", matrix, drawn - true)
    return (error.abs() * mask).sum() / (mask.sum() + 1)


def detail_loss(drawn: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """The same of details (B, 1, S, S), which have no colour."""
    return ((drawn - true).abs() * mask).sum() / (mask.sum() + 1)


def edge_loss(drawn: Tensor, true: Tensor, mask: Tensor, scales: int = 2) -> Tensor:
    """Mean absolute error of the horizontal and vertical steps, at full, half … size."""
    total = drawn.new_zeros(())
    for _ in range(scales):
        error = (drawn - true) * mask
        total = total + (error[..., 1:] - error[..., :-1]).abs().mean()
        total = total + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        drawn, true, mask = (F.avg_pool2d(x, 2) for x in (drawn, true, mask))
    return total / mask.mean().clamp(min=1e-3)


def lightness_detail(texture: Tensor) -> Tensor:
    """Textures (B, 3, S, S) → what is finer than a fourteenth of the side in their lightness
    (B, 1, S, S): pores, lashes and creases, whatever the light and the camera."""
    weights = torch.tensor(COLOURS_OF_RGB[0], device=texture.device)
    lightness = torch.einsum("r,brhw->bhw", weights, texture)[:, None]
    cell = texture.shape[-1] // 14
    coarse = F.avg_pool2d(lightness, cell, cell // 2, cell // 4, count_include_pad=False)
    return lightness - F.interpolate(coarse, size=texture.shape[-2:], mode="bilinear")


def landmark_loss(drawn: Tensor, true: Tensor) -> Tensor:
    """Mean squared displacement error (B, K, 2), in per cent of the picture's side, squared."""
    return ((100 * (drawn - true)) ** 2).mean()


def likeness_loss(seen: Tensor, meant: Tensor, average: Tensor) -> Tensor:
    """1 − cosine between two sets of embeddings (B, D), taken from the `average` face (D,).

    From the origin all faces are alike; from the average face the cosine sees what sets a face
    apart, however little that is. After Cole et al. (CVPR 2017), section 4.
    """
    return 1 - F.cosine_similarity(seen - average, meant - average).mean()


def gaussian_nll(mean: Tensor, covariance: Tensor, target: Tensor) -> Tensor:
    """Mean of −log N(target; mean, covariance) per dimension, in nats, without the constant.

    mean and target (B, D), covariance (B, D, D) positive definite.
    """
    factor = torch.linalg.cholesky(covariance)
    error = torch.linalg.solve_triangular(factor, (target - mean)[..., None], upper=False)
    log_root = torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)
    return (0.5 * error.squeeze(-1).square().sum(-1) + log_root).mean() / mean.shape[-1]


def regression_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Squared Euclidean distance of embeddings (B, D), mean over the batch.

    Its best answer is the mean of the faces that a voice may have, at its true length. Where only
    the direction shall count there is `likeness_loss`.
    """
    return (predicted - true).square().sum(1).mean()


def contrastive_loss(
    voices: Tensor,
    faces: Tensor,
    people: Tensor,
    average: Tensor,
    temperature: float = 0.07,
    gather: bool = True,
) -> Tensor:
    """Which face of the batch belongs to a voice, and which voice to a face: InfoNCE, in nats.

    van den Oord et al. (arXiv 1807.03748); both directions with equal weight as Radford et al.
    (ICML 2021). voices and faces (B, D), row by row of the people (B,), who are whole numbers;
    other rows of the same person are no wrong answers and are left out. Similarity is the cosine
    seen from the `average` face (D,), since from the origin all faces are alike, over temperature.

    In a group of processes everybody else's rows are wrong answers, too: the mean over processes
    of loss and gradient is that of one process with all the rows. Every process has to call, with
    as many rows; with `gather` off the rows given are all.
    """
    voices, faces = (F.normalize(x - average, dim=1) for x in (voices, faces))
    own = torch.arange(len(people), device=people.device)
    all_voices, all_faces, everybody = voices, faces, people
    if gather and dist.is_initialized():
        own = own + dist.get_rank() * len(people)
        all_voices, all_faces = _Gather.apply(voices), _Gather.apply(faces)
        everybody = _gather(people)
    left_out = people[:, None] == everybody
    left_out[torch.arange(len(people)), own] = False
    directions = ((voices, all_faces), (faces, all_voices))
    return torch.stack(
        [
            F.cross_entropy((some @ others.T / temperature).masked_fill(left_out, -torch.inf), own)
            for some, others in directions
        ]
    ).mean()


class _Gather(torch.autograd.Function):
    """The rows (B, ...) of all processes, rank by rank, with the gradient of all their uses.

    Torch's own bears another name in each of the versions allowed, and warns under the old one.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return _gather(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def _gather(rows: Tensor) -> Tensor:
    gathered = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, rows.contiguous())
    return torch.cat(gathered)
