"""Spectrogram layers that begin at the waveform.

Each layer takes a mono waveform at 16 kHz, floats in [-1, 1], cuts it into frames of 25 ms every
10 ms and takes the Fourier transform of each. All that is linear up to there (removing the mean of
a frame, pre-emphasis, window, DFT) is one fixed matrix, applied as a strided convolution: so the
features are part of the network, are exported with it, and exist only once.

    KaldiFbank            log mel energies as Kaldi makes them      for CAM++
    SlaneyMel             mel energies as librosa makes them        for GE2E
    CompressedSpectrogram real and imaginary parts, power-law       for the paper's voice encoder
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speech2face.media import SAMPLE_RATE

FRAME_LENGTH = 400  # 25 ms
HOP_LENGTH = 160  # 10 ms


class KaldiFbank(nn.Module):
    """Log mel filter bank of Kaldi's `compute-fbank-feats`, without dither, its time mean removed.

    Frames lie wholly inside the waveform (Kaldi's `snip_edges`): 1 + (samples - 400) // 160.
    """

    transform: Tensor
    mel: Tensor

    def __init__(self, bins: int = 80, fft_size: int = 512, pre_emphasis: float = 0.97) -> None:
        super().__init__()
        centre = np.eye(FRAME_LENGTH) - 1.0 / FRAME_LENGTH
        delay = np.eye(FRAME_LENGTH, k=-1)
        delay[0, 0] = 1.0  # the first sample is its own predecessor
        emphasise = np.eye(FRAME_LENGTH) - pre_emphasis * delay
        povey = np.hanning(FRAME_LENGTH) ** 0.85
        transform = (_fourier_matrix(fft_size) * povey) @ emphasise @ centre
        self.register_buffer("transform", _matrix(transform[:, None]), persistent=False)
        self.register_buffer("mel", _matrix(_kaldi_mel_filters(bins, fft_size)), persistent=False)
        self.floor = float(np.finfo(np.float32).eps)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, time, bins)."""
        power = _power(F.conv1d(waveform[:, None], self.transform, stride=HOP_LENGTH))
        energies = power.transpose(1, 2) @ self.mel  # (batch, time, bins)
        logs = energies.clamp_min(self.floor).log()
        return logs - logs.mean(dim=1, keepdim=True)


class SlaneyMel(nn.Module):
    """Mel energies (power, no logarithm) of `librosa.feature.melspectrogram`.

    Frames are centred on multiples of the hop, with zeros beyond both ends of the waveform:
    1 + samples // 160 of them.
    """

    transform: Tensor
    mel: Tensor

    def __init__(self, bins: int = 40) -> None:
        super().__init__()
        transform = _fourier_matrix(FRAME_LENGTH) * _periodic_hann()
        self.register_buffer("transform", _matrix(transform[:, None]), persistent=False)
        self.register_buffer(
            "mel", _matrix(_slaney_mel_filters(bins, FRAME_LENGTH)), persistent=False
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, time, bins)."""
        half = FRAME_LENGTH // 2
        spectrum = F.conv1d(waveform[:, None], self.transform, stride=HOP_LENGTH, padding=half)
        return _power(spectrum).transpose(1, 2) @ self.mel


class CompressedSpectrogram(nn.Module):
    """Complex spectrogram, sgn(x)|x|^0.3 on its real and imaginary parts apart (Oh et al. 2019).

    No padding of the waveform: six seconds give (batch, 2, 598, 257).
    """

    transform: Tensor

    def __init__(self, fft_size: int = 512, exponent: float = 0.3) -> None:
        super().__init__()
        transform = _fourier_matrix(fft_size) * _periodic_hann()
        self.register_buffer("transform", _matrix(transform[:, None]), persistent=False)
        self.exponent = exponent
        self.smallest = 1e-8  # keeps the slope of the power law finite at zero

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) -> (batch, real and imaginary, time, frequency)."""
        spectrum = F.conv1d(waveform[:, None], self.transform, stride=HOP_LENGTH)
        compressed = spectrum.sign() * spectrum.abs().clamp_min(self.smallest) ** self.exponent
        return torch.stack(compressed.chunk(2, dim=1), dim=1).transpose(2, 3)


def repeat_to(x: Tensor, least: int) -> Tensor:
    """Repeats (batch, time, ...) until time is `least`; what is longer stays as it is."""
    time = x.shape[1]
    position = torch.arange(torch.sym_max(time, least), device=x.device)
    # A tensor on both sides of %: the ONNX exporter knows no remainder by a symbolic number.
    return x[:, position % torch.full_like(position, time)]


def _power(spectrum: Tensor) -> Tensor:
    """(batch, real bins then imaginary bins, time) -> |S|^2 (batch, bins, time)."""
    real, imaginary = spectrum.chunk(2, dim=1)
    return real.square() + imaginary.square()


def _matrix(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _fourier_matrix(fft_size: int) -> np.ndarray:
    """DFT of one frame padded at its end with zeros: (fft_size + 2, 400), cosines above sines."""
    bins = np.arange(fft_size // 2 + 1)[:, None]
    angle = 2 * np.pi * bins * np.arange(FRAME_LENGTH) / fft_size
    return np.concatenate([np.cos(angle), -np.sin(angle)])


def _periodic_hann() -> np.ndarray:
    return np.hanning(FRAME_LENGTH + 1)[:-1]


def _kaldi_mel_filters(bins: int, fft_size: int, low_hz: float = 20.0) -> np.ndarray:
    """Triangles that are linear in mel = 1127 ln(1 + f/700), peak 1: (fft_size // 2 + 1, bins)."""
    edges = np.linspace(_kaldi_mel(low_hz), _kaldi_mel(SAMPLE_RATE / 2), bins + 2)
    filters = _triangles(_kaldi_mel(_bin_frequencies(fft_size)), edges)
    filters[-1] = 0.0  # Kaldi leaves the Nyquist bin out
    return filters


def _kaldi_mel(hz: float | np.ndarray) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


def _slaney_mel_filters(bins: int, fft_size: int) -> np.ndarray:
    """Triangles that are linear in Hz, of equal area, on Slaney's mel scale.

    That scale is linear up to 1 kHz (15 mel) and logarithmic above (27 mel to a factor of 6.4).
    """
    top = 15 + 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4)
    mels = np.linspace(0.0, top, bins + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    return _triangles(_bin_frequencies(fft_size), edges) * 2 / (edges[2:] - edges[:-2])


def _bin_frequencies(fft_size: int) -> np.ndarray:
    return np.arange(fft_size // 2 + 1) * SAMPLE_RATE / fft_size


def _triangles(positions: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Triangle i rises from edges[i] to 1 at edges[i + 1], falls to edges[i + 2]."""
    left, peak, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (positions[:, None] - left) / (peak - left)
    falling = (right - positions[:, None]) / (right - peak)
    return np.minimum(rising, falling).clip(min=0.0)
