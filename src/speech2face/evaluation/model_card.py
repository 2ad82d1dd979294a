"""The measured part of a model card: written from report.json, between two markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speech2face.errors import UsageError
from speech2face.evaluation.report import (
    SYSTEMS,
    describe,
    describe_strengths,
    main_table,
    name_score,
    show,
    strengths_table,
)
from speech2face.files import write_atomically

START = "<!-- measured: written by `speech2face evaluate card`, from report.json -->"
END = "<!-- end of measured -->"


def write_card(facts: dict[str, Any], card: Path) -> None:
    """Replace what stands between the markers; the rest of the card stays as it is."""
    text = read_card(card)
    before, rest = text.split(START)
    _, after = rest.split(END)
    with write_atomically(card) as file:
        file.write(f"{before}{START}\n{measured_part(facts)}{END}{after}".encode())


def check_card(facts: dict[str, Any], card: Path) -> bool:
    """Whether the card says what the report says."""
    measured = read_card(card).split(START)[1].split(END)[0]
    return measured.strip() == measured_part(facts).strip()


def read_card(card: Path) -> str:
    """The card's text. Raises UsageError where it has not each marker once, in order."""
    try:
        text = card.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{card}: cannot be read ({error.strerror}).") from None
    if not (text.count(START) == text.count(END) == 1 and text.index(START) < text.index(END)):
        raise UsageError(f"{card}: needs the lines {START!r} and {END!r}, once each.")
    return text


def measured_part(facts: dict[str, Any]) -> str:
    """The main table, and what only embeddings show, as Markdown."""
    several = len(facts["systems"]) > 1
    names = [SYSTEMS[name] for name in facts["systems"]]
    header = ["", *names, *(["difference"] if several else []), "chance"]
    lines = [f"{describe(facts)}.", "", _line(header), "|" + "--|" * len(header)]
    for row in main_table(facts):
        cells = [row.name, *row.figures, *([row.difference] if several else []), row.chance]
        lines.append(_line(cells))
    if table := strengths_table(facts):
        header, *rows = table
        lines += ["", f"By strength. {describe_strengths(facts)}".strip(), ""]
        lines += [_line(header), "|" + "--|" * len(header), *map(_line, rows)]
    wins = facts["two_way"]["everybody"]
    if "embedding, likelihood ratio" in wins:
        lines += [
            "",
            "On embeddings, without a picture: two-way "
            f"{show(wins['embedding, likelihood ratio'])} by likelihood ratio, "
            f"{show(wins['embedding, cosine'])} by cosine. From the true face, what the decoder "
            f"loses: {show(wins['face, dlib'])} by dlib, {show(wins['face, sface'])} by SFace.",
        ]
    if "length" in facts:
        lengths = (
            f"{name if name == 'everything' else name + ' s'} {show(told['two_way'])}"
            for name, told in facts["length"].items()
        )
        lines += ["", f"By length, likelihood ratio: {', '.join(lengths)}."]
    if "robustness" in facts:
        worse = (f"{name} {show(told['two_way'])}" for name, told in facts["robustness"].items())
        lines += ["", f"After degradation, of some clips: {', '.join(worse)}."]
    worst = [
        f"{told['worst']} {show(told['groups'][told['worst']]['figure'])} ({name_score(name)})"
        for name, told in facts["fairness"].items()
        if told["worst"] and name != "embedding, cosine"
    ]
    if worst:
        lines += ["", f"Lowest of the groups of ten people or more: {'; '.join(worst)}."]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
