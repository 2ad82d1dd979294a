"""Disguising a voice on the page that works in the browser, held to Python's anonymisers."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from helpers.node import run_node_tests
from helpers.page_browser import drop, open_page, serve_files, wait_for, wait_for_text
from helpers.page_golden import encode_wav, make_recordings
from helpers.sounds import EXAMPLES, RATE
from speech2face.media import load_audio, stream_audio
from speech2face.metrics.audit_results import Disguise, StatedBits
from speech2face.privacy.anonymise_recording import write_sound
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.attack_table import choose_default, load_table
from speech2face.privacy.chunking import cut_pieces
from speech2face.privacy.disguise_metadata import TAG, find_mark, make_mark
from speech2face.privacy.remaining_disclosure import find_attack, state_bits_left
from speech2face.reports.render import render_blocks
from speech2face.serving.static_page import OFFERED, WEB, WORLD, describe_method

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SEEDS = (0, 5, 20_931)
BITS = (StatedBits(1.25, 1.1, 1.4), StatedBits(0.04, 0.0, 0.09), StatedBits(2.0, None, None))
REMAINS = ("population", "bits_left", "lower_bound")  # blocks of the template
KINDS = ("button", "link", "radio", "slider", "switch", "combobox", "checkbox", "textbox")
FOCUS = """() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return {id: element.id, tag: element.tagName, words: element.value ?? element.innerText,
        outline: style.outlineStyle, top: box.top + scrollY};
}"""
LONG = """async () => {
    const load = (path) => import(new URL(path, location));
    const [{ disguise }, { encodeWav }] = [await load("device/engine.js"), await load("wav.js")];
    const recording = encodeWav([new Float32Array(8000 * 60 * 31)], 8000);
    const { signal } = new AbortController();
    return disguise(recording, "vocoder", signal, () => {}).catch((error) => error.message);
}"""


# In Node.js


def test_the_page_disguises_as_python_does(tmp_path: Path) -> None:
    pytest.importorskip("pyworld", reason="needs the extra: pip install '.[audit]'")
    shutil.copytree(WEB, tmp_path / "web")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    cases = tmp_path / "cases"
    cases.mkdir()
    methods = {method: describe_method(method) for method in OFFERED}
    (cases / "cases.json").write_text(
        json.dumps(
            {
                "disguised": make_disguised(cases),
                **make_pieces(cases),
                "spectra": make_spectra(),
                **make_files(cases),
                "methods": methods,
                "remains": [
                    {"method": m, "before": describe_bits(bits), "said": describe_remains(m, bits)}
                    for m in OFFERED
                    for bits in BITS
                ],
            }
        )
    )
    places = {"WEB": tmp_path / "web", "WORLD": WORLD, "CASES": cases}
    tests = [Path(__file__).parent / "device/disguise.test.mjs"]
    assert run_node_tests(tests, places) >= len(OFFERED) * len(SEEDS) + 8


def make_disguised(folder: Path) -> list[dict[str, Any]]:
    emma, george = (
        soundfile.read(EXAMPLES / f"{name}.flac", dtype="float32")[0] for name in ("emma", "george")
    )
    sounds = {
        "emma": emma[:RATE],
        "george": george[RATE : 2 * RATE + 77],
        "a moment": emma[8000:9000],
        "silence": np.zeros(RATE // 2, np.float32),
    }
    cases = []
    for name, sound in sounds.items():
        sound.tofile(folder / name)
        for method in OFFERED:
            for seed in SEEDS if name == "emma" else SEEDS[-1:]:
                made = f"{name}, {method}, {seed}"
                load_anonymiser(method)(sound, seed).tofile(folder / made)
                cases.append({"sound": name, "method": method, "seed": seed, "made": made})
    return cases


def make_pieces(folder: Path) -> dict[str, Any]:
    """Sound with pauses here and there, and where Python cuts it."""
    random = np.random.default_rng(0)
    sound = random.normal(0, 0.1, 50 * RATE).astype(np.float32)
    for start in random.integers(0, len(sound), 8):
        sound[start : start + RATE // 10] *= 0.01
    sound.tofile(folder / "long")
    ends, start = [], 0
    for piece in cut_pieces(np.array_split(sound, 60)):
        ends.append([start, start + len(piece)])
        start += len(piece) - RATE // 50
    assert len(ends) > 2
    return {"long": "long", "pieces": ends}


def make_spectra() -> list[dict[str, list[float]]]:
    random = np.random.default_rng(0)
    made = []
    for count in (2, 6, 10, 64, 2 * 3 * 3 * 5, 4 * 49, 8 * 79):
        numbers = random.normal(size=count)
        lines = np.fft.rfft(numbers)
        parts = {"real": lines.real.tolist(), "imaginary": lines.imag.tolist()}
        made.append({"numbers": numbers.tolist(), **parts})
    return made


def make_files(folder: Path) -> dict[str, Any]:
    sound = np.random.default_rng(0).normal(0, 0.5, 1000).astype(np.float32)
    sound.tofile(folder / "short")
    files = []
    for method in OFFERED:  # of odd and of even length
        tags = make_mark(method)
        write_sound([sound], folder / f"{method}.wav", tags)
        files.append({"comment": tags[TAG], "file": f"{method}.wav"})
    return {"short": "short", "files": files}


def describe_bits(bits: StatedBits) -> dict[str, float | None]:
    return {"bits": bits.value, "low": bits.low, "high": bits.high}


def describe_remains(method: str, bits: StatedBits) -> list[str]:
    """What `speech2face audit --original` says."""
    original = SimpleNamespace(
        bits=bits,
        bits_left=state_bits_left(bits, method),
        sounds_disguised=False,
        pair=SimpleNamespace(same=True),
    )
    disguise = Disguise("mark", method, 1.0)
    voice = SimpleNamespace(
        disguised=disguise,
        population=find_attack(method),
        calibrated_on=int(bits.low is not None),
        speakers=(),
        speaker=None,
    )
    blocks = render_blocks("disguised_disclosure.txt", voice=voice, original=original, people="")
    return [blocks[name] for name in REMAINS]


def test_the_page_offers_what_was_measured_and_begins_with_the_best_rule() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    offered = re.findall(r'name="method" value="([\w-]+)"[^>]*?( checked)?>', page)
    assert tuple(name for name, _ in offered) == OFFERED
    (first,) = (name for name, checked in offered if checked)
    table = load_table()
    assert first == choose_default(table, OFFERED)
    for method in OFFERED:
        facts = describe_method(method)
        assert facts["share_kept"]["value"] == table[method].share_kept.value
        assert facts["speaker_errors"] == table[method].equal_error_rate.value
        assert f"voices changed by {method}" in facts["attack"]


# In Chromium


def press_tab_to(page: Page, selector: str) -> None:
    """By Tab alone, always onwards, to an element, which has to look focused."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            assert page.evaluate(FOCUS)["outline"] == "solid", selector
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def check_names(page: Page) -> set[str]:
    """The names of all controls, by the browser's tree for screen readers; each must have one."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    names = [
        node["name"]["value"].strip()
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in KINDS
    ]
    assert all(names), names
    return set(names)


def check_order(page: Page) -> list[str]:
    """Ids of all that Tab reaches, from the top on; what comes later is never far above."""
    page.focus("nav a")
    reached = [page.evaluate(FOCUS)]
    for _ in range(60):
        page.keyboard.press("Tab")
        place = page.evaluate(FOCUS)
        if place["tag"] == "BODY" or place in reached:
            break
        reached.append(place)
    columns = 700  # px: two cards stand beside each other
    for before, after in itertools.pairwise(reached):
        assert after["top"] > before["top"] - columns, (before, after)
    return [place["id"] for place in reached]


def choose(page: Page, selector: str, key: str) -> None:
    """By a key on what Tab leads to, until another face has come of it."""
    press_tab_to(page, selector)
    before = page.get_attribute("#download", "href")
    page.keyboard.press(key)
    page.wait_for_selector(f"#download:not([href='{before}'])")
    wait_for(page, "result")


def save_disguised(page: Page, path: Path) -> Path:
    press_tab_to(page, "#disguise-save")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == path.name
    download.value.save_as(path)
    return path


def disguise(page: Page) -> None:
    """By Enter on the button that has the focus."""
    page.keyboard.press("Enter")
    wait_for_text(page, "#disguise-status", "The voice is disguised")


@pytest.mark.slow
def test_the_keyboard_alone_draws_chooses_disguises_and_saves(
    folder: Path, context: BrowserContext, tmp_path: Path
) -> None:
    sound, rate = make_recordings()["two speakers"]
    two = tmp_path / "a name that says who speaks.wav"
    two.write_bytes(encode_wav(sound, rate, "a comment that says who speaks"))
    requests: list[str] = []
    complaints: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda message: complaints.append(message.text))
    with serve_files(folder) as (address, _):
        page = context.new_page()
        page.on("filechooser", lambda _: None)  # told from now on, not from the key press on
        open_page(page, address)
        assert check_names(page) >= {"Record", "Choose a file", "Distance from the average", "Hair"}
        press_tab_to(page, "#choose")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files(two)
        wait_for(page, "result")
        wait_for_text(page, "#speakers", "2 people speak")
        page.wait_for_selector("#play")  # the browser knows how to play it
        assert page.evaluate(FOCUS)["id"] == "record"  # what had the focus was hidden meanwhile
        names = check_names(page)
        assert names >= {"Play", "Cartoon", "Download", "Disguise the voice"}
        assert any(name.startswith("Speaker 2") for name in names)
        left = f"{100 * load_table()['pitch-formant'].share_kept.value:.0f}"
        assert any(name.startswith("Another pitch") and left in name for name in names)
        order = check_order(page)
        wanted = ("play", "record", "strength", "hair", "cartoon", "download", "disguise-start")
        assert [name for name in order if name in wanted] == [*wanted]

        press_tab_to(page, "#play")
        page.keyboard.press("Enter")
        wait_for_text(page, "#play", "Stop playing")
        choose(page, "[name=speaker]", "ArrowDown")
        assert "Speaker 2." in page.inner_text("#caption")
        choose(page, "#strength", "ArrowRight")
        choose(page, "#hair", "ArrowDown")
        assert page.input_value("#hair") == "none"
        choose(page, "#cartoon", "Space")

        press_tab_to(page, "[href='#disguise']")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUS)["words"] == "whisper"  # the link leads to the methods
        page.keyboard.press("ArrowDown")
        press_tab_to(page, "#disguise-start")
        page.keyboard.press("Enter")
        press_tab_to(page, "#disguise-cancel")
        page.keyboard.press("Enter")
        wait_for_text(page, "#disguise-status", "Cancelled.")
        assert page.is_hidden("#disguised")
        assert page.evaluate(FOCUS)["id"] == "disguise-start"
        disguise(page)
        assert page.evaluate(FOCUS)["id"] == "disguise-start"
        assert "of the face of speaker 2" in page.inner_text("#bits-before")
        assert "voices changed by pitch-formant still gets" in page.inner_text("#bits-after")
        for player in ("play-original", "play-disguised"):
            page.wait_for_selector(f"#{player}")
            press_tab_to(page, f"#{player}")
            page.keyboard.press("Enter")
            wait_for_text(page, f"#{player}", "Stop playing")
        assert "original" in page.inner_text("#play-original")  # one is heard at a time
        saved = save_disguised(page, tmp_path / "disguised-pitch-formant.wav")
        press_tab_to(page, "#record")  # around and on
        press_tab_to(page, "#disguise-start")
        disguise(page)
        other = save_disguised(page, tmp_path / "again" / saved.name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        drop(page, saved)
        wait_for_text(page, "#confidence", "a disguised voice, made by the method pitch-formant")
        wait_for(page, "result")
        assert "Among 1,000 strangers" not in page.inner_text("#confidence")
        page.click("#disguise-start")
        wait_for_text(page, "#bits-after", "disguised already")
        assert not re.search(
            r"\d", page.inner_text("#bits-before") + page.inner_text("#bits-after")
        )
        refused = page.evaluate(LONG)
        assert refused.startswith("It lasts 31 minutes; this page disguises 30 at most. Cut it")
    check_saved(saved, other, sound)
    assert {url.split("/")[2] for url in requests if url.startswith("http")} == {
        address.split("/")[2]
    }
    assert complaints == []


def check_saved(saved: Path, other: Path, sound: np.ndarray) -> None:
    """A file has the mark and no other tag, the length of its recording, and a voice of its own."""
    stream = stream_audio(saved)
    assert sum(map(len, stream)) == len(sound)
    assert stream.tags == make_mark("pitch-formant")
    assert find_mark(stream.tags)
    assert b"says who speaks" not in saved.read_bytes()
    one, two = (load_audio(path).samples for path in (saved, other))
    assert np.sqrt(np.mean((one - two) ** 2)) > 0.01
    assert np.sqrt(np.mean(one**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.1)
