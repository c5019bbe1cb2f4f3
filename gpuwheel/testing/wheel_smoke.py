"""Run by the Python under test, by its path: import what a wheel brings, load its libraries, ask after its operators.

It imports nothing of gpuwheel, which is not installed there. `NAME` is the distribution. It prints what it found; where
something does not import or load, its traceback stands before, and the exit status is 1.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import sys
import traceback
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]


def _packages(files: list[importlib.metadata.PackagePath]) -> list[str]:
    """Import names of every package and every module at the top."""
    names = []
    for file in files:
        parts = PurePosixPath(file).parts
        if not all(part.isidentifier() for part in parts[:-1]) or file.suffix != ".py":
            continue
        if parts[-1] == "__init__.py":
            names.append(".".join(parts[:-1]))
        elif len(parts) == 1 and file.stem.isidentifier():
            names.append(file.stem)
    return sorted(names)


def _operators(torch: Any) -> set[str]:  # noqa: ANN401 (it is a module)
    # There is no public list; this one is what `torch.library` itself asks, in every release from 2.10 to 2.15.
    return set(torch._C._dispatch_get_all_op_names()) if torch is not None else set()  # noqa: SLF001


def _has_fake(torch: Any, name: str) -> bool:  # noqa: ANN401
    """Whether `torch.compile` can trace it: a Meta kernel, a decomposition, or a registered fake."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key  # noqa: SLF001
    if any(has(name, key) for key in ("Meta", "CompositeImplicitAutograd", "CompositeExplicitAutograd")):
        return True
    registry = importlib.import_module("torch._library.simple_registry").singleton
    return registry.find(name.partition(".")[0]).fake_impl.kernel is not None


def _succeeds(call: Callable[[str], object], argument: str) -> bool:
    try:
        call(argument)
    except BaseException:  # noqa: BLE001 (whatever a package raises)
        traceback.print_exc()
        return False
    return True


def main(name: str) -> int:
    """Try the distribution `name`."""
    files = [file for file in importlib.metadata.files(name) or [] if "__pycache__" not in file.parts]
    try:
        torch = importlib.import_module("torch")
    except ModuleNotFoundError:
        torch = None
    before = _operators(torch)
    packages = _packages(files)
    libraries = [file for file in files if file.suffix == ".so" or ".so." in file.name]
    failed = [f"import {package}" for package in packages if not _succeeds(importlib.import_module, package)]
    # dlopen with RTLD_NOW: every symbol is looked up.
    failed += [f"load {library}" for library in libraries if not _succeeds(ctypes.CDLL, str(library.locate()))]
    operators = sorted(_operators(torch) - before)
    without = [operator for operator in operators if not _has_fake(torch, operator)]
    found: dict[str, list[Any]] = {
        "packages": packages,
        "libraries": libraries,
        "operators": operators,
        "without a fake": without,
    }
    found["failed"] = failed
    sys.stderr.flush()
    sys.stdout.write("".join(f"{what}: {', '.join(map(str, names)) or 'none'}\n" for what, names in found.items()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
