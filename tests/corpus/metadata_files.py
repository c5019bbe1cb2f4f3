"""METADATA and WHEEL, and the names that have to agree with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from corpus.cases import case
from corpus.wheels import TAG, library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
INFO = "ops-1.0.dist-info"
METADATA, WHEEL = f"{INFO}/METADATA", f"{INFO}/WHEEL"
PYTHON = "Requires-Python: >=3.9"
WARNING, NOTE = Severity.WARNING, Severity.NOTE
TELLS = f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: {TAG}\n"


def metadata(text: str, *, version: str = "2.2") -> WheelFile:
    """A wheel with this METADATA behind its first line."""
    return wheel({METADATA: f"Metadata-Version: {version}\n{text}".encode("utf-8", "surrogateescape")})


def fields(*lines: str) -> WheelFile:
    """A wheel with further fields."""
    return wheel(fields=(PYTHON, *lines))


def told(text: str) -> WheelFile:
    """A wheel with this WHEEL."""
    return wheel({WHEEL: text.encode("utf-8", "surrogateescape")})


@case("metadata-file")
def no_metadata() -> Pair:
    return wheel({METADATA: None}), wheel()


@case("metadata-file", sneaky=True)
def metadata_in_latin_1() -> Pair:
    return metadata("Name: ops\nVersion: 1.0\nAuthor: Jos\udce9\n"), metadata("Name: ops\nVersion: 1.0\nAuthor: José\n")


@case("metadata-field")
def no_name() -> Pair:
    return metadata("Version: 1.0\n"), wheel()


@case("metadata-field")
def no_version() -> Pair:
    return metadata("Name: ops\n"), wheel()


@case("metadata-field")
def no_metadata_version() -> Pair:
    return wheel({METADATA: b"Name: ops\nVersion: 1.0\n"}), wheel()


@case("metadata-field", sneaky=True)
def a_metadata_version_of_the_future() -> Pair:
    return metadata("Name: ops\nVersion: 1.0\n", version="3.7"), wheel()


@case("metadata-field", sneaky=True)
def a_version_that_is_none() -> Pair:
    return metadata("Name: ops\nVersion: one\n"), wheel()


@case("metadata-field", sneaky=True)
def a_name_twice() -> Pair:
    return metadata("Name: ops\nName: other\nVersion: 1.0\n"), wheel()


@case("metadata-field", sneaky=True)
def a_field_that_may_not_be_dynamic() -> Pair:
    return fields("Dynamic: Version"), fields("Dynamic: Summary")


@case("metadata-field", sneaky=True)
def a_description_of_no_known_type() -> Pair:
    return fields("Description-Content-Type: text/html"), fields("Description-Content-Type: text/markdown")


@case("metadata-newer-field", severity=NOTE)
def a_licence_expression_before_its_time() -> Pair:
    newer = "Name: ops\nVersion: 1.0\nLicense-Expression: MIT\n"
    return metadata(newer, version="2.2"), metadata(newer, version="2.4")


@case("metadata-newer-field", sneaky=True, severity=NOTE)
def dynamic_before_its_time() -> Pair:
    text = "Name: ops\nVersion: 1.0\nDynamic: Summary\n"
    return metadata(text, version="2.1"), metadata(text, version="2.2")


@case("metadata-requirement")
def a_requirement_that_is_none() -> Pair:
    return fields("Requires-Dist: numpy>=2.x"), fields("Requires-Dist: numpy>=2")


@case("metadata-requirement", sneaky=True)
def a_star_behind_at_least() -> Pair:
    return fields("Requires-Dist: numpy>=2.*"), fields("Requires-Dist: numpy==2.*")


@case("direct-url", severity=WARNING)
def a_requirement_from_a_url() -> Pair:
    return fields("Requires-Dist: numpy @ https://example.com/numpy.whl"), fields("Requires-Dist: numpy")


@case("direct-url", sneaky=True, severity=WARNING)
def a_requirement_from_git_for_an_extra() -> Pair:
    extra = "Provides-Extra: dev"
    return (
        fields("Requires-Dist: mypy @ git+https://example.com/mypy ; extra == 'dev'", extra),
        fields("Requires-Dist: mypy ; extra == 'dev'", extra),
    )


@case("requires-python")
def a_python_that_is_no_version() -> Pair:
    return wheel(fields=("Requires-Python: 3.9+",)), wheel()


@case("requires-python", sneaky=True)
def a_star_behind_at_least_of_python() -> Pair:
    return wheel(fields=("Requires-Python: >=3.*",)), wheel()


@case("metadata-extra", severity=WARNING)
def an_extra_that_is_not_provided() -> Pair:
    asked = "Requires-Dist: pytest ; extra == 'test'"
    return fields(asked), fields(asked, "Provides-Extra: test")


@case("metadata-extra", sneaky=True, severity=WARNING)
def an_extra_that_is_not_provided_in_a_longer_marker() -> Pair:
    asked = "Requires-Dist: pytest ; python_version > '3' and extra == 'Test_All'"
    return fields(asked, "Provides-Extra: test"), fields(asked, "Provides-Extra: test-all")


@case("license-expression")
def a_licence_that_spdx_does_not_know() -> Pair:
    text = "Name: ops\nVersion: 1.0\nLicense-Expression: {}\n"
    return metadata(text.format("Apache 2.0"), version="2.4"), metadata(text.format("Apache-2.0"), version="2.4")


@case("license-expression", sneaky=True)
def a_licence_said_twice() -> Pair:
    text = "Name: ops\nVersion: 1.0\nLicense-Expression: MIT\n"
    return metadata(f"{text}Classifier: License :: OSI Approved :: MIT License\n", version="2.4"), metadata(
        text, version="2.4"
    )


LICENSED = b"Metadata-Version: 2.4\nName: ops\nVersion: 1.0\nLicense-File: LICENSE\n"


@case("license-file")
def a_licence_file_that_is_missing() -> Pair:
    return wheel({METADATA: LICENSED}), wheel({METADATA: LICENSED, f"{INFO}/licenses/LICENSE": b"MIT"})


@case("license-file", sneaky=True)
def a_licence_file_in_the_old_place() -> Pair:
    return (
        wheel({METADATA: LICENSED, f"{INFO}/LICENSE": b"MIT"}),
        wheel({METADATA: LICENSED, f"{INFO}/licenses/LICENSE": b"MIT"}),
    )


@case("license-nvidia", severity=NOTE)
def a_library_of_nvidia_without_its_terms() -> Pair:
    files = {"ops/_C.so": library(), "ops/libnvjpeg.so.12": library(exports=())}
    return wheel(files), wheel({**files, f"{INFO}/licenses/EULA.txt": b"NVIDIA Software License Agreement"})


@case("license-nvidia", sneaky=True, severity=NOTE)
def a_library_of_nvidia_under_a_name_with_a_digest() -> Pair:
    files = {
        "ops.libs/libnpps-0123abcd.so.12": library(exports=()),
        f"{INFO}/sboms/a.cdx.json": b'{"bomFormat": "CycloneDX"}',
    }
    return wheel({**files, f"{INFO}/licenses/LICENSE": b"MIT"}), wheel(
        {**files, f"{INFO}/licenses/LICENSE": b"MIT; parts: License Agreement for NVIDIA Software"}
    )


# --- names ------------------------------------------------------------------------------------------------------------


def renamed(file: WheelFile, name: str) -> WheelFile:
    return replace(file, name=name)


@case("file-name")
def a_build_number_without_a_number() -> Pair:
    return renamed(wheel(), f"ops-1.0-cu12-{TAG}.whl"), wheel()


@case("file-name", sneaky=True)
def a_version_with_an_underscore() -> Pair:
    return renamed(wheel(), f"ops-1.0_cu12-{TAG}.whl"), wheel()


@case("file-name-spelling", severity=WARNING)
def a_name_with_capitals() -> Pair:
    return wheel(name="Ops"), wheel()


@case("file-name-spelling", sneaky=True)
def a_tag_with_capitals() -> Pair:
    return renamed(wheel(), f"ops-1.0-CP311{TAG[5:]}.whl"), wheel()


@case("file-name-spelling", sneaky=True, severity=WARNING)
def a_tag_twice() -> Pair:
    return renamed(wheel(), f"ops-1.0-cp311.cp311{TAG[5:]}.whl"), wheel()


@case("dist-info")
def no_dist_info() -> Pair:
    broken = wheel({METADATA: None, WHEEL: None, f"{INFO}/RECORD": None})
    return broken, wheel()


@case("dist-info")
def two_dist_infos() -> Pair:
    return wheel({"other-2.dist-info/METADATA": b"Name: other\n"}), wheel()


@case("dist-info", sneaky=True)
def the_dist_info_of_another_version() -> Pair:
    return renamed(wheel(version="1.1", files={"ops-1.1.dist-info/METADATA": _named("1.0")}), wheel().name), wheel()


def _named(version: str) -> bytes:
    return f"Metadata-Version: 2.2\nName: ops\nVersion: {version}\n".encode()


@case("dist-info", sneaky=True, severity=WARNING)
def a_dist_info_in_other_letters() -> Pair:
    files = {"ops/__init__.py": b"", "ops/_C.so": library(), "Ops/__init__.py": None, "Ops/_C.so": None}
    return renamed(wheel(files, name="Ops"), wheel().name), wheel()


@case("data-folder")
def a_scheme_that_no_installer_knows() -> Pair:
    return wheel({"ops-1.0.data/include/ops.h": b""}), wheel({"ops-1.0.data/headers/ops.h": b""})


@case("data-folder", sneaky=True)
def the_data_folder_of_another_version() -> Pair:
    return wheel({"ops-1.data/headers/ops.h": b""}), wheel({"ops-1.0.data/headers/ops.h": b""})


@case("data-folder", sneaky=True)
def a_file_that_is_installed_over_another() -> Pair:
    return wheel({"ops-1.0.data/platlib/ops/__init__.py": b""}), wheel({"ops-1.0.data/platlib/ops/more.py": b""})


@case("metadata-name")
def another_name_in_metadata() -> Pair:
    return metadata("Name: other\nVersion: 1.0\n"), metadata("Name: OPS\nVersion: 1.0\n")


@case("metadata-name", sneaky=True)
def a_name_in_metadata_with_a_suffix() -> Pair:
    return metadata("Name: ops-cu12\nVersion: 1.0\n"), metadata("Name: ops\nVersion: 1.0\n")


@case("metadata-version")
def another_version_in_metadata() -> Pair:
    return metadata("Name: ops\nVersion: 1.1\n"), wheel()


@case("metadata-version", sneaky=True)
def a_local_version_in_metadata_alone() -> Pair:
    return metadata("Name: ops\nVersion: 1.0+cu128\n"), wheel()


@case("metadata-version", sneaky=True, severity=WARNING)
def a_version_in_metadata_with_a_v() -> Pair:
    return metadata("Name: ops\nVersion: v1.0\n"), wheel()


@case("version-local", severity=NOTE)
def a_local_version() -> Pair:
    return wheel(version="1.0+cu128"), wheel()


@case("version-local", sneaky=True, severity=NOTE)
def a_local_version_of_a_build() -> Pair:
    return wheel(version="1.0+7.gabc"), wheel(version="1.0.post7")


@case("version-unknown", severity=WARNING)
def a_version_of_zeros() -> Pair:
    return wheel(version="0.0.0"), wheel(version="0.0.1")


@case("version-unknown", sneaky=True, severity=WARNING)
def a_version_of_zeros_before_a_release() -> Pair:
    return wheel(version="0.0.dev3"), wheel(version="0.1.dev3")


@case("version-epoch", severity=NOTE)
def a_version_with_an_epoch() -> Pair:
    return wheel(version="1!2.0"), wheel(version="2.0")


@case("version-epoch", sneaky=True, severity=NOTE)
def a_version_with_a_high_epoch() -> Pair:
    return wheel(version="2026!1.0"), wheel(version="2026.1.0")


# --- WHEEL ------------------------------------------------------------------------------------------------------------


@case("wheel-file")
def no_wheel_file() -> Pair:
    return wheel({WHEEL: None}), wheel()


@case("wheel-file")
def a_wheel_version_of_the_future() -> Pair:
    return told(TELLS.replace("1.0", "2.0")), told(TELLS)


@case("wheel-file", sneaky=True)
def no_wheel_version() -> Pair:
    return told(TELLS.replace("Wheel-Version: 1.0\n", "")), told(TELLS)


@case("wheel-file", sneaky=True)
def a_wheel_version_that_is_no_number() -> Pair:
    return told(TELLS.replace("1.0", "1")), told(TELLS)


@case("wheel-file", sneaky=True, severity=WARNING)
def a_newer_wheel_version() -> Pair:
    return told(TELLS.replace("1.0", "1.9")), told(TELLS)


@case("purelib", severity=WARNING)
def a_pure_wheel_with_a_library() -> Pair:
    return wheel(pure=True), wheel()


@case("purelib", sneaky=True, severity=WARNING)
def a_library_in_the_folder_of_pure_python() -> Pair:
    return (
        wheel({"ops-1.0.data/purelib/ops/_D.so": library(exports=("PyInit__D",))}),
        wheel({"ops-1.0.data/platlib/ops/_D.so": library(exports=("PyInit__D",))}),
    )


@case("purelib", sneaky=True, severity=WARNING)
def a_wheel_that_may_be_pure() -> Pair:
    return told(TELLS.replace("false", "maybe")), told(TELLS.replace("false", "False"))


@case("build-number", severity=WARNING)
def a_build_number_in_the_name_alone() -> Pair:
    name = f"ops-1.0-3-{TAG}.whl"
    return renamed(wheel(), name), renamed(told(f"{TELLS}Build: 3\n"), name)


@case("build-number", sneaky=True, severity=WARNING)
def a_build_number_in_wheel_alone() -> Pair:
    return told(f"{TELLS}Build: 3\n"), told(TELLS)


@case("requires-python", sneaky=True)
def a_python_of_thousands_of_digits() -> Pair:
    return wheel(fields=[f"Requires-Python: >=3.{'9' * 5000}"]), wheel()


@case("requirement-empty")
def bounds_of_a_requirement_that_exclude_each_other() -> Pair:
    return fields("Requires-Dist: numpy>2,<1"), fields("Requires-Dist: numpy>1,<2")


@case("requirement-empty", sneaky=True)
def two_requirements_of_one_project_that_exclude_each_other() -> Pair:
    return (
        fields("Requires-Dist: ruamel.yaml>=0.18", "Requires-Dist: ruamel_yaml<0.17"),
        fields("Requires-Dist: ruamel.yaml>=0.18", "Requires-Dist: ruamel_yaml<0.19"),
    )


@case("requirement-empty", sneaky=True)
def requirements_that_exclude_each_other_where_their_markers_hold() -> Pair:
    new, old = "Requires-Dist: numpy>=2", 'Requires-Dist: numpy<2; python_version {} "3.12"'
    return fields(new, old.format("<")), fields(new, old.format(">="))


@case("requirement-empty", sneaky=True)
def a_version_that_is_excluded_again() -> Pair:
    return fields("Requires-Dist: rich==13.7.*,!=13.7.*"), fields("Requires-Dist: rich==13.7.*,!=13.7.0")


@case("requirement-empty", sneaky=True)
def a_version_just_after_one_that_has_none() -> Pair:
    # What is after 1.0 and before its post-releases would be a post-release, which > leaves out.
    return fields("Requires-Dist: rich>1.0,<1.0.post1"), fields("Requires-Dist: rich>1.0,<1.0.1")


@case("requirement-empty", sneaky=True)
def two_torches_at_once() -> Pair:
    return fields("Requires-Dist: torch>=2.13", "Requires-Dist: torch<2.10"), fields("Requires-Dist: torch>=2.13")


@case("requirement-empty", sneaky=True, severity=WARNING)
def an_extra_that_nothing_meets() -> Pair:
    extra, new = "Provides-Extra: old", "Requires-Dist: numpy>=2"
    return (
        fields(extra, new, "Requires-Dist: numpy<1.26; extra == 'old'"),
        fields(extra, new, "Requires-Dist: numpy<2.1; extra == 'old'"),
    )
