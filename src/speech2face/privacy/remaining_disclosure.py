"""Disclosure that remains after a disguise: attacks on a population, applied to one voice.

The bits of one recording are calibrated on plain voices (calibrate_model.py) and do not hold for a
disguised one. What holds is the table of attacks (attack_table.py), and, where the original is
given, its bits: a disguise adds nothing to them.
"""

from __future__ import annotations

import numpy as np

from speech2face.metrics.audit_results import (
    BitsLeft,
    MethodAttack,
    PlainAndDisguised,
    StatedBits,
)
from speech2face.privacy.attack_table import load_table


def find_attack(method: str | None) -> MethodAttack | None:
    """The table's row of a method, beside plain voices; None where it was not measured."""
    row = load_table().get(method or "")
    if method is None or row is None:
        return None
    plain = row.plain
    return MethodAttack(
        method,
        plain.people,
        plain.speakers,
        PlainAndDisguised(plain.face_bits, row.face_bits),
        row.share_kept,
        PlainAndDisguised(plain.equal_error_rate, row.equal_error_rate),
    )


def state_bits_left(bits: StatedBits, method: str | None) -> BitsLeft:
    """Bits of the original, with interval or without → what an attacker who learned may have.

    The share of the bits that is left in a population, times the original's. The interval is of
    both uncertainties together, as if independent.
    """
    row = load_table().get(method or "")
    value, most = bits.value, bits.high
    if row is None:
        return BitsLeft(None, None, most or value, bound=True)
    share = row.share_kept
    left = value * share.value
    if bits.low is None or most is None:  # not calibrated: no interval is known
        return BitsLeft(round(left, 3), None, None, bound=False)
    below = np.hypot((value - bits.low) * share.value, value * (share.value - share.low))
    above = np.hypot((most - value) * share.value, value * (share.high - share.value))
    return BitsLeft(
        round(left, 3),
        round(max(0.0, left - float(below)), 3),
        round(min(most, left + float(above)), 3),
        bound=False,
    )
