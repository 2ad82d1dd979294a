"""Reading ahead: in order, with what goes wrong in its place, and never beyond the close."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from helpers.sounds import encode, music
from speech2face.errors import UnreadableMediaError
from speech2face.media import SAMPLE_RATE, load_audio, stream_audio
from speech2face.media.stream import ALONE
from speech2face.read_ahead import read_ahead

LONG = ALONE + 30  # s: another thread decodes the end of it


class Counted:
    """The numbers from 0, then `error`; `threads` holds who made each."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.threads: list[int] = []

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            self.threads.append(threading.get_ident())
            yield number
        if self.error:
            raise self.error


@pytest.mark.parametrize("count", [0, 1, 3, 4, 20])
def test_everything_comes_in_order(count: int) -> None:
    numbers = Counted(count)
    assert list(read_ahead(numbers, alone=4, ahead=3)) == list(range(count))
    here = threading.get_ident()
    assert [thread == here for thread in numbers.threads] == [i < 4 for i in range(count)]


@pytest.mark.parametrize("count", [2, 4, 9])
def test_what_making_an_item_raises_comes_in_its_place(count: int) -> None:
    taken: list[int] = []
    with pytest.raises(OSError, match="gone"):
        taken.extend(n for n in read_ahead(Counted(count, OSError("gone")), alone=4, ahead=3))
    reading = read_ahead(Counted(count, OSError("gone")), alone=4, ahead=3)
    assert [next(reading) for _ in range(count)] == list(range(count))
    with pytest.raises(OSError, match="gone"):
        next(reading)


def test_whoever_stops_early_stops_the_making() -> None:
    numbers = Counted(1000)
    reading = read_ahead(numbers, alone=4, ahead=3)
    assert [next(reading) for _ in range(6)] == list(range(6))
    reading.close()
    assert len(numbers.threads) <= 6 + 3
    assert not [t for t in threading.enumerate() if t.name.startswith("reading")]


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Longer than what is decoded without another thread."""
    return np.tile(music(10), LONG // 10 + 1)[: LONG * SAMPLE_RATE]


@pytest.mark.parametrize(
    ("container", "codec"),
    [("wav", "pcm_s16le"), ("flac", "flac")],
)
def test_a_long_recording_is_heard_to_its_end(
    sound: np.ndarray, container: str, codec: str
) -> None:
    data = encode(sound, SAMPLE_RATE, container, codec)
    whole = load_audio(data)
    assert whole.warnings == ()
    assert len(whole.samples) == pytest.approx(len(sound), abs=400)
    n = min(len(whole.samples), len(sound))
    assert np.corrcoef(whole.samples[:n], sound[:n])[0, 1] > 0.95
    part = load_audio(data, start=ALONE - 5, end=ALONE + 5).samples
    expected = whole.samples[(ALONE - 5) * SAMPLE_RATE : (ALONE + 5) * SAMPLE_RATE]
    np.testing.assert_allclose(part - part.mean(), expected - expected.mean(), atol=1e-6)
    cut = load_audio(data[: round(len(data) * (ALONE + 10) / LONG)])
    assert len(cut.samples) == pytest.approx((ALONE + 10) * SAMPLE_RATE, rel=0.05)
    assert [w for w in cut.warnings if "ends early" in w]


def test_a_file_that_breaks_while_another_thread_reads_it_is_told(sound: np.ndarray) -> None:
    here = threading.current_thread()

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if threading.current_thread() is not here:
                raise ConnectionError("the line is dead")
            return super().read(size)

    stream = stream_audio(Breaking(encode(sound, SAMPLE_RATE, "wav", "pcm_s16le")))
    with pytest.raises(UnreadableMediaError, match="the line is dead"):
        list(stream)
