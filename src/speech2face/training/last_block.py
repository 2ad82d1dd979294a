"""Speech as CAM++'s last block is given it: what stays where that block alone is tuned.

It is kept in half precision, 51 kB a second: networks that differ in the last block, in the pooling
and in the embedding start from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speech2face.array_cache import find_place, keep_arrays
from speech2face.console import ProgressCallback
from speech2face.networks.speaker_encoder import SpeakerEncoder
from speech2face.run_provenance import hash_key
from speech2face.training.checkpoint import hash_weights
from speech2face.training.clip_features import hash_speech

CHUNK = 20  # sounds in a file of the cache


@dataclass(frozen=True)
class HeardSpeech:
    """M sounds as heard below CAM++'s last block, and by GE2E."""

    middle: Sequence[np.ndarray]  # M of float16 (512, time), 50 a second
    ge2e: np.ndarray  # (M, 256)
    key: str = ""  # identity of the sounds and the networks

    def __len__(self) -> int:
        return len(self.middle)


def hear_speech(
    speaker: SpeakerEncoder, sounds: Sequence[np.ndarray], cache: Path, show: ProgressCallback
) -> HeardSpeech:
    """Hear sounds, float32 (n,) at 16 kHz; what was heard stays in the folder `cache`."""
    middle: list[np.ndarray] = []
    ge2e: list[np.ndarray] = []
    weights, keys = hash_weights(speaker), []
    for start in range(0, len(sounds), CHUNK):
        chunk = sounds[start : start + CHUNK]

        def compute(chunk: Sequence[np.ndarray] = chunk) -> dict[str, np.ndarray]:
            heard = [_hear(speaker, sound) for sound in chunk]
            arrays = {str(i): below for i, (below, _) in enumerate(heard)}
            return arrays | {"ge2e": np.concatenate([said for _, said in heard])}

        keys.append(hash_speech(chunk))
        kept = keep_arrays(find_place(cache, "heard", weights, keys[-1]), compute)
        ge2e.append(kept.pop("ge2e"))
        middle += kept.values()
        show("hearing voices", len(middle), len(sounds), "")
    return HeardSpeech(middle, np.concatenate(ge2e), hash_key(weights, keys))


def finish_features(speaker: SpeakerEncoder, heard: HeardSpeech) -> np.ndarray:
    """Features (M, 448) by networks whose last block may have been tuned."""
    features = []
    with torch.inference_mode():
        for middle, ge2e in zip(heard.middle, heard.ge2e, strict=True):
            below = torch.from_numpy(middle[None].astype(np.float32))
            features.append(speaker.finish_last_block(below, torch.from_numpy(ge2e[None]))[0])
    return torch.stack(features).numpy()


def _hear(speaker: SpeakerEncoder, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        entered, ge2e = speaker.begin(torch.from_numpy(sound[None]))
        middle = speaker.pass_lower_blocks(entered)
    return middle[0].numpy().astype(np.float16), ge2e.numpy()
