"""Addresses of models: which bytes are meant is always said."""

from __future__ import annotations

import pytest

from speech2face.errors import UsageError
from speech2face.model_addresses import ArchiveAddress, HubAddress, is_model_address, parse_address

DIGITS = "0123456789abcdef" * 4
COMMIT = "0123456789" * 4


def test_an_archive_is_an_url_with_a_sha256() -> None:
    text = f"https://example.org:8443/a/b.tar.gz?x=1#sha256={DIGITS.upper()}"
    address = parse_address(text)
    assert address == ArchiveAddress("https://example.org:8443/a/b.tar.gz?x=1", DIGITS)
    assert parse_address(str(address)) == address
    assert address.key == DIGITS


def test_a_hub_s_address_names_a_commit() -> None:
    address = parse_address(f"hf:owner/my.model-2@{COMMIT}")
    assert address == HubAddress("owner/my.model-2", COMMIT)
    assert parse_address(str(address)) == address
    assert "/" not in address.key


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://example.org/m.tar.gz", "add #sha256="),
        ("https://example.org/m.tar.gz#sha256=12ab", "add #sha256="),
        (f"https://example.org/m.tar.gz#md5={DIGITS}", "add #sha256="),
        (f"https://example.org/m.tar.gz#sha256={DIGITS}0", "add #sha256="),
        (f"ftp://example.org/m.tar.gz#sha256={DIGITS}", "begins with https://"),
        (f"file:///etc/passwd#sha256={DIGITS}", "begins with https://"),
        (f"https:///m.tar.gz#sha256={DIGITS}", "begins with https://"),
        (f"https://me:secret@example.org/m#sha256={DIGITS}", "without a user's name"),
        (f"https://example.org:port/m#sha256={DIGITS}", "not an address"),
        (f"https://[::1/m#sha256={DIGITS}", "not an address"),
        (f"https://example.org/my model#sha256={DIGITS}", "%20"),
        (f"https://example.org/m\n#sha256={DIGITS}", "%20"),
        ("hf:owner/name", "40 digits of the commit"),
        ("hf:owner/name@main", "40 digits of the commit"),
        (f"hf:name@{COMMIT}", "40 digits of the commit"),
        (f"hf:../name@{COMMIT}", "40 digits of the commit"),
        (f"hf:a/b/c@{COMMIT}", "40 digits of the commit"),
    ],
)
def test_a_wrong_address_is_told_with_what_it_lacks(text: str, told: str) -> None:
    assert is_model_address(text)
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["default", "folder/model", "/a/b", "hf/model", "~/x", "", "a:b"])
def test_names_and_folders_are_no_addresses(text: str) -> None:
    assert not is_model_address(text)
