"""A table of attacks on a population after each method of `anonymise`, and the default it decides.

The figures are those of docs/privacy.md and docs/anonymisers.md; benchmarks/audit.py writes the few
that are needed here into the package (`FILE`). They are of the strongest of the attackers,
as a rule one who knows the method, puts others' voices through it and learns from them. Averages
over people: nobody's own voice need follow them.

A better voice encoder finds more, in plain voices too. So each method stands beside the plain
voices of the run in which it was attacked, and what is compared is the share of their bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from speech2face.errors import ModelError
from speech2face.metrics.intervals import Estimate
from speech2face.model_folders import ASSETS
from speech2face.privacy.disguise_metadata import SPOKEN_ANEW

FILE = "attacks.json"
MOST_WORDS = 0.25  # lost, at the interval's upper end, that a default may cost
TENTH = 1  # digit to which shares of the face's bits are compared


@dataclass(frozen=True)
class PlainVoices:
    """What was found of plain voices in one run."""

    version: str  # of speech2face
    people: int  # whose faces were attacked
    speakers: int  # who were verified
    face_bits: Estimate
    equal_error_rate: Estimate


@dataclass(frozen=True)
class Row:
    """Figures of one method: the face in bits, equal error rates and words as shares."""

    plain: PlainVoices
    face_bits: Estimate  # that the strongest attacker still finds
    equal_error_rate: Estimate  # of the strongest verifier of speakers; 0.5 by chance
    ignorant_error_rate: Estimate  # of one who does not know that the voice is disguised
    words_lost: Estimate | None

    @property
    def share_kept(self) -> Estimate:
        """Share of the face's bits that the method leaves.

        The interval is that of the bits left, over the bits of plain voices.
        """
        left, before = self.face_bits, self.plain.face_bits.value
        return Estimate(
            *(min(1.0, max(0.0, x / before)) for x in (left.value, left.low, left.high))
        )


def shorten(
    runs: Sequence[Mapping[str, Any]], costs: Mapping[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Shorten benchmarks/audit.json and benchmarks/anonymisers.json to the contents of `FILE`.

    Of a method that was attacked in several runs, the first, which is the newest, is taken.
    """
    known: set[str] = set()
    short = []
    for run in runs:
        short.append(_shorten_run(run, costs, set(run["methods"]) - known))
        known |= set(run["methods"])
    return {"runs": [run for run in short if run["methods"]]}


def _shorten_run(
    attacked: Mapping[str, Any], costs: Mapping[str, Any], chosen: set[str]
) -> dict[str, Any]:
    def value(estimate: Mapping[str, float]) -> float:
        return estimate["value"]

    def shorten_method(name: str, attackers: Mapping[str, Any]) -> dict[str, Any]:
        faces = [row["face"]["bits"] for row in attackers.values()]
        errors = [row["voice"]["equal_error_rate"] for row in attackers.values()]
        return {
            "face_bits": _round(max(faces, key=value)),
            "equal_error_rate": _round(min(errors, key=value)),
            "ignorant_error_rate": _round(attackers["ignorant"]["voice"]["equal_error_rate"]),
            "words_lost": _round(costs[name]["word_disagreement"]) if name in costs else None,
        }

    before = attacked["before"]
    return {
        "version": attacked["version"],
        "people": attacked["people"],
        "speakers": attacked["speakers"],
        "face_bits": _round(before["face"]["bits"]),
        "equal_error_rate": _round(before["voice"]["equal_error_rate"]),
        "methods": {
            name: shorten_method(name, method["attackers"])
            for name, method in attacked["methods"].items()
            if name in chosen
        },
    }


@cache
def load_table() -> Mapping[str, Row]:
    """The released table, by method. Raises ModelError where its file is missing or broken."""
    path = ASSETS / FILE
    try:
        rows: dict[str, Row] = {}
        for run in json.loads(path.read_text(encoding="utf-8"))["runs"]:
            figures = (Estimate(**run[key]) for key in ("face_bits", "equal_error_rate"))
            plain = PlainVoices(run["version"], run["people"], run["speakers"], *figures)
            for name, row in run["methods"].items():
                left = {key: value and Estimate(**value) for key, value in row.items()}
                rows[name] = Row(plain, **left)
        return rows
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a table ({error}); install the package again.") from None


def choose_default(table: Mapping[str, Row], methods: Iterable[str]) -> str:
    """The method, of these, that `anonymise` takes where none is named.

    It has been measured, keeps a recording's own words in any language (resynthesis speaks
    English alone), and costs at most `MOST_WORDS` of them. Among such methods that decides which
    leaves the strongest attacker the least share of the face's bits, to a tenth; then the one by
    which that attacker errs most about speakers, to a percent; then the one by which an ignorant
    attacker does.
    """

    def rank(name: str) -> tuple[float, float, float]:
        row = table[name]
        return (
            round(row.share_kept.value, TENTH),
            -round(row.equal_error_rate.value, 2),
            -row.ignorant_error_rate.value,
        )

    def fit(name: str) -> bool:
        row = table.get(name)
        lost = row and row.words_lost
        return name not in SPOKEN_ANEW and lost is not None and lost.high <= MOST_WORDS

    return min(filter(fit, methods), key=rank)


def find_words_lost(method: str) -> float | None:
    """The share of a recording's words that `method` makes unintelligible, where it is known."""
    row = load_table().get(method)
    return row.words_lost.value if row and row.words_lost else None


def _round(estimate: Mapping[str, float]) -> dict[str, float]:
    return {key: round(estimate[key], 4) for key in ("value", "low", "high")}
