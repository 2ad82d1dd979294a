"""One process of a few that share a contrastive loss; it writes loss and gradients, as DDP
averages them."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from speech2face.networks.losses import contrastive_loss

AVERAGE = torch.linspace(-1, 1, 6)


def make_network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"voice": nn.Linear(4, 6), "face": nn.Linear(3, 6)})


def make_rows() -> tuple[Tensor, Tensor, Tensor]:
    """Eight voices and faces, both of whose encoders learn; some people are there twice."""
    generator = torch.Generator().manual_seed(1)
    voices, faces = (torch.randn(8, n, generator=generator) for n in (4, 3))
    return voices, faces, torch.tensor([5, 7, 9, 7, 1, 5, 7, 2])


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = make_network()

    def forward(self, voices: Tensor, faces: Tensor, people: Tensor) -> Tensor:
        voices, faces = self.network["voice"](voices), self.network["face"](faces)
        return contrastive_loss(voices, faces, people, AVERAGE, temperature=0.2)


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    model = DistributedDataParallel(Both())
    loss = model(*(rows.chunk(ranks)[rank] for rows in make_rows()))
    loss.backward()
    gradients = {n: p.grad for n, p in model.module.named_parameters() if p.grad is not None}
    save_file({"loss": loss.detach(), **gradients}, folder / f"{rank}.safetensors")
    dist.barrier()  # who leaves first would break the other's wires
    dist.destroy_process_group()
