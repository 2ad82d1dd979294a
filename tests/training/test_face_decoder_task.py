"""What the face decoder is shown: photographs, canonical pictures and mirror images; its critic."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from speech2face.data.targets import MIRRORED, Targets
from speech2face.data.textures import face_mask
from speech2face.networks.face_decoder import FaceDecoder
from speech2face.networks.losses import lightness_detail
from speech2face.networks.texture_critic import TextureCritic
from speech2face.training.face_decoder import FaceDecoderTask, _initialise, fit_base
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
    conditions = np.tile(np.float32([0.1, 0.2, 0.3, 5]), (count, 1))
    return Targets(textures, known, displacements, conditions, embeddings)


def make_task(canonical: Targets | None = None, batch: int = 64, **changes):
    recipe = replace(
        face_decoder_debug(), batch=batch, **{"jitter": 0.0, "shortened": 0.0, **changes}
    )
    network = FaceDecoder(recipe.network, SHAPE)
    _initialise(network, 0)
    network.condition_mean[-1], network.condition_scale[-1] = 3, 0.5
    torch.manual_seed(0)
    critic = TextureCritic(recipe.critic)
    return FaceDecoderTask(network, critic, recipe, make_targets(12, 0), canonical)


def test_the_first_phase_shows_photographs_only():
    batch = make_task().batch(0, np.random.default_rng(0))
    embedding, conditions, texture, mask, displacement = batch
    assert embedding.shape == (64, 128)
    assert conditions.shape == (64, 4)
    assert texture.shape == (64, 3, SIZE, SIZE)
    assert texture.max() <= 1
    assert mask.shape == (64, 1, SIZE, SIZE)
    assert displacement.shape == (64, 66, 2)


def test_mirror_images_are_mirrored_in_all_they_are():
    batch = make_task().batch(0, np.random.default_rng(0))
    embedding, conditions, texture, mask, displacement = batch
    own = np.float32([0.1, 0.2, 0.3, 5])
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
        np.testing.assert_allclose(conditions[row], own if is_left else own * MIRRORED)


def test_embeddings_are_jittered_by_the_spread_of_people():
    still = make_task(batch=4000).batch(0, np.random.default_rng(0))[0]
    moved = make_task(batch=4000, jitter=0.5).batch(0, np.random.default_rng(0))[0]
    torch.testing.assert_close((moved - still).std(0), 0.5 * still.std(0), rtol=0.2, atol=1e-6)
    torch.testing.assert_close((moved - still)[:, 0].mean(), torch.tensor(0.0), rtol=0, atol=0.2)


def test_some_embeddings_are_drawn_nearer_to_the_average():
    average = torch.zeros(128)
    average[0] = 5.5
    tasks = make_task(batch=4000), make_task(batch=4000, shortened=0.25, shortest=0.4)
    for task in tasks:
        task.network["decoder"].embedding_mean.copy_(average)
    own, drawn = (task.batch(0, np.random.default_rng(0))[0] - average for task in tasks)
    factor = (drawn * own).sum(1) / (own * own).sum(1)
    torch.testing.assert_close(drawn, factor[:, None] * own, atol=1e-4, rtol=1e-4)
    short = factor[factor < 0.9999]
    assert len(short) / 4000 == pytest.approx(0.25, abs=0.03)
    assert short.min() == pytest.approx(0.4, abs=0.01)
    assert short.mean() == pytest.approx(0.7, abs=0.02)


def test_the_second_phase_mixes_photographs_and_canonical_pictures():
    task = make_task(canonical=make_targets(20, 1, views=2))
    views, sharpness = set(), []
    for step in range(8):
        batch = task.batch(step, np.random.default_rng(step))
        embedding, conditions, texture, mask, _ = batch
        first, drawn = slice(0, 32), slice(32, 64)  # photographs come first; half is canonical
        assert (conditions[first, -1] == 5).all()
        assert embedding[first, 1].abs().max() < 0.5
        views |= set(embedding[drawn, 1].round().tolist())
        sharpness += conditions[drawn, -1].tolist()
        assert mask[drawn][:, :, 0].amax(-1).min() == 1  # to the picture's edge
        levels = texture[drawn].amax((1, 2, 3)) * 255 - 100
        torch.testing.assert_close(levels, embedding[drawn, 0], atol=0.01, rtol=0)
    assert views == {0, 1}
    # However sharp the face shall be, its light and its surroundings are the same.
    assert np.mean(sharpness) == pytest.approx(3, abs=0.15)
    assert np.std(sharpness) == pytest.approx(0.5, abs=0.1)


def test_photographs_teach_detail_and_canonical_pictures_all_else():
    task = make_task(canonical=make_targets(20, 1), batch=8, critic_weight=0.0)
    texture, displacement = (x.detach() for x in task.network["decoder"].draw(torch.zeros(8, 128)))
    task._decoder.draw = lambda *_: (texture, displacement)
    row = torch.arange(SIZE)
    dots = 0.2 * ((row % 4 == 0)[:, None] & (row % 4 == 0)).float()  # (S, S), symmetric enough
    everywhere = torch.ones(8, 1, SIZE, SIZE)

    def losses(photograph, canonical) -> dict[str, float]:
        true = torch.cat([texture[:4] + photograph, texture[4:] + canonical])
        terms = task.losses((torch.zeros(8, 128), None, true, everywhere, displacement))
        return {name: term.item() for name, term in terms.items()}

    same = losses(0, 0)
    assert same.keys() == {"texture", "edges", "landmarks", "colours", "surroundings", "calm"}
    about = 1 - torch.tensor(face_mask(SHAPE, SIZE))
    quiet = (lightness_detail(texture[:4]).abs() * about).sum() / (4 * about.sum() + 1)
    calm = same.pop("calm")  # whatever is drawn there, and whatever a photograph shows
    assert calm == pytest.approx(0.06 * quiet.item(), rel=1e-4)
    assert losses(dots, dots)["calm"] == pytest.approx(calm)
    assert max(same.values()) < 1e-6
    tint = torch.tensor([0.1, 0.0, -0.1]).view(3, 1, 1)
    tinted = losses(tint, 0)  # a photograph's colours are not learned
    assert tinted.pop("calm") == calm
    assert max(tinted.values()) < 1e-3
    seen = losses(dots, 0)
    assert min(seen["texture"], seen["edges"]) > 0.01
    tinted = losses(0, tint)
    assert tinted["colours"] == pytest.approx(0.0185 + 0.0669 + 0.0581, rel=0.01)  # lightness, two
    assert tinted["texture"] < 1e-6
    # Dots on a canonical picture count around the face, but not on it.
    face = torch.tensor(face_mask(SHAPE, SIZE))
    on, around = losses(0, dots * (face > 0.99)), losses(0, dots * (face < 0.01))
    assert on["surroundings"] < 0.05 * around["surroundings"]
    assert on["colours"] < 0.4 * around["colours"]


def test_the_base_is_a_ridge_to_symmetric_textures():
    network = make_task().network["decoder"]
    fit_base(network, make_targets(150, 2, views=2), penalty=1e-3)
    network.embedding_mean.zero_()
    network.embedding_scale.fill_(1e4)  # so that every embedding is short
    embedding = torch.zeros(2, 128)
    embedding[:, 0] = torch.tensor([20.0, 120.0])
    settled = network.settle(torch.zeros(2, 3, SIZE, SIZE), embedding)
    inside = torch.tensor(face_mask(SHAPE, SIZE)) > 0.999
    levels = settled[:, :, inside]
    assert levels.std(dim=(1, 2)).max() < 0.01
    torch.testing.assert_close(
        levels.mean((1, 2)), torch.tensor([120.0, 220.0]) / 2 / 255, atol=5e-3, rtol=0
    )
    assert settled[..., 0].abs().max() == 0


def test_the_same_step_gives_the_same_batch():
    task = make_task(canonical=make_targets(20, 1))
    first, again = (task.batch(5, np.random.default_rng((0, 5))) for _ in range(2))
    other = task.batch(6, np.random.default_rng((0, 6)))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[0], other[0])


def test_a_new_decoder_starts_near_the_mean_shape_and_grey():
    network = make_task().network["decoder"]
    with torch.inference_mode():
        texture, displacement = network.draw(torch.randn(8, 128))
    assert displacement.abs().mean() < 0.03
    assert 0.35 < texture.mean() < 0.65
    again = make_task().network["decoder"]
    for a, b in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)  # of its seed


def test_losses_are_made_smaller_by_training():
    task = make_task(batch=8, critic_weight=0.0)
    batch = task.batch(0, np.random.default_rng(0))
    seen = train(task, batch, steps=30)
    assert seen[0].keys() == {"texture", "edges", "landmarks"}
    for name in seen[0]:
        assert seen[-1][name] < 0.8 * seen[0][name], name


def train(task, batch, steps: int) -> list[dict[str, float]]:
    optimiser = torch.optim.Adam(task.network.parameters(), lr=3e-3)
    seen = []
    for _ in range(steps):
        losses = task.losses(batch)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        seen.append({k: v.item() for k, v in losses.items()})
    return seen


def test_the_critic_comes_late_and_learns_to_tell():
    task = make_task(batch=8, critic_start=5)
    rng = np.random.default_rng(0)
    assert "critic" not in task.losses(task.batch(4, rng))
    batch = task.batch(5, rng)
    for parameter in task.network["decoder"].parameters():
        parameter.requires_grad_(False)
    known = batch[3][..., : SIZE // 2].amax((1, 2, 3)) > 0  # the half that the critic looks at
    batch = tuple(column[known] for column in batch)
    seen = train(task, batch, steps=80)
    nothing = 0.2  # a tenth of both hinges
    assert seen[0]["critic"] == pytest.approx(nothing, abs=0.03)
    assert seen[-1]["critic"] < 0.5 * seen[0]["critic"]


def test_each_loss_moves_its_own_network_only():
    task = make_task(batch=4, critic_start=0)
    losses = task.losses(task.batch(0, np.random.default_rng(0)))
    for name, own in (("critic", "critic"), ("crispness", "decoder"), ("edges", "decoder")):
        task.network.zero_grad()
        losses[name].backward(retain_graph=True)
        moved = {
            part
            for part, network in task.network.items()
            for p in network.parameters()
            if p.grad is not None and p.grad.abs().max() > 0
        }
        assert moved == {own}, name
