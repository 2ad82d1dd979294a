"""The report, its plots and the card: what they show is what was measured."""

import csv
import json
import math
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markupsafe import escape

from helpers.synthetic_evaluation import MadeUp, make_actors, make_folds
from speech2face import cli
from speech2face.errors import UsageError
from speech2face.evaluation import robustness
from speech2face.evaluation.all_measures import run_benchmark
from speech2face.evaluation.evaluation_set import EvaluationSet, gather_folds
from speech2face.evaluation.model_card import END, START, check_card, write_card
from speech2face.evaluation.rated_pictures import Resampling, rate_set
from speech2face.evaluation.report import (
    from_plain,
    make_gallery,
    read_report,
    to_plain,
)
from speech2face.metrics.evaluation_results import EvaluationReport, SetResult
from speech2face.metrics.fairness import GroupName
from speech2face.metrics.intervals import Estimate
from speech2face.reports.evaluation_page import draw_page
from speech2face.reports.evaluation_tables import (
    describe_strengths,
    format_summary,
    main_table,
    strengths_table,
)
from speech2face.reports.evaluation_words import (
    PAIRED_MEASURES,
    RATERS,
    STRATA,
    format_figure,
    name_comparison,
    name_degradation,
    name_group,
    name_ratio,
)
from speech2face.reports.plots import Axis, Dot, Series, draw_dots, draw_lines, draw_matrix
from speech2face.reports.render import write_report
from speech2face.run_provenance import describe

SIZE = Axis("size", 0, 10, (0, 5, 10))
VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Raises where tags are not closed in order; keeps what would be fetched or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.fetched, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href") or k.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture
def made_up(tmp_path, monkeypatch) -> MadeUp:
    return MadeUp(tmp_path / "data", monkeypatch)


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory):
    """An evaluation by folds, with another system's pictures beside."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(robustness, "DEGRADATIONS", {"quieter": lambda sound, _: sound / 8})
        people = MadeUp(folder, monkeypatch)
        people.paint("published", people.faces[::-1])
        people.paint("canonical", people.faces)
        folds = make_folds(people, folder)
        clips = gather_folds(folds)
        actors = make_actors(people, monkeypatch)
        cache, quiet = folder / "cache", lambda *_: None
        rated = rate_set(clips, cache, quiet, folds=folds, resampling=Resampling(0, 20, 5))
        made = describe({"seed": 0}, {})
        report = run_benchmark(rated, cache, quiet, actors=actors, provenance=made)
        return clips, to_plain(report)


@pytest.fixture
def measured(measured_once) -> tuple[EvaluationSet, EvaluationReport]:
    clips, plain = measured_once
    return clips, from_plain(EvaluationReport, plain)


def test_the_page_needs_nothing_and_shows_nobody_unless_asked(measured):
    clips, report = measured
    page = draw_page(report)
    reader = read(page)
    assert reader.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "http" not in page
    assert "url(" not in page
    assert reader.tags.index("table") < reader.tags.index("svg")
    for row in main_table(report):
        assert f"<td>{row.name}</td>" in page
        for figure in [*row.figures, row.difference, row.chance]:
            assert f"<td>{figure}</td>" in page
    for title in (
        "Retrieval",
        "Attributes",
        "Length",
        "Strengths",
        "Fairness",
        "Calibration",
        "Bits",
        "Another",
    ):
        assert f"<h2>{title}" in page
    for row in strengths_table(report)[1:]:
        assert "".join(f"<td>{escape(cell)}</td>" for cell in row) in page
    assert describe_strengths(report) in page
    for drawing in re.findall(r"<svg.*?</svg>", page):
        ElementTree.fromstring(drawing)
    with_gallery = read(draw_page(report, make_gallery(clips)))
    assert [source[:23] for source in with_gallery.fetched] == ["data:image/jpeg;base64,"]


def test_the_table_sets_systems_beside_each_other_and_chance(measured):
    _, report = measured
    rows = {row.name: row for row in main_table(report)}
    wins = report.two_way["everybody"]
    first = rows["two-way, SFace"]
    assert first.figures == [format_figure(wins[s]["sface"]) for s in ("voice", "published")]
    assert first.chance == ".500"
    assert first.difference.startswith((".", "1"))
    alike = rows["alike, two people of one sex, SFace"]
    by_system = report.alikeness
    assert alike.figures == [format_figure(by_system[s]["sface"]) for s in ("voice", "published")]
    people = format_figure(by_system["ground_truth"]["sface"], interval=False)
    assert alike.chance == f"people {people}"
    for row, measure, rater in (
        ("within 10 % of the gallery, dlib", "recall_at_10_percent", "dlib"),
        ("bits disclosed, SFace", "bits", "sface"),
        ("same sex, by the judge", "same_sex", "age_sex"),
        ("craniofacial r, mean of 13", "craniofacial", "landmarks"),
    ):
        assert rows[row].difference == format_figure(report.paired[measure]["published"][rater])
    lines = format_summary(report).splitlines()
    assert lines[0].startswith("40 people, 41 clips, 2 folds by person")
    assert lines[1].split() == ["ours", "published", "difference", "chance"]


def test_the_page_shows_each_difference_where_systems_are_compared(measured):
    _, report = measured
    page = draw_page(report)
    assert '<th scope="col">ours − published</th>' in page
    measures = {f"two-way, {STRATA[k]}": v for k, v in report.differences.items()}
    measures["two-way"] = measures.pop("two-way, everybody")
    measures |= {PAIRED_MEASURES[k]: v for k, v in report.paired.items()}
    assert len(measures) == 3 + 6
    for measure, by_system in measures.items():
        for rater, less in by_system["published"].items():
            cells = (measure, RATERS[rater], format_figure(less), str(less.people))
            assert "".join(f"<td>{cell}</td>" for cell in cells) in page

    alone = replace(report, paired={})  # as where there is one system only
    assert "ours − published" not in draw_page(alone)
    assert {row.name for row in main_table(alone)} >= {"same sex, by the judge"}


def test_identifiers_are_put_into_words():
    assert name_comparison("voice", "picture_to_oracle") == "ours beside its copy"
    assert name_comparison("published", "picture_to_face") == "published beside true"
    assert name_ratio("mouth_face_width_index") == "mouth–face width index"
    assert name_ratio("jaw_width") == "jaw width"
    assert name_group(GroupName("sex", "female")) == "sex Female"
    assert name_group(GroupName("group", "Latino_Hispanic")) == "group Latino Hispanic"
    for name in robustness.DEGRADATIONS:
        assert "_" not in name_degradation(name)


def test_names_from_outside_are_escaped_on_the_page(measured):
    _, report = measured
    own = SetResult(40, 41, report.two_way, report.differences, {})
    page = draw_page(replace(report, sets={"<b>mine</b>": own}))
    assert "<b>mine" not in page
    assert "<td>&lt;b&gt;mine&lt;/b&gt;, same sex</td>" in page


def test_figures_are_written_as_the_field_does():
    nan = math.nan
    assert format_figure(Estimate(0.6454, -0.0204, 1.0)) == ".645 [−.020, 1.000]"
    assert format_figure(Estimate(-0.0001, nan, nan)) == ".000"
    assert format_figure(Estimate(12.34, 10.0, 20.06), 1) == "12.3 [10.0, 20.1]"
    assert format_figure(None) == format_figure(Estimate(nan, nan, nan)) == "–"


def test_a_report_can_be_read_again(measured, tmp_path):
    _, report = measured
    plain = to_plain(report)
    write_report(plain, tmp_path / "out", draw_page(report))
    assert to_plain(read_report(tmp_path / "out" / "report.json")) == plain
    assert not list((tmp_path / "out").glob("*.part"))


@pytest.mark.parametrize("change", ["{}", "[]", "nonsense", "two_way", "people", "galleries"])
def test_what_is_no_report_is_refused_in_a_line(measured_once, tmp_path, change):
    """Other JSON, none, or a report of another version, whose keys were sentences."""
    plain = deepcopy(measured_once[1])
    if change in plain:
        plain[change] = {"two_way": {"everybody": {"voice, sface": 0.5}}}.get(change, "many")
        change = json.dumps(plain)
    (tmp_path / "other.json").write_text(change)
    with pytest.raises(UsageError, match="report") as caught:
        read_report(tmp_path / "other.json")
    assert "\n" not in str(caught.value)


def test_the_numbers_are_those_of_before(measured_once):
    """All figures but intervals, as they were before results had types."""
    golden = json.loads((Path(__file__).parent / "golden_report.json").read_text())
    figures = dict(flatten(measured_once[1]))
    assert figures.keys() == golden.keys()
    assert figures == pytest.approx(golden, rel=1e-4, abs=1e-6)


def flatten(plain, path: str = "") -> Iterator[tuple[str, float]]:
    """Path → number, without intervals, curves and what differs from run to run."""
    if isinstance(plain, dict):
        skipped = ("low", "high", "person", "recall_curve", "shares", "provenance", "version")
        for key, value in plain.items():
            if key not in skipped:
                yield from flatten(value, f"{path}/{key}" if path else key)
    elif isinstance(plain, list):
        for place, value in enumerate(plain):
            yield from flatten(value, f"{path}/{place}")
    elif isinstance(plain, int | float):
        yield path, plain


# Plots -------------------------------------------------------------------------------------------


def find(figure: str, tag: str) -> list[ElementTree.Element]:
    drawing = ElementTree.fromstring(re.findall(r"<svg.*?</svg>", figure)[0])
    return [element for element in drawing if element.tag == tag]


def test_lines_go_through_their_points_and_leave_out_what_is_unknown():
    curve = Series("<a>", [0, 5, 10], [0, None, 10], [0, None, 9], [1, None, 10])
    flat = Series("chance", [0, 10], [5, 5], plain=True)
    figure = draw_lines([curve, flat], SIZE, SIZE, "title & all")
    line, chance = find(figure, "polyline")
    assert line.get("points") == "56.0,276.0 544.0,14.0"
    assert chance.get("points") == "56.0,145.0 544.0,145.0"
    assert "stroke-dasharray" in chance.attrib
    assert len(find(figure, "circle")) == 2
    assert len(find(figure, "polygon")) == 1
    assert "&lt;a&gt;" in figure
    assert "title &amp; all" in figure


def test_dots_stand_at_their_figures():
    rows = [("one", [Dot(5, 0, 10), Dot(10, None, None, series=1)]), ("none", [Dot(None, 0, 0)])]
    figure = draw_dots(rows, SIZE, "dots", ["a", "b"], chance=5)
    dot, square = find(figure, "circle"), find(figure, "rect")
    assert (len(dot), len(square)) == (1, 1)
    middle = (210 + 544) / 2
    assert float(dot[0].get("cx")) == middle
    paths = [path.get("d") for path in find(figure, "path")]
    assert any(d.startswith("M210.0") and d.endswith("H544.0") for d in paths)
    assert any(d.startswith(f"M{middle} ") for d in paths)
    assert "chance, 5" in figure


def test_counts_are_shaded_by_their_share_of_the_row():
    figure = draw_matrix(["a", "b"], [[3, 1], [0, 0]], "counts")
    shades = [float(cell.get("fill-opacity")) for cell in find(figure, "rect")]
    assert shades == pytest.approx([0.56, 0.19, 0, 0])
    assert {"3", "1"} <= {text.text for text in find(figure, "text")}


# Card --------------------------------------------------------------------------------------------


def test_the_card_is_written_between_its_markers_and_parting_is_seen(measured, tmp_path):
    _, report = measured
    card = tmp_path / "CARD.md"
    card.write_text(f"# Card\n\n{START}\nas it was\n{END}\n\n## Limits\n")
    assert not check_card(report, card)
    write_card(report, card)
    assert check_card(report, card)
    text = card.read_text()
    assert text.startswith(f"# Card\n\n{START}\n40 people")
    assert text.endswith(f"{END}\n\n## Limits\n")
    assert "as it was" not in text
    for row in main_table(report):
        assert f"| {row.name} | {' | '.join(row.figures)} |" in text
    assert f"By strength. {describe_strengths(report)}" in text
    for cells in strengths_table(report):
        assert f"| {' | '.join(cells)} |" in text
    write_card(report, card)
    assert card.read_text() == text

    wins = report.two_way["everybody"]["voice"]
    wins["sface"] = replace(wins["sface"], value=wins["sface"].value - 0.1)
    assert not check_card(report, card)
    card.write_text(text.replace(END, ""))
    with pytest.raises(UsageError, match="needs the lines"):
        write_card(report, card)


def test_the_card_of_the_released_model_says_what_was_measured():
    root = Path(__file__).parents[2]
    assert check_card(read_report(root / "benchmarks" / "pairs.json"), root / "MODEL_CARD.md")


def test_card_and_report_part_with_an_exit_code(measured, tmp_path, monkeypatch, capsys):
    _, report = measured
    write_report(to_plain(report), tmp_path, "")
    card = tmp_path / "CARD.md"
    card.write_text(f"{START}\n{END}\n")
    command = ["evaluate", "card", str(tmp_path / "report.json"), str(card)]
    for options, code in (["--check"], 2), ([], None), (["--check"], None):
        monkeypatch.setattr("sys.argv", ["speech2face", *command, *options])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == code
    assert "says other than" in capsys.readouterr().err


# Command -----------------------------------------------------------------------------------------


def test_pictures_made_elsewhere_are_measured_by_command(made_up, tmp_path, monkeypatch, capsys):
    with (made_up.folder / "pairs.csv").open("w", newline="") as file:
        rows = [(p.clip, p.person) for p in made_up.pairs]
        csv.writer(file).writerows([("clip", "person"), *rows])
    made = made_up.paint("elsewhere", made_up.faces, end="png")
    out = tmp_path / "out"
    command = ["evaluate", "pairs", str(made_up.folder), "--pictures", str(made[0].parent)]
    monkeypatch.setattr(cli.evaluate, "need_extras", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["speech2face", *command, "--ravdess", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    monkeypatch.setattr(
        "sys.argv", ["speech2face", *command, "--out", str(out), "--folds", "2", "--json"]
    )
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code is None
    printed = json.loads(capsys.readouterr().out)
    assert printed["two_way"]["everybody"]["pictures"]["sface"]["value"] == pytest.approx(1)
    assert printed == json.loads((out / "report.json").read_text())
    assert "base64" not in (out / "report.html").read_text()
