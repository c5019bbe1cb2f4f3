"""Programs, files that were left behind, bills of materials, and what an index takes."""

from __future__ import annotations

import io
import random
import zipfile
from typing import TYPE_CHECKING

from hostile import RawMember

from corpus.archives import pure
from corpus.cases import case
from corpus.wheels import library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
INFO = "ops-1.0.dist-info"
ENTRIES = f"{INFO}/entry_points.txt"
WARNING, NOTE = Severity.WARNING, Severity.NOTE
CYCLONEDX = b'{"bomFormat": "CycloneDX", "specVersion": "1.6"}'


def entries(text: str, files: dict[str, bytes] | None = None) -> WheelFile:
    return wheel({ENTRIES: text.encode(), **(files or {})})


def beside(name: str, data: bytes = b"", *, twin: str | None = None) -> Pair:
    """A wheel with a file that does not belong there, and one with it elsewhere or not at all."""
    return wheel({name: data}), wheel({twin: data}) if twin else wheel()


@case("entry-points")
def a_program_without_a_function() -> Pair:
    return entries("[console_scripts]\nops = ops\n"), entries("[console_scripts]\nops = ops:main\n")


@case("entry-points", sneaky=True)
def a_program_twice() -> Pair:
    once = "[console_scripts]\nops = ops:main\n"
    return entries(f"{once}ops = ops:other\n"), entries(f"{once}Ops = ops:other\n")


@case("entry-points", sneaky=True)
def a_program_outside_of_its_folder() -> Pair:
    return entries("[console_scripts]\n../ops = ops:main\n"), entries("[console_scripts]\nops = ops:main\n")


@case("entry-points", sneaky=True)
def a_program_of_a_module_that_is_not_there() -> Pair:
    text = "[console_scripts]\nops = ops.cli:main\n"
    return entries(text), entries(text, {"ops/cli.py": b""})


@case("entry-points", sneaky=True)
def an_entry_without_a_section() -> Pair:
    return entries("ops = ops:main\n"), entries("[console_scripts]\nops = ops:main\n")


@case("script-interpreter")
def a_script_with_the_python_of_the_build() -> Pair:
    name = "ops-1.0.data/scripts/ops"
    return wheel({name: b"#!/opt/venv/bin/python3\n"}), wheel({name: b"#!python\n"})


@case("script-interpreter", sneaky=True)
def a_script_with_a_versioned_python_and_options() -> Pair:
    name = "ops-1.0.data/scripts/ops"
    return wheel({name: b"#!/tmp/build-env-x/bin/python3.11 -E\n"}), wheel({name: b"#!/bin/sh\n"})


@case("startup-file")
def what_an_editable_installation_leaves() -> Pair:
    return wheel({"__editable__.ops.pth": b"/home/somebody/ops/src\n"}), wheel()


@case("startup-file", sneaky=True, severity=NOTE)
def a_file_that_runs_at_every_start() -> Pair:
    return beside("ops-1.0.data/purelib/ops.pth", b"import ops\n", twin="ops/ops.pth")


@case("stray-top-level", severity=WARNING)
def tests_beside_the_package() -> Pair:
    return beside("tests/test_ops.py", twin="ops/tests/test_ops.py")


@case("stray-top-level", sneaky=True, severity=WARNING)
def a_readme_beside_the_package() -> Pair:
    return beside("README.md", twin="ops/README.md")


@case("stray-top-level", sneaky=True, severity=WARNING)
def tests_in_the_data_folder() -> Pair:
    return beside("ops-1.0.data/platlib/tests/__init__.py", twin="ops-1.0.data/platlib/ops/more.py")


@case("stray-file", severity=WARNING)
def a_folder_of_git() -> Pair:
    return beside("ops/.git/config")


@case("stray-file", sneaky=True, severity=WARNING)
def what_an_editor_left() -> Pair:
    return beside("ops/__init__.py~")


@case("stray-file", sneaky=True)
def a_core_dump() -> Pair:
    dump = bytearray(library(exports=()))
    dump[16] = 4  # ET_CORE
    return wheel({"ops/core.1234": bytes(dump)}), wheel({"ops/core.py": b""})


@case("stray-file", sneaky=True)
def a_file_of_secrets() -> Pair:
    return beside("ops/.env", b"TOKEN=1", twin="ops/env.py")


@case("stray-bytecode", severity=WARNING)
def bytecode() -> Pair:
    return beside("ops/__pycache__/__init__.cpython-311.pyc")


@case("stray-bytecode", sneaky=True, severity=WARNING)
def bytecode_beside_its_source() -> Pair:
    return beside("ops/__init__.pyc", twin="ops/shipped_without_source.pyc")


@case("stray-object", severity=WARNING)
def an_object_file() -> Pair:
    return beside("ops/ops.o", b"text")


@case("stray-object", sneaky=True, severity=WARNING)
def debug_information_of_its_own() -> Pair:
    return beside("ops/_C.so.debug", b"text")


@case("stray-object", sneaky=True, severity=NOTE)
def a_static_library() -> Pair:
    return beside("ops/libops.a", b"!<arch>\n")


@case("stray-source", severity=NOTE)
def a_cuda_source() -> Pair:
    return beside("ops/ops.cu")


@case("stray-source", sneaky=True, severity=NOTE)
def a_cuda_source_in_the_data_folder() -> Pair:
    return beside("ops-1.0.data/platlib/ops/ops.cu", twin="ops/ops.cuh")


@case("foreign-file", severity=WARNING)
def a_library_of_windows() -> Pair:
    return beside("ops/ops.dll")


@case("foreign-file", sneaky=True, severity=WARNING)
def a_library_of_macos_in_capitals() -> Pair:
    return beside("ops/libops.DYLIB")


@case("build-path-metadata", severity=WARNING)
def a_folder_of_the_build_in_metadata() -> Pair:
    return (
        wheel(fields=("Requires-Python: >=3.9", "License: see /home/somebody/ops/LICENSE")),
        wheel(fields=("Requires-Python: >=3.9", "License: see LICENSE")),
    )


@case("build-path-metadata", sneaky=True, severity=WARNING)
def a_folder_of_the_build_in_a_url() -> Pair:
    return (
        wheel(fields=("Project-URL: Docs, file:///home/somebody/ops/docs",)),
        wheel(fields=("Project-URL: Docs, https://example.com/home/somebody/ops",)),
    )


@case("dist-info-installed", severity=WARNING)
def a_wheel_packed_from_an_installation() -> Pair:
    return beside(f"{INFO}/INSTALLER", b"pip\n")


@case("dist-info-installed", sneaky=True, severity=WARNING)
def the_url_of_an_installation() -> Pair:
    return beside(f"{INFO}/direct_url.json", b"{}")


@case("sbom", severity=WARNING)
def a_bill_of_materials_that_is_no_json() -> Pair:
    name = f"{INFO}/sboms/a.cdx.json"
    return wheel({name: b"{"}), wheel({name: CYCLONEDX})


@case("sbom", sneaky=True, severity=WARNING)
def a_bill_of_materials_of_no_known_form() -> Pair:
    name = f"{INFO}/sboms/a.json"
    return wheel({name: b'{"components": []}'}), wheel({name: b'{"spdxVersion": "SPDX-2.3"}'})


@case("sbom-missing", severity=NOTE)
def a_grafted_library_that_nothing_names() -> Pair:
    grafted = {"ops.libs/libgomp-0123abcd.so.1": library(exports=())}
    return wheel(grafted), wheel({**grafted, f"{INFO}/sboms/a.cdx.json": CYCLONEDX})


@case("sbom-missing", sneaky=True, severity=NOTE)
def a_grafted_library_whose_digest_follows_a_dot() -> Pair:
    grafted = {"ops.libs/libgomp.0123abcd.so.1": library(exports=())}
    return wheel(grafted), wheel({**grafted, f"{INFO}/sboms/a.spdx.json": b'{"spdxVersion": "SPDX-2.3"}'})


@case("index-expansion")
def tables_of_zeros() -> Pair:
    noise = random.Random(0).randbytes(1_000_000)  # noqa: S311 (nothing secret)
    # PyPI asks from 64 MiB on.
    return pure({"ops/table.bin": noise + bytes(70_000_000)}), pure({"ops/table.bin": noise + bytes(60_000_000)})


@case("index-size", severity=NOTE)
def more_than_an_index_takes_at_first() -> Pair:
    # Stored: the size of the file is what counts.
    return _of(bytes(105_000_000)), _of(b"")


def _of(data: bytes) -> WheelFile:
    files: dict[str, bytes | None] = {"ops/table.bin": data}
    with zipfile.ZipFile(io.BytesIO(pure(files).data)) as archive:
        listed = archive.read(f"{INFO}/RECORD")
    return pure({f"{INFO}/RECORD": listed}, raw=[RawMember(b"ops/table.bin", data)])


@case("foreign-package", severity=Severity.WARNING)
def a_package_of_another_project() -> Pair:
    return wheel({"triton/__init__.py": b""}), wheel({"ops/triton/__init__.py": b""})


@case("foreign-package", sneaky=True, severity=Severity.WARNING)
def a_module_that_hides_another_projects_package() -> Pair:
    # Files below a name without __init__.py take nobody's place.
    return wheel({"numpy.py": b""}), wheel({"torch/ops_kernels/__init__.py": b"", "ops/numpy.py": b""})


@case("debug-info", severity=Severity.NOTE)
def sections_for_debuggers() -> Pair:
    return (
        wheel({"ops/_C.so": library(sections={".debug_info": bytes(1000), ".text": bytes(64)})}),
        wheel({"ops/_C.so": library(sections={".text": bytes(64)})}),
    )


@case("debug-info", sneaky=True, severity=Severity.WARNING)
def packed_sections_for_debuggers_in_many_libraries() -> Pair:
    piece = library(sections={".zdebug_info": bytes(6_000_000)}, exports=())
    plain = library(sections={".rodata": bytes(6_000_000)}, exports=())
    return wheel({"ops/liba.so": piece, "ops/libb.so": piece}), wheel({"ops/liba.so": plain, "ops/libb.so": plain})
