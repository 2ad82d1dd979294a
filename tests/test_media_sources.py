"""What is taken as a source of sound, and what is said of everything else."""

from __future__ import annotations

import gzip
import io
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.sounds import encode, music
from speech2face.errors import StorageError, UnreadableMediaError, UsageError
from speech2face.media import SAMPLE_RATE, load_audio, opening


@pytest.fixture(scope="module")
def data() -> bytes:
    return encode(music(1), SAMPLE_RATE, "flac", "flac")


class Pipe:
    """A file object that can do nothing but read."""

    def __init__(self, data: bytes) -> None:
        self.read = io.BytesIO(data).read


def pipe(data: bytes) -> Any:
    return Pipe(data)


def at_its_end(data: bytes) -> io.BytesIO:
    file = io.BytesIO()
    file.write(data)
    return file


def strided(data: bytes) -> memoryview:
    return memoryview(bytes(b for byte in data for b in (byte, 0)))[::2]


def unzip(packed: bytes) -> Any:
    return gzip.GzipFile(fileobj=io.BytesIO(packed))


def zipped(data: bytes) -> Any:
    return unzip(gzip.compress(data))


@pytest.mark.parametrize(
    "wrap",
    [bytearray, memoryview, strided, io.BytesIO, at_its_end, zipped, pipe],
    ids=lambda f: f.__name__,
)
def test_takes_bytes_and_file_objects(data: bytes, wrap: Callable[[bytes], Any]) -> None:
    source = wrap(data)
    np.testing.assert_array_equal(load_audio(source).samples, load_audio(data).samples)
    assert not getattr(source, "closed", False)


def test_takes_an_open_file_by_its_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "sound.flac"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert len(load_audio(file).samples) == SAMPLE_RATE
        assert not file.closed
    with pytest.raises(UsageError, match=f"{path} cannot be read .*closed file"):
        load_audio(file)
    with path.open("rb") as file, pytest.raises(UsageError, match=f"{path} has 1 sound track"):
        load_audio(file, track=2)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (None, "an object of type NoneType is no recording; give a path, bytes, a binary file"),
        (5, "type int is no recording"),
        ({"a": 1}, "type dict is no recording"),
        ([np.zeros(9), 16_000], "type list is no recording; give samples together with their rate"),
        (np.zeros(9), "type ndarray is no recording; give samples together with their rate"),
        ((np.zeros(9),), "type tuple is no recording"),
        ((16_000, np.zeros(9)), r"a sample rate of type ndarray; give \(samples, sample rate in"),
        ((np.zeros(9), "16000"), "a sample rate of type str"),
        ("", "the name of the recording is empty"),
        (io.StringIO("x"), "does not give bytes; open it in binary mode"),
    ],
)
def test_says_what_a_source_is(source: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        load_audio(source)


def test_refuses_what_is_no_file_in_one_line(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.wav").symlink_to("gone.wav")
    Path("circle.wav").symlink_to("circle.wav")
    Path("notes.txt").touch()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    os.mkfifo("pipe")
    monkeypatch.setattr(opening, "PATIENCE", 1)  # ms
    remote = "is an address, not a file; download it first and give the local file"
    for source, reason in {
        "https://example.org/a.wav": remote,
        "s3://bucket/a.wav": remote,
        Path("https://example.org/a.wav"): remote,
        "broken.wav": "is a link to gone.wav, which does not exist; give the file itself",
        "circle.wav": "cannot be opened (Too many levels of symbolic links); check the path",
        "notes.txt/a.wav": "cannot be opened (Not a directory); check the path",
        300 * "x": "cannot be opened (File name too long); check the path",
        "~/a.wav": "does not exist; check the path",
        "/dev/zero": "is a device; give a file",
        "socket": "is a socket; give a file",
        "pipe": "is a pipe that nobody writes to; give a file",
    }.items():
        with pytest.raises(UnreadableMediaError) as caught:
            load_audio(source)
        assert str(caught.value) == f"{source} {reason}"


def test_a_tilde_is_home_unless_there_is_such_a_file(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for folder in ("home", "~"):
        Path(folder).mkdir()
    (tmp_path / "home/a.flac").write_bytes(data)
    assert len(load_audio("~/a.flac").samples) == SAMPLE_RATE
    Path("~/a.flac").write_bytes(encode(music(2), SAMPLE_RATE, "flac", "flac"))
    assert len(load_audio(Path("~/a.flac")).samples) == 2 * SAMPLE_RATE


def test_reads_a_pipe_by_its_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(data))
    writer.start()
    assert len(load_audio(path).samples) == SAMPLE_RATE
    writer.join()


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def test_standard_input_has_to_hold_something(monkeypatch: pytest.MonkeyPatch) -> None:
    for stdin, state in ((None, "closed"), (Terminal(io.BytesIO()), "a terminal")):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(UnreadableMediaError, match=f"standard input is {state}; pipe a rec"):
            load_audio("-")


def test_a_pipe_is_held_in_memory_and_otherwise_in_the_temporary_folder(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert len(load_audio(pipe(data)).samples) == SAMPLE_RATE
    monkeypatch.setattr(opening, "HELD", 1000)
    with pytest.raises(StorageError, match=f"temporary folder {tmp_path}/missing.* TMPDIR") as e:
        load_audio(pipe(data))
    assert e.value.exit_code == 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert len(load_audio(pipe(data)).samples) == SAMPLE_RATE
    assert not list(tmp_path.iterdir())


def test_what_a_file_object_raises_is_one_line(data: bytes) -> None:
    packed = gzip.compress(data)
    for broken in (packed[: len(packed) // 2], packed[:10] + bytes([255]) * 9):
        with pytest.raises(UnreadableMediaError, match=r"^the given file cannot be read \("):
            load_audio(unzip(broken))

    class Odd:
        def read(self) -> bytes:
            return data

    with pytest.raises(UsageError, match=r"takes 1 positional argument"):
        load_audio(Odd())  # type: ignore[arg-type]


def test_a_pipe_that_does_not_block_is_waited_for(data: bytes) -> None:
    out, into = os.pipe()
    os.set_blocking(out, False)

    def write() -> None:
        with os.fdopen(into, "wb") as file:
            file.write(data)

    with os.fdopen(out, "rb") as pipe:
        threading.Timer(0.05, write).start()
        assert len(load_audio(pipe).samples) == SAMPLE_RATE


def test_a_failing_disk_is_named(data: bytes) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 10_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(UnreadableMediaError, match=r"cannot be read \(Input/output error\)"):
        load_audio(Failing(data))
