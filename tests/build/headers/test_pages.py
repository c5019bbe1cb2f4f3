"""The C++ of the pages on torch's stable ABI and on random numbers, compiled; the names they list, looked up."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context, find_torch_sdk

if TYPE_CHECKING:
    from gpuwheel.model.toolchain import TorchSdk

DOCS = Path(__file__).resolve().parents[3] / "docs"
CXX = shutil.which("g++") or shutil.which("c++") or "c++"
BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [pytest.mark.compiler]

PHILOX = """
#include <cstdio>
#include <initializer_list>
int main() {
  const Random4 zero = philox(0, 0, 0), ones = philox(~0ull, ~0ull, ~0ull);
  for (const Random4& r : {zero, ones}) std::printf("%08x %08x %08x %08x\\n", r.x, r.y, r.z, r.w);
  std::printf("%d\\n", uniform(0) == 0.0f && uniform(~0u) < 1.0f);
}
"""
# Known answers of philox4x32-10 (Random123, kat_vectors).
ANSWERS = "6627e8d5 e169c58d bc57ac4c 9b00dbd8\n408f276d 41c83b0e a20bc7c6 6d5451fd\n1\n"


@pytest.fixture(scope="module")
def sdk() -> TorchSdk:
    return find_torch_sdk(
        load_tables().torch_sdk, context=Context(Cache.from_environment(os.environ), os.environ, SilentReporter())
    )


@pytest.mark.network
def test_operators_of_the_page_compile_and_its_names_exist(sdk: TorchSdk, tmp_path: Path) -> None:
    page = (DOCS / "reference" / "stable-abi.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(page)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        source = tmp_path / f"{number}.cpp"
        source.write_text(block, encoding="utf-8")
        target = "-DTORCH_TARGET_VERSION=0x020a000000000000"
        folders = [f"-I{resource('include')}", "-isystem", sdk.include_dir]
        run([CXX, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", target, *folders, source])

    headers = "".join(path.read_text() for path in (sdk.include_dir / "torch" / "csrc" / "stable").glob("*.h"))
    section = page.partition("## Functions")[2].partition("Anything else")[0]
    names = [name for name in re.findall(r"`(\w+)`", section) if name != "Tensor"]
    assert len(names) > 40
    assert [name for name in names if not re.search(rf"\b{name}\(", headers)] == []


def test_the_generator_of_the_page_gives_the_known_numbers(tmp_path: Path) -> None:
    (block,) = BLOCK.findall((DOCS / "how-to" / "random-numbers.md").read_text(encoding="utf-8"))
    source = tmp_path / "philox.cpp"
    source.write_text(block.replace("#pragma once", "") + PHILOX, encoding="utf-8")
    run([CXX, "-std=c++17", f"-I{resource('include')}", source, "-o", tmp_path / "philox"])
    assert run([tmp_path / "philox"]).stdout == ANSWERS
