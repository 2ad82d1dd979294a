"""Tests in JavaScript, run by Node.js."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

OLDEST = 20


def run_node_tests(files: Iterable[Path], places: Mapping[str, Path]) -> int:
    """Run files of tests, told `places` by the environment → how many tests passed; all must.

    Skips where there is no Node.js, or an old one.
    """
    node = shutil.which("node")
    told = node and subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    if not node or int(re.findall(r"v(\d+)", told or "")[0]) < OLDEST:
        pytest.skip(f"needs Node.js {OLDEST} or newer (node --version)")
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", *map(str, files)],
        env=os.environ | {name: str(path) for name, path in places.items()},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    (passed,) = re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    return int(passed)
