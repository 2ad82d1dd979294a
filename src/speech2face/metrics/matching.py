"""Two-way matching: the measure that training watches and evaluation reports."""

from __future__ import annotations

import numpy as np


def two_way(scores: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Scores (n clips, n faces), person of each (n,) → share of wins of each clip (n,).

    The share of other people's faces that score below the clip's own, a tie counts half; the
    person's faces from other clips are left aside.
    """
    own = scores.diagonal()[:, None]
    others = people[:, None] != people[None]
    wins = (scores < own) + 0.5 * (scores == own)
    return (wins * others).sum(1) / others.sum(1)


def centred_cosine(drawn: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Cosine (n, n) of embeddings (n, D) after each side's mean is taken away.

    Without that, what all drawn faces share (a white ground, say) hides what tells them apart.
    Where nothing tells them apart all score 0.
    """
    drawn, true = (_unit(x - x.mean(0)) for x in (drawn, true))
    return drawn @ true.T


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    known = lengths > 1e-9  # less is the rounding of a mean of equal rows
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=known)


def average_people(values: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Values (n clips, ...), person of each (n,) → mean (...); people weigh alike."""
    _, index, clips = np.unique(people, return_inverse=True, return_counts=True)
    return (1 / (len(clips) * clips))[index] @ values
