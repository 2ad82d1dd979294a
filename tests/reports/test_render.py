"""Templates: what fills them is escaped, and is all there; pages stand alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from speech2face.errors import UsageError
from speech2face.metrics.intervals import Estimate
from speech2face.reports import render
from speech2face.reports.number_words import format_estimate, format_settings, format_share
from speech2face.run_provenance import DataIdentity, describe

TEMPLATES = Path(render.__file__).parent / "templates"


def fill(text: str, **values: object) -> str:
    """A template given as text, in which the macros are `page`."""
    template = render.environment().from_string('{% import "macros.html" as page %}' + text)
    return template.render(values)


def test_text_is_escaped_and_code_is_marked():
    assert fill("{{ x }}", x="a<b & 'c'") == "a&lt;b &amp; &#39;c&#39;"
    assert "<li>run <code>a &lt;b&gt;</code></li>" in fill(
        "{{ page.bullets(x) }}", x=["run `a <b>`"]
    )
    table = fill("{{ page.table(h, r) }}", h=["<x>", ""], r=[["<head>"], ["1", "<2>"]])
    assert '<tr><th colspan="2">&lt;head&gt;</th></tr>' in table
    assert "<td>1</td><td>&lt;2&gt;</td>" in table
    assert '<th scope="col">&lt;x&gt;</th>' in table


def test_what_a_template_wraps_is_not_escaped_twice():
    made = fill('{% call page.section("A < b", "c") %}<b>{{ x }}</b>{% endcall %}', x="<")
    assert "<h2>A &lt; b</h2>" in made
    assert "<b>&lt;</b>" in made
    made = fill('{% call page.figure("t") %}<svg></svg>{% endcall %}')
    assert "<figcaption>t</figcaption>\n<svg></svg>" in made


def test_the_base_of_pages_holds_its_style():
    template = render.environment().from_string(
        '{% extends "base.html" %}{% block title %}{{ x }}{% endblock %}'
        "{% block kind %}wide{% endblock %}{% block content %}<h1>{{ x }}</h1>{% endblock %}"
    )
    page = template.render(x="a < b")
    assert page.startswith("<!doctype html>")
    assert "<title>a &lt; b</title>" in page
    assert '<body class="wide">' in page
    assert "<h1>a &lt; b</h1>" in page
    assert (TEMPLATES / "report.css").read_text().strip() in page


def test_what_nobody_gave_is_an_error():
    with pytest.raises(UndefinedError):
        fill("{{ missing }}")
    with pytest.raises(UndefinedError):
        fill("{{ x.missing }}", x={"given": 1})


def test_provenance_reads_alike_from_a_result_and_from_json():
    sets = [DataIdentity("d1", 2, 3), DataIdentity("d2", 4, 5)]
    data = {"pairs": DataIdentity("d0", 6, 8, {}, sets), "weights": "w<"}
    made = describe({"seed": 1, "name": "ä"}, data)
    text = fill("{{ page.provenance(made) }}", made=made)
    assert text == fill("{{ page.provenance(made) }}", made=json.loads(json.dumps(asdict(made))))
    assert (
        "<li>Data, by content: pairs d0 (6 people, 8 clips or pictures), of d1 (2 people, 3 clips "
        "or pictures) and d2 (4 people, 5 clips or pictures); weights w&lt;.</li>"
    ) in text
    assert "<li>Settings: seed 1; name ä.</li>" in text


def test_settings_are_told_in_words():
    settings = {"loop": {"warm_up": 0.5, "balance": False}, "tuned": ["a", "b"], "tuning": None}
    words = "loop warm up 0.5; loop balance no; tuned a, b; tuning none"
    assert format_settings(settings) == words
    assert format_settings({}) == ""
    assert format_settings({"stages": [{"steps": 3}], "on": True}) == "stages (steps 3); on yes"


def test_estimates_are_shown_with_their_intervals():
    estimate = Estimate(0.1234, 0.1, 0.2)
    assert format_estimate(estimate) == "0.12 [0.10, 0.20]"
    assert fill("{{ x | estimate(1, 100) }}", x=estimate) == "12.3 [10.0, 20.0]"


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.02, "2 %"), (0.33, "about a third (33 %)"), (1, "about nearly all (100 %)")],
)
def test_shares_in_words(share: float, words: str):
    assert format_share(share) == words


def test_templates_ask_for_nothing_from_elsewhere():
    for path in TEMPLATES.iterdir():
        # The leaderboard's own script sorts its table; it fetches nothing.
        own = {"leaderboard.html": "<script>"}.get(path.name, "")
        text = path.read_text().replace(own, "", 1) if own else path.read_text()
        asked = ("<script", "http:", "https:", "url(", "@import", "fetch(", "import(")
        assert not any(word in text for word in asked), path


def test_a_page_is_not_written_over(tmp_path: Path):
    target = tmp_path / "page.html"
    render.write_page("one", target)
    with pytest.raises(UsageError, match="--force"):
        render.write_page("two", target)
    render.write_page("three", target, force=True)
    assert target.read_text() == "three"


@pytest.mark.parametrize("name", ["r.txt", "report", "page.html.gz", "page.pdf"])
def test_a_page_has_a_pages_name(name: str, tmp_path: Path):
    with pytest.raises(UsageError, match=r"end the name in \.html"):
        render.write_page("one", tmp_path / name)
    assert not any(tmp_path.iterdir())
    for ending in ("HTML", "htm"):
        render.write_page("one", tmp_path / f"page.{ending}")
