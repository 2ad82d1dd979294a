"""Tables as spreadsheets write them → rows with the numbers of their lines.

Every table that a user gives is read here. It is CSV: UTF-8, or UTF-16 with its mark; lines end
in any of the usual ways; fields are parted by semicolons, tabs or commas, whichever the first line
holds (in this order), or as a first line `sep=;` says. Blanks around fields and empty lines count
for nothing. Whatever is unclear raises UsageError, one line that names the file and the line in it.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.remote_files import open_anywhere

SEPARATORS = ";\t,"  # in this order: a comma may stand in a name, a semicolon hardly
HEAD = 65_536  # bytes that show whether a file is text, before the rest of it is read
SHOWN = 12  # names of columns that an error lists

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx and ods; xls


@dataclass(frozen=True)
class Row:
    """A line of a table that has a header."""

    path: Path  # of the table
    line: int  # from 1 on, where the row begins
    fields: Mapping[str, str]  # by column; "" where the line ends before it

    def __getitem__(self, column: str) -> str:
        return self.fields[column]

    def error(self, what: str) -> UsageError:
        """The error that says what is wrong in this line."""
        return _error(self.path, self.line, what)


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a table whose first line names its columns, in the order of the file.

    Every row has something in each of `columns`; what stands in others is free. Raises UsageError
    where the file is missing or no table, a column is missing or named twice, a row lacks a field
    or has too many, and where there are no rows.
    """
    lines = read_lines(path)
    if not lines:
        raise UsageError(f"{path}: is empty; its first line should be {', '.join(columns)}.")
    first, header = lines[0]
    if missing := [name for name in columns if name not in header]:
        there = [name for name in header if name]
        shown = ", ".join(name[:30] for name in there[:SHOWN])
        raise _error(
            path,
            first,
            f"needs the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has "
            f"{shown or 'none'}{', …' * (len(there) > SHOWN)}",
        )
    for name in header:
        if name and header.count(name) > 1:
            raise _error(path, first, f"two columns are named {name}")
    rows = []
    for line, values in lines[1:]:
        if any(values[len(header) :]):
            raise _error(path, line, f"{len(values)} fields under {len(header)} columns")
        values += [""] * (len(header) - len(values))
        row = Row(path, line, dict(zip(header, values, strict=False)))
        if empty := [name for name in columns if not row[name]]:
            raise row.error(f"no {' and no '.join(empty)}")
        if broken := [name for name in columns if len(row[name].splitlines()) > 1]:
            raise row.error(f"{broken[0]} goes on over several lines; is a quote not closed?")
        rows.append(row)
    if not rows:
        raise UsageError(f"{path}: holds no rows, only the names of columns.")
    return rows


def drop_repeats(rows: Sequence[Row], key: str, others: Sequence[str] = ()) -> list[Row]:
    """The rows without those that repeat an earlier one in the columns `key` and `others`.

    Raises UsageError where two rows have the same `key`, but not the same `others`.
    """
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(row[key], row)
        for column in others:
            if row.fields.get(column) != other.fields.get(column):
                raise row.error(
                    f"{row[key]} has the {column} {row[column]}, but {other[column]} on line "
                    f"{other.line}"
                )
    return list(first.values())


def read_lines(path: Path, separators: str = SEPARATORS) -> list[tuple[int, list[str]]]:
    """The number of each line and its fields; lines without any are left out.

    The first of `separators` that the first line holds parts them all; where it holds none, each
    line is one field. Raises UsageError where the file cannot be read or is no table of text, and
    where a quote is not closed.
    """
    text = _read_text(path)
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    declared = len(first.rstrip()) == 5 and first.lower().startswith("sep=")  # Excel's
    separator = first[4] if declared else next((s for s in separators if s in first.strip()), ",")
    lines = list(_parse(path, text, separator))
    return lines[1:] if declared else lines


def _parse(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    columns = 0
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = "a quote is not closed" if "unexpected end" in str(error) else str(error)
            raise _error(path, line, why) from None
        fields = [field.strip() for field in row]
        if any(fields):
            columns = columns or len(fields)
            if reader.line_num > line and _swallows(fields, separator, columns):
                raise _error(path, line, "a quote is not closed, or is one too many")
            yield line, fields


def _swallows(fields: Sequence[str], separator: str, columns: int) -> bool:
    """True if a field that goes on over several lines holds what looks like further rows."""
    following = [line for field in fields for line in field.splitlines()[1:]]
    return any(line.count(separator) >= max(columns - 1, 1) for line in following)


def _read_text(path: Path) -> str:
    """The whole file as text, without a mark."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise UsageError(f"{path}: not a file, but a folder or a device.")
        with open_anywhere(path) as file:
            data = file.read(HEAD)
            if data.startswith(WORKBOOKS):
                raise UsageError(
                    f"{path}: a spreadsheet's workbook, not a CSV; save it as “CSV UTF-8”."
                )
            encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
            if encoding.startswith("utf-16") or 0 not in data:  # else it is refused below
                data += file.read()
    except FileNotFoundError:
        raise UsageError(f"{path}: not found.") from None
    except UnreadableMediaError as error:  # at an address
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if 0 not in data or encoding.startswith("utf-16"):
            before, name = error.object[: error.start], encoding.removesuffix("-sig").upper()
            line = _line_at(before.decode(encoding, "replace"))
            raise _error(path, line, f"not {name}; save the table as “CSV UTF-8”") from None
        text = data.decode("latin-1")
    if (place := text.find("\0")) >= 0:
        what = "a zero byte: no CSV in UTF-8; save the table as “CSV UTF-8”"
        raise _error(path, _line_at(text[:place]), what)
    return text


def _line_at(before: str) -> int:
    """The number of the line that begins or goes on after this text."""
    return before.count("\n") + before.replace("\r\n", "").count("\r") + 1


def _error(path: Path, line: int, what: str) -> UsageError:
    return UsageError(f"{path}: line {line}: {what}.")
