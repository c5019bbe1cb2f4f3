"""What a `setup.py` says, by running it on stand-ins in a process of its own."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.adopt.declared.failures import failure_of, is_foreign
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.versions import MinorVersion

__all__ = ["HEADER_PACKAGES", "Machine", "RecordedExtension", "SetupNote", "SetupRecord", "read_setup"]

HEADER_PACKAGES = {"pybind11": "pybind11/include", "numpy": "numpy/_core/include"}
"""Packages that setup.py may ask for their headers -> the folder beside them in site-packages."""
_VERSIONS = {
    "pybind11": "3.0.1",
    "numpy": "2.3.0",
    "ninja": "1.13.0",
    "cmake": "4.1.0",
    "setuptools": "80.0.0",
    "wheel": "0.45.1",
    "Cython": "3.1.0",
    "setuptools_scm": "9.0.0",
}
_DEVICES = ((9, 0), (8, 0), (8, 9), (10, 0), (12, 0))
"""Compute capabilities of the GPU that setup.py is told of: the first, and the others if it asks."""
_SECONDS = 120.0
_LARGEST = 64 * 1024 * 1024
_ABSENT = 5
"""How many modules that are not installed are stood in for."""


@dataclass(frozen=True)
class Machine:
    """What setup.py is told of the machine, which has nothing of it."""

    torch: str
    toolkit: MinorVersion
    torch_archs: tuple[str, ...]
    """As `torch.cuda.get_arch_list()` spells them: "sm_80"."""
    toolkit_archs: tuple[str, ...]
    """Those that nvcc lists: "80"."""
    driver: str

    @classmethod
    def of(cls, tables: Tables, toolkit: MinorVersion, torch: MinorVersion) -> Machine:
        """One with the newest release of a torch minor and a toolkit."""
        build, row = tables.torch[torch], tables.cuda[toolkit]
        plain = tuple(arch.number for arch in row.archs if not arch.suffix)
        return cls(build.release, toolkit, tuple(arch.sm for arch in build.archs), plain, f"{row.driver_floor}.65.06")


@dataclass(frozen=True)
class SetupNote:
    """Something else that setup.py does."""

    kind: str
    """"writes", "runs", "asks", "version" or "imports"."""
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
    variants: Mapping[str, RecordedExtension] = field(default_factory=dict)
    """What it is on a machine with another GPU, by compute capability; empty where setup.py asks for none."""
    everywhere: bool = True
    """Whether setup.py makes the extension for every GPU."""

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
    commands: Mapping[str, Mapping[str, Any]]
    """Commands of setuptools -> the project's own class for it: "name", "place" and "options"."""
    notes: tuple[SetupNote, ...]
    arch_lists: Mapping[str, str]
    """TORCH_CUDA_ARCH_LIST, if setup.py sets it, by the compute capability of the GPU."""
    site: Path
    """Where packages and torch seemed to be."""
    cuda: Path
    """Where the toolkit seemed to be."""
    lines: tuple[str, ...]
    """setup.py."""
    devices: tuple[str, ...] = ()
    """Compute capabilities of the GPUs that setup.py was told of, one after the other."""
    torch: str = ""
    """The release of torch that it was told of."""
    refused: bool = False
    """Whether it refused newer ones."""
    file: str = "setup.py"
    """What was read: setup.py, or CMakeLists.txt where there is none."""

    @property
    def asks_gpu(self) -> bool:
        """Whether setup.py asks for the GPU of the machine."""
        return any(note.kind == "asks" for note in self.notes)

    def place_of(self, text: str, otherwise: str, *, quoted: bool = False) -> str:
        """The first line of setup.py that holds `text`, between quotation marks if there is one, or another place."""
        for words in ((f'"{text}"', f"'{text}'"), () if quoted else (text,)):
            for number, line in enumerate(self.lines, 1):
                if text and any(word in line for word in words):
                    return f"{self.file}:{number}"
        return otherwise

    def place_of_keyword(self, name: str) -> str:
        """Where `setup()` is given a keyword; the line of the call if that is not to be seen."""
        start = int(self.place.partition(":")[2] or 1)
        for number, line in enumerate(self.lines[start - 1 :], start):
            if re.search(rf"\b{name}\s*=", line):
                return f"{self.file}:{number}"
        return self.place_of(name, self.place, quoted=True)


def read_setup(
    root: Path, machines: Sequence[Machine], environ: Mapping[str, str], arguments: Sequence[str] = ()
) -> SetupRecord:
    """Run `setup.py` of the project in `root` up to its call of `setup()`.

    torch, setuptools and the CUDA toolkit are stand-ins; nothing is compiled, and what a setup.py usually writes,
    starts or downloads is held back. It runs with the rights of whoever calls this: that is no sandbox.

    Args:
        root: the folder of the project.
        machines: what it is told of the machine: the first, and each further one if it refuses the torch before.
        environ: what it finds in the environment.
        arguments: what it finds in `sys.argv`, after the name of the command.

    Raises:
        ConfigError: there is no setup.py, or it does not get as far as `setup()`.
    """
    root = root.resolve()
    path = root / "setup.py"
    if not path.is_file():
        msg = f"{root} has no setup.py (expected one that calls setup() with ext_modules)"
        raise ConfigError(msg, hint="give the folder of setup.py or CMakeLists.txt, or write [tool.gpuwheel] by hand")
    failures: list[ConfigError] = []
    for machine in machines:
        absent: list[str] = []
        answers = _answers(root, machine, environ, tuple(arguments), absent)
        told = {device: answer for device, answer in answers.items() if "failure" not in answer}
        if told:
            return replace(_record(root, told, absent), torch=machine.torch, refused=bool(failures))
        failure = next(iter(answers.values()))
        failures.append(failure_of({**failure["failure"], "absent": absent}, root, failure["output"]))
        if "torch" not in failure["failure"]["message"].lower() or failure["failure"]["kind"] == "AttributeError":
            break
    raise failures[0]


def _answers(
    root: Path, machine: Machine, environ: Mapping[str, str], arguments: tuple[str, ...], absent: list[str]
) -> dict[str, Mapping[str, Any]]:
    """What setup.py says, by the compute capability of the GPU; of one alone if it does not ask."""
    answers: dict[str, Mapping[str, Any]] = {}
    for device in _DEVICES:
        with tempfile.TemporaryDirectory(prefix="gpuwheel-init-", ignore_cleanup_errors=True) as folder:
            run_of = _Run(root, Path(folder).resolve(), machine, environ, arguments)
            answers[".".join(map(str, device))] = answer = run_of.answer(device, absent)
        # Who does not ask for the GPU says the same of each.
        if not any(note["kind"] == "asks" for note in answer["notes"]):
            break
    return answers


def _record(root: Path, told: Mapping[str, Mapping[str, Any]], absent: Sequence[str]) -> SetupRecord:
    first = next(iter(told.values()))
    lines = (root / "setup.py").read_text(encoding="utf-8", errors="replace").splitlines()
    notes = [SetupNote(**row) for answer in told.values() for row in answer["notes"]]
    notes += [SetupNote("imports", name, "setup.py") for name in absent]
    return SetupRecord(
        root=root,
        place=first["place"],
        keywords=first["keywords"],
        extensions=_extensions(told),
        commands=first["commands"],
        notes=tuple(dict.fromkeys(notes)),
        arch_lists={device: answer["arch_list"] for device, answer in told.items() if answer["arch_list"]},
        site=_SITE,
        cuda=_CUDA,
        lines=tuple(lines),
        devices=tuple(told),
    )


def _extensions(told: Mapping[str, Mapping[str, Any]]) -> tuple[RecordedExtension, ...]:
    """The extensions of every run, by name, each with what it is in the others."""
    found: dict[str, dict[str, RecordedExtension]] = {}
    for device, answer in told.items():
        for index, row in enumerate(answer["extensions"]):
            extension = _extension(row)
            same = found.setdefault(extension.name or f"#{index}", {})
            same.setdefault(device, extension)
    if len(told) == 1:
        return tuple(extension for same in found.values() for extension in same.values())
    return tuple(
        replace(next(iter(same.values())), variants=same, everywhere=len(same) == len(told)) for same in found.values()
    )


_SITE = Path("/gpuwheel-stands-in/site")
_CUDA = Path("/gpuwheel-stands-in/cuda")
"""Where packages and the toolkit seem to be, in what is recorded: each run has folders of its own."""


@dataclass(frozen=True)
class _Run:
    """One call of setup.py in a folder of its own."""

    root: Path
    scratch: Path
    machine: Machine
    environ: Mapping[str, str]
    arguments: tuple[str, ...]

    def answer(self, device: tuple[int, int], absent: list[str]) -> Mapping[str, Any]:
        """What setup.py said, or how it failed; modules that are not installed go to `absent`, and are stood in for."""
        self._furnish()
        while True:
            answer = self._ask(device, absent)
            module = answer.get("failure", {}).get("module")
            if not module or len(absent) == _ABSENT or module in absent or not is_foreign(module, self.root):
                return answer
            absent.append(module)

    def _furnish(self) -> None:
        """The folders that setup.py may look into."""
        cuda = self.machine.toolkit
        folders = ("tmp", "written", "answers", "site/torch/lib", "site/torch/include", "site/torch/share/cmake/Torch")
        for name in (*folders, "cuda/bin", "cuda/include", "cuda/lib64"):
            (self.scratch / name).mkdir(parents=True)
        version = f"CUDA Version {cuda}.0\n"
        (self.scratch / "cuda" / "version.txt").write_text(version, encoding="utf-8")
        document = {"cuda": {"name": "CUDA SDK", "version": f"{cuda}.0"}, "cuda_nvcc": {"version": f"{cuda}.88"}}
        (self.scratch / "cuda" / "version.json").write_text(json.dumps(document), encoding="utf-8")
        number = cuda.major * 1000 + cuda.minor * 10
        (self.scratch / "cuda" / "include" / "cuda.h").write_text(f"#define CUDA_VERSION {number}\n", encoding="utf-8")
        runtime = f"#define CUDART_VERSION {number}\n"
        (self.scratch / "cuda" / "include" / "cuda_runtime_api.h").write_text(runtime, encoding="utf-8")
        for program in ("nvcc", "cuobjdump", "ptxas"):
            path = self.scratch / "cuda" / "bin" / program
            path.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")  # found, but never started
            path.chmod(0o755)
        for name, version in {**_VERSIONS, "torch": self.machine.torch}.items():
            metadata = self.scratch / "site" / f"{name}-{version}.dist-info"
            metadata.mkdir()
            text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (metadata / "METADATA").write_text(text, encoding="utf-8")

    def _ask(self, device: tuple[int, int], absent: Sequence[str]) -> dict[str, Any]:
        cuda, answer = self.scratch / "cuda", self.scratch / "answer.json"
        request = {
            "root": str(self.root),
            "scratch": str(self.scratch),
            "site": str(self.scratch / "site"),
            "cuda": str(cuda),
            "answer": str(answer),
            "file": str(self.scratch / "request.json"),
            "torch": self.machine.torch,
            "toolkit": str(self.machine.toolkit),
            "driver": self.machine.driver,
            "torch_archs": self.machine.torch_archs,
            "toolkit_archs": self.machine.toolkit_archs,
            "device": device,
            "packages": HEADER_PACKAGES,
            "versions": _VERSIONS,
            "absent": absent,
            "arguments": self.arguments,
            "child": f"import sys; sys.path.insert(0, {str(resource('adopt'))!r}); "
            "from setup_worker.__main__ import child; child()",
        }
        (self.scratch / "request.json").write_text(json.dumps(request), encoding="utf-8")
        # What stands there is of this shell; what is to be learned is what the project says by itself.
        surroundings = {name: value for name, value in self.environ.items() if name != "TORCH_CUDA_ARCH_LIST"}
        surroundings |= {"CUDA_HOME": str(cuda), "CUDA_PATH": str(cuda), "TMPDIR": str(self.scratch / "tmp")}
        surroundings["PATH"] = f"{cuda / 'bin'}:{self.environ.get('PATH', '')}"
        argv = [sys.executable, "-B", "-X", "utf8", "-m", "setup_worker", str(request["file"])]
        # One of an earlier run must not pass for that of a run which ends Python early.
        answer.unlink(missing_ok=True)
        try:
            done = run(argv, cwd=resource("adopt"), env=surroundings, timeout=_SECONDS)
        except TimeoutError:
            msg = f"setup.py does not get to setup() (ran {_SECONDS:.0f} s)"
            raise ConfigError(msg, hint="let setup.py describe, and do its work in commands") from None
        except ProcessFailedError as error:
            msg = f"setup.py took Python down with it (exit status {error.completed.returncode})"
            raise ConfigError(
                msg, detail=error.completed.output, hint="let it get to setup() as pip runs it"
            ) from error
        return {**self._read(answer), "output": done.output}

    def _read(self, path: Path) -> dict[str, Any]:
        """The answer, with folders of this run named as those of every run."""
        if not path.is_file():
            failure = {"place": "setup.py", "kind": "", "message": "it ends Python before it calls it"}
            return {"failure": failure, "notes": []}
        if path.stat().st_size > _LARGEST:
            msg = f"setup.py says more than init reads (found {path.stat().st_size} bytes, expected {_LARGEST} at most)"
            raise ConfigError(msg, hint="leave what is long, such as a description, to [project] of pyproject.toml")
        text = path.read_text(encoding="utf-8")
        for folder, name in ((self.scratch / "site", _SITE), (self.scratch / "cuda", _CUDA)):
            text = text.replace(json.dumps(str(folder))[1:-1], str(name))
        whole = json.dumps(json.loads(text), ensure_ascii=False).encode(errors="replace")  # half a character is none
        document: dict[str, Any] = json.loads(whole)
        return document


def _extension(row: dict[str, Any]) -> RecordedExtension:
    attributes = {key: value for key, value in row.items() if key not in {"kind", "name", "place"}}
    return RecordedExtension(row["kind"], str(row["name"]), row["place"], attributes)
