"""Words of a transcript that may say who speaks, where or when: found by their spelling alone.

Capitalised words that begin no sentence are taken for names; digits and numbers in words for
numbers; months, weekdays and years for dates. It knows no meaning: it lists too much rather than
too little, and misses what the recogniser misheard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from speech2face.metrics.protection_results import TellingWord
from speech2face.privacy.asr import Utterance

# fmt: off
MONTHS = frozenset((
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
))
WEEKDAYS = frozenset((
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
))
NUMBERS = frozenset((  # "one" is mostly none
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
    "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand",
    "million", "billion",
))
NO_NAMES = frozenset(("i", "i'm", "i'll", "i've", "i'd", "ok", "okay", "oh"))
STARTERS = frozenset((  # words with which a sentence may begin before a name
    "a", "after", "all", "also", "an", "and", "as", "at", "because", "before", "but", "by", "dear",
    "did", "do", "does", "for", "from", "has", "have", "he", "her", "here", "his", "how", "if",
    "in", "is", "it", "like", "my", "no", "not", "now", "of", "on", "or", "our", "she", "since",
    "so", "thank", "thanks", "that", "the", "their", "then", "there", "they", "this", "to", "until",
    "was", "we", "well", "were", "what", "when", "where", "which", "while", "who", "why", "with",
    "yes", "you", "your",
))
# fmt: on
JOINTS = frozenset(("of", "the", "and", "de", "la", "van", "von", "al"))  # between parts of a name
_TOKEN = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_YEAR = re.compile(r"(1[5-9]|20)\d\d")
_ENDS = re.compile(r"[.!?…]")


@dataclass(frozen=True)
class _Word:
    text: str
    at: float
    begins: bool  # a sentence
    apart: bool  # a punctuation mark stands before it

    @property
    def plain(self) -> str:
        return self.text.lower().replace("’", "'")

    @property
    def capital(self) -> bool:
        if self.begins and self.plain in STARTERS:
            return False
        return self.text[0].isupper() and self.plain not in NO_NAMES

    @property
    def is_number(self) -> bool:
        return any(c.isdigit() for c in self.text) or set(self.plain.split("-")) <= NUMBERS

    @property
    def is_date(self) -> bool:
        # "may" and "march" are mostly verbs where they have no capital.
        name = self.plain.removesuffix("'s")
        return (self.text[0].isupper() and name in MONTHS) or name in WEEKDAYS


def find_telling_words(transcript: Iterable[Utterance]) -> list[TellingWord]:
    """The words that may say who, where or when, in the order in which they are said.

    Utterances that were not understood are left out.
    """
    words = [list(_split(said)) for said in transcript if said.understood]
    names = {w.plain for part in words for w in part if w.capital and not w.begins}
    found: list[TellingWord] = []
    for part in words:
        found += _find(part, names)
    return found


def _find(words: Sequence[_Word], names: set[str]) -> Iterator[TellingWord]:
    """`names` are words that have a capital elsewhere, where no sentence begins."""
    place = 0
    while place < len(words):
        word = words[place]
        if word.is_number or word.is_date:
            run = _follow(words, place, lambda w: w.is_number or w.is_date)
            dated = any(w.is_date or _YEAR.fullmatch(w.text) for w in run)
            if word.is_date and word.begins and len(run) == 1 and word.plain == "may":
                run = []
            kind = "date" if dated else "number"
        else:
            run = _follow(words, place, lambda w: w.capital and not w.is_date)
            # A sentence's first word has a capital anyway.
            if word.begins and word.plain not in names and len(run) < 2:
                run = []
            kind = "name"
        if run:
            yield TellingWord(round(word.at, 1), " ".join(w.text for w in run), kind)
        place += max(1, len(run))


def _follow(words: Sequence[_Word], place: int, wanted: Callable[[_Word], bool]) -> list[_Word]:
    """The words from `place` on that are `wanted`, with joints between them."""
    run: list[_Word] = []
    for index in range(place, len(words)):
        word = words[index]
        if run and (word.begins or word.apart):
            break
        if wanted(word):
            run.append(word)
            continue
        after = words[index + 1] if index + 1 < len(words) else None
        joined = run and word.plain in JOINTS and after and wanted(after) and not after.apart
        if not joined:
            break
        run.append(word)
    return run


def _split(said: Utterance) -> Iterator[_Word]:
    """The words of an utterance, each at about the time at which it is said."""
    length, before = max(1, len(said.text)), 0
    for match in _TOKEN.finditer(said.text):
        between = said.text[before : match.start()]
        at = said.start + (said.end - said.start) * match.start() / length
        begins = not before or bool(_ENDS.search(between))
        yield _Word(match[0], at, begins, bool(between.strip()))
        before = match.end()
