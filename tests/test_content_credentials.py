"""Signed pictures: verified by who reads them, and told where they were changed."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from helpers.certificates import Certificates, make_certificates
from helpers.command import run, succeed
from helpers.sounds import EXAMPLES
from speech2face import content_credentials
from speech2face.content_credentials import PictureSigner, read_credentials
from speech2face.errors import ModelError, UsageError
from speech2face.picture_check import check_picture

BELLA = EXAMPLES / "bella.flac"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    pytest.importorskip("c2pa", reason="comes with the extra c2pa")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def signed(certificates: Certificates) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    signer = PictureSigner(certificates.chain, certificates.key)
    return signer.sign(file.getvalue(), "face.png", "default")


def repaint(png: bytes) -> bytes:
    """The same file with other pixels, its manifest left in."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    pixels = file.getvalue()
    start = png.index(b"caBX") - 4
    (length,) = struct.unpack(">I", png[start : start + 4])
    return pixels[:33] + png[start : start + 12 + length] + pixels[33:]


def rewrite(png: bytes) -> bytes:
    """The same file with one more text in it."""
    chunk = b"tEXtTitle\0a real person"
    packed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    end = png.index(b"IEND") - 4
    return png[:end] + packed + png[end:]


def test_a_signed_picture_says_who_made_it_and_that_it_is_generated(
    signed: bytes, certificates: Certificates
) -> None:
    found = read_credentials(signed, "image/png")
    assert (found.state, found.signer) == ("valid", "Test operator")
    assert found.source_types == ("trainedAlgorithmicMedia",)
    anchors = certificates.authority.read_text()
    assert read_credentials(signed, "image/png", anchors).state == "trusted"
    assert check_picture(signed).words.startswith("yes: its content credentials say that it was")
    with Image.open(io.BytesIO(signed)) as picture:
        assert picture.getpixel((3, 3)) == (0, 128, 128)


@pytest.mark.parametrize("change", [repaint, rewrite])
def test_a_picture_that_was_changed_after_it_was_signed_is_told(signed: bytes, change) -> None:
    changed = change(signed)
    assert read_credentials(changed, "image/png").state == "changed"
    result = check_picture(changed)
    assert result.answer == "unknown"
    assert "its content credentials do not fit it: changed after it was signed" in result.words


def test_a_damaged_manifest_is_told(signed: bytes) -> None:
    start = signed.index(b"jumd") + 100
    damaged = signed[:start] + bytes(40) + signed[start + 40 :]
    assert read_credentials(damaged, "image/png").state == "changed"


def test_the_command_signs_and_checks(tmp_path: Path, certificates: Certificates) -> None:
    picture = tmp_path / "face.png"
    succeed("reconstruct", BELLA, "-o", picture, "--sign", certificates.chain, certificates.key)
    line = succeed("check", picture, "--trust", certificates.authority).stdout
    assert line.startswith("yes: ")
    assert "'Test operator', for whom a trusted authority vouches" in line


@pytest.mark.parametrize("wrong", ["expired", "other key", "no key", "no certificate", "missing"])
def test_what_cannot_sign_is_a_wrong_call_in_one_line(
    tmp_path: Path, certificates: Certificates, wrong: str
) -> None:
    chain, key = certificates.chain, certificates.key
    other = make_certificates(tmp_path, days=-5)
    if wrong == "expired":
        chain, key = other.chain, other.key
    elif wrong == "other key":
        key = other.key
    elif wrong == "no key":
        key = certificates.chain
    elif wrong == "no certificate":
        chain = certificates.key
    else:
        chain = tmp_path / "nothing.pem"
    done = run("reconstruct", BELLA, "-o", tmp_path / "face.png", "--sign", chain, key)
    assert done.returncode == 2
    assert not (tmp_path / "face.png").exists()
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(UsageError):
        PictureSigner(chain, key)


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_credentials, "_find_c2pa", lambda: None)
    with pytest.raises(ModelError, match=r"which signs pictures: pip install '\.\[c2pa\]'"):
        PictureSigner(tmp_path / "chain.pem", tmp_path / "key.pem")
    done = run("reconstruct", BELLA, "-o", tmp_path / "a.png", "--sign", "c.pem", "k.pem")
    assert done.returncode == 5
