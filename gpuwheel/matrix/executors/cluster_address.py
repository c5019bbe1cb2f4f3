"""`--executor`: which machines build, and whether the way to them is safe.

Dask's protocol runs what it is sent: whoever reaches a scheduler is the user that its workers run as, and a scheduler
can have its clients load what it likes. So a cluster is reached by TLS, with certificates on both sides, and without
them only where no other machine can listen: on this one.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel._environment import staying, travelling
from gpuwheel.errors import ConfigError, ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.matrix.executors import Executor, Heard
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.toolchain import Context

__all__ = ["ClusterAddress"]

_EXPECTED = "expected local, dask, dask:tls://HOST:PORT, or dask:tcp://HOST:PORT of this machine"
_HINT = "docs/how-to/build-on-many-machines.md starts such a cluster"
_ADDRESS = re.compile(r"dask:(?P<scheme>[a-z]+)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]]+):(?P<port>[0-9]{1,5})")
_LARGEST_PORT = 65535


@dataclass(frozen=True)
class ClusterAddress:
    """Where a scheduler of dask is, and what shows each side who the other is."""

    scheduler: str | None
    """For dask: "tls://10.0.0.1:8786"; `None`: a cluster of this machine is started, and ended."""
    authority: Path | None = None
    """Certificate of whoever signed those of the cluster; unset: what dask's own configuration says."""
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheduler is not None and self.scheduler.startswith("tls:")

    def connect(
        self, context: Context, snapshot: Snapshot, heard: Heard, *, slots: int | None, seconds: float | None
    ) -> Executor:
        """Reach the cluster, or start the one of this machine; `stop` lets go of it.

        Args:
            context: with the environment of the build.
            snapshot: of the sources.
            heard: is told what happens.
            slots: how many cells at once; unset: one for each worker.
            seconds: that a cell may take.

        Raises:
            ToolchainError: dask is not installed here, or gpuwheel is another one there.
            NetworkError: the cluster cannot be reached.
        """
        if importlib.util.find_spec("distributed") is None:
            msg = "--executor dask needs dask (found none, expected the extra gpuwheel[dask])"
            raise ToolchainError(msg, hint="pip install 'gpuwheel[dask]'")
        from gpuwheel.matrix.executors.cluster import connected  # noqa: PLC0415 (an extra, which takes a second to load)

        own = staying(context.environ)
        if own and self.scheduler is not None:
            context.reporter.info(f"workers have their own {', '.join(own)}: those of this machine are not sent")
        words = travelling(context.environ)
        return connected(self, snapshot, words, heard, slots=slots, seconds=seconds)

    @classmethod
    def parse(
        cls,
        text: str,
        authority: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> ClusterAddress | None:
        """From `--executor`; `None` for "local": no cluster.

        Raises:
            ConfigError: it is neither, or the way there is not safe.
        """
        files = {"--dask-ca": authority, "--dask-cert": certificate, "--dask-key": key}
        given = [option for option, path in files.items() if path is not None]
        scheduler = None if text in {"local", "dask"} else _scheduler(text)
        found = cls(scheduler, authority, certificate, key)
        if given and not found.is_encrypted:
            msg = f"{given[0]} is for a cluster that is reached by TLS (found --executor {text})"
            raise ConfigError(msg, hint="--executor dask:tls://HOST:PORT")
        if given and len(given) < len(files):
            missing = next(option for option in files if option not in given)
            msg = f"{missing} is missing (found {', '.join(given)}, expected all of {', '.join(files)}, or none)"
            raise ConfigError(msg, hint="without them, dask's own configuration says it (distributed.comm.tls)")
        return None if text == "local" else found


def _scheduler(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= _LARGEST_PORT:
        msg = f"--executor names nothing that builds (found {cut(repr(text))}, {_EXPECTED})"
        raise ConfigError(msg, hint=_HINT)
    if match["scheme"] == "tcp":
        _check_host(match["host"].strip("[]"))
    elif match["scheme"] != "tls":
        msg = f"--executor names a protocol that is not encrypted (found {match['scheme']}, expected tls)"
        raise ConfigError(msg, hint=_HINT)
    return text.removeprefix("dask:")


def _check_host(host: str) -> None:
    """See that plain TCP stays on this machine, whatever a name stands for."""
    try:
        found = {host} if _is_literal(host) else {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        msg = f"{host} has no address ({error.strerror or error}, expected a name that this machine knows)"
        raise ConfigError(msg, hint="dask:tls://HOST:PORT, or dask:tcp://127.0.0.1:PORT on this machine") from error
    for address in sorted(found):
        if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            msg = (
                f"{host} is another machine, and dask's protocol runs what it is sent: without TLS anybody on the way "
                f"could build, and change, your wheels (found {address}, expected 127.0.0.1 or ::1)"
            )
            raise ConfigError(msg, hint=f"dask:tls://{host}:PORT, with certificates")


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
