"""Manifests of three kinds say the same, and what is wrong with one is told with its line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from helpers.object_server import ObjectServer
from speech2face.errors import UsageError
from speech2face.inputs import Input, find_inputs, join_inputs, place_outputs
from speech2face.manifests import Excerpt, is_manifest, read_manifest

LINES = [
    {"path": "calls/a.wav", "id": "first", "from": 1, "to": "0:02.5", "track": 2, "speaker": "all"},
    {"path": "calls/a.wav", "id": "second", "from": 2.5, "speaker": 2},
    {"path": "s3://bucket/calls/b.mp3", "track": 1.0},
    {"path": "../c.wav", "note": "free, for whoever reads it"},
]


def write(path: Path, lines: list[dict]) -> str:
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(line)}\n\n" for line in lines))
    elif path.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow", reason="Parquet needs the extra tables")
        from pyarrow.parquet import write_table

        columns = list(dict.fromkeys(name for line in lines for name in line))
        text = ("to", "speaker")  # a column of Parquet is of one type
        rows = [
            {n: str(v) if n in text and v is not None else v for n, v in line.items()}
            for line in lines
        ]
        held = [{name: row.get(name) for name in columns} for row in rows]
        write_table(arrow.Table.from_pylist(held), path)
    else:
        columns = list(dict.fromkeys(name for line in lines for name in line))
        cells = [[str(line.get(name, "")) for name in columns] for line in lines]
        path.write_text("\n".join(";".join(row) for row in [columns, *cells]))
    return str(path)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_manifests_of_all_kinds_are_read_alike(tmp_path: Path, ending: str) -> None:
    lines = read_manifest(write(tmp_path / f"list{ending}", LINES))
    assert [line.path for line in lines] == [
        str(tmp_path / "calls/a.wav"),
        str(tmp_path / "calls/a.wav"),
        "s3://bucket/calls/b.mp3",
        os.path.join(tmp_path, "../c.wav"),
    ]
    assert [line.excerpt for line in lines] == [
        Excerpt(1.0, 2.5, 2, "all"),
        Excerpt(start=2.5, speaker=2),
        Excerpt(track=1),
        Excerpt(),
    ]
    places = ["first.wav", "second.wav", "bucket/calls/b.mp3", "c.wav"]
    assert [line.place.as_posix() for line in lines] == places


def test_what_a_manifest_lists_are_inputs_with_places_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("list.csv"), LINES)
    Path("d.wav").touch()
    inputs, repeated = find_inputs(["list.csv", "d.wav", "list.csv"], listed=True)
    assert (len(inputs), repeated) == (5, 4)
    assert [item.id for item in inputs] == ["first", "second", "", "", ""]
    outputs = place_outputs(inputs, Path("out"), ".face.png")
    assert [outputs[item.key].as_posix() for item in inputs] == [
        "out/first.face.png",
        "out/second.face.png",
        "out/bucket/calls/b.face.png",
        "out/c.face.png",
        "out/d.face.png",
    ]
    with pytest.raises(UsageError, match=r"a\.wav: --together takes whole recordings"):
        join_inputs(inputs)
    assert find_inputs(["list.csv"])[0] == [Input("list.csv", Path("list.csv"))]  # of anonymise


def test_two_parts_of_one_file_need_ids_for_their_files(tmp_path: Path) -> None:
    lines = [{"path": "a.wav", "from": 1}, {"path": "a.wav", "from": 2}]
    inputs, _ = find_inputs([write(tmp_path / "list.jsonl", lines)], listed=True)
    with pytest.raises(UsageError, match=r"several parts of .*a\.wav would .* give each an id"):
        place_outputs(inputs, Path("out"), ".png")


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"path": "", "id": "x"}, "no path"),
        ({"path": "a.wav", "from": "early"}, "from is 'early'; give seconds"),
        ({"path": "a.wav", "from": 3, "to": 2}, "to is 2 s; it must lie after from, 3 s"),
        ({"path": "a.wav", "track": "two"}, "the track is two; give a number from 1 on"),
        ({"path": "a.wav", "speaker": "loudest"}, "speaker is longest, all or a number"),
        ({"path": "a.wav", "id": "../up"}, "the id ../up leads out of the folder"),
        ({"path": "a.wav", "id": "b"}, "the id b stands on line"),
    ],
)
def test_a_false_line_is_told_with_its_number(
    tmp_path: Path, ending: str, line: dict, words: str
) -> None:
    name = write(tmp_path / f"list{ending}", [{"path": "b.wav", "id": "b"}, line])
    with pytest.raises(UsageError, match=f"line 3: {words}"):
        read_manifest(name)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "file\na.wav", "needs the column path; it has file"),
        ("a.jsonl", '["a.wav"]', "line 1: not a JSON object"),
        ("a.jsonl", "path", "line 1: not JSON"),
        ("a.jsonl", "", "lists no recordings"),
        ("a.parquet", "PAR1", "not a Parquet table"),
        ("no.csv", None, "not found"),
        ("no.jsonl", None, "not found"),
    ],
)
def test_what_is_no_manifest_is_told_in_a_line(
    tmp_path: Path, name: str, content: str | None, words: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="Parquet needs the extra tables")
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=words) as told:
        read_manifest(str(tmp_path / name))
    assert len(str(told.value).splitlines()) == 1


def test_a_manifest_may_lie_at_an_address() -> None:
    pytest.importorskip("aiohttp", reason="addresses need the extra remote")
    with ObjectServer() as server:
        server.objects["data/list.csv"] = b"path\na.wav\nhttps://example.org/b.wav"
        lines = read_manifest(f"{server.address}/data/list.csv")
    assert [line.path for line in lines] == [
        f"{server.address}/data/a.wav",
        "https://example.org/b.wav",
    ]
    assert is_manifest("s3://bucket/LIST.CSV")
    assert not is_manifest("a.csv.wav")
