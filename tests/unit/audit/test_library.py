from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from audited import library_findings

from gpuwheel.binary.elf import Import, read_elf
from gpuwheel.errors import AuditError
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Finding, Severity
from gpuwheel.model.promises import Claims
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility import Tables

    Library = Callable[..., ElfFile]

FLOOR = MinorVersion(2, 10)


def _check(library: ElfFile, tables: Tables, floor: MinorVersion = FLOOR) -> list[Finding]:
    return library_findings(library, tables, Claims(floor), kernels=())


def test_a_good_library_has_no_findings(elf: Library, tables: Tables) -> None:
    assert _check(elf(), tables) == []


@pytest.mark.parametrize(
    ("symbol", "rule", "words"),
    [
        ("torch_dtype_float8_e4m3fn_unknown", "torch-unknown-symbol", "torch_dtype_float8_e4m3fn_unknown"),
        ("_ZN3c105ErrorC1ENS_14SourceLocationE", "torch-unstable-abi", "stable C ABI alone"),
        ("_ZNK2at10TensorBase8data_ptrEv", "torch-unstable-abi", "stable C ABI alone"),
        ("_Z3fooRKN2at6TensorE", "unresolved-symbol", "foo"),
        ("_ZTVN5torch7LibraryE", "torch-unstable-abi", "stable C ABI alone"),
        ("PyModule_Create2", "python-symbol", "PyModule_Create2"),
        ("_Py_NoneStruct", "python-symbol", "_Py_NoneStruct"),
        ("cuLaunchKernel", "cuda-symbol", "cuLaunchKernel"),
        ("cudaGetDevice", "cuda-symbol", "cudaGetDevice"),
        ("__cudaRegisterFatBinary", "cuda-symbol", "__cudaRegisterFatBinary"),
        ("forgotten_function", "unresolved-symbol", "forgotten_function"),
        ("_ZN3mat3addEv", "unresolved-symbol", "add"),
        ("aoti_torch_get_current_cuda_stream", "strong-cuda-shim", "libtorch_cuda.so"),
    ],
)
def test_each_forbidden_import_is_named(elf: Library, tables: Tables, symbol: str, rule: str, words: str) -> None:
    (finding,) = _check(elf(Import(symbol, weak=False)), tables)
    assert (finding.rule, finding.severity, finding.subject) == (rule, Severity.ERROR, "fused_ops/_C.so")
    assert words in finding.problem
    assert finding.why
    assert finding.fix


@pytest.mark.parametrize(
    ("claim", "rules"),
    [
        (TorchAbi.NONE, ["torch-unstable-abi"]),
        (TorchAbi.STABLE, ["torch-unstable-abi"]),
        (TorchAbi.EXACT, []),
    ],
)
def test_only_a_wheel_of_one_torch_may_import_its_cpp_symbols(
    elf: Library, tables: Tables, claim: TorchAbi, rules: list[str]
) -> None:
    library = elf(Import("_ZN2at13globalContextEv", weak=False), needed=("libc.so.6",))
    found = library_findings(library, tables, Claims(FLOOR, claim))
    assert [finding.rule for finding in found if finding.rule != "torch-not-needed"] == rules


def test_a_shim_newer_than_the_floor_is_named_with_its_first_version(elf: Library, tables: Tables) -> None:
    newest = max(tables.shims.values(), key=lambda shim: (shim.since, shim.library == "libtorch_cpu.so"))
    (finding,) = _check(elf(Import(newest.name, weak=False)), tables)
    assert finding.rule == "torch-floor"
    assert newest.name in finding.problem
    assert f"new in torch {newest.since} (expected symbols of torch 2.10 or older)" in finding.problem
    assert finding.fix.endswith(f'`torch = ">={newest.since}"`')
    assert _check(elf(Import(newest.name, weak=False)), tables, newest.since) == []


def test_a_weak_reference_to_a_newer_shim_loads_everywhere(elf: Library, tables: Tables) -> None:
    newest = max(tables.shims.values(), key=lambda shim: shim.since)
    assert _check(elf(Import(newest.name, weak=True)), tables) == []


@pytest.mark.parametrize(
    ("needed", "why"),
    [
        ("libcuda.so.1", "NVIDIA driver"),
        ("libcudart.so.12", "one CUDA major"),
        ("libtorch_cuda.so", "libtorch.so is in both"),
        ("libc10.so", "libtorch.so is in both"),
        ("libpython3.11.so.1.0", "one version of Python"),
        ("libgomp.so.1", "nothing promises"),
    ],
)
def test_other_libraries_are_refused_with_their_own_reason(elf: Library, tables: Tables, needed: str, why: str) -> None:
    library = elf()
    (finding,) = _check(elf(needed=(*library.needed, needed)), tables)
    assert finding.rule == "needed-library"
    assert finding.problem.startswith(f"needs {needed} ")
    assert why in finding.why


def test_torch_must_be_asked_for(elf: Library, tables: Tables) -> None:
    (finding,) = _check(elf(needed=("libc.so.6",)), tables)
    assert finding.rule == "torch-not-needed"
    assert _check(elf(needed=("libc.so.6",), imports=()), tables) == []


@pytest.mark.parametrize(
    ("changes", "rule", "severity"),
    [
        ({"executable_stack": True}, "executable-stack", Severity.ERROR),
        ({"runpath": "/home/somebody/lib"}, "search-path", Severity.ERROR),
        ({"runpath": "lib"}, "search-path", Severity.ERROR),
        ({"runpath": "$ORIGIN/../torch/lib"}, "search-path", Severity.WARNING),
        ({"exports": ("a", "b")}, "exported-symbol", Severity.WARNING),
        ({"sections": {}}, "missing-device-code", Severity.ERROR),
    ],
)
def test_layout_rules(elf: Library, tables: Tables, changes: dict[str, object], rule: str, severity: Severity) -> None:
    (finding,) = _check(elf(**changes), tables)
    assert (finding.rule, finding.severity) == (rule, severity)


def test_a_long_list_of_symbols_is_cut(elf: Library, tables: Tables) -> None:
    (finding,) = _check(elf(*(Import(f"missing_{number}", weak=False) for number in range(9))), tables)
    assert "missing_4 and 4 more" in finding.problem


@pytest.mark.parametrize("data", [b"", b"text", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(40)])
def test_what_is_not_elf_is_refused(data: bytes) -> None:
    with pytest.raises(AuditError, match=r"fused_ops/_C\.so is not a readable ELF file"):
        read_elf(data, "fused_ops/_C.so")
