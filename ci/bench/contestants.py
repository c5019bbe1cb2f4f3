"""What is measured: the projects, their environments, and the commands a developer gives."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layouts import BUILD_REQUIRES, LAYOUTS, Layout, Sample, edit_kernel, write_gpuwheel_project, write_project
from measure import disk_bytes, measure

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CONTESTANTS", "Bench", "Contestant"]

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
    backend: str
    layout: Layout | None
    """Of torch.utils.cpp_extension; None: gpuwheel."""
    cold: bool = True
    """Whether its environment is its own: `split` is built in that of `stable`."""


CONTESTANTS = (
    Contestant("gpuwheel", "gpuwheel", "gpuwheel.backend", None),
    *(
        Contestant(layout.name, f"cpp_extension, {layout.title}", "setuptools.build_meta", layout, layout.name != "split")
        for layout in LAYOUTS
    ),
)


class Bench:
    """A work folder with what is finished in it."""

    def __init__(self, work: Path, root: Path, sample: Sample, state: dict[str, Any]) -> None:
        self._work = work
        self._root = root
        self._sample = sample
        self._state = state

    @classmethod
    def open(cls, work: Path, root: Path, sample: Sample) -> Bench:
        """Go on in a work folder, or begin one.

        Raises:
            SystemExit: it holds measurements of other sources.
        """
        digest = hashlib.sha256()
        for path in (*sample.headers, *sample.host_sources, *sample.device_sources):
            digest.update(path.read_bytes())
        sources = digest.hexdigest()
        file = work / "state.json"
        state = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if state.setdefault("sources", sources) != sources:
            message = f"{work} holds measurements of other sources: give another --work, or --fresh to drop them"
            raise SystemExit(message)
        state.setdefault("measurements", {})
        for folder in ("tmp", "logs"):
            (work / folder).mkdir(parents=True, exist_ok=True)
        return cls(work, root, sample, state)

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
        temporary = self._work / "state.json.new"
        temporary.write_text(json.dumps(self._state, indent=2), encoding="utf-8")
        temporary.replace(self._work / "state.json")
        shown = {key: round(value, 2) if isinstance(value, float) else value for key, value in done[scenario].items()}
        print(f"    {shown}", flush=True)

    # ---- scenarios

    def cold(self, contestant: Contestant) -> dict[str, Any]:
        """`pip wheel` in isolation with empty caches."""
        project = self._project(contestant, "cold")
        for cache in (self._caches(contestant), self._work / "tmp"):
            shutil.rmtree(cache, ignore_errors=True)
            cache.mkdir(parents=True)
        links, provided = [], 0
        if contestant.layout is None:  # not on the index yet: its own bytes are added to what is counted
            links = ["--find-links", str(self._gpuwheel_wheel.parent)]
            provided = self._gpuwheel_wheel.stat().st_size
        figures = self._build(contestant, "cold", [*links, str(project)], {})
        figures["downloaded"] += provided
        if contestant.layout is None:
            figures["environment_bytes"] += disk_bytes(self._caches(contestant) / "gpuwheel")
        return figures

    def install(self, contestant: Contestant) -> dict[str, Any]:
        """The environment in which a developer works."""
        python = self._python(contestant)
        if contestant.name in {"stable", "split"} and python.exists():
            return {"shared_with": "classic"}
        shutil.rmtree(python.parent.parent, ignore_errors=True)
        run([sys.executable, "-m", "venv", "--without-pip", str(python.parent.parent)])
        if contestant.layout is not None:
            return self._pip_install(contestant, list(BUILD_REQUIRES))
        self._pip_install(contestant, [str(self._gpuwheel_wheel)])
        asked = run(
            [python, "-c", "import json, gpuwheel.backend as b; print(json.dumps(b.get_requires_for_build_wheel()))"],
            cwd=self._project(contestant, "warm"),
            env=self._environment(contestant),
        )
        return self._pip_install(contestant, json.loads(asked.stdout.splitlines()[-1]))

    def warm(self, contestant: Contestant) -> dict[str, Any]:
        """A clean build in the developer's environment.

        For cpp_extension the device code is packed by nvcc's size mode: the wheel's size for free.
        """
        self._project(contestant, "warm")
        return self.again(contestant, "warm")

    def again(self, contestant: Contestant, scenario: str) -> dict[str, Any]:
        """The same command in the same tree."""
        arguments = ["--no-build-isolation", str(self._work / "trees" / f"{contestant.name}-warm")]
        if contestant.layout is None:
            return self._build(contestant, scenario, ["-C", "build-dir=build", *arguments], {})
        return self._build(contestant, scenario, arguments, _SIZE_MODE)

    def changed(self, contestant: Contestant) -> dict[str, Any]:
        """The same command after one line of one kernel changed."""
        edit_kernel(self._work / "trees" / f"{contestant.name}-warm", self._sample.operators[0])
        return self.again(contestant, "one line")

    def wheels(self, contestant: Contestant) -> dict[str, Any]:
        """Bytes of the wheels, as built and with the libraries stripped; how many operators they register."""
        figures: dict[str, Any] = {}
        built = {"default": "cold" if contestant.cold else "", "size mode": "" if contestant.layout is None else "warm"}
        for kind, scenario in built.items():
            if scenario:
                (wheel,) = (self._work / "wheels" / f"{contestant.name}-{scenario}").glob("*.whl")
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

    def _build(self, contestant: Contestant, scenario: str, arguments: list[str], more: dict[str, str]) -> dict[str, Any]:
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
        tree.parent.mkdir(exist_ok=True)
        if contestant.layout is None:
            write_gpuwheel_project(self._sample, tree)
        else:
            write_project(contestant.layout, self._sample, self._root / "gpuwheel", tree)
        return tree

    @property
    def _gpuwheel_wheel(self) -> Path:
        """gpuwheel's own wheel, built once."""
        folder = self._work / "gpuwheel"
        if not list(folder.glob("*.whl")):
            run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(self._root)])
        (wheel,) = folder.glob("*.whl")
        return wheel

    def _python(self, contestant: Contestant) -> Path:
        return self._work / "environments" / ("gpuwheel" if contestant.layout is None else "torch") / "bin" / "python"

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
        completed = run(
            [torch, str(HERE / "registered_kernels.py")],
            cwd=self._work,
            env={**os.environ, "PYTHONPATH": str(self._unpacked(wheel))},
        )
        return int(completed.stdout.splitlines()[-1])
