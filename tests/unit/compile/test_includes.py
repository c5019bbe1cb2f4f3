"""Which files a source depends on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.includes import IncludeScanner, toolkit_includes
from gpuwheel.model.kernels import KernelGroup

if TYPE_CHECKING:
    from pathlib import Path


def _tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def _closure(root: Path, *include_dirs: str, foreign: tuple[str, ...] = ()) -> set[str]:
    scanner = IncludeScanner(tuple(root / name for name in include_dirs), tuple(root / name for name in foreign))
    return {file.path.relative_to(root).as_posix() for file in scanner.closure(root / "src/k.cu")}


def test_includes_are_followed_from_file_to_file(tmp_path: Path) -> None:
    _tree(tmp_path, {
        "src/k.cu": '#include "a.h"\n#include <b.h>\n#include <cuda_fp16.h>\n',
        "src/a.h": '#include "sub/c.h"\n',
        "src/sub/c.h": '#include "d.h"\n#include "../a.h"\n',  # its own folder first; and a circle
        "src/sub/d.h": "",
        "src/d.h": "not this one",
        "include/b.h": "",
        "include/unused.h": "",
    })  # fmt: skip
    assert _closure(tmp_path, "include") == {"src/k.cu", "src/a.h", "src/sub/c.h", "src/sub/d.h", "include/b.h"}


@pytest.mark.parametrize(
    "line",
    [
        '#include "x.h"',
        '  #  include   "x.h"  // why',
        "#include<x.h>",
        '#if 0\n#include "x.h"\n#endif',
        '#ifdef OTHER\n  #include "x.h"\n#endif',
        '#inc\\\nlude "x.h"',
        '/* first */ # /* then */ include /* ** */ "x.h"',
        '/* over\n   lines */ #include "x.h"',
        '%:include "x.h"',
        '/* a */ /* b\n */ # include "x.h"',
        "#if __has_include(<x.h>)\n#endif",
        '#if defined(__has_include) && __has_include( "x.h" )\n#endif',
        '\ufeff#include "a.h"\n#include "x.h"',
        '#include "a.h"\r\n#include "x.h"\r\n',
    ],
)
def test_every_spelling_of_an_include_counts(tmp_path: Path, line: str) -> None:
    _tree(tmp_path, {"src/k.cu": f"int a;\n{line}\n", "src/x.h": ""})
    assert "src/x.h" in _closure(tmp_path)


def test_what_is_no_include_does_not_count(tmp_path: Path) -> None:
    _tree(tmp_path, {"src/k.cu": '// #include "x.h"\nconst char* s = "#include <x.h>";\n', "src/x.h": ""})
    assert _closure(tmp_path) == {"src/k.cu"}


def test_the_first_folder_wins_and_include_next_goes_on(tmp_path: Path) -> None:
    _tree(tmp_path, {"src/k.cu": "#include <x.h>\n", "one/x.h": "", "two/x.h": ""})
    assert _closure(tmp_path, "one", "two") == {"src/k.cu", "one/x.h"}
    _tree(tmp_path, {"one/x.h": "#include_next <x.h>\n"})
    assert _closure(tmp_path, "one", "two") == {"src/k.cu", "one/x.h", "two/x.h"}


@pytest.mark.parametrize(
    "text",
    [
        '#define H "x.h"\n#include H\n',
        "#define H(name) <name.h> // why\n#include H(x)\n",
        '#include "config.h"\n#include H\n',
    ],
)
def test_an_included_macro_is_followed_to_its_definition(tmp_path: Path, text: str) -> None:
    config = "#ifdef OLD\n#define H <old.h>\n#else\n#  define H \\\n  <x.h>\n#endif\n"
    _tree(tmp_path, {"src/k.cu": text, "src/config.h": config, "src/x.h": "", "src/y.h": "", "one/z.h": ""})
    closure = _closure(tmp_path, "one")
    assert "src/x.h" in closure
    assert "one/z.h" not in closure


@pytest.mark.parametrize("text", ["#include H\n", '#define H "x.h"\n#define H NAME(x)\n#include H\n'])
def test_an_included_macro_of_unknown_value_depends_on_everything(tmp_path: Path, text: str) -> None:
    _tree(tmp_path, {"src/k.cu": text, "src/x.h": "", "one/deep/y.h": "", "two/z.h": ""})
    assert _closure(tmp_path, "one") == {"src/k.cu", "src/x.h", "one/deep/y.h"}


def test_a_macro_that_an_option_may_define_is_of_unknown_value(tmp_path: Path) -> None:
    _tree(tmp_path, {"src/k.cu": '#ifndef H\n#define H "x.h"\n#endif\n#include H\n', "src/x.h": "", "src/y.h": ""})
    closure = IncludeScanner((), (), '-DH="y.h"').closure(tmp_path / "src/k.cu")
    assert {file.path.name for file in closure} == {"k.cu", "x.h", "y.h"}


def test_a_header_that_shadows_one_of_the_toolkit_counts(tmp_path: Path) -> None:
    _tree(tmp_path, {"src/k.cu": "", "mine/vector_types.h": "", "mine/other.h": "", "toolkit/vector_types.h": ""})
    assert _closure(tmp_path, "mine", foreign=("toolkit",)) == {"src/k.cu", "mine/vector_types.h"}


def test_what_no_folder_of_the_users_has_is_left_to_the_toolkit(tmp_path: Path) -> None:
    _tree(tmp_path, {
        "src/k.cu": '#include "a.h"\n#include <own.h>\n#define H <mma.h>\n#include H\n#include <cuda_fp16.h>\n',
        "src/a.h": '#if 0\n#include "crt/mma.h"\n#endif\n#define NAME(x) x\n#include NAME(y)\n',
        "mine/own.h": "#include <cub/cub.cuh>\n",
        "mine/unused/other.h": "",
    })  # fmt: skip
    group = KernelGroup(
        name="k", sources=(tmp_path / "src/k.cu",), include_dirs=(tmp_path / "mine",), defines=(), flags=(), std="",
        cubin_archs=(), ptx_archs=(), lineinfo=False, compression=(), root=tmp_path,
    )  # fmt: skip
    assert toolkit_includes([group]) == {"mma.h", "cuda_fp16.h", "crt/mma.h", "cub/cub.cuh"}
    _tree(tmp_path, {"mine/mma.h": "", "src/crt/mma.h": ""})
    assert toolkit_includes([group]) == {"cuda_fp16.h", "cub/cub.cuh"}


def test_contents_are_told_apart(tmp_path: Path) -> None:
    _tree(tmp_path, {"src/k.cu": "one"})
    (before,) = IncludeScanner(()).closure(tmp_path / "src/k.cu")
    _tree(tmp_path, {"src/k.cu": "two"})
    (after,) = IncludeScanner(()).closure(tmp_path / "src/k.cu")
    assert before.sha256 != after.sha256


def test_a_file_full_of_comments_takes_no_time(tmp_path: Path) -> None:
    _tree(tmp_path, {"src/k.cu": "/* a * b ** c */ /**/\n" * 5000 + "/* never closed"})
    start = time.process_time()
    _closure(tmp_path)
    assert time.process_time() - start < 1
