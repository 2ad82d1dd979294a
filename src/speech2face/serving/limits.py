"""Every bound of the service in one place; docs/serving.md has the same table."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

MIB = 2**20
CONTAINER_SHARE = Path("/sys/fs/cgroup/cpu.max")


def count_cores() -> int:
    """The cores that this process may use: those of its affinity, or its container's share."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = CONTAINER_SHARE.read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or one without a bound ("max")
        return cores


@dataclass(frozen=True)
class Limits:
    """Limits of one server: sizes in bytes, times in seconds."""

    workers: int = field(default_factory=count_cores)  # processes; each hears one recording
    queue: int = 32  # requests that wait for a worker

    body: int = 32 * MIB  # of one request
    held: int = 256 * MIB  # of all bodies and streams in memory
    arrival: float = 30.0  # for a body to arrive
    waiting: float = 15.0  # for a worker
    working: float = 45.0  # of a worker on one recording, on a busy machine
    processor: int = 10  # of a core on one recording
    memory: int = 1024 * MIB  # of a worker's data
    listened: float = 600.0  # of a recording: what comes later is not heard

    side: int = 1024  # pixels of a picture
    samples: int = 12  # pictures beside the one of the mean
    pictures: int = 30  # of one recording, where each speaker is drawn

    protected: float = 120.0  # s of a recording that is disguised: longer ones are refused
    protectors: int = 1  # processes that disguise, beside the workers; 0: nothing is disguised
    protect_queue: int = 4  # requests that wait for one
    protect_waiting: float = 60.0  # for one
    protect_working: float = 420.0  # of one on a recording, on a busy machine
    protect_processor: int = 300  # of a core on a recording
    protect_memory: int = 2048 * MIB  # of a protector's data

    sockets: int = 16  # streams at a time
    stream: int = 16 * MIB  # of one stream
    streaming: float = 120.0  # from a stream's start to its end
    silence: float = 15.0  # between two chunks of a stream
    preview: float = 0.5  # between two previews of a stream

    connections: int = 1000  # open at a time, of all kinds
    stopping: float = 25.0  # for what is in flight when the server is told to stop

    def of_protection(self) -> Limits:
        """The limits of the processes that disguise, as a pool's of its own."""
        return replace(
            self,
            workers=self.protectors,
            queue=self.protect_queue,
            waiting=self.protect_waiting,
            working=self.protect_working,
            processor=self.protect_processor,
            memory=self.protect_memory,
        )
