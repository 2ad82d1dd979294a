"""Sources of a set: a folder of videos, AVSpeech's list, or a table of sound and faces.

a folder            every video below it, by its extension; long ones cut into pieces if asked for
AVSpeech's CSV      YouTube id, start, end (seconds), x, y of the face's middle (fractions of width
                    and height); no header. The videos lie in one folder, named by id: ID.mp4
a table             a CSV with a header: clip, person, audio, face, the last two being paths from
                    the table on; without them it is a `pairs.csv` (data/pairs.py)
"""

from __future__ import annotations

import errno
import functools
import logging
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from speech2face.data.pairs import read_pairs
from speech2face.data.samples import Refusal, SampleSource
from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.extras import how_to_install
from speech2face.files import hash_file, hash_open_file
from speech2face.media import open_container
from speech2face.remote_files import address_of, is_address, is_file_anywhere, open_anywhere
from speech2face.tables import drop_repeats, read_lines, read_table

log = logging.getLogger(__name__)

EXTENSIONS = frozenset(
    ".3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split()  # noqa: SIM905
)
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]+")
ADDRESS = "https://www.youtube.com/watch?v="
HEIGHT = 720  # of a downloaded video, at most, where there is a choice
PATIENCE = 20.0  # seconds that a download waits for an answer
LONGEST = 48 * 3_600.0  # seconds; a file that says to be longer is not cut, but left to the stages


@dataclass(frozen=True)
class SourceClip:
    """A source, and where its files are: a video, or the sound and the face of a table's line.

    `source.end` is infinite where the clip goes on to the end of the file.
    """

    source: SampleSource
    video: Path | None = None  # of AVSpeech's list it may have to be downloaded first
    audio: Path | None = None
    face: Path | None = None
    face_centre: tuple[float, float] | None = None  # x, y in fractions, at the clip's beginning


def hash_clip(clip: SourceClip) -> str:
    """The sha256 of the files that a clip is made from, and where its face is said to be.

    Empty where one of the files is missing or cannot be read.
    """
    hashes = [hash_source(path) for path in (clip.video, clip.audio, clip.face) if path]
    place = [f"{part:g}" for part in clip.face_centre or ()]
    return " ".join(hashes + place) if all(hashes) else ""


@contextmanager
def fetch_clip(clip: SourceClip) -> Iterator[SourceClip]:
    """The clip with its files on this machine; those at an address are fetched, and gone after.

    Raises UnreadableMediaError where one cannot be had.
    """
    remote = {
        name: path
        for name in ("audio", "face")
        if (path := getattr(clip, name)) and address_of(path)
    }
    if not remote:
        yield clip
        return
    with tempfile.TemporaryDirectory() as folder:
        copies = {name: Path(folder, f"{name}{path.suffix}") for name, path in remote.items()}
        for name, path in remote.items():
            with open_anywhere(path) as file, copies[name].open("wb") as copy:
                shutil.copyfileobj(file, copy)
        yield replace(clip, **copies)


def find_odd(clip: SourceClip) -> Path | None:
    """The file of a clip that is a pipe, a socket or a device: reading it might never end."""
    for path in (clip.video, clip.audio, clip.face):
        with suppress(OSError):
            mode = path.stat().st_mode if path else stat.S_IFREG
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return path
    return None


def hash_source(path: Path) -> str:
    """The sha256 of a file; empty where it cannot be read."""
    if address_of(path):
        with suppress(UnreadableMediaError), open_anywhere(path) as file:
            return hash_open_file(file)
        return ""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            return ""
        return _hash(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return ""


@functools.lru_cache(16)
def _hash(path: Path, size: int, changed: int) -> str:
    """Kept for a while: the pieces of a long video come one after the other."""
    return hash_file(path)


def read_sources(
    source: Path, videos: Path | None = None, piece_seconds: float | None = None
) -> list[SourceClip]:
    """The clips of `source`, sorted by their names, which are unique.

    `videos` is the folder of AVSpeech's videos, by default the list's own; `piece_seconds` is the
    length into which a folder's videos are cut. Raises UsageError, with the line, where a table is
    not as it should be. Videos are not decoded here: what is wrong with one is for the stages.
    """
    if piece_seconds is not None and piece_seconds <= 0:
        raise UsageError(f"pieces of {piece_seconds:g} s cannot be cut; give a positive length.")
    if (address := address_of(source)) and not address.endswith(".csv"):
        raise UsageError(f"{address}: give a table (.csv) at an address, or a folder here.")
    if source.is_dir():
        clips = _read_folder(source, piece_seconds)
    elif is_file_anywhere(source):
        clips = _read_table(source, videos or source.parent)
    else:
        raise UsageError(f"{source}: not found; give a folder of videos or a CSV.")
    if not clips:
        raise UsageError(f"{source}: holds no clips.")
    return sorted(clips, key=lambda clip: clip.source.clip)


def download(clip: SourceClip, folder: Path) -> Path | Refusal:
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
            return Refusal(clip.source, "download", _shorten_error(error))
        fetched = find_videos(Path(partial)).get(path.stem)
        if fetched is None:
            return Refusal(clip.source, "download", "no video came")
        return fetched.replace(path)


def find_videos(folder: Path) -> dict[str, Path]:
    """Name without extension → video in `folder`, the first of each name; none below it."""
    videos: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if _is_video(path):
            videos.setdefault(path.stem, path)
    return videos


def name_piece(name: str, start: float, end: float) -> str:
    """The name of a piece, as AVSpeech names its clips: ID_024.760000-029.960000."""
    return f"{name}_{start:010.6f}-{end:010.6f}"


def _read_folder(folder: Path, piece_seconds: float | None) -> list[SourceClip]:
    clips = []
    for path in _walk(folder):
        inside = path.relative_to(folder)
        name = inside.as_posix()
        pieces = [(0.0, math.inf)]
        if piece_seconds is not None:
            pieces = _cut(_ask_length(path), piece_seconds)
        for start, end in pieces:
            clip = name_piece(name, start, end) if len(pieces) > 1 else name
            clips.append(SourceClip(SampleSource(clip, name, start, end, person=name), path))
    if not clips:
        raise UsageError(f"{folder}: holds no videos ({', '.join(sorted(EXTENSIONS))}).")
    return clips


def _walk(folder: Path) -> Iterator[Path]:
    """Videos below a folder, by their names; what is hidden, and what is no file, is none."""

    def warn(error: OSError) -> None:
        log.warning("%s: left out, it cannot be read (%s)", error.filename, error.strerror)

    for place, folders, files in os.walk(folder, onerror=warn):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if _is_video(path):
                yield path


def _is_video(path: Path) -> bool:
    """True if a file is named like a video, or if that may not even be asked."""
    if path.suffix.lower() not in EXTENSIONS or path.name.startswith("."):
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        return error.errno == errno.EACCES


def _cut(length: float, piece: float) -> list[tuple[float, float]]:
    """Starts and ends of pieces; the last one is half a piece to one and a half long."""
    if not 0 < length <= LONGEST:
        return [(0.0, math.inf)]
    count = max(1, math.floor(length / piece + 0.5))
    edges = [*(float(piece * number) for number in range(count)), length]
    return list(pairwise(edges))


def _ask_length(path: Path) -> float:
    """Seconds that the file says it has; 0 where it says nothing, or is no video."""
    try:
        with path.open("rb") as file, open_container(file) as container:
            return (container.duration or 0) / 1_000_000
    except Exception as error:  # whatever is wrong with it, the stages will say
        log.debug("%s: its length is not known (%s)", path, error)
        return 0.0


def _read_table(table: Path, videos: Path) -> list[SourceClip]:
    lines = read_lines(table)
    header = lines[0][1] if lines else []
    if {"clip", "person", "audio", "face"} <= set(header):
        return _read_manifest(table)
    if table.name == "pairs.csv":
        return [
            _make_clip(pair.clip, pair.person, pair.audio, pair.face, table.parent)
            for pair in read_pairs(table.parent, anywhere=True)
        ]
    if {"clip", "person", "audio", "face"} & set(header):
        read_table(table, ("clip", "person", "audio", "face"))  # says which of them it lacks
    return _read_avspeech(table, lines, videos)


def _read_manifest(table: Path) -> list[SourceClip]:
    columns = ("clip", "person", "audio", "face")
    clips = []
    for row in drop_repeats(read_table(table, columns), "clip", columns[1:]):
        audio, face = (
            Path(row[name]) if is_address(row[name]) else table.parent / row[name]
            for name in ("audio", "face")
        )
        clips.append(_make_clip(row["clip"], row["person"], audio, face, table.parent))
    return clips


def _make_clip(clip: str, person: str, audio: Path, face: Path, folder: Path) -> SourceClip:
    path = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
    return SourceClip(
        SampleSource(clip, path.as_posix(), 0.0, math.inf, person), audio=audio, face=face
    )


def _read_avspeech(
    table: Path, lines: list[tuple[int, list[str]]], videos: Path
) -> list[SourceClip]:
    held = find_videos(videos) if videos.is_dir() else {}
    clips: dict[str, tuple[int, SourceClip]] = {}
    for number, row in lines:
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
            # Spreadsheets of half of Europe write 1,5.
            start, end, x, y = (float(field.replace(",", ".")) for field in row[1:])
        except ValueError:
            raise UsageError(f"{where}: start, end, x and y must be numbers.") from None
        if not 0 <= start < end < math.inf:
            raise UsageError(f"{where}: {start:g} to {end:g} s is no stretch of time.")
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise UsageError(f"{where}: the face's {x:g}, {y:g} is not between 0 and 1.")
        video = held.get(video_id, videos / f"{video_id}.mp4")
        source = SampleSource(name_piece(video_id, start, end), video.name, start, end, video_id)
        clip = SourceClip(source, video, face_centre=(x, y))
        line, other = clips.setdefault(source.clip, (number, clip))
        if other != clip:
            raise UsageError(f"{where} names {source.clip}, as line {line} does.")
    return [clip for _, clip in clips.values()]


def _choose_format() -> str:
    """Sound and picture in one file, or in two where FFmpeg's program is there to join them."""
    one = f"b[height<={HEIGHT}][ext=mp4]/b[height<={HEIGHT}]/b"
    two = f"bv*[height<={HEIGHT}][ext=mp4]+ba[ext=m4a]/bv*[height<={HEIGHT}]+ba"
    return f"{two}/{one}" if shutil.which("ffmpeg") else one


def _import_yt_dlp() -> Any:
    try:
        import yt_dlp
    except ImportError:
        raise UsageError(f"downloads need yt-dlp: {how_to_install('youtube')}.") from None
    return yt_dlp


def _shorten_error(error: Exception) -> str:
    """The error in one line, without colours and without what is the same for every video."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return re.sub(r"^(ERROR: )?(\[[^\]]*\] [\w-]+: )?", "", first)
