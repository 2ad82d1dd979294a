"""The measured part of a model card: written from report.json, between two markers."""

from __future__ import annotations

from pathlib import Path

from speech2face.errors import UsageError
from speech2face.files import write_text_atomically
from speech2face.metrics.evaluation_results import EvaluationReport
from speech2face.reports.evaluation_tables import (
    describe_clips,
    describe_strengths,
    main_table,
    strengths_table,
)
from speech2face.reports.evaluation_words import (
    SYSTEMS,
    format_figure,
    name_degradation,
    name_group,
    name_length,
    name_score,
)

START = "<!-- measured: written by `speech2face evaluate card`, from report.json -->"
END = "<!-- end of measured -->"


def write_card(report: EvaluationReport, card: Path) -> None:
    """Replace what stands between the markers; the rest of the card stays as it is."""
    text = read_card(card)
    before, rest = text.split(START)
    _, after = rest.split(END)
    write_text_atomically(card, f"{before}{START}\n{format_measured(report)}{END}{after}")


def check_card(report: EvaluationReport, card: Path) -> bool:
    """True if the card says what the report says."""
    measured = read_card(card).split(START)[1].split(END)[0]
    return measured.strip() == format_measured(report).strip()


def read_card(card: Path) -> str:
    """The card's text. Raises UsageError where it has not each marker once, in order."""
    try:
        text = card.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{card}: cannot be read ({error.strerror}).") from None
    if not (text.count(START) == text.count(END) == 1 and text.index(START) < text.index(END)):
        raise UsageError(f"{card}: needs the lines {START!r} and {END!r}, once each.")
    return text


def format_measured(report: EvaluationReport) -> str:
    """The main table, and what only embeddings show, as Markdown."""
    several = len(report.systems) > 1
    header = ["", *(SYSTEMS[name] for name in report.systems)]
    header += [*(["difference"] if several else []), "chance"]
    lines = [f"{describe_clips(report)}.", "", *_table_head(header)]
    for row in main_table(report):
        cells = [row.name, *row.figures, *([row.difference] if several else []), row.chance]
        lines.append(_line(cells))
    header, *rows = strengths_table(report)
    lines += ["", f"By strength. {describe_strengths(report)}".strip(), "", *_table_head(header)]
    lines += map(_line, rows)
    for sentence in (
        _describe_embeddings(report),
        _describe_lengths(report),
        _describe_robustness(report),
        _describe_lowest(report),
    ):
        lines += ["", sentence] if sentence else []
    return "\n".join(lines) + "\n"


def _describe_embeddings(report: EvaluationReport) -> str:
    wins = report.two_way["everybody"]
    if "embedding" not in wins:
        return ""
    by_embedding, by_picture = (
        {rater: format_figure(figure) for rater, figure in wins[system].items()}
        for system in ("embedding", "oracle")
    )
    return (
        f"On embeddings, without a picture: two-way {by_embedding['likelihood_ratio']} by "
        f"likelihood ratio, {by_embedding['cosine']} by cosine. From the true face, what the "
        f"decoder loses: {by_picture['dlib']} by dlib, {by_picture['sface']} by SFace."
    )


def _describe_lengths(report: EvaluationReport) -> str:
    figures = [
        f"{name_length(one.seconds, 'everything')} {format_figure(one.two_way)}"
        for one in report.length
    ]
    return f"By length, likelihood ratio: {', '.join(figures)}." if figures else ""


def _describe_robustness(report: EvaluationReport) -> str:
    figures = [
        f"{name_degradation(name)} {format_figure(one.two_way)}"
        for name, one in report.robustness.items()
    ]
    return f"After degradation, of some clips: {', '.join(figures)}." if figures else ""


def _describe_lowest(report: EvaluationReport) -> str:
    lowest = []
    for system, by_rater in report.fairness.items():
        for rater, fairness in by_rater.items():
            if fairness.worst and rater != "cosine":
                figure = fairness.groups[fairness.worst.kind][fairness.worst.label].figure
                words = f"{name_group(fairness.worst)} {format_figure(figure)}"
                lowest.append(f"{words} ({name_score(system, rater)})")
    return f"Lowest of the groups of ten people or more: {'; '.join(lowest)}." if lowest else ""


def _table_head(header: list[str]) -> list[str]:
    return [_line(header), "|" + "--|" * len(header)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
