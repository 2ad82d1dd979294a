"""What the networks are trained to make small."""

from __future__ import annotations

import torch
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
