"""The face decoder, solved: ridge regressions from embeddings to skin and landmarks, and hair.

It learns from the canonical pictures of the pairs: frontal, neutral, evenly lit, on white ground.
They are soft, so they are sharpened first. Skin is learned apart from hair, and its lightness apart
from its colour.
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
from speech2face.cartoon_traits import EYES, LIPS
from speech2face.console import ProgressCallback
from speech2face.data.decoder_data import Targets, build_targets, frame, picture_grid
from speech2face.data.face_unwarping import (
    MeasuredFaces,
    explain_face,
    find_mean_shape,
    measure_faces,
)
from speech2face.data.hair_prototypes import HairColours, HairShapes, find_colours, find_shapes
from speech2face.data.hair_removal import uncover_skin
from speech2face.data.head_outlines import OUTLINE, measure_outlines
from speech2face.data.head_segmentation import Heads, blur_half, separate_heads, smooth_step
from speech2face.data.pairs import Pair, identify_pairs
from speech2face.errors import ModelError, UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.networks.face_decoder import (
    NEAR,
    TO_RGB,
    FaceDecoder,
    FaceDecoderConfig,
    to_levels,
)
from speech2face.run_provenance import claim_run, describe, describe_data
from speech2face.training.checkpoint import load_weights, save_weights
from speech2face.training.hair_choice import SURER, solve_chances
from speech2face.training.head_shape import solve_shape
from speech2face.training.ridge import solve_ridge

log = logging.getLogger(__name__)

KINDS = ("face", "canonical")  # files of pairs that a decoder is made of
WEIGHTS = "face_decoder.safetensors"
LEAST_PICTURES = 5
SURER_COLOUR = 8.0, 3.0  # hair that is not the brows', or not of the age, looks dyed
EVEN = 0.7  # share by which the mean's colour is evened
EVEN_BEARDS = 0.35  # the same of lightness about the mouth
VIVID = 0.15  # added to the difference of eyes' and lips' colour from the skin: pictures are pale
CATCH_LIGHT, CATCH_ABOVE = 0.35, 0.006  # in eyes: how light, and how far above their middle
LOCAL = 0.4  # share of the differences in colour from place to place that is kept


@dataclass(frozen=True)
class FaceDecoderRecipe:
    """Settings that make a decoder: everything but the data."""

    name: str  # of the recipe, in cards and messages
    network: FaceDecoderConfig  # its sizes
    penalty: float = 30.0  # of the ridges
    energy_penalty: float = 1000.0  # of that to the energies of detail
    sharpening: float = 2.8  # of canonical pictures, how much of an unsharp mask
    typical: float = 2.9  # distance of a typical face from the average, times the encoder's
    warp: bool = True  # False: faces are moved, turned and scaled only, for comparison
    face_encoder: str = "dlib"  # recogniser whose embedding of the face is drawn


def train_face_decoder(
    recipe: FaceDecoderRecipe,
    pairs: Sequence[Pair],
    folder: Path,
    cache: Path,
    show: ProgressCallback,
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
    metadata = {
        "network": "face_decoder",
        "recipe": asdict(recipe),
        "face_encoder": identify_face_encoder(recipe.face_encoder),
        **describe_data(met.digest, met.sets),
        "people": met.people,
        "clips": met.clips,
        "version": __version__,
    }
    if path.is_file() and load_weights(path)[1] == json.loads(json.dumps(metadata)):
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
    shape = frame(find_mean_shape(drawn.landmarks))
    targets = build_targets(pictures, drawn, shape, recipe.network.size, show, warp=recipe.warp)
    faces = _measure([p.face for p in pairs], recipe, cache, show, "faces")
    decoder = solve(recipe, _add_views(targets, drawn, faces), shape)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(path, decoder.state_dict(), metadata)
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


def solve(recipe: FaceDecoderRecipe, targets: Targets, mean_shape: np.ndarray) -> FaceDecoder:
    """A decoder that draws the targets, on the mean shape (66, 2), from any view's embedding."""
    heads = separate_heads(targets.textures, mean_shape)
    shapes = find_shapes(heads)
    colours = find_colours(heads, shapes)
    points = np.concatenate([mean_shape, OUTLINE])
    decoder = FaceDecoder(
        recipe.network, points, len(shapes.front) - 1, len(colours.colours)
    ).requires_grad_(False)
    average = targets.embeddings[:, -1].mean(0)
    _put(decoder.average, average)
    _put(decoder.hair_centre, average)  # until it is put beside a voice encoder
    _solve_skin(decoder, recipe, targets, heads)
    if recipe.warp:
        solve_shape(decoder, targets, measure_outlines(heads), recipe.penalty)
    for name, planes in (
        ("hair_front", shapes.front),
        ("hair_back", shapes.back),
        ("hair_light", shapes.light),
    ):
        buffer = decoder.get_buffer(name)
        buffer.copy_(to_levels(torch.tensor(planes.reshape(buffer.shape)), name))
    _put(decoder.hair_colours, colours.colours)
    _solve_hair(decoder, targets, shapes, colours)
    return decoder


def _solve_skin(
    decoder: FaceDecoder, recipe: FaceDecoderRecipe, targets: Targets, heads: Heads
) -> None:
    """Lightness, colour and energies of detail of the skin, and where there is skin."""
    import cv2

    config = decoder.config
    skin = uncover_skin(heads, decoder.mean_shape.numpy(), recipe.sharpening)
    parts = skin.colours @ np.linalg.inv(np.array(TO_RGB)).T.astype(np.float32)
    light, colour = _even_beards(parts[..., 0], decoder.mean_shape.numpy()), parts[..., 1:]
    light = light + _draw_catch_light(decoder.mean_shape.numpy(), config.size)
    few = (config.colour // 2, config.colour)
    colour = np.stack([cv2.resize(c, few, interpolation=cv2.INTER_AREA) for c in colour])
    colour = _calm(colour, decoder.mean_shape.numpy()).transpose(0, 3, 1, 2)
    bands = (decoder.split_bands(torch.tensor(each)[None, None]) for each in light)
    energy = np.stack([decoder.measure_energy(band)[0].numpy() for band in bands])
    regress = _Ridge(targets.embeddings, decoder.average.numpy())
    regress(light, recipe.penalty, decoder.light_slope, decoder.light_offset)
    regress(colour, recipe.penalty, decoder.colour_slope, decoder.colour_offset)
    regress(energy, recipe.energy_penalty, decoder.energy_slope, decoder.energy_offset)
    for values, middle, spread in (
        (light, decoder.light_middle, decoder.light_spread),
        (colour, decoder.colour_middle, decoder.colour_spread),
    ):
        _put(middle, values.mean(0).ravel())
        _put(spread, values.std(0).ravel())
    _put(decoder.skin_cover, skin.cover)


def _calm(colour: np.ndarray, mean_shape: np.ndarray) -> np.ndarray:
    """Colours (N, C, C/2, 2) that differ from person to person in tone, in eyes and in the mouth as
    they do, elsewhere less from place to place: far from the average these would be stains. The
    mean face, flushed about the nose, is evened, too."""
    few = colour.shape[1]
    free = _features_mask(mean_shape, few)[..., None]
    middle, skin = colour.mean(0), 1 - free
    even = blur_half(middle * skin, 10.0) / np.maximum(
        blur_half(skin[..., 0], 10.0)[..., None], 1e-3
    )
    even = middle + EVEN * skin * (even - middle)
    for row, own in enumerate(colour):
        away = own - middle
        wide = blur_half(away, 22.0)
        calm = even + wide + (LOCAL + (1 - LOCAL) * free) * (away - wide)
        colour[row] = calm + VIVID * free * (calm - blur_half(calm, 10.0))
    return colour


def _even_beards(light: np.ndarray, mean_shape: np.ndarray) -> np.ndarray:
    """Lightness (N, S, S/2) whose coarse differences from person to person about the mouth are
    nearer to one tone: a mean of beards would be a smear on the upper lip and under the mouth."""
    across, low = picture_grid(light.shape[1])
    mask = smooth_step((low - 0.595) / 0.02) * smooth_step((0.82 - low) / 0.04)
    mask *= smooth_step((0.15 - across) / 0.04) * (1 - _features_mask(mean_shape, len(low)))
    wide, middle = blur_half(mask, 14.0) + 1e-3, light.mean(0)
    out = np.empty_like(light)
    for row, own in enumerate(light):
        away = own - middle
        one_tone = blur_half(away * mask, 14.0) / wide
        out[row] = own + EVEN_BEARDS * mask * (one_tone - blur_half(away, 3.0))
    return out


def _draw_catch_light(mean_shape: np.ndarray, size: int) -> np.ndarray:
    """Lightness (S, S/2) that a lamp before and above the face adds in the eye."""
    across, low = picture_grid(size)
    right, down = mean_shape[EYES[0]].mean(0)
    away = np.hypot(across - abs(0.5 - right), low - down + CATCH_ABOVE) * 224
    return (CATCH_LIGHT * np.exp(-0.5 * away**2)).astype(np.float32)


def _features_mask(mean_shape: np.ndarray, size: int) -> np.ndarray:
    """Soft mask of eyes and mouth (S, S/2)."""
    import cv2

    mask = np.zeros((size, size), np.float32)
    for of in (*EYES, LIPS):
        points = np.round(mean_shape[of] * size * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(points), 1.0, cv2.LINE_8, 4)
    return np.clip(2 * blur_half(mask[:, : size // 2], 2.5), 0, 1)


def _solve_hair(
    decoder: FaceDecoder, targets: Targets, shapes: HairShapes, colours: HairColours
) -> None:
    """Fit the choice of hair to embeddings, with a liking that differs from face to face."""
    views = targets.embeddings.shape[1]
    away = np.concatenate(targets.embeddings.transpose(1, 0, 2)) - decoder.average.numpy()
    towards = away / np.sqrt((away**2).sum(1, keepdims=True) + NEAR**2)
    solved = [
        solve_chances(towards, np.concatenate([kinds.worn] * views), kinds.groups, surer)
        for kinds, surer in ((shapes, SURER), (colours, SURER_COLOUR))
    ]
    _put(decoder.hair_slope, np.concatenate([slope for slope, _ in solved], axis=1))
    _put(decoder.hair_offset, np.concatenate([offset for _, offset in solved]))
    spread = np.maximum(towards.std(0), 1e-6)[:, None]
    for seed, tastes in ((1, decoder.hair_taste), (2, decoder.quirk_taste)):
        taste = np.random.default_rng(seed).standard_normal(tuple(tastes.shape))
        _put(tastes, taste / spread / np.sqrt(len(taste)))


class _Ridge:
    """Regressions from all views' embeddings (N, V, D), from `average`."""

    def __init__(self, embeddings: np.ndarray, average: np.ndarray) -> None:
        self.views = embeddings.shape[1]
        self.x = np.concatenate([embeddings[:, v] for v in range(self.views)]) - average

    def __call__(
        self, on: np.ndarray, penalty: float, slope: torch.Tensor, offset: torch.Tensor
    ) -> None:
        """Put what gives `on` (N, ...) of an embedding into `slope` and `offset`."""
        rows = np.concatenate([on.reshape(len(on), -1)] * self.views)
        for buffer, values in zip(
            (slope, offset), solve_ridge(self.x, rows, penalty, standardised=True), strict=True
        ):
            _put(buffer, values)


def _put(buffer: torch.Tensor, values: np.ndarray) -> None:
    buffer.copy_(torch.tensor(values, dtype=torch.float32))


def load_face_decoder(path: Path) -> tuple[FaceDecoder, dict[str, Any]]:
    """The decoder of a weights file, ready to draw, and the file's metadata.

    Raises ModelError where it is of a version that drew or stored other layers.
    """
    tensors, metadata = load_weights(path)
    size = metadata["recipe"]["network"]["size"]
    hair = tensors.get("hair_front", torch.empty(0))
    if "quirks" not in tensors or hair.shape[1:] != (size**2,) or hair.dtype != torch.uint8:
        raise ModelError(f"{path}: weights of a face decoder of version 0.6 or older; train anew.")
    shapes, colours = (len(tensors[name]) for name in ("hair_front", "hair_colours"))
    network = FaceDecoder(
        FaceDecoderConfig(**metadata["recipe"]["network"]), None, shapes - 1, colours
    )
    network.load_state_dict(tensors)
    return network.eval(), metadata


def set_hair_centre(network: FaceDecoder, average: np.ndarray) -> None:
    """Hair is chosen by the direction from this embedding (D,), the voice encoder's mean face."""
    network.hair_centre.copy_(torch.tensor(average))


def draw_face(network: FaceDecoder, embedding: np.ndarray) -> np.ndarray:
    """The face of an embedding, float32 (D,) → RGB, uint8 (S, S, 3)."""
    with torch.inference_mode():
        picture, _ = network(torch.tensor(embedding[None]))
    return (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()


def _measure(
    pictures: Sequence[Path],
    recipe: FaceDecoderRecipe,
    cache: Path,
    show: ProgressCallback,
    what: str,
) -> MeasuredFaces:
    return measure_faces(pictures, recipe.face_encoder, cache, show, stage=f"measuring {what}")


def _add_views(targets: Targets, drawn: MeasuredFaces, faces: MeasuredFaces) -> Targets:
    """Beside the canonical picture's embedding that of the face as it was filmed.

    Voices are trained towards filmed faces, which lie elsewhere in the space than redrawn ones.
    Where no face was found in the film, the canonical embedding stands in.
    """
    filmed = dict(zip(faces.index.tolist(), faces.embeddings, strict=True))
    views = [filmed.get(i, e) for i, e in zip(drawn.index.tolist(), drawn.embeddings, strict=True)]
    return replace(targets, embeddings=np.stack([drawn.embeddings, np.array(views)], axis=1))
