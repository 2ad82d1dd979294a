"""Operations are counted right, and throughput is that of the steps since the last measurement."""

import pytest
import torch
from torch import nn

from speech2face.training import throughput
from speech2face.training.throughput import (
    Throughput,
    ThroughputMeter,
    count_operations,
    measure_peak,
)

CPU = torch.device("cpu")


def test_a_product_takes_two_operations_for_each_pair_of_numbers():
    with count_operations() as counter:
        torch.ones(3, 5) @ torch.ones(5, 7)
    assert counter.get_total_flops() == 2 * 3 * 5 * 7


def test_backward_is_counted_and_frozen_weights_cost_less():
    network = nn.Sequential(nn.Linear(8, 16, bias=False), nn.Linear(16, 4, bias=False))
    once = 2 * 10 * (8 * 16 + 16 * 4)
    with count_operations() as counter:
        network(torch.ones(10, 8)).sum().backward()
    assert counter.get_total_flops() == 3 * once - 2 * 10 * 8 * 16  # inputs need no gradient
    network[0].requires_grad_(False)
    with count_operations() as counter:
        network(torch.ones(10, 8)).sum().backward()
    assert counter.get_total_flops() == once + 2 * 10 * 16 * 4


def test_convolutions_are_counted():
    with count_operations() as counter:
        nn.Conv2d(3, 6, 4, bias=False)(torch.ones(2, 3, 10, 9))
    assert counter.get_total_flops() == 2 * (2 * 6 * 7 * 6) * (3 * 4 * 4)


def test_the_peak_is_measured_on_this_very_device():
    found = measure_peak(CPU, torch.float32, side=64, repeats=3)
    assert 1e5 < found < 1e15
    assert measure_peak(CPU, torch.float32, side=64, repeats=3) == found  # once


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(throughput.time, "monotonic", lambda: self.now)


def test_the_pace_is_that_since_the_last_look(monkeypatch):
    clock = Clock(monkeypatch)
    meter = ThroughputMeter(CPU, torch.float32, clips=32)
    clock.now = 10.0  # of one slow step
    assert meter.measure(1).seconds_a_step == 10
    clock.now = 12.0
    speed = meter.measure(5)
    assert speed == Throughput(0.5, 64, None)


def test_the_share_is_of_all_parts_of_a_step(monkeypatch):
    """As on a GPU, with a peak that is given."""
    clock = Clock(monkeypatch)
    meter = ThroughputMeter(CPU, torch.float32)
    meter._peak = 1000.0
    for _ in range(3):  # only the first is counted
        with meter.counting(times=3):
            torch.ones(1, 10) @ torch.ones(10, 5)
    clock.now = 4.0
    speed = meter.measure(2)
    assert speed.peak_share == pytest.approx(3 * 100 / 2 / 1000)
    assert speed.clips_per_second is None
