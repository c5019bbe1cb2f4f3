"""Where compiled code came from that was not compiled here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Origin"]


@dataclass(frozen=True, order=True)
class Origin:
    """An entry of a remote, whose signature was checked when it was taken."""

    kind: str
    """"images" or "libraries"."""
    key: str
    level: str
    """Of trust."""
    signer: str
    """Public key."""
    sha256: str
    """Of the entry."""
