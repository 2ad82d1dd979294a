"""Installs the package as a stranger would, on each Python, and draws the examples from files.

    python scripts/try_pythons.py             # with the newest of all dependencies
    python scripts/try_pythons.py 3.13        # on this Python only
    python scripts/try_pythons.py --lowest    # on 3.11 also with the lowest that are allowed

A wheel is built once and installed into new environments without constraints.txt. In each the
doctor looks for what is broken, and the command draws. Prints a line for each Python, and all
that a failed step printed; exit code 1 after a failure, and where no Python could be tried at all.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
EXAMPLES = sorted((ROOT / "examples").glob("*.flac"))


class TrialError(Exception):
    """A step of a trial failed: its command and all that it printed."""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up when stopped
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="*", default=PYTHONS, metavar="PYTHON")
    parser.add_argument("--lowest", action="store_true", help="Also the lowest versions allowed.")
    options = parser.parse_args()
    trials = [(version, "newest") for version in options.pythons]
    if options.lowest:
        trials.append((PYTHONS[0], "lowest"))
    with tempfile.TemporaryDirectory(prefix="speech2face-") as folder:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
        (wheel,) = Path(folder).glob("*.whl")
        passed = [report(version, bounds, wheel) for version, bounds in trials]
    if all(outcome is None for outcome in passed):
        sys.exit("No Python was tried: install one of them.")
    sys.exit(1 if False in passed else 0)


def report(version: str, bounds: str, wheel: Path) -> bool | None:
    """Print what a trial comes to; False where it failed, None where there is no such Python."""
    python = find_python(version)
    if python is None:
        print(f"Python {version}, {bounds}: skipped, there is no such interpreter", flush=True)
        return None
    try:
        packages = try_wheel(python, wheel, wheel.parent / f"{version}-{bounds}", bounds)
    except TrialError as error:
        print(f"Python {version}, {bounds}: FAILED\n{error}", flush=True)
        return False
    print(f"Python {version}, {bounds}: {len(EXAMPLES)} faces drawn with {packages}", flush=True)
    return True


def find_python(version: str) -> Path | None:
    """An interpreter of this version that runs: on the PATH, one of pyenv's, or this one."""
    candidates = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        candidates.append(Path(sys.executable))
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True).stdout.strip()
        candidates += Path(root).glob(f"versions/{version}.*/bin/python")
    for path in candidates:  # pyenv's own on the PATH are there without what they stand for
        if subprocess.run([path, "-m", "venv", "--help"], capture_output=True).returncode == 0:
            return path
    return None


def try_wheel(python: Path, wheel: Path, folder: Path, bounds: str) -> str:
    """Install the wheel into a new environment and draw; returns the versions that were used."""
    run(python, "-m", "venv", folder)
    install = [folder / "bin" / "pip", "install", "--quiet", wheel]
    if bounds == "lowest":
        constraints = folder / "lowest.txt"
        constraints.write_text("\n".join(lowest_versions()))
        install += ["--only-binary", ":all:", "--constraint", constraints]
    run(*install)
    command = folder / "bin" / "speech2face"
    _, versions, *others = run(command, "doctor", cwd=folder).splitlines()
    if untried := [line for line in others if "not tried" in line]:
        raise TrialError("\n".join(untried))
    faces = folder / "faces"
    run(command, "reconstruct", *EXAMPLES, "--out-dir", faces, cwd=folder)
    if missing := {f"{path.stem}.face.png" for path in EXAMPLES} - set(os.listdir(faces)):
        raise TrialError(f"no pictures: {', '.join(sorted(missing))}")
    if len({path.read_bytes() for path in faces.iterdir()}) < len(EXAMPLES):
        raise TrialError("different voices have the same picture")
    shutil.rmtree(folder)
    return versions.removeprefix("✓ ")


def lowest_versions() -> list[str]:
    """The lower bounds of the dependencies in pyproject.toml, as pip's constraints."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    return [re.sub(r">=([^,]+).*", r"==\1", dependency) for dependency in dependencies]


def run(*command: object, cwd: Path | None = None) -> str:
    """What a command prints; TrialError where it fails, or tells of a traceback."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "PYENV_VERSION", "PIP_CONSTRAINT", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    words = list(map(str, command))
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode or "Traceback" in done.stdout + done.stderr:
        printed = f"{done.stdout}{done.stderr}".rstrip()
        raise TrialError(f"$ {' '.join(words)}\n{printed}\nexit code {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
