"""Faces on the frames that are looked at → tracks: the same face from look to look.

Linking is greedy: the pair of face and track that overlap most is linked first. A track survives
short gaps, but not a cut between shots: another face may then be in the same place.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.face_detection import Face, FaceDetector, box_overlap
from speech2face.preparation import Refused
from speech2face.preparation.decoding import Frame

STAGE = "track"

LOOK_STEP = 0.15  # s between the frames looked at: 6 a second at 24, 25 and 30 frames a second
DETECTION_SIDE = 640  # px: frames are scaled down to it for the detector
MOST_FACES = 8  # of a frame, the largest
LONGEST_GAP = 0.7  # s for which a track may be lost
LEAST_OVERLAP = 0.25  # of two boxes: intersection by union
SHORTEST_TRACK = 0.5  # s
CUT = 10.0  # mean difference of two looks, grey levels, above which they are two shots: within
# GRID's clips it is up to 2.3, between two of them, all before one blue wall, at least 10.8
STILL = 6.0  # greatest difference of all looks, grey levels, below which it is a photograph:
# of encoded ones it is up to 2.3, of GRID's clips at least 60
THUMBNAIL = (64, 36)


@dataclass(frozen=True)
class Look:
    """What was seen on one frame."""

    seconds: float
    faces: list[Face]  # the largest first, at most MOST_FACES, in pixels of the frame
    size: tuple[int, int]  # width and height of the frame
    thumbnail: np.ndarray  # float32 (36, 64), grey levels


@dataclass(frozen=True)
class Track:
    """One face over time."""

    times: np.ndarray  # (T,) s in the file, growing
    landmarks: np.ndarray  # (T, 5, 2) pixels of the frame
    boxes: np.ndarray  # (T, 4) x, y, width, height, pixels of the frame

    @property
    def start(self) -> float:
        return float(self.times[0])

    @property
    def end(self) -> float:
        return float(self.times[-1])

    @property
    def area(self) -> float:
        """The median of its boxes, square pixels."""
        return float(np.median(self.boxes[:, 2] * self.boxes[:, 3]))

    def landmarks_at(self, seconds: float) -> np.ndarray:
        """(5, 2), between the looks by straight lines."""
        flat = self.landmarks.reshape(len(self.times), 10)
        points = [np.interp(seconds, self.times, column) for column in flat.T]
        return np.array(points, np.float32).reshape(5, 2)


def look(frame: Frame, detector: FaceDetector) -> Look:
    """Detect the faces of a frame."""
    import cv2

    height, width = frame.image.shape[:2]
    scale = min(1.0, DETECTION_SIDE / max(width, height))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    back = np.array([width / size[0], height / size[1]], np.float32)
    faces = [
        face.moved(back, np.zeros(2))
        for face in detector.detect(small, DETECTION_SIDE)[:MOST_FACES]
    ]
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    thumbnail = cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA)
    return Look(frame.seconds, faces, (width, height), thumbnail)


def check_moving(looks: Sequence[Look]) -> None:
    """Refuses a photograph shown as a video."""
    if len(looks) == 1:
        raise Refused(STAGE, "a single picture, not a video")
    thumbnails = np.stack([one.thumbnail for one in looks])
    if np.ptp(thumbnails, axis=0).max() < STILL:
        raise Refused(STAGE, "a photograph: nothing moves")


def link_faces(looks: Sequence[Look]) -> list[Track]:
    """The tracks of at least SHORTEST_TRACK, the largest faces first. Refused where none is."""
    running: list[list[tuple[float, Face]]] = []
    finished: list[list[tuple[float, Face]]] = []
    for before, now in itertools.pairwise([None, *looks]):
        assert now
        cut = before is not None and np.abs(before.thumbnail - now.thumbnail).mean() > CUT
        lost = [t for t in running if cut or now.seconds - t[-1][0] > LONGEST_GAP]
        finished += lost
        running = [track for track in running if not any(track is other for other in lost)]
        for number, face in _pair([track[-1][1] for track in running], now.faces):
            if number is None:
                running.append([(now.seconds, face)])
            else:
                running[number].append((now.seconds, face))
    if not finished and not running:
        raise Refused(STAGE, "no face")
    tracks = [
        Track(
            np.array([seconds for seconds, _ in track]),
            np.stack([face.landmarks for _, face in track]),
            np.array([face.box for _, face in track]),
        )
        for track in finished + running
    ]
    long = [track for track in tracks if track.end - track.start >= SHORTEST_TRACK]
    if not long:
        raise Refused(STAGE, f"no face stays for {SHORTEST_TRACK:g} s")
    return sorted(long, key=lambda track: -track.area)


def near(
    tracks: Sequence[Track], centre: tuple[float, float], size: tuple[int, int]
) -> list[Track]:
    """The tracks that begin within a face's width of a point, fractions (x, y) of the frame.

    AVSpeech gives the middle of the speaker's face at the beginning of a clip. Refused where no
    face is there.
    """
    point = np.array(centre) * size
    found = []
    for track in tracks:
        x, y, width, height = track.boxes[0]
        if np.hypot(*(np.array([x + width / 2, y + height / 2]) - point)) <= width:
            found.append(track)
    if not found:
        raise Refused(STAGE, f"no face near the place given ({centre[0]:.2f}, {centre[1]:.2f})")
    return found


def _pair(tracks: Sequence[Face], faces: Sequence[Face]) -> list[tuple[int | None, Face]]:
    """For each face the number of the track it goes on with, None where it begins one."""
    overlaps = sorted(
        ((box_overlap(a, b), i, k) for i, a in enumerate(tracks) for k, b in enumerate(faces)),
        reverse=True,
    )
    chosen: dict[int, int] = {}
    for overlap, track, face in overlaps:
        if overlap >= LEAST_OVERLAP and face not in chosen and track not in chosen.values():
            chosen[face] = track
    return [(chosen.get(number), face) for number, face in enumerate(faces)]
