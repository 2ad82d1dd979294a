"""How well the people who speak in a recording are told apart, and what that does to the face.

    python benchmarks/speakers.py DATA [--write]

DATA holds pairs/, ravdess/ and voices/. Recordings are made of them: one to four people of one set
speak in turns of 1 to 10 s, a quarter of which begin before the one before has ended, each at a
level of their own; no second of anyone is heard twice. Of some each person has a channel. Half of
the people, by lot, are those on whom the limits of `speaker_clustering.py` were chosen; the figures
are of the others. The voice encoder was trained on the people of pairs/, not on the others.

Count: whether as many people are found as speak. Diarisation error: the share of the time people
speak that is missed, given to nobody's voice, or to another's, without .25 s around each beginning
and end of a turn (NIST's collar); the reference is the speech found in what each person says alone.
Distance: between the face embedding that is drawn and that of the person who is most in it, heard
alone, ten seconds of each; "blended" is with nobody told apart. Who is drawn should speak for the
longest time, or no more than a tenth less. Intervals are 95 %, by the bootstrap over recordings.
Half an hour on 2 cores. --write stores benchmarks/speakers.json.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from latency import describe_machine
from speech2face.console import ProgressBars
from speech2face.errors import NoSpeechError
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.metrics.intervals import bootstrap_people, bootstrap_statistic
from speech2face.reconstruct import Speech2Face, load
from speech2face.speech import find_speech
from speech2face.speech_windows import WINDOW_SECONDS

STORED = Path(__file__).parent / "speakers.json"
SOURCES = "pairs", "ravdess", "voices"
MADE = {1: 18, 2: 20, 3: 15, 4: 13}
CALLS = 8  # recordings of each set in which two people have a channel each
ORDERS = 8  # in which each actor's eight emotions are heard
FRAME = 0.01  # s
COLLAR = 25  # frames
NEARLY = 0.9  # times as long as who speaks most
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
    """What several people say in turn."""

    voices: np.ndarray  # float32 (people, n), 16 kHz: what each says
    people: tuple[str, ...]
    turns: list[tuple[int, int, int]]  # who (index), first and last sample
    source: str
    channels: bool = False  # whether each person has a channel

    def read(self, who: int | None = None) -> tuple[np.ndarray, int]:
        """The recording as `find_speech` takes it, or what one person says of it."""
        if who is not None:
            return self.voices[who], SAMPLE_RATE
        return self.voices if self.channels else self.voices.sum(axis=0), SAMPLE_RATE


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
    people: dict[str, list[Clip]],
    source: str,
    count: int,
    rng: np.random.Generator,
    channels: bool = False,
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
    voices = np.zeros((count, end), np.float32)
    for (who, start, stop), (_, turn) in zip(turns, pieces, strict=True):
        voices[who, start:stop] += turn
    voices /= max(1, np.abs(voices.sum(axis=0)).max())
    return Mixture(voices, tuple(chosen), turns, source, channels)


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


@dataclass(frozen=True)
class Result:
    """What was found in one recording."""

    source: str
    people: int
    channels: bool
    found: int
    wrong: float  # s that are missed or given to another
    wrong_as_one: float  # the same if all speech were one person's
    wrong_by_chance: float  # the same if each segment were anyone's
    spoken: float  # s, of all people together
    blended: float = np.nan  # distance of the face from that of the person alone
    apart: float = np.nan  # the same of the one who speaks most
    most: bool = True  # whether the face is of who speaks most, or nearly so


def examine(mixture: Mixture, network: Speech2Face, rng: np.random.Generator) -> Result:
    """Tell the people of a recording apart, and draw the one who speaks most."""
    count = len(mixture.people)
    speech = find_speech(mixture.read(), max_seconds=WINDOW_SECONDS)
    length = -(-mixture.voices.shape[1] // round(FRAME * SAMPLE_RATE))
    truth = np.zeros((count, length), bool)
    for who in range(count):
        try:
            alone = find_speech(mixture.read(who)).speakers
            truth[who] = mark([span for each in alone for span in each.segments], length)
        except NoSpeechError:
            pass
    counted = np.ones(length, bool)
    for _, *edges in mixture.turns:
        for edge in edges:
            middle = round(edge / SAMPLE_RATE / FRAME)
            counted[max(middle - COLLAR, 0) : middle + COLLAR] = False
    found = np.array([mark(speaker.segments, length) for speaker in speech.speakers])
    spans = [span for speaker in speech.speakers for span in speaker.segments]
    random = rng.integers(count, size=len(spans))
    guessed = np.stack(
        [mark([s for s, k in zip(spans, random, strict=True) if k == who], length)
         for who in range(count)]
    )  # fmt: skip
    of_anyone = np.logical_or.reduce(found)[None]
    wrong, wrong_as_one, wrong_by_chance = (
        FRAME * count_errors(truth[:, counted], each[:, counted])
        for each in (found, of_anyone, guessed)
    )
    distances: dict[str, Any] = {}
    if count > 1:
        blended = find_speech(mixture.read(), max_seconds=WINDOW_SECONDS, speaker="anyone")
        for name, used in (("blended", blended), ("apart", speech)):
            held = (truth & mark(used.segments, length)).sum(axis=1)
            who = int(held.argmax())
            alone = find_speech(mixture.read(who), max_seconds=WINDOW_SECONDS, speaker="anyone")
            faces = [network.embed(each).decoded_embedding for each in (used, alone)]
            distances[name] = float(np.linalg.norm(faces[0] - faces[1]))
            spoken = truth.sum(axis=1)
            distances["most"] = bool(spoken[who] >= NEARLY * spoken.max())
    return Result(
        mixture.source,
        count,
        mixture.channels,
        len(speech.speakers),
        wrong,
        wrong_as_one,
        wrong_by_chance,
        float(truth[:, counted].sum() * FRAME),
        **distances,
    )


def mark(segments: Sequence[tuple[float, float]], length: int) -> np.ndarray:
    """Segments in seconds → whether each frame is in one (length,)."""
    marked = np.zeros(length, bool)
    for start, end in segments:
        marked[round(start / FRAME) : round(end / FRAME)] = True
    return marked


def count_errors(truth: np.ndarray, found: np.ndarray) -> int:
    """Frames that are missed, or given to nobody's voice or another's, at the best assignment."""
    shared = truth.astype(int) @ found.T.astype(int)
    right = shared[linear_sum_assignment(-shared)].sum()
    return int(np.maximum(truth.sum(axis=0), found.sum(axis=0)).sum() - right)


def count_speakers_of_emotions(
    people: dict[str, list[Clip]], rng: np.random.Generator
) -> list[int]:
    """How many are found in all clips of one actor, in several orders."""
    counts = []
    for actor in sorted(people):
        for _ in range(ORDERS):
            mixture = make_mixture({actor: people[actor]}, "ravdess", 1, rng)
            counts.append(len(find_speech(mixture.read()).speakers))
    return counts


def summarise(results: list[Result]) -> dict[str, Any]:
    """The figures of some recordings."""
    every = np.arange(len(results)).astype(str)
    table = {name: np.array([getattr(r, name) for r in results]) for name in asdict(results[0])}

    def rate(wins: np.ndarray) -> dict[str, float]:
        return asdict(bootstrap_people(wins.astype(float), every))

    def error(name: str) -> dict[str, float]:
        wrong, spoken = table[name], table["spoken"]
        return asdict(bootstrap_statistic(lambda w: float(w @ wrong) / float(w @ spoken), every))

    row: dict[str, Any] = {
        "recordings": len(results),
        "count_right": rate(table["found"] == table["people"]),
        "count_right_if_always_one": float((table["people"] == 1).mean()),
        "found": np.bincount(table["found"], minlength=5)[1:].tolist(),
        "diarisation_error": error("wrong"),
        "diarisation_error_if_always_one": error("wrong_as_one"),
        "diarisation_error_by_chance": error("wrong_by_chance"),
    }
    if np.isfinite(table["apart"]).all():
        row["draws_who_speaks_most"] = rate(table["most"])
        for name in ("blended", "apart"):
            for words, share in (("median", 0.5), ("worst_tenth", 0.9)):
                row[f"distance_{name}_{words}"] = quantile(table[name], share, every)
    return row


def quantile(values: np.ndarray, share: float, people: np.ndarray) -> dict[str, float]:
    order = np.argsort(values)

    def find(weights: np.ndarray) -> float:
        place = np.searchsorted(np.cumsum(weights[order]), share)
        return float(values[order][min(place, len(values) - 1)])

    return asdict(bootstrap_statistic(find, people))


def measure_strangers(clips: Sequence[Clip], network: Speech2Face) -> float:
    """The median distance between the faces of two people, for scale."""
    faces = [network.embed(find_speech(str(clip.path), speaker="anyone")) for clip in clips]
    drawn = np.stack([face.decoded_embedding for face in faces])
    distances = np.linalg.norm(drawn[:, None] - drawn, axis=2)
    return float(np.median(distances[np.triu_indices(len(drawn), 1)]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how well speakers are told apart.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true", help="store speakers.json")
    given = parser.parse_args()
    clips, network, rng = read_clips(given.data), load(), np.random.default_rng(25)
    people = {source: group_people(clips, source, tuning=False) for source in SOURCES}
    plan = [
        (source, count, channels)
        for source in SOURCES
        for count, channels, times in [*((n, False, k) for n, k in MADE.items()), (2, True, CALLS)]
        for _ in range(times)
    ]
    made = []
    with ProgressBars() as show:
        for done, (source, count, channels) in enumerate(plan):
            mixture = make_mixture(people[source], source, count, rng, channels)
            made.append(examine(mixture, network, rng))
            show("recordings", done + 1, len(plan), "")
    mixed = [r for r in made if not r.channels]
    several = [r for r in mixed if r.people > 1]
    counts = np.array(count_speakers_of_emotions(people["ravdess"], rng))
    firsts = [each[0] for source in SOURCES for _, each in sorted(people[source].items())[:30]]
    actors = np.repeat(np.array(sorted(people["ravdess"])), ORDERS)
    results = {
        "machine": describe_machine(),
        "by_people": {n: summarise([r for r in mixed if r.people == n]) for n in MADE},
        "by_set": {s: summarise([r for r in mixed if r.source == s]) for s in SOURCES},
        "all": summarise(mixed),
        "several_people": summarise(several),
        "a_channel_each": summarise([r for r in made if r.channels]),
        "count_right_by_chance": 1 / len(MADE),
        "eight_emotions": {
            "actors": len(people["ravdess"]),
            "recordings": len(counts),
            "one": asdict(bootstrap_people((counts == 1).astype(float), actors)),
        },
        "distance_of_strangers_median": measure_strangers(firsts, network),
    }
    print(json.dumps(results, indent=2))
    if given.write:
        write_text_atomically(STORED, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
