"""Who wears glasses, and the ridge that finds out."""

import cv2
import numpy as np
import pytest

from drawn import draw_faces
from speech2face.data.glasses import find_glasses
from speech2face.data.ridge import foresee
from speech2face.data.textures import LANDMARKS, find_mean_shape, unwarp
from speech2face.faces import FaceDetector, FaceMesh
from speech2face.networks.face_decoder import spline_basis

SIZE = 112
COUNT = 60


@pytest.fixture(scope="module")
def bare() -> tuple[np.ndarray, np.ndarray]:
    """Textures (60, S, S, 3) of drawn faces of nobody, and their mean shape."""
    pictures = draw_faces(COUNT)
    meshes = []
    for picture in pictures:
        face = FaceDetector().largest(picture)
        assert face
        mesh = FaceMesh().landmarks(picture, face.landmarks)
        assert mesh is not None
        meshes.append(mesh[list(LANDMARKS)])
    shape = find_mean_shape(np.stack(meshes))
    field = spline_basis(shape, SIZE)
    unwarped = [unwarp(p, m, shape, field, SIZE)[0] for p, m in zip(pictures, meshes, strict=True)]
    return np.stack(unwarped), shape


def put_on(texture: np.ndarray, shape: np.ndarray, shade: int, thick: int) -> np.ndarray:
    """Two rims and what joins them, thicker ones with a darker bridge."""
    points = dict(zip(LANDMARKS, shape * SIZE, strict=True))
    worn = texture.copy()
    eyes = [(points[a] + points[b]) / 2 for a, b in ((33, 133), (362, 263))]
    apart = eyes[1][0] - eyes[0][0]
    for x, y in eyes:
        middle, radii = (
            (round(x), round(y + 0.05 * apart)),
            (round(0.4 * apart), round(0.3 * apart)),
        )
        cv2.ellipse(worn, middle, radii, 0, 0, 360, (shade, shade, shade), thick)
    ends = [
        (round(eyes[0][0] + 0.4 * apart), round(eyes[0][1])),
        (round(eyes[1][0] - 0.4 * apart), round(eyes[1][1])),
    ]
    cv2.line(worn, *ends, (shade, shade, shade), thick)
    return worn


def test_glasses_are_found_by_their_rims(bare):
    textures, shape = bare
    rng = np.random.default_rng(0)
    worn = rng.random(COUNT) < 0.18
    seen = np.stack(
        [
            put_on(t, shape, int(rng.integers(10, 60)), int(rng.integers(1, 3))) if w else t
            for t, w in zip(textures, worn, strict=True)
        ]
    )
    found = find_glasses(seen, shape)
    assert worn.sum() >= 5
    assert (found == worn).mean() > 0.95
    assert found[worn].mean() > 0.8


def test_a_few_photographs_teach_nothing(bare):
    textures, shape = bare
    worn = np.stack([put_on(t, shape, 20, 2) for t in textures[:10]])
    assert not find_glasses(worn, shape).any()


def test_a_ridge_foresees_what_is_linear_and_stays_at_the_mean_else():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 5)) * [1, 10, 0.1, 1, 1] + 7
    y = np.stack([x[:, 0] + x[:, 1] / 10, rng.normal(size=400) + 3], axis=1)
    half = np.arange(200)
    seen = foresee(x, y, half, penalty=1e-3)
    np.testing.assert_allclose(seen[200:, 0], y[200:, 0], atol=1e-3)
    assert np.abs(seen[200:, 1] - 3).mean() < 0.3
    np.testing.assert_allclose(
        foresee(x, y, half, 1e9), np.tile(y[half].mean(0), (400, 1)), atol=1e-4
    )
    x[:, 2] = 1  # a column that does not vary says nothing
    assert np.isfinite(foresee(x, y)).all()
