"""The pinned device compiler, from the user's cache or the index, and small kernel groups to compile with it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._cache import Cache
from gpuwheel.compatibility import load_tables
from gpuwheel.compile.device.kernel_group import compile_group
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.model.archs import Arch
from gpuwheel.model.kernels import KernelGroup
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context, find_device_compiler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.model.kernels import BuiltGroup
    from gpuwheel.model.toolchain import DeviceCompiler


@dataclass
class RecordingReporter(SilentReporter):
    """Counts the images that were compiled, and keeps warnings."""

    images: int = 0
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[RecordingReporter]:
        del label, total
        assert unit == "image"
        yield self

    def advance(self, amount: int) -> None:
        self.images += amount


def _compiler(*groups: KernelGroup) -> DeviceCompiler:
    context = Context(Cache.from_environment(os.environ), os.environ, SilentReporter())
    toolkit = load_tables().cuda[MinorVersion(12, 9)]
    return find_device_compiler(toolkit, context=context, includes=toolkit_includes(groups))


@dataclass
class Project:
    """A folder with device code, compiled into `out` with a cache of its own."""

    root: Path
    compiler: DeviceCompiler
    cache: Cache
    archs: tuple[str, ...] = ("sm_75", "sm_100")
    reporter: RecordingReporter = field(default_factory=RecordingReporter)

    def write(self, **sources: str) -> None:
        """`write(a_cu="...", sub__b_h="...")`: `__` for `/`, the last `_` for `.`."""
        for name, text in sources.items():
            stem, _, suffix = name.rpartition("_")
            path = self.root / f"{stem.replace('__', '/')}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def group(self, **changes: Any) -> KernelGroup:  # noqa: ANN401  # any field of KernelGroup
        fields: dict[str, Any] = {
            "name": "fused",
            "sources": tuple(sorted(self.root.rglob("*.cu"))),
            "include_dirs": (),
            "defines": (),
            "flags": (),
            "std": "c++17",
            "cubin_archs": tuple(Arch.parse(arch) for arch in self.archs),
            "ptx_archs": (Arch.parse("compute_100"),),
            "lineinfo": False,
            "compression": ("-compress-all", "-compress-level=9"),
            "root": self.root,
        }
        return KernelGroup(**fields | changes)

    def add_headers(self, **changes: Any) -> None:  # noqa: ANN401
        """Let the compiler have the headers that few sources need, if the group does."""
        self.compiler = _compiler(self.group(**changes))

    def build(self, **changes: Any) -> BuiltGroup:  # noqa: ANN401
        self.reporter = RecordingReporter()
        out = self.root / "out"
        return compile_group(
            self.group(**changes), self.compiler, cache=self.cache, out=out, reporter=self.reporter, jobs=2
        )


@pytest.fixture(scope="session")
def compiler() -> DeviceCompiler:
    return _compiler()


@pytest.fixture
def project(tmp_path: Path, compiler: DeviceCompiler) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    return Project(root, compiler, Cache(tmp_path / "cache"))
