"""Plain folders of data: pairs of voice and face, and photographs of faces.

DIR/pairs.csv            clip, person[, seconds]
DIR/audio/CLIP.flac      (or any other sound)      DIR/face/CLIP.jpg (or any other picture)
DIR/canonical/CLIP.jpg   optional: the same face frontal and neutral
DIR/published/CLIP.jpg   optional: another system's picture from the same voice

DIR/faces.csv            image[, split, age, gender, race]
DIR/images/IMAGE

Beside them may lie what is neither sound nor picture by its ending, and hidden files. Two files of
one clip in one folder are an error.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from speech2face.errors import NoSpeechError, UsageError
from speech2face.files import hash_file
from speech2face.inputs import SUFFIXES
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.remote_files import address_of, is_file_anywhere, list_below
from speech2face.run_provenance import DataIdentity, hash_rows, join_identities
from speech2face.speech import ANYONE, SILENCE, find_speech
from speech2face.tables import Row, drop_repeats, read_table

PICTURES = frozenset(".avif .bmp .gif .jpeg .jpg .png .tif .tiff .webp".split())  # noqa: SIM905
PICTURE_FOLDERS, NEEDED = ("face", "canonical", "published"), ("audio", "face")

LEAST_SECONDS = 0.5  # of speech, below which a clip is left out
CALLED = {  # a pair's files, and what they are called where two runs differ
    "audio": "sounds",
    "face": "photographs",
    "canonical": "canonical pictures",
    "published": "published pictures",
}
KINDS = tuple(CALLED)
LONGEST = 10  # seconds of a recording that are taken at most
FRAME = 512  # samples, 32 ms, whose level is measured


@dataclass(frozen=True)
class Pair:
    """One clip of one person: the files may be absent where the folder is optional.

    Among pairs that are read together no two clips and no two people share a name (merge_pairs.py).
    """

    clip: str
    person: str
    audio: Path
    face: Path
    canonical: Path
    published: Path
    set: str = ""  # which one it is of, where several are read together
    listed: tuple[str, str] | None = None  # clip and person in its table, where they are other here


@dataclass(frozen=True)
class Photograph:
    """One photograph of a face; the labels are for evaluation only."""

    path: Path
    split: str = "train"
    age: str = ""
    gender: str = ""
    race: str = ""


def read_pairs(folder: str | Path, anywhere: bool = False) -> list[Pair]:
    """The pairs that `pairs.csv` lists, once each, in its order.

    With `anywhere` the folder may be an address. Raises UsageError where it may not, where the
    table is not as it should be (see tables.py), gives a clip to two people, or names a clip of
    which there is no recording or no face, or more than one.
    """
    folder = Path(folder)
    if (address := address_of(folder)) and not anywhere:
        raise UsageError(
            f"{address}: pairs are read from this machine; give a set, which `speech2face prepare "
            f"{address}/pairs.csv --out SET` makes of them."
        )
    table = _find_table(folder, "pairs.csv")
    rows = drop_repeats(read_table(table, ("clip", "person")), "clip", ("person",))
    files = {"audio": find_files(folder / "audio", SUFFIXES)}
    files |= {kind: find_files(folder / kind, PICTURES) for kind in PICTURE_FOLDERS}
    pairs = []
    for row in rows:
        clip = row["clip"]
        paths = {k: folder / k / f"{clip}.jpg" for k in PICTURE_FOLDERS}  # where there may be one
        for kind, held in files.items():
            if kind in NEEDED or _key(clip) in held:
                paths[kind] = choose_file(row, kind, held)
        audio, face, canonical, published = (paths[kind] for kind in KINDS)
        pairs.append(Pair(clip, row["person"], audio, face, canonical, published))
    return pairs


def read_photographs(folder: str | Path, split: str | None = None) -> list[Photograph]:
    """The photographs that `faces.csv` lists, once each, all or of one split.

    Where the table names no split, it is `train`. Raises UsageError where the table is not as it
    should be (see tables.py), or lists no photograph of the split.
    """
    folder = Path(folder)
    table, labels = _find_table(folder, "faces.csv"), ("split", "age", "gender", "race")
    rows = read_table(table, ("image",))
    held = [label for label in labels if label in rows[0].fields]
    photographs = [
        Photograph(folder / "images" / row["image"], **{k: row[k] for k in held if row[k]})
        for row in drop_repeats(rows, "image", held)
    ]
    chosen = [p for p in photographs if split in (None, p.split)]
    if not chosen:
        raise UsageError(f"{table}: lists no photographs of the split {split}.")
    return chosen


def find_files(folder: Path, endings: Collection[str]) -> dict[str, list[Path]]:
    """Name without its ending → the files of that name in `folder`, in order.

    Only files count that end in one of `endings` (small letters, with the dot), in whatever case;
    hidden files and folders do not. Names are in Unicode's NFC. Without a folder nothing is found.
    """
    files: dict[str, list[Path]] = {}
    address = address_of(folder)
    paths = map(Path, list_below(address)) if address else folder.glob("*.*")
    for path in sorted(paths):
        wanted = path.suffix.lower() in endings and not path.name.startswith(".")
        if wanted and path.parent == folder and (address or path.is_file()):
            files.setdefault(_key(path.stem), []).append(path)
    return files


def choose_file(row: Row, kind: str, files: Mapping[str, Sequence[Path]]) -> Path:
    """The file of a row's clip, of those `find_files` found in the folder named `kind`.

    Raises UsageError, with the line, where there is none or more than one.
    """
    paths = files.get(_key(row["clip"]), ())
    if not paths:
        raise row.error(f"names the clip {row['clip']}, but {kind}/ lacks it")
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise row.error(f"the clip {row['clip']} is both {names} in {kind}/; take one away")
    return paths[0]


def load_speech(audio: Path) -> tuple[np.ndarray, bool]:
    """The clearest speech of a recording (n,), 16 kHz, and whether it is clear.

    Where none is, the first 10 s are taken: the table says that someone speaks here, singing, or
    over music. Raises UnreadableMediaError, and NoSpeechError where these 10 s are silent, but for
    clicks.
    """
    try:
        return find_speech(str(audio), max_seconds=LONGEST, speaker=ANYONE).samples, True
    except NoSpeechError:
        samples = load_audio(str(audio)).samples[: LONGEST * SAMPLE_RATE]
        if is_silent(samples):
            raise
        return samples, False


def is_silent(samples: np.ndarray) -> bool:
    """True if less than 0.5 s of a sound (n,) at 16 kHz is louder than a dead microphone.

    Clicks are, and what steps from one constant to another.
    """
    frames = np.array_split(samples, max(1, len(samples) // FRAME))
    loud = sum(len(frame) for frame in frames if len(frame) and np.std(frame) >= SILENCE)
    return loud < LEAST_SECONDS * SAMPLE_RATE


def hash_if_readable(path: Path) -> str:
    """The sha256 of a file; nothing will be made of one that cannot be read."""
    try:
        return hash_file(path)
    except OSError:
        return "unreadable"


def identify_pairs(pairs: Sequence[Pair], kinds: Sequence[str] = KINDS) -> DataIdentity:
    """The identity of pairs: who speaks in each clip, and the content of its files.

    `kinds` are those of a pair's files that count; a file that may be absent counts as such. Of
    several sets each is known by what its own table says, as if it were alone.
    """
    sets: dict[str, list[Pair]] = {pair.set: [] for pair in pairs} or {"": []}
    for pair in pairs:
        sets[pair.set].append(pair)
    identity = join_identities([_identify_set(each, kinds) for each in sets.values()])
    return replace(identity, people=len({pair.person for pair in pairs}))


def _identify_set(pairs: Sequence[Pair], kinds: Sequence[str]) -> DataIdentity:
    listed = [pair.listed or (pair.clip, pair.person) for pair in pairs]
    parts = {"names": hash_rows(listed)}
    for kind in kinds:
        files = [(clip, getattr(p, kind)) for p, (clip, _) in zip(pairs, listed, strict=True)]
        parts[CALLED[kind]] = hash_rows((clip, hash_if_readable(path)) for clip, path in files)
    people = len({person for _, person in listed})
    return DataIdentity(hash_rows(parts.items()), people, len(pairs), parts)


def identify_photographs(photographs: Sequence[Photograph]) -> DataIdentity:
    """The identity of photographs: their content and labels; each counts as a person."""
    rows = [
        (p.path.name, hash_if_readable(p.path), p.split, p.age, p.gender, p.race)
        for p in photographs
    ]
    return DataIdentity(hash_rows(rows), len(rows), len(rows))


def _key(name: str) -> str:
    """The name as it is looked up: an accent is one letter with what it stands on."""
    return unicodedata.normalize("NFC", name)


def _find_table(folder: Path, name: str) -> Path:
    table = folder / name
    if not is_file_anywhere(table):
        raise UsageError(f"{table}: not found; the folder needs this table (see docs/data.md).")
    return table
