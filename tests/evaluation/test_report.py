"""The report, its plots and the card: what they show is what was measured."""

import csv
import json
import re
from copy import deepcopy
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from helpers.synthetic_evaluation import MadeUp, make_actors, make_folds
from speech2face import cli
from speech2face.errors import UsageError
from speech2face.evaluation import benchmark, robustness
from speech2face.evaluation.benchmark import Suite
from speech2face.evaluation.evaluation_set import subjects_of
from speech2face.evaluation.model_card import END, START, check_card, write_card
from speech2face.evaluation.report import (
    describe_strengths,
    main_table,
    make_gallery,
    read_report,
    show,
    strengths_table,
    tell,
    write_report,
)
from speech2face.reports.evaluation_page import MEASURES, draw_page
from speech2face.reports.plots import Axis, Dot, Series, draw_dots, draw_lines, draw_matrix

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
    monkeypatch.setattr(benchmark, "FITS", 5)
    return MadeUp(tmp_path / "data", monkeypatch)


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory):
    """Subjects and facts by folds, with another system's pictures beside."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(benchmark, "FITS", 5)
        monkeypatch.setattr(robustness, "DEGRADATIONS", {"quieter": lambda sound, _: sound / 8})
        people = MadeUp(folder, monkeypatch)
        people.paint("published", people.faces[::-1])
        people.paint("canonical", people.faces)
        drawn = make_folds(people, folder)
        subjects = subjects_of(drawn)
        actors = make_actors(people, monkeypatch)
        whole = Suite(subjects, folder, 0, lambda *_: None, drawn=drawn, actors=actors, draws=20)
        return subjects, whole.measure()


@pytest.fixture
def measured(measured_once):
    subjects, facts = measured_once
    return subjects, deepcopy(facts)


def test_the_page_needs_nothing_and_shows_nobody_unless_asked(measured):
    subjects, facts = measured
    page = draw_page(facts)
    reader = read(page)
    assert reader.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "http" not in page
    assert "url(" not in page
    assert reader.tags.index("table") < reader.tags.index("svg")
    for row in main_table(facts):
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
    for row in strengths_table(facts)[1:]:
        assert "".join(f"<td>{escape(cell)}</td>" for cell in row) in page
    assert describe_strengths(facts) in page
    for drawing in re.findall(r"<svg.*?</svg>", page):
        ElementTree.fromstring(drawing)
    with_gallery = read(draw_page(facts, make_gallery(subjects)))
    assert [source[:23] for source in with_gallery.fetched] == ["data:image/jpeg;base64,"]


def test_the_table_sets_systems_beside_each_other_and_chance(measured):
    _, facts = measured
    rows = {row.name: row for row in main_table(facts)}
    wins = facts["two_way"]["everybody"]
    first = rows["two-way, SFace"]
    assert first.figures == [show(wins["voice, sface"]), show(wins["published, sface"])]
    assert first.chance == ".500"
    assert first.difference.startswith((".", "1"))
    alike = facts["alikeness"]
    told = rows["alike, two people of one sex, SFace"]
    assert told.figures == [show(alike[name]["sface"]) for name in ("voice", "published")]
    assert told.chance == f"people {show(alike['true']['sface'], interval=False)}"
    paired = facts["paired"]
    for row, measure, judge in (
        ("within 10 % of the gallery, dlib", "recall_at_10_percent", "dlib"),
        ("bits disclosed, SFace", "bits", "sface"),
        ("same sex, by the judge", "same_sex", "age_sex"),
        ("craniofacial r, mean of 13", "craniofacial", "landmarks"),
    ):
        assert rows[row].difference == show(paired[measure][f"voice − published, {judge}"])
    lines = tell(facts).splitlines()
    assert lines[0].startswith("40 people, 41 clips, 2 folds by person")
    assert lines[1].split() == ["ours", "published", "difference", "chance"]


def test_the_page_shows_each_difference_where_systems_are_compared(measured):
    _, facts = measured
    page = draw_page(facts)
    assert "<th>ours − published</th>" in page
    strata = {f"two-way, {k}": told for k, told in facts["differences"].items()}
    strata["two-way"] = strata.pop("two-way, everybody")
    paired = {MEASURES[k]: told for k, told in facts["paired"].items()}
    judges = {"sface": "SFace", "dlib": "dlib", **facts["judges"]}
    for measure, told in (strata | paired).items():
        for name, less in told.items():
            judge = judges[name.split(", ")[1]]
            cells = (measure, judge, show(less), str(less["people"]))
            assert "".join(f"<td>{cell}</td>" for cell in cells) in page

    del facts["paired"]  # as where there is one system only
    assert "ours − published" not in draw_page(facts)
    assert {row.name for row in main_table(facts)} >= {"same sex, by the judge"}


def test_reports_of_before_strengths_were_measured_are_still_shown(measured):
    _, facts = measured
    del facts["strengths"], facts["alikeness"]
    assert strengths_table(facts) == []
    assert describe_strengths(facts) == ""
    assert "<h2>Strengths" not in draw_page(facts)
    assert not any(row.name.startswith("alike") for row in main_table(facts))


def test_figures_are_written_as_the_field_does():
    assert show({"value": 0.6454, "low": -0.0204, "high": 1.0}) == ".645 [−.020, 1.000]"
    assert show({"value": -0.0001, "low": None, "high": None}) == ".000"
    assert show({"value": 12.34, "low": 10.0, "high": 20.06}, 1) == "12.3 [10.0, 20.1]"
    assert show(None) == show({"value": None, "low": None, "high": None}) == "–"


def test_a_report_can_be_read_again(measured, tmp_path):
    _, facts = measured
    write_report(facts, tmp_path / "out", draw_page(facts))
    assert read_report(tmp_path / "out" / "report.json") == facts
    assert not list((tmp_path / "out").glob("*.part"))
    for text in ("{}", "[]", "nonsense"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(UsageError, match="report"):
            read_report(tmp_path / "other.json")


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
    _, facts = measured
    card = tmp_path / "CARD.md"
    card.write_text(f"# Card\n\n{START}\nas it was\n{END}\n\n## Limits\n")
    assert not check_card(facts, card)
    write_card(facts, card)
    assert check_card(facts, card)
    text = card.read_text()
    assert text.startswith(f"# Card\n\n{START}\n40 people")
    assert text.endswith(f"{END}\n\n## Limits\n")
    assert "as it was" not in text
    for row in main_table(facts):
        assert f"| {row.name} | {' | '.join(row.figures)} |" in text
    assert f"By strength. {describe_strengths(facts)}" in text
    for cells in strengths_table(facts):
        assert f"| {' | '.join(cells)} |" in text
    write_card(facts, card)
    assert card.read_text() == text

    facts["two_way"]["everybody"]["voice, sface"]["value"] -= 0.1
    assert not check_card(facts, card)
    card.write_text(text.replace(END, ""))
    with pytest.raises(UsageError, match="needs the lines"):
        write_card(facts, card)


def test_the_card_of_the_released_model_says_what_was_measured():
    root = Path(__file__).parents[2]
    assert check_card(read_report(root / "benchmarks" / "pairs.json"), root / "MODEL_CARD.md")


def test_card_and_report_part_with_an_exit_code(measured, tmp_path, monkeypatch, capsys):
    _, facts = measured
    write_report(facts, tmp_path, "")
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
    facts = json.loads(capsys.readouterr().out)
    assert facts["two_way"]["everybody"]["pictures, sface"]["value"] == pytest.approx(1)
    assert facts == read_report(out / "report.json")
    assert "base64" not in (out / "report.html").read_text()
