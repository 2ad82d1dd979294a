"""What each anonymiser costs: words lost, three proxies of naturalness, time.

    python benchmarks/anonymisers.py VOICES [--clips N] [--method NAME]… [--write]

Needs the extras `audit` and `natural`, espeak-ng, and eight seconds of processor time a clip, of
which Kokoro takes most. VOICES holds
voices.csv (clip, speaker) and audio/CLIP.flac, sentences read in English; the figures in
docs/anonymisers.md are of 60 clips of LibriSpeech, drawn by chance. The examples, whose texts are
known, are measured beside. The seed of a speaker follows from their name. --write stores
benchmarks/anonymisers.json and the table of docs/anonymisers.md. What is left of the VOICE is not
measured here: see speech2face audit. --method measures only that, and keeps what is stored of
others.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import re
import zlib
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.console import ProgressBars
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.metrics.intervals import Estimate, bootstrap_people, bootstrap_statistic
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.asr import recognise
from speech2face.privacy.speech_quality import (
    measure_delays,
    measure_distance,
    measure_roughness,
    measure_speech,
)
from speech2face.privacy.word_error_rate import WordErrors, count_errors
from speech2face.tables import read_table

HERE = Path(__file__).parent
STORED = HERE / "anonymisers.json"
EXAMPLES, PAGE = HERE.parent / "examples", HERE.parent / "docs/anonymisers.md"
FIRST, LAST = "<!-- figures -->", "<!-- /figures -->"
ORIGINAL = "unchanged"


@dataclass(frozen=True)
class Clip:
    path: Path
    speaker: str
    text: str | None  # where it is known


@dataclass(frozen=True)
class Original:
    """A clip, and what is found in it before anything is done to it."""

    samples: np.ndarray
    words: str  # the text, or what the recogniser hears
    speech: float  # s


@dataclass(frozen=True)
class Row:
    """What one clip lost by one method."""

    speaker: str
    words: WordErrors
    speech: float  # s
    speech_before: float  # s
    roughness: float  # cents
    distance: float  # dB
    delays: tuple[float, ...]  # s
    cpu_seconds: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what anonymisers cost.")
    parser.add_argument("voices", type=Path)
    parser.add_argument("--clips", type=int, help="that many, drawn by chance [default: all]")
    parser.add_argument("--method", action="append", choices=ANONYMISERS, help="measure only this")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    voices, examples = read_voices(given.voices, given.clips), read_examples()
    stored = json.loads(STORED.read_text(encoding="utf-8"))["methods"] if given.method else {}
    results: dict[str, Any] = {
        "clips": len(voices),
        "speakers": len({clip.speaker for clip in voices}),
        "examples": len(examples),
        "speech2face": version("speech2face"),
        "methods": {},
    }
    with ProgressBars() as show:
        for number, name in enumerate((ORIGINAL, *ANONYMISERS)):
            show("methods", number, len(ANONYMISERS) + 1, name)
            if given.method and name not in given.method:
                results["methods"][name] = stored[name]
                continue
            spoken = [measure(clip, name) for clip in voices]
            known = [measure(clip, name) for clip in examples]
            results["methods"][name] = summarise(spoken) | {
                "word_error_known_text": asdict(word_error(known))
            }
    print(draw_table(results))
    if given.write:
        write_text_atomically(STORED, json.dumps(results, indent=2) + "\n")
        before, _, rest = PAGE.read_text().partition(FIRST)
        after = rest.partition(LAST)[2]
        write_text_atomically(PAGE, f"{before}{FIRST}\n{draw_table(results)}\n{LAST}{after}")


def read_voices(folder: Path, count: int | None) -> list[Clip]:
    rows = read_table(folder / "voices.csv", ("clip", "speaker"))
    if count:
        rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:count]]
    return [Clip(folder / "audio" / f"{r['clip']}.flac", r["speaker"], None) for r in rows]


def read_examples() -> list[Clip]:
    """The examples with their texts, from the table on their page."""
    clips = []
    for line in (EXAMPLES / "README.md").read_text().splitlines():
        if named := re.match(r"\| \[`(\w+)\.flac`\]", line):
            text = line.split("|")[6].strip()
            clips.append(Clip(EXAMPLES / f"{named[1]}.flac", named[1], text))
    return clips


def measure(clip: Clip, name: str) -> Row:
    original = load_original(clip)
    changed, cpu = original.samples, 0.0
    if name != ORIGINAL:
        before = cpu_time()
        changed = load_anonymiser(name)(original.samples, zlib.crc32(clip.speaker.encode()))
        cpu = cpu_time() - before
    return Row(
        clip.speaker,
        count_errors(original.words, recognise(changed)),
        measure_speech(changed),
        original.speech,
        measure_roughness(changed),
        measure_distance(original.samples, changed),
        tuple(measure_delays(original.samples, changed).tolist()),
        cpu,
        len(original.samples) / SAMPLE_RATE,
    )


@functools.cache
def load_original(clip: Clip) -> Original:
    samples = load_audio(clip.path).samples
    words = recognise(samples) if clip.text is None else clip.text
    return Original(samples, words, measure_speech(samples))


def cpu_time() -> float:
    """Of this process and of those it has waited for."""
    return sum(os.times()[:4])


def summarise(rows: list[Row]) -> dict[str, Any]:
    people = np.array([row.speaker for row in rows])
    kept = np.array([row.speech / row.speech_before for row in rows])
    found = {
        "word_disagreement": word_error(rows),
        "speech_kept": bootstrap_people(kept, people),
        "pitch_roughness_cents": finite_mean(np.array([r.roughness for r in rows]), people),
        "spectral_distance_db": finite_mean(np.array([r.distance for r in rows]), people),
    }
    cpu = sum(row.cpu_seconds for row in rows) / sum(row.seconds for row in rows)
    return {name: value and asdict(value) for name, value in found.items()} | {
        "pitch_found": float(np.mean([math.isfinite(row.roughness) for row in rows])),
        "delays_ms": describe_delays(rows),
        "cpu_seconds_a_second": round(cpu, 4),
    }


def describe_delays(rows: list[Row]) -> dict[str, float]:
    """Of all stretches of speech: the median, and what a tenth of them exceed."""
    delays = 1000 * np.concatenate([row.delays for row in rows])
    median, worst = np.quantile(delays, (0.5, 0.9))
    return {"stretches": len(delays), "median": round(median), "worst_tenth": round(worst)}


def word_error(rows: list[Row]) -> Estimate:
    """Errors over words, all clips together."""
    errors = np.array([row.words.errors for row in rows])
    words = np.array([row.words.words for row in rows])
    return bootstrap_statistic(
        lambda weights: float(weights @ errors / (weights @ words)),
        np.array([row.speaker for row in rows]),
    )


def finite_mean(values: np.ndarray, people: np.ndarray) -> Estimate | None:
    """None where there is nothing to take a mean of."""
    inside = np.isfinite(values)
    if inside.sum() < 2:
        return None
    return bootstrap_people(values[inside], people[inside])


def draw_table(results: dict[str, Any]) -> str:
    lines = [
        "| method | words lost, own hearing, % | word error, known text, % | speech kept | pitch "
        "roughness, cents | spectral distance, dB | CPU s a second |",
        "|--|--|--|--|--|--|--|",
    ]
    for name, found in results["methods"].items():
        told = [
            format_figure(found["word_disagreement"], 1, 100),
            format_figure(found["word_error_known_text"], 1, 100),
            format_figure(found["speech_kept"], 2),
            format_figure(found["pitch_roughness_cents"], 1)
            if found["pitch_found"] > 0.5
            else "no pitch",
            format_figure(found["spectral_distance_db"], 1),
            f"{found['cpu_seconds_a_second']:.3f}",
        ]
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines)


def format_figure(found: dict[str, float] | None, digits: int, scale: float = 1) -> str:
    if found is None:
        return "–"
    value, low, high = (scale * found[key] for key in ("value", "low", "high"))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


if __name__ == "__main__":
    main()
