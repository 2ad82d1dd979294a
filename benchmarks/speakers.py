"""How well the people who speak in a recording are told apart.

python benchmarks/speakers.py DATA [--write]
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.media import SAMPLE_RATE, load_audio

LENGTH = 1.0, 10.0  # s of a turn
PAUSE = 0.1, 1.0  # s between turns
OVERLAP = 0.2, 1.5  # s that two people speak at once, where a turn begins early
EARLY = 0.25  # share of turns that begin before the one before has ended
LEVELS = 4.0  # dB up or down, of each person


@dataclass(frozen=True)
class Clip:
    """Sound of one person."""

    source: str  # pairs, ravdess or voices
    person: str
    path: Path


@dataclass(frozen=True)
class Mixture:
    """What several people say in turn, and who spoke when."""

    samples: np.ndarray  # float32 (n,), 16 kHz
    people: tuple[str, ...]
    turns: list[tuple[int, int, int]]  # who (index), first and last sample, as placed
    source: str


def read_clips(data: Path) -> list[Clip]:
    """Every clip of the three sets."""
    clips = []
    for row in _rows(data / "pairs/pairs.csv"):
        clips.append(Clip("pairs", row["person"], data / f"pairs/audio/{row['clip']}.flac"))
    for path in sorted((data / "ravdess/audio").glob("*.flac")):
        clips.append(Clip("ravdess", path.stem.rsplit("-", 1)[1], path))
    folder = data / "voices/audio"
    for row in _rows(data / "voices/voices.csv"):
        clips.append(Clip("voices", row["speaker"], folder / f"{row['clip']}.flac"))
    return clips


def is_for_tuning(person: str) -> bool:
    """Half of the people: those on whom the limits were chosen."""
    return hashlib.sha256(person.encode()).digest()[0] % 2 == 0


def group_people(clips: Sequence[Clip], source: str, tuning: bool) -> dict[str, list[Clip]]:
    """The clips of each person of a set on one side."""
    people: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.source == source and is_for_tuning(clip.person) == tuning:
            people[clip.person].append(clip)
    return people


def make_mixture(
    people: dict[str, list[Clip]], source: str, count: int, rng: np.random.Generator
) -> Mixture:
    """`count` people of `people` speak in turn; no second of anyone is heard twice."""
    chosen = rng.choice(sorted(people), count, replace=False).tolist()
    queues = []
    for who, person in enumerate(chosen):
        clips = [people[person][i] for i in rng.permutation(len(people[person]))]
        gain = 10 ** (rng.uniform(-LEVELS, LEVELS) / 20)
        voices = [_loud(load_audio(str(clip.path)).samples) * np.float32(gain) for clip in clips]
        queues.append([(who, turn) for turn in _cut_turns(voices, rng)])
    order, last = [], -1
    while any(queues):
        open_ones = [who for who, queue in enumerate(queues) if queue]
        others = [who for who in open_ones if who != last] or open_ones
        last = int(rng.choice(others))
        order.append(queues[last].pop(0))
    end, turns, pieces = 0, [], []
    for place, (who, turn) in enumerate(order):
        if place and who != order[place - 1][0] and rng.random() < EARLY:
            most = 0.8 * min(len(turn), len(order[place - 1][1])) / SAMPLE_RATE
            gap = -min(rng.uniform(*OVERLAP), most)
        else:
            gap = rng.uniform(*PAUSE)
        start = max(end + round(gap * SAMPLE_RATE), 0)
        turns.append((who, start, start + len(turn)))
        pieces.append((start, turn))
        end = max(end, start + len(turn))
    samples = np.zeros(end, np.float32)
    for start, turn in pieces:
        samples[start : start + len(turn)] += turn
    return Mixture(samples / max(1, np.abs(samples).max()), tuple(chosen), turns, source)


def _cut_turns(voices: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Sound of one person → turns of 1 to 10 s, one after the other."""
    turns = []
    sound = np.concatenate(voices)
    while len(sound) >= LENGTH[0] * SAMPLE_RATE:
        length = round(np.exp(rng.uniform(*np.log(LENGTH))) * SAMPLE_RATE)
        if len(sound) - length < LENGTH[0] * SAMPLE_RATE:
            length = len(sound)
        turn, sound = sound[:length].copy(), sound[length:]
        fade = np.linspace(0, 1, 160, dtype=np.float32)
        turn[:160] *= fade
        turn[-160:] *= fade[::-1]
        turns.append(turn)
    return turns


def _loud(samples: np.ndarray) -> np.ndarray:
    """To an RMS of -26 dBFS."""
    return samples * np.float32(0.05 / max(float(np.sqrt(np.mean(samples**2))), 1e-6))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
