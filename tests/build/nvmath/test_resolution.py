"""The metadata that gpuwheel writes, read by a real installer: it finds a solution with torch, and the right one."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from gpuwheel._toml import read_toml

UV = [sys.executable, "-m", "uv"]
EXTRAS = [
    "torch>=2.10",
    'nvmath-python[cu12]>=1.0; extra == "cu12"',
    'nvmath-python[cu13]>=1.0; extra == "cu13"',
    'pytest>=8; extra == "test"',
]


def run(*argv: str | Path, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: TID251 (a frontend)
    assert done.returncode == 0, done.stderr
    return done.stdout


def hook(project: Path, name: str, out: Path) -> str:
    code = f"from gpuwheel import backend; print(); print(backend.{name}({str(out)!r}))"
    return run(sys.executable, "-c", code, cwd=project).rstrip().rpartition("\n")[2]


def test_extras_are_the_same_in_every_metadata(project: Path, tmp_path: Path) -> None:
    documents = []
    for name in ("prepare_metadata_for_build_wheel", "prepare_metadata_for_build_editable"):
        out = tmp_path / name
        out.mkdir()
        documents.append((out / hook(project, name, out) / "METADATA").read_bytes())
    hook(project, "build_sdist", tmp_path)
    (sdist,) = tmp_path.glob("epilogs-1.0.tar.gz")
    with tarfile.open(sdist) as archive:
        member = archive.extractfile("epilogs-1.0/PKG-INFO")
        assert member is not None
        documents.append(member.read())
    assert len(set(documents)) == 1
    metadata = BytesParser().parsebytes(documents[0])
    assert metadata.get_all("Requires-Dist") == EXTRAS
    assert metadata.get_all("Provides-Extra") == ["cu12", "cu13", "test"]
    assert metadata.get_all("Dynamic") is None


@pytest.mark.network
@pytest.mark.heavy
def test_the_table_is_what_the_index_has() -> None:
    root = Path(__file__).resolve().parents[3]
    assert "nvmath.toml: up to date" in run(sys.executable, "ci/tables/update_nvmath.py", "--check", cwd=root)


@pytest.mark.network
@pytest.mark.parametrize(
    ("extra", "torch", "library"),
    [
        ("cu13", "torch>=2.11", "nvidia-cublas"),
        ("cu12", "torch==2.10.*", "nvidia-cublas-cu12"),
    ],
)
def test_uv_resolves_each_extra_beside_torch(project: Path, extra: str, torch: str, library: str) -> None:
    (project / "constraints.txt").write_text(f"{torch}\n", encoding="utf-8")
    resolve = ("pip", "compile", "pyproject.toml", "--extra", extra, "--constraint", "constraints.txt")
    plain = ("--no-build-isolation", "--python", sys.executable, "--python-version", "3.12", "--python-platform")
    form = ("x86_64-manylinux_2_28", "--no-annotate", "--no-header", "--quiet")
    pins = dict(line.split("==") for line in run(*UV, *resolve, *plain, *form, cwd=project).split())
    assert pins["nvmath-python"] == "1.0.0"
    assert library in pins
    assert pins["cuda-bindings"].startswith("13." if extra == "cu13" else "12.")


@pytest.mark.network
def test_uv_locks_both_extras_with_what_they_take_besides(project: Path) -> None:
    """As a project of the template nvmath declares them."""
    more = "".join(
        f'[tool.gpuwheel.extras.{e}]\nrequires = ["cuda-cccl[minimal-{e}]>=1.2"]\n' for e in ("cu12", "cu13")
    )
    file = project / "pyproject.toml"
    conflicts = '[tool.uv]\nconflicts = [[{ extra = "cu12" }, { extra = "cu13" }]]\n'
    file.write_text(file.read_text(encoding="utf-8") + more + conflicts, encoding="utf-8")
    run(*UV, "lock", "--no-build-isolation", "--python", sys.executable, "--quiet", cwd=project)
    lock = read_toml(project / "uv.lock")
    versions = {(package["name"], package["version"]) for package in lock["package"]}
    majors = {version.partition(".")[0] for name, version in versions if name == "cuda-bindings"}
    assert majors == {"12", "13"}
    assert len([version for name, version in versions if name == "nvmath-python"]) == 1
    assert "cuda-cccl" in {name for name, _ in versions}
