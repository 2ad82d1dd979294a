"""Is a picture generated? By its metadata, its content credentials and the watermark."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from helpers.command import refuse, run, succeed
from helpers.sounds import EXAMPLES
from speech2face import Speech2Face
from speech2face.content_credentials import Credentials, read_credentials
from speech2face.errors import UnreadableMediaError
from speech2face.photographs import Photograph
from speech2face.picture_check import PictureCheck, _judge, check_picture
from speech2face.pictures import encode_png
from speech2face.watermark import Mark

TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
STORE = b"jumd" + bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")
ABSENT, NOTHING = Credentials("absent"), Mark(False, 5.0, None)
PHOTOGRAPH = Photograph(Image.new("RGB", (8, 8)), b"", {})


@pytest.fixture(scope="module")
def face(model: Speech2Face) -> Image.Image:
    return model.reconstruct(EXAMPLES / "bella.flac").image


def paint(side: int = 224) -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 256, (side, side, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def pack(picture: Image.Image, kind: str, source_type: str = "", **options: object) -> bytes:
    """A picture's file with a digital source type in its XMP."""
    file = io.BytesIO()
    if source_type:
        xmp = f'<x:xmpmeta><a DigitalSourceType="{TYPES}{source_type}"/></x:xmpmeta>'
        if kind == "PNG":
            info = PngInfo()
            info.add_itxt("XML:com.adobe.xmp", xmp)
            options["pnginfo"] = info
        elif kind == "TIFF":
            options["tiffinfo"] = {700: xmp.encode()}
        else:
            options["xmp"] = xmp.encode()
    picture.save(file, kind, **options)
    return file.getvalue()


def add_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk, after its header."""
    chunk = kind + data
    packed = struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:33] + packed + png[33:]


def test_a_drawn_face_is_generated_by_its_metadata_and_its_watermark(
    face: Image.Image, model: Speech2Face
) -> None:
    file = io.BytesIO()
    encode_png(face, file, "default")
    result = check_picture(file.getvalue())
    assert result.answer == "yes"
    assert result.words.startswith("yes: it carries the watermark of speech2face, model number ")
    assert result.watermark.number == model.card.number
    assert f"default {model.card.version}" in result.models
    assert result.source_types == ("trainedAlgorithmicMedia",)


def test_it_is_still_one_when_its_metadata_are_gone(face: Image.Image) -> None:
    result = check_picture(pack(face, "JPEG", quality=75))
    assert (result.answer, result.source_types) == ("yes", ())
    assert result.watermark.found
    again = pack(face.resize((112, 112), Image.Resampling.LANCZOS), "PNG")
    assert check_picture(again).answer == "yes"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("source_type", "answer", "words"),
    [
        ("trainedAlgorithmicMedia", "yes", "made by a trained model"),
        ("compositeWithTrainedAlgorithmicMedia", "yes", "made in part by a trained model"),
        ("digitalCapture", "unknown", "no mark of a generated picture was found"),
        ("", "unknown", "marks can be lost or removed"),
    ],
)
def test_source_types_are_read_in_each_kind_of_file(
    kind: str, source_type: str, answer: str, words: str
) -> None:
    """Metadata alone never make it a no: anybody can write them."""
    result = check_picture(pack(paint(64), kind, source_type))
    assert result.answer == answer
    assert words in result.words
    assert result.source_types == ((source_type,) if source_type else ())


@pytest.mark.parametrize(
    ("credentials", "answer", "words"),
    [
        (Credentials("unverified"), "unknown", "content credentials, not verified (pip install"),
        (Credentials("trusted", "Cam", ("digitalCapture",)), "no", "a camera took it"),
        (Credentials("valid", "Cam", ("digitalCapture",)), "unknown", "no known authority"),
        (Credentials("trusted", "Cam"), "unknown", "a trusted authority vouches"),
        (
            Credentials("trusted", "Cam", ("digitalCapture", "trainedAlgorithmicMedia")),
            "yes",
            "credentials say that it was made by a trained model",
        ),
        (
            Credentials("changed", "Cam", ("digitalCapture",), "hash"),
            "unknown",
            "changed after it was signed (hash)",
        ),
        (
            Credentials("changed", "Cam", ("trainedAlgorithmicMedia",)),
            "unknown",
            "changed after it was signed",
        ),
    ],
)
def test_what_credentials_are_worth(credentials: Credentials, answer: str, words: str) -> None:
    said, reasons = _judge(PHOTOGRAPH, (), credentials, NOTHING, ())
    assert said == answer
    assert words in "; ".join(reasons)


def test_a_watermark_is_stronger_than_a_cameras_credentials() -> None:
    camera = Credentials("trusted", "Cam", ("digitalCapture",))
    answer, reasons = _judge(PHOTOGRAPH, (), camera, Mark(True, 9.0, None), ())
    assert answer == "yes"
    assert reasons[0].endswith("whose model's number cannot be read any more")


def test_credentials_are_found_in_any_kind_of_file_and_without_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("speech2face.content_credentials._find_c2pa", lambda: None)
    png = pack(paint(64), "PNG")
    assert read_credentials(png, "image/png") == ABSENT
    signed = check_picture(add_chunk(png, b"caBX", b"\0\0\0\x20" + STORE))
    assert signed.credentials == Credentials("unverified")
    assert "pip install '.[c2pa]'" in signed.words
    jpeg = pack(paint(64), "JPEG")
    segment = b"JP\0\x01\0\0\0\x01\0\0\0\x30jumb\0\0\0\x20" + STORE
    app11 = b"\xff\xeb" + struct.pack(">H", len(segment) + 2) + segment
    assert check_picture(jpeg[:2] + app11 + jpeg[2:]).credentials.state == "unverified"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"RIFF\0\0\0\0WAVEfmt ", "no picture, or of an unknown kind"),
        (b"\0\0\0\x20ftypisom", "HEIC or a video"),
        (pack(paint(), "PNG")[:9000], "truncated"),
        (pack(Image.new("1", (20_000, 20_000)), "PNG"), "too large a picture"),
    ],
)
def test_what_is_no_picture_is_told_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableMediaError, match=words) as error:
        check_picture(data)
    assert "\n" not in str(error.value)


def test_the_command_answers_first_and_takes_folders(tmp_path: Path, face: Image.Image) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "drawn.png").write_bytes(pack(face, "PNG"))
    (folder / "noise.jpg").write_bytes(pack(paint(64), "JPEG"))
    (folder / "notes.txt").write_text("no picture")
    first, second = succeed("check", folder).stdout.splitlines()
    assert first.startswith(f"yes: {folder / 'drawn.png'}: it carries the watermark")
    assert second.startswith(f"unknown: {folder / 'noise.jpg'}: no mark")
    row = json.loads(succeed("check", folder / "drawn.png", "--json").stdout)
    assert row["answer"] == "yes"
    assert row["words"].startswith("yes: ")
    assert row["watermark"]["found"] is True
    assert row["credentials"]["state"] == "absent"
    assert row["error"] is None


def test_one_that_fails_leaves_the_others_answered(tmp_path: Path) -> None:
    (tmp_path / "noise.png").write_bytes(pack(paint(64), "PNG"))
    (tmp_path / "broken.png").write_bytes(b"no")
    done = run("check", tmp_path)
    assert done.returncode == 6
    assert done.stdout.startswith("unknown: ")
    assert "broken.png: not a picture that can be read" in done.stderr
    alone = run("check", EXAMPLES / "bella.flac")
    assert (alone.returncode, alone.stdout) == (3, "")
    assert "bella.flac: not a picture that can be read" in alone.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    none = run("check", empty)
    assert none.returncode == 2
    assert "no pictures in this folder" in none.stderr
    line = refuse(3, "check", "missing.png", cwd=tmp_path)
    assert line == refuse(3, "reconstruct", "missing.png", cwd=tmp_path)  # as of a recording
    assert line == "speech2face: missing.png does not exist; check the path"


def test_standard_input_is_read(tmp_path: Path) -> None:
    with io.BytesIO(pack(paint(64), "PNG", "trainedAlgorithmicMedia")) as file:
        (tmp_path / "in").write_bytes(file.read())
    with (tmp_path / "in").open("rb") as file:
        assert succeed("check", "-", stdin=file).stdout.startswith("yes: -: its metadata say")


def test_a_file_of_authorities_that_is_none_is_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "noise.png").write_bytes(pack(paint(64), "PNG"))
    (tmp_path / "words.pem").write_text("hello")
    done = run("check", tmp_path / "noise.png", "--trust", tmp_path / "words.pem")
    assert done.returncode == 2
    assert "no certificates in PEM" in done.stderr


def test_a_result_is_one_sentence() -> None:
    result = PictureCheck("unknown", ("first", "second"), (), ABSENT, NOTHING, ())
    assert result.words == "unknown: first; second."
