"""A table of attacks on a population after each method of `anonymise`, and the default it decides.

The figures are those of docs/privacy.md and docs/anonymisers.md; benchmarks/audit.py writes the few
that are needed here into the package (`FILE`). They are of a semi-informed attacker: one who knows
the method, puts others' voices through it and learns from them. Averages over people: nobody's own
voice need follow them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from speech2face.errors import ModelError
from speech2face.metrics.intervals import Estimate
from speech2face.model_folders import ASSETS

FILE = "attacks.json"
MOST_WORDS = 0.25  # lost, at the interval's upper end, that a default may cost
TENTH = 1  # digit to which bits of the face are compared


@dataclass(frozen=True)
class Row:
    """Figures of one method: the face in bits, equal error rates and words as shares."""

    face_bits: Estimate  # that a semi-informed attacker still finds
    equal_error_rate: Estimate  # of that attacker's verifier of speakers; 0.5 by chance
    ignorant_error_rate: Estimate  # of one who does not know that the voice is disguised
    words_lost: Estimate | None


@dataclass(frozen=True)
class AttackTable:
    people: int  # whose faces were attacked
    speakers: int  # who were verified
    face_bits: Estimate  # of plain voices
    equal_error_rate: Estimate
    methods: Mapping[str, Row]

    def share_kept(self, method: str) -> Estimate | None:
        """Share of the face's bits that a method leaves; None for one that was not measured.

        The interval is that of the bits left, over the bits of plain voices.
        """
        if method not in self.methods:
            return None
        left, before = self.methods[method].face_bits, self.face_bits.value
        return Estimate(
            *(min(1.0, max(0.0, x / before)) for x in (left.value, left.low, left.high))
        )


def shorten(attacked: Mapping[str, Any], costs: Mapping[str, Any]) -> dict[str, Any]:
    """Shorten benchmarks/audit.json and benchmarks/anonymisers.json to the contents of `FILE`."""

    def face(row: Mapping[str, Any]) -> dict[str, float]:
        return _round(row["face"]["bits"])

    def error(row: Mapping[str, Any]) -> dict[str, float]:
        return _round(row["voice"]["equal_error_rate"])

    return {
        "version": attacked["version"],
        "people": attacked["people"],
        "speakers": attacked["speakers"],
        "face_bits": face(attacked["before"]),
        "equal_error_rate": error(attacked["before"]),
        "methods": {
            name: {
                "face_bits": face(method["attackers"]["semi-informed"]),
                "equal_error_rate": error(method["attackers"]["semi-informed"]),
                "ignorant_error_rate": error(method["attackers"]["ignorant"]),
                "words_lost": _round(costs[name]["word_disagreement"]) if name in costs else None,
            }
            for name, method in attacked["methods"].items()
        },
    }


@cache
def load_table() -> AttackTable:
    """The released table. Raises ModelError where its file is missing or broken."""
    path = ASSETS / FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return AttackTable(
            stored["people"],
            stored["speakers"],
            Estimate(**stored["face_bits"]),
            Estimate(**stored["equal_error_rate"]),
            {
                name: Row(**{key: value and Estimate(**value) for key, value in row.items()})
                for name, row in stored["methods"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a table ({error}); install the package again.") from None


def choose_default(table: AttackTable, methods: Iterable[str]) -> str:
    """The method, of these, that `anonymise` takes where none is named.

    It has been measured, keeps a recording's own words in any language (resynthesis speaks
    English alone), and costs at most `MOST_WORDS` of them. Among such methods that decides which
    leaves a semi-informed attacker the fewest bits of the face, to a tenth; then the one by which
    that attacker errs most about speakers, to a percent; then the one by which an ignorant
    attacker does.
    """

    def rank(name: str) -> tuple[float, float, float]:
        row = table.methods[name]
        return (
            round(row.face_bits.value, TENTH),
            -round(row.equal_error_rate.value, 2),
            -row.ignorant_error_rate.value,
        )

    def fit(name: str) -> bool:
        row = table.methods.get(name)
        lost = row and row.words_lost
        return name != "resynthesis" and lost is not None and lost.high <= MOST_WORDS

    return min(filter(fit, methods), key=rank)


def find_words_lost(method: str) -> float | None:
    """The share of a recording's words that `method` makes unintelligible, where it is known."""
    row = load_table().methods.get(method)
    return row.words_lost.value if row and row.words_lost else None


def _round(estimate: Mapping[str, float]) -> dict[str, float]:
    return {key: round(estimate[key], 4) for key in ("value", "low", "high")}
