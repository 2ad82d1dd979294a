"""The audit of one recording: how much it tells of its speaker's face, without looking for anyone.

No picture and no name takes part: the figures follow from the encoder's Gaussian and from numbers
measured before, on other people (leakage_estimate.py).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.errors import UsageError
from speech2face.media import SAMPLE_RATE, Source
from speech2face.privacy.disguise_detection import PLAIN, Disguise, find_disguise
from speech2face.privacy.disguise_mark import find_mark
from speech2face.privacy.leakage_estimate import (
    STRANGERS,
    Calibration,
    Spread,
    Waveform,
    average_bits,
    learn_spread,
    measure_sound,
    read_calibration,
    state,
    weigh_one,
)
from speech2face.privacy.original_comparison import CourseStream, judge_pair
from speech2face.privacy.remaining_disclosure import (
    state_bits_left,
    state_population,
    tell_disguised,
)
from speech2face.provenance import describe, hash_rows
from speech2face.reconstruct import Speech2Face, VoiceEmbedding
from speech2face.speech import find_speech
from speech2face.weights import Model, hash_file

LENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # seconds of the curve
SURE = 1.96  # standard errors on either side: 95 %
CLEAR = Waveform(range_db=30.0, narrow=False)  # of the voice that others are held against
PARTS = ("sex", "age", "everything else")
BLOCK_SECONDS = 32.0  # as `find_speech` listens
QUIET = 15.0  # dB of range, below which a recording is called noisy


def audit_recording(
    source: Source,
    model: Model,
    *,
    original: Source | None = None,
    method: str | None = None,
    start: float = 0.0,
    end: float | None = None,
    track: int | None = None,
) -> dict[str, Any]:
    """How much a voice gives away → what `speech2face audit --json` prints, by the same names.

    `source` is a recording as `Speech2Face.embed` takes it, `model` comes from `find_model`.
    `original` is the recording
    that `source` is a disguise of, `method` how it was disguised, where its mark does not say so.
    Of both only the part from `start` to `end`, in seconds, is listened to, and of `source`
    the sound `track`, as in `media.stream_audio`.

    Raises UnreadableMediaError, NoSpeechError and ModelError, and UsageError where `original` is
    itself marked as disguised or holds the same sound as `source`.
    """
    calibration = read_calibration(model)
    network = Speech2Face(model)
    spread = learn_spread(network.encode)
    part = {"start": start, "end": end, "track": track}
    stream = CourseStream(source, BLOCK_SECONDS, **part)
    voice = network.embed(find_speech(stream))
    disguise = find_disguise(voice.speech.samples, stream.tags, original is not None, method)
    facts = {
        "version": __version__,
        **state_voice(voice, spread, calibration, disguise),
    }
    if disguise.by:
        facts |= {"curve": [], "average_voice": []}
    else:
        facts |= {
            "curve": _trace(network, voice.speech.samples, calibration, spread),
            "average_voice": [
                {"seconds": t, "bits": round(average_bits(spread, t, calibration, CLEAR), 3)}
                for t in LENGTHS
            ],
        }
    mark = find_mark(stream.tags)
    if mark and mark.method != disguise.method:
        facts["warnings"].append(
            f"its mark names the method {mark.method}; {disguise.method} is taken, as you say"
        )
    facts["original"] = None
    if original is not None:
        plain = CourseStream(original, BLOCK_SECONDS, start=start, end=end)
        spoken = network.embed(find_speech(plain))
        if mark := find_mark(plain.tags):
            raise UsageError(
                f"{plain.name} is marked as disguised itself ({mark.method}); give the plain voice."
            )
        if np.array_equal(plain.levels, stream.levels):
            raise UsageError(
                f"{plain.name} and {stream.name} hold the same sound; give the recording as it was "
                "before its voice was disguised."
            )
        heard = find_disguise(spoken.speech.samples, {})
        before = state_voice(spoken, spread, calibration, PLAIN)
        facts["original"] = {
            "bits": before["bits"],
            "warnings": before["warnings"],
            "sounds_disguised": heard.by is not None,
            "pair": judge_pair(plain, stream, disguise.method == "resynthesis"),
            "bits_left": state_bits_left(before["bits"], disguise.method),
        }
    return facts


def describe_audit(
    source: str | Path,
    original: str | Path | None,
    model: Model,
    settings: dict[str, float | str | None],
) -> dict[str, Any]:
    """The provenance of a page on one recording, of which a file is known by its content."""
    data = {"recording": _identify(source), "model": hash_rows(model.card.sha256.items())}
    if original is not None:
        data["original"] = _identify(original)
    return asdict(describe({"model": model.card.name, **settings}, data))


def _identify(source: str | Path) -> str:
    return hash_file(source) if isinstance(source, Path) else "standard input"


def state_voice(
    voice: VoiceEmbedding,
    spread: Spread,
    calibration: Calibration,
    disguise: Disguise,
) -> dict[str, Any]:
    """What a voice discloses, as facts that `tell` words: bits, places among `STRANGERS`, seconds.

    Without a calibration no interval is known. Of a disguised voice nothing of that is known: bits
    and places are None, `bits_if_plain` is what would be stated of a plain one, and `population`
    what attackers found of many. Takes about 10 ms. `disguise` is what `find_disguise` gave.
    """
    samples = voice.speech.samples
    sound = measure_sound(samples)
    seconds = len(samples) / SAMPLE_RATE
    said = state(voice.mean, voice.prior_mean, spread, seconds, sound, calibration)
    off = SURE * calibration.deviation * said.bits
    rest = None if said.sex is None or said.age is None else said.bits - said.sex - said.age
    places = {
        f"{share} %": max(1, round(STRANGERS * rank))
        for share, rank in zip((10, 50, 90), said.ranks, strict=True)
    }
    plain = {
        "bits": {
            "value": round(said.bits, 3),
            "low": round(max(0.0, said.bits - off), 3) if calibration.people else None,
            "high": round(said.bits + off, 3) if calibration.people else None,
        },
        "bits_if_plain": None,
        "parts": dict(zip(PARTS, map(_round, (said.sex, said.age, rest)), strict=True)),
        "strangers": STRANGERS,
        "mean_place": max(1, round(STRANGERS * said.mean_rank)),
        "places": places,
    }
    facts = {
        "model": voice.model,
        "calibrated_on": calibration.people,
        **voice.speech.to_json(),
        "range_db": round(sound.range_db, 1),
        "noisy": sound.range_db < QUIET,
        "telephone": sound.narrow,
        "weight": round(weigh_one(calibration, seconds, sound), 3),
        "disguised": disguise.facts,
        "population": None,
        **plain,
    }
    if disguise.by:
        facts |= {
            "bits": None,
            "bits_if_plain": round(said.bits, 3),
            "parts": dict.fromkeys(PARTS),
            "mean_place": None,
            "places": None,
            "population": state_population(disguise.method),
        }
    return facts


def tell(facts: dict[str, Any]) -> list[str]:
    """The same in sentences."""
    if facts["disguised"]["by"]:
        return tell_disguised(facts)
    bits, places, crowd = facts["bits"], facts["places"], facts["strangers"]
    between = f" ({bits['low']:.1f} to {bits['high']:.1f})" if facts["calibrated_on"] else ""
    lines = [
        f"These {facts['speech_seconds']:.1f} s of speech disclose about {bits['value']:.1f} bits "
        f"of the speaker's face{between}.",
        f"For scale: 0 bits is nothing, 1 bit what the sex alone would tell if it were certain; "
        f"{np.log2(crowd):.0f} bits would single out one person of {crowd:,}.",
        f"Among {crowd:,} strangers sorted by this voice, the speaker's face would stand at place "
        f"{facts['mean_place']} on average (by chance {crowd // 2}); half the time among the first "
        f"{places['50 %']}, nine times of ten among the first {places['90 %']}.",
    ]
    parts = facts["parts"]
    if parts["sex"] is not None:
        alone = parts["sex"] + parts["age"]
        share = min(1.0, alone / max(bits["value"], 1e-6))
        lines.append(f"At least {100 * share:.0f} % of that is sex and age.")
    if facts["noisy"] or facts["telephone"]:
        kind = "noisy" if facts["noisy"] else "narrow, as over a telephone"
        lines.append(f"The sound is {kind}; less of the voice is heard in it.")
    if not facts["calibrated_on"]:
        lines.append(
            "This model was not calibrated: it may state too much (see speech2face calibrate)."
        )
    lines.append("This is what this program finds. A better one may find more.")
    return lines


def _trace(
    network: Speech2Face, samples: np.ndarray, calibration: Calibration, spread: Spread
) -> list[dict[str, float]]:
    """Bits by the seconds heard from the beginning, all of it last."""
    whole = len(samples) / SAMPLE_RATE
    lengths = [t for t in LENGTHS if t < 0.9 * whole] + [whole]
    curve = []
    for seconds in lengths:
        heard = samples[: round(seconds * SAMPLE_RATE)]
        mean, _, average, _ = network.encode(heard[None])
        sound = measure_sound(heard)
        bits = state(mean[0], average[0], spread, seconds, sound, calibration).bits
        curve.append({"seconds": round(seconds, 2), "bits": round(bits, 3)})
    return curve


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
