"""Whether what the recogniser heard is to be believed.

It writes English words whatever it is given: another language, music, laughter. What it makes up
shows in two ways. Its words are improbable to itself, and it says the same again and again, which
is probable only because it was said before. So the confidence is the mean log-probability of the
tokens that do not repeat a pair of tokens, less the share of those that do.
`benchmarks/recogniser_confidence.py` chose the threshold and measured its errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_CONFIDENCE = -0.75  # from which a text is believed
ENOUGH = 12  # tokens to judge by: shorter utterances are judged with their neighbours
NOTHING = -5.0  # the confidence where no word was heard: lower than any other


@dataclass(frozen=True)
class Evidence:
    """The tokens of an utterance, and the logarithms of their probabilities."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]


def judge_utterances(utterances: Sequence[Evidence]) -> list[tuple[float, bool]]:
    """The confidence of each utterance of a recording, in order, and whether it is enough.

    For the tokens that an utterance of fewer than `ENOUGH` lacks, the mean confidence of those
    before and after it counts.
    """
    alone = [measure_confidence(utterance) for utterance in utterances]
    judged = []
    for place, (utterance, confidence) in enumerate(zip(utterances, alone, strict=True)):
        beside = alone[max(0, place - 1) : place] + alone[place + 1 : place + 2]
        missing = max(0, 1 - len(utterance.tokens) / ENOUGH)
        if beside and missing and utterance.tokens:
            confidence += missing * (sum(beside) / len(beside) - confidence)
        judged.append((confidence, confidence >= LEAST_CONFIDENCE))
    return judged


def measure_confidence(utterance: Evidence) -> float:
    """The confidence of an utterance by itself, 0 at most."""
    if not utterance.tokens:
        return NOTHING
    seen: set[tuple[int, int]] = set()
    fresh: list[float] = []
    pairs = itertools.pairwise((-1, *utterance.tokens))
    for pair, value in zip(pairs, utterance.log_probabilities, strict=True):
        if pair not in seen:
            fresh.append(value)
        seen.add(pair)
    repeated = 1 - len(fresh) / len(utterance.tokens)
    return sum(fresh) / len(fresh) - repeated
