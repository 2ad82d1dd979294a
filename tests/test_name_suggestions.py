"""A misspelt name is answered with the one that was meant, wherever one is chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from speech2face.errors import Speech2FaceError
from speech2face.face_drawing import check_hair
from speech2face.face_encoders import OnnxEncoderConfig, load_face_encoder
from speech2face.model_folders import find_model
from speech2face.name_suggestions import find_meant, suggest
from speech2face.pictures import check_style
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.training.distributed import check_device
from speech2face.training.recipes import FACE_DECODERS, VOICE_ENCODERS, find_recipe

CHOICES: list[tuple[Callable[[str], object], str, str]] = [
    (load_anonymiser, "mcadmas", "mcadams"),
    (load_anonymiser, "Whisper", "whisper"),
    (find_model, "defualt", "default"),
    (check_style, "cartoom", "cartoon"),
    (lambda name: check_hair(name, 0, 9), "typcial", "typical"),
    (load_face_encoder, "sfcae", "sface"),
    (lambda name: OnnxEncoderConfig("mine", template=name), "arcfcae", "arcface"),
    (lambda name: find_recipe(VOICE_ENCODERS, name), "frozne", "frozen"),
    (lambda name: find_recipe(FACE_DECODERS, name), "debgu", "debug"),
    (check_device, "CUDA", "cuda"),
]


@pytest.mark.parametrize(("choose", "wrong", "meant"), CHOICES)
def test_a_misspelt_name(choose: Callable[[str], object], wrong: str, meant: str):
    with pytest.raises(Speech2FaceError) as caught:
        choose(wrong)
    assert str(caught.value).endswith(f" Did you mean {meant}?")
    assert wrong in str(caught.value)


@pytest.mark.parametrize("choose", {choose: None for choose, _, _ in CHOICES})
def test_a_name_like_none_gets_no_suggestion(choose: Callable[[str], object], tmp_path: Path):
    for name in ("zzz", "", str(tmp_path / "x")):
        with pytest.raises(Speech2FaceError) as caught:
            choose(name)
        assert "Did you mean" not in str(caught.value)


def test_the_beginning_of_a_name_means_the_only_one_that_begins_so():
    known = ["reconstruct", "recordings", "voice-encoder", "prepare"]
    assert find_meant("voi", known) == "voice-encoder"
    assert find_meant("RECON", known) == "reconstruct"
    assert find_meant("rec", known) is None  # two begin so
    assert find_meant("pr", known) is None  # too short to tell


def test_what_is_no_text_means_nothing():
    assert find_meant(7, ["7"]) is None
    assert suggest(None, ["none"]) == ""
    assert suggest("a" * 10_000, ["aaa"]) == ""
