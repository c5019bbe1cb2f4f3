"""What builds each mode. A build is of one of them, and does not spend its time on importing the others."""

# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.model.choices import Mode

if TYPE_CHECKING:
    from gpuwheel.pipeline.embed_mode import EmbedBuild
    from gpuwheel.pipeline.kernels_mode import KernelsBuild
    from gpuwheel.pipeline.nvcc_mode import NvccBuild
    from gpuwheel.pipeline.session import ModeBuild, Session

__all__ = ["compiling_build", "host_code_build", "mode_build"]


def mode_build(session: Session) -> ModeBuild:
    """Of any cell."""
    if session.cell.mode is Mode.PYTHON:
        from gpuwheel.pipeline.python_mode import PythonBuild

        return PythonBuild(session)
    return compiling_build(session)


def compiling_build(session: Session) -> EmbedBuild | NvccBuild | KernelsBuild:
    """Of a cell with something to compile."""
    if session.cell.mode is Mode.KERNELS:
        from gpuwheel.pipeline.kernels_mode import KernelsBuild

        return KernelsBuild(session)
    return host_code_build(session)


def host_code_build(session: Session) -> EmbedBuild | NvccBuild:
    """Of a cell with C++ in it."""
    match session.cell.mode:
        case Mode.EMBED:
            from gpuwheel.pipeline.embed_mode import EmbedBuild

            return EmbedBuild(session)
        case Mode.NVCC:
            from gpuwheel.pipeline.nvcc_mode import NvccBuild

            return NvccBuild(session)
        case Mode.KERNELS | Mode.PYTHON:
            msg = f"mode {session.cell.mode.value} has no host code"
            raise ValueError(msg)
