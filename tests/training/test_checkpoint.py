"""Weights on disk: whole, with their facts, and never anybody else's."""

import errno
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from speech2face.errors import ModelError, StorageError
from speech2face.networks.face_decoder import FaceDecoderConfig
from speech2face.networks.voice_encoder import OLD_NAMES, GaussianHead
from speech2face.training.checkpoint import TrainingState, float32, load_weights, save_weights

FACTS = {"recipe": "small"}
TENSORS = {
    "a": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "half": torch.tensor([0.1, 2.0], dtype=torch.float16),
    "count": torch.tensor(7),
}


def test_tensors_and_facts_come_back(tmp_path):
    path = tmp_path / "new" / "folder" / "x.safetensors"
    facts = {
        "recipe": {"name": "é", "network": FaceDecoderConfig(size=64)},
        "file": Path("some/where/x"),
        "step": 3,
    }
    transposed = TENSORS | {"t": TENSORS["a"].T, "p": torch.nn.Parameter(torch.ones(2))}
    save_weights(path, transposed, facts)
    tensors, found = load_weights(path)
    assert tensors.keys() == transposed.keys()
    for name, tensor in transposed.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert found["recipe"]["name"] == "é"
    assert found["recipe"]["network"]["size"] == 64
    assert found["file"] == "x"  # names, no paths of a machine
    assert [p.name for p in path.parent.iterdir()] == ["x.safetensors"]


def test_float32_widens_half_precision_only():
    widened = float32(TENSORS)
    assert [widened[n].dtype for n in TENSORS] == [torch.float32, torch.float32, torch.int64]
    assert torch.equal(widened["half"], TENSORS["half"].float())


def test_others_may_read_what_they_may_read_of_any_file(tmp_path):
    save_weights(tmp_path / "x.safetensors", TENSORS, {})
    (tmp_path / "plain").touch()
    modes = [path.stat().st_mode for path in sorted(tmp_path.iterdir())]
    assert modes[0] == modes[1]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    save_weights(path, TENSORS, {"step": 1})

    def fill(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(StorageError, match="No space left on device"):
            save_weights(path, {"a": torch.zeros(9)}, {"step": 2})
    assert list(tmp_path.iterdir()) == [path]
    tensors, facts = load_weights(path)
    assert facts == {"step": 1}
    assert torch.equal(tensors["a"], TENSORS["a"])


def test_facts_that_are_no_json_are_refused_before_writing(tmp_path):
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        save_weights(tmp_path / "x.safetensors", TENSORS, {"what": object()})
    assert not list(tmp_path.iterdir())


def write_foreign(path: Path, kind: str) -> None:
    match kind:
        case "nothing":
            pass
        case "empty":
            path.touch()
        case "text":
            path.write_text("weights")
        case "pickle":
            path.write_bytes(pickle.dumps(TENSORS))
        case "torch":
            torch.save(TENSORS, path)
        case "no metadata":
            save_file(TENSORS, path)
        case "other metadata":
            save_file(TENSORS, path, {"format": "pt"})
        case "no JSON":
            save_file(TENSORS, path, {"speech2face": "{"})
        case "cut":
            save_weights(path, TENSORS, {})
            path.write_bytes(path.read_bytes()[:-5])
        case "folder":
            path.mkdir()


@pytest.mark.parametrize(
    "kind",
    [
        "nothing",
        "empty",
        "text",
        "pickle",
        "torch",
        "no metadata",
        "other metadata",
        "no JSON",
        "cut",
        "folder",
    ],
)
def test_foreign_files_are_refused(tmp_path, kind):
    path = tmp_path / "x.safetensors"
    write_foreign(path, kind)
    with pytest.raises(ModelError, match=r"x\.safetensors: not weights of speech2face"):
        load_weights(path)


def test_facts_are_plain_json_in_the_header(tmp_path):
    """Anything can read them, without this package."""
    path = tmp_path / "x.safetensors"
    save_weights(path, TENSORS, {"step": 1})
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["speech2face"]) == {"step": 1}


def test_training_goes_on_from_a_checkpoint_with_the_older_names_of_buffers(tmp_path):
    def begin() -> TrainingState:
        head = GaussianHead(6, 4)
        head.register_buffer("table", torch.zeros(2), persistent=False)
        return TrainingState(head, torch.optim.AdamW(head.parameters()))

    state = begin()
    state.network(torch.ones(1, 6), torch.ones(1))[0].sum().backward()
    state.optimiser.step()
    for name, buffer in state.network.named_buffers():
        buffer.add_(len(name))
    new, old = tmp_path / "new.safetensors", tmp_path / "old.safetensors"
    state.save(new, FACTS)
    tensors, facts = load_weights(new)
    older = {f"buffer/{new}": f"buffer/{old}" for old, new in OLD_NAMES.items()}
    save_weights(old, {older.get(name, name): value for name, value in tensors.items()}, facts)
    for path in (new, old):
        other = begin()
        other.load(path, FACTS)
        for name, buffer in other.network.named_buffers():
            assert torch.equal(buffer, state.network.get_buffer(name)), name
    del tensors["buffer/unshrink"]
    save_weights(new, tensors, facts)
    with pytest.raises(ModelError, match="lacks unshrink of the network"):
        begin().load(new, FACTS)
