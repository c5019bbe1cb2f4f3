"""A dask cluster of this machine, as somebody starts one: a scheduler and workers, each with its own environment."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Cluster", "Keys", "descendants", "environment_of", "wait_until"]


@dataclass(frozen=True)
class Keys:
    """An authority, and certificates that it signed for nodes and for a client."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Keys:
        """Write them."""
        folder.mkdir()
        authority = _written(folder, "ca", None)
        for name in ("node", "client"):
            _written(folder, name, authority)
        return cls(folder)

    def options(self, prefix: str, who: str) -> list[str]:
        """For the command line of dask ("--tls-ca-file") or of gpuwheel ("--dask-ca")."""
        ending = "-file" if prefix == "--tls" else ""
        files = {f"{prefix}-ca{ending}": "ca.pem", f"{prefix}-cert": f"{who}.pem", f"{prefix}-key": f"{who}.key"}
        return [word for option, name in files.items() for word in (option, str(self.folder / name))]


def _written(folder: Path, name: str, authority: tuple[Any, Any] | None) -> tuple[Any, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (authority[0].subject, authority[1]) if authority else (subject, key)
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return certificate, key


@dataclass
class Cluster:
    """A scheduler and its workers; leaving the block ends them."""

    folder: Path
    keys: Keys | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Cluster:  # noqa: PYI034  # typing has Self since Python 3.11
        self.folder.mkdir()
        self._start("scheduler", "--protocol", "tls" if self.keys else "tcp", "--port", "0", "--host", "127.0.0.1")
        wait_until(lambda: self._file.is_file() and self._file.read_text().endswith("}"), 60)
        return self

    def __exit__(self, *ended: object) -> None:
        for process in reversed(self.processes):
            for pid in [process.pid, *descendants(process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()

    @property
    def _file(self) -> Path:
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        """As `--executor` takes it."""
        return f"dask:{json.loads(self._file.read_text())['address']}"

    def add_worker(self, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """One more worker, for one cell at once."""
        worker = self._start("worker", "--no-nanny", "--nthreads", "1", environ=environ)
        self.workers.append(worker)
        return worker

    def _start(self, role: str, *words: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", f"distributed.cli.dask_{role}", "--scheduler-file", str(self._file), *words]
        argv += ["--no-dashboard", *(self.keys.options("--tls", "node") if self.keys else [])]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                argv, env={**os.environ, **(environ or {})}, cwd=self.folder, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def cells(self) -> list[int]:
        """Processes that build a cell on any worker."""
        found = [pid for worker in self.workers for pid in descendants(worker.pid)]
        return [pid for pid in found if b"gpuwheel.matrix.worker" in _read(pid, "cmdline")]


def wait_until(holds: Callable[[], object], seconds: float) -> None:
    """Wait for something to be so.

    Raises:
        AssertionError: it is not so in time.
    """
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    """Processes that it started, and those that they did."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    return list(_below(pid, children))


def _below(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    for child in children.get(pid, []):
        yield child
        yield from _below(child, children)


def environment_of(pid: int) -> bytes:
    """The environment that a process was started with; empty if it is gone."""
    return _read(pid, "environ")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
