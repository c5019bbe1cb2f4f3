"""Wheels as Hugging Face kernels: the folders that each serves, and what can be none, by name."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner
from hostile import container, entry
from made_wheels import INFO, Made, made, manifest

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.publish.upload.kernel_layout import KERNEL_CHECKS
from gpuwheel.wheel import Member
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SCHEMA = json.loads(resource("data", "publish.schema.json").read_text(encoding="utf-8"))
STABLE = "torch-stable-abi210"
CUDA_13 = json.dumps({"schema": 1, "toolkit": "13.0", "driver_floor": "580", "groups": {"fused": {"archs": ["sm_75"], "ptx": []}}})  # fmt: skip # noqa: E501


def _wheel(folder: Path, wheel: Made | _Renamed, **renamed: str) -> Path:
    folder.mkdir(exist_ok=True)
    name = renamed.get("name", wheel.name)
    write_wheel(folder / name, wheel.members().values())
    return folder / name


@dataclass(frozen=True)
class _Renamed:
    """A wheel whose package has a name that is code."""

    package: str
    name: str = made().name

    def members(self) -> dict[str, Member]:
        found = (
            Member(member.name.replace("ops/", f"{self.package}/"), member.data) for member in made().members().values()
        )
        return {member.name: member for member in found}


def _pure(folder: Path, requires: str, members: dict[str, bytes] | None = None, tag: str = "py3-none-any") -> Path:
    metadata = f"Metadata-Version: 2.4\nName: ops\nVersion: 1\nLicense-Expression: MIT\n{requires}"
    files = {
        "ops/__init__.py": b"from ops import inner\n",
        "ops/inner.py": b"",
        f"{INFO}/METADATA": metadata.encode(),
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n".encode(),
        **(members or {}),
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"ops-1-{tag}.whl"
    write_wheel(path, [Member(name, data) for name, data in files.items()])
    return path


def _publish(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["publish", "--to", f"kernels:{folder}", "--tag", "v1", "--json", *map(str, words)])


def _document(done: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    return document


def _metadata(folder: Path, variant: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "build" / variant / "metadata.json").read_text(encoding="utf-8"))
    return found


def test_what_asks_the_driver_alone_serves_every_cuda_and_the_cpu(tmp_path: Path) -> None:
    out = tmp_path / "k"
    done = _publish(out, _wheel(tmp_path / "a", made()))
    variants = [f"{STABLE}-{word}-x86_64-linux" for word in ("cpu", "cu120", "cu130")]
    assert (done.exit_code, _document(done)["kernels"]) == (0, variants), done.output
    assert sorted(path.name for path in (out / "build").iterdir()) == sorted(variants)
    cuda = _metadata(out, variants[1])
    assert cuda["backend"] == {"type": "cuda", "archs": ["7.5"]}
    assert (cuda["name"], cuda["version"], cuda["license"]) == ("ops", 1, "other")
    assert set(cuda["digest"]["files"]) >= {"__init__.py", "ops/_C.so", "ops/__init__.py"}
    assert _metadata(out, variants[0])["backend"] == {"type": "cpu"}


def test_code_of_a_newer_cuda_leaves_out_older_ones(tmp_path: Path) -> None:
    wheel = made(files={"ops/_kernels.json": CUDA_13.encode()})
    found = _document(_publish(tmp_path / "k", _wheel(tmp_path / "a", wheel)))["kernels"]
    assert found == [f"{STABLE}-cpu-x86_64-linux", f"{STABLE}-cu130-x86_64-linux"]


def test_one_torch_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    done = _publish(tmp_path / "k", _wheel(tmp_path / "a", made(requires="torch==2.13.*")))
    assert _document(done)["kernels"][0] == "torch213-cxx11-cpu-x86_64-linux"


def test_archs_are_those_for_which_all_code_is_there(tmp_path: Path) -> None:
    code = container(entry(bytes(64), arch=80) + entry(bytes(64), arch=90) + entry(bytes(64), arch=90, kind=1))
    other = container(entry(bytes(64), arch=90))
    wheel = made(
        code=code,
        archs=("sm_80", "sm_90"),
        ptx=("compute_90",),
        files={"ops/more.fatbin": other, "ops/_kernels.json": manifest(archs=("sm_80", "sm_90"), ptx=("compute_90",))},
    )
    out = tmp_path / "k"
    done = _publish(out, _wheel(tmp_path / "a", wheel))
    assert done.exit_code == 0, done.output
    assert _metadata(out, f"{STABLE}-cu120-x86_64-linux")["backend"]["archs"] == ["9.0", "9.0+PTX"]


def test_pure_python_is_for_every_torch(tmp_path: Path) -> None:
    done = _publish(tmp_path / "k", _pure(tmp_path / "a", "Requires-Dist: torch\nRequires-Dist: einops\n"))
    assert _document(done)["kernels"] == ["torch-cpu", "torch-cuda"]
    assert _metadata(tmp_path / "k", "torch-cuda")["python-depends"] == ["einops"]


@pytest.mark.parametrize(
    ("rule", "wheel"),
    [
        ("kernel-python", made(tag="cp312-cp312-manylinux_2_17_x86_64")),
        ("kernel-python", made(tag="cp312-abi3-manylinux_2_17_x86_64")),
        ("kernel-package", made(files={"more/__init__.py": b""})),
        ("kernel-package", made(files={"ops.libs/x.txt": b""})),
        ("kernel-package", _Renamed('x"; import os; "')),
        ("kernel-package", made(files={"ops-1.data/scripts/run": b""})),
        ("kernel-requires", made(requires="torch>=2.10\nRequires-Dist: numpy")),
        ("kernel-requires", made(requires="torch>=2.10\nRequires-Dist: nvidia-nvjpeg>=13")),
        ("kernel-torch", made(requires="torch==1.0.*")),
        ("kernel-torch", made(requires="torch>=2.10\nRequires-Dist: nvidia-cuda-runtime-cu12\nRequires-Dist: nvidia-cuda-nvrtc-cu11")),  # noqa: E501
    ],
)  # fmt: skip
def test_what_can_be_no_kernel_is_told_by_name(rule: str, wheel: Made | _Renamed, tmp_path: Path) -> None:
    done = _publish(tmp_path / "k", _wheel(tmp_path / "a", wheel))
    assert done.exit_code == 9
    assert rule in {finding["rule"] for finding in _document(done)["findings"]}
    assert not (tmp_path / "k").exists()


def test_every_kernel_rule_is_shown() -> None:
    (table,) = [
        mark for mark in test_what_can_be_no_kernel_is_told_by_name.pytestmark if mark.name == "parametrize"  # type: ignore[attr-defined]
    ]  # fmt: skip
    assert {rule.id for rule in KERNEL_CHECKS} == {row[0] for row in table.args[1]}


def test_what_torch_brings_may_be_required(tmp_path: Path) -> None:
    wheel = made(
        requires="torch>=2.11\nRequires-Dist: nvidia-cublas>=13,<14", files={"ops/_kernels.json": CUDA_13.encode()}
    )
    found = _document(_publish(tmp_path / "k", _wheel(tmp_path / "a", wheel)))
    assert found["kernels"] == ["torch-stable-abi211-cu130-x86_64-linux"]


def test_the_same_again_changes_nothing_and_a_new_version_replaces(tmp_path: Path) -> None:
    out, first = tmp_path / "k", _pure(tmp_path / "a", "")
    assert _document(_publish(out, first))["files"][0]["state"] == "sent"
    (out / "build" / "torch-cpu" / "__pycache__").mkdir()
    (out / "build" / "torch-cpu" / "__pycache__" / "x.pyc").touch()
    assert _document(_publish(out, first))["files"][0]["state"] == "there"
    second = _pure(tmp_path / "b", "", {"ops/new.py": b""})
    assert _document(_publish(out, second))["files"][0]["state"] == "sent"
    assert (out / "build" / "torch-cpu" / "ops" / "new.py").exists()
    assert sorted(path.name for path in (out / "build").iterdir()) == ["torch-cpu", "torch-cuda"]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    for name in (".torch-cpu.0123.part", ".torch-cpu.0123.old"):
        (tmp_path / "k" / "build" / name / "ops").mkdir(parents=True)
    assert _publish(tmp_path / "k", _pure(tmp_path / "a", "")).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "k" / "build").iterdir()) == ["torch-cpu", "torch-cuda"]


def test_another_kernel_is_not_replaced(tmp_path: Path) -> None:
    there = tmp_path / "k" / "build" / "torch-cpu"
    there.mkdir(parents=True)
    (there / "metadata.json").write_text('{"name": "other"}', encoding="utf-8")
    done = _publish(tmp_path / "k", _pure(tmp_path / "a", ""))
    assert (done.exit_code, "other" in done.stderr) == (21, True)
    assert [path.name for path in there.iterdir()] == ["metadata.json"]


def test_two_wheels_for_one_folder_are_told(tmp_path: Path) -> None:
    one, other = _pure(tmp_path / "a", ""), _pure(tmp_path / "b", "", tag="py310-none-any")
    done = _publish(tmp_path / "k", one, other)
    assert (done.exit_code, "torch-cpu" in done.stderr) == (21, True)


def test_an_sdist_is_left_out_and_said_so(tmp_path: Path) -> None:
    text = b"Metadata-Version: 2.4\nName: ops\nVersion: 1\n"
    with tarfile.open(tmp_path / "ops-1.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("ops-1/PKG-INFO")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    done = _publish(tmp_path / "k", _pure(tmp_path / "a", ""), tmp_path / "ops-1.tar.gz")
    document = _document(done)
    assert done.exit_code == 0
    assert {file["file"]: file["state"] for file in document["files"]}["ops-1.tar.gz"] == "left_out"
    assert [finding["rule"] for finding in document["findings"]] == ["nothing-to-load"]
