"""A small task for the training loop, in this process or, as a program, in one of its own.

python toy.py FOLDER CHECKPOINT_SECONDS PAUSE    prints each step as it begins
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.errors import Speech2FaceError
from speech2face.training.loop import LoopConfig, fit

STEPS = 60
FACTS = {"what": "toy", "sizes": (4, 8)}


class Toy:
    """A noisy line, learnt with dropout: randomness both in the batches and in the network."""

    def __init__(self, pause: float = 0.0, nan_at: int | None = None, tell: bool = False) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1), nn.Linear(1, 1)
        )
        self.network[4].requires_grad_(False)  # frozen, as most of the voice encoder
        nn.init.ones_(self.network[4].weight)
        self._pause, self._nan_at, self._tell = pause, nan_at, tell

    def batch(self, step: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        if self._tell:
            print(step, flush=True)
        time.sleep(self._pause)
        x = rng.normal(size=(16, 4))
        y = x @ [1.0, -2.0, 0.5, 0.0] + 0.1 * rng.normal(size=16)
        if step == self._nan_at:
            y[3] = np.nan
        return torch.tensor(x).float(), torch.tensor(y).float()

    def losses(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        x, y = batch
        weight = self.network[0].weight
        error = self.network(x)[:, 0] - y
        return {"error": error.square().mean(), "size": 1e-3 * weight.square().sum()}


def config(checkpoint_seconds: float = 1e9, steps: int = STEPS) -> LoopConfig:
    return LoopConfig(
        steps, learning_rate=0.03, warmup=5, log_every=1, checkpoint_seconds=checkpoint_seconds
    )


if __name__ == "__main__":
    folder, seconds, pause = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    try:
        fit(Toy(pause, tell=True), config(seconds), folder, FACTS)
    except Speech2FaceError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
