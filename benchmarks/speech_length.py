"""What more seconds of speech are worth, and how speech longer than a window is heard best.

    python benchmarks/speech_length.py DATA --out runs/speech-length [--write]

DATA holds ravdess/: 24 actors, none of whom the released model was trained on, who say two
sentences in eight emotions; together 13 to 18 s of speech each, so that nothing can be measured
beyond. Of each actor the clips are joined in a few orders, and the first seconds of them are heard:
by the networks all at once; as the mean over windows of 3 s; and as released, which is the mean
over windows of 10 s where there are more. Told are, by seconds:

two-way  how often the actor's face beats another actor's by the likelihood ratio, among all and
         among actors of one sex; chance is .5
audit    where the actor's face stands among the others', 0 first and 1 last, beside where the
         audit states it to stand; how often it stands within the stated 10, 50 and 90 % of cases;
         and bits, which the places of 24 people hardly pin down

Differences are paired, by the same joined clips. "voices" is for several recordings that are given
as one person's: how alike two halves of one actor's clips sound, and halves of two actors', and how
often the limit of `joined_speech.py` calls them different people. Actors share a studio and a
microphone, so strangers sound more alike here than elsewhere. Intervals are 95 %, over people.
--write stores speech_length.json; ten minutes of one core, and the `train` extra.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from latency import describe_machine
from speech2face.console import ProgressBars
from speech2face.data.face_unwarping import measure_faces
from speech2face.evaluation.emotion_robustness import find_all_speech, read_actors
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.intervals import bootstrap_people
from speech2face.metrics.retrieval import rank_matches, same_label
from speech2face.model_folders import Model, find_model
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.privacy.fit_calibration import Condition, check_statements, places_of
from speech2face.privacy.leakage_estimate import (
    FaceCovariance,
    measure_sound,
    read_calibration,
    whiten_by_prior,
)
from speech2face.speaker_clustering import SURELY_ALIKE
from speech2face.speaker_features import open_speaker_features
from speech2face.speech_windows import WINDOW_SECONDS, cut_windows
from speech2face.training.clip_features import extract_speech_features
from speech2face.training.gaussian_head import HeadSolution, log_likelihood_ratios
from speech2face.training.onnx_export import load_onnx_weights

STORED = Path(__file__).parent / "speech_length.json"
LENGTHS = (1.5, 3.0, 6.0, 9.0, 12.0)  # s
ORDERS = 4  # in which each actor's clips are joined
SHORT = 3.0  # s of the windows that are compared with all at once
SEED = 25


def load_released(model: Model) -> tuple[VoiceEncoder, HeadSolution]:
    """The released networks, and their head as evaluation scores by it."""
    network = VoiceEncoder()
    load_onnx_weights(network, model.voice_encoder)
    head = {
        name.removeprefix("linear."): tensor.double().numpy()
        for name, tensor in network.head.state_dict().items()
    }
    half = float(head.pop("half_gain_seconds"))
    return network.eval(), HeadSolution(half_gain_seconds=half, **head)


def cut_short(speech: np.ndarray, seconds: float) -> list[np.ndarray]:
    """Windows of so many seconds, evenly over speech (n,) that is no shorter."""
    length = round(seconds * SAMPLE_RATE)
    count = -(-len(speech) // length)
    firsts = np.linspace(0, len(speech) - length, count).round().astype(int).tolist()
    return [speech[first : first + length] for first in firsts]


WAYS = {
    "at once": lambda speech: [speech],
    "windows of 3 s": lambda speech: cut_short(speech, min(SHORT, len(speech) / SAMPLE_RATE)),
    "released": lambda speech: [window[0] for window in cut_windows(speech[None])],
}


def hear(
    speech: list[np.ndarray], way: str, network: VoiceEncoder, head: HeadSolution, show: Any
) -> np.ndarray:
    """Means (n, D) of joined speech, heard in one of the `WAYS`."""
    windows = [WAYS[way](samples) for samples in speech]
    flat = [window for each in windows for window in each]
    seconds = np.array([len(window) / SAMPLE_RATE for window in flat])
    means = head.predict(extract_speech_features(network.speaker, flat, show), seconds)
    ends = np.cumsum([len(each) for each in windows])[:-1]
    return np.stack([part.mean(axis=0) for part in np.split(means, ends)])


def judge(
    means: np.ndarray, speech: list[np.ndarray], people: np.ndarray, faces: np.ndarray, model: Any
) -> dict[str, Any]:
    """Of joined speech (n) of actors by number: wins (n,), and what the audit states and finds."""
    head, calibration = model
    heard = np.array([len(samples) / SAMPLE_RATE for samples in speech])
    counted = np.minimum(heard, WINDOW_SECONDS)  # as the audit counts them
    scores = log_likelihood_ratios(head, means, counted, faces)
    actors = np.arange(len(faces))
    true, sex = people[:, None] == actors, actors % 2
    wins = {}
    for name, same in (("everybody", None), ("same_sex", same_label(sex[people], sex))):
        others = ~true if same is None else ~true & same
        ranks = rank_matches(scores, true, others)
        wins[name] = 1 - places_of(ranks)
    covariance = FaceCovariance(head.prior, head.explained_covariance, head.half_gain_seconds)
    turn, explained = whiten_by_prior(covariance)
    gains = counted / (counted + head.half_gain_seconds)
    condition = Condition(
        "joined",
        (means - head.average) @ turn,
        gains[:, None] * explained,
        heard,
        tuple(measure_sound(samples) for samples in speech),
        people,
        np.zeros(len(people)),
        rank_matches(scores, true, ~true),
    )
    return {**wins, "audit": check_statements(condition, condition.weights(calibration)).as_json()}


def compare_halves(speech: dict[int, list[np.ndarray]]) -> dict[str, Any]:
    """How alike halves of the clips of one actor sound, and of two."""
    network = open_speaker_features()
    halves = [(who, clips[k::2]) for who, clips in speech.items() for k in (0, 1)]
    features = np.array([network.embed(np.concatenate(clips)) for _, clips in halves])
    who = np.array([actor for actor, _ in halves])
    first, second = np.triu_indices(len(who), 1)
    alike, same = (features @ features.T)[first, second], who[first] == who[second]
    return {
        "limit": SURELY_ALIKE,
        "one_person": {
            "pairs": int(same.sum()),
            "least": round(float(alike[same].min()), 3),
            "called_different": round(float((alike[same] < SURELY_ALIKE).mean()), 3),
        },
        "two_people": {
            "pairs": int((~same).sum()),
            "median": round(float(np.median(alike[~same])), 3),
            "called_different": round(float((alike[~same] < SURELY_ALIKE).mean()), 3),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what more seconds of speech are worth.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for what was measured")
    parser.add_argument("--write", action="store_true", help="store speech_length.json")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = find_model()
    network, head = load_released(model)
    pairs, _ = read_actors(given.data / "ravdess")
    clips = find_all_speech(pairs)
    names = sorted({pair.person for pair in pairs})
    own = {
        place: [
            samples
            for samples, pair in zip(clips, pairs, strict=True)
            if pair.person == name and samples is not None
        ]
        for place, name in enumerate(names)
    }
    pictures = [next(p.face for p in pairs if p.person == name) for name in names]
    rng = np.random.default_rng(SEED)
    joined = [
        np.concatenate([clips[k] for k in rng.permutation(len(clips))])
        for clips in own.values()
        for _ in range(ORDERS)
    ]
    people = np.repeat(np.arange(len(names)), ORDERS)
    whole = [len(samples) / SAMPLE_RATE for samples in joined]
    rows: dict[str, Any] = {}
    wins: dict[tuple[str, str], dict[str, Any]] = {}
    with ProgressBars() as show:
        measured = measure_faces(pictures, "dlib", given.out, show)
        faces = measured.embeddings.astype(np.float64)
        for seconds in (*LENGTHS, 0.0):
            speech = [x[: round(seconds * SAMPLE_RATE)] if seconds else x for x in joined]
            length = f"{seconds:g} s" if seconds else "all"
            for way in WAYS:
                if way == "windows of 3 s" and 0 < seconds <= SHORT:
                    continue
                if way == "released" and 0 < seconds <= WINDOW_SECONDS:
                    continue  # at once
                means = hear(speech, way, network, head, show)
                calibration = read_calibration(model)
                judged = judge(means, speech, people, faces, (head, calibration))
                wins[length, way] = judged
                rows.setdefault(length, {})[way] = {
                    "everybody": asdict(bootstrap_people(judged["everybody"], people)),
                    "same_sex": asdict(bootstrap_people(judged["same_sex"], people)),
                    "audit": {k: v for k, v in judged["audit"].items() if k != "groups"},
                }
                print(length, way, json.dumps(rows[length][way]), flush=True)

    def subtract(one: tuple[str, str], other: tuple[str, str]) -> dict[str, Any]:
        return {
            name: asdict(bootstrap_people(wins[one][name] - wins[other][name], people))
            for name in ("everybody", "same_sex")
        }

    results = {
        "machine": describe_machine(),
        "actors": len(names),
        "seconds_of_an_actor": [round(min(whole), 1), round(max(whole), 1)],
        "half_gain_seconds": round(head.half_gain_seconds, 3),
        "chance": 0.5,
        "by_seconds": rows,
        "differences": {
            "6 s less 3 s": subtract(("6 s", "at once"), ("3 s", "at once")),
            "12 s less 3 s": subtract(("12 s", "released"), ("3 s", "at once")),
            "12 s less 6 s": subtract(("12 s", "released"), ("6 s", "at once")),
            "all less 6 s": subtract(("all", "released"), ("6 s", "at once")),
            "12 s, windows of 3 s less at once": subtract(
                ("12 s", "windows of 3 s"), ("12 s", "at once")
            ),
            "12 s, released less at once": subtract(("12 s", "released"), ("12 s", "at once")),
            "all, released less at once": subtract(("all", "released"), ("all", "at once")),
        },
        "voices": compare_halves(own),
    }
    print(json.dumps(results, indent=2))
    if given.write:
        STORED.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
