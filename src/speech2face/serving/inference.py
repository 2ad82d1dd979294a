"""The inference of a worker on one recording: decode, embed, and draw what was asked for."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.media import SAMPLE_RATE, AudioSource, AudioStream
from speech2face.model_folders import find_model
from speech2face.picture_check import check_picture
from speech2face.pictures import NOTICE, encode_png
from speech2face.runtime import limit_threads
from speech2face.serving.disclosure import DisclosureEstimator, load_estimator
from speech2face.serving.limits import Limits
from speech2face.speaker_features import open_speaker_features
from speech2face.speakers import join_speakers
from speech2face.speech import ALL, ANYONE, LONGEST, Speech, find_chosen_speech, find_speech
from speech2face.speech_windows import WINDOW_SECONDS
from speech2face.watermark import SIDE, find_mark

if TYPE_CHECKING:
    from speech2face.reconstruct import Speech2Face, VoiceEmbedding

BLOCK_SECONDS = 32.0  # as `find_speech` listens


@dataclass(frozen=True)
class InferenceTask:
    """A request for inference on one recording."""

    rate: int | None = None  # Hz, of float32 samples; None: it is a media file
    wanted: Literal["face", "embedding", "preview"] = "face"
    covariance: bool = False
    samples: int = 0
    seed: int = 0
    size: int = 224
    style: str = "plain"
    strength: float = 1.0
    hair: str = "typical"
    start: float = 0.0  # s of the recording, from which it is listened to
    end: float | None = None  # s, up to which it is
    track: int | None = None  # of the file's sound tracks, from 1
    speaker: str | int = LONGEST  # as `parse_speaker` gives it
    least_seconds: float = 0.0  # of speech; a preview of less draws nothing

    def source(self, sound: bytes) -> AudioSource:
        """The recording, as `media` takes it."""
        if self.rate is None:
            return sound
        return np.frombuffer(sound, "<f4", len(sound) // 4), self.rate


@dataclass(frozen=True)
class CheckTask:
    """A request to say whether a picture is generated."""


@dataclass(frozen=True)
class InferenceResult:
    """Results of inference: fields that JSON can hold, and pictures as PNG, the mean's first."""

    fields: dict[str, Any]
    pictures: tuple[bytes, ...] = ()
    each: tuple[InferenceResult, ...] = ()  # of each speaker, where all were asked for

    def as_json(self) -> dict[str, Any]:
        """The answer over HTTP, pictures as base64."""
        if self.each:
            return join_speakers([of_one.as_json() for of_one in self.each])
        if not self.pictures:
            return self.fields
        image, *samples = (base64.b64encode(picture).decode() for picture in self.pictures)
        return {"image": image, "samples": samples, **self.fields}


def load_inference(
    folder: str, listened: float
) -> Callable[[InferenceTask | CheckTask, bytes], InferenceResult]:
    """The work of one process: the model in `folder` is loaded, warmed up, and kept."""
    from speech2face.reconstruct import load

    with limit_threads(1):  # the processes are the parallelism
        network = load(folder)
        open_speaker_features()
    estimator = load_estimator(network, find_model(folder))
    with suppress(NoSpeechError):
        find_speech((np.ones(SAMPLE_RATE), SAMPLE_RATE))
    mean, *_ = network.encode(np.zeros((1, SAMPLE_RATE)))
    _encode(Image.fromarray(network.decode(mean)[0][0]), "")
    find_mark(Image.new("RGB", (SIDE, SIDE)))
    return functools.partial(work, network, estimator, listened)


def work(
    network: Speech2Face,
    estimator: DisclosureEstimator | None,
    listened: float,
    task: InferenceTask | CheckTask,
    body: bytes,
) -> InferenceResult:
    """Do a task of either kind on what was sent."""
    if isinstance(task, CheckTask):
        return InferenceResult(check_picture(body).as_json())
    return infer(network, estimator, listened, task, body)


def infer(
    network: Speech2Face,
    estimator: DisclosureEstimator | None,
    listened: float,
    task: InferenceTask,
    sound: bytes,
) -> InferenceResult:
    """Infer from at most `listened` seconds of a recording what the task asks for.

    Ten seconds of speech are used: a minute would take six times as long and say little more.
    Raises UnreadableMediaError, NoSpeechError, and UsageError as `Speech2Face.reconstruct` does.
    A preview raises neither of the first two: what has come so far need not be whole.
    """
    stream = BoundedStream(
        task.source(sound), listened, start=task.start, end=task.end, track=task.track
    )
    # A preview has to be quick: nobody is told apart.
    speaker = ANYONE if task.wanted == "preview" else task.speaker
    try:
        found = find_chosen_speech(stream, speaker, max_seconds=WINDOW_SECONDS)
    except (NoSpeechError, UnreadableMediaError) as error:
        if task.wanted != "preview":
            reason = str(error).removeprefix(f"{stream.name}: ")
            raise type(error)("; ".join([reason, *stream.cut_note])) from None
        seconds = round(stream.seconds, 3)
        return InferenceResult({"analysed_seconds": seconds, "speech_seconds": 0.0})
    pictures = len(found) * (1 + task.samples)
    if task.wanted == "face" and pictures > Limits.pictures:
        raise UsageError(
            f"{stream.name}: {len(found)} people speak, so samples={task.samples} asks for "
            f"{pictures} pictures; at most {Limits.pictures} are drawn at once. Give fewer "
            "samples, or one speaker."
        )
    results = [_infer_speech(network, estimator, task, speech, stream.tags) for speech in found]
    return InferenceResult({}, each=tuple(results)) if speaker == ALL else results[0]


def _infer_speech(
    network: Speech2Face,
    estimator: DisclosureEstimator | None,
    task: InferenceTask,
    speech: Speech,
    tags: Mapping[str, str],
) -> InferenceResult:
    fields = speech.as_json()
    if task.wanted == "preview" and speech.speech_seconds < task.least_seconds:
        return InferenceResult(fields)
    if task.wanted == "embedding":
        voice = network.embed(speech)
        fields |= {"mean": voice.mean.tolist(), "prior_mean": voice.prior_mean.tolist()}
        fields["covariance"] = voice.covariance.tolist() if task.covariance else None
        return InferenceResult(fields | _describe_voice(voice, estimator, tags))
    face = network.reconstruct(
        speech,
        samples=task.samples,
        seed=task.seed,
        size=task.size,
        style=task.style,
        strength=task.strength,
        hair=task.hair,
    )
    fields |= {"strength": face.strength, "hair": face.hair}
    pictures = tuple(
        _encode(picture, network.card.name, comment)
        for picture, comment in zip((face.image, *face.samples), face.comments, strict=True)
    )
    if task.wanted == "preview":
        estimator = None  # a preview has to be quick
    return InferenceResult(
        fields | _describe_voice(face.voice, estimator, tags) | {"notice": NOTICE}, pictures
    )


class BoundedStream(AudioStream):
    """The first `longest` seconds of a recording, or of a part of it, and a note if there is more.

    `seconds` is how much of it was heard.
    """

    def __init__(
        self,
        source: AudioSource,
        longest: float,
        *,
        start: float = 0.0,
        end: float | None = None,
        track: int | None = None,
    ) -> None:
        super().__init__(source, BLOCK_SECONDS, start=start, end=end, track=track)
        self.name = "the recording"
        self.seconds = 0.0
        self._longest = longest
        self.cut_note: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in super().__iter__():
            left = round((self._longest - self.seconds) * SAMPLE_RATE)
            if len(block) > left:
                after = f" after {self.start:g} s" if self.start else ""
                self.cut_note = (f"only the first {self._longest:g} s{after} were listened to",)
            kept = block[:left]
            self.seconds += len(kept) / SAMPLE_RATE
            if kept.size:
                yield kept
            if self.cut_note:
                return

    @property
    def warnings(self) -> tuple[str, ...]:
        return super().warnings + self.cut_note


def _describe_voice(
    voice: VoiceEmbedding, estimator: DisclosureEstimator | None, tags: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "confidence": estimator.estimate(voice, tags) if estimator else None,
        "model": voice.model,
    }


def _encode(picture: Image.Image, model: str, comment: str = "") -> bytes:
    file = io.BytesIO()
    encode_png(picture, file, model, comment)
    return file.getvalue()
