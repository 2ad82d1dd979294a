"""What the suite measured, as text, JSON and one page: report.json and report.html.

The figures of `report.json` are those of benchmark.py; everything shown is made of them alone, so a
page or a model card can be written again from the file.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from speech2face.data.pairs import Pair, Photograph, identify_pairs, identify_photographs
from speech2face.errors import UsageError
from speech2face.evaluation.craniofacial_ratios import MEAN
from speech2face.evaluation.evaluation_set import Subjects
from speech2face.evaluation.raters import JUDGES
from speech2face.face_encoders import identify_face_encoder
from speech2face.files import write_atomically
from speech2face.provenance import Provenance, hash_rows
from speech2face.weights import hash_file

SYSTEMS = {"voice": "ours", "published": "published", "pictures": "the pictures"}
RECOGNISERS = {"sface": "SFace", "dlib": "dlib"}
SHEET = 40  # clips of the gallery

Estimated = dict[str, float | None] | None


@dataclass(frozen=True)
class Row:
    """A line of the main table: a figure of each system."""

    name: str
    figures: list[str]  # by system
    difference: str  # of the first system and the second, on the same clips
    chance: str  # what chance, or always the most frequent answer, gives


def write_report(facts: dict[str, Any], folder: Path, page: str) -> None:
    """report.json and report.html in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"report.json": json.dumps(facts, indent=2) + "\n", "report.html": page}
    for name, text in texts.items():
        with write_atomically(folder / name) as file:
            file.write(text.encode())


def describe_evaluation(
    run: Provenance,
    pairs: Sequence[Pair],
    photographs: Sequence[Photograph] = (),
    pictures: Path | None = None,
    actors: Path | None = None,
    recogniser: Path | None = None,
) -> Provenance:
    """How a report was made: what identifies the run, and all else that was measured."""
    data = dict(run.data) | {"pairs": asdict(identify_pairs(pairs))}
    if photographs:
        data["photographs"] = asdict(identify_photographs(photographs))
    for name, folder in (("pictures", pictures), ("actors", actors)):
        if folder:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            data[name] = hash_rows((str(p.relative_to(folder)), hash_file(p)) for p in files)
    if recogniser:
        data["recogniser"] = identify_face_encoder(str(recogniser))
    return replace(run, data=data)


def read_report(path: Path) -> dict[str, Any]:
    """What `write_report` wrote as JSON. Raises UsageError where it is none."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a report that can be read ({error}).") from None
    if not isinstance(facts, dict) or not {"two_way", "retrieval", "systems"} <= facts.keys():
        raise UsageError(f"{path}: not the report.json of `evaluate pairs`.")
    return facts


def tell(facts: dict[str, Any]) -> str:
    """The main table as text."""
    systems = [SYSTEMS[name] for name in facts["systems"]]
    header = ["", *systems, *(["difference"] if len(systems) > 1 else []), "chance"]
    lines = [header] + [
        [r.name, *r.figures, *([r.difference] if len(systems) > 1 else []), r.chance]
        for r in main_table(facts)
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    table = [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join(
        [
            f"{describe(facts)}",
            *table,
            f"  pictures without a face found: {facts['undetected']}; "
            f"clips left out: {facts['left_out']}",
        ]
    )


def describe(facts: dict[str, Any]) -> str:
    """Who was measured, in a line."""
    some = [  # systems that have not a picture of everybody
        f"; {SYSTEMS[name]}: {told['people']} people, {told['clips']} clips"
        for name, told in facts.get("pictures", {}).items()
        if told["clips"] < facts["clips"]
    ]
    return (
        f"{facts['people']} people, {facts['clips']} clips, {facts['folds']} folds by person, "
        f"galleries of {min(facts['galleries'])} to {max(facts['galleries'])}{''.join(some)}; "
        "95 % intervals over people"
    )


def main_table(facts: dict[str, Any]) -> list[Row]:
    """The table that matters: each system beside the others and beside chance."""
    systems, rows = facts["systems"], []
    pair, paired = " − ".join(systems[:2]), facts.get("paired", {})

    def add(name: str, figures: Sequence[Estimated], chance: str, difference: Any = None) -> None:
        if any(figures):
            rows.append(Row(name, [show(f) for f in figures], show(difference), chance))

    def difference(measure: str, judge: str) -> Estimated:
        return paired.get(measure, {}).get(f"{pair}, {judge}")

    for stratum, wins in facts["two_way"].items():
        among = "" if stratum == "everybody" else f", {stratum}"
        for judge in JUDGES:
            figures = [wins[f"{name}, {judge}"] for name in systems]
            less = facts["differences"][stratum].get(f"{pair}, {judge}")
            add(f"two-way{among}, {RECOGNISERS[judge]}", figures, ".500", less)
    for name, told in facts.get("sets", {}).items():
        for stratum, wins in told["two_way"].items():
            among = f"{name} ({told['people']})" + (
                "" if stratum == "everybody" else f", {stratum}"
            )
            for judge in JUDGES:
                figures = [wins[f"{system}, {judge}"] for system in systems]
                less = told["differences"][stratum].get(f"{pair}, {judge}")
                add(f"two-way, {among}, {RECOGNISERS[judge]}", figures, ".500", less)
        for judge in JUDGES:
            bits = [told["bits"].get(f"{system}, {judge}") for system in systems]
            bits = [one and one["histogram"] for one in bits]
            add(f"bits disclosed, {name} ({told['people']}), {RECOGNISERS[judge]}", bits, "0")
    for judge in JUDGES:
        found = [facts["retrieval"][f"{name}, {judge}"]["everybody"] for name in systems]
        within = [f["recall_at_percent"]["10"] for f in found]
        chance = _decimal(within[0]["chance"], 3)
        less = difference("recall_at_10_percent", judge)
        add(f"within 10 % of the gallery, {RECOGNISERS[judge]}", within, chance, less)
    for judge in JUDGES:
        bits = [facts["bits"][f"{name}, {judge}"]["disclosure"]["histogram"] for name in systems]
        add(f"bits disclosed, {RECOGNISERS[judge]}", bits, "0", difference("bits", judge))
    alike = facts.get("alikeness", {})  # reports were written without it before
    for judge in JUDGES:
        figures = [alike.get(name, {}).get(judge) for name in systems]
        people = f"people {show(alike.get('true', {}).get(judge), interval=False)}"
        add(f"alike, two people of one sex, {RECOGNISERS[judge]}", figures, people)
    judged = [facts["attributes"].get(f"{name} beside true") for name in systems]
    groups = [facts["probe"].get("groups", {}).get(f"{name} beside true") for name in systems]
    sexes = [one and one["sex"] for one in judged]
    bands = [one and one["age"]["bands"] for one in judged]
    for name, labels, less in (
        ("same sex, by the judge", sexes, difference("same_sex", "age_sex")),
        ("same ten years of age, by the judge", bands, None),
        ("same group, by the probe", groups, None),
    ):
        majority = next((one["majority"] for one in labels if one), None)
        add(name, [one and one["accuracy"] for one in labels], show(majority, interval=False), less)
    craniofacial = [facts["craniofacial"].get(name, {}) for name in systems]
    means = [told.get(MEAN, {}).get("r") for told in craniofacial]
    add("craniofacial r, mean of 13", means, "0", difference("craniofacial", "landmarks"))
    return rows


def strengths_table(facts: dict[str, Any]) -> list[list[str]]:
    """Our pictures at each strength and those of other systems, a column each; the header first.

    Beside them stands what people themselves are like, where there is such a figure. Empty where a
    report was written before strengths were measured.
    """
    strengths = facts.get("strengths")
    if not strengths:
        return []
    columns = list(strengths["drawn"].values())
    rows = [["", "people", *map(_name_column, strengths["drawn"])]]

    def add(name: str, people: str, figures: Sequence[Estimated], digits: int = 3) -> None:
        if any(figures):
            rows.append([name, people, *(show(figure, digits) for figure in figures)])

    recognisers = {name: name_recogniser(name) for name in facts["judges"]["recognisers"]}
    for judge, name in recognisers.items():
        people = show(facts["alikeness"]["true"].get(judge), interval=False)
        figures = [told["alikeness"].get(judge) for told in columns]
        add(f"alike, two people of one sex, {name}", people, figures)
    for stratum in columns[0]["two_way"]:
        among = "" if stratum == "everybody" else f", {stratum}"
        for judge, name in recognisers.items():
            figures = [told["two_way"][stratum][judge] for told in columns]
            add(f"two-way{among}, {name}", "", figures)
    ages = [told["age"] or {} for told in columns]
    spread = next((age["true_spread"] for age in ages if age), None)
    for name, figure, people, digits in (
        ("age, Pearson's r", "correlation", "", 3),
        ("age, years too old", "bias", "", 1),
        ("the same of people over 60", "bias_of_old", "", 1),
        ("age, deviation over people, years", "spread", show(spread, 1, interval=False), 1),
        ("the same, share of people's", "spread_share", "", 3),
    ):
        add(name, people, [age.get(figure) for age in ages], digits)
    add("same sex, by the judge", "", [told["sex"] for told in columns])
    for group in sorted({group for told in columns for group in told["groups"]}):
        found = [told["groups"].get(group) for told in columns]
        count = max(one["people"] for one in found if one)
        name = f"of {group.replace('_', ' ')} ({count} people) drawn so, by the probe"
        add(name, "", [one and one["figure"] for one in found])
    rows.append(["no face is found in", "", *(str(told["undetected"]) for told in columns)])
    return rows


def describe_strengths(facts: dict[str, Any]) -> str:
    """Which strength is measured, in a sentence or two; empty where there is but one."""
    strengths = facts.get("strengths") or {}
    if strengths.get("measured") is None:
        return ""
    return (
        f"All other figures of our pictures are at strength {strengths['measured']:g}, where a "
        f"face is drawn {strengths['typical']:g} times as far from the average face as the "
        "embedding that matches best. At strength 0 all of a fold are drawn as the average face."
    )


def _name_column(name: str) -> str:
    """'voice at 1.5' → 'ours, strength 1.5'."""
    system, at, strength = name.partition(" at ")
    return f"{SYSTEMS[system]}, strength {strength}" if at else SYSTEMS[system]


def show(estimate: Estimated, digits: int = 3, interval: bool = True) -> str:
    """'.645 [.625, .664]', or a dash where there is none."""
    if estimate is None or estimate["value"] is None:
        return "–"
    text = _decimal(estimate["value"], digits)
    low, high = estimate.get("low"), estimate.get("high")
    if not interval or low is None or high is None:
        return text
    return f"{text} [{_decimal(low, digits)}, {_decimal(high, digits)}]"


def name_score(score: str) -> str:
    """'voice, sface' → 'ours, SFace'."""
    what, by = score.split(", ") if ", " in score else (score, "")
    what = {"face": "ours from the true face", "embedding": "embeddings"}.get(
        what, SYSTEMS.get(what, what)
    )
    return f"{what}, {RECOGNISERS.get(by, by)}" if by else what


def name_recogniser(name: str) -> str:
    return RECOGNISERS.get(name, name)


def make_gallery(subjects: Subjects, seed: int = 0) -> str:
    """Forty clips, by lot: the true face, and beneath it each system's picture; JPEG as base64.

    It shows people: only for the eyes of whoever holds the data.
    """
    count = len(subjects.pairs)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:SHEET])
    side, columns = 112, 10
    lines = [[p.face for p in subjects.pairs], *subjects.systems.values()]
    height = len(lines) * side + 8
    sheet = Image.new("RGB", (columns * side, -(-len(chosen) // columns) * height), "white")
    for place, i in enumerate(chosen):
        for line, pictures in enumerate(lines):
            if not pictures[i].is_file():
                continue
            with Image.open(pictures[i]) as picture:
                small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            corner = (place % columns * side, place // columns * height + line * side)
            sheet.paste(small, corner)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=88)
    return base64.b64encode(buffer.getvalue()).decode()


def _decimal(value: float, digits: int) -> str:
    """Without the nought before the point: .645, −.02, 1.000."""
    text = f"{value:.{digits}f}".replace("-", "−")
    if not float(text.replace("−", "-")):
        text = text.lstrip("−")
    return text.replace("0.", ".", 1) if text.lstrip("−").startswith("0.") else text
