"""Ogg files that are several recordings one after the other, "chained", taken apart.

FFmpeg reads on into the next only where it has the form of the one before.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

BEGINS = 2  # the bit of a page's header with which a recording begins


def split_links(file: BinaryIO) -> list[BinaryIO]:
    """The recordings in a file, in their order; that of any other file is the file itself."""
    size = file.seek(0, io.SEEK_END)
    starts = _find_starts(file, size)
    file.seek(0)
    if len(starts) < 2:
        return [file]
    ends = [*starts[1:], size]
    parts: list[Any] = [_Part(file, a, b) for a, b in zip(starts, ends, strict=True)]
    return parts


def _find_starts(file: BinaryIO, size: int) -> list[int]:
    """Places in the file at which further recordings begin."""
    starts: list[int] = []
    place, among_first = 0, False
    while place < size:
        file.seek(place)
        head = file.read(27 + 255)
        if head[:4] != b"OggS" or len(head) < 28:
            break
        begins = bool(head[5] & BEGINS)
        if begins and not among_first:  # a recording of several tracks begins with several
            starts.append(place)
        among_first = begins
        sizes = head[27 : 27 + head[26]]
        place += 27 + len(sizes) + sum(sizes)
    return starts


class _Part(io.RawIOBase):
    """The bytes of a file from `start` to `end`."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._size = file, start, end - start
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        left = max(self._size - self._place, 0)
        self._file.seek(self._start + self._place)
        data = self._file.read(left if size < 0 else min(size, left))
        self._place += len(data)
        return data
