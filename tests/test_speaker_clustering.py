"""Average linkage, against sums by hand, and people out of embeddings."""

from __future__ import annotations

import numpy as np

from speech2face.speaker_clustering import OTHER_CHANNEL, find_people, group, sound_like_one


def test_groups_join_by_their_mean_cosine() -> None:
    cosines = np.array(
        [
            [1.0, 0.9, 0.5, 0.0],
            [0.9, 1.0, 0.2, 0.0],
            [0.5, 0.2, 1.0, 0.1],
            [0.0, 0.0, 0.1, 1.0],
        ]
    )
    assert group(cosines, 0.95).tolist() == [0, 1, 2, 3]
    assert group(cosines, 0.36).tolist() == [0, 0, 1, 2]  # (0.5 + 0.2) / 2 is less
    assert group(cosines, 0.34).tolist() == [0, 0, 0, 1]
    assert group(cosines, 0.04).tolist() == [0, 0, 0, 1]  # (0 + 0 + 0.1) / 3 is less
    assert group(cosines, 0.03).tolist() == [0, 0, 0, 0]


def voices(*counts: int, spread: float = 0.06) -> np.ndarray:
    """So many embeddings of each of several people, (n, 192)."""
    random = np.random.default_rng(0)
    centres = np.linalg.qr(random.normal(size=(192, len(counts))))[0].T
    features = np.repeat(centres, counts, axis=0) + random.normal(0, spread, (sum(counts), 192))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def test_people_are_found_and_a_single_window_is_none() -> None:
    assert len(find_people(voices(8, 5, 3))) == 3
    assert len(find_people(voices(8, 1, 3))) == 2
    assert len(find_people(voices(1))) == 1


def test_one_person_is_seen_at_once_where_there_is_no_doubt() -> None:
    assert sound_like_one(voices(6))
    assert not sound_like_one(voices(20, 1))
    assert not sound_like_one(voices(3, 3, spread=0.01))
    assert not sound_like_one(voices(6, spread=0.095))  # alike, but not surely
    assert not sound_like_one(voices(1))


def test_a_channel_each_makes_voices_less_alike() -> None:
    features = voices(6, spread=0.075)
    cosines = (features @ features.T)[np.triu_indices(6, 1)]
    assert 0.33 < cosines.mean() < 0.33 + OTHER_CHANNEL
    assert len(find_people(features)) == 1
    assert len(find_people(features, np.array([0, 0, 0, 1, 1, 1]))) == 2
    near = voices(6, spread=0.02)
    assert len(find_people(near, np.array([0, 0, 0, 1, 1, 1]))) == 1
