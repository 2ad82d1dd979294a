"""Which names are one person's, by faces and voices made up."""

from __future__ import annotations

import numpy as np
import pytest

from speech2face.data.person_linking import NEARLY, SAME_VOICE, join_names
from speech2face.data.split_leaks import DOUBTFUL, SAME, IdentityEmbeddings

CLIPS = ["clip a", "clip b", "clip c"]
PEOPLE = ["a", "b", "c"]


def looks_alike(cosine: float) -> IdentityEmbeddings:
    """Of a, b and c: a and b with this cosine by SFace and no distance by dlib, c like nobody."""
    sface = np.zeros((3, 128), np.float32)
    sface[0, 0], sface[2, 2] = 1, 1
    sface[1, :2] = cosine, np.sqrt(1 - cosine**2)
    dlib = np.zeros((3, 128), np.float32)
    dlib[2, 0] = 2
    return IdentityEmbeddings(dlib, sface)


def voices(cosine: float, heard: list[int]):
    spoken = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)], [0, 1]])

    def embed(row: int) -> np.ndarray:
        heard.append(row)
        return spoken[row]

    return embed


@pytest.mark.parametrize(
    ("face", "voice", "same", "asked"),
    [
        (SAME + 0.02, 0.0, True, False),  # faces decide
        (SAME - 0.02, SAME_VOICE + 0.05, True, True),
        (SAME - 0.02, SAME_VOICE - 0.05, False, True),
        (NEARLY + 0.02, SAME_VOICE + 0.05, True, True),
        (NEARLY + 0.02, SAME_VOICE - 0.05, False, True),
        (NEARLY - 0.02, 1.0, False, False),  # voices alone do not
    ],
)
def test_voices_decide_where_faces_leave_a_doubt(face, voice, same, asked):
    heard: list[int] = []
    found = join_names(PEOPLE, CLIPS, looks_alike(face), voices(voice, heard))
    assert (found.names["b"] == "a") is same
    assert found.names["c"] == "c"
    assert sorted(heard) == ([0, 1] if asked else [])
    assert len(found.joined) == same
    assert len(found.doubtful) == (not same and face >= DOUBTFUL)
    for told in found.joined + found.doubtful:
        assert told["clips"] == CLIPS[:2]
        assert told["sface"] == pytest.approx(face, abs=1e-3)
        assert told.get("voice") == (pytest.approx(voice, abs=1e-3) if asked else None)


def test_without_voices_faces_alone_decide():
    assert join_names(PEOPLE, CLIPS, looks_alike(SAME - 0.02)).names["b"] == "b"
    assert join_names(PEOPLE, CLIPS, looks_alike(SAME + 0.02)).names["b"] == "a"
