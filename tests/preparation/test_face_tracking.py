"""Linking of faces from look to look, without any detector."""

from __future__ import annotations

import numpy as np
import pytest

from speech2face.face_detection import DetectedFace
from speech2face.preparation import Refused
from speech2face.preparation.face_tracking import CROP, Linker, Look, Track, check_moving, near

SIZE = (400, 200)
STEP = 0.15


class Recogniser:
    """Knows people by the picture's first pixel, else by the whole of it."""

    name, size = "made up", CROP**2

    def embed(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        if number := int(image[0, 0, 0]):
            return np.eye(1, self.size, number, dtype=np.float32)[0]
        grey = image[..., 1].astype(np.float32).ravel()
        return grey - grey.mean()


def person(number: int, look: int = 0) -> np.ndarray:
    """What is seen of a person: another texture for each look of one face, the same first pixel."""
    coarse = np.random.default_rng([number, look]).integers(40, 216, (14, 14, 3))
    picture = coarse.repeat(8, 0).repeat(8, 1).astype(np.uint8)
    picture[0, 0] = number
    return picture


def face(x: float, y: float = 50, width: float = 60) -> DetectedFace:
    five = np.array([[20, 20], [40, 20], [30, 30], [22, 40], [38, 40]], np.float32)
    return DetectedFace((x, y, width, width), five * width / 60 + np.float32([x, y]), 0.9)


def see(place: int, faces: list[DetectedFace], crops: list[np.ndarray], level: float = 0) -> Look:
    grey = np.full((36, 64), level, np.float32)
    return Look(STEP * place, faces, crops, SIZE, grey)


def link(*rows: list[DetectedFace]) -> list[Track]:
    """Tracks of faces that always look the same, the first of each row as person 1, and so on."""
    looks = (see(i, row, [person(1 + k) for k in range(len(row))]) for i, row in enumerate(rows))
    return track(*looks)


def follow(*crops: np.ndarray | None) -> list[Track]:
    """Tracks of one face at a time in one place, before another picture each time."""
    return track(
        *(
            see(i, [] if crop is None else [face(50)], [] if crop is None else [crop], 60 * (i % 4))
            for i, crop in enumerate(crops)
        )
    )


def track(*looks: Look) -> list[Track]:
    linker = Linker(Recogniser())
    for one in looks:
        linker.add(one)
    return linker.tracks()


def test_two_faces_are_two_tracks_the_larger_first():
    rows = [[face(20 + 3 * i), face(250 - 3 * i, width=90)] for i in range(8)]
    large, small = link(*rows)
    np.testing.assert_allclose(small.boxes[:, 0], 20 + 3 * np.arange(8))
    np.testing.assert_allclose(large.boxes[:, 0], 250 - 3 * np.arange(8))
    assert (large.start, large.end) == pytest.approx((0, 1.05))


def test_landmarks_between_looks_lie_on_a_line():
    (found,) = link(*[[face(10 * i)] for i in range(6)])
    np.testing.assert_allclose(found.landmarks_at(0.375), face(25).landmarks, atol=1e-4)


def test_a_short_gap_is_bridged_and_a_long_one_is_not():
    there, gone = [[face(50)]] * 6, [[]]
    assert len(link(*there, *gone * 3, *there)) == 1
    assert len(link(*there, *gone * 6, *there)) == 2


def test_a_face_goes_on_before_a_picture_that_moves():
    (found,) = follow(*[person(1)] * 12)
    assert found.end == pytest.approx(11 * STEP)


def test_a_face_that_turns_goes_on():
    (found,) = follow(*[person(1, look) for look in range(12)])
    assert len(found.times) == 12


def test_another_face_in_the_same_place_is_another_track():
    first, second = follow(*[person(1)] * 6, *[person(2)] * 8)
    assert {len(first.times), len(second.times)} == {6, 8}


@pytest.mark.parametrize("gap", [0, 2])
def test_nor_is_it_joined_over_a_gap(gap):
    assert len(follow(*[person(1)] * 6, *[None] * gap, *[person(2)] * 6)) == 2


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_a_dissolve_leads_to_no_other_face(steps):
    before, after = (person(n).astype(float) for n in (1, 2))
    before[0, 0] = after[0, 0] = 0  # known by the whole picture
    shares = np.arange(1, steps + 1) / (steps + 1)
    blends = [((1 - share) * before + share * after).astype(np.uint8) for share in shares]
    ends = [picture.astype(np.uint8) for picture in (before, after)]
    found = follow(*[ends[0]] * 8, *blends, *[ends[1]] * 9)
    assert not any(one.start < STEP and one.end > (steps + 15) * STEP for one in found)


def test_a_flash_or_a_change_of_light_ends_no_track():
    bright = np.minimum(person(1).astype(int) + 40, 255).astype(np.uint8)
    (found,) = follow(*[person(1)] * 6, person(9), *[bright] * 6)
    assert (len(found.times), found.end) == (12, pytest.approx(12 * STEP))


@pytest.mark.parametrize(("to", "tracks"), [(140, 1), (300, 2)])
def test_a_face_may_jump_so_far(to, tracks):
    assert len(link(*[[face(50)]] * 5, *[[face(to)]] * 5)) == tracks


def test_another_face_at_which_one_could_have_jumped_is_another():
    rows = [see(i, [face(50)], [person(1)]) for i in range(5)]
    rows += [see(i, [face(140)], [person(2)]) for i in range(5, 10)]
    assert len(track(*rows)) == 2


@pytest.mark.parametrize(
    ("rows", "reason"), [([[]] * 5, "no face"), ([[face(9)], [face(9)]], "no face stays")]
)
def test_nobody_is_refused(rows, reason):
    with pytest.raises(Refused, match=reason):
        link(*rows)


def test_the_track_at_a_place_is_found():
    tracks = link(*[[face(20), face(250)]] * 8)
    (found,) = near(tracks, (0.7, 0.4), SIZE)
    assert found.boxes[0, 0] == 250
    with pytest.raises(Refused, match="no face near"):
        near(tracks, (0.45, 0.9), SIZE)


def test_a_photograph_does_not_move():
    still = [np.zeros((36, 64), np.float32)] * 5
    with pytest.raises(Refused, match="a photograph"):
        check_moving(still)
    with pytest.raises(Refused, match="a single picture"):
        check_moving(still[:1])
    moved = still[0].copy()
    moved[20, 30] += 9
    check_moving([*still, moved])
