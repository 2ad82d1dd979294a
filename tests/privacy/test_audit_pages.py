"""The pages: whole, without scripts, without names, whatever the facts are."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from speech2face.privacy.attackers import ATTACKERS
from speech2face.privacy.audit import tell as tell_population
from speech2face.privacy.page import draw_recording
from speech2face.privacy.population_page import draw_population
from speech2face.privacy.single import tell


def recording(**other: Any) -> dict[str, Any]:
    return {
        "version": "1",
        "model": "a<b",
        "calibrated_on": 775,
        "speech_seconds": 6.3,
        "warnings": [],
        "noisy": False,
        "telephone": False,
        "bits": {"value": 1.6, "low": 1.4, "high": 1.8},
        "parts": {"sex": 0.8, "age": 0.1, "everything else": 0.7},
        "strangers": 1000,
        "mean_place": 160,
        "places": {"10 %": 12, "50 %": 95, "90 %": 420},
        "curve": [{"seconds": 0.5, "bits": 0.7}, {"seconds": 6.3, "bits": 1.6}],
        "average_voice": [{"seconds": t, "bits": 1.5} for t in (0.5, 3, 10)],
    } | other


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
    for words in ("1.6", "1.4 to 1.8", "among the 160 most likely", "At least 56 % of that"):
        assert words in page


@pytest.mark.parametrize(
    "other",
    [
        {"parts": {"sex": None, "age": None, "everything else": None}, "calibrated_on": 0},
        {"bits": {"value": 0.0, "low": 0.0, "high": 0.0}, "noisy": True},
        {"curve": [{"seconds": 0.5, "bits": 9.0}], "mean_place": 1},
        {"places": {"10 %": 1, "50 %": 1, "90 %": 1}, "telephone": True},
    ],
)
def test_odd_facts_are_drawn_too(other: dict[str, Any]):
    facts = recording(**other)
    check(draw_recording(facts, tell(facts)))


@pytest.mark.parametrize("methods", [(), ("one",), ("one", "two", "three", "four")])
def test_a_populations_page(methods: tuple[str, ...]):
    facts = population(*methods)
    page = draw_population(facts)
    check(page)
    assert "not &lt;installed&gt;" in page
    for method in methods:
        assert f"{method}, semi-informed" in page
        assert method in tell_population(facts)


def test_a_method_that_hides_nothing_is_not_praised():
    assert "hides the most: 75 %" in draw_population(population("one"))
    assert "None of the methods" in draw_population(population("one", left=1.19))
