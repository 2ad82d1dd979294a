"""Emotion robustness: the predicted face should not change when a person speaks in another emotion.

On RAVDESS (Livingstone and Russo, PLOS ONE 2018): actors who say the same sentences in several
emotions; none of them plays a part in training. A folder of it holds audio/ with its own
file names, in which the third field is the emotion and the last the actor (odd: male), and face/
with a picture Actor_NN of each.

cosine   of the predicted means of two clips, both less the average face: of one actor in one
         emotion, of one actor in two, of two actors of one sex in one emotion
nearer   how often a clip is nearer to one of the same actor in another emotion than to one of
         another actor of that sex and that other emotion; chance is .5
two-way  how often the actor's face beats another actor's, by the likelihood ratio, by emotion
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.pairs import PICTURES, Pair, find_files
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.evaluation.rating_networks import embed_pictures
from speech2face.files import hash_file
from speech2face.inputs import SUFFIXES
from speech2face.metrics.evaluation_results import EmotionRobustness
from speech2face.metrics.intervals import Estimate, bootstrap_people
from speech2face.metrics.retrieval import match_probes, same_label
from speech2face.speech import ANYONE, find_speech
from speech2face.speech_windows import WINDOW_SECONDS
from speech2face.training.fold_encoders import FoldEncoder
from speech2face.training.gaussian_head import log_likelihood_ratios

log = logging.getLogger(__name__)

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
}
FIELDS = 7  # of a file's name


def read_actors(folder: Path) -> tuple[list[Pair], np.ndarray]:
    """Clips (n) with the face of each one's actor, and their emotions (n,)."""
    pictures = find_files(folder / "face", PICTURES)
    faces = {name.split("_")[-1]: path for name, (path, *_) in pictures.items() if "Actor_" in name}
    pairs, emotions = [], []
    for path, *_ in find_files(folder / "audio", SUFFIXES).values():
        fields = path.stem.split("-")
        if len(fields) != FIELDS or fields[2] not in EMOTIONS or fields[-1] not in faces:
            raise UsageError(f"{path}: not named as RAVDESS names it, or without its actor's face.")
        face = faces[fields[-1]]
        pairs.append(Pair(path.stem, fields[-1], path, face, face, face))
        emotions.append(EMOTIONS[fields[2]])
    if len({pair.person for pair in pairs}) < 2:
        raise UsageError(f"{folder}: needs clips of two actors or more in audio/.")
    return pairs, np.array(emotions)


def measure_emotion_robustness(
    folder: Path,
    encoder: FoldEncoder,
    face_encoder: str,
    cache: Path,
    seed: int,
    show: ProgressCallback,
) -> EmotionRobustness:
    """Predicted faces of the actors in `folder`, of whom the fold's encoder met none."""
    pairs, emotions = read_actors(folder)
    speech = find_all_speech(pairs)
    spoken = [place for place, samples in enumerate(speech) if samples is not None]
    pairs, emotions = [pairs[place] for place in spoken], emotions[spoken]
    if len({pair.person for pair in pairs}) < 2:
        raise UsageError(f"{folder}: needs recordings of two actors or more in which one speaks.")
    actors = np.array([pair.person for pair in pairs])
    sex = np.array(["Male" if int(actor) % 2 else "Female" for actor in actors])

    def speak() -> list[np.ndarray]:
        return [samples for samples in speech if samples is not None]

    names = [f"{pair.clip} {hash_file(pair.audio)}" for pair in pairs]
    means, seconds = encoder.predict(names, speak, "actors", show)
    pictures = [pair.face for pair in pairs]
    faces = embed_pictures(pictures, face_encoder, cache, show, "actors").embeddings
    known = np.isfinite(faces[:, 0])
    ratios = log_likelihood_ratios(encoder.head, means, seconds, faces[known])
    first = np.unique(actors[known], return_index=True)[1]  # each face once
    ratios, of_face = ratios[:, first], actors[known][first]
    sex_of_face = sex[known][first]

    def matched(same: np.ndarray | None) -> dict[str, Estimate]:
        wins = match_probes(ratios, actors, of_face, same)
        return {
            str(emotion): _estimate(wins[emotions == emotion], actors[emotions == emotion], seed)
            for emotion in dict.fromkeys(emotions)
        }

    return EmotionRobustness(
        len(set(actors)),
        len(pairs),
        *compare_emotions(means - encoder.head.average, actors, emotions, sex, seed),
        matched(None),
        matched(same_label(sex, sex_of_face)),
    )


def find_all_speech(pairs: Sequence[Pair]) -> list[np.ndarray | None]:
    """The speech of each recording; None, and a warning, where it cannot be read or has none."""
    found: list[np.ndarray | None] = []
    for pair in pairs:
        try:
            found.append(
                find_speech(str(pair.audio), max_seconds=WINDOW_SECONDS, speaker=ANYONE).samples
            )
        except (UnreadableMediaError, NoSpeechError) as error:
            log.warning("%s is left out: %s", pair.clip, error)
            found.append(None)
    return found


def compare_emotions(
    means: np.ndarray, actors: np.ndarray, emotions: np.ndarray, sex: np.ndarray, seed: int = 0
) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Centred means (n, D), actor, emotion and sex of each (n,) → three cosines, and nearer."""
    directions = means / np.linalg.norm(means, axis=1, keepdims=True)
    cosines = directions @ directions.T
    own, alike = actors[:, None] == actors, emotions[:, None] == emotions
    one_sex = same_label(sex, sex)

    def average(chosen: np.ndarray) -> Estimate:
        pairs = chosen & ~np.eye(len(actors), dtype=bool)
        count = pairs.sum(1)
        values = np.full(len(actors), np.nan)
        np.divide((cosines * pairs).sum(1), count, out=values, where=count > 0)
        return _estimate(values, actors, seed)

    wins = []
    for emotion in dict.fromkeys(emotions):
        there = emotions == emotion
        won = match_probes(cosines[:, there], actors, actors[there], one_sex[:, there])
        wins.append(np.where(there, np.nan, won))  # of clips in another emotion
    won, count = np.nansum(wins, axis=0), np.isfinite(wins).sum(0)
    nearer = np.divide(won, count, out=np.full(len(actors), np.nan), where=count > 0)
    return (
        average(own & alike),
        average(own & ~alike),
        average(~own & alike & one_sex),
        _estimate(nearer, actors, seed),
    )


def _estimate(values: np.ndarray, people: np.ndarray, seed: int) -> Estimate:
    known = np.isfinite(values)
    if not known.any():
        return Estimate(np.nan, np.nan, np.nan)
    return bootstrap_people(values[known], people[known], seed)
