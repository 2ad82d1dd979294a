"""The report as one HTML page that needs nothing else: no network, no script.

It opens with the table that matters, then plots, then the long tables. It prints, and follows the
reader's light or dark mode. Pictures of people are on it only where they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from speech2face.evaluation.report import (
    RECOGNISERS,
    SYSTEMS,
    describe,
    describe_strengths,
    main_table,
    name_recogniser,
    name_score,
    show,
    strengths_table,
)
from speech2face.provenance import summarise
from speech2face.reports.plots import (
    COLOURS,
    Axis,
    Dot,
    Series,
    draw_dots,
    draw_lines,
    draw_matrix,
)

MEASURES = {  # in pairs, as `Suite.paired` names them
    "recall_at_10_percent": "within 10 % of the gallery",
    "recall_at_rank_10": "among the first 10",
    "bits": "bits disclosed, by histogram",
    "same_sex": "same sex",
    "years_apart": "years apart, below 0 is nearer",
    "craniofacial": "craniofacial r, mean over ratios",
}
STYLE = (
    COLOURS
    + """*{box-sizing:border-box}
body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:76rem;background:var(--ground);
color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:2.6rem 0 .5rem;padding-top:.6rem;border-top:1px solid var(--line)}
p{max-width:46rem;margin:.4rem 0 .9rem}.soft{color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;margin:.6rem 0}
th,td{padding:.32rem .9rem .32rem 0;text-align:left;border-bottom:1px solid var(--line);
white-space:nowrap}
th{font-weight:600;color:var(--soft)}td:first-child{padding-right:1.6rem}
.main{font-size:1.02rem}.main td:nth-child(2){font-weight:600}
.plots{display:flex;flex-wrap:wrap;gap:1.2rem;align-items:flex-start}
figure{margin:.5rem 0;padding:.8rem;background:var(--panel);border-radius:8px;max-width:100%}
figcaption{font-weight:600;font-size:.92rem;margin-bottom:.4rem}
svg{max-width:100%;height:auto}.small{font-size:11.5px;fill:var(--ink)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.82rem;color:var(--soft)}
.legend span{display:inline-flex;align-items:center;gap:.35rem}.legend svg{flex:none}
img{max-width:100%}
@media print{:root{--ground:#fff;--ink:#000;--soft:#444;--line:#ccc;--faint:#777;--panel:#fff;
--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#b4589a;--s4:#7a6a00}body{padding:0;max-width:none;
font-size:10pt}figure,tr{break-inside:avoid}figure{border:1px solid var(--line)}
h2{break-after:avoid}.wide{overflow:visible}table{font-size:6.5pt}.main{font-size:9pt}
th,td{padding:.15rem .6rem .15rem 0}td:first-child{padding-right:.8rem}}
@page{size:A4 landscape;margin:12mm}
"""
)
SHARE = Axis("", 0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1))
WINS = Axis("two-way", 0.4, 1, (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1))


def draw_page(facts: dict[str, Any], gallery: str = "") -> str:
    """What `Suite.measure` gave → HTML; `gallery` is a JPEG as base64."""
    sections = [
        _opening(facts),
        _sets(facts),
        _retrieval(facts),
        _strengths(facts),
        _attributes(facts),
        _listening(facts),
        _manner(facts),
        _fairness(facts),
        _calibration(facts),
        _bits(facts),
        _craniofacial(facts),
        _similarity(facts),
        _notes(facts),
    ]
    if gallery:
        names = ", ".join(SYSTEMS[name] for name in facts["systems"])
        picture = f'<img alt="Gallery" src="data:image/jpeg;base64,{gallery}">'
        words = f"Clips by lot; from above: the true face, {names}. These are real people."
        sections.append(_section("Gallery", words, picture))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Faces from voices, measured</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(filter(None, sections))
        + "\n</body></html>\n"
    )


def _opening(facts: dict[str, Any]) -> str:
    several = len(facts["systems"]) > 1
    names = [SYSTEMS[name] for name in facts["systems"]]
    header = ["", *names, *(["difference"] if several else []), "chance or majority"]
    rows = [
        [row.name, *row.figures, *([row.difference] if several else []), row.chance]
        for row in main_table(facts)
    ]
    undetected = ", ".join(f"{SYSTEMS[k]} {n}" for k, n in facts["undetected"].items())
    return (
        "<h1>Faces from voices, measured</h1>"
        f'<p class="soft">{escape(describe(facts))}. Pictures in which no face is found: '
        f"{escape(undetected)}; clips left out: {facts['left_out']}.</p>"
        + _table(header, rows, "main")
        + "<p>Two-way matching asks how often the true face is nearer to the picture than another "
        "person's. SFace had no part in training; dlib's is the space ours was trained in. "
        "Differences are of the same clips. Sex and age are a judge's word on the true face, "
        "groups a probe's: estimates, no labels.</p>" + _differences(facts)
    )


def _differences(facts: dict[str, Any]) -> str:
    """The first system less each other, a table for each."""
    if not facts.get("paired"):
        return ""
    strata = {
        "two-way" if stratum == "everybody" else f"two-way, {stratum}": told
        for stratum, told in facts["differences"].items()
    }
    paired = {name: facts["paired"][k] for k, name in MEASURES.items() if k in facts["paired"]}
    judges = facts["judges"] | RECOGNISERS
    first, *others = facts["systems"]
    tables = []
    for other in others:
        pair = f"{first} − {other}, "
        rows = [
            [measure, judges[name.removeprefix(pair)], show(less), str(less["people"])]
            for measure, told in (strata | paired).items()
            for name, less in told.items()
            if name.startswith(pair)
        ]
        header = ["", "judge", f"{SYSTEMS[first]} − {SYSTEMS[other]}", "people"]
        tables.append(_table(header, rows))
    return "<p>Systems in pairs, on the same draws of the same people:</p>" + "".join(tables)


def _sets(facts: dict[str, Any]) -> str:
    """Each set for itself, where there are several."""
    if not facts.get("sets"):
        return ""
    scores = next(iter(facts["sets"].values()))["two_way"]["everybody"]
    header = ["", "people", "clips", *map(name_score, scores)]
    rows = []
    for name, told in facts["sets"].items():
        counts = [str(told["people"]), str(told["clips"])]
        for stratum, wins in told["two_way"].items():
            among = name if stratum == "everybody" else f"{name}, {stratum}"
            rows.append([among, *counts, *map(show, wins.values())])
        bits = [told["bits"].get(score) for score in scores]
        told_bits = [show(one["histogram"]) if one else "" for one in bits]
        rows.append([f"{name}, bits", *counts, *told_bits])
    note = "Each set's clips among those of the same set and fold: two-way matching, and bits."
    return _section("Sets", note, _table(header, rows))


def _retrieval(facts: dict[str, Any]) -> str:
    curves, rows = [], []
    percents = list(range(1, 101))
    for name, told in facts["retrieval"].items():
        if not name.startswith("face"):
            curves.append(Series(name_score(name), percents, told["curve"], marked=False))
        for stratum, figures in told.items():
            if stratum != "curve":
                rows.append(_retrieval_row(f"{name_score(name)}: {stratum}", figures))
    curves.append(Series("chance", percents, [k / 100 for k in percents], plain=True))
    axis = Axis("per cent of the gallery", 0, 100, (0, 20, 40, 60, 80, 100))
    plots = [
        draw_lines(group + curves[-1:], axis, _named(SHARE, "recall"), title)
        for title, group in _by_kind(curves[:-1])
        if group
    ]
    header = ["", "people", "gallery", "median rank", "at rank 1", "at rank 10", "at 1 %"]
    header += ["at 10 %", "two-way", "ten-way", "mAP", "ROC area", "equal error"]
    note = (
        "How often the true face is within so much of the gallery, nearest first. "
        "Chance follows in brackets where it varies."
    )
    return _section("Retrieval", note, _plots(plots), _table(header, rows))


def _by_kind(curves: Sequence[Series]) -> list[tuple[str, list[Series]]]:
    kinds = {"by SFace": "SFace", "by dlib": "dlib", "on embeddings": "embeddings"}
    return [(f"Retrieval {k}", [c for c in curves if word in c.name]) for k, word in kinds.items()]


def _retrieval_row(name: str, figures: dict[str, Any]) -> list[str]:
    def beside(figure: dict[str, Any], digits: int = 3) -> str:
        if figure["chance"] is None:
            return show(figure, digits)
        return f"{show(figure, digits)} ({show({'value': figure['chance']}, digits)})"

    ranks, percents = figures["recall_at_rank"], figures["recall_at_percent"]
    return [
        name,
        str(figures["people"]),
        f"{figures['gallery']:.0f}",
        beside(figures["median_rank"], 0),
        *(beside(ranks[k]) for k in ("1", "10")),
        *(beside(percents[k]) for k in ("1", "10")),
        show(figures["two_way"]),
        show(figures["ten_way"]),
        beside(figures["mean_average_precision"]),
        show(figures["area_under_roc"]),
        show(figures["equal_error_rate"]),
    ]


def _strengths(facts: dict[str, Any]) -> str:
    table = strengths_table(facts)
    if not table:
        return ""
    note = (
        "How far from the average face pictures are drawn, and what that gains and costs. Alike is "
        "the mean cosine of two people of one sex and fold. Ages are a judge's of the picture and "
        f"of the true face, groups a probe's of both. {describe_strengths(facts)}"
    )
    return _section("Strengths", note.strip(), _table(table[0], table[1:]))


def _attributes(facts: dict[str, Any]) -> str:
    kinds: dict[str, dict[str, Any]] = {}
    for name, told in facts["attributes"].items():
        kinds.setdefault("sex", {})[name] = told["sex"]
        kinds.setdefault("age", {})[name] = told["age"]["bands"]
    kinds["group"] = facts["probe"].get("groups", {})
    plots, rows = [], []
    for kind, comparisons in kinds.items():
        for name, labels in comparisons.items():
            if name.endswith("beside true") and not name.startswith("copy"):
                system = SYSTEMS[name.split(" beside")[0]]
                names = [label.replace("_", " ") for label in labels["classes"]]
                plots.append(draw_matrix(names, labels["confusion"], f"{kind}, {system}"))
            rows.append(_label_row(f"{kind}: {_comparison(name)}", labels))
    if not rows:
        return _section(
            "Attributes", "Not measured: the judge of age and sex is not installed.", ""
        )
    for name, told in facts["attributes"].items():
        age = told["age"]
        rows.append(
            [
                f"age, one band off at most: {_comparison(name)}",
                show(age["within_one"]),
                "",
                show(age["within_one_by_best"]),
                "",
            ]
        )
    note = "Is what a judge says of one picture what it says of the other?"
    if probe := facts["probe"]:
        rows.append(_label_row("group: the probe itself, on photographs", probe["on_photographs"]))
        note += (
            f" Groups are the annotators' of faces.csv, read by a linear probe on dlib's embeddings"
            f" of {probe['photographs']} photographs; they serve evaluation only."
        )
    header = ["", "the same", "balanced", "always the majority", "information, bits"]
    return _section("Attributes", note, _plots(plots), _table(header, rows))


def _label_row(name: str, labels: dict[str, Any]) -> list[str]:
    figures = ("accuracy", "balanced_accuracy", "majority", "information")
    return [name, *(show(labels[figure]) for figure in figures)]


def _listening(facts: dict[str, Any]) -> str:
    if "length" not in facts:
        return ""
    lengths, plots = facts["length"], []
    names = [f"{name} s" if name != "everything" else "all" for name in lengths]
    axis = Axis("heard of each clip", -0.3, len(names) - 0.7, range(len(names)), names)
    for title, figure, other in (
        ("Two-way by length", "two_way", Series("chance", [-0.3, len(names) - 0.7], [0.5] * 2)),
        ("Cosine of the predicted face to that of the whole clip", "moved", None),
    ):
        values = [told[figure] for told in lengths.values()]
        curve = Series("likelihood ratio", range(len(values)), *_columns(values))
        scale = WINS if other else _named(SHARE, "cosine")
        flat = [Series("chance", other.x, other.y, plain=True)] if other else []
        plots.append(draw_lines([curve, *flat], axis, scale, title))
    rows = [
        [f"heard: {name}", str(told["clips"]), *_heard_cells(told)]
        for name, told in zip(names, lengths.values(), strict=True)
    ]
    worse = facts["robustness"]
    dots = [(name, [_dot(told["two_way"])]) for name, told in worse.items()]
    plots.append(draw_dots(dots, WINS, "Two-way after degradation", (), 0.5))
    moved = [(name, [_dot(told["moved"])]) for name, told in worse.items() if name != "clean"]
    cosine = _named(SHARE, "cosine")
    plots.append(draw_dots(moved, cosine, "Cosine of the predicted face to the clean one"))
    rows += [[name, str(told["clips"] or ""), *_heard_cells(told)] for name, told in worse.items()]
    header = ["", "clips changed", "two-way", "less clean and whole", "cosine to it"]
    note = (
        "On embeddings, by likelihood ratio. Lengths: no more than so much of each clip is heard, "
        "among the same people. Degradations: of some clips of each fold, beside the same clean."
    )
    return _section("Length and robustness", note, _plots(plots), _table(header, rows))


def _heard_cells(told: dict[str, Any]) -> list[str]:
    return [show(told[figure]) for figure in ("two_way", "less", "moved")]


def _manner(facts: dict[str, Any]) -> str:
    if "manner" not in facts:
        return ""
    told = facts["manner"]
    cosine = Axis("cosine", -0.2, 1, (-0.2, 0, 0.2, 0.4, 0.6, 0.8, 1))
    kinds = (
        ("one actor, one emotion", "same_emotion"),
        ("one actor, two emotions", "other_emotion"),
        ("two actors of one sex", "strangers"),
    )
    dots = [(name, [_dot(told[kind])]) for name, kind in kinds]
    rows = [[name, show(told[kind])] for name, kind in kinds]
    rows.append(["nearer to oneself in another emotion than to another", show(told["nearer"])])
    for emotion, figure in told["two_way"].items():
        rows.append([f"two-way, {emotion}", show(figure)])
        rows.append([f"two-way, {emotion}, same sex", show(told["two_way_same_sex"][emotion])])
    note = (
        f"{told['actors']} actors of RAVDESS, {told['clips']} clips, in several emotions: does "
        "the predicted face stay? Chance of all matching is .500."
    )
    plot = draw_dots(dots, cosine, "Predicted faces of two clips", (), 0)
    return _section("Another emotion", note, _plots([plot]), _table(["", ""], rows))


def _fairness(facts: dict[str, Any]) -> str:
    groups = list(dict.fromkeys(g for told in facts["fairness"].values() for g in told["groups"]))
    names = [name for name in facts["fairness"] if name != "embedding, cosine"]
    rows = [
        (
            group.replace("_", " "),
            [
                _dot(facts["fairness"][name]["groups"][group]["figure"], number)
                for number, name in enumerate(names)
                if group in facts["fairness"][name]["groups"]
            ],
        )
        for group in groups
    ]
    if not rows:
        return ""
    cells = [
        [
            group.replace("_", " "),
            str(_first(facts["fairness"], group)["people"]),
            *(show(facts["fairness"][n]["groups"].get(group, {}).get("figure")) for n in names),
        ]
        for group in groups
    ]
    cells.append(["lowest", "", *(facts["fairness"][n]["worst"] or "–" for n in names)])
    labelled = [name_score(name) for name in names]
    plot = draw_dots(rows, WINS, "Two-way by group", labelled, 0.5)
    note = (
        "By sex and age as the judge sees the true face, and by the probe's group; opponents are "
        "everybody's. The lowest is of the groups of ten people or more; by chance one always is."
    )
    table = _table(["", "people", *labelled], cells)
    return _section("Fairness", note, _plots([plot]), table)


def _first(fairness: dict[str, Any], group: str) -> dict[str, Any]:
    return next(told["groups"][group] for told in fairness.values() if group in told["groups"])


def _calibration(facts: dict[str, Any]) -> str:
    if "calibration" not in facts:
        return ""
    told = facts["calibration"]
    coverage, confidence = told["coverage"], told["confidence"]
    levels = [k / 20 for k in range(1, 20)]
    curves = [
        Series(name, levels, *_columns(coverage[kind]["shares"]))
        for name, kind in (("all directions at once", "joint"), ("each for itself", "marginal"))
    ]
    curves.append(Series("as stated", [0, 1], [0, 1], plain=True))
    plots = [
        draw_lines(curves, _named(SHARE, "stated"), _named(SHARE, "covered"), "Reliability"),
        draw_dots(
            [
                (f"{group['low']:.2f} to {group['high']:.2f} bits", [_dot(group["wins"])])
                for group in confidence["bins"]
            ],
            WINS,
            "Two-way by stated confidence",
            (),
            0.5,
        ),
    ]
    rows = [
        ["mean distance from the diagonal, all directions", show(coverage["joint"]["error"])],
        ["… of a perfect Gaussian, by luck", show({"value": coverage["joint"]["luck"]})],
        ["mean distance from the diagonal, each direction", show(coverage["marginal"]["error"])],
        ["… of a perfect Gaussian, by luck", show({"value": coverage["marginal"]["luck"]})],
        ["squared error for each that is predicted (1 is right)", show(coverage["stretch"])],
        ["information stated, bits", show(told["stated_bits"], 2)],
        ["Spearman's r, stated information and matching", show(confidence["spearman"])],
    ]
    note = (
        "Does the predicted Gaussian hold the true face as often as it says, in the "
        f"{coverage['directions']} directions faces live in; and is who it states more about "
        "matched more often?"
    )
    return _section("Calibration", note, _plots(plots), _table(["", ""], rows))


def _bits(facts: dict[str, Any]) -> str:
    rows = []
    for name, told in facts["bits"].items():
        disclosure, sex = told["disclosure"], told.get("by_sex") or {}
        parts = [show(sex.get(k), 2) for k in ("sex_alone", "within_sex", "share")]
        cells = [show(disclosure[k], 2) for k in ("histogram", "fitted")]
        rows.append([name_score(name), *cells, f"{disclosure['worst_case']:.2f}", *parts])
    header = ["", "by histogram", "fitted", "likeliest rank", "sex alone", "within sex"]
    note = (
        "How much of the face is disclosed: one more bit halves the crowd in which one hides. "
        "Sex alone is what the judged sex of the picture says; a recogniser that looks at other "
        "things may give a picture less than that, and the share is then above 1."
    )
    return _section("Bits disclosed", note, _table([*header, "share of sex"], rows))


def _craniofacial(facts: dict[str, Any]) -> str:
    told = facts["craniofacial"]
    if not told:
        return ""
    ratios = list(dict.fromkeys(r for one in told.values() for r in one))
    rows = [
        (r, [_dot(one[r]["r"], number) for number, one in enumerate(told.values()) if one[r]["r"]])
        for r in ratios
    ]
    axis = Axis("Pearson's r", -0.2, 0.8, (-0.2, 0, 0.2, 0.4, 0.6, 0.8))
    names = [SYSTEMS[name] for name in told]
    plot = draw_dots(rows, axis, "Proportions of the face", names, 0)
    cells, header = [], [""]
    for system, one in told.items():
        sexes = sorted({s for c in one.values() for s in c["within"]})
        for kind in ("", *(f", {sex}" for sex in sexes), ", shuffled"):
            header.append(f"{SYSTEMS[system]}{kind}")
    for r in ratios:
        line = [r]
        for one in told.values():
            sexes = sorted({s for c in one.values() for s in c["within"]})
            within = [one[r]["within"].get(sex, {}).get("r") for sex in sexes]
            line += [show(e, 2) for e in (one[r]["r"], *within, one[r]["shuffled"])]
        cells.append(line)
    note = (
        "Ratios of the face drawn from the voice beside those of one drawn from the true face, by "
        "the same decoder (for pictures made elsewhere, the canonical picture), as measured by the "
        f"{facts['judges']['landmarks']}. Within one sex less is left."
    )
    return _section("Craniofacial ratios", note, _plots([plot]), _table(header, cells))


def _similarity(facts: dict[str, Any]) -> str:
    rows = [
        [
            f"{name_score(name)}: {words}",
            *(show(told[kind][k], 3) for k in ("cosine",)),
            *(show(told[kind][k], 1) for k in ("angle", "angle_deviation")),
            *(show(told[kind][k], 2) for k in ("l1", "l2")),
        ]
        for name, told in facts["similarity"].items()
        for kind, words in (
            ("true", "true face"),
            ("shuffled", "another's face"),
            ("average", "the mean face beside the true"),
        )
    ]
    header = ["", "cosine", "angle, °", "its deviation", "L1", "L2"]
    note = (
        "Embeddings at unit length. An angle says little alone: faces point much the same way, "
        "and the mean face is near them all."
    )
    return _section("Similarity", note, _table(header, rows))


def _notes(facts: dict[str, Any]) -> str:
    judges = facts["judges"]
    recognisers = ", ".join(map(name_recogniser, judges["recognisers"]))
    lines = [
        "People are drawn with replacement and bring all their clips; everybody weighs the same.",
        "Each clip is matched among those of its fold, the same for all systems. A picture in which"
        " no face is found loses every match.",
        f"Recognisers: {recognisers}; landmarks: {judges['landmarks']}; "
        f"age and sex: {judges['age_sex'] or 'no judge installed'}.",
        f"speech2face {facts['version']}, seed {facts['seed']}. All figures are in report.json.",
        *(summarise(facts["provenance"]) if "provenance" in facts else []),
    ]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return _section("How it was measured", "", f"<ul>{items}</ul>")


def _section(title: str, note: str, *parts: str) -> str:
    words = f'<p class="soft">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{words}{''.join(parts)}</section>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _plots(plots: Sequence[str]) -> str:
    return f'<div class="plots">{"".join(plots)}</div>' if plots else ""


def _comparison(name: str) -> str:
    for system, word in SYSTEMS.items():
        if system == "voice":
            name = name.replace("copy for voice", "our copy of the true face")
            name = name.replace("voice beside", "ours beside")
        name = name.replace(f"copy for {system}", f"copy of the true face ({word})")
    return name


def _dot(estimate: dict[str, Any], series: int = 0) -> Dot:
    return Dot(estimate["value"], estimate["low"], estimate["high"], series)


def _columns(
    estimates: Sequence[dict[str, Any]],
) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """Values, lows and highs."""
    return (
        [e["value"] for e in estimates],
        [e["low"] for e in estimates],
        [e["high"] for e in estimates],
    )


def _named(axis: Axis, name: str) -> Axis:
    return Axis(name, axis.low, axis.high, axis.ticks, axis.names)
