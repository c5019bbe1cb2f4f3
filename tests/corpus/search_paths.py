"""Search paths, and libraries that a wheel carries with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.cases import case
from corpus.strays import CYCLONEDX
from corpus.wheels import library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
_HEALTHY = "$ORIGIN/../ops.libs"
_RUNTIME = "nvidia-cuda-runtime-cu12==12.9.*"


def _searching(**paths: str | None) -> WheelFile:
    module = library(needed=("libfast.so.1", "libc.so.6"), **paths)
    return wheel({"ops/_C.so": module, "ops.libs/libfast.so.1": library(soname="libfast.so.1", exports=("fast",))})


@case("search-path", severity=Severity.WARNING)
def _a_folder_of_the_machine_that_built_it() -> Pair:
    return _searching(runpath=f"{_HEALTHY}:/home/somebody/miniconda3/lib"), _searching(runpath=_HEALTHY)


@case("search-path", sneaky=True, severity=Severity.WARNING)
def _an_absolute_folder_in_a_path_of_the_old_kind() -> Pair:
    return _searching(rpath=f"{_HEALTHY}:/usr/local/cuda/lib64"), _searching(rpath=_HEALTHY)


@case("search-path", sneaky=True)
def _a_colon_at_the_end() -> Pair:
    return _searching(runpath=f"{_HEALTHY}:"), _searching(runpath=_HEALTHY)


@case("search-path", sneaky=True)
def _an_empty_entry_in_the_middle() -> Pair:
    return _searching(rpath=f"{_HEALTHY}::$ORIGIN"), _searching(rpath=f"{_HEALTHY}:$ORIGIN")


@case("search-path")
def _a_folder_below_wherever_python_was_started() -> Pair:
    return _searching(runpath=f"{_HEALTHY}:lib"), _searching(runpath=f"{_HEALTHY}:$ORIGIN/lib")


@case("search-path", sneaky=True)
def _a_dollar_that_a_shell_took_away() -> Pair:
    return _searching(runpath=f"{_HEALTHY}:ORIGIN/../lib"), _searching(runpath=f"{_HEALTHY}:$ORIGIN/../lib")


@case("search-path", sneaky=True)
def _a_name_that_only_begins_like_the_origin() -> Pair:
    return _searching(runpath=f"{_HEALTHY}:$ORIGINS/lib"), _searching(runpath=f"{_HEALTHY}:${{ORIGIN}}/lib")


@case("search-path", sneaky=True, severity=Severity.WARNING)
def _a_way_out_of_site_packages() -> Pair:
    return _searching(runpath=f"{_HEALTHY}:$ORIGIN/../../../lib"), _searching(runpath=f"{_HEALTHY}:$ORIGIN/../lib")


@case("search-path", severity=Severity.WARNING)
def _thirty_folders() -> Pair:
    return _searching(runpath=":".join([_HEALTHY, *(f"$ORIGIN/{n}" for n in range(30))])), _searching(runpath=_HEALTHY)


def _carrying(name: str, soname: str | None, *requires: str) -> WheelFile:
    module = library(needed=(soname or name.rpartition("/")[2], "libc.so.6"), runpath=_HEALTHY)
    told = {
        "ops-1.0.dist-info/sboms/auditwheel.cdx.json": CYCLONEDX,
        "ops-1.0.dist-info/licenses/EULA.txt": b"NVIDIA Software License Agreement",
    }
    carried = library(soname=soname, exports=("shown",))
    return wheel({"ops/_C.so": module, f"ops.libs/{name}": carried, **told}, requires=requires)


@case("vendored-driver")
def _the_library_of_the_driver() -> Pair:
    return _carrying("libcuda.so.1", "libcuda.so.1"), _carrying("libfast.so.1", "libfast.so.1")


@case("vendored-driver", sneaky=True)
def _a_copy_of_the_driver_under_a_unique_name() -> Pair:
    name, other = "libcuda-0a1b2c3d.so.575.51", "libfast-0a1b2c3d.so.1"
    return _carrying(name, name), _carrying(other, other)


def _beside(name: str, soname: str) -> WheelFile:
    return wheel({name: library(soname=soname, exports=("shown",))})


@case("vendored-driver", sneaky=True)
def _the_driver_behind_a_file_name_that_says_nothing() -> Pair:
    return _beside("ops/backend.so", "libnvidia-ml.so.1"), _beside("ops/backend.so", "libbackend.so.1")


@case("vendored-driver", sneaky=True, severity=Severity.WARNING)
def _a_stub_of_the_driver() -> Pair:
    return _beside("ops/lib/stubs/libcuda.so", "libcuda.so.1"), _beside("ops/lib/stubs/libfast.so", "libfast.so.1")


@case("vendored-torch")
def _a_copy_of_a_library_of_torchs() -> Pair:
    return _carrying("libc10.so", "libc10.so"), _carrying("libc11.so", "libc11.so")


@case("vendored-torch", sneaky=True)
def _a_copy_of_torch_under_a_unique_name() -> Pair:
    name, other = "libtorch_cpu-0a1b2c3d.so", "libtorchish-0a1b2c3d.so"
    return _carrying(name, name), _carrying(other, other)


@case("doubled-library", severity=Severity.WARNING)
def _a_library_of_the_toolkit_and_its_requirement() -> Pair:
    return _carrying("libcudart.so.12", "libcudart.so.12", _RUNTIME), _carrying("libcudart.so.12", "libcudart.so.12")


@case("doubled-library", sneaky=True, severity=Severity.WARNING)
def _a_copy_with_another_name_of_what_torch_brings() -> Pair:
    name = "libcudart-0a1b2c3d.so.13"
    return _carrying(name, name, "torch>=2.13,<2.14"), _carrying(name, name)


def _asking(*requires: str) -> WheelFile:
    return wheel(requires=requires)


@case("two-cuda-majors", severity=Severity.WARNING)
def _the_runtimes_of_two_majors_required() -> Pair:
    return _asking(_RUNTIME, "nvidia-cuda-runtime>=13,<14"), _asking(_RUNTIME)


@case("two-cuda-majors", sneaky=True, severity=Severity.WARNING)
def _a_runtime_of_another_major_than_torchs() -> Pair:
    return _asking("torch>=2.13,<2.14", _RUNTIME), _asking("torch>=2.9,<2.10", "nvidia-cuda-runtime-cu12")


@case("driver-needed", severity=Severity.WARNING)
def _the_driver_needed_to_be_loaded() -> Pair:
    return (
        wheel({"ops/_C.so": library(needed=("libcuda.so.1", "libc.so.6"))}),
        wheel({"ops/_C.so": library(needed=("libc.so.6",))}),
    )


@case("driver-needed", sneaky=True, severity=Severity.WARNING)
def _another_part_of_the_driver_needed_behind_a_library_of_the_wheel() -> Pair:
    def made(*needed: str) -> WheelFile:
        inner = library(needed=(*needed, "libc.so.6"), soname="libfast.so.1", exports=("fast",))
        module = library(needed=("libfast.so.1", "libc.so.6"), runpath=_HEALTHY)
        return wheel({"ops/_C.so": module, "ops.libs/libfast.so.1": inner})

    return made("libnvidia-ml.so.1"), made()


@case("requirement-conflict")
def _two_ranges_that_hold_no_release_between_them() -> Pair:
    return _asking("torch>2.12.1", "torch<2.13"), _asking("torch>2.12.0", "torch<2.13")


@case("requirement-conflict", sneaky=True)
def _a_part_of_another_release_than_torch_pins() -> Pair:
    return _asking("torch==2.9.1", "nvidia-cudnn-cu12==9.1.0.70"), _asking("torch==2.9.1", "nvidia-cudnn-cu12>=9.1")


@case("requirement-conflict", sneaky=True)
def _the_nvmath_of_cuda_12_and_a_torch_of_cuda_13() -> Pair:
    nvmath = "nvmath-python[cu12]==0.9.0"
    return _asking(nvmath, "torch>=2.11"), _asking(nvmath, "torch<2.11,>=2.10")


@case("requirement-conflict", sneaky=True)
def _parts_that_clash_two_requirements_away() -> Pair:
    blas = "nvidia-cublas-cu12==12.8.*"
    return _asking("cuda-toolkit[cublas]==12.9.*", blas), _asking("cuda-toolkit[cudart]==12.9.*", blas)
