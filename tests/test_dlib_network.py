"""dlib's recogniser rebuilt is dlib's recogniser."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.drawn_faces import draw_faces
from speech2face.dlib_network import build_network
from speech2face.errors import ModelError
from speech2face.face_encoders import (
    PACKAGED,
    TEMPLATES,
    DlibEncoder,
    align_face,
    find_package_file,
)

PATH = find_package_file(*PACKAGED["dlib"])


def test_embeddings_are_those_of_dlib_itself():
    dlib = pytest.importorskip("dlib")
    theirs, ours = dlib.face_recognition_model_v1(str(PATH)), DlibEncoder()
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    for image in [*draw_faces(3), np.zeros_like(noise), noise]:
        landmarks = TEMPLATES["canvas"] * 224
        crop = align_face(image, landmarks, "dlib", 150)
        expected = np.array(theirs.compute_face_descriptor(crop))
        found = ours.embed(image, landmarks)
        assert (found.shape, found.dtype) == ((128,), np.float32)
        np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize("flaw", ["cut off", "a layer more", "something else"])
def test_another_file_is_refused(flaw, tmp_path, monkeypatch):
    data, path = PATH.read_bytes(), tmp_path / "network.dat"
    changed = {
        "cut off": data[: len(data) // 2],
        "a layer more": data + data[data.index(b"affine_") :][:400],
        "something else": b"not a network at all",
    }
    path.write_bytes(changed[flaw])
    with pytest.raises(ValueError, match=r"found|cut off|more layers"):
        build_network(path)
    monkeypatch.setattr("speech2face.face_encoders.find_package_file", lambda *_: path)
    with pytest.raises(ModelError, match=r"network\.dat: not dlib's recogniser"):
        DlibEncoder()
