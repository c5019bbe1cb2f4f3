"""When torch's operators are replaced: as CUDA is initialised, in processes that import torch. Others pay nothing."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["replace_when_imported"]

# Of `environment`, which is not imported: torch may be imported in any program.
_SETTINGS = "GPUWHEEL_FAKE_GPU"


def replace_when_imported(environ: Mapping[str, str] = os.environ) -> None:
    """Have the operators replaced once torch is imported, in a process whose pretend GPU executes. Twice is as once."""
    # Where launches are recorded alone, those of torch's own kernels are too.
    if "execute=1" not in environ.get(_SETTINGS, "").split(","):
        return
    # By its name: this file may have been loaded alone as well (start/sitecustomize.py).
    if not any(type(finder).__name__ == _AfterImportFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImportFinder())
        for name in _AFTER.keys() & sys.modules.keys():
            _AFTER[name](sys.modules[name])


class _AfterImportFinder(MetaPathFinder):
    """Finds modules as everybody else does, and hears when they were imported."""

    def __init__(self) -> None:
        self._awaited = dict(_AFTER)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for what nobody waits for, and for what is while the others look for it."""
        del path, target
        then = self._awaited.pop(fullname, None)
        if then is not None:
            _find_gpuwheel()
        spec = None if then is None else importlib.util.find_spec(fullname)
        if then is not None and spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, then)
        return spec


class _Loader(Loader):
    """Another loader, and what is done after it."""

    def __init__(self, loader: Loader, then: Callable[[Any], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the other does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the other does; what others ask of the module later, they ask the other."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._then(module)


def _find_gpuwheel() -> None:
    """Have the gpuwheel of this file where there is no other; nothing else of its folder is seen."""
    if importlib.util.find_spec("gpuwheel") is None:
        package = Path(__file__).resolve().parents[2]
        where = package / "__init__.py"
        spec = importlib.util.spec_from_file_location("gpuwheel", where, submodule_search_locations=[str(package)])
        assert spec is not None  # noqa: S101 - there is such a file
        assert spec.loader is not None  # noqa: S101
        sys.modules["gpuwheel"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def _with_cuda(torch: Any) -> None:
    """Torch calls it as CUDA is initialised, at once if it is; a CPU build never does."""
    if torch.version.cuda is not None:
        from gpuwheel.testing.torch_operators.other_functions import replace_functions  # noqa: PLC0415 - needs torch
        from gpuwheel.testing.torch_operators.replacing import replace_operators  # noqa: PLC0415

        replace_functions()
        torch.cuda._lazy_call(replace_operators)  # there is no other way to hear of it


def _without_inductor(module: Any) -> None:
    """torch.compile's own backend, which is called for a graph on the device: it says what to do, Triton or not."""
    from gpuwheel.testing.torch_operators.refused_operators import refused_on_the_device  # noqa: PLC0415 - needs torch

    module.compile_fx = refused_on_the_device(module.compile_fx, "inductor", "it writes kernels for Triton, not yours")


def _without_graph_trees(module: Any) -> None:
    """The other one, which is made of torch's cache of memory."""
    from gpuwheel.testing.torch_operators.refused_operators import refused_on_the_device  # noqa: PLC0415 - needs torch

    reason = "it needs torch's cache of memory, which is off to see what reaches beyond a tensor"
    module.cudagraphs = refused_on_the_device(module.cudagraphs, "cudagraphs", reason)


_AFTER = {
    "torch": _with_cuda,
    "torch._inductor.compile_fx": _without_inductor,
    "torch._dynamo.backends.cudagraphs": _without_graph_trees,
}
