"""Real commands, and the log of what they trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def run(*arguments: object, torchrun: int = 0) -> subprocess.CompletedProcess[str]:
    """speech2face with these arguments; with `torchrun`, as that many processes."""
    program = [sys.executable]
    if torchrun:
        program += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", torchrun]
    command = [*program, "-m", "speech2face", *arguments]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)


def succeed(*arguments: object, torchrun: int = 0) -> str:
    done = run(*arguments, torchrun=torchrun)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.strip()


def read_log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
