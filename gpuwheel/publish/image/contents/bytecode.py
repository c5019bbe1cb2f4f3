"""Bytecode of what is installed, where it comes out the same twice: for users who may not write `__pycache__`.

The files are "unchecked" (PEP 552): Python takes them without a look at the source or its time. They are made by the
running Python, so their bytes depend on its release; two processes with other hash seeds have to agree on each.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from typing import TYPE_CHECKING

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.publish.image.contents.installed import installed_files, text_file
from gpuwheel.publish.image.contents.opened_wheel import open_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.image.contents.installed import ImageFile, Place
    from gpuwheel.publish.image.image_plan import ImagePython, LayerGroup

__all__ = ["bytecode_of", "is_made_here"]

_WORKER = ("publish", "image", "contents", "bytecode_worker.py")


def is_made_here(python: ImagePython) -> bool:
    """Whether the running Python writes the bytecode that the image's Python reads."""
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    same = (sys.version_info[:2], free_threaded) == (python.version, python.free_threaded)
    return sys.implementation.name == "cpython" and same


def bytecode_of(group: LayerGroup, place: Place, cache: Cache, reporter: Reporter) -> list[ImageFile]:
    """What is to be in a layer beside the modules of its wheels.

    Args:
        group: of the layer.
        place: of the environment, whose Python `is_made_here`.
        cache: for scratch.
        reporter: hears what is left out.

    Raises:
        AuditError: a wheel is damaged.
        OSError: there is no space.
    """
    with cache.scratch() as scratch:
        modules = dict(_extracted(group, place, scratch))
        made = [_compiled(modules, scratch, seed) for seed in ("1", "2")]
        files, differing = [], []
        for path in modules:
            first, second = (where[path] for where in made)
            if not first.is_file() or not second.is_file():
                continue
            if (data := first.read_bytes()) == second.read_bytes():
                files.append(text_file(path, data))
            else:
                differing.append(path)
    if differing:
        reporter.warn(f"no bytecode of {differing[0]} and {len(differing) - 1} more: it came out different twice")
    return files


def _extracted(group: LayerGroup, place: Place, scratch: Path) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Path of the bytecode -> (source on disk, path of the source in the image)."""
    number = 0
    for one in group.wheels:
        with open_wheel(one.path, one.state) as wheel:
            files = installed_files(wheel, place)
            present = {file.path for file in files}
            for file in files:
                compiled = _place_of(file.path)
                inside = file.path.startswith(f"{place.site}/") and file.path.endswith(".py")
                if not inside or file.member is None or compiled in present:
                    continue
                source = scratch / f"{number}.py"
                with source.open("xb") as out:
                    for block in wheel.archive.open(file.member):
                        out.write(block)
                number += 1
                yield compiled, (source, f"/{file.path}")


def _place_of(path: str) -> str:
    """PEP 3147."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


def _compiled(modules: dict[str, tuple[Path, str]], scratch: Path, seed: str) -> dict[str, Path]:
    """Where the bytecode of each is, made by a process of its own."""
    folder = scratch / f"seed{seed}"
    folder.mkdir()
    results = {path: folder / f"{source.stem}.pyc" for path, (source, _) in modules.items()}
    listed = [[str(source), str(results[path]), shown] for path, (source, shown) in modules.items()]
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    environ = {"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    run([sys.executable, "-s", "-S", resource(*_WORKER), folder / "modules.json"], env=environ, cwd=folder)
    return results
