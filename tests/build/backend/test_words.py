"""Each character in the keys of mode embed and of kernel groups; OpenMP, C, and the entry point of a module."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

CHARACTERS = " ;$#'\"`\\,[](){}<>|&*?!~^%@:=+é\t"
IN_NO_PATH = set(";$'\"`\\<>|&*?^\t[]")
EXTENSIONS = "[tool.gpuwheel.extensions"


def literal(text: str) -> str:
    """As a string in C++."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def holds(macro: str, text: str) -> str:
    """An assertion that a macro is this string, of three characters."""
    at = [f"{macro}[{index}] == {literal(char)}[0]" for index, char in enumerate(text) if text.isascii()]
    size = f"sizeof({macro}) == {len(text.encode()) + 1}"
    return f"static_assert({' && '.join([*at, size])});\n"


def test_every_character_reaches_host_and_device_code(make_project: Callable[..., Project], tmp_path: Path) -> None:
    project = make_project("project, of [1] é")
    words: dict[str, list[str]] = {key: [] for key in ("defines", "flags", "include-dirs", "device", "device-flags")}
    host, device = "", ""
    for number, char in enumerate(CHARACTERS):
        text, name = f"a{char}b", f"NUMBER_{number}"
        words["defines"].append(f"D_{name}={literal(text)}")
        words["flags"].append(f"-DF_{name}={literal(text)}")
        host += holds(f"D_{name}", text) + holds(f"F_{name}", text)
        words["device"].append(f"D_{name}={literal(text)}")
        words["device-flags"] += ["-D", f"F_{name}={literal(text)}"]
        device += holds(f"D_{name}", text) + holds(f"F_{name}", text)
        if char != "\t":
            project.write(f"device/{text}/d_{name}.h", f"#define I_{name} {number}\n")
            project.write(
                f"csrc/k{char}.cu",
                f"#include <d_{name}.h>\n__global__ void k{number}() {{ static_assert(I_{name} == {number}); }}\n",
            )
        if char not in IN_NO_PATH:
            project.write(f"host/{text}/h_{name}.h", f"#define I_{name} {number}\n")
            words["include-dirs"].append(f"host/{text}")
            project.write(
                f"csrc/s{number}{char}t.cpp", f"#include <h_{name}.h>\nint s{number}() {{ return I_{name}; }}\n"
            )
    folders = [f"device/a{char}b" for char in CHARACTERS if char != "\t"]
    project.replace(
        "pyproject.toml",
        EXTENSIONS,
        f"defines = {json.dumps(words['device'], ensure_ascii=False)}\n"
        f"flags = {json.dumps(words['device-flags'], ensure_ascii=False)}\n"
        f"include-dirs = {json.dumps(folders, ensure_ascii=False)}\n{EXTENSIONS}",
    )
    project.replace("pyproject.toml", 'archs = ["8.0", "9.0+PTX"]', 'archs = ["8.0"]')
    keys = "".join(
        f"{key} = {json.dumps(words[key], ensure_ascii=False)}\n" for key in ("defines", "flags", "include-dirs")
    )
    project.write("pyproject.toml", (project.root / "pyproject.toml").read_text() + keys)
    project.write("csrc/words.cpp", host)
    project.write("csrc/scale.cu", (project.root / "csrc" / "scale.cu").read_text() + device)
    assert project.wheel(tmp_path / "out")


def test_a_source_is_the_file_of_its_name_even_where_that_reads_as_a_glob(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = make_project()
    (project.root / "csrc" / "ops.cpp").rename(project.root / "csrc" / "ops [1].cpp")
    project.replace("pyproject.toml", 'sources = ["csrc/*.cpp"]', 'sources = ["csrc/ops [1].cpp"]')
    project.replace("pyproject.toml", 'archs = ["8.0", "9.0+PTX"]', 'archs = ["8.0"]')
    assert project.wheel(tmp_path / "out")


def test_a_kernel_group_that_nothing_launches_yet_is_named(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = make_project(**{"csrc/ops.cpp": "#include <gpuwheel/torch.h>\nSTABLE_TORCH_LIBRARY(tiny_ops, m) {}\n"})
    (tmp_path / "out").mkdir()
    result = project.hook("build_wheel", tmp_path / "out")
    assert result.code == 9, result.output
    assert "expected that of kernel group 'tiny'" in result.output
    assert "nothing in its sources uses tiny.kernels.h" in result.output
    assert "hint: launch a kernel of tiny.kernels.h in `sources`" in result.output


@pytest.mark.torch
@pytest.mark.parametrize("link", [[], ["-fopenmp"], ["-lgomp"]])
def test_openmp_is_the_one_that_torch_brings(
    make_project: Callable[..., Project], tmp_path: Path, link: list[str]
) -> None:
    project = make_project()
    project.replace(
        "csrc/ops.cpp",
        "for (int64_t i = 0; i < x.numel()",
        "#pragma omp parallel for\n  for (int64_t i = 0; i < x.numel()",
    )
    project.replace("pyproject.toml", 'archs = ["8.0", "9.0+PTX"]', 'archs = ["8.0"]')
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", f'{text}flags = ["-fopenmp"]\nlink-flags = {json.dumps(link)}\n')
    wheel = project.wheel(tmp_path / "out")
    run([sys.executable, "-m", "zipfile", "-e", wheel, tmp_path / "root"])
    needed = run(["readelf", "-d", tmp_path / "root" / "tiny_ops" / "_C.so"]).stdout
    assert "libgomp" not in needed
    code = (
        "import torch, tiny_ops\n"
        "assert tiny_ops.scale(torch.ones(100_000), 2.0).sum() == 200_000\n"
        "maps = {line.split('/')[-1] for line in open('/proc/self/maps') if 'gomp' in line}\n"
        "assert len({name.strip() for name in maps}) == 1, maps\n"
    )
    run([sys.executable, "-c", code], cwd=tmp_path / "root")


def test_c_sources_are_compiled_as_c_beside_a_precompiled_header(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = make_project()
    for name in ("one", "two"):  # with the operators three sources: the header of torch is compiled once for them
        project.write(f"csrc/{name}.cpp", f"int {name}() {{ return 1; }}\n")
    project.write("csrc/plain.c", "int plain(int class) { int *new = (void *)0; return class + (new == 0); }\n")
    project.replace("pyproject.toml", 'archs = ["8.0", "9.0+PTX"]', 'archs = ["8.0"]')
    project.replace("pyproject.toml", 'sources = ["csrc/*.cpp"]', 'sources = ["csrc/*.cpp", "csrc/*.c"]')
    project.replace("csrc/ops.cpp", "Tensor scale_cpu(", 'extern "C" int plain(int);\nTensor scale_cpu(')
    project.replace(
        "csrc/ops.cpp",
        "  return out;\n}\n\nTensor scale_cuda",
        "  if (plain(1) != 2) throw 1;\n  return out;\n}\n\nTensor scale_cuda",
    )
    project.replace(
        "csrc/ops.cpp", 'namespace {\nextern "C" int plain(int);\n', 'extern "C" int plain(int);\nnamespace {\n'
    )
    assert project.wheel(tmp_path / "out")
