"""Lip synchrony: does a mouth move with a sound? A linear measure, fitted to people who speak.

What is seen, 25 times a second: where lips and chin are, and how the mouth looks (teeth and tongue
tell as much as the gap between the lips), each by a few principal components, with 3 frames before
and after. What is heard: 26 mel bands of the voice, as means of 40 ms, with 3 of them before and
after. Canonical correlation analysis (Hotelling, 1936; for mouths Slaney and Covell, "FaceSync",
NIPS 2000) finds the directions of either in which one follows the other best. The agreement of a
mouth and a sound is the correlation of their movements along these directions, without changes
slower than syllables, at the best of some lags; a lag costs, for most films are in time, and among
many lags one always fits by chance.

`scripts/fit_synchrony.py` fits the directions, `benchmarks/speaking_faces.py` tests them on people
whom they were not fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from speech2face.errors import ModelError
from speech2face.files import write_atomically
from speech2face.media import SAMPLE_RATE
from speech2face.preparation.mouth_tracking import INNER_LIPS, OUTER_LIPS, Mouth
from speech2face.preparation.video import Sound

ASSET = Path(__file__).parents[1] / "assets" / "synchrony.npz"

STEP = 0.04  # s between the times compared
AROUND = 3  # steps before and after that are seen and heard with each
TREND = 0.8  # s: slower changes are the sentence's and the smile's; syllables are faster
LARGEST_LAG = 0.24  # s between picture and sound
LAG_COST = 0.8  # of agreement, for each second of lag
BANDS, LOWEST, HIGHEST = 26, 80.0, 7600.0  # mel bands, Hz
HOP, WINDOW = 160, 400  # samples: 100 spectra a second, of 25 ms each
FLOOR = 9.0  # nepers under the loud parts: what is quieter is silence
LOUD = 95  # percentile of the loudest bands that is "the loud parts"
CONTRAST = 8.0  # grey levels added to a picture's contrast, so that noise is not amplified

POINT_PARTS, PICTURE_PARTS = 10, 8  # principal components
DIRECTIONS = 6
PICTURE_RIDGE, SOUND_RIDGE = 0.05, 0.6  # of the mean variance, added to each


@dataclass(frozen=True)
class Synchrony:
    """Fitted directions in which mouth and sound follow each other."""

    points: np.ndarray  # (94, P) principal components of lips and chin
    pictures: np.ndarray  # (1600, Q) of the mouth's picture
    seen: np.ndarray  # (7 (P + Q), K) directions of what is seen
    heard: np.ndarray  # (7 · 26, K) of what is heard
    weights: np.ndarray  # (K,) canonical correlations

    @classmethod
    def load(cls, path: Path = ASSET) -> Self:
        """Load the fitted directions. Raises ModelError where the file holds none."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(**{one.name: arrays[one.name] for one in fields(cls)})
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ModelError(f"{path}: cannot be read ({error}).") from None

    def save(self, path: Path) -> None:
        arrays = {one.name: getattr(self, one.name).astype(np.float32) for one in fields(self)}
        with write_atomically(path) as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]

    def agreement(
        self, mouth: Mouth, sound: Sound, spans: Sequence[tuple[float, float]]
    ) -> tuple[float, float]:
        """Agreement in [−1, 1], and the lag in seconds by which the sound comes after the mouth.

        What lies in the spans (start and end, s in the file) is compared. (−1, 0) where that is
        too short.
        """
        times = even_times(mouth.times, spans)
        if len(times) <= 2 * AROUND:
            return -1.0, 0.0
        smooth = moving_mean(times)
        seen = gather(self._parts(mouth), mouth.times, times, self.seen)
        seen -= smooth @ seen
        bands, at = measure_bands(sound)
        best = (-1.0, 0.0)
        for lag in sorted(np.arange(-LARGEST_LAG, LARGEST_LAG + STEP / 4, STEP), key=abs):
            spoken = gather(bands, at, times + lag, self.heard)
            spoken -= smooth @ spoken
            agreement = _correlate(seen, spoken, self.weights) - LAG_COST * abs(lag)
            best = max(best, (float(agreement), float(lag)), key=lambda one: one[0])
        return best

    def _parts(self, mouth: Mouth) -> np.ndarray:
        """(T, P + Q) principal components of each frame."""
        return np.hstack([flatten(mouth) @ self.points, even_out(mouth) @ self.pictures])


def fit_synchrony(clips: Sequence[tuple[Mouth, Sound]]) -> Synchrony:
    """The directions of mouths that speak and their sounds, and of the same in the mirror."""
    both = [(one, sound) for mouth, sound in clips for one in (mouth, mirror(mouth))]
    grids = [even_times(mouth.times, [(-np.inf, np.inf)]) for mouth, _ in both]
    smooths = [moving_mean(times) for times in grids]
    frames = [moving_mean(mouth.times) for mouth, _ in both]
    parts = []
    for measure, count in ((flatten, POINT_PARTS), (even_out, PICTURE_PARTS)):
        values = [measure(mouth) for mouth, _ in both]
        moving = np.vstack([v - smooth @ v for v, smooth in zip(values, frames, strict=True)])
        components = np.linalg.svd(moving, full_matrices=False)[2][:count].T
        parts.append(components / (moving @ components).std())
    seen, heard = [], []
    first = Synchrony(*parts, *(np.zeros(0) for _ in range(3)))
    for (mouth, sound), times, smooth in zip(both, grids, smooths, strict=True):
        bands, at = measure_bands(sound)
        for values, at_times, measured in (
            (seen, mouth.times, first._parts(mouth)),
            (heard, at, bands),
        ):
            one = gather(measured, at_times, times, np.eye((2 * AROUND + 1) * measured.shape[1]))
            values.append(one - smooth @ one)
    return Synchrony(*parts, *_correlate_canonically(np.vstack(seen), np.vstack(heard)))


def _correlate_canonically(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Directions of (N, A) and (N, B), (A, K) and (B, K), and their correlations (K,)."""
    roots = []
    for values, ridge in ((x, PICTURE_RIDGE), (y, SOUND_RIDGE)):
        covariance = values.T @ values / len(values)
        covariance += ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        roots.append(np.linalg.inv(np.linalg.cholesky(covariance)))
    left, correlations, right = np.linalg.svd(roots[0] @ (x.T @ y / len(x)) @ roots[1].T)
    chosen = slice(DIRECTIONS)
    return roots[0].T @ left[:, chosen], roots[1].T @ right[chosen].T, correlations[chosen]


def even_times(times: np.ndarray, spans: Sequence[tuple[float, float]]) -> np.ndarray:
    """Times in the spans, STEP apart, at which a frame is near."""
    if not len(times):
        return times
    even = np.arange(times[0], times[-1] + STEP / 4, STEP)
    after = (
        np.clip(np.searchsorted(times, even), 1, max(len(times) - 1, 1)) if len(times) > 1 else 0
    )
    near = np.minimum(np.abs(times[after] - even), np.abs(times[after - 1] - even)) <= 2 * STEP
    inside = np.any([(even >= start) & (even <= end) for start, end in spans], axis=0)
    return even[near & inside]


def moving_mean(times: np.ndarray) -> np.ndarray:
    """A matrix (T, T): times values at some times, their mean over TREND around each."""
    close = np.abs(times - times[:, None]) <= TREND / 2
    return close / close.sum(1, keepdims=True)


def gather(
    values: np.ndarray, at: np.ndarray, times: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Values (N, D) known `at` some times → (T, K), of the values around each of other times.

    `directions` are ((2 AROUND + 1) D, K); between the values lie straight lines.
    """
    gathered = np.zeros((len(times), directions.shape[1]))
    for place, part in zip(
        range(-AROUND, AROUND + 1), np.split(directions, 2 * AROUND + 1), strict=True
    ):
        projected = values @ part
        for column, target in zip(projected.T, gathered.T, strict=True):
            if column.any():
                target += np.interp(times + place * STEP, at, column)
    return gathered


def flatten(mouth: Mouth) -> np.ndarray:
    """Landmarks of a mouth → rows (T, 94)."""
    return mouth.points.reshape(len(mouth.times), -1)


def even_out(mouth: Mouth) -> np.ndarray:
    """Pictures of a mouth → rows (T, 1600) of mean 0 and about one contrast, whatever the light."""
    values = mouth.pictures.reshape(len(mouth.times), -1).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    return values / (values.std(1, keepdims=True) + CONTRAST)


def mirror(mouth: Mouth) -> Mouth:
    """The same mouth as a mirror shows it."""
    ring = (10 - np.arange(20)) % 20
    chin = len(OUTER_LIPS) + len(INNER_LIPS) + np.array([0, 2, 1, 4, 3, 5, 6])
    order = np.concatenate([ring, len(OUTER_LIPS) + ring, chin])
    points = mouth.points[:, order] * np.array([-1, 1], np.float32)
    return Mouth(mouth.times, points, mouth.pictures[:, :, ::-1])


def measure_bands(sound: Sound) -> tuple[np.ndarray, np.ndarray]:
    """Mel bands of a sound, nepers from its loud parts, as means of 40 ms, 100 times a second.

    Returns (N, BANDS), and the times (N,) in the file.
    """
    count = max(len(sound.samples) // HOP, 1)
    padded = np.pad(sound.samples, (WINDOW // 2, WINDOW // 2 + HOP))
    frames = sliding_window_view(padded, WINDOW)[::HOP][:count] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2 @ _mel_bank().T
    bands = np.log(power + 1e-10)
    loud = np.percentile(bands.max(1), LOUD)
    bands = np.maximum(bands - loud, -FLOOR)
    width = round(STEP * SAMPLE_RATE / HOP)
    sums = np.cumsum(np.vstack([np.zeros((1, BANDS)), bands]), 0)
    first = np.clip(np.arange(count) - width // 2, 0, count)
    last = np.clip(first + width, 1, count)
    means = (sums[last] - sums[first]) / np.maximum(last - first, 1)[:, None]
    return means, sound.start + np.arange(count) * HOP / SAMPLE_RATE


@cache
def _mel_bank() -> np.ndarray:
    """(BANDS, 257) triangles."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (LOWEST, HIGHEST))
    edges = np.linspace(lowest, highest, BANDS + 2)
    low, middle, high = (700 * (10 ** (edges[i : BANDS + i, None] / 2595) - 1) for i in range(3))
    hertz = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
    return np.maximum(
        np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)), 0
    )


def _correlate(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Correlation of two movements (T, K) along weighted directions."""
    norm = np.sqrt((x**2 @ weights).sum() * (y**2 @ weights).sum())
    return float((x * y @ weights).sum() / max(norm, 1e-9))
