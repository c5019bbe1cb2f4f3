"""What gpuwheel promises of the wheels that it makes: one file for every torch and Python, and true manifests."""

from __future__ import annotations

import json

from hostile import container, cubin, elf_library, entry
from made_wheels import IMPORTS, NEEDED, Made, describing, door, importing, made, manifest

from corpus.cases import case
from corpus.wheels import WheelFile, zipped
from gpuwheel.model.findings import Profile, Severity

Pair = tuple[WheelFile, WheelFile]
OWN, WARNING = Profile.OWN, Severity.WARNING
COMPAT = {"ops/libE.so": describing(), "ops/E.py": b"", "ops/E.pyi": b"", "ops/E.so": door("PyInit_E")}


def _file(one: Made) -> WheelFile:
    return zipped(one.name, {name: member.data for name, member in one.members().items()})


def _library(**changes: object) -> WheelFile:
    return _file(made(library=changes))


@case("cuda-symbol", profile=OWN)
def a_call_of_the_cuda_runtime() -> Pair:
    return _file(importing("cudaGetLastError")), _file(made())


@case("cuda-symbol", profile=OWN, sneaky=True)
def what_nvcc_writes_to_register_kernels() -> Pair:
    return _file(importing("__cudaRegisterFatBinary")), _file(importing("torch_delete_string"))


@case("exported-symbol", profile=OWN, severity=WARNING)
def a_function_that_is_shown_to_all() -> Pair:
    return _library(exports=["launch"]), _library(exports=[])


@case("exported-symbol", profile=OWN, severity=WARNING, sneaky=True)
def an_instance_of_a_template_that_is_shown() -> Pair:
    # Compilers make those of the standard library weak, and visible unless they are told otherwise.
    return _library(exports=["_ZNSt6vectorIiSaIiEE9push_backEOi"]), _library(exports=[])


@case("torch-symbol-exported", profile=OWN)
def a_function_of_torch_that_is_shown() -> Pair:
    return _library(exports=["_ZN2at6Tensor3addEv"]), _library()


@case("torch-symbol-exported", profile=OWN, sneaky=True)
def a_table_of_a_class_of_torch_that_is_shown() -> Pair:
    return _library(exports=["_ZTVN3c1010TensorImplE"]), _library()


@case("needed-library", profile=OWN)
def a_library_that_nothing_promises() -> Pair:
    return _library(needed=(*NEEDED, "libfftw3.so.3")), _library(needed=(*NEEDED, "libm.so.6"))


@case("needed-library", profile=OWN, sneaky=True)
def a_part_of_torch_that_cpu_builds_lack() -> Pair:
    return _library(needed=(*NEEDED, "libc10_cuda.so")), _library()


@case("manifest-missing", profile=OWN, severity=WARNING)
def device_code_and_no_manifest() -> Pair:
    return _file(made(files={"ops/_kernels.json": b"remove"})), _file(made())


@case("manifest-missing", profile=OWN, severity=WARNING, sneaky=True)
def a_manifest_that_was_renamed() -> Pair:
    renamed = {"ops/_kernels.json": b"remove", "ops/kernels.json": manifest(archs=["sm_75"])}
    return _file(made(files=renamed)), _file(made())


@case("compat-module", profile=OWN)
def a_library_without_the_module_in_front_of_it() -> Pair:
    without = {name: data for name, data in COMPAT.items() if name != "ops/E.so"}
    return _file(made(files=without)), _file(made(files=COMPAT))


@case("compat-module", profile=OWN, sneaky=True)
def a_module_in_another_folder_than_its_library() -> Pair:
    moved = {name.replace("ops/E.", "ops/inner/E."): data for name, data in COMPAT.items() if name != "ops/E.so"}
    return _file(made(files=moved)), _file(made(files=COMPAT))


EIGHTY = elf_library(
    IMPORTS, needed=NEEDED, search_path="", sections={".nv_fatbin": container(entry(bytes(64), arch=80))}
)


@case("arch-library", profile=OWN)
def a_library_with_the_code_of_its_sibling() -> Pair:
    other = made(archs=("sm_75", "sm_80"), files={"ops/fused.so": EIGHTY})
    both = container(entry(bytes(64), arch=75) + entry(bytes(64), arch=80))
    whole = elf_library(IMPORTS, needed=NEEDED, search_path="", sections={".nv_fatbin": both})
    return _file(other), _file(made(archs=("sm_75", "sm_80"), files={"ops/fused.so": whole}))


@case("arch-library", profile=OWN, sneaky=True)
def a_library_with_more_code_than_its_group() -> Pair:
    def declares(code: bytes) -> WheelFile:
        document = json.loads(manifest(archs=["sm_75"]))
        document["groups"]["other"] = {"archs": ["sm_80"], "ptx": []}
        fused = elf_library(IMPORTS, needed=NEEDED, search_path="", sections={".nv_fatbin": code})
        files = {"ops/_kernels.json": json.dumps(document).encode(), "ops/fused.so": fused, "ops/other.so": EIGHTY}
        return _file(made(files=files))

    own, further = entry(bytes(64), arch=75), entry(bytes(64), arch=80)
    return declares(container(own + further)), declares(container(own))


KERNEL = container(entry(cubin({"k": [(0, 8)]}), arch=75))


def _kernel(**changes: object) -> WheelFile:
    document = json.loads(manifest(archs=["sm_75"]))
    cost = {"bytes": 128, "registers": 32, "shared": 0, "local": 0, **changes}
    document["groups"]["fused"]["kernels"] = {"k": {"sm_75": cost}}
    return _file(made(code=KERNEL, files={"ops/_kernels.json": json.dumps(document).encode()}))


@case("manifest-kernels", profile=OWN)
def a_kernel_with_fewer_registers_than_it_takes() -> Pair:
    return _kernel(registers=16), _kernel()


@case("manifest-kernels", profile=OWN, sneaky=True)
def a_kernel_whose_stack_is_not_told() -> Pair:
    return _kernel(local=64), _kernel()
