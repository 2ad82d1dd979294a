"""Tables as spreadsheets write them are read; whatever is unclear names its line."""

import csv
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2face.errors import UsageError
from speech2face.tables import drop_repeats, read_lines, read_table

PLAIN = "clip,person,note\na,Zoë,1\nb,Ann Lee,\n"
ROWS = [(2, "a", "Zoë", "1"), (3, "b", "Ann Lee", "")]
FIELDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8)


@pytest.fixture
def table(tmp_path):
    return tmp_path / "table.csv"


def read(table, data: str | bytes) -> list[tuple[int, str, str, str]]:
    table.write_bytes(data.encode() if isinstance(data, str) else data)
    rows = read_table(table, ("clip", "person"))
    return [(row.line, row["clip"], row["person"], row["note"]) for row in rows]


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN.encode("utf-8-sig"),  # Excel's “CSV UTF-8”
        PLAIN.replace(",", "\t").encode("utf-16"),  # Excel's “Unicode text”
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.replace(",", ";"),  # Excel in Europe
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip(",\n"),  # a last line that is short and does not end
        PLAIN.replace(",", " ,  "),
        PLAIN.replace("Zoë", ' "Zoë"'),
        PLAIN.replace("\n", ",,\n"),  # empty columns beside the table
        PLAIN + "\n,,\n \n",
    ],
)
def test_tables_are_read_as_they_are_written(data, table):
    assert read(table, data) == ROWS


def test_lines_are_counted_as_an_editor_does(table):
    assert [row[0] for row in read(table, "sep=;\n\nclip;person;note\n\na;b;\r\n;;\nc;d;e")] == [
        5,
        7,
    ]
    notes = 'clip,person,note\na,b,"one\ntwo"\nc,d,\n'
    assert read(table, notes) == [(2, "a", "b", "one\ntwo"), (4, "c", "d", "")]
    assert read(table, "x,person,note,clip,\n1,b,,a,2\n") == [(2, "a", "b", "")]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ("", ": is empty; its first line should be clip, person."),
        ("\n \n", ": is empty"),
        ("clip,person\n", ": holds no rows"),
        ("clip,name\na,b", ": line 1: needs the column person; it has clip, name."),
        ("\n,,,1\n", ": line 2: needs the columns clip, person; it has 1."),
        ("clip,person,clip\na,b,c", ": line 1: two columns are named clip."),
        ("clip,person\na,b\nc", ": line 3: no person."),
        ("clip,person\n,\n , b", ": line 3: no clip."),
        ("clip,person\na,b,c", ": line 2: 3 fields under 2 columns."),
        ('clip,person\na,b\n\nc,"d\ne,f\ng,h\n', ": line 4: a quote is not closed."),
        ('clip,person\na,"b\nc,d"\n', ": line 2: a quote is not closed, or is one too many."),
        ('clip,person\na,"b\nc"\n', ": line 2: person goes on over several lines; is a quote"),
        ('clip,person\na,"b" c\n', ": line 2: ',' expected after '\"'."),
        ("clip,person\na,\0b", ": line 2: a zero byte: no CSV in UTF-8"),
        ("clip,person\na,Zo\xeb".encode("latin-1"), ": line 2: not UTF-8; save the table as “CSV"),
        ("clip,person\r\ra,Zo\xeb".encode("latin-1"), ": line 3: not UTF-8"),
        (b"\xef\xbb\xbfclip,person\na,\xff", ": line 2: not UTF-8;"),
        (PLAIN.encode("utf-16-le"), ": line 1: a zero byte"),
        (b"\xff\xfec\0l\0\n\0a", ": line 2: not UTF-16"),
        (b"PK\x03\x04\x14\0", ": a spreadsheet's workbook, not a CSV; save it as"),
        (b"\x7fELF\0\xff" * 99_999, ": line 1: a zero byte"),
    ],
)
def test_what_is_unclear_is_told_in_a_line(data, wrong, table):
    with pytest.raises(UsageError) as error:
        read(table, data)
    assert str(error.value).startswith(f"{table}{wrong}")
    assert "\n" not in str(error.value)


def test_what_is_no_file(table):
    with pytest.raises(UsageError, match="not found"):
        read_lines(table)
    table.mkdir()
    with pytest.raises(UsageError, match="not a file"):
        read_lines(table)
    os.mkfifo(table.with_name("pipe.csv"))
    with pytest.raises(UsageError, match="not a file"):
        read_lines(table.with_name("pipe.csv"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_lines(table.with_name("long" * 99))


def test_repeats_are_dropped_and_contradictions_are_not(table):
    table.write_text("clip,person,seconds\na,b,1\nc,d,2\na,b,3\n")
    rows = read_table(table, ("clip", "person"))
    assert [row.line for row in drop_repeats(rows, "clip", ("person",))] == [2, 3]
    with pytest.raises(UsageError, match="line 4: a has the seconds 3, but 1 on line 2"):
        drop_repeats(rows, "clip", ("person", "seconds"))


@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=5),
    separator=st.sampled_from(",;\t"),
    ending=st.sampled_from(["\n", "\r\n"]),
    coding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_writer_wrote_comes_back(rows, separator, ending, coding, tmp_path_factory):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=ending).writerows([("a", "b", "c"), *rows])
    table = tmp_path_factory.mktemp("table") / "table.csv"
    table.write_bytes(text.getvalue().encode(coding))
    assert [tuple(fields) for _, fields in read_lines(table)][1:] == [r for r in rows if any(r)]
