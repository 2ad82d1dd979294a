"""The pages: whole, without scripts, without names, whatever the facts are."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from speech2face.privacy.attackers import ATTACKERS
from speech2face.privacy.audit_population import tell as tell_population
from speech2face.privacy.audit_recording import tell
from speech2face.privacy.remaining_disclosure import state_bits_left, state_population
from speech2face.reports.audit_page import draw_recording
from speech2face.reports.disguised_page import draw_disguised
from speech2face.reports.population_page import draw_population


def recording(**other: Any) -> dict[str, Any]:
    return {
        "version": "1",
        "model": "a<b",
        "calibrated_on": 775,
        "speech_seconds": 6.3,
        "warnings": [],
        "noisy": False,
        "telephone": False,
        "disguised": {"by": None, "method": None, "probability": 0.01},
        "population": None,
        "bits_if_plain": None,
        "original": None,
        "bits": {"value": 1.6, "low": 1.4, "high": 1.8},
        "parts": {"sex": 0.8, "age": 0.1, "everything else": 0.7},
        "strangers": 1000,
        "mean_place": 160,
        "places": {"10 %": 12, "50 %": 95, "90 %": 420},
        "curve": [{"seconds": 0.5, "bits": 0.7}, {"seconds": 6.3, "bits": 1.6}],
        "average_voice": [{"seconds": t, "bits": 1.5} for t in (0.5, 3, 10)],
    } | other


def disguised(by: str = "mark", method: str | None = "whisper", **other: Any) -> dict[str, Any]:
    return recording(
        disguised={"by": by, "method": method, "probability": 0.9},
        population=state_population(method),
        bits=None,
        bits_if_plain=1.6,
        parts=dict.fromkeys(("sex", "age", "everything else")),
        mean_place=None,
        places=None,
        curve=[],
        average_voice=[],
        **other,
    )


def original(method: str | None, same: bool | None = True) -> dict[str, Any]:
    bits = {"value": 2.0, "low": 1.7, "high": 2.3}
    return {
        "bits": bits,
        "warnings": [],
        "sounds_disguised": False,
        "pair": {"same": same, "correlation": 0.97, "seconds": [5.0, 5.1]},
        "bits_left": state_bits_left(bits, method),
    }


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def attacked(bits: float, error: float) -> dict[str, Any]:
    face = {
        "people": 100,
        "bits": estimate(bits),
        "two_way": estimate(0.7),
        "of_people": [bits + k / 10 - 1 for k in range(21)],
    }
    voice = {"people": 50, "equal_error_rate": estimate(error), "linkability": estimate(0.4)}
    return {"face": face, "voice": voice, "face_bits_hidden": estimate(1.2 - bits)}


def population(*methods: str, left: float = 0.3) -> dict[str, Any]:
    return {
        "version": "1",
        "people": 100,
        "clips": 110,
        "speakers": 50,
        "folds": 5,
        "seed": 0,
        "before": attacked(1.2, 0.02),
        "methods": {
            name: {
                "cost": 0.1 * number,
                "attackers": {a: attacked(left, 0.15) for a in ATTACKERS},
            }
            for number, name in enumerate(methods)
        },
        "left_out": {"slow": "not <installed>"},
    }


class Reader(HTMLParser):
    """Counts tags that are opened and not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass


def check(page: str) -> None:
    assert Reader(page).open == []
    assert not re.search(r"<script|https?://|src=|<img|url\(|nan|None", page)


def test_a_recordings_page_says_its_figures():
    facts = recording()
    page = draw_recording(facts, tell(facts))
    check(page)
    assert "a&lt;b" in page
    for words in ("1.6", "1.4 to 1.8", "at place 160 on average", "At least 56 % of that"):
        assert words in page
    assert "10 bits would single out one person of 1,000" in page
    assert "<code>speech2face audit --pairs</code>" in page


@pytest.mark.parametrize(
    "other",
    [
        {
            "parts": {"sex": None, "age": None, "everything else": None},
            "calibrated_on": 0,
            "bits": {"value": 1.6, "low": None, "high": None},
        },
        {"bits": {"value": 0.0, "low": 0.0, "high": 0.0}, "noisy": True},
        {"curve": [{"seconds": 0.5, "bits": 9.0}], "mean_place": 1},
        {"places": {"10 %": 1, "50 %": 1, "90 %": 1}, "telephone": True},
    ],
)
def test_odd_facts_are_drawn_too(other: dict[str, Any]):
    facts = recording(**other)
    check(draw_recording(facts, tell(facts)))


def test_a_model_that_was_not_calibrated_gives_no_interval():
    facts = recording(calibrated_on=0, bits={"value": 1.6, "low": None, "high": None})
    sentences = tell(facts)
    assert sentences[0].endswith("about 1.6 bits of the speaker's face.")
    assert any("speech2face calibrate" in sentence for sentence in sentences)
    page = draw_recording(facts, sentences)
    assert "which was not checked" in page
    assert "Its statements may be too great." in page


@pytest.mark.parametrize(
    ("by", "method", "words"),
    [
        ("mark", "whisper", "The file's mark says that this is a disguised voice, made by the met"),
        ("mark", "command", "made by another program"),
        ("mark", "several", "disguised more than once"),
        ("option", None, "You say that this is a disguised voice."),
        ("detector", None, "sounds like a disguised voice: it carries no mark"),
    ],
)
def test_of_a_disguised_voice_no_bits_are_stated(by: str, method: str | None, words: str):
    facts = disguised(by, method)
    sentences = tell(facts)
    page = draw_disguised(facts, sentences)
    check(page)
    assert words in sentences[0]
    assert "cannot be stated" in sentences[1]
    assert "cannot be stated" in page
    assert "1.6" not in " ".join(sentences) + page
    known = method == "whisper"
    assert ("about half (55 %)" in page) == ("What attackers found" in page) == known
    assert ("was not measured" in page) != known


def test_beside_its_original_an_estimate_or_a_bound_is_stated():
    facts = disguised(original=original("whisper"))
    sentences = " ".join(tell(facts))
    assert "The original discloses about 2.0 bits of the speaker's face (1.7 to 2.3)." in sentences
    assert "would still get about 1.1 of these bits (0.9 to 1.3)" in sentences
    check(draw_disguised(facts, tell(facts)))
    facts = disguised("option", None, original=original(None))
    assert "at most as much of it as of the original: 2.3 bits" in " ".join(tell(facts))
    page = draw_disguised(facts, tell(facts))
    check(page)
    assert "≤ 2.3" in page


@pytest.mark.parametrize(
    ("same", "words"), [(False, "do not seem to be"), (None, "could not be checked")]
)
def test_recordings_that_do_not_belong_together_are_named(same: bool | None, words: str):
    facts = disguised(original=original("whisper", same))
    assert words in " ".join(tell(facts))
    check(draw_disguised(facts, tell(facts)))


@pytest.mark.parametrize("methods", [(), ("one",), ("one", "two", "three", "four")])
def test_a_populations_page(methods: tuple[str, ...]):
    facts = population(*methods)
    page = draw_population(facts)
    check(page)
    assert "not &lt;installed&gt;" in page
    for method in methods:
        assert page.count(f'<th colspan="6">{method}</th>') == 1
        assert method in tell_population(facts)


@pytest.mark.parametrize(
    ("error", "words"), [(0.1, "still finds"), (0.3, "sometimes finds"), (0.45, "hardly finds")]
)
def test_how_surely_speakers_are_found_is_said(error: float, words: str):
    facts = population("one")
    facts["methods"]["one"]["attackers"]["semi-informed"] = attacked(0.3, error)
    page = draw_population(facts)
    assert f"A verifier {words} the speaker" in page
    assert ("Do not rely on one" in page) == (error < 0.2)


def test_names_beside_points_stay_inside_and_cover_no_point():
    names = ("one", "two", "three", "four")
    page = draw_population(population(*names))
    drawing = page.split("Words lost, and bits left")[2].split("</figure>")[0]
    points = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawing)]
    assert len(points) == 1 + len(names)
    for name in names:
        (found,) = re.findall(rf'<text x="([\d.]+)"[^>]*anchor="(\w+)">{name}<', drawing)
        start = float(found[0]) - (7 * len(name) if found[1] == "end" else 0)
        assert start >= 0
        assert start + 7 * len(name) <= 620
        assert not any(start < x < start + 7 * len(name) for x in points)


def test_a_method_that_hides_nothing_is_not_praised():
    assert "hides the most: 75 %" in draw_population(population("one"))
    assert "None of the methods" in draw_population(population("one", left=1.19))


@pytest.mark.parametrize(("same", "sounds_disguised"), [(False, False), (True, True)])
def test_no_figure_heads_the_page_where_the_original_is_in_doubt(
    same: bool, sounds_disguised: bool
):
    facts = disguised(original=original("whisper", same) | {"sounds_disguised": sounds_disguised})
    page = draw_disguised(facts, tell(facts))
    check(page)
    assert '<p class="figure">?' in page


def test_what_is_next_to_nothing_is_not_said_to_be_none():
    facts = disguised(method="resynthesis", original=original("resynthesis", same=None))
    assert "next to nothing of them, less than 0.05 bits" in " ".join(tell(facts))
    page = draw_disguised(facts, tell(facts))
    check(page)
    assert "&lt; 0.05" in page
