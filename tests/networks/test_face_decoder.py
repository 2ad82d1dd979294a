"""The face decoder: what comes out, and where the warp moves it."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from beartype import beartype
from jaxtyping import Float, jaxtyped

from speech2face.networks.face_decoder import FaceDecoder, FaceDecoderConfig, enlarging_matrix
from speech2face.training.export import export_onnx

SMALL = FaceDecoderConfig(embedding=16, landmarks=25, size=64, head=48, warp_grid=32)
LINE = np.linspace(0.25, 0.75, 5)
SHAPE = np.stack(np.meshgrid(LINE, LINE), axis=-1).reshape(25, 2)  # a lattice in the middle


def fill(network: FaceDecoder) -> FaceDecoder:
    """Random maps of the size that solved ones have."""
    torch.manual_seed(0)
    network.average.copy_(torch.randn_like(network.average))
    network.head_slope.copy_(0.02 * torch.randn_like(network.head_slope))
    network.head_offset.copy_(torch.rand_like(network.head_offset))
    network.shape_slope.copy_(0.003 * torch.randn_like(network.shape_slope))
    network.shape_offset.copy_(0.003 * torch.randn_like(network.shape_offset))
    return network.eval()


@pytest.fixture(scope="module")
def network() -> FaceDecoder:
    return fill(FaceDecoder(SMALL, SHAPE))


@pytest.mark.parametrize(
    "config",
    [SMALL, FaceDecoderConfig(embedding=16), FaceDecoderConfig(embedding=16, size=256)],
    ids=["small", "224", "256"],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_shapes_and_range(config, batch):
    shape = SHAPE if config is SMALL else np.random.default_rng(0).uniform(0.2, 0.8, (66, 2))
    network = fill(FaceDecoder(config, shape))

    @jaxtyped(typechecker=beartype)
    def draw(
        embedding: Float[torch.Tensor, "b d"],
    ) -> tuple[
        Float[torch.Tensor, "b 3 s s"],
        Float[torch.Tensor, "b k 2"],
        Float[torch.Tensor, "b 3 s s"],
        Float[torch.Tensor, "b 1 s s"],
        Float[torch.Tensor, "b k 2"],
    ]:
        return *network(embedding), *network.draw_head(embedding), network.draw_shape(embedding)

    with torch.inference_mode():
        picture, landmarks, colours, cover, displacement = draw(torch.randn(batch, 16) * 3)
    torch.testing.assert_close(landmarks, network.mean_shape + displacement)
    assert picture.shape == colours.shape == (batch, 3, config.size, config.size)
    assert displacement.shape == (batch, config.landmarks, 2)
    assert 0 <= cover.min() < 0.05
    assert 0.95 < cover.max() <= 1
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.01


def test_the_average_embedding_gets_the_offsets(network):
    colours, cover = network.draw_head(network.average[None])
    side = SMALL.head
    half = network.head_offset.view(4, side, side // 2)
    head = torch.cat([half, half.flip(2)], dim=2)[None]
    head = F.interpolate(head, size=(64, 64), mode="bicubic")
    torch.testing.assert_close(colours, head[:, :3])
    assert cover[head[:, 3:] > 0.65].min() > 0.98
    assert cover[head[:, 3:] < 0.35].max() < 0.02
    torch.testing.assert_close(
        network.draw_shape(network.average[None]).flatten(), network.shape_offset
    )


@pytest.mark.parametrize(("old", "new"), [(160, 224), (48, 64), (7, 5)])
def test_enlarging_by_products_is_bicubic_interpolation(old, new):
    pictures = torch.rand(2, 4, old, old, generator=torch.Generator().manual_seed(0))
    matrix = enlarging_matrix(old, new)
    wanted = F.interpolate(pictures, size=(new, new), mode="bicubic")
    torch.testing.assert_close(matrix @ pictures @ matrix.T, wanted, atol=1e-5, rtol=0)


def test_what_enlarges_is_no_weight(network):
    assert "enlarging" not in network.state_dict()


def test_colours_and_landmarks_are_linear_and_colours_symmetric(network):
    ends = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    three = torch.stack([ends[0], ends.mean(0), ends[1]])
    colours, cover = network.draw_head(three)
    moved = network.draw_shape(three)
    for drawn in (colours, moved):
        torch.testing.assert_close(drawn[1], (drawn[0] + drawn[2]) / 2)
        assert (drawn[0] - drawn[2]).abs().max() > 0.005
    for drawn in (colours, cover):
        torch.testing.assert_close(drawn, drawn.flip(3))


def test_where_there_is_no_head_there_is_white_ground(network):
    still = fill(FaceDecoder(SMALL, SHAPE))
    still.shape_slope.zero_()
    still.shape_offset.zero_()
    embedding = torch.randn(2, 16)
    colours, cover = still.draw_head(embedding)
    picture, _ = still(embedding)
    ground, head = (x.expand_as(picture) for x in (cover < 1e-3, cover > 0.999))
    assert min(ground.sum(), head.sum()) > 100
    assert picture[ground].min() > 0.99
    torch.testing.assert_close(picture[head], colours[head].clamp(0, 1), atol=0.01, rtol=0)


def test_each_row_is_drawn_by_itself(network):
    embedding = torch.randn(3, 16)
    together, _ = network(embedding)
    rows = [network(embedding[i : i + 1])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(rows), atol=1e-4, rtol=1e-4)
    assert (rows[0] - rows[2]).abs().max() > 0.01


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
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=128), SHAPE)
    drawn = network.warp(blob(128, 0.5, 0.5), torch.tensor(move).expand(1, 25, 2))
    np.testing.assert_allclose(centre(drawn[0]) - 0.5, move, atol=0.004)  # half a pixel


def test_moving_one_landmark_moves_only_what_is_near():
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=128), SHAPE)
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
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=256), SHAPE)
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
    network = FaceDecoder(FaceDecoderConfig(landmarks=25, size=128), SHAPE)
    line = (torch.arange(128) + 0.5) / 128
    texture = torch.stack([line.expand(128, 128), line[:, None].expand(128, 128)]).repeat(2, 1, 1)
    drawn = network.warp(texture[None, :3], torch.full((1, 25, 2), 0.04))[0]
    error = (drawn - texture[:3]).abs()
    assert error[:, 64, 64].max() > 0.03
    for edge in (error[:, 0], error[:, -1], error[..., 0], error[..., -1]):
        assert edge.max() < 0.01


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
