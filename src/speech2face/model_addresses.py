"""Addresses of models: an archive on a web server with its sha256, or a commit of a hub.

    https://example.org/my-model.tar.gz#sha256=…   64 hexadecimal digits
    hf:OWNER/NAME@COMMIT                           40 of them

Either says which bytes are meant, so an address is the same model for ever, whoever serves it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from speech2face.errors import UsageError
from speech2face.remote_files import is_address

HUB = "hf:"  # begins an address of a hub
_HUB_ADDRESS = re.compile(r"hf:([\w.-]+/[\w.-]+)@([0-9a-f]{40})", re.ASCII)
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")


@dataclass(frozen=True)
class ArchiveAddress:
    """An archive of a model on a web server."""

    url: str  # without the fragment
    sha256: str  # of the archive, in hexadecimal

    def __str__(self) -> str:
        return f"{self.url}#sha256={self.sha256}"

    @property
    def key(self) -> str:
        """The name of the folder in which the model is kept."""
        return self.sha256


@dataclass(frozen=True)
class HubAddress:
    """A model's repository on a hub."""

    repository: str  # OWNER/NAME
    commit: str  # 40 hexadecimal digits

    def __str__(self) -> str:
        return f"{HUB}{self.repository}@{self.commit}"

    @property
    def key(self) -> str:
        """The name of the folder in which the model is kept."""
        return f"{self.repository.replace('/', '--')}--{self.commit}"


Address = ArchiveAddress | HubAddress


def is_model_address(text: str) -> bool:
    """True if `text` is meant as an address, right or wrong, and not as a name or a folder."""
    return text.startswith(HUB) or is_address(text)


def parse_address(text: str) -> Address:
    """The address that `text` is. Raises UsageError where it is none that can be used."""
    if text.startswith(HUB):
        found = _HUB_ADDRESS.fullmatch(text)
        if not found or ".." in text:
            raise UsageError(
                f"{text}: give hf:OWNER/NAME@COMMIT, with the 40 digits of the commit, so that it "
                "is always the same model."
            )
        return HubAddress(*found.groups())
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"{text}: not an address; write blanks and accents as %20 and the like.")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{text}: not an address ({error}).") from None
    if parts.scheme.lower() not in ("https", "http") or not host:
        raise UsageError(f"{text}: give an address that begins with https:// and a host.")
    if parts.username is not None:
        raise UsageError(f"{parts.scheme}://…@{host}: give an address without a user's name.")
    url = parts._replace(fragment="").geturl()
    if not (digest := _SHA256.fullmatch(parts.fragment)):
        raise UsageError(
            f"{url}: say which file is meant: add #sha256= and the 64 digits that sha256sum gives."
        )
    return ArchiveAddress(url, digest[1].lower())
