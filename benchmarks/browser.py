"""How long the page that draws in the browser takes, beside Python on the same recording.

    python benchmarks/browser.py [--write]

Chromium opens the page from `python -m http.server`, and draws a recording of six seconds again and
again: seven pictures of 448 pixels with bits in words, on one thread. After each time Python does
the same natively, on one thread. Needs the extra dev, Chromium, and `make web`; takes half a
minute on a machine that does nothing else. --write stores what was measured in
benchmarks/browser.json.
"""

from __future__ import annotations

import argparse
import base64
import json
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import speech2face
from helpers.page_browser import serve_files
from speech2face.files import write_text_atomically
from speech2face.model_folders import find_model
from speech2face.serving.disclosure import load_estimator
from speech2face.serving.inference import InferenceTask, infer
from speech2face.serving.static_page import write_static_page

HERE = Path(__file__).parent
RECORDING = HERE.parent / "examples" / "bella.flac"  # 6.4 s
RUNS = 7
DRAWN = InferenceTask(size=448, samples=6)  # as the page asks for it
READY = "#model:not(:empty)"  # once the models are
DROP = """(text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "voice.flac"));
    document.querySelector("#drop").dispatchEvent(new DragEvent("drop", { dataTransfer,
        bubbles: true, cancelable: true }));
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the page that draws in the browser.")
    parser.add_argument("--write", action="store_true", help="store benchmarks/browser.json")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name) / "page"
        fetched = write_static_page(folder, find_model())
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))))
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        with serve_files(folder) as (address, _):
            results = measure(browser, address)
        results = {
            "machine": {"system": platform.platform(), "cores": psutil.cpu_count()},
            "browser": f"Chromium {browser.version}",
            "folder_mb": round(fetched / 1e6, 1),
            **results,
        }
        browser.close()
    print(json.dumps(results, indent=2))
    if write:
        write_text_atomically(HERE / "browser.json", json.dumps(results, indent=2) + "\n")


def measure(browser: Browser, address: str) -> dict[str, Any]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    first = time_visit(page, address)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    second = time_visit(page, address)
    network = speech2face.load(threads=1)
    estimator = load_estimator(network, find_model())
    sound = RECORDING.read_bytes()
    text = base64.b64encode(sound).decode()
    in_browser, in_python = [], []
    for _ in range(RUNS + 1):  # the first is not counted
        in_browser.append(time_drawing(page, text))
        start = time.perf_counter()
        infer(network, estimator, 600.0, DRAWN, sound)
        in_python.append(time.perf_counter() - start)
    drawn, native = (statistics.median(seconds[1:]) for seconds in (in_browser, in_python))
    return {
        "first_visit_s": round(first, 2),
        "later_visit_s": round(second, 2),
        "first_drawing_s": round(in_browser[0], 2),
        "drawing_s": round(drawn, 2),
        "native_s": round(native, 3),
        "times_native": round(drawn / native, 1),
        "memory_mib": round(find_memory() / 2**20),
    }


def time_visit(page: Page, address: str) -> float:
    """From the address to models that are ready, s."""
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(READY)
    return time.perf_counter() - start


def time_drawing(page: Page, text: str) -> float:
    start = time.perf_counter()
    page.evaluate(DROP, text)
    page.wait_for_selector("main[data-state=result]")
    return time.perf_counter() - start


def find_memory() -> int:
    """Of the process that holds the page and its worker, bytes."""
    children = psutil.Process().children(recursive=True)
    renderers = [child for child in children if "--type=renderer" in child.cmdline()]
    return max(child.memory_info().rss for child in renderers)


if __name__ == "__main__":
    main()
