"""The ledger: lines come back, a torn one is healed, and its figures are right."""

import json
import math
from collections.abc import Iterable
from dataclasses import astuple, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.finished_samples import SECONDS, make_outcomes, make_sample
from speech2face.data.ledger import (
    Entry,
    append_entry,
    format_data_card,
    format_summary,
    make_entry,
    read_ledger,
    repair_ledger,
    summarise,
)
from speech2face.data.samples import Quality, Refusal, SampleSource
from speech2face.errors import UsageError

words = st.text(st.characters(codec="utf-8"), max_size=20)
figures = st.floats(allow_infinity=False) | st.integers(0, 9)
qualities = st.builds(Quality, *[figures] * 9, st.booleans(), st.integers(1, 9), figures)
times = st.floats(0, 1e5)
sources = st.builds(SampleSource, words, words, times, times | st.just(math.inf), words)
spent = st.dictionaries(words, st.integers(0, 9).map(float), max_size=3)
kept = st.builds(Entry, sources, qualities, seconds=spent)
refused = st.builds(Entry, sources, st.none(), words, words, spent)


@pytest.fixture
def entries() -> list[Entry]:
    return [make_entry(outcome, SECONDS) for outcome in make_outcomes(10)]


def show(entries: Iterable[Entry]) -> list[str]:
    """Text, in which NaN is equal to NaN."""
    return [repr(replace(entry, seconds=sorted(entry.seconds.items()))) for entry in entries]


@settings(max_examples=50)
@given(entries=st.lists(kept | refused, max_size=4), data=st.data())
def test_entries_come_back_and_a_torn_line_does_not(entries, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    path.touch()
    ends = [0]
    for entry in entries:
        append_entry(path, entry)
        ends.append(path.stat().st_size)
    assert show(read_ledger(path)) == show(entries)
    size = data.draw(st.integers(0, ends[-1]))
    path.write_bytes(path.read_bytes()[:size])
    whole = [entry for entry, end in zip(entries, ends[1:], strict=True) if end <= size]
    assert show(read_ledger(path)) == show(whole)
    repair_ledger(path, lambda entry: True)
    assert path.stat().st_size == ends[len(whole)]
    assert list(path.parent.iterdir()) == [path]


def test_void_entries_are_taken_out(entries, tmp_path):
    path = tmp_path / "ledger.jsonl"
    for entry in entries:
        append_entry(path, entry)
    repair_ledger(path, lambda entry: not entry.kept)
    assert [entry.source for entry in read_ledger(path)] == [
        entry.source for entry in entries if not entry.kept
    ]


def test_a_false_line_is_named(entries, tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_entry(path, entries[0])
    for line in (b"{\n", b"[]\n", b'{"source": {}, "seconds": {}}\n', b"\0\0\n"):
        path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n" + line)
        with pytest.raises(UsageError, match="line 2 is not of a ledger"):
            list(read_ledger(path))


def test_what_stages_give_is_told():
    sample = make_sample(1)
    assert make_entry(sample, SECONDS) == Entry(sample.source, sample.quality, seconds=SECONDS)
    entry = make_entry(Refusal(sample.source, "decode", "cut off\n  after 3 s"), SECONDS)
    assert (entry.kept, entry.stage, entry.reason) == (False, "decode", "cut off after 3 s")


def test_known_figures(entries):
    entries[4] = replace(entries[4], stage="decode", reason="empty")
    open_end = replace(entries[0].source, end=math.inf)
    entries.append(Entry(open_end, None, "detect", "no face", {"decode": 1.0}))
    summary = summarise(iter(entries))
    assert (summary.clips, summary.kept, summary.people) == (11, 8, 5)
    assert summary.kept_share == pytest.approx(8 / 11)
    assert summary.speech_hours == pytest.approx(8 * 0.5 / 3_600)
    assert summary.video_hours == pytest.approx(10 * 0.5 / 3_600)
    assert summary.refused == {"detect": {"no face": 2}, "decode": {"empty": 1}}
    assert [*summary.refused] == ["detect", "decode"]  # most first
    assert summary.seconds == pytest.approx({"detect": 5.0, "decode": 3.0})
    assert format_summary(summary).splitlines() == [
        "11 clips, 8 kept (72.7%): 0.00 hours of speech of 5 people",
        "refused at detect: no face (2)",
        "refused at decode: empty (1)",
        "seconds by stage: detect 5.0 (62%), decode 3.0 (38%)",
    ]


def test_nothing_is_summarised_and_carded():
    summary = summarise([])
    assert astuple(summary) == (0, 0, 0, 0.0, 0.0, {}, {})
    assert format_summary(summary).startswith("0 clips, 0 kept (0.0%)")
    assert "| clips | 0 of 0 (0.0%) |" in format_data_card("Nothing", [])


def test_the_card_tells_people_pose_length_and_reasons(entries):
    entries[4] = replace(entries[4], reason="one | two")
    sides = {"train": ["person 0", "person 1"], "test": ["person 2", "person 3", "person 4"]}
    lines = format_data_card("Made up", iter(entries), sides).splitlines()
    assert lines[0] == "# Made up"
    for line in (
        "| people, by their names in the source | 5 |",
        "| clips | 8 of 10 (80.0%) |",
        "| clips a person | median 2, 95 % up to 2, most 2 |",
        "| seconds of speech a clip | median 0.5 (0.5 to 0.5 for 90 %) |",
        "| train | 2 | 4 | 0.00 |",
        "| test | 3 | 4 | 0.00 |",
        "distances; median 0.10.",
        "| 0.05 | 0.0% |",
        "| 0.2 | 100.0% |",
        "| 0.5 to 1 | 100.0% |",
        "| 1 | detect | one / two |",
    ):
        assert line in lines


def test_the_card_tells_how_many_were_trusted(entries):
    assert "trusted" not in format_data_card("a set", entries)
    trusted = [
        replace(one, quality=one.quality and replace(one.quality, trusted=True)) for one in entries
    ]
    kept = sum(one.kept for one in entries)
    assert f"who is seen, not tested | {kept} |" in format_data_card("a set", trusted)


def test_a_line_of_an_earlier_version_is_read(entries, tmp_path):
    path = tmp_path / "ledger.jsonl"
    entry = next(one for one in entries if one.quality)
    append_entry(path, entry)
    facts = json.loads(path.read_text())
    for later in ("lag", "inside", "trusted", "frames", "spread"):
        del facts["quality"][later]
    path.write_text(json.dumps(facts) + "\n")
    (again,) = read_ledger(path)
    assert again.quality
    assert math.isnan(again.quality.lag)
    assert math.isnan(again.quality.inside)
    assert (again.quality.trusted, again.quality.frames) == (False, 1)


def test_only_the_commonest_reasons_are_listed(entries):
    source = entries[0].source
    many = [Entry(source, None, "detect", f"reason {i // 2}") for i in range(26)]
    card = format_data_card("Many", many)
    assert "| 2 | detect | reason 0 |" in card
    assert card.endswith("| 6 | | for other reasons |\n")
