"""Writing wheels as Hugging Face kernels: `build/VARIANT` with the package, metadata.json and what loads it from there.

A kernel is loaded under a name of its own, from wherever it lies; wheels import themselves by their package's name. So
the folder's `__init__.py` loads the package by that name, from beside it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from gpuwheel._files import held_folder
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.errors import PublishError
from gpuwheel.publish.upload.kernel_layout import KERNEL_CHECKS, KernelCase, builds_of
from gpuwheel.publish.wheel_facts import facts_of
from gpuwheel.wheel.archive import stored_members

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding
    from gpuwheel.publish.upload.kernel_layout import KernelBuild
    from gpuwheel.publish.upload.release_files import ReleaseFile
    from gpuwheel.wheel import Content

__all__ = ["KernelPlan", "add_kernels", "plan_kernels"]

_LOADER = '''\
"""{name} {version}, loaded from this folder. Written by gpuwheel."""

import importlib.util as _util
import sys as _sys
from pathlib import Path as _Path

_folder = _Path(__file__).resolve().parent / "{package}"
_loaded = _sys.modules.get("{package}")
if _loaded is None:
    _spec = _util.spec_from_file_location("{package}", _folder / "__init__.py")
    _loaded = _util.module_from_spec(_spec)
    _sys.modules["{package}"] = _loaded
    try:
        _spec.loader.exec_module(_loaded)
    except BaseException:
        del _sys.modules["{package}"]
        raise
elif _Path(_loaded.__file__).resolve().parent != _folder:
    # Operators of torch have one name in a process, too.
    raise ImportError(f"another {package} is loaded already, from {{_Path(_loaded.__file__).parent}}")

globals().update({{name: value for name, value in vars(_loaded).items() if not name.startswith("_")}})
__all__ = getattr(_loaded, "__all__", [name for name in vars(_loaded) if not name.startswith("_")])
__version__ = "{version}"
'''
_METADATA = "metadata.json"
_PART, _OLD = ".part", ".old"
"""Ends of names of folders that are being written, and that were replaced."""


KernelPlan = dict[str, "tuple[KernelCase, KernelBuild]"]
"""Name of a variant -> what goes there."""


def plan_kernels(files: Sequence[ReleaseFile], tables: Tables) -> tuple[KernelPlan, tuple[Finding, ...]]:
    """Which folders wheels become, and what stands against those that become none.

    Raises:
        AuditError: a wheel cannot be read.
        PublishError: two wheels would be one folder.
    """
    library = load_publishing().kernels
    plan: KernelPlan = {}
    findings: list[Finding] = []
    for file in files:
        if not file.is_wheel:
            continue
        case = KernelCase(file, facts_of(file.path, tables), library, tables)
        against = [finding for check in KERNEL_CHECKS for finding in check.findings(case)]
        findings += against
        for build in () if against else builds_of(case):
            other = plan.setdefault(build.variant, (case, build))[0].file
            if other is not file:
                msg = (
                    f"{other.path.name} and {file.path.name} would be one kernel ({build.variant}, expected one wheel)"
                )
                raise PublishError(msg, hint="name one of them: the one for more GPUs or drivers")
    return plan, tuple(findings)


def add_kernels(folder: Path, plan: KernelPlan) -> dict[str, bool]:
    """Write each variant, whole under its name, into `folder`/build; file name -> whether anything of it was new.

    Raises:
        AuditError: a wheel is damaged.
        PublishError: another kernel lies there.
        OSError: something cannot be written; what was there stays.
    """
    new: dict[str, bool] = defaultdict(bool)
    place = folder / "build"
    place.mkdir(parents=True, exist_ok=True)
    with held_folder(place):  # of two writers one waits
        for left in [*place.glob(f".*{_PART}"), *place.glob(f".*{_OLD}")]:
            shutil.rmtree(left)  # of one that was killed
        for variant, (case, build) in plan.items():
            name = case.file.path.name
            with stored_members(case.file.path) as members:
                content = _content(members, case, build)
                new[name] |= _place(place / variant, content, case.file.project)
    return dict(new)


def _content(members: Mapping[str, Content], case: KernelCase, build: KernelBuild) -> dict[str, Content | bytes]:
    """Path below the variant -> what it holds; metadata.json last."""
    (package,) = case.packages
    licenses = f"{case.file.root}/licenses/"
    found: dict[str, Content | bytes] = {
        "__init__.py": _LOADER.format(name=case.file.project, version=case.file.version, package=package).encode()
    }
    for name, member in members.items():
        if name.startswith(f"{package}/"):
            found[name] = member
        elif name.startswith(licenses):
            found[f"licenses/{name.removeprefix(licenses)}"] = member
    files = {path: _digest(held) for path, held in sorted(found.items())}
    found[_METADATA] = (json.dumps(_metadata(case, build, files), indent=2) + "\n").encode()
    return found


def _bytes(held: Content | bytes) -> bytes:
    return held if isinstance(held, bytes) else held.data


def _digest(held: Content | bytes) -> str:
    return base64.b64encode(hashlib.sha256(_bytes(held)).digest()).decode()


def _metadata(case: KernelCase, build: KernelBuild, files: Mapping[str, str]) -> dict[str, Any]:
    """What metadata.json says (`kernels._rust.Metadata`)."""
    file = case.file
    required = (str(one.name).lower() for one in case.requirements)
    depends = sorted({case.library.requires[name] for name in required if name in case.library.requires})
    backend: dict[str, Any] = {"type": build.backend}
    if build.archs:
        backend["archs"] = list(build.archs)
    return {
        "id": f"_{file.project.replace('-', '_')}_{build.backend}_{file.sha256[:12]}",
        "name": file.project,
        "version": file.version.major,
        "license": file.value("License-Expression") or file.value("License") or "other",
        "python-depends": depends,
        "backend": backend,
        "digest": {"algorithm": "sha256", "files": dict(files)},
    }


def _place(path: Path, content: Mapping[str, Content | bytes], project: str) -> bool:
    """Put a variant in its place; false: it is there with the same bytes."""
    if path.exists():
        there = _described(path)
        if there.get("name") != project:
            msg = f"{path} holds another kernel (found {there.get('name', 'no metadata.json')}, expected {project})"
            raise PublishError(msg, hint="give each kernel a folder of its own")
        if _is_same(path, content):
            return False
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_PART}")
    try:
        for name, held in content.items():
            target = made / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(_bytes(held))
        os.sync()
        if path.exists():
            old = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_OLD}")
            path.rename(old)
            made.rename(path)
            shutil.rmtree(old)
        else:
            made.rename(path)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return True


def _described(path: Path) -> dict[str, Any]:
    try:
        document = json.loads((path / _METADATA).read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _is_same(path: Path, content: Mapping[str, Content | bytes]) -> bool:
    there = {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()}
    there = {name for name in there if not name.endswith(".pyc")}
    return there == set(content) and all((path / name).read_bytes() == _bytes(held) for name, held in content.items())
