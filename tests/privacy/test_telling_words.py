"""Names, numbers and dates are found in a transcript by their spelling, with their times."""

from __future__ import annotations

import pytest

from speech2face.privacy.asr import Utterance
from speech2face.privacy.telling_words import find_telling_words


def find(*texts: str) -> list[tuple[str, str]]:
    said = [Utterance(10 * n, 10 * n + 10, t, -0.1, True) for n, t in enumerate(texts)]
    return [(word.words, word.kind) for word in find_telling_words(said)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I met Peter Hall in London.", [("Peter Hall", "name"), ("London", "name")]),
        ("We went to the Bank of England, and then home.", [("Bank of England", "name")]),
        ("Nobody knew. Maria Lopez did.", [("Maria Lopez", "name")]),
        ("Nobody knew. In Brussels they did.", [("Brussels", "name")]),
        ("Nobody knew. Yes, I think so. I'm sure.", []),
        ("They gave me Anna, Ben and Carl.", [("Anna", "name"), ("Ben and Carl", "name")]),
        ("It was March 14, 2011.", [("March 14", "date"), ("2011", "date")]),
        ("Come on Tuesday or in may, we may march.", [("Tuesday", "date")]),
        ("It happened on the 3rd of May.", [("3rd of May", "date")]),
        ("It cost four hundred and seventeen pounds.", [("four hundred and seventeen", "number")]),
        ("Call 555-0199 at room 12b.", [("555-0199", "number"), ("12b", "number")]),
        ("No one was there.", []),
    ],
)
def test_what_is_found(text: str, found: list[tuple[str, str]]) -> None:
    assert find(text) == found


def test_a_name_that_begins_a_sentence_is_known_from_elsewhere() -> None:
    assert find("Rotterdam was far.") == []
    assert find("Rotterdam was far.", "We saw Rotterdam again.") == [
        ("Rotterdam", "name"),
        ("Rotterdam", "name"),
    ]


def test_times_lie_within_their_utterances() -> None:
    words = "so it was, as far as anybody knows,"
    said = [Utterance(60.0, 70.0, f"{words} {words} in Paris.", -0.1, True)]
    (word,) = find_telling_words(said)
    assert 68 < word.at < 70


def test_what_was_not_understood_is_left_out() -> None:
    assert find_telling_words([Utterance(0, 9, "The key to Paris is London.", -2.0, False)]) == []
