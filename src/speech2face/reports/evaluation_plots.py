"""The plots on the page of an evaluation, by section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from speech2face.metrics.coverage import LEVELS, Calibrated
from speech2face.metrics.evaluation_results import (
    CLEAN,
    EmotionRobustness,
    EvaluationReport,
    LabelAgreement,
)
from speech2face.metrics.fairness import GroupName
from speech2face.metrics.intervals import Estimate
from speech2face.reports.evaluation_words import (
    EMOTION_PAIRS,
    SYSTEMS,
    name_degradation,
    name_group,
    name_label,
    name_length,
    name_ratio,
    name_score,
)
from speech2face.reports.plots import Axis, Dot, Series, draw_dots, draw_lines, draw_matrix

SHARE = Axis("", 0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1))
WINS = Axis("two-way", 0.4, 1, (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1))
CHANCE = 0.5
PERCENTS = range(1, 101)


def draw_plots(
    report: EvaluationReport,
    fairness: Sequence[str],
    groups: Sequence[tuple[GroupName, int, Sequence[Estimate | None]]],
) -> dict[str, list[Markup]]:
    """Draw the plots; `groups`: each with its people and its figure by each score of `fairness`."""
    plots = {
        "retrieval": _plot_recall(report),
        "attributes": _plot_confusions(report),
        "robustness": _plot_robustness(report) if report.length else [],
        "emotions": _plot_emotions(report.emotions) if report.emotions else [],
        "fairness": _plot_fairness(fairness, groups),
        "calibration": _plot_calibration(report.calibration) if report.calibration else [],
        "craniofacial": _plot_craniofacial(report) if report.craniofacial else [],
    }
    return {section: [Markup(plot) for plot in drawn] for section, drawn in plots.items()}


def _plot_recall(report: EvaluationReport) -> list[str]:
    axis = Axis("per cent of the gallery", 0, 100, (0, 20, 40, 60, 80, 100))
    recall = replace(SHARE, name="recall")
    chance = Series("chance", PERCENTS, [k / 100 for k in PERCENTS], plain=True)
    curves = [
        (
            system,
            rater,
            Series(name_score(system, rater), PERCENTS, list(one.recall_curve), marked=False),
        )
        for system, by_rater in report.retrieval.items()
        if system != "oracle"
        for rater, one in by_rater.items()
    ]
    kinds = {
        "Retrieval by SFace": [one for _, rater, one in curves if rater == "sface"],
        "Retrieval by dlib": [one for _, rater, one in curves if rater == "dlib"],
        "Retrieval on embeddings": [one for system, _, one in curves if system == "embedding"],
    }
    return [
        draw_lines([*drawn, chance], axis, recall, title) for title, drawn in kinds.items() if drawn
    ]


def _plot_confusions(report: EvaluationReport) -> list[str]:
    """Confusion matrices of each system's pictures and the true faces."""
    to_face = {
        system: agreements["picture_to_face"]
        for system, agreements in report.attributes.items()
        if "picture_to_face" in agreements
    }
    groups = report.probe.groups if report.probe else {}
    kinds: dict[str, dict[str, LabelAgreement]] = {
        "sex": {system: one.sex for system, one in to_face.items()},
        "age": {system: one.age.bands for system, one in to_face.items()},
        "group": {
            system: agreements["picture_to_face"]
            for system, agreements in groups.items()
            if "picture_to_face" in agreements
        },
    }
    return [
        draw_matrix(
            [name_label(label) for label in labels.classes],
            labels.confusion.astype(int).tolist(),
            f"{kind}, {SYSTEMS[system]}",
        )
        for kind, by_system in kinds.items()
        for system, labels in by_system.items()
    ]


def _plot_robustness(report: EvaluationReport) -> list[str]:
    names = [name_length(one.seconds, "all") for one in report.length]
    places = range(len(names))
    axis = Axis("length of each clip", -0.3, len(names) - 0.7, places, names)
    flat = Series("chance", [axis.low, axis.high], [CHANCE] * 2, plain=True)
    cosine = replace(SHARE, name="cosine")

    def curve(estimates: Sequence[Estimate]) -> Series:
        return Series("likelihood ratio", places, *_columns(estimates))

    changed = {name: one for name, one in report.robustness.items() if name != CLEAN}
    return [
        draw_lines(
            [curve([one.two_way for one in report.length]), flat], axis, WINS, "Two-way by length"
        ),
        draw_lines(
            [curve([one.cosine_to_clean for one in report.length])],
            axis,
            cosine,
            "Cosine of the predicted face to that of the whole clip",
        ),
        draw_dots(
            [(name_degradation(k), [_dot(one.two_way)]) for k, one in report.robustness.items()],
            WINS,
            "Two-way after degradation",
            (),
            CHANCE,
        ),
        draw_dots(
            [(name_degradation(k), [_dot(one.cosine_to_clean)]) for k, one in changed.items()],
            cosine,
            "Cosine of the predicted face to the clean one",
        ),
    ]


def _plot_emotions(emotions: EmotionRobustness) -> list[str]:
    axis = Axis("cosine", -0.2, 1, (-0.2, 0, 0.2, 0.4, 0.6, 0.8, 1))
    rows = [(words, [_dot(getattr(emotions, kind))]) for kind, words in EMOTION_PAIRS.items()]
    return [draw_dots(rows, axis, "Predicted faces of two clips", (), 0)]


def _plot_fairness(
    scores: Sequence[str], groups: Sequence[tuple[GroupName, int, Sequence[Estimate | None]]]
) -> list[str]:
    rows = [
        (name_group(group), [_dot(one, k) for k, one in enumerate(figures) if one])
        for group, _, figures in groups
    ]
    return [draw_dots(rows, WINS, "Two-way by group", scores, CHANCE)] if rows else []


def _plot_calibration(calibration: Calibrated) -> list[str]:
    levels = LEVELS.tolist()
    coverage = calibration.coverage
    curves = [
        Series("all directions at once", levels, *_columns(coverage.joint.shares)),
        Series("each for itself", levels, *_columns(coverage.marginal.shares)),
        Series("as stated", [0, 1], [0, 1], plain=True),
    ]
    by_confidence = [
        (f"{one.low:.2f} to {one.high:.2f} bits", [_dot(one.wins)])
        for one in calibration.confidence.bins
    ]
    stated, covered = replace(SHARE, name="stated"), replace(SHARE, name="covered")
    return [
        draw_lines(curves, stated, covered, "Reliability"),
        draw_dots(by_confidence, WINS, "Two-way by stated confidence", (), CHANCE),
    ]


def _plot_craniofacial(report: EvaluationReport) -> list[str]:
    axis = Axis("Pearson's r", -0.2, 0.8, (-0.2, 0, 0.2, 0.4, 0.6, 0.8))
    by_system = list(report.craniofacial.values())
    rows = [
        (
            name_ratio(ratio),
            [_dot(r, k) for k, ratios in enumerate(by_system) if (r := ratios[ratio].r)],
        )
        for ratio in by_system[0]
    ]
    names = [SYSTEMS[system] for system in report.craniofacial]
    return [draw_dots(rows, axis, "Proportions of the face", names, 0)]


def _dot(estimate: Estimate, series: int = 0) -> Dot:
    value, low, high = map(_known, (estimate.value, estimate.low, estimate.high))
    return Dot(value, low, high, series)


def _columns(
    estimates: Sequence[Estimate],
) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """Values, lows and highs."""
    return (
        [_known(one.value) for one in estimates],
        [_known(one.low) for one in estimates],
        [_known(one.high) for one in estimates],
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
