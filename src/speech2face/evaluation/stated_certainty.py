"""Stated certainty: does what the folds' encoders state hold, and are the sure ones right?"""

from __future__ import annotations

import numpy as np

from speech2face.evaluation.cross_validation import DrawnFolds
from speech2face.metrics.coverage import (
    DIRECTIONS,
    Calibrated,
    confidence_bins,
    measure_coverage,
)
from speech2face.metrics.gaussian_distance import stated_bits
from speech2face.metrics.intervals import bootstrap_people


def measure_calibration(drawn: DrawnFolds, wins: np.ndarray, seed: int = 0) -> Calibrated:
    """Check the folds' predictions of N clips against the wins of each (N,)."""
    heads = [drawn.encoders[k].head for k in drawn.fold]
    first = drawn.encoders[0].clips
    seconds = first.seconds[first.whole]
    stated = np.array(
        [
            stated_bits(mean, head.covariance(float(t)), head.average, head.prior)
            for mean, head, t in zip(drawn.means, heads, seconds, strict=True)
        ]
    )
    return Calibrated(
        measure_coverage(
            drawn.faces - drawn.means,
            lambda row: heads[row].covariance(float(seconds[row])),
            drawn.people,
            min(drawn.faces.shape[1], DIRECTIONS),
            seed,
        ),
        bootstrap_people(stated, drawn.people, seed),
        confidence_bins(stated, wins, drawn.people, min(5, len(stated)), seed),
    )
