"""What a `setup.py` says, by running it on stand-ins in a process of its own."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.versions import MinorVersion

__all__ = ["HEADER_PACKAGES", "Machine", "RecordedExtension", "SetupNote", "SetupRecord", "read_setup"]

HEADER_PACKAGES = {"pybind11": "pybind11/include", "numpy": "numpy/_core/include"}
"""Packages that setup.py may ask for their headers -> the folder beside them in site-packages."""
_DEVICE = (9, 0)
_SECONDS = 120.0


@dataclass(frozen=True)
class Machine:
    """What setup.py is told of the machine, which has nothing of it."""

    torch: str
    toolkit: MinorVersion
    torch_archs: tuple[str, ...]
    """As `torch.cuda.get_arch_list()` spells them: "sm_80"."""

    @classmethod
    def of(cls, tables: Tables, toolkit: MinorVersion, torch: MinorVersion) -> Machine:
        """One with the newest release of a torch minor and a toolkit."""
        build = tables.torch[torch]
        return cls(build.release, toolkit, tuple(arch.sm for arch in build.archs))


@dataclass(frozen=True)
class SetupNote:
    """Something else that setup.py does."""

    kind: str
    """"writes", "runs" or "asks"."""
    what: str
    place: str


@dataclass(frozen=True)
class RecordedExtension:
    """One of `ext_modules`, as setup.py made it."""

    kind: str
    """The class or function: "CUDAExtension"."""
    name: str
    place: str
    """The line that makes it: "setup.py:31"."""
    attributes: Mapping[str, Any]

    def texts(self, key: str) -> list[str]:
        """A list of strings among its attributes; empty if unset."""
        value = self.attributes.get(key)
        return [str(item) for item in value] if isinstance(value, list) else []


@dataclass(frozen=True)
class SetupRecord:
    """Everything that setup.py said. Paths are as it wrote them."""

    root: Path
    place: str
    """The line with `setup()`."""
    keywords: Mapping[str, Any]
    extensions: tuple[RecordedExtension, ...]
    commands: Mapping[str, str]
    """Commands of setuptools -> the project's own class for it."""
    notes: tuple[SetupNote, ...]
    arch_list: str | None
    """TORCH_CUDA_ARCH_LIST, if setup.py sets it."""
    site: Path
    """Where packages and torch seemed to be."""
    cuda: Path
    """Where the toolkit seemed to be."""
    device: str
    """Compute capability that the GPU seemed to have."""
    lines: tuple[str, ...]
    """setup.py."""

    def place_of(self, text: str, otherwise: str, *, quoted: bool = False) -> str:
        """The first line of setup.py that holds `text`, between quotation marks if there is one, or another place."""
        for words in ((f'"{text}"', f"'{text}'"), () if quoted else (text,)):
            for number, line in enumerate(self.lines, 1):
                if text and any(word in line for word in words):
                    return f"setup.py:{number}"
        return otherwise

    def place_of_keyword(self, name: str) -> str:
        """Where `setup()` is given a keyword; the line of the call if that is not to be seen."""
        start = int(self.place.partition(":")[2] or 1)
        for number, line in enumerate(self.lines[start - 1 :], start):
            if re.search(rf"\b{name}\s*=", line):
                return f"setup.py:{number}"
        return self.place_of(name, self.place, quoted=True)


def read_setup(root: Path, machine: Machine, environ: Mapping[str, str]) -> SetupRecord:
    """Run `setup.py` of the project in `root` up to its call of `setup()`.

    torch, setuptools and the CUDA toolkit are stand-ins; nothing is compiled, no program started but git where it only
    looks, nothing written to the project, nothing sent to the network.

    Raises:
        ConfigError: there is no setup.py, or it does not get as far as `setup()`.
    """
    root = root.resolve()
    path = root / "setup.py"
    if not path.is_file():
        msg = f"{root} has no setup.py (expected one that calls setup() with ext_modules)"
        raise ConfigError(msg, hint="give the folder of setup.py, or write [tool.gpuwheel] by hand")
    with tempfile.TemporaryDirectory(prefix="gpuwheel-init-") as folder:
        scratch = Path(folder).resolve()
        _furnish(scratch, machine)
        answer = _ask(root, scratch, machine, environ)
    if "failure" in answer:
        raise _failure(answer["failure"])
    return SetupRecord(
        root=root,
        place=answer["place"],
        keywords=answer["keywords"],
        extensions=tuple(_extension(row) for row in answer["extensions"]),
        commands=answer["commands"],
        notes=tuple(SetupNote(**row) for row in answer["notes"]),
        arch_list=answer["arch_list"],
        site=scratch / "site",
        cuda=scratch / "cuda",
        device=".".join(map(str, _DEVICE)),
        lines=tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()),
    )


def _furnish(scratch: Path, machine: Machine) -> None:
    """The folders that setup.py may look into."""
    cuda = machine.toolkit
    for name in ("tmp", "written", "site/torch/lib", "site/torch/include", "cuda/bin", "cuda/include", "cuda/lib64"):
        (scratch / name).mkdir(parents=True)
    version = f"nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release {cuda}, V{cuda}.0\n"
    (scratch / "cuda" / "version.txt").write_text(version, encoding="utf-8")
    header = f"#define CUDA_VERSION {cuda.major * 1000 + cuda.minor * 10}\n"
    (scratch / "cuda" / "include" / "cuda.h").write_text(header, encoding="utf-8")
    nvcc = scratch / "cuda" / "bin" / "nvcc"
    nvcc.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")  # found, but never started
    nvcc.chmod(0o755)


def _ask(root: Path, scratch: Path, machine: Machine, environ: Mapping[str, str]) -> dict[str, Any]:
    cuda = scratch / "cuda"
    request = {
        "root": str(root),
        "scratch": str(scratch),
        "site": str(scratch / "site"),
        "cuda": str(cuda),
        "torch": machine.torch,
        "toolkit": str(machine.toolkit),
        "torch_archs": machine.torch_archs,
        "device": _DEVICE,
        "packages": HEADER_PACKAGES,
    }
    surroundings = {name: value for name, value in environ.items() if name != "TORCH_CUDA_ARCH_LIST"}
    surroundings |= {"CUDA_HOME": str(cuda), "CUDA_PATH": str(cuda), "TMPDIR": str(scratch / "tmp")}
    surroundings["PATH"] = f"{cuda / 'bin'}:{environ.get('PATH', '')}"
    argv = [sys.executable, "-B", "-X", "utf8", "-m", "setup_worker"]
    try:
        done = run(argv, cwd=resource("adopt"), env=surroundings, stdin=json.dumps(request), timeout=_SECONDS)
    except TimeoutError:
        msg = f"setup.py does not get to setup() (ran {_SECONDS:.0f} s)"
        raise ConfigError(msg, hint="let setup.py describe, and do its work in commands") from None
    except ProcessFailedError as error:
        msg = "setup.py took Python down with it"
        raise ConfigError(msg, detail=error.completed.output) from error
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _extension(row: dict[str, Any]) -> RecordedExtension:
    attributes = {key: value for key, value in row.items() if key not in {"kind", "name", "place"}}
    return RecordedExtension(row["kind"], row["name"], row["place"], attributes)


def _failure(failure: Mapping[str, Any]) -> ConfigError:
    kind, message, module = failure["kind"], failure["message"], failure["module"]
    said = f"{kind}: {message}" if kind else message
    hint = "init runs it with stand-ins for torch, a CUDA toolkit and a GPU: let it get to setup() with them"
    if module:
        hint = f"install {module.partition('.')[0]} beside gpuwheel and run gpuwheel init again: setup.py imports it"
    return ConfigError(f"{failure['place']} does not get to setup() ({said})", hint=hint)
