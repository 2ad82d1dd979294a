"""Channels become one: within ±1, finite, and without channels that cancel each other.

Channels are averaged. Where they are out of phase (a miswired cable makes the right channel the
left one inverted) the average would be silence; there the channels that run against the loudest
are inverted first, which keeps what only one of them holds. This is decided once a second, by
energies between 200 Hz and 2 kHz, with enough distance between inverting and going back that no
recording goes to and fro, and cross-faded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from speech2face.media.channel_levels import ChannelLevels

CANCELLED = 5.0  # times the energy of the average that inverting wins: channels are inverted
COHERENT = 1.5  # times, below which they are averaged as they are again
BAND = 200, 2_000  # Hz in which phases are compared: a voice's harmonics, no hum
SILENT = 1e-9  # mean energy in the band below which no phase can be seen, -90 dBFS
CROSSFADE = 0.02  # s
FULL_SCALE = 0.999  # from here on a sample counts as clipped


def scale_integers(channels: np.ndarray) -> np.ndarray:
    """Integers → floats within ±1 by their type's range; floats as they are."""
    if channels.dtype.kind == "f":
        return channels
    exact = np.float32 if channels.dtype.itemsize <= 2 else np.float64
    sound = channels.astype(exact)
    sound /= 2.0 ** (8 * channels.dtype.itemsize - 1)
    if channels.dtype.kind == "u":
        sound -= 1
    return sound


class Downmixer:
    """Pieces of channels → pieces of mono sound; `warnings` tells what was wrong with them."""

    def __init__(self) -> None:
        self.samples = 0  # of all channels
        self.levels = ChannelLevels()  # of what was mixed so far, where there are several
        self._clipped = self._not_finite = 0
        self._inverted: set[int] = set()  # channels, from 1
        self._signs, self._begins = np.ones(0), True
        self._gain, self._peak = 1.0, 0.0

    @property
    def warnings(self) -> list[str]:
        """Faults of the sound mixed so far, a sentence each."""
        sentences = []
        if self._inverted:
            numbers = " and ".join(map(str, sorted(self._inverted)))
            one = len(self._inverted) == 1
            sentences.append(
                f"the channels are out of phase and would cancel each other: "
                f"channel{'' if one else 's'} {numbers} {'was' if one else 'were'} inverted"
            )
        if self._not_finite:
            sentences.append(f"{self._not_finite} samples were not finite and were silenced")
        if self._gain < 1:
            sentences.append(f"the samples reach {self._peak:.3g} and were scaled down to ±1")
        if self._clipped > 0.01 * self.samples:
            share = self._clipped / self.samples
            sentences.append(f"the sound is clipped: {share:.0%} of its samples are at full scale")
        return sentences

    def expect_peak(self, peak: float) -> None:
        """Scale floats for a peak that is known to come."""
        if peak > 1:
            self._gain, self._peak = 1 / peak, peak

    def mix(
        self, pieces: Iterable[tuple[np.ndarray, float]], headroom: float = 1.0
    ) -> Iterator[tuple[np.ndarray, float]]:
        """Pieces (channels, n) of any number type with their rates → float32 (n,) within ±1.

        Floats beyond ±1 are clipped up to `headroom`, as decoders overshoot, and scaled down
        where they reach further.
        """
        for channels, rate in _group(pieces):
            count = len(channels)
            if count != len(self._signs):
                self._signs, self._begins = np.ones(count), True
            if (self._signs > 0).all() and (channels[1:] == channels[0]).all():
                channels, self._begins = channels[:1], False
            sound = self._to_unit(channels, headroom, count)
            if count > 1:
                self.levels.add(sound, rate, count)
            yield self._average(sound, rate), rate

    def _to_unit(self, channels: np.ndarray, headroom: float, count: int) -> np.ndarray:
        """Any number type → floats within ±1; of several channels that are alike one is given."""
        copies = count // len(channels)
        if channels.dtype.kind == "f":
            sound, peak = channels, _largest(channels)
            if not np.isfinite(peak):
                finite = np.isfinite(channels)
                self._not_finite += finite.size - int(np.count_nonzero(finite))
                sound = np.where(finite, channels, 0)
                peak = _largest(sound)
            if peak * self._gain > (headroom if self._gain == 1 else 1):
                self._gain, self._peak = 1 / peak, peak
            if self._gain < 1:
                sound = sound * sound.dtype.type(self._gain)
            if peak > 1:
                sound = sound.clip(-1, 1)
        else:
            sound = scale_integers(channels)
            peak = _largest(sound)
        self.samples += copies * sound.size
        if peak >= FULL_SCALE:
            self._clipped += copies * int(np.count_nonzero(np.abs(sound) >= FULL_SCALE))
        return sound

    def _average(self, sound: np.ndarray, rate: float) -> np.ndarray:
        """(channels, n) → (n,), inverting channels where the average would cancel."""
        before = self._signs
        if len(sound) > 1:
            self._signs = self._find_signs(sound, rate)
        if self._begins:
            before, self._begins = self._signs, False
        if (before > 0).all() and (self._signs > 0).all():
            if len(sound) == 1:
                return sound[0].astype(np.float32, copy=False)
            mean = np.add.reduce(sound, axis=0) / len(sound)  # quicker than mean()
            return mean.astype(np.float32, copy=False)
        self._inverted |= {int(i) + 1 for i in np.flatnonzero(self._signs < 0)}
        mixed = self._signs @ sound / len(sound)
        if (before != self._signs).any():
            n = min(round(CROSSFADE * rate), len(mixed))
            fade = np.linspace(0, 1, n)
            mixed[:n] = fade * mixed[:n] + (1 - fade) * (before @ sound[:, :n] / len(sound))
        return mixed.astype(np.float32)

    def _find_signs(self, sound: np.ndarray, rate: float) -> np.ndarray:
        """1 or -1 for each channel, those of the second before where nothing says otherwise."""
        step = max(round(rate / (2 * BAND[1])), 1)
        length = sound.shape[1] // step
        length -= length % 100 if length > 100 else 0  # quick to transform
        parts = sound[:, : length * step].reshape(len(sound), length, step)
        low = parts @ np.full(step, 1 / step, sound.dtype)
        first, last = (hertz * length * step / rate for hertz in BAND)  # lines of the spectrum
        if math.floor(last) < math.ceil(first) or not length:
            return self._signs
        spectra = np.fft.rfft(low)[:, math.ceil(first) : math.floor(last) + 1]
        products = (spectra @ spectra.conj().T).real.astype(np.float64)  # of each two channels
        energies = products.diagonal()
        if energies.max() < SILENT * length**2:
            return self._signs
        signs = np.where(products[energies.argmax()] < 0, -1.0, 1.0)
        signs *= np.sign(signs @ self._signs) or signs[0]
        plain, turned = products.sum(), signs @ products @ signs
        needed = CANCELLED if (self._signs > 0).all() else COHERENT
        return signs if turned > needed * plain else np.ones(len(sound))


def _largest(sound: np.ndarray) -> float:
    """The largest magnitude; not finite where a sample is not."""
    return float(np.maximum(sound.max(initial=0), -sound.min(initial=0)))


def _group(pieces: Iterable[tuple[np.ndarray, float]]) -> Iterator[tuple[np.ndarray, float]]:
    """Pieces of any length → those of a second or more, shorter only before a change of form."""
    held: list[np.ndarray] = []
    length, form = 0, None
    for piece, rate in pieces:
        if form not in (None, (len(piece), piece.dtype, rate)):
            yield _join(held), form[2]
            held, length = [], 0
        form = (len(piece), piece.dtype, rate)
        held.append(piece)
        length += piece.shape[1]
        if length >= rate:
            yield _join(held), rate
            held, length, form = [], 0, None
    if held and form:
        yield _join(held), form[2]


def _join(pieces: list[np.ndarray]) -> np.ndarray:
    """Each channel in one piece of memory: averaging interleaved ones takes five times as long."""
    whole = np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0]
    return np.ascontiguousarray(whole)
