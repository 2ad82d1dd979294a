"""The page as its users meet it: in a browser, with a microphone, on a running server."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from PIL import Image

from helpers.page_browser import (
    CHROMIUM,
    drop,
    face_of,
    open_browser,
    open_page,
    record,
    samples_of,
    serve,
    switch_style,
    wait_for,
    wait_for_text,
)
from helpers.sounds import RATE, noise
from speech2face.pictures import NOTICE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright", reason="needs playwright: pip install playwright")
pytest.importorskip("fastapi", reason="needs the extra: pip install '.[serve]'")
if not CHROMIUM:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("serve") / "log.txt") as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    microphone = tmp_path_factory.mktemp("microphone") / "voice.wav"
    soundfile.write(microphone, *soundfile.read(recording), subtype="PCM_16")
    with sync_playwright() as playwright:
        chromium = open_browser(playwright, microphone)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page on a small phone. It must not throw, break its own policy, or be cut."""
    context = browser.new_context(viewport={"width": 320, "height": 640})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    open_page(page, address)
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    # Chromium tells of every answer that is an error, and of every connection that fails.
    told = ("Failed to load resource", "WebSocket connection to")
    assert [line for line in complaints if not line.startswith(told)] == []


def test_a_voice_is_recorded_and_becomes_a_face(page: Page) -> None:
    record(page)
    assert face_of(page).size == (448, 448)
    assert len({sample.tobytes() for sample in samples_of(page)}) == 6
    assert "Among 1,000 strangers" in page.inner_text("#confidence")
    assert "nobody’s portrait" in page.inner_text("#caption")
    words = page.get_attribute("#waveform", "aria-label") or ""
    assert re.match(r"Recording of \d+\.\d seconds; speech used, in seconds: \d", words)


def test_the_keyboard_alone_records_switches_and_downloads(page: Page, tmp_path: Path) -> None:
    def tab_to(name: str) -> None:
        for _ in range(20):
            if page.evaluate("document.activeElement.id") == name:
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline == "solid"
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{name} is not reached by Tab")

    tab_to("record")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-state=recording] #plate img")
    page.keyboard.press("Enter")
    wait_for(page, "result")
    assert page.evaluate("document.activeElement.id") == "record"
    plain = face_of(page)
    tab_to("cartoon")
    switch_style(page, lambda: page.keyboard.press("Space"))
    cartoon = face_of(page)
    assert np.abs(np.asarray(plain, float) - np.asarray(cartoon, float)).mean() > 5
    tab_to("download")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "speech2face.png"
    download.value.save_as(tmp_path / "face.png")
    with Image.open(tmp_path / "face.png") as picture:
        assert picture.format == "PNG"
        assert picture.info["Description"] == NOTICE
        assert picture.tobytes() == cartoon.tobytes()


def test_a_dropped_recording_is_drawn_with_the_speech_that_was_used(
    page: Page, recording: Path
) -> None:
    drop(page, recording)
    wait_for(page, "result")
    assert face_of(page).size == (448, 448)
    seconds = soundfile.info(recording).duration
    words = page.get_attribute("#waveform", "aria-label") or ""
    assert words.startswith(f"Recording of {seconds:.1f} seconds; speech used")
    page.click("#play")
    wait_for_text(page, "#play", "Stop playing")
    page.click("#play")
    wait_for_text(page, "#play", re.compile("^Play$"))


def test_both_styles_of_a_recording_are_kept(page: Page, recording: Path) -> None:
    drop(page, recording)
    wait_for(page, "result")
    plain = face_of(page)
    switch_style(page, lambda: page.check("#cartoon"))
    page.context.set_offline(True)
    page.uncheck("#cartoon")
    assert face_of(page).tobytes() == plain.tobytes()


def test_a_choice_draws_the_recording_anew(page: Page, recording: Path) -> None:
    drop(page, recording)
    wait_for(page, "result")
    typical = face_of(page)
    assert page.get_attribute("#strength", "aria-valuetext") == "typical"
    page.focus("#strength")
    with page.expect_response("**/v1/reconstruct*") as answered:
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
    assert answered.value.json()["strength"] == 1.5
    wait_for(page, "result")
    assert page.get_attribute("#strength", "aria-valuetext") == "strong"
    strong = face_of(page)
    assert strong.tobytes() != typical.tobytes()
    assert page.evaluate("document.activeElement.id") == "strength"
    page.route("**/v1/reconstruct*", lambda route: None)  # hangs
    page.keyboard.press("Home")
    wait_for(page, "working")
    page.click("#cancel")
    wait_for(page, "result")
    assert (face_of(page).tobytes(), page.input_value("#strength")) == (strong.tobytes(), "1.5")


def test_of_several_speakers_one_is_chosen_by_the_keyboard(
    page: Page, conversation: Path, recording: Path
) -> None:
    drop(page, conversation)
    wait_for(page, "result")
    first = face_of(page)
    radios = page.get_by_role("group", name=re.compile("2 people speak")).get_by_role("radio")
    assert radios.count() == 2
    one = page.get_by_role("radio", name=re.compile(r"^Speaker 1, \d\.\d s$"))
    two = page.get_by_role("radio", name=re.compile(r"^Speaker 2, \d\.\d s$"))
    assert one.is_checked()
    assert "only speaker 1 was used" in page.inner_text("#warnings")
    words = page.get_attribute("#waveform", "aria-label") or ""
    assert re.search(r"; speaker 1 speaks \d.* s in \d parts; speaker 2 speaks \d", words)
    assert colours_drawn(page) >= {"speaker-1", "speaker-2"}

    one.focus()
    with page.expect_response("**/v1/reconstruct*") as answered:
        page.keyboard.press("ArrowDown")
    assert answered.value.json()["speaker"] == 2
    wait_for(page, "result")
    assert two.evaluate("radio => radio === document.activeElement")
    second = face_of(page)
    assert second.tobytes() != first.tobytes()
    assert page.inner_text("#caption").startswith("Speaker 2.")
    assert "of speaker 2" in page.inner_text("#used")
    assert page.is_hidden("#warnings")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "speech2face.speaker2.png"

    page.route("**/v1/reconstruct*", lambda route: None)  # hangs
    page.check("#cartoon")
    wait_for(page, "working")
    page.click("#cancel")
    wait_for(page, "result")
    assert (face_of(page).tobytes(), two.is_checked()) == (second.tobytes(), True)
    one.check()
    wait_for_text(page, "#caption", "Speaker 1.")
    assert face_of(page).tobytes() == first.tobytes()  # kept: the server does not answer
    two.check()
    wait_for_text(page, "#caption", "Speaker 2.")
    page.unroute("**/v1/reconstruct*")

    with page.expect_request("**/v1/reconstruct*") as asked:
        drop(page, recording)
    assert "speaker=longest" in asked.value.url
    wait_for(page, "result")
    assert page.is_hidden("#speakers")
    assert colours_drawn(page) == {"speaker-1"}  # the accent


def colours_drawn(page: Page) -> set[str]:
    """Which of the colours of speakers are on the waveform."""
    found = page.evaluate(
        """() => {
            const canvas = document.getElementById("waveform");
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            const drawn = new Set();
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] === 255) drawn.add(data.slice(at, at + 3).join());
            }
            const style = getComputedStyle(canvas);
            return [1, 2, 3, 4].map((n) => `speaker-${n}`).filter((name) => {
                const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
                return drawn.has(hex.match(/../g).map((part) => parseInt(part, 16)).join());
            });
        }"""
    )
    return set(found)


def test_hair_is_offered_where_the_model_has_a_choice(page: Page, recording: Path) -> None:
    def open_with(shapes: int) -> None:
        models = [{"name": "default", "hair_shapes": shapes}]
        service = json.dumps({"models": models, "limits": {"bytes": 10**7}})
        page.unroute("**/v1/models")
        page.route("**/v1/models", lambda route: route.fulfill(body=service))
        open_page(page, page.url)

    open_with(0)
    assert page.is_hidden("#hair")
    open_with(3)
    words = page.locator("#hair option").all_inner_texts()
    assert words == ["Typical", "None", "Shape 1", "Shape 2", "Shape 3"]
    page.select_option("#hair", "2")
    with page.expect_request("**/v1/reconstruct*") as asked:
        drop(page, recording)
    assert "&hair=2" in asked.value.url


def test_what_cannot_be_drawn_is_told_with_its_reason(page: Page, tmp_path: Path) -> None:
    notes, hiss = tmp_path / "notes.wav", tmp_path / "hiss.wav"
    notes.write_text("Dear diary,\n" * 100)
    soundfile.write(hiss, noise(3), RATE)
    for path, title, reason in (
        (notes, "This file cannot be read", "is not sound or video"),
        (hiss, "Not enough speech", "no speech"),
    ):
        page.set_input_files("#file", path)
        wait_for_text(page, "#problem-title", title)
        assert reason in page.inner_text("#problem[role=alert]")
        assert page.is_hidden("#again")


def test_a_file_too_large_is_told_before_it_is_sent(page: Page, recording: Path) -> None:
    service = {"models": [{"name": "default"}], "limits": {"bytes": 1000}}
    page.route("**/v1/models", lambda route: route.fulfill(body=json.dumps(service)))
    open_page(page, page.url)
    page.set_input_files("#file", recording)
    wait_for(page, "error")
    assert "too large" in page.inner_text("#problem")


def test_a_server_that_went_away_is_told(browser: Browser, tmp_path: Path, recording: Path) -> None:
    page = browser.new_page()
    with serve(tmp_path / "log.txt") as (address, process):
        open_page(page, address)
        process.terminate()
        process.wait(60)
        page.set_input_files("#file", recording)
        wait_for(page, "error")
        assert "The server cannot be reached" in page.inner_text("#problem")
        assert page.is_visible("#again")
    page.close()


def test_a_busy_server_is_asked_again(page: Page, recording: Path) -> None:
    asked = itertools.count()

    def answer(route) -> None:
        if next(asked):
            route.continue_()
        else:
            route.fulfill(status=503, headers={"Retry-After": "1"}, body="{}")

    page.route("**/v1/reconstruct*", answer)
    page.set_input_files("#file", recording)
    wait_for_text(page, "#status", "busy")
    wait_for(page, "result")
    assert next(asked) == 2


def test_without_a_socket_the_face_is_drawn_at_the_end(page: Page) -> None:
    page.route_web_socket("**/v1/stream*", lambda socket: socket.close())
    page.click("#record")
    wait_for(page, "recording")
    wait_for_text(page, "#heard", "when you stop")
    wait_for_text(page, "#not-live", "No live face: ")
    wait_for_text(page, "#clock", re.compile("[1-9]:|:[1-9]|:0[3-9]"))
    page.click("#record")
    wait_for(page, "result")
    assert face_of(page).size == (448, 448)


@pytest.mark.parametrize(
    ("refusal", "title"),
    [("NotAllowedError", "not allowed"), ("NotFoundError", "No microphone")],
)
def test_a_microphone_that_is_not_lent_is_told(page: Page, refusal: str, title: str) -> None:
    page.evaluate(
        """name => navigator.mediaDevices.getUserMedia =
            () => Promise.reject(new DOMException("", name))""",
        refusal,
    )
    page.click("#record")
    wait_for(page, "error")
    assert title in page.inner_text("#problem-title")
    assert "choose a file" in page.inner_text("#problem-detail")


def test_cancel_goes_back_to_what_was_there(page: Page, recording: Path) -> None:
    page.click("#record")
    wait_for(page, "recording")
    page.click("#cancel")
    wait_for(page, "empty")
    assert page.evaluate("document.activeElement.id") == "record"
    drop(page, recording)
    wait_for(page, "result")
    face = face_of(page)
    page.click("#record")
    page.wait_for_selector("main[data-state=recording]")
    assert page.query_selector("#plate img") is None
    page.click("#cancel")
    wait_for(page, "result")
    assert face_of(page).tobytes() == face.tobytes()


def test_what_browsers_record_can_be_drawn(page: Page) -> None:
    answers = page.evaluate(
        """async () => {
            const sound = await navigator.mediaDevices.getUserMedia({ audio: true });
            const canvas = document.createElement("canvas");
            canvas.getContext("2d").fillRect(0, 0, 64, 64);
            const [picture] = canvas.captureStream(5).getTracks();
            const film = new MediaStream([picture, ...sound.getTracks()]);
            const record = (stream, mimeType) => new Promise((resolve) => {
                const recorder = new MediaRecorder(stream, { mimeType });
                const pieces = [];
                recorder.ondataavailable = ({ data }) => pieces.push(data);
                recorder.onstop = () => resolve(new Blob(pieces, { type: recorder.mimeType }));
                recorder.start(500);
                setTimeout(() => recorder.stop(), 3000);
            });
            const kinds = ["audio/webm", "audio/mp4", "video/webm", "video/mp4"];
            const able = kinds.filter((kind) => MediaRecorder.isTypeSupported(kind));
            const recordings = await Promise.all(
                able.map((kind) => record(kind.startsWith("video") ? film : sound, kind)));
            const answers = {};
            for (const body of recordings) {
                const response = await fetch("v1/reconstruct", { method: "POST", body });
                answers[body.type.split(";")[0]] = await response.json();
            }
            return answers;
        }"""
    )
    assert "audio/webm" in answers
    for kind, answer in answers.items():
        assert answer.get("image", "").startswith("iVBOR"), (kind, answer)
        assert answer["speech_seconds"] > 0.5, kind


def test_a_recording_is_kept_as_it_was(page: Page) -> None:
    samples = [0.0, 0.5, -0.25, 1.0, -1.0, 2.0]
    data = page.evaluate(
        """async (samples) => {
            const { encodeWav } = await import("./wav.js");
            const blocks = [Float32Array.from(samples.slice(0, 2)),
                            Float32Array.from(samples.slice(2))];
            return Array.from(new Uint8Array(await encodeWav(blocks, 16000).arrayBuffer()));
        }""",
        samples,
    )
    heard, rate = soundfile.read(io.BytesIO(bytes(data)))
    assert rate == 16_000
    assert heard == pytest.approx(np.clip(samples, -1, 1), abs=1 / 16384)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_buttons_stand_out(page: Page, scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    speakers = [f"speaker-{number}" for number in (1, 2, 3, 4)]
    names = ["ground", "panel", "tint", "ink", "soft", "accent", "on-accent", "edge", "wave"]
    names += speakers
    read = "names => names.map(n => getComputedStyle(document.body).getPropertyValue(`--${n}`))"
    colours = dict(zip(names, page.evaluate(read, names), strict=True))
    words = [(ink, on) for ink in ("ink", "soft", "accent") for on in ("ground", "panel", "tint")]
    for ink, on in [*words, ("on-accent", "accent")]:
        assert contrast(colours[ink], colours[on]) >= 4.5, (ink, on)
    for ink in ("edge", "wave", "accent", *speakers):
        assert contrast(colours[ink], colours["panel"]) >= 3, ink
    for number in speakers:
        assert contrast(colours["on-accent"], colours[number]) >= 4.5, number
    for one, other in itertools.combinations(["wave", *speakers], 2):
        for sight, difference in tell_apart(colours[one], colours[other]).items():
            assert difference >= 25, (one, other, sight)


def read_colour(colour: str) -> np.ndarray:
    """#rrggbb → linear red, green and blue."""
    values = np.array(list(bytes.fromhex(colour.strip().lstrip("#")))) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours #rrggbb."""
    weights = [0.2126, 0.7152, 0.0722]
    dark, light = sorted(float(read_colour(colour) @ weights) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


SIGHTS = {  # what is seen of linear red, green and blue: Machado et al., 2009, severity 1
    "all colours": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def tell_apart(one: str, other: str) -> dict[str, float]:
    """How unlike two colours #rrggbb look to each sight: their distance in CIELAB (CIE 1976)."""

    def to_lab(linear: np.ndarray) -> np.ndarray:
        relative = TO_XYZ @ np.clip(linear, 0, 1) / TO_XYZ.sum(axis=1)
        curved = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
        x, y, z = curved
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    return {
        sight: float(
            np.linalg.norm(to_lab(seen @ read_colour(one)) - to_lab(seen @ read_colour(other)))
        )
        for sight, seen in ((name, np.asarray(matrix)) for name, matrix in SIGHTS.items())
    }


def test_nothing_moves_for_who_wants_calm(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.click("#record")
    page.wait_for_selector("main[data-state=recording] #plate img")
    assert page.evaluate("document.getAnimations().length") == 0
    page.click("#cancel")
