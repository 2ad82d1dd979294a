"""The benchmark: every measure of every system of a rated set, as one report.

A system draws a picture from each clip, or from some of them (see `EvaluationSet`). Clips are
matched within their fold, the same people together for all systems. What a system loses already in
its oracle picture, drawn from the true face, is the decoder's loss: of `voice` the same decoder
draws it, of `published` and `pictures` it is the canonical picture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.evaluation.emotion_robustness import measure_emotion_robustness
from speech2face.evaluation.matching_measures import (
    measure_disclosures,
    measure_fairness,
    measure_retrievals,
    measure_set_results,
    measure_similarities,
    measure_two_way,
)
from speech2face.evaluation.picture_measures import (
    measure_all_alikeness,
    measure_attributes,
    measure_craniofacial,
    measure_groups,
    measure_strengths,
)
from speech2face.evaluation.rated_pictures import RatedSet
from speech2face.evaluation.rating_networks import AGE_SEX, LANDMARKS
from speech2face.evaluation.robustness import measure_lengths, measure_robustness
from speech2face.evaluation.stated_certainty import measure_calibration
from speech2face.evaluation.system_differences import (
    measure_paired_differences,
    measure_win_differences,
)
from speech2face.metrics.coverage import Calibrated
from speech2face.metrics.evaluation_results import (
    EmotionRobustness,
    EvaluationReport,
    Raters,
)
from speech2face.run_provenance import Provenance


def run_benchmark(
    rated: RatedSet,
    cache: Path,
    show: ProgressCallback,
    *,
    actors: Path | None = None,
    provenance: Provenance | None = None,
) -> EvaluationReport:
    """Take every measure. `actors` is a folder of RAVDESS, see `emotion_robustness.py`."""
    folds, seed = rated.folds, rated.resampling.seed
    measures: dict[str, Callable[[], Any]] = {
        "two_way": lambda: measure_two_way(rated),
        "differences": lambda: measure_win_differences(rated),
        "similarity": lambda: measure_similarities(rated),
        "retrieval": lambda: measure_retrievals(rated, show),
        "bits": lambda: measure_disclosures(rated, show),
        "attributes": lambda: measure_attributes(rated),
        "craniofacial": lambda: measure_craniofacial(rated),
        "paired": lambda: measure_paired_differences(rated),
        "probe": lambda: measure_groups(rated),
        "fairness": lambda: measure_fairness(rated),
        "alikeness": lambda: measure_all_alikeness(rated),
        "strengths": lambda: measure_strengths(rated),
        "sets": lambda: measure_set_results(rated),
        "calibration": lambda: _calibrate(rated),
        "length": lambda: measure_lengths(folds, seed, show) if folds else [],
        "robustness": lambda: measure_robustness(folds, seed, show) if folds else {},
        "emotions": lambda: _measure_emotions(rated, actors, cache, show),
    }
    results = {}
    for place, (name, measure) in enumerate(measures.items()):
        show("measures", place, len(measures), name)
        results[name] = measure()
    show("measures", len(measures), len(measures), "")
    return EvaluationReport(**describe_set(rated), **results, provenance=provenance)


def describe_set(rated: RatedSet) -> dict[str, Any]:
    """The first fields of a report: who was measured, by whom, and how."""
    clips = rated.clips
    galleries = [int((clips.fold == k).sum()) for k in np.unique(clips.fold)]
    return {
        "version": __version__,
        "people": len(np.unique(rated.people)),
        "clips": len(clips.pairs),
        "left_out": len(clips.left_out),
        "folds": len(galleries),
        "galleries": galleries,
        "seed": rated.resampling.seed,
        "systems": list(clips.systems),
        "pictures": {name: rated.count(has) for name, has in rated.has_picture.items()},
        "raters": Raters(rated.recognisers, LANDMARKS, AGE_SEX if rated.sex_is_known else None),
        "without_a_true_face": int((~rated.ground_truth.found).sum()),
        "undetected": {
            name: int((rated.has_picture[name] & ~pictures.found).sum())
            for name, pictures in rated.predicted.items()
        },
    }


def _calibrate(rated: RatedSet) -> Calibrated | None:
    """Measure if the Gaussian covers, and if the surest predictions are matched most often."""
    if rated.folds is None:
        return None
    wins = rated.wins("embedding", "likelihood_ratio")
    return measure_calibration(rated.folds, wins, rated.resampling.seed)


def _measure_emotions(
    rated: RatedSet, actors: Path | None, cache: Path, show: ProgressCallback
) -> EmotionRobustness | None:
    """Measure actors who speak in several emotions, with the first fold's encoder."""
    if rated.folds is None or actors is None:
        return None
    encoder = rated.folds.encoders[0]
    face_encoder = encoder.recipe.face_encoder
    return measure_emotion_robustness(
        actors, encoder, face_encoder, cache, rated.resampling.seed, show
    )
