"""The error tree. Each class owns an exit code; only the edges (`backend`, `cli`) print and exit.

A message reads `<subject> <what is wrong> (<found>, <expected>)`; `hint` is one line with a command or a key;
`detail` is the text a tool printed (a compiler's diagnostics), shown before the message.
"""

from __future__ import annotations

__all__ = [
    "AuditError",
    "BugError",
    "CacheError",
    "CompileError",
    "ConfigError",
    "DataError",
    "FileError",
    "GpuwheelError",
    "ImageError",
    "LockError",
    "MatrixError",
    "MergeConflictError",
    "NetworkError",
    "PlanError",
    "PlatformError",
    "PtxError",
    "PublishError",
    "ScaffoldError",
    "ToolchainError",
    "UnreadableError",
    "WorkflowError",
]


class GpuwheelError(Exception):
    """A mistake that the user can mend; anything else that escapes is a bug of ours and keeps its traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def render(self) -> str:
        """The whole text for a terminal: detail first, then the message, then the hint."""
        parts = [self.detail.rstrip()] if self.detail else []
        parts.append(f"error: {self.message}")
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


class ConfigError(GpuwheelError):
    """`[tool.gpuwheel]`, an environment variable or a `-C` setting is wrong."""

    exit_code = 3


class PlanError(GpuwheelError):
    """No cell can be built from what was asked and what the world allows."""

    exit_code = 4


class ToolchainError(GpuwheelError):
    """A compiler, a header set or the torch SDK is missing or is not what was pinned."""

    exit_code = 5


class NetworkError(ToolchainError):
    """A download failed, was cut short, or did not match its digest."""

    exit_code = 6


class CacheError(ToolchainError):
    """The cache folder cannot be written (disk full, permissions)."""

    exit_code = 7


class CompileError(GpuwheelError):
    """Device or host code does not compile or link."""

    exit_code = 8


class AuditError(GpuwheelError):
    """The bytes of a wheel do not hold what the wheel claims."""

    exit_code = 9


class UnreadableError(AuditError):
    """A file that was to be looked at is no wheel, or is damaged."""

    exit_code = 17


class PlatformError(GpuwheelError):
    """This operating system or C library is not one that gpuwheel builds on."""

    exit_code = 10


class DataError(GpuwheelError):
    """A table in `gpuwheel/data` breaks one of its laws: a bug of ours or a damaged install."""

    exit_code = 11


class LockError(ToolchainError):
    """A locked build would use something that its lock file does not name, or there is no lock file."""

    exit_code = 12


class ScaffoldError(GpuwheelError):
    """A project cannot be made from a template, or not be brought up to a later one."""

    exit_code = 13


class MergeConflictError(ScaffoldError):
    """A project was updated, and some of its changes and the template's exclude each other."""

    exit_code = 14


class FileError(GpuwheelError):
    """A file or folder cannot be read or written (disk full, no permission, missing), or memory ran out."""

    exit_code = 15


class MatrixError(GpuwheelError):
    """Some wheels of a matrix were not built; those that were are kept."""

    exit_code = 16


class ImageError(GpuwheelError):
    """An image cannot be made from these wheels and this base, or a layout on disk is damaged."""

    exit_code = 20


class PublishError(GpuwheelError):
    """Files were not published, or not all of them: a place that is none, or a server that refuses."""

    exit_code = 21


class PtxError(GpuwheelError):
    """Device code in PTX cannot be read."""

    exit_code = 23


class WorkflowError(GpuwheelError):
    """A CI file is not as it would be written now, or is not gpuwheel's to write."""

    exit_code = 19


class BugError(GpuwheelError):
    """Something that must not happen: a bug of gpuwheel, shown with its traceback."""

    exit_code = 70
