"""The critic of drawn detail: is it as crisp and as uneven as that of photographs?

A convolutional network that judges patches (Isola et al., CVPR 2017, section 3.2.2), each at its
own place of the mean shape: textures are aligned, so an eye is judged as an eye. Spectral
normalisation (Miyato et al., ICLR 2018) keeps it from running ahead of what it judges.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


@dataclass(frozen=True)
class TextureCriticConfig:
    channels: tuple[int, ...] = (32, 64, 128, 128)  # at size/2, /4, /8, /16


class TextureCritic(nn.Module):
    """Detail (B, 1, H, W), see `lightness_detail`, and where it is known (B, 1, H, W) → one number
    a patch; not saved with a released decoder."""

    def __init__(self, config: TextureCriticConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TextureCriticConfig()
        inputs, layers = 4, []  # detail, known, and where it is
        for channels in config.channels:
            layers += [spectral_norm(nn.Conv2d(inputs, channels, 4, stride=2, padding=1))]
            layers += [nn.LeakyReLU(0.2)]
            inputs = channels
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(inputs, 1, 3, padding=1)))

    def forward(self, detail: Tensor, known: Tensor) -> Tensor:
        """→ (B, 1, H/16, W/16); greater is more like a photograph."""
        height, width = detail.shape[-2:]
        lines = (torch.linspace(-1, 1, n, device=detail.device) for n in (width, height))
        place = torch.stack(torch.meshgrid(*lines, indexing="xy")).to(detail)  # (2, H, W)
        place = place.expand(len(detail), -1, -1, -1)
        return self.layers(torch.cat([4 * detail, known, place], 1) * known)
