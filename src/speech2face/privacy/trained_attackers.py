"""Attackers who learned from others' disguised voices, ready to attack one recording.

Each knows one method of `anonymise`: it was taught by people who spoke plainly and through that
method (teach_attackers.py). It hears by the released voice encoder, and is given the recording as
spoken and as published. So it measures what it finds, not what it believes:

face   The plain encoder says where the speaker's face may lie (its Gaussian, weighted as
       leakage_estimate.py does). Faces are drawn from there, and strangers from everybody; the
       attacker, who hears the disguised voice alone, sorts them by his likelihood ratio. A face at
       a place tells log2(20 p) bits, p the share of people, by folds, whose face he sorts into the
       same twentieth; `bits` is the mean. Over many people the mean is the divergence that
       docs/privacy.md states of a method. It is below 0 where he is misled.
voice  Half of the plain recording against the other half of the disguised one: the logarithm of
       the likelihood ratio of one speaker to two, by a discriminant that learned both kinds of
       speech. `voice_rank` is the share of strangers whose plain voice scores as high.

Attackers hear by both speaker networks, or by one alone. Those by CAM++ and by GE2E have learned
apart: what one was used to choose, the other may judge.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from speech2face.errors import ModelError, UsageError
from speech2face.media import SAMPLE_RATE
from speech2face.model_folders import ASSETS, FILES, find_model
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.leakage_estimate import (
    BINS,
    STRANGERS,
    Calibration,
    FaceCovariance,
    evidence_weight_of_clip,
    infer_face_covariance,
    measure_sound,
    read_calibration,
    shrink_to_prior,
)
from speech2face.privacy.speaker_discriminant import Discriminant, TwoFormDiscriminant
from speech2face.reconstruct import Speech2Face, load
from speech2face.runtime import Session, open_session
from speech2face.speaker_features import WIDTH, keep_features
from speech2face.speech_windows import WINDOW_SECONDS, cut_windows

Hearing = Literal["both", "campplus", "ge2e"]
Sound = np.ndarray | Sequence[np.ndarray]
"""Speech, float32 (n,) at 16 kHz, or pieces of it one after the other."""

PARTS: Mapping[Hearing, slice] = {
    "both": slice(None),
    "campplus": slice(0, WIDTH),
    "ge2e": slice(WIDTH, None),
}  # of the features
WEIGHTS, CARD = "attackers.npz", "attackers.json"
LEAST_SECONDS = 0.5  # of speech that the encoder takes
LEAST_HALF = 1.0  # s; of less speech the whole is compared
DRAWS = 2000  # faces of the speaker, and of strangers


@dataclass(frozen=True)
class AttackOnRecording:
    """What an attacker who learned from a method finds in one disguised recording."""

    bits: float  # of the face; below 0 where the attacker is misled
    place: int  # of the true face among 1,000 strangers, the mean
    voice_score: float  # log likelihood ratio that both recordings are of one speaker, nats
    voice_rank: float  # share of strangers whose plain voice would score as high, 0 … 1


@dataclass(frozen=True)
class FaceReader:
    """A Gaussian head in the K directions of faces that it tells the most of.

    In them everybody's faces vary by 1, and what a voice tells of one tells nothing of another.
    """

    reading: np.ndarray  # (F, K)
    offset: np.ndarray  # (K,)
    axes: np.ndarray  # (D, K) of faces
    centre: np.ndarray  # (K,) the average face, along the axes
    shares: np.ndarray  # (K,) of a direction's variance that an endless clip explains
    half_gain_seconds: float

    def score(self, features: np.ndarray, seconds: float, faces: np.ndarray) -> np.ndarray:
        """Features (F,) of a clip → log likelihood ratios of faces along the axes (n, K), nats."""
        gain = seconds / (seconds + self.half_gain_seconds)
        shown, variance = gain * (features @ self.reading + self.offset), 1 - gain * self.shares
        apart = faces - self.centre
        return 0.5 * (apart**2 - (apart - shown) ** 2 / variance - np.log(variance)).sum(1)


@dataclass(frozen=True)
class VoiceVerifier:
    """One speaker or two, of a plain and a disguised recording."""

    model: TwoFormDiscriminant
    strangers: np.ndarray  # (Q,) scores of two speakers, rising, at equal steps of their share

    def score(self, disguised: Sequence[np.ndarray], plain: Sequence[np.ndarray]) -> float:
        """Mean score of features (F,), the first with the first and so on, nats."""
        pairs = zip(disguised, plain, strict=True)
        return float(np.mean([self.model.compare(one[None], two[None]) for one, two in pairs]))

    def rank(self, score: float) -> float:
        """The share of strangers who score as high, 0 … 1."""
        return float(np.interp(score, self.strangers, np.linspace(1, 0, len(self.strangers))))


@dataclass(frozen=True)
class TrainedAttacker:
    """An attacker of one method, who hears by `hearing`."""

    method: str
    hearing: Hearing
    face: FaceReader
    voice: VoiceVerifier
    places: np.ndarray  # (20,) share of people by the twentieth in which their face stands

    def measure(self, original: Sound, disguised: Sound) -> AttackOnRecording:
        """Attack the disguised form of a recording; both are of the same speech.

        Raises UsageError where either holds less than half a second.
        """
        plain, hidden = (HeardRecording.hear(sound) for sound in (original, disguised))
        return self.measure_heard(plain, hidden)

    def measure_heard(self, plain: HeardRecording, hidden: HeardRecording) -> AttackOnRecording:
        """The same of what was heard before: for several attackers of one recording."""
        part = PARTS[self.hearing]
        places = sort_faces(self.face, hidden.features[part], hidden.seconds, plain.face)
        score = self.voice.score(
            [half[part] for half in hidden.halves], [half[part] for half in plain.halves[::-1]]
        )
        return AttackOnRecording(
            stated_bits(places, self.places),
            max(1, round(STRANGERS * float(places.mean()))),
            score,
            self.voice.rank(score),
        )


@dataclass(frozen=True)
class PlainFace:
    """Where the faces of everybody, and of the speaker by the plain voice, may lie: Gaussians."""

    average: np.ndarray  # (D,)
    prior: np.ndarray  # (D, D)
    apart: np.ndarray  # (D,) the speaker's mean less the average
    covariance: np.ndarray  # (D, D)


def sort_faces(
    reader: FaceReader, features: np.ndarray, seconds: float, plain: PlainFace
) -> np.ndarray:
    """Places of faces that the speaker may have, among strangers, as an attacker sorts them.

    Features (F,) of the disguised voice → shares (DRAWS,), 0 first and 1 last.
    """
    average = plain.average @ reader.axes

    def look(who: int, centre: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        values, turn = np.linalg.eigh(reader.axes.T @ covariance @ reader.axes)
        spread = turn * np.sqrt(np.maximum(values, 0))
        faces = centre + _draw(len(values))[who] @ spread.T
        return reader.score(features, seconds, faces)

    strangers = np.sort(look(0, average, plain.prior))
    speaker = look(1, average + plain.apart @ reader.axes, plain.covariance)
    return 1 - np.searchsorted(strangers, speaker) / DRAWS


@functools.cache
def _draw(size: int) -> np.ndarray:
    """What strangers and faces of the speaker differ by (2, DRAWS, size)."""
    drawn = np.random.default_rng(0).standard_normal((2, DRAWS, size))
    drawn.flags.writeable = False
    return drawn


def stated_bits(places: np.ndarray, shares: np.ndarray) -> float:
    """Places (n,), 0 first, and the share of people (20,) in each twentieth → mean bits."""
    bins = (places * BINS).astype(int).clip(0, BINS - 1)
    return float(np.log2(BINS * shares[bins]).mean())


@dataclass(frozen=True)
class HeardRecording:
    """A recording as the released encoder hears it, for all attackers."""

    samples: np.ndarray  # float32 (n,), 16 kHz
    features: np.ndarray  # (448,) mean over windows
    halves: tuple[np.ndarray, np.ndarray]  # (448,) of either half; twice the whole of short ones

    @classmethod
    def hear(cls, sound: Sound) -> HeardRecording:
        """Raises UsageError where there is less than half a second."""
        samples = sound if isinstance(sound, np.ndarray) else np.concatenate([*sound])
        samples = samples.astype(np.float32, copy=False)
        if len(samples) < LEAST_SECONDS * SAMPLE_RATE:
            seconds = len(samples) / SAMPLE_RATE
            raise UsageError(f"{seconds:.2f} s of speech are too little to attack; give 0.5 s.")
        encoder = _open_encoder()
        whole = encoder.hear(samples)
        if len(samples) < 2 * LEAST_HALF * SAMPLE_RATE:
            return cls(samples, whole, (whole, whole))
        first, second = np.array_split(samples, 2)
        return cls(samples, whole, (encoder.hear(first), encoder.hear(second)))

    @property
    def seconds(self) -> float:
        """Its length, or that of a window, which says no less."""
        return min(len(self.samples) / SAMPLE_RATE, WINDOW_SECONDS)

    @functools.cached_property
    def face(self) -> PlainFace:
        """The face that it suggests, if its voice is plain."""
        return _open_encoder().read_face(self.samples)


@functools.cache
def load_attacker(method: str, hearing: Hearing = "both") -> TrainedAttacker | None:
    """The released attacker of a method of `anonymise`; None where none was taught, or the method
    was another when it was.

    Raises ModelError where the files are missing or damaged, or of another voice encoder, and
    ValueError for a hearing that is none.
    """
    if hearing not in PARTS:
        raise ValueError(f"no hearing {hearing}; there are {', '.join(PARTS)}.")
    content, card = _read_files(ASSETS)
    if method not in ANONYMISERS or card["methods"].get(method) != repr(load_anonymiser(method)):
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        start = f"{method}/{hearing}/"
        own = {
            name.removeprefix(start): arrays[name].astype(np.float64)
            for name in arrays.files
            if name.startswith(start)
        }
    return unpack_attacker(method, hearing, own)


def unpack_attacker(
    method: str, hearing: Hearing, arrays: Mapping[str, np.ndarray]
) -> TrainedAttacker:
    """The attacker of arrays that `pack_attacker` made. Raises ModelError where one is missing."""
    try:
        face = {key: arrays[f"face.{key}"] for key in FaceReader.__dataclass_fields__}
        model = Discriminant(
            np.zeros(len(arrays["voice.plain"])), arrays["voice.turn"], arrays["voice.between"]
        )
        both = TwoFormDiscriminant(arrays["voice.plain"], arrays["voice.disguised"], model)
        half = float(face.pop("half_gain_seconds"))
        return TrainedAttacker(
            method,
            hearing,
            FaceReader(**face, half_gain_seconds=half),
            VoiceVerifier(both, arrays["voice.strangers"]),
            arrays["places"],
        )
    except KeyError as error:
        raise ModelError(f"attacker of {method}: {error} is missing; install again.") from None


def pack_attacker(attacker: TrainedAttacker) -> dict[str, np.ndarray]:
    """The attacker's numbers, in half precision, by the names that they are kept under."""
    voice = attacker.voice.model
    centre = voice.model.centre  # 0 but for rounding, and taken into the means
    arrays = {f"face.{key}": value for key, value in vars(attacker.face).items()} | {
        "voice.plain": voice.plain + centre,
        "voice.disguised": voice.disguised + centre,
        "voice.turn": voice.model.turn,
        "voice.between": voice.model.between,
        "voice.strangers": attacker.voice.strangers,
        "places": attacker.places,
    }
    return {
        f"{attacker.method}/{attacker.hearing}/{key}": np.asarray(value, np.float16)
        for key, value in arrays.items()
    }


@functools.cache
def _read_files(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """Content of the weights and the card, one the other's. Raises ModelError."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        content = (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(content).hexdigest() != card["sha256"]:
            raise ModelError(f"{folder / WEIGHTS} is not the file on its card; install again.")
        if card["encoder"] != find_model().card.sha256[FILES[0]]:
            raise ModelError(f"{folder / CARD}: attackers of another encoder; install again.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CARD}: no attackers ({error}); install again.") from None
    return content, card


@dataclass(frozen=True)
class _Encoder:
    """The released voice encoder, whole and before its head."""

    network: Speech2Face
    session: Session
    average: np.ndarray  # (D,) the mean face
    faces: FaceCovariance
    calibration: Calibration

    def hear(self, samples: np.ndarray) -> np.ndarray:
        """Features (448,), their mean over windows."""
        windows = cut_windows(samples[None])
        return np.mean([self.session.run(None, {"waveform": w})[0][0] for w in windows], axis=0)

    def read_face(self, samples: np.ndarray) -> PlainFace:
        mean = self.network.encode(samples[None])[0][0]
        seconds, sound = len(samples) / SAMPLE_RATE, measure_sound(samples)
        weight = evidence_weight_of_clip(self.calibration, seconds, sound)
        apart, covariance = shrink_to_prior(mean, self.average, self.faces, seconds, weight)
        return PlainFace(self.average, self.faces.prior, apart, covariance)


@functools.cache
def _open_encoder() -> _Encoder:
    model = find_model()
    network = load()
    average = network.encode(np.zeros((1, SAMPLE_RATE), np.float32))[2][0].astype(np.float64)
    return _Encoder(
        network,
        open_session(model.voice_encoder, cut=keep_features),
        average,
        infer_face_covariance(network.encode),
        read_calibration(model),
    )
