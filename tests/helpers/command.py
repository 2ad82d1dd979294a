"""The command `speech2face` as tests call it: in this process, or in one of its own."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from speech2face import cli

COMMAND = [sys.executable, "-W", "error", "-m", "speech2face"]


def run(*arguments: object, cwd: Path | None = None, **options) -> subprocess.CompletedProcess[str]:
    """Run the command: in this process, or with options of `subprocess` in one of its own."""
    if options:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=cwd,
            **options,
        )
    called = ["speech2face", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(err),
        patch("sys.argv", called),
        own_logging(),
        pytest.raises(SystemExit) as end,
    ):
        cli.main()
    texts = [os.fsdecode(stream.buffer.getvalue()) for stream in (out, err)]
    return subprocess.CompletedProcess(called, end.value.code or 0, *texts)


@contextmanager
def own_logging() -> Iterator[None]:
    """While inside, warnings are logged to stderr alone, as in a new process."""
    level = logging.root.level
    with patch.object(logging.root, "handlers", []):
        try:
            yield
        finally:
            logging.root.setLevel(level)


def succeed(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run what must end well."""
    done = run(*arguments, **options)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def refuse(exit_code: int, *arguments: object, **options) -> str:
    """Run what must fail with this exit code and one line on stderr; gives the line."""
    done = run(*arguments, **options)
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("speech2face: ")
    return line
