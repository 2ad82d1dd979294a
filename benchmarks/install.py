"""Measures how much disk an installation takes.

    python benchmarks/install.py [--write]

The package is installed with the versions of constraints.txt into a new environment of the Python
that runs this; its files are counted, pip's among them. What each extra adds is counted from the
files of the environment that runs this, which must have all extras: packages that an extra needs,
directly or by way of others, and the package by itself does not. train_gb is the package with the
extra train. --write stores what was measured in benchmarks/install.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from speech2face import __version__
from speech2face.extras import PURPOSES, find_missing
from speech2face.files import write_text_atomically

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_suffix(".json")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how much disk an installation takes.")
    parser.add_argument("--write", action="store_true", help="store benchmarks/install.json")
    write = parser.parse_args().write
    if missing := find_missing(*PURPOSES):
        sys.exit(f"{', '.join(missing)} not installed: pip install -e '.[dev]'")
    project = distribution("speech2face")
    core = find_packages(project.requires or (), "")
    extras = {
        name: find_packages(project.requires or (), name) - core for name in (*PURPOSES, "docs")
    }
    results = {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "speech2face": __version__,
        "core_mb": megabytes(measure_new_environment()),
        "extras_mb": {name: megabytes(measure(found)) for name, found in extras.items()},
        "train_gb": round(measure(core | extras["train"]) / 1e9, 1),
        "torch": distribution("torch").version,
        "torch_mb": megabytes(measure({"torch"})),
    }
    text = json.dumps(results, indent=2) + "\n"
    print(text, end="")
    if write:
        write_text_atomically(RESULTS, text)


def measure_new_environment() -> int:
    """Bytes of all files of a new environment that holds the package and what it needs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder, with_pip=True, symlinks=True)
        install = [folder / "bin" / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
        subprocess.run([*install, ROOT], check=True)
        files = (path for path in folder.rglob("*") if not path.is_symlink())
        return sum(path.stat().st_size for path in files if path.is_file())


def find_packages(requirements: Iterable[str], extra: str) -> set[str]:
    """The installed packages that these requirements lead to, by way of others too."""
    found: set[str] = set()
    waiting = [(Requirement(line), extra) for line in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, asked = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": asked}):
            continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        for inner in ("", *requirement.extras):
            if (name, inner) not in seen:
                seen.add((name, inner))
                needed = distribution(name).requires or ()
                waiting += [(Requirement(line), inner) for line in needed]
    return found


def measure(packages: Iterable[str]) -> int:
    """Bytes of the files that these packages brought."""
    files = [path for name in packages for path in distribution(name).files or ()]
    places = {Path(str(path.locate())) for path in files}
    return sum(path.stat().st_size for path in places if path.is_file())


def megabytes(size: int) -> int:
    return round(size / 1e6)


if __name__ == "__main__":
    main()
