"""The main table of an evaluation, and that of strengths: for the terminal, the card, the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from speech2face.metrics.evaluation_results import (
    RECOGNISERS,
    Difference,
    DrawnPictures,
    EvaluationReport,
)
from speech2face.metrics.intervals import Estimate
from speech2face.reports.evaluation_words import (
    STRATA,
    SYSTEMS,
    format_figure,
    format_number,
    name_label,
    name_rater,
)

CHANCE = ".500"  # of two-way matching


@dataclass(frozen=True)
class Row:
    """A line of the main table: a figure of each system."""

    name: str
    figures: list[str]  # by system
    difference: str  # of the first system and the second, on the same clips
    chance: str  # what chance, or always the most frequent answer, gives


def format_summary(report: EvaluationReport) -> str:
    """The main table as text."""
    several = len(report.systems) > 1
    header = ["", *(SYSTEMS[name] for name in report.systems)]
    lines = [[*header, *(["difference"] if several else []), "chance"]] + [
        [row.name, *row.figures, *([row.difference] if several else []), row.chance]
        for row in main_table(report)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join(
        [
            describe_clips(report),
            *table,
            f"  pictures without a face found: {describe_undetected(report)}; "
            f"clips left out: {report.left_out}",
        ]
    )


def describe_clips(report: EvaluationReport) -> str:
    """One line on the clips and people that were measured."""
    some = [  # systems that have not a picture of everybody
        f"; {SYSTEMS[name]}: {count.people} people, {count.clips} clips"
        for name, count in report.pictures.items()
        if count.clips < report.clips
    ]
    return (
        f"{report.people} people, {report.clips} clips, {report.folds} folds by person, "
        f"galleries of {min(report.galleries)} to {max(report.galleries)}{''.join(some)}; "
        "95 % intervals over people"
    )


def describe_undetected(report: EvaluationReport) -> str:
    return ", ".join(f"{SYSTEMS[name]} {count}" for name, count in report.undetected.items())


def main_table(report: EvaluationReport) -> list[Row]:
    """The table that matters: each system beside the others and beside chance."""
    return [
        *_matching_rows(report),
        *_set_rows(report),
        *_retrieval_rows(report),
        *_bits_rows(report),
        *_alikeness_rows(report),
        *_label_rows(report),
        *_craniofacial_rows(report),
    ]


def strengths_table(report: EvaluationReport) -> list[list[str]]:
    """Our pictures at each strength and those of other systems, a column each; the header first.

    Beside them stands what people themselves are like, where there is such a figure.
    """
    drawn = report.strengths.pictures
    rows = [["", "people", *map(_name_column, drawn)]]

    def add(name: str, people: str, figures: Sequence[Estimate | None], digits: int = 3) -> None:
        if any(figures):
            rows.append([name, people, *(format_figure(figure, digits) for figure in figures)])

    for rater in report.raters.recognisers:
        people = format_figure(report.alikeness["ground_truth"].get(rater), interval=False)
        figures = [one.alikeness.get(rater) for one in drawn]
        add(f"alike, two people of one sex, {name_rater(rater)}", people, figures)
    for stratum in drawn[0].two_way:
        for rater in report.raters.recognisers:
            figures = [one.two_way[stratum][rater] for one in drawn]
            add(f"two-way{_among(stratum)}, {name_rater(rater)}", "", figures)
    ages = [one.age for one in drawn]
    spread = next((age.true_spread for age in ages if age), None)
    for name, figure, people, digits in (
        ("age, Pearson's r", "correlation", "", 3),
        ("age, years too old", "bias", "", 1),
        ("the same of people over 60", "bias_of_old", "", 1),
        ("age, deviation over people, years", "spread", format_figure(spread, 1, False), 1),
        ("the same, share of people's", "spread_share", "", 3),
    ):
        add(name, people, [getattr(age, figure) if age else None for age in ages], digits)
    add("same sex, by the judge", "", [one.sex for one in drawn])
    for label in sorted({label for one in drawn for label in one.groups}):
        groups = [one.groups.get(label) for one in drawn]
        count = max(group.people for group in groups if group)
        name = f"of group {name_label(label)} ({count} people) drawn so, by the probe"
        add(name, "", [group.figure if group else None for group in groups])
    rows.append(["no face is found in", "", *(str(one.undetected) for one in drawn)])
    return rows


def describe_strengths(report: EvaluationReport) -> str:
    """Name the strength that is measured, in a sentence or two; empty if there is but one."""
    strengths = report.strengths
    if strengths.measured is None:
        return ""
    return (
        f"All other figures of our pictures are at strength {strengths.measured:g}, where a "
        f"face is drawn {strengths.typical:g} times as far from the average face as the "
        "embedding that matches best. At strength 0 all of a fold are drawn as the average face."
    )


def _matching_rows(report: EvaluationReport) -> list[Row]:
    rows = []
    for stratum, wins in report.two_way.items():
        for rater in RECOGNISERS:
            figures = [wins[system][rater] for system in report.systems]
            difference = _first_pair(report, report.differences[stratum], rater)
            name = f"two-way{_among(stratum)}, {name_rater(rater)}"
            rows += _row(name, figures, CHANCE, difference)
    return rows


def _set_rows(report: EvaluationReport) -> list[Row]:
    rows = []
    for name, one in report.sets.items():
        name = f"{name} ({one.people})"
        for stratum, wins in one.two_way.items():
            for rater in RECOGNISERS:
                figures = [wins[system][rater] for system in report.systems]
                difference = _first_pair(report, one.differences[stratum], rater)
                words = f"two-way, {name}{_among(stratum)}, {name_rater(rater)}"
                rows += _row(words, figures, CHANCE, difference)
        for rater in RECOGNISERS:
            bits = [one.bits.get(system, {}).get(rater) for system in report.systems]
            figures = [disclosure and disclosure.histogram for disclosure in bits]
            rows += _row(f"bits disclosed, {name}, {name_rater(rater)}", figures, "0")
    return rows


def _retrieval_rows(report: EvaluationReport) -> list[Row]:
    rows = []
    for rater in RECOGNISERS:
        results = [report.retrieval[system][rater] for system in report.systems]
        recalls = [one.voice_to_face["everybody"].recall_at_percent[10] for one in results]
        difference = _paired(report, "recall_at_10_percent", rater)
        name = f"within 10 % of the gallery, {name_rater(rater)}"
        rows += _row(name, recalls, format_number(recalls[0].chance), difference)
    return rows


def _bits_rows(report: EvaluationReport) -> list[Row]:
    rows = []
    for rater in RECOGNISERS:
        results = [report.bits[system][rater] for system in report.systems]
        figures = [one.disclosure.histogram for one in results]
        name = f"bits disclosed, {name_rater(rater)}"
        rows += _row(name, figures, "0", _paired(report, "bits", rater))
    return rows


def _alikeness_rows(report: EvaluationReport) -> list[Row]:
    rows = []
    for rater in RECOGNISERS:
        figures = [report.alikeness[system].get(rater) for system in report.systems]
        people = format_figure(report.alikeness["ground_truth"].get(rater), interval=False)
        name = f"alike, two people of one sex, {name_rater(rater)}"
        rows += _row(name, figures, f"people {people}")
    return rows


def _label_rows(report: EvaluationReport) -> list[Row]:
    to_face = [
        report.attributes.get(system, {}).get("picture_to_face") for system in report.systems
    ]
    groups = report.probe.groups if report.probe else {}
    by_group = [groups.get(system, {}).get("picture_to_face") for system in report.systems]
    rows = []
    for name, agreements, difference in (
        (
            "same sex, by the judge",
            [one and one.sex for one in to_face],
            _paired(report, "same_sex", "age_sex"),
        ),
        ("same ten years of age, by the judge", [one and one.age.bands for one in to_face], None),
        ("same group, by the probe", by_group, None),
    ):
        majority = next((one.majority for one in agreements if one), None)
        figures = [one and one.accuracy for one in agreements]
        rows += _row(name, figures, format_figure(majority, interval=False), difference)
    return rows


def _craniofacial_rows(report: EvaluationReport) -> list[Row]:
    by_ratio = [report.craniofacial.get(system, {}) for system in report.systems]
    figures = [ratios["mean"].r if "mean" in ratios else None for ratios in by_ratio]
    difference = _paired(report, "craniofacial", "landmarks")
    return _row("craniofacial r, mean of 13", figures, "0", difference)


def _row(
    name: str,
    figures: Sequence[Estimate | None],
    chance: str,
    difference: Difference | None = None,
) -> list[Row]:
    """One row; none where no system has the figure."""
    if not any(figures):
        return []
    return [Row(name, [format_figure(one) for one in figures], format_figure(difference), chance)]


def _paired(report: EvaluationReport, measure: str, rater: str) -> Difference | None:
    return _first_pair(report, report.paired.get(measure, {}), rater)


def _first_pair(
    report: EvaluationReport, differences: dict[str, dict[str, Difference]], rater: str
) -> Difference | None:
    """The first system less the second."""
    if len(report.systems) < 2:
        return None
    return differences.get(report.systems[1], {}).get(rater)


def _among(stratum: str) -> str:
    return "" if stratum == "everybody" else f", {STRATA[stratum]}"


def _name_column(drawn: DrawnPictures) -> str:
    """'ours, strength 1.5'"""
    strength = "" if drawn.strength is None else f", strength {drawn.strength:g}"
    return f"{SYSTEMS[drawn.system]}{strength}"
