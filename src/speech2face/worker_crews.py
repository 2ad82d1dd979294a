"""Inputs are shared out among workers: processes of this machine, or of a Ray cluster.

A worker works on one input at a time, and has the next one at hand, so that it waits for nobody.
One that dies is replaced, and what it worked on is given to a worker once more before it counts as
failed.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Protocol

from speech2face.batch import Numbered, Outcome, Row, Share, Work, do_one
from speech2face.errors import Speech2FaceError
from speech2face.inputs import Input
from speech2face.runtime import limit_threads

START_TRIES = 3  # of processes, until it is believed that none can be started
AT_HAND = 2  # inputs that a worker has: the one that it works on, and the next
TRIES = 2  # of an input of which workers die


class Task(Protocol):
    """Work on recordings that can be sent to another process, and is opened there once."""

    def open(self) -> Work:
        """Load what the work needs. Raises ModelError where something is missing."""
        ...


class Crew(Protocol):
    """Workers by their numbers, each of which does what it is given in that order."""

    size: int

    def give(self, worker: int, item: Input) -> None:
        """Give an input to a worker."""
        ...

    def take(self) -> tuple[int, Row | None]:
        """Wait for a worker to finish with its first input: its number and the row.

        None in place of a row says that it died of it: all that it had is gone, and another worker
        has its number now.
        """
        ...


def share_among(hire: Callable[[], AbstractContextManager[Crew]]) -> Share:
    """Has a crew do the work, which is hired when the first input is there."""

    def share(inputs: Iterable[Numbered]) -> Generator[Outcome]:
        waiting = iter(inputs)
        first = next(waiting, None)
        if first is None:
            return
        with hire() as crew:
            yield from _hand_out(crew, first, waiting)

    return share


def _hand_out(crew: Crew, first: Numbered, rest: Iterable[Numbered]) -> Generator[Outcome]:
    again, rest = deque([first]), iter(rest)
    held: list[deque[Numbered]] = [deque() for _ in range(crew.size)]
    deaths = dict[int, int]()
    while True:
        for worker in sorted(range(crew.size), key=lambda worker: len(held[worker])):
            while len(held[worker]) < AT_HAND:
                numbered = again.popleft() if again else next(rest, None)
                if numbered is None:
                    break
                held[worker].append(numbered)
                crew.give(worker, numbered[1])
        if not any(held):
            return
        worker, row = crew.take()
        place, item = held[worker].popleft()
        if row is not None:
            deaths.pop(place, None)
            yield place, row
            continue
        again.extend(held[worker])
        held[worker].clear()
        deaths[place] = deaths.get(place, 0) + 1
        if deaths[place] < TRIES:
            again.append((place, item))
        else:
            yield place, describe_death(item)


def describe_death(item: Input) -> Row:
    """The row of an input of which workers died."""
    error = f"{item.name}: its worker died, again and again: a crash, or too little memory."
    return {"error": error, "exit_code": Speech2FaceError.exit_code}


class ProcessCrew:
    """Processes of this machine, each with one thread. To be closed, by `with`.

    They are started anew, not forked: neither threads nor open networks are taken along. If this
    process ends, however it does, they end as well, as nothing comes any more.
    """

    def __init__(self, task: Task, count: int) -> None:
        self.size = count
        self._task, self._failed_starts = task, 0
        self._workers = [_Process(task) for _ in range(count)]

    def __enter__(self) -> ProcessCrew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    def give(self, worker: int, item: Input) -> None:
        self._workers[worker].give(item)

    def take(self) -> tuple[int, Row | None]:
        """Raises Speech2FaceError where a process cannot be made to work at all."""
        while True:
            busy = {w.connection: n for n, w in enumerate(self._workers) if w.held}
            for ready in wait(list(busy)):
                number = busy[ready]  # pyright: ignore[reportArgumentType]
                worker = self._workers[number]
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    worker.end()
                    self._failed_starts += not worker.opened
                    if self._failed_starts == START_TRIES:
                        raise Speech2FaceError(
                            "processes for the work do not start; try fewer --workers."
                        ) from None
                    self._workers[number] = _Process(self._task)
                    return number, None
                if isinstance(answer, Exception):
                    raise answer
                if answer is None:
                    worker.opened = True
                    continue
                worker.held -= 1
                return number, answer


class _Process:
    """One process: the connection to it, whether it has opened its task, and inputs it has."""

    def __init__(self, task: Task) -> None:
        context = get_context("spawn")
        self.connection, end = context.Pipe()
        self.opened, self.held = False, 0
        self._process = context.Process(target=_work, args=(end, task), daemon=True)
        # Ctrl-C goes to all processes of a terminal: it is for the one that ends the others. What
        # is blocked stays so in the new process; starting the tracker would unblock it again.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        end.close()

    def give(self, item: Input) -> None:
        self.held += 1
        with suppress(OSError):  # it has died: whoever waits for its answer is told
            self.connection.send(item)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _work(connection: Connection, task: Task) -> None:
    """The main loop of a process: None once it is ready, then a row for each input."""
    # Networks may be opened when they are first used. Nobody is told where the giver has ended.
    with limit_threads(1), suppress(EOFError, OSError):
        try:
            work = task.open()
        except Speech2FaceError as error:
            return connection.send(error)
        connection.send(None)
        while True:
            connection.send(do_one(work, connection.recv()))
