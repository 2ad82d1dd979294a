"""Scores: how near voices, or the pictures made from them, are to faces; and who wins by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.metrics.matching import centred_cosine
from speech2face.metrics.retrieval import match_probes, same_label

LOST = -1e3  # the score of a picture in which no face is found; a cosine is never so low


@dataclass(frozen=True)
class Scores:
    """Likeness of the voices of p clips (or the pictures from them) to n faces, within folds."""

    matrix: np.ndarray  # (p, n); between folds it means nothing
    probes: np.ndarray  # (p,) rows of the clips whose voices, or pictures, are matched
    rows: np.ndarray  # (n,) of those whose faces they are matched with

    def match(self, people: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Two-way wins (N,) of people (N,) among clips of one label (N,).

        NaN where there is no opponent, no face or no picture.
        """
        wins = np.full(len(people), np.nan)
        same = same_label(labels[self.probes], labels[self.rows])
        wins[self.probes] = match_probes(self.matrix, people[self.probes], people[self.rows], same)
        return wins


def score_pictures(
    predicted: np.ndarray,
    true: np.ndarray,
    has_picture: np.ndarray,
    people: np.ndarray,
    fold: np.ndarray,
) -> Scores:
    """Centred cosines within folds (N,) of embeddings (N, D) of pictures and true faces.

    A row of NaN is one in which no face is found. `has_picture` (N,) says of which clips
    of people (N,) there is a picture. Raises UsageError where fewer than two true faces are found.
    """
    known = np.isfinite(true[:, 0])
    if known.sum() < 2:
        raise UsageError("a face is found in fewer than two clips' true faces.")
    probes, rows = np.flatnonzero(known & has_picture), np.flatnonzero(known)
    predicted, true = predicted[probes], true[rows]
    found = np.isfinite(predicted[:, 0])
    matrix = np.full((len(probes), len(rows)), LOST)
    matrix[people[probes][:, None] == people[rows]] = 2 * LOST
    for k in np.unique(fold):
        seen = np.flatnonzero(found & (fold[probes] == k))
        faces = np.flatnonzero(fold[rows] == k)
        if len(seen) > 1:
            matrix[np.ix_(seen, faces)] = centred_cosine(predicted[seen], true[faces])
    return Scores(matrix, probes, rows)
