"""A form (multipart/form-data) with one part, the recording, which is passed on as it comes.

Starlette's `request.form()` writes files over 1 MB to a disk, and takes a form cut off for empty.
"""

from __future__ import annotations

from collections.abc import Callable

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from speech2face.errors import UsageError

PART = "file"


class Form:
    """Call `write` with pieces of the form, then `finish`; `keep` gets those of the recording.

    `finish` raises UsageError where it was no form, or another than is wanted.
    """

    def __init__(self, content_type: str, keep: Callable[[bytes], object]) -> None:
        self._keep = keep
        self._parts: list[str] = []
        self._ended = 0
        self._header = self._value = b""
        self._problem = ""
        _, options = parse_options_header(content_type)
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_header_field": self._add_header,
                    "on_header_value": self._add_value,
                    "on_header_end": self._end_header,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                },
            )
        except (KeyError, FormParserError):
            self._problem = "its content type names no boundary"

    def write(self, piece: bytes) -> None:
        if self._problem:
            return
        try:
            self._parser.write(piece)
        except FormParserError:
            self._problem = "it is damaged"

    def finish(self) -> None:
        if not self._problem and self._ended < len(self._parts):
            self._problem = "it is cut off"
        if self._problem:
            raise UsageError(f"the form cannot be read: {self._problem}.")
        if self._parts != [PART]:
            raise UsageError(f"the form has to be one part named {PART}, the recording.")

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value.decode("latin-1"))
            self._parts.append(options.get(b"name", b"").decode("latin-1"))
        self._header = self._value = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._parts == [PART]:
            self._keep(data[start:end])

    def _end_part(self) -> None:
        self._ended += 1
