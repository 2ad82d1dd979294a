"""Features of clips, and of crops of them, by the speaker networks or another that listens.

Tuning changes no layer below CAM++'s blocks. The outputs of these frozen layers, and of GE2E, are
kept: a network that is being tuned, or was, starts from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.array_cache import keep_arrays
from speech2face.console import ProgressCallback
from speech2face.data.voice_encoder_data import Voices
from speech2face.media import SAMPLE_RATE
from speech2face.networks.speaker_encoder import SpeakerEncoder
from speech2face.run_provenance import hash_key
from speech2face.training.checkpoint import hash_weights

BATCH = 16  # excerpts of one length in a batch of the networks
FRAMES_A_SECOND = 50  # of what CAM++'s blocks are given
TOGETHER = 50  # batches in a file of the cache


@dataclass(frozen=True)
class FrozenOutputs:
    """Outputs of the layers that tuning leaves as they are, for M excerpts."""

    entered: list[
        np.ndarray
    ]  # M of float32 (128, time), 50 a second: what CAM++'s blocks are given
    ge2e: np.ndarray  # (M, 256)
    key: str  # identity of the sounds and the networks

    def take(self, rows: np.ndarray) -> FrozenOutputs:
        """The outputs of these rows, whole numbers."""
        entered = [self.entered[row] for row in rows]
        return FrozenOutputs(entered, self.ge2e[rows], hash_key(self.key, rows.tolist()))


@dataclass(frozen=True)
class ClipFeatures:
    """Features that a network extracts from clips and from crops of them."""

    voices: Voices  # N
    features: np.ndarray  # (M, F), whole clips first; F is 448 of the speaker networks
    seconds: np.ndarray  # (M,)
    clip: np.ndarray  # (M,) the clip of each row
    frozen: FrozenOutputs | None = None  # where networks are to be tuned on them

    @property
    def whole(self) -> np.ndarray:
        return np.arange(len(self.clip)) < len(self.voices)

    def take(self, clips: np.ndarray) -> ClipFeatures:
        """These clips, whole numbers (n,), and the crops of them."""
        place = np.full(len(self.voices), -1)
        place[clips] = np.arange(len(clips))
        rows = np.concatenate([clips, np.flatnonzero(~self.whole & (place[self.clip] >= 0))])
        return ClipFeatures(
            self.voices.take(clips),
            self.features[rows],
            self.seconds[rows],
            place[self.clip[rows]],
            self.frozen and self.frozen.take(rows),
        )

    def extract_again(
        self, speaker: SpeakerEncoder, cache: Path, show: ProgressCallback
    ) -> ClipFeatures:
        """Features of the clips by tuned networks. Raises ValueError without frozen outputs."""
        if not (frozen := self.frozen):
            raise ValueError("features are extracted again only of clips extracted with keep=True")

        def extract(rows: list[int]) -> dict[str, Tensor]:
            entered = torch.from_numpy(np.stack([frozen.entered[row] for row in rows]))
            return {"features": speaker.finish(entered, torch.from_numpy(frozen.ge2e[rows]))}

        folder = cache / f"features-{hash_key(frozen.key, hash_weights(speaker))}"
        outputs = _extract_batches(
            _batch([e.shape[1] for e in frozen.entered]), extract, folder, show
        )
        return replace(self, features=np.array(outputs["features"]))


def extract_features(
    speaker: SpeakerEncoder,
    voices: Voices,
    crop_seconds: Sequence[float],
    seed: int,
    cache: Path,
    show: ProgressCallback,
    keep: bool = False,
) -> ClipFeatures:
    """Features of each clip and, of a longer one, of a crop from anywhere at each of the lengths.

    With `keep` tuned networks can extract features again, for 26 kB more a second.
    Finished ones stay in the folder `cache`, and a run that was stopped goes on.
    """
    excerpts, clip = cut_clips(voices.speech, crop_seconds, seed)

    def extract(rows: list[int]) -> dict[str, Tensor]:
        entered, ge2e = speaker.begin(_stack(excerpts, rows))
        frozen = {"entered": entered, "ge2e": ge2e} if keep else {}
        return {"features": speaker.finish(entered, ge2e)} | frozen

    key = hash_key(hash_speech(excerpts), hash_weights(speaker), keep)
    outputs = _extract_batches(
        _batch([len(e) for e in excerpts]), extract, cache / f"voices-{key}", show
    )
    frozen = FrozenOutputs(outputs["entered"], np.array(outputs["ge2e"]), key) if keep else None
    seconds = np.array([len(excerpt) / SAMPLE_RATE for excerpt in excerpts])
    return ClipFeatures(voices, np.array(outputs["features"]), seconds, clip, frozen)


def hear_clips(
    ear: nn.Module,
    voices: Voices,
    crop_seconds: Sequence[float],
    seed: int,
    cache: Path,
    show: ProgressCallback,
) -> ClipFeatures:
    """Features (M, F) of clips and crops, as `extract_features` cuts them, by any network.

    It listens where its weights are. Finished ones stay in the folder `cache`.
    """
    excerpts, clip = cut_clips(voices.speech, crop_seconds, seed)
    device = next(ear.parameters()).device

    def extract(rows: list[int]) -> dict[str, Tensor]:
        return {"features": ear(_stack(excerpts, rows).to(device)).float().cpu()}

    key = hash_key(hash_speech(excerpts), hash_weights(ear))
    outputs = _extract_batches(
        _batch([len(e) for e in excerpts]), extract, cache / f"heard-{key}", show
    )
    seconds = np.array([len(excerpt) / SAMPLE_RATE for excerpt in excerpts])
    return ClipFeatures(voices, np.array(outputs["features"]), seconds, clip)


def extract_speech_features(
    ear: nn.Module, speech: Sequence[np.ndarray], show: ProgressCallback
) -> np.ndarray:
    """Features (n, F) of whole sounds; nothing is kept on disk."""
    features: dict[int, np.ndarray] = {}
    for rows in _batch([len(samples) for samples in speech]):
        with torch.inference_mode():
            features |= zip(rows, ear(_stack(speech, rows)).numpy(), strict=True)
        show("embedding voices", len(features), len(speech), "")
    return np.array([features[row] for row in range(len(speech))])


def cut_clips(
    speech: Sequence[np.ndarray], crop_seconds: Sequence[float], seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Whole clips, then crops of them, (M,) sounds; and of which clip each is (M,)."""
    rng = np.random.default_rng(seed)
    excerpts, clip = [*speech], [*range(len(speech))]
    for seconds in crop_seconds:
        length = round(seconds * SAMPLE_RATE)
        for i, samples in enumerate(speech):
            if len(samples) > length:
                start = rng.integers(len(samples) - length)
                excerpts.append(samples[start : start + length])
                clip.append(i)
    return excerpts, np.array(clip)


def hash_speech(speech: Sequence[np.ndarray]) -> str:
    """A digest of the sounds, in sixteen letters."""
    digest = hashlib.sha256()
    for samples in speech:
        digest.update(len(samples).to_bytes(8))
        digest.update(samples.tobytes())
    return digest.hexdigest()[:16]


def _batch(lengths: Sequence[int]) -> list[list[int]]:
    """Rows of one length, at most BATCH together."""
    alike: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        alike.setdefault(length, []).append(row)
    return [same[i : i + BATCH] for same in alike.values() for i in range(0, len(same), BATCH)]


def _stack(sounds: Sequence[np.ndarray], rows: list[int]) -> Tensor:
    return torch.from_numpy(np.stack([sounds[row] for row in rows]))


def _extract_batches(
    batches: Sequence[list[int]],
    extract: Callable[[list[int]], dict[str, Tensor]],
    folder: Path,
    show: ProgressCallback,
) -> dict[str, list[np.ndarray]]:
    """Outputs of `extract` for the rows of each batch, by name, in the order of rows."""
    total, done = sum(map(len, batches)), 0
    outputs: dict[str, dict[int, np.ndarray]] = {}
    for start in range(0, len(batches), TOGETHER):
        part = batches[start : start + TOGETHER]

        def compute(part: Sequence[list[int]] = part) -> dict[str, np.ndarray]:
            with torch.inference_mode():
                return {
                    f"{name} {i}": tensor.numpy()
                    for i, rows in enumerate(part)
                    for name, tensor in extract(rows).items()
                }

        for label, values in keep_arrays(folder / f"{start:06}.npz", compute).items():
            name, i = label.split()
            outputs.setdefault(name, {}).update(zip(part[int(i)], values, strict=True))
        done += sum(map(len, part))
        show("embedding voices", done, total, "")
    return {name: [rows[row] for row in range(total)] for name, rows in outputs.items()}
