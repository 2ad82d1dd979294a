"""Tuning of an attacker's speaker network on disguised speech of others.

CAM++'s last block learns from people who speak plainly and through every method at once, each
excerpt through one drawn at random. Two things are asked of it: to come near the face, by a linear
map for each method, and to tell all who speak apart whatever their disguise (a softmax over their
prototypes with an additive margin, Wang et al., IEEE SPL 2018). What lies below, and GE2E, stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech2face.console import ProgressCallback
from speech2face.networks.losses import regression_loss
from speech2face.networks.speaker_encoder import SpeakerEncoder
from speech2face.training.clip_features import FRAMES_A_SECOND
from speech2face.training.last_block import HeardSpeech
from speech2face.training.loop import LoopConfig, fit, report_progress
from speech2face.training.ridge import solve_ridge
from speech2face.training.voice_encoder import LAST_BLOCK


@dataclass(frozen=True)
class AttackerRecipe:
    """Settings of the tuning: everything but the data."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=200, learning_rate=3e-4, warmup=20, weight_decay=0.0, average=0.97
        )
    )
    batch: int = 16  # excerpts, half of them of speech whose face is known
    seconds: float = 2.0
    face_weight: float = 10.0  # of the squared distance, beside the speaker's loss in nats
    sharpness: float = 20.0  # of the cosine to prototypes
    margin: float = 0.1  # by which the own prototype has to be nearer
    ridge: float = 14.0  # of the linear maps to faces, at the start


@dataclass(frozen=True)
class Lesson:
    """N recordings, plain and by each method, that an attacker learns from."""

    heard: Sequence[HeardSpeech]  # V versions of N
    features: Sequence[np.ndarray]  # V of (N, F), by the network as it is before
    people: np.ndarray  # (N,)
    faces: np.ndarray | None = None  # (N, D)

    def take(self, rows: np.ndarray) -> Lesson:
        """These rows, whole numbers."""
        heard = [HeardSpeech([one.middle[i] for i in rows], one.ge2e[rows]) for one in self.heard]
        features = [one[rows] for one in self.features]
        faces = None if self.faces is None else self.faces[rows]
        return Lesson(heard, features, self.people[rows], faces)


def tune_attacker(
    recipe: AttackerRecipe,
    speaker: SpeakerEncoder,
    pairs: Lesson,
    voices: Lesson,
    folder: Path,
    metadata: Mapping[str, Any],
    show: ProgressCallback,
) -> None:
    """Tune `speaker` in place on what both lessons teach; the first has faces.

    A run that was stopped goes on in `folder`, where `metadata` says that it is the same.
    """
    task = AttackerTask(recipe, speaker, pairs, voices)
    told = {**metadata, "attacker": asdict(recipe)}
    fit(task, recipe.loop, folder, told, report_progress(show, "tuning an attacker"))


class AttackerTask:
    """Excerpts of both lessons, half each; only CAM++'s last block and what reads it move."""

    def __init__(
        self, recipe: AttackerRecipe, speaker: SpeakerEncoder, pairs: Lesson, voices: Lesson
    ) -> None:
        self._recipe, self._lessons = recipe, (pairs, voices)
        names, label = np.unique(np.concatenate([pairs.people, voices.people]), return_inverse=True)
        self._labels = np.split(label, [len(pairs.people)])
        self.network = _Readers(recipe, speaker, self._lessons, self._labels, len(names))

    def batch(self, step: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Last block's inputs (B, 512, time), GE2E (B, 256), version and speaker (B,), faces."""
        recipe = self._recipe
        time = round(recipe.seconds * FRAMES_A_SECOND)
        middle, ge2e, version, label = [], [], [], []
        faces = np.empty(0)
        for lesson, labels in zip(self._lessons, self._labels, strict=True):
            rows = rng.choice(len(lesson.people), recipe.batch // 2, replace=False)
            for row in rows:
                number = int(rng.integers(len(lesson.heard)))
                heard = lesson.heard[number]
                middle.append(_crop(heard.middle[row], time, rng))
                ge2e.append(heard.ge2e[row])
                version.append(number)
            label.append(labels[rows])
            if lesson.faces is not None:
                faces = lesson.faces[rows]
        return (
            torch.from_numpy(np.array(middle, np.float32)),
            torch.from_numpy(np.array(ge2e)),
            torch.tensor(version),
            torch.from_numpy(np.concatenate(label)),
            torch.from_numpy(faces.astype(np.float32)),
        )

    def losses(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        middle, ge2e, version, label, faces = batch
        self.network.eval()
        features = self.network.speaker.finish_last_block(middle, ge2e)
        near = self.network.find_speakers(features, version)
        own = F.one_hot(label, near.shape[1]) * self._recipe.margin
        seen = self.network.read_faces(features[: len(faces)], version[: len(faces)])
        return {
            "speaker": F.cross_entropy(self._recipe.sharpness * (near - own), label),
            "face": self._recipe.face_weight * regression_loss(seen, faces),
        }


class _Readers(nn.Module):
    """The speaker network with what reads faces and speakers off it, for each version."""

    def __init__(
        self,
        recipe: AttackerRecipe,
        speaker: SpeakerEncoder,
        lessons: Sequence[Lesson],
        labels: Sequence[np.ndarray],
        people: int,
    ) -> None:
        """Begins where ridge regression and the mean plain voice of each speaker are."""
        super().__init__()
        self.speaker = speaker
        width = speaker.config.campplus.embedding_size
        faces = lessons[0].faces
        assert faces is not None  # the first lesson has them
        slopes, offsets, centres = [], [], []
        prototypes = np.zeros((people, width))
        for version in range(len(lessons[0].heard)):
            features = [lesson.features[version] for lesson in lessons]
            slope, offset = solve_ridge(features[0].astype(np.float64), faces, recipe.ridge)
            slopes.append(slope)
            offsets.append(offset)
            centres.append(np.concatenate(features)[:, :width].mean(0))
            if version == 0:
                for own, label in zip(features, labels, strict=True):
                    np.add.at(prototypes, label, own[:, :width] - centres[0])
        for name, start in (
            ("slopes", slopes),
            ("offsets", offsets),
            ("centres", centres),
            ("prototypes", prototypes),
        ):
            tensor = torch.tensor(np.array(start), dtype=torch.float32)
            self.register_parameter(name, nn.Parameter(tensor))
        for name, parameter in speaker.named_parameters():
            parameter.requires_grad_(name.startswith(LAST_BLOCK))

    slopes: Tensor  # (V, F, D)
    offsets: Tensor  # (V, D)
    centres: Tensor  # (V, 192)
    prototypes: Tensor  # (P, 192)

    def read_faces(self, features: Tensor, version: Tensor) -> Tensor:
        """(B, F) and (B,) → faces (B, D)."""
        return torch.einsum("bf,bfd->bd", features, self.slopes[version]) + self.offsets[version]

    def find_speakers(self, features: Tensor, version: Tensor) -> Tensor:
        """(B, F) and (B,) → cosine to each speaker's prototype (B, P)."""
        apart = features[:, : self.centres.shape[1]] - self.centres[version]
        return F.normalize(apart, dim=1) @ F.normalize(self.prototypes, dim=1).T


def _crop(middle: np.ndarray, time: int, rng: np.random.Generator) -> np.ndarray:
    """(512, t) → an excerpt (512, time); what is shorter is repeated."""
    middle = np.tile(middle, -(-time // middle.shape[1]))
    start = rng.integers(middle.shape[1] - time + 1)
    return middle[:, start : start + time]
