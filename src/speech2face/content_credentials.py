"""Content credentials (C2PA) of pictures: found by all, verified and signed with the extra `c2pa`.

A manifest is signed metadata in the file: who says where the picture comes from, and a hash of all
else in it (C2PA specification 2.2). Found it is by its label, in any kind of file. Whether the
signature fits, and whose it is, c2pa-python says; nothing is fetched from the network for it.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from speech2face.errors import ModelError, UsageError
from speech2face.extras import how_to_install

# The type of a manifest store in its JUMBF box (C2PA 2.2, section 11.1.4).
_STORE = b"jumd" + bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")
_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
_UNTRUSTED = "signingCredential.untrusted"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# Algorithms of signatures, by the curve of a key.
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}

State = Literal["absent", "unverified", "changed", "valid", "trusted"]


@dataclass(frozen=True)
class Credentials:
    """What a picture's content credentials are worth, and what they say."""

    # absent: it carries none; unverified: the extra is missing; changed: they do not fit the
    # picture; valid: they fit, and anybody may have signed; trusted: a known authority vouches.
    state: State
    signer: str = ""  # the name on the certificate
    source_types: tuple[str, ...] = ()  # the IPTC's words for where it comes from, its parts' too
    problem: str = ""  # why they do not fit


def read_credentials(data: bytes, kind: str, anchors: str = "") -> Credentials:
    """Read the credentials in a picture's file, of a MIME type such as image/png.

    `anchors` are certificates, in PEM, of those whose word is trusted.
    """
    if _STORE not in data:
        return Credentials("absent")
    c2pa = _find_c2pa()
    if c2pa is None:
        return Credentials("unverified")
    trust = {"trust": {"trust_anchors": anchors}} if anchors else {}
    try:
        with (
            c2pa.Context.from_dict({**_OFFLINE, **trust}) as context,
            c2pa.Reader(kind, io.BytesIO(data), context=context) as reader,
        ):
            manifests = json.loads(reader.json())
            state, results = reader.get_validation_state(), reader.get_validation_results() or {}
    except c2pa.C2paError as error:
        return Credentials("changed", problem=" ".join(str(error).split()))
    active = manifests.get("manifests", {}).get(manifests.get("active_manifest"), {})
    signature = active.get("signature_info") or {}
    signer = signature.get("common_name") or signature.get("issuer") or ""
    types = tuple(dict.fromkeys(_find_source_types(manifests)))
    if state == "Trusted":
        return Credentials("trusted", signer, types)
    if state == "Valid":
        return Credentials("valid", signer, types)
    failures = (results.get("activeManifest") or {}).get("failure", [])
    reasons = [f["explanation"] for f in failures if f["code"] != _UNTRUSTED]
    return Credentials("changed", signer, types, "; ".join(reasons))


def _find_source_types(part: Any) -> list[str]:
    """All digital source types that stand anywhere in manifests, without their address."""
    if isinstance(part, dict):
        own = part.get("digitalSourceType")
        found = [own.rstrip("/").rpartition("/")[2]] if isinstance(own, str) else []
        return found + _find_source_types(list(part.values()))
    if isinstance(part, list):
        return [word for each in part for word in _find_source_types(each)]
    return []


class PictureSigner:
    """Signs pictures as generated, with the certificate of who runs the program."""

    def __init__(self, certificates: Path, key: Path) -> None:
        """`certificates` is a PEM file, the signer's own first; `key` the PEM of its private key.

        Raises UsageError where they cannot be read, do not belong together or may not sign (an
        expired certificate, say), and ModelError where c2pa-python is not installed.
        """
        c2pa = _need_c2pa()
        chain, secret = _read(certificates), _read(key)
        info = c2pa.C2paSignerInfo(_find_algorithm(secret, key), chain, secret, None)
        try:
            self._signer = c2pa.Signer.from_info(info)
            self.sign(_empty_picture(), "", "")
        except c2pa.C2paError as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{certificates}, {key}: cannot sign ({reason}).") from None

    def sign(self, png: bytes, title: str, model: str) -> bytes:
        """A PNG → the same with a signed manifest: generated, by this program and model."""
        from speech2face import __version__

        c2pa = _need_c2pa()
        created = {
            "action": "c2pa.created",
            "digitalSourceType": GENERATED,
            "softwareAgent": {"name": f"speech2face, model {model}", "version": __version__},
        }
        manifest = {
            "claim_generator_info": [{"name": "speech2face", "version": __version__}],
            "title": title,
            "format": "image/png",
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
        }
        settings = {**_OFFLINE, "builder": {"thumbnail": {"enabled": False}}}
        signed = io.BytesIO()
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Builder(json.dumps(manifest), context) as builder,
        ):
            builder.sign(self._signer, "image/png", io.BytesIO(png), signed)
        return signed.getvalue()


def _find_c2pa() -> ModuleType | None:
    """The module c2pa; None where there is none, or a folder of that name."""
    try:
        import c2pa
    except ImportError:
        return None
    return c2pa if hasattr(c2pa, "Reader") else None


def _need_c2pa() -> ModuleType:
    if module := _find_c2pa():
        return module
    install = how_to_install("c2pa")
    raise ModelError(f"c2pa-python is not installed, which signs pictures: {install}.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from None


def _find_algorithm(secret: bytes, path: Path) -> bytes:
    """The algorithm of signatures by a private key, in the words of C2PA."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(secret, None)
    except TypeError:
        raise UsageError(f"{path}: the key is encrypted; give one without a password.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path}: no private key in PEM.") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name].encode()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return b"ps256"
    raise UsageError(f"{path}: a key of another kind than EC, Ed25519 and RSA.")


def _empty_picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()
