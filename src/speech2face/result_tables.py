"""Tables of results: a row for each recording and speaker, as Parquet, JSON lines or CSV.

The same rows give the same file, to the byte, with the same version of Arrow: groups of rows have
one size, and nothing in the file tells of when it was written.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

from speech2face.errors import UsageError
from speech2face.extras import need_extras
from speech2face.files import atomic_path

Kind = Literal["text", "truth", "whole", "number", "floats", "texts", "spans"]
Columns = Mapping[str, Kind]
"""The columns of a table, in their order: `floats` are a list of float32, `spans` pairs of s."""

ENDINGS = (".parquet", ".jsonl", ".csv")
GROUP = 1_000  # rows that are written together


class _Writer(Protocol):
    def write(self, rows: list[dict[str, Any]]) -> None: ...
    def close(self) -> None: ...


def is_table(name: str) -> bool:
    """True if a path or an address ends as tables do."""
    return name.lower().endswith(ENDINGS)


def check_table(name: str) -> None:
    """Raise UsageError where this is no table to write, ModelError where a package is missing."""
    if not is_table(name):
        *most, last = ENDINGS
        raise UsageError(f"{name}: a table ends in {', '.join(most)} or {last}.")
    if name.lower().endswith(".parquet"):
        need_extras("tables")


def write_table(name: str, columns: Columns, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to a path or an address; an existing table is replaced.

    Raises what `files.atomic_path` raises.
    """
    with atomic_path(Path(name)) as path:
        writer = _open(path, name, columns)
        try:
            filled = ({column: row.get(column) for column in columns} for row in rows)
            while group := list(islice(filled, GROUP)):
                writer.write(group)
        finally:
            writer.close()


def _open(path: Path, name: str, columns: Columns) -> _Writer:
    ending = name.lower().rpartition(".")[2]
    return {"parquet": _Parquet, "jsonl": _JsonLines, "csv": _Csv}[ending](path, columns)


class _Parquet:
    def __init__(self, path: Path, columns: Columns) -> None:
        import pyarrow as arrow
        from pyarrow.parquet import ParquetWriter

        kinds = {
            "text": arrow.string(),
            "truth": arrow.bool_(),
            "whole": arrow.int64(),
            "number": arrow.float64(),
            "floats": arrow.list_(arrow.float32()),
            "texts": arrow.list_(arrow.string()),
            "spans": arrow.list_(arrow.list_(arrow.float64())),
        }
        self._schema = arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._table = arrow.Table
        self._writer = ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: list[dict[str, Any]]) -> None:
        self._writer.write_table(self._table.from_pylist(rows, self._schema))

    def close(self) -> None:
        self._writer.close()


class _JsonLines:
    def __init__(self, path: Path, columns: Columns) -> None:
        self._file = path.open("xb")

    def write(self, rows: list[dict[str, Any]]) -> None:
        self._file.writelines(f"{json.dumps(row)}\n".encode() for row in rows)

    def close(self) -> None:
        self._file.close()


class _Csv:
    """Lists are JSON in one cell; what is not known is an empty one."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._file = io.TextIOWrapper(path.open("xb"), "utf-8", "backslashreplace", newline="")
        self._writer = csv.DictWriter(self._file, columns)
        self._writer.writeheader()

    def write(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self._writer.writerow(
                {name: json.dumps(x) if isinstance(x, list) else x for name, x in row.items()}
            )

    def close(self) -> None:
        self._file.close()
