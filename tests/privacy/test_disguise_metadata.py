"""The mark of disguised voices: written, kept by conversions, and found again."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import pytest

from helpers.sounds import example_speech
from speech2face import __version__
from speech2face.media import stream_audio
from speech2face.privacy.anonymise_recording import anonymise_recording
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.disguise_metadata import SEVERAL, Mark, find_mark, make_mark

MARK = Mark(__version__, "mcadams")


def read_tags(source: Path | bytes) -> dict[str, str]:
    stream = stream_audio(source)
    for _ in stream:
        pass
    return stream.tags


def convert(path: Path, container: str, codec: str) -> bytes:
    """As FFmpeg does by itself: the sound is encoded anew, the file's tags are copied."""
    made = io.BytesIO()
    with av.open(path) as given, av.open(made, "w", format=container) as output:
        output.metadata.update(given.metadata)
        track: Any = output.add_stream(codec, rate=48_000, layout="mono")
        for frame in given.decode(audio=0):
            frame.pts = None
            output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return made.getvalue()


@pytest.fixture(scope="module")
def disguised(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, seed = tmp_path_factory.mktemp("marked"), 918_273_645
    paths = {ending: folder / f"voice.{ending}" for ending in ("wav", "flac")}
    for path in paths.values():
        anonymise_recording(example_speech(), path, load_anonymiser("mcadams"), seed)
        assert str(seed).encode() not in path.read_bytes()
    return paths


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_what_is_written_says_that_it_is_disguised(disguised: dict[str, Path], ending: str):
    tags = read_tags(disguised[ending])
    assert find_mark(tags) == MARK
    (text,) = tags.values()
    assert "Disguised voice, sound made by a machine" in text
    assert text.endswith("newscodes/digitalsourcetype/algorithmicallyEnhanced")


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp3", "libmp3lame"), ("mp4", "aac"), ("ogg", "libopus"), ("mov", "pcm_s16le")],
)
def test_the_mark_survives_a_conversion(disguised: dict[str, Path], container: str, codec: str):
    assert find_mark(read_tags(convert(disguised["flac"], container, codec))) == MARK


def test_speech_spoken_anew_is_said_to_be_generated():
    (text,) = make_mark("resynthesis").values()
    assert text.endswith("/trainedAlgorithmicMedia")


@pytest.mark.parametrize("text", ["", "by speech2face", "software=speech2face version= method="])
def test_other_tags_are_no_mark(text: str):
    assert find_mark({"comment": text, "artist": "method=mcadams"}) is None


def test_what_is_disguised_twice_is_marked_as_such(disguised: dict[str, Path], tmp_path: Path):
    path = tmp_path / "twice.flac"
    said = anonymise_recording(disguised["wav"], path, load_anonymiser("telephone"), 1)
    assert find_mark(read_tags(path)) == Mark(__version__, SEVERAL)
    assert said.method == SEVERAL
    assert "disguised already, by mcadams; what is left after telephone" in said.warnings[-1]
    said = anonymise_recording(path, tmp_path / "thrice.flac", load_anonymiser("telephone"), 1)
    assert "disguised already, more than once" in said.warnings[-1]


def test_two_marks_name_no_method():
    one, other = (make_mark(method)["comment"] for method in ("whisper", "mcadams"))
    for tags in ({"comment": f"{one} {other}"}, {"comment": one, "description": other}):
        assert find_mark(tags) == Mark(__version__, SEVERAL)
    assert find_mark({"comment": one, "description": one}) == Mark(__version__, "whisper")
