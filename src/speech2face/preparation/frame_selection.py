"""Selects the frame of a track that shows its face best: frontal, open-eyed and sharp.

Each frame gets marks between 0 and 1, whose product decides, so that a frame bad in one is
not saved by the others:

frontal      1 at yaw 0, 0 at MAX_YAW (see `yaw_of`)
open_eyed    the eyes' opening by what is usual for this face: its 75th percentile
sharp        the root of the variance of the Laplacian, by the sharpest frame of the track
whole        the share of the picture that lies inside the frame

Of a frame that is tight around the face, the aligned picture shows more than there is: that is
black, never smeared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.data.face_unwarping import MAX_YAW, yaw_of
from speech2face.face_encoders import TEMPLATES, fit_similarity, warp_face
from speech2face.preparation import Refused
from speech2face.preparation.video import Frame

STAGE = "choose"

SIZE = 224  # px, of the aligned face
GRID = 32  # places of it, across and down, that are looked for on the frame
SHARPNESS_SIZE = 112  # px, at which sharpness is measured: finer is the camera's, not the focus'
MIDDLE = np.s_[28:90, 28:84]  # of that: eyes to chin, without background
LEAST_FACE_PIXELS = 20.0  # distance of the eyes; the aligned face's is 58
LEAST_SHARPNESS = 8.0  # grey levels squared; GRID's are 280 to 500, blurred by 4 px 10
MOST_FRAMES = 5  # that a mean embedding is of
GOOD = 0.6  # of the best view's mark, from which a view is one of them
APART = 0.25  # s between two of them
LEAST_OPEN = 0.12  # of the eyes: GRID's are 0.26 to 0.30 open, a blink is below 0.1

# Corner, corner, then two pairs of upper and lower lid: of the eye on the left and on the right.
EYES = ((33, 133, 160, 144, 158, 153), (362, 263, 385, 380, 387, 373))


@dataclass(frozen=True)
class View:
    """One face on one frame."""

    seconds: float  # in the file
    face: np.ndarray  # uint8 (224, 224, 3) RGB, on the canvas template; black outside the frame
    landmarks: np.ndarray  # (5, 2) in pixels of `face`
    yaw: float
    eyes_open: float  # opening by width, mean of both eyes
    sharpness: float
    face_pixels: float  # distance of the eyes on the frame
    inside: float  # share of the picture that lies inside the frame


@dataclass(frozen=True)
class Marks:
    """Marks of a frame, each in [0, 1], by which it is chosen or not."""

    frontal: float
    open_eyed: float
    sharp: float
    whole: float

    @property
    def total(self) -> float:
        return self.frontal * self.open_eyed * self.sharp * self.whole


def measure_view(frame: Frame, landmarks: np.ndarray, mesh: np.ndarray | None) -> View:
    """Align the face at `landmarks` (5, 2) and measure it; mesh (468, 2); all in frame pixels.

    Without a mesh, of a profile say, yaw and eyes are NaN.
    """
    matrix = fit_similarity(landmarks, TEMPLATES["canvas"] * SIZE)
    face = warp_face(frame.image, matrix, SIZE, outside=0)
    inside = _measure_inside(matrix, frame.image.shape[1::-1])
    # The edge of what is black is sharper than any face.
    whole = face if inside == 1 else warp_face(frame.image, matrix, SIZE)
    return View(
        seconds=frame.seconds,
        face=face,
        landmarks=(landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32),
        yaw=math.nan if mesh is None else yaw_of(mesh),
        eyes_open=math.nan if mesh is None else measure_eyes(mesh),
        sharpness=measure_inner_sharpness(whole),
        face_pixels=float(np.hypot(*(landmarks[1] - landmarks[0]))),
        inside=inside,
    )


def _measure_inside(matrix: np.ndarray, size: tuple[int, ...]) -> float:
    """The share of an aligned picture that lies inside a frame of a size (width, height).

    `matrix` (2, 3) takes the frame to the picture.
    """
    steps = (np.arange(GRID) + 0.5) / GRID * SIZE
    places = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) - matrix[:, 2]
    places = places @ np.linalg.inv(matrix[:, :2]).T
    return float(((places >= 0) & (places <= np.array(size) - 1)).all(1).mean())


def measure_eyes(mesh: np.ndarray) -> float:
    """Opening of the lids by the width of the eye, mean of both eyes (Soukupová & Čech, 2016)."""
    ratios = []
    for corner, other, *lids in EYES:
        above, below = mesh[lids[::2]], mesh[lids[1::2]]
        gap = np.hypot(*(above - below).T).mean()
        ratios.append(gap / np.hypot(*(mesh[corner] - mesh[other])))
    return float(np.mean(ratios))


def measure_inner_sharpness(face: np.ndarray) -> float:
    """Variance of the Laplacian between eyes and chin at 112 px, of an aligned face (S, S, 3)."""
    import cv2

    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SHARPNESS_SIZE, SHARPNESS_SIZE), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small.astype(np.float32), cv2.CV_32F)[MIDDLE].var())


def mark_views(views: Sequence[View]) -> list[Marks]:
    """The marks of each view of one track."""
    usual = max(float(np.percentile([view.eyes_open for view in views], 75)), 1e-6)
    sharpest = max(*(view.sharpness for view in views), 1e-6)
    return [
        Marks(
            frontal=max(1 - abs(view.yaw) / MAX_YAW, 0.0),
            open_eyed=min(view.eyes_open / usual, 1.0),
            sharp=float(np.sqrt(view.sharpness / sharpest)),
            whole=view.inside,
        )
        for view in views
    ]


def choose_good(views: Sequence[View], best: View) -> list[View]:
    """Up to MOST_FRAMES views of a track for its mean: the best, then the next best elsewhere."""
    marks = [mark.total for mark in mark_views(views)]
    least = GOOD * max(marks)
    order = sorted(range(len(views)), key=lambda number: -marks[number])
    chosen = [best]
    for view in (views[number] for number in order if marks[number] >= least):
        if len(chosen) == MOST_FRAMES:
            break
        if min(abs(view.seconds - other.seconds) for other in chosen) >= APART:
            chosen.append(view)
    return chosen


def choose_view(views: Sequence[View]) -> View:
    """The best view of a track. Refused where even that is small, turned, blurred or blinks."""
    if not views:
        raise Refused(STAGE, "the face is seen on no frame that was looked at")
    marks = mark_views(views)
    best = max(range(len(views)), key=lambda number: marks[number].total)
    view, mark = views[best], marks[best]
    if view.face_pixels < LEAST_FACE_PIXELS:
        raise Refused(STAGE, f"the face is small: {view.face_pixels:.0f} px between the eyes")
    if mark.frontal == 0:
        raise Refused(STAGE, f"the face is turned away: yaw {view.yaw:+.2f} at best")
    if view.sharpness < LEAST_SHARPNESS:
        raise Refused(STAGE, f"the face is blurred: sharpness {view.sharpness:.0f}")
    if view.eyes_open < LEAST_OPEN:
        raise Refused(STAGE, f"the eyes are shut: {view.eyes_open:.2f} open at best")
    return view
