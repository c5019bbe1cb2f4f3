"""A project without extensions: nothing is compiled, and its wheel holds Python files alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel.compile.cmake import inner
from gpuwheel.lock.check import BuildInputs
from gpuwheel.model.promises import Claims, Expected
from gpuwheel.model.toolchain import KernelsToolchain
from gpuwheel.pipeline.session import Compiled
from gpuwheel.wheel import read_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.model.pins import Pin
    from gpuwheel.pipeline.session import Session

__all__ = ["PythonBuild"]


class PythonBuild:
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def requires(self) -> tuple[Pin, ...]:
        """Nothing."""
        return ()

    def inputs(self) -> BuildInputs:
        """Nothing."""
        return BuildInputs((), (), None)

    def fetch(self) -> None:
        """There is nothing to fetch."""

    @contextmanager
    def compiled(self, *, editable: bool, keep: bool = False) -> Iterator[Compiled]:
        """The inner backend's wheel."""
        del keep  # nothing is compiled
        session = self._session
        with session.cache.scratch() as out:
            settings = inner.pure_settings(session.config.inner)
            wheel = read_wheel(inner.build_wheel(session.inside, out, settings, editable=editable))
        # The toolchain of nothing: its bill of materials is empty, as it should be.
        yield Compiled(wheel, Expected(Claims(session.cell.torch_floor)), KernelsToolchain(()))
