"""Checks that a file is whole, by the sizes that its container states; never by a guess.

Sizes that stand for "not known" are taken as such: a WAV written into a pipe states 2 GB or 4 GB.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.audio.stream import AudioStream as AudioTrack
    from av.container import InputContainer

UNKNOWN = 0x7F00_0000  # bytes: from here on 32 bits stand for a stream of unknown length
FAR = 1 << 62  # bytes: from here on 64 bits stand for it
SLOPPY = 0.995  # of the stated size: some writers count a few bytes too many

# FFmpeg guesses how long these last by their bit rate; of avi, it counts what comes before too.
WITHOUT_DURATION = {"aac", "ac3", "amr", "amrnb", "amrwb", "avi", "eac3", "mp3", "mpeg", "mpegts"}
WHOLE_DURATION = {"asf", "matroska,webm"}  # these state it of the file, not of a track

# Types of the boxes at the top of an mp4 or mov file.
BOXES = frozenset(
    b"ftyp styp moov mdat moof mfra free skip wide uuid sidx ssix meta pdin emsg prft pnot".split()
)

LAST_PAGES = 2 * 65_307  # bytes in which the last page of an Ogg file begins


def describe_missing_end(file: BinaryIO) -> str | None:
    """A sentence where the file is shorter than its container says. Leaves it rewound."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(256)
    stated, share_known = None, True
    if head[:4] in (b"RIFF", b"FORM"):  # wav, avi; aiff
        stated = int.from_bytes(head[4:8], "little" if head[:1] == b"R" else "big") + 8
        stated = round(SLOPPY * stated) if stated < UNKNOWN else None
    elif head[:4] == b"RF64":
        stated = int.from_bytes(head[20:28], "little") + 8
    elif head[:4] == b"riff":  # w64
        stated = int.from_bytes(head[16:24], "little")
    elif head[:4] == b".snd":  # au
        length = int.from_bytes(head[8:12], "big")
        stated = int.from_bytes(head[4:8], "big") + length if length < UNKNOWN else None
    elif head[:4] == b"caff":
        stated = _end_of_chunks(file, size)
    elif head[4:8] in (b"ftyp", b"styp", b"moov", b"mdat"):
        stated, share_known = _end_of_boxes(file, size)
    elif head[:4] == b"\x1aE\xdf\xa3":
        stated = _end_of_segment(head)
    elif head[:4] == b"OggS":
        stated, share_known = _end_of_pages(file, size), False
    elif head[:3] == b"ID3" or head[:1] == b"\xff":
        stated = _end_of_frames(file)
    file.seek(0)
    if stated is None or not size < stated < FAR:
        return None
    share = f"{size / stated:.0%}"
    stated_share = share_known and share != "100%"
    return "the file ends early" + (f": {share} of it is there" if stated_share else "")


def describe_appended(file: BinaryIO) -> str | None:
    """A sentence where a second recording was appended that FFmpeg does not read on into.

    Leaves the file rewound.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    appended = False
    if head[:4] in (b"RIFF", b"FORM") and head[8:12] in (b"WAVE", b"AIFF", b"AIFC"):
        length = int.from_bytes(head[4:8], "little" if head[:1] == b"R" else "big")
        file.seek(8 + length + length % 2)
        again = file.read(12)
        appended = again[:4] + again[8:] == head[:4] + head[8:]
    elif head[4:8] == b"ftyp":
        boxes = [box for box, _ in _walk_boxes(file, size)]
        appended = boxes.count(b"moov") > 1 and b"moof" not in boxes
    file.seek(0)
    return "another recording was appended to the first and was not read" if appended else None


def find_stated_seconds(container: InputContainer, track: AudioTrack) -> float:
    """Length of the sound that the file states, in seconds; 0 if it states none."""
    seconds = 0.0
    if container.format.name in WITHOUT_DURATION:
        return seconds
    if track.duration and track.time_base and container.format.name not in WHOLE_DURATION:
        seconds = float(track.duration * track.time_base)
    elif container.duration and len(container.streams) == 1:
        seconds = (container.duration - max(container.start_time or 0, 0)) / 1_000_000
    stated = seconds * (track.bit_rate or 0) / 8
    return 0.0 if stated >= UNKNOWN > container.size else seconds


def measure_tag(head: bytes) -> int:
    """The length of the tag that begins with these 10 bytes, as mp3 has them; 0 if it is none."""
    if head[:3] == b"ID3":
        return 10 + sum((byte & 127) << 7 * (3 - i) for i, byte in enumerate(head[6:10]))
    return 128 if head[:3] == b"TAG" else 32 if head[:8] == b"APETAGEX" else 0


def _end_of_chunks(file: BinaryIO, size: int) -> int:
    """caf: where the last of the chunks ends."""
    place = 8
    while place + 12 <= size:
        file.seek(place)
        length = int.from_bytes(file.read(12)[4:], "big")
        place += 12 + length  # 2**64 - 1: up to the end of the file
    return place


def _end_of_boxes(file: BinaryIO, size: int) -> tuple[int | None, bool]:
    """mp4, mov: where the last of the boxes at the top ends, and whether it is the file's end."""
    boxes = dict(_walk_boxes(file, size))
    end = max(boxes.values(), default=0)
    return (None if FAR in boxes.values() else end), b"moof" not in boxes


def _walk_boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """mp4, mov: the boxes at the top and where each ends, `FAR` for one up to the file's end."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            yield head[4:8], FAR
            return
        if place + length > size and head[4:8] not in BOXES:  # something else that was appended
            return
        place += length
        yield head[4:8], place


def _end_of_segment(head: bytes) -> int | None:
    """mkv, webm: where the segment ends; None for one of unknown length."""
    place, length = _read_vint(head, 4)
    place += length or 0
    if head[place : place + 4] != b"\x18S\x80g":
        return None
    place, length = _read_vint(head, place + 4)
    return None if length is None else place + length


def _read_vint(head: bytes, place: int) -> tuple[int, int | None]:
    """Matroska's integers: where what follows begins, and the value, None for "unknown"."""
    first = int.from_bytes(head[place : place + 1], "big")
    width = 9 - first.bit_length()
    mask = (1 << 7 * width) - 1
    value = int.from_bytes(head[place : place + width], "big") & mask
    return place + width, None if value == mask else value


def _end_of_pages(file: BinaryIO, size: int) -> int | None:
    """ogg: where the last page ends."""
    begin = max(size - LAST_PAGES, 0)
    file.seek(begin)
    tail = file.read()
    page = tail.rfind(b"OggS\0")
    if page < 0:
        return None
    segments = tail[page + 27 :][: (tail[page + 26 : page + 27] or b"\1")[0]]
    return begin + page + 27 + max(len(segments), 1) + sum(segments)


def _end_of_frames(file: BinaryIO) -> int | None:
    """mp3: where the last frame ends, by the first one's Xing or Info header, if it has one."""
    file.seek(0)
    head = file.read(10)
    start = measure_tag(head)
    file.seek(start)
    frame = file.read(64)
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    if frame[:1] != b"\xff" or place < 0:
        return None
    flags = frame[place + 7 : place + 8]
    if not flags or not flags[0] & 2:  # no number of bytes
        return None
    place += 12 if flags[0] & 1 else 8
    return start + int.from_bytes(frame[place : place + 4], "big")
