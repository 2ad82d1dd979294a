"""Which hair is asked for, and how a decoder is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from speech2face.errors import UsageError
from speech2face.face_drawing import CERTAIN, HairChoice, check_hair, draw_faces


@pytest.mark.parametrize(
    ("given", "shape", "name"),
    [
        ("typical", None, "typical"),
        ("none", 0, "none"),
        ("3", 3, "3"),
        (1, 1, "1"),
        (np.int64(4), 4, "4"),
    ],
)
def test_hair_is_typical_none_or_a_number(given: Any, shape: int | None, name: str) -> None:
    hair = check_hair(given, 7, 4)
    assert (hair.shape, hair.name, hair.seed) == (shape, name, 7)


@pytest.mark.parametrize(
    "given", ["", "0", "5", 0, 5, -1, "-1", "1.0", 1.0, True, None, "None", "²", "9" * 5000, [1]]
)
def test_no_other_hair_is_taken(given: Any) -> None:
    with pytest.raises(
        UsageError, match=r"^hair is typical, none, or a number from 1 to 4"
    ) as told:
        check_hair(given, 0, 4)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("given", ["none", 1, "1", "long"])
def test_of_a_model_without_a_choice_hair_is_typical(given: Any) -> None:
    assert check_hair("typical", 0, 0) == HairChoice()
    with pytest.raises(UsageError, match=r"^hair cannot be chosen with this model"):
        check_hair(given, 0, 0)


class Decoder:
    """Keeps what it is given, and draws black."""

    def __init__(self, inputs: list[str], kinds: int = 6) -> None:
        self.inputs = [SimpleNamespace(name=name, shape=["batch", kinds]) for name in inputs]

    def get_inputs(self) -> list[Any]:
        return self.inputs

    def run(self, _: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.given = given
        count = len(given["embedding"])
        return [np.zeros((count, 3, 8, 8)), np.zeros((count, 66, 2))]


@pytest.mark.parametrize("inputs", [["embedding"], ["embedding", "hair", "turn"]])
def test_a_decoder_is_given_what_it_takes(inputs: list[str]) -> None:
    decoder, embeddings = Decoder(inputs), np.ones((3, 5), np.float32)
    pictures, _ = draw_faces(decoder, embeddings)  # type: ignore[arg-type]
    assert pictures.shape == (3, 8, 8, 3)
    assert [*decoder.given] == inputs
    for name in inputs[1:]:
        np.testing.assert_array_equal(decoder.given[name], np.zeros((3, 6)))


def test_hair_that_is_chosen_is_certain_and_a_seed_turns_every_face_alike() -> None:
    decoder, embeddings = Decoder(["embedding", "hair", "turn"]), np.ones((3, 5), np.float32)
    turns = []
    for hair in (HairChoice(2, 1), HairChoice(None, 1), HairChoice(None, 2)):
        draw_faces(decoder, embeddings, hair)  # type: ignore[arg-type]
        wanted = np.zeros((3, 6))
        wanted[:, 2] = CERTAIN if hair.shape else 0
        np.testing.assert_array_equal(decoder.given["hair"], wanted)
        (turn,) = np.unique(decoder.given["turn"], axis=0)
        assert ((turn >= 0) & (turn < 2)).all()
        turns.append(turn)
    np.testing.assert_array_equal(turns[0], turns[1])
    assert (turns[1] != turns[2]).all()
