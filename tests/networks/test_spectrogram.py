import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.numeric_voice import make_voice
from speech2face.networks.spectrogram import (
    CompressedSpectrogram,
    KaldiFbank,
    SlaneyMel,
    repeat_to,
)

GOLDEN = json.loads((Path(__file__).parent / "golden_spectrogram.json").read_text())


def voice(seconds: float) -> torch.Tensor:
    return torch.from_numpy(make_voice(seconds))[None]


@pytest.mark.parametrize(
    ("layer", "golden", "tolerance"),
    [
        (KaldiFbank(), GOLDEN["kaldi"], {"atol": 5e-4}),
        (SlaneyMel(), GOLDEN["slaney"], {"rtol": 1e-4}),
    ],
    ids=["kaldi", "slaney"],
)
def test_features_are_those_of_the_reference(layer, golden, tolerance):
    features = layer(voice(0.5))[0].numpy()
    assert list(features.shape) == golden["shape"]
    chosen = features[np.ix_(golden["frames"], golden["bins"])]
    np.testing.assert_allclose(chosen, golden["values"], **{"rtol": 0, "atol": 0} | tolerance)


def test_fbank_has_no_mean_and_does_not_hear_an_offset():
    features = KaldiFbank()(voice(1))
    torch.testing.assert_close(features.mean(dim=1), torch.zeros(1, 80), atol=1e-5, rtol=0)
    torch.testing.assert_close(KaldiFbank()(voice(1) + 0.1), features, atol=0.02, rtol=0)


def test_silence_is_zero():
    for layer in (KaldiFbank(), SlaneyMel(), CompressedSpectrogram()):
        features = layer(torch.zeros(2, 8000))
        torch.testing.assert_close(features, torch.zeros_like(features))


def test_compressed_spectrogram_is_the_power_law_of_the_fourier_transform():
    waveform = voice(6)
    compressed = CompressedSpectrogram()(waveform)
    assert compressed.shape == (1, 2, 598, 257)
    frame = waveform[0, 160 * 100 : 160 * 100 + 400].numpy().astype(np.float64)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    spectrum = np.fft.rfft(frame * hann, 512)
    parts = np.stack([spectrum.real, spectrum.imag])
    expected = np.sign(parts) * np.abs(parts) ** 0.3
    audible = np.abs(parts) > 1e-4  # below, float32 cannot tell the value, nor its sign
    np.testing.assert_allclose(compressed[0, :, 100].numpy()[audible], expected[audible], atol=2e-3)


def test_compressed_spectrogram_has_finite_gradients_in_silence():
    waveform = torch.zeros(1, 800, requires_grad=True)
    CompressedSpectrogram()(waveform).sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()


def test_fixed_matrices_are_not_saved():
    for layer in (KaldiFbank(), SlaneyMel(), CompressedSpectrogram()):
        assert layer.state_dict() == {}


def test_repeat_to_repeats_only_what_is_short():
    x = torch.arange(6.0).reshape(2, 3)
    assert repeat_to(x, 7)[0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert torch.equal(repeat_to(x, 2), x)
