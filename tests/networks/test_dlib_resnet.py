"""dlib's recogniser in torch: the same embeddings as dlib's own, and gradients besides."""

import dlib
import numpy as np
import pytest
import torch

from drawn import draw_faces
from speech2face.errors import ModelError
from speech2face.faces import TEMPLATES, align_face, dlib_weights
from speech2face.networks.dlib_resnet import SIZE, DlibResNet, load_dlib_resnet


@pytest.fixture(scope="module")
def network() -> DlibResNet:
    return load_dlib_resnet(dlib_weights())


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    faces = draw_faces(3)
    crops = [align_face(f, TEMPLATES["canvas"] * len(f), "dlib", SIZE) for f in faces]
    noise = np.random.default_rng(0).integers(256, size=(SIZE, SIZE, 3)).astype(np.uint8)
    return [*crops, noise]


def as_batch(crops: list[np.ndarray]) -> torch.Tensor:
    return torch.tensor(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def test_embeddings_are_those_of_dlib(network, crops):
    own = dlib.face_recognition_model_v1(str(dlib_weights()))
    wanted = np.array([own.compute_face_descriptor(crop) for crop in crops])
    np.testing.assert_allclose(network(as_batch(crops)).numpy(), wanted, atol=1e-4)
    assert np.abs(wanted[0] - wanted[1]).max() > 0.01  # different faces


def test_gradients_reach_the_picture_and_no_weight(network, crops):
    batch = as_batch(crops[:1]).requires_grad_()
    network(batch).square().sum().backward()
    assert batch.grad is not None
    assert (batch.grad != 0).float().mean() > 0.9
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("content", [None, b"", b"no network", b"con_4" * 10])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.dat"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.dat: not dlib's face recogniser"):
        load_dlib_resnet(path)


def test_a_file_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "x.dat"
    path.write_bytes(dlib_weights().read_bytes()[:-400_000])
    with pytest.raises(ModelError, match=r"x\.dat: not dlib's face recogniser"):
        load_dlib_resnet(path)
