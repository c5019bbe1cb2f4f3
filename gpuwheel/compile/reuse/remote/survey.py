"""What a remote holds, for people: whether it answers, and who signed what is in each level."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.compile.reuse.remote.bucket import Bucket, BucketError
from gpuwheel.compile.reuse.remote.envelope import HEAD, signer_of
from gpuwheel.compile.reuse.remote.remote_tier import hint_for
from gpuwheel.compile.reuse.remote.signing import SigningKey
from gpuwheel.compile.reuse.remote.transfers import Transfers
from gpuwheel.errors import NetworkError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from gpuwheel.compile.reuse.remote.machine_settings import RemoteSettings
    from gpuwheel.compile.reuse.remote.transfers import Job

__all__ = ["COUNTED", "LevelContent", "survey", "try_to_write"]

COUNTED = 1000
"""Entries of a level that are listed."""
_SAMPLED = 16
_NOBODY = "nobody"


@dataclass
class LevelContent:
    """What is in one level."""

    entries: int = 0
    """At most `COUNTED`."""
    size: int = 0
    """Bytes."""
    signers: Counter[str] = field(default_factory=Counter)
    """Public key -> how many of a few entries claim it; "nobody" for those that are not signed."""


def survey(settings: RemoteSettings, environ: Mapping[str, str]) -> dict[str, LevelContent]:
    """Level -> its content, for all that are read or written.

    Raises:
        NetworkError: the remote does not answer, or refuses.
    """
    levels = dict.fromkeys([*settings.trust, *([settings.write] if settings.write else [])])
    found = {level: LevelContent() for level in levels}
    bucket, transfers = _opened(settings, environ), Transfers()

    def looking(level: str, content: LevelContent) -> Job:
        async def job(_: asyncio.Lock) -> None:
            listed = await bucket.names(f"{level}/", COUNTED)
            content.entries, content.size = len(listed), sum(size for _, size in listed)
            for path, size in listed[-_SAMPLED:]:
                head = await bucket.beginning(path, min(HEAD, size)) if size else b""
                content.signers[signer_of(head or b"") or _NOBODY] += 1

        return job

    transfers.run([looking(level, content) for level, content in found.items()])
    _check(settings, transfers)
    return found


def try_to_write(settings: RemoteSettings, environ: Mapping[str, str]) -> str:
    """Write a small file where this machine shares; its path.

    Raises:
        NetworkError: the remote does not take it.
    """
    bucket, transfers = _opened(settings, environ), Transfers()
    public = SigningKey.parse(settings.secret).public if settings.secret else _NOBODY
    path = f"{settings.write}/probe"

    async def job(_: asyncio.Lock) -> None:
        await bucket.write(path, f"{public} can write here\n".encode())

    transfers.run([job])
    _check(settings, transfers)
    return path


def _opened(settings: RemoteSettings, environ: Mapping[str, str]) -> Bucket:
    try:
        return Bucket(settings.url, environ)
    except BucketError as error:
        raise _error(settings, str(error)) from None


def _check(settings: RemoteSettings, transfers: Transfers) -> None:
    if transfers.off is not None or transfers.last is not None:
        raise _error(settings, transfers.off or transfers.last or "")


def _error(settings: RemoteSettings, reason: str) -> NetworkError:
    where = "correct GPUWHEEL_REMOTE, or the endpoint (AWS_ENDPOINT_URL)"
    return NetworkError(
        f"the remote {settings.shown} {reason}", hint=hint_for(reason) if "refuses" in reason else where
    )
