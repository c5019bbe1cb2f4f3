"""One wheel file of the sample under every pair of torch and Python that exists; the table goes into the docs.

python ci/matrix.py                              # every pair; an interrupted run goes on where it was
python ci/matrix.py --torch 2.15 --python 3.11   # some pairs
python ci/matrix.py --write                      # and write docs/reference/tested.md

Each pair gets its own environment: that torch, stubs of NVIDIA's libraries where it is a CUDA build, and the wheel.
Every operator runs there, forward and backward, against float64. The environment is removed afterwards (`--keep`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel._files import atomic_file
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import GpuwheelError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from interpreters import find_interpreter  # noqa: E402  (shared with the tests, which are no package)
from torch_environments import environment_with, layer_on  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.compatibility.rows import TorchBuild

PAGE = ROOT / "docs" / "reference" / "tested.md"
SMOKE = ROOT / "tests" / "build" / "everywhere" / "smoke.py"
WORK = ROOT / "build" / "matrix"
NO_WHEEL, NO_INTERPRETER = "no wheel", "no interpreter"


@dataclass(frozen=True)
class Cell:
    """What one pair of torch and Python gave."""

    torch: str
    """The release."""
    python: str
    """For example "3.14t" (free-threaded)."""
    outcome: str
    """"ok", "no wheel" (torch has none for this Python), "no interpreter" or "failed"."""
    operators: int = 0
    import_seconds: float = 0.0
    """Of the sample's package, after torch."""
    detail: str = ""


class State:
    """The cells known so far, in a file: what a wheel gave is not asked again."""

    def __init__(self, path: Path, wheel: Path) -> None:
        self._path = path
        self._digest = sha256(wheel.read_bytes()).hexdigest()
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        cells = stored["cells"] if stored.get("wheel") == self._digest else []
        self._cells = {(cell["torch"], cell["python"]): Cell(**cell) for cell in cells}

    def cell(self, torch: str, python: str) -> Cell | None:
        """What is known of a pair and holds on: a failure or a missing interpreter is tried again."""
        cell = self._cells.get((torch, python))
        return cell if cell and cell.outcome in {"ok", NO_WHEEL} else None

    def add(self, cell: Cell) -> None:
        """Keep a cell, atomically."""
        self._cells[cell.torch, cell.python] = cell
        text = json.dumps({"wheel": self._digest, "cells": [asdict(c) for c in self._cells.values()]}, indent=1)
        with atomic_file(self._path) as file:
            file.write(text.encode())


def torch_rows() -> list[TorchBuild]:
    """The torch builds from the floor of the stable ABI on."""
    tables = load_tables()
    return [row for version, row in sorted(tables.torch.items()) if version >= tables.torch_floor]


def pythons(rows: Sequence[TorchBuild]) -> list[str]:
    """Every Python that one of them has a wheel for, from 3.10 on."""
    found = {python for row in rows for python in row.pythons if _order(python) >= _order("3.10")}
    return sorted(found, key=_order)


def _order(python: str) -> tuple[Version, str]:
    return Version(python.rstrip("t")), python


def build_wheel() -> Path:
    """Build gpuwheel's wheel, and with it, in isolation, the sample's."""
    out = WORK / "dist"
    shutil.rmtree(out, ignore_errors=True)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out]
    run([*pip, ROOT])
    find_links = f"{os.environ.get('PIP_FIND_LINKS', '')} {out}".strip()
    run([*pip, ROOT / "sample_extension"], env={**os.environ, "PIP_FIND_LINKS": find_links})
    (wheel,) = out.glob("gpuwheel_sample-*.whl")
    return wheel


def test(row: TorchBuild, python: str, wheel: Path, *, keep: bool) -> Cell:
    """Make the environment of a pair and run every operator in it."""
    if python not in row.pythons:
        return Cell(row.release, python, NO_WHEEL)
    interpreter = find_interpreter(python)
    if interpreter is None:
        return Cell(row.release, python, NO_INTERPRETER)
    folder = WORK / f"torch-{row.release}-{python}"
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
    folder.mkdir(parents=True)
    # uv's cache beside the environment: on one file system it links instead of copying, and goes with it.
    environ = {**os.environ, "GPUWHEEL_TEST_ENVIRONMENTS": str(folder), "UV_CACHE_DIR": str(folder / "uv-cache")}
    try:
        layer = layer_on(environment_with(row.release, python, interpreter, environ), folder)
        layer.install("--no-deps", wheel)
        said = json.loads(layer.run(SMOKE, cwd=folder).stdout)
    except (GpuwheelError, ProcessFailedError) as error:
        return Cell(row.release, python, "failed", detail=error.render())
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return Cell(row.release, python, "ok", len(said["operators"]), said["import_seconds"])


def page(cells: Sequence[Cell], rows: Sequence[TorchBuild], wheel: Path) -> str:
    """The page of the reference that shows the table."""
    by_pair = {(cell.torch, cell.python): cell for cell in cells}
    columns = pythons(rows)
    tried = [cell for cell in cells if cell.outcome == "ok"]
    lines = [
        "<!-- Written by ci/matrix.py --write (nox -s matrix). -->",
        "",
        "# Tested pairs",
        "",
        "One file of `sample_extension`, installed beside each release of torch under each Python. *ok*: every",
        "operator ran there on the CPU, forward and backward, and agreed with float64. The releases are those of the",
        "package index, built with the CUDA of the second column; their NVIDIA libraries were stubs, and there was no",
        "GPU. *no interpreter*: torch has a wheel for that Python, and the machine of this run had no such Python.",
        "",
        "| torch | CUDA | " + " | ".join(columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for row in rows:
        outcomes = (by_pair[row.release, python].outcome for python in columns)
        lines.append(f"| {row.release} | {row.cuda} | " + " | ".join(outcomes) + " |")
    operators = {cell.operators for cell in tried}
    slowest = max((cell.import_seconds for cell in tried), default=0.0)
    fastest = min((cell.import_seconds for cell in tried), default=0.0)
    lines += [
        "",
        f"- file: `{wheel.name}`, {wheel.stat().st_size:,} bytes, sha256 `{sha256(wheel.read_bytes()).hexdigest()}`",
        f"- operators: {', '.join(map(str, sorted(operators)))}",
        f"- import of the package, after torch: {fastest:.2f} to {slowest:.2f} s",
        f"- run: {datetime.now(timezone.utc):%Y-%m-%d}, by `nox -s matrix`",
        "",
    ]
    return "\n".join(lines)


def chosen(rows: Sequence[TorchBuild], options: argparse.Namespace) -> Iterator[tuple[TorchBuild, str]]:
    """The pairs to look at."""
    for row in rows:
        for python in pythons(rows):
            if (not options.torch or str(row.version) in options.torch) and (
                not options.python or python in options.python
            ):
                yield row, python


def main(argv: list[str] | None = None) -> int:
    """Go through the pairs; 1 if one failed."""
    parser = argparse.ArgumentParser(description="one wheel under every pair of torch and Python")
    parser.add_argument("--torch", action="append", metavar="X.Y", help="only this torch (repeatable)")
    parser.add_argument("--python", action="append", metavar="X.Y", help="only this Python (repeatable)")
    parser.add_argument("--wheel", type=Path, help="the file to test (default: build it)")
    parser.add_argument("--keep", action="store_true", help="keep the environments (1 to 2 GB each)")
    parser.add_argument("--json", action="store_true", help="print the cells as JSON")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}; needs every pair")
    options = parser.parse_args(argv)
    WORK.mkdir(parents=True, exist_ok=True)
    wheel = options.wheel or build_wheel()
    state = State(WORK / "state.json", wheel)
    rows = torch_rows()
    cells = []
    for row, python in chosen(rows, options):
        cell = state.cell(row.release, python)
        started = time.monotonic()
        if cell is None:
            cell = test(row, python, wheel, keep=options.keep)
            state.add(cell)
        cells.append(cell)
        seconds = time.monotonic() - started
        print(f"torch {cell.torch} python {cell.python}: {cell.outcome} ({seconds:.0f} s)", file=sys.stderr, flush=True)
        if cell.detail:
            print(cell.detail, file=sys.stderr)
    if options.json:
        print(json.dumps([asdict(cell) for cell in cells], indent=1))
    if options.write:
        if options.torch or options.python:
            parser.error("--write needs every pair: leave out --torch and --python")
        PAGE.write_text(page(cells, rows, wheel), encoding="utf-8")
    return 1 if any(cell.outcome == "failed" for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
