"""What 8 bits do to the voice encoder: how much faster it is, and what is lost.

    python benchmarks/quantisation.py FLOATS LIGHT --pairs FOLDER... [--out RUN] [--write]

FLOATS is the folder of a model of floats, LIGHT what `speech2face quantise` made of it; --pairs are
the folders that it was trained on. Times are of the processor, of one thread, both encoders in
turns, so that other work on the machine counts little. Two-way matching is by five folds: each
clip is heard by an encoder of that fold which met neither its speaker nor, as far as is known, the
face, once in floats and once in 8 bits. RUN keeps the folds; without them training takes half an
hour on two cores. --write stores benchmarks/quantisation.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from latency import describe_machine
from speech2face.console import ProgressBars, ProgressCallback
from speech2face.metrics.intervals import bootstrap_people
from speech2face.metrics.matching import centred_cosine, two_way
from speech2face.model_folders import Model, find_model
from speech2face.privacy.calibrate_model import HeldOut, read_recipe
from speech2face.reconstruct import Speech2Face, load
from speech2face.runtime import open_session
from speech2face.speaker_features import SpeakerFeatures
from speech2face.speech import find_speech
from speech2face.training.gaussian_head import log_likelihood_ratios

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
ROUNDS = 15
WINDOWS, WINDOW = 4, 24_064  # what the speakers of six seconds are told apart by; samples
MODELS = "floats", "light"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what 8 bits do to the voice encoder.")
    for name in MODELS:
        parser.add_argument(name, help="folder of a model")
    parser.add_argument("--pairs", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/quantisation"))
    parser.add_argument("--write", action="store_true", help="store benchmarks/quantisation.json")
    options = parser.parse_args()
    floats, light = (find_model(getattr(options, name)) for name in MODELS)
    with ProgressBars() as show:
        held_out = train_folds(floats, options.pairs, options.out, show)
        matching = measure_matching(held_out, show)
    results = measure_models(floats, light) | {"matching": matching}
    print(json.dumps(results, indent=2))
    if options.write:
        (HERE / "quantisation.json").write_text(json.dumps(results, indent=2) + "\n")


def measure_models(floats: Model, light: Model) -> dict[str, Any]:
    return {
        "machine": describe_machine() | {"threads": 1},
        "megabytes": {
            name: round(model.voice_encoder.stat().st_size / 1e6, 1)
            for name, model in zip(MODELS, (floats, light), strict=True)
        },
        "processor_ms": measure_times(floats, light),
        "examples": compare_examples(load(floats.folder), load(light.folder)),
    }


def measure_times(*models: Model) -> dict[str, Any]:
    """Of six seconds: the encoder, and telling speakers apart."""
    speech = np.resize(find_speech(EXAMPLES / "bella.flac").samples, 96_000)[None]
    windows = np.resize(speech, (WINDOWS, WINDOW))
    sessions = [open_session(model.voice_encoder, 1) for model in models]
    speakers = [SpeakerFeatures(model.voice_encoder, 1) for model in models]
    return {
        "voice encoder": alternate(
            [lambda s=s: s.run(None, {"waveform": speech}) for s in sessions]
        ),
        "speaker embeddings": alternate([lambda s=s: s.embed_batch(windows) for s in speakers]),
    }


def alternate(works: list[Callable[[], Any]]) -> dict[str, float]:
    """The least time of each, in turns, and the median of the ratios of a turn."""
    times = np.empty((ROUNDS, len(works)))
    for turn in times:
        for place, work in enumerate(works):
            begun = time.process_time()
            work()
            turn[place] = time.process_time() - begun
    least = 1000 * times.min(axis=0)
    ratio = statistics.median(times[1:, 1] / times[1:, 0])
    return dict(zip(MODELS, least.round(1).tolist(), strict=True)) | {"ratio": round(ratio, 3)}


def compare_examples(floats: Speech2Face, light: Speech2Face) -> dict[str, float]:
    """The drawn embedding and the face without hair, of the examples."""
    errors, pixels = [], []
    for path in sorted(EXAMPLES.glob("*.flac")):
        speech = find_speech(path).samples[None]
        (_, _, average, wanted), (*_, found) = floats.encode(speech), light.encode(speech)
        errors.append(np.linalg.norm(found - wanted) / np.linalg.norm(wanted - average))
        pictures = [floats.decode(one, hair="none")[0].astype(float) for one in (wanted, found)]
        pixels.append(np.abs(pictures[1] - pictures[0]).mean())
    return {
        "recordings": len(errors),
        "embedding_error": round(float(np.mean(errors)), 4),
        "pixels_of_255": round(float(np.mean(pixels)), 2),
        "pixels_of_255_most": round(float(np.max(pixels)), 2),
    }


def train_folds(model: Model, pairs: list[Path], folder: Path, show: ProgressCallback) -> HeldOut:
    from speech2face.data.voice_encoder_data import load_voices

    recipe = read_recipe(model)
    voices = load_voices(pairs, recipe.face_encoder, folder / "cache", show, recognise=True)
    return HeldOut.train(recipe, voices, folder, show)


def measure_matching(held_out: HeldOut, show: ProgressCallback) -> dict[str, Any]:
    """Two-way matching of whole clips within their folds, and what 8 bits take from it."""
    voices, people = held_out.voices, np.array(held_out.voices.people)
    wins = {way: np.empty((len(people), 2)) for way in ("likelihood", "cosine")}
    for number, encoder in enumerate(held_out.encoders):
        own = np.flatnonzero(held_out.fold == number)
        speech, faces = [voices.speech[i] for i in own], voices.faces[own]
        if encoder.quantised is None:
            others = np.flatnonzero(held_out.fold != number)
            light = encoder.quantise([voices.speech[i] for i in others])
        else:
            light, encoder = encoder, replace(encoder, quantised=None)
        for column, one in enumerate((encoder, light)):
            clips = [voices.clips[i] for i in own]
            means, seconds = one.predict(clips, lambda speech=speech: speech, "whole", show)
            scores = log_likelihood_ratios(one.head, means, seconds, faces)
            wins["likelihood"][own, column] = two_way(scores, people[own])
            scores = centred_cosine(one.head.show(means), faces)
            wins["cosine"][own, column] = two_way(scores, people[own])
    return {
        "people": len(set(voices.people)),
        "clips": len(voices),
        **{
            way: {
                name: vars(bootstrap_people(values, people))
                for name, values in zip(
                    (*MODELS, "difference"), (*both.T, both[:, 1] - both[:, 0]), strict=True
                )
            }
            for way, both in wins.items()
        },
    }


if __name__ == "__main__":
    main()
