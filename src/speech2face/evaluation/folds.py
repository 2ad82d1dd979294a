"""Every clip's face drawn by a model that never met that person, neither by voice nor by face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from speech2face.console import Show
from speech2face.data.pairs import Pair, hash_files
from speech2face.data.splits import split_people
from speech2face.pictures import write_png
from speech2face.reconstruct import stretch_mean
from speech2face.training.face_decoder import (
    FaceDecoderRecipe,
    load_face_decoder,
    train_on_canonical,
)
from speech2face.training.gaussian_head import HeadSolution
from speech2face.training.voice_encoder import (
    VoiceEncoderRecipe,
    hear_clips,
    load_speaker,
    tune,
)


@dataclass(frozen=True)
class DrawnFolds:
    """What the folds gave for each clip that has speech and a face, N in all."""

    pairs: list[Pair]
    people: np.ndarray  # (N,) str
    fold: np.ndarray  # (N,)
    faces: np.ndarray  # (N, D) embedding of the true face
    means: np.ndarray  # (N, D) predicted
    log_ratios: list[np.ndarray]  # of each fold: (n voices, n faces), log p(face | voice) / p(face)
    pictures: list[Path]  # (N,) drawn from the voice
    copies: list[Path]  # (N,) drawn from the true face by the same decoder: the ceiling
    left_out: list[Pair]  # no face was found, or the clip is shorter than 0.5 s


def draw_by_folds(
    voice_recipe: VoiceEncoderRecipe,
    decoder_recipe: FaceDecoderRecipe,
    pairs: Sequence[Pair],
    photographs: Sequence[Path],
    decoder_start: Path,
    folder: Path,
    folds: int,
    seed: int,
    show: Show,
    speaker: Path | None = None,
) -> DrawnFolds:
    """Train and draw fold by fold; finished parts found in `folder` are not made again.

    `speaker`: see `load_speaker`.
    """
    cache = folder / "cache"
    clips = hear_clips(voice_recipe, load_speaker(voice_recipe, speaker), pairs, cache, show)
    fold_of = dict(
        zip(
            (p.clip for p in pairs),
            split_people([p.person for p in pairs], folds, seed),
            strict=True,
        )
    )
    fold = np.array([fold_of[p.clip] for p in clips.pairs])
    means = np.empty_like(clips.faces)
    log_ratios, places = [], {}
    data = hash_files([p.audio for p in pairs])
    for k in range(folds):
        test = fold == k
        run = folder / f"fold{k}"
        run.mkdir(parents=True, exist_ok=True)
        facts = {"fold": k, "folds": folds, "seed": seed, "data": data}
        head, tuned = tune(
            voice_recipe, load_speaker(voice_recipe, speaker), clips, ~test, run, facts, show
        )
        features, seconds = tuned.features[tuned.whole], tuned.seconds[tuned.whole]
        means[test] = head.predict(features[test], seconds[test])
        log_ratios.append(
            log_likelihood_ratios(head, means[test], seconds[test], clips.faces[test])
        )
        weights = train_on_canonical(
            decoder_recipe,
            decoder_start,
            photographs,
            pairs,
            run,
            cache,
            show,
            without={p.person for p in pairs if fold_of[p.clip] == k},
        )
        network, _ = load_face_decoder(weights)
        shown = stretch_mean(means, head.average)
        for kind, embeddings in (("voice", shown), ("face", clips.faces)):
            (run / kind).mkdir(exist_ok=True)
            for i in np.flatnonzero(test):
                places[kind, i] = run / kind / f"{clips.pairs[i].clip}.png"
                with torch.inference_mode():
                    picture, _ = network(torch.tensor(embeddings[i : i + 1], dtype=torch.float32))
                pixels = (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()
                write_png(Image.fromarray(pixels), places[kind, i], f"fold {k}", force=True)
        show("folds", k + 1, folds, "")
    count = len(clips.pairs)
    heard = {p.clip for p in clips.pairs}
    return DrawnFolds(
        clips.pairs,
        np.array([p.person for p in clips.pairs]),
        fold,
        clips.faces,
        means,
        log_ratios,
        [places["voice", i] for i in range(count)],
        [places["face", i] for i in range(count)],
        [p for p in pairs if p.clip not in heard],
    )


def log_likelihood_ratios(
    head: HeadSolution, means: np.ndarray, seconds: np.ndarray, faces: np.ndarray
) -> np.ndarray:
    """log N(face; mean, covariance) − log N(face; average, prior): (n voices, n faces), nats."""
    prior = _log_density(faces - head.average, head.prior)  # (n,)
    return np.stack(
        [
            _log_density(faces - mean, head.covariance(float(length))) - prior
            for mean, length in zip(means, seconds, strict=True)
        ]
    )


def _log_density(errors: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """log N(error; 0, covariance) without the constant: (n, D) → (n,)."""
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, errors.T)
    return -0.5 * (white**2).sum(0) - np.log(factor.diagonal()).sum()
