"""Every clip's face drawn by a model that never met that person, neither by voice nor by face."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from speech2face.console import ProgressCallback
from speech2face.data.merge_pairs import join_people
from speech2face.data.pairs import Pair, identify_pairs
from speech2face.data.split_leaks import check_folds
from speech2face.data.splits import split_people
from speech2face.data.voice_encoder_data import Voices, load_pair_voices
from speech2face.face_encoders import identify_face_encoder
from speech2face.files import hash_file
from speech2face.networks.face_decoder import FaceDecoder
from speech2face.pictures import write_png
from speech2face.run_provenance import Provenance, claim_run, describe
from speech2face.training.encoder_options import EncoderRecipe, Options, check_options
from speech2face.training.face_decoder import (
    FaceDecoderRecipe,
    draw_face,
    load_face_decoder,
    set_hair_centre,
    train_face_decoder,
)
from speech2face.training.fold_encoders import FoldEncoder, prepare_folds
from speech2face.training.gaussian_head import log_likelihood_ratios
from speech2face.training.init_weights import refuse_met

STRENGTHS = (0.0, 1.0, 1.5)  # at which faces are drawn from voices: 0 the average, 1 typical
MEASURED = 1.0  # the strength that all is measured at but in `drawing_strength.py`


@dataclass(frozen=True)
class DrawnFolds:
    """Predictions and pictures of the folds, for the N clips with speech and a face."""

    pairs: list[Pair]
    people: np.ndarray  # (N,) str
    fold: np.ndarray  # (N,)
    faces: np.ndarray  # (N, D) embedding of the true face
    means: np.ndarray  # (N, D) predicted
    shown: np.ndarray  # (N, D) where they are told apart best
    log_ratios: list[np.ndarray]  # of each fold: (n voices, n faces), see log_likelihood_ratios
    typical: float  # times as far from the average as the head says faces are drawn at strength 1
    pictures: dict[float, list[Path]]  # by strength: (N,) drawn from the voice
    copies: list[Path]  # (N,) drawn from the true face by the same decoder: the ceiling
    left_out: list[Pair]  # no face was found, or the clip is shorter than 0.5 s
    encoders: list[FoldEncoder]  # of each fold


def draw_by_folds(
    voice_recipe: EncoderRecipe,
    decoder_recipe: FaceDecoderRecipe,
    pairs: Sequence[Pair],
    folder: Path,
    folds: int,
    seed: int,
    show: ProgressCallback,
    options: Options | None = None,
    cache: Path | None = None,
) -> DrawnFolds:
    """Train and draw fold by fold; finished parts found in `folder` are not made again.

    `cache` keeps what was heard and measured; by default it lies in `folder`. People whom several
    sets share are one person each (see merge_pairs.py). `options` are those of the voice encoder's
    training. Raises UsageError before any training where `check_folds` or `check_options` does, or
    folds would begin with weights that know everybody.
    """
    options = options or Options()
    check_options(voice_recipe, options)
    run = describe_folds(voice_recipe, decoder_recipe, pairs, folds, seed, options)
    claim_run(folder, "evaluate pairs", run, ["fold0"])
    cache = cache or folder / "cache"
    pairs = join_people(pairs, cache, show)
    voices = load_pair_voices(pairs, voice_recipe.face_encoder, cache, show, recognise=True)
    refuse_met(options.weights, voices.data, [one.digest for one in voices.sets])
    dealt, rows = deal_folds(pairs, voices, folds, seed)
    train_fold = prepare_folds(voice_recipe, options, voices, cache, show)
    kept, fold, people = [pairs[row] for row in rows], dealt[rows], np.array(voices.people)
    means, shown, drawn = (np.empty_like(voices.faces) for _ in range(3))
    log_ratios, encoders = [], []
    pictures: dict[float, list[Path]] = {strength: [Path()] * len(kept) for strength in STRENGTHS}
    copies = [Path()] * len(kept)
    for k in range(folds):
        test = fold == k
        run = folder / f"fold{k}"
        metadata = {"fold": k, "folds": folds, "seed": seed}
        encoder = train_fold(test, run, metadata)
        encoders.append(encoder)
        head, tuned = encoder.head, encoder.clips
        features, seconds = tuned.features[tuned.whole], tuned.seconds[tuned.whole]
        means[test] = head.predict(features[test], seconds[test])
        shown[test] = head.show(means[test])
        drawn[test] = head.draw(means[test])
        log_ratios.append(
            log_likelihood_ratios(head, means[test], seconds[test], voices.faces[test])
        )
        weights = train_face_decoder(
            decoder_recipe,
            pairs,
            run,
            cache,
            show,
            without={p.person for p, own in zip(pairs, dealt == k, strict=True) if own},
        )
        network, _ = load_face_decoder(weights)
        set_hair_centre(network, head.average)
        drawing, own = hash_file(weights), np.flatnonzero(test)
        names = [kept[i].clip for i in own]
        away = decoder_recipe.typical * (drawn[own] - head.average)
        by_strength = draw_strengths(network, drawing, head.average, away, names, run)
        for strength, made in by_strength.items():
            for i, path in zip(own, made, strict=True):
                pictures[strength][i] = path
        made = draw_faces(network, drawing, voices.faces[own], names, run, "face")
        for i, path in zip(own, made, strict=True):
            copies[i] = path
        show("folds", k + 1, folds, "")
    return DrawnFolds(
        kept,
        people,
        fold,
        voices.faces,
        means,
        shown,
        log_ratios,
        decoder_recipe.typical,
        pictures,
        copies,
        [p for row, p in enumerate(pairs) if row not in rows],
        encoders,
    )


def describe_folds(
    voice_recipe: EncoderRecipe,
    decoder_recipe: FaceDecoderRecipe,
    pairs: Sequence[Pair],
    folds: int,
    seed: int,
    options: Options | None = None,
) -> Provenance:
    """The recipes and settings that identify training by folds, see `draw_by_folds`."""
    recipe = {
        "voice encoder": asdict(voice_recipe),
        "face decoder": asdict(decoder_recipe),
        "folds": folds,
        "seed": seed,
    }
    encoders = {voice_recipe.face_encoder, decoder_recipe.face_encoder}
    return describe(
        recipe,
        {
            "pairs": identify_pairs(pairs, ("audio", "face", "canonical")),
            "face encoder": ", ".join(map(identify_face_encoder, sorted(encoders))),
            **(options or Options()).identify(voice_recipe),
        },
    )


def deal_folds(
    pairs: Sequence[Pair], voices: Voices, folds: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The fold of each pair (P,), and which pair each clip is that was heard (N,).

    Nobody stands in two folds; raises UsageError where `check_folds` does.
    """
    dealt = split_people([p.person for p in pairs], folds, seed)
    row_of = {p.clip: row for row, p in enumerate(pairs)}
    rows = np.array([row_of[clip] for clip in voices.clips])
    check_folds(dealt[rows], voices.people, voices.identities, voices.clips)
    return dealt, rows


def draw_strengths(
    network: FaceDecoder,
    weights: str,
    average: np.ndarray,
    away: np.ndarray,
    names: Sequence[str],
    run: Path,
) -> dict[float, list[Path]]:
    """Draw at each of `STRENGTHS` the faces that lie `away` (n, D) from the average (D,) at 1."""
    drawn = {}
    for strength in STRENGTHS:
        if strength:
            kind = "voice" if strength == MEASURED else f"voice-{strength:g}"
            places = average + strength * away
            drawn[strength] = draw_faces(network, weights, places, names, run, kind)
        else:  # one face for all
            one = draw_faces(network, weights, average[None], ["average"], run, "average")
            drawn[strength] = one * len(names)
    return drawn


def draw_faces(
    network: FaceDecoder,
    weights: str,
    embeddings: np.ndarray,
    names: Sequence[str],
    run: Path,
    kind: str,
) -> list[Path]:
    """Draw the faces at embeddings (n, D), each under its name; what the same `weights` drew of
    them is kept."""
    embeddings = embeddings.astype(np.float32)
    digest = hashlib.sha256(weights.encode() + embeddings.tobytes()).hexdigest()
    folder = run / f"{kind}-{digest[:8]}"
    folder.mkdir(exist_ok=True)
    places = [folder / f"{name}.png" for name in names]
    for embedding, place in zip(embeddings, places, strict=True):
        if place.is_file():
            continue
        write_png(Image.fromarray(draw_face(network, embedding)), place, run.name)
    return places
