"""What a set is made from: a folder of videos, AVSpeech's list, or a table of sound and faces.

a folder            every video below it, by its extension; long ones cut into pieces if asked for
AVSpeech's CSV      YouTube id, start, end (seconds), x, y of the face's middle (fractions of width
                    and height); no header. The videos lie in one folder, named by id: ID.mp4
a table             a CSV with a header: clip, person, audio, face, the last two being paths from
                    the table on; without them it is a `pairs.csv` (data/pairs.py)
"""

from __future__ import annotations

import csv
import logging
import math
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from speech2face.data.pairs import read_pairs
from speech2face.data.samples import Refusal, Source
from speech2face.errors import UsageError
from speech2face.media import CONTAINERS

EXTENSIONS = frozenset(
    ".3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split()  # noqa: SIM905
)
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]+")
ADDRESS = "https://www.youtube.com/watch?v="
HEIGHT = 720  # of a downloaded video, at most, where there is a choice
PATIENCE = 20.0  # seconds that a download waits for an answer
LONGEST = 48 * 3_600.0  # seconds; a file that says to be longer is not cut, but left to the stages


@dataclass(frozen=True)
class Clip:
    """A source, and where its files are: a video, or the sound and the face of a table's line.

    `source.end` is infinite where the clip goes on to the end of the file.
    """

    source: Source
    video: Path | None = None  # of AVSpeech's list it may have to be downloaded first
    audio: Path | None = None
    face: Path | None = None
    face_centre: tuple[float, float] | None = None  # x, y in fractions, at the clip's beginning


def read_sources(
    source: Path, videos: Path | None = None, piece_seconds: float | None = None
) -> list[Clip]:
    """The clips of `source`, sorted by their names, which are unique.

    `videos` is the folder of AVSpeech's videos, by default the list's own; `piece_seconds` is the
    length into which a folder's videos are cut. Raises UsageError, with the line, where a table is
    not as it should be. Videos are not decoded here: what is wrong with one is for the stages.
    """
    if piece_seconds is not None and piece_seconds <= 0:
        raise UsageError(f"pieces of {piece_seconds:g} s cannot be cut; give a positive length.")
    if source.is_dir():
        clips = _read_folder(source, piece_seconds)
    elif source.is_file():
        clips = _read_table(source, videos or source.parent)
    else:
        raise UsageError(f"{source}: not found; give a folder of videos or a CSV.")
    if not clips:
        raise UsageError(f"{source}: holds no clips.")
    return sorted(clips, key=lambda clip: clip.source.clip)


def download(clip: Clip, folder: Path) -> Path | Refusal:
    """The clip's video in `folder`, fetched from YouTube unless it is there.

    It gets the name that the clip gives it, whatever its container, so that a set is the same
    before and after a download. What cannot be had, because the video was removed or there is no
    network, is refused.
    """
    assert clip.video
    path = folder / clip.video.name
    if path.is_file():
        return path
    yt_dlp = _import_yt_dlp()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as partial:
        options = {
            "format": _choose_format(),
            "outtmpl": {"default": f"{partial}/{path.stem}.%(ext)s"},
            "noplaylist": True,
            "noprogress": True,
            "quiet": True,
            "socket_timeout": PATIENCE,
            "logger": logging.Logger(
                "yt-dlp", logging.CRITICAL
            ),  # the ledger tells what went wrong
        }
        try:
            with yt_dlp.YoutubeDL(options) as downloader:
                downloader.download([ADDRESS + path.stem])
        except (yt_dlp.utils.YoutubeDLError, OSError) as error:
            return Refusal(clip.source, "download", _say(error))
        fetched = find_videos(Path(partial)).get(path.stem)
        if fetched is None:
            return Refusal(clip.source, "download", "no video came")
        return fetched.replace(path)


def find_videos(folder: Path) -> dict[str, Path]:
    """Name without extension → video in `folder`, the first of each name; none below it."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith("."):
            found.setdefault(path.stem, path)
    return found


def name_piece(name: str, start: float, end: float) -> str:
    """As clips of AVSpeech are named: ID_024.760000-029.960000."""
    return f"{name}_{start:010.6f}-{end:010.6f}"


def _read_folder(folder: Path, piece_seconds: float | None) -> list[Clip]:
    clips = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if path.suffix.lower() not in EXTENSIONS or hidden or not path.is_file():
            continue
        name = inside.as_posix()
        pieces = [(0.0, math.inf)]
        if piece_seconds is not None:
            pieces = _cut(_ask_length(path), piece_seconds)
        for start, end in pieces:
            clip = name_piece(name, start, end) if len(pieces) > 1 else name
            clips.append(Clip(Source(clip, name, start, end, person=name), path))
    if not clips:
        raise UsageError(f"{folder}: holds no videos ({', '.join(sorted(EXTENSIONS))}).")
    return clips


def _cut(length: float, piece: float) -> list[tuple[float, float]]:
    """Starts and ends of pieces; the last one is half a piece to one and a half long."""
    if not 0 < length <= LONGEST:
        return [(0.0, math.inf)]
    count = max(1, math.floor(length / piece + 0.5))
    edges = [*(float(piece * number) for number in range(count)), length]
    return list(pairwise(edges))


def _ask_length(path: Path) -> float:
    """Seconds that the file says it has; 0 where it says nothing, or is no video."""
    import av
    from av.error import FFmpegError

    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        with av.open(str(path), "r", container_options=options) as container:
            return (container.duration or 0) / 1_000_000
    except (FFmpegError, OSError, ValueError):
        return 0.0


def _read_table(table: Path, videos: Path) -> list[Clip]:
    rows = _rows(table)
    header = next(rows, (0, []))[1]
    if {"clip", "person", "audio", "face"} <= set(header):
        clips = _read_manifest(table, header, rows)
    elif {"clip", "person"} <= set(header):
        if table.name != "pairs.csv":
            raise UsageError(f"{table}: line 1 needs the columns clip, person, audio, face.")
        clips = [
            (number, _clip_of_pair(pair.clip, pair.person, pair.audio, pair.face, table.parent))
            for number, pair in enumerate(read_pairs(table.parent), 2)
        ]
    else:
        clips = _read_avspeech(table, _rows(table), videos)
    line_of: dict[str, int] = {}
    unique = {}
    for number, clip in clips:
        name = clip.source.clip
        if unique.setdefault(name, clip) != clip:
            raise UsageError(f"{table}: line {number} names {name}, as line {line_of[name]} does.")
        line_of.setdefault(name, number)
    return list(unique.values())


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Number of the line and its fields; empty lines are left out."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if any(field.strip() for field in row):
                    yield reader.line_num, [field.strip() for field in row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{table}: not a CSV in UTF-8 ({error}).") from None


def _read_manifest(
    table: Path, header: list[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, Clip]]:
    for number, row in rows:
        if len(row) != len(header):
            raise UsageError(f"{table}: line {number} has {len(row)} fields, not {len(header)}.")
        fields = dict(zip(header, row, strict=True))
        empty = [name for name in ("clip", "person", "audio", "face") if not fields[name]]
        if empty:
            raise UsageError(f"{table}: line {number} has no {' and no '.join(empty)}.")
        audio, face = (table.parent / fields[name] for name in ("audio", "face"))
        yield number, _clip_of_pair(fields["clip"], fields["person"], audio, face, table.parent)


def _clip_of_pair(clip: str, person: str, audio: Path, face: Path, folder: Path) -> Clip:
    path = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
    return Clip(Source(clip, path.as_posix(), 0.0, math.inf, person), audio=audio, face=face)


def _read_avspeech(
    table: Path, rows: Iterator[tuple[int, list[str]]], videos: Path
) -> Iterator[tuple[int, Clip]]:
    held = find_videos(videos) if videos.is_dir() else {}
    for number, row in rows:
        where = f"{table}: line {number}"
        if len(row) != 5:
            raise UsageError(
                f"{where} has {len(row)} fields; of AVSpeech's list it needs YouTube id, start, "
                "end, x and y, of another table a header with clip, person, audio, face."
            )
        video_id = row[0]
        if not VIDEO_ID.fullmatch(video_id):
            raise UsageError(f"{where}: {video_id!r} is no YouTube id.")
        try:
            start, end, x, y = (float(field) for field in row[1:])
        except ValueError:
            raise UsageError(f"{where}: start, end, x and y must be numbers.") from None
        if not 0 <= start < end < math.inf:
            raise UsageError(f"{where}: {start:g} to {end:g} s is no stretch of time.")
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise UsageError(f"{where}: the face's {x:g}, {y:g} is not between 0 and 1.")
        video = held.get(video_id, videos / f"{video_id}.mp4")
        source = Source(name_piece(video_id, start, end), video.name, start, end, video_id)
        yield number, Clip(source, video, face_centre=(x, y))


def _choose_format() -> str:
    """Sound and picture in one file, or in two where FFmpeg's program is there to join them."""
    one = f"b[height<={HEIGHT}][ext=mp4]/b[height<={HEIGHT}]/b"
    two = f"bv*[height<={HEIGHT}][ext=mp4]+ba[ext=m4a]/bv*[height<={HEIGHT}]+ba"
    return f"{two}/{one}" if shutil.which("ffmpeg") else one


def _import_yt_dlp() -> Any:
    try:
        import yt_dlp
    except ImportError:
        raise UsageError("downloads need yt-dlp: pip install 'speech2face[data]'.") from None
    return yt_dlp


def _say(error: Exception) -> str:
    """The error in one line, without colours and without what is the same for every video."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return re.sub(r"^(ERROR: )?(\[[^\]]*\] [\w-]+: )?", "", first)
