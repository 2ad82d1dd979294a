"""Speech with the embedding of its speaker's face: what the voice encoder learns from.

The same whether it comes from a plain folder (`pairs`) or from the shards of a set (`shards`), but
for the sixteen bits of FLAC.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.face_unwarping import explain_face
from speech2face.data.merge_pairs import (
    KINDS,
    disambiguate_names,
    embed_faces,
    embed_identities,
    merge_names,
    name_sets,
)
from speech2face.data.pairs import LEAST_SECONDS, Pair, identify_pairs, load_speech, read_pairs
from speech2face.data.shard_index import INDEX, Shard, read_index, verify_shards
from speech2face.data.shard_reader import read_samples
from speech2face.data.split_leaks import IdentityEmbeddings
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.media import SAMPLE_RATE
from speech2face.run_provenance import DataIdentity, describe_data, join_identities

log = logging.getLogger(__name__)

SHOWN_EVERY = 20  # clips between two words of progress
NAMED = 20  # clips left out that are named, each in a line


@dataclass(frozen=True)
class Voices:
    """Clips in the order of their names, all in memory: 64 kB for a second of speech."""

    clips: list[str]  # (N,)
    people: list[str]  # (N,)
    speech: list[np.ndarray]  # (N,) of float32 (samples,), 16 kHz
    faces: np.ndarray  # (N, D)
    data: str  # the digest of all that it was made of; see `identify_data`
    left_out: int = 0  # further clips, of which sound or face were of no use
    sets: Sequence[DataIdentity] = ()  # where the clips are of several, in the order of digests
    seen: IdentityEmbeddings | None = (
        None  # by what people are told apart, where that was asked for
    )

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def origin(self) -> dict[str, Any]:
        """The description of the data that weights carry in their metadata."""
        return describe_data(self.data, self.sets)

    def take(self, rows: np.ndarray) -> Voices:
        """The clips of these rows, whole numbers (M,)."""
        return replace(
            self,
            clips=[self.clips[row] for row in rows],
            people=[self.people[row] for row in rows],
            speech=[self.speech[row] for row in rows],
            faces=self.faces[rows],
            seen=self.seen and self.seen.take(rows),
        )

    @property
    def identities(self) -> IdentityEmbeddings:
        """Embeddings (N) that tell people apart. Raises ValueError where none were asked for."""
        if self.seen is None:
            raise ValueError("to tell people apart, load with recognise=True")
        return self.seen


def load_voices(
    folders: Sequence[Path],
    face_encoder: str,
    cache: Path,
    show: ProgressCallback,
    recognise: bool = False,
    frames: Literal["best", "mean"] = "best",
) -> Voices:
    """All pairs of plain folders, and the side `train` of sets of `speech2face prepare`, as one.

    `recognise`: see `load_pair_voices`, `frames`: see `read_voices`. Raises UsageError where a
    folder is neither or given twice, or a set is of another recogniser.
    """
    name_sets(folders)
    recognise = recognise or len(folders) > 1
    sets = []
    for folder in folders:
        if (folder / INDEX).is_file():
            sets.append(read_voices(folder, face_encoder, show, frames=frames))
        else:
            sets.append(load_pair_voices(read_pairs(folder), face_encoder, cache, show, recognise))
    return join_voices(sets)


def join_voices(sets: Sequence[Voices]) -> Voices:
    """Join several sets, see merge_pairs.py for names; a single set is itself."""
    if len(sets) == 1:
        return sets[0]
    digests = [one.data for one in sets]
    clips, people = (
        [name for own in disambiguate_names(names, digests) for name in own]
        for names in ([one.clips for one in sets], [one.people for one in sets])
    )
    identities = IdentityEmbeddings.join([one.identities for one in sets])
    of_set = np.repeat(digests, [len(one) for one in sets])
    names = merge_names(people, identities, of_set.tolist(), clips)
    whole = join_identities([_count(one) for one in sets])
    joined = Voices(
        clips,
        [names[person] for person in people],
        [speech for one in sets for speech in one.speech],
        np.concatenate([one.faces for one in sets]),
        whole.digest,
        sum(one.left_out for one in sets),
        whole.sets,
        identities,
    )
    return joined.take(np.argsort(clips))


def _count(voices: Voices) -> DataIdentity:
    """The clips that are of use; the digest is of all."""
    return DataIdentity(voices.data, len(set(voices.people)), len(voices))


def identify_data(folders: Sequence[Path]) -> DataIdentity:
    """Identify data folders, pairs or sets of `speech2face prepare`, by all that training reads.

    Raises UsageError where one holds neither or is given twice, or where a shard is not the one
    that was written: all of them are read for that.
    """
    name_sets(folders)
    return join_identities([_identify_set(folder) for folder in folders])


def _identify_set(folder: Path) -> DataIdentity:
    if (folder / INDEX).is_file():
        index = read_index(folder)
        verify_shards(index)
        people = sum(len(side) for side in index.people.values())
        clips = sum(shard.samples for shard in index.shards)
        return DataIdentity(hash_shards(index.shards), people, clips)
    return identify_pairs(read_pairs(folder), KINDS)


def load_pair_voices(
    pairs: Sequence[Pair],
    face_encoder: str,
    cache: Path,
    show: ProgressCallback,
    recognise: bool = False,
) -> Voices:
    """Find the speech of each clip and the embedding of its face.

    With `recognise` also what tells who is the same person, see split_leaks.py.

    A clip whose sound or face cannot be read, is silent or shorter than 0.5 s, or in which no face
    is found, is left out, and a warning says which and why. What was measured of faces is kept in
    `cache`. Raises UsageError where no clip is left.
    """

    pairs = sorted(pairs, key=lambda pair: pair.clip)
    identities = embed_identities(pairs, cache, show) if recognise else None
    measured = embed_faces(pairs, face_encoder, cache, show)
    kept, speech, left_out = [], [], []
    for index, pair in enumerate(pairs):
        try:
            if not np.isfinite(measured[index, 0]):
                raise UnreadableMediaError(explain_face(pair.face))
            samples, clear = load_speech(pair.audio)
            if len(samples) < LEAST_SECONDS * SAMPLE_RATE:
                raise NoSpeechError(f"only {len(samples) / SAMPLE_RATE:.2f} s of sound")
        except (UnreadableMediaError, NoSpeechError) as error:
            left_out.append(f"{pair.clip} is left out: {error}")
            if len(left_out) <= NAMED:
                log.warning(left_out[-1])
        else:
            if not clear:
                log.warning("%s: no clear speech found; the whole clip is taken", pair.clip)
            kept.append(index)
            speech.append(samples)
        if index % SHOWN_EVERY == SHOWN_EVERY - 1 or index == len(pairs) - 1:
            show("finding speech", index + 1, len(pairs), "")
    if left_out and not kept:
        raise UsageError(f"none of the {len(pairs)} clips is of use; {left_out[0]}")
    if left_out:
        log.warning("%d of %d clips are left out", len(left_out), len(pairs))
    data = identify_pairs(pairs, KINDS)
    return Voices(
        [pairs[index].clip for index in kept],
        [pairs[index].person for index in kept],
        speech,
        measured[kept],
        data.digest,
        len(left_out),
        data.sets,
        identities and identities.take(kept),
    )


def read_voices(
    folder: Path,
    face_encoder: str,
    show: ProgressCallback,
    split: str = "train",
    most: int | None = None,
    frames: Literal["best", "mean"] = "best",
) -> Voices:
    """A side of a set, or the first `most` clips that lie in its shards.

    With `frames` "mean" faces are means over the good frames of a video, where there are several.

    Raises UsageError where its faces are another recogniser's, and where there is no such side.
    """
    index = read_index(folder)
    made_with = index.facts.get("face_encoder")
    if made_with != face_encoder:
        raise UsageError(
            f"{folder}: its faces were embedded by {made_with}, not by {face_encoder}; "
            f"prepare it again with --face-encoder {face_encoder}."
        )
    shards = index.of(split)
    count = sum(shard.samples for shard in shards)
    count, samples = min(count, most or count), []
    for number, sample in enumerate(islice(read_samples(folder, split), count), 1):
        samples.append(sample)
        if number % SHOWN_EVERY == 0 or number == count:
            show("reading shards", number, count, "")
    samples.sort(key=lambda sample: sample.source.clip)
    return Voices(
        [sample.source.clip for sample in samples],
        [index.name_of(sample.source.person) for sample in samples],
        [sample.speech for sample in samples],
        np.array([sample.target(frames) for sample in samples]),
        hash_shards(shards),
        seen=IdentityEmbeddings.stack([sample.embeddings(face_encoder) for sample in samples]),
    )


def hash_shards(shards: Sequence[Shard]) -> str:
    """A digest of the shards' checksums, in sixteen letters."""
    return hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()[:16]
