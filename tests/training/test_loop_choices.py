"""What a loop may be told: schedules, rates, batches a step, validation; and what it shows."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from helpers.toy_task import FACTS, STEPS, Toy, config, read_log, run_options
from speech2face.errors import Interrupted, ModelError
from speech2face.training.checkpoint import load_weights
from speech2face.training.loop import LoopConfig, RunOptions, _schedule, fit


class Table(Toy):
    """Learns a table from its top to its end, `size` rows at a time."""

    def __init__(self, size: int) -> None:
        super().__init__(dropout=0.0)
        self.size = size

    def batch(self, number, rng):
        x = np.random.default_rng(1).normal(size=(16 * STEPS, 4))
        y = x @ [1.0, -2.0, 0.5, 0.0]
        own = slice(number * self.size, (number + 1) * self.size)
        return torch.tensor(x[own]).float(), torch.tensor(y[own]).float()


@pytest.mark.parametrize("parts", [2, 4])
def test_batches_that_are_accumulated_are_as_one_large_batch(tmp_path, parts):
    fit(Table(16), config(), tmp_path / "one", FACTS, options=run_options())
    loop = replace(config(), accumulate=parts)
    fit(Table(16 // parts), loop, tmp_path / "many", FACTS, options=run_options())
    one, many = read_log(tmp_path / "one"), read_log(tmp_path / "many")
    assert list(many) == list(range(STEPS))
    for step, row in one.items():
        assert many[step] == pytest.approx(row, rel=1e-5, abs=1e-5), step


def test_the_rate_decays_by_a_factor_each_so_many_steps():
    """The paper's: 0.95 each 10,000."""
    loop = LoopConfig(10**6, warmup=0, schedule="decay")
    rates = [_schedule(step, loop) for step in (0, 9_999, 10_000, 19_999, 20_000, 500_000)]
    assert rates == pytest.approx([1, 1, 0.95, 0.95, 0.95**2, 0.95**50])
    assert _schedule(1, replace(loop, warmup=4)) == 0.5


def first_step(task: Toy, loop: LoopConfig, folder) -> dict[str, torch.Tensor]:
    """How far the first step moves each weight."""
    before = task.weights()
    fit(task, replace(loop, average=0.0), folder, FACTS, options=run_options())
    return {k: (v - before[k]).abs().max() for k, v in task.weights().items()}


def test_parts_of_a_network_have_rates_of_their_own(tmp_path):
    """Adam's first step is as long as the rate, whatever the gradient."""
    loop = LoopConfig(1, 0.01, warmup=0, weight_decay=0.0, factors=(("0.", 0.1), ("0.bias", 0.5)))
    moved = first_step(Toy(dropout=0.0), loop, tmp_path)
    rates = {"0.weight": 0.001, "0.bias": 0.005, "3.weight": 0.01, "3.bias": 0.01}
    for name, rate in rates.items():
        assert moved[name] == pytest.approx(rate, rel=1e-2), name
    assert moved["4.weight"] == 0
    assert read_log(tmp_path)[0]["learning_rate"] == 0.01
    fit(Toy(), replace(loop, average=0.0), tmp_path, FACTS)  # JSON knows no tuples
    with pytest.raises(ModelError, match="of another recipe"):
        fit(Toy(), replace(loop, average=0.0, factors=()), tmp_path, FACTS)


def test_a_run_with_rates_of_its_own_goes_on_as_if_unbroken(tmp_path):
    loop = replace(config(), factors=(("0.", 0.1),))
    whole, part, rest = (Toy() for _ in range(3))
    fit(whole, loop, tmp_path / "whole", FACTS)
    with pytest.raises(RuntimeError, match="enough"):
        fit(part, loop, tmp_path / "part", FACTS, fail_at(20), run_options(0.0))
    fit(rest, loop, tmp_path / "part", FACTS, options=run_options())
    for name, weight in whole.weights().items():
        assert torch.equal(rest.weights()[name], weight), name


def fail_at(step: int):
    def show(progress):
        if progress.step == step:
            raise RuntimeError("enough")

    return show


def test_epsilon_shortens_steps_where_gradients_are_small(tmp_path):
    loop = LoopConfig(1, 0.01, warmup=0, epsilon=1e3)
    moved = first_step(Toy(dropout=0.0), replace(loop, weight_decay=0.0), tmp_path)
    assert 0 < max(moved.values()) < 1e-5


class Judged(Toy):
    """Judged by figures that are given; notes the weights it was judged with."""

    def __init__(self, figures: list[float]) -> None:
        super().__init__()
        self.figures, self.seen = figures, []

    def validate(self) -> dict[str, float]:
        assert not self.network.training
        assert not torch.is_grad_enabled()
        self.seen.append(self.weights())
        return {"error": self.figures[len(self.seen) - 1], "other": 7.0}


VALIDATED = replace(config(), validate_every=10, patience=2)


def test_the_best_weights_are_left_and_patience_ends_a_run(tmp_path):
    task, shown = Judged([5.0, 3.0, 4.0, 3.0, 1.0]), []
    fit(task, VALIDATED, tmp_path, FACTS, shown.append, run_options())
    assert len(task.seen) == 4  # as good as the best is no better
    assert not task.network.training
    tensors, facts = load_weights(tmp_path / "best.safetensors")
    assert (facts["step"], facts["validation"]) == (20, {"error": 3.0, "other": 7.0})
    for name, weight in task.weights().items():
        assert torch.equal(weight, task.seen[1][name])
        assert torch.equal(weight, tensors[name])
    rows = read_log(tmp_path)
    assert list(rows) == list(range(40))
    judged = {step: row["validation/error"] for step, row in rows.items() if len(row) > 5}
    assert judged == {9: 5.0, 19: 3.0, 29: 4.0, 39: 3.0}
    assert (shown[-1].step, shown[-1].seconds_left) == (40, 0)


def test_validation_is_of_the_averages_and_leaves_training_as_it_was(tmp_path):
    task = Judged([1.0] * 6)
    fit(task, replace(VALIDATED, patience=0), tmp_path / "judged", FACTS, options=run_options())
    fit(Toy(), config(), tmp_path / "plain", FACTS, options=run_options())
    plain, judged = read_log(tmp_path / "plain"), read_log(tmp_path / "judged")
    for step, row in plain.items():
        assert judged[step] | row == judged[step]
    tensors, _ = load_weights(tmp_path / "judged" / "checkpoint.safetensors")
    last = {k: v for k, v in task.seen[-1].items() if not k.startswith("4.")}
    for name, weight in last.items():
        assert torch.equal(weight, tensors[f"average/{name}"])


@pytest.mark.parametrize("step", [15, 21, 35])
def test_a_stopped_run_is_as_patient_as_an_unbroken_one(tmp_path, step):
    figures = [5.0, 3.0, 4.0, 3.0]
    whole, part = Judged(figures), Judged(figures)
    fit(whole, VALIDATED, tmp_path / "whole", FACTS, options=run_options())
    with pytest.raises(RuntimeError, match="enough"):
        fit(part, VALIDATED, tmp_path / "part", FACTS, fail_at(step), run_options(0.0))
    rest = Judged(figures[len(part.seen) :])
    fit(rest, VALIDATED, tmp_path / "part", FACTS, options=run_options())
    assert read_log(tmp_path / "part") == read_log(tmp_path / "whole")
    for name, weight in whole.weights().items():
        assert torch.equal(rest.weights()[name], weight)
    again = Judged([])
    fit(again, VALIDATED, tmp_path / "part", FACTS)  # its patience is at its end
    assert torch.equal(again.weights()["0.weight"], whole.weights()["0.weight"])


def test_a_run_whose_figures_are_no_numbers_leaves_the_last_averages(tmp_path):
    task = Judged([np.nan] * 2)
    fit(task, VALIDATED, tmp_path, FACTS)
    assert len(task.seen) == 2
    assert not (tmp_path / "best.safetensors").exists()
    assert torch.equal(task.weights()["0.weight"], task.seen[-1]["0.weight"])


def test_a_gradient_that_is_not_finite_stops_before_it_is_taken(tmp_path):
    class Steep(Toy):
        def losses(self, batch):
            weight = self.network[0].weight
            return {"root": (weight - weight.detach()).abs().sum().sqrt()}

    with pytest.raises(ModelError, match=r"step 0: the gradient is not finite: \{'root': 0.0\}"):
        fit(Steep(), config(), tmp_path, FACTS)


def read_events(folder) -> dict[str, dict[int, float]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        name: {event.step: event.value for event in events.Scalars(name)}
        for name in events.Tags()["scalars"]
    }


def test_tensorboard_shows_the_rows_and_the_pace_once(tmp_path):
    with pytest.raises(RuntimeError, match="enough"):
        fit(Toy(), config(), tmp_path, FACTS, fail_at(30), RunOptions(1e9, log_every=1))
    # Nothing was saved: from the first.
    fit(Toy(), config(), tmp_path, FACTS, options=run_options())
    events, rows = read_events(tmp_path), read_log(tmp_path)
    names = {"error", "size", "learning_rate", "gradient_norm"}
    assert events.keys() == names | {"clips_per_second"}
    for name in names:
        assert list(events[name]) == list(rows)
        wanted = [row[name] for row in rows.values()]
        assert list(events[name].values()) == pytest.approx(wanted)


def test_a_network_is_compiled_and_laid_out_if_asked(tmp_path):
    class Compiled(nn.Conv2d):
        compiled = False

        def compile(self):
            self.compiled = True

    class Pictures(Toy):
        def __init__(self, stopped=None):
            super().__init__()
            self.network = Compiled(3, 4, 2)
            self.stopped = stopped

        def losses(self, batch):
            pictures = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
            return {"level": self.network(pictures).square().mean()}

        def batch(self, number, rng):
            if number == self.stopped:
                signal.raise_signal(signal.SIGTERM)
            return super().batch(number, rng)

    plain, fast, stopped = Pictures(), Pictures(), Pictures(stopped=2)
    for task in (fast, stopped):
        task.network.load_state_dict(plain.network.state_dict())
    how = RunOptions(compile=True, channels_last=True)
    fit(plain, config(steps=6), tmp_path, FACTS)
    with pytest.raises(Interrupted):
        fit(stopped, config(steps=6), tmp_path / "fast", FACTS, options=how)
    fit(fast, config(steps=6), tmp_path / "fast", FACTS, options=how)  # goes on so
    assert (plain.network.compiled, fast.network.compiled) == (False, True)
    assert fast.network.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(fast.network.weight, plain.network.weight)


def test_a_stop_in_the_step_that_ends_patience_is_no_interruption(tmp_path):
    class Stopped(Judged):
        def batch(self, number, rng):
            if number == 29:
                signal.raise_signal(signal.SIGTERM)
            return super().batch(number, rng)

    fit(Stopped([1.0] * 3), VALIDATED, tmp_path / "over", FACTS)
    with pytest.raises(Interrupted, match="stopped after step 29"):
        fit(Stopped([1.0] * 3), replace(VALIDATED, patience=0), tmp_path / "on", FACTS)
