"""The audit of one recording: how much it tells of its speaker's face, without looking for anyone.

No picture and no name takes part: the figures follow from the encoder's Gaussian and from numbers
measured before, on other people (leakage_estimate.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.errors import UsageError
from speech2face.joined_speech import find_joined_speech
from speech2face.media import SAMPLE_RATE, AudioSource
from speech2face.metrics.audit_results import (
    BitsByCause,
    CurvePoint,
    Disguise,
    OriginalAudit,
    RecordingAudit,
    StatedBits,
    VoiceAudit,
)
from speech2face.model_folders import Model, hash_file
from speech2face.privacy.disguise_detection import PLAIN, find_disguise
from speech2face.privacy.disguise_metadata import SPOKEN_ANEW, find_mark
from speech2face.privacy.leakage_estimate import (
    STRANGERS,
    Calibration,
    FaceCovariance,
    estimate_leakage,
    evidence_weight_of_clip,
    infer_face_covariance,
    measure_sound,
    read_calibration,
)
from speech2face.privacy.original_comparison import CourseStream, find_same_speaker, judge_pair
from speech2face.privacy.remaining_disclosure import find_attack, state_bits_left
from speech2face.reconstruct import Speech2Face, VoiceEmbedding
from speech2face.run_provenance import describe, hash_rows
from speech2face.speech import LONGEST, find_speech

LENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0, 40.0)  # s of the curve
SURE = 1.96  # standard errors on either side: 95 %
PER_CENT = (10, 50, 90)  # of cases, for which the place of the true face is stated
BLOCK_SECONDS = 32.0  # as `find_speech` listens
QUIET = 15.0  # dB of range, below which a recording is called noisy


def audit_recording(
    source: AudioSource | list[AudioSource],
    model: Model,
    *,
    original: AudioSource | None = None,
    method: str | None = None,
    start: float = 0.0,
    end: float | None = None,
    track: int | None = None,
    speaker: str | int = LONGEST,
) -> RecordingAudit:
    """Audit one recording: measure how much its voice gives away of the face.

    `source` is a recording or a list of them as `Speech2Face.embed` takes it, `model` comes from
    `find_model`.
    `original` is the recording that `source` is a disguise of, `method` how it was disguised,
    where its mark does not say so. Of both only the part from `start` to `end`, in seconds, is
    listened to, and of `source` the sound `track`, as in `media.stream_audio`. The audit is of one
    person: of several `speaker` chooses in `source`, as in `find_speech`, and in `original` it is
    who speaks at the same time.

    Raises UnreadableMediaError, NoSpeechError and ModelError, and UsageError where `original` is
    itself marked as disguised or holds the same sound as `source`, and where of several recordings
    some are marked as disguised and some are not.
    """
    sources = source if isinstance(source, list) else [source]
    if len(sources) > 1 and (original is not None or start or end is not None or track is not None):
        raise UsageError("original, start, end and track go with one recording, not with several.")
    calibration = read_calibration(model)
    network = Speech2Face(model)
    faces = infer_face_covariance(network.encode)
    part = {"start": start, "end": end, "track": track}
    streams = [CourseStream(one, BLOCK_SECONDS, **part) for one in sources]
    stream = streams[0]
    if len(sources) > 1:
        embedding = network.embed(find_joined_speech(streams, speaker=speaker))
    else:
        embedding = network.embed(find_speech(stream, speaker=speaker))
    samples, tags = embedding.speech.samples, _join_tags(streams)
    disguise = find_disguise(samples, tags, original is not None, method)
    voice = audit_voice(embedding, faces, calibration, disguise)
    mark = find_mark(tags)
    if mark and mark.method != disguise.method:
        contradiction = (
            f"its mark names the method {mark.method}; {disguise.method} is taken, as you say"
        )
        voice = replace(voice, warnings=(*voice.warnings, contradiction))
    curve, averages = (), ()
    if not disguise.by:
        curve = _trace(network, embedding, calibration, faces)
        averages = calibration.averages
    before = None
    if original is not None:
        plain = CourseStream(original, BLOCK_SECONDS, start=start, end=end)
        same = find_same_speaker(plain, embedding.speech)
        before = _audit_original(
            network.embed(same), plain, stream, faces, calibration, disguise.method
        )
    return RecordingAudit(__version__, voice, curve, averages, before)


def _join_tags(streams: Sequence[CourseStream]) -> dict[str, str]:
    """Join the tags of all. Raises UsageError where some are marked as disguised, some not."""
    plain = [stream.name for stream in streams if not find_mark(stream.tags)]
    if 0 < len(plain) < len(streams):
        raise UsageError(f"{plain[0]} is not marked as disguised and others are; audit them apart.")
    return {
        f"{number} {name}": text
        for number, stream in enumerate(streams)
        for name, text in stream.tags.items()
    }


def _audit_original(
    embedding: VoiceEmbedding,
    plain: CourseStream,
    disguised: CourseStream,
    faces: FaceCovariance,
    calibration: Calibration,
    method: str | None,
) -> OriginalAudit:
    """`embedding` is of `plain`; both are decoded. Raises UsageError as `audit_recording` says."""
    if mark := find_mark(plain.tags):
        raise UsageError(
            f"{plain.name} is marked as disguised itself ({mark.method}); give the plain voice."
        )
    if np.array_equal(plain.levels, disguised.levels):
        raise UsageError(
            f"{plain.name} and {disguised.name} hold the same sound; give the recording as it was "
            "before its voice was disguised."
        )
    detected = find_disguise(embedding.speech.samples, {})
    voice = audit_voice(embedding, faces, calibration, PLAIN)
    assert voice.bits  # of a voice that is taken for plain
    return OriginalAudit(
        voice.bits,
        voice.warnings,
        detected.by is not None,
        judge_pair(plain, disguised, method in SPOKEN_ANEW),
        state_bits_left(voice.bits, method),
    )


def describe_audit(
    model: Model,
    settings: Mapping[str, float | str | None],
    recordings: Mapping[str, str | Path],
) -> dict[str, Any]:
    """The provenance of a page on one recording, as JSON holds it.

    `settings` are those given, by name. `recordings` are what the page identifies by content, by
    what they are; a text is standard input.
    """
    data = {"model": hash_rows(model.card.sha256.items())}
    for name, source in recordings.items():
        data[name] = hash_file(source) if isinstance(source, Path) else "standard input"
    given = {name: value for name, value in settings.items() if value}
    return asdict(describe({"model": f"{model.card.name} {model.card.version}", **given}, data))


def audit_voice(
    voice: VoiceEmbedding,
    faces: FaceCovariance,
    calibration: Calibration,
    disguise: Disguise,
) -> VoiceAudit:
    """Audit a voice; `disguise` is what `find_disguise` gave. Takes about 10 ms.

    Without a calibration no interval is known. Of a disguised voice no bits and no places are.
    """
    samples = voice.speech.samples
    sound = measure_sound(samples)
    seconds = len(samples) / SAMPLE_RATE
    estimate = estimate_leakage(voice.mean, voice.prior_mean, faces, seconds, sound, calibration)
    off = SURE * calibration.deviation * estimate.bits
    sex, age = estimate.sex, estimate.age
    speech = voice.speech
    audit = VoiceAudit(
        speech_seconds=speech.speech_seconds,
        analysed_seconds=speech.analysed_seconds,
        segments=speech.segments,
        warnings=speech.warnings,
        speakers=speech.speakers,
        speaker=speech.speaker,
        recordings=speech.recordings,
        model=voice.model,
        calibrated_on=calibration.people,
        range_db=round(sound.range_db, 1),
        noisy=sound.range_db < QUIET,
        telephone=sound.narrow,
        weight=round(evidence_weight_of_clip(calibration, seconds, sound), 3),
        disguised=disguise,
        population=None,
        bits=StatedBits(
            round(estimate.bits, 3),
            round(max(0.0, estimate.bits - off), 3) if calibration.people else None,
            round(estimate.bits + off, 3) if calibration.people else None,
        ),
        bits_if_plain=None,
        parts=BitsByCause(
            _round(sex),
            _round(age),
            None if sex is None or age is None else round(estimate.bits - sex - age, 3),
        ),
        strangers=STRANGERS,
        mean_place=max(1, round(STRANGERS * estimate.mean_rank)),
        places={
            per_cent: max(1, round(STRANGERS * rank))
            for per_cent, rank in zip(PER_CENT, estimate.ranks, strict=True)
        },
    )
    if not disguise.by:
        return audit
    return replace(
        audit,
        population=find_attack(disguise.method),
        bits=None,
        bits_if_plain=round(estimate.bits, 3),
        parts=BitsByCause(None, None, None),
        mean_place=None,
        places=None,
    )


def _trace(
    network: Speech2Face,
    voice: VoiceEmbedding,
    calibration: Calibration,
    faces: FaceCovariance,
) -> tuple[CurvePoint, ...]:
    """Bits by the seconds heard from the beginning, all of it last."""
    samples = voice.speech.samples
    whole = len(samples) / SAMPLE_RATE
    curve = []
    for seconds in [t for t in LENGTHS if t < 0.9 * whole] + [whole]:
        beginning = samples[: round(seconds * SAMPLE_RATE)]
        mean = voice.mean if seconds == whole else network.encode(beginning[None])[0][0]
        sound = measure_sound(beginning)
        estimate = estimate_leakage(mean, voice.prior_mean, faces, seconds, sound, calibration)
        curve.append(CurvePoint(round(seconds, 2), round(estimate.bits, 3)))
    return tuple(curve)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
