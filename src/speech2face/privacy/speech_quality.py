"""Loss of sound quality by anonymising: four proxies, none of them a listener's opinion.

speech kept         seconds in which the speech detector finds speech, over those in the original;
                    speech it takes for noise is no longer natural, but what it accepts may be ugly
pitch roughness     how pitch jumps from one 5 ms to the next, in cents; a person's voice glides.
                    Of a whisper there is none (NaN)
spectral distance   in dB, between frames of the original and the result, levels left out: how much
                    was changed, for better or worse. Needs sounds of one length
delays              how far from the original's beginning each stretch of speech begins, in seconds

Networks trained on people's opinions would be better, but none comes in a package that is kept up.
"""

from __future__ import annotations

import numpy as np

from speech2face.errors import NoSpeechError
from speech2face.media import SAMPLE_RATE
from speech2face.privacy.overlap_add import cut_frames
from speech2face.privacy.world_vocoder import find_pitch
from speech2face.speech import ANYONE, find_speech
from speech2face.speech_stretches import cut_stretches
from speech2face.speech_windows import WINDOW_SECONDS
from speech2face.voice_activity import detect_speech

FRAME, HOP = 512, 128  # samples, 32 ms and 8 ms
AUDIBLE = 40.0  # dB below the loudest frame: what is quieter is not compared
DEPTH = 50.0  # dB below its loudest bin: what is quieter in a frame is not heard
STEP = 200.0  # cents within 5 ms: more is an error of the octave, or another voice


def measure_speech(samples: np.ndarray) -> float:
    """Seconds of speech found in a sound (n,) at 16 kHz, at most ten."""
    try:
        found = find_speech((samples, SAMPLE_RATE), max_seconds=WINDOW_SECONDS, speaker=ANYONE)
        return found.speech_seconds
    except NoSpeechError:
        return 0.0


def measure_delays(original: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """How far from each stretch of speech in the original (k,), s, the nearest one begins after.

    (0,) where either has no speech.
    """
    before, after = _find_starts(original), _find_starts(changed)
    if not len(before) or not len(after):
        return np.empty(0)
    return np.abs(before[:, None] - after).min(1)


def _find_starts(samples: np.ndarray) -> np.ndarray:
    """Where stretches of speech begin in a sound (n,), s."""
    if not len(samples):
        return np.empty(0)
    ((_, probabilities),) = detect_speech([samples])
    starts = [stretch.start for stretch in cut_stretches(samples, probabilities, 0)]
    return np.array(starts) / SAMPLE_RATE


def measure_roughness(samples: np.ndarray) -> float:
    """Median step of the pitch in cents; NaN where less than a tenth of a second has a pitch."""
    pitch = find_pitch(samples)
    voiced = (pitch[1:] > 0) & (pitch[:-1] > 0)
    steps = np.abs(1200 * np.log2(pitch[1:][voiced] / pitch[:-1][voiced]))
    steps = steps[steps < STEP]
    return float(np.median(steps)) if len(steps) >= 20 else float("nan")


def measure_distance(original: np.ndarray, changed: np.ndarray) -> float:
    """Mean log-spectral distance of the audible frames, dB; NaN for other lengths or silence."""
    if len(original) != len(changed):
        return float("nan")
    spectra = [np.abs(np.fft.rfft(cut_frames(x, FRAME, HOP))) for x in (original, changed)]
    energies = (spectra[0] ** 2).sum(1)
    audible = energies > energies.max() * 10 ** (-AUDIBLE / 10)
    if not audible.any() or not spectra[1].any():
        return float("nan")
    levels = []
    for spectrum in spectra:
        decibels = 20 * np.log10(np.maximum(spectrum[audible], 1e-9))
        decibels = np.maximum(decibels, decibels.max(1, keepdims=True) - DEPTH)
        levels.append(decibels - decibels.mean(1, keepdims=True))
    return float(np.sqrt(((levels[0] - levels[1]) ** 2).mean(1)).mean())
