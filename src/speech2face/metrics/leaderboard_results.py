"""Results of one system on a leaderboard: what NAME.json holds, as dataclasses.

kind     what the system gave of each clip: `pictures`, `embeddings` of faces, or `both`
judge    who compares that with true faces: the recognisers `sface` and `dlib` look at pictures;
         `cosine` compares embeddings in the space of a face encoder, and `likelihood_ratio` whole
         Gaussians
stratum  among whom a face is told apart, always within a fold (evaluation_results.py)

Neither clips nor people are named: `people` numbers them in the order of the clips' names, so that
two systems' results of the same data can be compared in pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.metrics.evaluation_results import ClipCount, Difference, RetrievalResult
from speech2face.metrics.intervals import Estimate
from speech2face.run_provenance import Provenance

SCHEMA = 1  # changes where a reader of older files would misread newer ones
PAIRED_STRATA = ("everybody", "same_sex")  # in which systems are compared in pairs
PERCENTS = (1, 10)  # of the gallery within which the true face is sought


@dataclass(frozen=True)
class MatchRanks:
    """The rank of each of M true matches, as `retrieval.Ranks`, and which of them are lost."""

    clip: np.ndarray  # (M,) number of the clip, from 0
    rank: np.ndarray  # (M,) among its own and other people's faces; the mean of tied places
    tied: np.ndarray  # (M,) other people's faces that score the same
    gallery: np.ndarray  # (M,) faces it is ranked among
    lost: np.ndarray  # (M,) bool: the picture shows no face, so it comes last and says nothing


@dataclass(frozen=True)
class JudgeResult:
    """All figures by one judge."""

    retrieval: RetrievalResult  # two-way matching, recall and more, each beside chance
    bits: Estimate  # of the face, by histogram of ranks; chance is 0
    ranks: dict[str, MatchRanks]  # by stratum of `PAIRED_STRATA`


@dataclass(frozen=True)
class SystemResult:
    """One system, measured on the folds of given pairs."""

    schema: int
    name: str
    kind: str
    description: str  # one line: what the system is
    face_encoder: str | None  # in whose space its embeddings lie; None of pictures
    provenance: Provenance  # data["pairs"], recipe["folds"] and recipe["seed"] say what was matched
    left_out: int  # clips without speech or a face
    covered: ClipCount  # of which the system gave something
    undetected: int  # of its pictures, those in which no face is found
    people: np.ndarray  # (N,) whole numbers: who speaks in each clip
    judges: dict[str, JudgeResult]


@dataclass(frozen=True)
class PairedDifferences:
    """A system less another, by one judge, over the clips that both cover."""

    two_way: dict[str, Difference]  # by stratum
    recall_at_percent: dict[int, Difference]
    bits: Difference
