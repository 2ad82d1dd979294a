"""Several folders of pairs read as one: no name stands for two people, and nobody has two names.

Two sets may call different clips or people the same: such names carry the digest of their set,
`bob~3fa9c2d1`. One person may be in two sets, under whatever names: whose faces are the same (see
split_leaks.py) is one person. Within a set its table says who is who. Nothing depends on the
order in which sets are given, nor on where they lie.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.face_unwarping import measure_faces
from speech2face.data.pairs import Pair, identify_pairs, read_pairs
from speech2face.data.shard_index import is_set
from speech2face.data.split_leaks import (
    IdentityEmbeddings,
    compare_faces,
    find_recognisers,
    log_doubtful_pairs,
    name_some,
)
from speech2face.data.splits import merge_people
from speech2face.errors import UsageError
from speech2face.remote_files import is_file_anywhere

log = logging.getLogger(__name__)

KINDS = ("audio", "face")  # files of pairs that a set is known by
LETTERS = 8  # of a digest that names carry


def read_sets(folders: Sequence[Path]) -> list[Pair]:
    """The pairs of plain folders: of one in its table's order, of several in that of clips' names.

    Raises UsageError where a folder is a set of `prepare` or given twice, and where `read_pairs`
    does.
    """
    for folder in folders:
        if is_set(folder) and not is_file_anywhere(folder / "pairs.csv"):
            raise UsageError(
                f"{folder}: a set of prepare, which only train voice-encoder, calibrate and audit "
                "read; give a folder with pairs.csv."
            )
    if len(folders) == 1:
        return read_pairs(folders[0])
    read = [read_pairs(folder) for folder in folders]
    named = name_sets(folders)
    names = [[pair.clip for pair in pairs] for pairs in read]
    people = [[pair.person for pair in pairs] for pairs in read]
    if _find_shared(names) or _find_shared(people):
        digests = [identify_pairs(pairs, KINDS).digest for pairs in read]
        names, people = disambiguate_names(names, digests), disambiguate_names(people, digests)
    joined = [
        replace(pair, clip=clip, person=person, set=name, listed=(pair.clip, pair.person))
        for name, *rows in zip(named, read, names, people, strict=True)
        for pair, clip, person in zip(*rows, strict=True)
    ]
    return sorted(joined, key=lambda pair: pair.clip)


def join_people(pairs: Sequence[Pair], cache: Path, show: ProgressCallback) -> list[Pair]:
    """The same pairs, in which people of several sets whose faces are the same have one name.

    What was measured of faces is kept in `cache`. Pairs of one set are left as they are.
    """
    sets = [pair.set for pair in pairs]
    if len(set(sets)) < 2:
        return list(pairs)
    identities = embed_identities(pairs, cache, show)
    clips = [pair.clip for pair in pairs]
    names = merge_names([pair.person for pair in pairs], identities, sets, clips)
    return [replace(pair, person=names[pair.person]) for pair in pairs]


def merge_names(
    people: Sequence[str], identities: IdentityEmbeddings, sets: Sequence[str], clips: Sequence[str]
) -> dict[str, str]:
    """Name of each clip's person (N,), which no two sets share → one name for each person.

    Only faces of different sets are compared. Lines of the log say who is in several sets, and of
    whom it is doubtful.
    """
    pairs = compare_faces(identities, sets)
    names = merge_people(people, pairs)
    log_doubtful_pairs(pairs, clips)
    met = [f"{name} is {one}" for name, one in names.items() if name != one]
    if met:
        log.warning("one person by the face, in several sets: %s", name_some(met))
    return names


def embed_identities(
    pairs: Sequence[Pair], cache: Path, show: ProgressCallback
) -> IdentityEmbeddings:
    """Embed the largest face of each photograph, to tell who is the same person."""
    recognisers = find_recognisers()
    seen = {name: embed_faces(pairs, name, cache, show, also=recognisers) for name in recognisers}
    return IdentityEmbeddings.gather(seen, len(pairs))


def embed_faces(
    pairs: Sequence[Pair],
    face_encoder: str,
    cache: Path,
    show: ProgressCallback,
    also: Sequence[str] = (),
) -> np.ndarray:
    """Embeddings of the largest face of each photograph (N, D); NaN where none is found.

    Set by set and in the order of names, so what was measured of a set alone is used again. For
    `also`, see `measure_faces`.
    """
    order = sorted(
        range(len(pairs)), key=lambda i: (pairs[i].set, pairs[i].listed or pairs[i].clip)
    )
    faces: np.ndarray | None = None
    done = 0
    for name in dict.fromkeys(pairs[i].set for i in order):
        rows = [i for i in order if pairs[i].set == name]

        def show_all(stage: str, count: int, _: int, words: str, before: int = done) -> None:
            show(stage, before + count, len(pairs), words)

        paths = [pairs[i].face for i in rows]
        measured = measure_faces(paths, face_encoder, cache, show_all, also=also)
        if faces is None:
            faces = np.full((len(pairs), measured.embeddings.shape[1]), np.nan, np.float32)
        faces[np.array(rows)[measured.index]] = measured.embeddings
        done += len(rows)
    return np.empty((0, 0), np.float32) if faces is None else faces


def name_sets(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many of those above as it takes to tell them apart.

    Raises UsageError where one is given twice.
    """
    paths = [folder.resolve() for folder in folders]
    twice = next((folder for folder, n in Counter(paths).items() if n > 1), None)
    if twice:
        raise UsageError(f"{twice} is given twice; once will do.")
    names, depth = [path.name for path in paths], 1
    while len(set(names)) < len(names):
        depth += 1
        names = ["/".join(path.parts[-depth:]) for path in paths]
    return names


def disambiguate_names(names: Sequence[Sequence[str]], digests: Sequence[str]) -> list[list[str]]:
    """Names of each set → the same, but names of several sets with the digest of theirs.

    Raises UsageError where two sets are the same by content.
    """
    if len(set(digests)) < len(digests):
        raise UsageError("two of the folders hold the same clips; give one of them.")
    shared = _find_shared(names)
    return [
        [f"{name}~{digest[:LETTERS]}" if name in shared else name for name in own]
        for own, digest in zip(names, digests, strict=True)
    ]


def _find_shared(names: Sequence[Sequence[str]]) -> set[str]:
    """Names that more than one set uses."""
    count = Counter(name for own in names for name in set(own))
    return {name for name, sets in count.items() if sets > 1}
