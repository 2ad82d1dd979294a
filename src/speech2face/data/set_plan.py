"""The plan of a set: who is one person, which side everybody stands on, and what each shard holds.

The order of samples is that of a hash of their clips' names, so that a shard is a random part of
its side, and nothing depends on the order in which clips come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.data.person_linking import LinkedNames, join_names
from speech2face.data.sample_codec import read_embeddings, read_speech
from speech2face.data.shard_index import Packing
from speech2face.data.split_leaks import IdentityEmbeddings, log_doubtful_pairs
from speech2face.data.splits import SIDES, split_shares
from speech2face.speaker_features import SpeakerFeatures


def digest_clip(clip: str) -> str:
    """The clip's place in the order of packing, and its name in the spool."""
    return hashlib.sha256(clip.encode(errors="surrogateescape")).hexdigest()[:32]


def plan_shards(
    person_of: Mapping[str, str],
    find_piece: Callable[[str], Path],
    packing: Packing,
    face_encoder: str,
) -> dict[str, Any]:
    """Clips' digests → their people: the plan, as the index lists it, of how they are packed.

    `find_piece` gives the piece of a digest. Each shard of the plan lists its pieces by digest.
    """
    digests = sorted(person_of)
    people = [person_of[digest] for digest in digests]
    if packing.join:
        linked = _link_people(people, [find_piece(digest) for digest in digests], face_encoder)
    else:
        linked = LinkedNames({person: person for person in people}, [], [], [])
    side = split_shares([linked.names[p] for p in people], packing.shares, packing.seed)
    shards, by_side = [], {}
    for number, split in enumerate(SIDES[: len(packing.shares)]):
        rows = np.flatnonzero(side == number)
        by_side[split] = sorted({people[row] for row in rows})
        groups = _group_pieces([digests[row] for row in rows], find_piece, packing)
        shards += [
            {"name": f"{split}-{place:06d}.tar", "split": split, "pieces": pieces}
            for place, pieces in enumerate(groups)
        ]
    return {
        "packing": asdict(packing),
        "people": by_side,
        "merged": _list_merged(linked.names),
        "doubtful": linked.doubtful,
        "joined": linked.joined,
        "shards": shards,
    }


def _link_people(people: Sequence[str], pieces: Sequence[Path], face_encoder: str) -> LinkedNames:
    """People's names (N,) by their pieces (N,): who is one person by face and voice."""
    samples = [read_embeddings(piece, face_encoder) for piece in pieces]
    clips = [clip for clip, _ in samples]
    identities = IdentityEmbeddings.stack([embeddings for _, embeddings in samples])
    linked = join_names(people, clips, identities, _PieceVoices(pieces))
    log_doubtful_pairs(linked.pairs, clips)
    return linked


def _group_pieces(
    digests: Iterable[str], find_piece: Callable[[str], Path], packing: Packing
) -> Iterator[list[str]]:
    """Pieces in their order, as many together as a shard takes."""
    group: list[str] = []
    size = 0
    for digest in digests:
        more = find_piece(digest).stat().st_size
        full = len(group) == packing.samples
        if group and (full or size + more > 1e6 * packing.megabytes):
            yield group
            group, size = [], 0
        group.append(digest)
        size += more
    if group:
        yield group


def _list_merged(names: Mapping[str, str]) -> list[list[str]]:
    """Every name → one name for each person: the names of each person who has several."""
    together: dict[str, list[str]] = {}
    for name in sorted(names):
        together.setdefault(names[name], []).append(name)
    return [group for group in together.values() if len(group) > 1]


class _PieceVoices:
    """Embeds the speech of pieces, each once; networks are opened when the first is asked for."""

    def __init__(self, pieces: Sequence[Path]) -> None:
        self._pieces, self._embeddings = pieces, dict[int, np.ndarray]()

    @cached_property
    def _features(self) -> SpeakerFeatures:
        return SpeakerFeatures()

    def __call__(self, row: int) -> np.ndarray:
        if row not in self._embeddings:
            self._embeddings[row] = self._features.embed(read_speech(self._pieces[row]))
        return self._embeddings[row]
