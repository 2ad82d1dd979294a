"""Audits as plain text, for the terminal and for answers over HTTP."""

from __future__ import annotations

from speech2face.metrics.audit_results import MethodAttack, OriginalAudit, VoiceAudit
from speech2face.metrics.population_results import PopulationAudit
from speech2face.reports.render import render_blocks, render_page
from speech2face.speakers import describe_speakers


def format_disclosure(voice: VoiceAudit, original: OriginalAudit | None = None) -> dict[str, str]:
    """Sentences on what a voice gives away, by topic; the first three always are."""
    template = "disguised_disclosure.txt" if voice.disguised.by else "disclosure.txt"
    people = describe_speakers(voice.speakers)
    return render_blocks(template, voice=voice, original=original, people=people)


def format_remains(attack: MethodAttack | None, words_lost: float | None) -> str:
    """Sentences on what an anonymiser leaves to whoever knows it, for its users.

    `attack` is None for a method that was not attacked; `words_lost` a share, where it is known.
    """
    (sentence,) = render_blocks("method_remains.txt", attack=attack, words_lost=words_lost).values()
    return sentence


def format_fallback(used: MethodAttack, better: MethodAttack, install: str) -> str:
    """Sentences on what `used`, taken for lack of `better`, leaves; `install` makes that run."""
    values = {"used": used, "better": better, "install": install}
    (sentence,) = render_blocks("method_fallback.txt", **values).values()
    return sentence


def format_population(audit: PopulationAudit) -> str:
    """The table that decides, of a population under attack."""
    rows = [("unchanged", audit.before), *audit.strongest().items()]
    vain = audit.trained_in_vain()
    return render_page("population.txt", audit=audit, rows=rows, vain=vain).rstrip("\n")
