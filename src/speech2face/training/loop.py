"""The training loop: every gradient step of the project is taken here.

A task gives a network, a batch for each step and its losses; the loop steps, logs, validates,
saves and goes on where it was, on one process or many (distributed.py). Batches depend on the step
alone, so a resumed run follows the same curve.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.console import ProgressCallback
from speech2face.errors import Interrupted, ModelError
from speech2face.training.checkpoint import TrainingState, load_weights, save_weights
from speech2face.training.distributed import (
    SINGLE_PROCESS,
    Processes,
    hold_gradients,
    watch_signals,
)
from speech2face.training.field_checks import check_at_least_one
from speech2face.training.metric_logger import write_curve
from speech2face.training.throughput import ThroughputMeter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopConfig:
    """Settings that decide the learning curve. AdamW, which without weight decay is Adam.

    The learning rate warms up. By the schedule "cosine" it then stays, and falls by a cosine to a
    hundredth; by "decay" it is multiplied by `decay` after each `decay_steps`.
    """

    steps: int  # to take
    learning_rate: float = 1e-3  # once it is warm
    warmup: int = 50  # steps over which the rate rises
    schedule: Literal["cosine", "decay"] = "cosine"  # by which the rate falls
    decay: float = 0.95  # factor of the rate, by the schedule "decay"
    decay_steps: int = 10_000  # after each of which that factor comes
    factors: tuple[tuple[str, float], ...] = ()  # of the rate, by how parameters' names begin
    betas: tuple[float, float] = (0.9, 0.999)  # less where two networks learn from each other
    epsilon: float = 1e-8  # that keeps Adam's denominator from zero
    weight_decay: float = 1e-4  # share of the weights, times the rate, that a step takes away
    clip: float = 1.0  # greatest norm of the gradient
    accumulate: int = 1  # batches a step
    average: float = 0.995  # decay of the moving average of the weights; that is what is kept
    bfloat16: bool = False  # convolutions in half precision: several times faster, on CPUs too
    validate_every: int = 0  # steps; 0: never
    patience: int = 0  # validations in a row that may be no better; 0: any number
    seed: int = 0  # of batches and of what is random in the network

    def __post_init__(self) -> None:
        counts = {"steps": self.steps, "accumulate": self.accumulate}
        check_at_least_one(counts | {"decay_steps": self.decay_steps})
        if not 0 <= self.average < 1:
            raise ValueError(f"average is a share from 0 to below 1, not {self.average}")
        if not (self.learning_rate >= 0 and self.clip > 0):
            raise ValueError("learning_rate is 0 or more, clip more than 0")


@dataclass(frozen=True)
class RunOptions:
    """Settings of a run that change the learning curve by no more than rounding."""

    checkpoint_seconds: float = 120.0
    log_every: int = 10  # steps; at least ten rows a run
    compile: bool = False  # torch.compile: slower start, faster steps
    channels_last: bool = False  # memory format: faster for two-dimensional convolutions


class Task(Protocol):
    """The task that is trained. Each of many processes has its own, made with its rank."""

    @property
    def network(self) -> nn.Module: ...

    def batch(self, number: int, rng: np.random.Generator, /) -> Any:
        """This process's part of a batch: the same number and generator give the same.

        The number is that of the step, or, with `accumulate`, counts the batches of all steps.
        All processes are given the same generator; chance of torch differs between them.
        """
        ...

    def losses(self, batch: Any, /) -> dict[str, Tensor]:
        """The terms of the loss by name; their sum is what is made smaller."""
        ...


class ValidatedTask(Task, Protocol):
    """A task trained with `validate_every`; `clips`, those of a batch, any task may have."""

    def validate(self) -> dict[str, float]:
        """Measure the network; of the first figure less is better. Called on rank 0 only."""
        ...


@dataclass(frozen=True)
class StepReport:
    """Progress of a run at one step."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_left: float
    clips_per_second: float | None = None  # None where the task does not say its `clips`
    peak_share: float | None = None  # of what the GPU can do, 0 … 1; None on a CPU


def report_progress(show: ProgressCallback, what: str) -> Callable[[StepReport], None]:
    """Shows a run's losses, its throughput and the time left, in a line."""

    def report(progress: StepReport) -> None:
        words = [f"{name} {loss:.3f}" for name, loss in progress.losses.items()]
        if progress.clips_per_second:
            words.append(f"{progress.clips_per_second:.1f} clips/s")
        if progress.peak_share:
            words.append(f"{progress.peak_share:.0%} of the peak")
        words.append(f"{timedelta(seconds=round(progress.seconds_left))} left")
        show(what, progress.step, progress.steps, "  ".join(words))

    return report


def fit(
    task: Task,
    config: LoopConfig,
    folder: Path,
    metadata: dict[str, Any],
    show: Callable[[StepReport], None] | None = None,
    options: RunOptions | None = None,
    processes: Processes = SINGLE_PROCESS,
) -> None:
    """Train `task.network` to the last step and leave the averaged weights in it.

    `folder`, which all processes see, gets checkpoint.safetensors, log.jsonl and TensorBoard's
    events; a run found there goes on, unless its config or metadata differ (ModelError).
    With `validate_every` the best averaged weights are left instead, and in best.safetensors, and
    the run ends when patience does. SIGINT and SIGTERM save and raise Interrupted. A loss or
    gradient that is not finite stops with ModelError; the checkpoint before it stays.
    """
    options = options or RunOptions()
    network = task.network
    if options.channels_last:
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimiser = make_optimiser(network, config)
    state = TrainingState(network, optimiser)
    device = next(iter(state.trained.values())).device
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.safetensors"
    metadata = {**metadata, "loop": asdict(config)}
    if path.is_file():
        state.load(path, metadata)
        log.info("going on at step %d of %s", state.step, path)
    if options.compile:
        network.compile()
    network.train()
    losses_of = processes.wrap_ddp(_Losses(task))
    clips = getattr(task, "clips", 0) * config.accumulate * processes.count
    meter = ThroughputMeter(device, torch.bfloat16 if config.bfloat16 else torch.float32, clips)
    log_every = max(1, min(options.log_every, config.steps // 10))
    first, saved = state.step, time.monotonic()

    with ExitStack() as stack:
        stopped = stack.enter_context(watch_signals())
        curve = None
        if processes.first and not _is_over(state, config):
            curve = stack.enter_context(write_curve(folder, state.step))
        while not _is_over(state, config):
            step = state.step
            optimiser.zero_grad()
            losses = _add_gradients(task, losses_of, step, config, processes.rank, meter)
            norm = nn.utils.clip_grad_norm_(state.trained.values(), config.clip)
            flag = norm.new_tensor(float(stopped()))
            *values, norm, stopping = processes.mean(
                torch.stack([*losses.values(), norm, flag])
            ).tolist()
            row = dict(zip(losses, values, strict=True))
            if not math.isfinite(sum(values) + norm):
                seen = {k: round(v, 4) for k, v in row.items()}
                what = "gradient" if math.isfinite(sum(values)) else "loss"
                raise ModelError(f"step {step}: the {what} is not finite: {seen}. Last: {path}.")
            rate = _set_rate(optimiser, step, config)
            optimiser.step()
            state.average(min(config.average, (1 + step) / (10 + step)))
            state.step += 1

            figures = {}
            if config.validate_every and state.step % config.validate_every == 0:
                best = folder / "best.safetensors"
                figures = _validate(cast(ValidatedTask, task), state, best, metadata, processes)
            over = _is_over(state, config)
            if curve and (step % log_every == 0 or over or figures):
                throughput = meter.measure(state.step - first)
                speed = {
                    "clips_per_second": throughput.clips_per_second,
                    "peak_share": throughput.peak_share,
                }
                numbers = {"learning_rate": rate, "gradient_norm": norm}
                curve.add(step, {**row, **numbers, **figures}, speed)
                if show:
                    left = 0.0 if over else throughput.seconds_a_step * (config.steps - state.step)
                    show(StepReport(state.step, config.steps, row, left, **speed))
            late = time.monotonic() - saved > options.checkpoint_seconds
            if curve and (over or stopping or late):
                curve.flush()
                state.save(path, metadata)
                saved = time.monotonic()
            if stopping and not over:
                processes.wait()  # a process that ends may take the others with it
                raise Interrupted(f"stopped after step {step}; the same command goes on there.")
    processes.wait()  # until rank 0 has written
    if state.best < math.inf:
        network.load_state_dict(load_weights(folder / "best.safetensors")[0])
    else:
        state.take_averages()
    for buffer in network.buffers():
        processes.broadcast(buffer)
    network.eval()


class _Losses(nn.Module):
    """A task as a module, so that its processes share gradients however it calls its network."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = task.network
        self._task = task

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self._task.losses(batch)


def make_optimiser(network: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    """AdamW; the longest matching name prefix sets a parameter's learning-rate factor."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            fitting = [(len(p), factor) for p, factor in config.factors if name.startswith(p)]
            factor = max(fitting)[1] if fitting else 1.0
            groups.setdefault(factor, []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "factor": factor} for factor, parameters in groups.items()],
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        fused=True,  # one pass over memory, on CPUs too
    )


def _set_rate(optimiser: torch.optim.Optimizer, step: int, config: LoopConfig) -> float:
    """The learning rate of a step, which the optimiser gets times each group's factor."""
    rate = config.learning_rate * _schedule(step, config)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def _schedule(step: int, config: LoopConfig) -> float:
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    if config.schedule == "decay":
        return warm * config.decay ** (step // config.decay_steps)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / config.steps)))


def _is_over(state: TrainingState, config: LoopConfig) -> bool:
    impatient = config.patience > 0 and state.waited >= config.patience
    return state.step >= config.steps or impatient


def _add_gradients(
    task: Task,
    losses_of: nn.Module,
    step: int,
    config: LoopConfig,
    rank: int,
    meter: ThroughputMeter,
) -> dict[str, Tensor]:
    """Sum the gradients of a step's batches up, and give this process's mean losses."""
    device = next(losses_of.parameters()).device.type
    means: dict[str, Tensor] = {}
    with ExitStack() as held:
        held.enter_context(hold_gradients(losses_of))
        for part in range(config.accumulate):
            if part == config.accumulate - 1:
                held.close()  # the last batch's backward pass averages the sum over processes
            number = step * config.accumulate + part
            # Torch's generator on CPUs hears the lower 32 bits of a seed.
            torch.manual_seed(config.seed * 1_000_003 + number + rank * 2_654_435_761)
            batch = task.batch(number, np.random.default_rng((config.seed, number)))
            with meter.counting(config.accumulate):
                with torch.autocast(device, torch.bfloat16, enabled=config.bfloat16):
                    losses = losses_of(batch)
                total = torch.stack(list(losses.values())).sum()
                (total / config.accumulate).backward()
            for name, loss in losses.items():
                means[name] = means.get(name, 0) + loss.detach() / config.accumulate
    return means


def _validate(
    task: ValidatedTask,
    state: TrainingState,
    path: Path,
    metadata: dict[str, Any],
    processes: Processes,
) -> dict[str, float]:
    """Rank 0's figures of the averaged weights, which `path` gets if they are the best so far."""
    figures: dict[str, float] = {}
    value = next(iter(state.trained.values())).new_zeros((), dtype=torch.float64)
    if processes.first:
        with state.averaged(), torch.no_grad():
            figures = task.validate()
            value += next(iter(figures.values()))
            if value.item() < state.best:
                place = {"step": state.step, "validation": figures}
                save_weights(path, state.network.state_dict(), {**metadata, **place})
    figure = processes.broadcast(value).item()
    better = figure < state.best
    state.best, state.waited = (figure, 0) if better else (state.best, state.waited + 1)
    return {f"validation/{name}": figure for name, figure in figures.items()}
