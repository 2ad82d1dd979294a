"""The server as its users meet it: a process of its own, on a port that was free."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

COMMAND = [sys.executable, "-W", "error", "-m", "speech2face", "serve"]


@dataclass
class Service:
    """A running server; `client` speaks to it."""

    process: subprocess.Popen[str]
    client: httpx.Client
    log: Path

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def post(self, path: str, body: bytes = b"", **options: Any) -> httpx.Response:
        return self.client.post(path, content=body, **options)

    def problem(self, status: int, name: str, code: int, answer: httpx.Response) -> str:
        """Its detail, where the answer is this problem."""
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert set(problem) == {"type", "title", "status", "detail", "code"}
        assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
        assert problem["type"] == f"urn:speech2face:{name}"
        assert len(problem["detail"].splitlines()) == 1
        return problem["detail"]

    def metric(self, name: str) -> float:
        """The sum of a figure over its labels."""
        lines = self.client.get("/metrics").text.splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"{name} ", f"{name}{{"))
        )

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """It takes what is sent, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        return self.process.wait(60)


@contextmanager
def start_service(log: Path, *options: object) -> Iterator[Service]:
    """A server that is ready; ended in any case."""
    command = [*COMMAND, "--port", "0", *map(str, options)]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), log.read_text()
        with httpx.Client(base_url=url, timeout=60) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.05)
            yield Service(process, client, log)
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
