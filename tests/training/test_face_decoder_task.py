"""What the face decoder is shown: photographs and canonical pictures, morphs and mirror images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from speech2face.networks.face_decoder import FaceDecoder
from speech2face.training.face_decoder import (
    FaceDecoderTask,
    Targets,
    _choose_alike,
    _initialise,
)
from speech2face.training.recipes import face_decoder_debug

SIZE = 64
HALF = np.random.default_rng(0).uniform(0.15, 0.45, (24, 2))
ANGLES = (np.arange(18) + 0.5) * 2 * np.pi / 18
# Symmetric; the first 18 are the oval, as in LANDMARKS, then the left side and the right.
SHAPE = np.concatenate(
    [
        0.5 + 0.3 * np.stack([np.sin(ANGLES), -np.cos(ANGLES)], axis=1),
        HALF,
        HALF * [-1, 1] + [1, 0],
    ]
)


def make_targets(count: int, seed: int, views: int = 1) -> Targets:
    """Face n: texture bright only left of the middle, all its numbers about n."""
    rng = np.random.default_rng(seed)
    textures = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    textures[:, :, : SIZE // 2] = np.arange(count)[:, None, None, None] + 100
    known = np.zeros((count, SIZE, SIZE), bool)
    known[:, : SIZE * 3 // 4, : SIZE // 2] = True
    displacements = np.zeros((count, 66, 2), np.float32)
    displacements[:, 18:42] = [0.01, 0.02]  # of the landmarks on the left, to the middle
    embeddings = rng.normal(scale=0.1, size=(count, views, 128)).astype(np.float32)
    embeddings[:, :, 0] = np.arange(count)[:, None]
    embeddings[:, :, 1] = np.arange(views)
    return Targets(textures, known, displacements, embeddings)


def make_task(morphs: float = 0.0, canonical: Targets | None = None, batch: int = 64):
    recipe = face_decoder_debug()
    recipe = replace(recipe, batch=batch, canonical=replace(recipe.canonical, morphs=morphs))
    network = FaceDecoder(recipe.network, SHAPE)
    _initialise(network, 0)
    return FaceDecoderTask(network, recipe, make_targets(12, 0), canonical)


def test_the_first_phase_shows_photographs_only():
    embedding, domain, texture, mask, displacement = make_task().batch(0, np.random.default_rng(0))
    assert embedding.shape == (64, 128)
    assert (domain == 0).all()
    assert texture.shape == (64, 3, SIZE, SIZE)
    assert texture.max() <= 1
    assert mask.shape == (64, 1, SIZE, SIZE)
    assert displacement.shape == (64, 66, 2)
    # Beyond the head a photograph teaches nothing, though its pixels are known.
    assert mask[:, :, :4].max() < 0.01
    assert mask.max() > 0.9


def test_mirror_images_are_mirrored_in_all_they_are():
    embedding, _, texture, mask, displacement = make_task().batch(0, np.random.default_rng(0))
    left = (texture[:, 0, 32, 10] > 0).numpy()
    assert 0.3 < left.mean() < 0.7  # about half are as they were
    for row, is_left in enumerate(left):
        level = texture[row, :, :, : SIZE // 2] if is_left else texture[row, :, :, SIZE // 2 :]
        assert level.min() == level.max() == pytest.approx((embedding[row, 0] + 100) / 255)
        empty = mask[row, :, :, SIZE // 2 :] if is_left else mask[row, :, :, : SIZE // 2]
        assert empty.max() == 0
        assert mask[row].max() > 0.9
        moved, still = (slice(18, 42), slice(42, 66)) if is_left else (slice(42, 66), slice(18, 42))
        wanted = [0.01, 0.02] if is_left else [-0.01, 0.02]
        np.testing.assert_allclose(displacement[row, moved], np.tile(wanted, (24, 1)), rtol=1e-5)
        assert (displacement[row, still] == 0).all()


def test_the_second_phase_mixes_domains_and_views():
    task = make_task(canonical=make_targets(20, 1, views=2))
    views = set()
    for step in range(8):
        embedding, domain, texture, mask, _ = task.batch(step, np.random.default_rng(step))
        assert domain.mean() == pytest.approx(task._recipe.canonical.share)
        drawn = domain == 1
        views |= set(embedding[drawn, 1].round().tolist())
        # Canonical pictures teach all that is known, to the picture's edge.
        assert mask[drawn][:, :, 0].amax(-1).min() == 1
        levels = texture[drawn].amax((1, 2, 3)) * 255 - 100
        torch.testing.assert_close(levels, embedding[drawn, 0], atol=0.01, rtol=0)
    assert views == {0, 1}


def test_morphs_are_means_of_the_same_people_in_all_they_are():
    task = make_task(morphs=1.0, canonical=make_targets(40, 1))
    embedding, domain, texture, _, _ = task.batch(0, np.random.default_rng(0))
    drawn = domain == 1
    levels = texture[drawn].amax((1, 2, 3)) * 255 - 100
    torch.testing.assert_close(levels, embedding[drawn, 0], atol=0.01, rtol=0)
    assert (embedding[drawn, 0] % 1 > 0.01).any()  # means of several indeed


def test_the_same_step_gives_the_same_batch():
    task = make_task(morphs=0.5, canonical=make_targets(20, 1))
    first, again = (task.batch(5, np.random.default_rng((0, 5))) for _ in range(2))
    other = task.batch(6, np.random.default_rng((0, 6)))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[0], other[0])


def test_those_alike_are_the_nearest():
    embeddings = np.arange(50.0)[:, None]
    sizes = set()
    for seed in range(30):
        group = _choose_alike(embeddings, 20, np.random.default_rng(seed))
        assert 20 in group
        assert np.abs(group - 20).max() <= 5  # at most ten, the nearest of all fifty
        sizes.add(len(set(group.tolist())))
    assert len(sizes) > 4


def test_a_new_decoder_starts_near_the_mean_shape_and_grey():
    network = make_task().network
    with torch.inference_mode():
        texture, displacement = network.draw(torch.randn(8, 128))
    assert displacement.abs().mean() < 0.03
    assert 0.35 < texture.mean() < 0.65
    again = make_task().network
    for a, b in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)  # of its seed


def test_losses_are_made_smaller_by_training():
    task = make_task(batch=8)
    batch = task.batch(0, np.random.default_rng(0))
    optimiser = torch.optim.Adam(task.network.parameters(), lr=3e-3)
    seen = []
    for _ in range(30):
        losses = task.losses(batch)
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        seen.append({k: v.item() for k, v in losses.items()})
    assert seen[0].keys() == {"texture", "edges", "landmarks"}
    for name in seen[0]:
        assert seen[-1][name] < 0.8 * seen[0][name], name
