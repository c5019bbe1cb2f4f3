"""Libraries that nothing brings, or that lie where the loader does not look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.cases import case
from corpus.wheels import library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.wheels import WheelFile

_BLAS = "nvidia-cublas-cu12==12.9.*"
_TO_BLAS = "$ORIGIN/../nvidia/cublas/lib"
_TO_13 = "$ORIGIN/../nvidia/cu13/lib"
Pair = tuple["WheelFile", "WheelFile"]


def _ops(
    *needed: str, requires: Sequence[str] = (), tag: str = "cp311-cp311-manylinux_2_17_x86_64", **changes: object
) -> WheelFile:
    """A wheel whose module needs `needed`; `changes` are those of the library."""
    return wheel({"ops/_C.so": library(needed=(*needed, "libc.so.6"), **changes)}, requires=requires, tag=tag)


def _blas(
    *requires: str, name: str = "libcublas.so.12", runpath: str | None = _TO_BLAS, **changes: object
) -> WheelFile:
    return _ops(name, requires=requires, runpath=runpath, **changes)


@case("missing-library")
def _a_library_of_cuda_without_a_requirement() -> Pair:
    return _blas(), _blas(_BLAS)


@case("missing-library", sneaky=True)
def _a_requirement_for_another_machine_alone() -> Pair:
    condition = "platform_machine == '{}'".format
    return _blas(f"{_BLAS}; {condition('aarch64')}"), _blas(f"{_BLAS}; {condition('x86_64')}")


@case("missing-library", sneaky=True)
def _a_requirement_for_older_pythons_alone() -> Pair:
    return _blas(f"{_BLAS}; python_version < '3.11'"), _blas(f"{_BLAS}; python_version < '3.12'")


@case("missing-library", sneaky=True, severity=Severity.WARNING)
def _a_library_that_comes_with_an_extra_alone() -> Pair:
    files = {"ops/_C.so": library(needed=("libcublas.so.12", "libc.so.6"), runpath=_TO_BLAS)}
    extra = ("Requires-Python: >=3.9", "Provides-Extra: gpu")
    return wheel(files, requires=(f"{_BLAS}; extra == 'gpu'",), fields=extra), wheel(
        files, requires=(_BLAS,), fields=extra
    )


@case("missing-library", sneaky=True)
def _the_distribution_of_another_cuda_major() -> Pair:
    requires = "nvidia-cublas>=13,<14"
    return _blas(requires, runpath=_TO_13), _blas(requires, name="libcublas.so.13", runpath=_TO_13)


@case("missing-library", sneaky=True)
def _a_metapackage_without_the_extra_that_counts() -> Pair:
    return _blas("cuda-toolkit[cudart]==12.9.*"), _blas("cuda-toolkit[cublas]==12.9.*")


@case("missing-library", sneaky=True)
def _the_name_that_only_linkers_use() -> Pair:
    return _blas(_BLAS, name="libcublas.so"), _blas(_BLAS)


@case("missing-library", sneaky=True)
def _a_library_that_the_newest_release_has_no_more() -> Pair:
    path = "$ORIGIN/../nvidia/cudnn/lib"
    needed = {"name": "libcudnn.so.8", "runpath": path}
    return _blas("nvidia-cudnn-cu12>=8.9", **needed), _blas("nvidia-cudnn-cu12>=8.9,<9", **needed)


@case("missing-library", sneaky=True, severity=Severity.WARNING)
def _a_library_that_the_oldest_allowed_release_has_not_yet() -> Pair:
    path = "$ORIGIN/../nvidia/cudnn/lib"
    needed = {"name": "libcudnn.so.9", "runpath": path}
    return _blas("nvidia-cudnn-cu12>=8.9", **needed), _blas("nvidia-cudnn-cu12>=9", **needed)


@case("missing-library", sneaky=True, severity=Severity.WARNING)
def _a_minor_in_the_soname_that_changes_within_the_range() -> Pair:
    path = "$ORIGIN/../z3/lib"
    needed = {"name": "libz3.so.4.15", "runpath": path}
    return _blas("z3-solver<4.15.5,>=4.13", **needed), _blas("z3-solver<4.15.5,>=4.15", **needed)


@case("missing-library", sneaky=True)
def _a_library_of_torchs_that_cpu_and_cuda_builds_share_and_one_that_no_torch_has() -> Pair:
    torch = ("torch>=2.13,<2.14",)
    return _ops("libtorch_gpu.so", requires=torch), _ops("libtorch_cpu.so", requires=torch)


@case("missing-library", sneaky=True)
def _a_need_of_a_library_that_the_module_brings_with_it() -> Pair:
    inner = {"exports": ("inner",), "soname": "libinner.so"}

    def made(*needed: str) -> WheelFile:
        return wheel(
            {
                "ops/_C.so": library(needed=("libinner.so", "libc.so.6"), runpath="$ORIGIN"),
                "ops/libinner.so": library(needed=(*needed, "libc.so.6"), **inner),
            }
        )

    return made("liboutside.so.3"), made()


@case("unreachable-library")
def _a_required_library_and_no_search_path() -> Pair:
    return _blas(_BLAS, runpath=None), _blas(_BLAS)


@case("unreachable-library", sneaky=True)
def _a_search_path_that_starts_one_folder_too_deep() -> Pair:
    return _blas(_BLAS, runpath="$ORIGIN/nvidia/cublas/lib"), _blas(_BLAS, runpath="${ORIGIN}/../nvidia/cublas/lib")


@case("unreachable-library", sneaky=True)
def _the_folders_of_cuda_12_for_a_library_of_cuda_13() -> Pair:
    given = ("nvidia-cublas>=13,<14",)
    return _blas(*given, name="libcublas.so.13"), _blas(*given, name="libcublas.so.13", runpath=_TO_13)


def _inherited(**paths: str) -> WheelFile:
    """A module that brings a library, which needs another."""
    module = library(needed=("libinner.so", "libc.so.6"), **paths)
    inner = library(needed=("libcublas.so.12", "libc.so.6"), soname="libinner.so", exports=("inner",))
    return wheel({"ops/_C.so": module, "ops/libinner.so": inner}, requires=(_BLAS,))


@case("unreachable-library", sneaky=True)
def _a_search_path_that_is_not_inherited() -> Pair:
    path = f"$ORIGIN:{_TO_BLAS}"
    return _inherited(runpath=path), _inherited(rpath=path)


@case("unreachable-library", sneaky=True)
def _a_path_of_the_old_kind_that_the_new_kind_turns_off() -> Pair:
    return _blas(_BLAS, runpath="$ORIGIN", rpath=_TO_BLAS), _blas(_BLAS, runpath=None, rpath=_TO_BLAS)


@case("unreachable-library", sneaky=True)
def _a_path_of_the_old_kind_that_an_empty_one_turns_off() -> Pair:
    return _blas(_BLAS, runpath="", rpath=_TO_BLAS), _blas(_BLAS, runpath=None, rpath=_TO_BLAS)


def _sibling(name: str, soname: str | None, runpath: str | None) -> WheelFile:
    return wheel(
        {
            "ops/_C.so": library(needed=("libfast.so.1", "libc.so.6"), runpath=runpath),
            f"ops.libs/{name}": library(soname=soname, exports=("fast",)),
        }
    )


@case("unreachable-library")
def _a_library_of_the_wheel_in_a_folder_to_which_nothing_leads() -> Pair:
    path = "$ORIGIN/../ops.libs"
    return _sibling("libfast.so.1", "libfast.so.1", None), _sibling("libfast.so.1", "libfast.so.1", path)


@case("unreachable-library", sneaky=True)
def _a_library_of_the_wheel_under_a_file_name_that_is_not_its_soname() -> Pair:
    path = "$ORIGIN/../ops.libs"
    return _sibling("libfast.so", "libfast.so.1", path), _sibling("libfast.so.1", None, path)


@case("unreachable-library", sneaky=True)
def _a_module_in_the_data_folder_of_the_wheel_at_another_depth() -> Pair:
    def made(path: str) -> WheelFile:
        module = library(needed=("libcublas.so.12", "libc.so.6"), runpath=path)
        files = {"ops/_C.so": None, "ops-1.0.data/platlib/ops/fast/_C.so": module}
        return wheel(files, requires=(_BLAS,))

    return made(_TO_BLAS), made("$ORIGIN/../../nvidia/cublas/lib")


@case("unreachable-library", sneaky=True)
def _a_path_in_place_of_a_name() -> Pair:
    return _ops("./libfast.so.1", runpath="$ORIGIN"), _ops()


@case("library-not-checked", severity=Severity.NOTE)
def _a_library_that_an_unknown_distribution_may_bring() -> Pair:
    return _ops("libfast.so.1", requires=("fast-kernels>=2",)), _ops(requires=("fast-kernels>=2",))


@case("library-not-checked", sneaky=True, severity=Severity.NOTE)
def _a_library_that_python_code_may_load_first() -> Pair:
    code = b"import ctypes, ops.where\nctypes.CDLL(ops.where.folder / 'nvidia/cublas/lib/libcublas.so.12')\n"

    def made(runpath: str | None) -> WheelFile:
        module = library(needed=("libcublas.so.12", "libc.so.6"), runpath=runpath)
        return wheel({"ops/_C.so": module, "ops/__init__.py": code}, requires=(_BLAS,))

    return made(None), made(_TO_BLAS)


@case("library-not-checked", sneaky=True, severity=Severity.NOTE)
def _requirements_whose_oldest_releases_are_not_found() -> Pair:
    wide = (
        *("cuda-bindings>=12.9.2,<13.0", "cuda-toolkit[cublas,cufft,curand,cusolver,cusparse]==12.*", "rich"),
        *("cudf-cu12==26.10.*", "cupy-cuda12x[ctk]>=14.0.1,!=14.1.0", "joblib>=0.11", "libcuml-cu12==26.10.*"),
        *("numba-cuda[cu12]>=0.22.2", "numba>=0.60.0,<0.65.0", "numpy>=2.0,<3.0", "nvforest-cu12==26.10.*"),
        *("nvidia-nvjitlink-cu12>=12.9,<13", "pylibraft-cu12==26.10.*", "rmm-cu12==26.10.*", "treelite>=4.7.2,<5.0.0"),
    )
    return _blas(*wide), _blas(_BLAS)


@case("torch-cuda-major")
def _the_cuda_runtime_of_another_major_than_torchs() -> Pair:
    given = {"requires": ("torch>=2.13,<2.14",)}
    return _ops("libtorch.so", "libcudart.so.12", **given), _ops("libtorch.so", "libcudart.so.13", **given)


@case("torch-cuda-major", sneaky=True)
def _a_range_of_torch_that_goes_on_into_the_next_cuda_major() -> Pair:
    needed = ("libtorch.so", "libcudart.so.12")
    return _ops(*needed, requires=("torch>=2.10",)), _ops(*needed, requires=("torch>=2.10,<2.11",))


@case("missing-library", sneaky=True)
def _bindings_required_in_place_of_the_library() -> Pair:
    # What has libnvinfer is another distribution, which is not on that index.
    bindings = ["tensorrt-cu12-bindings"]
    return _ops("libnvinfer.so.10", requires=bindings), _ops("libm.so.6", requires=bindings)


@case("library-not-checked", sneaky=True, severity=Severity.NOTE)
def _a_library_of_releases_that_are_sdists_alone() -> Pair:
    # Wheels of it end with the library of another major; what pip takes is built on the user's machine.
    return _ops("libnvinfer.so.10", requires=["tensorrt"]), _ops("libm.so.6", requires=["tensorrt"])
