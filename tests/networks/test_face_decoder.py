"""The face decoder: what comes out, skin, hair, and where the warp moves it."""

import math
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from beartype import beartype
from jaxtyping import Float, jaxtyped

from speech2face.networks.face_decoder import (
    CONTRAST,
    LEAST_GAIN,
    LEVELS,
    LIGHT_RANGE,
    MOST_GAIN,
    SCATTER,
    SHAPE_RANGE,
    SIDE,
    FaceDecoder,
    FaceDecoderConfig,
    fade_out,
    limit,
    to_levels,
)
from speech2face.networks.line_maps import (
    blur_matrix,
    enlarging_matrix,
    fold,
    narrowing_matrix,
)
from speech2face.training.onnx_export import export_onnx

SMALL = FaceDecoderConfig(
    embedding=16, landmarks=20, outline=5, quirks=6, size=64, colour=16, energy=8, warp_grid=32
)
LINE = np.linspace(0.25, 0.75, 5)
SHAPE = np.stack(np.meshgrid(LINE, LINE), axis=-1).reshape(25, 2)  # a lattice in the middle
SHAPES, COLOURS = 3, 2


def fill(network: FaceDecoder) -> FaceDecoder:
    """Random maps of the size that solved ones have; a round head, and hair of growing caps."""
    torch.manual_seed(0)
    size, near = network.config.size, torch.randn
    network.average.copy_(near(network.average.shape))
    network.hair_centre.copy_(near(network.average.shape))
    network.shape_slope.copy_(0.003 * near(network.shape_slope.shape))
    network.shape_offset.copy_(0.003 * near(network.shape_offset.shape))
    network.shape_spread.fill_(0.01)
    network.quirks.copy_(0.002 * near(network.quirks.shape))
    network.quirk_taste.copy_(near(network.quirk_taste.shape))
    network.light_slope.copy_(0.02 * near(network.light_slope.shape))
    network.light_middle.copy_(0.4 + 0.3 * torch.rand(network.light_middle.shape))
    network.light_offset.copy_(network.light_middle)
    network.light_spread.fill_(0.1)
    network.colour_slope.copy_(0.005 * near(network.colour_slope.shape))
    network.colour_spread.fill_(0.02)
    network.energy_slope.copy_(0.05 * near(network.energy_slope.shape))
    network.energy_offset.fill_(-6)
    line = (torch.arange(size) + 0.5) / size - 0.5
    radius = torch.hypot(line, line[:, None])
    network.skin_cover.copy_((radius[:, : size // 2] < 0.3).float())
    for number in range(network.shapes):
        cap = torch.minimum(radius - 0.15, 0.25 + 0.04 * number - radius)
        cap = torch.minimum(cap, 0.1 * line - line[:, None]) * 224  # lower on the right
        cover = torch.sigmoid(cap).flatten() * (number > 0)
        network.hair_front[number] = to_levels(cover, "hair_front")
    network.hair_light.fill_(to_levels(torch.tensor(1.0), "hair_light"))
    network.hair_colours.copy_(torch.rand(network.hair_colours.shape))
    network.hair_slope.copy_(near(network.hair_slope.shape))
    network.hair_taste.copy_(near(network.hair_taste.shape))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def network() -> FaceDecoder:
    return fill(FaceDecoder(SMALL, SHAPE, SHAPES, COLOURS))


def wish(network: FaceDecoder, shape: int, colour: int = 0, rows: int = 1) -> torch.Tensor:
    """What makes one kind of hair the one that is chosen."""
    hair = torch.zeros(rows, network.kinds)
    hair[:, shape] = hair[:, network.shapes + colour] = 1e4
    return hair


@pytest.mark.parametrize(
    "config",
    [SMALL, FaceDecoderConfig(embedding=16), FaceDecoderConfig(embedding=16, size=256)],
    ids=["small", "224", "256"],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_shapes_and_range(config, batch):
    shape = SHAPE if config is SMALL else np.random.default_rng(0).uniform(0.2, 0.8, (77, 2))
    network = fill(FaceDecoder(config, shape, SHAPES, COLOURS))

    @jaxtyped(typechecker=beartype)
    def draw(
        embedding: Float[torch.Tensor, "b d"],
    ) -> tuple[
        Float[torch.Tensor, "b 3 s s"],
        Float[torch.Tensor, "b k 2"],
        Float[torch.Tensor, "b 3 s half"],
        Float[torch.Tensor, "b kinds"],
        Float[torch.Tensor, "b points 2"],
    ]:
        skin, chances = network.draw_skin(embedding), network.draw_chances(embedding)
        return *network(embedding), skin, chances, network.draw_shape(embedding)

    picture, landmarks, skin, chances, displacement = draw(torch.randn(batch, 16) * 3)
    torch.testing.assert_close(
        landmarks, (network.mean_shape + displacement)[:, : config.landmarks]
    )
    assert picture.shape == (batch, 3, config.size, config.size)
    assert skin.shape == (batch, 3, config.size, config.size // 2)
    assert chances.shape == (batch, network.kinds) == (batch, 1 + SHAPES + COLOURS)
    assert displacement.shape == (batch, config.landmarks + config.outline, 2)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.01


def test_the_released_size_is_a_small_file():
    network = FaceDecoder(FaceDecoderConfig(), None, 24, 9)
    assert sum(t.numel() for t in network.state_dict().values()) * 2 < 25e6


# Skin --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [(160, 224), (48, 64), (7, 5)])
def test_enlarging_by_products_is_bicubic_interpolation(old, new):
    pictures = torch.rand(2, 4, old, old, generator=torch.Generator().manual_seed(0))
    matrix = enlarging_matrix(old, new)
    wanted = F.interpolate(pictures, size=(new, new), mode="bicubic")
    torch.testing.assert_close(matrix @ pictures @ matrix.T, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "matrix",
    [enlarging_matrix(16, 64), blur_matrix(64, 3.0), narrowing_matrix(64, 8, 2.0)],
    ids=["enlarging", "blur", "narrowing"],
)
def test_a_folded_map_does_to_half_of_a_line_what_the_map_does_to_all(matrix):
    half = torch.rand(matrix.shape[1] // 2)
    whole = matrix @ torch.cat([half, half.flip(0)])
    torch.testing.assert_close(fold(matrix) @ half, whole[: len(whole) // 2])
    torch.testing.assert_close(whole, whole.flip(0))


def test_a_blur_keeps_an_even_plane_and_spreads_a_spot_by_its_width():
    matrix = blur_matrix(101, 4.0)
    torch.testing.assert_close(matrix.sum(1), torch.ones(101))
    spot = matrix[:, 50]
    assert float((spot * (torch.arange(101.0) - 50) ** 2).sum()) == pytest.approx(16, rel=0.01)


def test_a_bust_fades_out_downwards_and_aside():
    seen = fade_out(64)
    assert seen.shape == (64, 32)
    assert (seen[: int(0.55 * 64)] == 1).all()
    assert (seen.diff(dim=0) <= 0).all()
    assert (seen.diff(dim=1) >= 0).all()
    assert seen[-1].max() < 0.01
    steps = -seen[:, -1].diff()
    assert steps.max() < 0.3  # no line: it takes a tenth of the picture


def test_limits_leave_what_is_near_and_hold_what_is_far():
    values = torch.linspace(-10, 10, 401)[:, None]
    held = limit(values, torch.tensor([1.0]), torch.tensor([2.0]))
    assert held.min() > -1.001
    assert held.max() < 3.001
    assert (held.diff(dim=0) >= 0).all()
    near = (values - 1).abs() < 0.2
    torch.testing.assert_close(held[near], values[near], atol=1e-3, rtol=0)


def test_skin_stays_in_the_range_of_people_however_far_out():
    away = torch.randn(4, 16, generator=torch.Generator().manual_seed(2))
    calm = fill(FaceDecoder(SMALL, SHAPE))
    calm.light_middle.fill_(0.5)
    calm.light_offset.fill_(0.5)
    calm.energy_slope.zero_()
    calm.energy_offset.fill_(-13)  # hardly any detail is wanted: it shrinks to `LEAST_GAIN`
    most = LIGHT_RANGE * 0.1
    for distance in (1, 10, 100):
        skin = calm.draw_skin(calm.average + distance * away)
        light = torch.einsum("c,bcyx->byx", torch.tensor([0.299, 0.587, 0.114]), skin)
        assert (light - 0.5).abs().max() < most * (1 + 2 * (1 - LEAST_GAIN)) + 1e-3
        if distance > 1:
            assert (light - 0.5).abs().max() > most / 2


def test_shapes_stay_in_the_range_of_people_however_far_out(network):
    away = torch.randn(4, 16, generator=torch.Generator().manual_seed(2))
    quirks = math.sqrt(3) * network.quirks.abs().sum(0)
    most = SHAPE_RANGE * network.shape_spread + quirks + 1e-3
    for distance in (1, 10, 100):
        moved = network.draw_shape(network.average + distance * away).flatten(1)
        assert ((moved - network.shape_offset).abs() <= most).all()
    assert (moved - network.shape_offset).abs().max() > SHAPE_RANGE * 0.01 * 0.9


def test_quirks_are_spread_evenly_over_faces_and_stay_with_a_face(network):
    faces = torch.randn(4000, 16, generator=torch.Generator().manual_seed(5))
    drawn = network.draw_quirks(network.hair_centre + faces)
    assert drawn.shape == (4000, SMALL.quirks)
    assert drawn.abs().max() <= math.sqrt(3) + 1e-5
    torch.testing.assert_close(drawn.std(0), torch.ones(SMALL.quirks), atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.mean(0), torch.zeros(SMALL.quirks), atol=0.2, rtol=0)
    alike = torch.corrcoef(drawn.T) - torch.eye(SMALL.quirks)
    assert alike.abs().max() < 0.5
    farther = network.draw_quirks(network.hair_centre + 3 * faces)
    torch.testing.assert_close(drawn, farther, atol=0.05, rtol=0)
    assert network.draw_quirks(network.hair_centre[None]).abs().max() < 1e-3


def test_one_side_of_the_skin_is_a_little_lighter():
    grey = fill(FaceDecoder(SMALL, SHAPE))
    grey.skin_cover.fill_(1.0)
    skin, none = torch.full((1, 3, 64, 32), 0.5), torch.tensor([0])
    row = grey.lay_hair(skin, none, none)[0, 0, 30]
    assert (row.diff() < 0).all()
    assert float(row[0] / row[-1]) == pytest.approx((1 + SIDE) / (1 - SIDE), rel=1e-4)


def test_bands_of_detail_add_up_and_get_the_energy_that_is_wanted(network):
    light = torch.rand(2, 1, 64, 32, generator=torch.Generator().manual_seed(0))
    bands = network.split_bands(light)
    own = network.measure_energy(bands)
    torch.testing.assert_close(network.add_contrast(light, own), light)
    louder = network.add_contrast(light, own + 1.0)
    gain = float(torch.exp(torch.tensor(CONTRAST / 2)))
    torch.testing.assert_close(louder, light + (gain - 1) * bands.sum(1, keepdim=True))
    loudest = network.add_contrast(light, own + 9.0)
    torch.testing.assert_close(loudest, light + (MOST_GAIN - 1) * bands.sum(1, keepdim=True))
    even = torch.full((1, 1, 64, 32), 0.3)
    assert network.split_bands(even).abs().max() < 1e-5


# Hair and ground ---------------------------------------------------------------------------------


def still(network: FaceDecoder) -> FaceDecoder:
    """Without displacements."""
    quiet = fill(FaceDecoder(SMALL, SHAPE, SHAPES, COLOURS))
    quiet.shape_slope.zero_()
    quiet.shape_offset.zero_()
    quiet.quirks.zero_()
    quiet.side_light.fill_(1)
    return quiet


def test_the_head_is_symmetric_but_for_its_hair_and_stands_on_white_ground(network):
    quiet, embedding = still(network), torch.randn(2, 16)
    combed, _ = quiet(embedding, wish(quiet, SHAPES, 0, 2))
    assert (combed - combed.flip(3)).abs().max() > 0.1
    picture, _ = quiet(embedding, wish(quiet, 0, 0, 2))
    torch.testing.assert_close(picture, picture.flip(3), atol=1e-4, rtol=0)
    assert picture[..., :6, :6].min() > 0.999
    assert picture[..., 28:36, 28:36].max() < 0.999


@pytest.mark.parametrize("colour", range(COLOURS))
def test_hair_is_of_the_shape_and_colour_wished_for(network, colour):
    quiet, embedding = still(network), torch.randn(1, 16)
    bald, _ = quiet(embedding, wish(quiet, 0, colour))
    changed = []
    for shape in range(1, SHAPES + 1):
        picture, _ = quiet(embedding, wish(quiet, shape, colour))
        front = quiet.hair_front[shape].view(64, 64)
        within, beyond = front == LEVELS, front == 0
        assert within.sum() > 20
        wanted = quiet.hair_colours[colour][:, None].expand(3, int(within.sum()))
        torch.testing.assert_close(picture[0][:, within], wanted, atol=0.01, rtol=0)
        torch.testing.assert_close(picture[0][:, beyond], bald[0][:, beyond], atol=0.01, rtol=0)
        changed.append(int(((picture - bald).abs().amax(1) > 0.05).sum()))
    assert changed == sorted(changed)
    assert changed[0] > 0


def test_hair_is_darker_in_shade_and_its_own_colour_shines_less_than_light_does(network):
    quiet, skin = still(network), torch.zeros(1, 3, 64, 32)
    shape, colour = torch.tensor([1]), torch.tensor([0])
    quiet.hair_colours[0] = torch.tensor([0.4, 0.2, 0.1])
    drawn = []
    for light in (0.0, 0.5, 1.0, 2.0):
        quiet.hair_light.fill_(to_levels(torch.tensor(light), "hair_light"))
        within = quiet.hair_front[1].view(64, 64) == LEVELS
        drawn.append(quiet.lay_hair(skin, shape, colour)[0][:, within].mean(1))
    black, shade, own, shine = drawn
    torch.testing.assert_close(own, quiet.hair_colours[0], atol=1e-3, rtol=0)
    softer = own / 2 * (1 + SCATTER * own)  # the more of its own colour it has, the less
    torch.testing.assert_close(shade, softer, atol=1e-3, rtol=0)
    torch.testing.assert_close(black, SCATTER * own**2, atol=1e-3, rtol=0)
    assert (shine - own > 0.05).all()
    assert shine.max() / shine.min() < own.max() / own.min()


def test_hair_behind_is_hidden_by_skin_also_where_the_bust_fades(network):
    quiet = still(network)
    quiet.hair_back.fill_(LEVELS)
    quiet.skin_cover.fill_(1.0)
    quiet.skin_cover[:, :8] = 0.0
    shape, colour = torch.tensor([0]), torch.tensor([0])
    head = quiet.lay_hair(torch.zeros(1, 3, 64, 32), shape, colour)[0]
    assert head[:, -1, 8:-8].min() > 0.99
    assert head[:, -1, :8].max() < 0.99


def test_hair_stays_at_any_distance_from_the_average(network):
    towards = F.normalize(torch.randn(200, 16, generator=torch.Generator().manual_seed(3)))
    near, far = (network.draw_chances(network.hair_centre + d * towards) for d in (0.8, 3.0))
    same = [
        (a == b).float().mean() for a, b in zip(*map(network.choose_hair, (near, far)), strict=True)
    ]
    assert min(same) > 0.95


@pytest.mark.parametrize("turned", [False, True])
def test_each_kind_of_hair_is_met_as_often_as_it_is_likely(network, turned):
    fair = fill(FaceDecoder(SMALL, SHAPE, SHAPES, COLOURS))
    fair.hair_slope.zero_()
    likely = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.25, 0.75])
    fair.hair_offset.copy_(likely.log())
    generator = torch.Generator().manual_seed(4)
    if turned:  # one face, over and over
        faces = (fair.hair_centre + torch.randn(1, 16, generator=generator)).expand(4000, -1)
    else:
        faces = fair.hair_centre + torch.randn(4000, 16, generator=generator)
    turn = 2 * torch.rand(4000, fair.kinds, generator=generator) if turned else None
    shape, colour = fair.choose_hair(fair.draw_chances(faces, turn))
    met = torch.cat([shape.bincount(minlength=4), colour.bincount(minlength=2)]) / 4000
    torch.testing.assert_close(met, likely, atol=0.06, rtol=0)


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
    network = FaceDecoder(FaceDecoderConfig(landmarks=20, outline=5, warp_steps=steps), SHAPE)
    texture = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(
        network.warp(texture, torch.zeros(2, 25, 2)), texture, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("move", [(0.04, 0.0), (0.0, -0.04), (-0.03, 0.05)])
def test_moving_all_landmarks_moves_the_texture_by_as_much(move):
    network = FaceDecoder(FaceDecoderConfig(landmarks=20, outline=5, size=128), SHAPE)
    drawn = network.warp(blob(128, 0.5, 0.5), torch.tensor(move).expand(1, 25, 2))
    np.testing.assert_allclose(centre(drawn[0]) - 0.5, move, atol=0.004)  # half a pixel


def test_moving_one_landmark_moves_only_what_is_near():
    network = FaceDecoder(FaceDecoderConfig(landmarks=20, outline=5, size=128), SHAPE)
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
    network = FaceDecoder(FaceDecoderConfig(landmarks=20, outline=5, size=256), SHAPE)
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
    network = FaceDecoder(FaceDecoderConfig(landmarks=20, outline=5, size=128), SHAPE)
    line = (torch.arange(128) + 0.5) / 128
    texture = torch.stack([line.expand(128, 128), line[:, None].expand(128, 128)]).repeat(2, 1, 1)
    drawn = network.warp(texture[None, :3], torch.full((1, 25, 2), 0.04))[0]
    error = (drawn - texture[:3]).abs()
    assert error[:, 64, 64].max() > 0.03
    for edge in (error[:, 0], error[:, -1], error[..., 0], error[..., -1]):
        assert edge.max() < 0.01


# ONNX --------------------------------------------------------------------------------------------


def test_onnx_draws_the_same_at_any_batch_and_hair(network, tmp_path):
    path = tmp_path / "decoder.onnx"
    inputs = torch.randn(2, 16), torch.zeros(2, network.kinds), torch.zeros(2, network.kinds)
    names = ["embedding", "hair", "turn"], ["picture", "landmarks"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of torch, to itself
        warnings.filterwarnings("ignore", category=FutureWarning)
        export_onnx(network, path, inputs, *names, ({0: "batch"},) * 3, {})
    assert onnx.load(path).opset_import[0].version <= 20
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, shape in ((1, 0), (3, 2)):
        embedding, hair = torch.randn(batch, 16), wish(network, shape, 1, batch)
        none, turn = torch.zeros_like(hair), 2 * torch.rand_like(hair)
        for wanted in ((none, none), (hair, none), (none, turn)):
            given = zip(names[0], (embedding, *wanted), strict=True)
            drawn = session.run(None, {name: value.numpy() for name, value in given})
            for output, same in zip(drawn, network(embedding, *wanted), strict=True):
                np.testing.assert_allclose(output, same.numpy(), atol=2e-4)
