"""Audits as one HTML page that needs nothing else: no network, no script, nobody's face or voice.

It follows the reader's light or dark mode, reads on a phone, and prints. Here are what all audits
share and the page of one recording; that of a population is population_page.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from speech2face.files import write_atomically
from speech2face.pictures import check_place
from speech2face.provenance import summarise
from speech2face.reports.plots import COLOURS, Axis, Series, draw_lines

STYLE = (
    COLOURS
    + """*{box-sizing:border-box}
body{margin:0 auto;padding:2.4rem 1.25rem 4rem;max-width:52rem;background:var(--ground);
color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.2rem;margin:2.4rem 0 .4rem}
p{margin:.4rem 0 .8rem}.soft{color:var(--soft);font-size:.93rem}
.figure{font-size:3.4rem;font-weight:700;line-height:1.05;letter-spacing:-.02em;margin:1.2rem 0 0}
.figure small{font-size:1.1rem;font-weight:400;color:var(--soft);letter-spacing:0}
.lead{font-size:1.12rem}
figure{margin:1rem 0;padding:1rem;background:var(--panel);border-radius:10px;overflow-x:auto}
figcaption{font-weight:600;font-size:.95rem;margin-bottom:.5rem}
svg{display:block;max-width:100%;height:auto;margin:0 auto}.small{font-size:11.5px;fill:var(--ink)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem;color:var(--soft);
margin-top:.5rem}
.legend span{display:inline-flex;align-items:center;gap:.35rem}.legend svg{flex:none;margin:0}
.bar{display:flex;height:2.1rem;border-radius:6px;overflow:hidden;background:var(--line)}
.bar i{display:block;height:100%;border-right:2px solid var(--panel)}.bar i:last-child{border:0}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:3px;flex:none}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums;margin:.6rem 0}
th,td{padding:.34rem .9rem .34rem 0;text-align:left;border-bottom:1px solid var(--line);
white-space:nowrap}
th{font-weight:600;color:var(--soft)}th[colspan]{color:var(--ink);padding-top:.9rem}
code{font:.92em ui-monospace,monospace;background:var(--panel);padding:.1em .3em;border-radius:4px;
overflow-wrap:anywhere}
li{margin:.3rem 0}
.notice{border-left:4px solid var(--s1);padding:.1rem 0 .1rem 1rem;margin:1.2rem 0}
@media (max-width:34rem){body{padding-top:1.4rem}.figure{font-size:2.8rem}
.figure small{display:block;line-height:1.3}
figure{padding:.7rem;margin-inline:-.4rem}figure>svg{width:100%;min-width:19rem}
.small{font-size:16.5px}}
@media print{:root{--ground:#fff;--ink:#000;--soft:#444;--line:#ccc;--faint:#777;--panel:#fff}
body{padding:0;max-width:none;font-size:10pt}figure,tr{break-inside:avoid}
figure{border:1px solid var(--line)}h2{break-after:avoid}}
"""
)
BITS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
STRIP = (560, 112)  # the crowd's picture, width and height
ADVICE = (
    "A shorter recording is hardly a safer one: the curve rises in the first second or two.",
    "If your name must stay unknown, do not publish the voice: have the words read by another "
    "person, or by a machine (`speech2face anonymise --method resynthesis`), or publish a "
    "transcript.",
    "Programs that only change a voice take back half of the bits at best from somebody who knows "
    "the program. What each leaves stands in docs/privacy.md; `speech2face audit --pairs` measures "
    "it on voices of your own.",
    "What you say, how you say it, and the sounds around you may tell more than the voice does.",
)


def draw_recording(facts: dict[str, Any], sentences: Sequence[str]) -> str:
    """What `single.audit_recording` gave, and its sentences → HTML."""
    bits = facts["bits"]
    interval = "bits of the face, if this model is right, which was not checked"
    if facts["calibrated_on"]:
        interval = f"bits of the face, {bits['low']:.1f} to {bits['high']:.1f}"
    parts = [
        "<h1>What this voice gives away of the face</h1>",
        f'<p class="soft">{facts["speech_seconds"]:.1f} s of speech; model '
        f"{escape(facts['model'])}. No picture, no name and no list of people takes part.</p>",
        f'<p class="figure">{bits["value"]:.1f} <small>{interval}</small></p>',
        f'<p class="soft">{escape(sentences[1])} Each bit halves the crowd in which the speaker '
        "hides.</p>",
        f'<p class="lead">{escape(sentences[2])}</p>',
        _crowd(facts),
    ]
    if sentences[3:-1]:
        parts.append(f"<p>{escape(' '.join(sentences[3:-1]))}</p>")
    parts += [
        _parts(facts),
        section("How much speech it takes", _CURVE, _curve(facts)),
        section("What you can do", "", bullets(ADVICE)),
        section("What this figure is, and is not", "", bullets(_limits(facts))),
    ]
    return wrap("What a voice gives away", parts)


_CURVE = (
    "Heard from the beginning of the speech. The dashed line is an average voice in clear sound."
)


def _crowd(facts: dict[str, Any]) -> str:
    """The crowd as a line, and where the speaker may stand in it."""
    width, height = STRIP
    crowd, places = facts["strangers"], facts["places"]
    left, right, level = 10, width - 10, 52

    def across(place: float) -> float:
        return left + (right - left) * min(1.0, place / crowd)

    low, half, high = (across(places[k]) for k in ("10 %", "50 %", "90 %"))
    mean, chance = across(facts["mean_place"]), across(crowd / 2)
    drawing = (
        f'<rect x="{left}" y="{level - 5}" width="{right - left}" height="10" rx="5" '
        'fill="var(--line)"/>'
        f'<rect x="{low:.1f}" y="{level - 5}" width="{max(3, high - low):.1f}" height="10" rx="5" '
        'fill="var(--s0)" opacity=".45"/>'
        f'<path d="M{chance:.1f} {level - 16}v32" stroke="var(--faint)" stroke-width="1.5" '
        'stroke-dasharray="5 4"/>'
        f'<rect x="{half - 2:.1f}" y="{level - 12}" width="4" height="24" fill="var(--s0)"/>'
        f'<circle cx="{mean:.1f}" cy="{level}" r="8" fill="var(--s1)"/>'
        + _words(mean, level - 22, f"on average {facts['mean_place']}", _anchor(mean, width))
        + _words(chance, level + 34, f"by chance {crowd // 2}", "middle")
        + _words(left, level + 54, "most like the voice", "start")
        + _words(right, level + 54, "least like it", "end")
    )
    legend = (
        '<div class="legend"><span><i class="key" style="background:var(--s1)"></i>average</span>'
        '<span><i class="key" style="background:var(--s0)"></i>half of all cases lie before this'
        '</span><span><i class="key" style="background:var(--s0);opacity:.45"></i>8 cases of 10'
        "</span></div>"
    )
    title = f"Where the true face stands among {crowd:,} strangers"
    return figure(title, svg(drawing, width, height, title), legend)


def _parts(facts: dict[str, Any]) -> str:
    parts = {name: value for name, value in facts["parts"].items() if value is not None}
    total = sum(max(0.0, value) for value in parts.values())
    if not parts or total < 0.05:
        return ""
    cells, names = "", ""
    for number, (name, value) in enumerate(parts.items()):
        told = "less than 0.1 bits" if value < 0.05 else f"{value:.1f} bits"
        share = max(0.0, value) / total
        colour = f"background:var(--s{number})"
        cells += f'<i style="width:{100 * share:.1f}%;{colour}"></i>'
        names += f'<span><i class="key" style="{colour}"></i>{escape(name)}, {told}</span>'
    return figure(
        "What the bits are about, as far as it can be told apart",
        f'<div class="bar">{cells}</div>',
        f'<div class="legend">{names}</div>',
    )


def _curve(facts: dict[str, Any]) -> str:
    own = [(point["seconds"], point["bits"]) for point in facts["curve"]]
    other = [(point["seconds"], point["bits"]) for point in facts["average_voice"]]
    longest = max(6.0, own[-1][0])
    other = [(t, bits) for t, bits in other if t <= longest]
    share = 0.0
    if facts["calibrated_on"]:
        share = facts["bits"]["high"] / max(facts["bits"]["value"], 1e-6) - 1
    most = max(*(bits * (1 + share) for _, bits in own), *(bits for _, bits in other))
    top = next((tick for tick in BITS[2:] if tick >= most), most)
    curve = Series(
        "this voice",
        [t for t, _ in own],
        [bits for _, bits in own],
        [bits * (1 - share) for _, bits in own],
        [bits * (1 + share) for _, bits in own],
    )
    average = Series(
        "an average voice", [t for t, _ in other], [bits for _, bits in other], plain=True
    )
    x = Axis("seconds of speech", 0, longest, tuple(range(0, int(longest) + 1, 2)))
    y = Axis("bits", 0, top, tuple(tick for tick in BITS if tick <= top))
    return draw_lines([curve, average], x, y, "Bits by seconds heard")


def _limits(facts: dict[str, Any]) -> list[str]:
    people = facts["calibrated_on"]
    calibrated = (
        f"It was checked on {people} people whom the encoder had never met: there the average of "
        "such statements is what the voices really disclosed, within the interval."
        if people
        else "This model was not calibrated. Its statements may be too great."
    )
    return [
        "It is an average over all people with such a voice. Of one person a voice may tell "
        "more, less, or what is wrong: some faces look like their voices, others do not.",
        calibrated,
        "It holds for plain voices. This one was taken for plain; if it is disguised all the same, "
        "its figures mean nothing.",
        "It holds for this program. A program trained on more people may find more, so take it for "
        "the least that is disclosed, not the most.",
        "It is about the face. That a known voice is recognised is another danger, and a greater "
        "one: a speaker verifier finds a voice among thousands.",
        f"speech2face {facts['version']}. All figures: `--json`.",
        *(summarise(facts["provenance"]) if "provenance" in facts else []),
    ]


# What all pages share ----------------------------------------------------------------------------


def wrap(title: str, parts: Iterable[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )


def section(title: str, note: str, *parts: str) -> str:
    words = f'<p class="soft">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{words}{''.join(parts)}</section>"


def figure(title: str, *parts: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{''.join(parts)}</figure>"


def svg(drawing: str, width: float, height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="{escape(title)}">{drawing}</svg>'
    )


def bullets(lines: Iterable[str]) -> str:
    """Plain text; what stands between backticks is code."""
    marked = (re.sub("`([^`]+)`", r"<code>\1</code>", escape(line)) for line in lines)
    return f"<ul>{''.join(f'<li>{line}</li>' for line in marked)}</ul>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A row of a single cell heads those after it."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = ""
    for row in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        if len(row) == 1:
            cells = f'<th colspan="{len(header)}">{escape(row[0])}</th>'
        body += f"<tr>{cells}</tr>"
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{whole}</div>'


def write_page(page: str, path: Path, force: bool = False) -> None:
    """Write HTML, whole or not at all.

    Raises UsageError where the file exists (without `force`) or its place is none for a file, and
    StorageError where the disk is full or fails.
    """
    check_place(path, force)
    with write_atomically(path) as file:
        file.write(page.encode())


def _words(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="small" text-anchor="{anchor}">{escape(words)}</text>'
    )


def _anchor(x: float, width: float) -> str:
    """Where words at `x` begin, so that they stay inside."""
    return "start" if x < 60 else "end" if x > width - 60 else "middle"
