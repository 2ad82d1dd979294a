"""Plain folders of data: pairs of voice and face, and photographs of faces.

DIR/pairs.csv            clip, person[, seconds]
DIR/audio/CLIP.flac      (or any other sound)      DIR/face/CLIP.jpg
DIR/canonical/CLIP.jpg   optional: the same face frontal and neutral
DIR/published/CLIP.jpg   optional: another system's picture from the same voice

DIR/faces.csv            image[, split, age, gender, race]
DIR/images/IMAGE
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.errors import NoSpeechError, UsageError
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.speech import find_speech

LEAST_SECONDS = 0.5  # of speech, below which a clip is left out
LONGEST = 10  # seconds of a recording that are taken where no speech in it is clear


@dataclass(frozen=True)
class Pair:
    """One clip of one person: the files may be absent where the folder is optional."""

    clip: str
    person: str
    audio: Path
    face: Path
    canonical: Path
    published: Path


@dataclass(frozen=True)
class Photograph:
    """One photograph of a face; the labels are for evaluation only."""

    path: Path
    split: str = "train"
    age: str = ""
    gender: str = ""
    race: str = ""


def read_pairs(folder: str | Path) -> list[Pair]:
    """The pairs that `pairs.csv` lists. Raises UsageError where it or a clip's file is missing."""
    folder = Path(folder)
    audio = {path.stem: path for path in sorted((folder / "audio").glob("*.*"))}
    pairs = []
    for row in _rows(folder / "pairs.csv", {"clip", "person"}):
        clip = row["clip"]
        if clip not in audio:
            raise UsageError(f"{folder}: pairs.csv names the clip {clip}, but audio/ lacks it.")
        pictures = {k: folder / k / f"{clip}.jpg" for k in ("face", "canonical", "published")}
        if not pictures["face"].is_file():
            raise UsageError(f"{folder}: pairs.csv names the clip {clip}, but face/ lacks it.")
        pairs.append(Pair(clip, row["person"], audio[clip], **pictures))
    return pairs


def read_photographs(folder: str | Path, split: str | None = None) -> list[Photograph]:
    """The photographs that `faces.csv` lists, all or of one split (`train` where none is named).

    Raises UsageError where the table is missing, or lists none.
    """
    folder = Path(folder)
    labels = ("split", "age", "gender", "race")
    photographs = [
        Photograph(folder / "images" / row["image"], **{k: row[k] for k in labels if k in row})
        for row in _rows(folder / "faces.csv", {"image"})
    ]
    chosen = [p for p in photographs if split in (None, p.split)]
    if not chosen:
        raise UsageError(f"{folder / 'faces.csv'} lists no photographs of the split {split}.")
    return chosen


def hear(audio: Path) -> tuple[np.ndarray, bool]:
    """The clearest speech of a recording (n,), 16 kHz, and whether it is clear.

    Where none is, the whole is taken: the table says that someone speaks here, singing, or over
    music. Raises UnreadableMediaError.
    """
    try:
        return find_speech(str(audio)).samples, True
    except NoSpeechError:
        return load_audio(str(audio)).samples[: LONGEST * SAMPLE_RATE], False


def hash_files(paths: Iterable[Path]) -> str:
    """A short hash of the names and sizes of files: tells one data set from another."""
    lines = sorted(f"{path.name} {path.stat().st_size}" for path in paths)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _rows(table: Path, needed: set[str]) -> list[dict[str, str]]:
    if not table.is_file():
        raise UsageError(f"{table}: not found; the folder needs this table (see docs/data.md).")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or needed - rows[0].keys():
        raise UsageError(f"{table}: needs rows with the columns {', '.join(sorted(needed))}.")
    return rows
