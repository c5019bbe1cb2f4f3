"""What stands in for modules that need not be there: some answer, others only let code that uses them be defined."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Unknown", "answering", "defining", "find_defining"]


class Unknown:
    """Something that only code uses which runs later: it can be called, subclassed and put around a function.

    It has no truth, no text and no items, so that nothing about the machine is made up.
    """

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def _refuse(self, *_: object, **__: object) -> Any:  # noqa: ANN401
        msg = f"gpuwheel's stand-in does not know what {self._name} is"
        raise AttributeError(msg)

    __bool__ = __str__ = __iter__ = __len__ = __int__ = __float__ = __lt__ = __gt__ = __fspath__ = _refuse

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(f"{self._name}.{name}")

    def __call__(self, *arguments: object, **keywords: object) -> Any:  # noqa: ANN401
        """Another one, or what it is put around."""
        if len(arguments) == 1 and not keywords and isinstance(arguments[0], (FunctionType, type)):
            return arguments[0]
        return Unknown(f"{self._name}()")

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        # PEP 560: by which a class may inherit from what is no class.
        return (type(self._name.rpartition(".")[2], (), {}),)

    def __getitem__(self, _: object) -> Unknown:
        return self

    def __or__(self, _: object) -> Unknown:
        return self

    __ror__ = __or__

    def __enter__(self) -> object:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def answering(name: str, site: str, unknown: Iterable[str] = (), **attributes: Any) -> ModuleType:  # noqa: ANN401
    """A module that is found by `import` and by `find_spec`, and says of itself that it is none where it lacks a name.

    Args:
        name: "torch.cuda".
        site: the folder that stands for site-packages.
        unknown: names that exist, and that no setup.py asks anything of.
        **attributes: its names.
    """
    folder = os.path.join(site, *name.split("."))
    lazily = frozenset(unknown)

    def missing(attribute: str) -> Any:  # noqa: ANN401
        if attribute in lazily:
            return Unknown(f"{name}.{attribute}")
        if any(isinstance(finder, _Finder) and finder.wanted(f"{name}.{attribute}") for finder in sys.meta_path):
            return importlib.import_module(f"{name}.{attribute}")
        msg = f"gpuwheel's stand-in for {name} has no {attribute}"
        raise AttributeError(msg)

    return _register(name, folder, {**attributes, "__getattr__": missing})


def defining(name: str, site: str, **attributes: Any) -> ModuleType:  # noqa: ANN401
    """A module in which every name but those given is an `Unknown`."""

    def anything(attribute: str) -> Unknown:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return Unknown(f"{name}.{attribute}")

    return _register(name, os.path.join(site, *name.split(".")), {**attributes, "__getattr__": anything})


def _register(name: str, folder: str, attributes: dict[str, Any]) -> ModuleType:
    module = ModuleType(name, f"gpuwheel's stand-in for {name}")
    origin = os.path.join(folder, "__init__.py")
    spec = importlib.machinery.ModuleSpec(name, _Loader(), origin=origin, is_package=True)
    spec.submodule_search_locations = [folder]
    spec.has_location = True
    module.__spec__, module.__loader__, module.__path__, module.__file__ = spec, spec.loader, [folder], origin
    module.__package__ = name
    module.__dict__.update(attributes)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, module)
    return module


class _Loader(importlib.abc.Loader):
    """Of modules that are there already."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return sys.modules.get(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        del module


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules by a predicate, and has them made on first use."""

    def __init__(self, wanted: Callable[[str], bool], site: str) -> None:
        self.wanted = wanted
        self._site = site

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return defining(fullname, self._site).__spec__ if self.wanted(fullname) else None


def find_defining(names: Sequence[str], site: str) -> None:
    """Let `import` find these modules and all below them."""
    beginnings = tuple(f"{name}." for name in names)
    exact = frozenset(names)
    sys.meta_path.insert(0, _Finder(lambda name: name in exact or name.startswith(beginnings), site))
