"""Models by name and by folder, and what is said of those that are not as they should be."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.command import refuse
from speech2face.errors import ModelError
from speech2face.model_folders import (
    FILES,
    UNTUNED,
    Card,
    find_model,
    hash_file,
    model_names,
    save_card,
)
from speech2face.reconstruct import load
from speech2face.training.init_weights import read_init

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the released model."""
    return Path(shutil.copytree(find_model().folder, tmp_path / "model"))


def refusal(name_or_folder: str | Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(name_or_folder))
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 5
    return message


def test_the_released_model_is_found_by_name_and_has_a_whole_card() -> None:
    assert "default" in model_names()
    model = find_model()
    card = model.card
    assert re.fullmatch(r"\d+\.\d+\.\d+", card.version)
    assert card.licence == "CC-BY-NC-4.0"  # of some of the data; the code is Apache-2.0
    assert card.summary
    assert set(card.sha256) == {*FILES, UNTUNED}
    assert model.untuned
    assert 0 < model.megabytes < 43


def test_a_folder_is_a_model(folder: Path) -> None:
    assert find_model(str(folder)).card == find_model().card


def test_a_card_is_read_as_it_was_written(folder: Path) -> None:
    hashes = {name: hash_file(folder / name) for name in FILES}
    card = Card("mine", "2.0.0", "MIT", "Näme", "dlib", hashes, {"voice_encoder": {"people": 3}})
    save_card(folder, card)
    assert find_model(str(folder)).card == card
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [*FILES, UNTUNED, "card.json", "disclosure.json"]
    )
    assert find_model(str(folder)).untuned is None  # a file that the card does not name is no part


def test_a_card_of_an_older_version_says_no_strength_and_no_hair(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    for name in ("typical", "hair_shapes"):
        card.pop(name, None)
    (folder / "card.json").write_text(json.dumps(card))
    found = find_model(folder).card
    assert (found.typical, found.hair_shapes) == (1, 0)
    assert load(folder).hair_shapes == 0


@pytest.mark.parametrize(
    "wrong", [{"typical": "far"}, {"typical": 0}, {"typical": math.nan}, {"hair_shapes": -1}]
)
def test_a_card_with_wrong_numbers_is_refused(folder: Path, wrong: dict[str, object]) -> None:
    card = json.loads((folder / "card.json").read_text()) | wrong
    (folder / "card.json").write_text(json.dumps(card))
    assert "not a model's card" in refusal(folder)


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    names = ", ".join(model_names())
    remedy = f"give one of {names}, a folder with a card.json, or an address."
    assert refusal("nobody") == f"no model nobody: {remedy}"
    assert "no model" in refusal(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_or_missing_file_is_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert refusal(folder) == f"{folder / name} is not the file on its card (damaged or changed)."
    (folder / name).unlink()
    assert f"{folder / name} is missing" in refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: "not json",
        lambda card: "[]",
        lambda card: json.dumps({"name": "mine"}),
        lambda card: json.dumps(card | {"sha256": None}),
        lambda card: json.dumps(card | {"surprise": 1}),
    ],
)
def test_a_card_that_is_none_is_named(folder: Path, change: Callable[[dict], str]) -> None:
    path = folder / "card.json"
    path.write_text(change(json.loads(path.read_text())))
    assert f"{path}: not a model's card" in refusal(folder)


def test_a_file_is_no_model(folder: Path) -> None:
    assert "not a model's folder" in refusal(folder / FILES[0])
    path = folder / FILES[1]
    path.write_bytes(b"not a network")
    card = find_model().card
    save_card(folder, Card(**vars(card) | {"sha256": card.sha256 | {path.name: hash_file(path)}}))
    assert f"{path}: not a model that can be run" in refusal(folder)


@pytest.mark.parametrize("facts", [{}, {"voice_encoder": {"people": 3}}, {"voice_encoder": 7}])
def test_a_card_that_does_not_say_how_a_network_was_trained_is_told(
    folder: Path, tmp_path: Path, facts: dict
) -> None:
    """By each command that trains the model's networks again, or changes them."""
    save_card(folder, Card(**vars(find_model().card) | {"facts": facts}))
    sound, pairs = ROOT / "examples" / "alpha.flac", tmp_path / "none"
    for command in (
        ("calibrate", folder, "--pairs", pairs, "--force"),
        ("quantise", folder, *[sound] * 8, "--out", tmp_path / "light"),
    ):
        told = refuse(5, *command)
        assert "card.json: does not say by which recipe and data the voice encoder was" in told
    assert not (tmp_path / "light").exists()
    with pytest.raises(ModelError, match="by which recipe"):
        read_init(folder)
