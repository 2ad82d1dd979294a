"""A table of many recordings is the same however often the work on it is broken off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.toy_batch import COLUMNS, ToyTask
from speech2face.batch_ledger import BatchLedger
from speech2face.batch_tables import find_ledger, make_table
from speech2face.errors import BatchError, NoSpeechError, Speech2FaceError, UsageError
from speech2face.inputs import find_inputs
from speech2face.model_folders import find_model
from speech2face.run_provenance import describe
from speech2face.worker_crews import ProcessCrew

MODEL = find_model()
Make = Callable[..., list[dict]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        Path(f"{number}.wav").write_text(f"words of {number}")

    def run(*arguments: str, workers: int = 0, settings: dict | None = None, force: bool = False):
        inputs = find_inputs(arguments or ["."], listed=True)[0]
        hire = (lambda task: ProcessCrew(task, workers)) if workers else None
        make_table(inputs, ToyTask("diary"), COLUMNS, settings or {}, MODEL, "t.jsonl", hire, force)
        return rows()

    return run


def rows() -> list[dict]:
    return [json.loads(line) for line in Path("t.jsonl").read_text().splitlines()]


def worked_on() -> list[str]:
    """The files that were worked on since this was asked last."""
    diary = Path("diary")
    names = diary.read_text().split() if diary.exists() else []
    diary.unlink(missing_ok=True)
    return sorted(names)


def test_a_row_says_what_came_of_a_recording(make: Make) -> None:
    Path("1.wav").write_text("silent")
    with pytest.raises(BatchError, match="1 of 6 inputs failed; all others were done"):
        make()
    first, second, *_ = rows()
    assert [row["path"] for row in rows()] == [f"{n}.wav" for n in range(6)]
    assert first["words"] == "words of 0"
    assert first["embedding"] == [1.25, 0.1]
    assert first["segments"] == [[0.5, 1.0], [1.25, 2.25]]
    assert first["sha256"] == hashlib.sha256(b"words of 0").hexdigest()
    assert first["error"] is first["exit_code"] is None
    assert first["model"].startswith("default ")
    assert (second["error"], second["exit_code"]) == ("1.wav: silent", 4)
    assert len(second["sha256"]) == 64
    assert second["words"] is None


def test_broken_off_anywhere_it_goes_on_to_the_same_table(make: Make) -> None:
    Path("3.wav").write_text("silent")
    with pytest.raises(BatchError):
        make()
    ledger, table = find_ledger("t.jsonl").read_bytes(), Path("t.jsonl").read_bytes()
    worked_on()
    ends = [*range(0, len(ledger), 211), len(ledger) - 1]
    done = []
    for end in ends:
        find_ledger("t.jsonl").write_bytes(ledger[:end])
        if end == 0:
            Path("t.jsonl").unlink()
        with pytest.raises(BatchError):
            make()
        assert Path("t.jsonl").read_bytes() == table
        done.append(len(worked_on()))
    assert done[0] == 6
    assert done[-1] == 1
    assert done == sorted(done, reverse=True)


def test_two_processes_give_the_same_table(make: Make) -> None:
    make()
    table = Path("t.jsonl").read_bytes()
    worked_on()
    make(workers=2, force=True)
    assert len(worked_on()) == 6
    assert Path("t.jsonl").read_bytes() == table


def test_a_worker_that_dies_costs_its_recording(make: Make) -> None:
    Path("2.wav").write_text("die")
    with pytest.raises(BatchError, match="1 of 6 inputs failed"):
        make(workers=2)
    assert worked_on().count("2.wav") == 2
    assert rows()[2]["error"] == (
        "2.wav: its worker died, again and again: a crash, or too little memory."
    )
    assert [row["words"] for row in rows()].count(None) == 1


def test_what_has_changed_or_failed_for_another_reason_is_done_again(make: Make) -> None:
    Path("1.wav").write_text("silent")
    Path("2.wav").write_text("fails")
    Path("3.wav").unlink()
    with pytest.raises(BatchError, match="3 of 6"):
        make(*(f"{n}.wav" for n in range(6)))
    worked_on()
    Path("2.wav").write_text("words again")
    Path("3.wav").write_text("here now")
    Path("4.wav").write_text("other words")
    Path("6.wav").write_text("new")
    with pytest.raises(BatchError, match="1 of 6"):
        make(*(f"{n}.wav" for n in (0, 1, 2, 3, 4, 6)))
    assert worked_on() == ["2.wav", "3.wav", "4.wav", "6.wav"]
    told = ["words of 0", None, "words again", "here now", "other words", "new"]
    assert [row["words"] for row in rows()] == told


def test_a_table_made_in_another_way_is_refused(make: Make) -> None:
    make(settings={"start": 0})
    with pytest.raises(UsageError, match="made in another way: another recipe \\(start 0 there, 1"):
        make(settings={"start": 1})
    make(settings={"start": 1}, force=True)
    assert len(worked_on()) == 12
    lines = find_ledger("t.jsonl").read_text().splitlines(keepends=True)
    find_ledger("t.jsonl").write_text("".join(lines[:2]))  # of which nothing has come
    make(settings={"start": 2})
    find_ledger("t.jsonl").unlink()
    with pytest.raises(UsageError, match=r"t\.jsonl exists; use --force to overwrite it"):
        make(settings={"start": 1})
    Path("t.jsonl").unlink()
    Path("t.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"t\.jsonl is a folder"):
        make()


def test_one_process_works_on_a_table(make: Make) -> None:
    make()
    inputs = find_inputs(["."])[0]
    run = describe({"model": f"{MODEL.card.name} {MODEL.card.version}"}, {"model": "x"})
    with pytest.raises(UsageError, match="another process is at work on this table"):
        make_within(run, make)
    assert len(inputs) == 6


def make_within(run, make: Make) -> None:
    find_ledger("t.jsonl").unlink()
    with BatchLedger(find_ledger("t.jsonl"), run):
        make()


def test_a_false_ledger_is_told_of(make: Make) -> None:
    find_ledger("t.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="line 1 is not of a ledger; remove the file"):
        make()


def test_a_recording_that_kills_this_process_is_left_out(make: Make) -> None:
    """Begun twice without an outcome, by a process that did all alone."""
    make()
    ledger = find_ledger("t.jsonl")
    lines = ledger.read_text().splitlines(keepends=True)
    begun = json.loads(lines[-2])
    assert begun["begun"] == "alone"
    ledger.write_text("".join([*lines[:-1], lines[-2]]))
    worked_on()
    with pytest.raises(BatchError, match="1 of 6"):
        make()
    assert worked_on() == []
    make()  # and then it is tried once more
    assert worked_on() == ["5.wav"]


def test_a_single_recording_has_its_own_error(make: Make) -> None:
    Path("0.wav").write_text("silent")
    with pytest.raises(NoSpeechError, match=r"0\.wav: silent"):
        make("0.wav")
    assert len(rows()) == 1
    with pytest.raises(UsageError, match="standard input"):
        make("-")
    with pytest.raises(Speech2FaceError, match=r"a table ends in \.parquet, \.jsonl or \.csv"):
        make_table([], ToyTask("d"), COLUMNS, {}, MODEL, "t.xlsx")
