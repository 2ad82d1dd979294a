"""An attacker's network on made-up speech: what learns, from whom, and what stays as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.tiny_networks import TINY
from speech2face.networks.speaker_encoder import SpeakerEncoder
from speech2face.privacy.attacker_features import AttackerFeatures
from speech2face.privacy.tuned_networks import HeardSet, tune_by_folds
from speech2face.training.attacker_tuning import AttackerRecipe, AttackerTask, Lesson, tune_attacker
from speech2face.training.last_block import HeardSpeech, finish_features, hear_speech
from speech2face.training.loop import LoopConfig
from speech2face.training.voice_encoder import LAST_BLOCK

SPEAKERS, RATE = 8, 16_000
RECIPE = AttackerRecipe(
    loop=LoopConfig(steps=12, learning_rate=1e-2, warmup=2, weight_decay=0.0, average=0.9),
    batch=8,
    seconds=0.4,
)
rng = np.random.default_rng(0)


def make_speaker() -> SpeakerEncoder:
    torch.manual_seed(0)
    return SpeakerEncoder(TINY.speaker).eval()


def make_sounds(gain: float) -> list[np.ndarray]:
    """A tone of each speaker's own, in noise."""
    time = np.arange(round(0.6 * RATE)) / RATE
    tones = [np.sin(2 * np.pi * 150 * 1.4**i * time) for i in range(SPEAKERS)]
    return [(gain * tone + 0.02 * rng.normal(size=len(time))).astype(np.float32) for tone in tones]


def show(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    speaker, cache = make_speaker(), tmp_path_factory.mktemp("heard")
    heard = [hear_speech(speaker, make_sounds(gain), cache, show) for gain in (0.3, 0.1)]
    features = [finish_features(speaker, one) for one in heard]
    names = np.array([f"person {i}" for i in range(SPEAKERS)])
    return Lesson(heard, features, names, rng.normal(size=(SPEAKERS, 3)))


def test_the_last_block_goes_on_where_the_lower_ones_ended(tmp_path: Path):
    speaker, sounds = make_speaker(), make_sounds(0.3)
    heard = hear_speech(speaker, sounds, tmp_path, show)
    assert heard.middle[0].dtype == np.float16
    with torch.inference_mode():
        whole = np.concatenate([speaker(torch.from_numpy(s[None])).numpy() for s in sounds])
    np.testing.assert_allclose(finish_features(speaker, heard), whole, atol=3e-3)
    speaker.pass_lower_blocks = None  # pyright: ignore[reportAttributeAccessIssue]
    again = hear_speech(speaker, sounds, tmp_path, show)
    assert again.key == heard.key
    np.testing.assert_array_equal(again.middle[3], heard.middle[3])


def test_only_the_last_block_learns_and_both_losses_fall(lesson: Lesson, tmp_path: Path):
    speaker = make_speaker()
    before = {name: value.clone() for name, value in speaker.state_dict().items()}
    voices = replace(lesson, faces=None)
    tune_attacker(RECIPE, speaker, lesson, voices, tmp_path, {"fold": 0}, show)
    for name, value in speaker.state_dict().items():
        same = torch.equal(value, before[name])
        assert same or name.startswith(LAST_BLOCK), name
    assert not torch.equal(
        speaker.state_dict()["campplus.embed.0.weight"], before["campplus.embed.0.weight"]
    )
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for loss in ("speaker", "face"):
        assert rows[-1][loss] < 0.8 * rows[0][loss]


def test_an_excerpt_has_the_face_and_the_name_of_whose_it_is(lesson: Lesson):
    task = AttackerTask(RECIPE, make_speaker(), lesson, replace(lesson, faces=None))
    middle, ge2e, version, label, faces = task.batch(0, np.random.default_rng(3))
    assert middle.shape == (8, lesson.heard[0].middle[0].shape[0], 20)
    for row in range(8):
        person = int(label[row])
        np.testing.assert_array_equal(ge2e[row], lesson.heard[int(version[row])].ge2e[person])
        if row < 4:
            assert lesson.faces is not None
            np.testing.assert_allclose(faces[row], lesson.faces[person], rtol=1e-6)
    assert len(faces) == 4


def test_a_network_that_is_tuned_for_a_fold_meets_nobody_in_it(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fold = np.arange(SPEAKERS) % 2
    taught: list[tuple[set[str], set[str]]] = []

    def remember(recipe, speaker, pairs, voices, folder, told, show):
        taught.append((set(pairs.people), set(voices.people)))
        with torch.no_grad():
            speaker.campplus.embed[0].weight *= -1 - told["fold"]

    monkeypatch.setattr("speech2face.privacy.tuned_networks.tune_attacker", remember)
    features = [AttackerFeatures(one, np.ones(SPEAKERS)) for one in lesson.features]
    pairs = HeardSet(lesson.heard, features, lesson.people, fold, lesson.faces)
    voices = HeardSet(lesson.heard, features, lesson.people, fold)
    (plain, _), _ = tune_by_folds(RECIPE, make_speaker, pairs, voices, tmp_path, show)
    for k, names in enumerate(taught):
        assert names == (set(lesson.people[fold != k]),) * 2
    assert [*plain.features] == [0, 1]
    np.testing.assert_allclose(
        plain.of_fold(1).features, plain.of_fold(0).features, atol=1e-4
    )  # the same but for a factor, which the length of 1 takes away
    assert not np.allclose(plain.of_fold(0).features, lesson.features[0], atol=1e-2)


def test_what_was_heard_belongs_to_the_sounds(lesson: Lesson):
    part = lesson.take(np.array([2, 5]))
    assert part.people.tolist() == ["person 2", "person 5"]
    assert isinstance(part.heard[1], HeardSpeech)
    np.testing.assert_array_equal(part.heard[1].middle[1], lesson.heard[1].middle[5])
    np.testing.assert_array_equal(part.features[0], lesson.features[0][[2, 5]])
