"""One clip → one sample, or why there is none: the stages in order, each timed.

The video is decoded twice: every few frames for faces, then, where there is speech, each frame of
the faces that could be the speaker's. The frames themselves are never kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from speech2face.data.samples import Quality, Refusal, Sample, SampleSource
from speech2face.data.split_leaks import find_recognisers
from speech2face.errors import ModelError, NoSpeechError, StorageError, UnreadableMediaError
from speech2face.face_detection import FaceDetector
from speech2face.face_encoders import (
    FaceEncoder,
    FaceMesh,
    average_embeddings,
    five_of,
    load_face_encoder,
)
from speech2face.media import SAMPLE_RATE
from speech2face.preparation import Refused
from speech2face.preparation.active_speaker import (
    CONTEXT,
    TRUST_ANY_FACE,
    Evidence,
    Segments,
    SpeakerThresholds,
    choose_speaker,
    measure_evidence,
    own_segments,
    within,
)
from speech2face.preparation.face_tracking import (
    LOOK_STEP,
    Linker,
    Track,
    check_moving,
    look,
    near,
)
from speech2face.preparation.frame_selection import View, choose_good, choose_view, measure_view
from speech2face.preparation.lip_sync import Synchrony
from speech2face.preparation.mouth_tracking import Mouth, MouthWatcher
from speech2face.preparation.video import (
    Sound,
    VideoClip,
    decode_frames,
    decode_sound,
    find_clip,
)
from speech2face.speech import ANYONE, Speech, find_speech
from speech2face.speech_windows import WINDOW_SECONDS

log = logging.getLogger(__name__)

MOST_CANDIDATES = 3  # faces whose mouths are watched
FARTHEST = 0.3  # eye distances that a face may move between two frames and be followed
LONGEST_REASON = 200  # letters of an exception that the ledger holds
MOUTH_STEP = 0.03  # s: above 33 frames a second not every one is looked at

Item = TypeVar("Item")


@dataclass(frozen=True)
class Models:
    """The networks, loaded once for many clips."""

    detector: FaceDetector
    mesh: FaceMesh
    encoder: FaceEncoder
    likeness: FaceEncoder  # SFace: tells whether a face goes on, whatever the set's recogniser is
    synchrony: Synchrony
    further: Mapping[str, FaceEncoder] = field(default_factory=dict)  # that tell who is who

    @classmethod
    def load(cls, face_encoder: str = "dlib") -> Models:
        """Load the networks. Raises ModelError where one is not installed."""
        encoder = load_face_encoder(face_encoder)
        further = {n: load_face_encoder(n) for n in find_recognisers() if n != face_encoder}
        likeness = {face_encoder: encoder, **further}.get("sface") or load_face_encoder("sface")
        return cls(FaceDetector(), FaceMesh(), encoder, likeness, Synchrony.load(), further)

    def embed(
        self, image: np.ndarray, landmarks: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The face's embedding, and those by further recognisers."""
        further = {name: one.embed(image, landmarks) for name, one in self.further.items()}
        return self.encoder.embed(image, landmarks), further


@dataclass
class StageTimer:
    """Seconds spent in each stage, and which stage it is."""

    seconds: dict[str, float] = field(default_factory=dict)
    stage: str = "decode"

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        before, self.stage = self.stage, stage
        try:
            yield
            self.stage = before  # but not after an exception: so it is known where that came from
        finally:
            spent = time.perf_counter() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def each(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items; what it takes to make them is the stage's."""
        iterator = iter(items)
        while True:
            with self.timing(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item


@dataclass(frozen=True)
class SpeakerCandidate:
    """A track and the speech while it is seen."""

    track: Track
    sound: Sound  # of the track's time
    segments: Segments


def make_sample(
    source: SampleSource,
    folder: Path,
    models: Models,
    center: tuple[float, float] | None = None,
    thresholds: SpeakerThresholds | None = None,
) -> tuple[Sample | Refusal, dict[str, float]]:
    """The sample of a clip whose file lies below `folder`, or why not; and seconds by stage.

    `center` is where the speaker's face begins, in fractions (x, y) of the frame, if known. Under
    the thresholds TRUST_ANY_FACE whoever is seen speaks. No file makes this raise.
    """
    return attempt(
        source,
        lambda timer: _make_sample(
            source, folder, models, center, thresholds or SpeakerThresholds(), timer
        ),
    )


def attempt(
    source: SampleSource, make: Callable[[StageTimer], Sample]
) -> tuple[Sample | Refusal, dict[str, float]]:
    """The sample that `make` gives, or why it gives none; and seconds by stage.

    Whatever a library raises refuses this clip only, at the stage that it was in. Raises ModelError
    where a network is missing and StorageError where the disk fails: no clip would survive that.
    """
    timer = StageTimer()
    try:
        return make(timer), timer.seconds
    except Refused as refused:
        return Refusal(source, refused.stage, refused.reason), timer.seconds
    except (ModelError, StorageError):
        raise
    except Exception as error:
        log.debug("%s: refused at %s", source.clip, timer.stage, exc_info=True)
        return Refusal(source, timer.stage, say_error(error)), timer.seconds


def say_error(error: Exception) -> str:
    """The kind of an exception that nobody foresaw, and the beginning of what it says."""
    said = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {said[:LONGEST_REASON]}" if said else kind


def _make_sample(
    source: SampleSource,
    folder: Path,
    models: Models,
    center: tuple[float, float] | None,
    thresholds: SpeakerThresholds,
    timer: StageTimer,
) -> Sample:
    candidates, mouths, views = find_speakers(find_clip(source, folder), models, center, timer)
    with timer.timing("speak"):
        pairs = zip(candidates, mouths, strict=True)
        judged = [_judge(*pair, models.synchrony, thresholds) for pair in pairs]
        seen = [(one.track.start, one.track.end) for one in candidates]
        best = choose_speaker([evidence for _, evidence in judged], seen, thresholds)
    speech, evidence = judged[best]
    assert speech
    assert isinstance(evidence, Evidence)
    with timer.timing("choose"):
        view = choose_view(views[best])
    with timer.timing("embed"):
        embedding, further = models.embed(view.face, view.landmarks)
        others = [one for one in choose_good(views[best], view) if one is not view]
        good = [embedding, *(models.encoder.embed(one.face, one.landmarks) for one in others)]
        mean, spread = average_embeddings(np.stack(good), models.encoder.metric)
    quality = Quality(
        frame_seconds=view.seconds,
        yaw=view.yaw,
        eyes_open=view.eyes_open,
        sharpness=view.sharpness,
        face_pixels=view.face_pixels,
        speech_seconds=speech.speech_seconds,
        agreement=evidence.agreement,
        lag=evidence.lag,
        inside=view.inside,
        trusted=thresholds == TRUST_ANY_FACE,
        frames=len(good),
        spread=spread,
    )
    return Sample(source, speech.samples, view.face, embedding, quality, further, mean)


def find_speakers(
    clip: VideoClip, models: Models, center: tuple[float, float] | None, timer: StageTimer
) -> tuple[list[SpeakerCandidate], list[Mouth], list[list[View]]]:
    """The faces that could be the speaker's: their mouths, and each face on each look."""
    with timer.timing("sound"):
        sound = decode_sound(clip)
    with timer.timing("speech"):
        cut_speech(sound)  # without any, no picture need be decoded
    tracks = _find_tracks(clip, models, center, timer)
    with timer.timing("speech"):
        candidates = find_candidates(tracks, sound)
    return candidates, *_follow_faces(clip, candidates, models, timer)


def cut_speech(sound: Sound) -> Speech:
    """The clearest 0.5 to 10 s of speech. Refused where there is less."""
    try:
        return find_speech((sound.samples, SAMPLE_RATE), max_seconds=WINDOW_SECONDS, speaker=ANYONE)
    except (NoSpeechError, UnreadableMediaError) as error:
        raise Refused("speech", str(error).removeprefix("the array: ")) from None


def find_candidates(tracks: Sequence[Track], sound: Sound) -> list[SpeakerCandidate]:
    """The tracks during which someone speaks, those most seen first. Refused where none is."""
    candidates = []
    for track in sorted(tracks, key=lambda track: -track.area * (track.end - track.start)):
        part = sound.cut(track.start, track.end)
        try:
            candidates.append(SpeakerCandidate(track, part, in_file(cut_speech(part), part)))
        except Refused:
            continue
        if len(candidates) == MOST_CANDIDATES:
            break
    if not candidates:
        raise Refused("speech", "nobody speaks while a face is seen")
    return candidates


def in_file(speech: Speech, sound: Sound) -> Segments:
    """The segments of speech found in a piece of sound, seconds in the file."""
    return [(sound.start + start, sound.start + end) for start, end in speech.segments]


def _find_tracks(
    clip: VideoClip, models: Models, center: tuple[float, float] | None, timer: StageTimer
) -> list[Track]:
    linker = Linker(models.likeness)
    thumbnails, size = [], (0, 0)
    for frame in timer.each("decode", decode_frames(clip, LOOK_STEP)):
        with timer.timing("detect"):
            now = look(frame, models.detector)
        with timer.timing("track"):
            linker.add(now)
        thumbnails.append(now.thumbnail)
        size = now.size
    with timer.timing("track"):
        check_moving(thumbnails)
        tracks = linker.tracks()
        return near(tracks, center, size) if center else tracks


def _follow_faces(
    clip: VideoClip, candidates: Sequence[SpeakerCandidate], models: Models, timer: StageTimer
) -> tuple[list[Mouth], list[list[View]]]:
    """Follow each candidate's mouth in and around its speech, and its face on each look."""
    watchers = [MouthWatcher() for _ in candidates]
    views: list[list[View]] = [[] for _ in candidates]
    meshes: list[np.ndarray | None] = [None] * len(candidates)  # of the frame before
    start = min(one.segments[0][0] for one in candidates) - CONTEXT
    end = max(one.segments[-1][1] for one in candidates) + CONTEXT
    part = VideoClip(clip.path, max(start, clip.start), min(end, clip.end))
    for frame in timer.each("decode again", decode_frames(part, MOUTH_STEP)):
        seen_by = zip(candidates, watchers, views, strict=True)
        for place, (one, watcher, seen) in enumerate(seen_by):
            if not one.track.start <= frame.seconds <= one.track.end:
                continue
            if not within(frame.seconds, one.segments, CONTEXT):
                continue
            landmarks = one.track.landmarks_at(frame.seconds)
            with timer.timing("mesh"):
                meshes[place] = mesh = see_mesh(models.mesh, frame.image, landmarks, meshes[place])
            if mesh is None:
                continue
            with timer.timing("mouth"):
                watcher.add(frame.seconds, frame.image, mesh)
            if np.abs(one.track.times - frame.seconds).min() < 1e-3:
                with timer.timing("choose"):
                    seen.append(measure_view(frame, landmarks, mesh))
    return [watcher.mouth() for watcher in watchers], views


def see_mesh(
    network: FaceMesh, image: np.ndarray, landmarks: np.ndarray, before: np.ndarray | None
) -> np.ndarray | None:
    """The mesh (468, 2) of the face at `landmarks` (5, 2); None where no face is seen.

    With the mesh of the frame `before` one look does, unless the face has moved on.
    """
    if before is not None:
        moved = np.abs(five_of(before) - landmarks).max()
        if moved < FARTHEST * np.hypot(*(landmarks[1] - landmarks[0])):
            return network.follow(image, before)
    return network.landmarks(image, landmarks)


def _judge(
    candidate: SpeakerCandidate, mouth: Mouth, synchrony: Synchrony, thresholds: SpeakerThresholds
) -> tuple[Speech | None, Evidence | Refused]:
    """The speech that is a face's own, and how its mouth moves with it."""
    try:
        own = own_segments(mouth, candidate.segments, thresholds)
        if not own:
            raise Refused("speak", "the mouth is still while someone speaks")
        sound = candidate.sound.only(own) if len(own) < len(candidate.segments) else candidate.sound
        speech = cut_speech(sound)
        spoken = in_file(speech, sound)
        return speech, measure_evidence(mouth, candidate.sound, spoken, synchrony, thresholds)
    except Refused as refused:
        return None, refused
