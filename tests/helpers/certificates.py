"""Throw-away certificates that may sign content credentials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: the signer's chain, its key, and the authority that vouches for it."""

    chain: Path
    key: Path
    authority: Path


def make_certificates(folder: Path, days: int = 30) -> Certificates:
    """A chain of two on the curve P-256, which expires in so many days (negative: it has)."""
    x509 = pytest.importorskip("cryptography.x509", reason="comes with the extra c2pa")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.now(UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def name(words: str) -> Any:
        attributes = ((NameOID.COMMON_NAME, words), (NameOID.ORGANIZATION_NAME, "Test"))
        return x509.Name([x509.NameAttribute(*attribute) for attribute in attributes])

    def build(subject: str, public: Any, is_authority: bool) -> Any:
        builder = (
            x509.CertificateBuilder(name("Test authority"), name(subject), public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_authority,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                critical=False,
            )
        )
        if not is_authority:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    authority = build("Test authority", authority_key.public_key(), True).public_bytes(pem)
    own = build("Test operator", key.public_key(), False).public_bytes(pem)
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = Certificates(folder / "chain.pem", folder / "key.pem", folder / "authority.pem")
    files.chain.write_bytes(own + authority)
    files.key.write_bytes(secret)
    files.authority.write_bytes(authority)
    return files
