"""The training loop: every gradient step of the project is taken here.

A task gives a network, a batch for each step and its losses; the loop steps, logs, saves and goes
on where it was. Batches depend on the step alone, so a resumed run follows the same curve.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.errors import Interrupted, ModelError
from speech2face.training.checkpoint import load_weights, save_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopConfig:
    """How to step. The learning rate warms up, stays, and falls by a cosine to a hundredth."""

    steps: int
    learning_rate: float = 1e-3
    warmup: int = 50
    betas: tuple[float, float] = (0.9, 0.999)  # less where two networks learn from each other
    weight_decay: float = 1e-4
    clip: float = 1.0  # greatest norm of the gradient
    average: float = 0.995  # decay of the moving average of the weights; that is what is kept
    checkpoint_seconds: float = 120.0
    log_every: int = 10
    bfloat16: bool = False  # convolutions in half precision: several times faster, on CPUs too
    seed: int = 0


class Task(Protocol):
    """What is trained."""

    @property
    def network(self) -> nn.Module: ...

    def batch(self, step: int, rng: np.random.Generator) -> Any:
        """The batch of a step: the same step and generator give the same batch."""
        ...

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The terms of the loss by name; their sum is what is made smaller."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where a run is, for whoever shows it."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_left: float


def fit(
    task: Task,
    config: LoopConfig,
    folder: Path,
    facts: dict[str, Any],
    show: Callable[[Progress], None] | None = None,
) -> None:
    """Train `task.network` to the last step and leave the averaged weights in it.

    `folder` gets checkpoint.safetensors and log.jsonl; a run found there goes on, unless it was
    of another config (ModelError). SIGINT and SIGTERM save and raise Interrupted. A loss that is
    not finite stops with ModelError; the checkpoint before it stays.
    """
    network = task.network
    trained = {k: p for k, p in network.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(
        trained.values(),
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
    )
    device = next(iter(trained.values())).device.type
    averages = {k: p.detach().clone() for k, p in trained.items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.safetensors"
    facts = {**facts, "loop": asdict(config)}
    first = _resume(path, facts, network, averages, optimiser) if path.is_file() else 0

    network.train()
    started = saved = time.monotonic()
    with _stop_signals() as stopped:
        for step in range(first, config.steps):
            rng = np.random.default_rng((config.seed, step))
            torch.manual_seed(config.seed * 1_000_003 + step)
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * _schedule(step, config)
            batch = task.batch(step, rng)
            with torch.autocast(device, torch.bfloat16, enabled=config.bfloat16):
                losses = task.losses(batch)
            total = torch.stack(list(losses.values())).sum()
            if not torch.isfinite(total):
                seen = {k: round(v.item(), 4) for k, v in losses.items()}
                raise ModelError(f"step {step}: the loss is not finite: {seen}. Last: {path}.")
            optimiser.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(trained.values(), config.clip)
            optimiser.step()
            decay = min(config.average, (1 + step) / (10 + step))
            for name, parameter in trained.items():
                averages[name].lerp_(parameter.detach(), 1 - decay)

            if step % config.log_every == 0 or step == config.steps - 1:
                values = {k: v.item() for k, v in losses.items()}
                _write_log(folder, {"step": step, **values})
                if show:
                    a_step = (time.monotonic() - started) / (step - first + 1)
                    left = a_step * (config.steps - step - 1)
                    show(Progress(step + 1, config.steps, values, left))
            last = step == config.steps - 1
            if last or stopped() or time.monotonic() - saved > config.checkpoint_seconds:
                _save(path, facts, step + 1, network, averages, optimiser)
                saved = time.monotonic()
            if stopped() and not last:
                raise Interrupted(f"stopped after step {step}; the same command goes on there.")
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(averages[name])
    network.eval()


def _schedule(step: int, config: LoopConfig) -> float:
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / config.steps)))


def _save(
    path: Path,
    facts: dict[str, Any],
    step: int,
    network: nn.Module,
    averages: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    weights = dict(network.named_parameters())
    names = list(averages)
    tensors = {f"weight/{k}": weights[k].detach() for k in names}
    tensors |= {f"average/{k}": v for k, v in averages.items()}
    tensors |= {f"buffer/{k}": v for k, v in network.named_buffers()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"adam/{names[index]}/{k}": torch.as_tensor(v) for k, v in state.items()}
    save_weights(path, tensors, {**facts, "step": step})


def _resume(
    path: Path,
    facts: dict[str, Any],
    network: nn.Module,
    averages: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> int:
    tensors, found = load_weights(path)
    step = found.pop("step")
    if found != json.loads(json.dumps(facts)):
        raise ModelError(f"{path}: of another recipe or other data; choose another folder.")
    weights, buffers = dict(network.named_parameters()), dict(network.named_buffers())
    with torch.no_grad():
        for name, average in averages.items():
            weights[name].copy_(tensors[f"weight/{name}"])
            average.copy_(tensors[f"average/{name}"])
        for name, buffer in buffers.items():
            buffer.copy_(tensors[f"buffer/{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for index, name in enumerate(averages):
        prefix = f"adam/{name}/"
        state[index] = {
            k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
        }
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    log.info("going on at step %d of %s", step, path)
    return step


def _write_log(folder: Path, row: dict[str, float]) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """While inside, SIGINT and SIGTERM only raise a flag (main thread only)."""
    flag = {"stopped": False}

    def stop(*_: object) -> None:
        flag["stopped"] = True

    try:
        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: nobody can signal us
        before = {}
    try:
        yield lambda: flag["stopped"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
