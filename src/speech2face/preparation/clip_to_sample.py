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

from speech2face.data.samples import Quality, Refusal, Sample, Source
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
    TRUSTING,
    Evidence,
    Limits,
    Segments,
    choose_speaker,
    own_segments,
    weigh,
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
    Clip,
    Sound,
    decode_frames,
    decode_sound,
    find_clip,
)
from speech2face.speech import ANYONE, Speech, find_speech

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
        """Raises ModelError where one is not installed."""
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
class Watch:
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
class Candidate:
    """A track and the speech while it is seen."""

    track: Track
    sound: Sound  # of the track's time
    segments: Segments


def make_sample(
    source: Source,
    folder: Path,
    models: Models,
    center: tuple[float, float] | None = None,
    limits: Limits | None = None,
) -> tuple[Sample | Refusal, dict[str, float]]:
    """The sample of a clip whose file lies below `folder`, or why not; and seconds by stage.

    `center` is where the speaker's face begins, in fractions (x, y) of the frame, if known. Under
    the limits TRUSTING whoever is seen speaks. No file makes this raise.
    """
    return attempt(
        source,
        lambda watch: _make_sample(source, folder, models, center, limits or Limits(), watch),
    )


def attempt(
    source: Source, make: Callable[[Watch], Sample]
) -> tuple[Sample | Refusal, dict[str, float]]:
    """The sample that `make` gives, or why it gives none; and seconds by stage.

    Whatever a library raises refuses this clip only, at the stage that it was in. Raises ModelError
    where a network is missing and StorageError where the disk fails: no clip would survive that.
    """
    watch = Watch()
    try:
        return make(watch), watch.seconds
    except Refused as refused:
        return Refusal(source, refused.stage, refused.reason), watch.seconds
    except (ModelError, StorageError):
        raise
    except Exception as error:
        log.debug("%s: refused at %s", source.clip, watch.stage, exc_info=True)
        return Refusal(source, watch.stage, say_error(error)), watch.seconds


def say_error(error: Exception) -> str:
    """The kind of an exception that nobody foresaw, and the beginning of what it says."""
    said = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {said[:LONGEST_REASON]}" if said else kind


def _make_sample(
    source: Source,
    folder: Path,
    models: Models,
    center: tuple[float, float] | None,
    limits: Limits,
    watch: Watch,
) -> Sample:
    candidates, mouths, views = watch_clip(find_clip(source, folder), models, center, watch)
    with watch.timing("speak"):
        pairs = zip(candidates, mouths, strict=True)
        judged = [_judge(*pair, models.synchrony, limits) for pair in pairs]
        seen = [(one.track.start, one.track.end) for one in candidates]
        best = choose_speaker([evidence for _, evidence in judged], seen, limits)
    speech, evidence = judged[best]
    assert speech
    assert isinstance(evidence, Evidence)
    with watch.timing("choose"):
        view = choose_view(views[best])
    with watch.timing("embed"):
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
        trusted=limits == TRUSTING,
        frames=len(good),
        spread=spread,
    )
    return Sample(source, speech.samples, view.face, embedding, quality, further, mean)


def watch_clip(
    clip: Clip, models: Models, center: tuple[float, float] | None, watch: Watch
) -> tuple[list[Candidate], list[Mouth], list[list[View]]]:
    """The faces that could be the speaker's: their mouths, and each face on each look."""
    with watch.timing("sound"):
        sound = decode_sound(clip)
    with watch.timing("speech"):
        cut_speech(sound)  # without any, no picture need be decoded
    found = _find_tracks(clip, models, center, watch)
    with watch.timing("speech"):
        candidates = find_candidates(found, sound)
    return candidates, *_watch_faces(clip, candidates, models, watch)


def cut_speech(sound: Sound) -> Speech:
    """The clearest 0.5 to 10 s of speech. Refused where there is less."""
    try:
        return find_speech((sound.samples, SAMPLE_RATE), speaker=ANYONE)
    except (NoSpeechError, UnreadableMediaError) as error:
        raise Refused("speech", str(error).removeprefix("the array: ")) from None


def find_candidates(found: Sequence[Track], sound: Sound) -> list[Candidate]:
    """The tracks during which someone speaks, those most seen first. Refused where none is."""
    candidates = []
    for track in sorted(found, key=lambda track: -track.area * (track.end - track.start)):
        heard = sound.cut(track.start, track.end)
        try:
            candidates.append(Candidate(track, heard, in_file(cut_speech(heard), heard)))
        except Refused:
            continue
        if len(candidates) == MOST_CANDIDATES:
            break
    if not candidates:
        raise Refused("speech", "nobody speaks while a face is seen")
    return candidates


def in_file(speech: Speech, heard: Sound) -> Segments:
    """The segments of speech found in a piece of sound, seconds in the file."""
    return [(heard.start + start, heard.start + end) for start, end in speech.segments]


def _find_tracks(
    clip: Clip, models: Models, center: tuple[float, float] | None, watch: Watch
) -> list[Track]:
    linker = Linker(models.likeness)
    thumbnails, size = [], (0, 0)
    for frame in watch.each("decode", decode_frames(clip, LOOK_STEP)):
        with watch.timing("detect"):
            now = look(frame, models.detector)
        with watch.timing("track"):
            linker.add(now)
        thumbnails.append(now.thumbnail)
        size = now.size
    with watch.timing("track"):
        check_moving(thumbnails)
        found = linker.tracks()
        return near(found, center, size) if center else found


def _watch_faces(
    clip: Clip, candidates: Sequence[Candidate], models: Models, watch: Watch
) -> tuple[list[Mouth], list[list[View]]]:
    """How each candidate's mouth moves in and around its speech, and its face on each look."""
    watchers = [MouthWatcher() for _ in candidates]
    views: list[list[View]] = [[] for _ in candidates]
    meshes: list[np.ndarray | None] = [None] * len(candidates)  # of the frame before
    start = min(one.segments[0][0] for one in candidates) - CONTEXT
    end = max(one.segments[-1][1] for one in candidates) + CONTEXT
    part = Clip(clip.path, max(start, clip.start), min(end, clip.end))
    for frame in watch.each("decode again", decode_frames(part, MOUTH_STEP)):
        seen_by = zip(candidates, watchers, views, strict=True)
        for place, (one, watcher, seen) in enumerate(seen_by):
            if not one.track.start <= frame.seconds <= one.track.end:
                continue
            if not within(frame.seconds, one.segments, CONTEXT):
                continue
            landmarks = one.track.landmarks_at(frame.seconds)
            with watch.timing("mesh"):
                meshes[place] = mesh = see_mesh(models.mesh, frame.image, landmarks, meshes[place])
            if mesh is None:
                continue
            with watch.timing("mouth"):
                watcher.add(frame.seconds, frame.image, mesh)
            if np.abs(one.track.times - frame.seconds).min() < 1e-3:
                with watch.timing("choose"):
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
    candidate: Candidate, mouth: Mouth, synchrony: Synchrony, limits: Limits
) -> tuple[Speech | None, Evidence | Refused]:
    """The speech that is a face's own, and how its mouth moves with it."""
    try:
        own = own_segments(mouth, candidate.segments, limits)
        if not own:
            raise Refused("speak", "the mouth is still while someone speaks")
        heard = candidate.sound.only(own) if len(own) < len(candidate.segments) else candidate.sound
        speech = cut_speech(heard)
        spoken = in_file(speech, heard)
        return speech, weigh(mouth, candidate.sound, spoken, synchrony, limits)
    except Refused as refused:
        return None, refused
