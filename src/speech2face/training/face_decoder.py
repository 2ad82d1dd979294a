"""The face decoder, solved: two ridge regressions from embeddings to heads and to landmarks.

It learns from the canonical pictures of the pairs: frontal, neutral, evenly lit, on white ground.
They are soft, so they are sharpened first.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speech2face import __version__
from speech2face.console import Show
from speech2face.data.pairs import Pair, identify_pairs
from speech2face.data.targets import Targets, build_targets, separate_ground, sharpen
from speech2face.data.textures import (
    MeasuredFaces,
    explain_face,
    face_mask,
    find_mean_shape,
    measure_faces,
    mirror_order,
)
from speech2face.errors import UsageError
from speech2face.faces import identify_face_encoder
from speech2face.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from speech2face.provenance import claim_run, describe, tell_data
from speech2face.training.checkpoint import load_weights, save_weights
from speech2face.training.ridge import solve_ridge

log = logging.getLogger(__name__)

KINDS = ("face", "canonical")  # files of pairs that a decoder is made of
WEIGHTS = "face_decoder.safetensors"
LEAST_PICTURES = 5


@dataclass(frozen=True)
class FaceDecoderRecipe:
    """Everything that makes a decoder, but for the data."""

    name: str
    network: FaceDecoderConfig
    penalty: float = 300.0  # of the ridges
    sharpening: float = 1.7  # of canonical pictures; see `sharpen`
    warp: bool = True  # False: faces are moved, turned and scaled only, for comparison
    face_encoder: str = "dlib"


def train_face_decoder(
    recipe: FaceDecoderRecipe,
    pairs: Sequence[Pair],
    folder: Path,
    cache: Path,
    show: Show,
    without: Collection[str] = (),
) -> Path:
    """Solve for a decoder; returns `folder`/face_decoder.safetensors.

    Learns from the canonical pictures of `pairs`, except of the people in `without`: those are
    measured (once for all folds), but the decoder never meets them. Raises UsageError where there
    are too few.
    """
    pairs = _choose_drawn(pairs)
    path = folder / WEIGHTS
    met = identify_pairs([p for p in pairs if p.person not in without], KINDS)
    facts = {
        "network": "face_decoder",
        "recipe": asdict(recipe),
        "face_encoder": identify_face_encoder(recipe.face_encoder),
        **tell_data(met.digest, met.sets),
        "people": met.people,
        "clips": met.clips,
        "version": __version__,
    }
    if path.is_file() and load_weights(path)[1] == json.loads(json.dumps(facts)):
        return path
    pictures = [p.canonical for p in pairs]
    measured = _measure(pictures, recipe, cache, show, "canonical")
    if not without:  # each fold would say the same
        for index in sorted({*range(len(pictures))} - {*measured.index.tolist()}):
            log.warning("%s is left out: %s", pairs[index].clip, explain_face(pictures[index]))
    drawn = measured.frontal()
    drawn = drawn.take(np.array([pairs[i].person not in without for i in drawn.index], bool))
    if len(drawn) < LEAST_PICTURES:
        raise UsageError(f"only {len(drawn)} frontal faces in canonical/ of the pairs: too few.")
    decoder = FaceDecoder(recipe.network, find_mean_shape(drawn.landmarks))
    shape = decoder.mean_shape.numpy().astype(np.float64)
    targets = build_targets(pictures, drawn, shape, recipe.network.size, show, warp=recipe.warp)
    sharpen(targets, recipe.sharpening)
    faces = _measure([p.face for p in pairs], recipe, cache, show, "faces")
    solve(decoder, _add_views(targets, drawn, faces), recipe.penalty)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(path, decoder.state_dict(), facts)
    return path


def claim_decoder_run(folder: Path, recipe: FaceDecoderRecipe, pairs: Sequence[Pair]) -> None:
    """Raises UsageError where `folder` holds a decoder of other data, by another recipe or another
    version, see `claim_run`, and where too few pairs have a canonical picture."""
    data = identify_pairs(_choose_drawn(pairs), KINDS)
    encoder = identify_face_encoder(recipe.face_encoder)
    run = describe(asdict(recipe), {"pairs": data, "face encoder": encoder})
    claim_run(folder, "train face-decoder", run, [WEIGHTS])


def _choose_drawn(pairs: Sequence[Pair]) -> list[Pair]:
    """Those with a canonical picture. Raises UsageError where they are too few."""
    drawn = [pair for pair in pairs if pair.canonical.is_file()]
    if len(drawn) < LEAST_PICTURES:
        raise UsageError(
            f"only {len(drawn)} of the {len(pairs)} pairs have a picture in canonical/: too few; "
            "the face decoder learns from these (see docs/data.md)."
        )
    return drawn


def solve(decoder: FaceDecoder, targets: Targets, penalty: float) -> None:
    """Ridges from all views' embeddings to heads and to landmarks, put into the decoder."""
    import cv2

    side, views = decoder.config.head, targets.embeddings.shape[1]
    face = face_mask(decoder.mean_shape.numpy(), side)
    textures = (cv2.resize(t, (side, side), interpolation=cv2.INTER_AREA) for t in targets.textures)
    heads = separate_ground(np.stack(list(textures)), face)  # (N, side, side/2, 4)
    embeddings = np.concatenate([targets.embeddings[:, v] for v in range(views)])
    average = embeddings.mean(0)

    def regress(on: np.ndarray, slope: torch.Tensor, offset: torch.Tensor) -> None:
        rows = np.concatenate([on.reshape(len(on), -1)] * views)
        solved = solve_ridge(embeddings - average, rows, penalty, standardised=True)
        for buffer, values in zip((slope, offset), solved, strict=True):
            buffer.copy_(torch.tensor(values, dtype=torch.float32))

    decoder.average.copy_(torch.tensor(average))
    regress(heads.transpose(0, 3, 1, 2), decoder.head_slope, decoder.head_offset)
    order = mirror_order(decoder.mean_shape.numpy())
    mirrored = targets.displacements[:, order] * [-1, 1]
    regress((targets.displacements + mirrored) / 2, decoder.shape_slope, decoder.shape_offset)


def load_face_decoder(path: Path) -> tuple[FaceDecoder, dict[str, Any]]:
    """The decoder of a weights file, ready to draw, and the facts of its making."""
    tensors, facts = load_weights(path)
    network = FaceDecoder(FaceDecoderConfig(**facts["recipe"]["network"]))
    network.load_state_dict(tensors)
    return network.eval(), facts


def _measure(
    pictures: Sequence[Path], recipe: FaceDecoderRecipe, cache: Path, show: Show, what: str
) -> MeasuredFaces:
    def told(done: int, total: int) -> None:
        show(f"measuring {what}", done, total, "")

    return measure_faces(pictures, recipe.face_encoder, cache, told)


def _add_views(targets: Targets, drawn: MeasuredFaces, faces: MeasuredFaces) -> Targets:
    """Beside the canonical picture's embedding that of the face as it was filmed.

    Voices are trained towards filmed faces, which lie elsewhere in the space than redrawn ones.
    Where no face was found in the film, the canonical embedding stands in.
    """
    filmed = dict(zip(faces.index.tolist(), faces.embeddings, strict=True))
    views = [filmed.get(i, e) for i, e in zip(drawn.index.tolist(), drawn.embeddings, strict=True)]
    return replace(targets, embeddings=np.stack([drawn.embeddings, np.array(views)], axis=1))
