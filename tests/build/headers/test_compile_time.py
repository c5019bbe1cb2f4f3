"""What the C++ compiler refuses and what it makes of the headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel._run import run

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workshop

pytestmark = pytest.mark.compiler

CALL = """\
#include "small.kernels.h"
void f(float* p, const float* c, long n, double d, void* v) {{
  (void)p, (void)c, (void)n, (void)d, (void)v;
  {}
}}
"""
ANOTHER_TYPE = "a kernel argument has another type than the kernel's parameter, or would be narrowed"

BAD = {
    "too few": ("small::add.launch({1, 32}, p, c, n);", "wrong number of kernel arguments"),
    "too many": ("small::add.launch({1, 32}, p, c, n, 1.f, 2);", "wrong number of kernel arguments"),
    "void pointer": ("small::add.launch({1, 32}, v, c, n, 1.f);", ANOTHER_TYPE),
    "const to non-const": ("small::add.launch({1, 32}, c, c, n, 1.f);", ANOTHER_TYPE),
    "another pointer": ("small::add.launch({1, 32}, p, &d, n, 1.f);", ANOTHER_TYPE),
    "double to float": ("small::add.launch({1, 32}, p, c, n, d);", ANOTHER_TYPE),
    "float to integer": ("small::add.launch({1, 32}, p, c, 1.5f, 1.f);", ANOTHER_TYPE),
    "unsigned to signed": ("small::add.launch({1, 32}, p, c, sizeof(d), 1.f);", ANOTHER_TYPE),
    "another size": ("small::bytes.launch({1, 32}, n, 'x');", ANOTHER_TYPE),
    "not compiled": (
        "small::fill<8>.launch({1, 32}, p);",
        "this instantiation of the kernel is not in the image: add GPUWHEEL_INSTANTIATE",
    ),
    "a copy": ("auto copy = small::add; (void)copy;", "deleted"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_launch_does_not_compile(workshop: Workshop, name: str) -> None:
    call, message = BAD[name]
    done = workshop.compile(CALL.format(call), "-fsyntax-only", name="bad")
    assert done.returncode != 0
    assert message in done.stderr


def test_the_message_names_the_argument_and_both_types(workshop: Workshop) -> None:
    done = workshop.compile(CALL.format("small::add.launch({1, 32}, p, c, n, d);"), "-fsyntax-only", name="bad")
    assert re.search(r"CheckArgument<3, float, double", done.stderr)


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_right_launches_compile_without_a_warning(workshop: Workshop, standard: str) -> None:
    calls = (
        "small::add.launch({1, 32}, p, p, 5, 1.f);",
        "small::add.launch({1, 32}, nullptr, nullptr, n, 1.f);",
        "short s = 1; small::add.launch({1, 32}, p, c, s, 1.f);",
    )
    done = workshop.compile(CALL.format("\n".join(calls)), "-fsyntax-only", f"-std={standard}", name="good")
    assert done.returncode == 0, done.output


def build_library(workshop: Workshop, name: str, *options: str, exported: bool = False) -> Path:
    visibility = '-DEXPORTED=__attribute__((visibility("default")))' if exported else "-DEXPORTED="
    flags = ("-shared", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", *options)
    done = workshop.compile(
        workshop.source("library"), *flags, visibility, workshop.folder / "image.o", "-ldl", name=name
    )
    assert done.returncode == 0, done.output
    return workshop.folder / name


def test_nothing_is_exported_and_nothing_runs_at_load(workshop: Workshop) -> None:
    library = build_library(workshop, "plain.so", f"-Wl,--version-script={resource('cmake', 'exports.map')}")
    symbols = run(["nm", "-D", "--defined-only", library]).stdout
    assert symbols.strip() == ""
    sections = run(["readelf", "-SW", library]).stdout
    start = re.search(r"\.init_array\s+INIT_ARRAY\s+\S+ \S+ (\S+)", sections)
    assert start is not None
    assert int(start[1], 16) == 8  # frame_dummy of the C runtime, and no constructor of ours
    undefined = run(["nm", "-D", "--undefined-only", library]).stdout
    assert not re.search(r"\bcu[A-Z]|cuda|Py|torch", undefined)
    needed = re.findall(r"NEEDED.*\[(.*)\]", run(["readelf", "-dW", library]).stdout)
    assert set(needed) <= {"libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libdl.so.2"}


def test_two_versions_of_the_headers_share_a_process(workshop: Workshop, tmp_path: Path) -> None:
    for header in resource("include", "gpuwheel").glob("*.h"):
        text = header.read_text().replace("inline namespace v1", "inline namespace v2")
        text = text.replace("  const char* name_;\n", "  long another_layout_[4] = {};\n  const char* name_;\n")
        (tmp_path / "gpuwheel").mkdir(exist_ok=True)
        (tmp_path / "gpuwheel" / header.name).write_text(text)
    one = build_library(workshop, "one.so", exported=True)
    again = build_library(workshop, "again.so", exported=True)
    other = build_library(workshop, "other.so", "-isystem", str(tmp_path), exported=True)
    program = workshop.build(workshop.source("loader"), name="loader")
    assert workshop.run(program, str(one), str(again), str(other)) == "launches 6 loads 3\n"


def test_half_and_bfloat16_without_torch_round_as_ieee(workshop: Workshop) -> None:
    program = workshop.build(workshop.source("half"), "-Wno-pedantic", name="half")
    assert workshop.run(program) == "wrong 0, inf 0 1\n"
