from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile

from helpers.page_browser import CHROMIUM, open_browser
from helpers.service import Service, start_service
from helpers.sounds import RATE, encode, talk
from speech2face.model_folders import find_model
from speech2face.serving.static_page import RUNTIME, RUNTIME_FOLDER, write_static_page

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`speech2face serve` with one worker."""
    log = tmp_path_factory.mktemp("service") / "log"
    with start_service(log, "--workers", 1, "--queue", 4) as running:
        yield running


@pytest.fixture
def speech(recording: Path) -> bytes:
    return recording.read_bytes()


@pytest.fixture(scope="session")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in which a woman and a man take turns; she speaks more."""
    sound, _ = talk(("emma", 4), ("george", 3), ("emma", 3), ("george", 2.5))
    path = tmp_path_factory.mktemp("conversation") / "conversation.flac"
    path.write_bytes(encode(sound, RATE, "flac", "flac", sample_format="s16"))
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that works in the browser, in a folder."""
    if not (RUNTIME_FOLDER / RUNTIME).is_file():
        pytest.skip("needs onnxruntime-web: make web")
    root = tmp_path_factory.mktemp("page")
    (root / "package.json").write_text('{"type": "module"}')  # else Node.js reads each file twice
    write_static_page(root / "page", find_model())
    return root / "page"


@pytest.fixture
def context(tmp_path: Path, recording: Path) -> Iterator[BrowserContext]:
    """Chromium on a small phone, whose microphone plays a recording."""
    if not CHROMIUM:
        pytest.skip("needs Chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    microphone = tmp_path / "voice.wav"
    soundfile.write(microphone, *soundfile.read(recording), subtype="PCM_16")
    with sync_api.sync_playwright() as playwright:
        browser = open_browser(playwright, microphone)
        yield browser.new_context(viewport={"width": 320, "height": 640})
        browser.close()
