"""The page of an evaluation: one HTML file that needs no network and no script.

It opens with the table that matters, then plots, then the long tables. It prints, and follows the
reader's light or dark mode. Pictures of people are on it only where a gallery is given.
"""

from __future__ import annotations

from speech2face.metrics.evaluation_results import EvaluationReport
from speech2face.metrics.fairness import Fairness, GroupName
from speech2face.metrics.intervals import Estimate
from speech2face.reports import evaluation_tables, evaluation_words
from speech2face.reports.evaluation_plots import draw_plots
from speech2face.reports.evaluation_words import (
    SYSTEMS,
    format_figure,
    format_number,
    name_score,
)
from speech2face.reports.render import render_page


def draw_page(report: EvaluationReport, gallery: str = "") -> str:
    """Draw the page, as HTML; `gallery` is a JPEG as base64."""
    scores = [
        (system, rater, name_score(system, rater))
        for system, by_rater in report.retrieval.items()
        for rater in by_rater
    ]
    fairness = list_fairness(report)
    groups = list_groups(fairness)
    return render_page(
        "evaluation.html",
        report=report,
        gallery=gallery,
        systems=[SYSTEMS[system] for system in report.systems],
        scores=scores,
        fairness=fairness,
        groups_of_people=groups,
        plots=draw_plots(report, [name for name, _ in fairness], groups),
        tables=evaluation_tables,
        words=evaluation_words,
        figure=format_figure,
        number=format_number,
    )


def list_fairness(report: EvaluationReport) -> list[tuple[str, Fairness]]:
    """The scores whose figures by group are shown, by name."""
    return [
        (name_score(system, rater), fairness)
        for system, by_rater in report.fairness.items()
        for rater, fairness in by_rater.items()
        if rater != "cosine"  # the likelihood ratio stands for embeddings
    ]


def list_groups(
    fairness: list[tuple[str, Fairness]],
) -> list[tuple[GroupName, int, list[Estimate | None]]]:
    """Each group, its people, and its figure by each score, where it has one."""
    names = dict.fromkeys(
        GroupName(kind, label)
        for _, one in fairness
        for kind, by_label in one.groups.items()
        for label in by_label
    )
    rows = []
    for name in names:
        found = [one.groups.get(name.kind, {}).get(name.label) for _, one in fairness]
        people = next(group.people for group in found if group)
        rows.append((name, people, [group.figure if group else None for group in found]))
    return rows
