"""What is measured: the projects, their environments, and the commands a developer gives."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layouts import LAYOUTS, Layout, Sample, build_requires, edit_kernel, write_gpuwheel_project, write_project
from measure import disk_bytes, measure

from gpuwheel._files import atomic_file
from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CPP_EXTENSION", "EMBED", "NVCC", "Bench", "Contestant"]

HERE = Path(__file__).resolve().parent

# Of pip's variables those that say how to reach the index, not what to install.
_KEPT_PIP = {"PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_INDEX_URL"}
_DROPPED = ("PIP_", "UV_", "GPUWHEEL_", "CUDA", "TORCH_", "NVCC_", "MAX_JOBS", "CMAKE_", "SKBUILD_", "PYTHON")

_SIZE_MODE = {"NVCC_APPEND_FLAGS": "--compress-mode=size"}


@dataclass(frozen=True)
class Contestant:
    """One way to build the operators."""

    name: str
    title: str
    gpuwheel: bool
    """Whether gpuwheel builds it, or else torch.utils.cpp_extension."""
    layout: Layout | None
    """Of sources for nvcc; `None`: the sample as it is."""

    @property
    def backend(self) -> str:
        """The module with the hooks."""
        return "gpuwheel.backend" if self.gpuwheel else "setuptools.build_meta"

    @property
    def environment(self) -> str:
        """The environment it is built in; layouts of cpp_extension share one."""
        return self.name if self.gpuwheel else "torch"


_NVCC_LAYOUTS = ("classic", "stable")
EMBED = Contestant("gpuwheel", "gpuwheel", True, None)  # noqa: FBT003 (a table)
CPP_EXTENSION = tuple(Contestant(it.name, f"cpp_extension, {it.title}", False, it) for it in LAYOUTS)  # noqa: FBT003
NVCC = tuple(
    Contestant(f"nvcc-{it.name}", f"gpuwheel nvcc, {it.title}", True, it)  # noqa: FBT003
    for it in LAYOUTS
    if it.name in _NVCC_LAYOUTS
)


class Bench:
    """A work folder with what is finished in it."""

    def __init__(self, work: Path, operators: tuple[str, ...], state: dict[str, Any]) -> None:
        self._work = work
        self._state = state
        self.sample = Sample.read(work / "sample", operators)

    @classmethod
    def open(cls, work: Path, root: Path, operators: tuple[str, ...], torch: str) -> Bench:
        """Go on in a work folder, or begin one with the sources as they are now.

        Raises:
            SystemExit: it holds measurements of other operators, or with another torch.
        """
        for folder in ("tmp", "logs", "trees"):
            (work / folder).mkdir(parents=True, exist_ok=True)
        file = work / "state.json"
        if file.exists():
            state = json.loads(file.read_text(encoding="utf-8"))
        else:
            ignored = shutil.ignore_patterns("build", "tests", "benchmarks", "__pycache__")
            shutil.copytree(root / "sample_extension", work / "sample", ignore=ignored, dirs_exist_ok=True)
            shutil.copytree(root / "gpuwheel" / "include", work / "include", dirs_exist_ok=True)
            run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(work / "gpuwheel"), str(root)])
            state = {"operators": operators, "torch": torch, "measurements": {}}
        if (tuple(state["operators"]), state["torch"]) != (operators, torch):
            message = f"{work} holds other measurements: give another --work, or --fresh to drop them"
            raise SystemExit(message)
        bench = cls(work, operators, state)
        bench.save()
        return bench

    def save(self) -> None:
        """Write down what is finished, whole or not at all."""
        with atomic_file(self._work / "state.json") as file:
            file.write(json.dumps(self._state, indent=2).encode())

    @property
    def measurements(self) -> dict[str, dict[str, Any]]:
        """Contestant -> scenario -> figures."""
        measurements: dict[str, dict[str, Any]] = self._state["measurements"]
        return measurements

    def step(self, contestant: Contestant, scenario: str, measured: Callable[[], dict[str, Any]]) -> None:
        """One measurement, unless it is finished already."""
        done = self.measurements.setdefault(contestant.name, {})
        if scenario in done:
            print(f"{contestant.name}: {scenario} (kept)", flush=True)
            return
        print(f"{contestant.name}: {scenario}", flush=True)
        done[scenario] = measured()
        self.save()
        shown = {key: round(value, 2) if isinstance(value, float) else value for key, value in done[scenario].items()}
        print(f"    {shown}", flush=True)

    # ---- scenarios

    def isolated(self, contestant: Contestant) -> dict[str, Any]:
        """`pip wheel` in isolation with empty caches, of gpuwheel."""
        project = self._project(contestant, "cold")
        shutil.rmtree(self._caches(contestant), ignore_errors=True)
        # gpuwheel is not on the index that is asked: its own bytes are added to those that are counted.
        wheel = self._gpuwheel_wheel
        figures = self._build(contestant, "cold", ["--find-links", str(wheel.parent), str(project)], {})
        figures["downloaded"] += wheel.stat().st_size
        figures["environment_bytes"] += disk_bytes(self._caches(contestant) / "gpuwheel")
        return figures

    def installed_and_built(self, contestant: Contestant) -> dict[str, Any]:
        """What isolation does, one step after the other."""
        parts = [self.measurements[contestant.name][part] for part in ("environment", "warm")]
        kept = disk_bytes(self._caches(contestant) / "gpuwheel") if contestant.gpuwheel else 0
        return {
            **parts[1],
            "environment_bytes": parts[1]["environment_bytes"] + kept,
            **{key: parts[0][key] + parts[1][key] for key in ("wall", "cpu", "downloaded")},
            "peak_memory": max(part["peak_memory"] for part in parts),
            "load": [parts[0]["load"][0], parts[1]["load"][1]],
        }

    def install(self, contestant: Contestant) -> dict[str, Any]:
        """The environment in which a developer works, with all that a build downloads."""
        measured = self._state.setdefault("environments", {})
        name = contestant.environment
        if name not in measured:
            folder = self._python(contestant).parent.parent
            shutil.rmtree(folder, ignore_errors=True)
            run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
            if contestant.gpuwheel:
                measured[name] = self._install_gpuwheel(contestant)
            else:
                measured[name] = self._pip_install(contestant, list(build_requires(self._state["torch"])))
        figures: dict[str, Any] = measured[name]
        return figures

    def _install_gpuwheel(self, contestant: Contestant) -> dict[str, Any]:
        wheel = self._gpuwheel_wheel
        self._pip_install(contestant, [str(wheel)])
        project, python = self._project(contestant, "warm"), self._python(contestant)
        hook = "import json, gpuwheel.backend as b; print(json.dumps(b.get_requires_for_build_wheel()))"
        asked = run([python, "-c", hook], cwd=project, env=self._environment(contestant))
        figures = self._pip_install(contestant, json.loads(asked.stdout.splitlines()[-1]))
        if contestant.layout is None:
            return figures
        fetched = measure(
            [str(python), "-m", "gpuwheel", "fetch", str(project)],
            cwd=self._work,
            env=self._environment(contestant),
            log=self._work / "logs" / f"{contestant.name} fetch.log",
        )
        for key, value in asdict(fetched).items():
            if key in {"wall", "cpu", "downloaded"}:
                figures[key] += value
        figures["downloaded"] += wheel.stat().st_size
        return figures

    def clean(self, contestant: Contestant, scenario: str = "warm", *, size_mode: bool = False) -> dict[str, Any]:
        """A clean build in the developer's environment; `size_mode`: device code packed as tightly as nvcc can."""
        self._project(contestant, "warm")
        return self.again(contestant, scenario, size_mode=size_mode)

    def again(self, contestant: Contestant, scenario: str, *, size_mode: bool = False) -> dict[str, Any]:
        """The same command in the same tree."""
        arguments = ["--no-build-isolation", str(self._work / "trees" / f"{contestant.name}-warm")]
        return self._build(contestant, scenario, arguments, _SIZE_MODE if size_mode else {})

    def changed(self, contestant: Contestant) -> dict[str, Any]:
        """The same command after one line of one kernel changed."""
        edit_kernel(self._work / "trees" / f"{contestant.name}-warm", self.sample.operators[0])
        return self.again(contestant, "one line")

    def wheels(self, contestant: Contestant) -> dict[str, Any]:
        """Bytes of the wheels, as built and with the libraries stripped; how many kernels they register."""
        figures: dict[str, Any] = {}
        for kind, scenario in (("default", "warm"), ("size mode", "size mode")):
            for wheel in (self._work / "wheels" / f"{contestant.name}-{scenario}").glob("*.whl"):
                figures[kind] = wheel.stat().st_size
                figures[f"{kind}, stripped"] = self._stripped(wheel)
                figures["file"] = wheel.name
                figures["kernels_registered"] = self._registered(wheel)
        return figures

    def stages(self, contestant: Contestant) -> dict[str, Any]:
        """Where the time of gpuwheel's no-op goes."""
        completed = run(
            [self._python(contestant), str(HERE / "compile_stage.py"), "--json"],
            cwd=self._work / "trees" / f"{contestant.name}-warm",
            env=self._environment(contestant),
        )
        figures: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
        return figures

    def versions(self, contestant: Contestant) -> dict[str, str]:
        """Of what the developer's environment holds."""
        listed = run(self._pip(contestant, "list", "--format", "json"), env=self._environment(contestant)).stdout
        return {package["name"]: package["version"] for package in json.loads(listed.splitlines()[-1])}

    # ---- parts

    def _build(
        self, contestant: Contestant, scenario: str, arguments: list[str], more: dict[str, str]
    ) -> dict[str, Any]:
        out = self._work / "wheels" / f"{contestant.name}-{scenario}"
        shutil.rmtree(out, ignore_errors=True)
        report = self._work / "hook.json"
        report.unlink(missing_ok=True)
        isolated = "--no-build-isolation" not in arguments
        pip = [sys.executable, "-m", "pip"] if isolated else self._pip(contestant)
        usage = measure(
            [*pip, "wheel", "--no-deps", "--wheel-dir", str(out), *arguments],
            cwd=self._work,
            env={**self._environment(contestant), **more, "BENCH_REPORT": str(report)},
            log=self._work / "logs" / f"{contestant.name} {scenario}.log",
        )
        hook = json.loads(report.read_text(encoding="utf-8"))
        return {
            **asdict(usage),
            "hook_wall": hook["wall"],
            "hook_cpu": hook["cpu"],
            "environment_bytes": hook["environment_bytes"],
        }

    def _pip_install(self, contestant: Contestant, requirements: list[str]) -> dict[str, Any]:
        usage = measure(
            self._pip(contestant, "install", *requirements),
            cwd=self._work,
            env=self._environment(contestant),
            log=self._work / "logs" / f"{contestant.name} environment.log",
        )
        return asdict(usage)

    def _project(self, contestant: Contestant, name: str) -> Path:
        """A clean tree."""
        tree = self._work / "trees" / f"{contestant.name}-{name}"
        shutil.rmtree(tree, ignore_errors=True)
        if contestant.layout is None:
            write_gpuwheel_project(self.sample, tree)
        else:
            headers, torch = self._work / "include" / "gpuwheel", self._state["torch"]
            write_project(contestant.layout, self.sample, headers, tree, torch=torch, nvcc=contestant.gpuwheel)
        return tree

    @property
    def _gpuwheel_wheel(self) -> Path:
        (wheel,) = (self._work / "gpuwheel").glob("*.whl")
        return wheel

    def _python(self, contestant: Contestant) -> Path:
        return self._work / "environments" / contestant.environment / "bin" / "python"

    def _pip(self, contestant: Contestant, *arguments: str) -> list[str]:
        """pip, the same one for all, at work in the developer's environment."""
        return [sys.executable, "-m", "pip", "--python", str(self._python(contestant)), *arguments]

    def _caches(self, contestant: Contestant) -> Path:
        return self._work / "caches" / contestant.name

    def _environment(self, contestant: Contestant) -> dict[str, str]:
        """As on a machine that was never set up for anything."""
        kept = {k: v for k, v in os.environ.items() if k in _KEPT_PIP or not k.startswith(_DROPPED)}
        return {
            **kept,
            "PATH": f"{self._python(contestant).parent}{os.pathsep}{os.environ['PATH']}",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_CACHE_DIR": str(self._caches(contestant) / "pip"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "GPUWHEEL_CACHE_DIR": str(self._caches(contestant) / "gpuwheel"),
            "TMPDIR": str(self._work / "tmp"),
            "BENCH_BACKEND": contestant.backend,
        }

    def _unpacked(self, wheel: Path) -> Path:
        folder = self._work / "tmp" / "unpacked"
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        return folder

    def _stripped(self, wheel: Path) -> int:
        """Bytes of the wheel with its libraries stripped, packed again."""
        folder = self._unpacked(wheel)
        for library in folder.rglob("*.so"):
            run(["strip", "--strip-unneeded", library])
        packed = self._work / "tmp" / wheel.name
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        return packed.stat().st_size

    def _registered(self, wheel: Path) -> int:
        """Kernels that the wheel registers with torch, for CPU and for CUDA; each operator must have both."""
        torch = self._work / "environments" / "torch" / "bin" / "python"
        if not torch.exists():
            return 0
        (library,) = self._unpacked(wheel).rglob("*.so")
        completed = run(
            [torch, str(HERE / "registered_kernels.py"), library],
            cwd=self._work,
        )
        return int(completed.stdout.splitlines()[-1])
