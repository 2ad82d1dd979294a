"""Training of the face decoder, in two phases.

    photographs     what people look like: many real faces, as far as photographs reach
    canonical       even light, the rest of the head and its ground, from frontal pictures of few
                    people; photographs, mixed in, go on teaching the detail of the face

Only the second phase meets the people of the pairs, so folds by person repeat only that one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from speech2face.console import Show
from speech2face.data.pairs import Pair, hash_files
from speech2face.data.ridge import solve_ridge
from speech2face.data.targets import (
    MIRRORED,
    Targets,
    build_targets,
    even_light,
    find_typical,
    mean_texture,
    neutral_conditions,
    sharpen,
)
from speech2face.data.textures import (
    MeasuredFaces,
    face_mask,
    find_mean_shape,
    measure_faces,
    mirror_order,
)
from speech2face.errors import ModelError, UsageError
from speech2face.faces import dlib_weights
from speech2face.networks.dlib_resnet import SIZE as DLIB_SIZE
from speech2face.networks.dlib_resnet import DlibResNet, load_dlib_resnet
from speech2face.networks.face_decoder import FaceDecoder, FaceDecoderConfig, crop_canvas
from speech2face.networks.losses import (
    detail_loss,
    edge_loss,
    landmark_loss,
    lightness_detail,
    likeness_loss,
    texture_loss,
)
from speech2face.networks.texture_critic import TextureCritic, TextureCriticConfig
from speech2face.training.checkpoint import load_weights, save_weights
from speech2face.training.loop import LoopConfig, fit, tell


@dataclass(frozen=True)
class CanonicalPhase:
    """The second phase."""

    loop: LoopConfig
    share: float = 0.5  # of canonical pictures in a batch; the rest are photographs
    photographs: int = 1500  # that are kept
    critic: float = 4.0  # times the critic's weight in the first phase
    base_penalty: float = 300.0  # of the ridge that is the base
    calm_weight: float = 0.06  # against detail where photographs teach none: about the face


@dataclass(frozen=True)
class FaceDecoderRecipe:
    """Everything that makes a decoder, but for the data."""

    name: str
    network: FaceDecoderConfig
    photographs: LoopConfig
    canonical: CanonicalPhase
    critic: TextureCriticConfig = field(default_factory=TextureCriticConfig)
    batch: int = 16
    edge_weight: float = 0.5
    landmark_weight: float = 0.02
    likeness_weight: float = 0.04  # of the recogniser's look at what is drawn; dlib only
    critic_weight: float = 0.1
    jitter: float = 0.25  # of embeddings, in parts of the spread of people
    shortened: float = 0.3  # share of embeddings that are; means of distributions are short, too
    shortest: float = 0.1  # least part of its distance from the average that such a one keeps
    critic_start: int = 300  # the first step of the first phase with a critic
    warp: bool = True  # False: faces are moved, turned and scaled only, for comparison
    face_encoder: str = "dlib"


class FaceDecoderTask:
    """Batches of photographs and canonical pictures, and what is wrong with what is drawn.

    The critic learns in the same step as the decoder. Its opinion of what is drawn reaches the
    decoder through a copy that stands still, so each of the two is moved by its own loss only.
    """

    def __init__(
        self,
        decoder: FaceDecoder,
        critic: TextureCritic,
        recipe: FaceDecoderRecipe,
        photographs: Targets,
        canonical: Targets | None,
        recogniser: DlibResNet | None = None,
        device: str = "cpu",
    ) -> None:
        shape = decoder.mean_shape.numpy()
        self.network = nn.ModuleDict({"decoder": decoder, "critic": critic})
        self.network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._decoder, self._critic, self._recipe = decoder, critic, recipe
        self._photographs, self._canonical = photographs, canonical
        self._recogniser = recogniser.to(device) if recogniser else None
        self._device = device
        self._mirror = mirror_order(shape)
        self._face = torch.tensor(face_mask(shape, decoder.config.size)).to(device)
        self._step = 0

    def batch(self, step: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        self._step = step
        parts = [self._pick(self._photographs, self._photograph_count, rng)]
        if self._canonical:
            drawn = self._recipe.batch - self._photograph_count
            parts.append(self._pick_canonical(self._canonical, drawn, rng))
        return tuple(torch.cat(column).to(self._device) for column in zip(*parts, strict=True))

    def _pick_canonical(
        self, targets: Targets, count: int, rng: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """Canonical pictures teach even light and surroundings, however sharp the face is."""
        embeddings, conditions, textures, known, displacements = self._pick(targets, count, rng)
        spread = torch.tensor(rng.normal(size=count), dtype=torch.float32)
        decoder = self._decoder
        conditions[:, -1] = (
            decoder.condition_mean[-1].cpu() + decoder.condition_scale[-1].cpu() * spread
        )
        return embeddings, conditions, textures, known, displacements

    def _pick(self, targets: Targets, count: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        rows = rng.integers(len(targets), size=count)
        textures = targets.textures[rows].transpose(0, 3, 1, 2).astype(np.float32)  # (B, 3, S, S)
        known = targets.known[rows][:, None].astype(np.float32)
        displacements, conditions = targets.displacements[rows], targets.conditions[rows]
        embeddings = targets.embeddings[rows, rng.integers(targets.embeddings.shape[1])]
        others = targets.embeddings[rng.integers(len(targets), size=(2, count)), 0]
        # The way from one to another of two people: noise with the spread of faces.
        embeddings = embeddings + self._recipe.jitter / 2**0.5 * (others[0] - others[1])
        average = self._decoder.embedding_mean.cpu().numpy()
        length = rng.uniform(self._recipe.shortest, 1, (count, 1))
        length = np.where(rng.random((count, 1)) < self._recipe.shortened, length, 1)
        embeddings = average + length * (embeddings - average)
        flip = rng.random(count) < 0.5  # a recogniser hardly tells a face from its mirror image
        textures = np.where(flip[:, None, None, None], textures[..., ::-1], textures)
        known = np.where(flip[:, None, None, None], known[..., ::-1], known)
        mirrored = displacements[:, self._mirror] * [-1, 1]
        displacements = np.where(flip[:, None, None], mirrored, displacements)
        conditions = np.where(flip[:, None], conditions * MIRRORED, conditions)
        return (
            torch.tensor(embeddings, dtype=torch.float32),
            torch.tensor(conditions),
            torch.tensor(textures) / 255,
            torch.tensor(known),
            torch.tensor(displacements, dtype=torch.float32),
        )

    def losses(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        recipe = self._recipe
        embedding, conditions, texture, known, displacement = batch
        drawn, moved = (x.float() for x in self._decoder.draw(embedding, conditions))
        fine, true = lightness_detail(drawn), lightness_detail(texture)  # (B, 1, S, S)
        count, taught = self._photograph_count, known
        if self._canonical:
            # Photographs teach what is fine on a face, canonical pictures what is fine around it.
            taught = torch.cat([known[:count] * self._face, known[count:] * (1 - self._face)])
            terms = {"texture": detail_loss(fine[:count], true[:count], taught[:count])}
            terms |= self._compare_canonical(drawn[count:], texture[count:], known[count:])
            calm = detail_loss(fine[:count], torch.zeros_like(fine[:count]), 1 - taught[:count])
            terms["calm"] = recipe.canonical.calm_weight * calm
        else:
            terms = {"texture": texture_loss(drawn, texture, taught)}
        terms |= {
            "edges": recipe.edge_weight * edge_loss(fine[:count], true[:count], taught[:count]),
            "landmarks": recipe.landmark_weight * landmark_loss(moved, displacement),
        }
        if self._recogniser:
            crops = crop_canvas(self._decoder.warp(drawn, moved), "dlib", DLIB_SIZE)
            if torch.rand(()) < 0.5:  # against what only one side's recogniser would take for it
                crops = crops.flip(3)
            seen = self._recogniser(crops).float()
            likeness = likeness_loss(seen, embedding, self._decoder.embedding_mean)
            terms["likeness"] = recipe.likeness_weight * likeness
        if recipe.critic_weight and (self._canonical or self._step >= recipe.critic_start):
            weight = recipe.critic_weight * (recipe.canonical.critic if self._canonical else 1)
            terms |= self._criticise(fine, true, taught, weight)
        return terms

    def _compare_canonical(self, drawn: Tensor, true: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """All but the detail of the face, which canonical pictures have too little of.

        How a photograph is lit and coloured is chance, and its hair and ground no embedding knows;
        a canonical picture is lit evenly, on white.
        """
        error = drawn - true
        coarse = error - self._face * lightness_detail(error)
        around = mask * (1 - self._face)
        return {
            "colours": texture_loss(coarse, torch.zeros_like(coarse), mask),
            "surroundings": self._recipe.edge_weight * edge_loss(drawn, true, around),
        }

    @property
    def _photograph_count(self) -> int:
        """Of a batch; they come first."""
        size = self._recipe.batch
        return size - (round(size * self._recipe.canonical.share) if self._canonical else 0)

    def _criticise(
        self, drawn: Tensor, true: Tensor, mask: Tensor, weight: float
    ) -> dict[str, Tensor]:
        """Hinge losses of a critic and of what it criticises (Miyato et al., ICLR 2018).

        It sees one half of each face, since nothing but a drawn one is symmetric.
        """
        drawn, true, mask = (x[..., : x.shape[-1] // 2] for x in (drawn, true, mask))
        real, false = self._critic(true, mask), self._critic(drawn.detach(), mask)
        still = {name: p.detach() for name, p in self._critic.named_parameters()}
        opinion = functional_call(self._critic, still, (drawn, mask))
        return {
            # Small, so that it takes little of the norm to which gradients are clipped.
            "critic": 0.1 * (F.relu(1 - real).mean() + F.relu(1 + false).mean()),
            "crispness": -weight * opinion.mean(),
        }


def train_on_photographs(
    recipe: FaceDecoderRecipe,
    photographs: Sequence[Path],
    folder: Path,
    cache: Path,
    show: Show,
    device: str = "cpu",
) -> Path:
    """The first phase; returns `folder`/photographs.safetensors."""
    path = folder / "photographs.safetensors"
    facts = _facts(recipe, photographs)
    del facts["recipe"]["canonical"]  # the second phase has no part in these weights
    if _is_done(path, facts):
        return path
    faces = _measure(photographs, recipe, cache, show, "photographs")
    decoder = FaceDecoder(recipe.network, find_mean_shape(faces.landmarks))
    targets = _photograph_targets(photographs, faces, decoder, show, recipe.warp)
    decoder.embedding_mean.copy_(torch.tensor(targets.embeddings[:, 0].mean(0)))
    decoder.embedding_scale.copy_(torch.tensor(targets.embeddings[:, 0].std(0)))
    decoder.condition_mean.copy_(torch.tensor(targets.conditions.mean(0)))
    decoder.condition_scale.copy_(torch.tensor(targets.conditions.std(0)))
    decoder.mean_texture.copy_(torch.tensor(mean_texture(targets)))
    decoder.neutral.copy_(torch.tensor(neutral_conditions(targets)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.photographs.seed)
        critic = TextureCritic(recipe.critic)
    _initialise(decoder, recipe.photographs.seed)
    task = FaceDecoderTask(decoder, critic, recipe, targets, None, _recogniser(recipe), device)
    fit(
        task,
        recipe.photographs,
        folder / "photographs",
        facts,
        tell(show, "training on photographs"),
    )
    save_weights(path, task.network.cpu().state_dict(), facts)
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
    device: str = "cpu",
) -> Path:
    """The second phase, from the weights of the first; returns `folder`/face_decoder.safetensors.

    Learns from the canonical pictures of `pairs`, except of the people in `without`: those are
    measured (once for all folds), but the decoder never meets them.
    """
    tensors, facts = load_weights(start)
    decoder = FaceDecoder(_config_of(facts))
    if decoder.config != recipe.network:
        raise ModelError(f"{start}: of another size than the recipe {recipe.name} asks for.")
    critic = TextureCritic(recipe.critic)
    nn.ModuleDict({"decoder": decoder, "critic": critic}).load_state_dict(tensors)
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
    old = _photograph_targets(photographs, faces.take(np.sort(few)), decoder, show, recipe.warp)
    pictures = [p.canonical for p in pairs]
    drawn = _measure(pictures, recipe, cache, show, "canonical")
    drawn = drawn.take(np.array([pairs[i].person not in without for i in drawn.index]))
    shape, size = decoder.mean_shape.numpy().astype(np.float64), decoder.config.size
    new = build_targets(pictures, drawn, shape, size, show, white_ground=True, warp=recipe.warp)
    sharpen(new)
    new = _add_views(
        new, drawn, _measure_all([p.face for p in pairs], recipe, cache, show, "faces")
    )
    task = FaceDecoderTask(decoder, critic, recipe, old, new, _recogniser(recipe), device)
    fit(
        task,
        recipe.canonical.loop,
        folder / "canonical",
        facts,
        tell(show, "training on canonical"),
    )
    fit_base(decoder, new, recipe.canonical.base_penalty)
    save_weights(path, decoder.cpu().state_dict(), facts)
    return path


def fit_base(decoder: FaceDecoder, canonical: Targets, penalty: float) -> None:
    """The linear base: a ridge from all views' embeddings to half of each symmetric texture."""
    import cv2

    side, average = decoder.config.base, decoder.embedding_mean.cpu().numpy()
    shape = decoder.mean_shape.cpu().numpy()
    textures = canonical.textures.astype(np.float32) / 255
    textures = (textures + textures[:, :, ::-1]) / 2
    small = [cv2.resize(t, (side, side), interpolation=cv2.INTER_AREA) for t in textures]
    halves = np.stack(small)[:, :, : side // 2].transpose(0, 3, 1, 2).reshape(len(small), -1)
    views = canonical.embeddings.shape[1]
    offsets = np.concatenate([canonical.embeddings[:, v] for v in range(views)]) - average
    slope, offset = solve_ridge(offsets, np.concatenate([halves] * views), penalty)
    decoder.base_slope.copy_(torch.tensor(slope, dtype=torch.float32))
    decoder.base_offset.copy_(torch.tensor(offset, dtype=torch.float32))
    decoder.face.copy_(torch.tensor(face_mask(shape, decoder.config.size)))


def load_face_decoder(path: Path) -> tuple[FaceDecoder, dict[str, Any]]:
    """The decoder of a weights file, ready to draw, and the facts of its making."""
    tensors, facts = load_weights(path)
    network = FaceDecoder(_config_of(facts))
    network.load_state_dict(tensors)
    return network.eval(), facts


def _config_of(facts: dict[str, Any]) -> FaceDecoderConfig:
    sizes = facts["recipe"]["network"]
    return FaceDecoderConfig(**{**sizes, "channels": tuple(sizes["channels"])})


def _recogniser(recipe: FaceDecoderRecipe) -> DlibResNet | None:
    if recipe.face_encoder == "dlib" and recipe.likeness_weight:
        return load_dlib_resnet(dlib_weights())
    return None


def _initialise(network: FaceDecoder, seed: int) -> None:
    """He initialisation for leaky ReLUs; the last layers start at the mean shape and mid-grey."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.2, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        network.to_colour.weight *= 0.02
        network.to_detail.weight *= 0.1
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


def _photograph_targets(
    photographs: Sequence[Path],
    faces: MeasuredFaces,
    decoder: FaceDecoder,
    show: Show,
    warp: bool,
) -> Targets:
    shape = decoder.mean_shape.numpy().astype(np.float64)
    targets = build_targets(photographs, faces, shape, decoder.config.size, show, warp=warp)
    typical = find_typical(targets, shape)
    if len(typical) < 10:
        raise UsageError(f"only {len(typical)} of {len(faces)} photographs show a face in full.")
    targets = targets.take(typical)
    even_light(targets, shape)
    return targets


def _facts(recipe: FaceDecoderRecipe, files: Sequence[Path]) -> dict[str, Any]:
    return {"network": "face_decoder", "recipe": asdict(recipe), "data": hash_files(files)}


def _is_done(path: Path, facts: dict[str, Any]) -> bool:
    """Whether these very weights are there already."""
    return path.is_file() and load_weights(path)[1] == json.loads(json.dumps(facts))
