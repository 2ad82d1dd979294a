"""A decoder's shape: modes of people's faces keep their spread, and quirks are small and uneven."""

import numpy as np
import torch

from helpers.synthetic_pairs import make_face_shape
from speech2face.data.decoder_data import Targets, frame
from speech2face.data.face_unwarping import mirror_order
from speech2face.data.head_outlines import OUTLINE, OutlineMoves
from speech2face.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from speech2face.training.head_shape import MOST_UNEVEN, UNEVEN, solve_shape

SHAPE = frame(make_face_shape())
CONFIG = FaceDecoderConfig(embedding=8, size=32, colour=8, energy=4, warp_grid=8)


def solve(noise: float, people: int = 120) -> tuple[FaceDecoder, Targets]:
    """People whose faces widen with the first number of their embedding, and differ by chance."""
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(people, 2, 8)).astype(np.float32)
    embeddings[:, 1] = embeddings[:, 0]
    known = np.zeros_like(SHAPE)
    known[:, 0] = 0.05 * (SHAPE[:, 0] - 0.5)
    by_chance = noise * random.normal(size=(people, 1, 1)) * known
    moved = embeddings[:, :1, :1] * known + by_chance
    moved += 0.004 * random.normal(size=(people, 1, 1)) * np.array([1.0, 0.0])  # all to one side
    textures = np.zeros((people, 1, 1, 3), np.uint8)
    decoder = FaceDecoder(CONFIG, np.concatenate([SHAPE, OUTLINE])).requires_grad_(False)
    rows = np.arange(0, people, 2)
    moves = 0.01 * random.normal(size=(len(rows), 1, 1)) * (OUTLINE - 0.5)
    targets = Targets(textures, moved.astype(np.float32), embeddings)
    solve_shape(decoder, targets, OutlineMoves(rows, moves), 1.0)
    return decoder, targets


def test_a_face_is_drawn_as_wide_as_people_differ():
    for noise in (0.0, 1.0):
        decoder, targets = solve(noise)
        x = torch.tensor(targets.embeddings[:, 0])
        drawn = x @ decoder.shape_slope
        wide = drawn.unflatten(1, (-1, 2))[:, :18, 0]
        own = targets.displacements[:, :18, 0]
        own = (own - own[:, mirror_order(SHAPE)[:18]]) / 2
        ratio = float(wide.std(0).mean()) / own.std(0).mean()
        assert 0.95 < ratio < 1.5
        with torch.no_grad():
            outside = decoder.draw_shape(x)[:, len(SHAPE) :]
        assert outside.shape == (len(x), len(OUTLINE), 2)
        assert float(outside.std(0)[3:, 0].min()) > 0.001  # the outline follows


def test_quirks_are_uneven_within_a_limit_or_of_the_outline_alone():
    decoder, _ = solve(0.5)
    quirks = decoder.quirks.unflatten(1, (-1, 2))
    face = quirks[:, : len(SHAPE)]
    assert face[UNEVEN:].abs().max() == 0
    assert quirks[UNEVEN:, len(SHAPE) :].abs().max() > 1e-3
    rms = face[:UNEVEN].square().sum(2).mean(1).sqrt()
    assert float(rms.max()) <= MOST_UNEVEN + 1e-6
    assert float(rms.max()) > MOST_UNEVEN / 2
    order = torch.tensor(mirror_order(SHAPE))
    flipped = face[:UNEVEN, order] * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(flipped, -face[:UNEVEN], atol=1e-4, rtol=0)
