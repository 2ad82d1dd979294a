"""Cross-validation of the voice encoder: each fold has an encoder that never met its people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.array_cache import find_place, keep_arrays
from speech2face.console import ProgressCallback
from speech2face.media import SAMPLE_RATE
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training.checkpoint import hash_weights
from speech2face.training.clip_features import ClipFeatures, extract_speech_features
from speech2face.training.gaussian_head import HeadSolution
from speech2face.training.voice_encoder import VoiceEncoderRecipe, load_speaker, tune


@dataclass(frozen=True)
class FoldEncoder:
    """The voice encoder of one fold: it never met the people of that fold."""

    recipe: VoiceEncoderRecipe
    network: VoiceEncoder
    head: HeadSolution
    clips: ClipFeatures  # all, with the features that this network extracts
    folder: Path

    def predict(
        self,
        clips: Sequence[str],
        load_speech: Callable[[], list[np.ndarray]],
        name: str,
        show: ProgressCallback,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clips (n,) by name, or changed versions of them → means (n, D), seconds (n,).

        A clip that is not in the training data is named by its content, too.
        `load_speech` gives the speech; it is called only where no features are kept under `name`.
        """

        def extract() -> dict[str, np.ndarray]:
            speech = load_speech()
            return {
                "features": extract_speech_features(self.network.speaker, speech, show),
                "seconds": np.array([len(samples) / SAMPLE_RATE for samples in speech]),
            }

        key = (self.clips.voices.data, [*clips], hash_weights(self.network.speaker))
        kept = keep_arrays(find_place(self.folder / "heard", name, *key), extract)
        return self.head.predict(kept["features"], kept["seconds"]), kept["seconds"]


def train_fold_encoder(
    recipe: VoiceEncoderRecipe,
    speaker: Path | None,
    clips: ClipFeatures,
    held_out: np.ndarray,
    folder: Path,
    fold: Mapping[str, Any],
    show: ProgressCallback,
) -> FoldEncoder:
    """The encoder of one fold, trained on all clips but those `held_out` (N,) bool.

    `fold` is what identifies the fold, and `speaker` as for `load_speaker`. What is found finished
    in `folder` is not done again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = load_speaker(recipe, speaker)
    metadata = {
        **fold,
        "data": clips.voices.data,
        "recipe": asdict(recipe),
        "start": hash_weights(network.speaker),
        "version": __version__,
    }
    head, tuned = tune(recipe, network, clips, ~held_out, folder, metadata, show)
    return FoldEncoder(recipe, network, head, tuned, folder)
