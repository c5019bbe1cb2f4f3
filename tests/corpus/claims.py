"""What a wheel says of itself, in its name, in WHEEL and in its manifests, against what is in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hostile import container

from corpus.cases import case
from corpus.wheels import CODE, TAG, library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from corpus.wheels import WheelFile

WIDER = "py3-none-manylinux_2_17_x86_64"


def manifest(*archs: str, ptx: tuple[str, ...] = ("7.5",), **changes: object) -> bytes:
    group = {"archs": list(archs), "ptx": list(ptx)}
    return json.dumps(
        {"schema": 1, "toolkit": "12.9", "driver_floor": "525", "groups": {"k": group}, **changes}
    ).encode()


def coded(manifest: bytes, code: bytes = CODE) -> WheelFile:
    return wheel({"ops/_C.so": library(sections={".nv_fatbin": code}), "ops/_kernels.json": manifest})


EVERY = ("7.5", "8.0", "9.0", "10.0", "12.0")


@case("tag-mismatch", severity=Severity.WARNING)
def _a_platform_in_the_name_alone() -> tuple[WheelFile, WheelFile]:
    return wheel(told=["cp311-cp311-linux_x86_64"]), wheel()


@case("tag-mismatch", sneaky=True, severity=Severity.WARNING)
def _one_of_two_platforms_in_the_name_alone() -> tuple[WheelFile, WheelFile]:
    two = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"
    return wheel(tag=two, told=[TAG]), wheel(tag=two)


@case("manifest")
def _a_manifest_of_another_schema() -> tuple[WheelFile, WheelFile]:
    return coded(manifest(*EVERY, schema=99)), coded(manifest(*EVERY))


@case("arch-missing")
def _an_arch_that_the_manifest_alone_has() -> tuple[WheelFile, WheelFile]:
    return coded(manifest(*EVERY, "8.9")), coded(manifest(*EVERY))


@case("arch-undeclared")
def _an_arch_that_the_manifest_lacks() -> tuple[WheelFile, WheelFile]:
    return coded(manifest(*EVERY[:-1])), coded(manifest(*EVERY))


@case("manifest", sneaky=True)
def _the_second_of_two_manifests_is_damaged() -> tuple[WheelFile, WheelFile]:
    code, good = library(sections={".nv_fatbin": CODE}), manifest(*EVERY)
    both = {"ops/_C.so": code, "ops/_kernels.json": good}
    return wheel({**both, "ops/more/_kernels.json": good[:-1]}), wheel({**both, "ops/more/_kernels.json": good})


@case("arch-missing", sneaky=True)
def _ptx_that_the_manifest_alone_has() -> tuple[WheelFile, WheelFile]:
    return coded(manifest(*EVERY, ptx=("7.5", "9.0"))), coded(manifest(*EVERY))


@case("arch-undeclared", sneaky=True)
def _ptx_that_the_manifest_lacks() -> tuple[WheelFile, WheelFile]:
    return coded(manifest(*EVERY, ptx=())), coded(manifest(*EVERY))


@case("unreadable")
def _a_library_that_is_cut_short() -> tuple[WheelFile, WheelFile]:
    whole = library(exports=("PyInit__D",))
    return wheel({"ops/_D.so": whole[:200]}), wheel({"ops/_D.so": whole})


@case("unreadable", sneaky=True)
def _device_code_that_claims_more_than_is_there() -> tuple[WheelFile, WheelFile]:
    entries = CODE[16:]
    return wheel({"ops/k.fatbin": container(entries, size=len(entries) + 64)}), wheel({"ops/k.fatbin": CODE})
