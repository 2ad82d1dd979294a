"""Worker processes with made-up work: crashes, hangs, memory, queues, and their ends."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from threadpoolctl import threadpool_info

from speech2face.errors import (
    BusyError,
    ModelError,
    NoSpeechError,
    Speech2FaceError,
    UnreadableMediaError,
)
from speech2face.serving.limits import MIB, Limits
from speech2face.serving.worker_pool import START_TRIES, WorkerPool

LIMITS = Limits(workers=1, queue=2, waiting=60, working=30, processor=1, memory=256 * MIB)
UNWRITABLE = Path(tempfile.gettempdir()) / "speech2face-must-not-be-written"


def prepare() -> Callable[[str, bytes], object]:
    return act


def prepare_badly() -> Callable[[str, bytes], object]:
    os._exit(3)


def prepare_without_model() -> Callable[[str, bytes], object]:
    raise ModelError("no model.")


def prepare_now_and_then() -> Callable[[str, bytes], object]:
    """Each second time it fails."""
    mark = Path(os.environ["MARK"])
    if mark.exists():
        mark.unlink()
        raise ModelError("no model now.")
    mark.touch()
    return act


def act(task: str, sound: bytes) -> object:
    """The work: what a bad recording may do to its decoder."""
    match task:
        case "crash":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(3600)
        case "memory":
            return len(bytes(512 * MIB))
        case "write":
            with open(UNWRITABLE, "wb") as file:
                file.write(b"x")
        case "bug":
            raise KeyError(sound)
        case "threads":
            import numpy as np

            assert np.linalg.inv(np.eye(2)).shape == (2, 2)
            return {pool["num_threads"] for pool in threadpool_info()}
        case "silence":
            raise NoSpeechError("silence")
        case "size":
            return len(sound)
        case "slow":
            time.sleep(0.3)
    return task, os.getpid()


async def submit(pool: WorkerPool, task: str, sound: bytes = b"") -> Any:
    file = os.memfd_create("sound")
    try:
        os.write(file, sound)
        return await pool.submit(task, file)
    finally:
        os.close(file)


def with_pool(
    work: Callable[[WorkerPool, Counter[str]], Awaitable[None]] | None,
    limits: Limits = LIMITS,
    first: Callable[[], Callable[[str, bytes], object]] = prepare,
    reused: bool = True,
) -> list[Speech2FaceError]:
    """Run `work` with a pool, and see that no process outlives it. Gives why it gave up.

    Without work, wait until it has given up.
    """
    failures: list[Speech2FaceError] = []

    async def run() -> None:
        lost: Counter[str] = Counter()
        over = asyncio.Event()

        def on_fatal(failure: Speech2FaceError) -> None:
            failures.append(failure)
            over.set()

        pool = WorkerPool(
            first, limits, lambda reason: lost.update([reason]), on_fatal, reused=reused
        )
        pool.start()
        pool.start()  # does nothing
        try:
            await (work(pool, lost) if work else over.wait())
        finally:
            await pool.stop()

    asyncio.run(asyncio.wait_for(run(), 100))
    left = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    psutil.wait_procs(left, timeout=10)
    assert not [process for process in left if process.is_running()]
    return failures


def test_what_the_work_returns_and_raises_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def work(pool: WorkerPool, lost: Counter[str]) -> None:
        _, first = await submit(pool, "a")
        with pytest.raises(NoSpeechError, match="silence"):
            await submit(pool, "silence")
        with pytest.raises(Speech2FaceError, match="not your fault"):
            await submit(pool, "bug", b"what somebody said")
        assert await submit(pool, "b") == ("b", first)  # the same process all along
        assert not lost
        assert pool.ready

    with caplog.at_level(logging.INFO, "speech2face"):
        with_pool(work)
    assert "what somebody said" not in caplog.text
    (failure,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert failure.splitlines()[-1] == "KeyError"
    assert ", in act\n" in failure  # where it happened


@pytest.mark.parametrize(
    ("task", "reason", "error", "words"),
    [
        ("crash", "crash", UnreadableMediaError, "brought its decoder down"),
        ("exit", "crash", UnreadableMediaError, "brought its decoder down"),
        ("spin", "processor time", UnreadableMediaError, "more than 1 s of processor time"),
        ("memory", "memory", UnreadableMediaError, "more than 256 MiB of memory"),
        ("killed", "killed", BusyError, "stopped from outside"),
    ],
)
def test_a_process_that_is_lost_is_replaced(
    task: str, reason: str, error: type[Exception], words: str
) -> None:
    async def work(pool: WorkerPool, lost: Counter[str]) -> None:
        _, first = await submit(pool, "a")
        with pytest.raises(error, match=words):
            await submit(pool, task)
        _, second = await submit(pool, "b")
        assert second != first
        assert lost == {reason: 1}

    with_pool(work)


def test_a_process_that_hangs_is_killed() -> None:
    async def work(pool: WorkerPool, lost: Counter[str]) -> None:
        await submit(pool, "a")
        with pytest.raises(BusyError, match="took longer than"):
            await submit(pool, "sleep")
        assert lost == {"time": 1}

    with_pool(work, replace(LIMITS, working=0.5))


def test_a_process_that_died_while_idle_costs_nobody_anything() -> None:
    async def work(pool: WorkerPool, lost: Counter[str]) -> None:
        _, first = await submit(pool, "a")
        os.kill(first, signal.SIGKILL)
        while psutil.Process(first).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)
        _, second = await submit(pool, "b")
        assert second != first
        assert lost == {"died idle": 1}

    with_pool(work)


def test_a_signal_to_the_whole_group_ends_no_process() -> None:
    async def work(pool: WorkerPool, lost: Counter[str]) -> None:
        _, first = await submit(pool, "a")
        for each in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C at a terminal; systemd
            os.kill(first, each)
        assert await submit(pool, "b") == ("b", first)
        assert not lost

    with_pool(work)


def test_a_process_that_is_not_reused_ends_with_its_task(caplog: pytest.LogCaptureFixture) -> None:
    async def work(pool: WorkerPool, lost: Counter[str]) -> None:
        answers = [await submit(pool, task) for task in ("a", "b")]
        with pytest.raises(NoSpeechError):
            await submit(pool, "silence")
        answers.append(await submit(pool, "c"))
        assert [task for task, _ in answers] == ["a", "b", "c"]
        assert len({process for _, process in answers}) == 3
        assert not lost

    with caplog.at_level(logging.INFO, "speech2face"):
        with_pool(work, reused=False)
    assert not caplog.records


def test_a_process_cannot_write_files() -> None:
    async def work(pool: WorkerPool, _: Counter[str]) -> None:
        with pytest.raises(Speech2FaceError, match="not your fault"):
            await submit(pool, "write")

    with_pool(work)
    assert UNWRITABLE.stat().st_size == 0
    UNWRITABLE.unlink()


def test_the_queue_is_bounded_in_length_and_time() -> None:
    async def work(pool: WorkerPool, _: Counter[str]) -> None:
        await submit(pool, "a")
        tasks = [asyncio.create_task(submit(pool, "slow")) for _ in range(5)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [answer for answer in done if isinstance(answer, BusyError)]
        assert len(refused) == 2  # one at work, two in the queue
        assert pool.waiting == pool.working == 0
        hanging = asyncio.create_task(submit(pool, "sleep"))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="nobody had time"):
            await submit(pool, "late")
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging

    with_pool(work, replace(LIMITS, waiting=2.0))


def test_the_work_gets_what_lies_in_the_file() -> None:
    async def work(pool: WorkerPool, _: Counter[str]) -> None:
        assert [await submit(pool, "size", bytes(n)) for n in (0, 1, 3 * MIB)] == [0, 1, 3 * MIB]

    with_pool(work)


def test_tasks_wait_until_the_first_process_is_ready() -> None:
    async def work(pool: WorkerPool, _: Counter[str]) -> None:
        assert not pool.ready
        assert (await submit(pool, "early"))[0] == "early"
        assert pool.ready

    with_pool(work, replace(LIMITS, waiting=60.0))


def test_no_process_has_threads_of_numpy_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    async def work(pool: WorkerPool, _: Counter[str]) -> None:
        assert await submit(pool, "threads") == {1}

    with_pool(work)


# What cannot be started


def test_it_gives_up_at_once_where_there_is_no_model() -> None:
    (failure,) = with_pool(None, first=prepare_without_model)
    assert isinstance(failure, ModelError)
    assert str(failure) == "no model."


def test_it_gives_up_where_process_after_process_dies() -> None:
    limits = replace(LIMITS, workers=START_TRIES)
    failure, *_ = with_pool(None, limits, prepare_badly)
    assert str(failure) == "a worker did not start (it died)."


def test_once_one_was_ready_it_never_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))

    async def work(pool: WorkerPool, lost: Counter[str]) -> None:
        await submit(pool, "a")
        with pytest.raises(UnreadableMediaError):
            await submit(pool, "exit")
        assert (await submit(pool, "b"))[0] == "b"  # by the third: the second did not start
        assert lost == {"crash": 1}

    assert with_pool(work, first=prepare_now_and_then) == []
