"""The page of a population's audit: what each anonymiser hides, from whom, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from speech2face.metrics.intervals import Estimate
from speech2face.metrics.population_results import (
    BOTH_FORMS,
    SHARES,
    TUNED,
    FaceAndVoice,
    PopulationAudit,
)
from speech2face.reports.plots import Axis, Dot, Series, draw_dots, draw_lines
from speech2face.reports.render import render_page
from speech2face.reports.trade_off import place_trade_off

MOST_BITS = (1.0, 1.5, 2.0, 3.0, 5.0, 12.0)  # ends of the axis
UNCHANGED = "unchanged"


def draw_population(audit: PopulationAudit, for_records: bool = False) -> str:
    """Draw the page, as HTML; with `for_records` it names the command and identifies the data."""
    strongest = audit.strongest()
    costs = {
        name: (method.cost, strongest[name].face.bits)
        for name, method in audit.methods.items()
        if method.cost is not None
    }
    attackers = {name for method in audit.methods.values() for name in method.attackers}
    best = min(strongest, key=lambda name: strongest[name].face.bits.value, default=None)
    return render_page(
        "population.html",
        audit=audit,
        for_records=for_records,
        strongest=strongest,
        vain=audit.trained_in_vain(),
        best=best,
        both_forms=BOTH_FORMS in attackers,
        tuned=TUNED in attackers,
        face_plot=Markup(draw_face(audit)) if strongest else "",
        voice_plot=Markup(_draw_voice(audit)) if strongest else "",
        people_plot=Markup(_draw_people(audit)),
        trade_off=(
            place_trade_off({UNCHANGED: (0.0, audit.before.face.bits), **costs}) if costs else None
        ),
    )


def draw_face(audit: PopulationAudit) -> str:
    """Bits of the face left to each attacker, by method: SVG in a figure."""
    rows = [(name, [attacked.face.bits for attacked in results]) for name, results in _rows(audit)]
    most = max(bits.high for _, row in rows for bits in row)
    top = next(t for t in MOST_BITS if t >= most)
    axis = Axis(
        "bits of the face, 0 is perfect", -0.2, top, [t / 2 for t in range(int(2 * top) + 1)]
    )
    return draw_dots(_dots(rows), axis, "The face: bits disclosed", _attackers(audit), 0)


def _draw_voice(audit: PopulationAudit) -> str:
    rows = [
        (name, [attacked.voice.equal_error_rate for attacked in results])
        for name, results in _rows(audit)
    ]
    axis = Axis("equal error rate, .5 is perfect", 0, 0.6, (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    title = "The voice: a verifier's equal error rate"
    return draw_dots(_dots(rows), axis, title, _attackers(audit), 0.5)


def _rows(audit: PopulationAudit) -> list[tuple[str, Sequence[FaceAndVoice]]]:
    """Unchanged voices, then each method's by its attackers."""
    methods = {name: [*method.attackers.values()] for name, method in audit.methods.items()}
    return [(UNCHANGED, [audit.before]), *methods.items()]


def _attackers(audit: PopulationAudit) -> list[str]:
    return list(next(iter(audit.methods.values())).attackers)


def _dots(rows: list[tuple[str, list[Estimate]]]) -> list[tuple[str, list[Dot]]]:
    return [
        (name, [Dot(one.value, one.low, one.high, number) for number, one in enumerate(row)])
        for name, row in rows
    ]


def _draw_people(audit: PopulationAudit) -> str:
    """Bits of each person: unchanged, and by the methods that leave the least and the most."""
    methods = {name: result.face.of_people for name, result in audit.strongest().items()}
    order = sorted(methods, key=lambda name: sum(methods[name]))
    chosen = dict.fromkeys([*order[:1], *order[-1:]])
    bits = {UNCHANGED: audit.before.face.of_people} | {name: methods[name] for name in chosen}
    shares = [100 * share for share in SHARES]
    curves = [Series(name, shares, of_people) for name, of_people in bits.items()]
    curves.append(Series("nothing disclosed", [0, 100], [0, 0], plain=True))
    low = min(-1.0, *(of_people[1] for of_people in bits.values()))
    high = max(2.0, *(of_people[-1] for of_people in bits.values()))
    ticks = [t for t in range(-12, 13) if low <= t <= high]
    x = Axis("per cent of people, least disclosed first", 0, 100, (0, 20, 40, 60, 80, 100))
    return draw_lines(curves, x, Axis("bits", low, high, ticks), "Bits of each person")
