"""What `gpuwheel repair` decides from the bytes of a wheel, and what it does where nothing has to be copied."""

from __future__ import annotations

import json
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner
from hostile import elf_library

from gpuwheel._resources import resource
from gpuwheel.audit import audit_wheel
from gpuwheel.audit.repair import Act, Origin, RepairRequest, repaired
from gpuwheel.cli import main
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Severity
from gpuwheel.model.wheels import WheelTag
from gpuwheel.wheel import Member, read_members, write_wheel
from gpuwheel.wheel.naming import expand_tag

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import Tables

INFO = "ops-1.dist-info"
IN_IMAGE = {"AUDITWHEEL_PLAT": "manylinux_2_28_x86_64"}


def wheel(folder: Path, *needed: str, tag: str = "py3-none-manylinux_2_17_x86_64", **further: Any) -> Path:  # noqa: ANN401
    """A wheel with one library, or several by name."""
    libraries = further.get("libraries") or {
        "ops/_C.so": elf_library({}, needed=[*needed, "libc.so.6"], search_path="$ORIGIN/../nvidia/cu13/lib")
    }
    requires = "".join(f"Requires-Dist: {text}\n" for text in further.get("requires", ()))
    tags = "".join(f"Tag: {one}\n" for one in expand_tag(WheelTag(*tag.split("-"))))
    files = {
        "ops/__init__.py": b"",
        **libraries,
        f"{INFO}/METADATA": f"Metadata-Version: 2.2\nName: ops\nVersion: 1\n{requires}".encode(),
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\n{tags}".encode(),
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"ops-1-{tag}.whl"
    write_wheel(path, [Member(name, data) for name, data in files.items()])
    return path


def origins(path: Path, tables: Tables, **asked: Any) -> dict[str, Origin]:  # noqa: ANN401
    result = repaired(path, path.parent / "out", RepairRequest(dry_run=True, **asked), tables)
    assert result.path is None
    assert not (path.parent / "out").exists()
    return {need.soname: need.origin for need in result.needs}


@pytest.mark.parametrize(
    ("soname", "requires", "by"),
    [
        ("libtorch_cuda.so", "torch==2.13.*", "torch"),
        ("libgomp.so.1", "torch>=2.10", "torch"),
        ("libcublas.so.12", "nvidia-cublas-cu12", "nvidia-cublas-cu12"),
        ("libcublas.so.13", "nvidia-cublas>=13", "nvidia-cublas"),
        ("libcublas.so.13", "NVIDIA_cublas; platform_machine == 'x86_64'", "nvidia-cublas"),
        ("libcudnn.so.9", "nvidia-cudnn-cu13", "nvidia-cudnn-cu13"),
        # The metapackage, whose extras are parts of the toolkit of its version.
        ("libcudart.so.12", "cuda-toolkit[cudart]==12.9.*", "nvidia-cuda-runtime-cu12"),
        ("libcusparse.so.12", "cuda-toolkit[cusolver]==13.0.3", "nvidia-cusparse"),
        ("libnvrtc.so.13", "cuda-toolkit[all]>=13,<14", "nvidia-cuda-nvrtc"),
        # Of torch on the package index, those that it requires itself.
        ("libcudart.so.13", "torch==2.15.*", "torch"),
        ("libcudnn.so.9", "torch>=2.10", "torch"),
    ],
)
def test_a_library_that_a_requirement_brings_is_not_copied(
    tmp_path: Path, tables: Tables, soname: str, requires: str, by: str
) -> None:
    path = wheel(tmp_path, soname, requires=[requires])
    result = repaired(path, tmp_path / "out", RepairRequest(), tables)
    need = next(need for need in result.needs if need.soname == soname)
    assert (need.origin, need.by, need.needed_by) == (Origin.REQUIRED, by, ("ops/_C.so",))
    assert result.act is Act.KEPT
    assert result.path is not None
    assert result.path.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("soname", "requires", "expected"),
    [
        ("libcublas.so.12", None, "nvidia-cublas-cu12"),
        ("libcublas.so.12", "nvidia-cublas", "nvidia-cublas-cu12"),  # which has libcublas.so.13
        ("libcublas.so.13", "nvidia-cublas; sys_platform == 'win32'", "nvidia-cublas"),
        ("libcublas.so.13", "nvidia-cublas; extra == 'cuda'", "nvidia-cublas"),
        ("libcudart.so.13", "cuda-toolkit[cublas]==13.*", "nvidia-cuda-runtime"),
        ("libcudart.so.13", "cuda-toolkit[cudart]>=12", "nvidia-cuda-runtime"),  # 12 would do for it
        ("libcudart.so.13", "torch>=2.10", "nvidia-cuda-runtime"),  # the torches of CUDA 12 have another
        ("libcublas.so.99", "nvidia-cublas", "a distribution that has this version"),
        ("libtorch.so", None, "torch"),
    ],
)
def test_a_library_of_cuda_or_torch_that_nobody_promises_is_an_error(
    tmp_path: Path, tables: Tables, soname: str, requires: str | None, expected: str
) -> None:
    path = wheel(tmp_path, soname, requires=[requires] if requires else [])
    with pytest.raises(AuditError) as caught:
        repaired(path, tmp_path / "out", RepairRequest(), tables)
    assert soname in caught.value.message
    assert expected in caught.value.message
    assert not (tmp_path / "out").exists()


def test_the_driver_is_never_copied(tmp_path: Path, tables: Tables) -> None:
    found = origins(wheel(tmp_path, "libcuda.so.1", "libnvidia-ml.so.1", "libcuda.so"), tables)
    assert {found["libcuda.so.1"], found["libnvidia-ml.so.1"], found["libcuda.so"]} == {Origin.DRIVER}


def test_what_the_platform_and_the_wheel_itself_have_is_not_copied(tmp_path: Path, tables: Tables) -> None:
    libraries = {
        "ops/_C.so": elf_library({}, needed=["libops_core.so", "libz.so.1", "libc.so.6"]),
        "ops/lib/libops_core.so": elf_library({}, needed=["libc.so.6"]),
    }
    path = wheel(tmp_path, libraries=libraries)
    assert origins(path, tables) == {
        "libops_core.so": Origin.WHEEL,
        "libz.so.1": Origin.PLATFORM,
        "libc.so.6": Origin.PLATFORM,
    }
    # The audit knows of the neighbour too: it does not call it a library that nobody promises.
    assert not [found for found in audit_wheel(path, tables) if found.rule in {"needed-library", "search-path"}]


def test_any_other_library_is_copied_unless_somebody_brings_it(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path, "libfftw3.so.3", "libgomp.so.1")
    assert origins(path, tables)["libfftw3.so.3"] is Origin.GRAFTED
    assert origins(path, tables)["libgomp.so.1"] is Origin.GRAFTED
    assert origins(path, tables, exclude=("libfftw3.so.*",))["libfftw3.so.3"] is Origin.STATED


@pytest.mark.parametrize(
    ("tag", "version", "request_", "expected"),
    [
        ("linux_x86_64", "GLIBC_2.17", RepairRequest(), "manylinux_2_17_x86_64"),
        ("linux_x86_64", "GLIBC_2.17", RepairRequest(environ=IN_IMAGE), "manylinux_2_28_x86_64"),
        ("linux_x86_64", "GLIBC_2.17", RepairRequest("manylinux_2_31"), "manylinux_2_31_x86_64"),
        # A promise that can be kept is kept; one that cannot is mended.
        ("manylinux_2_28_x86_64", "GLIBC_2.17", RepairRequest(), "manylinux_2_28_x86_64"),
        ("manylinux_2_28_x86_64", "GLIBC_2.34", RepairRequest(), "manylinux_2_34_x86_64"),
        ("manylinux2014_x86_64.manylinux_2_17_x86_64", "GLIBC_2.17", RepairRequest(), None),
        ("any", "GLIBC_2.17", RepairRequest(), "manylinux_2_17_x86_64"),
    ],
)
def test_the_platform_tag_is_true_and_none_older_than_it_was(
    tmp_path: Path, tables: Tables, tag: str, version: str, request_: RepairRequest, expected: str | None
) -> None:
    libraries = {"ops/_C.so": elf_library({"memcpy": ("libc.so.6", version)}, search_path="")}
    path = wheel(tmp_path / "dist", tag=f"py3-none-{tag}", libraries=libraries)
    result = repaired(path, tmp_path / "out", request_, tables)
    assert result.path is not None
    assert result.path.name == f"ops-1-py3-none-{expected or tag}.whl"
    assert result.act is (Act.RETAGGED if expected not in {None, tag} else Act.KEPT)
    members = read_members(result.path)
    assert f"Tag: py3-none-{(expected or tag).split('.')[0]}".encode() in members[f"{INFO}/WHEEL"].data
    assert members["ops/_C.so"].data == libraries["ops/_C.so"]
    assert not [found for found in result.findings if found.severity is Severity.ERROR]


def test_a_tag_that_the_bytes_do_not_allow_is_refused(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path, libraries={"ops/_C.so": elf_library({"memcpy": ("libc.so.6", "GLIBC_2.34")})})
    with pytest.raises(AuditError, match=r"cannot be manylinux_2_28.*GLIBC_2.34") as caught:
        repaired(path, tmp_path / "out", RepairRequest(platform="manylinux_2_28"), tables)
    assert "manylinux_2_34_x86_64" in str(caught.value.hint)
    with pytest.raises(AuditError, match="manylinux_9_9"):
        repaired(path, tmp_path / "out", RepairRequest(platform="manylinux_9_9"), tables)


def test_a_wheel_without_libraries_is_copied_as_it_is(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path, tag="py3-none-any", libraries={"ops/data.bin": b"x"})
    result = repaired(path, tmp_path / "out", RepairRequest(), tables)
    assert (result.act, result.needs) == (Act.KEPT, ())
    assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_the_wheel_itself_stays_as_it_is(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path)
    before = path.read_bytes()
    assert repaired(path, tmp_path, RepairRequest(), tables).path == path  # kept: there already
    local = wheel(tmp_path, tag="py3-none-linux_x86_64")
    result = repaired(local, tmp_path, RepairRequest(platform="manylinux_2_28"), tables)
    assert result.path != local
    assert local.exists()
    assert path.read_bytes() == before


def test_the_document_follows_its_schema(tmp_path: Path) -> None:
    path = wheel(tmp_path, "libcublas.so.13", requires=["nvidia-cublas"])
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["repair", "--json", "-w", str(out), str(path)])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(resource("data", "repair.schema.json").read_text(encoding="utf-8")))
    row = document["wheels"][0]
    assert row["written"] == str(out / path.name)
    assert {
        "soname": "libcublas.so.13",
        "needed_by": ["ops/_C.so"],
        "origin": "required",
        "distribution": "nvidia-cublas",
    } in row["needs"]


def test_people_read_what_comes_from_where_and_what_the_audit_says(tmp_path: Path) -> None:
    path = wheel(tmp_path, "libcuda.so.1", "libcublas.so.13", requires=["nvidia-cublas"])
    result = CliRunner().invoke(main, ["repair", "-w", str(tmp_path / "out"), str(path)])
    assert result.exit_code == 0, result.output
    assert "libcublas.so.13: comes with nvidia-cublas" in result.stdout
    assert "libcuda.so.1: comes with the NVIDIA driver" in result.stdout
    assert "warning [driver-needed]" in result.stdout


def test_tags_in_wheel_become_those_of_the_name(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path)
    members = read_members(path)
    told = members[f"{INFO}/WHEEL"].data.replace(b"manylinux_2_17_x86_64", b"linux_x86_64")
    write_wheel(path, {**members, f"{INFO}/WHEEL": Member(f"{INFO}/WHEEL", told)}.values())
    result = repaired(path, tmp_path / "out", RepairRequest(), tables)
    assert result.act is Act.RETAGGED
    assert result.path is not None
    assert result.path.name == path.name
    assert b"Tag: py3-none-manylinux_2_17_x86_64\n" in read_members(result.path)[f"{INFO}/WHEEL"].data
    assert "tag-mismatch" not in {finding.rule for finding in result.findings}


def test_a_file_that_is_no_wheel_ends_as_in_the_other_commands(tmp_path: Path) -> None:
    path = tmp_path / "ops-1-py3-none-any.whl"
    path.write_bytes(b"no archive")
    result = CliRunner().invoke(main, ["repair", "-w", str(tmp_path / "out"), str(path)])
    assert result.exit_code == 17, result.output


def test_a_wheel_that_cannot_be_repaired_stops_no_other(tmp_path: Path) -> None:
    bad = wheel(tmp_path / "bad", "libcublas.so.13")
    worse = wheel(tmp_path / "worse", "libcudart.so.12")
    good = wheel(tmp_path / "good")
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["repair", "-w", str(out), str(bad), str(worse), str(good)])
    assert result.exit_code == 9
    assert (out / good.name).read_bytes() == good.read_bytes()
    assert "libcublas.so.13" in result.stderr
    assert "libcudart.so.12" in result.stderr


def test_a_link_does_not_become_a_file_that_holds_a_path(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("ops/link.so")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(AuditError, match=r"ops/link\.so, expected files") as told:
        repaired(path, tmp_path / "out", RepairRequest(graft=False), tables)
    assert told.value.exit_code == AuditError.exit_code  # as of the audit, which tells of the link


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_what_says_it_is_a_special_file_is_left_alone(tmp_path: Path, tables: Tables, kind: int) -> None:
    path = wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        special = zipfile.ZipInfo("ops/pipe")
        special.external_attr = (kind | 0o600) << 16
        archive.writestr(special, "text")
    with pytest.raises(AuditError, match=r"a special file \(ops/pipe"):
        repaired(path, tmp_path / "out", RepairRequest(graft=False), tables)
    assert not (tmp_path / "out").exists()
