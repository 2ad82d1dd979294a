"""Speech recognition: Moonshine Tiny, a small recogniser of English.

Jeffries et al., "Moonshine: Speech recognition for live transcription and voice commands", 2024;
27 M parameters, MIT. Its weights came with the package moonshine-voice up to 0.0.59; ONNX Runtime
runs its files, the package is not imported.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from speech2face.errors import ModelError, NoSpeechError
from speech2face.media import SAMPLE_RATE
from speech2face.privacy.chunking import MOMENT, cut_pieces
from speech2face.privacy.recogniser_confidence import Evidence, judge_utterances
from speech2face.runtime import Session, open_session
from speech2face.speech_stretches import EDGE, cut_stretches
from speech2face.voice_activity import CHUNK, detect_speech

PACKAGE, FOLDER = "moonshine_voice", "assets/tiny-en"
START, END = 1, 2  # tokens
HEADS, WIDTH = 8, 36
TOKENS_A_SECOND = 6.5  # more than anyone speaks: beyond it the network repeats itself
LEAST = SAMPLE_RATE // 2  # samples it is given at least
MARGIN = EDGE * CHUNK  # samples of an utterance before its first word and after its last
SHORTEST = SAMPLE_RATE  # samples of an utterance; a shorter one is heard with the next


@dataclass(frozen=True)
class Utterance:
    """What was said between two pauses, as the recogniser heard it."""

    start: float  # s
    end: float  # s
    text: str  # with punctuation; perhaps ""
    confidence: float  # mean log-probability of the words, see recogniser_confidence.py
    understood: bool  # whether that is enough to believe the text


@dataclass(frozen=True)
class _Networks:
    encoder: Session
    decoder: Session
    tokens: tuple[bytes, ...]


def transcribe(samples: np.ndarray) -> list[Utterance]:
    """What is said in a sound (n,) at 16 kHz, utterance by utterance; none where nobody speaks.

    An utterance lasts from one pause to the next, at least a second where another follows, and at
    most 20 s. The recogniser writes English words whatever it hears: what is no English, or is not
    clear, is told by `understood`. Raises ModelError where the recogniser is not installed.
    """
    _load_networks()
    spans: list[tuple[float, float]] = []
    evidence: list[Evidence] = []
    texts: list[str] = []
    start = 0  # of the piece, in samples
    for piece in cut_pieces([samples]):
        for first, last in _find_stretches(piece):
            text, found = _hear(piece[first:last])
            # The words begin after the soft edge that is heard with them, and end before it.
            words = (start + first + bool(first) * MARGIN, start + last - MARGIN)
            spans.append((words[0] / SAMPLE_RATE, max(words) / SAMPLE_RATE))
            texts.append(text)
            evidence.append(found)
        start += len(piece) - MOMENT
    verdicts = judge_utterances(evidence)
    return [
        Utterance(*span, text, confidence, understood and text != "")
        for span, text, (confidence, understood) in zip(spans, texts, verdicts, strict=True)
    ]


def recognise(samples: np.ndarray) -> str:
    """The words in a sound (n,) at 16 kHz, with their punctuation; "" where nobody speaks.

    They are heard in pieces of up to 20 s, which is a little more exact than utterance by
    utterance, and are given whether they are to be believed or not. Raises ModelError where the
    recogniser is not installed.
    """
    _load_networks()
    texts = [_hear(piece)[0] for piece in cut_pieces([samples]) if _find_stretches(piece)]
    return " ".join(text for text in texts if text)


def _find_stretches(piece: np.ndarray) -> list[tuple[int, int]]:
    """First and last sample of what is said between pauses in a piece (n,) of at most 20 s."""
    from speech2face.speech import ANYONE, find_speech

    if not len(piece):
        return []
    ((_, probabilities),) = detect_speech([piece])
    spans = [(part.start, part.end) for part in cut_stretches(piece, probabilities, 0)]
    if not spans:
        try:  # which looks again where noise hides the speech
            found = find_speech((piece, SAMPLE_RATE), speaker=ANYONE).segments
        except NoSpeechError:  # the network would make words up
            return []
        spans = [(round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for a, b in found]
    return list(_join_short(spans))


def _join_short(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in samples, in order → those of at least `SHORTEST`, except a lone one."""
    first, last = spans[0]
    for start, end in spans[1:]:
        if last - first >= SHORTEST and spans[-1][1] - start >= SHORTEST:
            yield first, last
            first = start
        last = end
    yield first, last


def _hear(samples: np.ndarray) -> tuple[str, Evidence]:
    """The words of a sound (n,) of at most 20 s, and how sure they are."""
    networks = _load_networks()
    samples = np.pad(samples, (0, max(0, LEAST - len(samples)))).astype(np.float32)
    limit = int(TOKENS_A_SECOND * len(samples) / SAMPLE_RATE) + 1
    tokens, probabilities = _decode(networks, samples, limit)
    return _spell(networks.tokens, tokens), Evidence(tuple(tokens), tuple(probabilities))


def _decode(networks: _Networks, samples: np.ndarray, limit: int) -> tuple[list[int], list[float]]:
    """The most probable token after each other (n,) → at most `limit` of them.

    With them comes the logarithm of each one's probability.
    """
    mask = np.ones((1, len(samples)), np.int64)  # of samples, in both networks
    sound = {"input_values": samples[None], "attention_mask": mask}
    states = np.asarray(networks.encoder.run(None, sound)[0])
    names = [i.name for i in networks.decoder.get_inputs() if i.name.startswith("past")]
    past = {name: np.zeros((1, HEADS, 0, WIDTH), np.float32) for name in names}
    fixed = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
    tokens: list[int] = []
    probabilities: list[float] = []
    token = START
    while len(tokens) < limit:
        first = not tokens
        logits, *present = networks.decoder.run(
            None,
            fixed
            | past
            | {"input_ids": np.array([[token]]), "use_cache_branch": np.array([not first])},
        )
        scores = np.asarray(logits)[0, -1]
        token = int(scores.argmax())
        if token == END:
            break
        tokens.append(token)
        probabilities.append(-float(np.log(np.exp(scores - scores[token]).sum())))
        # The encoder's output is handed on by the first step alone.
        past = {
            name: value if first or ".decoder." in name else past[name]
            for name, value in zip(names, present, strict=True)
        }
    return tokens, probabilities


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
