"""How fast many recordings become a table: with one process, with two, and with two of Ray.

    python benchmarks/batch.py FOLDER... [--count 2000] [--write]

The recordings of the folders are taken in turn, again and again, until there are --count, and ten
among them are of no use: empty, cut off, noise, silence and the like. `speech2face embed` makes a
Parquet table of all, each time by a new process. Told are recordings a second, with the start and
without it (the seconds for one recording are taken off); what two processes gain, in one run of
this program; the seconds of the processor, which a busy machine hardly changes; and whether all
tables are the same. One more run is killed in the middle and goes on. Then --rows recordings are
done by work that does nothing: what the one process that writes the ledger and the table can do,
and the memory that it takes. --write stores benchmarks/batch.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import wave
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from latency import describe_machine
from speech2face.batch import Row, Work
from speech2face.batch_tables import find_ledger, make_table
from speech2face.files import write_text_atomically
from speech2face.inputs import Input, find_inputs
from speech2face.model_folders import find_model
from speech2face.recording_tasks import EmbedTask

RESULTS = Path(__file__).with_suffix(".json")
CREWS = {
    "1 process": ["--workers", "1"],
    "2 processes": ["--workers", "2"],
    "Ray, 2 workers": ["--workers", "2", "--ray", "local"],
}
COMMAND = [sys.executable, "-m", "speech2face", "embed"]
MILLION = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure tables of many recordings.")
    parser.add_argument("folders", type=Path, nargs="+", help="folders of recordings")
    parser.add_argument("--count", type=int, default=2_000, help="recordings in a table")
    parser.add_argument("--rows", type=int, default=100_000, help="rows without any work")
    parser.add_argument("--write", action="store_true", help="store batch.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = folder / "recordings"
        bad = fill(recordings, given.folders, given.count)
        (folder / "one").mkdir()
        first = min(path for path in recordings.iterdir() if path.is_symlink())
        (folder / "one" / first.name).symlink_to(first.resolve())
        told: dict[str, Any] = {
            "machine": describe_machine(),
            "recordings": given.count,
            "seconds_of_sound_each": measure_length(recordings),
        }
        tables = {}
        for crew, options in CREWS.items():
            start, start_spent = run(folder / "one", folder / f"start {crew}.parquet", options)
            table = folder / f"{crew}.parquet"
            seconds, spent = run(recordings, table, options)
            tables[crew] = table.read_bytes()
            told[crew] = {
                "seconds": seconds,
                "start_seconds": start,
                "a_second": given.count / seconds,
                "a_second_without_start": (given.count - 1) / (seconds - start),
            }
            if "--ray" not in options:  # whose processes are not this one's
                each = (spent - start_spent) / (given.count - 1)
                told[crew]["processor_seconds_each"] = each
            print(crew, json.dumps(told[crew]), flush=True)
        one, two = (told[crew]["a_second_without_start"] for crew in list(CREWS)[:2])
        told["times_of_two_processes"] = two / one
        costs = [told[crew]["processor_seconds_each"] for crew in list(CREWS)[:2]]
        told["processor_seconds_times"] = costs[1] / costs[0]
        told["killed"] = kill_and_go_on(recordings, folder / "killed.parquet")
        told["killed"]["same"] = (folder / "killed.parquet").read_bytes() == tables["2 processes"]
        told["tables_the_same"] = len(set(tables.values())) == 1
        told["bad"] = {"given": bad, "told": count_errors(folder / "2 processes.parquet")}
        told["table_bytes_a_row"] = len(tables["2 processes"]) / given.count
        ledger = find_ledger(str(folder / "2 processes.parquet"))
        told["ledger_bytes_a_row"] = ledger.stat().st_size / given.count
        told["driver"] = {
            name: {"rows": rows, **measure_driver(folder / f"driver {rows}", rows)}
            for name, rows in (("few", given.rows // 10), ("many", given.rows))
        }
        spent = told["2 processes"]["processor_seconds_each"]
        told["core_hours_a_million"] = MILLION * spent / 3_600
        for name in ("table", "ledger"):
            told[f"{name}_gb_a_million"] = MILLION * told[f"{name}_bytes_a_row"] / 1e9
    print(json.dumps(told, indent=2))
    if given.write:
        write_text_atomically(RESULTS, json.dumps(told, indent=2) + "\n")


def fill(folder: Path, sources: list[Path], count: int) -> int:
    """Links to recordings, `count` of them, ten of which are of no use; how many are not."""
    folder.mkdir()
    bad = make_bad()
    found = [Path(item.name) for item in find_inputs([str(s) for s in sources])[0]]
    every = count // len(bad)
    for number, path in enumerate(islice(cycle(found), count)):
        name = folder / f"{number:06}"
        if number % every == every // 2 and bad:
            ending, data = bad.pop()
            name.with_suffix(ending).write_bytes(data)
        else:
            name.with_suffix(path.suffix).symlink_to(path.resolve())
    return 10 - len(bad)


def make_bad() -> list[tuple[str, bytes]]:
    """Ten files that hold no speech: ending and content."""
    noise = np.random.default_rng(0).bytes(20_000)
    silent = _write_wave(bytes(64_000))
    return [
        (".wav", b""),
        (".wav", noise),
        (".mp3", noise),
        (".flac", b"fLaC" + noise),
        (".ogg", b"OggS" + noise),
        (".m4a", b"not sound but words\n" * 100),
        (".wav", silent[:30]),
        (".wav", silent),
        (".wav", _write_wave(noise)),
        (".webm", bytes(1_000)),
    ]


def _write_wave(samples: bytes) -> bytes:
    with tempfile.TemporaryFile() as file:
        with wave.open(file, "wb") as sound:
            sound.setparams((1, 2, 16_000, 0, "NONE", ""))
            sound.writeframes(samples)
        file.seek(0)
        return file.read()


def measure_length(folder: Path) -> float:
    """The mean seconds of the recordings that can be read."""
    import av

    seconds = []
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            with av.open(str(path)) as sound:
                seconds.append((sound.duration or 0) / 1e6)
    return float(np.mean(seconds))


def run(folder: Path, table: Path, options: list[str]) -> tuple[float, float]:
    """Seconds that the command takes, and those of the processor; recordings may fail."""
    before, began = _processor_seconds(), time.perf_counter()
    done = subprocess.run(
        [*COMMAND, str(folder), "--out", str(table), *options], capture_output=True, text=True
    )
    if done.returncode not in (0, 6):
        sys.exit(done.stderr)
    return time.perf_counter() - began, _processor_seconds() - before


def kill_and_go_on(folder: Path, table: Path) -> dict[str, Any]:
    """Kill a run once half of the recordings are in its ledger, and go on."""
    ledger, half = find_ledger(str(table)), len(list(folder.iterdir())) // 2
    process = subprocess.Popen(
        [*COMMAND, str(folder), "--out", str(table), "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while count_done(ledger) < half and process.poll() is None:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = count_done(ledger)
    seconds, _ = run(folder, table, ["--workers", "2"])
    return {"done_before": done, "seconds_of_the_rest": seconds}


def count_done(ledger: Path) -> int:
    return ledger.read_bytes().count(b'"content"') if ledger.exists() else 0


def count_errors(table: Path) -> int:
    from pyarrow.parquet import read_table

    return sum(error is not None for error in read_table(table)["error"].to_pylist())


@dataclass(frozen=True)
class NoWork:
    """Rows as large as those of `embed`, without any work."""

    def open(self) -> Work:
        numbers = [float(str(x)) for x in np.random.default_rng(0).normal(0, 0.1, 128).astype("f4")]
        facts = {"speech_seconds": 4.0, "segments": [[0.5, 2.5], [3.0, 5.0]], "warnings": []}

        def work(item: Input, _: Any) -> Row:
            return {"rows": [{"embedding": numbers, "variance": numbers, **facts}]}

        return work


def measure_driver(folder: Path, rows: int) -> dict[str, float]:
    """Seconds and memory of the process that writes ledger and table, in one of its own."""
    folder.mkdir()
    (folder / "a.wav").write_bytes(bytes(1_000))
    lines = "".join(f"a.wav,{number}\n" for number in range(rows))
    (folder / "list.csv").write_text(f"path,id\n{lines}")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_drive, (folder,))


def _drive(folder: Path) -> dict[str, float]:
    inputs = find_inputs([str(folder / "list.csv")], listed=True)[0]
    before, began = _peak_mib(), time.perf_counter()
    make_table(inputs, NoWork(), EmbedTask.columns, {}, find_model(), f"{folder}/t.parquet")
    seconds = time.perf_counter() - began
    return {
        "rows_a_second": len(inputs) / seconds,
        "mib_with_the_list_of_inputs": before,
        "mib_at_most": _peak_mib(),
    }


def _processor_seconds() -> float:
    """Of all processes that have ended, theirs with them."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
