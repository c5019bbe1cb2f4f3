"""What is compiled again, and what is not."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.device.kernel_group import compile_group
from gpuwheel.errors import CompileError
from gpuwheel.model.reporter import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Project

pytestmark = pytest.mark.network

KERNEL = "__global__ void {name}(int* p) {{ p[0] = value(); }}\n"
TARGETS = 3  # sm_75, sm_100, compute_100


def _write_three(project: Project) -> None:
    project.write(
        shared_h="__device__ inline int value() { return 1; }\n",
        own_h="__device__ inline int value() { return 2; }\n",
        a_cu='#include "shared.h"\n' + KERNEL.format(name="a"),
        b_cu='#include "shared.h"\n' + KERNEL.format(name="b"),
        c_cu='#include "own.h"\n' + KERNEL.format(name="c"),
    )


def test_a_changed_header_recompiles_only_what_includes_it(project: Project) -> None:
    _write_three(project)
    first = project.build()
    assert project.reporter.images == 3 * TARGETS
    project.build()
    assert project.reporter.images == 0
    project.write(own_h="__device__ inline int value() { return 3; }\n")
    before = first.header.stat().st_mtime_ns
    project.build()
    assert project.reporter.images == TARGETS
    assert first.header.stat().st_mtime_ns == before, "an unchanged header was written again"
    project.write(shared_h="__device__ inline int value() { return 4; }\n")
    project.build()
    assert project.reporter.images == 2 * TARGETS


def test_options_are_part_of_the_key_and_fewer_archs_compile_nothing(project: Project) -> None:
    _write_three(project)
    project.build()
    project.build(cubin_archs=project.group().cubin_archs[:1], ptx_archs=())
    assert project.reporter.images == 0
    project.build(defines=("LEVEL=2",))
    assert project.reporter.images == 3 * TARGETS


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_entry_is_built_again(project: Project, damage: str) -> None:
    _write_three(project)
    built = project.build()
    good = built.fatbin.read_bytes()
    entries = sorted((project.cache.root / "v1" / "images").iterdir())
    assert len(entries) == 3 * TARGETS + 3 + 1  # images, a fatbin of each source, the group
    for entry in entries:
        content = bytearray(entry.read_bytes())
        if damage == "flipped":
            content[-1] ^= 1
        entry.write_bytes({"truncated": content[:-1], "flipped": content, "empty": bytearray()}[damage])
    built.fatbin.unlink()
    assert project.build().fatbin.read_bytes() == good
    assert project.reporter.images == 3 * TARGETS
    project.build()
    assert project.reporter.images == 0


def test_one_bad_source_keeps_the_others_images(project: Project) -> None:
    _write_three(project)
    project.write(c_cu="__global__ void c(int* p) { p[0] = missing; }\n")
    with pytest.raises(CompileError):
        project.build()
    assert not (project.root / "out").exists(), "nothing half-written"
    project.write(c_cu="__global__ void c(int* p) { p[0] = 0; }\n")
    project.build()
    assert project.reporter.images == TARGETS


def test_a_build_with_nothing_to_do_is_fast(project: Project) -> None:
    project.archs = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
    kernel = '#include "all.h"\n#include "h{0}.h"\n__global__ void k{0}(int* p) {{ *p = {0}; }}\n'
    for index in range(8):
        project.write(**{f"k__s{index}_cu": kernel.format(index), f"k__h{index}_h": "// " + "x" * 4000 + "\n"})
    project.write(k__all_h="".join(f'#include "h{index}.h"\n' for index in range(8)))
    group = project.group()
    project.build()
    assert project.reporter.images == 48
    seconds = []  # of CPU: other tests may run beside this one
    for _ in range(5):
        start = time.process_time()
        compile_group(
            group, project.compiler, cache=project.cache, out=project.root / "out", reporter=SilentReporter(), jobs=2
        )
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05


@pytest.mark.parametrize("flag", ["--pre-include=own.h", "-include=own.h"])
def test_a_header_that_an_option_names_is_part_of_the_key(project: Project, flag: str) -> None:
    project.archs = ("sm_80",)
    project.write(a_cu=KERNEL.format(name="a"), own_h="__device__ inline int value() { return 1; }\n")
    project.build(flags=(flag,))
    project.write(own_h="__device__ inline int value() { return 2; }\n")
    project.build(flags=(flag,))
    assert project.reporter.images == 2  # sm_80, compute_100
    project.build(flags=(flag,))
    assert project.reporter.images == 0


def test_a_folder_that_an_option_names_is_searched(project: Project) -> None:
    project.archs = ("sm_80",)
    project.write(a_cu="#include <own.h>\n" + KERNEL.format(name="a"))
    project.write(inc__own_h="__device__ inline int value() { return 1; }\n")
    project.build(flags=("-Iinc",))
    project.write(inc__own_h="__device__ inline int value() { return 2; }\n")
    project.build(flags=("-Iinc",))
    assert project.reporter.images == 2  # sm_80, compute_100


def test_what_asks_the_time_is_not_kept(project: Project) -> None:
    project.archs = ("sm_80",)
    project.write(a_cu="__device__ char when[] = __TIME__;\n__global__ void a(char* p) { *p = when[threadIdx.x]; }\n")
    for _ in range(2):
        project.build()
        assert project.reporter.images == 2  # sm_80, compute_100
    assert not list((project.cache.root / "v1").glob("images/*"))


def test_a_header_that_changes_and_changes_back_meanwhile(project: Project) -> None:
    _write_three(project)
    header = project.root / "own.h"
    content = header.read_text(encoding="utf-8")

    class Editing(SilentReporter):
        def step(self, text: str) -> None:
            del text

        @contextmanager
        def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[Editing]:
            del label, total, unit
            header.write_text("__device__ inline int value() { return 666; }\n", encoding="utf-8")
            header.write_text(content, encoding="utf-8")
            yield self

        def advance(self, amount: int) -> None:
            del amount

    group = project.group()
    with pytest.raises(CompileError, match="changed while it was being compiled"):
        compile_group(
            group, project.compiler, cache=project.cache, out=project.root / "out", reporter=Editing(), jobs=2
        )
    assert project.build()
