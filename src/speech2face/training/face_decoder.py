"""Training of the face decoder, in two phases.

    photographs     what people look like: many real faces, the inside of the face only
    canonical       how to draw: frontal neutral pictures of few people, hair and ground included,
                    mixed with photographs so that nothing is forgotten

Only the second phase meets the people of the pairs, so folds by person repeat only that one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.console import Show
from speech2face.data.pairs import Pair, hash_files
from speech2face.data.textures import (
    MeasuredFaces,
    find_mean_shape,
    head_mask,
    measure_faces,
    mirror_order,
    unwarp,
)
from speech2face.errors import ModelError, UsageError
from speech2face.faces import dlib_weights, load_image
from speech2face.networks.dlib_resnet import SIZE as DLIB_SIZE
from speech2face.networks.dlib_resnet import DlibResNet, load_dlib_resnet
from speech2face.networks.face_decoder import (
    FaceDecoder,
    FaceDecoderConfig,
    crop_canvas,
    spline_basis,
)
from speech2face.networks.losses import edge_loss, landmark_loss, likeness_loss, texture_loss
from speech2face.training.checkpoint import load_weights, save_weights
from speech2face.training.loop import LoopConfig, Progress, fit


@dataclass(frozen=True)
class CanonicalPhase:
    """The second phase."""

    loop: LoopConfig
    share: float = 0.5  # of canonical pictures in a batch; the rest are photographs
    morphs: float = 0.3  # share of the canonical pictures that are means of several people's
    likeness_weight: float = 0.04  # of the recogniser's look at what is drawn; dlib only
    photographs: int = 2000  # that are kept


@dataclass(frozen=True)
class FaceDecoderRecipe:
    """Everything that makes a decoder, but for the data."""

    name: str
    network: FaceDecoderConfig
    photographs: LoopConfig
    canonical: CanonicalPhase
    batch: int = 16
    edge_weight: float = 1.0
    landmark_weight: float = 0.02
    face_encoder: str = "dlib"


@dataclass(frozen=True)
class Targets:
    """What the decoder learns from, in memory: textures are 150 kB each."""

    textures: np.ndarray  # (N, S, S, 3) uint8
    known: np.ndarray  # (N, S, S) bool
    displacements: np.ndarray  # (N, K, 2)
    embeddings: np.ndarray  # (N, V, D): V views of each person, any of which may be the input


class FaceDecoderTask:
    """Batches of photographs (domain 0) and canonical pictures (domain 1)."""

    def __init__(
        self,
        network: FaceDecoder,
        recipe: FaceDecoderRecipe,
        photographs: Targets,
        canonical: Targets | None,
        recogniser: DlibResNet | None = None,
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._recipe = recipe
        self._photographs, self._canonical = photographs, canonical
        self._recogniser = recogniser
        shape = network.mean_shape.numpy()
        self._mirror = mirror_order(shape)
        self._head = head_mask(shape, network.config.size)

    def batch(self, step: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        size = self._recipe.batch
        drawn = round(size * self._recipe.canonical.share) if self._canonical else 0
        parts = [self._pick(self._photographs, size - drawn, 0, rng)]
        if self._canonical:
            parts.append(self._pick(self._canonical, drawn, 1, rng))
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def _pick(
        self, targets: Targets, count: int, domain: int, rng: np.random.Generator
    ) -> tuple[Tensor, ...]:
        rows = rng.integers(len(targets.textures), size=count)
        textures = targets.textures[rows].transpose(0, 3, 1, 2).astype(np.float32)  # (B, 3, S, S)
        known = targets.known[rows][:, None].astype(np.float32)
        known = known * self._head if domain == 0 else known
        displacements = targets.displacements[rows]
        view = rng.integers(targets.embeddings.shape[1])
        embeddings = targets.embeddings[rows, view]
        if domain == 1:
            morphed = np.flatnonzero(rng.random(count) < self._recipe.canonical.morphs)
            for i in morphed:
                group = _choose_alike(targets.embeddings[:, view], rows[i], rng)
                textures[i] = targets.textures[group].mean(0).transpose(2, 0, 1)
                known[i] = targets.known[group].all(0)
                displacements[i] = targets.displacements[group].mean(0)
                embeddings[i] = targets.embeddings[group, view].mean(0)
        flip = rng.random(count) < 0.5  # a recogniser hardly tells a face from its mirror image
        textures = np.where(flip[:, None, None, None], textures[..., ::-1], textures)
        known = np.where(flip[:, None, None, None], known[..., ::-1], known)
        mirrored = displacements[:, self._mirror] * [-1, 1]
        displacements = np.where(flip[:, None, None], mirrored, displacements)
        return (
            torch.tensor(embeddings),
            torch.full((count,), float(domain)),
            torch.tensor(textures) / 255,
            torch.tensor(known),
            torch.tensor(displacements, dtype=torch.float32),
        )

    def losses(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        embedding, domain, texture, mask, displacement = batch
        drawn, moved = self.network.draw(embedding, domain)
        terms = {
            "texture": texture_loss(drawn, texture, mask),
            "edges": self._recipe.edge_weight * edge_loss(drawn, texture, mask),
            "landmarks": self._recipe.landmark_weight * landmark_loss(moved, displacement),
        }
        if self._recogniser:
            pictures = self.network.warp(drawn.float(), moved.float())
            crops = crop_canvas(pictures, "dlib", DLIB_SIZE)
            if torch.rand(()) < 0.5:  # against what only one side's recogniser would take for it
                crops = crops.flip(3)
            seen = self._recogniser(crops).float()
            likeness = likeness_loss(seen, embedding, self.network.embedding_mean)
            terms["likeness"] = self._recipe.canonical.likeness_weight * likeness
        return terms


def _choose_alike(
    embeddings: np.ndarray, row: int, rng: np.random.Generator, most: int = 10, among: int = 100
) -> np.ndarray:
    """`row` and 1 to `most` − 1 others, the most alike of `among` faces chosen at random.

    A voice's mean lies nearer the average than anybody's face. Means of like people's pictures
    teach the decoder what to draw there (after the morphs of Cole et al., CVPR 2017).
    """
    others = rng.permutation(len(embeddings))[:among]
    others = others[others != row]
    distance = ((embeddings[others] - embeddings[row]) ** 2).sum(1)
    nearest = others[np.argsort(distance)][: rng.integers(1, most)]
    return np.append(nearest, row)


def train_on_photographs(
    recipe: FaceDecoderRecipe,
    photographs: Sequence[Path],
    folder: Path,
    cache: Path,
    show: Show,
) -> Path:
    """The first phase; returns `folder`/photographs.safetensors."""
    path = folder / "photographs.safetensors"
    facts = _facts(recipe, photographs)
    del facts["recipe"]["canonical"]  # the second phase has no part in these weights
    if _is_done(path, facts):
        return path
    faces = _measure(photographs, recipe, cache, show, "photographs")
    network = FaceDecoder(recipe.network, find_mean_shape(faces.landmarks))
    network.embedding_mean.copy_(torch.tensor(faces.embeddings.mean(0)))
    network.embedding_scale.copy_(torch.tensor(faces.embeddings.std(0)))
    _initialise(network, recipe.photographs.seed)
    targets = _unwarp_all(photographs, faces, network, show)
    task = FaceDecoderTask(network, recipe, targets, None)
    fit(task, recipe.photographs, folder / "photographs", facts, _bar(show, "photographs"))
    save_weights(path, network.state_dict(), facts)
    return path


def train_on_canonical(
    recipe: FaceDecoderRecipe,
    start: Path,
    photographs: Sequence[Path],
    pairs: Sequence[Pair],
    folder: Path,
    cache: Path,
    show: Show,
    without: Collection[str] = (),
) -> Path:
    """The second phase, from the weights of the first; returns `folder`/face_decoder.safetensors.

    Learns from the canonical pictures of `pairs`, except of the people in `without`: those are
    measured (once for all folds), but the decoder never meets them.
    """
    network, _ = load_face_decoder(start)
    if network.config != recipe.network:
        raise ModelError(f"{start}: of another size than the recipe {recipe.name} asks for.")
    pairs = [p for p in pairs if p.canonical.is_file()]
    if not pairs:
        raise UsageError("the pairs have no canonical/ pictures; the decoder needs some.")
    path = folder / "face_decoder.safetensors"
    met = [p.canonical for p in pairs if p.person not in without]
    facts = _facts(recipe, [*photographs, *met])
    if _is_done(path, facts):
        return path
    faces = _measure(photographs, recipe, cache, show, "photographs")
    few = np.random.default_rng(0).permutation(len(faces))[: recipe.canonical.photographs]
    old = _unwarp_all(photographs, faces.take(np.sort(few)), network, show)
    pictures = [p.canonical for p in pairs]
    drawn = _measure(pictures, recipe, cache, show, "canonical")
    drawn = drawn.take(np.array([pairs[i].person not in without for i in drawn.index]))
    new = _unwarp_all(pictures, drawn, network, show)
    new = _add_views(
        new, drawn, _measure_all([p.face for p in pairs], recipe, cache, show, "faces")
    )
    recogniser = None
    if recipe.face_encoder == "dlib" and recipe.canonical.likeness_weight:
        recogniser = load_dlib_resnet(dlib_weights())
    task = FaceDecoderTask(network, recipe, old, new, recogniser)
    fit(task, recipe.canonical.loop, folder / "canonical", facts, _bar(show, "canonical"))
    save_weights(path, network.state_dict(), facts)
    return path


def load_face_decoder(path: Path) -> tuple[FaceDecoder, dict[str, Any]]:
    """The decoder of a weights file, ready to draw, and the facts of its making."""
    tensors, facts = load_weights(path)
    sizes = facts["recipe"]["network"]
    network = FaceDecoder(FaceDecoderConfig(**{**sizes, "channels": tuple(sizes["channels"])}))
    network.load_state_dict(tensors)
    return network.eval(), facts


def _initialise(network: FaceDecoder, seed: int) -> None:
    """He initialisation for leaky ReLUs; the last layers start at the mean shape and mid-grey."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.2, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        network.to_rgb.weight *= 0.1
        last = network.shape_network[-1]
        assert isinstance(last, nn.Linear)
        last.weight *= 0.1


def _measure(
    pictures: Sequence[Path], recipe: FaceDecoderRecipe, cache: Path, show: Show, what: str
) -> MeasuredFaces:
    faces = _measure_all(pictures, recipe, cache, show, what).frontal()
    if len(faces) < 10:
        raise UsageError(f"only {len(faces)} frontal faces in {len(pictures)} {what}: too few.")
    return faces


def _measure_all(
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


def _unwarp_all(
    pictures: Sequence[Path], faces: MeasuredFaces, network: FaceDecoder, show: Show
) -> Targets:
    size = network.config.size
    mean_shape = network.mean_shape.numpy().astype(np.float64)
    field = spline_basis(mean_shape, size)
    textures = np.empty((len(faces), size, size, 3), np.uint8)
    known = np.empty((len(faces), size, size), bool)
    displacements = np.empty((len(faces), len(mean_shape), 2), np.float32)
    for row in range(len(faces)):
        image = load_image(pictures[faces.index[row]])
        textures[row], known[row], displacements[row] = unwarp(
            image, faces.landmarks[row], mean_shape, field, size
        )
        if row % 50 == 49 or row == len(faces) - 1:
            show("unwarping faces", row + 1, len(faces), "")
    return Targets(textures, known, displacements, faces.embeddings[:, None])


def _facts(recipe: FaceDecoderRecipe, files: Sequence[Path]) -> dict[str, Any]:
    return {"network": "face_decoder", "recipe": asdict(recipe), "data": hash_files(files)}


def _is_done(path: Path, facts: dict[str, Any]) -> bool:
    """Whether these very weights are there already."""
    return path.is_file() and load_weights(path)[1] == json.loads(json.dumps(facts))


def _bar(show: Show, what: str) -> Callable[[Progress], None]:
    def told(progress: Progress) -> None:
        terms = "  ".join(f"{k} {v:.3f}" for k, v in progress.losses.items())
        words = f"{terms}  {progress.seconds_left:.0f} s left"
        show(f"training on {what}", progress.step, progress.steps, words)

    return told
