"""Faces on the frames that are looked at → tracks: the same face from look to look.

Linking is greedy: the pair of face and track that overlap most is linked first. A track survives
short gaps and jumps, but not a cut between shots: another face may then be in the same place. What
tells is the face itself, not the picture around it, for that moves wherever a camera follows a
face. Aligned faces whose patches look alike are one (cheap); others are asked of
a recogniser, which compares the face with the look before and with one that was sure, so that
neither a dissolve of up to a second nor a blended frame leads from one person to the next.

Measured on 60 clips, looks 0.15 s apart: of the same face patches correlate by at least LIKE_PATCH
in 78 % (the others are asked), of different people in 0.1 %. See benchmarks/speaking_faces.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from speech2face.face_detection import DetectedFace, FaceDetector, box_overlap
from speech2face.face_encoders import TEMPLATES, FaceEncoder, align_face
from speech2face.preparation import Refused
from speech2face.preparation.video import Frame

STAGE = "track"

LOOK_STEP = 0.15  # s between the frames looked at: 6 a second at 24, 25 and 30 frames a second
DETECTION_SIDE = 640  # px: frames are scaled down to it for the detector
MOST_FACES = 8  # of a frame, the largest
LONGEST_GAP = 0.7  # s for which a track may be lost
LEAST_OVERLAP = 0.25  # of two boxes, intersection by union, from which the place says nothing else
FARTHEST_JUMP = 2.0  # face widths between two looks, where boxes overlap less
LARGEST_GROWTH = 1.6  # of the width, from look to look
SHORTEST_TRACK = 0.5  # s
CROP = 112  # px of the aligned face
PATCH = 32  # px of its small grey copy
LIKE_PATCH = 0.9  # correlation of two patches from which they show one face
LIKE_FACE = 0.45  # mean cosine of a face with the look before it and with the last sure one
LIKE_SURE = 0.3  # cosine with the last sure look alone
SURE_STEP = 1.0  # s after which a face is compared with the last sure one
STILL = 6.0  # greatest difference of all looks, grey levels, below which it is a photograph:
# of encoded ones it is up to 2.3, of GRID's clips at least 60
THUMBNAIL = (64, 36)


@dataclass(frozen=True)
class Look:
    """The faces found on one frame."""

    seconds: float
    faces: list[DetectedFace]  # the largest first, at most MOST_FACES, in pixels of the frame
    crops: list[np.ndarray]  # of each, aligned: uint8 (112, 112, 3)
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
        """Landmarks (5, 2) at a time, by straight lines between the looks."""
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
    faces = detector.detect(small, DETECTION_SIDE)[:MOST_FACES]
    crops = [align_face(small, face.landmarks, "arcface", CROP) for face in faces]
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    thumbnail = cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA)
    faces = [face.moved(back, np.zeros(2)) for face in faces]
    return Look(frame.seconds, faces, crops, (width, height), thumbnail)


def check_moving(thumbnails: Sequence[np.ndarray]) -> None:
    """Refuses a photograph shown as a video, from the thumbnails of its looks."""
    if len(thumbnails) == 1:
        raise Refused(STAGE, "a single picture, not a video")
    if np.ptp(np.stack(thumbnails), axis=0).max() < STILL:
        raise Refused(STAGE, "a photograph: nothing moves")


class Linker:
    """Links the faces of looks that come one after the other; no picture is kept for long.

    `encoder` is a recogniser, asked where patches leave a doubt.
    """

    def __init__(self, encoder: FaceEncoder) -> None:
        self._encoder = encoder
        self._running: list[_Trace] = []
        self._finished: list[_Trace] = []

    def add(self, now: Look) -> None:
        sights = [
            _Sight(now.seconds, face, crop, self._encoder)
            for face, crop in zip(now.faces, now.crops, strict=True)
        ]
        traces, self._running = self._running, []
        for trace in traces:
            lost = now.seconds - trace.last.seconds > LONGEST_GAP
            (self._finished if lost else self._running).append(trace)
        for trace, sight in _pair(self._running, sights):
            if trace is None:
                self._running.append(_Trace(sight))
            else:
                trace.add(sight)

    def tracks(self) -> list[Track]:
        """Tracks of at least SHORTEST_TRACK, the largest faces first. Refused where none is."""
        traces = self._finished + self._running
        if not traces:
            raise Refused(STAGE, "no face")
        tracks = [
            Track(
                np.array([seconds for seconds, _ in trace.seen]),
                np.stack([face.landmarks for _, face in trace.seen]),
                np.array([face.box for _, face in trace.seen]),
            )
            for trace in traces
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
    nearby = []
    for track in tracks:
        x, y, width, height = track.boxes[0]
        if np.hypot(*(np.array([x + width / 2, y + height / 2]) - point)) <= width:
            nearby.append(track)
    if not nearby:
        raise Refused(STAGE, f"no face near the place given ({centre[0]:.2f}, {centre[1]:.2f})")
    return nearby


class _Sight:
    """One face on one look; its embedding is made when it is asked for."""

    def __init__(
        self, seconds: float, face: DetectedFace, crop: np.ndarray, encoder: FaceEncoder
    ) -> None:
        self.seconds, self.face = seconds, face
        self._crop, self._encoder = crop, encoder
        self._embedding: np.ndarray | None = None
        self.patch = _patch(crop)

    def cosine(self, other: _Sight) -> float:
        return float(self.embedding() @ other.embedding())

    def embedding(self) -> np.ndarray:
        """(D,), of length 1."""
        if self._embedding is None:
            embedding = self._encoder.embed(self._crop, TEMPLATES["arcface"] * CROP)
            self._embedding = embedding / max(float(np.linalg.norm(embedding)), 1e-9)
        return self._embedding


@dataclass
class _Trace:
    """A track that is being made."""

    first: _Sight
    seen: list[tuple[float, DetectedFace]] = field(init=False)

    def __post_init__(self) -> None:
        self.sure = self.last = self.first
        self.seen = [(self.first.seconds, self.first.face)]

    def add(self, sight: _Sight) -> None:
        self.last = sight
        self.seen.append((sight.seconds, sight.face))

    def goes_on(self, sight: _Sight, jumps: bool) -> bool:
        """True if a face where the track may go on is its own."""
        alike = float((self.last.patch * sight.patch).sum()) >= LIKE_PATCH
        if alike and not jumps:
            if sight.seconds - self.sure.seconds < SURE_STEP:
                return True
            still = float((self.sure.patch * sight.patch).sum()) >= LIKE_PATCH
            if not still and self.sure.cosine(sight) < LIKE_SURE:
                return False
            self.sure = sight
            return True
        return (self.last.cosine(sight) + self.sure.cosine(sight)) / 2 >= LIKE_FACE


def _patch(crop: np.ndarray) -> np.ndarray:
    """A small grey copy of an aligned face, of mean 0 and length 1: light changes do not count."""
    import cv2

    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (PATCH, PATCH), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-9)


def _pair(traces: Sequence[_Trace], sights: Sequence[_Sight]) -> list[tuple[_Trace | None, _Sight]]:
    """Pair each face with the track that it continues, None where it begins one."""
    places = sorted(
        (
            (-box_overlap(trace.last.face, sight.face), _jump(trace.last.face, sight.face), i, k)
            for i, trace in enumerate(traces)
            for k, sight in enumerate(sights)
        ),
    )
    chosen: dict[int, int] = {}
    for overlap, jump, i, k in places:
        if k in chosen or i in chosen.values() or jump > FARTHEST_JUMP:
            continue
        if traces[i].goes_on(sights[k], -overlap < LEAST_OVERLAP):
            chosen[k] = i
    return [(traces[chosen[k]] if k in chosen else None, one) for k, one in enumerate(sights)]


def _jump(a: DetectedFace, b: DetectedFace) -> float:
    """Distance of two faces, in widths of the wider; infinite where one is far larger."""
    ax, ay, aw, ah = a.box
    bx, by, bw, bh = b.box
    if max(aw, bw) > LARGEST_GROWTH * min(aw, bw):
        return np.inf
    return float(np.hypot(ax + aw / 2 - bx - bw / 2, ay + ah / 2 - by - bh / 2)) / max(aw, bw)
