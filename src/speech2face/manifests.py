"""Manifests: tables that list recordings, a line each, with the part of each that is wanted.

A column `path` says where the recording lies: a path from the manifest's folder on, or an address.
Further columns are as the command's options, which they go before: `from`, `to`, `track` and
`speaker`; `id` names what is made of the recording. Others are free. A manifest is CSV (as
`tables.py` reads it), JSON lines or Parquet, by its ending.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from speech2face.errors import UsageError
from speech2face.extras import need_extras
from speech2face.remote_files import is_address, open_anywhere
from speech2face.tables import Row, read_table
from speech2face.timestamps import parse_time

ENDINGS = (".csv", ".jsonl", ".parquet")
COLUMNS = ("path", "id", "from", "to", "track", "speaker")


@dataclass(frozen=True)
class Excerpt:
    """The part of a recording that a line asks for; None: what the command asks for."""

    start: float | None = None  # s
    end: float | None = None  # s
    track: int | None = None  # from 1
    speaker: str | int | None = None  # "longest", "all" or a number from 1


WHOLE = Excerpt()


@dataclass(frozen=True)
class Line:
    """A line of a manifest."""

    path: str  # from the folder one is in, or an address
    place: Path  # below the folder where outputs go: named by `id`, or as in the manifest
    id: str
    excerpt: Excerpt


def is_manifest(name: str) -> bool:
    """True if a path or an address ends as manifests do."""
    return name.lower().endswith(ENDINGS)


def read_manifest(name: str) -> list[Line]:
    """The lines of a manifest, in its order.

    Raises UsageError where it is missing, no table, lacks the column `path`, names a time, track
    or speaker that is none, or says an id twice; ModelError where a package is missing.
    """
    lines, rows = [], dict[str, Row]()
    for row in _read_rows(name):
        line = _read_line(row, name)
        if line.id and line.id in rows:
            raise row.error(f"the id {line.id} stands on line {rows[line.id].line} already")
        if line.id:
            rows[line.id] = row
        lines.append(line)
    if not lines:
        raise UsageError(f"{name}: lists no recordings.")
    return lines


def _read_rows(name: str) -> Iterator[Row]:
    table, ending = Path(name), PurePosixPath(name).suffix.lower()
    if ending == ".csv":
        yield from read_table(table, ("path",))
        return
    try:
        with open_anywhere(name) as file:
            for number, fields in (_read_json if ending == ".jsonl" else _read_parquet)(file, name):
                cells = {column: _write_cell(fields.get(column)) for column in COLUMNS}
                row = Row(table, number, cells)
                if not row["path"]:
                    raise row.error("no path")
                yield row
    except FileNotFoundError:
        raise UsageError(f"{name}: not found.") from None
    except OSError as error:
        raise UsageError(f"{name}: cannot be read ({error.strerror or error}).") from None


def _read_json(file: BinaryIO, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{name}: line {number}: not JSON ({error}).") from None
        if not isinstance(fields, dict):
            raise UsageError(f"{name}: line {number}: not a JSON object.")
        yield number, fields


def _read_parquet(file: BinaryIO, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    need_extras("tables")
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as table:
            columns = [column for column in COLUMNS if column in table.schema_arrow.names]
            if "path" not in columns:
                raise UsageError(f"{name}: needs the column path.")
            batches = (batch.to_pylist() for batch in table.iter_batches(columns=columns))
            yield from enumerate(itertools.chain.from_iterable(batches), 1)
    except ArrowException as error:
        raise UsageError(f"{name}: not a Parquet table ({error}).") from None


def _write_cell(value: Any) -> str:
    """A cell as CSV would have it."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value).strip()


def _read_line(row: Row, manifest: str) -> Line:
    from speech2face.speech import parse_speaker  # with NumPy, which no help page waits for

    fields = row.fields
    try:
        start, end = (
            parse_time(fields[name], name) if fields.get(name) else None for name in ("from", "to")
        )
        speaker = parse_speaker(fields["speaker"], "speaker") if fields.get("speaker") else None
    except UsageError as error:
        raise row.error(str(error).rstrip(".")) from None
    track = fields.get("track", "").removesuffix(".0")  # as pandas writes whole numbers
    if track and not (track.isdecimal() and int(track) > 0):
        raise row.error(f"the track is {track}; give a number from 1 on")
    if end is not None and end <= (start or 0.0):
        raise row.error(f"to is {end:g} s; it must lie after from, {start or 0:g} s")
    path, named = row["path"], fields.get("id", "")
    below = PurePosixPath(named or path.partition("://")[2] or path)
    if named and (below.is_absolute() or ".." in below.parts):
        raise row.error(f"the id {named} leads out of the folder of outputs; give a plain name")
    if below.is_absolute() or ".." in below.parts:
        below = PurePosixPath(below.name)
    place = Path(f"{below}{PurePosixPath(path).suffix}") if named else Path(below)
    excerpt = Excerpt(start, end, int(track) if track else None, speaker)
    return Line(_find_path(path, manifest), place, named, excerpt)


def _find_path(path: str, manifest: str) -> str:
    if is_address(path) or os.path.isabs(path):
        return path
    if is_address(manifest):
        return f"{manifest.rpartition('/')[0]}/{path}"
    return os.path.join(os.path.dirname(manifest), path)
