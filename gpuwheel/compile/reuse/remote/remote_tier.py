"""The remote of one build: what the cache lacks is looked for there; what was made is shared once the wheel is done."""

from __future__ import annotations

import hashlib
import random
from contextlib import nullcontext
from typing import TYPE_CHECKING

from gpuwheel.compile.reuse.remote.bucket import LARGE, Bucket, BucketError
from gpuwheel.compile.reuse.remote.envelope import UntrustedError, opened_envelope, path_of, sealed_envelope
from gpuwheel.compile.reuse.remote.shared import Shared
from gpuwheel.compile.reuse.remote.signing import SigningKey
from gpuwheel.compile.reuse.remote.transfers import Transfers
from gpuwheel.errors import AuditError
from gpuwheel.model.pins import Origin

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable, Mapping

    from gpuwheel._cache import Cache
    from gpuwheel._cache.entries import Kind
    from gpuwheel.compile.reuse.remote.machine_settings import RemoteSettings
    from gpuwheel.compile.reuse.remote.transfers import Job
    from gpuwheel.model.reporter import Reporter

__all__ = ["RemoteTier", "hint_for"]

_DAMAGED = (UntrustedError, ValueError, KeyError, TypeError, AttributeError)
_DRAW = random.SystemRandom()
"""Which entries are verified, nobody can tell beforehand."""
_REFUSED = (
    "check its credentials (AWS_ACCESS_KEY_ID and others); "
    "without the right to list, s3:ListBucket, S3 refuses what is not there"
)


def hint_for(reason: str) -> str:
    """What to do about a remote that is left alone."""
    return _REFUSED if "refuses" in reason else "gpuwheel cache remote asks it again"


class RemoteTier:
    """A `Tier` of the cache."""

    def __init__(self, settings: RemoteSettings, environ: Mapping[str, str], reporter: Reporter) -> None:
        self.used: set[Origin] = set()
        """What is in this build of it."""
        self._settings = settings
        self._reporter = reporter
        self._transfers = Transfers()
        self._drawn: dict[tuple[str, str], tuple[str, tuple[Origin, ...]]] = {}
        self._compared = 0
        self._offered: dict[tuple[str, str], str] = {}
        self._told = False
        self._key = SigningKey.parse(settings.secret) if settings.secret is not None else None
        self._bucket: Bucket | None = None
        try:
            self._bucket = Bucket(settings.url, environ)
        except BucketError as error:
            self._transfers.fail(str(error), at_once=True)

    @property
    def verifies(self) -> bool:
        """Whether a share is made here all the same."""
        return self._settings.verify > 0

    @property
    def writes(self) -> bool:
        """Whether anything is shared."""
        return self._settings.writes

    def trusts(self, origins: Iterable[Origin]) -> bool:
        """Whether each was signed by somebody who may sign for its level."""
        return all(origin.signer in self._settings.trust.get(origin.level, ()) for origin in origins)

    def fetch(
        self, kind: str, keys: Collection[str], fits: Callable[[str, bytes, Origin], bool]
    ) -> dict[str, tuple[bytes, Origin]]:
        """Entries that fit, of the first level that has one."""
        found: dict[str, tuple[bytes, Origin]] = {}
        distrusted: list[str] = []

        def wanted(key: str) -> Job:
            async def job(alone: asyncio.Lock) -> None:
                for level, trusted in self._settings.trust.items():
                    path = path_of(level, kind, key)
                    data = await self._read(path, alone)
                    if data is None:
                        continue
                    try:
                        with self._transfers.working():
                            entry, signer, digest = opened_envelope(data, (level, kind, key), trusted)
                            origin = Origin(kind, key, level, signer, digest)
                            fit = fits(key, entry, origin)
                    except _DAMAGED as error:
                        reason = str(error) if isinstance(error, UntrustedError) else "is signed, and damaged"
                        distrusted.append(f"{path} {reason}")
                        self._transfers.fail("has entries that cannot be trusted")
                        continue
                    if fit:
                        found[key] = entry, origin
                        return

            return job

        self._transfers.run([wanted(key) for key in keys])
        for line in distrusted:
            self._reporter.warn(f"an entry of the remote {self._settings.shown} is not used: {line}")
        self._tell()
        return dict(found)

    def take(self, kind: str, key: str, content: bytes, origins: Iterable[Origin]) -> bool:
        """Draw, or use."""
        if _DRAW.random() < self._settings.verify:
            self._drawn[kind, key] = hashlib.sha256(content).hexdigest(), tuple(origins)
            return False
        self.used.update(origins)
        return True

    def compare(self, kind: str, key: str, content: bytes) -> None:
        """Hold what was drawn against what was made.

        Raises:
            AuditError: they differ.
        """
        expected, origins = self._drawn.pop((kind, key), (None, ()))
        found = hashlib.sha256(content).hexdigest()
        if expected is not None:
            self._compared += 1
        if expected in {None, found}:
            return
        signers = ", ".join(sorted({f"{origin.signer} for {origin.level}" for origin in origins}))
        msg = (
            f"the entry {kind}/{key} of the remote {self._settings.shown} is not what compiling gives here "
            f"(found sha256 {expected}, expected {found}; signed by {signers})"
        )
        raise AuditError(msg, hint="trust that key no longer, and build with GPUWHEEL_REMOTE=off")

    def check_compared(self) -> None:
        """See that all that was drawn has been compared.

        Raises:
            AuditError: something was not made here.
        """
        if self._drawn:
            (kind, key), *others = self._drawn
            more = f", and {len(others)} more" if others else ""
            msg = f"the entry {kind}/{key} of the remote was to be verified, and was not made here{more}"
            raise AuditError(msg, hint="build with GPUWHEEL_REMOTE=off")
        if self._settings.verify:
            same = f"{self._compared} of its entries were made here too, and are the same"
            self._reporter.info(f"remote  {same}; {len(self.used)} are in this wheel as they are")

    def offer(self, kind: str, key: str, entry: bytes) -> None:
        """Remember what was made by its digest; the cache has it."""
        if self._settings.writes:
            self._offered[kind, key] = hashlib.sha256(entry).hexdigest()

    def share(self, cache: Cache) -> None:
        """Sign and write what was made here. Nothing is raised: the wheel is there already."""
        level, signing, bucket = self._settings.write, self._key, self._bucket
        offered, self._offered = self._offered, {}
        if level is None or signing is None or bucket is None or self._transfers.off is not None:
            return
        shared = Shared(cache, self._settings)
        offered = {place: digest for place, digest in offered.items() if not shared.has(digest)}
        transfers = self._transfers = Transfers()
        written: list[int] = []

        def offering(kind: Kind, key: str, digest: str) -> Job:
            async def job(alone: asyncio.Lock) -> None:
                path = cache.lookup(kind, key)
                size = path.stat().st_size if path is not None else 0
                async with alone if size > LARGE else nullcontext():
                    entry = cache.read(kind, key)
                    if entry is None or hashlib.sha256(entry).hexdigest() != digest:
                        return  # another process has put something else there
                    with transfers.working():
                        data = sealed_envelope(entry, (level, kind, key), signing)
                    transfers.moved(len(data))
                    await bucket.write(path_of(level, kind, key), data)
                    written.append(len(data))
                    shared.add(digest)

            return job

        transfers.run([offering(kind, key, digest) for (kind, key), digest in offered.items()])  # type: ignore[arg-type]
        if written:
            shared.save()
            sizes = f"{len(written)} of {len(offered)} entries, {sum(written) / 1e6:.1f} MB"
            self._reporter.info(
                f"remote  {sizes} shared as {level} in {self._settings.shown}, signed by {signing.public}"
            )
        self._tell("nothing more is shared")

    async def _read(self, path: str, alone: asyncio.Lock) -> bytes | None:
        if self._bucket is None:
            return None
        return await self._bucket.read(path, alone, self._transfers.moved)

    def _tell(self, follows: str = "it is left alone for the rest of this build") -> None:
        """Say once why the remote is left alone."""
        reason = self._transfers.off
        if reason is not None and not self._told:
            self._told = True
            self._reporter.warn(f"the remote {self._settings.shown} {reason}: {follows}; {hint_for(reason)}")
