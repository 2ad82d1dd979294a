"""Shape and texture of faces: splines, unwarping, mean shapes, and measuring that goes on."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers.drawn_faces import draw_faces
from helpers.synthetic_pairs import make_face_shape
from speech2face.data import face_unwarping
from speech2face.data.face_unwarping import (
    LANDMARKS,
    MAX_YAW,
    find_mean_shape,
    measure_faces,
    mirror_order,
    unwarp,
)
from speech2face.face_encoders import TEMPLATES
from speech2face.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from speech2face.networks.spline_basis import spline_basis

SIZE = 96


SHAPE = make_face_shape()


def bend(strength: float, seed: int = 0) -> np.ndarray:
    """Displacements (66, 2) that vary smoothly over the face, of about `strength`."""
    rng = np.random.default_rng(seed)
    x, y = (2 * np.pi * SHAPE).T
    waves = np.stack([np.ones_like(x), np.sin(x), np.cos(y), np.sin(x) * np.cos(y)])
    return strength * (waves.T @ rng.normal(size=(4, 2))) / 2


def paint(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth picture as a function of place (fractions of its side) → (…, 3) in 0 … 255."""
    waves = [np.sin(9 * x + 2 * y), np.cos(7 * y - 3 * x), np.sin(6 * (x + y))]
    return 127.5 + 110 * np.stack(waves, axis=-1)


def picture(size: int) -> np.ndarray:
    line = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(line, line, indexing="ij")
    return paint(x, y).round().astype(np.uint8)


def test_the_landmarks_are_66_different_points():
    assert len(set(LANDMARKS)) == len(LANDMARKS) == len(SHAPE) == 66
    assert len({tuple(p) for p in SHAPE.round(6)}) == 66


# Splines -----------------------------------------------------------------------------------------


@given(st.integers(0, 100))
def test_the_spline_goes_through_the_displacements_of_landmarks(seed):
    grid = 64
    rng = np.random.default_rng(seed)
    cells = rng.permutation(16)[:8]  # landmarks at cell centres, far apart
    shape = (np.stack(np.divmod(cells, 4), 1) * 12 + 14.5) / grid
    displacement = rng.normal(scale=0.02, size=shape.shape)
    field = (spline_basis(shape, grid) @ displacement).reshape(grid, grid, 2)
    column, row = (shape * grid).astype(int).T
    np.testing.assert_allclose(field[row, column], displacement, atol=0.002)


def test_the_spline_leaves_the_border_where_it_is():
    grid = 128
    field = (spline_basis(SHAPE, grid) @ bend(0.03)).reshape(grid, grid, 2)
    inside = np.abs(field[40:90, 40:90]).max()
    border = np.concatenate([field[0], field[-1], field[:, 0], field[:, -1]])
    assert inside > 0.015
    assert np.abs(border).max() < 0.2 * inside
    knots = [0, 31, 32, 63, 64, 95, 96, 127]  # nearest to the points that are held
    assert np.abs(field[0, knots]).max() < 0.03 * inside


def test_the_spline_is_linear_and_zero_for_zero():
    basis = spline_basis(SHAPE, 16)
    assert basis.shape == (256, 66)
    # Moving everything moves the middle of the face by the same.
    moved = (basis @ np.full((66, 2), [0.02, -0.01])).reshape(16, 16, 2)
    np.testing.assert_allclose(moved[8, 8], [0.02, -0.01], atol=0.001)


# Unwarping ---------------------------------------------------------------------------------------


def unwarp_bent(strength, seed, scale=150.0, angle=0.3, shift=(40.0, 10.0), size=300):
    """A picture with bent landmarks at a similarity → what unwarp gives, and where the face lay."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, -s], [s, c]])
    middle = np.array([size / 2, size / 2]) + shift - matrix @ [0.5, 0.5]
    landmarks = (SHAPE + bend(strength, seed)) @ matrix.T + middle
    result = unwarp(picture(size), landmarks, SHAPE, spline_basis(SHAPE, SIZE), SIZE)
    return *result, landmarks


@pytest.mark.parametrize(("strength", "seed"), [(0.0, 0), (0.01, 1), (0.02, 2), (0.02, 3)])
def test_warping_by_the_decoder_undoes_unwarping(strength, seed):
    texture, displacement, landmarks = unwarp_bent(strength, seed)
    network = FaceDecoder(FaceDecoderConfig(size=SIZE, warp_grid=48), SHAPE)
    pixels = torch.tensor(texture).permute(2, 0, 1)[None].float() / 255
    drawn = network.warp(pixels, torch.tensor(displacement)[None])[0].permute(1, 2, 0).numpy() * 255
    # What it must be: the picture itself, looked at through the similarity alone.
    line = (np.arange(SIZE) + 0.5) / SIZE
    canvas = np.stack(np.meshgrid(line, line), axis=-1)
    placed = SHAPE + displacement  # of the landmarks on the canvas: a similarity of the picture's
    fit = np.linalg.lstsq(np.hstack([placed, np.ones((66, 1))]), landmarks, rcond=None)[0]
    wanted = paint(*np.moveaxis((canvas @ fit[:2] + fit[2]) / 300, -1, 0))
    inside = (slice(SIZE // 5, -SIZE // 10), slice(SIZE // 5, -SIZE // 5))
    error = np.abs(drawn - wanted)[inside]
    assert error.mean() < 1.5
    assert error.max() < 12
    if strength:  # and without the warp it would be another picture
        assert np.abs(texture - wanted)[inside].mean() > 3 * error.mean()


def test_displacements_are_what_a_similarity_cannot_explain():
    *_, displacement, _ = unwarp_bent(0.0, 0, scale=80, angle=-1.0)
    assert np.abs(displacement).max() < 1e-6
    *_, displacement, _ = unwarp_bent(0.02, 2)
    assert displacement.dtype == np.float32
    assert np.abs(displacement.mean(0)).max() < 1e-6
    assert 0.003 < np.abs(displacement).max() < 0.06


def test_outside_the_picture_its_edge_is_repeated():
    texture, *_ = unwarp_bent(0.0, 0, scale=150, angle=0.0, shift=(-150.0, 0.0))
    assert texture.shape == (SIZE, SIZE, 3)
    middle = SIZE // 2  # the left half of the canvas lies beyond the picture's left edge
    assert (texture[:, : middle - 2] == texture[:, :1]).all()
    assert texture[:, middle + 2 :].std(1).max() > 5


# Mean shapes -------------------------------------------------------------------------------------


def test_mirror_order_of_a_symmetric_shape():
    order = mirror_order(SHAPE)
    np.testing.assert_array_equal(order[order], np.arange(66))
    np.testing.assert_allclose(SHAPE[order] * [-1, 1] + [1, 0], SHAPE, atol=1e-9)
    for left, right in ((33, 263), (61, 291), (70, 300), (234, 454)):
        assert order[LANDMARKS.index(left)] == LANDMARKS.index(right)
    assert order[LANDMARKS.index(4)] == LANDMARKS.index(4)


def scatter(count: int, noise: float, seed: int = 0) -> np.ndarray:
    """SHAPE with noise, each at a similarity of its own: (count, 66, 2) pixels."""
    rng = np.random.default_rng(seed)
    shapes = []
    for _ in range(count):
        angle, scale = rng.normal(scale=0.4), rng.uniform(50, 400)
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        bent = SHAPE + rng.normal(scale=noise, size=SHAPE.shape)
        shapes.append(bent @ np.array([[c, s], [-s, c]]) + rng.uniform(-100, 500, size=2))
    return np.array(shapes)


def on_canvas(mean: np.ndarray) -> np.ndarray:
    return np.stack(
        [mean[[LANDMARKS.index(i) for i in index]].mean(0) for index in face_unwarping._FIVE]
    )


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_the_mean_shape_is_found_under_random_similarities(noise):
    mean = find_mean_shape(scatter(80, noise))
    # SHAPE itself, brought onto the canvas: what scatter planted, up to a similarity.
    wanted = find_mean_shape(SHAPE[None])
    np.testing.assert_allclose(mean, wanted, atol=1e-6 + 0.4 * noise)
    # A similarity of SHAPE, no other change: its distances keep their proportions.
    a, b = (np.linalg.norm(s[:, None] - s[None], axis=-1).ravel() for s in (mean, SHAPE))
    assert np.corrcoef(a, b)[0, 1] > 1 - 0.001


def test_the_mean_shape_is_symmetric_and_on_the_canvas():
    mean = find_mean_shape(scatter(40, 0.01, seed=3))
    order = mirror_order(mean)
    np.testing.assert_allclose(mean[order] * [-1, 1] + [1, 0], mean, atol=1e-6)
    np.testing.assert_allclose(on_canvas(mean), TEMPLATES["canvas"], atol=0.04)


# Measuring ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Seven pictures, two of them without a face."""
    for number, face in enumerate(draw_faces(5)):
        Image.fromarray(face).save(tmp_path / f"{number}.png")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "1-empty.png")
    Image.new("RGB", (90, 120), "white").save(tmp_path / "5-empty.png")
    return tmp_path


def test_faces_are_measured_by_chunks_that_are_kept(folder, monkeypatch):
    paths = sorted(folder.glob("*.png"))  # 0, 1-empty, 1, 2, 3, 4, 5-empty
    monkeypatch.setattr(face_unwarping, "CHUNK", 3)
    cache, told = folder / "cache", []
    first = measure_faces(paths, "sface", cache, lambda *x: told.append(x), workers=1)
    assert told == [("measuring faces", done, 7, "") for done in (3, 6, 7)]
    assert first.index.tolist() == [0, 2, 3, 4, 5]
    assert first.landmarks.shape == (5, 66, 2)
    assert first.embeddings.shape == (5, 128)
    assert len(first.frontal()) == 5
    assert np.abs(first.yaw).max() < MAX_YAW
    for points in first.landmarks:  # in pixels of the picture
        middle = points.mean(0) / 224
        np.testing.assert_allclose(middle, [0.5, 0.57], atol=0.08)

    # One chunk is lost: only that one is measured again, all else stays as it is.
    chunks = sorted(cache.glob("faces-*.npz"))
    assert len(chunks) == 3
    stamps = {chunk: chunk.stat().st_mtime_ns for chunk in chunks}
    lost = chunks[1]
    lost.write_bytes(lost.read_bytes()[:-1])  # damaged, which is as good as lost
    told.clear()
    again = measure_faces(paths, "sface", cache, lambda *x: told.append(x), workers=1)
    assert told == [("measuring faces", 7, 7, "")]
    assert [c for c in chunks if c.stat().st_mtime_ns != stamps[c]] == [lost]
    for name in ("index", "landmarks", "yaw", "embeddings"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))

    # All there: nothing is measured, and no progress is told.
    told.clear()
    measure_faces(paths, "sface", cache, lambda *x: told.append(x), workers=1)
    assert told == []
    assert not list(cache.glob("*.part*"))


def test_chunks_belong_to_their_pictures_and_recogniser(folder, monkeypatch):
    paths, measured = sorted(folder.glob("*.png"))[:2], []
    monkeypatch.setattr(face_unwarping, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    real = face_unwarping._measure_chunk
    monkeypatch.setattr(
        face_unwarping, "_measure_chunk", lambda job: measured.append(1) or real(job)
    )

    def is_measured(paths: list[Path], recogniser: str = "sface") -> bool:
        measured.clear()
        measure_faces(paths, recogniser, folder / "cache")
        return bool(measured)

    assert is_measured(paths)
    moved = [Path(shutil.copy(path, path.with_stem(f"{path.stem}-moved"))) for path in paths]
    assert not is_measured(moved)
    assert is_measured(paths, "dlib")
    assert is_measured(paths[1:])
    content = bytearray(paths[1].read_bytes())
    content[-1] ^= 1  # another picture of the same name and size
    paths[1].write_bytes(content)
    assert is_measured(paths)


def test_other_recognisers_may_look_at_the_same_time(folder, monkeypatch):
    paths, looks = sorted(folder.glob("*.png"))[:4], []
    monkeypatch.setattr(face_unwarping, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    real = face_unwarping._measure_chunk
    monkeypatch.setattr(face_unwarping, "_measure_chunk", lambda job: looks.append(1) or real(job))
    both = measure_faces(paths, "dlib", folder / "both", also=("dlib", "sface"))
    beside = measure_faces(paths, "sface", folder / "both")
    assert len(looks) == 1
    for recogniser, together in (("dlib", both), ("sface", beside)):
        alone = measure_faces(paths, recogniser, folder / recogniser)
        for name in ("index", "mesh", "yaw", "embeddings"):
            np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))


def test_pictures_without_any_face(folder):
    empty = [folder / "1-empty.png", folder / "5-empty.png"]
    measured = measure_faces(empty, "sface", folder / "cache", workers=1)
    assert len(measured) == 0
    assert measured.landmarks.shape == (0, 66, 2)
    assert len(measured.frontal()) == 0
