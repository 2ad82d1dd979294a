"""Words that are no longer understood after anonymising.

The listener is a small recogniser (asr.py), which is less forgiving than people. Where the text is
known its word error rate is the measure. Where it is not, the words recognised in the result are
compared with those recognised in the original: a proxy, which forgives the same error in both and
counts as lost what is recognised rightly only in the result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class WordErrors:
    """Number of words put in, left out or changed, and of words in all."""

    errors: int
    words: int


def count_errors(reference: str, hypothesis: str) -> WordErrors:
    """The least number of words to change, put in or leave out to get from one to the other.

    Case and punctuation do not count.
    """
    spoken, recognised = find_words(reference), find_words(hypothesis)
    costs = list(range(len(recognised) + 1))
    for row, word in enumerate(spoken, 1):
        diagonal, costs[0] = costs[0], row
        for column, other in enumerate(recognised, 1):
            changed = diagonal + (word != other)
            diagonal = costs[column]
            costs[column] = min(changed, diagonal + 1, costs[column - 1] + 1)
    return WordErrors(costs[-1], len(spoken))


def find_words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return WORD.findall(text.lower().replace("’", "'"))
