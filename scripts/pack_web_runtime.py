"""Put what runs networks in a browser into the package, for `speech2face page`.

    make web

It is onnxruntime-web, which npm fetches: the version and the hash are those of package-lock.json,
npm checks them, and no script of a package is run. Of it the plain WebAssembly build is taken, to
src/speech2face/assets/web_runtime: two modules as they are, and the program packed by gzip, a
quarter of its size. The folder is not in the repository; wheels that are built while it is there
carry it.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FETCHED = ROOT / "node_modules/onnxruntime-web/dist"
PACKED = ROOT / "src/speech2face/assets/web_runtime"
MODULES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs")
PROGRAM = "ort-wasm-simd-threaded.wasm"


def main() -> None:
    argparse.ArgumentParser(description="Pack the browser's runtime.").parse_args()
    shutil.rmtree(PACKED, ignore_errors=True)
    PACKED.mkdir()
    for name in MODULES:
        shutil.copyfile(FETCHED / name, PACKED / name)
    program = gzip.compress((FETCHED / PROGRAM).read_bytes(), mtime=0)
    (PACKED / "onnxruntime.wasm.bin").write_bytes(program)


if __name__ == "__main__":
    main()
