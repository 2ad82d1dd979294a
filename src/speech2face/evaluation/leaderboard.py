"""A leaderboard, made of systems' files alone: what is comparable, and who is better by how much.

Systems are compared in pairs, judge by judge, over the clips that both cover: from the ranks in
their files, on the same draws of the same people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.errors import UsageError
from speech2face.evaluation.report import from_plain
from speech2face.metrics.evaluation_results import Difference
from speech2face.metrics.intervals import (
    Estimate,
    bootstrap_known,
    summarise,
    weigh_people,
)
from speech2face.metrics.leaderboard_results import (
    PERCENTS,
    SCHEMA,
    MatchRanks,
    PairedDifferences,
    SystemResult,
)
from speech2face.metrics.rank_disclosure import histogram_bits
from speech2face.metrics.retrieval import Ranks, best_of, n_way, recall_at_percent
from speech2face.run_provenance import Provenance

SUFFIX = ".json"
DRAWS = 1000  # of people, for differences in bits


def read_results(folder: Path) -> dict[str, SystemResult]:
    """The results in a folder, by the names of their files. Raises UsageError where one is none."""
    if not folder.is_dir():
        return {}
    return {path.stem: read_result(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}


def read_result(path: Path) -> SystemResult:
    """A system's file. Raises UsageError where it is none, or of another schema."""
    try:
        plain: Any = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(plain, dict) and plain.get("schema", SCHEMA) != SCHEMA:
            raise UsageError(
                f"{path}: of schema {plain['schema']}; this version reads {SCHEMA}. Measure again."
            )
        result = from_plain(SystemResult, plain)
        _check(result, path.stem)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: not a result of `evaluate zoo` ({error}).") from None
    return result


def check_same_data(results: Mapping[str, SystemResult]) -> None:
    """Raise UsageError where two results are not of the same clips, folds and seed."""
    first, *others = results
    check_fits(results[first].provenance, {name: results[name] for name in others}, first)
    for name in others:
        if results[name].people.tolist() != results[first].people.tolist():
            raise UsageError(f"{name} and {first} differ in who speaks in which clip.")


def check_fits(run: Provenance, results: Mapping[str, SystemResult], this: str) -> None:
    """Raise UsageError where a result is of other data, folds or seed than a run, called `this`."""
    wanted = _identify(run)
    for name, result in results.items():
        found = _identify(result.provenance)
        differing = [what for what, value in wanted.items() if found[what] != value]
        if differing:
            raise UsageError(
                f"{name} and {this} differ in {', '.join(differing)}; a leaderboard is of one set. "
                "Choose another folder, or take the file away."
            )


def _identify(made: Provenance) -> dict[str, Any]:
    """What results must share to stand on one leaderboard."""
    recipe = made.recipe
    return {
        "data": made.data["pairs"]["digest"],
        "folds": recipe["folds"],
        "seed": recipe["seed"],
    }


def compare_systems(one: SystemResult, other: SystemResult) -> dict[str, PairedDifferences]:
    """One system less another, by judge: those that judged both, in the same space."""
    shared = [judge for judge in one.judges if judge in other.judges]
    if one.face_encoder != other.face_encoder:
        shared = [judge for judge in shared if judge not in ("cosine", "likelihood_ratio")]
    seed = int(one.provenance.recipe["seed"])
    return {
        judge: compare_ranks(one.judges[judge].ranks, other.judges[judge].ranks, one.people, seed)
        for judge in shared
        if "everybody" in one.judges[judge].ranks and "everybody" in other.judges[judge].ranks
    }


def compare_ranks(
    one: Mapping[str, MatchRanks], other: Mapping[str, MatchRanks], people: np.ndarray, seed: int
) -> PairedDifferences:
    """Ranks of two systems by stratum, and the people of all clips (N,) → one less the other."""
    two_way = {
        stratum: _subtract(
            _win(one[stratum], len(people)), _win(other[stratum], len(people)), people, seed
        )
        for stratum in one
        if stratum in other
    }
    recalls = {
        percent: _subtract(
            _recall(one["everybody"], percent, len(people)),
            _recall(other["everybody"], percent, len(people)),
            people,
            seed,
        )
        for percent in PERCENTS
    }
    bits = _subtract_bits(one["everybody"], other["everybody"], people, seed)
    return PairedDifferences(two_way, recalls, bits)


def _check(result: SystemResult, name: str) -> None:
    """Raise ValueError where a result's numbers do not go together."""
    if result.name != name:
        raise ValueError(f"it is of the system {result.name}; a file has its system's name")
    count = len(result.people)
    if result.people.ndim != 1 or result.people.dtype.kind != "i" or not count:
        raise ValueError("people are whole numbers")
    for made in (result.provenance.data["pairs"]["digest"], result.provenance.version):
        if not isinstance(made, str):
            raise ValueError("data and version are text")
    for judge, judged in result.judges.items():
        for ranks in judged.ranks.values():
            columns = [ranks.clip, ranks.rank, ranks.tied, ranks.gallery, ranks.lost]
            if any(column.shape != ranks.clip.shape or column.ndim != 1 for column in columns):
                raise ValueError(f"the ranks by {judge} are not of one length")
            if not len(ranks.clip) or ranks.clip.dtype.kind != "i":
                raise ValueError(f"the ranks by {judge} name no clips")
            if ranks.clip.min() < 0 or ranks.clip.max() >= count:
                raise ValueError(f"the ranks by {judge} are of clips that there are not")
            if not ((ranks.rank >= 1) & (ranks.rank <= ranks.gallery)).all():
                raise ValueError(f"the ranks by {judge} lie outside their galleries")


def _as_ranks(ranks: MatchRanks) -> Ranks:
    return Ranks(ranks.clip, ranks.rank, ranks.tied, ranks.gallery)


def _win(ranks: MatchRanks, count: int) -> np.ndarray:
    """Two-way wins of each clip (count,), the mean over its true matches; NaN where it has none."""
    wins = n_way(ranks.rank, ranks.gallery, 2, tied=ranks.tied)
    times = np.bincount(ranks.clip, minlength=count)
    won = np.bincount(ranks.clip, wins, count)
    return np.divide(won, times, out=np.full(count, np.nan), where=times > 0)


def _recall(ranks: MatchRanks, percent: int, count: int) -> np.ndarray:
    """Recall of each clip (count,) within so many per cent; NaN where it has no match."""
    best = best_of(_as_ranks(ranks))
    recall = np.full(count, np.nan)
    recall[best.probe] = recall_at_percent(best.rank, best.gallery, percent, tied=best.tied)
    return recall


def _subtract(one: np.ndarray, other: np.ndarray, people: np.ndarray, seed: int) -> Difference:
    less = one - other
    known = np.isfinite(less)
    estimate = bootstrap_known(less, people, seed)
    return Difference(**asdict(estimate), people=len(np.unique(people[known])))


def _subtract_bits(one: MatchRanks, other: MatchRanks, people: np.ndarray, seed: int) -> Difference:
    """Bits by histogram, of the clips that both have, on the same draws."""
    clips = np.intersect1d(one.clip, other.clip)
    bits = []
    for ranks in (one, other):
        rows = np.isin(ranks.clip, clips)
        whole = _say_nothing(_as_ranks(ranks), ranks.lost)
        kept = Ranks(whole.probe[rows], whole.rank[rows], whole.tied[rows], whole.gallery[rows])
        whose = people[kept.probe]
        bits.append(histogram_bits(kept, whose, weigh_people(whose, seed=seed, draws=DRAWS)))
    difference = summarise(bits[0] - bits[1]) if len(clips) else Estimate(*[float("nan")] * 3)
    return Difference(**asdict(difference), people=len(np.unique(people[clips])))


def _say_nothing(ranks: Ranks, lost: np.ndarray) -> Ranks:
    """Lost matches as ties with everybody: a picture without a face discloses nothing."""
    return Ranks(
        ranks.probe,
        np.where(lost, (ranks.gallery + 1) / 2, ranks.rank),
        np.where(lost, ranks.gallery - 1, ranks.tied),
        ranks.gallery,
    )


def list_systems(results: Sequence[SystemResult], judge: str) -> list[SystemResult]:
    """The systems that a judge judged, the best first by two-way matching of one sex."""
    judged = [result for result in results if judge in result.judges]

    def figure(result: SystemResult) -> float:
        found = result.judges[judge].retrieval.voice_to_face
        return -found["same_sex" if "same_sex" in found else "everybody"].two_way.value

    return sorted(judged, key=lambda result: (figure(result), result.name))
