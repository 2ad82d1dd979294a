"""Files at addresses: real servers that throttle, break off, and go away for a while."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from helpers.object_server import Fault, ObjectServer
from speech2face.errors import ModelError, StorageError, UnreadableMediaError
from speech2face.files import write_text_atomically
from speech2face.remote_files import (
    address_of,
    exists,
    fetch,
    is_folder,
    list_below,
    match_addresses,
    open_anywhere,
    read_stamp,
)

SOUND = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def _upload(server: ObjectServer) -> None:
    server.objects["calls/may/a.wav"] = SOUND


def name(server: ObjectServer, kind: str, path: str) -> str:
    return f"s3://{path}" if kind == "s3" else f"{server.address}/{path}"


def read(address: str, most: int = 1 << 20) -> bytes:
    with fetch(address, most) as file:
        return file.read()


@pytest.mark.parametrize("kind", ["s3", "http"])
@pytest.mark.parametrize("fault", ["throttle", "cut"])
def test_a_server_that_fails_for_a_while_is_asked_again(
    server: ObjectServer, kind: str, fault: Fault
) -> None:
    server.faults.extend([fault, fault])
    assert read(name(server, kind, "calls/may/a.wav")) == SOUND
    assert not server.faults


@pytest.mark.parametrize(
    ("fault", "words"), [("throttle", "the server answers 503"), ("cut", "cannot be reached")]
)
def test_a_server_that_fails_for_long_is_told_of(
    server: ObjectServer, fault: Fault, words: str
) -> None:
    server.faults.extend([fault] * 100)
    with pytest.raises(UnreadableMediaError, match=words):
        read(name(server, "http", "calls/may/a.wav"))
    assert server.faults  # it has given up


@pytest.mark.parametrize("kind", ["s3", "http"])
def test_what_is_not_there_is_asked_for_once(server: ObjectServer, kind: str) -> None:
    address = name(server, kind, "calls/no.wav")
    with pytest.raises(UnreadableMediaError, match=f"{address}: not found; check the address"):
        read(address)
    assert len(server.requests) < 6
    assert not exists(address)
    assert exists(name(server, kind, "calls/may/a.wav"))


@pytest.mark.parametrize("kind", ["s3", "http"])
def test_what_is_too_large_is_not_fetched(server: ObjectServer, kind: str) -> None:
    with pytest.raises(UnreadableMediaError, match=r"larger than 0\.0\d+ MiB; download it"):
        read(name(server, kind, "calls/may/a.wav"), most=len(SOUND) - 1)
    assert read(name(server, kind, "calls/may/a.wav"), most=len(SOUND)) == SOUND


@pytest.mark.parametrize("kind", ["s3", "http"])
def test_a_stamp_changes_with_the_file(server: ObjectServer, kind: str) -> None:
    address = name(server, kind, "calls/may/a.wav")
    first = read_stamp(address)
    assert first
    assert read_stamp(address) == first
    server.objects["calls/may/a.wav"] = SOUND[::-1]
    assert read_stamp(address) != first
    assert read_stamp(name(server, kind, "calls/no.wav")) == ""


def test_folders_and_patterns_of_a_bucket_are_searched(server: ObjectServer) -> None:
    server.objects |= {"calls/b.mp3": b"", "calls/notes.txt": b"", "others/c.wav": b""}
    assert is_folder("s3://calls/may")
    assert not is_folder("s3://calls/may/a.wav")
    assert not is_folder(f"{server.address}/calls")
    assert list_below("s3://calls") == [
        "s3://calls/b.mp3",
        "s3://calls/may/a.wav",
        "s3://calls/notes.txt",
    ]
    assert match_addresses("s3://calls/**/*.wav") == ["s3://calls/may/a.wav"]
    assert match_addresses("s3://calls/b.mp3") is None


def test_a_server_may_be_started_again_meanwhile(server: ObjectServer) -> None:
    server.stop()
    again = threading.Timer(0.3, server.start)
    again.start()
    assert read(f"{server.address}/calls/may/a.wav") == SOUND
    again.join()


@pytest.mark.parametrize("size", [10, 12_000_000])
def test_a_file_is_written_to_an_address_whole(server: ObjectServer, size: int) -> None:
    server.faults.extend(["throttle", "cut"])
    write_text_atomically(Path("s3://calls/out/words.txt"), "a" * size)
    assert server.objects["calls/out/words.txt"] == b"a" * size
    with pytest.raises(RuntimeError, match="broken off"):
        write_half(Path("s3://calls/out/half.txt"))
    assert "calls/out/half.txt" not in server.objects


def write_half(path: Path) -> None:
    from speech2face.files import write_atomically

    with write_atomically(path) as file:
        file.write(b"half")
        raise RuntimeError("broken off")


def test_a_server_that_takes_nothing_is_told_of(server: ObjectServer) -> None:
    server.stop()
    with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:\d+/a\.txt: "):
        write_text_atomically(Path(f"{server.address}/a.txt"), "a")


def test_paths_stand_for_addresses(tmp_path: Path) -> None:
    assert address_of(Path("s3://bucket/set") / "index.json") == "s3://bucket/set/index.json"
    assert address_of("https://a.org/b?c=d") == "https://a.org/b?c=d"
    assert address_of("a/s3:/b") == address_of(tmp_path) == address_of("-") == ""
    (tmp_path / "a").write_bytes(b"here")
    with open_anywhere(tmp_path / "a") as file:
        assert file.read() == b"here"


def test_what_no_library_knows_is_an_error() -> None:
    with pytest.raises(UnreadableMediaError, match="is no kind of address that is known"):
        read("gopher://a.org/b.wav")
    with pytest.raises(ModelError, match="not installed: pip install"):
        read("gs://bucket/b.wav")
