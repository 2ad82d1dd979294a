"""Worker processes with made-up work: crashes, hangs, memory, queues, and their ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from speech2face.errors import BusyError, NoSpeechError, Speech2FaceError, UnreadableMediaError
from speech2face.serving.crew import Crew
from speech2face.serving.limits import MIB, Limits

LIMITS = Limits(workers=1, queue=2, waiting=60, working=30, processor=1, memory=256 * MIB)
UNWRITABLE = Path(tempfile.gettempdir()) / "speech2face-must-not-be-written"


def prepare() -> Callable[[str], object]:
    return act


def act(task: str) -> object:
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
            raise KeyError("what somebody said")
        case "silence":
            raise NoSpeechError("silence")
        case "slow":
            time.sleep(0.3)
    return task, os.getpid()


def with_crew(
    work: Callable[[Crew, Counter[str]], Awaitable[None]], limits: Limits = LIMITS
) -> None:
    """Run `work` with a crew, and see that no process outlives it."""

    async def run() -> None:
        lost: Counter[str] = Counter()
        crew = Crew(prepare, limits, lambda reason: lost.update([reason]))
        crew.start()
        try:
            await work(crew, lost)
        finally:
            await crew.stop()

    asyncio.run(asyncio.wait_for(run(), 100))
    left = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    psutil.wait_procs(left, timeout=10)
    assert not [process for process in left if process.is_running()]


def test_what_the_work_returns_and_raises_comes_back() -> None:
    async def work(crew: Crew, lost: Counter[str]) -> None:
        _, first = await crew.do("a")
        with pytest.raises(NoSpeechError, match="silence"):
            await crew.do("silence")
        with pytest.raises(Speech2FaceError, match="not your fault"):
            await crew.do("bug")
        assert await crew.do("b") == ("b", first)  # the same process all along
        assert not lost
        assert crew.ready

    with_crew(work)


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
    async def work(crew: Crew, lost: Counter[str]) -> None:
        _, first = await crew.do("a")
        with pytest.raises(error, match=words):
            await crew.do(task)
        _, second = await crew.do("b")
        assert second != first
        assert lost == {reason: 1}

    with_crew(work)


def test_a_process_that_hangs_is_killed() -> None:
    async def work(crew: Crew, lost: Counter[str]) -> None:
        await crew.do("a")
        with pytest.raises(BusyError, match="took longer than"):
            await crew.do("sleep")
        assert lost == {"time": 1}

    with_crew(work, replace(LIMITS, working=0.5))


def test_a_process_that_died_while_idle_costs_nobody_anything() -> None:
    async def work(crew: Crew, lost: Counter[str]) -> None:
        _, first = await crew.do("a")
        os.kill(first, signal.SIGKILL)
        while psutil.Process(first).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)
        _, second = await crew.do("b")
        assert second != first
        assert lost == {"died idle": 1}

    with_crew(work)


def test_a_process_cannot_write_files() -> None:
    async def work(crew: Crew, _: Counter[str]) -> None:
        with pytest.raises(Speech2FaceError, match="not your fault"):
            await crew.do("write")

    with_crew(work)
    assert UNWRITABLE.stat().st_size == 0
    UNWRITABLE.unlink()


def test_the_queue_is_bounded_in_length_and_time() -> None:
    async def work(crew: Crew, _: Counter[str]) -> None:
        await crew.do("a")
        tasks = [asyncio.create_task(crew.do("slow")) for _ in range(5)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [answer for answer in done if isinstance(answer, BusyError)]
        assert len(refused) == 2  # one at work, two in the queue
        assert crew.waiting == crew.working == 0
        hanging = asyncio.create_task(crew.do("sleep"))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="nobody had time"):
            await crew.do("late")
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging

    with_crew(work, replace(LIMITS, waiting=2.0))


def test_tasks_wait_until_the_first_process_is_ready() -> None:
    async def work(crew: Crew, _: Counter[str]) -> None:
        assert not crew.ready
        assert (await crew.do("early"))[0] == "early"
        assert crew.ready

    with_crew(work, replace(LIMITS, waiting=60.0))
