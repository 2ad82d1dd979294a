"""Processes that work on what strangers send: bounded, watched, and replaced when lost.

A recording can crash a decoder, keep it busy for hours, or make it ask for all memory there is.
So each runs in its own process, with limits that the system enforces. A process has one task at a
time; when it dies or takes too long, only that task is lost, and another process takes its place.
(`concurrent.futures` gives up the whole pool instead, and Pebble 5.2 when an idle process dies.)
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

from speech2face.errors import BusyError, ModelError, Speech2FaceError, UnreadableMediaError
from speech2face.serving.limits import Limits
from speech2face.serving.logs import describe_failure, log_failure

log = logging.getLogger(__name__)

Work = Callable[[Any, bytes], Any]  # of a task, and what lies in its file
START_SECONDS = 120.0  # a cold disk and a busy machine
START_TRIES = 3  # until it is believed that no process can be started


class WorkerPool:
    """`limits.workers` processes, and the queue of those who wait for one.

    `prepare` is called once in each process and gives the function that does the work; both have
    to be importable there. `on_worker_lost` is called with the reason whenever a process had to be
    replaced, and `on_fatal` where not even the first can be started; without it that is tried for
    ever. `kind` is what the log calls a process. Where they are not to be used again
    (`reused`), each ends with its task, and another takes its place.
    """

    def __init__(
        self,
        prepare: Callable[[], Work],
        limits: Limits,
        on_worker_lost: Callable[[str], None],
        on_fatal: Callable[[Speech2FaceError], None] | None,
        kind: str = "worker",
        reused: bool = True,
    ) -> None:
        self.waiting = 0
        self.working = 0
        self._prepare, self._limits = prepare, limits
        self._on_worker_lost, self._on_fatal = on_worker_lost, on_fatal
        self._kind, self._reused, self._started = kind, reused, False
        self._failed_starts: int | None = 0  # None once one has succeeded
        self._idle: asyncio.LifoQueue[WorkerProcess] = asyncio.LifoQueue()
        self._workers: set[WorkerProcess] = set()
        self._spawning: set[asyncio.Task[None]] = set()
        threads = max(1, 2 * limits.workers)  # with no workers it is not started
        self._threads = ThreadPoolExecutor(threads, "worker-pool")

    @property
    def ready(self) -> bool:
        """True if a task submitted now would be taken, and a process is there to do it."""
        return bool(self._workers) and not self.full

    @property
    def size(self) -> int:
        """Processes that are ready or at work."""
        return len(self._workers)

    @property
    def full(self) -> bool:
        return self._idle.empty() and self.waiting >= self._limits.queue

    def start(self) -> None:
        """Begin to start the processes; tasks may be submitted at once, and wait.

        Called once more it does nothing.
        """
        if self._started:
            return
        self._started = True
        # They are the parallelism: threads of numpy's own would spin in one another's way.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        for _ in range(self._limits.workers):
            self._spawn()

    async def stop(self) -> None:
        """End all processes, whatever they are doing."""
        for task in self._spawning:
            task.cancel()
        for worker in self._workers:
            worker.end()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def check_room(self) -> None:
        """Raises BusyError where the queue is full."""
        if self.full:
            raise BusyError("the queue is full; try again in a few seconds.")

    async def submit(self, task: Any, file: int) -> Any:
        """Have a process work on `task` and on what lies in `file`, an open descriptor.

        Raises what it raises; BusyError where the queue is full or the time is up; and
        UnreadableMediaError where the task brought the process down.
        """
        self.check_room()
        worker = await self._take_idle()
        self.working += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, worker.call, task, file)
        except asyncio.CancelledError:
            worker.exit_reason = "cancelled"
            raise
        finally:
            self.working -= 1
            if worker.exit_reason:
                self._note_lost(worker)
            if worker.exit_reason or not self._reused:
                self._replace(worker)
            else:
                self._idle.put_nowait(worker)

    async def _take_idle(self) -> WorkerProcess:
        self.waiting += 1
        try:
            async with asyncio.timeout(self._limits.waiting):
                while not (worker := await self._idle.get()).alive:
                    worker.exit_reason = "died idle"
                    self._note_lost(worker)
                    self._replace(worker)
                return worker
        except TimeoutError:
            raise BusyError("nobody had time for this; try again in a few seconds.") from None
        finally:
            self.waiting -= 1

    def _note_lost(self, worker: WorkerProcess) -> None:
        log.warning("%s %d is replaced: %s", self._kind, worker.pid, worker.exit_reason)
        self._on_worker_lost(worker.exit_reason)

    def _replace(self, worker: WorkerProcess) -> None:
        self._workers.discard(worker)
        worker.end()
        self._spawn()

    def _spawn(self) -> None:
        task = asyncio.create_task(self._start_worker())
        self._spawning.add(task)
        task.add_done_callback(self._spawning.discard)

    async def _start_worker(self) -> None:
        loop, pause = asyncio.get_running_loop(), 1.0
        while True:
            worker = WorkerProcess(self._prepare, self._limits, self._kind)
            try:
                await loop.run_in_executor(self._threads, worker.wait_until_ready)
                self._workers.add(worker)
                self._idle.put_nowait(worker)
                self._failed_starts = None
                counts = (self.size, self._limits.workers)
                level = logging.INFO if self._reused else logging.DEBUG  # one for each task
                log.log(level, "%s %d is ready, %d of %d", self._kind, worker.pid, *counts)
                return
            except Speech2FaceError as failure:
                if self._on_fatal and self._is_fatal(failure):
                    return self._on_fatal(failure)
                words = (self._kind, worker.pid, failure, pause)
                log.error("%s %d: %s Another is tried in %g s.", *words)
            finally:
                if worker not in self._workers:
                    worker.end()
            await asyncio.sleep(pause)
            pause = min(2 * pause, 60.0)

    def _is_fatal(self, failure: Speech2FaceError) -> bool:
        if self._failed_starts is None:
            return False
        self._failed_starts += 1
        return isinstance(failure, ModelError) or self._failed_starts >= START_TRIES


class WorkerProcess:
    """One process and the connection to it. `exit_reason` says why it has to be replaced, if so."""

    def __init__(self, prepare: Callable[[], Work], limits: Limits, kind: str) -> None:
        context = get_context("spawn")
        self.exit_reason = ""
        self._limits, self._kind = limits, kind
        self._connection, child_end = context.Pipe()
        self._process = context.Process(target=_run, args=(child_end, prepare, limits), daemon=True)
        # Ctrl-C and systemd's SIGTERM go to all processes at once: they are for the server, which
        # ends this one when all is answered. What is blocked stays so in the new process.
        resource_tracker.ensure_running()  # starting it would unblock them again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        child_end.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def wait_until_ready(self) -> None:
        """Raises Speech2FaceError where it will not be."""
        try:
            started = self._connection.poll(START_SECONDS)
            problem = self._connection.recv() if started else "it took too long"
        except (EOFError, OSError):
            problem = "it died"
        if isinstance(problem, Speech2FaceError):
            raise problem
        if isinstance(problem, tuple):
            trace, words = problem
            log.error("%s %d: %s", self._kind, self.pid, trace)
            problem = f"{trace.splitlines()[-1].partition(':')[0]}: {words}"
        if problem:
            raise Speech2FaceError(f"a {self._kind} did not start ({problem}).")

    def call(self, task: Any, file: int) -> Any:
        """Blocks until the work is done, or the process dead. Raises as `submit` says."""
        try:
            self._connection.send(task)
            send_handle(self._connection, file, self._process.pid)
            if not self._connection.poll(self._limits.working):
                self.exit_reason = "time"
                raise BusyError(
                    f"this took longer than {self._limits.working:g} s; try again later, or "
                    "give a shorter recording."
                )
            self.exit_reason, answer, failure = self._connection.recv()
        except (EOFError, OSError):
            raise self._explain_death() from None
        if failure:
            log_failure(log, f"{self._kind} {self._process.pid} failed on a recording", failure)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """Kill the process and wait for the system to take it away."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _explain_death(self) -> Speech2FaceError:
        self._process.join(5)
        signal_number = -(self._process.exitcode or 0)
        if signal_number == signal.SIGXCPU:
            self.exit_reason = "processor time"
            return UnreadableMediaError(
                f"the recording takes more than {self._limits.processor} s of processor time; "
                "give a shorter recording, in wav or flac"
            )
        if signal_number in (signal.SIGKILL, signal.SIGTERM):  # the system was short of memory, say
            self.exit_reason = "killed"
            return BusyError("the work was stopped from outside; try again in a few seconds.")
        self.exit_reason = "crash"
        return UnreadableMediaError(
            "the recording brought its decoder down; give wav, flac, mp3, ogg, m4a or webm"
        )


def _run(connection: Connection, prepare: Callable[[], Work], limits: Limits) -> None:
    """The main loop of a process: tasks in, answers out, until the connection is closed."""
    try:
        work = prepare()
    except Speech2FaceError as error:
        return connection.send(error)
    except Exception as error:
        return connection.send(describe_failure(error))
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold a recording
    _limit(resource.RLIMIT_FSIZE, 0)  # nothing is written, by whomever
    _limit(resource.RLIMIT_DATA, limits.memory)
    connection.send("")  # ready
    exit_reason = ""
    while not exit_reason:
        failure = None
        try:
            task = connection.recv()
            file = recv_handle(connection)
        except (EOFError, OSError):
            return
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime) + limits.processor)
        try:
            answer = work(task, _read(file))
        except Speech2FaceError as error:
            answer = error
        except MemoryError:
            exit_reason, answer = "memory", _too_big(limits)
        except Exception as error:
            if "alloc" in str(error):  # as ONNX Runtime puts it
                exit_reason, answer = "memory", _too_big(limits)
            else:
                failure = describe_failure(error)  # for the server's log: nothing is written here
                answer = Speech2FaceError("the server failed on this; it is not your fault.")
        connection.send((exit_reason, answer, failure))
        task = answer = None


def _read(file: int) -> bytes:
    """All of it, wherever its writer is, and close it."""
    try:
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)


def _limit(what: int, soft: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(what, (soft, hard))


def _too_big(limits: Limits) -> UnreadableMediaError:
    return UnreadableMediaError(
        f"the recording needs more than {limits.memory / 2**20:g} MiB of memory to decode; "
        "give a shorter recording, or one with fewer channels"
    )
