"""The classifier of disguised voices: learned, checked by folds over people, and written.

    python benchmarks/disguises.py --pairs PAIRS --voices VOICES [--other FOLDER …] [--write]

PAIRS holds pairs.csv (clip, person), VOICES voices.csv (clip, speaker) and audio/CLIP.flac. One
clip of each person, and of each synthetic voice in examples/, is heard as it is, spoilt in four
ways by noise, rooms, codecs, telephones or filters (plain all the same), and disguised by every
method but `telephone`, which is a telephone, and by playing it slower or faster. Half of the
disguised are spoilt afterwards. What is told of a fold is by numbers and a threshold found on the
others; each method is also left out of learning once. OTHER folders hold audio/*.flac of plain
voices from elsewhere.

Needs the extra `audit`, espeak-ng, and two seconds of processor time a person; what is finished is
kept in --cache. --write stores benchmarks/disguises.json, the package's numbers, and the table of
docs/privacy.md.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from scipy.optimize import minimize

from audit import write_between
from speech2face import __version__
from speech2face.array_cache import keep_arrays, write_arrays
from speech2face.console import ProgressBars, ProgressCallback
from speech2face.data.degradations import (
    add_noise,
    encode_and_decode,
    overload,
    reverberate,
    telephone,
)
from speech2face.data.merge_pairs import join_people, read_sets
from speech2face.data.pairs import Pair
from speech2face.errors import NoSpeechError
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.metrics.intervals import Estimate, bootstrap_people
from speech2face.model_folders import ASSETS
from speech2face.privacy import disguise_detection
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.disguise_detection import FILE, Classifier, standardise
from speech2face.reports.number_words import format_estimate
from speech2face.speech import find_speech
from speech2face.tables import read_table

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
METHODS = (
    "mcadams",
    "mcadams-random",
    "pitch-formant",
    "whisper",
    "smoothing",
    "vocoder",
    "resynthesis",
)
SPEED = "speed"  # no method of ours: played slower or faster by 15 to 45 %
PLAIN = "plain"
FOLDS = 5
PENALTY = 10.0  # of squared weights
NETWORKS, UNITS, STEPS = 3, 8, 300  # averaged, of a hidden layer, of L-BFGS
FALSE_ALARMS = 0.01  # of plain voices, at which the threshold is set
KINDS = ("all", "whole and not spoilt", "not learned from")  # of what is recognised
SHORT = (0.6, 1.2)  # seconds of pieces, so that short speech is learned too


@dataclass(frozen=True)
class Sounds:
    """What is learned from: N pieces of speech."""

    figures: np.ndarray  # (N, F)
    kind: np.ndarray  # (N,) PLAIN or a method
    channel: np.ndarray  # (N,) what else was done to it
    people: np.ndarray  # (N,)

    @property
    def spoilt_by(self) -> np.ndarray:
        """What was done first to each sound (N,), `clean` where nothing was."""
        return np.array([c.removesuffix(", short").split("+")[0] for c in self.channel])

    @property
    def synthetic(self) -> np.ndarray:
        """Which sounds (N,) are plain and of the synthetic voices in examples/."""
        return (self.kind == PLAIN) & np.char.startswith(self.people, "e")

    @property
    def fold(self) -> np.ndarray:
        return np.array([zlib.crc32(person.encode()) % FOLDS for person in self.people])


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn and check the classifier of disguises.")
    parser.add_argument("--pairs", type=Path, required=True, action="append")
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--other", type=Path, nargs="*", default=[])
    parser.add_argument("--cache", type=Path, default=Path("runs/disguises"))
    parser.add_argument("--people", type=int, help="at most [default: all]")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    with ProgressBars() as show:
        pairs = join_people(read_sets(given.pairs), given.cache, show)
    chosen = choose_clips(pairs, given.voices)[: given.people]
    chosen += [(f"e-{p.stem}", f"e{p.stem}", p) for p in sorted(EXAMPLES.glob("*.flac"))]
    with ProgressBars() as show:
        sounds, digest = load_sounds(chosen, given.cache, show)
    facts, classifier = learn(sounds)
    facts["data"] = digest
    facts["elsewhere"] = {
        folder.name: false_alarms_elsewhere(folder, classifier) for folder in given.other
    }
    print(json.dumps(facts, indent=1))
    if given.write:
        write_text_atomically(HERE / "disguises.json", json.dumps(facts, indent=1) + "\n")
        numbers = {name: rounded(value) for name, value in vars(classifier).items()}
        stored = {"facts": facts["recipe"] | {"data": digest}, "classifier": numbers}
        write_text_atomically(ASSETS / FILE, json.dumps(stored) + "\n")
        write_between(tabulate(facts), "disguises")


def choose_clips(pairs: list[Pair], voices: Path) -> list[tuple[str, str, Path]]:
    """Names, people and files, one of each person, pairs and other voices mixed."""

    def choose(clips: dict[str, tuple[str, Path]], mark: str) -> list[tuple[str, str, Path]]:
        first = {who: clip for clip, (who, _) in reversed(clips.items())}
        return [
            (f"{mark}-{clip}", f"{mark}{who}", audio)
            for clip, (who, audio) in clips.items()
            if first[who] == clip
        ]

    rows = read_table(voices / "voices.csv", ("clip", "speaker"))
    spoken = {r["clip"]: (r["speaker"], voices / "audio" / f"{r['clip']}.flac") for r in rows}
    rng = np.random.default_rng(0)
    many, few = choose({p.clip: (p.person, p.audio) for p in pairs}, "p"), choose(spoken, "v")
    many, few = ([rows[i] for i in rng.permutation(len(rows))] for rows in (many, few))
    order = []
    while many or few:
        if many:
            order.append(many.pop())
        if many and 2 * len(few) < len(many):
            order.append(many.pop())
        if few:
            order.append(few.pop())
    return order


def load_sounds(
    clips: list[tuple[str, str, Path]], cache: Path, show: ProgressCallback
) -> tuple[Sounds, str]:
    rows: list[tuple[np.ndarray, str, str, str]] = []
    digest = hashlib.sha256()
    for number, (name, person, path) in enumerate(clips, 1):
        digest.update(path.read_bytes())
        kept = cache / f"{zlib.crc32(name.encode()):08x}.npz"
        if not kept.is_file():
            make_sounds(name, person, path, kept)
        rows += [(*row, person) for row in describe_sounds(kept)]
        show("people", number, len(clips), "")
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Sounds(*columns), digest.hexdigest()[:16]


def describe_sounds(kept: Path) -> list[tuple[np.ndarray, str, str]]:
    """Figures, kind and channel of each sound in a file, kept until `describe` is another."""
    code = inspect.getsource(disguise_detection).partition("\ndef describe")[2]
    described = kept.with_suffix(f".{zlib.crc32(code.encode()):08x}.npz")

    def compute() -> dict[str, np.ndarray]:
        rows = []
        with np.load(kept) as stored:
            for i, (kind, channel) in enumerate(stored["names"]):
                speech = stored[str(i)].astype(np.float32) / 32767
                for samples, words in cut(speech, zlib.crc32(f"{kept.stem} {i}".encode())):
                    rows.append((disguise_detection.describe(samples), kind, channel + words))
        columns = (np.array(column) for column in zip(*rows, strict=True))
        return dict(zip(("figures", "kinds", "channels"), columns, strict=True))

    stored = keep_arrays(described, compute)
    columns = (stored["figures"], stored["kinds"].tolist(), stored["channels"].tolist())
    return list(zip(*columns, strict=True))


def make_sounds(name: str, person: str, path: Path, kept: Path) -> None:
    """All that is made of one clip, as speech that was found in it, 16 bits."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    sound = load_audio(path).samples
    length = int(rng.uniform(2, 5) * SAMPLE_RATE)
    if len(sound) > length:
        start = int(rng.integers(len(sound) - length + 1))
        sound = sound[start : start + length]
    sound = (sound * 0.5 / max(np.abs(sound).max(), 1e-3)).astype(np.float32)
    made: list[tuple[str, str, np.ndarray]] = [(PLAIN, "clean", sound)]
    for _ in range(4):
        spoilt, channel = spoil(sound, rng)
        made.append((PLAIN, channel, spoilt))
    for method in (*METHODS, SPEED):
        if method == SPEED:
            factor = rng.uniform(1.15, 1.45)
            factor = factor if rng.random() < 0.5 else 1 / factor
            disguised = soxr.resample(sound, SAMPLE_RATE, SAMPLE_RATE * factor).astype(np.float32)
        else:
            disguised = load_anonymiser(method)(sound, int(rng.integers(2**31)))
        channel = "clean"
        if rng.random() < 0.5:
            disguised, channel = spoil(disguised, rng, mild=True)
        made.append((method, channel, disguised))
    names, arrays = [], {}
    for kind, channel, samples in made:
        try:
            speech = find_speech((np.clip(samples, -8, 8), SAMPLE_RATE)).samples
        except NoSpeechError:
            continue
        arrays[str(len(names))] = np.round(speech.clip(-1, 1) * 32767).astype(np.int16)
        names.append((kind, channel))
    known = {"clip": np.array(name), "person": np.array(person), "names": np.array(names)}
    write_arrays(kept, known | arrays)


def spoil(
    sound: np.ndarray, rng: np.random.Generator, mild: bool = False
) -> tuple[np.ndarray, str]:
    """What may happen to a plain recording, drawn by chance, and its name."""
    kinds = ["noise", "codec", "room", "eq"]
    if not mild:
        kinds += ["telephone", "clipping", "two"]
    kind, seed = kinds[rng.integers(len(kinds))], int(rng.integers(2**31))
    if kind == "two":
        once, first = spoil(sound, rng, mild=True)
        twice, second = spoil(once, rng, mild=True)
        return twice, f"{first}+{second}"
    if kind == "noise":
        colour = ("white", "pink", "speech")[rng.integers(3)]
        return add_noise(sound, rng.uniform(12 if mild else 0, 30), seed, colour), kind
    if kind == "codec":
        if rng.random() < 0.5:
            return encode_and_decode(sound, "mp3", [16, 24, 32, 64][rng.integers(4)]), "mp3"
        return encode_and_decode(sound, "opus", [8, 12, 16, 32][rng.integers(4)]), "opus"
    if kind == "room":
        return reverberate(sound, rng.uniform(0.2, 0.9), rng.uniform(-3, 8), seed), kind
    if kind == "eq":
        return tilt(sound, rng), kind
    if kind == "telephone":
        narrow = telephone(sound)
        if rng.random() < 0.5:
            narrow = add_noise(narrow, rng.uniform(10, 30), seed)
        return narrow, kind
    return overload(sound, rng.uniform(0.01, 0.15)), kind


def tilt(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through a microphone that is brighter or duller, and perhaps narrow."""
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE) + 50
    gain = (hertz / 1000) ** rng.uniform(-0.5, 0.4)
    if rng.random() < 0.4:
        gain = gain / np.sqrt(1 + (hertz / rng.uniform(2500, 7000)) ** 8)
    if rng.random() < 0.3:
        gain = gain / np.sqrt(1 + (rng.uniform(80, 300) / hertz) ** 6)
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)).astype(np.float32)


def cut(speech: np.ndarray, seed: int) -> list[tuple[np.ndarray, str]]:
    """The whole, and of every third a short piece from anywhere."""
    pieces = [(speech, "")]
    rng = np.random.default_rng(seed)
    length = int(rng.uniform(*SHORT) * SAMPLE_RATE)
    if seed % 3 == 0 and len(speech) > length:
        start = int(rng.integers(len(speech) - length))
        pieces.append((speech[start : start + length], ", short"))
    return pieces


def learn(sounds: Sounds) -> tuple[dict[str, Any], Classifier]:
    """What was found by folds, and the numbers learned from everybody."""
    plain, logits = sounds.kind == PLAIN, score_by_folds(sounds)
    alarm = call_by_folds(sounds, logits)
    unseen = {}
    for method in (*METHODS, SPEED):
        scores = score_by_folds(sounds, left_out=method)
        unseen[method] = call_by_folds(sounds, scores) & (sounds.kind == method)

    def share(rows: np.ndarray, called: np.ndarray = alarm) -> dict[str, float]:
        found = bootstrap_people(called[rows].astype(float), sounds.people[rows])
        named = (("value", found.value), ("low", found.low), ("high", found.high))
        return {key: round(value, 4) for key, value in named} | {"sounds": int(rows.sum())}

    short = np.char.endswith(sounds.channel.astype(str), ", short")
    first = sounds.spoilt_by
    facts = {
        "recipe": {
            "version": __version__,
            "folds": FOLDS,
            "penalty": PENALTY,
            "networks": NETWORKS,
            "units": UNITS,
            "steps": STEPS,
            "seed": 0,
            "methods": [*METHODS, SPEED],
            "people": len(set(sounds.people)),
            "sounds": len(sounds.people),
        },
        "false_alarms": {
            "all": share(plain),
            "short": share(plain & short),
            "synthetic": share(sounds.synthetic),
            **{
                str(channel): share(plain & (first == channel))
                for channel in sorted(set(first[plain]))
            },
        },
        "hits": {
            method: {
                KINDS[0]: share(sounds.kind == method),
                KINDS[1]: share((sounds.kind == method) & (sounds.channel == "clean")),
                KINDS[2]: share(sounds.kind == method, unseen[method]),
            }
            for method in (*METHODS, SPEED)
        },
    }
    threshold = float(np.quantile(logits[plain], 1 - FALSE_ALARMS))
    learned = fit(sounds, np.ones(len(sounds.people), bool))
    return facts, replace(learned, threshold=round(float(1 / (1 + np.exp(-threshold))), 4))


def score_by_folds(sounds: Sounds, left_out: str | None = None) -> np.ndarray:
    """Logits (N,), each person's by numbers learned from other folds."""
    logits = np.empty(len(sounds.people))
    for fold in range(FOLDS):
        own = sounds.fold == fold
        logits[own] = fit(sounds, ~own & (sounds.kind != left_out)).logit(sounds.figures[own])
    return logits


def call_by_folds(sounds: Sounds, logits: np.ndarray) -> np.ndarray:
    """Which sounds (N,) are called disguised, by a threshold from the plain ones of other folds."""
    called = np.empty(len(logits), bool)
    for fold in range(FOLDS):
        own = sounds.fold == fold
        others = logits[~own & (sounds.kind == PLAIN)]
        called[own] = logits[own] >= np.quantile(others, 1 - FALSE_ALARMS)
    return called


def fit(sounds: Sounds, rows: np.ndarray) -> Classifier:
    """Several small networks with one hidden layer each, as one.

    Plain and disguised weigh the same, and so do each method and each way to be spoilt.
    """
    figures, kind = sounds.figures[rows], sounds.kind[rows]
    group = np.where(kind == PLAIN, np.char.add("plain ", sounds.spoilt_by[rows]), kind)
    group = np.where(sounds.synthetic[rows], "plain synthetic", group)
    names, index, counts = np.unique(group, return_inverse=True, return_counts=True)
    plain = np.char.startswith(names, PLAIN)
    share = np.where(plain, 1 / plain.sum(), 1 / (~plain).sum()) * len(kind) / 2
    weight, disguised = (share / counts)[index], (kind != PLAIN).astype(float)
    mean, deviation = figures.mean(0), figures.std(0) + 1e-6
    x = standardise(figures, mean, deviation)
    size = x.shape[1]

    def loss(solution: np.ndarray) -> tuple[float, np.ndarray]:
        hidden, bias, outward, offset = unpack(solution, size)
        units = np.tanh(x @ hidden + bias)
        logits = units @ outward + offset
        error = weight * (0.5 + 0.5 * np.tanh(0.5 * logits) - disguised)
        value = weight @ (np.logaddexp(0, logits) - disguised * logits)
        back = error[:, None] * outward * (1 - units**2)
        slope = np.concatenate([(x.T @ back).ravel(), back.sum(0), units.T @ error, [error.sum()]])
        return value + PENALTY / 2 * (solution**2).sum(), slope + PENALTY * solution

    parts = []
    for seed in range(NETWORKS):
        start = np.random.default_rng(seed).normal(0, 0.1, UNITS * (size + 2) + 1)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
        parts.append(unpack(found.x, size))
    hidden, bias, outward, offset = zip(*parts, strict=True)
    return Classifier(
        mean,
        deviation,
        np.concatenate(hidden, 1),
        np.concatenate(bias),
        np.concatenate(outward) / NETWORKS,
        float(np.mean(offset)),
        threshold=0.5,
    )


def unpack(solution: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Hidden weights (F, UNITS) and offsets, outward weights and offset."""
    hidden, bias, outward, offset = np.split(solution, np.cumsum([size * UNITS, UNITS, UNITS]))
    return hidden.reshape(size, UNITS), bias, outward, float(offset[0])


def false_alarms_elsewhere(folder: Path, classifier: Classifier) -> dict[str, Any]:
    """How many plain recordings of a folder, or of its audio/, are called disguised."""
    called, count = 0, 0
    for path in sorted((*folder.glob("audio/*.flac"), *folder.glob("*.flac"))):
        try:
            figures = disguise_detection.describe(find_speech(path).samples)
        except NoSpeechError:
            continue
        called += bool(classifier.probability(figures) >= classifier.threshold)
        count += 1
    return {"recordings": count, "called disguised": called}


def tabulate(facts: dict[str, Any]) -> list[str]:
    """The table of docs/privacy.md."""

    def percent(found: dict[str, float]) -> str:
        return format_estimate(Estimate(*(found[k] for k in ("value", "low", "high"))), 1, 100)

    lines = ["| plain voices | sounds | called disguised, % |", "|--|--|--|"]
    for name, found in facts["false_alarms"].items():
        lines.append(f"| {name} | {found['sounds']} | {percent(found)} |")
    for name, found in facts["elsewhere"].items():
        share = 100 * found["called disguised"] / max(1, found["recordings"])
        lines.append(f"| {name} (not learned from) | {found['recordings']} | {share:.1f} |")
    lines += [
        "",
        f"| {' | '.join(['disguised by', 'recognised, %', *KINDS[1:]])} |",
        "|--|--|--|--|",
    ]
    for method, found in facts["hits"].items():
        lines.append(f"| {method} | {' | '.join(percent(found[kind]) for kind in KINDS)} |")
    recipe = facts["recipe"]
    return [*lines, "", f"{recipe['people']} people, {recipe['sounds']} sounds; 95 % intervals."]


def rounded(values: Any) -> Any:
    """Four digits of each number."""
    return np.vectorize(lambda value: float(f"{value:.4g}"))(values).tolist()


if __name__ == "__main__":
    main()
