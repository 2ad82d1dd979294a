"""What the decoder learns from: unwarped faces, and where they lie in the drawn picture."""

import numpy as np
import pytest
from PIL import Image

from helpers.drawn_faces import draw_faces, sample_embeddings
from speech2face.data.decoder_data import Targets, build_targets, canvas_grid, frame
from speech2face.data.face_unwarping import MeasuredFaces, find_mean_shape, yaw_of
from speech2face.face_detection import FaceDetector
from speech2face.face_encoders import FaceMesh

SIZE = 96
COUNT = 12


def look(picture: np.ndarray) -> np.ndarray:
    """The mesh (468, 2) of a drawn face."""
    face = FaceDetector().largest(picture)
    assert face
    mesh = FaceMesh().landmarks(picture, face.landmarks)
    assert mesh is not None
    return mesh


@pytest.fixture(scope="module")
def measured() -> tuple[list[np.ndarray], MeasuredFaces]:
    pictures = draw_faces(COUNT)
    meshes = np.stack([look(p) for p in pictures])
    yaw = np.array([yaw_of(m) for m in meshes])
    return pictures, MeasuredFaces(np.arange(COUNT), meshes, yaw, sample_embeddings(COUNT))


@pytest.fixture(scope="module")
def targets(measured, tmp_path_factory) -> Targets:
    pictures, faces = measured
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{i}.png" for i in range(COUNT)]
    for picture, path in zip(pictures, paths, strict=True):
        Image.fromarray(picture).save(path)
    return build_targets(paths, faces, find_mean_shape(faces.landmarks), SIZE, lambda *_: None)


def test_without_a_warp_faces_keep_their_shape(measured, targets, tmp_path):
    pictures, faces = measured
    Image.fromarray(pictures[0]).save(tmp_path / "0.png")
    one, shape = faces.take(np.arange(1)), find_mean_shape(faces.landmarks)
    plain = build_targets([tmp_path / "0.png"], one, shape, SIZE, lambda *_: None, warp=False)
    assert np.abs(targets.displacements[0]).max() > 0.005
    assert not plain.displacements.any()
    assert np.abs(plain.textures[0].astype(int) - targets.textures[0]).max() > 20


def test_the_drawn_picture_shows_more_than_the_canvas():
    points = np.array([[0.5, 0.56], [0.5, 0.0], [0.0, 1.0]])
    framed = frame(points)
    np.testing.assert_allclose(framed[0], points[0])
    assert 0.05 < framed[1, 1] < 0.1
    assert framed[2, 0] == pytest.approx(0.07)
    aside, down = canvas_grid(SIZE)
    assert aside.shape == down.shape == (SIZE, SIZE // 2)
    for x, y in ((3, 10), (40, 90)):  # back onto the picture, and it is where the pixel is
        place = frame(np.array([0.5 - aside[y, x], down[y, x]])) * SIZE
        np.testing.assert_allclose(place, [x + 0.5, y + 0.5])
