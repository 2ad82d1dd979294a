"""Speech recognition: Moonshine Tiny, a small recogniser of English.

Jeffries et al., "Moonshine: Speech recognition for live transcription and voice commands", 2024;
27 M parameters, MIT. Its weights came with the package moonshine-voice up to 0.0.59; ONNX Runtime
runs its files, the package is not imported.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from speech2face.errors import ModelError, NoSpeechError
from speech2face.media import SAMPLE_RATE
from speech2face.privacy.chunking import cut_pieces
from speech2face.runtime import Session, open_session

PACKAGE, FOLDER = "moonshine_voice", "assets/tiny-en"
START, END = 1, 2  # tokens
HEADS, WIDTH = 8, 36
TOKENS_A_SECOND = 6.5  # more than anyone speaks: beyond it the network repeats itself
LEAST = SAMPLE_RATE // 2  # samples it is given at least


@dataclass(frozen=True)
class _Networks:
    encoder: Session
    decoder: Session
    tokens: tuple[bytes, ...]


@dataclass(frozen=True)
class Recognised:
    """Words that were recognised, and how sure the network was of their tokens."""

    text: str
    log_probability: float  # of all tokens together
    tokens: int


def recognise(samples: np.ndarray) -> str:
    """The words in a sound (n,) at 16 kHz, with their punctuation; "" where nobody speaks.

    Raises ModelError where the recogniser is not installed.
    """
    return recognise_surely(samples).text


def recognise_surely(samples: np.ndarray) -> Recognised:
    """The same, with how sure the network was. Raises ModelError."""
    heard = [_transcribe(piece) for piece in cut_pieces([samples])]
    return Recognised(
        " ".join(one.text for one in heard if one.text),
        sum(one.log_probability for one in heard),
        sum(one.tokens for one in heard),
    )


def _transcribe(samples: np.ndarray) -> Recognised:
    """The words of a piece (n,) of at most 20 s."""
    from speech2face.speech import ANYONE, find_speech

    networks = _load_networks()
    if not len(samples):
        return Recognised("", 0.0, 0)
    try:
        find_speech((samples, SAMPLE_RATE), speaker=ANYONE)
    except NoSpeechError:  # the network would make words up
        return Recognised("", 0.0, 0)
    samples = np.pad(samples, (0, max(0, LEAST - len(samples)))).astype(np.float32)
    limit = int(TOKENS_A_SECOND * len(samples) / SAMPLE_RATE) + 1
    tokens, log_probability = _decode(networks, samples, limit)
    return Recognised(_spell(networks.tokens, tokens), log_probability, len(tokens))


def _decode(networks: _Networks, samples: np.ndarray, limit: int) -> tuple[list[int], float]:
    """The most probable token after each other (n,) → at most `limit` of them, and the sum of the
    logarithms of their probabilities."""
    mask = np.ones((1, len(samples)), np.int64)  # of samples, in both networks
    sound = {"input_values": samples[None], "attention_mask": mask}
    states = np.asarray(networks.encoder.run(None, sound)[0])
    names = [i.name for i in networks.decoder.get_inputs() if i.name.startswith("past")]
    past = {name: np.zeros((1, HEADS, 0, WIDTH), np.float32) for name in names}
    fixed = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
    tokens: list[int] = []
    token, total = START, 0.0
    while len(tokens) < limit:
        first = not tokens
        logits, *present = networks.decoder.run(
            None,
            fixed
            | past
            | {"input_ids": np.array([[token]]), "use_cache_branch": np.array([not first])},
        )
        scores = np.asarray(logits)[0, -1].astype(np.float64)
        token = int(scores.argmax())
        total -= np.log(np.exp(scores - scores[token]).sum())
        if token == END:
            break
        tokens.append(token)
        # The encoder's output is handed on by the first step alone.
        past = {
            name: value if first or ".decoder." in name else past[name]
            for name, value in zip(names, present, strict=True)
        }
    return tokens, float(total)


def _spell(vocabulary: tuple[bytes, ...], tokens: list[int]) -> str:
    text = b"".join(vocabulary[token] for token in tokens).decode(errors="replace")
    return " ".join(text.replace("▁", " ").split())


@functools.cache
def _load_networks() -> _Networks:
    spec = find_spec(PACKAGE)
    folder = Path(*(spec.submodule_search_locations or ())[:1], FOLDER) if spec else Path()
    paths = [folder / f"{name}.ort" for name in ("encoder_model", "decoder_model_merged")]
    if not spec or not all(path.is_file() for path in paths):
        raise ModelError(
            "the speech recogniser is not installed: pip install '.[audit]' in a checkout "
            "(moonshine-voice 0.0.59)."
        )
    encoder, decoder = (open_session(path, threads=1) for path in paths)
    return _Networks(encoder, decoder, _read_tokens(folder / "tokenizer.bin"))


def _read_tokens(path: Path) -> tuple[bytes, ...]:
    """Each token: its length (one byte, or two where the first has its highest bit set), bytes."""
    data, position, tokens = path.read_bytes(), 0, []
    while position < len(data):
        length = data[position]
        position += 1
        if length >= 128:
            length += 128 * data[position] - 128
            position += 1
        tokens.append(data[position : position + length])
        position += length
    return tuple(tokens)
