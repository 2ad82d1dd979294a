"""What can be said of a disguised voice: what attackers of a population found, facts and words.

The bits of one recording are calibrated on plain voices (calibrate.py) and do not hold for a
disguised one. What holds is the table of attacks (attack_table.py), and, where the original is
given, its bits: a disguise adds nothing to them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from speech2face.privacy.attack_table import NOTHING, load_table, share_in_words
from speech2face.privacy.disguise_mark import SEVERAL

LEAST = 0.05  # bits that a figure of one digit would call none


def state_population(method: str | None) -> dict[str, Any] | None:
    """The table's row of a method, beside plain voices; None where it was not measured."""
    table = load_table()
    share = table.share_kept(method or "")
    if method is None or share is None:
        return None
    row = table.methods[method]
    return {
        "method": method,
        "people": table.people,
        "speakers": table.speakers,
        "face_bits": {"before": asdict(table.face_bits), "after": asdict(row.face_bits)},
        "share_kept": asdict(share),
        "equal_error_rate": {
            "before": asdict(table.equal_error_rate),
            "after": asdict(row.equal_error_rate),
        },
    }


def state_bits_left(bits: dict[str, Any], method: str | None) -> dict[str, Any]:
    """Bits of the original, with interval or without → what an attacker who learned may have.

    The share of the bits that is left in a population, times the original's. The interval is of
    both uncertainties together, as if independent. Of a method that was not measured only the
    original's bits are known, as a bound (`bound`): value and low are None.
    """
    share = load_table().share_kept(method or "")
    value, most = bits["value"], bits["high"]
    if share is None:
        return {"value": None, "low": None, "high": most or value, "bound": True}
    left = value * share.value
    if most is None:  # not calibrated: no interval is known
        return {"value": round(left, 3), "low": None, "high": None, "bound": False}
    below = np.hypot((value - bits["low"]) * share.value, value * (share.value - share.low))
    above = np.hypot((most - value) * share.value, value * (share.high - share.value))
    return {
        "value": round(left, 3),
        "low": round(max(0.0, left - float(below)), 3),
        "high": round(min(most, left + float(above)), 3),
        "bound": False,
    }


def tell_disguised(facts: dict[str, Any]) -> list[str]:
    """The facts of `single.state_voice` on a disguised voice in sentences."""
    lines = [
        _tell_how_it_is_known(facts["disguised"]),
        "How much of the speaker's face it gives away cannot be stated from the recording itself: "
        "such statements were calibrated on plain voices and do not hold for a disguised one.",
        _tell_population(facts["population"]),
    ]
    original = facts.get("original")
    if original is None:
        lines.append(
            "With the recording that it was made of, speech2face audit --original FILE estimates "
            "what such an attacker would get of this speaker."
        )
    else:
        lines += _tell_original(original, facts["calibrated_on"])
    lines.append("This is what this program's attackers find. A better one may find more.")
    return lines


def _tell_how_it_is_known(disguise: dict[str, Any]) -> str:
    method = disguise["method"]
    by = f", made by the method {method}" if method else ""
    if method == SEVERAL:
        by = ", disguised more than once"
    if method == "command":
        by = ", made by another program through speech2face"
    if disguise["by"] == "mark":
        return f"The file's mark says that this is a disguised voice{by}."
    if disguise["by"] == "option":
        return f"You say that this is a disguised voice{by}."
    return (
        "This sounds like a disguised voice: it carries no mark, but a classifier, which is wrong "
        "about one plain voice in a hundred, takes it for one."
    )


def _tell_population(population: dict[str, Any] | None) -> str:
    if population is None:
        return (
            "What an attacker who trains on voices disguised in this way still gets was not "
            "measured."
        )
    bits, error = population["face_bits"], population["equal_error_rate"]
    share = population["share_kept"]
    before, after = (_estimate(bits[key]) for key in ("before", "after"))
    finds = (
        f"still gets {share_in_words(share['value'])} of what plain voices tell of the face: "
        f"{after} of {before} bits"
        if share["high"] > NOTHING
        else f"finds nothing of the face: {after} of {before} bits"
    )
    return (
        f"Tested on {population['people']} people: an attacker who trains on voices changed by "
        f"{population['method']} {finds}. About who speaks it is wrong in "
        f"{100 * error['after']['value']:.0f} % of cases (plain voices "
        f"{100 * error['before']['value']:.1f} %, guessing 50 %)."
    )


def _tell_original(original: dict[str, Any], calibrated_on: int) -> list[str]:
    bits, left, pair = original["bits"], original["bits_left"], original["pair"]
    between = f" ({bits['low']:.1f} to {bits['high']:.1f})" if calibrated_on else ""
    lines = [
        f"The original discloses about {bits['value']:.1f} bits of the speaker's face{between}."
    ]
    if original["sounds_disguised"]:
        lines.append("But it sounds like a disguised voice itself, and then that does not hold.")
    seconds = f"{pair['seconds'][0]:.1f} and {pair['seconds'][1]:.1f} s"
    if pair["same"] is False:
        lines.append(
            f"The two recordings do not seem to be of the same speech ({seconds}; their levels "
            f"correlate by {pair['correlation']:.2f}): what follows holds only if they are."
        )
    elif pair["same"] is None:
        lines.append(
            f"Whether the two recordings are of the same speech could not be checked ({seconds})."
        )
    if left["bound"]:
        lines.append(
            "An attacker who trains on this disguise has at most as much of it as of the original: "
            f"{left['high']:.1f} bits, as far as this program finds."
        )
    elif max(left["value"], left["high"] or 0) < LEAST:
        lines.append(
            "An attacker who trains on this method would get next to nothing of them, less than "
            f"{LEAST:.2f} bits: the average share of many people, not measured on this voice."
        )
    else:
        interval = "" if left["low"] is None else f" ({left['low']:.1f} to {left['high']:.1f})"
        lines.append(
            f"An attacker who trains on this method would still get about {left['value']:.1f} of "
            f"these bits{interval}: the average share of many people, not measured on this voice."
        )
    return lines


def _estimate(found: dict[str, float]) -> str:
    value, low, high = (max(0.0, found[key]) for key in ("value", "low", "high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
