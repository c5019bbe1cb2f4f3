"""An entry as a remote has it: one line that says who signed it, then the entry.

A reader takes nothing from that line but whose signature to try. What has to be signed it knows by itself: the kind,
the key and the level of trust that it asked for, and the digest of what it got. So an entry that was copied from
another key or level has no valid signature there.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from gpuwheel.compile.reuse.remote.signing import is_signed_by

if TYPE_CHECKING:
    from collections.abc import Collection

    from gpuwheel.compile.reuse.remote.signing import SigningKey

__all__ = ["HEAD", "UntrustedError", "opened_envelope", "path_of", "sealed_envelope", "signer_of"]

_FORMAT = 1
_LINE = re.compile(rb"gpuwheel remote 1 (ed25519:[A-Za-z0-9+/]{43}=) ([A-Za-z0-9+/]{86}==)\n")
HEAD = 256
"""Bytes, of which the line takes fewer."""


class UntrustedError(Exception):
    """An entry that says nothing; the message is why."""


def path_of(level: str, kind: str, key: str) -> str:
    """Where an entry is, below the URL of the remote: each level has a prefix of its own."""
    return f"{level}/v{_FORMAT}/{kind}/{key}"


def sealed_envelope(entry: bytes, place: tuple[str, str, str], key: SigningKey) -> bytes:
    """`entry`, signed for one place; `place`: its level, kind and key."""
    signature = key.sign(_statement(place, hashlib.sha256(entry).hexdigest(), len(entry)))
    return f"gpuwheel remote 1 {key.public} {signature}\n".encode() + entry


def opened_envelope(data: bytes, place: tuple[str, str, str], trusted: Collection[str]) -> tuple[bytes, str, str]:
    """(entry, public key of its signer, sha256 of the entry); `place`: the level, kind and key that were asked for.

    Raises:
        UntrustedError: nobody signed it, or nobody of `trusted`, or not this entry for this place.
    """
    signer, line = signer_of(data), _LINE.match(data)
    if signer is None or line is None:
        msg = "is not signed"
        raise UntrustedError(msg)
    if signer not in trusted:
        msg = f"is signed by {signer}, which is not trusted for {place[0]}"
        raise UntrustedError(msg)
    entry = data[line.end() :]
    digest = hashlib.sha256(entry).hexdigest()
    if not is_signed_by(signer, _statement(place, digest, len(entry)), line[2].decode()):
        msg = f"is damaged, or belongs elsewhere: the signature of {signer} is not of this entry in this place"
        raise UntrustedError(msg)
    return entry, signer, digest


def signer_of(data: bytes) -> str | None:
    """The public key that an entry claims to be signed by, from its beginning (`HEAD` bytes)."""
    line = _LINE.match(data)
    return None if line is None else line[1].decode()


def _statement(place: tuple[str, str, str], digest: str, size: int) -> bytes:
    """What a signature covers. The first line keeps it from passing for one of anything else."""
    level, kind, key = place
    parts = {"format": _FORMAT, "level": level, "kind": kind, "key": key, "sha256": digest, "size": size}
    return b"gpuwheel remote entry\n" + json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()
