"""The released measure on real films that somebody labelled: see benchmarks/speaking_faces.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech2face.data.samples import Refusal, Sample, SampleSource
from speech2face.preparation.clip_to_sample import Models, make_sample

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "talking"
pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason="the labelled clips are not here")


@pytest.fixture(scope="module")
def models() -> Models:
    return Models.load()


def make(name: str, models: Models) -> Sample | Refusal:
    return make_sample(SampleSource(name, name, 0, 60, name), CLIPS, models)[0]


@pytest.mark.parametrize(
    "name", ["crop-a11.mp4", "crop-b05.webm", "crop-b13.webm", "crop-b15.webm"]
)
def test_a_film_that_was_cropped_to_follow_a_face_is_kept(name, models):
    found = make(name, models)
    assert isinstance(found, Sample), found
    assert 0.3 < found.quality.inside <= 1


@pytest.mark.parametrize("name", ["silence-00.mp4", "silence-10.mp4", "silence-12.mp4"])
def test_who_is_silent_while_others_speak_is_refused(name, models):
    found = make(name, models)
    assert isinstance(found, Refusal), found
    assert found.stage == "speak"
