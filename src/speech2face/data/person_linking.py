"""Links names of one person: by faces, and by voices where faces leave a doubt.

The clips of a folder are named after their files, so somebody who is in several has as many names.
Two names are one person's where faces of theirs are (`split_leaks.compare_faces`), or where
faces are nearly alike enough and the voices are alike. Of 106 pairs of clips of one person (1,184
clips of videos) faces alone miss 15, faces and voices 6; voices join none of 697,865 pairs of
strangers there (benchmarks/same_voice.json, on which the limits were chosen). They never part whom
faces join: to hold one person for two is the worse mistake.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from speech2face.data.split_leaks import (
    DOUBTFUL,
    FacePair,
    IdentityEmbeddings,
    compare_faces,
    measure_likeness,
)
from speech2face.data.splits import merge_people

log = logging.getLogger(__name__)

NEARLY = 0.20  # least likeness of faces, `measure_likeness`, for the voices to be asked
SAME_VOICE = 0.5  # cosine of two voices from which they are one person's
MOST_LISTED = 1_000  # joined pairs that the index lists

VoiceEmbedder = Callable[[int], np.ndarray]
"""The row of a clip → its speaker's embedding (D,), of length 1."""


class LinkedNames(NamedTuple):
    """Names grouped by person, and the pairs of clips that decided it."""

    names: dict[str, str]  # every name → one for all names of the person who bears it
    joined: list[dict[str, Any]]  # pairs of clips by which names were joined, and how alike
    doubtful: list[dict[str, Any]]  # pairs that stayed two people, and that somebody should look at
    pairs: list[FacePair]  # all of them


def join_names(
    people: Sequence[str],
    clips: Sequence[str],
    identities: IdentityEmbeddings,
    embed_voice: VoiceEmbedder | None = None,
) -> LinkedNames:
    """Names of the clips' people (N,), the clips' names (N,) and faces (N,) → who is who.

    Without `embed_voice` faces alone decide.
    """
    pairs, voices = [], {}
    for pair in compare_faces(identities, people, DOUBTFUL if embed_voice is None else NEARLY):
        if not pair.same and embed_voice is not None:
            first, second = embed_voice(pair.first), embed_voice(pair.second)
            voices[pair.first, pair.second] = voice = float(first @ second)
            pair = pair._replace(same=voice >= SAME_VOICE)
        pairs.append(pair)
    by_voice = sum(pair.same and (pair.first, pair.second) in voices for pair in pairs)
    if by_voice:
        log.info("%d pairs of clips were joined by their voices, their faces being alike", by_voice)
    rows = [(pair, _describe(pair, clips, voices.get((pair.first, pair.second)))) for pair in pairs]
    return LinkedNames(
        merge_people(people, pairs),
        [row for pair, row in rows if pair.same][:MOST_LISTED],
        [row for pair, row in rows if _is_doubtful(pair)],
        [pair for pair in pairs if pair.same or _is_doubtful(pair)],
    )


def _is_doubtful(pair: FacePair) -> bool:
    likeness = measure_likeness(np.array(pair.cosine), np.array(pair.distance))
    return not pair.same and bool(likeness >= DOUBTFUL)


def _describe(pair: FacePair, clips: Sequence[str], voice: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "clips": [clips[pair.first], clips[pair.second]],
        "sface": round(pair.cosine, 3),
        "dlib": round(pair.distance, 3),
    }
    return row if voice is None else {**row, "voice": round(voice, 3)}
