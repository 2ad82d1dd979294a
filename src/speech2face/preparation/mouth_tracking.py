"""A mouth over time, as if its head were held still: where its lips are, and how it looks.

Each frame is brought onto one place by the points of the face that speech does not move (corners of
the eyes, brows, bridge and tip of the nose): what is left is the mouth's own movement.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from speech2face.face_encoders import fit_similarity, warp_face

# Points of the mesh that speech does not move, and where they are on an average face, in eye
# distances from the middle of the eyes: mean of 49 people.
STABLE = (
    *(33, 133, 362, 263, 168, 6, 197, 195, 5, 10, 151),
    *(9, 8, 127, 356, 70, 300, 105, 334, 98, 327),
)
OUTER_LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
INNER_LIPS = (
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
CHIN = (152, 148, 377, 176, 400, 199, 200)
MOUTH = OUTER_LIPS + INNER_LIPS + CHIN
UPPER, LOWER = MOUTH.index(13), MOUTH.index(14)  # the inner lips' middle
PATCH = 40  # px, of the picture of a mouth: 1.4 eye distances
EYES_APART = 28  # px of that picture
MARGIN = 0.3  # of the face, around it
PLACES = np.array(
    [
        *([-0.725, -0.011], [-0.275, 0.011], [0.275, 0.011], [0.725, -0.011]),  # eyes
        *([0, -0.09], [0, 0.046], [0, 0.168], [0, 0.28], [0, 0.398]),  # bridge to tip
        *([0, -0.894], [0, -0.633], [0, -0.368], [0, -0.222]),  # brow
        *([-1.143, 0.065], [1.143, 0.065]),  # temples
        *([-0.918, -0.263], [0.918, -0.263], [-0.658, -0.422], [0.658, -0.422]),  # brows
        *([-0.275, 0.742], [0.275, 0.742]),  # wings of the nose
    ]
)


@dataclass(frozen=True)
class Mouth:
    """One face's mouth over time."""

    times: np.ndarray  # (T,) s in the file, growing
    points: (
        np.ndarray
    )  # float32 (T, 47, 2) lips and chin, eye distances from the middle of the eyes
    pictures: np.ndarray  # uint8 (T, 40, 40) grey

    @property
    def opening(self) -> np.ndarray:
        """Gap between the inner lips (T,), in eye distances."""
        gap = self.points[:, UPPER] - self.points[:, LOWER]
        return np.hypot(gap[:, 0], gap[:, 1])


@dataclass
class MouthWatcher:
    """Takes the frames of one face, one at a time."""

    times: list[float] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)
    centre: np.ndarray | None = None  # (2,) of the mouth when it was first seen

    def add(self, seconds: float, image: np.ndarray, mesh: np.ndarray) -> None:
        """A frame (H, W, 3) at a time in the file, and the face's mesh (468, 2) in its pixels."""
        import cv2

        matrix = fit_similarity(mesh[list(STABLE)], PLACES)
        points = mesh[list(MOUTH)] @ matrix[:, :2].T + matrix[:, 2]
        if self.centre is None:
            self.centre = points[: len(OUTER_LIPS)].mean(0)
        # Only the face is worth blurring before it is shrunk; the picture ends well inside of it.
        low, high = mesh.min(0), mesh.max(0)
        margin = MARGIN * (high - low)
        corner = np.maximum(np.floor(low - margin).astype(int), 0)
        right, bottom = np.maximum(np.ceil(high + margin).astype(int), corner)
        face = image[corner[1] : bottom, corner[0] : right]
        if not face.size:
            return
        grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
        self.times.append(seconds)
        self.points.append(points.astype(np.float32))
        middle = matrix[:, :2] @ corner + matrix[:, 2] - self.centre
        matrix = EYES_APART * np.column_stack([matrix[:, :2], middle])
        matrix[:, 2] += PATCH / 2
        self.pictures.append(warp_face(grey, matrix, PATCH))

    def mouth(self) -> Mouth:
        count = len(self.times)
        return Mouth(
            np.array(self.times),
            np.array(self.points, np.float32).reshape(count, len(MOUTH), 2),
            np.array(self.pictures, np.uint8).reshape(count, PATCH, PATCH),
        )
