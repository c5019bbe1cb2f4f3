"""What an image costs from nothing and after a one-line change: `gpuwheel image` against podman, in one run.

python ci/bench/images.py --wheels FOLDER      # prints, and writes ci/bench/results/images-DATE.json
python ci/bench/images.py --wheels FOLDER --no-result

FOLDER holds the dependencies, such as those of `pip download torch==2.13.0`; the project is made here, with 200 kB of
kernels. Three make the image of the same wheels and push it to a docker-registry on this machine:

- gpuwheel: `gpuwheel image --push`;
- containerfile: `podman build` and `podman push` of what `gpuwheel image --containerfile` writes;
- one layer: the same of `pip install .` as people write it, in one RUN.

Each starts with nothing: no cache, no storage, no image in the registry. Then one line of the project changes, and each
makes and pushes again, with all that it kept. A machine that has the first image pulls the second, by podman.
Bytes are those that went through a proxy. It needs podman, runc and docker-registry.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from machine import describe

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from machine_base import container_environment, machine_base  # noqa: E402 (of the tests)
from registries import HoldingProxy, docker_registry  # noqa: E402
from tiny_images import TinyWheel  # noqa: E402

from gpuwheel._run import run  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CODE = b"".join(number.to_bytes(4, "little") for number in range(0, 200_000_000, 4_000))
_ONE_LAYER = """\
FROM {base}
COPY . /src
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-index --no-deps /src/*.whl
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
"""


@dataclass(frozen=True)
class Cost:
    """Of one who makes an image."""

    who: str
    from_nothing: float
    """Seconds, to make and push."""
    pushed: int
    """Bytes to the registry."""
    changed: float
    """Seconds, to make and push after a one-line change."""
    changed_pushed: int
    changed_pulled: int
    """Bytes to a machine that has the image before the change."""


class Bench:
    """The base, the wheels, and places to work in."""

    def __init__(self, work: Path, dependencies: Path) -> None:
        """Make the base of files of this machine."""
        self.work, self.dependencies = work, sorted(dependencies.glob("*.whl"))
        self.base = machine_base(work / "base")

    def wheels(self, answer: int) -> list[Path]:
        """All wheels, with a project of which one line says `answer`."""
        files = {"ops/__init__.py": f"ANSWER = {answer}\n".encode(), "ops/kernels.bin": _CODE}
        return [*self.dependencies, TinyWheel(files=files).write(self.work / f"project{answer}")]

    def podman(self, name: str) -> Callable[..., str]:
        """Podman with a storage of its own."""
        environment = container_environment(self.work / name)

        def call(*words: object) -> str:
            return run(["podman", *map(str, words)], env=environment).stdout

        return call

    def measure(self, who: str, make: Callable[[list[Path], str], None]) -> Cost:
        """From nothing, after a change, and pulled."""
        with docker_registry(self.work / f"registry-{who}") as host:
            seconds, bytes_ = [], []
            # One for both: podman remembers by host and port what a registry has.
            proxy = HoldingProxy(host, upload=True)
            for answer in (1, 2):
                start, passed = time.perf_counter(), proxy.passed
                make(self.wheels(answer), f"{proxy.host}/team/ops:{answer}")
                seconds.append(round(time.perf_counter() - start, 2))
                bytes_.append(proxy.passed - passed)
                print(f"  {who}: {seconds[-1]} s, {bytes_[-1]:,} bytes pushed")
            other, pulls = self.podman(f"other-{who}"), HoldingProxy(host, upload=False)
            before = 0
            for answer in (1, 2):
                before = pulls.passed
                other(
                    "pull", "-q", "--tls-verify=false", *self._policy(f"other-{who}"), f"{pulls.host}/team/ops:{answer}"
                )
            said = other("run", "--rm", f"{pulls.host}/team/ops:2", "python", "-c", "import ops; print(ops.ANSWER)")
            if said != "2\n":
                msg = f"the image of {who} answers {said!r}"
                raise AssertionError(msg)
            other("system", "reset", "--force")
            return Cost(who, seconds[0], bytes_[0], seconds[1], bytes_[1], pulls.passed - before)

    def _policy(self, name: str) -> list[str | Path]:
        return ["--signature-policy", self.work / name / "policy.json"]

    def _image(self, wheels: list[Path], environ: Mapping[str, str], *what: str | Path) -> None:
        words = ["image", "--base", self.base, "--no-deps-check", "--project", "ops", *what]
        run([sys.executable, "-m", "gpuwheel", *words, *wheels], env=environ)

    def gpuwheel(self, environ: Mapping[str, str]) -> Callable[[list[Path], str], None]:
        """`gpuwheel image --push`."""

        def make(wheels: list[Path], name: str) -> None:
            self._image(wheels, environ, "--push", name)

        return make

    def built(self, who: str, prepare: Callable[[list[Path], Path], None]) -> Callable[[list[Path], str], None]:
        """`podman build` and `podman push` of a folder that `prepare` writes."""
        podman = self.podman(who)

        def make(wheels: list[Path], name: str) -> None:
            folder = self.work / f"context-{who}"
            prepare(wheels, folder)
            policy = self._policy(who)
            podman("build", "-q", "--layers", *policy, "-t", name, folder)
            podman("push", "-q", "--tls-verify=false", *policy, name)

        return make

    def containerfile(self, environ: Mapping[str, str]) -> Callable[[list[Path], Path], None]:
        """What `gpuwheel image --containerfile` writes."""

        def prepare(wheels: list[Path], folder: Path) -> None:
            self._image(wheels, environ, "--containerfile", folder)

        return prepare

    def one_layer(self, wheels: list[Path], folder: Path) -> None:
        """`pip install .`, as people write it."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for wheel in wheels:
            os.link(wheel, folder / wheel.name)
        (folder / "Containerfile").write_text(_ONE_LAYER.format(base=self.base))


def measure(work: Path, dependencies: Path) -> list[Cost]:
    """All three."""
    bench = Bench(work, dependencies)
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(work / "cache")}
    return [
        bench.measure("gpuwheel", bench.gpuwheel(environ)),
        bench.measure("containerfile", bench.built("containerfile", bench.containerfile(environ))),
        bench.measure("one-layer", bench.built("one-layer", bench.one_layer)),
    ]


def main() -> int:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description="measure gpuwheel image against podman")
    parser.add_argument("--wheels", type=Path, required=True, help="a folder with the dependencies")
    parser.add_argument("--no-result", action="store_true", help="write no file")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="images-"))
    try:
        costs = measure(work, options.wheels.resolve())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    ours, theirs, one_layer = costs
    ratios = {
        "from nothing, times the seconds": round(theirs.from_nothing / ours.from_nothing, 1),
        "after a change, times fewer bytes pulled than one layer": round(
            one_layer.changed_pulled / ours.changed_pulled, 1
        ),
        "after a change, bytes pulled over those of the Containerfile": round(
            ours.changed_pulled / theirs.changed_pulled, 3
        ),
    }
    day = datetime.now(timezone.utc).date().isoformat()
    document = {
        "date": day,
        "machine": describe(),
        "load": os.getloadavg()[0],
        "wheels": {wheel.name: wheel.stat().st_size for wheel in sorted(options.wheels.glob("*.whl"))},
        "costs": [asdict(cost) for cost in costs],
        "ratios": ratios,
    }
    print(json.dumps(document, indent=2))
    if not options.no_result:
        path = ROOT / "ci" / "bench" / "results" / f"images-{day}.json"
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
