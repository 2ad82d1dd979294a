"""Many recordings → one table of results, in their order, however often the work is broken off.

What is done goes into the ledger (batch_ledger.py). When all is done the table is written from it.
The same command goes on with what is missing: it does again what has other content now, and what
failed for another reason than what is in the recording. It adds what is new, and leaves out what is
not given any more. Nothing of the results is held in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from speech2face import __version__
from speech2face.batch import (
    Numbered,
    Outcome,
    Rate,
    ReadingProgress,
    Row,
    Share,
    Work,
    do_one,
    note_interrupts,
    open_item,
    sum_up,
)
from speech2face.batch_ledger import ENDING, BatchLedger
from speech2face.console import ProgressBars, print_message
from speech2face.errors import NoSpeechError, Speech2FaceError, UnreadableMediaError, UsageError
from speech2face.files import hash_file, hash_open_file
from speech2face.inputs import Input
from speech2face.model_folders import Model
from speech2face.remote_files import exists, is_address, read_stamp
from speech2face.result_tables import Columns, check_table, write_table
from speech2face.run_provenance import describe, hash_rows
from speech2face.runtime import limit_threads
from speech2face.worker_crews import Crew, Task, describe_death, share_among

# Columns that every table has, before and after those of a command.
FIRST: Columns = {
    "path": "text",
    "id": "text",
    "from": "number",
    "to": "number",
    "track": "whole",
    "sha256": "text",
}
LAST: Columns = {
    "speech_seconds": "number",
    "analysed_seconds": "number",
    "segments": "spans",
    "speaker": "whole",
    "speakers": "whole",
    "warnings": "texts",
    "model": "text",
    "model_sha256": "text",
    "version": "text",
    "error": "text",
    "exit_code": "whole",
}
# Exit codes of errors that lie in a recording: the same content has the same one.
LASTING = {UnreadableMediaError.exit_code, NoSpeechError.exit_code}
MOST_DEATHS = 2  # of this process on one input, before it is left out


@dataclass(frozen=True)
class HashedTask:
    """A task whose rows have the `content` of the recording, too, also where it fails."""

    task: Task

    def open(self) -> Work:
        work = self.task.open()

        def hash_and_work(item: Input, progress: ReadingProgress) -> Row:
            with _open_hashed(item) as (there, content, stamp):
                row = do_one(work, there, progress)
            return {**row, "content": content, "stamp": stamp}

        return hash_and_work


def make_table(
    inputs: Sequence[Input],
    task: Task,
    columns: Columns,
    settings: Mapping[str, Any],
    model: Model,
    table: str,
    hire: Callable[[Task], AbstractContextManager[Crew]] | None = None,
    force: bool = False,
) -> None:
    """Make or go on with `table`, a path or an address.

    `settings` are all that decide about rows, beside `model`. `hire` gives a crew for a task; by
    default this process does all. With `force` what was done is done again. Raises UsageError where
    a table lies there that was not made so, and as `batch.run_each` where inputs fail, after the
    table was written.
    """
    check_table(table)
    if any(item.name == "-" for item in inputs):
        raise UsageError("standard input (-) goes into no table; give a file.")
    ledger_path = find_ledger(table)
    _check_place(table, ledger_path, force)
    recipe = {"model": f"{model.card.name} {model.card.version}", **settings}
    run = describe(recipe, {"model": hash_rows(model.card.sha256.items())})
    with (
        limit_threads(1),
        ProgressBars() as show,
        note_interrupts() as noted,
        BatchLedger(ledger_path, run, anew=force) as ledger,
    ):
        rate = Rate(show, "recordings", len(inputs))
        todo = _choose(inputs, ledger, rate, alone=hire is None)
        hashed = HashedTask(task)
        share = share_among(lambda: hire(hashed)) if hire else _share_here(hashed, ledger)
        with closing(share(todo)) as outcomes:
            for place, row in outcomes:
                if noted:
                    raise KeyboardInterrupt
                ledger.add(inputs[place], row)
                if row["error"] is not None:
                    print_message(row["error"])
                rate.add()
        if noted:
            raise KeyboardInterrupt
        failed = _Failed()
        rows = _list_rows(inputs, ledger, model, failed)
        write_table(table, {**FIRST, **columns, **LAST}, rows)
    if failed.first:
        raise sum_up(failed.first, failed.count, len(inputs))


@dataclass
class _Failed:
    first: Row | None = None
    count: int = 0


def find_ledger(table: str) -> Path:
    """The ledger of a table: beside it, or, of one at an address, in the folder one is in."""
    name = PurePosixPath(table).name if is_address(table) else table
    return Path(f"{name}{ENDING}")


@contextmanager
def _open_hashed(item: Input) -> Iterator[tuple[Input, str, str]]:
    """The input with what lies at its address fetched; its sha256, and its stamp if it has one.

    Both are empty where there is nothing to read: the work will say why.
    """
    if item.error or not is_address(item.name):
        yield item, "" if item.error else _hash(item.name), ""
        return
    stamp = read_stamp(item.name)
    with open_item(item) as there:
        content = hash_open_file(there.fetched)
        there.fetched.seek(0)
        yield there, content, stamp


def _hash(path: str) -> str:
    try:
        return hash_file(Path(path)) if os.path.isfile(path) else ""
    except OSError:
        return ""


def _check_place(table: str, ledger: Path, force: bool) -> None:
    """Raises UsageError where the table exists and is not the ledger's, unless by `force`."""
    if os.path.isdir(table):
        raise UsageError(f"{table} is a folder; name a file.")
    if (
        not force
        and not ledger.exists()
        and (exists(table) if is_address(table) else os.path.lexists(table))
    ):
        raise UsageError(f"{table} exists; use --force to overwrite it.")


def _choose(
    inputs: Sequence[Input], ledger: BatchLedger, rate: Rate, alone: bool
) -> Iterator[Numbered]:
    """The inputs that are to be done, each noted as begun when it is taken.

    One of which this process died, working `alone`, again and again, has that for an outcome.
    """
    for place, item in enumerate(inputs):
        outcome = ledger.find(item)
        if outcome and _is_same(item, outcome):
            rate.add(kept=True)
            continue
        deaths = ledger.count_deaths(item)
        if deaths is not None and deaths >= MOST_DEATHS:
            ledger.add(item, describe_death(item))
            print_message(describe_death(item)["error"])
            rate.add()
            continue
        ledger.begin(item, alone)
        made = outcome is not None and outcome["error"] is None
        yield place, replace(item, again=made or deaths is not None)


def _is_same(item: Input, outcome: Mapping[str, Any]) -> bool:
    """True if an outcome holds: of the content that the recording has now."""
    content = outcome.get("content")
    if not content or (outcome["error"] and outcome["exit_code"] not in LASTING):
        return False
    if not is_address(item.name):
        return _hash(item.name) == content
    if stamp := outcome.get("stamp"):
        return read_stamp(item.name) == stamp
    try:
        with _open_hashed(item) as (_, now, _):
            return now == content
    except Speech2FaceError:
        return False


def _share_here(task: Task, ledger: BatchLedger) -> Share:
    def share(todo: Iterable[Numbered]) -> Generator[Outcome]:
        work = task.open()
        for place, item in todo:
            try:
                row = do_one(work, item)
            except BaseException:  # an interrupt: it has not died of the recording
                ledger.begin(item, alone=False)
                raise
            yield place, row

    return share


def _list_rows(
    inputs: Sequence[Input], ledger: BatchLedger, model: Model, failed: _Failed
) -> Iterator[dict[str, Any]]:
    made_by = {
        "model": f"{model.card.name} {model.card.version}",
        "model_sha256": hash_rows(model.card.sha256.items()),
        "version": __version__,
    }
    for item in inputs:
        outcome = ledger.find(item)
        assert outcome is not None  # of each input there is one by now
        if outcome["error"] is not None:
            failed.first = failed.first or outcome
            failed.count += 1
        said = {
            "path": item.name,
            "id": item.id or None,
            "from": item.excerpt.start,
            "to": item.excerpt.end,
            "track": item.excerpt.track,
            "sha256": outcome.get("content") or None,
            "error": outcome["error"],
            "exit_code": outcome.get("exit_code"),
        }
        for row in outcome.get("rows") or [{}]:
            yield {**row, **said, **made_by}
