"""Small kernel images written by hand, and C++ programs that launch from them on the pretend driver."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.testing.environment import build_fake_driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel._run import Completed

INCLUDE = resource("include")
CXX = shutil.which("g++") or shutil.which("c++") or "c++"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror", "-Wno-attributes")


def info_section(parameters: Sequence[int], max_threads: int = 1024) -> bytes:
    """`.nv.info.<kernel>`: one KPARAM_INFO per parameter, then MAX_THREADS."""
    out, offset = b"", 0
    for ordinal, size in enumerate(parameters):
        offset = -(-offset // size) * size
        out += struct.pack("<BBHIHHI", 4, 0x17, 12, 0, ordinal, offset, size << 18)
        offset += size
    return out + struct.pack("<BBHIII", 4, 0x05, 12, max_threads, 1, 1)


def cubin(kernels: dict[str, Sequence[int]], shared: dict[str, int]) -> bytes:
    """An ELF file with the sections of a cubin that describe its kernels."""
    sections = [(f".nv.info.{name}", 1, info_section(sizes), 0) for name, sizes in kernels.items()]
    sections += [(f".nv.shared.{name}", 8, b"", size) for name, size in shared.items()]
    names = b"\0.shstrtab\0"
    name_at = []
    for name, *_ in sections:
        name_at.append(len(names))
        names += name.encode() + b"\0"
    body, headers = b"", [struct.pack("<IIQQQQIIQQ", *[0] * 10)]
    for at, (_, kind, data, size) in zip(name_at, sections, strict=True):
        headers.append(struct.pack("<IIQQQQIIQQ", at, kind, 0, 0, 64 + len(body), size or len(data), 0, 0, 4, 0))
        body += data
    headers.append(struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 64 + len(body), len(names), 0, 0, 1, 0))
    body += names
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF\x02\x01\x01\x33\x07" + bytes(7)
    fields = (2, 190, 1, 0, 0, 64 + len(body), 0x5A055A, 64, 0, 0, 64, len(headers), len(headers) - 1)
    return ident + struct.pack("<HHIQQQIHHHHHH", *fields) + body + b"".join(headers)


def lz4_literals(data: bytes) -> bytes:
    """A valid LZ4 block that repeats nothing."""
    rest = len(data) - 15
    return b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + data


def fatbin(parts: Sequence[tuple[int, int, bytes, int]]) -> bytes:
    """(kind 1 PTX or 2 ELF, arch, plain bytes, flags) -> the container that nvFatbin writes."""
    payload = b""
    for kind, arch, plain, flags in parts:
        stored = lz4_literals(plain) if flags & 0x2000 else plain
        padded = stored + bytes(-len(stored) % 8)
        compressed, size = (len(stored), len(plain)) if flags & 0xA000 else (0, 0)
        payload += struct.pack(
            "<HHIQIIHHIIIQQQ", kind, 0x101, 64, len(padded), compressed, 0, 0, 8, arch, 0, 0, flags | 0x11, 0, size
        )
        payload += padded
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(payload)) + payload


KERNELS = {"_Z3addPfPKflf": (8, 8, 8, 4), "_Z5bytesDv": (12, 1), "_Z4fillILi4EEvPf": (8,), "static_shared": (8,)}
SHARED = {"static_shared": 16 * 1024}
PTX = b".version 8.8\n.target sm_100\n.address_size 64\n.visible .entry _Z3addPfPKflf(\n)\n{ ret; }\0"

# As gpuwheel writes it, with the image as an array.
HEADER = """#pragma once
#include <gpuwheel/dtype.h>
#include <gpuwheel/launch.h>
extern "C" __attribute__((visibility("hidden"))) const unsigned char gpuwheel_image_small[];
inline gpuwheel::Library small_library{gpuwheel_image_small, "small", "sm_75 sm_90 compute_100"};
namespace small {
inline gpuwheel::Kernel<float*, const float*, long, float> add{::small_library, "_Z3addPfPKflf", "small::add"};
inline gpuwheel::Kernel<gpuwheel::Bytes<12>, gpuwheel::Bytes<1>> bytes{::small_library, "_Z5bytesDv", "bytes"};
inline gpuwheel::Kernel<void*> missing{::small_library, "_Z7missing", "small::missing"};
inline gpuwheel::Kernel<void*> static_shared{::small_library, "static_shared", "small::static_shared"};
template <int> inline gpuwheel::NotCompiled fill;
template <> inline gpuwheel::Kernel<float*> fill<4>{::small_library, "_Z4fillILi4EEvPf", "small::fill<4>"};
}  // namespace small
"""


@dataclass(frozen=True)
class Workshop:
    """A folder with the image, the generated header, the control header and the fake driver."""

    folder: Path

    @staticmethod
    def image(kernels: dict[str, Sequence[int]], shared: dict[str, int]) -> bytes:
        """A fatbin for sm_90: kernel -> sizes of its parameters, and -> bytes of shared memory."""
        return fatbin([(2, 90, cubin(kernels, shared), 0)])

    @staticmethod
    def source(name: str) -> str:
        """The text of a test program that stands beside this file."""
        return (Path(__file__).parent / f"{name}.cpp").read_text()

    def compile(self, source: str, *options: str, name: str = "program") -> Completed:
        """Compile a C++ source against the headers; never raises."""
        path = self.folder / f"{name}.cpp"
        path.write_text(source)
        words = [CXX, "-std=c++17", "-O2", *WARNINGS, f"-I{INCLUDE}", f"-I{self.folder}", path]
        return run([*words, "-o", self.folder / name, *options], check=False)

    def build(self, source: str, *options: str, name: str = "program") -> Path:
        """Compile and link a program with the image."""
        done = self.compile(source, self.folder / "image.o", "-ldl", "-lpthread", *options, name=name)
        assert done.returncode == 0, done.output
        return self.folder / name

    def run(self, program: Path, *words: str, driver: bool = True, **environ: str) -> str:
        """Run a program, with the fake driver in sight or without any."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        place = {"LD_LIBRARY_PATH": str(self.folder)} if driver else {}
        return run([program, *words], env={**kept, **place, **environ}).stdout


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("headers")
    build_fake_driver(folder, shutil.which("cc") or "cc")
    elf = cubin(KERNELS, SHARED)
    image = fatbin([(2, 75, elf, 0), (2, 90, elf, 0x2000), (1, 100, PTX, 0)])
    (folder / "small.fatbin").write_bytes(image)
    (folder / "small.kernels.h").write_text(HEADER)
    assembly = (
        '.section .nv_fatbin,"a",@progbits\n.balign 64\n.globl gpuwheel_image_small\n.hidden gpuwheel_image_small\n'
    )
    assembly += f'gpuwheel_image_small:\n.incbin "{folder}/small.fatbin"\n.section .note.GNU-stack,"",@progbits\n'
    (folder / "image.S").write_text(assembly)
    run(["cc", "-c", folder / "image.S", "-o", folder / "image.o"])
    shutil.copy(resource("testing", "native", "fake.h"), folder / "fake.h")
    shutil.copy(Path(__file__).parent / "harness.h", folder / "harness.h")
    return Workshop(folder)
