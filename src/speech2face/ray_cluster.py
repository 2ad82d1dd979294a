"""A Ray cluster, or Ray on this machine: reached in one line of an error, or not at all."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from speech2face.batch import Row, do_one
from speech2face.errors import Speech2FaceError, UsageError
from speech2face.extras import how_to_install
from speech2face.inputs import Input
from speech2face.runtime import limit_threads
from speech2face.worker_crews import Task

PATIENCE = 10.0  # seconds for the head of a cluster to answer


@contextmanager
def connect_ray(address: str | None, count: int) -> Iterator[None]:
    """Ray at an address, or with `count` processes of this machine, while the body runs.

    Raises UsageError where Ray is not installed, or there is none at the address.
    """
    try:
        import ray
    except ImportError:
        raise UsageError(
            f"several workers need Ray: {how_to_install('cluster')}, or give --workers 1."
        ) from None
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its log files have the rest
    # Progress and results are told by ourselves, and that workers died.
    logging.getLogger("ray").setLevel(logging.ERROR)
    here: dict[str, Any] = {} if address else {"num_cpus": count, "include_dashboard": False}
    if address:
        _reach(address)
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **here)
    except Exception as error:  # Ray raises plain ones where it does not start in time
        first = str(error).splitlines()[0]
        where = f"at {address}" if address else "here; --workers 1 goes without"
        raise UsageError(f"no Ray {where} ({first}).") from None
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raises UsageError where nobody listens at HOST:PORT; Ray itself would go on asking."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    try:
        if colon:
            socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UsageError(f"no Ray cluster at {address} ({error}).") from None


class RayWorker:
    """A task in a process of a cluster, with one thread, opened when its first input comes."""

    def __init__(self, task: Task) -> None:
        self._task, self._work = task, None

    def work(self, item: Input) -> Row | Speech2FaceError:
        """The row of an input, or the error for which there will be none of any."""
        with limit_threads(1):
            if self._work is None:
                try:
                    self._work = self._task.open()
                except Speech2FaceError as error:
                    return error
            return do_one(self._work, item)


class RayCrew:
    """Actors of a cluster, each with one core; see `worker_crews.Crew`."""

    def __init__(self, task: Task, count: int) -> None:
        """To be called while Ray is connected."""
        import ray

        actor: Any = ray.remote(num_cpus=1, max_restarts=0)(RayWorker)
        self.size = count
        self._hire = lambda: actor.remote(task)
        self._actors = [self._hire() for _ in range(count)]
        self._given: list[deque[Any]] = [deque() for _ in range(count)]  # results to come, in order

    def give(self, worker: int, item: Input) -> None:
        self._given[worker].append(self._actors[worker].work.remote(item))

    def take(self) -> tuple[int, Row | None]:
        """Raises Speech2FaceError where a worker cannot be made to work at all."""
        import ray
        from ray.exceptions import RayActorError

        firsts = {given[0]: worker for worker, given in enumerate(self._given) if given}
        (ready, *_), _ = ray.wait(list(firsts), num_returns=1)
        worker = firsts[ready]
        try:
            answer = ray.get(ready)
        except RayActorError as error:
            if error.actor_init_failed:
                reason = str(error).strip().splitlines()[-1]
                raise Speech2FaceError(
                    f"a worker of Ray does not start ({reason}); install the package there."
                ) from None
            self._actors[worker] = self._hire()
            self._given[worker].clear()
            return worker, None
        if isinstance(answer, Exception):
            raise answer
        self._given[worker].popleft()
        return worker, answer


@contextmanager
def hire_on_ray(task: Task, count: int, address: str | None) -> Iterator[RayCrew]:
    """A crew of `count` actors at an address. Raises what `connect_ray` does."""
    with connect_ray(address, count):
        yield RayCrew(task, count)
