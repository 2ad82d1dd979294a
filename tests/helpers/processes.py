"""Programs of tests as processes that are forked from one with torch, which is imported only once.

They begin as a new process does, with nothing of the test's own state. Several may train together:
each is told its rank in the environment, as torchrun would.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread
from typing import IO, Any

PATIENCE = 120  # seconds
_SERVER = multiprocessing.get_context("forkserver")
# What a training imports, some of it only as it begins; what is not installed is left out.
_SERVER.set_forkserver_preload(
    ["speech2face.training.loop", "torch._dynamo", "torch.utils.tensorboard"]
)


@dataclass
class Together:
    """Some processes that were started at once, and what they print."""

    processes: list[Any]
    stdout: IO[str]
    stderr: IO[str]

    def kill(self) -> None:
        for process in self.processes:
            process.kill()

    def finish(self) -> tuple[list[int], str, str]:
        """Their exit codes, and the rest of what they print on either stream."""
        said: dict[str, str] = {}
        readers = [
            Thread(target=lambda stream=stream, name=name: said.update({name: stream.read()}))
            for name, stream in (("out", self.stdout), ("err", self.stderr))
        ]
        for reader in readers:
            reader.start()
        for process in self.processes:
            process.join(PATIENCE)
        codes = [process.exitcode for process in self.processes]
        if None in codes:
            self.kill()
        for reader in readers:
            reader.join()
        for stream in (self.stdout, self.stderr):
            stream.close()
        assert None not in codes, said
        return codes, said["out"], said["err"]


def start(program: Callable[..., object], *arguments: object, count: int = 1) -> Together:
    """`program(*arguments)` in processes of its own, of which several know of each other."""
    address: dict[str, str] = {}
    if count > 1:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        address["WORLD_SIZE"] = str(count)
    (read_out, out), (read_err, err) = (_SERVER.Pipe(duplex=False) for _ in range(2))
    processes = []
    for rank in range(count):
        own = {**address, "RANK": str(rank), "LOCAL_RANK": str(rank)} if address else {}
        begin = (out, err, own, program, arguments)
        processes.append(_SERVER.Process(target=_begin, args=begin, daemon=False))
        processes[-1].start()
    for end in (out, err):
        end.close()
    texts = [os.fdopen(os.dup(end.fileno()), encoding="utf-8") for end in (read_out, read_err)]
    for end in (read_out, read_err):
        end.close()
    return Together(processes, *texts)


def run_command(*arguments: object) -> None:
    """As a program to start: speech2face with these arguments."""
    from speech2face import cli

    sys.argv = ["speech2face", *map(str, arguments)]
    cli.main()


def _begin(
    out: Connection,
    err: Connection,
    own: dict[str, str],
    program: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
    os.environ.update(own, OMP_NUM_THREADS="1")
    warnings.simplefilter("error")
    with suppress(ImportError):  # where it has not been imported, it is not needed
        import torch

        torch.set_num_threads(1)
    program(*arguments)
