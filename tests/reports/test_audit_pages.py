"""The pages: whole, without scripts, without names, whatever was found."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from speech2face.extras import how_to_install
from speech2face.metrics.audit_results import (
    AverageBits,
    BitsByCause,
    BitsLeft,
    CurvePoint,
    Disguise,
    OriginalAudit,
    PairMatch,
    RecordingAudit,
    StatedBits,
    VoiceAudit,
)
from speech2face.metrics.intervals import Estimate
from speech2face.metrics.population_results import (
    SEMI_INFORMED,
    TUNED,
    AttackMetrics,
    AttackResult,
    FaceAndVoice,
    MethodAudit,
    PopulationAudit,
    Verification,
    read_population_audit,
)
from speech2face.privacy.attackers import PRETRAINED as ATTACKERS
from speech2face.privacy.remaining_disclosure import find_attack, state_bits_left
from speech2face.reports.audit_page import draw_recording
from speech2face.reports.audit_text import format_disclosure, format_population
from speech2face.reports.population_page import draw_population
from speech2face.speakers import Speaker

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
VOICE = VoiceAudit(
    model="a<b",
    calibrated_on=1775,
    speech_seconds=6.3,
    analysed_seconds=7.0,
    segments=[(0.1, 6.4)],
    warnings=(),
    speakers=(),
    speaker=None,
    range_db=40.0,
    noisy=False,
    telephone=False,
    weight=0.9,
    disguised=Disguise(None, None, 0.01),
    population=None,
    bits=StatedBits(1.6, 1.4, 1.8),
    bits_if_plain=None,
    parts=BitsByCause(0.8, 0.1, 0.7),
    strangers=1000,
    mean_place=160,
    places={10: 12, 50: 95, 90: 420},
)
AVERAGES = (
    AverageBits(0.5, 1775, 0.7, 0.6, 0.8),
    AverageBits(3.0, 1660, 1.5, 1.4, 1.6),
    AverageBits(6.0, 190, 1.7, 1.5, 1.9),
)
UNKNOWN = BitsByCause(None, None, None)


def recording(*curve: CurvePoint, **voice: Any) -> RecordingAudit:
    return RecordingAudit(
        version="1",
        voice=replace(VOICE, **voice),
        curve=curve or (CurvePoint(0.5, 0.7), CurvePoint(6.3, 1.6)),
        average_voice=AVERAGES,
        original=None,
    )


def disguised(
    by: Any = "mark", method: str | None = "whisper", original: OriginalAudit | None = None
) -> RecordingAudit:
    audit = recording(
        disguised=Disguise(by, method, 0.9),
        population=find_attack(method),
        bits=None,
        bits_if_plain=1.6,
        parts=UNKNOWN,
        mean_place=None,
        places=None,
    )
    return replace(audit, curve=(), average_voice=(), original=original)


def original(
    method: str | None, same: bool | None = True, sounds_disguised: bool = False
) -> OriginalAudit:
    bits = StatedBits(2.0, 1.7, 2.3)
    pair = PairMatch(same, 0.97, (5.0, 5.1))
    return OriginalAudit(bits, (), sounds_disguised, pair, state_bits_left(bits, method))


def sentences_of(audit: RecordingAudit) -> list[str]:
    return list(format_disclosure(audit.voice, audit.original).values())


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1)


def attacked(bits: float, error: float) -> AttackResult:
    of_people = tuple(bits + k / 10 - 1 for k in range(21))
    metrics = AttackMetrics(
        100,
        110,
        20.0,
        estimate(bits),
        estimate(bits),
        (1.0, 2.0),
        3.0,
        of_people,
        estimate(0.7),
        estimate(error),
        estimate(0.4),
        estimate(bits + 1),
        Verification(100, 110, 2000, estimate(error), estimate(1 - error), estimate(0.9 - error)),
        Verification(80, 90, 900, estimate(error + 0.01), estimate(0.95 - error), None),
    )
    return AttackResult(metrics, metrics, estimate(1.2 - bits))


def population(*methods: str, left: float = 0.3, error: float = 0.15) -> PopulationAudit:
    """The attackers who do not train find half as much as the one who does."""
    before = attacked(1.2, 0.02)
    attacks = {name: attacked(left / 2, min(0.5, 2 * error)) for name in ATTACKERS}
    attacks[SEMI_INFORMED] = attacked(left, error)
    return PopulationAudit(
        version="1",
        people=100,
        clips=110,
        speakers=50,
        folds=5,
        seed=0,
        before=FaceAndVoice(before.face, before.voice),
        methods={name: MethodAudit(0.1 * number, attacks) for number, name in enumerate(methods)},
        left_out={"slow": "not <installed>"},
        clips_left_out={"pairs": 0, "voices": 0},
        provenance=None,
    )


class Reader(HTMLParser):
    """Counts tags that are opened and not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass


def assert_holds(found: Any, expected: Any) -> None:
    """All of `expected` is in `found`, which may have more in its objects."""
    if isinstance(expected, dict):
        for name in expected:
            assert_holds(found[name], expected[name])
    else:
        assert found == expected


def check(page: str) -> None:
    assert Reader(page).open == []
    assert not re.search(r"<script|https?://|src=|<img|url\(", page)
    assert not re.search(r"\bnan\b|None\b(?! of)", page.split("</style>")[1])


def test_a_recordings_page_says_its_figures():
    page = draw_recording(recording())
    check(page)
    assert "a&lt;b" in page
    for words in ("1.6", "1.4 to 1.8", "at place 160 on average", "At least 56 % of that"):
        assert words in page
    assert "10 bits would single out one person of 1,000" in page
    assert "<code>speech2face audit --pairs</code>" in page
    assert "everything else, 0.7 bits" in page


@pytest.mark.parametrize("audit", [recording(), disguised()])
def test_where_a_machine_is_to_read_the_words_it_is_said_what_that_needs(audit: RecordingAudit):
    page = unescape(draw_recording(audit))
    advice = page.split("--method resynthesis")[1].split("</li>")[0]
    for need in ("English alone", "espeak-ng", how_to_install("audit")):
        assert need in advice


@pytest.mark.parametrize(
    "voice",
    [
        {"parts": UNKNOWN, "calibrated_on": 0, "bits": StatedBits(1.6, None, None)},
        {"bits": StatedBits(0.0, 0.0, 0.0), "parts": BitsByCause(0, 0, 0), "noisy": True},
        {"mean_place": 1},
        {"places": {10: 1, 50: 1, 90: 1}, "telephone": True},
    ],
)
def test_odd_figures_are_drawn_too(voice: dict[str, Any]):
    check(draw_recording(recording(**voice)))
    check(draw_recording(recording(CurvePoint(0.5, 9.0), **voice)))


def test_a_model_that_was_not_calibrated_gives_no_interval():
    audit = recording(calibrated_on=0, bits=StatedBits(1.6, None, None))
    sentences = sentences_of(audit)
    assert sentences[0].endswith("about 1.6 bits of the speaker's face.")
    assert any("speech2face calibrate" in sentence for sentence in sentences)
    page = draw_recording(audit)
    assert "which was not checked" in page
    assert "Its statements may be too great." in page


def test_what_was_found_on_average_is_drawn_as_it_was_measured():
    page = draw_recording(recording())
    assert "found on average, 1,775 people" in page
    assert "at 6 s it is of 190 people" in page
    line = drawn_average(page)
    assert len(line) == len(AVERAGES)
    assert line[1][0] - line[0][0] == pytest.approx((line[2][0] - line[1][0]) * 2.5 / 3, abs=0.2)
    assert line[0][1] - line[1][1] == pytest.approx((line[1][1] - line[2][1]) * 0.8 / 0.2, abs=1.2)
    long = draw_recording(recording(CurvePoint(0.5, 0.7), CurvePoint(10.0, 1.6)))
    assert max(x for x, _ in drawn_average(long)) < 400  # ends at 6 s, on an axis of 10


def test_without_measured_averages_nothing_is_said_of_them():
    page = draw_recording(replace(recording(), average_voice=()))
    check(page)
    assert "found on average" not in page
    assert "dashed" not in page.split("</style>")[1].split("How much speech")[1]
    assert "From the beginning of the speech." in page


def drawn_average(page: str) -> list[tuple[float, float]]:
    """Points of the dashed line."""
    (points,) = re.findall(r'<polyline points="([^"]+)" fill="none" stroke="var\(--faint\)"', page)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


def test_json_keeps_its_documented_names():
    stored = json.loads(json.dumps(recording().as_json()))
    assert stored["places"] == {"10 %": 12, "50 %": 95, "90 %": 420}
    assert stored["parts"] == {"sex": 0.8, "age": 0.1, "everything else": 0.7}
    assert stored["disguised"] == {"by": None, "method": None, "probability": 0.01}
    assert stored["curve"][0] == {"seconds": 0.5, "bits": 0.7}
    stored = json.loads(json.dumps(disguised(original=original("whisper")).as_json()))
    assert stored["original"]["pair"] == {"same": True, "correlation": 0.97, "seconds": [5.0, 5.1]}
    assert set(stored["original"]["bits_left"]) == {"value", "low", "high", "bound"}
    assert set(stored["population"]["face_bits"]["after"]) == {"value", "low", "high"}
    assert (stored["bits"], stored["bits_if_plain"]) == (None, 1.6)


TWO = (Speaker(1, 11.7, ((0.0, 5.0), (9.0, 15.7))), Speaker(2, 6.8, ((5.0, 9.0),)))
THREE = (*TWO, Speaker(3, 2.0, ((15.7, 17.7),)))


@pytest.mark.parametrize(
    ("speakers", "number", "others"),
    [(TWO, 1, "the other's face"), (TWO, 2, "the other's face"), (THREE, 3, "the others' faces")],
)
def test_where_several_speak_it_is_said_whose_voice_was_audited(
    speakers: tuple[Speaker, ...], number: int, others: str
):
    plain = recording(speakers=speakers, speaker=number)
    hidden = disguised()
    hidden = replace(hidden, voice=replace(hidden.voice, speakers=speakers, speaker=number))
    for audit in (plain, hidden):
        words = " ".join(sentences_of(audit))
        assert f"This is of speaker {number} alone" in words
        assert f"something of {others} as well" in words
        assert "2 for 6.8 s" in words
        page = draw_recording(audit)
        check(page)
        assert (
            f"of speech of speaker {number}, one of {len(speakers)} people who speak; mod" in page
        )
        assert page.count(f"This is of speaker {number} alone") == 1
    assert f"These 6.3 s of speech of speaker {number} disclose" in sentences_of(plain)[0]
    alone = recording(speakers=TWO[:1], speaker=1)
    assert "speaker 1" not in draw_recording(alone) + " ".join(sentences_of(alone))


MADE = {
    "version": "9.8",
    "date": "2031-02-03T04:05:06+00:00",
    "command": "speech2face audit Jane.wav",
    "data": {"recording": "0123456789abcdef" * 4, "model": "fedcba9876543210"},
    "recipe": {"model": "m<n 1.2", "method": "whisper"},
}


@pytest.mark.parametrize("audit", [recording(), disguised(), disguised(original=original(None))])
def test_only_a_page_for_records_tells_of_what_it_was_made(audit: RecordingAudit):
    page = draw_recording(audit, MADE)
    check(page)
    assert "on 2031-02-03; model m&lt;n 1.2." in page
    assert not any(told in page for told in ("Jane", "0123456789abcdef", "fedcba", "04:05"))
    assert "No name of a file" in page
    own = draw_recording(audit, MADE, for_records=True)
    check(own)
    assert "For your own records" in own
    assert "No name of a file" not in own
    for told in ("Jane.wav", "0123456789abcdef", "Settings: model m&lt;n 1.2; method whisper."):
        assert told in own
    bare = draw_recording(audit)
    check(bare)
    assert "By speech2face 1; model a&lt;b." in bare


def test_a_populations_page_tells_the_command_only_for_records():
    data = {"pairs": {"digest": "0123456789abcdef", "people": 1, "clips": 2}}
    audit = replace(population("one"), provenance=MADE | {"data": data})
    assert not any(told in draw_population(audit) for told in ("Jane", "0123456789abcdef"))
    own = draw_population(audit, for_records=True)
    check(own)
    assert "Jane.wav" in own
    assert "0123456789abcdef (1 people" in own


@pytest.mark.parametrize(
    ("by", "method", "words"),
    [
        ("mark", "whisper", "The file's mark says that this is a disguised voice, made by the met"),
        ("mark", "command", "made by another program"),
        ("mark", "several", "disguised more than once"),
        ("option", None, "You say that this is a disguised voice."),
        ("detector", None, "sounds like a disguised voice: it carries no mark"),
    ],
)
def test_of_a_disguised_voice_no_bits_are_stated(by: str, method: str | None, words: str):
    audit = disguised(by, method)
    sentences = sentences_of(audit)
    page = draw_recording(audit)
    check(page)
    assert words in sentences[0]
    assert "cannot be stated" in sentences[1]
    assert "cannot be stated" in page
    assert not re.search(r"\b1\.6\b", " ".join(sentences) + page.split("</style>")[1])
    measured = method == "whisper"
    assert ("about half (53 %)" in page) == ("What attackers found" in page) == measured
    assert ("was not measured" in page) != measured


def test_beside_its_original_an_estimate_or_a_bound_is_stated():
    audit = disguised(original=original("whisper"))
    sentences = " ".join(sentences_of(audit))
    assert "The original discloses about 2.0 bits of the speaker's face (1.7 to 2.3)." in sentences
    assert "would still get about 1.1 of these bits (0.8 to 1.3)" in sentences
    check(draw_recording(audit))
    audit = disguised("option", None, original(None))
    assert "at most as much of it as of the original: 2.3 bits" in " ".join(sentences_of(audit))
    page = draw_recording(audit)
    check(page)
    assert "≤ 2.3" in page
    assert "At most so many: found in the original; not measured on this recording." in page


def test_where_the_number_of_a_disguised_voice_comes_from_stands_below_it():
    source = "Estimated from the original and from other people's voices; not measured on this rec"
    page = draw_recording(disguised(original=original("whisper")))
    below = page.split('<p class="figure">')[1].split("</p>")[1]
    assert source in below
    for unsure in (None, original("whisper", same=False), original("whisper", True, True)):
        assert source not in draw_recording(disguised(original=unsure))


@pytest.mark.parametrize(
    ("same", "words"), [(False, "do not seem to be"), (None, "could not be checked")]
)
def test_recordings_that_do_not_belong_together_are_named(same: bool | None, words: str):
    audit = disguised(original=original("whisper", same))
    assert words in " ".join(sentences_of(audit))
    check(draw_recording(audit))


@pytest.mark.parametrize(("same", "sounds_disguised"), [(False, False), (True, True)])
def test_no_figure_heads_the_page_where_the_original_is_in_doubt(
    same: bool, sounds_disguised: bool
):
    page = draw_recording(disguised(original=original("whisper", same, sounds_disguised)))
    check(page)
    assert '<p class="figure">?' in page


def test_what_is_next_to_nothing_is_not_said_to_be_none():
    left = BitsLeft(0.01, 0.0, 0.04, bound=False)
    plain = replace(original("resynthesis", same=None), bits_left=left)
    audit = disguised(method="resynthesis", original=plain)
    sentences = " ".join(sentences_of(audit))
    assert "next to nothing of them, less than 0.05 bits" in sentences
    page = draw_recording(audit)
    check(page)
    assert "&lt; 0.05" in page


@pytest.mark.parametrize("methods", [(), ("one",), ("one", "two", "three", "four")])
def test_a_populations_page(methods: tuple[str, ...]):
    audit = population(*methods)
    page = draw_population(audit)
    check(page)
    assert "not &lt;installed&gt;" in page
    for method in methods:
        assert page.count(f'<th colspan="6">{method}</th>') == 1
        assert method in format_population(audit)


def test_a_population_is_read_back_as_it_was_written():
    audit = population("one", "two")
    stored = json.loads(json.dumps(audit.as_json()))
    assert json.dumps(read_population_audit(stored).as_json()) == json.dumps(stored)
    for released in json.loads((BENCHMARKS / "audit.json").read_text())["attacks"]:
        again = json.loads(json.dumps(read_population_audit(released).as_json()))
        assert_holds(again, released)
        check(draw_population(read_population_audit(released)))


@pytest.mark.parametrize(
    ("error", "words"), [(0.1, "still finds"), (0.3, "sometimes finds"), (0.45, "hardly finds")]
)
def test_how_surely_speakers_are_found_is_said(error: float, words: str):
    page = draw_population(population("one", error=error))
    assert f"A verifier {words} the speaker" in page
    assert ("Do not rely on one" in page) == (error < 0.2)


def test_only_the_strongest_attacker_judges_a_method():
    audit = population("one", "two")
    one = audit.methods["one"]
    hidden = {name: attacked(0.0, 0.5) for name in one.attackers if name != SEMI_INFORMED}
    lucky = MethodAudit(one.cost, {**one.attackers, **hidden})
    better = MethodAudit(one.cost, {a: attacked(0.2, 0.3) for a in ATTACKERS})
    page = draw_population(replace(audit, methods={"one": lucky, "two": better}))
    assert "two hides the most: 83 %" in page


def test_of_face_and_voice_each_the_strongest_attacker_judges():
    attackers = {
        "ignorant": attacked(0.1, 0.1),
        SEMI_INFORMED: attacked(0.4, 0.3),
        TUNED: attacked(0.3, 0.2),
    }
    strongest = MethodAudit(None, attackers).strongest
    assert strongest.face == attackers[SEMI_INFORMED].face
    assert strongest.voice == attackers["ignorant"].voice
    assert strongest.face_bits_hidden == attackers[SEMI_INFORMED].face_bits_hidden


def test_few_false_matches_and_the_words_of_data_protection_are_on_the_page():
    audit = population("one", "two", left=0.5, error=0.12)
    page = unescape(draw_population(audit))
    assert "100 speakers, 2,000 pairs of strangers" in page
    assert "the 80 speakers whose sex is known" in page
    (row,) = re.findall(r"<tr><td>two</td>\n(?:<td>.*</td>\n?)+", page)[-1:]
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[1:3] == ["88 [78, 98] %", "78 [68, 88] %"]
    assert cells[3] == "0.130 [0.030, 0.230]"
    assert cells[4:6] == ["83 [73, 93] %", "–"]
    assert cells[6] == "1.50 [1.40, 1.60]"
    assert "one stranger in 1,000 for him or her, finds 88 % of speakers, then 78 %." in page
    assert "told with 2.0 % of errors, then with 12.0 %; guessing is 50 %." in page
    assert "Inference: 1.20 bits of the face" in page
    assert "78 [68, 88] %" in format_population(audit)


def strip_verification(row: Any) -> Any:
    """Stored as it was before low rates of false matches were measured."""
    if not isinstance(row, dict):
        return row
    new = ("exposed_bits", "mixed", "one_sex")
    return {name: strip_verification(part) for name, part in row.items() if name not in new}


def test_pages_without_what_older_reports_and_tables_do_not_have():
    stored = json.loads(json.dumps(population("one").as_json()))
    old = read_population_audit(strip_verification(stored))
    page = draw_population(old)
    check(page)
    assert "hardly any false match" not in page
    assert format_population(old).splitlines()[-2].endswith("–")
    for row in (stored["before"], *stored["methods"]["one"]["attackers"].values()):
        row["voice"]["one_sex"] = None
        row["voice"]["mixed"]["true_at_01_percent"] = None
    page = draw_population(read_population_audit(stored))
    check(page)
    assert "Of no speaker the sex is known" in page
    assert "one stranger in 100 for him" in page


def test_an_attacker_who_trained_in_vain_is_told():
    audit = population("one", "two")
    assert audit.trained_in_vain() == {}
    assert "More may be left" not in draw_population(audit)
    attackers = {a: attacked(0.3, 0.2) for a in ATTACKERS}
    weak = MethodAudit(None, attackers | {"lazy-informed": attacked(0.1, 0.19)})
    blind = MethodAudit(None, attackers | {"lazy-informed": attacked(0.3, 0.4)})
    audit = replace(audit, methods={**audit.methods, "weak": weak, "blind": blind})
    assert audit.trained_in_vain() == {"face": ["blind"], "voice": ["weak"]}
    page = draw_population(audit)
    assert "More may be left of the face than this page shows: of blind" in page
    assert "More may be left of the voice than this page shows: of weak" in page
    assert "more may be left of the voice: of weak an attacker" in format_population(audit)
    assert MethodAudit(None, {SEMI_INFORMED: attacked(0.3, 0.2)}).trained_in_vain == ()
    saved = MethodAudit(None, {**weak.attackers, TUNED: attacked(0.3, 0.1)})  # by who tuned, too
    assert saved.trained_in_vain == ()


def test_names_beside_points_stay_inside_and_cover_no_point():
    names = ("one", "two", "three", "four")
    page = draw_population(population(*names))
    drawing = page.split("Words lost, and bits left")[2].split("</figure>")[0]
    points = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawing)]
    assert len(points) == 1 + len(names)
    for name in names:
        (place,) = re.findall(rf'<text x="([\d.]+)"[^>]*anchor="(\w+)">{name}<', drawing)
        start = float(place[0]) - (7 * len(name) if place[1] == "end" else 0)
        assert start >= 0
        assert start + 7 * len(name) <= 620
        assert not any(start < x < start + 7 * len(name) for x in points)


def test_a_method_that_hides_nothing_is_not_praised():
    assert "hides the most: 75 %" in draw_population(population("one"))
    assert "None of the methods" in draw_population(population("one", left=1.19))
