"""Linking of faces from look to look, without any detector."""

from __future__ import annotations

import numpy as np
import pytest

from speech2face.face_detection import Face
from speech2face.preparation import Refused
from speech2face.preparation.tracks import Look, check_moving, link_faces, near

SIZE = (400, 200)


def face(x: float, y: float = 50, width: float = 60) -> Face:
    five = np.array([[20, 20], [40, 20], [30, 30], [22, 40], [38, 40]], np.float32)
    return Face((x, y, width, width), five * width / 60 + np.float32([x, y]), 0.9)


def looks(*rows: list[Face], step: float = 0.15, level: float = 0) -> list[Look]:
    grey = np.full((36, 64), level, np.float32)
    return [Look(step * i, row, SIZE, grey) for i, row in enumerate(rows)]


def test_two_faces_are_two_tracks_the_larger_first():
    rows = [[face(20 + 3 * i), face(250 - 3 * i, width=90)] for i in range(8)]
    large, small = link_faces(looks(*rows))
    np.testing.assert_allclose(small.boxes[:, 0], 20 + 3 * np.arange(8))
    np.testing.assert_allclose(large.boxes[:, 0], 250 - 3 * np.arange(8))
    assert (large.start, large.end) == pytest.approx((0, 1.05))


def test_landmarks_between_looks_lie_on_a_line():
    (track,) = link_faces(looks(*[[face(10 * i)] for i in range(6)]))
    np.testing.assert_allclose(track.landmarks_at(0.375), face(25).landmarks, atol=1e-4)


def test_a_short_gap_is_bridged_and_a_long_one_is_not():
    there, gone = [[face(50)]] * 6, [[]]
    assert len(link_faces(looks(*there, *gone * 3, *there))) == 1
    assert len(link_faces(looks(*there, *gone * 6, *there))) == 2


def test_a_cut_ends_all_tracks():
    first, second = looks(*[[face(50)]] * 6), looks(*[[face(50)]] * 6, level=90)
    later = [Look(one.seconds + 0.9, one.faces, SIZE, one.thumbnail) for one in second]
    assert len(link_faces(first + later)) == 2


def test_a_face_that_jumps_is_another_one():
    assert len(link_faces(looks(*[[face(50)]] * 5, *[[face(200)]] * 5))) == 2


@pytest.mark.parametrize(
    ("rows", "reason"), [([[]] * 5, "no face"), ([[face(9)], [face(9)]], "no face stays")]
)
def test_nobody_is_refused(rows, reason):
    with pytest.raises(Refused, match=reason):
        link_faces(looks(*rows))


def test_the_track_at_a_place_is_found():
    tracks = link_faces(looks(*[[face(20), face(250)]] * 8))
    (found,) = near(tracks, (0.7, 0.4), SIZE)
    assert found.boxes[0, 0] == 250
    with pytest.raises(Refused, match="no face near"):
        near(tracks, (0.45, 0.9), SIZE)


def test_a_photograph_does_not_move():
    still = looks(*[[face(50)]] * 5)
    with pytest.raises(Refused, match="a photograph"):
        check_moving(still)
    with pytest.raises(Refused, match="a single picture"):
        check_moving(still[:1])
    moved = still[0].thumbnail.copy()
    moved[20, 30] += 9
    check_moving([*still, Look(0.9, [], SIZE, moved)])
