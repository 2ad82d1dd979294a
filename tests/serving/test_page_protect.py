"""The page of a server disguises a voice by /v1/protect, in a browser."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile

from helpers.page_browser import drop, open_page, wait_for, wait_for_text
from helpers.service import Service
from speech2face.media import load_audio, stream_audio
from speech2face.privacy.disguise_metadata import find_mark

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.slow

# What the page plays, so that it can be asked how loud.
KEEP_PLAYERS = """
window.players = [];
window.Audio = class extends Audio {
  constructor() {
    super();
    window.players.push(this);
  }
};
"""


@pytest.fixture
def page(service: Service, context: BrowserContext) -> Iterator[Page]:
    """The page of a server on a small phone. It must not throw, break its policy, or be cut."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.add_init_script(KEEP_PLAYERS)
    open_page(page, service.url)
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [line for line in complaints if not line.startswith("Failed to load resource")] == []


def save(page: Page, selector: str, path: Path) -> Path:
    with page.expect_download() as download:
        page.click(selector)
    assert download.value.suggested_filename == path.name
    download.value.save_as(path)
    return path


def test_a_voice_is_disguised_by_the_server_heard_and_saved(
    page: Page, service: Service, recording: Path, tmp_path: Path
) -> None:
    assert page.is_hidden("#disguise")
    drop(page, recording)
    wait_for(page, "result")
    assert "of up to 2 minutes" in page.inner_text("#disguise")
    assert page.is_hidden("[name=method]")
    assert page.get_by_role("radio", name="Voice and words").is_checked()
    page.get_by_role("radio", name="The words At most a tenth").check()

    with service.asleep():  # else it may be done before the page is looked at
        page.click("#disguise-start")
        wait_for_text(page, "#disguise-status", "The server tries methods")
        wait_for_text(page, "#disguise-clock", "0:01 so far")
        page.click("#disguise-cancel")
        wait_for_text(page, "#disguise-status", "Cancelled.")
    assert page.evaluate("document.activeElement.id") == "disguise-start"
    assert page.is_hidden("#disguised")
    assert page.is_hidden("#disguise-clock")

    with page.expect_request("**/v1/protect*") as asked:
        page.keyboard.press("Enter")
    assert asked.value.url.endswith("?keep=words")
    wait_for_text(page, "#disguise-status", "The voice is disguised")
    assert "isguised" in page.inner_text("#disguise-verdict")
    assert "with a secret that was drawn" in page.inner_text("#disguise-done")
    assert "bits of the face" in page.inner_text("#bits-before")
    assert "as measured on" in page.inner_text("#bits-after")
    assert "names" in page.inner_text("#disguise-said").lower()
    for player in ("play-original", "play-disguised"):
        page.wait_for_selector(f"#{player}")
        page.click(f"#{player}")
        wait_for_text(page, f"#{player}", "Stop playing")
    saved = save(page, "#disguise-save", tmp_path / "disguised.flac")
    stream = stream_audio(saved)
    assert sum(map(len, stream)) == len(load_audio(recording).samples)
    assert find_mark(stream.tags)
    report = save(page, "#disguise-report", tmp_path / "disguised.report.html")
    assert "What no disguise hides" in report.read_text(encoding="utf-8")

    page.check("#cartoon")  # another picture of the same recording
    wait_for(page, "result")
    assert page.is_visible("#disguise-save")
    drop(page, saved)
    wait_for(page, "working")
    assert page.is_hidden("#disguise")
    wait_for(page, "result")
    assert page.is_hidden("#disguised")
    page.click("#disguise-start")
    wait_for_text(page, "#disguise-status", "is marked as disguised already")
    assert "secret" not in service.log.read_text()


def test_what_the_server_refuses_is_told_and_a_busy_one_is_asked_again(
    page: Page, recording: Path
) -> None:
    problem = {"title": "Too large", "detail": "the recording is longer than is taken; cut it"}
    answers = [(503, {}, {"Retry-After": "1"}), (413, problem, {})]

    def answer(route) -> None:
        status, body, headers = answers.pop(0)
        route.fulfill(status=status, body=json.dumps(body), headers=headers)

    page.route("**/v1/protect*", answer)
    drop(page, recording)
    wait_for(page, "result")
    page.click("#disguise-start")
    wait_for_text(page, "#disguise-status", "The server is busy. Trying again in 1 s")
    wait_for_text(page, "#disguise-status", "The recording is longer than is taken; cut it.")
    assert page.is_hidden("#disguise-progress")
    assert page.is_hidden("#disguised")
    assert answers == []


def test_the_louder_of_original_and_disguise_is_played_as_softly_as_the_other(
    page: Page, recording: Path
) -> None:
    answers: list[dict[str, object]] = []
    page.route("**/v1/protect*", lambda route: route.fulfill(json=answers.pop()))
    drop(page, recording)
    wait_for(page, "result")
    plain = load_audio(recording).samples
    for loudness in (0.25, 0.5):
        file = io.BytesIO()
        soundfile.write(file, loudness * plain, 16_000, format="wav")
        answers.append(
            {
                "file": base64.b64encode(file.getvalue()).decode(),
                "media_type": "audio/wav",
                "words": {"verdict": f"At {loudness}."},
                "report": "",
                "protection": {"warnings": []},
            }
        )
        page.click("#disguise-start")
        wait_for_text(page, "#disguise-verdict", f"At {loudness}.")
        volumes = page.evaluate("players.filter((player) => player.src).map((one) => one.volume)")
        assert volumes == pytest.approx([loudness, 1, 1], rel=0.02)  # the last is above the card


def test_where_nothing_is_disguised_the_page_does_not_offer_it(
    page: Page, service: Service, recording: Path
) -> None:
    def answer(route) -> None:
        models = service.client.get("/v1/models").json()
        models["limits"]["protected_seconds"] = 0  # as with --protectors 0
        route.fulfill(json=models)

    assert "disguise the voice" in page.inner_text(".opening")
    page.route("**/v1/models", answer)
    open_page(page, service.url)
    drop(page, recording)
    wait_for(page, "result")
    assert page.is_hidden("#disguise")
    assert page.is_hidden("a[href='#disguise']")
    assert "isguise" not in page.inner_text("body")
