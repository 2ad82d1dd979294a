"""The pipeline: recording → speech → a Gaussian over faces → a typical face of such a voice.

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

from speech2face.check_numbers import check_rows, check_whole
from speech2face.deprecation import renamed
from speech2face.errors import ModelError, UsageError
from speech2face.face_drawing import check_hair, draw_faces, finish_picture
from speech2face.joined_speech import find_joined_speech
from speech2face.media import AudioSource
from speech2face.model_folders import ASSETS, Model, find_model
from speech2face.pictures import MOST_SAMPLES, SIZES, check_strength, check_style
from speech2face.runtime import THREADS, open_session
from speech2face.speech import LONGEST, Speech, find_speech
from speech2face.speech_windows import cut_windows
from speech2face.watermark import add_mark

if TYPE_CHECKING:
    from PIL.Image import Image


LEAST_SAMPLES = 1_600  # of a waveform: a tenth of a second; of less the encoder makes nothing
MOST_THREADS = 1_024
MOST_DRAWN = 1_000_000  # embeddings at once: a gigabyte


@dataclass(frozen=True)
class VoiceEmbedding:
    """The face that a voice suggests: a Gaussian over embeddings of a face recogniser.

    `mean` and `covariance` are its own, and D is 128 for the model that comes with the package.
    The mean lies nearer to `prior_mean`, the mean of all people's faces, than any person's face
    does; `decoded_embedding`, of which the face is drawn, lies as far from it as a typical face of
    such a voice. `speech` is what was chosen of the recording, and `model` the name of the model.
    """

    mean: np.ndarray  # (D,) float32: the Gaussian's mean
    covariance: np.ndarray  # (D, D) float32: the Gaussian's covariance
    prior_mean: np.ndarray  # (D,) float32: the mean of all people's faces
    decoded_embedding: np.ndarray  # (D,) float32: where a typical face of such a voice lies
    speech: Speech  # what was used of the recording
    model: str  # the name of the model

    average = renamed("VoiceEmbedding.average", "prior_mean")
    shown = renamed("VoiceEmbedding.shown", "decoded_embedding")

    def at_strength(self, strength: float) -> np.ndarray:
        """The embedding (D,) float32 of the face at a strength: 0 is the average face, 1 a typical
        one of such a voice (`decoded_embedding`), and up to 1.5 more of the same.

        Raises UsageError where `strength` is no number from 0 to 1.5.
        """
        return _go_out(self.prior_mean, self.decoded_embedding, check_strength(strength))

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
    as many as were asked for: where they differ, the voice does not say. All carry the watermark
    that `speech2face check` finds.
    """

    image: Image  # RGB, as wide and high as `size` said: the face of `voice.at_strength(strength)`
    samples: tuple[Image, ...]  # RGB, of the same size: faces drawn from the Gaussian
    voice: VoiceEmbedding  # what the faces were drawn from
    strength: float = 1.0  # of `image`: 0 average, 1 typical
    hair: str = "typical"  # of all pictures: typical, none, or the number of a shape

    @property
    def comments(self) -> tuple[str, ...]:
        """Words for the pictures' metadata: how `image` and each of `samples` were drawn."""
        face = f"strength {self.strength:g} (0 average, 1 typical), hair {self.hair}"
        return face, *[f"a sample, hair {self.hair}"] * len(self.samples)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Faults of the recording, a sentence each; empty where there is none."""
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

    @property
    def hair_shapes(self) -> int:
        """Number of hair shapes to choose among; 0 where the model draws no hair of its own.

        That is so for models of versions up to 0.2.
        """
        return self.card.hair_shapes

    @property
    def hair_kinds(self) -> int:
        """How many numbers choose a face's hair: none, shapes and colours; 0 without a choice."""
        _, *choices = self._decoder.get_inputs()
        return int(choices[0].shape[1]) if choices else 0

    def __reduce__(self) -> tuple[Any, ...]:
        folder = self._model.folder
        name = folder.name if folder.parent == ASSETS else str(folder.absolute())
        return _load_again, (name, self.card.sha256, self._threads)

    def embed(
        self,
        source: AudioSource | Speech | list[AudioSource],
        *,
        start: float = 0.0,
        end: float | None = None,
        track: int | None = None,
        speaker: str | int = LONGEST,
        progress: Callable[[float], None] | None = None,
    ) -> VoiceEmbedding:
        """Find the speech in `source` → the Gaussian over face embeddings that it suggests.

        `source` is a path, "-" (standard input), the bytes of a media file, (samples, sample rate
        in Hz), a list of several such recordings of one person, which `find_joined_speech` joins,
        or a `Speech` that was found already. Only the part from `start` to `end` is listened to, in
        seconds of a single recording; `track` chooses among the sound tracks of a file, from 1. Of
        several people `speaker` chooses, as in `find_speech`: "longest" is who speaks most, a
        number one of them. They do not go with a `Speech`, of which `find_each_speaker` gives one
        for each person. `progress` is called with how many seconds have been listened to.

        Raises UnreadableMediaError, NoSpeechError, and UsageError where the recording has no such
        part, track or speaker.
        """
        if isinstance(source, Speech | list) and (start or end is not None or track is not None):
            raise UsageError(
                "start, end and track go with one recording, not with several or with speech found "
                "in it."
            )
        if isinstance(source, list):
            speech = find_joined_speech(source, speaker=speaker, progress=progress)
        elif not isinstance(source, Speech):
            speech = find_speech(
                source, start=start, end=end, track=track, speaker=speaker, progress=progress
            )
        elif speaker != LONGEST:
            raise UsageError("speaker goes with a recording, not with speech found in it.")
        else:
            speech = source
        mean, covariance, prior_mean, decoded = (x[0] for x in self.encode(speech.samples[None]))
        return VoiceEmbedding(mean, covariance, prior_mean, decoded, speech, self.card.name)

    def encode(
        self, waveforms: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Speech (B, samples) at 16 kHz, 0.5 s or longer → mean (B, D), covariance (B, D, D),
        prior mean (B, D) and decoded embedding (B, D), as in `VoiceEmbedding`.

        Of more than 10 s they are means over windows of 10 s (`speech_windows.py`). Raises
        UsageError where the numbers are of another shape, are not finite, or are less than 0.1 s of
        sound.
        """
        speech = check_rows("waveforms", waveforms, least=LEAST_SAMPLES)
        if not len(speech):
            raise UsageError("waveforms is empty; give at least one.")
        heard = self._encoder.run_each(None, [{"waveform": x} for x in cut_windows(speech)])
        outputs = (np.mean(windows, axis=0) for windows in zip(*heard, strict=True))
        mean, covariance, prior_mean, unshrunk = outputs
        return mean, covariance, prior_mean, _go_out(prior_mean, unshrunk, self.card.typical)

    def decode(
        self, embeddings: np.ndarray, *, hair: str | int = "typical", seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Face embeddings (B, D) → pictures (B, S, S, 3), uint8 RGB, and landmarks (B, 66, 2).

        Landmarks are x and y as fractions of the picture's side, from its upper left corner. S is
        224 and D is 128 for the model that comes with the package. `hair` and `seed` are those of
        `reconstruct`: of the same seed, the same embedding has the same hair. These pictures are
        for measuring and carry no watermark: `watermark.add_mark` adds it to what is shown.
        Raises UsageError where the numbers are of another shape, or are not finite, and where there
        is no such hair or seed.
        """
        worn = check_hair(hair, seed, self.hair_shapes)
        length = self._decoder.get_inputs()[0].shape[1]  # D
        rows = check_rows("embeddings", embeddings, least=length, most=length)
        return draw_faces(self._decoder, rows, worn)

    def reconstruct(
        self,
        source: AudioSource | Speech | list[AudioSource],
        *,
        samples: int = 0,
        seed: int = 0,
        size: int = 224,
        style: str = "plain",
        strength: float = 1.0,
        hair: str | int = "typical",
        start: float = 0.0,
        end: float | None = None,
        track: int | None = None,
        speaker: str | int = LONGEST,
        progress: Callable[[float], None] | None = None,
    ) -> Reconstruction:
        """Draw the face that the voice in `source` suggests.

        `samples` more faces are drawn from the Gaussian, the same for the same seed; `size` is the
        pictures' side in pixels; `style` is plain, or cartoon for a flat illustration. `strength`
        is how far from the average the face is drawn: 0 average, 1 typical, at most 1.5; samples
        lie where the Gaussian has them.

        Hair is not in a voice. `hair` is typical (hair that people who look so often have, for
        each face its own; another `seed` than 0 gives others), none, or one of the shapes 1 to
        `hair_shapes` for all faces. `source`, `start`, `end`, `track`, `speaker` and `progress` are
        those of `embed`. Raises UnreadableMediaError, NoSpeechError, and UsageError where one of
        these is out of range, or hair is chosen of a model that has no choice.
        """
        style, strength = check_style(style), check_strength(strength)
        size = check_whole("size", size, SIZES[0], SIZES[-1], "pixels")
        samples = check_whole("samples", samples, 0, MOST_SAMPLES)
        worn = check_hair(hair, seed, self.hair_shapes)
        voice = self.embed(
            source, start=start, end=end, track=track, speaker=speaker, progress=progress
        )
        face = voice.at_strength(strength)
        embeddings = np.concatenate([face[None], voice.sample(samples, worn.seed)])
        faces = zip(*draw_faces(self._decoder, embeddings, worn), strict=True)
        image, *others = (
            add_mark(finish_picture(pixels, landmarks, size, style), self.card.number)
            for pixels, landmarks in faces
        )
        return Reconstruction(image, tuple(others), voice, strength, worn.name)


def load(model: str | Path = "default", *, threads: int = THREADS) -> Speech2Face:
    """Load a model, ready to draw. Load it once: it is used as often as you like.

    `model` is the name of a model that `speech2face models` lists, a folder that `speech2face
    export` wrote, or an address: https://HOST/FILE.tar.gz#sha256=DIGITS, or hf:OWNER/NAME@COMMIT,
    from which it is fetched once, checked and kept (docs/models.md). `threads` is how many threads
    the networks compute in, 1 to 1024, by default 2: more gain little on recordings of seconds, and
    take processor cores from other work.

    Raises ModelError where there is no such model, it cannot be fetched, or one of its files is
    missing or is not the one on its card, and UsageError where an argument is neither, or the
    model cannot be kept.
    """
    return Speech2Face(find_model(model), threads)


def _load_again(name: str, sha256: dict[str, str], threads: int) -> Speech2Face:
    """Load a pickled model again. Raises ModelError also where it is another model now."""
    model = load(name, threads=threads)
    if model.card.sha256 != sha256:
        raise ModelError(f"model {name} is not the one that was pickled: other weights.")
    return model


def _go_out(start: np.ndarray, face: np.ndarray, times: float) -> np.ndarray:
    """Move from the mean face towards another, so many times as far: to the bit itself at 1."""
    return np.float32(1 - times) * start + np.float32(times) * face
