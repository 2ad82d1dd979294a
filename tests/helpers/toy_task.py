"""A small task for the training loop, in this process or, as `main`, in one of its own or two.

`main` prints its rank, a batch's number and its own as it makes each batch, and a hash of the
weights when all is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.errors import Speech2FaceError
from speech2face.training.distributed import SINGLE_PROCESS, Processes, join_processes
from speech2face.training.loop import LoopConfig, RunOptions, fit

STEPS = 60
FACTS = {"what": "toy", "sizes": (4, 8)}


class Toy:
    """A noisy line, learnt with dropout: randomness both in the batches and in the network."""

    clips = 16

    def __init__(
        self,
        pause: float = 0.0,
        nan_at: int | None = None,
        tell: bool = False,
        dropout: float = 0.1,
        batch_norm: bool = False,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1), nn.Linear(1, 1)
        )
        self.network[4].requires_grad_(False)  # frozen, as most of the voice encoder
        nn.init.ones_(self.network[4].weight)
        if batch_norm:
            self.network.insert(1, nn.BatchNorm1d(8))
        self._pause, self._nan_at, self._tell, self._processes = pause, nan_at, tell, processes

    def batch(self, step: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        if self._tell:
            sys.stdout.write(f"{self._processes.rank} {step} {os.getpid()}\n")  # at once, whole
            sys.stdout.flush()
        time.sleep(self._pause)
        x = rng.normal(size=(16, 4))
        y = x @ [1.0, -2.0, 0.5, 0.0] + 0.1 * rng.normal(size=16)
        if step == self._nan_at:
            y[3] = np.nan
        own = slice(self._processes.rank, None, self._processes.count)
        return torch.tensor(x[own]).float(), torch.tensor(y[own]).float()

    def losses(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        x, y = batch
        weight = self.network[0].weight
        error = self.network(x)[:, 0] - y
        return {"error": error.square().mean(), "size": 1e-3 * weight.square().sum()}

    def weights(self) -> dict[str, Tensor]:
        return {k: v.clone() for k, v in self.network.state_dict().items()}


def config(steps: int = STEPS) -> LoopConfig:
    return LoopConfig(steps, learning_rate=0.03, warmup=5)


def run_options(checkpoint_seconds: float = 1e9) -> RunOptions:
    return RunOptions(checkpoint_seconds, log_every=1)


def read_log(folder: Path) -> dict[int, dict[str, float]]:
    """Step → its row; no step may stand there twice."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len({row["step"] for row in rows}) == len(rows)
    return {row["step"]: row for row in rows}


def main(folder: Path, seconds: float, options: dict) -> None:
    """`options` are those of `Toy`, and how many batches a step accumulates."""
    loop = replace(config(), accumulate=options.pop("accumulate", 1))
    with join_processes() as processes:
        task = Toy(tell=True, processes=processes, **options)
        try:
            fit(task, loop, folder, FACTS, None, run_options(seconds), processes)
        except Speech2FaceError as error:
            sys.stderr.write(f"{error}\n")  # at once, whole: two processes share the stream
            processes.wait()  # torchrun ends all when one has failed
            sys.exit(error.exit_code)
        digest = hashlib.sha256()
        for tensor in task.weights().values():
            digest.update(tensor.numpy().tobytes())
    sys.stdout.write(f"{processes.rank} done {digest.hexdigest()}\n")
