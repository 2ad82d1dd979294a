"""Channels become one: of every number type what double precision gives, rounded once."""

from __future__ import annotations

import numpy as np
import pytest

from speech2face.media.downmix import Downmixer

RATE = 8000.0


def mix(channels: np.ndarray, headroom: float = 1.0) -> tuple[np.ndarray, list[str]]:
    mixer = Downmixer()
    pieces = [samples for samples, _ in mixer.mix([(channels, RATE)], headroom)]
    return np.concatenate(pieces), mixer.warnings


@pytest.mark.parametrize("count", [1, 2, 3, 6])
@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.uint16, np.int32])
def test_integers_are_averaged_as_in_double_precision(kind: type, count: int) -> None:
    limits = np.iinfo(kind)
    shared = np.random.default_rng(0).integers(limits.min, limits.max, 20_000, endpoint=True)
    # Channels that differ in their last digits, so that none runs against another.
    channels = np.stack([np.clip(shared + i, limits.min, limits.max) for i in range(count)])
    mixed, _ = mix(channels.astype(kind))
    half = 2.0 ** (limits.bits - 1)
    expected = (channels / half - (limits.min == 0)).mean(axis=0).astype(np.float32)
    assert mixed.dtype == np.float32
    np.testing.assert_array_equal(mixed, expected)


@pytest.mark.parametrize("count", [2, 3])
def test_channels_that_are_alike_are_as_one(count: int) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (1, 20_000)).astype(np.float32)
    sound[:, ::50] = 1.0
    one, several = Downmixer(), Downmixer()
    (alone,) = (samples for samples, _ in one.mix([(sound, RATE)]))
    (mixed,) = (samples for samples, _ in several.mix([(np.repeat(sound, count, 0), RATE)]))
    np.testing.assert_array_equal(mixed, alone)
    assert several.warnings == one.warnings != []  # the clipped share is the same
    assert several.samples == count * one.samples
    levels = several.levels.read()
    assert levels is not None
    np.testing.assert_array_equal(np.ptp(levels, axis=1), 0)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_not_finite_is_silenced(kind: type, broken: float) -> None:
    sound = np.full((1, 9000), 0.5, kind)
    sound[0, [5, 70]] = broken
    mixed, warnings = mix(sound)
    assert warnings == ["2 samples were not finite and were silenced"]
    assert not mixed[[5, 70]].any()
    assert (np.delete(mixed, [5, 70]) == 0.5).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_overshoot_is_clipped_and_more_is_scaled(sign: int) -> None:
    sound = np.full((1, 9000), 0.5, np.float32)
    sound[0, 7] = sign * 1.5
    mixed, warnings = mix(sound, headroom=2.0)
    assert warnings == []
    assert mixed[7] == sign
    assert mixed[8] == 0.5
    mixed, warnings = mix(2 * sound, headroom=2.0)
    assert warnings == ["the samples reach 3 and were scaled down to ±1"]
    assert (mixed[7], mixed[8]) == (pytest.approx(sign), pytest.approx(1 / 3))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_clipping_is_counted_on_either_side(kind: type, sign: int) -> None:
    full = 32_767 if kind is np.int16 else 1.0
    sound = np.zeros((2, 10_000), kind)
    sound[:, :300] = sign * full
    _, warnings = mix(sound)
    assert warnings == ["the sound is clipped: 3% of its samples are at full scale"]
    sound[:, :300] = sign * 0.99 * full
    assert mix(sound)[1] == []
