"""Libraries compiled on the spot: one that breaks no rule, and one for each rule that breaks it alone."""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING

import pytest
from audited import library_findings

from gpuwheel._run import run
from gpuwheel.audit import platform_tag
from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.fatbin import library_images, read_fatbin
from gpuwheel.model.findings import Severity
from gpuwheel.model.promises import Claims
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel import Member, write_wheel

from .conftest import CLEAN, FATBINS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.compatibility import Tables

    from .conftest import Compiler

pytestmark = pytest.mark.compiler

CLAIMS = Claims(MinorVersion(2, 10))


def _rules(library: Path, tables: Tables) -> list[str]:
    return [f.rule for f in library_findings(library, tables, CLAIMS, kernels=())]


def test_the_clean_library_is_clean(clean: Path, tables: Tables) -> None:
    data = clean.read_bytes()
    assert library_findings(clean, tables, CLAIMS, kernels=()) == []
    elf = read_elf(data, clean.name)
    assert elf.machine in {"x86_64", "aarch64"}
    assert elf.needed[0] == "libtorch.so"
    assert elf.exports == ()
    assert elf.constructors >= 1
    assert not elf.executable_stack
    weak = {symbol.name: symbol.weak for symbol in elf.imports}
    assert weak["aoti_torch_get_current_cuda_stream"]
    assert not weak["torch_call_dispatcher"]
    lz4 = FATBINS / "lz4.fatbin"
    assert library_images(elf) == read_fatbin(lz4.read_bytes(), lz4.name)


CALL = "\nvoid {0}(void);\n__attribute__((constructor)) static void more(void) {{ {0}(); }}\n"
BROKEN = {
    "torch-unknown-symbol": CLEAN + CALL.format("torch_not_a_function"),
    "python-symbol": CLEAN + CALL.format("PyErr_Clear"),
    "cuda-symbol": CLEAN + CALL.format("cudaGetLastError"),
    "unresolved-symbol": CLEAN + CALL.format("forgotten"),
    "strong-cuda-shim": CLEAN.replace("__attribute__((weak)) int aoti", "int aoti"),
    "torch-unstable-abi": CLEAN + CALL.format("_ZN3c105ErrorD1Ev"),
    "exported-symbol": CLEAN,
    "executable-stack": CLEAN,
    "search-path": CLEAN,
    "missing-device-code": CLEAN.replace("image, strlen", "stream, strlen"),
}
FLAGS = {
    "exported-symbol": ["-Wl,--defsym=shown=0", "-Wl,--export-dynamic-symbol=shown"],
    "executable-stack": ["-Wl,-z,execstack"],
    "search-path": ["-Wl,-rpath,/home/somebody/lib"],
}


@pytest.mark.parametrize("rule", [rule for rule in BROKEN if rule != "exported-symbol"])
def test_each_rule_is_broken_alone(compiler: Compiler, tables: Tables, rule: str) -> None:
    fatbin = None if rule == "missing-device-code" else "lz4.fatbin"
    library = compiler.library(rule, BROKEN[rule], FLAGS.get(rule, []), fatbin=fatbin)
    assert _rules(library, tables) == [rule]


def test_exported_symbols_are_a_warning(compiler: Compiler, tables: Tables) -> None:
    source = CLEAN + '__attribute__((visibility("default"))) int shown(void) { return 1; }\n'
    library = compiler.folder / "exported.so"
    made = compiler.library("exported", source)
    run(["cc", "-shared", "-fPIC", "-o", library, compiler.folder / "exported.c", compiler.folder / "exported.S",
         "-fvisibility=hidden", *compiler.stub("libtorch.so")])  # fmt: skip
    assert made == library
    (finding,) = library_findings(library, tables, CLAIMS)
    assert (finding.rule, finding.severity) == ("exported-symbol", Severity.WARNING)
    assert "(shown, expected none)" in finding.problem


def test_unstable_symbols_are_shown_as_people_write_them(compiler: Compiler, tables: Tables) -> None:
    source = "namespace c10 { struct Error { Error(int); }; } static c10::Error error{1};\n"
    library = compiler.library("cpp_unstable", source, fatbin=None)
    findings = library_findings(library, tables, CLAIMS)
    assert [finding.rule for finding in findings] == ["torch-unstable-abi"]
    assert "c10::Error::Error(int)" in findings[0].problem


def test_a_shim_newer_than_the_floor_names_both_versions(compiler: Compiler, tables: Tables) -> None:
    shim = max((s for s in tables.shims.values() if s.library == "libtorch_cpu.so"), key=lambda shim: shim.since)
    library = compiler.library("newer", CLEAN + CALL.format(shim.name))
    (finding,) = library_findings(library, tables, CLAIMS)
    assert finding.rule == "torch-floor"
    assert all(word in finding.problem for word in (shim.name, str(shim.since), "2.10"))
    assert library_findings(library, tables, Claims(shim.since)) == []


@pytest.mark.parametrize("soname", ["libcuda.so.1", "libcudart.so.13", "libtorch_cpu.so", "libother.so.2"])
def test_other_libraries_are_refused(compiler: Compiler, tables: Tables, soname: str) -> None:
    library = compiler.library(f"needs_{soname}", CLEAN, compiler.stub(soname))
    assert _rules(library, tables) == ["needed-library"]


def test_torch_must_be_in_dt_needed(compiler: Compiler, tables: Tables) -> None:
    source = compiler.folder / "alone.c"
    source.write_text(CLEAN.replace("image, strlen", "stream, strlen"), encoding="utf-8")
    library = compiler.folder / "alone.so"
    run(["cc", "-shared", "-fPIC", "-o", library, source, *compiler.local()])
    findings = library_findings(library, tables, CLAIMS)
    assert [finding.rule for finding in findings] == ["torch-not-needed"]


def test_a_folder_of_the_build_is_found(compiler: Compiler, tables: Tables) -> None:
    source = CLEAN + "const char* volatile file = __FILE__;\n"
    library = compiler.library("path", source)
    (finding,) = library_findings(library, tables, CLAIMS, folders=[str(compiler.folder)])
    assert finding.rule == "build-path"
    mapped = compiler.library("mapped", source, [f"-ffile-prefix-map={compiler.folder}=."])
    assert library_findings(mapped, tables, CLAIMS, folders=[str(compiler.folder)]) == []


def test_a_library_without_section_headers_is_read_as_the_loader_reads_it(clean: Path) -> None:
    whole = clean.read_bytes()
    data = bytearray(whole)
    data[0x28:0x30] = struct.pack("<Q", 0)  # e_shoff
    data[0x3A:0x40] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
    stripped, before = read_elf(bytes(data), "_C.so"), read_elf(whole, "_C.so")
    assert not stripped.sections
    assert stripped.needed == before.needed
    assert stripped.imports == before.imports
    assert stripped.exports == before.exports
    assert stripped.version_needs == before.version_needs


def test_symbols_agree_with_nm(clean: Path, compiler: Compiler) -> None:
    other = compiler.library("cpp_streams", '#include <iostream>\nstatic int n = (std::cout << "x", 1);\n', fatbin=None)
    for library in (clean, other):
        elf = read_elf(library.read_bytes(), library.name)
        listed = run(["nm", "-D", "--undefined-only", library]).stdout
        expected = {
            (name, version, kind != "U") for kind, name, version in re.findall(r" (\w) ([^@\s]+)(?:@(\S+))?", listed)
        }
        assert {(s.name, s.version or "", s.weak) for s in elf.imports} == expected


SOURCES = {
    "plain": CLEAN,
    "cpp_streams": "#include <sstream>\nstatic std::stringstream stream;\n",
    "cpp_shared": "#include <memory>\nstatic std::shared_ptr<int> pointer = std::make_shared<int>(1);\n",
    "threads": "#include <pthread.h>\nstatic void* f(void* x) { return x; }\n"
    "__attribute__((constructor)) static void start(void) { pthread_t t; pthread_create(&t, 0, f, 0); }\n",
    "math": "#include <math.h>\nvolatile double x; __attribute__((constructor)) static void m(void) { x = exp(x); }\n",
    "dlopen": '#include <dlfcn.h>\n__attribute__((constructor)) static void d(void) { dlopen("x", 1); }\n',
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_platform_tag_is_auditwheels(compiler: Compiler, tables: Tables, tmp_path: Path, name: str) -> None:
    library = compiler.library(f"tag_{name}", SOURCES[name], ["-lm"], fatbin=None if name != "plain" else "lz4.fatbin")
    verdict = platform_tag([read_elf(library.read_bytes(), library.name)], tables)
    machine = verdict.tag.split("_", 3)[-1]
    wheel = tmp_path / f"x-1-py3-none-linux_{machine}.whl"
    info = "x-1.dist-info"
    tag = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-linux_{machine}\n".encode()
    metadata = b"Metadata-Version: 2.1\nName: x\nVersion: 1\n"
    members = [("x/_C.so", library.read_bytes()), (f"{info}/WHEEL", tag), (f"{info}/METADATA", metadata)]
    write_wheel(wheel, [Member(*member) for member in members])
    # auditwheel searches the folders of ld.so.conf otherwise, among them those of a system CUDA toolkit.
    folders = f"/lib/{machine}-linux-gnu:/usr/lib/{machine}-linux-gnu:/lib64:/usr/lib64:{compiler.folder}"
    shown = json.loads(run(["auditwheel", "show", "--json", "--ldpaths", folders, wheel]).stdout)
    assert shown["sym_tag"] == verdict.tag, shown


@pytest.mark.network
@pytest.mark.parametrize("fatbin", ["none.fatbin", "lz4.fatbin", "zstd.fatbin"])
def test_device_code_agrees_with_cuobjdump(compiler: Compiler, from_index: Callable[[str], Path], fatbin: str) -> None:
    (cuobjdump,) = from_index("nvidia-cuda-cuobjdump").glob("nvidia/*/bin/cuobjdump")
    library = compiler.library(f"with_{fatbin}", CLEAN, fatbin=fatbin)
    listed = run([cuobjdump, "--list-elf", "--list-ptx", library]).stdout
    expected = re.findall(r"\.(sm_\w+)\.(cubin|ptx)", listed)
    images = library_images(read_elf(library.read_bytes(), library.name))
    # cuobjdump does not say the "f" of a family-specific target.
    assert [(image.arch.sm.rstrip("f"), image.kind) for image in images] == expected
    assert expected
