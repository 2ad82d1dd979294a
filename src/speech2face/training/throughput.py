"""Throughput of a training, also as a share of its device's peak.

Floating-point operations are those of matrix products, convolutions and attention, counted by
torch while a batch goes forward and back; the peak is measured with one large matrix product.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Throughput:
    """Throughput of the steps since the last measurement."""

    seconds_a_step: float
    clips_per_second: float | None  # of all processes; None if the task does not count clips
    peak_share: float | None  # 0 … 1, of one process on its own device; None on a CPU


class ThroughputMeter:
    """Counts a step's operations once and its time again and again."""

    def __init__(self, device: torch.device, dtype: torch.dtype, clips: int | None = None) -> None:
        """`clips` are those of a step, of all processes."""
        self._clips = clips
        self._peak = measure_peak(device, dtype) if device.type == "cuda" else None
        self._operations: int | None = None  # of a step, on one process
        self._then, self._step = time.monotonic(), 0

    @contextmanager
    def counting(self, times: int) -> Iterator[None]:
        """The first time on a GPU, what is inside is counted: one of `times` parts of a step."""
        if not self._peak or self._operations is not None:
            yield
            return
        with count_operations() as counter:
            yield
        self._operations = times * counter.get_total_flops()

    def measure(self, step: int) -> Throughput:
        """Throughput since the last call; `step` counts the steps of this run so far."""
        now = time.monotonic()
        a_step = (now - self._then) / (step - self._step)
        self._then, self._step = now, step
        return Throughput(
            a_step,
            self._clips / a_step if self._clips else None,
            self._operations / a_step / self._peak if self._peak and self._operations else None,
        )


@contextmanager
def count_operations() -> Iterator[FlopCounterMode]:
    """Counts what is computed inside, of compiled networks also: here they are not compiled."""
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        yield counter


@cache
def measure_peak(
    device: torch.device, dtype: torch.dtype, side: int = 8192, repeats: int = 20
) -> float:
    """Operations per second of square matrix products on a device.

    In single precision a GPU takes TF32, as it does in convolutions without being asked.
    """
    asked = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):  # the first choose the kernel, and wake the device up
        torch.matmul(left, right)
    _finish(device)
    started = time.monotonic()
    for _ in range(repeats):
        torch.matmul(left, right)
    _finish(device)
    seconds = time.monotonic() - started
    torch.set_float32_matmul_precision(asked)
    return repeats * 2 * side**3 / seconds


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
