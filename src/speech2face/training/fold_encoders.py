"""Cross-validation of the voice encoder: each fold has an encoder that never met its people."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.array_cache import find_place, keep_arrays
from speech2face.console import ProgressCallback
from speech2face.data.voice_encoder_data import Voices
from speech2face.media import SAMPLE_RATE
from speech2face.model_folders import FILES
from speech2face.networks.voice_encoder import GaussianEncoder
from speech2face.run_provenance import hash_key
from speech2face.training.checkpoint import hash_weights
from speech2face.training.clip_features import (
    ClipFeatures,
    extract_speech_features,
    hash_speech,
    hear_clips,
)
from speech2face.training.encoder_options import EncoderRecipe, Options
from speech2face.training.end_to_end_task import EndToEndRecipe
from speech2face.training.end_to_end_voice_encoder import train_end_to_end
from speech2face.training.gaussian_head import HeadSolution
from speech2face.training.package_model import export_encoder
from speech2face.training.quantisation import open_features, quantise_encoder
from speech2face.training.voice_encoder import (
    VoiceEncoderRecipe,
    load_speaker,
    prepare_clips,
    tune,
)


@dataclass(frozen=True)
class FoldEncoder:
    """The voice encoder of one fold: it never met the people of that fold."""

    recipe: EncoderRecipe
    network: GaussianEncoder
    head: HeadSolution
    clips: ClipFeatures  # all, with the features that this network extracts
    folder: Path
    quantised: Path | None = None  # its file in 8 bits, where it is to hear by that

    def quantise(self, speech: Sequence[np.ndarray]) -> FoldEncoder:
        """The same with 8 bits; `speech` is as for `quantise_encoder`, of nobody in the fold.

        Only the released network has such a form.
        """
        key = hash_key(hash_speech(speech), hash_weights(self.network.ear))
        path = self.folder / f"quantised-{key}.onnx"
        if not path.exists():
            with tempfile.TemporaryDirectory() as temporary:
                whole = Path(temporary) / FILES[0]
                export_encoder(self.network, whole, {})
                quantise_encoder(whole, speech, path)
        return replace(self, quantised=path)

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
                "features": self._hear(speech, show),
                "seconds": np.array([len(samples) / SAMPLE_RATE for samples in speech]),
            }

        by = self.quantised.stem if self.quantised else hash_weights(self.network.ear)
        key = (self.clips.voices.data, [*clips], by)
        kept = keep_arrays(find_place(self.folder / "heard", name, *key), extract)
        return self.head.predict(kept["features"], kept["seconds"]), kept["seconds"]

    def _hear(self, speech: Sequence[np.ndarray], show: ProgressCallback) -> np.ndarray:
        """Features (n, F) of whole sounds."""
        if self.quantised is None:
            return extract_speech_features(self.network.ear, speech, show)
        session, features = open_features(self.quantised), []
        for samples in speech:
            features.append(session.run(None, {"waveform": samples[None]})[0][0])
            show("embedding voices", len(features), len(speech), "")
        return np.array(features)


TrainFold = Callable[[np.ndarray, Path, Mapping[str, Any]], FoldEncoder]
"""Trains the encoder of a fold on all clips but those held out (N,) bool, in a folder. What
identifies the fold goes into its metadata. What is found finished there is not done again."""


def prepare_folds(
    recipe: EncoderRecipe, options: Options, voices: Voices, cache: Path, show: ProgressCallback
) -> TrainFold:
    """Get ready to train encoders of folds on some of the clips; `cache` keeps what all share."""
    if isinstance(recipe, EndToEndRecipe):
        return partial(_train_end_to_end, recipe, options, voices, show)
    network = load_speaker(recipe, options.speaker, options.weights)
    clips = prepare_clips(recipe, network, voices, cache, show)
    return partial(_tune, recipe, options, clips, show)


def _tune(
    recipe: VoiceEncoderRecipe,
    options: Options,
    clips: ClipFeatures,
    show: ProgressCallback,
    held_out: np.ndarray,
    folder: Path,
    fold: Mapping[str, Any],
) -> FoldEncoder:
    folder.mkdir(parents=True, exist_ok=True)
    network = load_speaker(recipe, options.speaker, options.weights)
    metadata = {
        **fold,
        "data": clips.voices.data,
        "recipe": asdict(recipe),
        "start": hash_weights(network.speaker),
        "version": __version__,
    }
    head, tuned = tune(recipe, network, clips, ~held_out, folder, metadata, show)
    return FoldEncoder(recipe, network, head, tuned, folder)


def _train_end_to_end(
    recipe: EndToEndRecipe,
    options: Options,
    voices: Voices,
    show: ProgressCallback,
    held_out: np.ndarray,
    folder: Path,
    fold: Mapping[str, Any],
) -> FoldEncoder:
    """Of the people learned from some are held out again, as in every training by the recipe."""
    trained = train_end_to_end(
        recipe,
        voices.take(np.flatnonzero(~held_out)),
        folder,
        show,
        speaker=options.speaker,
        init=options.weights,
        decoder=options.decoder,
        recogniser=options.recogniser,
        device=options.device,
        facts=fold,
    )
    assert trained  # in one process
    network = trained.network
    cache = folder / "cache"
    clips = hear_clips(network.ear, voices, recipe.crop_seconds, recipe.seed, cache, show)
    return FoldEncoder(recipe, network, trained.head, clips, folder)
