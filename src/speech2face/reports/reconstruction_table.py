"""A text table of how well a decoder draws photographs."""

from __future__ import annotations

from speech2face.metrics.evaluation_results import (
    RECOGNISERS,
    GroupFigures,
    ReconstructionReport,
    Sharpness,
)
from speech2face.metrics.fairness import FEWEST, GroupName

JUDGED = {"years_apart": "years apart", "same_sex": "same sex"}


def format_reconstruction(report: ReconstructionReport) -> str:
    nose, agreement = report.nose, report.age_sex
    right = agreement.judge_right
    labelled = "" if right is None else f"; judge by labels {right:.3f}"
    lowest = ", ".join(
        f"{_name_group(group) if group else 'none'} by {rater}"
        for rater, group in report.worst_group.items()
    )
    lines = [
        f"Copies of {report.photographs} photographs, drawn from their own embeddings; "
        f"photographs without a face found: {report.without_a_face}",
        f"  a face is found in     {report.detected:.3f} of the copies",
        f"  nose off the middle    {nose.drawn:.3f} of the eyes' distance; "
        f"photographs {nose.photographs:.3f}",
        _format_sharpness("sharpness", report.sharpness["face"]),
        _format_sharpness("… in skin", report.sharpness["skin"]),
        _format_sharpness("… in hair", report.sharpness["hair"]),
        f"  age, years apart       {agreement.years_apart:.1f}, {agreement.years_older:+.1f} on "
        f"average; all at the median age {agreement.years_apart_at_median:.1f}",
        f"  sex, share the same    {agreement.same_sex:.3f}; "
        f"all of one sex {agreement.same_sex_by_majority:.3f}{labelled}",
        "Two-way matching (chance .500), years apart and share of the same sex; 95 % intervals "
        "over people",
        f"  {'':<24} {'n':>5}  "
        + "".join(f"{name:<24}" for name in (*RECOGNISERS, *JUDGED.values())).rstrip(),
        _format_row("all", report.two_way.everybody, report.age_sex_groups.everybody),
    ]
    judged = report.age_sex_groups.groups
    lines += [
        _format_row(_name_group(GroupName(kind, label)), row, judged.get(kind, {}).get(label))
        for kind, rows in report.two_way.groups.items()
        for label, row in rows.items()
    ]
    return "\n".join([*lines, f"  lowest of the groups of {FEWEST} or more: {lowest}"])


def _name_group(group: GroupName) -> str:
    return f"{group.kind} {group.label}"


def _format_row(name: str, matched: GroupFigures, judged: GroupFigures | None) -> str:
    figures = [matched.figures[rater] for rater in RECOGNISERS]
    figures += [judged.figures.get(measure) if judged else None for measure in JUDGED]
    estimates = "".join(f"{one or '-'!s:<24}" for one in figures).rstrip()
    return f"  {name:<24} {matched.people:>5}  {estimates}"


def _format_sharpness(name: str, sharpness: Sharpness) -> str:
    figures = {"": sharpness.drawn, "; photographs": sharpness.photographs}
    figures |= {f", {place}": value for place, value in sharpness.beside.items()}
    words = (f"{who} {'–' if v is None else f'{v:.0f}'}" for who, v in figures.items())
    return f"  {name:<22}{''.join(words)}"
