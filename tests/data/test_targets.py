"""What the decoder learns from: unwarped faces, sharpened, heads told from their ground."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from drawn import draw_faces, sample_embeddings
from speech2face.data.targets import Targets, build_targets, separate_ground, sharpen
from speech2face.data.textures import MeasuredFaces, find_mean_shape, yaw_of
from speech2face.face_detection import FaceDetector
from speech2face.faces import FaceMesh

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


def test_sharpening_brings_out_what_is_fine_and_nothing_else(targets):
    row = np.arange(SIZE)
    wave = 128 + 10 * np.sin(2 * np.pi * row / 4)[:, None, None] + np.zeros((SIZE, SIZE, 3))
    slope = np.broadcast_to((60 + row)[:, None, None], (SIZE, SIZE, 3))
    textures = np.stack([wave, slope, np.full_like(wave, 255)]).round().astype(np.uint8)
    some = replace(targets, textures=textures.copy())
    sharpen(some, 0.7)
    fine, coarse, white = (x[8:-8].astype(float) for x in some.textures)
    assert fine.std() > 1.25 * textures[0, 8:-8].std()
    np.testing.assert_allclose(coarse, textures[1, 8:-8], atol=1)
    assert (white == 255).all()


def test_head_and_white_ground_are_told_apart():
    """A brown head on white: its colours go on beyond it, its outline is the cover's."""
    brown, side = np.array([90, 60, 40], np.uint8), 56
    line = np.arange(side) - (side - 1) / 2
    head = np.hypot(line, line[:, None]) < 16
    texture = np.where(head[..., None], brown, np.uint8(255))
    misty = texture.copy()
    misty[:4] = 235  # hardly darker than the ground
    halves = separate_ground(np.stack([texture, misty]), np.zeros((side, side), np.float32))
    assert halves.shape == (2, side, side // 2, 4)
    colours, cover = halves[..., :3], halves[..., 3]
    np.testing.assert_allclose(colours[0], np.broadcast_to(brown / 255, (56, 28, 3)), atol=0.01)
    np.testing.assert_array_equal(cover[0], head[:, : side // 2])
    np.testing.assert_allclose(cover[1, :4], 20 / 255 / 0.4, atol=0.01)
    # What is left and what is right of the middle share one half.
    lopsided = texture.copy()
    lopsided[:, : side // 2] = 255
    (half,) = separate_ground(lopsided[None], np.zeros((side, side), np.float32))
    np.testing.assert_allclose(half[..., 3], head[:, : side // 2] / 2)


def test_a_white_face_is_no_ground():
    face = np.zeros((56, 56), np.float32)
    face[16:40, 16:40] = 1
    (half,) = separate_ground(np.full((1, 56, 56, 3), 255, np.uint8), face)
    np.testing.assert_array_equal(half[..., 3], face[:, :28])
    np.testing.assert_allclose(half[16:40, 16:, :3], 1)
