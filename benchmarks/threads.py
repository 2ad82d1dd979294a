"""What threads that wait for each other cost: alone, and beside one, two and three busy processes.

    python benchmarks/threads.py [--before SRC] [--write] [--quick]

For a machine that does nothing else; 6 minutes on 2 cores, half a minute with --quick. Measured in
one run are `speech2face audit` (a process from its start to its end, of examples/emma.flac) and a
step of the default encoder's tuning (12 clips; needs the extra `train`), each as it is and with
another setting: two threads for NumPy in the audit, which takes one by itself, and
OMP_WAIT_POLICY=passive for torch. --before measures the audit of another version as well, whose
package lies in the folder SRC. Seconds are medians. A busy process counts as fast as it can, on one
core. --write stores benchmarks/threads.json, and its table in docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latency import processor_name
from speech2face import __version__
from speech2face.files import write_text_atomically

HERE = Path(__file__).parent
RECORDING = HERE.parent / "examples" / "emma.flac"
BUSY = (0, 1, 2, 3)
SETTINGS = {
    "audit": ("", "OPENBLAS_NUM_THREADS=2"),
    "step": ("", "OMP_WAIT_POLICY=passive"),
}
BATCH = 12  # clips, as the recipe takes
DOCS = HERE.parent / "docs" / "training.md"
MARKS = "<!-- threads -->\n", "<!-- /threads -->"  # of the table in DOCS
WORDS = {
    ("step", "default"): "training step",
    ("step", "OMP_WAIT_POLICY=passive"): "training step, `OMP_WAIT_POLICY=passive`",
    ("audit", "default"): "`audit`",
    ("audit", "OPENBLAS_NUM_THREADS=2"): "`audit`, `OPENBLAS_NUM_THREADS=2`",
    ("audit before", "default"): "`audit` of version 0.1.0",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what waiting threads cost.")
    parser.add_argument("--write", action="store_true", help="store benchmarks/threads.json")
    parser.add_argument("--before", type=Path, metavar="SRC", help="source of an earlier version")
    parser.add_argument("--quick", action="store_true", help="once, and beside one process only")
    parser.add_argument("--time-steps", type=int, help=argparse.SUPPRESS)  # in a child
    given = parser.parse_args()
    if given.time_steps:
        print(json.dumps(time_steps(given.time_steps, given.quick)))
        return
    if given.quick and given.write:
        parser.error("figures of --quick are not worth keeping.")
    repeats, rows = (1 if given.quick else 5), []
    settings = dict(SETTINGS)
    if given.before:
        settings["audit before"] = (f"PYTHONPATH={given.before.resolve()}",)
    for busy in BUSY[:2] if given.quick else BUSY:
        with keep_busy(busy):
            for what, wanted in settings.items():
                for setting in wanted:
                    measure = time_training if what == "step" else time_audit
                    seconds = measure(setting, repeats, given.quick)
                    rows.append(
                        {
                            "what": what,
                            "setting": setting if what in SETTINGS and setting else "default",
                            "busy processes": busy,
                            "seconds": round(statistics.median(seconds), 3),
                            "from": round(min(seconds), 3),
                            "to": round(max(seconds), 3),
                        }
                    )
                    print(json.dumps(rows[-1]), flush=True)
    if given.write:
        found = {
            "version": __version__,
            "processor": processor_name(),
            "cores": len(os.sched_getaffinity(0)),
            "rows": rows,
        }
        write_text_atomically(HERE / "threads.json", json.dumps(found, indent=1) + "\n")
        before, _, rest = DOCS.read_text().partition(MARKS[0])
        table = tabulate(found)
        write_text_atomically(
            DOCS, f"{before}{MARKS[0]}{table}{MARKS[1]}{rest.partition(MARKS[1])[2]}"
        )


def tabulate(found: dict[str, Any]) -> str:
    """The table of docs/training.md."""
    seconds = {(r["what"], r["setting"], r["busy processes"]): r["seconds"] for r in found["rows"]}
    lines = ["| seconds, beside busy processes | 0 | 1 | 2 | 3 |", "|--|--|--|--|--|"]
    for row, words in WORDS.items():
        if (*row, 0) in seconds:
            cells = [f"{seconds[*row, busy]:.1f}" for busy in BUSY]
            lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{found['processor']}, {found['cores']} cores.", ""])


@contextmanager
def keep_busy(count: int) -> Iterator[None]:
    """So many processes count beside what is measured."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def time_audit(setting: str, repeats: int, quick: bool) -> list[float]:
    """Seconds of whole processes, after one that is not counted."""
    command = [sys.executable, "-m", "speech2face", "audit", str(RECORDING)]
    seconds = []
    for _ in range(repeats + (not quick)):
        began = time.perf_counter()
        subprocess.run(command, env=environment(setting), check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return seconds[-repeats:]


def time_training(setting: str, repeats: int, quick: bool) -> list[float]:
    """Seconds of steps, all in one process."""
    command = [sys.executable, __file__, "--time-steps", str(repeats), *["--quick"] * quick]
    done = subprocess.run(command, env=environment(setting), check=True, capture_output=True)
    return json.loads(done.stdout)


def time_steps(repeats: int, quick: bool) -> list[float]:
    """In this process: seconds of each step, after one that is not counted."""
    import torch

    from training import ON_CPU, QUICK, Mode, Runner

    bounds, batch = (QUICK, 2) if quick else (ON_CPU, BATCH)
    runner = Runner(Mode("default"), torch.device("cpu"), bounds, batch)
    return runner.time_steps(batch, repeats)


def environment(setting: str) -> dict[str, Any]:
    name, _, value = setting.partition("=")
    return dict(os.environ) | ({name: value} if name else {})


if __name__ == "__main__":
    main()
