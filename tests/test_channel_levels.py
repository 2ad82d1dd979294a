"""The level of each channel is measured in slots of 32 ms, whatever pieces the sound comes in."""

from __future__ import annotations

import numpy as np
import pytest

from speech2face.media import stream_audio
from speech2face.media.channel_levels import ChannelLevels
from speech2face.speaker_channels import NONE, find_own_channel, find_voice_channels


@pytest.mark.parametrize("rate", [16_000, 44_100, 11_025])
def test_pieces_are_measured_as_a_whole(rate: int) -> None:
    sound = np.random.default_rng(0).normal(size=(2, 3 * rate)) * [[1], [0.1]]
    whole, pieces = ChannelLevels(), ChannelLevels()
    whole.add(sound, rate, 2)
    for piece in np.split(sound, [rate // 7, rate // 7 + 5, rate, 2 * rate + 11], axis=1):
        pieces.add(piece, rate, 2)
    levels, again = whole.read(), pieces.read()
    assert levels is not None
    assert again is not None
    assert levels.shape == (93, 2)  # the last slot is not full
    np.testing.assert_allclose(again, levels)
    np.testing.assert_allclose(levels.mean(axis=0), [1, 0.01], rtol=0.05)


def test_one_sound_in_all_channels_is_measured_in_each() -> None:
    sound = np.random.default_rng(0).normal(size=(2, 20_000))
    sound[1, 5_000:15_000] = sound[0, 5_000:15_000]
    apart, together = ChannelLevels(), ChannelLevels()
    for first in range(0, 20_000, 5_000):
        piece = sound[:, first : first + 5_000]
        apart.add(piece, 16_000, 2)
        together.add(piece[: 2 if (piece[0] != piece[1]).any() else 1], 16_000, 2)
    levels, expected = together.read(), apart.read()
    assert levels is not None
    assert expected is not None
    np.testing.assert_allclose(levels, expected)


def test_a_stream_measures_its_channels() -> None:
    sound = np.zeros((2, 32_000), np.float32)
    sound[0, :16_000], sound[1, 16_000:] = 0.5, 0.1
    sound *= np.resize([1, -1], 32_000)
    stream = stream_audio((sound, 16_000))
    assert sum(map(len, stream)) == 32_000
    levels = stream.channel_levels
    assert levels is not None
    np.testing.assert_allclose(levels[[0, -1]], [[0.25, 0], [0, 0.01]], atol=1e-6)
    mono = stream_audio((sound[0], 16_000))
    list(mono)
    assert mono.channel_levels is None


def test_channels_hold_people_where_one_at_a_time_is_loud() -> None:
    first, second = [1.0, 0.01], [0.01, 1.0]
    speech = np.ones(200, bool)
    levels = np.array([first] * 100 + [second] * 100)
    assert find_voice_channels(levels, speech).tolist() == [0] * 100 + [1] * 100
    levels[:20] = 1.0
    assert find_voice_channels(levels, speech).tolist() == [NONE] * 20 + [0] * 80 + [1] * 100
    levels[:60] = 1.0
    assert find_voice_channels(levels, speech) is None  # mostly the same in both
    assert find_voice_channels(np.array([first] * 200), speech) is None  # one channel is silent
    assert find_voice_channels(None, speech) is None
    assert len(find_voice_channels(np.array([first, second] * 99), speech)) == 200


def test_the_channel_of_a_window() -> None:
    assert find_own_channel(np.array([0, 1, 1, 1, 1])) == 1
    assert find_own_channel(np.array([0, 0, 1, 1])) == NONE
    assert find_own_channel(np.array([NONE, NONE])) == NONE
