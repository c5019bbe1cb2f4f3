"""What libraries ask of the machine: C library, loader, and symbols that nobody has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.cases import case
from corpus.wheels import LIBC, library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from corpus.wheels import WheelFile

_TAG = "cp311-cp311-"


def _asking(*versions: tuple[str, str, str], tag: str = "manylinux_2_17_x86_64", machine: str = "x86_64") -> WheelFile:
    """A wheel whose library imports (symbol, library, version)."""
    imports = {symbol: (provider, version) for symbol, provider, version in versions}
    needed = tuple(dict.fromkeys([*(provider for _, provider, _ in versions), "libc.so.6"]))
    return wheel({"ops/_C.so": library(imports=imports, needed=needed, machine=machine)}, tag=_TAG + tag)


@case("platform-tag")
def _a_glibc_that_is_newer_than_the_tag() -> tuple[WheelFile, WheelFile]:
    newer = ("dlopen", "libc.so.6", "GLIBC_2.34")
    return _asking(newer), _asking(newer, tag="manylinux_2_34_x86_64")


@case("platform-tag", sneaky=True)
def _a_glibc_that_sorts_before_the_tag_as_text() -> tuple[WheelFile, WheelFile]:
    symbol = ("memcpy", "libc.so.6", "GLIBC_2.14")
    return _asking(symbol, tag="manylinux_2_5_x86_64"), _asking(symbol, tag="manylinux_2_17_x86_64")


@case("platform-tag", sneaky=True)
def _a_legacy_name_of_a_tag() -> tuple[WheelFile, WheelFile]:
    symbol = ("__cxa_throw", "libstdc++.so.6", "GLIBCXX_3.4.21")
    return _asking(symbol, tag="manylinux2014_x86_64"), _asking(symbol, tag="manylinux_2_24_x86_64")


@case("platform-tag", sneaky=True)
def _the_older_of_two_tags() -> tuple[WheelFile, WheelFile]:
    symbol = ("getrandom", "libc.so.6", "GLIBC_2.25")
    both = "manylinux_2_24_x86_64.manylinux_2_28_x86_64"
    return _asking(symbol, tag=both), _asking(symbol, tag="manylinux_2_26_x86_64.manylinux_2_28_x86_64")


@case("platform-tag", sneaky=True)
def _a_glibc_without_a_policy_of_its_own() -> tuple[WheelFile, WheelFile]:
    symbol = ("__libc_single_threaded", "libc.so.6", "GLIBC_2.32")
    return _asking(symbol, tag="manylinux_2_30_x86_64"), _asking(symbol, tag="manylinux_2_32_x86_64")


@case("platform-tag")
def _a_newer_libstdcxx() -> tuple[WheelFile, WheelFile]:
    symbol = ("_ZSt28__throw_bad_array_new_lengthv", "libstdc++.so.6", "GLIBCXX_3.4.29")
    return _asking(symbol, tag="manylinux_2_28_x86_64"), _asking(symbol, tag="manylinux_2_34_x86_64")


@case("platform-tag", sneaky=True)
def _several_versions_of_several_libraries() -> tuple[WheelFile, WheelFile]:
    symbols = [
        ("_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE", "libstdc++.so.6",
         "GLIBCXX_3.4.22"),
        ("_ZdlPvm", "libstdc++.so.6", "CXXABI_1.3.9"),
        ("logf", "libm.so.6", "GLIBC_2.27"),
    ]  # fmt: skip
    return _asking(*symbols), _asking(*symbols, tag="manylinux_2_27_x86_64")


@case("platform-tag", sneaky=True)
def _an_abi_of_libstdcxx_that_has_no_number() -> tuple[WheelFile, WheelFile]:
    symbol = ("__cxa_throw", "libstdc++.so.6", "CXXABI_FLOAT128")
    return _asking(symbol), _asking(symbol, tag="manylinux_2_24_x86_64")


@case("platform-tag", sneaky=True)
def _a_newer_libgcc() -> tuple[WheelFile, WheelFile]:
    symbol = ("__divmodti4", "libgcc_s.so.1", "GCC_7.0.0")
    return _asking(symbol, tag="manylinux_2_24_x86_64"), _asking(symbol, tag="manylinux_2_27_x86_64")


@case("platform-tag", sneaky=True)
def _a_newer_libatomic() -> tuple[WheelFile, WheelFile]:
    symbol = ("__atomic_fetch_add_16", "libatomic.so.1", "LIBATOMIC_1.2")
    return _asking(symbol), _asking(symbol, tag="manylinux_2_24_x86_64")


@case("platform-tag", sneaky=True)
def _a_library_that_older_systems_lack() -> tuple[WheelFile, WheelFile]:
    own = {"ops/_C.so": library(needed=("libmvec.so.1", "libc.so.6"))}
    return wheel(own), wheel(own, tag=f"{_TAG}manylinux_2_24_x86_64")


@case("platform-tag", sneaky=True)
def _private_symbols_of_glibc() -> tuple[WheelFile, WheelFile]:
    return _asking(("__libc_siglongjmp", "libc.so.6", "GLIBC_PRIVATE")), _asking(("memcpy", "libc.so.6", "GLIBC_2.14"))


@case("platform-tag", sneaky=True)
def _compressed_relocations_that_only_new_loaders_know() -> tuple[WheelFile, WheelFile]:
    symbol = ("memcpy", "libc.so.6", "GLIBC_ABI_DT_RELR")
    return _asking(symbol, tag="manylinux_2_34_x86_64"), _asking(symbol, tag="manylinux_2_36_x86_64")


@case("platform-tag", sneaky=True)
def _one_library_of_many() -> tuple[WheelFile, WheelFile]:
    newer = library(imports={"dlopen": ("libc.so.6", "GLIBC_2.34")}, soname="libdeep.so")
    older = library(imports={"dlopen": ("libdl.so.2", "GLIBC_2.2.5")}, needed=("libdl.so.2", "libc.so.6"))
    return wheel({"ops/lib/deep/libdeep.so": newer}), wheel({"ops/lib/deep/libdeep.so": older})


@case("platform-tag")
def _libraries_of_another_machine() -> tuple[WheelFile, WheelFile]:
    arm = ("memcpy", "libc.so.6", "GLIBC_2.17")
    return _asking(arm, machine="aarch64"), _asking(arm, machine="aarch64", tag="manylinux_2_17_aarch64")


@case("platform-tag", sneaky=True)
def _one_library_of_another_machine() -> tuple[WheelFile, WheelFile]:
    imports = {"memcpy": ("libc.so.6", "GLIBC_2.17")}
    arm, own = library(imports=imports, machine="aarch64", soname="libextra.so"), library(soname="libextra.so")
    return wheel({"ops/libextra.so": arm}), wheel({"ops/libextra.so": own})


def _loaded(platform: str) -> WheelFile:
    """A wheel whose library ctypes loads."""
    files: dict[str, bytes | None] = {
        "ops/_C.so": None,
        "ops/libops.so": library(soname="libops.so", exports=("ops_run",)),
    }
    return wheel(files, tag=f"py3-none-{platform}")


@case("platform-tag")
def _libraries_under_the_tag_any() -> tuple[WheelFile, WheelFile]:
    return _loaded("any"), _loaded("manylinux_2_17_x86_64")


@case("platform-tag", sneaky=True)
def _libraries_for_linux_under_a_tag_of_windows() -> tuple[WheelFile, WheelFile]:
    return _loaded("manylinux_2_17_x86_64.win_amd64"), _loaded("manylinux_2_17_x86_64")


@case("platform-tag", sneaky=True)
def _a_tag_that_does_not_exist() -> tuple[WheelFile, WheelFile]:
    return wheel(tag=f"{_TAG}manylinux_2_17"), wheel(tag=f"{_TAG}manylinux_2_17_x86_64")


@case("platform-local", severity=Severity.WARNING)
def _the_tag_of_a_local_build() -> tuple[WheelFile, WheelFile]:
    return wheel(tag=f"{_TAG}linux_x86_64"), wheel()


@case("platform-local", severity=Severity.WARNING, sneaky=True)
def _the_tag_of_a_local_build_beside_a_good_one() -> tuple[WheelFile, WheelFile]:
    return wheel(tag=f"{_TAG}linux_x86_64.manylinux_2_17_x86_64"), wheel()


@case("libc-mismatch")
def _glibc_under_a_tag_of_musl() -> tuple[WheelFile, WheelFile]:
    musl = library(imports={}, needed=("libc.musl-x86_64.so.1",))
    tag = f"{_TAG}musllinux_1_2_x86_64"
    return wheel(tag=tag), wheel({"ops/_C.so": musl}, tag=tag)


@case("libc-mismatch")
def _musl_under_a_tag_of_glibc() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": library(imports={}, needed=("libc.musl-x86_64.so.1",))}), wheel()


@case("libc-mismatch", sneaky=True)
def _musl_under_its_plain_name() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": library(imports={"memcpy": None}, needed=("libc.so",))}), wheel()


@case("libc-mismatch", sneaky=True)
def _one_wheel_for_both() -> tuple[WheelFile, WheelFile]:
    return wheel(tag=f"{_TAG}manylinux_2_17_x86_64.musllinux_1_2_x86_64"), wheel()


@case("platform-not-checked", severity=Severity.NOTE)
def _a_wheel_for_windows() -> tuple[WheelFile, WheelFile]:
    files: dict[str, bytes | None] = {"ops/_C.so": None, "ops/_C.pyd": b"MZ"}
    return wheel(files, tag="cp311-cp311-win_amd64"), wheel()


@case("platform-not-checked", severity=Severity.NOTE, sneaky=True)
def _a_wheel_for_a_machine_without_gpus() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": None}, tag="cp311-cp311-manylinux_2_17_s390x"), wheel({"ops/_C.so": None})


def _importing(*symbols: str, needed: tuple[str, ...] = ("libc.so.6",), **files: bytes) -> WheelFile:
    own = library(imports={**LIBC, **dict.fromkeys(symbols)}, needed=needed, runpath="$ORIGIN" if files else None)
    others: dict[str, bytes | None] = {f"ops/{name}.so": data for name, data in files.items()}
    return wheel({"ops/_C.so": own, **others})


def _sibling(name: str, *exports: str, needed: tuple[str, ...] = ("libc.so.6",)) -> bytes:
    return library(soname=f"{name}.so", exports=exports, needed=needed)


@case("unresolved-symbol")
def _a_function_that_nothing_defines() -> tuple[WheelFile, WheelFile]:
    return _importing("ops_forgotten"), _importing("dlsym")


@case("unresolved-symbol", sneaky=True)
def _a_function_that_the_sibling_does_not_define() -> tuple[WheelFile, WheelFile]:
    needed = ("libmore.so", "libc.so.6")
    return (
        _importing("ops_more", needed=needed, libmore=_sibling("libmore", "ops_less")),
        _importing("ops_more", needed=needed, libmore=_sibling("libmore", "ops_more")),
    )


@case("unresolved-symbol", sneaky=True)
def _type_information_of_a_class_without_its_key_function() -> tuple[WheelFile, WheelFile]:
    needed = ("libstdc++.so.6", "libc.so.6")
    return _importing("_ZTI6Kernel", needed=needed), _importing("_ZTISt9exception", needed=needed)


@case("unresolved-symbol", sneaky=True)
def _a_function_that_takes_a_tensor() -> tuple[WheelFile, WheelFile]:
    def made(symbol: str) -> WheelFile:
        own = library(imports={**LIBC, symbol: None}, needed=("libtorch.so", "libc.so.6"))
        return wheel({"ops/_C.so": own}, requires=["torch>=2.13,<2.14"])

    return made("_Z8my_scaleRKN2at6TensorE"), made("_ZN2at13globalContextEv")


@case("unresolved-symbol", sneaky=True)
def _openmp_without_its_library() -> tuple[WheelFile, WheelFile]:
    def made(*needed: str) -> WheelFile:
        own = library(imports={**LIBC, "GOMP_parallel": None}, needed=(*needed, "libc.so.6"))
        return wheel({"ops/_C.so": own}, requires=["torch>=2.13,<2.14"])

    return made(), made("libtorch.so")


@case("exported-copy", severity=Severity.WARNING)
def _functions_of_zlib_that_everybody_sees() -> tuple[WheelFile, WheelFile]:
    names = ("PyInit__C", "deflate", "deflateEnd", "inflate", "crc32")
    return wheel({"ops/_C.so": library(exports=names)}), wheel({"ops/_C.so": library(exports=names[:1])})


@case("exported-copy", severity=Severity.WARNING, sneaky=True)
def _a_static_cuda_runtime_that_everybody_sees() -> tuple[WheelFile, WheelFile]:
    names = ("cudaMalloc", "cudaFree", "cudaLaunchKernel", "ops_run")
    own = {"ops/libops.so": library(soname="libops.so", exports=names)}
    return wheel(own), wheel({"ops/libops.so": library(soname="libops.so", exports=names[3:])})


@case("executable-stack")
def _a_stack_that_may_run() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": library(executable_stack=True)}), wheel()


@case("executable-stack", sneaky=True)
def _no_word_about_the_stack() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": library(stack_header=False)}), wheel()


@case("text-relocations", severity=Severity.WARNING)
def _relocations_in_code() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": library(text_relocations=True)}), wheel()


@case("text-relocations", severity=Severity.WARNING, sneaky=True)
def _relocations_in_the_code_of_a_sibling_by_its_flags() -> tuple[WheelFile, WheelFile]:
    flags, soname = ((30, 4),), "libmore.so"
    return wheel({"ops/libmore.so": library(soname=soname, dynamic=flags)}), wheel(
        {"ops/libmore.so": library(soname=soname, dynamic=((30, 8),))}
    )


@case("cpu-level")
def _avx_512_as_a_property() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": library(isa=8)}), wheel({"ops/_C.so": library(isa=1)})


@case("cpu-level", sneaky=True)
def _avx2_beside_the_baseline_as_a_property() -> tuple[WheelFile, WheelFile]:
    return wheel({"ops/_C.so": library(isa=1 | 2 | 4, headers=False)}), wheel(
        {"ops/_C.so": library(isa=1, headers=False)}
    )


_SSE, _AVX = bytes.fromhex("660f6fc1 660fefc1 f20f58c1") * 40, bytes.fromhex("c5f96fc1 c5f9efc1 c5fb58c1") * 40
_AVX512 = bytes.fromhex("62f1fd486fc1 62f17d48efc1") * 60


def _of_code(code: bytes, name: str = "_C") -> WheelFile:
    return wheel({"ops/_C.so": None, f"ops/{name}.so": library(sections={".text": code}, exports=(f"PyInit_{name}",))})


@case("cpu-code", severity=Severity.WARNING)
def _avx2_throughout() -> tuple[WheelFile, WheelFile]:
    return _of_code(_AVX), _of_code(_SSE)


@case("cpu-code", severity=Severity.WARNING, sneaky=True)
def _avx_512_throughout_beside_a_file_of_its_own() -> tuple[WheelFile, WheelFile]:
    return _of_code(_AVX + _AVX512), _of_code(_AVX + _AVX512, "_kernels_avx512")


@case("cpu-code", severity=Severity.WARNING, sneaky=True)
def _avx2_where_others_choose_when_they_run() -> tuple[WheelFile, WheelFile]:
    asking = bytes.fromhex("0fa2")
    return _of_code(_AVX + asking), _of_code(_SSE + _AVX + asking + _AVX512)


_RETURN, _CALL_NEXT = b"\xc3", bytes.fromhex("e8 3b000000")
"""A call of the function in the next 64 bytes."""
_AVX_ONE, _AVX512_ONE, _SSE_ONE = bytes.fromhex("c5f857c0"), bytes.fromhex("62f17c4857c0"), bytes.fromhex("0f57c0")
_ASKING = bytes.fromhex("31c0 0fa2 a801")
"""Whether the CPU has a feature."""


def _at_load(*constructors: bytes, **changes: object) -> WheelFile:
    return wheel({"ops/_C.so": library(constructors=constructors, **changes)})


@case("cpu-code")
def _avx_in_a_constructor() -> tuple[WheelFile, WheelFile]:
    begin = bytes.fromhex("4883ec08 488d3d00000000")
    broken, twin = (_at_load(begin + one + _RETURN) for one in (_AVX_ONE, _SSE_ONE))
    return broken, twin


@case("cpu-code", sneaky=True)
def _avx_512_in_what_a_constructor_calls() -> tuple[WheelFile, WheelFile]:
    # Of the twin, nothing calls the second function.
    inner = bytes.fromhex("f30f1efa 55 4889e5") + _AVX512_ONE + _RETURN
    first = _RETURN.rjust(len(_CALL_NEXT) + 1, b"\x90")
    return _at_load(_CALL_NEXT + _RETURN, inner), wheel(
        {"ops/_C.so": library(constructors=(first,), sections={".text": inner})}
    )


@case("cpu-code", sneaky=True)
def _avx_before_the_cpu_is_asked() -> tuple[WheelFile, WheelFile]:
    after = _ASKING + bytes.fromhex("7404") + _AVX_ONE + _RETURN
    return _at_load(_AVX_ONE + after), _at_load(after)


@case("cpu-code", sneaky=True)
def _avx_on_both_ways_of_a_branch() -> tuple[WheelFile, WheelFile]:
    def both(second: bytes) -> WheelFile:
        return _at_load(bytes.fromhex("85c0 7405") + _AVX_ONE + _RETURN + second + _RETURN)

    return both(_AVX512_ONE), both(_SSE_ONE)


@case("cpu-code", sneaky=True)
def _avx_in_a_constructor_that_a_relocation_names() -> tuple[WheelFile, WheelFile]:
    broken, twin = (_at_load(one + _RETURN, written=False) for one in (_AVX_ONE, _SSE_ONE))
    return broken, twin


@case("cpu-code", sneaky=True)
def _avx_in_what_chooses_a_function() -> tuple[WheelFile, WheelFile]:
    broken, twin = (wheel({"ops/_C.so": library(resolvers=(one + _RETURN,))}) for one in (_AVX_ONE, _SSE_ONE))
    return broken, twin


def _versioned(wanted: str, *defined: str) -> WheelFile:
    needed = ("libmore.so", "libc.so.6")
    own = library(imports={**LIBC, "more": ("libmore.so", wanted)}, needed=needed, runpath="$ORIGIN")
    exports = {"more": defined[0], **{f"more{number}": version for number, version in enumerate(defined)}}
    return wheel({"ops/_C.so": own, "ops/libmore.so": library(soname="libmore.so", exports=exports)})


@case("missing-version")
def _a_version_that_the_sibling_does_not_define() -> tuple[WheelFile, WheelFile]:
    return _versioned("MORE_2", "MORE_1"), _versioned("MORE_1", "MORE_1")


@case("missing-version", sneaky=True)
def _an_older_version_of_the_sibling_that_is_gone() -> tuple[WheelFile, WheelFile]:
    return _versioned("MORE_1", "MORE_2", "MORE_3"), _versioned("MORE_1", "MORE_2", "MORE_1")
