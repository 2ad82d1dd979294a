"""Reading sound: a file, bytes, standard input or an array → mono sound at 16 kHz.

opening ─► completeness, tracks ─► downmix ─► stream (resampled, cut, in blocks)
arrays ───────────────────────────►
"""

from typing import Any

from speech2face.deprecation import warn_renamed
from speech2face.media.audio_tracks import choose_track
from speech2face.media.opening import CONTAINERS, AudioSource, open_container
from speech2face.media.rates import SAMPLE_RATE, SAMPLE_RATES
from speech2face.media.stream import AudioStream, Waveform, load_audio, stream_audio

__all__ = [
    "CONTAINERS",
    "SAMPLE_RATE",
    "SAMPLE_RATES",
    "AudioSource",
    "AudioStream",
    "Waveform",
    "choose_track",
    "load_audio",
    "open_container",
    "stream_audio",
]


def __getattr__(name: str) -> Any:
    if name == "Source":
        warn_renamed("media.Source", "media.AudioSource")
        return AudioSource
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
