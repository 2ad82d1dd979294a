"""Training on many devices: one process for each, started by `torchrun`.

    torchrun --nproc-per-node 8 …

Every process computes the gradients of its part of the batch, and all of them take the same step
with the mean (DistributedDataParallel: Li et al., VLDB 2020). Rank 0 alone writes and validates.
Without torchrun there is one process, and nothing of this is set up.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from speech2face.errors import Speech2FaceError, UsageError
from speech2face.name_suggestions import suggest

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # with a process that is late: rank 0 validates while all wait


def check_device(device: str) -> None:
    """Raises UsageError where training cannot run on a device of this name."""
    if device not in ("cpu", "cuda"):
        raise UsageError(
            f"--device is cpu or cuda, not {device}.{suggest(device, ('cpu', 'cuda'))}"
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device here; without --device it trains on the CPU.")


@dataclass(frozen=True)
class Processes:
    """The rank of this process, from 0, and how many train together."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """True for the process that writes, rank 0."""
        return self.rank == 0

    def wrap_ddp(self, module: nn.Module) -> nn.Module:
        """The module with gradients, and on GPUs batch normalisation, over all processes.

        On a CPU every process normalises its own part, and rank 0's statistics are kept.
        """
        if self.count == 1:
            return module
        if next(module.parameters()).device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return DistributedDataParallel(module, gradient_as_bucket_view=True)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, element by element; in place."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    def broadcast(self, values: Tensor) -> Tensor:
        """Copy rank 0's values to every rank, in place."""
        if self.count > 1:
            dist.broadcast(values, src=0)
        return values

    def run_on_rank_zero(self, work: Callable[[], T]) -> T:
        """Run work on rank 0; return its result, or raise its error of ours, on every rank."""
        if self.count == 1:
            return work()
        held: list[Any] = [None, None]  # its result, and the error
        if self.first:
            try:
                held[0] = work()
            except Speech2FaceError as error:
                held[1] = error
        dist.broadcast_object_list(held)
        if held[1]:
            raise held[1]
        return held[0]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()


SINGLE_PROCESS = Processes()


def need_one_process(what: str) -> None:
    """Raises UsageError where torchrun started several."""
    if _count() > 1:
        raise UsageError(f"{what} runs as one process; start it without torchrun.")


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def join_processes(device: str = "cpu") -> Iterator[Processes]:
    """Join the processes that torchrun started, while inside; `SINGLE_PROCESS` if it started none.

    With `device` "cuda" each gets a GPU of its own, which then is torch's current one. Raises
    UsageError where there is none for it.
    """
    count = _count()
    if count == 1:
        yield SINGLE_PROCESS
        return
    if device == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if own.index >= (gpus := torch.cuda.device_count()):
            raise UsageError(f"more processes than GPUs: --nproc-per-node {gpus} at most.")
        torch.cuda.set_device(own)
        dist.init_process_group("nccl", timeout=PATIENCE, device_id=own)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
        if device != "cuda":
            # Gloo's threads live on with what was spread. Where the interpreter ends right after
            # the last exchange, now and then one of them aborts the process (torch 2.13).
            time.sleep(0.5)


def hold_gradients(module: nn.Module) -> AbstractContextManager[None]:
    """Keep gradients, while inside, of a module that was spread within this process."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


@contextmanager
def watch_signals() -> Iterator[Callable[[], bool]]:
    """Let SIGINT and SIGTERM, while inside, only raise a flag (main thread only)."""
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
