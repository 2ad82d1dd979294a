"""Estimates what one recording discloses of its speaker's face, in bits and in words.

The encoder's Gaussian for a voice stands beside that of everybody's faces, the prior. It predicts
at which place the true face stands among strangers who are sorted by likelihood ratio; how far
that place is from chance is what the voice discloses, in bits, as
metrics/rank_disclosure.py measures it of many people. One more bit halves the crowd in which a
person hides.

The encoder knows how long a clip is, but not how noisy, and states too much of very short ones. So
its evidence is weighted by a number from 0 to 1, κ = 1 / (1 + d + a / seconds + b / range + c):
d is how much surer the encoder is than it should be, the range that of loud over quiet in the clip,
as a ratio, and c counts where there is no sound above 4 kHz. `Calibration` holds these numbers,
fitted on people whom the encoder had not met (fit_calibration.py).

Sex is a yes or no whose probability the voice changes, age a line in the space of faces; what the
voice says of them alone comes first, the rest is everything else. Neither is ever printed itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from speech2face.errors import ModelError
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.audit_results import AverageBits
from speech2face.metrics.gaussian_distance import stated_bits
from speech2face.model_folders import FILES, Model
from speech2face.speech_windows import WINDOW_SECONDS

STRANGERS = 1000
DRAWS = 10_000  # faces of the speaker, and of strangers, by which ranks are simulated
LENGTHS = (0.5, 1.0, 2.0)  # seconds at which the model's covariance is read
FILE = "disclosure.json"  # in a model's folder
BINS = 20  # of the places of true faces, as in metrics/rank_disclosure.py
LEAST = 1e-3  # of a direction's variance that a voice has to explain to count
FRAME, BANDS = 512, 16  # samples, and bands of 500 Hz
LOW, HIGH = slice(0, 7), slice(8, 15)  # bands below 3.5 kHz, and above 4 kHz
NARROW = -45.0  # dB between them, below which the sound has come by a telephone


@dataclass(frozen=True)
class Calibration:
    """Calibration of one model on people it had not met; `speech2face calibrate` fits it."""

    doubt: float = 0.0  # d
    shortness: float = 0.0  # a, s
    noise: float = 0.0  # b
    narrow: float = 0.0  # c
    deviation: float = 0.0  # standard error of mean disclosed bits, as a share of them
    sex_axis: tuple[float, ...] = ()  # (D,) logit of a face = axis · embedding + offset
    sex_offset: float = 0.0
    age_axis: tuple[float, ...] = ()  # (D,) years, but for an offset
    people: int = 0  # on whom it was fitted; 0 is no calibration
    encoder: str = ""  # whose numbers they are: the sha256 of its file
    averages: tuple[AverageBits, ...] = ()  # found of these people, by seconds heard


@dataclass(frozen=True)
class FaceCovariance:
    """The covariances (D, D) of all faces, and of what an endless clip explains of them."""

    prior: np.ndarray
    explained: np.ndarray
    half_gain_seconds: float  # length of clip that explains half of it

    def gain(self, seconds: float) -> float:
        """Give the share heard, as the encoder has it: more than a window says no more than one."""
        seconds = min(seconds, WINDOW_SECONDS)
        return seconds / (seconds + self.half_gain_seconds)

    @cached_property
    def whitening(self) -> tuple[np.ndarray, np.ndarray]:
        """Result of `whiten_by_prior`, computed once: OpenBLAS runs it on threads that wait for
        each other for up to a second where other processes compute too."""
        return whiten_by_prior(self)


@dataclass(frozen=True)
class LeakageEstimate:
    """Knowledge of one face beyond the prior, by a Gaussian. Bits, and shares of a crowd."""

    bits: float
    sex: float | None  # bits of `bits`; None where the model's calibration has no axes
    age: float | None  # of age among people of one sex
    mean_rank: float  # of the true face among strangers, 0 first, 1 last
    ranks: tuple[float, ...]  # that it does not exceed in 10, 50, 90 of 100 cases


@dataclass(frozen=True)
class SoundProperties:
    """Properties of a sound, beside its length, that change how much can be heard in it."""

    range_db: float
    narrow: bool


def read_calibration(model: Model) -> Calibration:
    """The numbers in a model's folder; none where there are none, or those of another encoder.

    Raises ModelError where they cannot be read.
    """
    path = model.folder / FILE
    if not path.is_file():
        return Calibration()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        axes = {k: tuple(stored[k]) for k in ("sex_axis", "age_axis") if k in stored}
        averages = tuple(AverageBits(**one) for one in stored.get("averages", ()))
        calibration = Calibration(**(stored | axes | {"averages": averages}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not a calibration ({error}).") from None
    return calibration if calibration.encoder == model.card.sha256[FILES[0]] else Calibration()


def write_calibration(calibration: Calibration, model: Model) -> Path:
    """Write the calibration beside the model's other files. Raises UsageError where it cannot."""
    path = model.folder / FILE
    write_text_atomically(path, f"{json.dumps(asdict(calibration))}\n")
    return path


def infer_face_covariance(encode: Callable[[np.ndarray], tuple[np.ndarray, ...]]) -> FaceCovariance:
    """A model's covariances of faces, from what it gives at three lengths.

    `encode`: speech (1, samples) → mean, covariance (1, D, D) and more. The covariance of t seconds
    is prior − g(t) explained with g = t / (t + half), so two differences give the half, and then
    all else. Raises ModelError where the covariance does not change with length.
    """
    short, middle, long = (
        encode(np.zeros((1, round(t * SAMPLE_RATE)), np.float32))[1][0].astype(np.float64)
        for t in LENGTHS
    )
    s, m, t = LENGTHS
    first, second = np.trace(short - middle), np.trace(middle - long)
    if min(first, second) <= 1e-6 * np.trace(long):
        raise ModelError("this model's covariance does not depend on length: it cannot be audited.")
    # (g(m) − g(s)) / (g(t) − g(m)) = (m − s)(t + half) / ((t − m)(s + half))
    ratio = first / second * (t - m) / (m - s)
    half = (t - ratio * s) / (ratio - 1)
    gains = [length / (length + half) for length in LENGTHS]
    explained = (short - long) / (gains[2] - gains[0])
    return FaceCovariance(long + gains[2] * explained, explained, float(half))


def measure_sound(samples: np.ndarray) -> SoundProperties:
    """Measure speech, float32 (n,) at 16 kHz, 0.5 s or longer."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[:: FRAME // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2
    bands = power[:, 1:].reshape(len(power), BANDS, -1).mean(2)
    decibels = 10 * np.log10(bands + 1e-12)
    loud, quiet = np.quantile(decibels, [0.95, 0.1], axis=0)
    above = loud[HIGH].mean() - loud[LOW].mean()
    return SoundProperties(float((loud - quiet)[: BANDS // 2].mean()), bool(above < NARROW))


def evidence_weight(
    calibration: Calibration,
    seconds: np.ndarray,
    range_db: np.ndarray,
    narrow: np.ndarray,
) -> np.ndarray:
    """κ of clips (n,), from their length, range and whether they are narrow."""
    unheard = calibration.doubt + calibration.shortness / seconds
    unheard = unheard + calibration.noise * 10 ** (-range_db / 10) + calibration.narrow * narrow
    return 1 / (1 + unheard)


def evidence_weight_of_clip(
    calibration: Calibration, seconds: float, sound: SoundProperties
) -> float:
    """κ of one clip, from its length in s and its sound."""
    values = (np.array([v], float) for v in (seconds, sound.range_db, sound.narrow))
    return float(evidence_weight(calibration, *values)[0])


def shrink_to_prior(
    mean: np.ndarray, average: np.ndarray, faces: FaceCovariance, seconds: float, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """A model's mean (D,) → what is stated: mean less average, and covariance (D, D).

    The smaller the weight κ, the nearer both are to the prior.
    """
    covariance = faces.prior - weight * faces.gain(seconds) * faces.explained
    return weight * (mean.astype(np.float64) - average), covariance


def whiten_by_prior(faces: FaceCovariance) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (D, D) to multiply rows by, and the explained share of each direction (D,).

    Afterwards the prior is 1 in every direction, and the explained part lies along them.
    """
    root = np.linalg.inv(np.linalg.cholesky(faces.prior))
    shares, turn = np.linalg.eigh(root @ faces.explained @ root.T)
    return root.T @ turn, np.clip(shares, 0, 0.999)


def simulate_ranks(
    mean: np.ndarray,
    variance: np.ndarray,
    seed: int = 0,
    draws: int = DRAWS,
) -> np.ndarray:
    """Draw ranks of the true face among strangers, by likelihood ratio: shares (draws,), 0 first.

    Mean less average and variance (D,), whitened by the prior. Drawn from the stated Gaussian.
    """
    explained = variance < 1 - LEAST  # of the other directions the voice says next to nothing
    if not explained.any():
        return (np.arange(draws) + 0.5) / draws
    mean, variance = mean[explained], np.maximum(variance[explained], 1e-6)
    strangers, noise = _draw(seed, draws, len(mean))
    # A face f scores Σ f² − (f − mean)² / variance; a speaker's is mean + √variance noise.
    order = np.sort(_sum_squares(strangers, 1 - 1 / variance, 2 * mean / variance))
    scores = _sum_squares(noise, variance - 1, 2 * mean * np.sqrt(variance))
    scores += (mean**2 + mean**2 / variance).sum()
    before = np.searchsorted(order, scores) + np.searchsorted(order, scores, "right")
    return 1 - before / (2 * draws)


def _sum_squares(values: np.ndarray, square: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Values v (n, D) → the sum over D of square v² + linear v: (n,)."""
    return np.einsum("nd,nd->n", values, values * square + linear)


@lru_cache(maxsize=4)
def _draw(seed: int, draws: int, size: int) -> np.ndarray:
    """Strangers and what speakers differ by (2, draws, size); 6 MB for one recording."""
    drawn = np.random.default_rng(seed).standard_normal((2, draws, size))
    drawn.flags.writeable = False
    return drawn


def rank_bits(shares: np.ndarray) -> float:
    """Places (n,), 0 first and 1 last → their divergence from uniform, bits, in `BINS` bins.

    Less what chance adds; the same histogram as in metrics/rank_disclosure.py.
    """
    counts = np.bincount((shares * BINS).astype(int).clip(0, BINS - 1), minlength=BINS)
    part = counts[counts > 0] / len(shares)
    luck = (len(part) - 1) / (2 * len(shares) * np.log(2))
    return max(0.0, float((part * np.log2(part * BINS)).sum() - luck))


def estimate_leakage(
    mean: np.ndarray,
    average: np.ndarray,
    faces: FaceCovariance,
    seconds: float,
    sound: SoundProperties,
    calibration: Calibration,
    seed: int = 0,
) -> LeakageEstimate:
    """A model's mean and average (D,) of a clip of so many seconds → what they say."""
    weight = evidence_weight_of_clip(calibration, seconds, sound)
    apart, covariance = shrink_to_prior(mean, average, faces, seconds, weight)
    axes, shares = faces.whitening
    variance = 1 - weight * faces.gain(seconds) * shares
    places = simulate_ranks(apart @ axes, variance, seed)
    sex = age = None
    if calibration.sex_axis:
        sex = _bits_of_sex(apart, covariance, average, faces, calibration)
        lines = np.array([calibration.sex_axis, calibration.age_axis])
        both, alone = (
            stated_bits(a @ apart, a @ covariance @ a.T, np.zeros(len(a)), a @ faces.prior @ a.T)
            for a in (lines, lines[:1])
        )
        age = both - alone
    ranks = tuple(float(q) for q in np.quantile(places, [0.1, 0.5, 0.9]))
    return LeakageEstimate(rank_bits(places), sex, age, float(places.mean()), ranks)


def _bits_of_sex(
    apart: np.ndarray,
    covariance: np.ndarray,
    average: np.ndarray,
    faces: FaceCovariance,
    calibration: Calibration,
) -> float:
    """Divergence of the probability of a sex, given the voice, from that of everybody, bits."""
    axis = np.array(calibration.sex_axis)
    centre = float(axis @ average) + calibration.sex_offset

    def probability(mean: float, variance: float) -> float:
        # The mean of a logistic function over a Gaussian (MacKay 1992).
        return 1 / (1 + np.exp(-mean / np.sqrt(1 + np.pi * variance / 8)))

    after = probability(centre + float(axis @ apart), float(axis @ covariance @ axis))
    before = probability(centre, float(axis @ faces.prior @ axis))
    cases = ((after, before), (1 - after, 1 - before))
    return float(sum(p * np.log2(p / q) for p, q in cases if p > 0))
