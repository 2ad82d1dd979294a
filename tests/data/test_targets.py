"""What the decoder learns from: white grounds, conditions, and photographs that show no face."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from drawn import draw_faces, sample_embeddings
from speech2face.data.targets import (
    CONDITIONS,
    MIRRORED,
    Targets,
    build_targets,
    even_light,
    find_typical,
    mean_texture,
    measure_conditions,
    neutral_conditions,
    sharpen,
)
from speech2face.data.textures import MeasuredFaces, find_mean_shape, oval_mask, yaw_of
from speech2face.faces import FaceDetector, FaceMesh, PersonMask

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
    shape = find_mean_shape(faces.landmarks)
    return build_targets(paths, faces, shape, SIZE, lambda *_: None, white_ground=True)


def test_without_a_warp_faces_keep_their_shape(measured, targets, tmp_path):
    pictures, faces = measured
    Image.fromarray(pictures[0]).save(tmp_path / "0.png")
    one = faces.take(np.arange(1))
    shape = find_mean_shape(faces.landmarks)
    plain = build_targets(
        [tmp_path / "0.png"], one, shape, SIZE, lambda *_: None, white_ground=True, warp=False
    )
    assert np.abs(targets.displacements[0]).max() > 0.005
    assert not plain.displacements.any()
    assert np.abs(plain.textures[0].astype(int) - targets.textures[0]).max() > 20


def test_the_ground_becomes_white_and_the_face_stays(measured):
    picture = measured[0][0].copy()
    mask = PersonMask().mask(picture)
    assert mask.shape == picture.shape[:2]
    landmarks = measured[1].landmarks[0].round().astype(int)
    assert mask[landmarks[:, 1], landmarks[:, 0]].min() > 0.5
    assert mask[:10, :10].max() < 0.5


def test_conditions_know_their_mirror_image(measured, targets):
    pictures, faces = measured
    shape = find_mean_shape(faces.landmarks)
    for row in range(4):
        texture = targets.textures[row]
        shaded = (texture * np.linspace(0.3, 1, SIZE)[None, :, None]).astype(np.uint8)
        here = measure_conditions(faces.mesh[row], shaded, shape)
        # The mesh network is not quite symmetric; the texture is mirrored exactly.
        there = measure_conditions(look(pictures[row][:, ::-1]), shaded[:, ::-1], shape)
        np.testing.assert_allclose(there, here * MIRRORED, atol=0.04)


def test_conditions_see_mouths_and_blur(measured, targets):
    _, faces = measured
    shape = find_mean_shape(faces.landmarks)
    mesh, texture = faces.mesh[0], targets.textures[0]
    before = measure_conditions(mesh, texture, shape)
    opened = mesh.copy()
    eyes = np.hypot(*(mesh[[263, 362]].mean(0) - mesh[[33, 133]].mean(0)))
    opened[14, 1] += 0.2 * eyes  # the lower lip
    smiling = mesh.copy()
    smiling[[61, 291], 1] -= 0.1 * eyes  # the corners
    soft = np.asarray(Image.fromarray(texture).reduce(3).resize((SIZE, SIZE)))
    after = measure_conditions(opened, soft, shape) - before
    assert after[CONDITIONS.index("mouth")] == pytest.approx(0.2, abs=0.02)
    assert after[CONDITIONS.index("sharpness")] < -0.5
    smile = measure_conditions(smiling, texture, shape) - before
    assert smile[CONDITIONS.index("smile")] == pytest.approx(0.1, abs=0.02)
    assert smile[CONDITIONS.index("mouth")] == pytest.approx(0, abs=1e-6)


def test_sharpening_brings_out_what_is_fine_and_nothing_else(targets):
    row = np.arange(SIZE)
    wave = 128 + 10 * np.sin(2 * np.pi * row / 4)[:, None, None] + np.zeros((SIZE, SIZE, 3))
    slope = np.broadcast_to((60 + row)[:, None, None], (SIZE, SIZE, 3))
    textures = np.stack([wave, slope, np.full_like(wave, 255)]).round().astype(np.uint8)
    some = replace(targets.take(np.arange(3)), textures=textures.copy())
    sharpen(some)
    fine, coarse, white = (x[8:-8].astype(float) for x in some.textures)
    assert fine.std() > 1.25 * textures[0, 8:-8].std()
    np.testing.assert_allclose(coarse, textures[1, 8:-8], atol=1)
    assert (white == 255).all()


def test_tints_go_and_white_stays(measured, targets):
    """What half of the photographs were tinted by cannot be foreseen from who is on them."""
    shape = find_mean_shape(measured[1].landmarks)
    inside = oval_mask(shape, SIZE, 0.85)
    rows = np.tile(np.arange(COUNT), 10)
    noise = np.random.default_rng(0).normal(size=(120, 1, 128)) * 0.01
    many = replace(targets.take(rows), embeddings=targets.embeddings[rows] + noise)
    powers = np.exp(np.random.default_rng(1).normal(0, 0.2, (120, 1, 1, 3)))
    many = replace(many, textures=np.uint8(255 * (many.textures / 255) ** powers))

    def spread(textures: np.ndarray) -> np.ndarray:
        """How much each person's colours vary between the ten photographs, (3,)."""
        colours = textures[:, inside].mean(1).reshape(10, COUNT, 3)
        return (colours - colours.mean(2, keepdims=True)).std(0).mean(0)

    before, ground = spread(many.textures), many.textures[:, 2, 2].copy()
    even_light(many, shape)
    assert (spread(many.textures) < 0.5 * before).all()
    np.testing.assert_array_equal(many.textures[:, 2, 2] == 255, ground == 255)
    assert (ground == 255).any()


def test_neutral_is_frontal_and_clear(targets):
    neutral = neutral_conditions(targets)
    assert neutral[CONDITIONS.index("yaw")] == 0
    for name, below in (("mouth", 0.2), ("smile", 0.35)):
        column = targets.conditions[:, CONDITIONS.index(name)]
        assert column.min() <= neutral[CONDITIONS.index(name)] <= np.quantile(column, below)
    sharpness = targets.conditions[:, CONDITIONS.index("sharpness")]
    assert (sharpness > neutral[CONDITIONS.index("sharpness")]).mean() == pytest.approx(
        0.05, abs=0.04
    )


def test_the_mean_texture_is_symmetric_and_white_where_nothing_is_known(targets):
    known = targets.known.copy()
    known[:, -8:] = False
    targets = replace(targets, known=known)
    mean = mean_texture(targets)
    assert mean.shape == (3, SIZE, SIZE)
    np.testing.assert_array_equal(mean, mean[..., ::-1])
    assert mean[:, -8:].min() == 1
    everywhere = known.all(0) & known.all(0)[:, ::-1]
    plain = targets.textures.mean(0) / 255
    wanted = ((plain + plain[:, ::-1]) / 2)[everywhere] * COUNT / (COUNT + 20) + 20 / (COUNT + 20)
    np.testing.assert_allclose(mean[:, everywhere].T, wanted, atol=1e-5)


def test_photographs_that_show_no_face_are_left_out(measured, targets):
    shape = find_mean_shape(measured[1].landmarks)
    many = replace(
        targets.take(np.tile(np.arange(COUNT), 10)),
        embeddings=np.tile(targets.embeddings, (10, 1, 1)),
    )
    textures, known = many.textures.copy(), many.known.copy()
    textures[3] = textures[3].mean(2, keepdims=True)  # without colour
    textures[17] = 255  # taken for ground
    textures[30] = textures[30, :, :, ::-1]  # blue
    textures[44, SIZE // 2 :, SIZE // 4 : SIZE * 3 // 4] = [250, 120, 20]  # a scarf
    known[58, SIZE // 2 :] = False
    shade = np.linspace(0.3, 1, SIZE)[None, :, None]
    textures[71] = (textures[71] * shade).astype(np.uint8)  # light from the right
    rows = find_typical(replace(many, textures=textures, known=known), shape, strange=0.05)
    assert not {3, 17, 30, 44, 58, 71} & set(rows.tolist())
    assert len(rows) > 90  # a face whose lines are strong is taken for one with glasses
