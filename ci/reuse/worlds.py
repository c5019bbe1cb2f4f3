"""The projects that are edited: what each looks like for the values of its knobs.

A knob is a number or a flag; each one stands in one place: a source, a header that a header includes, a flag, a
variable, a file that an option names. So an edit is another value of one knob, and undoing it is the value before.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["WORLDS", "Knobs", "World"]

Knobs = dict[str, int]
ROOT = Path(__file__).resolve().parents[2]
SAMPLE: tuple[str, ...] = (
    "squared_relu.cpp",
    "squared_relu.cu",
    "squared_relu.h",
    "cpu.h",
    "launches.h",
    "flat.cuh",
    "rows.cuh",
)
SAMPLE += ("numeric.h", "geometry.h", "sum_partials.cu")

_PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "edited"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]
"""
_EMBED = """
[tool.gpuwheel.kernels.fused]
sources = ["csrc/*.cu"]
include-dirs = ["csrc/early", "csrc/late"]
defines = {kernel_defines}

[tool.gpuwheel.extensions."edited._C"]
sources = ["csrc/*.cpp"]
kernels = ["fused"]
include-dirs = ["csrc/early", "csrc/late"]
flags = {flags}
link-flags = {link_flags}
"""
_NVCC = """
[tool.gpuwheel.extensions."edited._C"]
mode = "nvcc"
abi = "none"
python = "none"
sources = ["csrc/first.cu", "csrc/host.cpp", "csrc/other.cpp"]
include-dirs = ["csrc/early", "csrc/late"]
flags = {flags}
nvcc-flags = {nvcc_flags}
link-flags = {link_flags}
exports = {exports}
"""
# Everything that reaches a host object, in its data, where no optimisation drops it.
_VALUES = """\
#include "outer.h"
#include <shadowed.h>
#if __has_include("optional.h")
#include "optional.h"
#else
#define EDITED_OPTIONAL 0
#endif
#ifndef EDITED_ENVIRONMENT
#define EDITED_ENVIRONMENT 0
#endif
#ifndef EDITED_TOOLKIT
#define EDITED_TOOLKIT 0
#endif
// {comment}
{declarations}
__attribute__((constructor)) static void keep_{name}() {{
  static volatile int values[] = {{{value}, EDITED_INNER, EDITED_SHADOWED, EDITED_OPTIONAL, EDITED_ENVIRONMENT,
                                  EDITED_FLAG, EDITED_PREFIX, EDITED_TOOLKIT}};
  values[0] = values[0]{calls};
}}
"""
_LAUNCHED = """\
#include "fused.kernels.h"
__attribute__((constructor)) static void keep() {
  static const void* volatile kept;
  kept = &fused::edited_kernel;
}
"""
_FUNCTIONS = ("one", "two", "three")
_DEVICE = """\
#include "device_inner.h"
namespace fused {{
__global__ void {name}(int* x) {{ *x = {value} + EDITED_DEVICE{defined}; }}  // {comment}
}}
"""


def _headers(knobs: Knobs) -> dict[str, str]:
    files = {
        "csrc/early/README": "Headers here come first.\n",
        "csrc/late/unrelated.h": f"#define EDITED_UNRELATED {knobs['unrelated']}\n",  # included by nobody
        "csrc/outer.h": f'#pragma once\n#include "inner.h"  // {knobs["header_comment"]}\n',
        "csrc/inner.h": f"#pragma once\n#define EDITED_INNER {1000 + knobs['header']}\n",
        "csrc/late/shadowed.h": "#define EDITED_SHADOWED 1\n",
        "csrc/late/prefix.h": f"#define EDITED_PREFIX {1000 + knobs['prefix']}\n",
        "csrc/late/device_inner.h": f"#pragma once\n#define EDITED_DEVICE {1000 + knobs['device_header']}\n",
    }
    if knobs["shadow"]:
        files["csrc/early/shadowed.h"] = f"#define EDITED_SHADOWED {1000 + knobs['shadow']}\n"
    if knobs["optional"]:
        files["csrc/late/optional.h"] = f"#define EDITED_OPTIONAL {1000 + knobs['optional']}\n"
    return files


def _host(name: str, value: int, knobs: Knobs, *, linked: bool) -> str:
    return _VALUES.format(
        name=name,
        value=1000 + value,
        comment=knobs[f"{name}_comment"],
        declarations='extern "C" int edited_linked();' if linked else "",
        calls=" + edited_linked()" if linked else "",
    )


def _flags(knobs: Knobs) -> list[str]:
    return [f"-DEDITED_FLAG={knobs['flag']}", f"-O{1 + knobs['optimisation'] % 2}", "-include", "prefix.h"]


@dataclass(frozen=True)
class World:
    """One project, under one environment."""

    name: str
    knobs: tuple[str, ...]
    files: Callable[[Knobs, Path], dict[str, str]]
    """The text of each file, by its path; the second argument is where the project lies."""
    weight: int
    """How often it is edited: the quick one often."""
    linked: bool = False
    """Whether an object is linked that is not made from a source of the project."""
    conda: bool = False
    """Whether a conda environment with compilers is active."""
    toolkit: bool = False
    """Whether the project takes a CUDA toolkit of the machine, a copy, in which a header is edited."""

    def toolkit_in(self, work: Path) -> Path:
        """Its copy of a toolkit: of its own, for a header that just changed is nothing to keep an object by."""
        return work / f"toolkit of {self.name}".replace(" ", "-")

    def defaults(self) -> Knobs:
        """The values before the first edit."""
        return dict.fromkeys(self.knobs, 0) | {"moved": 0}

    def environ(self, knobs: Knobs, work: Path) -> dict[str, str]:
        """Variables of the build, beside those of every build."""
        variables = {"SOURCE_DATE_EPOCH": str(1_700_000_000 + knobs["epoch"])}
        flags = f"-DEDITED_ENVIRONMENT={knobs['environment']}" if knobs["environment"] else ""
        if self.conda:
            variables |= conda_environment(work / "conda")
            variables["CXXFLAGS"] += f" {flags}".rstrip()
        elif flags:
            variables["CXXFLAGS"] = flags
        if self.toolkit:
            variables["CUDA_HOME"] = str(self.toolkit_in(work))
        return variables

    def lay_out(self, knobs: Knobs, root: Path, work: Path, *, keep_time: bool = False) -> None:
        """Write what differs from what is there, and delete what no longer belongs."""
        wanted = self.files(knobs, root)
        for path in [path for path in root.rglob("*") if path.is_file()]:
            if path.relative_to(root).as_posix() not in wanted and path.suffix != ".o":
                path.unlink()
        for name, text in wanted.items():
            _write(root / name, text, keep_time=keep_time)
        if self.linked:
            _compile_linked(root / "vendor" / "linked.o", knobs["link"])
        if self.toolkit:
            header = self.toolkit_in(work) / "include" / "vector_types.h"
            original = (work / "vector_types.h").read_text(encoding="utf-8")
            _write(header, f"{original}\n#define EDITED_TOOLKIT {1000 + knobs['toolkit']}\n", keep_time=keep_time)


def _write(path: Path, text: str, *, keep_time: bool) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat() if path.is_file() else None
    path.write_text(text, encoding="utf-8")
    if keep_time and before is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _compile_linked(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = f'extern "C" int edited_linked() {{ return {value}; }}'
    source = path.with_suffix(".txt")
    if source.is_file() and source.read_text(encoding="utf-8") == code and path.is_file():
        return
    run(["g++", "-x", "c++", "-c", "-fPIC", "-O1", "-o", path, "-"], stdin=code)
    source.write_text(code, encoding="utf-8")


def conda_environment(prefix: Path) -> dict[str, str]:
    """What activating conda-forge's compilers sets (ctng-compiler-activation-feedstock, activate-gcc.sh, -gxx.sh)."""
    for folder in ("include", "lib"):
        (prefix / folder).mkdir(parents=True, exist_ok=True)
    gcc = "-march=nocona -mtune=haswell -ftree-vectorize -fPIC -fstack-protector-strong -fno-plt -O2"
    gcc += f" -ffunction-sections -pipe -isystem {prefix}/include"
    linker = "-Wl,-O2 -Wl,--sort-common -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,--disable-new-dtags"
    linker += f" -Wl,--gc-sections -Wl,--allow-shlib-undefined -Wl,-rpath,{prefix}/lib"
    linker += f" -Wl,-rpath-link,{prefix}/lib -L{prefix}/lib"
    gxx = shutil.which("g++") or "g++"
    return {
        "CONDA_PREFIX": str(prefix),
        "CONDA_DEFAULT_ENV": "base",
        "CONDA_SHLVL": "1",
        "HOST": "x86_64-conda-linux-gnu",
        "BUILD": "x86_64-conda-linux-gnu",
        "CONDA_TOOLCHAIN_HOST": "x86_64-conda-linux-gnu",
        "CONDA_TOOLCHAIN_BUILD": "x86_64-conda-linux-gnu",
        "CONDA_BUILD_CROSS_COMPILATION": "0",
        "CMAKE_PREFIX_PATH": f"{prefix}:{prefix}/x86_64-conda-linux-gnu/sysroot/usr",
        "CMAKE_ARGS": "-DCMAKE_BUILD_TYPE=Release",
        "CXX": gxx,
        "CFLAGS": gcc,
        "CXXFLAGS": f"-fvisibility-inlines-hidden -fmessage-length=0 {gcc}",
        "CPPFLAGS": f"-DNDEBUG -D_FORTIFY_SOURCE=2 -O2 -isystem {prefix}/include",
        "LDFLAGS": linker,
        "DEBUG_CXXFLAGS": f"-fvisibility-inlines-hidden -Og -g {gcc}",
    }


def _package(knobs: Knobs) -> dict[str, str]:
    return {"edited/__init__.py": f'"""Edited."""\n\nVALUE = {knobs["python"]}\n'}


def _embed_files(knobs: Knobs, root: Path, *, linked: bool) -> dict[str, str]:
    pyproject = _EMBED.format(
        kernel_defines=json.dumps([f"EDITED_DEFINE={knobs['define']}"]),
        flags=json.dumps(_flags(knobs)),
        link_flags=json.dumps([str(root / "vendor" / "linked.o")] if linked else []),
    )
    device = _DEVICE.format(
        name="edited_kernel", value=knobs["device"], defined=" + EDITED_DEFINE", comment=knobs["device_comment"]
    )
    host = _host("host", knobs["host"], knobs, linked=linked)
    return {
        "pyproject.toml": _PYPROJECT + pyproject,
        "csrc/device.cu": device,
        "csrc/host.cpp": host + _LAUNCHED,
        **_headers(knobs),
        **_package(knobs),
    }


def _tiny(knobs: Knobs, root: Path) -> dict[str, str]:
    return _embed_files(knobs, root, linked=True)


def _sample(knobs: Knobs, root: Path) -> dict[str, str]:
    files = _embed_files(knobs, root, linked=False)
    for name in SAMPLE:
        files[f"csrc/{name}"] = (ROOT / "sample_extension" / "csrc" / name).read_text(encoding="utf-8")
    files["csrc/numeric.h"] += f"// {knobs['sample_comment']}\n"
    files["csrc/squared_relu.h"] = files["csrc/squared_relu.h"].replace(
        "return positive * positive;", f"return positive * positive + A({knobs['sample']});"
    )
    return files


def _nvcc(knobs: Knobs, root: Path, *, linked: bool) -> dict[str, str]:
    names = [name for number, name in enumerate(_FUNCTIONS) if number == 0 or knobs["export"] >> number & 1]
    pyproject = _NVCC.format(
        flags=json.dumps(_flags(knobs)),
        nvcc_flags=json.dumps([f"-DEDITED_DEFINE={knobs['define']}"]),
        link_flags=json.dumps([str(root / "vendor" / "linked.o")] if linked else []),
        exports=json.dumps(names),
    )
    table = root / "csrc" / "table.txt"
    functions = "".join(f'extern "C" int {name}() {{ return {len(name)}; }}\n' for name in _FUNCTIONS)
    embedded = f'asm(".section .rodata\\n.global edited_table\\nedited_table: .incbin \\"{table}\\"\\n.previous");\n'
    device = _DEVICE.format(
        name="edited_kernel", value=knobs["device"], defined=" + EDITED_DEFINE", comment=knobs["device_comment"]
    )
    return {
        "pyproject.toml": _PYPROJECT + pyproject,
        "csrc/first.cu": device + 'extern "C" void launch(int* x) { fused::edited_kernel<<<1, 1>>>(x); }\n',
        "csrc/host.cpp": "#include <vector_types.h>\n" + _host("host", knobs["host"], knobs, linked=linked) + functions,
        "csrc/other.cpp": _host("other", knobs["other"], knobs, linked=False) + embedded,
        "csrc/table.txt": f"{1000 + knobs['table']}\n",
        **_headers(knobs),
        **_package(knobs),
    }


def _nvcc_plain(knobs: Knobs, root: Path) -> dict[str, str]:
    return _nvcc(knobs, root, linked=False)


def _nvcc_conda(knobs: Knobs, root: Path) -> dict[str, str]:
    return _nvcc(knobs, root, linked=True)


_COMMON: tuple[str, ...] = (
    "host",
    "host_comment",
    "header",
    "header_comment",
    "shadow",
    "optional",
    "prefix",
    "flag",
    "optimisation",
)
_COMMON += ("environment", "epoch", "device", "device_comment", "device_header", "define", "python", "unrelated")
_OF_NVCC = ("other", "other_comment", "export", "table", "toolkit")
WORLDS: Mapping[str, World] = {
    world.name: world
    for world in (
        World("sample", (*_COMMON, "sample", "sample_comment"), _sample, 2),
        World("embed under conda", (*_COMMON, "link"), _tiny, 5, linked=True, conda=True),
        World("nvcc", (*_COMMON, *_OF_NVCC), _nvcc_plain, 3, toolkit=True),
        World("nvcc under conda", (*_COMMON, *_OF_NVCC, "link"), _nvcc_conda, 3, linked=True, conda=True, toolkit=True),
    )
}
