"""Sounds without a voice, made up from seeds: music, noises, tones and silence, of 2 to 12 s.

A recipe makes another sound from each seed: other notes, tempos, timbres, filters. Each sound gets
a level, and some a room, a telephone or a floor of noise. Recipes are parted into halves, so that
what was chosen on one half is measured on recipes it has never met.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from made_up_music import MUSIC
from sound_parts import (
    Recipe,
    Rng,
    band_pass,
    buzz,
    decay,
    drift,
    every,
    noise,
    resonate,
    speak_vowels,
    swell,
)
from speech2face.media import SAMPLE_RATE

SECONDS = 2.0, 12.0


def make_sound(kind: str, recipe: str, seed: int) -> np.ndarray:
    """Sound (n,) float32 within ±1; the same one each time."""
    rng = np.random.default_rng([seed, *recipe.encode()])
    n = round(rng.uniform(*SECONDS) * SAMPLE_RATE)
    sound = RECIPES[kind][recipe](rng, n)
    if kind == "silence":
        return np.asarray(sound, np.float32)
    return _record(sound, rng)


def list_recipes(kind: str, tuning: bool) -> list[str]:
    """Those of one half: of each two neighbours one is for tuning."""
    return list(RECIPES[kind])[0 if tuning else 1 :: 2]


def _record(sound: np.ndarray, rng: Rng) -> np.ndarray:
    """A room, a telephone or a floor of noise with some; a level with all."""
    sound = sound / max(float(np.abs(sound).max()), 1e-9)
    if rng.random() < 0.3:
        tail = rng.normal(size=round(rng.uniform(0.1, 0.8) * SAMPLE_RATE))
        tail *= np.exp(-np.linspace(0, 7, len(tail)))
        tail[0] = rng.uniform(3, 12)
        sound = fftconvolve(sound, tail)[: len(sound)]
    if rng.random() < 0.2:
        sound = band_pass(sound, 300, 3400)
    sound = sound / max(float(np.abs(sound).max()), 1e-9)
    if rng.random() < 0.5:
        sound = sound + 10 ** (rng.uniform(-70, -35) / 20) * noise(rng, len(sound), 1)
    level = 10 ** (rng.uniform(-25, -1) / 20)
    return (level * sound / np.abs(sound).max()).astype(np.float32)


# Noise ------------------------------------------------------------------------------------------


def white_pink_brown(rng: Rng, n: int) -> np.ndarray:
    return noise(rng, n, rng.uniform(0, 2))


def wind(rng: Rng, n: int) -> np.ndarray:
    gusts = drift(rng, n, rng.uniform(0.5, 3))
    howl = resonate(noise(rng, n), 300 + 900 * gusts, 60) * gusts
    return (0.1 + gusts**2) * noise(rng, n, 2) + rng.uniform(0, 3) * howl


def engine(rng: Rng, n: int) -> np.ndarray:
    speed = rng.uniform(20, 60) * (1 + rng.uniform(0, 2) * drift(rng, n, 0.5))
    sound = buzz(speed, 80, rng.uniform(0.3, 1)) * (1 + 0.3 * noise(rng, n))
    return sum(resonate(sound, f, 150) for f in rng.uniform(80, 1500, 3)) + 0.2 * noise(rng, n, 1)


def rain(rng: Rng, n: int) -> np.ndarray:
    def drop() -> np.ndarray:
        m = round(rng.uniform(0.002, 0.02) * SAMPLE_RATE)
        return noise(rng, m) * decay(m, 500) * rng.exponential(1)

    hiss = band_pass(noise(rng, n), rng.uniform(300, 2000), 7500)
    return every(rng, n, rng.uniform(0.003, 0.03), drop) + rng.uniform(0.02, 0.5) * hiss


def keyboard(rng: Rng, n: int) -> np.ndarray:
    def press() -> np.ndarray:
        m = round(0.08 * SAMPLE_RATE)
        click = resonate(noise(rng, m), rng.uniform(800, 4000), 600) * decay(m, 120)
        return click * rng.uniform(0.3, 1) + np.roll(click, m // 2) * 0.4

    return every(rng, n, rng.uniform(0.08, 0.3), press) + 0.01 * noise(rng, n, 1)


def applause(rng: Rng, n: int) -> np.ndarray:
    def clap() -> np.ndarray:
        m = round(0.03 * SAMPLE_RATE)
        return resonate(noise(rng, m), rng.uniform(700, 2500), 700) * decay(m, 150)

    return every(rng, n, rng.uniform(0.004, 0.1), clap)


def crowd(rng: Rng, n: int) -> np.ndarray:
    """Dozens of noises of syllables far away, of which none is a voice."""
    voices = [
        resonate(noise(rng, n), f, 120) * drift(rng, n, rng.uniform(2, 6)) ** 2
        for f in rng.uniform(250, 2500, 24)
    ]
    return sum(voices) + 0.1 * noise(rng, n, 1)


def sea(rng: Rng, n: int) -> np.ndarray:
    waves = drift(rng, n, rng.uniform(0.15, 0.6)) ** 2
    return waves * noise(rng, n, 1) + waves[::-1] * band_pass(noise(rng, n), 1000, 6000) * 0.3


def passing_cars(rng: Rng, n: int) -> np.ndarray:
    def car() -> np.ndarray:
        m = round(rng.uniform(1, 4) * SAMPLE_RATE)
        hump = np.hanning(m) ** 2
        hum = buzz(rng.uniform(50, 110) * np.linspace(1.1, 0.9, m), 30, 0.8)
        return hump * (noise(rng, m, 1.2) + rng.uniform(0, 0.5) * hum) * rng.uniform(0.2, 1)

    return every(rng, n, rng.uniform(0.5, 2), car) + 0.02 * noise(rng, n, 1)


def fan(rng: Rng, n: int) -> np.ndarray:
    blades = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(5, 40) * np.arange(n) / SAMPLE_RATE)
    hum = buzz(np.full(n, rng.choice([50.0, 60.0, 100.0])), 20, 1.5)
    return blades * noise(rng, n, rng.uniform(0.5, 1.5)) + rng.uniform(0, 1) * hum


def dogs(rng: Rng, n: int) -> np.ndarray:
    """Barks: short harmonic bursts with formants."""

    def bark() -> np.ndarray:
        m = round(rng.uniform(0.1, 0.35) * SAMPLE_RATE)
        pitch = rng.uniform(200, 700) * (1 + 0.5 * np.hanning(m))
        throat = buzz(pitch, 30, 0.6) + 0.5 * noise(rng, m)
        return sum(resonate(throat, f, 250) for f in rng.uniform(500, 2500, 2)) * swell(
            m, 0.02, 0.1
        )

    return every(rng, n, rng.uniform(0.3, 1), bark) + 0.02 * noise(rng, n, 1)


def radio_static(rng: Rng, n: int) -> np.ndarray:
    bursts = (drift(rng, n, rng.uniform(3, 20)) > rng.uniform(0.3, 0.7)) * 1.0
    tuning = np.sin(2 * np.pi * np.cumsum(300 + 2500 * drift(rng, n, 2)) / SAMPLE_RATE)
    return bursts * band_pass(noise(rng, n), 300, 4000) + rng.uniform(0, 1) * tuning


def footsteps(rng: Rng, n: int) -> np.ndarray:
    m, gap = round(0.15 * SAMPLE_RATE), rng.uniform(0.35, 0.7)
    sound = 0.02 * noise(rng, n, 1)
    for at in range(0, n, round(gap * SAMPLE_RATE)):
        step = noise(rng, m, 1.5) * decay(m, 40) + 0.3 * noise(rng, m) * decay(m, 25)
        sound[at : at + m] += (rng.uniform(0.5, 1) * step)[: n - at]
    return sound


def formant_noise(rng: Rng, n: int) -> np.ndarray:
    """A whisper of no one: noise through vowels that change, in syllables."""
    return speak_vowels(noise(rng, n) * drift(rng, n, 6) ** 2, rng, rng.uniform(3, 7))


# Tones ------------------------------------------------------------------------------------------


def _sines(hertz: tuple[float, ...] | list[float], n: int) -> np.ndarray:
    times = np.arange(n) / SAMPLE_RATE
    return sum((np.sin(2 * np.pi * f * times) for f in hertz), np.zeros(n))


def _gate(n: int, *seconds: float) -> np.ndarray:
    """On and off for these times by turns."""
    edges = np.cumsum(
        np.resize(seconds, 2 * int(n / SAMPLE_RATE / sum(seconds) + 1) * len(seconds))
    )
    on = np.searchsorted(edges, np.arange(n) / SAMPLE_RATE, side="right") % 2 == 0
    return np.convolve(on, np.ones(80) / 80, "same")


def ringing_tone(rng: Rng, n: int) -> np.ndarray:
    tone = [(440, 480), (400, 450), (425,), (400,)][rng.integers(4)]
    pattern = [(2, 4), (0.4, 0.2, 0.4, 2), (1, 4), (1, 2)][rng.integers(4)]
    return _sines(tone, n) * _gate(n, *pattern) + 1e-4 * noise(rng, n)


def dual_tone_digits(rng: Rng, n: int) -> np.ndarray:
    sound, m = np.zeros(n), round(rng.uniform(0.06, 0.3) * SAMPLE_RATE)
    for at in range(0, n - m, 2 * m):
        pair = [rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])]
        sound[at : at + m] = _sines(pair, m)
    return sound + 1e-3 * noise(rng, n)


def dial_or_busy(rng: Rng, n: int) -> np.ndarray:
    gate = [np.ones(n), _gate(n, 0.5, 0.5), _gate(n, 0.25, 0.25)][rng.integers(3)]
    return _sines([(350, 440), (480, 620), (425,)][rng.integers(3)], n) * gate


def mobile_ring(rng: Rng, n: int) -> np.ndarray:
    notes = 600 * 2 ** (rng.integers(0, 18, 8) / 12)
    m = round(rng.uniform(0.08, 0.25) * SAMPLE_RATE)
    tune = np.concatenate(
        [np.sign(np.sin(2 * np.pi * f * np.arange(m) / SAMPLE_RATE)) for f in notes]
    )
    return np.resize(tune, n) * _gate(n, 8 * m / SAMPLE_RATE * 2, rng.uniform(0.2, 2))


def bell_telephone(rng: Rng, n: int) -> np.ndarray:
    strikes = 0.5 + 0.5 * np.sign(
        np.sin(2 * np.pi * rng.uniform(18, 28) * np.arange(n) / SAMPLE_RATE)
    )
    metal = _sines(rng.uniform(900, 5000, 7).tolist(), n)
    return metal * np.convolve(strikes, np.ones(300) / 300, "same") * _gate(n, 1, 2)


def siren(rng: Rng, n: int) -> np.ndarray:
    wave = _sines([rng.uniform(0.2, 4)], n)
    wave = np.sign(wave) if rng.random() < 0.4 else wave
    return buzz(rng.uniform(500, 1000) * 2 ** (rng.uniform(0.1, 0.6) * wave), 8, 1.5)


def modem(rng: Rng, n: int) -> np.ndarray:
    bits = np.repeat(rng.integers(0, 2, n // 53 + 1), 53)[:n]
    pitch = rng.choice([1070.0, 1270.0, 2100.0]) + 200 * bits
    return np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) + 0.05 * noise(rng, n)


def alarm_clock(rng: Rng, n: int) -> np.ndarray:
    beep = buzz(np.full(n, rng.uniform(600, 2500)), 5, 1)
    return beep * _gate(n, *([rng.uniform(0.05, 0.15)] * 7), rng.uniform(0.3, 0.8))


def morse(rng: Rng, n: int) -> np.ndarray:
    unit = rng.uniform(0.05, 0.1)
    pattern = [unit * x for mark in rng.choice([1, 3], 40) for x in (mark, rng.choice([1, 3]))]
    return _sines([rng.uniform(400, 1000)], n) * _gate(n, *pattern) + 0.02 * noise(rng, n)


def sweep(rng: Rng, n: int) -> np.ndarray:
    ends = np.log(rng.uniform(50, 7000, 2))
    return np.sin(2 * np.pi * np.cumsum(np.exp(np.linspace(*ends, n))) / SAMPLE_RATE)


def door_chime(rng: Rng, n: int) -> np.ndarray:
    def ding() -> np.ndarray:
        m, f = 2 * SAMPLE_RATE, rng.uniform(400, 900)
        first, second = _sines([f, 2.7 * f], m), _sines([f / 1.26, 2.1 * f], m)
        return first * decay(m, 3) + np.roll(second * decay(m, 3), m // 3)

    return every(rng, n, 1.5, ding)


def test_tone(rng: Rng, n: int) -> np.ndarray:
    count = int(rng.integers(1, 4))
    return _sines(rng.uniform(80, 3000, count).tolist(), n) + rng.uniform(0, 0.1) * noise(rng, n)


# Silence ----------------------------------------------------------------------------------------


def digital(rng: Rng, n: int) -> np.ndarray:
    return np.full(n, rng.choice([0.0, 0.0, 0.01, -0.2]))


def dithered(rng: Rng, n: int) -> np.ndarray:
    return np.round(rng.uniform(-0.5, 0.5, n) + rng.uniform(-0.5, 0.5, n)) / 2**15


def hum(rng: Rng, n: int) -> np.ndarray:
    level = 10 ** (rng.uniform(-75, -40) / 20)
    return level * buzz(np.full(n, rng.choice([50.0, 60.0])), int(rng.integers(1, 12)), 1.2)


def clicks(rng: Rng, n: int) -> np.ndarray:
    return every(rng, n, rng.uniform(0.1, 2), lambda: rng.uniform(-0.5, 0.5) * np.ones(3))


def quiet_room(rng: Rng, n: int) -> np.ndarray:
    return 10 ** (rng.uniform(-85, -50) / 20) * noise(rng, n, rng.uniform(0, 2))


def one_pop(rng: Rng, n: int) -> np.ndarray:
    sound, m = dithered(rng, n), 400
    sound[n // 2 : n // 2 + m] += 0.3 * noise(rng, m, 2) * decay(m, 200)
    return sound


def noise_gate(rng: Rng, n: int) -> np.ndarray:
    return quiet_room(rng, n) * (drift(rng, n, 2) > 0.5)


def rumble(rng: Rng, n: int) -> np.ndarray:
    return 10 ** (rng.uniform(-60, -30) / 20) * band_pass(noise(rng, n, 2), 5, 60)


def _by_name(*recipes: Recipe) -> dict[str, Recipe]:
    return {recipe.__name__: recipe for recipe in recipes}


RECIPES: dict[str, dict[str, Recipe]] = {
    "music": MUSIC,
    "noise": _by_name(
        white_pink_brown,
        fan,
        wind,
        sea,
        engine,
        passing_cars,
        rain,
        applause,
        keyboard,
        footsteps,
        crowd,
        formant_noise,
        radio_static,
        dogs,
    ),
    "tones": _by_name(
        ringing_tone,
        dial_or_busy,
        dual_tone_digits,
        morse,
        mobile_ring,
        bell_telephone,
        siren,
        modem,
        alarm_clock,
        door_chime,
        sweep,
        test_tone,
    ),
    "silence": _by_name(digital, dithered, hum, quiet_room, clicks, one_pop, noise_gate, rumble),
}
