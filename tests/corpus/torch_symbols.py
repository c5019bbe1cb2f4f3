"""Torch: what libraries import of it, against the torches that the wheel admits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.cases import case
from corpus.wheels import LIBC, TORCH, library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.wheels import WheelFile

EVERY = "_ZN2at13globalContextEv"
"""In every torch from 2.2 to 2.15."""
SINCE_2_14 = "_ZN3c104cuda19CUDAErrorLogCaptureC1Ev"
UNTIL_2_9 = "_ZN2at4_ops4tril4callERKNS_6TensorEl"
NEW_STRING = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
OLD_STRING = "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"
SHIM_2_9, SHIM_2_13 = "aoti_torch_aten_narrow", "torch_stream_native_handle"
SHIM_2_3_ALONE = "aoti_torch_cpu__add_relu_Tensor"
SHIM = "aoti_torch_get_dim"
CUDA_SHIM = "aoti_torch_get_current_cuda_stream"
ABI3 = "cp310-abi3-manylinux_2_17_x86_64"


def _of(
    *symbols: str,
    requires: Sequence[str] = ("torch>=2.10",),
    weak: Sequence[str] = (),
    needed: Sequence[str] = ("libtorch.so", "libc.so.6"),
    files: dict[str, bytes | None] | None = None,
    tag: str = "cp311-cp311-manylinux_2_17_x86_64",
) -> WheelFile:
    """A wheel whose one library imports these."""
    imports = {**LIBC, **dict.fromkeys(symbols)}
    own = library(imports=imports, weak=weak, needed=needed, runpath="$ORIGIN" if files else None)
    return wheel({"ops/_C.so": own, **(files or {})}, requires=requires, tag=tag)


@case("torch-floor")
def _a_shim_that_is_newer_than_the_floor() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM_2_13), _of(SHIM_2_13, requires=["torch>=2.13"])


@case("torch-floor", sneaky=True)
def _a_shim_that_is_newer_than_a_floor_of_two_lines() -> tuple[WheelFile, WheelFile]:
    requires = ["torch>=2.10", "Torch<3"]
    return _of(SHIM_2_13, requires=requires), _of(SHIM_2_13, requires=["torch>2.12.99", "Torch<3"])


@case("torch-floor", sneaky=True)
def _a_shim_that_one_minor_lacks() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM_2_13, requires=["torch~=2.12.0"]), _of(SHIM_2_13, requires=["torch~=2.13.0"])


@case("torch-floor", sneaky=True)
def _a_shim_that_a_whole_major_does_not_have() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM_2_13, requires=["torch==2.*"]), _of(SHIM_2_13, requires=["torch==2.*", "torch>=2.13"])


@case("torch-floor", sneaky=True)
def _a_shim_that_was_removed() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM_2_3_ALONE, requires=["torch>=2.3"]), _of(SHIM_2_3_ALONE, requires=["torch==2.3.1"])


@case("torch-floor", sneaky=True)
def _a_shim_that_the_torch_of_one_python_lacks() -> tuple[WheelFile, WheelFile]:
    requires = ['torch>=2.13; python_version >= "3.12"', 'torch>=2.10; python_version < "3.12"']
    only = _of(SHIM_2_13, requires=requires, tag="cp312-cp312-manylinux_2_17_x86_64")
    return _of(SHIM_2_13, requires=requires, tag=ABI3), only


@case("torch-floor", sneaky=True)
def _a_strong_reference_to_a_newer_shim() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM_2_13, SHIM), _of(SHIM_2_13, SHIM, weak=[SHIM_2_13])


@case("torch-floor", sneaky=True)
def _a_shim_that_an_old_floor_admits() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM_2_9, requires=["torch>=2.4"]), _of(SHIM_2_9, requires=["torch>=2.10"])


@case("torch-unknown-symbol")
def _a_shim_that_no_torch_has() -> tuple[WheelFile, WheelFile]:
    return _of("aoti_torch_not_a_function"), _of(SHIM)


@case("torch-unknown-symbol", sneaky=True)
def _a_shim_that_no_sibling_defines() -> tuple[WheelFile, WheelFile]:
    sibling = {"ops/libextra.so": library(soname="libextra.so", exports=("torch_extra_scale",))}
    other = {"ops/libextra.so": library(soname="libextra.so", exports=("torch_extra_shift",))}
    needed = ("libextra.so", "libtorch.so", "libc.so.6")
    broken = _of("torch_extra_scale", SHIM, needed=needed, files=other)
    return broken, _of("torch_extra_scale", SHIM, needed=needed, files=sibling)


@case("torch-unstable-abi")
def _cpp_symbols_under_an_open_range() -> tuple[WheelFile, WheelFile]:
    return _of(EVERY), _of(EVERY, requires=[TORCH])


@case("torch-unstable-abi")
def _cpp_symbols_under_a_bare_requirement() -> tuple[WheelFile, WheelFile]:
    return _of(EVERY, requires=["torch"]), _of(EVERY, requires=["torch==2.13.0"])


@case("torch-unstable-abi", sneaky=True)
def _cpp_symbols_under_a_wildcard_of_the_major() -> tuple[WheelFile, WheelFile]:
    return _of(EVERY, requires=["torch==2.*"]), _of(EVERY, requires=["torch==2.13.*"])


@case("torch-unstable-abi", sneaky=True)
def _cpp_symbols_under_a_compatible_release_of_the_major() -> tuple[WheelFile, WheelFile]:
    return _of(EVERY, requires=["torch~=2.13"]), _of(EVERY, requires=["torch~=2.13.0"])


@case("torch-unstable-abi", sneaky=True)
def _cpp_symbols_under_two_minors() -> tuple[WheelFile, WheelFile]:
    return _of(EVERY, requires=["torch>=2.12,<2.14"]), _of(EVERY, requires=["torch>=2.13,<2.14"])


@case("torch-unstable-abi", sneaky=True)
def _a_virtual_table_of_torchs_under_an_open_range() -> tuple[WheelFile, WheelFile]:
    table = "_ZTIN2at5cpublas9transposeE"  # no torch has it: that alone would not say that it is torch's
    sibling = {"ops/libmore.so": library(soname="libmore.so", exports=(table,))}
    needed = ("libmore.so", "libtorch.so", "libc.so.6")
    other = {"ops/libmore.so": library(soname="libmore.so", exports=("more",))}
    return _of(table, SHIM, needed=needed, files=other), _of(table, SHIM, needed=needed, files=sibling)


@case("torch-unstable-abi", sneaky=True)
def _cpp_symbols_with_an_alternative_for_old_pythons() -> tuple[WheelFile, WheelFile]:
    requires = ['torch==2.12.*; python_version < "3.12"', 'torch==2.13.*; python_version >= "3.12"']
    return _of(EVERY, requires=requires, tag=ABI3), _of(EVERY, requires=requires)


@case("torch-symbol-missing")
def _a_cpp_symbol_that_is_newer_than_the_one_torch() -> tuple[WheelFile, WheelFile]:
    return _of(SINCE_2_14, requires=["torch==2.13.*"]), _of(SINCE_2_14, requires=["torch==2.14.*"])


@case("torch-symbol-missing", sneaky=True)
def _a_cpp_symbol_that_is_gone_in_the_one_torch() -> tuple[WheelFile, WheelFile]:
    return _of(UNTIL_2_9, requires=["torch>=2.10,<2.11"]), _of(UNTIL_2_9, requires=["torch>=2.9,<2.10"])


@case("torch-symbol-missing", sneaky=True)
def _a_cpp_symbol_among_others_with_a_local_version() -> tuple[WheelFile, WheelFile]:
    symbols = (EVERY, SINCE_2_14)
    return _of(*symbols, requires=["torch==2.13.0+cu130"]), _of(*symbols, requires=["torch===2.14.1+cu130"])


@case("torch-string-abi")
def _strings_of_the_new_abi_under_torch_2_6() -> tuple[WheelFile, WheelFile]:
    return _of(NEW_STRING, requires=["torch==2.6.0"]), _of(OLD_STRING, requires=["torch==2.6.0"])


@case("torch-string-abi", sneaky=True)
def _strings_of_the_old_abi_under_torch_2_7() -> tuple[WheelFile, WheelFile]:
    return _of(EVERY, OLD_STRING, requires=["torch~=2.7.0"]), _of(EVERY, NEW_STRING, requires=["torch~=2.7.0"])


@case("torch-requirement")
def _shims_without_a_requirement() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM, requires=["numpy"]), _of(SHIM, requires=["numpy", "torch>=2.10"])


@case("torch-requirement")
def _cpp_symbols_without_a_requirement() -> tuple[WheelFile, WheelFile]:
    return _of(EVERY, requires=[]), _of(EVERY, requires=[TORCH])


@case("torch-requirement", sneaky=True)
def _a_requirement_of_an_extra_alone() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM, requires=["torch>=2.10; extra == 'gpu'\nProvides-Extra: gpu"]), _of(SHIM)


@case("torch-requirement", sneaky=True)
def _a_requirement_on_windows_alone() -> tuple[WheelFile, WheelFile]:
    windows, linux = 'torch>=2.10; sys_platform == "win32"', 'torch>=2.10; sys_platform == "linux"'
    return _of(SHIM, requires=[windows]), _of(SHIM, requires=[linux])


@case("torch-requirement", sneaky=True)
def _an_upper_bound_and_no_floor() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM, requires=["torch<3"]), _of(SHIM, requires=["torch<3,>=2.10"])


@case("torch-not-needed")
def _torchs_symbols_without_its_library() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM, needed=("libc.so.6",)), _of(SHIM)


@case("torch-not-needed", sneaky=True)
def _torchs_symbols_and_a_sibling_that_does_not_bring_it() -> tuple[WheelFile, WheelFile]:
    needed = ("libmore.so", "libc.so.6")
    alone = {"ops/libmore.so": library(soname="libmore.so", exports=("more",))}
    bringing = library(soname="libmore.so", exports=("more",), needed=("libtorch.so", "libc.so.6"))
    return _of(SHIM, needed=needed, files=alone), _of(SHIM, needed=needed, files={"ops/libmore.so": bringing})


@case("torch-requirement", severity=Severity.WARNING, sneaky=True)
def _torchs_symbols_that_nothing_brings() -> tuple[WheelFile, WheelFile]:
    needed = ("libc.so.6",)
    return _of(SHIM, requires=[], needed=needed), _of(SHIM, requires=[], needed=needed, weak=[SHIM])


@case("torch-requirement", sneaky=True)
def _a_library_of_torchs_without_a_symbol_of_it() -> tuple[WheelFile, WheelFile]:
    return _of(requires=["numpy"]), _of(requires=["numpy", "torch>=2.10"])


@case("torch-symbol-missing", sneaky=True)
def _a_cpp_symbol_that_no_build_has_beside_those_of_other_devices() -> tuple[WheelFile, WheelFile]:
    stranger, other = "_ZN3c104cuda24getCurrentXPUStreamOnlyEa", "_ZN3c103xpu19getCurrentXPUStreamEa"
    return _of(EVERY, stranger, requires=[TORCH]), _of(EVERY, other, requires=[TORCH])


@case("strong-cuda-shim", severity=Severity.NOTE)
def _a_function_that_builds_of_torch_without_cuda_lack() -> tuple[WheelFile, WheelFile]:
    return _of(CUDA_SHIM), _of(CUDA_SHIM, weak=[CUDA_SHIM])


@case("strong-cuda-shim", severity=Severity.NOTE, sneaky=True)
def _one_function_of_two_that_builds_of_torch_without_cuda_lack() -> tuple[WheelFile, WheelFile]:
    return _of(SHIM, CUDA_SHIM), _of(SHIM, CUDA_SHIM, weak=[CUDA_SHIM])
