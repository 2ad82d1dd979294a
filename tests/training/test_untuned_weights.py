"""Weights before tuning come back to the bit from how far tuning moved them."""

import torch

from speech2face.training.untuned_weights import pack_untuned, unpack_untuned


def test_nothing_is_lost_and_little_room_is_taken():
    torch.manual_seed(0)
    before = {"a": torch.randn(64, 32, 3) * 0.05, "b": torch.zeros(5)}
    tuned = {name: w + 1e-3 * torch.randn_like(w) for name, w in before.items()}
    before["a"][0, 0] = torch.tensor([0.0, -65504.0, 65504.0])  # the ends, and both signs of zero
    tuned["a"][0, 0] = torch.tensor([-0.0, 65504.0, -65504.0])
    packed = pack_untuned(before, tuned)
    again = unpack_untuned(packed, tuned)
    assert [*again] == ["a", "b"]
    for name, weights in before.items():
        assert again[name].shape == weights.shape
        assert torch.equal(again[name], weights.half())
    assert packed["a"].numel() < 0.9 * 2 * before["a"].numel()


def test_weights_of_older_models_stay_as_they_are():
    old = {"a": torch.rand(3).half()}
    assert torch.equal(unpack_untuned(old, {"a": torch.rand(3)})["a"], old["a"])
