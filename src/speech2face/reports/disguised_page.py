"""The page of a disguised recording: no figure of its own, but what attackers found of others."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from speech2face.privacy.remaining_disclosure import LEAST
from speech2face.provenance import summarise
from speech2face.reports.audit_page import bullets, section, table, wrap

ADVICE = (
    "If your name must stay unknown, do not publish the voice: have the words read by another "
    "person, or by a machine (`speech2face anonymise --method resynthesis`), or publish a "
    "transcript.",
    "Keep the secret of the disguise (`--seed`) and the original to yourself: whoever has one of "
    "them can undo more.",
    "What you say, how you say it, and the sounds around you may tell more than the voice does.",
    "The last lines of this page name the files that it was made of: take them out before you pass "
    "it on, if a name says too much.",
)


def draw_disguised(facts: dict[str, Any], sentences: Sequence[str]) -> str:
    """What `single.audit_recording` gave of a disguised voice, and its sentences → HTML."""
    parts = [
        "<h1>What this disguised voice gives away of the face</h1>",
        f'<p class="soft">{facts["speech_seconds"]:.1f} s of speech; model '
        f"{escape(facts['model'])}. No picture, no name and no list of people takes part.</p>",
        _figure(facts),
        *(f'<p class="lead">{escape(sentence)}</p>' for sentence in sentences[:2]),
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences[2:-1]),
    ]
    if facts["population"]:
        parts.append(section("What attackers found of others", _NOTE, _table(facts["population"])))
    parts += [
        section("What you can do", "", bullets(ADVICE)),
        section("What this is, and is not", "", bullets(_limits(facts, sentences[-1]))),
    ]
    return wrap("What a disguised voice gives away", parts)


_NOTE = (
    "Averages over people, with 95 % intervals, of an attacker who knows the method and trained "
    "on voices of others that went through it."
)


def _figure(facts: dict[str, Any]) -> str:
    original = facts["original"]
    if not original:
        return '<p class="figure">? <small>bits of the face: this cannot be stated</small></p>'
    if original["pair"]["same"] is False:
        return '<p class="figure">? <small>bits: these seem to be two recordings</small></p>'
    if original["sounds_disguised"]:
        return '<p class="figure">? <small>bits: the original sounds disguised as well</small></p>'
    left = original["bits_left"]
    if left["bound"]:
        number, words = f"≤ {left['high']:.1f}", "bits of the face: those of the original"
    elif max(left["value"], left["high"] or 0) < LEAST:
        number, words = f"&lt; {LEAST}", "bits of the face, for whoever knows the method"
    else:
        number, words = f"{left['value']:.1f}", "bits of the face, for whoever knows the method"
        if left["low"] is not None:
            words += f", {left['low']:.1f} to {left['high']:.1f}"
    return f'<p class="figure">{number} <small>{words}</small></p>'


def _table(population: dict[str, Any]) -> str:
    def cell(found: dict[str, float], digits: int, scale: float = 1) -> str:
        value, low, high = (max(0.0, scale * found[key]) for key in ("value", "low", "high"))
        return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    rows = [
        [name, cell(population["face_bits"][when], 2), cell(error, 1, 100)]
        for name, when, error in (
            ("plain voices", "before", population["equal_error_rate"]["before"]),
            (population["method"], "after", population["equal_error_rate"]["after"]),
        )
    ]
    return table(["voices", "face, bits", "errors about the speaker, % (by chance 50)"], rows)


def _limits(facts: dict[str, Any], last: str) -> list[str]:
    disguise = facts["disguised"]
    lines = [
        "Statements on one recording were calibrated on plain voices; a disguised one is none."
    ]
    if disguise["by"] == "mark":
        lines.append(
            "That it is disguised says a mark in the file's metadata. Anybody can write one, or "
            "take one away."
        )
    if disguise["by"] == "detector":
        lines.append(
            "That it is disguised is the opinion of a classifier, which errs: docs/privacy.md says "
            "how often."
        )
    made = summarise(facts["provenance"]) if "provenance" in facts else []
    return [*lines, last, *made]
