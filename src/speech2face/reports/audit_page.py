"""The page of one recording's audit: nobody's face or voice is on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from speech2face.metrics.audit_results import RecordingAudit, VoiceAudit
from speech2face.reports.audit_text import format_disclosure
from speech2face.reports.number_words import format_thousands
from speech2face.reports.plots import Axis, Series, draw_lines
from speech2face.reports.render import render_page

TICKS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # bits
LEAST = 0.05  # bits in all, below which their causes are not drawn


@dataclass(frozen=True)
class Strip:
    """A crowd as a line, and where the speaker may stand in it; in units of the drawing."""

    low: float  # 10, 50 and 90 of 100 cases lie before
    half: float
    high: float
    mean: float
    chance: float
    width: int = 560
    height: int = 112
    left: int = 10
    right: int = 550
    level: int = 52

    @classmethod
    def of(cls, voice: VoiceAudit) -> Strip:
        assert voice.places is not None  # of a plain voice
        assert voice.mean_place is not None

        def across(place: float) -> float:
            return cls.left + (cls.right - cls.left) * min(1.0, place / voice.strangers)

        low, half, high = (across(voice.places[per_cent]) for per_cent in (10, 50, 90))
        return cls(low, half, high, across(voice.mean_place), across(voice.strangers / 2))

    @property
    def anchor(self) -> str:
        """SVG text anchor of the words at the mean, so that they stay inside."""
        return "start" if self.mean < 60 else "end" if self.mean > self.width - 60 else "middle"


def draw_recording(
    audit: RecordingAudit,
    provenance: Mapping[str, Any] | None = None,
    for_records: bool = False,
) -> str:
    """Draw the page, as HTML. `provenance` is what `describe_audit` gives.

    Of it the page says the date and the model's version, and with `for_records` the command, names
    of files and fingerprints of the recordings, too.
    """
    voice = audit.voice
    values = {
        "audit": audit,
        "voice": voice,
        "sentences": format_disclosure(voice, audit.original),
        "provenance": provenance,
        "for_records": for_records,
        "model": provenance["recipe"]["model"] if provenance else voice.model,
    }
    if voice.disguised.by:
        return render_page("disguised.html", **values)
    return render_page(
        "recording.html",
        **values,
        strip=Strip.of(voice),
        causes=_share_causes(voice),
        curve=Markup(_draw_curve(audit)),
    )


def _share_causes(voice: VoiceAudit) -> list[tuple[str, float, float]]:
    """Name of a cause, its bits, its per cent of all; none where there is hardly anything."""
    parts = {name: bits for name, bits in vars(voice.parts).items() if bits is not None}
    total = sum(max(0.0, bits) for bits in parts.values())
    if total < LEAST:
        return []
    return [(name, bits, 100 * max(0.0, bits) / total) for name, bits in parts.items()]


def _draw_curve(audit: RecordingAudit) -> str:
    """Bits by seconds, this voice's beside what was found on average, both with intervals."""
    bits = audit.voice.bits
    assert bits  # of a plain voice
    found = audit.average_voice
    longest = max(6.0, audit.curve[-1].seconds, *(point.seconds for point in found))
    share = 0.0 if bits.high is None else bits.high / max(bits.value, 1e-6) - 1
    most = max(
        *(point.bits * (1 + share) for point in audit.curve), *(point.high for point in found)
    )
    top = next((tick for tick in TICKS[2:] if tick >= most), most)
    curve = Series(
        "this voice",
        [point.seconds for point in audit.curve],
        [point.bits for point in audit.curve],
        [point.bits * (1 - share) for point in audit.curve],
        [point.bits * (1 + share) for point in audit.curve],
    )
    average = Series(
        f"found on average, {format_thousands(audit.voice.calibrated_on)} people",
        [point.seconds for point in found],
        [point.bits for point in found],
        [point.low for point in found],
        [point.high for point in found],
        plain=True,
    )
    step = 2 if longest <= 20 else 10
    x = Axis("seconds of speech", 0, longest, tuple(range(0, int(longest) + 1, step)))
    y = Axis("bits", 0, top, tuple(tick for tick in TICKS if tick <= top))
    return draw_lines([curve, average] if found else [curve], x, y, "Bits by seconds heard")
