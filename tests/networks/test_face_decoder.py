"""The face decoder: what comes out, and where the warp moves it."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from beartype import beartype
from jaxtyping import Float, jaxtyped

from speech2face.faces import TEMPLATES, align_face
from speech2face.networks.face_decoder import (
    KNOWN,
    UNKNOWN,
    FaceDecoder,
    FaceDecoderConfig,
    crop_canvas,
)
from speech2face.training.export import export_onnx

SMALL = FaceDecoderConfig(
    embedding=16, landmarks=25, size=64, hidden=24, channels=(16, 12, 8, 8), warp_grid=32
)
LINE = np.linspace(0.25, 0.75, 5)
SHAPE = np.stack(np.meshgrid(LINE, LINE), axis=-1).reshape(25, 2)  # a lattice in the middle


@pytest.fixture(scope="module")
def network() -> FaceDecoder:
    torch.manual_seed(0)
    network = FaceDecoder(SMALL, SHAPE).eval().requires_grad_(False)
    network.embedding_mean.copy_(torch.randn(16))
    network.embedding_scale.copy_(torch.rand(16) + 0.5)
    network.neutral.copy_(torch.randn(4))
    network.shape_network[-1].weight *= 5  # so that shapes differ visibly
    network.face[16:48, 16:48] = 1
    network.base_slope.copy_(0.01 * torch.randn_like(network.base_slope))
    network.base_offset.copy_(torch.rand_like(network.base_offset))
    return network


@pytest.mark.parametrize(
    "config",
    [SMALL, FaceDecoderConfig(embedding=16), FaceDecoderConfig(embedding=16, size=256)],
    ids=["small", "224", "256"],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_shapes_and_range(config, batch):
    torch.manual_seed(0)
    shape = SHAPE if config is SMALL else np.random.default_rng(0).uniform(0.2, 0.8, (66, 2))
    network = FaceDecoder(config, shape).eval()

    @jaxtyped(typechecker=beartype)
    def draw(
        embedding: Float[torch.Tensor, "b d"],
    ) -> tuple[
        Float[torch.Tensor, "b 3 s s"],
        Float[torch.Tensor, "b k 2"],
        Float[torch.Tensor, "b 3 s s"],
        Float[torch.Tensor, "b k 2"],
    ]:
        return *network(embedding), *network.draw(embedding)

    with torch.inference_mode():
        picture, landmarks, texture, displacement = draw(torch.randn(batch, 16) * 3)
    torch.testing.assert_close(landmarks, network.mean_shape + displacement)
    assert picture.shape == texture.shape == (batch, 3, config.size, config.size)
    assert displacement.shape == (batch, config.landmarks, 2)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.01


def test_faces_are_neutral_unless_told_otherwise(network):
    embedding = torch.randn(2, 16)
    neutral = network(embedding, network.neutral.expand(2, -1))
    for drawn, wanted in zip(network(embedding), neutral, strict=True):
        torch.testing.assert_close(drawn, wanted)
    for drawn, other in zip(neutral, network(embedding, torch.ones(2, 4)), strict=True):
        assert (drawn - other).abs().max() > 0.01


def test_textures_are_symmetric_and_shapes_are_not(network):
    texture, displacement = network.draw(torch.randn(2, 16))
    torch.testing.assert_close(texture, texture.flip(3))
    assert texture[0].std() > 0.01
    mirrored = displacement.unflatten(1, (5, 5)).flip(2).flatten(1, 2) * torch.tensor([-1, 1])
    assert (displacement - mirrored).abs().max() > 0.01


def test_short_embeddings_get_the_linear_base_within_the_face(network):
    people = network.embedding_scale.square().sum().sqrt()
    way = F.normalize(torch.randn(1, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    lengths = torch.tensor([0.0, UNKNOWN, (UNKNOWN + KNOWN) / 2, KNOWN, 1.2])[:, None]
    embedding = network.embedding_mean + lengths * people * way
    drawn = torch.rand(1, 3, 64, 64).expand(5, -1, -1, -1)
    settled = network.settle(drawn, embedding)
    face = network.face.bool()
    assert torch.equal(settled[..., ~face], drawn[..., ~face])
    torch.testing.assert_close(settled[3:], drawn[3:])  # people's
    side = SMALL.base
    half = network.base_offset.view(3, side, side // 2)
    base = torch.cat([half, half.flip(2)], dim=2)[None]
    average = F.interpolate(base, size=(64, 64), mode="bilinear")[0]
    torch.testing.assert_close(settled[0][:, face], average[:, face])
    # The base is linear, and half-way between the lengths half of each is drawn.
    ends = network.settle(torch.zeros_like(drawn), embedding)[:3][..., face]
    step = ends[1] - ends[0]
    middle = ends[0] + (UNKNOWN + KNOWN) / 2 / UNKNOWN * step
    torch.testing.assert_close(ends[2], middle / 2, atol=1e-5, rtol=1e-4)
    assert step.abs().max() > 0.01


def test_each_row_is_drawn_by_itself(network):
    embedding, conditions = torch.randn(3, 16), torch.randn(3, 4)
    together, _ = network(embedding, conditions)
    rows = [network(embedding[i : i + 1], conditions[i : i + 1])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(rows), atol=1e-4, rtol=1e-4)
    assert (rows[0] - rows[2]).abs().max() > 0.01


def test_the_embedding_is_standardised(network):
    """The decoder of faces of another mean and scale draws the same of the same standing."""
    torch.manual_seed(1)
    standing = torch.randn(1, 16)
    first = network.draw(network.embedding_mean + network.embedding_scale * standing)
    other = FaceDecoder(SMALL, SHAPE).eval()
    other.load_state_dict(network.state_dict())
    other.embedding_mean.fill_(7.0)
    other.embedding_scale.fill_(0.1)
    for drawn, wanted in zip(other.draw(7 + 0.1 * standing), first, strict=True):
        torch.testing.assert_close(drawn, wanted, atol=1e-3, rtol=1e-3)


# The warp ----------------------------------------------------------------------------------------


def blob(size: int, x: float, y: float, width: float = 0.03) -> torch.Tensor:
    """(1, 3, S, S), bright about (x, y), fractions of the side."""
    line = (torch.arange(size) + 0.5) / size
    light = torch.exp(-((line - x) ** 2 + (line[:, None] - y) ** 2) / (2 * width**2))
    return light.expand(1, 3, size, size).contiguous()


def centre(picture: torch.Tensor) -> np.ndarray:
    """Where the light of (3, S, S) is centred, fractions of the side (x, y)."""
    light = picture[0].double()
    line = (torch.arange(light.shape[0]) + 0.5) / light.shape[0]
    return np.array([(light.sum(0) * line).sum(), (light.sum(1) * line).sum()]) / light.sum().item()


@pytest.mark.parametrize("steps", [0, 2])
def test_no_displacement_is_the_identity(steps):
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, warp_steps=steps), SHAPE)
    texture = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(
        network.warp(texture, torch.zeros(2, 25, 2)), texture, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("move", [(0.04, 0.0), (0.0, -0.04), (-0.03, 0.05)])
def test_moving_all_landmarks_moves_the_texture_by_as_much(move):
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=128, channels=(8, 8, 8, 8)), SHAPE)
    drawn = network.warp(blob(128, 0.5, 0.5), torch.tensor(move).expand(1, 25, 2))
    np.testing.assert_allclose(centre(drawn[0]) - 0.5, move, atol=0.004)  # half a pixel


def test_moving_one_landmark_moves_only_what_is_near():
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=128, channels=(8, 8, 8, 8)), SHAPE)
    displacement = torch.zeros(2, 25, 2)
    displacement[0, 12] = torch.tensor([0.03, 0.02])  # the one at (0.5, 0.5), of the first row
    here = blob(128, 0.5, 0.5, 0.01).expand(2, -1, -1, -1)
    there = blob(128, 0.25, 0.75, 0.01).expand(2, -1, -1, -1)
    moved, still = network.warp(here, displacement), network.warp(there, displacement)
    np.testing.assert_allclose(centre(moved[0]) - 0.5, [0.03, 0.02], atol=0.004)
    np.testing.assert_allclose(centre(moved[1]) - 0.5, 0, atol=0.001)
    np.testing.assert_allclose(centre(still[0]), [0.25, 0.75], atol=0.002)


def test_the_picture_carries_the_landmarks_of_the_displaced_shape(network):
    """Paint dots at the mean shape's landmarks: they must come out where `draw` puts them."""
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=256, channels=(8, 8, 8, 8)), SHAPE)
    x, y = 2 * np.pi * SHAPE.T
    displacement = 0.025 * np.stack([np.sin(y), np.cos(x)], axis=1)
    for landmark in (0, 7, 12, 18, 24):
        spot = SHAPE[landmark]
        drawn = network.warp(
            blob(256, *spot, width=0.012), torch.tensor(displacement[None], dtype=torch.float32)
        )
        wanted = spot + displacement[landmark]
        np.testing.assert_allclose(centre(drawn[0]), wanted, atol=0.005)


def test_the_border_stays():
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=128, channels=(8, 8, 8, 8)), SHAPE)
    line = (torch.arange(128) + 0.5) / 128
    texture = torch.stack([line.expand(128, 128), line[:, None].expand(128, 128)]).repeat(2, 1, 1)
    drawn = network.warp(texture[None, :3], torch.full((1, 25, 2), 0.04))[0]
    error = (drawn - texture[:3]).abs()
    assert error[:, 64, 64].max() > 0.03
    for edge in (error[:, 0], error[:, -1], error[..., 0], error[..., -1]):
        assert edge.max() < 0.01


def test_gradients_reach_shape_and_texture(network):
    torch.manual_seed(0)
    network = FaceDecoder(SMALL, SHAPE)
    target = torch.rand(2, 3, 64, 64)
    (network(torch.randn(2, 16))[0] - target).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("template", ["dlib", "arcface"])
def test_crops_of_the_canvas_are_those_that_recognisers_see(template):
    line = (np.arange(224) + 0.5) / 224
    x, y = np.meshgrid(line, line)
    waves = [np.sin(9 * x + 2 * y), np.cos(7 * y - 3 * x), np.sin(6 * (x + y))]
    picture = np.round(127.5 + 110 * np.stack(waves, axis=-1)).astype(np.uint8)
    wanted = align_face(picture, TEMPLATES["canvas"] * 224, template, 150)
    pixels = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255
    crop = crop_canvas(pixels.repeat(2, 1, 1, 1), template, 150)
    assert crop.shape == (2, 3, 150, 150)
    error = np.abs(crop[1].permute(1, 2, 0).numpy() * 255 - wanted)
    assert error.mean() < 2.5  # half a pixel's difference in where a pixel's middle is
    assert error.max() < 12


# ONNX --------------------------------------------------------------------------------------------


def test_onnx_draws_the_same_at_any_batch(network, tmp_path):
    path = tmp_path / "decoder.onnx"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of torch, to itself
        warnings.filterwarnings("ignore", category=FutureWarning)
        names = ["picture", "landmarks"]
        export_onnx(network, path, (torch.randn(2, 16),), ["embedding"], names, ({0: "batch"},), {})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        embedding = torch.randn(batch, 16)
        drawn = session.run(None, {"embedding": embedding.numpy()})
        for output, wanted in zip(drawn, network(embedding), strict=True):
            np.testing.assert_allclose(output, wanted.numpy(), atol=1e-4)
