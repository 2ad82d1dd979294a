"""The pipeline: recording → speech → a Gaussian over faces → the face at its mean.

import speech2face

model = speech2face.load()
face = model.reconstruct("recording.m4a")
face.image.show()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.cartoon import draw_cartoon
from speech2face.errors import ModelError, UsageError
from speech2face.media import Source
from speech2face.pictures import MOST_SAMPLES, SIZES
from speech2face.runtime import THREADS, open_session
from speech2face.speech import Speech, find_speech
from speech2face.weights import ASSETS, Model, find_model

if TYPE_CHECKING:
    from PIL.Image import Image


STYLES = ("plain", "cartoon")


@dataclass(frozen=True)
class VoiceEmbedding:
    """What a voice says of a face: a Gaussian over embeddings of a face recogniser.

    `mean` float32 (D,) and `covariance` float32 (D, D) are its own; `average` float32 (D,) is the
    mean of all people's faces; `shown` float32 (D,) is where the face is drawn, further from the
    average than the mean, which lies too near to it. `speech` is what was chosen of the recording,
    and `model` the name of the model.
    """

    mean: np.ndarray  # (D,) float32
    covariance: np.ndarray  # (D, D) float32
    average: np.ndarray  # (D,) float32
    shown: np.ndarray  # (D,) float32: see `GaussianHead`
    speech: Speech
    model: str

    def sample(self, count: int, seed: int = 0) -> np.ndarray:
        """Draw `count` faces that this voice may have → embeddings float32 (count, D).

        The same `seed` gives the same faces. `Speech2Face.decode` makes pictures of them.
        """
        if not count:
            return np.empty((0, len(self.mean)), np.float32)
        factor = np.linalg.cholesky(self.covariance.astype(np.float64))
        noise = np.random.default_rng(seed).standard_normal((count, len(self.mean)))
        return (self.mean + noise @ factor.T).astype(np.float32)


@dataclass(frozen=True)
class Reconstruction:
    """The face drawn from a recording, and what it rests on.

    `image` is the face that the voice suggests, a Pillow image, RGB; `samples` are more faces that
    the voice may have, as many as were asked for: where they differ, the voice does not say.
    """

    image: Image  # the face the voice points to, `voice.shown`
    samples: tuple[Image, ...]  # faces drawn from the Gaussian: how much stays open
    voice: VoiceEmbedding

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the recording, a sentence each; empty where nothing was."""
        return self.voice.speech.warnings


class Speech2Face:
    """A voice encoder and a face decoder, loaded and ready.

    Safe to use from several threads and in forked processes. Pickled and copied it is the name or
    the folder of its model, which is loaded again and has to be the same.
    """

    def __init__(self, model: Model, threads: int = THREADS) -> None:
        self.card = model.card
        self._model, self._threads = model, threads
        self._encoder = open_session(model.voice_encoder, threads)
        self._decoder = open_session(model.face_decoder, threads)

    def __reduce__(self) -> tuple[Any, ...]:
        folder = self._model.folder
        name = folder.name if folder.parent == ASSETS else str(folder.absolute())
        return _load_again, (name, self.card.sha256, self._threads)

    def embed(
        self,
        source: Source | Speech,
        *,
        start: float = 0.0,
        end: float | None = None,
        track: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> VoiceEmbedding:
        """Find the speech in `source` → the Gaussian over face embeddings that it suggests.

        `source` is a path, "-" (standard input), the bytes of a media file, (samples, sample rate
        in Hz), or a `Speech` that was found already. Only the part from `start` to `end` is
        listened to, in seconds of the recording; `track` chooses among the sound tracks of a file,
        from 1. They do not go with a `Speech`. `progress` is called with how many seconds of the
        recording have been listened to.

        Raises UnreadableMediaError, NoSpeechError, and UsageError where the recording has no such
        part or track.
        """
        if not isinstance(source, Speech):
            speech = find_speech(source, start=start, end=end, track=track, progress=progress)
        elif start or end is not None or track is not None:
            raise UsageError(
                "start, end and track go with a recording, not with speech found in it."
            )
        else:
            speech = source
        mean, covariance, average, shown = (each[0] for each in self.encode(speech.samples[None]))
        return VoiceEmbedding(mean, covariance, average, shown, speech, self.card.name)

    def encode(
        self, waveforms: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Speech (B, samples) at 16 kHz, 0.5 s or longer → mean (B, D), covariance
        (B, D, D), the average face (B, D), and where the face is drawn (B, D)."""
        outputs = self._encoder.run(None, {"waveform": waveforms.astype(np.float32)})
        mean, covariance, average, shown = (np.asarray(output) for output in outputs)
        return mean, covariance, average, shown

    def decode(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Face embeddings (B, D) → pictures (B, S, S, 3), uint8 RGB, and landmarks (B, 66, 2).

        Landmarks are fractions of the picture's side, in the order of the decoder's training.
        """
        outputs = self._decoder.run(None, {"embedding": embeddings.astype(np.float32)})
        pixels, landmarks = (np.asarray(output) for output in outputs)
        pictures = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        return pictures, landmarks

    def reconstruct(
        self,
        source: Source | Speech,
        *,
        samples: int = 0,
        seed: int = 0,
        size: int = 224,
        style: str = "plain",
        start: float = 0.0,
        end: float | None = None,
        track: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Reconstruction:
        """Draw the face that the voice in `source` suggests.

        `samples` more faces are drawn from the Gaussian, the same for the same seed; `size` is the
        pictures' side in pixels; `style` is plain, or cartoon for a flat illustration. `source`,
        `start`, `end`, `track` and `progress` are those of `embed`. Raises UnreadableMediaError,
        NoSpeechError, and UsageError where one of these is out of range.
        """
        if style not in STYLES:
            raise UsageError(f"style is {' or '.join(STYLES)}, not {style}.")
        if size not in SIZES:
            raise UsageError(f"size is {SIZES.start} to {SIZES.stop - 1} pixels, not {size}.")
        if not 0 <= samples <= MOST_SAMPLES:
            raise UsageError(f"samples is 0 to {MOST_SAMPLES}, not {samples}.")
        voice = self.embed(source, start=start, end=end, track=track, progress=progress)
        embeddings = np.concatenate([voice.shown[None], voice.sample(samples, seed)])
        faces = zip(*self.decode(embeddings), strict=True)
        image, *others = (_picture(pixels, marks, size, style) for pixels, marks in faces)
        return Reconstruction(image, tuple(others), voice)


def load(model: str = "default", *, threads: int = THREADS) -> Speech2Face:
    """Load a model, ready to draw. Load it once: it is used as often as you like.

    `model` is the name of a model that comes with the package (`speech2face models` lists them) or
    a folder that `speech2face export` wrote. `threads` is the number of processor cores that one
    call may use.

    Raises ModelError where there is no such model, or one of its files is missing or is not the
    one on its card.
    """
    return Speech2Face(find_model(model), threads)


def _load_again(name: str, sha256: dict[str, str], threads: int) -> Speech2Face:
    """What was pickled. Raises ModelError also where it is another model now."""
    model = load(name, threads=threads)
    if model.card.sha256 != sha256:
        raise ModelError(f"model {name} is not the one that was pickled: other weights.")
    return model


def _picture(pixels: np.ndarray, landmarks: np.ndarray, size: int, style: str) -> Image:
    from PIL import Image

    picture = Image.fromarray(pixels)
    if style == "cartoon":
        return draw_cartoon(picture, landmarks, size)
    if size != picture.width:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return picture
