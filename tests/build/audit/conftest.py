from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.compatibility import load_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpuwheel.compatibility import Tables

FATBINS = Path(__file__).resolve().parents[2] / "unit" / "binary" / "fatbins"

CLEAN = """\
#include <string.h>
__attribute__((weak)) int aoti_torch_get_current_cuda_stream(int, void**);
int torch_call_dispatcher(const char*, const char*, void*, unsigned long long);
__attribute__((visibility("hidden"))) extern const unsigned char image[];
static int run(char* text) {
  void* stream = 0;
  if (aoti_torch_get_current_cuda_stream) aoti_torch_get_current_cuda_stream(0, &stream);
  memcpy(text, image, strlen(text));
  return torch_call_dispatcher("aten::empty", "", stream, strlen(text));
}
__attribute__((constructor)) static void registers(void) {
  static char line[] = "x";
  char* volatile text = line;
  run(text);
}
"""
IMAGE = """\
.section .nv_fatbin,"a"
.balign 64
.globl image
.hidden image
image:
.incbin "{fatbin}"
.section .note.GNU-stack,"",@progbits
"""
FLAGS = ("-shared", "-fPIC", "-O2", "-fvisibility=hidden")
ONLY_LOCAL = "{ local: *; };\n"


@dataclass(frozen=True)
class Compiler:
    """The machine's C and C++ compiler, in a folder of its own."""

    folder: Path

    def library(self, name: str, source: str, flags: Sequence[str] = (), *, fatbin: str | None = "lz4.fatbin") -> Path:
        """A library named `name` from C (or, for a name that says so, C++) source, linked against a stub libtorch."""
        suffix, program = (".cpp", "c++") if "cpp" in name else (".c", "cc")
        file = self.folder / f"{name}{suffix}"
        file.write_text(source, encoding="utf-8")
        sources = [file]
        if fatbin is not None:
            assembly = self.folder / f"{name}.S"
            assembly.write_text(IMAGE.format(fatbin=FATBINS / fatbin), encoding="utf-8")
            sources.append(assembly)
        library = self.folder / f"{name}.so"
        run([program, *FLAGS, "-o", library, *sources, *self.stub("libtorch.so"), *self.local(), *flags])
        return library

    def stub(self, soname: str) -> list[str]:
        """Options that link an empty library, so that it is in DT_NEEDED."""
        stub = self.folder / soname
        if not stub.exists():
            run(["cc", "-shared", "-o", stub, f"-Wl,-soname,{soname}", "-x", "c", os.devnull])
        return ["-Wl,--no-as-needed", str(stub), "-Wl,--as-needed"]

    def local(self) -> list[str]:
        """Options that export nothing."""
        script = self.folder / "local.map"
        script.write_text(ONLY_LOCAL, encoding="utf-8")
        return [f"-Wl,--version-script={script}"]


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("libraries"))


@pytest.fixture(scope="session")
def clean(compiler: Compiler) -> Path:
    """A library that breaks no rule."""
    return compiler.library("clean", CLEAN)


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables()


@pytest.fixture(scope="session")
def from_index(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Install one distribution, without what it requires, into a folder of its own."""

    def install(requirement: str) -> Path:
        folder = tmp_path_factory.mktemp("index")
        run(["uv", "pip", "install", "--quiet", "--no-deps", "--target", folder, requirement])
        return folder

    return install
