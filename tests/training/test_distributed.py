"""Training on two processes, as torchrun starts them: as one, also when it is stopped or fails."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers import processes, toy_task
from helpers.processes import Together
from helpers.toy_task import FACTS, STEPS, Toy, config, read_log, run_options
from speech2face.errors import UsageError
from speech2face.training.checkpoint import load_weights
from speech2face.training.distributed import SINGLE_PROCESS, join_processes, need_one_process
from speech2face.training.loop import fit

STILL = {"dropout": 0.0, "accumulate": 2}


def start(folder: Path, checkpoint_seconds: float = 1e9, **options: object) -> Together:
    """The toy on two processes, one thread each."""
    return processes.start(toy_task.main, folder, checkpoint_seconds, options, count=2)


def wait_for(together: Together, batch: int) -> dict[int, int]:
    """Rank → number of its process, once both of them have begun the batch."""
    numbers: dict[int, int] = {}
    for line in together.stdout:
        rank, at, number = line.split()
        if at == str(batch):
            numbers[int(rank)] = int(number)
        if len(numbers) == 2:
            return numbers
    raise AssertionError(together.finish())


def finish(together: Together) -> dict[str, str]:
    """Rank → hash of its weights, of a run that came to its end."""
    codes, printed, complaint = together.finish()
    assert codes == [0, 0], complaint
    lines = [line.split() for line in printed.splitlines() if " done " in line]
    return {rank: digest for rank, _, digest in lines}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    hashes = finish(start(folder, **STILL))
    return folder, hashes


def test_two_are_as_one_with_the_whole_batch(tmp_path, unbroken):
    loop = replace(config(), accumulate=2)
    fit(Toy(dropout=0.0), loop, tmp_path, FACTS, options=run_options())
    one, two = read_log(tmp_path), read_log(unbroken[0])
    assert list(two) == list(one) == list(range(STEPS))
    for step, row in one.items():
        assert two[step] == pytest.approx(row, rel=1e-5, abs=1e-5), step


def test_both_are_left_with_the_same_network(tmp_path, unbroken):
    assert unbroken[1]["0"] == unbroken[1]["1"]
    hashes = finish(start(tmp_path, batch_norm=True))
    assert hashes["0"] == hashes["1"]  # each normalised its own part; the statistics are one's


def test_two_that_are_killed_go_on_as_if_unbroken(tmp_path, unbroken):
    together = start(tmp_path, 0.0, pause=0.02, **STILL)
    for number in wait_for(together, 40).values():
        os.kill(number, signal.SIGKILL)
    assert together.finish()[0] == [-signal.SIGKILL] * 2
    assert 20 <= load_weights(tmp_path / "checkpoint.safetensors")[1]["step"] < STEPS
    hashes = finish(start(tmp_path, **STILL))
    assert hashes == unbroken[1]
    assert read_log(tmp_path) == read_log(unbroken[0])


@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_is_asked_to_stop_both_do(tmp_path, rank):
    together = start(tmp_path, pause=0.02)
    os.kill(wait_for(together, 20)[rank], signal.SIGTERM)
    codes, _, complaint = together.finish()
    assert codes == [130, 130]
    assert complaint.count("; the same command goes on there.\n") == 2
    step = load_weights(tmp_path / "checkpoint.safetensors")[1]["step"]
    assert 20 < step < STEPS
    assert list(read_log(tmp_path)) == list(range(step))


def test_when_one_has_a_loss_that_is_not_finite_both_stop(tmp_path):
    codes, _, complaint = start(tmp_path, 0.0, nan_at=7).finish()  # in a row of the second's part
    assert 0 not in codes
    assert complaint.count("step 7: the loss is not finite: {'error': nan") == 2
    assert load_weights(tmp_path / "checkpoint.safetensors")[1]["step"] == 7
    assert max(read_log(tmp_path)) == 6


def test_without_torchrun_there_is_one(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_processes() as processes:
        assert processes == SINGLE_PROCESS
        assert processes.first
        assert not torch.distributed.is_initialized()
        network = torch.nn.Linear(2, 2)
        assert processes.wrap_ddp(network) is network
        assert processes.mean(torch.ones(2)).tolist() == [1, 1]
        assert processes.run_on_rank_zero(lambda: "done") == "done"
    need_one_process("this")


@pytest.mark.parametrize("count", [1, 2])
def test_a_process_without_a_gpu_of_its_own_is_told(monkeypatch, count):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", str(count))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with (
        pytest.raises(UsageError, match=f"--nproc-per-node {count} at most"),
        join_processes("cuda"),
    ):
        pass
    with pytest.raises(UsageError, match="this runs as one process"):
        need_one_process("this")
