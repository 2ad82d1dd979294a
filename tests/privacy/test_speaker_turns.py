"""Every moment of a recording is one speaker's, whose disguise it gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helpers.sounds import RATE
from speech2face.privacy.speaker_turns import EDGE, MAIN, SHORTEST, divide_turns
from speech2face.speakers import Speaker


def speak(number: int, *segments: tuple[float, float]) -> Speaker:
    return Speaker(number, sum(b - a for a, b in segments), segments)


def at(seconds: float) -> int:
    return round(seconds * RATE)


def test_a_single_speaker_has_one_turn() -> None:
    turns = divide_turns([speak(1, (2.0, 3.0), (9.0, 12.0))])
    assert (turns.starts, turns.speakers) == ((0,), (1,))


def test_a_short_pause_is_divided_and_a_long_one_is_the_main_speakers() -> None:
    turns = divide_turns([speak(1, (0.2, 4.0), (20.0, 24.0)), speak(2, (4.4, 8.0), (12.0, 14.0))])
    assert turns.speakers == (1, 2, 1, 2, 1)
    starts = (0, at(4.2), at(8.0) + EDGE, at(12.0) - EDGE, at(14.0) + EDGE)
    assert turns.starts == starts
    for moment, number in ((0.0, 1), (4.1, 1), (4.3, 2), (10.0, 1), (13.0, 2), (19.0, 1), (99, 1)):
        assert turns.speaker_at(at(moment)) == number


def test_the_first_words_have_their_speakers_disguise() -> None:
    turns = divide_turns([speak(1, (5.0, 9.0)), speak(2, (0.5, 4.6))])
    assert (turns.starts, turns.speakers) == ((0, at(4.8)), (2, 1))


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.floats(0.032, 5), st.integers(1, 3)), min_size=1, max_size=12
    )
)
def test_turns_cover_a_recording_without_gaps(said: list[tuple[float, float, int]]) -> None:
    segments: dict[int, list[tuple[float, float]]] = {}
    place = 0.0
    for pause, seconds, number in said:
        segments.setdefault(number, []).append((place + pause, place + pause + seconds))
        place += pause + seconds
    turns = divide_turns([speak(number, *own) for number, own in segments.items()])
    assert turns.starts[0] == 0
    lengths = [b - a for a, b in zip(turns.starts, turns.starts[1:], strict=False)]
    assert all(length >= SHORTEST for length in lengths)
    assert all(a != b for a, b in zip(turns.speakers, turns.speakers[1:], strict=False))
    assert set(turns.speakers) <= {MAIN, *segments}
    for number, own in segments.items():  # what is long enough to be told apart has its own
        for start, end in own:
            if end - start > 2 * SHORTEST / RATE:
                assert turns.speaker_at(at((start + end) / 2)) == number
