"""A set while it is made: finished samples wait in a spool until all can be packed into shards.

    DIR/.spool/             a piece of a tar for each finished sample; then the plan of the shards
    DIR/ledger.jsonl        what became of each clip (ledger.py)
    DIR/index.json          last of all: the finished set (shard_index.py)

A finished clip is first a piece in the spool (sample_codec.py), then a line of the ledger. When all
clips are finished a plan is made (set_plan.py): the split, and which samples go into which shard.
Then shards are written, each beside its place and renamed, and only after that are its pieces
deleted; last comes the index. So a kill at any point costs the clip or shard that was under way,
and no more. A packed set that is to take more clips is taken apart again: its pieces go back into
the spool, and then its shards are void.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tarfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from speech2face.console import ProgressCallback
from speech2face.data.ledger import Entry, append_entry, read_ledger, repair_ledger, to_json
from speech2face.data.sample_codec import cut_pieces, name_key
from speech2face.data.set_plan import digest_clip, plan_shards
from speech2face.data.shard_index import (
    INDEX,
    Index,
    Packing,
    Shard,
    find_damaged,
    read_index,
    upgrade_packing,
)
from speech2face.errors import UsageError
from speech2face.files import hash_file, remove_partials, write_atomically

LEDGER, SPOOL = "ledger.jsonl", ".spool"
PLAN, SETTINGS, VOID, STARTED = "plan.json", "facts.json", "void.json", "started.json"  # in SPOOL
RETIRED = {"clips"}  # settings of sets that earlier versions began
MOST_DEATHS = 2  # of this process on one clip, before the clip is refused
END = bytes(2 * tarfile.BLOCKSIZE)  # of a tar


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
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`settings` decide about samples, beside their sources: the recogniser, thresholds …"""
        self._folder, self._spool = folder, folder / SPOOL
        self._packing = packing or Packing()
        self._settings = json.loads(to_json(settings or {}))
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
        """True if the clip is finished, kept or refused."""
        return clip in self._finished

    @property
    def ledger(self) -> Path:
        return self._folder / LEDGER

    @property
    def packed(self) -> bool:
        """True once packing has begun: no further clips are taken."""
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
            path = self._piece(digest_clip(clip))
            path.parent.mkdir(exist_ok=True)
            _write(path, [piece])
        append_entry(self.ledger, entry)
        self._finished.add(clip)

    def entries(self) -> list[Entry]:
        """The ledger's entries: the outcome of each finished clip."""
        return list(read_ledger(self.ledger)) if self.ledger.is_file() else []

    def remove(self, clips: Collection[str]) -> None:
        """Take finished clips out of the set, which is taken apart again where it was packed."""
        if gone := self._finished & set(clips):
            self.unpack()
            repair_ledger(self.ledger, lambda entry: entry.source.clip not in gone)
            for clip in gone:
                self._piece(digest_clip(clip)).unlink(missing_ok=True)
            self._finished -= gone

    def remove_damaged(self) -> dict[str, str]:
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
            self.unpack(damaged)
            if self.ledger.is_file():
                repair_ledger(self.ledger, self._holds)
                self._finished = {entry.source.clip for entry in read_ledger(self.ledger)}
        return damaged

    def unpack(self, damaged: Collection[str] = ()) -> None:
        """Unpack a set that is packed, or being packed, so that it takes clips again.

        What lies in `damaged` shards is given up.
        """
        index, plan = self._folder / INDEX, self._spool / PLAN
        if not self.packed:
            return
        made = json.loads((index if index.is_file() else plan).read_bytes())
        names = [shard["name"] for shard in made["shards"]]
        self._spool.mkdir(exist_ok=True)
        _write(self._spool / SETTINGS, [to_json(self._settings).encode()], lasting=True)
        for name in names:
            if name not in damaged and (self._folder / name).is_file():
                for clip, piece in cut_pieces(self._folder / name):
                    path = self._piece(digest_clip(clip))
                    path.parent.mkdir(exist_ok=True)
                    _write(path, [piece], lasting=True)
        _write(self._spool / VOID, [to_json(names).encode()], lasting=True)
        self._remove_void()

    def mark_started(self, clip: str) -> bool:
        """Note that the clip is worked on; False where this process died of it too often."""
        path, name = self._spool / STARTED, name_key(clip)
        deaths = json.loads(path.read_bytes()) if path.is_file() else {}
        if deaths.get(name, 0) >= MOST_DEATHS:
            return False
        deaths[name] = deaths.get(name, 0) + 1
        _write(path, [to_json(deaths).encode()])
        return True

    def mark_survived(self, clip: str) -> None:
        """Note that the process has not died of the clip that was started."""
        path = self._spool / STARTED
        deaths = json.loads(path.read_bytes())
        deaths.pop(name_key(clip), None)
        _write(path, [to_json(deaths).encode()])

    def pack(self, show: ProgressCallback | None = None) -> Index:
        """Make shards and index of what was kept. Raises UsageError where nothing was."""
        if not (self._folder / INDEX).is_file():
            plan_file = self._spool / PLAN
            if not plan_file.is_file():
                _write(plan_file, [to_json(self._plan_shards()).encode()], lasting=True)
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
        index, plan = self._folder / INDEX, self._spool / PLAN
        settings = self._spool / SETTINGS
        self._remove_void()
        packing = json.loads(to_json(asdict(self._packing)))
        packed = packing
        if index.is_file():
            made = read_index(self._folder)
            packed, begun = made.packing, made.facts
        elif plan.is_file():
            made = json.loads(plan.read_bytes())
            packed, begun = made["packing"], made["facts"]
        elif settings.is_file():
            begun = json.loads(settings.read_bytes())
        else:
            if any(not path.name.startswith(".") for path in self._folder.iterdir()):
                raise UsageError(f"{self._folder} holds other files; give an empty or new folder.")
            self._spool.mkdir(exist_ok=True)
            _write(settings, [to_json(self._settings).encode()], lasting=True)
            begun = self._settings
        if RETIRED & begun.keys():  # of an earlier version, which noted less
            begun = self._settings | begun
        names = (begun.keys() | self._settings.keys()) - RETIRED
        if changed := [n for n in sorted(names) if begun.get(n) != self._settings.get(n)]:
            changes = "; ".join(
                f"{n}: {begun.get(n)}, now {self._settings.get(n)}" for n in changed
            )
            raise UsageError(
                f"{self._folder} was begun with other settings ({changes}); give those again, or a "
                "new folder."
            )
        if upgrade_packing(packed) != packing:
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

    def _remove_void(self) -> None:
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
        """True if the piece of a kept clip is there."""
        path = self._piece(digest_clip(entry.source.clip))
        return not entry.kept or (path.is_file() and path.stat().st_size > 0)

    def _piece(self, digest: str) -> Path:
        return self._spool / digest[:2] / f"{digest}.tar"

    def _plan_shards(self) -> dict[str, Any]:
        """The plan of the shards. Raises UsageError where no clip was kept."""
        person_of: dict[str, str] = {}
        if self.ledger.is_file():
            kept = (entry for entry in read_ledger(self.ledger) if entry.kept)
            person_of = {digest_clip(entry.source.clip): entry.source.person for entry in kept}
        if not person_of:
            raise UsageError(f"{self._folder}: no clip was kept; {self.ledger.name} says why.")
        face_encoder = str(self._settings.get("face_encoder"))
        plan = plan_shards(person_of, self._piece, self._packing, face_encoder)
        return {"facts": self._settings, **plan}

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
