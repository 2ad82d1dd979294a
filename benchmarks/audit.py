"""How far the audit can be trusted: statements beside what happened, and anonymisers attacked.

    python benchmarks/audit.py calibrate --pairs PAIRS --faces FACES [--write]
    python benchmarks/audit.py attack [METHOD …] --pairs PAIRS --voices VOICES [--tune] [--write]
    python benchmarks/audit.py draw

`draw` writes the tables and plots of docs/privacy.md from benchmarks/audit.json. The others need
the extra `train`, and keep what is finished in --cache. On one core attacking takes 3
to 5 minutes for each method, calibrating 45; it is `speech2face calibrate default`. With --tune
one attacker more tunes a speaker network for each fold on the voices of all methods that are given,
which takes 5 minutes a fold and 4 GB of memory, and 250 MB of disk a method. With --write, what was
measured goes into benchmarks/audit.json, and the numbers found beside the released model
or into the package's table of attacks. Figures of one version stand in one run, newest first;
an older run is kept while it has a method that no newer one has.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from speech2face.console import ProgressBars
from speech2face.files import write_text_atomically
from speech2face.metrics.intervals import Estimate
from speech2face.metrics.population_results import (
    FaceAndVoice,
    PopulationAudit,
    read_population_audit,
)
from speech2face.model_folders import ASSETS, find_model
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.attack_table import FILE, shorten
from speech2face.privacy.audit_population import PopulationAuditor
from speech2face.privacy.audit_recording import SURE
from speech2face.privacy.calibrate_model import calibrate
from speech2face.privacy.leakage_estimate import STRANGERS, write_calibration
from speech2face.reports.number_words import format_estimate, format_found
from speech2face.reports.plots import Axis, Series, draw_lines
from speech2face.reports.population_page import draw_face
from speech2face.training.attacker_tuning import AttackerRecipe

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RELIABLE = ("whole", "3 s", "1 s", "noise 0 dB", "telephone")  # drawn
TUNING = "What tuning adds to the attacker who learned from both forms, paired over people:"
COLOURS = (
    ":root{--ground:#fff;--ink:#1d2329;--line:#e3e6ea;--faint:#8a939d;--s0:#0072b2;--s1:#d55e00;"
    "--s2:#009e73;--s3:#b4589a;--s4:#7a6a00}.small{font-size:11.5px;fill:var(--ink)}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Check the audit, and attack anonymisers.")
    parser.add_argument("what", choices=("calibrate", "attack", "draw"))
    parser.add_argument("methods", nargs="*", help="[default: all]")
    parser.add_argument("--pairs", type=Path, action="append", help="may be repeated")
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/audit"))
    parser.add_argument("--tune", action="store_true", help="speaker networks, too")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.what != "draw" and not given.pairs:
        parser.error("--pairs is needed")
    if given.what == "draw":
        draw(json.loads((HERE / "audit.json").read_text()))
        return
    with ProgressBars() as show:
        if given.what == "calibrate":
            model = find_model()
            calibration, report = calibrate(model, given.pairs, given.faces, given.cache, show)
            results = report.as_json()
            if given.write:
                write_calibration(calibration, model)
        else:
            tuning = AttackerRecipe() if given.tune else None
            auditor = PopulationAuditor(given.pairs, given.voices, given.cache, show, tuning=tuning)
            methods = [load_anonymiser(name) for name in given.methods or ANONYMISERS]
            results = auditor.measure(methods, HERE / "anonymisers.json").as_json()
    print(json.dumps(results, indent=2))
    if given.write:
        path = HERE / "audit.json"
        stored = json.loads(path.read_text()) if path.is_file() else {}
        if given.what == "attack":
            stored["attacks"] = add_run(stored.get("attacks", []), results)
            costs = json.loads((HERE / "anonymisers.json").read_text())["methods"]
            short = shorten(stored["attacks"], costs)
            write_text_atomically(ASSETS / FILE, json.dumps(short, indent=1) + "\n")
        else:
            stored[given.what] = results
        write_text_atomically(path, json.dumps(stored, indent=1) + "\n")


def add_run(runs: list[dict[str, Any]], made: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs, newest first, with the methods of another one."""
    made = json.loads(json.dumps(made)) | {"provenance": None}  # it names folders of the measurer
    same = ("version", "people", "clips", "speakers", "folds", "seed", "before")
    if runs and all(runs[0][key] == made[key] for key in same):
        made, runs = runs[0] | {"methods": runs[0]["methods"] | made["methods"]}, runs[1:]
    return [made, *(run for run in runs if not set(run["methods"]) <= set(made["methods"]))]


def draw(stored: dict[str, Any]) -> None:
    """Tables and plots of docs/privacy.md."""
    conditions = stored["calibrate"]["conditions"]
    runs = [read_population_audit(run) for run in stored["attacks"]]
    write_between(tabulate_statements(stored["calibrate"]), "calibration")
    write_between([line for run in runs for line in tabulate_attacks(run)], "attacks")
    write_between([line for run in runs for line in tabulate_few_false(run)], "few-false")
    write_between([line for run in runs for line in tabulate_tuning(run)], "tuning")
    plots = {
        "audit-before": draw_reliability(conditions, "before"),
        "audit-after": draw_reliability(conditions, "after"),
        "audit-anonymisers": draw_face(max(runs, key=lambda run: len(run.methods))),
    }
    for name, figure in plots.items():
        write_text_atomically(DOCS / f"{name}.svg", stand_alone(figure))


def tabulate_statements(report: dict[str, Any]) -> list[str]:
    header = ("heard", "clips", "stated bits", "found bits", "stated place", "found")
    lines = [f"| {' | '.join(header)} | within the stated 90 % |", "|--" * 7 + "|"]
    for name, row in report["conditions"].items():
        after = row["after"]
        cells = [
            name,
            str(row["clips"]),
            f"{after['stated_bits']:.2f}",
            format_estimate(Estimate(**after["found_bits"])),
            f"{STRANGERS * after['stated_place']:.0f}",
            format_estimate(Estimate(**after["found_place"]), 0, STRANGERS),
            f"{format_estimate(Estimate(**after['within']['90 %']), 1, 100)} %",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    d, a, b, c = (report["numbers"][key] for key in ("doubt", "shortness", "noise", "narrow"))
    off = 100 * SURE * report["numbers"]["deviation"]
    lines += [
        "",
        f"{report['people']} people, {report['clips']} clips. d = {d:.3f}, a = {a:.3f} s, "
        f"b = {b:.3f}, c = {c:.3f}; the interval on the page is ± {off:.0f} %.",
    ]
    return lines


def tabulate_attacks(attacked: PopulationAudit) -> list[str]:
    header = ("method", "attacker", "face, bits", "hidden", "two-way", "linkability of the face")
    header += ("voice, equal error, %", "linkability of the voice")
    people = f"{attacked.people} people, {attacked.speakers} speakers"
    lines = ["", f"Measured with version {attacked.version} ({people}):", ""]
    lines += [f"| {' | '.join(header)} |", "|--" * len(header) + "|"]
    lines.append(f"| unchanged | | {' | '.join(cells(attacked.before, None))} |")
    for name, method in attacked.methods.items():
        for attacker, row in method.attackers.items():
            text = " | ".join(cells(row, row.face_bits_hidden))
            lines.append(f"| {name} | {attacker} | {text} |")
    return lines


def tabulate_few_false(attacked: PopulationAudit) -> list[str]:
    """What the strongest verifier finds at few false matches; of old runs nothing."""
    mixed, one_sex = attacked.before.voice.mixed, attacked.before.voice.one_sex
    if not mixed or not one_sex:
        return []
    header = ("method", "found at 1 %", "at 0.1 %", "equal error, one sex, %")
    header += ("found at 1 %, one sex", "at 0.1 %, one sex", "exposed tenth, bits of the face")
    lines = [f"| {' | '.join(header)} |", "|--" * len(header) + "|"]
    for name, row in [("unchanged", attacked.before), *attacked.strongest().items()]:
        every, own = row.voice.mixed, row.voice.one_sex
        assert every  # as before
        assert own
        assert row.face.exposed_bits
        told = [format_found(every.true_at_1_percent), format_found(every.true_at_01_percent)]
        told.append(format_estimate(own.equal_error_rate, 1, 100))
        told += [format_found(own.true_at_1_percent), format_found(own.true_at_01_percent)]
        lines.append(f"| {name} | {' | '.join(told)} | {format_estimate(row.face.exposed_bits)} |")
    return [
        *lines,
        "",
        f"Version {attacked.version}. {mixed.people} speakers, {mixed.true_pairs} pairs of one and "
        f"{mixed.false_pairs:,} of two; of one sex {one_sex.people} and {one_sex.false_pairs:,}.",
    ]


def tabulate_tuning(attacked: PopulationAudit) -> list[str]:
    """What tuning adds to the semi-informed attacker; of runs without it nothing."""
    gains = {name: method.tuning_gain for name, method in attacked.methods.items()}
    rows = [
        f"| {name} | {format_estimate(gain.face_bits)} | "
        f"{format_estimate(gain.equal_error_rate, 1, 100)} |"
        for name, gain in gains.items()
        if gain
    ]
    if not rows:
        return []
    header = ("method", "face, bits more", "voice, equal error, points")
    return [TUNING, "", f"| {' | '.join(header)} |", "|--" * len(header) + "|", *rows]


def cells(row: FaceAndVoice, hidden: Estimate | None) -> list[str]:
    face, voice = row.face, row.voice
    return [
        format_estimate(face.bits),
        format_estimate(hidden) if hidden else "",
        format_estimate(face.two_way, 3),
        format_estimate(face.linkability),
        format_estimate(voice.equal_error_rate, 1, 100),
        format_estimate(voice.linkability),
    ]


def draw_reliability(conditions: dict[str, Any], when: str) -> str:
    """Bits found by bits stated, in groups of clips, before or after calibrating."""
    curves = []
    for name in (name for name in RELIABLE if name in conditions):
        groups = conditions[name][when]["groups"]
        stated, found = ([group[key] for group in groups] for key in ("stated", "found"))
        value, low, high = ([bits[key] for bits in found] for key in ("value", "low", "high"))
        curves.append(Series(name, stated, value, low, high))
    ticks = (0, 0.5, 1, 1.5, 2, 2.5, 3)
    curves.append(Series("as stated", ticks, ticks, plain=True))
    x, y = Axis("bits stated", 0, 3, ticks), Axis("bits found", 0, 3, ticks)
    return draw_lines(curves, x, y, f"What was stated and what was found, {when} calibrating")


def stand_alone(figure: str) -> str:
    """The drawing and the legend of a page's figure as a file of its own."""
    drawing = figure[figure.index("<svg") : figure.index("</svg>")]
    size = re.search(r'viewBox="0 0 (\d+) (\d+)" width="\d+"', drawing)
    if not size:
        raise ValueError("not a figure of reports/plots.py")
    width, height = (int(number) for number in size.groups())
    entries = re.findall(r"<span>(<svg.*?</svg>)(.*?)</span>", figure)
    legend, place = "", 56
    for mark, name in entries:
        placed = mark.replace("<svg", f'<svg x="{place}" y="{height + 4}"', 1)
        legend += f'{placed}<text x="{place + 26}" y="{height + 14}" class="small">{name}</text>'
        place += 44 + 7 * len(name)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(width, place)} {height + 24}" '
        f'width="{max(width, place)}" font-family="sans-serif"><style>{COLOURS}</style>'
        '<rect width="100%" height="100%" fill="var(--ground)"/>'
    )
    return f"{head}{drawing[drawing.index('>') + 1 :]}{legend}</svg>\n"


def write_between(lines: list[str], name: str) -> None:
    """Replace what stands between two markers of docs/privacy.md."""
    path = DOCS / "privacy.md"
    before, first, rest = path.read_text().partition(f"<!-- {name} -->")
    _, last, after = rest.partition(f"<!-- /{name} -->")
    text = "\n".join(lines)
    write_text_atomically(path, f"{before}{first}\n{text}\n{last}{after}")


if __name__ == "__main__":
    main()
