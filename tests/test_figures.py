"""Figures in README, cards and docs: each is a measured one, and the pages are up to date."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FIGURE = re.compile(
    r"(?<![\w.])\.\d{2,3}\b|\b\d[\d,.]* (?:[kMG]i?B|ms)\b|\b\d+ of 100\b|\d times as"
)


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_figures", ROOT / "scripts" / "write_figures.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()
FIGURES = SCRIPT.read_figures()


def test_pages_say_what_was_measured():
    assert SCRIPT.find_old(FIGURES) == []


def test_a_page_of_other_figures_is_found_and_written_anew(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("of 100\n times: right 12 of\n100 times, a coin 50")
    monkeypatch.setattr(SCRIPT, "ROOT", tmp_path)
    pieces = ["right {ratio:%} of 100 times"]
    text, changed = SCRIPT.fill("README.md", pieces, {"ratio": {"value": 0.8651}})
    assert changed == ["right 12 of 100 times → right 87 of 100 times"]
    assert text == "of 100\n times: right 87 of\n100 times, a coin 50"


def test_a_sentence_that_is_gone_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("nothing")
    monkeypatch.setattr(SCRIPT, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="stands 0 times"):
        SCRIPT.fill("README.md", ["right {ratio:%} of 100"], {"ratio": {"value": 0.8651}})


@pytest.mark.parametrize(
    ("value", "form", "words"),
    [
        ({"value": 0.8351, "low": 0.823, "high": 0.847}, "3", ".835 [.823, .847]"),
        ({"value": 0.8351, "low": 0.823, "high": 0.847}, "3%", ".835"),
        ({"value": -0.34, "low": -1.12, "high": 0.41}, "1", "−.3 [−1.1, .4]"),
        ({"value": 1090}, "", "1,090"),
        ({"value": 0.8651}, "%", "87"),
        ({"value": 2.31}, "1", "2.3"),
        ({"value": -19.7, "low": -22.0, "high": -17.0}, "abs", "20"),
    ],
)
def test_figures_are_written_in_one_way(value, form, words):
    assert SCRIPT.write_figure(value, form) == words


def test_no_figure_of_the_readme_stands_by_itself():
    """Whatever looks like a score, a size or a speed there is one of the figures."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    text = re.sub(r"(chance|chance is|same face \|| \|) \.500", "", text)
    for piece in SCRIPT.read_definitions()["pages"]["README.md"]:
        text = text.replace(SCRIPT.fill_piece(piece, FIGURES), "")
    assert FIGURE.findall(text) == []
