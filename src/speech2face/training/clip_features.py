"""Clips, and crops of them, as the speaker networks hear them.

Tuning moves no layer below CAM++'s blocks. What comes out of the layers below, and of GE2E, is
kept: a network that is being tuned, or was, hears from there on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speech2face.array_cache import keep_arrays
from speech2face.console import Show
from speech2face.data.voices import Voices
from speech2face.media import SAMPLE_RATE
from speech2face.networks.speaker_encoder import SpeakerEncoder
from speech2face.provenance import hash_key
from speech2face.training.checkpoint import hash_weights

BATCH = 16  # excerpts of one length that the networks hear at once
FRAMES_A_SECOND = 50  # of what CAM++'s blocks are given
TOGETHER = 50  # batches in a file of the cache


@dataclass(frozen=True)
class Begun:
    """Excerpts as the layers hear them that tuning leaves alone; M in all."""

    entered: list[np.ndarray]  # M of float32 (128, time), 50 a second: as CAM++'s blocks get it
    ge2e: np.ndarray  # (M, 256)
    key: str  # which sounds, by which networks

    def take(self, rows: np.ndarray) -> Begun:
        """Those of these rows, whole numbers."""
        entered = [self.entered[row] for row in rows]
        return Begun(entered, self.ge2e[rows], hash_key(self.key, rows.tolist()))


@dataclass(frozen=True)
class HeardClips:
    """Clips that were heard: what the speaker networks make of them and of crops."""

    voices: Voices  # N
    features: np.ndarray  # (M, 448), whole clips first
    seconds: np.ndarray  # (M,)
    clip: np.ndarray  # (M,) the clip of each row
    begun: Begun | None = None  # where networks are to be tuned on them

    @property
    def whole(self) -> np.ndarray:
        return np.arange(len(self.clip)) < len(self.voices)

    def take(self, clips: np.ndarray) -> HeardClips:
        """These clips, whole numbers (n,), and the crops of them."""
        place = np.full(len(self.voices), -1)
        place[clips] = np.arange(len(clips))
        rows = np.concatenate([clips, np.flatnonzero(~self.whole & (place[self.clip] >= 0))])
        return HeardClips(
            self.voices.take(clips),
            self.features[rows],
            self.seconds[rows],
            place[self.clip[rows]],
            self.begun and self.begun.take(rows),
        )

    def hear_again(self, speaker: SpeakerEncoder, cache: Path, show: Show) -> HeardClips:
        """The same by tuned networks. Raises ValueError where nothing was begun."""
        if not (begun := self.begun):
            raise ValueError("to hear clips again, hear them with keep=True")

        def hear(rows: list[int]) -> dict[str, Tensor]:
            entered = torch.from_numpy(np.stack([begun.entered[row] for row in rows]))
            return {"features": speaker.finish(entered, torch.from_numpy(begun.ge2e[rows]))}

        folder = cache / f"features-{hash_key(begun.key, hash_weights(speaker))}"
        heard = _hear_batches(_batch([e.shape[1] for e in begun.entered]), hear, folder, show)
        return replace(self, features=np.array(heard["features"]))


def hear_clips(
    speaker: SpeakerEncoder,
    voices: Voices,
    crop_seconds: Sequence[float],
    seed: int,
    cache: Path,
    show: Show,
    keep: bool = False,
) -> HeardClips:
    """Each clip, and of each that is longer one crop at each of the lengths, from anywhere.

    With `keep` the clips can be heard again by tuned networks, and take 26 kB more for a second.
    Finished ones stay in the folder `cache`, and a run that was stopped goes on.
    """
    excerpts, clip = cut_clips(voices.speech, crop_seconds, seed)

    def hear(rows: list[int]) -> dict[str, Tensor]:
        entered, ge2e = speaker.begin(_stack(excerpts, rows))
        begun = {"entered": entered, "ge2e": ge2e} if keep else {}
        return {"features": speaker.finish(entered, ge2e)} | begun

    key = hash_key(hash_speech(excerpts), hash_weights(speaker), keep)
    heard = _hear_batches(_batch([len(e) for e in excerpts]), hear, cache / f"voices-{key}", show)
    begun = Begun(heard["entered"], np.array(heard["ge2e"]), key) if keep else None
    seconds = np.array([len(excerpt) / SAMPLE_RATE for excerpt in excerpts])
    return HeardClips(voices, np.array(heard["features"]), seconds, clip, begun)


def hear_speech(speaker: SpeakerEncoder, speech: Sequence[np.ndarray], show: Show) -> np.ndarray:
    """Features (n, 448) of whole sounds, of which nothing is kept."""
    features: dict[int, np.ndarray] = {}
    for rows in _batch([len(samples) for samples in speech]):
        with torch.inference_mode():
            features |= zip(rows, speaker(_stack(speech, rows)).numpy(), strict=True)
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
    """Which sounds these are, in sixteen letters."""
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


def _hear_batches(
    batches: Sequence[list[int]],
    hear: Callable[[list[int]], dict[str, Tensor]],
    folder: Path,
    show: Show,
) -> dict[str, list[np.ndarray]]:
    """What `hear` makes of the rows of each batch, by name, in the order of rows."""
    total, done = sum(map(len, batches)), 0
    heard: dict[str, dict[int, np.ndarray]] = {}
    for start in range(0, len(batches), TOGETHER):
        part = batches[start : start + TOGETHER]

        def compute(part: Sequence[list[int]] = part) -> dict[str, np.ndarray]:
            with torch.inference_mode():
                return {
                    f"{name} {i}": tensor.numpy()
                    for i, rows in enumerate(part)
                    for name, tensor in hear(rows).items()
                }

        for label, values in keep_arrays(folder / f"{start:06}.npz", compute).items():
            name, i = label.split()
            heard.setdefault(name, {}).update(zip(part[int(i)], values, strict=True))
        done += sum(map(len, part))
        show("embedding voices", done, total, "")
    return {name: [rows[row] for row in range(total)] for name, rows in heard.items()}
