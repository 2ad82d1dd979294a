"""Killed by -9 in a worker, in the driver and within a shard, a set is that of an unbroken run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import HELPERS
from helpers.killed_prepare import SAMPLES
from helpers.synthetic_pairs import make_pairs
from speech2face.data.ledger import read_ledger
from speech2face.data.shard_index import read_index, verify_shards

COMMAND = ("-m", "speech2face", "prepare")
DIES = (HELPERS / "killed_prepare.py",)
COUNT = 48  # clips, which workers are given eight at a time
PATIENCE = 180  # seconds for Ray to start, stop, and replace a worker


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("table"), clips=COUNT // 8) / "pairs.csv"


def start(program: tuple[object, ...], table: Path, folder: Path, workers: int):
    packing = ("--samples", SAMPLES, "--split", "60/40")
    command = [sys.executable, *program, table, "--out", folder, *packing, "--workers", workers]
    return subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, out, errors


def wait_until(true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert process is None or process.poll() is None, finish(process)
        assert time.monotonic() < end
        time.sleep(0.02)


def count_finished(folder: Path) -> int:
    ledger = folder / "ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.is_file() else 0


def find_workers(driver: int) -> list[int]:
    """The processes of Ray's that run the stages, somewhere below the driver."""
    parents, found = {}, []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                status = (entry / "stat").read_text().rpartition(") ")[2].split()
                parents[int(entry.name)] = int(status[1])
                if b"MapWorker(" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue

    def descends(process: int) -> bool:
        while process in parents and process != driver:
            process = parents[process]
        return process == driver

    return [process for process in found if descends(process)]


def read_all(folder: Path) -> dict[str, bytes]:
    """What does not depend on times: shards and index."""
    return {path.name: path.read_bytes() for path in [*folder.glob("*.tar"), folder / "index.json"]}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds Ray's workers in /proc")
def test_three_kills_and_the_set_is_that_of_an_unbroken_run(table, tmp_path):
    pytest.importorskip("ray")
    whole, folder = tmp_path / "whole", tmp_path / "set"
    assert finish(start(COMMAND, table, whole, 1))[0] == 0

    driver = start(COMMAND, table, folder, 2)
    wait_until(lambda: count_finished(folder) >= 4, driver)
    workers = find_workers(driver.pid)
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: count_finished(folder) >= 20, driver)  # by the other, or one in its place
    workers = find_workers(driver.pid)
    assert workers
    driver.kill()
    finish(driver)
    assert not (folder / "index.json").exists()
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    done = [entry.source.clip for entry in read_ledger(folder / "ledger.jsonl")]
    assert 20 <= len(done) == len(set(done)) < COUNT

    code, _, errors = finish(start(DIES, table, folder, 1))
    assert code == -signal.SIGKILL, errors
    assert not (folder / "index.json").exists()
    assert len([*folder.glob("*.tar")]) == 1

    code, out, errors = finish(start(COMMAND, table, folder, 2))
    assert code == 0, errors
    assert "INFO" not in errors  # of Ray's own
    assert out.startswith(f"{COUNT} clips, {COUNT} kept")
    assert out.endswith(f"\n{folder}\n")
    assert read_all(folder) == read_all(whole)
    index = read_index(folder)
    verify_shards(index)
    assert sum(shard.samples for shard in index.shards) == COUNT
    after = [entry.source.clip for entry in read_ledger(folder / "ledger.jsonl")]
    assert after[: len(done)] == done  # not done again
    assert len(after) == len(set(after)) == COUNT
