"""The doctor finds an installation well, and says what is broken in one that is not."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from packaging.requirements import Requirement

from speech2face import __version__, doctor, extras, media, model_folders
from speech2face.doctor import MEDIA_KINDS, examine
from speech2face.extras import PURPOSES, read_requirements

ROOT = Path(__file__).parents[1]


def printed(expected: bool) -> list[str]:
    lines: list[str] = []
    assert examine(lines.append) is expected
    return lines


def test_all_is_well() -> None:
    lines = printed(True)
    assert not [line for line in lines if line[0] not in "✓–"]
    text = "\n".join(lines)
    for words in ("Python", "onnxruntime", "CPUExecutionProvider", "detector", "model default"):
        assert words in text
    assert f"✓ reads {', '.join(kind.name for kind in MEDIA_KINDS)}" in lines
    assert "a face drawn from a made-up voice, 224 × 224 pixels" in text


def test_the_transcript_of_the_start_is_what_the_doctor_prints() -> None:
    """Versions are those of constraints.txt; no package of an extra is installed there."""
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    transcript = page.split("$ speech2face doctor\n")[1].split("```")[0].splitlines()
    written = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", written, re.M))
    core = [requirement.name for requirement in read_requirements()]
    assert transcript[1] == "✓ " + ", ".join(f"{name} {pins[name]}" for name in core)
    missing = [line for line in transcript if "extra" in line]
    for (extra, purpose), line in zip(PURPOSES.items(), missing, strict=True):
        remedy = f"pip install '.[{extra}]' in a checkout"
        assert line == f"– extra {extra} (for {purpose}) is not installed: {remedy}"
    lines = [line for line in printed(True) if "extra" not in line and "was not tried" not in line]
    assert transcript[2 : -len(missing)] == lines[2:]
    assert re.fullmatch(rf"✓ Python 3\.\d+\.\d+, speech2face {__version__}", transcript[0])


def test_a_missing_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folders, "ASSETS", tmp_path)
    assert "✗ no model came with the package; install it again." in printed(False)


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor,
        "read_requirements",
        lambda: [Requirement("no-such-library")],
    )
    assert "✗ No module named 'no_such_library'" in printed(False)


def test_a_missing_extra_is_told_but_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: name != "torch" and find_spec(name))
    (line,) = [line for line in printed(True) if line[0] == "–" and "extra train" in line]
    assert line.endswith(" lacks torch: pip install '.[train]' in a checkout")
    monkeypatch.setattr(extras, "find_spec", lambda name: name != "ray" and find_spec(name))
    remedy = "pip install '.[cluster]' in a checkout"
    name = "extra cluster (for prepare with several workers, --ray)"
    assert f"– {name} is not installed: {remedy}" in printed(True)


def test_a_package_that_runs_from_its_source_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", requires)
    assert "– run from its source, not installed: no versions or extras are known" in printed(True)


def without_an_option(read: Callable) -> Callable:
    """As PyAV 19 did away with an option of `open`."""

    def open_file(file: object, mode: str = "r", **options: object) -> object:
        if mode == "r":
            raise TypeError("open() got an unexpected keyword argument")
        return read(file, mode, **options)

    return open_file


def test_a_reader_that_takes_other_options_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "open", without_an_option(av.open))
    kinds = ", ".join(kind.name for kind in MEDIA_KINDS)
    reason = "TypeError: open() got an unexpected keyword argument"
    lines = printed(False)
    assert f"✗ {kinds} cannot be read ({reason}); install av again." in lines
    assert any(line.startswith("✓ a face drawn") for line in lines)  # the rest is looked at


def test_a_reader_that_cannot_even_write_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(av, "AudioResampler")
    assert any(line.startswith("✗ wav, flac, mp3") for line in printed(False))


@pytest.mark.parametrize(
    "spoil",
    [lambda sound: sound[: len(sound) // 2], lambda sound: 0 * sound, lambda sound: sound[::2]],
    ids=["half", "silence", "an octave up"],
)
def test_sound_that_is_read_as_another_is_broken(
    spoil: Callable[[np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = media.load_audio
    monkeypatch.setattr(
        media, "load_audio", lambda source: media.Waveform(spoil(load(source).samples))
    )
    (line,) = [line for line in doctor._media() if line.startswith("✗")]
    assert "(a tone became another sound)" in line


def test_kinds_that_cannot_be_written_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = av.Codec

    def find_codec(name: str, mode: str) -> av.Codec:
        return codec("no such codec" if name == "libmp3lame" else name, mode)

    monkeypatch.setattr(av, "Codec", find_codec)
    lines = list(doctor._media())
    assert "– not tried, for lack of an encoder: mp3" in lines
    assert lines[0].startswith("✓ reads wav, flac, ogg")


def test_a_version_that_was_not_tried_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version
    monkeypatch.setattr(
        doctor, "version", lambda name: "99.1.post2" if name == "av" else version(name)
    )
    monkeypatch.setattr(
        extras, "requires", lambda name: ["av<20,>=14", "rich>=13", 'torch<3; extra == "train"']
    )
    (line,) = doctor._versions()
    assert line.startswith("– av 99.1.post2 was not tried")
    assert line.endswith("pip install 'av<20,>=14'")
