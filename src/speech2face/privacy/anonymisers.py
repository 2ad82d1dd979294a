"""Anonymisers by name: what makes a voice another while its words stay.

mcadams              formants moved by one known power of their angles (mcadams.py)
mcadams-random       the same with a power drawn for each speaker
pitch-formant        pitch and formants shifted by factors drawn for each speaker (world_vocoder.py)
whisper              no pitch at all, formants shifted (world_vocoder.py)
smoothing            spectral envelopes blurred (spectral_smoothing.py)
telephone            a telephone's band, with noise (telephone_line.py)
vocoder              loudness of 48 bands, heard through tones elsewhere (channel_vocoder.py)
resynthesis          recognised and spoken again by a machine's voice (resynthesis.py)
resynthesis-natural  the same by a natural voice

Who knows the method has seen much of it undone: all of these but the last two let through what
`speech2face audit` measures. Random draws follow from the seed, which has to stay secret.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from speech2face.errors import ModelError, UnreadableMediaError, UsageError
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.name_suggestions import suggest
from speech2face.privacy.channel_vocoder import ChannelVocoder
from speech2face.privacy.espeak import EspeakVoice
from speech2face.privacy.kokoro import KokoroVoice
from speech2face.privacy.mcadams import McAdams
from speech2face.privacy.resynthesis import Resynthesis
from speech2face.privacy.spectral_smoothing import Smoothing
from speech2face.privacy.telephone_line import Telephone
from speech2face.privacy.world_vocoder import PitchFormantShift


class Anonymiser(Protocol):
    """Mono sound, float32 (n,) at 16 kHz, and the speaker's seed (≥ 0) → sound of that kind.

    The same sound and seed give the same result. All but programs keep the length.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray: ...


_METHODS: Mapping[str, Anonymiser] = MappingProxyType(
    {
        method.name: method
        for method in (
            McAdams("mcadams", 0.8, 0.8),
            McAdams("mcadams-random", 0.5, 0.9),
            PitchFormantShift("pitch-formant", semitones=(2, 5), formants=(1.08, 1.2)),
            PitchFormantShift("whisper", semitones=None, formants=(1.08, 1.2)),
            Smoothing("smoothing", hertz=250, seconds=0.03),
            Telephone("telephone", decibels=15),
            ChannelVocoder("vocoder", bend=(0.04, 0.1)),
            Resynthesis("resynthesis", EspeakVoice("en-us")),
            Resynthesis("resynthesis-natural", KokoroVoice("jf_alpha")),
        )
    }
)
ANONYMISERS: tuple[str, ...] = tuple(_METHODS)
DEFAULT = "whisper"  # by the rule of `attack_table.choose_default`
WITHOUT_WORLD = "mcadams"  # by the same rule, of those that need no other library


def load_anonymiser(name: str) -> Anonymiser:
    """The anonymiser of this name, one of those in docs/anonymisers.md.

    Raises UsageError where there is none. Called, some raise ModelError where a library or program
    they need is not installed.
    """
    if name not in _METHODS:
        raise UsageError(
            f"no anonymiser {name or repr(name)}; there are {', '.join(ANONYMISERS)}."
            f"{suggest(name, ANONYMISERS)}"
        )
    return _METHODS[name]


def choose_anonymiser(name: str | None, command: str | None) -> Anonymiser:
    """The anonymiser of a name or a command line; without either the best that is installed."""
    if name and command:
        raise UsageError("--method and --command exclude each other.")
    if command is not None:
        return CommandAnonymiser(command)
    best = DEFAULT if find_spec("pyworld") else WITHOUT_WORLD
    return load_anonymiser(name or best)


@dataclass(frozen=True)
class CommandAnonymiser:
    """Runs any program: in its command line {in} and {out} are WAV files, {seed} the seed.

    No shell reads it. The program is given a WAV file, mono, 16 kHz, 16 bits, and has to write any
    sound that can be read. It is killed after `patience` seconds and as many more as the sound
    lasts, ten times. Raises UsageError for a command that cannot be run, and when called
    ModelError where the program fails, takes too long or writes nothing that can be read.
    """

    command: str
    name: str = "command"
    patience: float = 120.0  # s

    def __post_init__(self) -> None:
        self._fill("", "", 0)

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        from speech2face.privacy.anonymise_recording import write_sound

        with tempfile.TemporaryDirectory(prefix="speech2face-") as folder:
            given, made = Path(folder, "in.wav"), Path(folder, "out.wav")
            write_sound([samples], given)
            limit = self.patience + 10 * len(samples) / SAMPLE_RATE
            self._run(self._fill(str(given), str(made), seed), limit, Path(folder, "said"))
            try:
                return load_audio(made).samples
            except UnreadableMediaError:
                raise ModelError(f"{self._program} wrote no sound that can be read.") from None

    @property
    def _program(self) -> str:
        return shlex.split(self.command)[0]

    def _fill(self, given: str, made: str, seed: int) -> list[str]:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise UsageError(f"--command cannot be read ({error}).") from None
        for place in ("{in}", "{out}"):
            if place not in self.command:
                raise UsageError(f"--command has no {place}; give 'program {{in}} {{out}}'.")
        values = {"{in}": given, "{out}": made, "{seed}": str(seed)}
        for place, value in values.items():
            words = [word.replace(place, value) for word in words]
        return words

    def _run(self, words: list[str], limit: float, said: Path) -> None:
        """Waits for the program, at most `limit` seconds; whatever it started ends with it."""
        with said.open("w+b") as log:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise UsageError(f"{words[0]} cannot be run ({error.strerror}).") from None
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                raise ModelError(f"{words[0]} took longer than {limit:.0f} s.") from None
            finally:
                with suppress(ProcessLookupError):  # nothing of it is left
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if status != 0:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 2_000))
                lines = log.read().decode(errors="replace").strip().splitlines()
                said_last = f": {lines[-1]}" if lines else ""
                how = (
                    f"was ended by signal {-status}"
                    if status < 0
                    else f"failed with status {status}"
                )
                raise ModelError(f"{words[0]} {how}{said_last}.")
