"""The ledger of a table of results: what became of each recording, until the table is written.

Beside TABLE lies TABLE.ledger.jsonl. Its first line says how the table is made; the others, each
added in one write, that a recording was begun, and what came of it:

    {"run": {"recipe": {…}, "data": {…}, "version": …}}
    {"key": "1f…", "begun": "alone"}
    {"key": "1f…", "content": "9c…", "rows": [{…}], "error": null}

`key` is a digest of the path, and of the part that a manifest asks for; `content` the sha256 of the
file. The last line of a key counts. A last line that a kill cut off counts as not written.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from speech2face.errors import UsageError
from speech2face.files import cannot_write
from speech2face.inputs import Input
from speech2face.run_provenance import Provenance, describe_differences

ENDING = ".ledger.jsonl"


class BatchLedger:
    """A ledger, open for one process: to be closed, by `with`.

    Of each recording only a digest and a place in the file are held in memory.
    """

    def __init__(self, path: Path, run: Provenance, anew: bool = False) -> None:
        """Open the ledger, or begin it; `anew`, whatever it holds.

        Raises UsageError where it is that of another run, where another process has it open, or
        there is no place for it.
        """
        self._path = path
        self._places: dict[bytes, int] = {}  # where the last outcome of a key begins
        self._deaths: dict[bytes, int] = {}  # of what was begun since its last outcome
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise cannot_write(path, error) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if anew:
                self._file.truncate(0)
            self._read(run)
        except BlockingIOError:
            self._file.close()
            raise UsageError(f"{path}: another process is at work on this table.") from None
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def find(self, item: Input) -> dict[str, Any] | None:
        """The last outcome of an input: content, rows and error; None where there is none."""
        place = self._places.get(_digest(item))
        if place is None:
            return None
        self._file.seek(place)
        return json.loads(self._read_line())

    def count_deaths(self, item: Input) -> int | None:
        """How often this process died of an input that was begun; None where none was begun."""
        return self._deaths.get(_digest(item))

    def begin(self, item: Input, alone: bool) -> None:
        """Note that an input is worked on: by this process `alone`, which may die of it.

        By another one, or where this one has survived it, its death is not the input's doing.
        """
        key = _digest(item)
        self._append({"key": key.hex(), "begun": "alone" if alone else "shared"})
        self._count(key, alone)

    def add(self, item: Input, outcome: dict[str, Any]) -> None:
        """Note what came of an input; it counts in place of any earlier outcome."""
        key = _digest(item)
        self._places[key] = self._append({"key": key.hex(), **outcome})
        self._deaths.pop(key, None)

    def _count(self, key: bytes, alone: bool) -> None:
        self._deaths[key] = self._deaths.get(key, 0) + 1 if alone else 0

    def _append(self, fields: dict[str, Any]) -> int:
        place = self._file.seek(0, os.SEEK_END)
        line = f"{json.dumps(fields)}\n".encode()
        try:
            if self._file.write(line) < len(line):
                raise OSError("the disk is full")
        except OSError as error:
            self._file.truncate(place)
            raise cannot_write(self._path, error) from None
        return place

    def _read_line(self) -> bytes:
        """The line that begins here: the file has no buffer, so that it holds what it seems to."""
        parts = []
        while part := self._file.read(1 << 14):
            parts.append(part)
            if b"\n" in part:
                break
        return b"".join(parts).partition(b"\n")[0]

    def _read(self, run: Provenance) -> None:
        """Find the outcomes, and cut off a line that is not whole."""
        end, differences = 0, ""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                if number == 1:
                    differences = self._compare(line, run)
                else:
                    self._note(line, number, end)
                end += len(line)
        if differences and self._places:
            raise UsageError(
                f"{self._path} is of a table made in another way: {differences}; choose another "
                "--out, or begin anew by --force."
            )
        if differences:  # nothing is lost
            end = 0
            self._deaths.clear()
        self._file.truncate(end)
        if not end:
            self._append({"run": asdict(run)})

    def _compare(self, line: bytes, run: Provenance) -> str:
        try:
            return describe_differences(json.loads(line)["run"], run)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._false_line(1) from None

    def _note(self, line: bytes, number: int, place: int) -> None:
        try:
            fields = json.loads(line)
            key = bytes.fromhex(fields["key"])
            if "begun" in fields:
                self._count(key, fields["begun"] == "alone")
            else:
                self._places[key] = place
                self._deaths.pop(key, None)
        except (ValueError, KeyError, TypeError):
            raise self._false_line(number) from None

    def _false_line(self, number: int) -> UsageError:
        return UsageError(
            f"{self._path}: line {number} is not of a ledger; remove the file, and the table is "
            "made anew."
        )


def _digest(item: Input) -> bytes:
    words = f"{item.identity}\0{item.id}\0{item.excerpt}"
    return blake2b(words.encode("utf-8", "surrogateescape"), digest_size=16).digest()
