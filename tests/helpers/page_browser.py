"""The page in a real browser, on a real server, before a microphone that plays a recording."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PATIENCE_MS = 60_000
DROP = """([text, name]) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    for (const type of ["dragenter", "dragover", "drop"]) {
        const how = { dataTransfer, bubbles: true, cancelable: true };
        document.querySelector("#drop").dispatchEvent(new DragEvent(type, how));
    }
}"""


@contextmanager
def serve_files(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`python -m http.server` on a free port of this machine: its address, and the process."""
    arguments = ["http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout
            (port,) = re.findall(r"port (\d+)", process.stdout.readline())
            yield f"http://127.0.0.1:{port}/", process
        finally:
            process.terminate()


@contextmanager
def serve(log: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`speech2face serve` on a free port: its address, and the process."""
    command = [sys.executable, "-m", "speech2face", "serve", "--port", "0"]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    with process:
        try:
            assert process.stdout
            address = process.stdout.readline().strip()
            assert address, log.read_text()
            yield address, process
        finally:
            process.terminate()


def open_browser(playwright: Playwright, microphone: Path) -> Browser:
    """Chromium, whose microphone plays the WAV file `microphone` again and again."""
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
            "--no-sandbox",
            "--disable-gpu",
        ],
    )


def open_page(page: Page, address: str) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    wait_for_text(page, "#model", "default")


def wait_for(page: Page, state: str) -> None:
    page.wait_for_selector(f"main[data-state={state}]")


def wait_for_text(page: Page, selector: str, text: str | re.Pattern[str]) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)


def switch_style(page: Page, press: Callable[[], None]) -> None:
    """Switch to the style that was not drawn yet, to the result."""
    with page.expect_response("**/v1/reconstruct*"):
        press()
    wait_for(page, "result")


def record(page: Page) -> None:
    """Record by the mouse until a face has come, then stop, to the result."""
    page.click("#record")
    page.wait_for_selector("main[data-state=recording] #plate img")
    page.click("#record")
    wait_for(page, "result")


def drop(page: Page, recording: Path) -> None:
    """Let a file fall on the page."""
    page.evaluate(DROP, read_dropped(recording))


def read_dropped(recording: Path) -> list[str]:
    """What `DROP` takes."""
    return [base64.b64encode(recording.read_bytes()).decode(), recording.name]


def face_of(page: Page) -> Image.Image:
    """The face on the page, once an older one has faded."""
    from playwright.sync_api import expect

    expect(page.locator("#plate img")).to_have_count(1, timeout=PATIENCE_MS)
    return _decode(page.get_attribute("#plate img", "src"))


def samples_of(page: Page) -> list[Image.Image]:
    images = page.query_selector_all("#samples img")
    return [_decode(image.get_attribute("src")) for image in images]


def _decode(source: str | None) -> Image.Image:
    assert source
    kind, _, text = source.partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(text)))
