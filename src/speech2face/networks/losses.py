"""Losses that the networks are trained to minimise."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


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

    Its best answer is the mean of the faces that a voice may have, at its true length.
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
    """InfoNCE in nats: each voice finds its face in the batch, and each face its voice.

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
