"""The pipeline: recording → speech → a Gaussian over faces → the face at its mean.

import speech2face

model = speech2face.load()
face = model.reconstruct("recording.m4a")
face.image.show()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.arguments import check_rows, check_whole
from speech2face.cartoon import draw_cartoon
from speech2face.decoding import draw_faces
from speech2face.errors import ModelError, UsageError
from speech2face.media import Source
from speech2face.pictures import MOST_SAMPLES, SIZES
from speech2face.runtime import THREADS, open_session
from speech2face.speech import Speech, find_speech
from speech2face.weights import ASSETS, Model, find_model

if TYPE_CHECKING:
    from PIL.Image import Image


STYLES = ("plain", "cartoon")
LEAST_SAMPLES = 1_600  # of a waveform: a tenth of a second; of less the encoder makes nothing
MOST_THREADS = 1_024
MOST_DRAWN = 1_000_000  # embeddings at once: a gigabyte


@dataclass(frozen=True)
class VoiceEmbedding:
    """What a voice says of a face: a Gaussian over embeddings of a face recogniser.

    `mean` and `covariance` are its own, and D is 128 for the model that comes with the package.
    The mean lies nearer to `average`, the mean of all people's faces, than any person's face does;
    `shown` lies as far from it as faces do. `speech` is what was chosen of the recording, and
    `model` the name of the model.
    """

    mean: np.ndarray  # (D,) float32: the Gaussian's mean
    covariance: np.ndarray  # (D, D) float32: the Gaussian's covariance
    average: np.ndarray  # (D,) float32: the mean of all people's faces
    shown: np.ndarray  # (D,) float32: where the face is drawn
    speech: Speech  # what was used of the recording
    model: str  # the name of the model

    def sample(self, count: int, seed: int = 0) -> np.ndarray:
        """Draw `count` faces that this voice may have → embeddings float32 (count, D).

        The same `seed`, 0 or more, gives the same faces. `Speech2Face.decode` makes pictures of
        them. `count` is at most a million. Raises UsageError where either is no such number.
        """
        count, seed = check_whole("count", count, 0, MOST_DRAWN), check_whole("seed", seed, 0)
        if not count:
            return np.empty((0, len(self.mean)), np.float32)
        factor = np.linalg.cholesky(self.covariance.astype(np.float64))
        noise = np.random.default_rng(seed).standard_normal((count, len(self.mean)))
        return (self.mean + noise @ factor.T).astype(np.float32)


@dataclass(frozen=True)
class Reconstruction:
    """The face drawn from a recording, and what it rests on.

    `image` is the face that the voice suggests; `samples` are more faces that the voice may have,
    as many as were asked for: where they differ, the voice does not say.
    """

    image: Image  # RGB, as wide and high as `size` said: the face of `voice.shown`
    samples: tuple[Image, ...]  # RGB, of the same size: faces drawn from the Gaussian
    voice: VoiceEmbedding  # what the faces were drawn from

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the recording, a sentence each; empty where nothing was."""
        return self.voice.speech.warnings


class Speech2Face:
    """A voice encoder and a face decoder, loaded and ready; `speech2face.load` makes it.

    `card` is the `Card` of the model: its name, version and licence. Safe to use from several
    threads and in forked processes. A pickle or a copy holds where the model lies and its hashes,
    not its weights: the model is loaded again, and ModelError is raised where it is another now.
    """

    def __init__(self, model: Model, threads: int = THREADS) -> None:
        self.card = model.card
        threads = check_whole("threads", threads, 1, MOST_THREADS)
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
        (B, D, D), the average face (B, D), and where the face is drawn (B, D).

        Raises UsageError where the numbers are of another shape, are not finite, or are less than
        0.1 s of sound.
        """
        speech = check_rows("waveforms", waveforms, least=LEAST_SAMPLES)
        if not len(speech):
            raise UsageError("waveforms is empty; give at least one.")
        outputs = self._encoder.run(None, {"waveform": speech})
        mean, covariance, average, shown = (np.asarray(output) for output in outputs)
        return mean, covariance, average, shown

    def decode(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Face embeddings (B, D) → pictures (B, S, S, 3), uint8 RGB, and landmarks (B, 66, 2).

        Landmarks are x and y as fractions of the picture's side, from its upper left corner. S is
        224 and D is 128 for the model that comes with the package.
        Raises UsageError where the numbers are of another shape, or are not finite.
        """
        length = self._decoder.get_inputs()[0].shape[1]  # D
        rows = check_rows("embeddings", embeddings, least=length, most=length)
        return draw_faces(self._decoder, rows)

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
        if not isinstance(style, str) or style not in STYLES:
            raise UsageError(f"style is {' or '.join(STYLES)}, not {style!r:.60}.")
        size = check_whole("size", size, SIZES[0], SIZES[-1], "pixels")
        samples = check_whole("samples", samples, 0, MOST_SAMPLES)
        seed = check_whole("seed", seed, 0)
        voice = self.embed(source, start=start, end=end, track=track, progress=progress)
        embeddings = np.concatenate([voice.shown[None], voice.sample(samples, seed)])
        faces = zip(*self.decode(embeddings), strict=True)
        image, *others = (_picture(pixels, marks, size, style) for pixels, marks in faces)
        return Reconstruction(image, tuple(others), voice)


def load(model: str | Path = "default", *, threads: int = THREADS) -> Speech2Face:
    """Load a model, ready to draw. Load it once: it is used as often as you like.

    `model` is the name of a model that comes with the package (`speech2face models` lists them) or
    a folder that `speech2face export` wrote. `threads` is how many threads the networks compute
    in, 1 to 1024, by default 2: more gain little on recordings of seconds, and take processor
    cores from other work.

    Raises ModelError where there is no such model, or one of its files is missing or is not the
    one on its card, and UsageError where an argument is neither.
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
