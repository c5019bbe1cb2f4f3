"""Edit projects at random and build each edit twice: with a cache that is kept, and with an empty one.

Both have to give the same bytes every time. The projects (`worlds.py`) are a slice of the sample, a small one of mode
`embed` and two of mode `nvcc`, which take a copy of a CUDA toolkit; one of each mode under the variables of an
activated conda environment and with link-flags. "Empty" is without images, objects and libraries; downloads stay.

Edits are values of one knob: a source, a header that a header includes, a header of the toolkit, a flag, a variable, an
export, an object that is linked, a file that an option or the assembler names, a header that appears and shadows
another. Some are made in another way: while the compilers run, with the size and time of the file as they were, as a
return to an earlier state, by moving the project, or by damaging a file of the kept cache.

A run can be interrupted; the same command goes on. Results are dated, with seed and commit.

  python ci/reuse/random_edits.py                     # 300 edits, an hour or two of two cores; writes ci/reuse/results
  python ci/reuse/random_edits.py --edits 12 --no-result
  python ci/reuse/random_edits.py --seed 7 --world nvcc
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tally import Held, held
from worlds import WORLDS, Knobs, World

from gpuwheel._cache import Cache
from gpuwheel._files import atomic_file
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.nvcc_wheels import find_nvcc_wheels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results"
PASSED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
COMPILED = ("images", "libraries", "builds", "tmp", "index")
TOOLKIT = "13.0"
FROM_CACHE = 0.9
"""Of the objects whose clean bytes an edit leaves as they are."""
CHANGING = 0.5
"""Least share of edits that change the wheel."""
SHARES_FROM = 40
"""So many edits, before shares mean something."""
DURING = (0.2, 6.0)  # seconds after a build began
HALF = 0.5
YOUNG = 2.1  # seconds: what changed just before a build is not kept by it
APPEARING = {"shadow", "optional", "toolkit", "link", "prefix", "table", "moved"}
KINDS = {"knob": 14, "same time": 2, "revert": 4, "during": 3, "damage": 2}


@dataclass
class Edit:
    """One edit, and what the two builds of it said."""

    number: int
    world: str
    kind: str
    what: str
    equal: bool = True
    changed: bool = False
    refused: bool = False
    """Both builds ended with the same exit code other than 0."""
    objects: int = 0
    """Whose clean bytes are as before the edit."""
    reused: int = 0
    unkept: int = 0
    """Objects of which the clean build kept nothing, for it could not tell what they were made from."""
    seconds: float = 0.0
    problem: str = ""


@dataclass
class Progress:
    """Everything that a later run needs to go on; a JSON file."""

    seed: int
    commit: str
    edits: list[Edit] = field(default_factory=list)
    knobs: dict[str, Knobs] = field(default_factory=dict)
    history: dict[str, list[Knobs]] = field(default_factory=dict)
    objects: dict[str, dict[str, int]] = field(default_factory=dict)
    """World -> contents of its last clean build, and how often each was in it."""
    most: dict[str, int] = field(default_factory=dict)
    """World -> how many objects some clean build of it kept."""
    wheels: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, seed: int | None) -> Progress:
        """What an earlier run of the same code wrote that was interrupted, or the beginning."""
        commit = run(["git", "rev-parse", "HEAD"], cwd=ROOT).stdout.strip()
        document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if document.get("commit") != commit or seed not in {None, document["seed"]}:
            return cls(int(time.time()) if seed is None else seed, commit)
        return cls(**{**document, "edits": [Edit(**edit) for edit in document["edits"]]})

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        with atomic_file(path) as file:
            file.write(json.dumps(asdict(self)).encode())


@dataclass(frozen=True)
class Built:
    """How a build ended."""

    code: int
    wheel: bytes
    output: str


class Harness:
    """Projects, two caches, and the numbers that decide what happens next."""

    def __init__(self, work: Path, seed: int | None, worlds: Sequence[str]) -> None:
        self.work = work
        self.kept, self.clean = work / "kept", work / "clean"
        self._state = work / "progress.json"
        self.progress = Progress.read(self._state, seed)
        self._worlds = [WORLDS[name] for name in worlds]

    def prepare(self) -> None:
        """The copy of a toolkit, and both caches with what they download."""
        ready = self.work / "ready"
        names = {world.name for world in self._worlds}
        if ready.is_file() and names <= set(ready.read_text(encoding="utf-8").splitlines()):
            return
        seed = Path(os.environ.get("GPUWHEEL_CACHE_DIR") or self.work / "downloads")
        if any(world.toolkit for world in self._worlds):
            context = Context(Cache(seed), dict(os.environ), SilentReporter())
            (toolkit,) = (row for version, row in load_tables().cuda.items() if str(version) == TOOLKIT)
            found = find_nvcc_wheels(toolkit, context=context)
            for copy in (world.toolkit_in(self.work) for world in self._worlds if world.toolkit):
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(found.root, copy, symlinks=True)
            shutil.copy(found.root / "include" / "vector_types.h", self.work / "vector_types.h")
        for world in self._worlds:
            built = self._build(world, world.defaults(), seed, lay_out=True)
            if built.code != 0:
                sys.exit(f"{world.name} does not build, unedited:\n{built.output}")
        for cache in (self.kept, self.clean):
            shutil.rmtree(cache, ignore_errors=True)
            for kind in ("sdk", "toolchains"):
                shutil.copytree(seed / "v1" / kind, cache / "v1" / kind, symlinks=True, ignore=_larger_toolchains)
        ready.write_text("\n".join(names), encoding="utf-8")

    def finish(self) -> None:
        """Let the next run begin anew."""
        self._state.unlink()

    def step(self) -> Edit:
        """One edit."""
        number = len(self.progress.edits)
        chance = random.Random(f"{self.progress.seed} {number}")  # noqa: S311 (to be repeated, not to be secret)
        world = chance.choices(self._worlds, [world.weight for world in self._worlds])[0]
        if number < len(self._worlds):
            world = self._worlds[number]
        knobs = self.progress.knobs.setdefault(world.name, world.defaults())
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0] if number >= len(self._worlds) else "first"
        started = time.monotonic()
        edit, wanted = self._edited(number, world, knobs, kind, chance)
        self._compare(edit, world, knobs, wanted, chance)
        edit.seconds = round(time.monotonic() - started, 1)
        self.progress.edits.append(edit)
        self.progress.write(self._state)
        return edit

    def _edited(self, number: int, world: World, knobs: Knobs, kind: str, chance: random.Random) -> tuple[Edit, Knobs]:
        history = self.progress.history.setdefault(world.name, [])
        if kind == "first":
            return Edit(number, world.name, kind, "nothing"), knobs
        if kind == "damage":
            files = [path for path in self.kept.glob("v1/*/**/*") if path.is_file() and not path.is_symlink()]
            files = sorted(path for path in files if 0 < path.stat().st_size < 1 << 20 and path.suffix != ".lock")
            path = chance.choice(
                [path for path in files if path.relative_to(self.kept).parts[1] in COMPILED[:2]] + files
            )
            _damage(path, chance)
            return Edit(number, world.name, kind, path.relative_to(self.kept).as_posix()), knobs
        if kind == "revert" and history:
            return Edit(number, world.name, kind, "an earlier state"), dict(chance.choice(history[-8:]))
        movable = [*world.knobs, "moved"] if not (world.linked or world.toolkit) else list(world.knobs)
        of_files = [
            name for name in world.knobs if name not in {"epoch", "environment", "optimisation", "flag", "link"}
        ]
        knob = chance.choice(of_files if kind in {"during", "same time"} else movable)
        return Edit(number, world.name, kind, knob), {**knobs, knob: _other_value(knob, knobs[knob], chance)}

    def _compare(self, edit: Edit, world: World, knobs: Knobs, wanted: Knobs, chance: random.Random) -> None:
        if edit.kind == "during":
            wanted = self._build_while_editing(edit, world, knobs, wanted, chance)
        self._lay_out(world, wanted, keep_time=edit.kind == "same time")
        if edit.what in APPEARING or edit.kind in {"during", "revert"}:
            time.sleep(YOUNG)
        before = held(self.kept)
        for kind in COMPILED:
            shutil.rmtree(self.clean / "v1" / kind, ignore_errors=True)
        with ThreadPoolExecutor(2) as pool:
            kept, clean = pool.map(lambda cache: self._build(world, wanted, cache), (self.kept, self.clean))
        made = held(self.kept).made_since(before)
        edit.equal = (kept.code, kept.wheel) == (clean.code, clean.wheel)
        edit.refused = kept.code != 0
        if not edit.equal or edit.refused:
            edit.problem = "\n".join([*kept.output.splitlines()[-12:], "----", *clean.output.splitlines()[-12:]])
        if edit.refused:  # such an edit is none
            self._lay_out(world, knobs)
            return
        self._count(edit, world, held(self.clean), made)
        edit.changed = self.progress.wheels.get(world.name) != _digest(clean.wheel)
        self.progress.wheels[world.name] = _digest(clean.wheel)
        self.progress.history[world.name].append(knobs)
        self.progress.knobs[world.name] = wanted

    def _count(self, edit: Edit, world: World, clean: Held, made: Mapping[str, int]) -> None:
        """How many objects are as they were, and how many of those were not made again."""
        before = self.progress.objects.get(world.name, {})
        for content, count in clean.objects.items():
            same = min(count, before.get(content, 0))
            edit.objects += same
            edit.reused += same - min(same, made.get(content, 0))
        count = sum(clean.objects.values())
        most = self.progress.most[world.name] = max(count, self.progress.most.get(world.name, 0))
        edit.unkept = most - count
        self.progress.objects[world.name] = dict(clean.objects)

    def _build_while_editing(
        self, edit: Edit, world: World, knobs: Knobs, after: Knobs, chance: random.Random
    ) -> Knobs:
        """A build whose bytes nobody asks for: what it keeps must not be taken for something else later.

        It compiles one new value, and finds another one at some time. What is compared is one of the two.
        """
        before = {**knobs, edit.what: knobs[edit.what] + (0 if edit.what == "export" else 500)}
        self._lay_out(world, before)
        timer = threading.Timer(chance.uniform(*DURING), self._lay_out, (world, after))
        timer.start()
        self._build(world, after, self.kept)
        timer.join()
        return chance.choice([before, after])

    def _root(self, world: World, knobs: Knobs) -> Path:
        return self.work / f"projects-{knobs['moved'] % 2}" / world.name.replace(" ", "-")

    def _lay_out(self, world: World, knobs: Knobs, *, keep_time: bool = False) -> None:
        root, other = self._root(world, knobs), self._root(world, {**knobs, "moved": knobs["moved"] + 1})
        root.parent.mkdir(parents=True, exist_ok=True)
        if other.is_dir():
            shutil.rmtree(root, ignore_errors=True)
            other.rename(root)
        root.mkdir(exist_ok=True)
        world.lay_out(knobs, root, self.work, keep_time=keep_time)

    def _build(self, world: World, knobs: Knobs, cache: Path, *, lay_out: bool = False) -> Built:
        if lay_out:
            self._lay_out(world, knobs)
        with tempfile.TemporaryDirectory(dir=self.work) as out:
            code = f"from gpuwheel import backend; backend.build_wheel({out!r})"
            environ = {name: os.environ[name] for name in PASSED if name in os.environ}
            environ |= {"MAX_JOBS": "1", "GPUWHEEL_CACHE_DIR": str(cache), **world.environ(knobs, self.work)}
            done = run([sys.executable, "-c", code], cwd=self._root(world, knobs), env=environ, check=False)
            wheels = list(Path(out).glob("*.whl"))
            return Built(done.returncode, wheels[0].read_bytes() if wheels else b"", done.output)


def _larger_toolchains(folder: str, names: list[str]) -> list[str]:
    """Toolkits with nvcc stay where they are: projects take the copy."""
    return [name for name in names if any(Path(folder, name).glob("nvidia/cu*/bin/nvcc"))]


def _other_value(knob: str, value: int, chance: random.Random) -> int:
    if knob in {"shadow", "optional"}:  # appears, changes, disappears
        return 0 if value and chance.random() < HALF else value + 1
    if knob == "export":
        return chance.choice([number for number in (0, 2, 4, 6) if number != value])
    return value + 1


def _damage(path: Path, chance: random.Random) -> None:
    """A file cut short, or with one byte changed and its old time."""
    times, data = path.stat(), path.read_bytes()
    place = chance.randrange(len(data))
    path.write_bytes(
        data[:place] if chance.random() < HALF else data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    )
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _summary(progress: Progress) -> dict[str, object]:
    edits = [edit for edit in progress.edits if edit.kind != "first"]
    built = [edit for edit in edits if not edit.refused]
    objects, reused = sum(edit.objects for edit in built), sum(edit.reused for edit in built)
    by_kind: dict[str, int] = {}
    for edit in edits:
        name = edit.what if edit.kind == "knob" else edit.kind
        by_kind[name] = by_kind.get(name, 0) + 1
    worlds = {edit.world for edit in edits}
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "commit": progress.commit,
        "seed": progress.seed,
        "edits": len(edits),
        "unequal": sum(not edit.equal for edit in edits),
        "refused": sum(edit.refused for edit in edits),
        "changed": sum(edit.changed for edit in built),
        "objects": objects,
        "reused": reused,
        "unkept": sum(edit.unkept for edit in built),
        "share": round(reused / objects, 4) if objects else None,
        "share_by_world": {
            world: round(
                sum(edit.reused for edit in built if edit.world == world)
                / max(1, sum(edit.objects for edit in built if edit.world == world)),
                4,
            )
            for world in sorted(worlds)
        },
        "by_kind": dict(sorted(by_kind.items())),
        "seconds": round(sum(edit.seconds for edit in progress.edits)),
        "cores": len(os.sched_getaffinity(0)),
        "failures": [asdict(edit) for edit in edits if not edit.equal or edit.refused],
        "misses": [
            f"{edit.number} {edit.world}: {edit.kind} {edit.what}: {edit.reused} of {edit.objects}"
            for edit in built
            if edit.reused < edit.objects
        ],
    }


def _verdict(summary: dict[str, object]) -> list[str]:
    """What is not as it has to be."""
    edits, changed, share = summary["edits"], summary["changed"], summary["share"]
    found = []
    if summary["unequal"]:
        found.append(f"{summary['unequal']} edits gave other bytes with the kept cache than with an empty one")
    if isinstance(edits, int) and edits >= SHARES_FROM:
        if isinstance(changed, int) and changed < CHANGING * edits:
            found.append(f"only {changed} of {edits} edits changed the wheel")
        if not isinstance(share, float) or share < FROM_CACHE:
            found.append(f"only {share} of the objects that stayed as they were came from the cache")
    return found


def main(argv: list[str] | None = None) -> int:
    """Make the edits that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--seed", type=int, help="of the random edits; another one each time unless stated")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "gpuwheel-reuse")
    parser.add_argument("--world", action="append", choices=list(WORLDS), help="of these alone")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long, with what there is")
    parser.add_argument("--no-result", action="store_true", help="write no file")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    harness = Harness(options.work.resolve(), options.seed, options.world or list(WORLDS))
    print(f"seed {harness.progress.seed}, in {harness.work}", flush=True)
    harness.prepare()
    end = time.monotonic() + 60 * options.minutes
    while len(harness.progress.edits) < options.edits + len(options.world or WORLDS) and time.monotonic() < end:
        edit = harness.step()
        state = "REFUSED" if edit.refused else "equal" if edit.equal else "OTHER BYTES"
        change = "changed" if edit.changed else "same"
        print(
            f"{edit.number:4} {edit.seconds:6.1f} s  {edit.world:18} {edit.kind:9} {edit.what:16} {state}, {change}, "
            f"{edit.reused} of {edit.objects} objects from the cache, {edit.unkept} not kept",
            flush=True,
        )
        if edit.problem:
            print("\n".join(f"        {line}" for line in edit.problem.splitlines()), flush=True)
    summary = _summary(harness.progress)
    harness.finish()
    print(json.dumps(summary, indent=2))
    if not options.no_result:
        RESULTS.mkdir(exist_ok=True)
        name = f"{datetime.now(timezone.utc):%Y-%m-%d}-{harness.progress.seed}.json"
        (RESULTS / name).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    found = _verdict(summary)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
