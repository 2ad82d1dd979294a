"""The page and the text on a disguised recording: what was done, what remains, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speech2face.metrics.protection_results import LEAST_SPEECH, Protection, TellingWord
from speech2face.reports.render import render_blocks, render_page

MOST_MENTIONS = 12  # times at which a word is listed; the others are counted


def format_protection(protection: Protection) -> list[str]:
    """Sentences for the terminal, the most important first."""
    return list(tell_protection(protection).values())


def tell_protection(protection: Protection) -> dict[str, str]:
    """The same by what they speak of, as "verdict" or "face"; not each recording has all."""
    return render_blocks("protection.txt", **_values(protection))


def draw_protection(
    protection: Protection,
    provenance: Mapping[str, Any] | None = None,
    for_records: bool = False,
    over_http: bool = False,
) -> str:
    """Draw the page, as HTML. `provenance` is what `describe_audit` gives.

    Names of files and fingerprints of recordings are on it with `for_records` alone. It speaks of
    options as the command's users write them, or `over_http` of a request's parameters.
    """
    return render_page(
        "protection.html",
        **_values(protection),
        sentences=tell_protection(protection),
        mentions=group_mentions(protection.telling_words),
        most_mentions=MOST_MENTIONS,
        least_speech=LEAST_SPEECH,
        provenance=provenance,
        for_records=for_records,
        over_http=over_http,
    )


def group_mentions(words: tuple[TellingWord, ...]) -> list[tuple[TellingWord, list[float]]]:
    """Each word once, as it is said first, with the times of all its mentions."""
    grouped: dict[tuple[str, str], tuple[TellingWord, list[float]]] = {}
    for word in words:
        grouped.setdefault((word.kind, word.words.lower()), (word, []))[1].append(word.at)
    return list(grouped.values())


def _values(protection: Protection) -> dict[str, Any]:
    """What both templates are filled with."""
    worst = max(protection.speakers, key=lambda who: who.left.most_bits)
    return {"protection": protection, "worst": worst}
