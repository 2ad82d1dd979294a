"""Leaks: planted ones are found and told in a line, and strangers are left in peace."""

import numpy as np
import pytest

from speech2face.data import leaks
from speech2face.data.leaks import NearFaces, check_folds, check_split, find_near_duplicates
from speech2face.errors import UsageError

TRAIN, TEST = list("aabcd"), list("efgg")


def make_faces(count: int, seed: int) -> np.ndarray:
    """Embeddings (count, 128) about 0.8 apart, as dlib's are of strangers."""
    return np.random.default_rng(seed).normal(scale=0.05, size=(count, 128)).astype(np.float32)


@pytest.fixture
def split() -> dict[str, object]:
    return {
        "people_train": TRAIN,
        "people_test": TEST,
        "faces_train": make_faces(5, seed=0),
        "faces_test": make_faces(4, seed=1),
        "clips_train": [f"train{i}" for i in range(5)],
        "clips_test": [f"test{i}" for i in range(4)],
    }


def move(face: np.ndarray, distance: float) -> np.ndarray:
    step = np.random.default_rng(2).normal(size=face.shape)
    return face + distance * step / np.linalg.norm(step)


def test_a_clean_split_passes(split):
    check_split(**split)
    split["faces_train"][0] = np.nan  # no face was found there, nor here
    split["faces_test"][0] = np.nan
    check_split(**split)


def test_a_person_on_both_sides_is_refused(split):
    split["people_test"] = ["e", "c", "g", "c"]
    with pytest.raises(UsageError, match=r"^1 person stands on both sides .*") as error:
        check_split(**split)
    assert "(test1, test3)" in str(error.value)
    assert "\n" not in str(error.value)
    split["people_test"] = ["a", "b", "c", "d"]
    with pytest.raises(UsageError, match=r"^4 people stand .*\(test0, test1, test2 …\)"):
        check_split(**split)


def test_a_near_face_on_both_sides_is_refused(split):
    split["faces_test"][2] = move(split["faces_train"][3], 0.2)
    with pytest.raises(UsageError, match=r"^1 face stands .*\(train3 and test2 at 0\.20\)"):
        check_split(**split)
    split["faces_test"][2] = move(split["faces_train"][3], 0.4)  # as strangers may be
    check_split(**split)
    with pytest.raises(UsageError, match=r"nearer than 0.5"):
        check_split(**split, threshold=0.5)


def test_a_row_that_stands_twice_is_refused_as_a_person_and_by_another_name_as_a_face(split):
    split["faces_test"][0] = split["faces_train"][1]
    split["people_test"] = ["a", "f", "g", "g"]
    with pytest.raises(UsageError, match=r"1 person .*\(test0\)"):
        check_split(**split)
    split["people_test"] = TEST
    del split["clips_train"], split["clips_test"]
    with pytest.raises(UsageError, match="row 1 of the training side and row 0 of the test side"):
        check_split(**split)


def test_a_recogniser_of_which_nothing_is_known_needs_a_threshold(split):
    split["faces_test"][0] = split["faces_train"][1]
    check_split(**split, face_encoder="mine")
    with pytest.raises(UsageError, match="1 face stands"):
        check_split(**split, face_encoder="mine", threshold=0.1)


def test_near_faces_come_nearest_first_and_once_and_never_of_one_person(monkeypatch):
    monkeypatch.setattr(leaks, "BLOCK", 2)
    faces = make_faces(7, seed=0)
    faces[5] = move(faces[1], 0.3)
    faces[6] = move(faces[2], 0.1)
    faces[4] = faces[0]
    faces[3] = np.nan
    near = find_near_duplicates(faces, list("abcdaef"))
    assert [(n.first, n.second) for n in near] == [(2, 6), (1, 5)]
    np.testing.assert_allclose([n.distance for n in near], [0.1, 0.3], rtol=1e-5)
    near = find_near_duplicates(faces, list("abcdgef"))
    assert near[0] == NearFaces(0, 4, 0.0)
    assert find_near_duplicates(faces[:0], []) == []


def test_every_fold_is_checked_against_all_others():
    people, clips = [f"p{i}" for i in range(9)], [f"clip{i}" for i in range(9)]
    fold, faces = np.arange(9) % 3, make_faces(9, seed=0)
    check_folds(fold, people, faces, clips, "dlib")
    faces[8] = move(faces[1], 0.2)  # of folds 2 and 1
    with pytest.raises(UsageError, match=r"clip\d and clip\d at 0\.20"):
        check_folds(fold, people, faces, clips, "dlib")
    check_folds(fold, people, faces, clips, "mine")
    people[8] = "p1"
    with pytest.raises(UsageError, match="1 person stands on both sides"):
        check_folds(fold, people, faces, clips, "mine")
