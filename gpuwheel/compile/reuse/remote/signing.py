"""Keys and signatures: Ed25519 (RFC 8032), by the package cryptography.

A public key is written `ed25519:BASE64`, a private one `gpuwheel-secret-ed25519:BASE64`, so that scanners for secrets
can know it; BASE64 is of the 32 bytes that RFC 8032 has for either.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["SigningKey", "is_signed_by"]

_SECRET_PREFIX = "gpuwheel-secret-ed25519:"  # noqa: S105 (what a secret begins with, and none)


@dataclass(frozen=True)
class SigningKey:
    """A pair of keys."""

    public: str
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def new(cls) -> SigningKey:
        """A pair that nobody else has."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """The pair of a private key.

        Raises:
            ValueError: it is none; the message does not show it.
        """
        try:
            raw = base64.b64decode(text.strip().removeprefix(_SECRET_PREFIX), validate=True)
            return cls._of(Ed25519PrivateKey.from_private_bytes(raw))
        except ValueError:
            msg = "not a private key"
            raise ValueError(msg) from None

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> SigningKey:
        return cls(f"ed25519:{base64.b64encode(private.public_key().public_bytes_raw()).decode()}", private)

    @property
    def secret(self) -> str:
        """The private half, as `parse` reads it."""
        return _SECRET_PREFIX + base64.b64encode(self._private.private_bytes_raw()).decode()

    def sign(self, statement: bytes) -> str:
        """The signature of `statement`, in base64."""
        return base64.b64encode(self._private.sign(statement)).decode()


def is_signed_by(public: str, statement: bytes, signature: str) -> bool:
    """Whether whoever has the private half of `public` signed `statement`."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("ed25519:"), validate=True))
        key.verify(base64.b64decode(signature, validate=True), statement)
    except (InvalidSignature, ValueError):
        return False
    return True
