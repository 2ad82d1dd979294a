"""The index of a finished set: its shards with checksums, and who stands on which side.

DIR/index.json          shards with counts, sizes and sha256; people by side of the split
DIR/train-000000.tar    samples, see sample_codec.py
DIR/ledger.jsonl        what became of each clip, see ledger.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from speech2face.data.split_leaks import name_some
from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.files import hash_open_file
from speech2face.remote_files import is_file_anywhere, open_anywhere

INDEX = "index.json"


@dataclass(frozen=True)
class Packing:
    """Settings of packing: the split, and the size of shards."""

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
    """The contents of a finished set."""

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


def is_set(folder: Path) -> bool:
    """True if a finished set lies in a folder, on this machine or at an address."""
    return is_file_anywhere(folder / INDEX)


def read_index(folder: Path) -> Index:
    """The index of a finished set. Raises UsageError where there is none, or a false one."""
    path = folder / INDEX
    try:
        with open_anywhere(path) as file:
            fields = json.load(file)
        shards = tuple(Shard(**shard) for shard in fields.pop("shards"))
        return Index(folder, shards, **fields)
    except (FileNotFoundError, UnreadableMediaError):
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
        try:
            with open_anywhere(index.folder / shard.name) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                sha256 = hash_open_file(file)
            if (size, sha256) != (shard.bytes, shard.sha256):
                damaged[shard.name] = "is damaged or changed"
        except FileNotFoundError:
            damaged[shard.name] = "is missing"
        except UnreadableMediaError as error:
            damaged[shard.name] = f"cannot be fetched ({error})"
        except OSError as error:
            damaged[shard.name] = f"cannot be read ({error.strerror})"
    return damaged


def upgrade_packing(packing: Mapping[str, Any]) -> dict[str, Any]:
    """The packing of an index, where one of an earlier version may name `near`, dlib's limit."""
    kept = dict(packing)
    near = kept.pop("near", None)
    return {"join": near is not None, **kept}
