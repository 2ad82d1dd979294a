"""The page of a leaderboard: one HTML file that needs no network.

Its tables can be sorted where scripts run, and stand best first where they do not. Nobody's clip,
name or picture is on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from speech2face.metrics.intervals import Estimate, Figure
from speech2face.metrics.leaderboard_results import (
    JudgeResult,
    PairedDifferences,
    SystemResult,
)
from speech2face.reports.evaluation_words import format_figure, format_number
from speech2face.reports.plots import Axis, Dot, draw_dots
from speech2face.reports.render import render_page

JUDGES = {  # what each table is headed with, and says below
    "sface": (
        "Pictures, compared by SFace",
        "A face recogniser in which none of the systems made here was trained.",
    ),
    "dlib": (
        "Pictures, compared by dlib",
        "The recogniser in whose space the baselines and the default learn: on their side.",
    ),
    "cosine": (
        "Embeddings, by cosine",
        "No picture is drawn: the predicted embedding of the face, seen from the average. Cosines "
        "in two spaces are two judges, so the space stands beside the system.",
    ),
    "likelihood_ratio": (
        "Embeddings, by likelihood ratio",
        "For systems that say how sure they are: is it rather this face's voice than anybody's?",
    ),
}
COLUMNS = (
    "two-way",
    "two-way, one sex",
    "bits",
    "within 1\u00a0%",
    "within 10\u00a0%",
)
WINS = Axis("two-way", 0.4, 1, (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1))
STRATA = ("everybody", "same_sex")
WIDE = 1e-12  # a difference of less is none


@dataclass(frozen=True)
class Cell:
    """A figure with its interval as text, and the number that it is sorted by."""

    value: str
    interval: str
    number: float | None
    better: str = ""  # of a difference: "better" or "worse", where its interval says so


@dataclass(frozen=True)
class TableRow:
    name: str
    space: str
    partly: str  # how many clips it covers, where not all
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """What one judge says of all systems."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[TableRow]
    chance: Sequence[Cell]
    plot: Markup


def draw_leaderboard(
    by_judge: Mapping[str, Sequence[SystemResult]],
    differences: Mapping[str, Mapping[str, PairedDifferences]],
    reference: str | None,
) -> str:
    """Draw the page: the systems by judge, best first, and what each is less than `reference`, by
    system and judge."""
    results = {one.name: one for ranked in by_judge.values() for one in ranked}
    first = next(iter(results.values()))
    return render_page(
        "leaderboard.html",
        tables=[
            _make_table(judge, ranked, differences, reference)
            for judge in JUDGES
            if (ranked := by_judge.get(judge))
        ],
        systems=[results[name] for name in sorted(results)],
        made=first.provenance,
        people=len(set(first.people.tolist())),
        clips=len(first.people),
        left_out=first.left_out,
        reference=reference,
    )


def _make_table(
    judge: str,
    ranked: Sequence[SystemResult],
    differences: Mapping[str, Mapping[str, PairedDifferences]],
    reference: str | None,
) -> Table:
    columns = list(COLUMNS)
    if compared := reference in {one.name for one in ranked} and len(ranked) > 1:
        columns += [f"two-way, less {reference}", f"one sex, less {reference}"]
    rows = []
    for one in ranked:
        cells = [_write(figure) for figure in _list_figures(one.judges[judge])]
        if compared:
            found = differences.get(one.name, {}).get(judge)
            cells += [_write_difference(found, stratum) for stratum in STRATA]
        covered = one.covered.clips
        partly = f"{covered} of {len(one.people)} clips" if covered < len(one.people) else ""
        space = one.face_encoder or "" if judge == "cosine" else ""
        rows.append(TableRow(one.name, space, partly, cells))
    chances = [
        figure.chance if isinstance(figure, Figure) else 0.0 if figure else math.nan
        for figure in _list_figures(ranked[0].judges[judge])
    ]
    chance = [Cell(format_number(value), "", None) for value in chances]
    title, note = JUDGES[judge]
    return Table(title, note, columns, rows, chance, Markup(_draw_plot(judge, ranked, title)))


def _list_figures(result: JudgeResult) -> list[Estimate | None]:
    """The figures of `COLUMNS`."""
    strata = result.retrieval.voice_to_face
    everybody, same_sex = (strata.get(stratum) for stratum in STRATA)
    return [
        everybody and everybody.two_way,
        same_sex and same_sex.two_way,
        result.bits,
        everybody and everybody.recall_at_percent[1],
        everybody and everybody.recall_at_percent[10],
    ]


def _draw_plot(judge: str, ranked: Sequence[SystemResult], title: str) -> str:
    rows = []
    for one in ranked:
        figures = _list_figures(one.judges[judge])[:2]
        dots = [
            Dot(figure.value, figure.low, figure.high, series)
            for series, figure in enumerate(figures)
            if figure
        ]
        rows.append((one.name, dots))
    return draw_dots(rows, WINS, title, ("everybody", "one sex"), 0.5)


def _write(figure: Estimate | None, signed: bool = False) -> Cell:
    if figure is None or math.isnan(figure.value):
        return Cell(format_figure(None), "", None)
    value = format_number(figure.value)
    if signed and figure.value > WIDE:
        value = f"+{value}"
    interval = format_figure(figure).partition(" ")[2]
    return Cell(value, interval, figure.value)


def _write_difference(found: PairedDifferences | None, stratum: str) -> Cell:
    difference = found.two_way.get(stratum) if found else None
    cell = _write(difference, signed=True)
    if difference is None or math.isnan(difference.low):
        return cell
    better = "better" if difference.low > 0 else "worse" if difference.high < 0 else ""
    return Cell(cell.value, cell.interval, cell.number, better)
