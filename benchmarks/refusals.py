"""False refusals of speech, and false acceptances of sound without a voice.

    python benchmarks/refusals.py DATA [--sounds FOLDER …] [--write]

DATA holds pairs/, more/, ravdess/ and voices/. Without a voice: music, noises, tones and silence of
`made_up_sounds.py`; FOLDERs hold more, real ones, of which each file is cut into pieces of 6 s
(what is shorter than 2 s is repeated). Each is named after the package that its sounds are from, on
npm supersonic-scsynth-samples, on PyPI the others. With a voice: every clip as it is, and each with
music or noise 10 dB below it to 5 dB above. "Before" is the first look alone, "after" with those of
`noisy_speech.py`. Their limits were chosen on half of the people and half of the recipes, by lot;
figures of made-up sound and of mixtures are of the other half.

Intervals are Wilson's, 95 %. Distance: between the face embedding of what is found only by a second
look and that of the same clip without music or noise; for scale, of clips as loud as that in which
the first look finds speech, and of two people.
"Hour": the time that an hour of noise takes with second looks, in times of that without.
Needs the extra `audit` and a quarter of an hour on 2 cores. --write stores refusals.json beside
this file.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from latency import describe_machine
from made_up_music import VOICE_LIKE
from made_up_sounds import RECIPES, list_recipes, make_sound
from speakers import is_for_tuning
from speech2face import speech
from speech2face.console import ProgressBars
from speech2face.errors import NoSpeechError
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.reconstruct import load
from speech2face.voice_activity import measure_chunks

STORED = Path(__file__).parent / "refusals.json"
EACH = 208  # sounds of a kind
RATIOS = 10, 5, 0, -5  # dB of speech above music or noise
SILENT_BELOW = 0.1  # of the loudest chunk's level: what counts when a level is measured
PIECE = 6 * SAMPLE_RATE
BLOCK = 32 * SAMPLE_RATE  # of which a recording is read, one after the other
COMPARED = 60  # mixtures whose faces are compared, of each kind
MISSED = "missed"  # by every look
FIRST, AGAIN = "first", "again"  # which look found speech


def look(samples: np.ndarray) -> tuple[str, speech.Speech | None]:
    """The look that finds speech, and the speech."""
    try:
        found = speech.find_speech((samples, SAMPLE_RATE), speaker="anyone")
    except NoSpeechError:
        return MISSED, None
    return (AGAIN if speech.UNCLEAR in found.warnings else FIRST), found


def interval(count: int, of: int) -> dict[str, float]:
    """A share with Wilson's interval (1927), 95 %."""
    z, share = 1.96, count / of
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * np.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return {"count": count, "of": of, "value": share, "low": float(low), "high": float(high)}


def summarise(looks: list[str], *, refused: bool) -> dict[str, Any]:
    """The share that is refused, or that is accepted, before and after."""
    first, again = looks.count(FIRST), looks.count(AGAIN)
    before, after = first, first + again
    if refused:
        before, after = len(looks) - before, len(looks) - after
    return {"before": interval(before, len(looks)), "after": interval(after, len(looks))}


def read_clips(data: Path) -> list[tuple[str, str, Path]]:
    """Set, person and file of every clip."""
    clips = []
    for name, table in (("pairs", "pairs"), ("more", "pairs"), ("voices", "voices")):
        with (data / name / f"{table}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                person = row["speaker" if name == "voices" else "person"]
                clips.append((name, person, data / name / "audio" / f"{row['clip']}.flac"))
    for path in sorted((data / "ravdess/audio").glob("*.flac")):
        clips.append(("ravdess", path.stem.rsplit("-", 1)[1], path))
    return clips


def make_all() -> Iterator[tuple[str, str, np.ndarray]]:
    """Kind, recipe and sound of each made-up one, of recipes that are not for tuning."""
    for kind in RECIPES:
        recipes = list_recipes(kind, tuning=False)
        for number in range(EACH):
            seed, place = divmod(number, len(recipes))
            yield kind, recipes[place], make_sound(kind, recipes[place], seed)


def read_pieces(folder: Path) -> Iterator[np.ndarray]:
    """The sound files of a folder, cut into pieces of 2 to 6 s; each name is read once."""
    endings = {".wav", ".ogg", ".mp3", ".flac", ".opus"}
    files = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix in endings}
    for _, path in sorted(files.items()):
        sound = load_audio(str(path)).samples
        if len(sound) < PIECE // 3:
            sound = np.resize(sound, PIECE // 3)
        for start in range(0, len(sound), PIECE):
            if len(piece := sound[start : start + PIECE]) >= PIECE // 3:
                yield piece


def mix(voice: np.ndarray, other: np.ndarray, ratio: float) -> np.ndarray:
    """A voice with another sound, repeated, `ratio` dB below it, where both are to be heard."""
    other = np.resize(other, len(voice))
    gain = _level(voice) / max(_level(other), 1e-6) * 10 ** (-ratio / 20)
    mixed = voice + gain * other
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def _level(sound: np.ndarray) -> float:
    levels = measure_chunks(sound)
    return float(np.sqrt(np.mean(levels[levels >= SILENT_BELOW * levels.max()] ** 2)))


def measure_made_up(show: ProgressBars) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """The share of made-up sounds that is taken for speech, by kind; and the sounds."""
    looks, kept = defaultdict(list), defaultdict(list)
    for number, (kind, recipe, sound) in enumerate(make_all()):
        found, _ = look(sound)
        looks[kind].append(found)
        if recipe in VOICE_LIKE:
            looks["voice-like music"].append(found)
        kept[kind].append(sound)
        show("made-up sounds", number + 1, EACH * len(RECIPES), "")
    return {kind: summarise(each, refused=False) for kind, each in looks.items()}, kept


def measure_mixtures(
    clips: list[tuple[str, str, Path]], others: dict[str, list[np.ndarray]], show: ProgressBars
) -> dict[str, Any]:
    """The share of speech in music or noise that is refused, and the distance of its face."""
    rng, looks = np.random.default_rng(25), defaultdict(list)
    compared: dict[str, list[tuple[np.ndarray, speech.Speech]]] = {FIRST: [], AGAIN: []}
    several = 0
    for number, (_, _, path) in enumerate(clips):
        voice = load_audio(str(path)).samples
        turn = int(rng.integers(2))
        for place, ratio in enumerate(RATIOS):
            kind = ("music", "noise")[(place + turn) % 2]
            other = others[kind][int(rng.integers(len(others[kind])))]
            mixed = mix(voice, other, ratio)
            which, found = look(mixed)
            looks[kind, ratio].append(which)
            if which == AGAIN:
                several += len(speech.find_speech((mixed, SAMPLE_RATE)).speakers) > 1
            if found and ratio == RATIOS[-1] and len(compared[which]) < COMPARED:
                compared[which].append((voice, found))
        show("mixtures", number + 1, len(clips), "")
    network = load()

    def draw(voice: np.ndarray | None, found: speech.Speech | None) -> np.ndarray | None:
        if found is None and voice is not None:
            found = look(voice)[1]
        return network.embed(found).decoded_embedding if found else None

    distances, alone = {}, []
    for which, each in compared.items():
        apart = []
        for voice, found in each:
            clean, noisy = draw(voice, None), draw(None, found)
            if clean is not None and noisy is not None:
                apart.append(float(np.linalg.norm(clean - noisy)))
                alone.append(clean)
        distances[which] = {"of": len(apart), "median": float(np.median(apart))}
    strangers = [np.linalg.norm(a - b) for a, b in zip(alone, alone[7:], strict=False)]
    by_ratio = {
        kind: {str(r): summarise(looks[kind, r], refused=True) for r in RATIOS}
        for kind in ("music", "noise")
    }
    again = sum(each.count(AGAIN) for each in looks.values())
    return {
        "refused": by_ratio,
        "several_people_of_one": interval(several, max(again, 1)),
        "distance_at_-5_dB": {**distances, "two_people": float(np.median(strangers))},
    }


def measure_singing(clips: list[tuple[str, str, Path]]) -> dict[str, Any]:
    """The share refused of singing without music: words on notes with vibrato, twice as slow as
    they were spoken, and one vowel on such notes. WORLD (Morise et al., 2016) makes it of speech.
    """
    import pyworld

    rng, looks = np.random.default_rng(25), defaultdict(list)
    for _, _, path in clips:
        voice = load_audio(str(path)).samples.astype(np.float64)
        pitch, envelope, breath = pyworld.wav2world(voice, SAMPLE_RATE)
        if not (pitch > 0).any():
            continue
        frames = np.arange(2 * len(pitch))  # of 5 ms
        notes = rng.choice([0, 2, 4, 5, 7, 9, 12], len(frames) // 80 + 1)[frames // 80]
        vibrato = 1 + 0.02 * np.sin(2 * np.pi * 5.5 * 0.005 * frames)
        sung = float(np.median(pitch[pitch > 0])) * 2 ** (notes / 12) * vibrato
        vowel = int((envelope.sum(axis=1) * (pitch > 0)).argmax())
        for name, order in (("words", frames // 2), ("one_vowel", np.full_like(frames, vowel))):
            melody = np.where(pitch[order] > 0, sung, 0.0)
            sound = pyworld.synthesize(melody, envelope[order], breath[order], SAMPLE_RATE)
            looks[name].append(look((0.3 * sound / np.abs(sound).max()).astype(np.float32))[0])
    return {name: summarise(each, refused=True) for name, each in looks.items()}


def time_an_hour(noises: list[np.ndarray]) -> dict[str, Any]:
    """Three times each by turns: the quickest of each."""
    sound = np.concatenate(noises)
    blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
    refused = [block for block in blocks if look(block)[0] == MISSED]
    hour = np.resize(np.concatenate(refused), 3600 * SAMPLE_RATE)
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(3):
        for name, looks in (("without", ()), ("with", speech.LOOKS)):
            with mock.patch.object(speech, "LOOKS", looks):
                start = time.perf_counter()
                found, _ = look(hour)
                seconds[name].append(time.perf_counter() - start)
    return {"found_by": found, "times_as_long": min(seconds["with"]) / min(seconds["without"])}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure false refusals and acceptances.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--sounds", type=Path, nargs="*", default=[], help="without a voice")
    parser.add_argument("--write", action="store_true", help="store refusals.json")
    given = parser.parse_args()
    clips = read_clips(given.data)
    with ProgressBars() as show:
        made_up, others = measure_made_up(show)
        as_they_are = defaultdict(list)
        for number, (name, _, path) in enumerate(clips):
            as_they_are[name].append(look(load_audio(str(path)).samples)[0])
            show("clips as they are", number + 1, len(clips), "")
        mixtures = measure_mixtures([c for c in clips if not is_for_tuning(c[1])], others, show)
    as_they_are["all"] = list(itertools.chain(*as_they_are.values()))
    looks = {f.name: [look(s)[0] for s in read_pieces(f)] for f in given.sounds}
    folders = {name: summarise(each, refused=False) for name, each in looks.items()}
    if looks:
        folders["all"] = summarise(list(itertools.chain(*looks.values())), refused=False)
    results = {
        "machine": describe_machine(),
        "accepted_without_a_voice": made_up,
        "accepted_of_folders": folders,
        "refused_as_they_are": {n: summarise(e, refused=True) for n, e in as_they_are.items()},
        "mixtures": mixtures,
        "singing_refused": measure_singing([c for c in clips if c[0] == "voices"][::5]),
        "hour_of_noise": time_an_hour(others["noise"]),
    }
    print(json.dumps(results, indent=2))
    if given.write:
        write_text_atomically(STORED, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
