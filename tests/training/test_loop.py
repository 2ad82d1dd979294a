"""The training loop: it learns, stops when it must, and goes on as if it had not stopped."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers import processes, toy_task
from helpers.processes import Together
from helpers.toy_task import FACTS, STEPS, Toy, config, read_log, run_options
from speech2face.errors import ModelError
from speech2face.training.checkpoint import load_weights
from speech2face.training.loop import (
    LoopConfig,
    RunOptions,
    StepReport,
    _schedule,
    fit,
    report_progress,
)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run from its first to its last step: its folder and its weights."""
    folder, task = tmp_path_factory.mktemp("unbroken"), Toy()
    fit(task, config(), folder, FACTS, options=run_options())
    return folder, task.weights()


def assert_same_run(folder: Path, task: Toy, unbroken) -> None:
    for name, tensor in task.weights().items():
        assert torch.equal(tensor, unbroken[1][name]), name
    assert read_log(folder) == read_log(unbroken[0])


def test_the_loss_goes_down(unbroken):
    rows = read_log(unbroken[0])
    assert list(rows) == list(range(STEPS))
    first, last = ([rows[s]["error"] for s in steps] for steps in (range(5), range(55, 60)))
    assert sum(last) < 0.4 * sum(first)
    assert rows[0].keys() == {"step", "error", "size", "learning_rate", "gradient_norm"}


def test_the_curve_is_that_of_the_loop_for_one_process_that_was_before(unbroken):
    """Recipes that were run before epsilon, factors and processes could be chosen stay true."""
    rows = read_log(unbroken[0])
    errors = {0: 4.231945991516113, 1: 9.507744789123535, 30: 0.20358894765377045}
    for step, error in (errors | {59: 0.23804807662963867}).items():
        assert rows[step]["error"] == pytest.approx(error, rel=1e-4)


def test_the_weights_left_are_the_averaged_ones(unbroken):
    tensors, facts = load_weights(unbroken[0] / "checkpoint.safetensors")
    assert facts["step"] == STEPS
    for name in ("0.weight", "3.bias"):
        assert torch.equal(unbroken[1][name], tensors[f"average/{name}"])
        assert not torch.equal(unbroken[1][name], tensors[f"weight/{name}"])


def test_frozen_weights_stay_and_are_not_kept(unbroken):
    for name in ("4.weight", "4.bias"):
        assert torch.equal(unbroken[1][name], Toy().network.state_dict()[name])
    assert not [n for n in load_weights(unbroken[0] / "checkpoint.safetensors")[0] if "/4." in n]


def test_the_network_is_left_ready_for_use(tmp_path):
    task = Toy()
    fit(task, config(steps=2), tmp_path, FACTS)
    assert not task.network.training


def test_a_finished_run_is_not_run_again(unbroken):
    class NoBatches(Toy):
        def batch(self, step, rng):
            raise AssertionError("no step is left")

    task = NoBatches()
    before = sorted(unbroken[0].iterdir())
    fit(task, config(), unbroken[0], FACTS)
    assert sorted(unbroken[0].iterdir()) == before
    assert_same_run(unbroken[0], task, unbroken)


def start(folder: Path, checkpoint_seconds: float, until: int) -> Together:
    """The toy in a process of its own, as it begins step `until`."""
    together = processes.start(toy_task.main, folder, checkpoint_seconds, {"pause": 0.02})
    for line in together.stdout:
        if line.split()[1] == str(until):
            return together
    raise AssertionError(together.finish())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_goes_on_as_if_unbroken(tmp_path, unbroken, number):
    together = start(tmp_path, 1e9, until=20)
    os.kill(together.processes[0].pid, number)
    codes, _, complaint = together.finish()
    assert codes == [130]
    assert "stopped after step" in complaint
    step = load_weights(tmp_path / "checkpoint.safetensors")[1]["step"]
    assert 20 < step < STEPS
    assert list(read_log(tmp_path)) == list(range(step))  # every step taken is kept
    task = Toy()
    facts = FACTS | {"sizes": [4, 8]}  # no tuples in JSON
    fit(task, config(), tmp_path, facts, options=run_options())
    assert_same_run(tmp_path, task, unbroken)


def test_a_run_that_is_killed_goes_on_from_its_checkpoint(tmp_path, unbroken):
    together = start(tmp_path, 0.0, until=20)
    together.kill()
    assert together.finish()[0] == [-signal.SIGKILL]
    step = load_weights(tmp_path / "checkpoint.safetensors")[1]["step"]
    assert 20 <= step < STEPS
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 2')  # as it may be killed in the middle of a row
    task = Toy()
    # Saved more seldom: the same recipe.
    fit(task, config(), tmp_path, FACTS, options=run_options())
    assert_same_run(tmp_path, task, unbroken)


def test_signals_are_as_before_after_a_run(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    fit(Toy(), config(steps=2), tmp_path, FACTS)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path):
    seen = []
    with pytest.raises(ModelError, match=r"step 7: the loss is not finite: \{'error': nan"):
        fit(
            Toy(nan_at=7),
            config(),
            tmp_path,
            FACTS,
            lambda p: seen.append(p.step),
            run_options(0.0),
        )
    assert seen[-1] == 7  # steps 0 … 6
    tensors, facts = load_weights(tmp_path / "checkpoint.safetensors")
    assert facts["step"] == 7
    assert all(torch.isfinite(t).all() for t in tensors.values())
    assert max(read_log(tmp_path)) == 6


@pytest.mark.parametrize(
    "other",
    [
        {"config": {"learning_rate": 0.01}},
        {"config": {"seed": 1}},
        {"config": {"steps": 70}},
        {"facts": {"what": "other"}},
        {"facts": {"more": 1}},
    ],
)
def test_another_recipe_in_the_same_folder_is_refused(tmp_path, other):
    fit(Toy(), config(steps=3), tmp_path, FACTS)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    changed = replace(config(steps=3), **other.get("config", {}))
    with pytest.raises(ModelError, match="of another recipe or other data"):
        fit(Toy(), changed, tmp_path, FACTS | other.get("facts", {}))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_broken_checkpoint_is_told(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(os.urandom(100))
    with pytest.raises(ModelError, match="not weights of speech2face"):
        fit(Toy(), config(steps=3), tmp_path, FACTS)


def test_progress_counts_to_the_last_step(tmp_path):
    seen = []
    fit(Toy(), config(steps=105), tmp_path, FACTS, seen.append, RunOptions(log_every=40))
    assert [p.step for p in seen] == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101, 105]
    assert all(p.steps == 105 and p.seconds_left >= 0 for p in seen)
    assert seen[-1].seconds_left == 0
    assert all(p.clips_per_second > 0 and p.peak_share is None for p in seen)


def test_progress_is_told_in_a_line():
    told = []
    report = report_progress(lambda *words: told.append(words), "learning")
    report(StepReport(3, 9, {"a": 0.5, "b": 2}, 3700.4))
    gpu = StepReport(9, 9, {"a": 0.25}, 0.0, clips_per_second=812.34, peak_share=0.417)
    report(gpu)
    assert told == [
        ("learning", 3, 9, "a 0.500  b 2.000  1:01:40 left"),
        ("learning", 9, 9, "a 0.250  812.3 clips/s  42% of the peak  0:00:00 left"),
    ]


def test_the_learning_rate_warms_up_stays_and_falls():
    loop = LoopConfig(steps=1000, warmup=50)
    rates = [_schedule(step, loop) for step in range(1000)]
    assert rates[0] == pytest.approx(0.02, rel=0.01)
    assert max(rates) == pytest.approx(1, rel=0.01)
    assert 45 <= rates.index(max(rates)) <= 55
    assert rates[500] == pytest.approx(0.505, rel=0.01)
    assert rates[-1] == pytest.approx(0.01, rel=0.01)


def test_half_precision_learns_too(tmp_path):
    fit(Toy(), replace(config(), bfloat16=True), tmp_path, FACTS, options=run_options())
    rows = read_log(tmp_path)
    assert sum(rows[s]["error"] for s in range(55, 60)) < 0.4 * sum(
        rows[s]["error"] for s in range(5)
    )
