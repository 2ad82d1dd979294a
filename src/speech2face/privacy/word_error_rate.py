"""What anonymising costs those who listen: words that are no longer understood.

The listener is a small recogniser (asr.py), which is less forgiving than people. With a
text at hand its word error rate is the measure. Without, what it hears is compared with what it
heard in the original: a proxy, which forgives what it misheard twice in the same way, and counts
as lost what it only now hears rightly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class WordErrors:
    """How many words were put in, left out or changed, of how many."""

    errors: int
    words: int


def count_errors(said: str, heard: str) -> WordErrors:
    """The least number of words to change, put in or leave out to get from `said` to `heard`.

    Case and punctuation do not count.
    """
    reference, hypothesis = find_words(said), find_words(heard)
    costs = list(range(len(hypothesis) + 1))
    for row, word in enumerate(reference, 1):
        diagonal, costs[0] = costs[0], row
        for column, other in enumerate(hypothesis, 1):
            changed = diagonal + (word != other)
            diagonal = costs[column]
            costs[column] = min(changed, diagonal + 1, costs[column - 1] + 1)
    return WordErrors(costs[-1], len(reference))


def find_words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return WORD.findall(text.lower().replace("’", "'"))
