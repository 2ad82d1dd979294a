"""Compile the vocoder WORLD to WebAssembly, for the page that works in the browser.

    pip download --no-deps --no-binary pyworld-prebuilt pyworld-prebuilt==0.3.6.post1
    pip install ziglang==0.17.1
    python scripts/build_world.py pyworld_prebuilt-0.3.6.post1.tar.gz

The source is what pyworld carries, so the page computes what Python does. With it comes
scripts/world/parameters.cpp, which names what the page calls. The compiler is Zig's Clang; the same
source gives the same bytes. The program is in the package as assets/world.wasm.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "src/speech2face/assets"
PROGRAM = ASSETS / "world.wasm"
LICENCE = ASSETS / "LICENSES/world-BSD-3-Clause.txt"
SOURCE = "f4d64d29e1399ce34c262482d74b935949a43e21a5434f5f45ab97954a57841b"  # SHA-256
PARTS = ["cheaptrick", "common", "d4c", "dio", "fft", "matlabfunctions", "stonemask", "synthesis"]
OFFERED = ["malloc", "free", "count_frames", "count_bins", "analyse", "synthesise"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compile WORLD to WebAssembly.")
    parser.add_argument("source", type=Path, help="pyworld's source archive")
    archive: Path = parser.parse_args().source
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SOURCE:
        sys.exit(f"{archive} is another version of pyworld than this program was written for.")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
        (world,) = Path(folder).glob("*/lib/World")
        compile_world(world / "src", Path(folder, "world.wasm"))
        shutil.copyfile(Path(folder, "world.wasm"), PROGRAM)
        shutil.copyfile(world / "LICENSE.txt", LICENCE)


def compile_world(sources: Path, program: Path) -> None:
    """The C++ in `sources` → a WebAssembly program that offers what `OFFERED` names."""
    command = [sys.executable, "-m", "ziglang", "c++", "-target", "wasm32-wasi", "-s", "-O2"]
    command += ["-mexec-model=reactor", "-fno-exceptions", "-fno-rtti", "-I", str(sources)]
    command += [f"-Wl,--export={name}" for name in OFFERED]
    command += [str(ROOT / "scripts/world/parameters.cpp")]
    command += [str(sources / f"{part}.cpp") for part in PARTS]
    subprocess.run([*command, "-o", str(program)], check=True)


if __name__ == "__main__":
    main()
