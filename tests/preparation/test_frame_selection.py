"""Which view of a face is taken, and why."""

from __future__ import annotations

from dataclasses import astuple, replace

import cv2
import numpy as np
import pytest

from helpers.drawn_faces import draw_faces
from speech2face.face_detection import FaceDetector
from speech2face.face_encoders import TEMPLATES, FaceMesh
from speech2face.preparation import Refused
from speech2face.preparation.frame_selection import (
    APART,
    MOST_FRAMES,
    SIZE,
    View,
    choose_good,
    choose_view,
    mark_views,
    measure_inner_sharpness,
    measure_view,
)
from speech2face.preparation.video import Frame

GOOD = View(
    seconds=0.0,
    face=np.zeros((SIZE, SIZE, 3), np.uint8),
    landmarks=TEMPLATES["canvas"] * SIZE,
    yaw=0.02,
    eyes_open=0.3,
    sharpness=300,
    face_pixels=60,
    inside=1.0,
)


@pytest.mark.parametrize(
    "flaw", [{"yaw": -0.3}, {"eyes_open": 0.1}, {"sharpness": 30.0}, {"inside": 0.2}]
)
def test_one_flaw_is_enough_to_be_passed_over(flaw):
    flawed = [replace(GOOD, seconds=1.0 + i, **flaw) for i in range(2)]
    assert choose_view([flawed[0], GOOD, replace(GOOD, sharpness=290), flawed[1]]) is GOOD


def test_marks_lie_between_0_and_1():
    turned = replace(GOOD, yaw=0.9, eyes_open=0.5, sharpness=0.0)
    for marks in mark_views([GOOD, turned, GOOD, GOOD]):
        assert all(0 <= mark <= 1 for mark in astuple(marks))
    assert mark_views([GOOD, turned])[1].total == 0


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"face_pixels": 9.0}, "small: 9 px"),
        ({"yaw": 0.5}, "turned away: yaw [+]0.50"),
        ({"sharpness": 3.0}, "blurred"),
        ({"eyes_open": 0.05}, "shut"),
    ],
)
def test_where_no_view_is_good_none_is_taken(flaw, reason):
    with pytest.raises(Refused, match=reason):
        choose_view([replace(GOOD, **flaw)] * 3)


def test_a_track_without_views_is_refused():
    with pytest.raises(Refused, match="seen on no frame"):
        choose_view([])


def test_a_drawn_face_is_measured_where_it_lies():
    canvas = np.full((480, 640, 3), 255, np.uint8)
    canvas[100:436, 200:536] = cv2.resize(draw_faces(1)[0], (336, 336))
    face = FaceDetector().detect(canvas)[0]
    mesh = FaceMesh().landmarks(canvas, face.landmarks)
    assert mesh is not None
    view = measure_view(Frame(7.0, canvas), face.landmarks, mesh)
    assert view.seconds == 7
    assert abs(view.yaw) < 0.15
    assert 0.15 < view.eyes_open < 0.4
    assert view.face_pixels == pytest.approx(1.5 * 58, rel=0.1)
    assert np.abs(view.landmarks - TEMPLATES["canvas"] * SIZE).max() < 8
    assert np.abs(view.face.astype(int) - draw_faces(1)[0]).mean() < 16


def test_blur_takes_sharpness_away():
    face = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    blurred = [np.asarray(cv2.GaussianBlur(face, (0, 0), sigma)) for sigma in (1, 2, 4)]
    sharpness = [measure_inner_sharpness(picture) for picture in (face, *blurred)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[-1] < sharpness[0] / 10


@pytest.mark.parametrize(
    "cut", [np.s_[20:, :], np.s_[:, 40:], np.s_[:190, 30:200], np.s_[25:, :185]], ids=str
)
def test_a_tight_frame_is_black_outside_and_nowhere_smeared(cut):
    image = cv2.resize(draw_faces(1)[0], (224, 224))
    face = FaceDetector().largest(image)
    assert face is not None
    whole = measure_view(Frame(0.0, image), face.landmarks, None)
    corner = np.array([cut[1].start or 0, cut[0].start or 0], np.float32)
    tight = measure_view(Frame(0.0, image[cut]), face.landmarks - corner, None)
    black = np.zeros_like(image)
    black[cut] = image[cut]
    expected = measure_view(Frame(0.0, black), face.landmarks, None).face.astype(int)
    differs = np.abs(tight.face.astype(int) - expected).max(2) > 3
    assert differs.mean() < 0.02  # but for the line between
    shown = image[cut].shape[0] * image[cut].shape[1] / image.shape[0] / image.shape[1]
    assert tight.inside == pytest.approx(whole.inside * shown, abs=0.06)  # the mesh moves a little
    assert tight.sharpness == pytest.approx(whole.sharpness, rel=0.1)


def test_the_mean_is_of_good_views_that_lie_apart():
    views = [replace(GOOD, seconds=0.15 * number) for number in range(30)]
    views[4:8] = [replace(view, yaw=0.3) for view in views[4:8]]
    best = replace(GOOD, seconds=2.0, sharpness=310)
    chosen = choose_good([*views, best], best)
    assert chosen[0] is best
    assert len(chosen) == MOST_FRAMES
    times = sorted(view.seconds for view in chosen)
    assert np.diff(times).min() >= APART
    assert all(abs(view.yaw) < 0.1 for view in chosen)
    assert choose_good([best], best) == [best]
