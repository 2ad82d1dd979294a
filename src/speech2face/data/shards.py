"""Samples become shards: WebDataset tars, an index with checksums, the same bytes for the same set.

    DIR/index.json          shards with counts, sizes and sha256; who stands on which side
    DIR/train-000000.tar    KEY.flac, KEY.face.jpg, KEY.embedding.npy, KEY.json for each sample;
                            KEY.mean.npy, of a video: the mean embedding over good frames;
                            KEY.sface.npy or KEY.dlib.npy, by which people are told apart (`leaks`);
                            KEY is the clip's name with everything but letters, digits and _- as %XX
    DIR/ledger.jsonl        what became of each clip (`ledger`)
    DIR/.spool/             while the set is made: finished samples, then the plan of the shards

A finished clip is first a piece of a tar in the spool, then a line of the ledger. When all clips
are finished a plan is made: the split, and which samples go into which shard. Their order is that
of a hash of their names, so that a shard is a random part of its side. Then shards are written,
each beside its place and renamed, and only after that are its pieces deleted; last comes the index.
So a kill at any point costs the clip or shard that was under way, and no more, and nothing depends
on the order in which clips come. A packed set that is to take more clips is taken apart again: its
pieces go back into the spool, and then its shards are void. The bytes are those of one version of
FFmpeg, libjpeg and numpy.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain, groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.ledger import (
    Entry,
    append_entry,
    read_ledger,
    read_quality,
    read_source,
    repair_ledger,
    to_json,
)
from speech2face.data.person_linking import join_names
from speech2face.data.samples import Sample
from speech2face.data.split_leaks import (
    RECOGNISERS,
    IdentityEmbeddings,
    log_doubtful_pairs,
    name_some,
)
from speech2face.data.splits import SIDES, split_shares
from speech2face.errors import UsageError
from speech2face.files import remove_partials, write_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.model_folders import hash_file
from speech2face.speaker_features import SpeakerFeatures

INDEX, LEDGER, SPOOL = "index.json", "ledger.jsonl", ".spool"
PLAN, FACTS, VOID, STARTED = "plan.json", "facts.json", "void.json", "started.json"  # in the spool
RETIRED = {"clips"}  # facts of sets that earlier versions began
MOST_DEATHS = 2  # of this process on one clip, before the clip is refused
JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
END = bytes(2 * tarfile.BLOCKSIZE)  # of a tar


@dataclass(frozen=True)
class Packing:
    """How samples are put into shards."""

    shares: tuple[float, ...] = (1.0,)  # of people: train, val, test
    samples: int = 2_000  # in a shard, at most
    megabytes: float = 256.0  # of a shard, at most; one sample always fits
    join: bool = True  # people by their faces, under whatever names; False: names are true
    seed: int = 0  # of the split


@dataclass(frozen=True)
class Shard:
    name: str
    split: str
    samples: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """What a finished set holds."""

    folder: Path
    shards: tuple[Shard, ...]
    people: dict[str, list[str]]  # by side, as the source names them
    merged: list[list[str]]  # names of one person each
    packing: dict[str, Any]
    facts: dict[str, Any]
    doubtful: list[dict[str, Any]] = field(default_factory=list)  # pairs of clips to look at
    joined: list[dict[str, Any]] = field(default_factory=list)  # pairs by which names were merged

    def name_of(self, person: str) -> str:
        """One name for all names of a person."""
        return self._first.get(person, person)

    @cached_property
    def _first(self) -> dict[str, str]:
        return {name: group[0] for group in self.merged for name in group}

    def of(self, split: str) -> list[Shard]:
        """The shards of a side. Raises UsageError where there are none."""
        shards = [shard for shard in self.shards if shard.split == split]
        if not shards:
            sides = ", ".join(self.people)
            raise UsageError(f"{self.folder}: no shards of the split {split}; it has {sides}.")
        return shards


def encode_sample(sample: Sample) -> bytes:
    """The sample as a piece of a tar: pieces one after the other, and an end, are a shard."""
    files = {
        "flac": _encode_flac(sample.speech),
        "face.jpg": _encode_jpeg(sample.face),
        "embedding.npy": _encode_array(sample.embedding),
        **({} if sample.mean is None else {"mean.npy": _encode_array(sample.mean)}),
        **{f"{name}.npy": _encode_array(a) for name, a in sorted(sample.further.items())},
        "json": to_json(sample.facts()).encode(),
    }
    key, parts = name_key(sample.source.clip), []
    for kind, data in files.items():
        header = tarfile.TarInfo(f"{key}.{kind}")  # of nobody, at the beginning of time
        header.size = len(data)
        parts += [header.tobuf(tarfile.GNU_FORMAT), data, bytes(-len(data) % tarfile.BLOCKSIZE)]
    return b"".join(parts)


def decode_sample(files: Mapping[str, bytes]) -> Sample:
    """The sample of what a reader of WebDatasets gives: `flac`, `face.jpg` … → bytes."""
    from PIL import Image

    facts = json.loads(files["json"])
    with Image.open(io.BytesIO(files["face.jpg"])) as picture:
        face = np.asarray(picture.convert("RGB"))
    return Sample(
        read_source(facts["source"]),
        load_audio(files["flac"]).samples,
        face,
        decode_array(files["embedding.npy"]),
        read_quality(facts["quality"]),
        {
            name: decode_array(files[f"{name}.npy"])
            for name in RECOGNISERS
            if f"{name}.npy" in files
        },
        decode_array(files["mean.npy"]) if "mean.npy" in files else None,
    )


def decode_target(files: Mapping[str, bytes], steady: bool = False) -> np.ndarray:
    """The face's embedding (D,): of the best frame, or the mean over frames where there is one."""
    return decode_array(files["mean.npy" if steady and "mean.npy" in files else "embedding.npy"])


def decode_array(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def name_key(clip: str) -> str:
    """The clip's key in a shard: readers cut names at the first dot, and paths at slashes."""
    return quote(clip, safe="", errors="surrogateescape").replace(".", "%2E").replace("~", "%7E")


class Spool:
    """A set that is being made: takes finished clips in any order, and twice, then packs them.

    Opening it again goes on where it was; until packing has begun, with another packing if need
    be. It is for one process at a time, and to be closed. Raises UsageError where the folder holds
    anything else, or what was begun otherwise.
    """

    def __init__(
        self,
        folder: Path,
        packing: Packing | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """`facts` is what decides about samples, but for their sources: recogniser, settings …"""
        self._folder, self._spool = folder, folder / SPOOL
        self._packing = packing or Packing()
        self._facts = json.loads(to_json(facts or {}))
        self._finished: set[str] = set()
        self._lock = _lock(folder)
        try:
            remove_partials(folder)  # nobody else writes here now
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __contains__(self, clip: str) -> bool:
        """Whether the clip is finished, kept or refused."""
        return clip in self._finished

    @property
    def ledger(self) -> Path:
        return self._folder / LEDGER

    @property
    def packed(self) -> bool:
        """Whether packing has begun, or is done: no further clips are taken."""
        return (self._spool / PLAN).is_file() or (self._folder / INDEX).is_file()

    def add(self, entry: Entry, piece: bytes | None = None) -> None:
        """Note what became of a clip; `piece` is `encode_sample` of a kept one.

        A clip that is finished already is left as it is.
        """
        clip = entry.source.clip
        if clip in self._finished:
            return
        if self.packed:
            raise UsageError(f"{self._folder} is packed, without {clip}; give a new folder.")
        if entry.kept != (piece is not None):
            raise ValueError(f"{clip}: a sample belongs to a clip that is kept, and to no other")
        if piece is not None:
            path = self._piece(_digest(clip))
            path.parent.mkdir(exist_ok=True)
            _write(path, [piece])
        append_entry(self.ledger, entry)
        self._finished.add(clip)

    def entries(self) -> list[Entry]:
        """What became of the clips that are finished."""
        return list(read_ledger(self.ledger)) if self.ledger.is_file() else []

    def forget(self, clips: Collection[str]) -> None:
        """Take finished clips out of the set, which is taken apart again where it was packed."""
        if gone := self._finished & set(clips):
            self.take_apart()
            repair_ledger(self.ledger, lambda entry: entry.source.clip not in gone)
            for clip in gone:
                self._piece(_digest(clip)).unlink(missing_ok=True)
            self._finished -= gone

    def drop_damaged(self) -> dict[str, str]:
        """Take out clips whose shard is missing, or is not the one that was written.

        The set is taken apart for that. Returns what is wrong, by the shard's name.
        """
        index, plan = self._folder / INDEX, self._spool / PLAN
        if index.is_file():
            damaged = find_damaged(read_index(self._folder))
        elif plan.is_file():  # a shard is written before its pieces are deleted
            damaged = {
                shard["name"]: "is missing"
                for shard in json.loads(plan.read_bytes())["shards"]
                if not (self._folder / shard["name"]).is_file()
                and not all(self._piece(digest).is_file() for digest in shard["pieces"])
            }
        else:
            damaged = {}
        if damaged:
            self.take_apart(damaged)
            if self.ledger.is_file():
                repair_ledger(self.ledger, self._holds)
                self._finished = {entry.source.clip for entry in read_ledger(self.ledger)}
        return damaged

    def take_apart(self, damaged: Collection[str] = ()) -> None:
        """Of a set whose packing has begun, or is done, one again that takes clips.

        What lies in `damaged` shards is given up.
        """
        index, plan = self._folder / INDEX, self._spool / PLAN
        if not self.packed:
            return
        made = json.loads((index if index.is_file() else plan).read_bytes())
        names = [shard["name"] for shard in made["shards"]]
        self._spool.mkdir(exist_ok=True)
        _write(self._spool / FACTS, [to_json(self._facts).encode()], lasting=True)
        for name in names:
            if name not in damaged and (self._folder / name).is_file():
                for digest, piece in _cut_shard(self._folder / name):
                    path = self._piece(digest)
                    path.parent.mkdir(exist_ok=True)
                    _write(path, [piece], lasting=True)
        _write(self._spool / VOID, [to_json(names).encode()], lasting=True)
        self._drop_void()

    def start(self, clip: str) -> bool:
        """Note that the clip is worked on; False where this process died of it too often."""
        path, name = self._spool / STARTED, name_key(clip)
        deaths = json.loads(path.read_bytes()) if path.is_file() else {}
        if deaths.get(name, 0) >= MOST_DEATHS:
            return False
        deaths[name] = deaths.get(name, 0) + 1
        _write(path, [to_json(deaths).encode()])
        return True

    def survive(self, clip: str) -> None:
        """The process has not died of the clip that was started."""
        path = self._spool / STARTED
        deaths = json.loads(path.read_bytes())
        deaths.pop(name_key(clip), None)
        _write(path, [to_json(deaths).encode()])

    def pack(self, show: ProgressCallback | None = None) -> Index:
        """Make shards and index of what was kept. Raises UsageError where nothing was."""
        if not (self._folder / INDEX).is_file():
            plan_file = self._spool / PLAN
            if not plan_file.is_file():
                _write(plan_file, [to_json(self._plan()).encode()], lasting=True)
            plan = json.loads(plan_file.read_bytes())
            for number, shard in enumerate(plan["shards"], 1):
                self._write_shard(self._folder / shard["name"], shard["pieces"])
                if show:
                    show("packing", number, len(plan["shards"]), "")
            plan["shards"] = [self._measure(shard) for shard in plan["shards"]]
            index = to_json(plan, indent=1) + "\n"
            _write(self._folder / INDEX, [index.encode()], lasting=True)
        shutil.rmtree(self._spool, ignore_errors=True)
        return read_index(self._folder)

    def close(self) -> None:
        """Let another process have the folder; closing it again does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self) -> None:
        index, plan, facts = self._folder / INDEX, self._spool / PLAN, self._spool / FACTS
        self._drop_void()
        packing = json.loads(to_json(asdict(self._packing)))
        packed = packing
        if index.is_file():
            made = read_index(self._folder)
            packed, begun = made.packing, made.facts
        elif plan.is_file():
            made = json.loads(plan.read_bytes())
            packed, begun = made["packing"], made["facts"]
        elif facts.is_file():
            begun = json.loads(facts.read_bytes())
        else:
            if any(not path.name.startswith(".") for path in self._folder.iterdir()):
                raise UsageError(f"{self._folder} holds other files; give an empty or new folder.")
            self._spool.mkdir(exist_ok=True)
            _write(facts, [to_json(self._facts).encode()], lasting=True)
            begun = self._facts
        if RETIRED & begun.keys():  # of an earlier version, which noted less
            begun = self._facts | begun
        names = (begun.keys() | self._facts.keys()) - RETIRED
        if changed := [n for n in sorted(names) if begun.get(n) != self._facts.get(n)]:
            told = "; ".join(f"{n}: {begun.get(n)}, now {self._facts.get(n)}" for n in changed)
            raise UsageError(
                f"{self._folder} was begun with other settings ({told}); give those again, or a "
                "new folder."
            )
        if _renew(packed) != packing:
            raise UsageError(
                f"{self._folder} is packed otherwise; give the same split and sizes again, or a "
                "new folder."
            )
        if self.ledger.is_file():
            whole, seen = self.packed, set[str]()

            def holds(entry: Entry) -> bool:
                if entry.source.clip in seen or not (whole or self._holds(entry)):
                    return False
                seen.add(entry.source.clip)
                return True

            repair_ledger(self.ledger, holds)
            self._finished = seen

    def _drop_void(self) -> None:
        """Delete shards whose pieces lie in the spool again, and what says that they are packed."""
        void = self._spool / VOID
        if void.is_file():
            names = json.loads(void.read_bytes())
            for path in (
                self._folder / INDEX,
                self._spool / PLAN,
                *map(self._folder.joinpath, names),
            ):
                path.unlink(missing_ok=True)
            void.unlink()

    def _holds(self, entry: Entry) -> bool:
        """Whether a kept clip's piece is there."""
        path = self._piece(_digest(entry.source.clip))
        return not entry.kept or (path.is_file() and path.stat().st_size > 0)

    def _piece(self, digest: str) -> Path:
        return self._spool / digest[:2] / f"{digest}.tar"

    def _plan(self) -> dict[str, Any]:
        """The split, and the pieces of each shard."""
        person_of: dict[str, str] = {}
        if self.ledger.is_file():
            kept = (entry for entry in read_ledger(self.ledger) if entry.kept)
            person_of = {_digest(entry.source.clip): entry.source.person for entry in kept}
        if not person_of:
            raise UsageError(f"{self._folder}: no clip was kept; {self.ledger.name} says why.")
        digests = sorted(person_of)
        people = [person_of[digest] for digest in digests]
        packing = self._packing
        names, doubtful, joined = {person: person for person in people}, [], []
        if packing.join:
            encoder = str(self._facts.get("face_encoder"))
            samples = [_read_piece(self._piece(digest), encoder) for digest in digests]
            clips = [clip for clip, _ in samples]
            hear = _Hearing([self._piece(digest) for digest in digests])
            found = join_names(
                people, clips, IdentityEmbeddings.stack([faces for _, faces in samples]), hear
            )
            log_doubtful_pairs(found.pairs, clips)
            names, joined, doubtful = found.names, found.joined, found.doubtful
        side = split_shares([names[p] for p in people], packing.shares, packing.seed)
        shards, by_side = [], {}
        for number, split in enumerate(SIDES[: len(packing.shares)]):
            rows = np.flatnonzero(side == number)
            by_side[split] = sorted({people[row] for row in rows})
            groups = self._group([digests[row] for row in rows])
            shards += [
                {"name": f"{split}-{place:06d}.tar", "split": split, "pieces": pieces}
                for place, pieces in enumerate(groups)
            ]
        return {
            "facts": self._facts,
            "packing": asdict(packing),
            "people": by_side,
            "merged": _list_merged(names),
            "doubtful": doubtful,
            "joined": joined,
            "shards": shards,
        }

    def _group(self, digests: Iterable[str]) -> Iterator[list[str]]:
        """Pieces in their order, as many together as a shard takes."""
        group: list[str] = []
        size = 0
        for digest in digests:
            more = self._piece(digest).stat().st_size
            full = len(group) == self._packing.samples
            if group and (full or size + more > 1e6 * self._packing.megabytes):
                yield group
                group, size = [], 0
            group.append(digest)
            size += more
        if group:
            yield group

    def _write_shard(self, path: Path, pieces: list[str]) -> None:
        if not path.is_file():
            held = (self._piece(digest).read_bytes() for digest in pieces)
            _write(path, chain(held, [END]), lasting=True)
        for digest in pieces:
            self._piece(digest).unlink(missing_ok=True)

    def _measure(self, shard: Mapping[str, Any]) -> dict[str, Any]:
        path = self._folder / shard["name"]
        size, sha256 = path.stat().st_size, hash_file(path)
        return asdict(Shard(path.name, shard["split"], len(shard["pieces"]), size, sha256))


def read_index(folder: Path) -> Index:
    """The index of a finished set. Raises UsageError where there is none, or a false one."""
    path = folder / INDEX
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        shards = tuple(Shard(**shard) for shard in facts.pop("shards"))
        return Index(folder, shards, **facts)
    except FileNotFoundError:
        raise UsageError(
            f"{folder}: no {INDEX}; give a folder that `prepare` has finished."
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path}: not an index of shards ({error}).") from None


def verify_shards(index: Index) -> None:
    """Raises UsageError where a shard is missing or not the one that was written."""
    if damaged := [f"{name} {what}" for name, what in find_damaged(index).items()]:
        raise UsageError(
            f"{index.folder}: {name_some(damaged)}; copy it again, or give the command that "
            "prepared it again."
        )


def find_damaged(index: Index) -> dict[str, str]:
    """The shards that are missing or not the ones that were written, and which of the two."""
    damaged = {}
    for shard in index.shards:
        path = index.folder / shard.name
        try:
            same = path.stat().st_size == shard.bytes and hash_file(path) == shard.sha256
            if not same:
                damaged[shard.name] = "is damaged or changed"
        except FileNotFoundError:
            damaged[shard.name] = "is missing"
        except OSError as error:
            damaged[shard.name] = f"cannot be read ({error.strerror})"
    return damaged


def _encode_flac(speech: np.ndarray) -> bytes:
    """Sound (n,) within ±1 at 16 kHz → a flac of 16 bits."""
    import av

    samples = np.clip(np.round(speech * 32_768.0), -32_768, 32_767).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as output:
        track: Any = output.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        track.open()
        regroup = av.AudioResampler("s16", "mono", SAMPLE_RATE, track.frame_size)
        for part in [*regroup.resample(frame), *regroup.resample(None)]:
            output.mux(track.encode(part))
        output.mux(track.encode(None))
    return file.getvalue()


def _encode_jpeg(face: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(face).save(file, **JPEG)
    return file.getvalue()


def _encode_array(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array.astype(np.float32), allow_pickle=False)
    return file.getvalue()


def _read_piece(piece: Path, face_encoder: str) -> tuple[str, dict[str, np.ndarray]]:
    """The clip, and the embeddings of its face by recogniser."""
    with tarfile.open(piece) as tar:
        files = {name.partition(".")[2]: tar.extractfile(name) for name in tar.getnames()}
        held = {kind: file.read() for kind, file in files.items() if file}
    known = {name: held.get(f"{name}.npy") for name in RECOGNISERS}
    known[face_encoder] = held["embedding.npy"]
    clip = json.loads(held["json"])["source"]["clip"]
    return clip, {name: decode_array(data) for name, data in known.items() if data}


class _Hearing:
    """Hears the speech of pieces, each once; networks are opened when the first is asked for."""

    def __init__(self, pieces: Sequence[Path]) -> None:
        self._pieces, self._heard = pieces, dict[int, np.ndarray]()

    @cached_property
    def _features(self) -> SpeakerFeatures:
        return SpeakerFeatures()

    def __call__(self, row: int) -> np.ndarray:
        if row not in self._heard:
            with tarfile.open(self._pieces[row]) as tar:
                name = next(name for name in tar.getnames() if name.endswith(".flac"))
                file = tar.extractfile(name)
                assert file
                self._heard[row] = self._features.embed(load_audio(file.read()).samples)
        return self._heard[row]


def _cut_shard(path: Path) -> Iterator[tuple[str, bytes]]:
    """The pieces that a shard was made of, each with its clip's digest."""
    with tarfile.open(path) as tar, path.open("rb") as file:
        members = tar.getmembers()
        for _, group in groupby(members, key=lambda member: member.name.partition(".")[0]):
            first, *_, last = group
            facts = tar.extractfile(last)
            assert facts
            clip = json.loads(facts.read())["source"]["clip"]
            end = last.offset_data + last.size
            file.seek(first.offset)
            yield _digest(clip), file.read(end + -end % tarfile.BLOCKSIZE - first.offset)


def _digest(clip: str) -> str:
    """The clip's place in the order of packing, and its name in the spool."""
    return hashlib.sha256(clip.encode(errors="surrogateescape")).hexdigest()[:32]


def _renew(packing: Mapping[str, Any]) -> dict[str, Any]:
    """Of an earlier version, which joined people by the distance of dlib alone, `near`."""
    kept = dict(packing)
    near = kept.pop("near", None)
    return {"join": near is not None, **kept}


def _list_merged(names: Mapping[str, str]) -> list[list[str]]:
    together: dict[str, list[str]] = {}
    for name in sorted(names):
        together.setdefault(names[name], []).append(name)
    return [group for group in together.values() if len(group) > 1]


def _write(path: Path, blocks: Iterable[bytes], lasting: bool = False) -> None:
    with write_atomically(path, lasting=lasting) as file:
        file.writelines(blocks)


def _lock(folder: Path) -> int:
    """The handle of the folder, which is made; however a process ends, it gives the handle back."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}).") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise UsageError(f"{folder}: another process is making this set.") from None
    return handle
