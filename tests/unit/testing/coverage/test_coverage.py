"""Counts of a run on the pretend GPU, as kernels, lines, and what is told of them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel.testing.coverage.coverage_counts import Coverage, KernelCoverage, read_coverage
from gpuwheel.testing.coverage.coverage_sources import covered_sources
from gpuwheel.testing.coverage.coverage_texts import line_ranges, share
from gpuwheel.testing.coverage.covered_run import write_coverage

if TYPE_CHECKING:
    from collections.abc import Sequence

PTX = """.version 8.0
.target sm_80
.address_size 64
.file 1 "/home/somebody/ops/csrc/scale.cu"
.file 2 "/usr/local/cuda/include/cuda_fp16.hpp"
.func halve() {
.loc 1 3 1
add.s32 %r0, %r0, 1;
ret;
}
.visible .entry _Z5scaleIfEvv() {
.reg .pred %p<2>; .reg .b32 %r<3>;
.loc 1 10 3
mov.u32 %r1, %tid.x;
setp.ne.s32 %p1, %r1, 0;
@%p1 bra L;
.loc 1 11 5
mov.u32 %r2, 7;
.loc 2 900 1, function_name $L__info_string0, inlined_at 1 12 5
mov.u32 %r2, 8;
L:
.loc 1 14 1
ret;
}
.visible .entry _Z5scaleIdEvv() {
.loc 1 10 3
ret;
}
.visible .entry _Z6unusedv() {
.loc 1 20 3
ret;
}
""".replace("add.s32 %r0, %r0, 1;\n", "")
COUNTS = (64, 64, 64, 0, 0, 64, 0)
"""Of scale<float>: what each instruction of its program did, and the return that is added."""


def counts(folder: Path, kernel: str, of_each: Sequence[int], *, launches: int = 2, text: str = PTX) -> Path:
    """What one process leaves behind."""
    source, program = folder.parent / "text", folder.parent / f"program-{kernel}"
    source.write_text(text)
    program.write_text(f"kernel {kernel}\nsource {source}\nblock 0\n")
    name = str(program).encode() + b"\0"
    name += bytes(-len(name) % 8)
    head = struct.pack("<8sQQQ", b"gwcover1", len(of_each), launches, len(name))
    path = folder / f"counts-{len(list(folder.iterdir()))}"
    path.write_bytes(head + name + struct.pack(f"<{len(of_each)}Q", *of_each))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "counts"
    made.mkdir()
    (made / "0.ptx").write_text(PTX)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "csrc").mkdir(parents=True)
    (root / "csrc" / "scale.cu").write_text("".join(f"int line_{number}; // <b>\n" for number in range(1, 25)))
    (root / "other").mkdir()
    (root / "other" / "scale.cu").write_text("")
    return root


def test_kernels_that_ran_and_those_that_never_did(folder: Path) -> None:
    counts(folder, "_Z5scaleIfEvv", COUNTS)
    counts(folder, "_Z5scaleIfEvv", COUNTS, launches=1)  # another process
    found = read_coverage(folder)
    assert [kernel.name for kernel in found.kernels] == ["scale<double>", "scale<float>", "unused"]
    assert found.launched == (KernelCoverage("_Z5scaleIfEvv", 3, 6, 4),)
    assert [kernel.name for kernel in found.never] == ["scale<double>", "unused"]


def test_lines_with_what_was_inlined_into_them(folder: Path) -> None:
    counts(folder, "_Z5scaleIfEvv", COUNTS)
    counts(folder, "_Z5scaleIdEvv", (5, 0), launches=1)
    files = read_coverage(folder).files
    assert files["/home/somebody/ops/csrc/scale.cu"] == {3: 0, 10: 69, 11: 0, 12: 0, 14: 64, 20: 0}
    assert files["/usr/local/cuda/include/cuda_fp16.hpp"] == {900: 0}


def test_without_line_information_kernels_are_told_alone(folder: Path) -> None:
    (folder / "0.ptx").write_text("\n".join(line for line in PTX.splitlines() if not line.startswith(".loc")))
    found = read_coverage(folder)
    assert not found.files
    assert found.without_lines == len(found.never) == 3


def test_what_is_not_whole_is_left_out(folder: Path) -> None:
    path = counts(folder, "_Z5scaleIfEvv", COUNTS)
    path.write_bytes(path.read_bytes()[:-3])
    (folder / "counts-empty").write_bytes(b"")
    (folder / "damaged.ptx").write_text("nonsense")
    counts(folder, "_Z5scaleIdEvv", (5, 0, 0, 0))  # of another program
    found = read_coverage(folder)
    assert len(found.kernels) == 3
    assert [(kernel.name, kernel.instructions) for kernel in found.launched] == [("scale<double>", None)]


def test_sources_are_found_where_the_project_has_them(folder: Path, project: Path) -> None:
    sources, elsewhere = covered_sources(read_coverage(folder), project)
    assert [source.name for source in sources] == ["csrc/scale.cu"]
    assert elsewhere == ["/usr/local/cuda/include/cuda_fp16.hpp"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/proc/self/fd/7/csrc/scale.cu", "csrc/scale.cu"),  # as a build names it that names no folder of its machine
        ("/proc/self/cwd/other/scale.cu", "other/scale.cu"),
        ("other/scale.cu", "other/scale.cu"),
        ("./csrc/../other/scale.cu", "other/scale.cu"),
        ("top.cuh", "top.cuh"),
        ("/elsewhere/top.cuh", "top.cuh"),
        ("/elsewhere/include/scale.cu", None),  # only its last name is the same
        ("/elsewhere/limits.cuh", None),
    ],
)
def test_a_source_is_found_by_the_folders_of_its_name(
    project: Path, name: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "top.cuh").write_text("")
    (project / "deep" / "er").mkdir(parents=True)
    (project / "deep" / "er" / "limits.cuh").write_text("")
    monkeypatch.chdir(project)
    sources, elsewhere = covered_sources(Coverage((), {name: {1: 1}}), Path())
    assert [source.name for source in sources] == ([found] if found else [])
    assert bool(elsewhere) is not bool(found)


def test_text_page_tracefile_and_json(folder: Path, project: Path, tmp_path: Path) -> None:
    counts(folder, "_Z5scaleIfEvv", COUNTS)
    told = write_coverage(folder, project, tmp_path / "out" / "here")
    assert told[:2] == [
        "device code: 1 of 3 kernels were launched, 2 of 6 lines executed (33 %)",
        "  csrc/scale.cu   33 %  never: 3, 11-12, 20",
    ]
    assert told[2:5] == ["  never launched:", "    scale<double>", "    unused"]
    trace = (tmp_path / "out" / "here" / "lcov.info").read_text()
    assert f"SF:{project / 'csrc' / 'scale.cu'}\nDA:3,0\nDA:10,64\n" in trace
    assert trace.endswith("DA:20,0\nLF:6\nLH:2\nend_of_record\n")
    page = (tmp_path / "out" / "here" / "index.html").read_text()
    assert "1 of 2 instantiations" in page
    assert '<b class="miss"><i>never    11</i>int line_11; // &lt;b&gt;</b>' in page
    assert '<b class="hit"><i>64    10</i>' in page
    document = json.loads((tmp_path / "out" / "here" / "coverage.json").read_text())
    assert document["kernels"][1]["executed"] == 4
    assert document["files"][0]["lines"]["14"] == 64


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(0, 0, "-"), (1, 1000, "1 %"), (999, 1000, "99 %"), (3, 3, "100 %"), (0, 3, "0 %")]
)
def test_shares_say_all_and_nothing_of_all_and_nothing_alone(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


def test_ranges() -> None:
    assert line_ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
