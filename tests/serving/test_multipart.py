"""Forms: the part is the same however it is cut, and what is no form is told."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2face.errors import UsageError
from speech2face.serving.multipart import Form


def read(content_type: str, body: bytes, size: int) -> bytes:
    kept: list[bytes] = []
    form = Form(content_type, kept.append)
    for at in range(0, len(body), size):
        form.write(body[at : at + size])
    form.finish()
    return b"".join(kept)


def encode_form(**parts: bytes) -> tuple[str, bytes]:
    request = httpx.Request("POST", "http://x", files=parts)
    return request.headers["content-type"], request.read()


@given(st.binary(max_size=300), st.integers(1, 80))
def test_the_part_is_what_was_sent_however_it_comes(sound: bytes, size: int) -> None:
    assert read(*encode_form(file=sound), size) == sound


def test_what_looks_like_a_border_is_sound() -> None:
    kind, empty = encode_form(file=b"")
    border = b"\r\n--" + kind.partition("boundary=")[2].encode()
    sound = border[:-1] + b"\r\n" + border[:8] + b"--\r\n"
    body = empty.replace(b"\r\n\r\n", b"\r\n\r\n" + sound, 1)
    for size in (1, 7, len(body)):
        assert read(kind, body, size) == sound


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"sound": b"a"}, "one part named file"),
        ({"file": b"a", "other": b"b"}, "one part named file"),
        ({}, "one part named file"),
    ],
)
def test_other_forms_are_refused(parts: dict[str, bytes], words: str) -> None:
    kind, body = encode_form(**parts or {"file": b"a"})
    with pytest.raises(UsageError, match=words):
        read(kind, body if parts else b"", 10)


def test_what_is_no_form_is_told() -> None:
    kind, body = encode_form(file=b"sound")
    with pytest.raises(UsageError, match="names no boundary"):
        read("multipart/form-data", body, 10)
    with pytest.raises(UsageError, match="names no boundary"):
        read(f"multipart/form-data; boundary={'x' * 300}", body, 10)
    with pytest.raises(UsageError, match="damaged"):
        read(kind, b"Dear diary", 10)
    with pytest.raises(UsageError, match="cut off"):
        read(kind, body[:-60], 10)
