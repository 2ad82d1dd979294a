"""Hearing clips: crops, what is kept, and hearing again from where tuning begins."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from speech2face.data.voice_encoder_data import Voices
from speech2face.networks.speaker_encoder import SpeakerEncoder
from speech2face.training.clip_features import (
    FRAMES_A_SECOND,
    cut_clips,
    extract_features,
    extract_speech_features,
)

CROPS = (0.5, 1.0)


class Listener(nn.Module):
    """In place of the speaker networks: three numbers of each sound, and how often it was asked."""

    def __init__(self, patience: int = 10**9) -> None:
        super().__init__()
        self.asked, self.patience = 0, patience
        self.scale = nn.Parameter(torch.ones(1))

    def begin(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        if self.asked == self.patience:
            raise KeyboardInterrupt
        self.asked += 1
        return waveform[:, None], torch.stack([waveform[:, 0], waveform[:, -1]], dim=1)

    def finish(self, entered: Tensor, ge2e: Tensor) -> Tensor:
        return torch.cat([self.scale * entered.sum(2), ge2e], dim=1)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.finish(*self.begin(waveform))


def make_voices(seconds) -> Voices:
    rng = np.random.default_rng(0)
    speech = [rng.normal(size=round(s * 16_000)).astype(np.float32) for s in seconds]
    names = [f"clip {i}" for i in range(len(speech))]
    return Voices(names, names, speech, np.zeros((len(speech), 4), np.float32), "made up")


def quiet(*_) -> None:
    pass


def extract(speaker, voices, cache, crops=CROPS, keep=True):
    return extract_features(speaker, voices, crops, 0, cache, quiet, keep=keep)


def test_whole_clips_come_first_then_crops_of_those_that_are_longer(tmp_path):
    voices = make_voices([2.0, 0.8, 1.5])
    heard = extract(Listener(), voices, tmp_path)
    np.testing.assert_allclose(heard.seconds, [2, 0.8, 1.5, 0.5, 0.5, 0.5, 1, 1])
    assert heard.clip.tolist() == [0, 1, 2, 0, 1, 2, 0, 2]
    assert heard.whole.tolist() == [True] * 3 + [False] * 5
    for row, whole in enumerate(voices.speech):
        np.testing.assert_allclose(
            heard.features[row], [whole.sum(), whole[0], whole[-1]], rtol=1e-3
        )
    for row in range(3, 8):  # a crop lies in its own clip, in one piece
        whole = voices.speech[heard.clip[row]]
        (start,) = np.flatnonzero(whole == heard.features[row, 1])
        end = start + round(heard.seconds[row] * 16_000)
        assert whole[end - 1] == heard.features[row, 2]
    again, _ = cut_clips(voices.speech, CROPS, 0)
    assert [len(crop) / 16_000 for crop in again] == heard.seconds.tolist()
    other, _ = cut_clips(voices.speech, CROPS, 1)
    assert other[3][0] != again[3][0]


@pytest.mark.parametrize("keep", [False, True])
def test_finished_clips_are_kept_and_a_stopped_run_goes_on(keep, tmp_path):
    voices = make_voices(np.linspace(0.6, 2.0, 60))  # of 60 lengths; crops are of two
    whole = Listener()
    wanted = extract(whole, voices, tmp_path / "whole", keep=keep)
    assert len(wanted.features) > 130
    assert 60 < whole.asked < 75  # crops of one length are heard together
    with pytest.raises(KeyboardInterrupt):
        extract(Listener(patience=58), voices, tmp_path / "cache", keep=keep)
    rest, nothing = Listener(), Listener()
    for listener in (rest, nothing):
        heard = extract(listener, voices, tmp_path / "cache", keep=keep)
        np.testing.assert_array_equal(heard.features, wanted.features)
    assert rest.asked == whole.asked - 50  # kept by fifties
    assert nothing.asked == 0
    assert not list(tmp_path.rglob("*.part*"))
    assert bool(heard.frozen) == keep


def test_what_is_kept_is_of_the_same_sounds_crops_and_networks(tmp_path):
    voices, other = make_voices([2.0]), make_voices([2.0, 2.0]).take(np.array([1]))
    first = extract(Listener(), voices, tmp_path, (0.5,))
    assert extract(Listener(), voices, tmp_path, (1.0,)).features[1, 0] != first.features[1, 0]
    assert extract(Listener(), other, tmp_path, (0.5,)).features[0, 0] != first.features[0, 0]
    loud = Listener()
    nn.init.constant_(loud.scale, 2.0)
    twice = extract(loud, voices, tmp_path, (0.5,))
    np.testing.assert_allclose(twice.features[:, 0], 2 * first.features[:, 0])


def test_a_tuned_network_hears_again_without_the_layers_below(tmp_path):
    voices = make_voices([2.0, 0.8])
    heard = extract(Listener(), voices, tmp_path)
    tuned = Listener(patience=0)
    nn.init.constant_(tuned.scale, 3.0)
    again = heard.extract_again(tuned, tmp_path / "tuned", quiet)
    np.testing.assert_allclose(again.features[:, 0], 3 * heard.features[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(again.features[:, 1:], heard.features[:, 1:])
    with pytest.raises(ValueError, match="keep=True"):
        extract(Listener(), voices, tmp_path, keep=False).extract_again(tuned, tmp_path, quiet)


def test_clips_are_taken_with_their_crops(tmp_path):
    heard = extract(Listener(), make_voices([2.0, 0.8, 1.5]), tmp_path)
    part = heard.take(np.array([2, 1]))
    assert part.voices.clips == ["clip 2", "clip 1"]
    assert part.clip.tolist() == [0, 1, 1, 0, 0]
    assert part.whole.tolist() == [True, True, False, False, False]
    rows = [2, 1, 4, 5, 7]
    np.testing.assert_array_equal(part.features, heard.features[rows])
    np.testing.assert_array_equal(part.seconds, heard.seconds[rows])
    again = part.extract_again(Listener(), tmp_path, quiet)
    np.testing.assert_array_equal(again.features, part.features)


def test_the_whole_network_is_its_two_parts(tmp_path):
    """Of the real speaker networks, and as many frames as tuning reckons with."""
    torch.manual_seed(0)
    speaker, voices = SpeakerEncoder().eval(), make_voices([2.0, 0.8])
    heard = extract(speaker, voices, tmp_path)
    frozen = heard.frozen
    assert frozen
    assert [entered.shape for entered in frozen.entered[:2]] == [
        (128, round(s * FRAMES_A_SECOND) - 1) for s in (2.0, 0.8)
    ]
    whole = extract_speech_features(speaker, voices.speech, quiet)
    np.testing.assert_allclose(heard.features[:2], whole, atol=1e-5)
    again = heard.extract_again(speaker, tmp_path / "again", quiet)
    np.testing.assert_allclose(again.features, heard.features, atol=1e-5)
