from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel.binary.elf import ElfFile, Import
from gpuwheel.binary.extent import extent
from gpuwheel.compatibility import load_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel.compatibility import Tables

GOOD = ElfFile(
    name="fused_ops/_C.so",
    machine="x86_64",
    soname="_C.so",
    needed=("libtorch.so", "libstdc++.so.6", "libc.so.6", "ld-linux-x86-64.so.2"),
    search_path=(),
    rpath=None,
    runpath=None,
    program=False,
    imports=(
        Import("aoti_torch_get_current_cuda_stream", weak=True),
        Import("torch_call_dispatcher", weak=False),
        Import("__cxa_finalize", weak=True, version="GLIBC_2.2.5", library="libc.so.6"),
        Import("__gmon_start__", weak=True),
        Import("memcpy", weak=False, version="GLIBC_2.14", library="libc.so.6"),
    ),
    exports=(),
    version_needs={"libc.so.6": ("GLIBC_2.2.5", "GLIBC_2.14")},
    executable_stack=False,
    constructors=2,
    sections={".nv_fatbin": extent(b"")},
)


@pytest.fixture
def elf() -> Callable[..., ElfFile]:
    """A library that breaks no rule, with changes; `add` appends imports."""

    def build(*add: Import, **changes: Any) -> ElfFile:  # noqa: ANN401 (any field)
        library = replace(GOOD, **changes)
        return replace(library, imports=(*library.imports, *add))

    return build


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables()
