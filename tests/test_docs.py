"""The documentation: it is built without a warning, is whole by itself, and tells the truth."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import speech2face
from helpers.sounds import EXAMPLES
from speech2face import errors, extras
from speech2face.cli.commands import app

pytest.importorskip("material", reason="pages are built with the extra docs")

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)
GIVEN = ("-h", "--help")


def load_from_docs(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOKS = load_from_docs("hooks")
COMMANDS: dict[str, Any] = dict(HOOKS.find_commands(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site, of a process that has no other extras and takes every warning as an error."""
    pytest.importorskip("mkdocstrings_handlers.python", reason="the extra docs is of an older day")
    folder = tmp_path_factory.mktemp("site")
    packages = {package for extra in extras.PURPOSES for package in extras.list_packages(extra)}
    absent = set(map(extras.name_module, packages))
    block = f"import sys; sys.modules |= dict.fromkeys({absent})"
    start = f"{block}; from mkdocs.__main__ import cli; cli()"
    build = [sys.executable, "-c", start, "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """What a page loads by itself, not what it links to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "a":
            found = (given.get("src"), given.get("href"))
            self.addresses += [a for a in found if a and not a.startswith("data:")]


def test_every_page_is_built_and_loads_nothing_from_elsewhere(site):
    pages = sorted(site.glob("*.html"))
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} < {page.stem for page in pages}
    for page in pages:
        addresses = Loaded(page).addresses
        assert addresses
        for address in addresses:
            assert "//" not in address, f"{page.name} loads {address}"
            if page.name != "404.html":  # the only one with addresses from the server's root
                assert (site / address.split("?")[0].split("#")[0]).is_file(), address
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", styles)


def test_search_finds_what_is_made_of_the_code(site):
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    for words in ("speech2face evaluate trials", "--checkpoint-minutes", "nobody's portrait"):
        assert words in index


def test_the_reference_has_what_the_package_offers(site):
    page = (site / "api.html").read_text(encoding="utf-8")
    public = [f"speech2face.{name}" for name in speech2face.__all__ if name != "__version__"]
    raised = [f"speech2face.errors.{name}" for name in vars(errors) if name.endswith("Error")]
    methods = ["Speech2Face.embed", "VoiceEmbedding.sample"]
    for name in (*public, *raised, *(f"speech2face.{method}" for method in methods)):
        assert f'id="{name}"' in page, name
    text = " ".join(re.sub(r"<[^>]+>", "", page).split())
    for words in ("(D, D) float32", "UnreadableMediaError", "16 kHz"):  # the first is a comment's
        assert words in text


def test_columns_in_docstrings_stay_columns():
    pytest.importorskip("griffe", reason="the extra docs is of an older day")
    words = "In words.\n\nDIR/a.csv   clip\nDIR/b       sound\n\nTwo lines\nof prose."
    fenced = (
        "In words.\n\n```text\nDIR/a.csv   clip\nDIR/b       sound\n```\n\nTwo lines\nof prose."
    )
    assert load_from_docs("docstrings").fence_columns(words) == fenced


def test_figures_stand_in_the_page_and_follow_its_colours(site):
    how = (site / "how.html").read_text(encoding="utf-8")
    opening = r'<figure role="img" aria-label="[^"]{20,}"><svg [^>]*class="figure'
    assert len(re.findall(opening, how)) == 3
    assert "figures/pipeline.svg" not in how


def test_cards_are_linked_to_the_pages_they_mention(site):
    card = (site / "model-card.html").read_text(encoding="utf-8")
    assert '<a href="decoder.html">docs/decoder.md</a>' in card
    assert '<a href="responsible-use.html">RESPONSIBLE_USE.md</a>' in card


@pytest.mark.parametrize(
    ("written", "linked"),
    [
        ("how (docs/data.md), why", "how ([docs/data.md](data.md)), why"),
        ("DATA_CARD.md says", "[DATA_CARD.md](data-card.md) says"),
        ("[data](docs/data.md#x)", "[data](data.md#x)"),
        ("[docs/data.md](data.md)", "[docs/data.md](data.md)"),
        ("`docs/data.md`", "`docs/data.md`"),
        ("docs/unknown.md, LICENSE.md", "docs/unknown.md, LICENSE.md"),
        ("\n    DATA_CARD.md\n", "\n    DATA_CARD.md\n"),
    ],
)
def test_mentions_become_links(written, linked):
    assert HOOKS.link_mentions(written, {"data.md", "data-card.md"}) == linked


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described(name, site):
    page = (site / "command-line.html").read_text(encoding="utf-8")
    anchor = name.replace(" ", "-")
    section = page.split(f'<h{2 + (name.count(" ") > 1)} id="{anchor}"')[1].split("<h2")[0]
    for parameter in COMMANDS[name].params:
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert f"<code>{option}" in section


def shell_lines() -> list[tuple[str, str]]:
    """Each line in the documents that calls the command, with the page it stands on."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = [code for kind, code in BLOCK.findall(text) if kind in ("bash", "console")]
        blocks += INDENTED.findall(BLOCK.sub("", text))
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            words = line.strip().removeprefix("$ ")
            if re.match(r"speech2face [\w-]|torchrun ", words):
                found.append((page.name, words))
    return found


SHELL_LINES = shell_lines()


def test_the_documents_are_read_for_commands():
    assert len(SHELL_LINES) > 30
    assert {page for page, _ in SHELL_LINES} >= {"start.md", "README.md", "training.md"}


@pytest.mark.parametrize(("page", "line"), SHELL_LINES)
def test_commands_in_the_documents_are_known_with_their_options(page, line):
    words = shlex.split(line, comments=True)
    words = words[words.index("speech2face") :] if "speech2face" in words else words
    name, rest = words[0], words[1:]
    while rest and f"{name} {rest[0]}" in COMMANDS:
        name, rest = f"{name} {rest[0]}", rest[1:]
    command = COMMANDS[name]
    if hasattr(command, "commands"):
        assert command.invoke_without_command, f"{page}: {line}"
        assert not rest, f"{page}: {line}"
    known = {option for p in command.params if p.param_type_name == "option" for option in p.opts}
    given = [w.strip("[]") for w in rest if w.strip("[]").startswith("-") and w not in ("-", "--")]
    assert {w.split("=")[0] for w in given} <= {*known, *GIVEN}, f"{page}: {line}"


@pytest.mark.slow
def test_the_python_of_the_documents_runs(tmp_path):
    """One page after the other, each as one program beside a recording."""
    shutil.copy(EXAMPLES / "emma.flac", tmp_path / "interview.m4a")  # by content, not by name
    for page in (ROOT / "README.md", ROOT / "docs" / "python.md"):
        blocks = [code for kind, code in BLOCK.findall(page.read_text()) if kind == "python"]
        assert blocks, page.name
        program = tmp_path / "page.py"
        program.write_text("\n".join(blocks))
        done = subprocess.run(
            [sys.executable, "-W", "error", program.name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{page.name}: {done.stderr}"
    assert (tmp_path / "face.png").is_file()
    assert "(448, 448)" in done.stdout
    assert "(1, 224, 224, 3) uint8 (1, 66, 2)" in done.stdout
    assert re.search(r"silence; at least 0\.5 s of speech are needed.* 4 422", done.stdout)


def python_blocks() -> list[tuple[str, str]]:
    return [
        (page.name, code)
        for page in PAGES
        for kind, code in BLOCK.findall(page.read_text(encoding="utf-8"))
        if kind == "python"
    ]


@pytest.mark.parametrize(("page", "code"), python_blocks())
def test_what_the_documents_import_is_there(page, code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            if importlib.util.find_spec(node.module.split(".")[0]) is None:
                pytest.skip(f"{node.module} is not installed")
            module = pytest.importorskip(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{page}: {node.module}.{alias.name}"


@pytest.mark.slow
def test_the_transcript_of_the_start_is_what_is_printed(tmp_path):
    """Every command of the page that draws, one after the other, prints what stands there."""
    text = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    blocks = [code for kind, code in BLOCK.findall(text) if kind == "console"]
    steps = re.findall(r"^\$ (speech2face reconstruct .*)\n((?:[^$].*\n)+)", "".join(blocks), re.M)
    assert len(steps) == 6
    make_interview(tmp_path / "interview.m4a")
    for command, wanted in steps:
        words = [sys.executable, "-u", "-m", *shlex.split(command)]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}  # as at a terminal
        done = subprocess.run(words, cwd=tmp_path, text=True, timeout=300, **both)
        assert done.stdout == wanted, command


def make_interview(path: Path) -> None:
    import av

    with av.open(str(EXAMPLES / "emma.flac")) as sound, av.open(str(path), "w") as file:
        track = file.add_stream("aac", rate=16_000)
        for frame in sound.decode(audio=0):
            file.mux(track.encode(frame))
        file.mux(track.encode(None))


INSTALL, THREADS = (
    json.loads((ROOT / "benchmarks" / name).read_text())
    for name in ("install.json", "threads.json")
)
EXTRA_ROW = r"\[%s\]'` \|[^|]*\|[^|]*\| ([\d,]+) MB more"


@pytest.mark.parametrize(
    ("page", "words", "measured"),
    [
        ("docs/privacy.md", r"a cold process takes ([\d.]+) s", THREADS["rows"][0]["seconds"]),
        *(("docs/python.md", EXTRA_ROW % e, mb) for e, mb in INSTALL["extras_mb"].items()),
    ],
)
def test_figures_of_size_and_speed_are_the_measured_ones(page, words, measured):
    """To as many places as the page gives them."""
    (written,) = re.findall(words, " ".join((ROOT / page).read_text(encoding="utf-8").split()))
    places = len(written.partition(".")[2])
    assert float(written.replace(",", "")) == round(measured, places)


def test_figures_of_who_speaks_are_the_measured_ones():
    read = json.loads((ROOT / "benchmarks" / "speaking_faces.json").read_text())
    page = " ".join((ROOT / "docs" / "preparation.md").read_text(encoding="utf-8").split())
    made, agreement = read["prepare"], read["agreement"]
    speaking, silent, before = made["speaking_kept"], made["silent_refused"], read["before"]
    words = "whose face in view speaks"
    mouth, pose = made["speaking_refused_for"].values()
    (at,) = (row for row in agreement["curve"] if row["threshold"] == agreement["limit"])
    dubbed = agreement["dubbed_refused_at_limit"]
    long, short = (dubbed[name] for name in ("long", "short"))
    shifted, two = agreement["area_under_curve"]["shifted all"]["n"][1], read["two_faces"]
    rows = (
        f"| {speaking['n']} clips {words} | {speaking['clips']} are kept; {mouth} are refused "
        f"for the mouth, {pose} for the pose | {before['speaking'][0]} |",
        f"| {silent['n']} clips whose face is silent while others speak | {silent['clips']} are "
        f"refused | {before['silent_refused'][0]} |",
        f"| {long['n']} pictures of at least 1.8 s with another clip's sound | "
        f"{long['clips'] / long['n']:.0%} are refused |",
        f"| {short['n']} shorter ones | {short['clips'] / short['n']:.0%} are",
        f"| {shifted} with their own sound, 0.3 to 2 s away | {at['shifted_refused']:.0%} are "
        "refused |",
        f"| {two['pairs']} pairs of faces side by side, with one's sound | {two['right']:.0%} "
        f"right, {two['wrong']:.0%} wrong",
    )
    for row in rows:
        assert row.replace("%", " %") in page, row
    people = read["clips"]["people"]
    assert f"{speaking['n'] + silent['n']} labelled clips of {people} people" in page
    voices = json.loads((ROOT / "benchmarks" / "same_voice.json").read_text())
    assert (
        f"of {voices['pairs_of_one_person']} pairs of clips of one person faces alone miss "
        f"{voices['missed_by_faces']}, with voices {voices['missed_by_faces_and_voices']}" in page
    )


def find_intervals(results: object) -> Iterator[tuple[float, float, float]]:
    """Each estimate in a file of results, with the ends of its interval."""
    if isinstance(results, dict) and {"value", "low", "high"} <= results.keys():
        yield results["value"], results["low"], results["high"]
    inner = results.values() if isinstance(results, dict) else results
    for each in inner if isinstance(results, dict | list) else ():
        yield from find_intervals(each)


def test_sizes_are_of_the_python_that_the_page_names():
    python = INSTALL["python"].rsplit(".", 1)[0]
    assert f"Python {python}" in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    start = " ".join((ROOT / "docs" / "start.md").read_text(encoding="utf-8").split())
    assert f"measured with Python {python})" in start


def test_all_examples_are_shown(site):
    page = (site / "examples.html").read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f"<code>{path.name}</code>" in page
        last = path.read_text().rstrip().splitlines()[-1].strip()
        assert last in re.sub(r"<[^>]+>", "", page)


def test_what_more_people_would_be_worth_is_what_was_measured():
    facts = json.loads((ROOT / "benchmarks" / "learning_curve.json").read_text())
    page = (ROOT / "docs" / "training.md").read_text()
    section = page.partition("## What more people would be worth")[2].partition("\n## ")[0]
    table, _, prose = section.partition("<!-- learning curve -->")[2].partition("<!-- /")
    known = {
        tuple(round(figure, 3) for figure in interval) for interval in find_intervals(facts["rows"])
    }
    written = re.findall(r"(\.\d{3}) \[(\.\d{3}), (\.\d{3})\]", " ".join(prose.split()))
    assert len(written) >= 8
    assert {tuple(map(float, figures)) for figures in written} <= known
    header, _, *rows = table.strip().splitlines()
    for line, (name, row) in zip(rows, facts["rows"].items(), strict=True):
        assert line.startswith(f"| {name} | ")
        assert all(f" {people:,} " in header for people in row["people"])
        for count in row["extrapolated"]["error"]:
            laws = [law[count] for law in row["extrapolated"].values()]
            low, high = min(law["low"] for law in laws), max(law["high"] for law in laws)
            assert f"[{low:.3f}, {high:.3f}]" in line


def test_what_the_parts_of_the_encoder_are_worth_is_what_was_measured():
    facts = json.loads((ROOT / "benchmarks" / "voice_encoders.json").read_text())
    page = (ROOT / "docs" / "training.md").read_text()
    section = page.partition("## What the parts are worth")[2].partition("\n## ")[0]
    tables, _, prose = section.partition("<!-- voice encoders -->")[2].partition("<!-- /")
    known = {
        tuple(round(figure, 3) for figure in interval)
        for name in ("rows", "sets", "earlier")
        for interval in find_intervals(facts[name])
    }
    number = r"[+-]?0?\.\d{3}"
    for text, least in ((tables, 3 * len(facts["rows"])), (prose, 4)):
        written = re.findall(
            rf"({number}) \[({number}), ({number})\]", " ".join(text.split()).replace("−", "-")
        )
        assert len(written) >= least
        assert {tuple(map(float, figures)) for figures in written} <= known


def test_what_strength_gains_and_costs_is_what_was_measured():
    drawn = json.loads((ROOT / "benchmarks" / "pairs.json").read_text())["strengths"]["pictures"]
    page = (ROOT / "docs" / "decoder.md").read_text()
    table = page.partition("<!-- strengths -->")[2].partition("<!-- /strengths -->")[0]
    number = r"−?\d*\.\d+"
    written = re.findall(rf"({number}) \[({number}), ({number})\]", table)
    known = {
        tuple(round(figure, places) for figure in interval)
        for interval in find_intervals(drawn)
        for places in (1, 2, 3)
    }
    assert len(written) == 11 * len(drawn)
    assert {tuple(float(f.replace("−", "-")) for f in figures) for figures in written} <= known


def test_what_other_distances_would_do_is_what_was_measured():
    rules = json.loads((ROOT / "benchmarks" / "drawing_distance.json").read_text())["rules"]
    page = (ROOT / "docs" / "decoder.md").read_text()
    table = page.partition("<!-- distances -->")[2].partition("<!-- /distances -->")[0]
    lines = table.strip().splitlines()[2:]
    assert [line.strip("| ").split(" | ")[0] for line in lines] == [*rules]
    number = r"−?\d*\.\d+"
    for line, figures in zip(lines, rules.values(), strict=True):
        written = re.findall(rf"({number}) \[({number}), ({number})\]", line)
        known = {
            tuple(round(x, places) for x in interval)
            for interval in figures.values()
            for places in (1, 2, 3)
        }
        assert len(written) == 7
        assert {tuple(float(f.replace("−", "-")) for f in found) for found in written} <= known


def test_what_waiting_threads_cost_is_what_was_measured():
    measured: dict[tuple[str, str], list[str]] = {}
    for row in THREADS["rows"]:
        measured.setdefault((row["what"], row["setting"]), []).append(f"{row['seconds']:.1f}")
    page = (ROOT / "docs" / "training.md").read_text()
    table = page.partition("<!-- threads -->")[2].partition("<!-- /threads -->")[0]
    written = [line.strip("| ").split(" | ")[1:] for line in table.strip().splitlines()[2:7]]
    assert sorted(written) == sorted(measured.values())
