"""The remote of a build, if its machine has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.compile.reuse.remote.machine_settings import read_remote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compile.reuse.remote.remote_tier import RemoteTier
    from gpuwheel.model.reporter import Reporter

__all__ = ["PACKAGES", "find_remote"]

PACKAGES = {"cryptography", "obstore"}
"""What only machines with a remote need: the extra `remote`."""


def find_remote(environ: Mapping[str, str], reporter: Reporter) -> RemoteTier | None:
    """The remote that `environ` and the user's file name; `None` if there is none, or what it takes is not installed.

    Raises:
        ConfigError: what is said of it cannot be understood.
    """
    settings = read_remote(environ)
    if settings is None:
        return None
    try:
        from gpuwheel.compile.reuse.remote.remote_tier import RemoteTier  # noqa: PLC0415 (few builds have a remote)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in PACKAGES:
            raise
        missing = error.name.partition(".")[0]
        reporter.warn(f"the remote {settings.shown} is not used: it needs {missing}; pip install 'gpuwheel[remote]'")
        return None
    reads = ", ".join(settings.trust) or "nothing"
    writes = settings.write if settings.writes else "nothing"
    reporter.info(f"remote  {settings.shown}: reads {reads}; writes {writes}")
    if settings.write is not None and not settings.writes:
        reporter.warn(
            f"nothing is written to the remote {settings.shown}: there is no key to sign with "
            "(GPUWHEEL_REMOTE_KEY or GPUWHEEL_REMOTE_KEY_FILE)"
        )
    return RemoteTier(settings, environ, reporter)
