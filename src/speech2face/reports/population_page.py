"""The page of a population's audit: what each anonymiser hides, from whom, and at what cost."""

from __future__ import annotations

from html import escape
from typing import Any

from speech2face.privacy.attackers import ATTACKERS
from speech2face.privacy.audit_population import SHARES, tell_estimate
from speech2face.provenance import summarise
from speech2face.reports.audit_page import bullets, figure, section, svg, table, wrap
from speech2face.reports.plots import Axis, Dot, Series, draw_dots, draw_lines

DECIDES = ATTACKERS[-1]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 360, 58, 20, 16, 46  # of the trade-off
LINE, LETTER = 15, 7  # height of a name, and width of its letters
BESIDE = ((9, 4), (-9, 4), (9, -10), (-9, -10), (9, 18), (-9, 18))  # where a name may begin or end
FOUND, LOST = 0.2, 0.4  # equal errors below which speakers are found, above which they are not
MEANING = {
    "ignorant": "Ignorant: does not know that the voice was changed.",
    "lazy-informed": "Lazy-informed: knows the method, but trains nothing.",
    "semi-informed": "Semi-informed: has trained on other people's voices, changed the same way. "
    "Anybody can, so only this one decides.",
}


def draw_population(facts: dict[str, Any]) -> str:
    """What `Audit.measure` gave → HTML."""
    before = facts["before"]["face"]
    parts = [
        "<h1>What voices give away, before and after anonymising</h1>",
        f'<p class="soft">{facts["people"]} people, {facts["clips"]} clips, by {facts["folds"]} '
        "folds: nobody is attacked by what learned from them. 95 % intervals over people.</p>",
        f'<p class="figure">{before["bits"]["value"]:.2f} <small>bits of the face disclosed by '
        "unchanged voices, "
        f"{before['bits']['low']:.2f} to {before['bits']['high']:.2f}</small></p>",
        f'<p class="lead">{escape(_verdict(facts))}</p>',
    ]
    if facts["methods"]:
        parts += [
            section("Three attackers", "", bullets(MEANING.values())),
            section("What is left of the face", _FACE, draw_face(facts)),
            section("What is left of the voice", _VOICE, _voice(facts)),
            section("What hiding costs", _COST, _trade_off(facts)) if _costs(facts) else "",
            section("Figures", "", _table(facts)),
        ]
    parts += [
        section("Not everybody alike", _PEOPLE, _people(facts)),
        section("What to do", "", bullets(_advice(facts))),
        section("How it was measured", "", bullets(_notes(facts))),
    ]
    return wrap("What voices give away", parts)


_FACE = "0 bits: the voice says nothing of the face. 1 bit is what the sex alone would tell."
_VOICE = (
    "How often a verifier of speakers errs that takes strangers for one person as often as one "
    "person for strangers: 0 is never, .5 is guessing."
)
_COST = (
    "Bits left to a semi-informed attacker, and words that a recogniser no longer hears as it did "
    "in the original. Below and to the left is better."
)
_PEOPLE = (
    "Bits of each person, by the rank of the true face under a beta-binomial: below 0 the voice "
    "misleads. Against whoever knows the method."
)


def _verdict(facts: dict[str, Any]) -> str:
    attacked = {name: m["attackers"][DECIDES] for name, m in facts["methods"].items()}
    if not attacked:
        return "No anonymiser was attacked."
    name, best = min(attacked.items(), key=lambda row: row[1]["face"]["bits"]["value"])
    hidden = best["face_bits_hidden"]
    if hidden["low"] <= 0:
        return (
            "None of the methods measured hides the face from an attacker who has trained on it: "
            "what they seem to hide is within chance."
        )
    share = min(1.0, hidden["value"] / facts["before"]["face"]["bits"]["value"])
    error = best["voice"]["equal_error_rate"]["value"]
    finds = (
        "still finds" if error < FOUND else "sometimes finds" if error < LOST else "hardly finds"
    )
    return (
        f"From an attacker who has trained on it, {name} hides the most: {100 * share:.0f} % of "
        f"the bits that it found before. A verifier {finds} the speaker by the voice: it errs in "
        f"{100 * error:.0f} % of cases, and guessing is 50 %."
    )


def draw_face(facts: dict[str, Any]) -> str:
    """Bits of the face left to each attacker, by method: SVG in a figure."""
    most = max(e["high"] for _, e in _estimates(facts, "face", "bits"))
    top = next(t for t in (1.0, 1.5, 2.0, 3.0, 5.0, 12.0) if t >= most)
    axis = Axis(
        "bits of the face, 0 is perfect", -0.2, top, [t / 2 for t in range(int(2 * top) + 1)]
    )
    return draw_dots(_rows(facts, "face", "bits"), axis, "The face: bits disclosed", ATTACKERS, 0)


def _voice(facts: dict[str, Any]) -> str:
    axis = Axis("equal error rate, .5 is perfect", 0, 0.6, (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    rows = _rows(facts, "voice", "equal_error_rate")
    return draw_dots(rows, axis, "The voice: a verifier's equal error rate", ATTACKERS, 0.5)


def _rows(facts: dict[str, Any], kind: str, measure: str) -> list[tuple[str, list[Dot]]]:
    def dot(estimate: dict[str, float], series: int) -> Dot:
        return Dot(estimate["value"], estimate["low"], estimate["high"], series)

    rows = [("unchanged", [dot(facts["before"][kind][measure], 0)])]
    for name, method in facts["methods"].items():
        told = [method["attackers"][attacker][kind][measure] for attacker in ATTACKERS]
        rows.append((name, [dot(estimate, number) for number, estimate in enumerate(told)]))
    return rows


def _estimates(
    facts: dict[str, Any], kind: str, measure: str
) -> list[tuple[str, dict[str, float]]]:
    told = [("unchanged", facts["before"][kind][measure])]
    for name, method in facts["methods"].items():
        told += [(name, attack[kind][measure]) for attack in method["attackers"].values()]
    return told


def _costs(facts: dict[str, Any]) -> dict[str, tuple[float, dict[str, float]]]:
    """By method, of those whose cost is known: share of words lost, bits left to who knows it."""
    return {
        name: (method["cost"], method["attackers"][DECIDES]["face"]["bits"])
        for name, method in facts["methods"].items()
        if method["cost"] is not None
    }


def _trade_off(facts: dict[str, Any]) -> str:
    points = {"unchanged": (0.0, facts["before"]["face"]["bits"])} | _costs(facts)
    dearest = max(cost for cost, _ in points.values())
    right = next(t for t in (0.2, 0.4, 0.6, 0.8, 1.0, 10.0) if t >= dearest)
    top = next(
        t for t in (1.0, 1.5, 2.0, 3.0, 12.0) if t >= max(b["high"] for _, b in points.values())
    )
    x = Axis("words lost, %", 0, right, [right * k / 4 for k in range(5)])
    y = Axis("bits of the face left", 0, top, [top * k / 5 for k in range(6)])
    drawing = ""
    for tick in x.ticks:
        place = x.place(tick, LEFT, WIDTH - RIGHT)
        drawing += f'<path d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="var(--line)"/>'
        drawing += _words(place, HEIGHT - BOTTOM + 17, f"{100 * tick:.0f}", "middle")
    for tick in y.ticks:
        place = y.place(tick, HEIGHT - BOTTOM, TOP)
        drawing += f'<path d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}" stroke="var(--line)"/>'
        drawing += _words(LEFT - 8, place + 4, f"{tick:g}", "end")
    places = {}
    for name, (cost, bits) in points.items():
        across = x.place(cost, LEFT, WIDTH - RIGHT)
        low, level, high = (
            y.place(bits[k], HEIGHT - BOTTOM, TOP) for k in ("low", "value", "high")
        )
        places[name] = (across, low, level, high)
        colour = "var(--faint)" if name == "unchanged" else "var(--s2)"
        drawing += (
            f'<path d="M{across:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{across:.1f}" cy="{level:.1f}" r="5" fill="{colour}"/>'
        )
    numbers = [y.place(tick, HEIGHT - BOTTOM, TOP) for tick in y.ticks]
    drawing += _name_points(places, [(0.0, n - LINE / 2, LEFT, n + LINE / 2) for n in numbers])
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawing += _words(middle, HEIGHT - 8, x.name, "middle")
    drawing += (
        f'<text x="12" y="{HEIGHT / 2:.0f}" class="small" text-anchor="middle" '
        f'transform="rotate(-90 12 {HEIGHT / 2:.0f})">{escape(y.name)}</text>'
    )
    title = "Words lost, and bits left"
    return figure(title, svg(drawing, WIDTH, HEIGHT, title))


def _name_points(
    places: dict[str, tuple[float, float, float, float]],
    taken: list[tuple[float, float, float, float]],
) -> str:
    """A name beside each point (across, low, level, high), where it covers the least.

    `taken` are boxes: left, top, right, bottom.
    """
    taken = taken + [(x - 6, high, x + 6, low) for x, low, _, high in places.values()]
    drawing = ""
    for name, (across, _, level, _) in places.items():
        boxes = []
        for right, down in BESIDE:
            start = across + right - (LETTER * len(name) if right < 0 else 0)
            line = level + down
            boxes.append((start, line - LINE + 3, start + LETTER * len(name), line + 3))
        box = min(boxes, key=lambda box: _covered(box, taken))
        taken.append(box)
        right, down = BESIDE[boxes.index(box)]
        drawing += _words(across + right, level + down, name, "end" if right < 0 else "start")
    return drawing


def _covered(box: tuple[float, ...], taken: list[tuple[float, ...]]) -> float:
    """How much of what is taken a box covers, and of what lies outside the frame."""
    left, top, right, bottom = box
    outside = (
        max(0.0, -left) + max(0.0, right - WIDTH + 3 * RIGHT) + max(0.0, bottom - HEIGHT + BOTTOM)
    )
    return 1000 * outside + sum(
        max(0.0, min(right, other[2]) - max(left, other[0]))
        * max(0.0, min(bottom, other[3]) - max(top, other[1]))
        for other in taken
    )


def _words(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="small" text-anchor="{anchor}">{escape(words)}</text>'
    )


def _people(facts: dict[str, Any]) -> str:
    told = {"unchanged": facts["before"]["face"]["of_people"]}
    methods = {n: m["attackers"][DECIDES]["face"]["of_people"] for n, m in facts["methods"].items()}
    order = sorted(methods, key=lambda name: sum(methods[name]))
    for name in dict.fromkeys([*order[:1], *order[-1:]]):
        told[name] = methods[name]
    shares = [100 * share for share in SHARES]
    curves = [Series(name, shares, bits) for name, bits in told.items()]
    curves.append(Series("nothing disclosed", [0, 100], [0, 0], plain=True))
    low = min(-1.0, *(bits[1] for bits in told.values()))
    high = max(2.0, *(bits[-1] for bits in told.values()))
    ticks = [t for t in range(-12, 13) if low <= t <= high]
    x = Axis("per cent of people, least disclosed first", 0, 100, (0, 20, 40, 60, 80, 100))
    return draw_lines(curves, x, Axis("bits", low, high, ticks), "Bits of each person")


def _table(facts: dict[str, Any]) -> str:
    header = ["", "face, bits", "of them hidden", "two-way", "voice, equal error", "linkability"]
    rows = [["unchanged", *_cells(facts["before"], None)]]
    for name, method in facts["methods"].items():
        rows.append([name])
        for attacker, attack in method["attackers"].items():
            rows.append([attacker, *_cells(attack, attack["face_bits_hidden"])])
    return table(header, rows)


def _cells(row: dict[str, Any], hidden: dict[str, float] | None) -> list[str]:
    face, voice = row["face"], row["voice"]
    return [
        tell_estimate(face["bits"]),
        tell_estimate(hidden) if hidden else "",
        tell_estimate(face["two_way"], 3),
        tell_estimate(voice["equal_error_rate"], 3),
        tell_estimate(voice["linkability"]),
    ]


def _advice(facts: dict[str, Any]) -> list[str]:
    lines = [
        "Judge a method by the semi-informed attacker alone. What hides a voice from a program "
        "that does not expect it hides little from one that does.",
        "Look at both figures: a method may hide who speaks and still leave sex and age, which are "
        "most of what a voice tells of a face.",
    ]
    weak = [
        name
        for name, method in facts["methods"].items()
        if method["attackers"][DECIDES]["voice"]["equal_error_rate"]["value"] < FOUND
    ]
    if weak:
        lines.append(
            f"Do not rely on {', '.join(weak)}: the speaker is found again with fewer than "
            f"{100 * FOUND:.0f} % of errors."
        )
    lines.append("Where much depends on it, have the words read by another, or publish text.")
    return lines


def _notes(facts: dict[str, Any]) -> list[str]:
    lines = [
        "Bits: how far the rank of the true face among those of its fold is from chance (histogram "
        "in 20 bins, corrected for luck). 0 is nothing.",
        f"Voice: {facts['speakers']} speakers; one half of a clip is known, the other published. "
        "Halves share their microphone, which helps the attacker.",
        "A stronger attacker may find more: what is shown is the least that is disclosed.",
        f"speech2face {facts['version']}, seed {facts['seed']}. All figures: report.json.",
        *(summarise(facts["provenance"]) if "provenance" in facts else []),
    ]
    lines += [f"{name} was left out: {why}" for name, why in facts["left_out"].items()]
    return lines
