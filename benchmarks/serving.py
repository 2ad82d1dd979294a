"""What the server withstands: load, a sudden end, and files made to break it.

    python benchmarks/serving.py [--write] [--only load|kill|fuzz|command]

Needs the extras `serve` and `dev`; starts its own servers on 127.0.0.1, as a user would. The
clients run on the same machine and take some of its time. About ten minutes on two cores.
--write stores what was measured in benchmarks/serving.json.

load     2,000 requests from 32 clients, then from 64, which is more than the queue takes
kill     the server is killed (-9) in the middle and started again; clients try again until served
fuzz     2,000 mutated recordings, and small files that grow to hours or to 65,535 channels
command  300 others at `speech2face reconstruct`, 25 to a command
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from speech2face.files import write_text_atomically

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE)]

RECORDING = HERE.parent / "examples" / "bella.flac"  # 6.4 s
REQUESTS, CLIENTS, OVERLOAD_CLIENTS, SINGLE = 2000, 32, 64, 100
KILL_REQUESTS, KILL_AFTER = 200, 60
FUZZ, FUZZ_CLIENTS = 2000, 8
COMMANDS, FILES = 12, 25  # files of each command
BOMB_HOURS = 8.0
TIMEOUT = 60.0  # of a client: more than any limit of the server


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the server withstands.")
    parser.add_argument("--write", action="store_true", help="store benchmarks/serving.json")
    parser.add_argument("--only", choices=["load", "kill", "fuzz", "command"])
    options = parser.parse_args()
    path = HERE / "serving.json"
    results = json.loads(path.read_text()) if options.only and path.exists() else {}
    from latency import describe_machine

    results["machine"] = describe_machine()
    for name, measure in (
        ("load", measure_load),
        ("kill", measure_kill),
        ("fuzz", measure_fuzz),
        ("command", measure_command),
    ):
        if options.only in (None, name):
            results[name] = {"load_average": os.getloadavg()[0]} | measure()
            print(f"{name}: {json.dumps(results[name], indent=2)}", flush=True)
        if options.write:
            write_text_atomically(path, json.dumps(results, indent=2) + "\n")


# The server and its clients


class Server:
    """`speech2face serve` as a process."""

    def __init__(self, log: Path, port: int = 0) -> None:
        command = [sys.executable, "-m", "speech2face", "serve", "--port", str(port)]
        self._log = log.open("a")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        while httpx.get(f"{self.url}/readyz").status_code != 200:
            time.sleep(0.1)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def memory(self) -> dict[str, Any]:
        """MiB in use of the server, and of each of its processes."""
        server = psutil.Process(self.process.pid)
        sizes = {"server": _mebibytes(server), "workers": []}
        for child in server.children():
            try:
                if "spawn_main" in " ".join(child.cmdline()):
                    sizes["workers"].append(_mebibytes(child))
            except psutil.NoSuchProcess:
                continue
        return sizes

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.terminate()
        code = self.process.wait(60)
        self._log.close()
        return code


def _mebibytes(process: psutil.Process) -> int:
    return round(process.memory_info().rss / 2**20)


@contextmanager
def serving() -> Iterator[tuple[Server, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        server = Server(log)
        try:
            yield server, log
        finally:
            server.stop()


def run_clients(count: int, work: Callable[[httpx.Client, Any], Any], items: Iterable[Any]) -> list:
    """`work` on each item by `count` clients at once, each with its own connection."""
    local = threading.local()

    def do(item: Any) -> Any:
        if not hasattr(local, "client"):
            local.client = httpx.Client(timeout=TIMEOUT)
        return work(local.client, item)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(do, items))


def summarise(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {f"p{p}_ms": round(1000 * cuts[p - 1]) for p in (50, 95, 99)} | {
        "worst_ms": round(1000 * max(seconds))
    }


# Load


def measure_load() -> dict[str, Any]:
    body = RECORDING.read_bytes()
    with serving() as (server, _):
        url = f"{server.url}/v1/reconstruct"

        def ask(client: httpx.Client, _: int) -> tuple[int, float]:
            start = time.perf_counter()
            status = client.post(url, content=body).status_code
            return status, time.perf_counter() - start

        def run(clients: int, requests: int) -> dict[str, Any]:
            begun = time.perf_counter()
            answers = run_clients(clients, ask, range(requests))
            took = time.perf_counter() - begun
            statuses = Counter(str(status) for status, _ in answers)
            served = [seconds for status, seconds in answers if status == 200]
            return {
                "clients": clients,
                "by_status": dict(statuses),
                "served_a_second": round(len(served) / took, 2),
                **summarise(served),
            }

        run(2, 20)
        before = server.memory()
        results: dict[str, Any] = {"one_client": run(1, SINGLE)}
        halves = [run(CLIENTS, REQUESTS // 2) | {"memory_mib": server.memory()} for _ in "12"]
        results["load"] = halves
        results["overload"] = run(OVERLOAD_CLIENTS, REQUESTS // 4)
        results["memory_mib"] = {"before": before, "after": server.memory()}
        results["exit_code"] = server.stop()
    return results


# A sudden end


def measure_kill() -> dict[str, Any]:
    body = RECORDING.read_bytes()
    done, tries = itertools.count(), Counter()
    half_way = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "log")
        url, port = f"{server.url}/v1/reconstruct", server.port
        orphans = psutil.Process(server.process.pid).children()

        def insist(client: httpx.Client, _: int) -> bytes:
            while True:
                try:
                    answer = client.post(url, content=body)
                except httpx.TransportError:
                    tries["connection lost"] += 1
                    time.sleep(0.5)
                    continue
                tries[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    if next(done) == KILL_AFTER:
                        half_way.set()
                    return answer.content
                time.sleep(float(answer.headers["Retry-After"]))

        def kill() -> Server:
            half_way.wait()
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            return Server(Path(folder) / "log", port)

        with ThreadPoolExecutor(1) as thread:
            again = thread.submit(kill)
            answers = run_clients(CLIENTS, insist, range(KILL_REQUESTS))
            after = again.result()
        _, left = psutil.wait_procs(orphans, timeout=10)
        after.stop()
    return {
        "requests": KILL_REQUESTS,
        "answered": len(answers),
        "different_answers": len(set(answers)),  # the same recording, so 1
        "tries": dict(tries),
        "processes_left_by_the_killed": len(left),
    }


# Hostile files


def measure_fuzz() -> dict[str, Any]:
    from helpers.hostile_files import bombs, mutations

    with serving() as (server, log):
        begun = server.memory()
        peaks: list[int] = [0]
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.05):
                peaks[0] = max([peaks[0], *server.memory()["workers"]])

        def send(client: httpx.Client, item: tuple[str, str, bytes]) -> tuple[str, Any, float]:
            _, kind, body = item
            start = time.perf_counter()
            while True:
                answer = client.post(f"{server.url}/v1/reconstruct", content=body)
                if answer.status_code != 503 or "queue" not in answer.json()["detail"]:
                    return kind, format_answer(answer), time.perf_counter() - start
                time.sleep(0.5)

        watcher = threading.Thread(target=watch)
        watcher.start()
        answers = run_clients(FUZZ_CLIENTS, send, mutations(FUZZ, seed=0))
        grown = ((name, name, body) for name, body in bombs(BOMB_HOURS))
        exploded = run_clients(1, send, grown)
        stop.set()
        watcher.join()
        metrics = httpx.get(f"{server.url}/metrics").text
        results = {
            "files": len(answers),
            "by_answer": dict(Counter(answer for _, answer, _ in answers).most_common()),
            "by_kind": {
                kind: dict(Counter(a for k, a, _ in answers if k == kind).most_common())
                for kind in sorted({k for k, *_ in answers})
            },
            "seconds": summarise([seconds for *_, seconds in answers]),
            "bombs": {k: {"answer": a, "seconds": round(s, 1)} for k, a, s in exploded},
            "workers_replaced": [
                line
                for line in metrics.splitlines()
                if line.startswith("speech2face_workers_replaced_total")
            ],
            "memory_mib": {"before": begun, "after": server.memory(), "worker_peak": peaks[0]},
            "alive": httpx.get(f"{server.url}/readyz").status_code == 200,
        }
        results["tracebacks"] = log.read_text().count("Traceback")
        unexpected = [line for line in log.read_text().splitlines() if "failed" in line]
        results["unexpected_errors"] = dict(Counter(unexpected))
    return results


def format_answer(answer: httpx.Response) -> str:
    """Status and kind of an answer; an untyped error is called so."""
    if answer.status_code == 200:
        return "200 face"
    if answer.headers["content-type"] != "application/problem+json":
        return f"{answer.status_code} untyped"
    problem = answer.json()
    return f"{answer.status_code} {problem['type'].rpartition(':')[2]}, code {problem['code']}"


def measure_command() -> dict[str, Any]:
    from helpers.hostile_files import mutations

    codes: Counter[str] = Counter()
    exits: Counter[str] = Counter()
    strange, seconds = 0, []
    files = mutations(COMMANDS * FILES, seed=1)
    for _ in range(COMMANDS):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, (name, _, body) in enumerate(itertools.islice(files, FILES)):
                paths.append(Path(folder) / f"{number}.{name}")
                paths[-1].write_bytes(body)
            command = [sys.executable, "-m", "speech2face", "reconstruct", "--json"]
            command += ["--out-dir", folder, *map(str, paths)]
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True)
            seconds.append(time.perf_counter() - start)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        exits[str(done.returncode)] += 1
        codes.update(str(row.get("exit_code", 0)) for row in rows)
        expected = ("speech2face: ", "recordings: ")
        strange += sum(not line.startswith(expected) for line in done.stderr.splitlines())
        strange += abs(len(paths) - len(rows))
    return {
        "commands": COMMANDS,
        "files": COMMANDS * FILES,
        "by_exit_code_of_the_command": dict(exits),
        "by_code_of_the_file": dict(codes),
        "lines_that_are_neither_answer_nor_progress": strange,
        "seconds_a_command": [round(s, 1) for s in sorted(seconds)],
    }


if __name__ == "__main__":
    main()
