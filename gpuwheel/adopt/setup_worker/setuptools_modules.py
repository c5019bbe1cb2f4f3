"""Stand-ins for setuptools, distutils and wheel: `setup()` writes down, everything else lets be."""

from __future__ import annotations

import fnmatch
import importlib.abc
import importlib.machinery
import os
import shutil
import sys
import sysconfig
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .notes import Notes

__all__ = ["Command", "Extension", "SetupCalledError", "install_setuptools"]

_STAND_INS = ("setuptools", "distutils", "wheel", "pkg_resources")


class SetupCalledError(BaseException):
    """`setup()` was called: all is known. No Exception, so that no `except` of the project's takes it."""

    def __init__(self, keywords: dict[str, Any], place: str) -> None:
        super().__init__()
        self.keywords = keywords
        self.place = place


class Command:
    """Any command, distribution or helper of setuptools: takes what it is given and does nothing."""

    user_options: tuple[Any, ...] = ()
    boolean_options: tuple[Any, ...] = ()

    def __init__(self, *arguments: object, **keywords: object) -> None:
        del arguments, keywords

    def initialize_options(self) -> None:
        """Nothing."""

    def finalize_options(self) -> None:
        """Nothing."""

    def run(self) -> None:
        """Nothing."""


class Extension:
    """What setup.py says of an extension module, as attributes, which it may still change."""

    notes: Notes

    def __init__(self, name: str, sources: Sequence[Any] = (), *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401
        self.__dict__.update(keywords)
        if arguments:  # in setuptools' order; torch's functions pass them on
            order = ("include_dirs", "define_macros", "undef_macros", "library_dirs", "libraries")
            self.__dict__.update(zip(order, arguments, strict=False))
        self.name = name
        self.sources = list(sources)
        self.place = self.notes.place()
        for key in ("include_dirs", "define_macros", "undef_macros", "library_dirs", "libraries", "extra_link_args"):
            self.__dict__.setdefault(key, [])
        self.__dict__.setdefault("extra_compile_args", [])


def _find(folder: str, inside: str, *, plain: bool) -> Iterator[str]:
    for entry in sorted(os.listdir(os.path.join(folder, *inside.split(".")) if inside else folder)):
        path = os.path.join(folder, *inside.split("."), entry)
        if entry.isidentifier() and os.path.isdir(path):
            name = f"{inside}.{entry}" if inside else entry
            if plain or os.path.isfile(os.path.join(path, "__init__.py")):
                yield name
                yield from _find(folder, name, plain=plain)


def _packages(where: Any, exclude: Any, include: Any, *, plain: bool) -> list[str]:  # noqa: ANN401
    def matches(name: str, patterns: Any) -> bool:  # noqa: ANN401
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    found = _find(os.path.abspath(where), "", plain=plain)
    return [name for name in found if matches(name, include) and not matches(name, exclude)]


def find_packages(where: Any = ".", exclude: Any = (), include: Any = ("*",)) -> list[str]:  # noqa: ANN401
    """As setuptools finds them: folders with `__init__.py`."""
    return _packages(where, exclude, include, plain=False)


def find_namespace_packages(where: Any = ".", exclude: Any = (), include: Any = ("*",)) -> list[str]:  # noqa: ANN401
    """As setuptools finds them: every folder."""
    return _packages(where, exclude, include, plain=True)


def strtobool(text: str) -> int:
    """As distutils had it."""
    return int(text.lower() in {"y", "yes", "t", "true", "on", "1"})


class _Anything(ModuleType):
    """A module of setuptools, in which every name is a class that takes what it is given."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        error = self.__name__.endswith("errors") or name.endswith("Error")
        made = type(name, (Exception,), {}) if error else type(name, (Command,), {})
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module below the packages that are stood in for."""

    def __init__(self, names: dict[str, dict[str, Any]]) -> None:
        self._names = names

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in _STAND_INS:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Anything(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(self._names.get(module.__name__, {}))


def install_setuptools(notes: Notes) -> None:
    """Put the stand-ins where `import` finds them first."""
    Extension.notes = notes

    def setup(**keywords: Any) -> None:  # noqa: ANN401
        raise SetupCalledError(keywords, notes.place())

    setuptools: dict[str, Any] = {
        "__version__": "80.0.0",
        "setup": setup,
        "Extension": Extension,
        "Command": Command,
        "find_packages": find_packages,
        "find_namespace_packages": find_namespace_packages,
    }
    python = {name: getattr(sysconfig, name) for name in ("get_config_var", "get_config_vars")}
    names = {
        "setuptools": setuptools,
        "setuptools.extension": {"Extension": Extension},
        "distutils.core": setuptools,
        "distutils.extension": {"Extension": Extension},
        "distutils.spawn": {"find_executable": shutil.which},
        "distutils.sysconfig": {**python, "get_python_inc": lambda *_, **__: sysconfig.get_path("include")},
        "distutils.util": {"strtobool": strtobool, "get_platform": sysconfig.get_platform},
        "distutils.version": {"LooseVersion": Version, "StrictVersion": Version},
        "pkg_resources": {"parse_version": Version},
    }
    for name in [name for name in sys.modules if name.partition(".")[0] in _STAND_INS]:
        del sys.modules[name]  # a .pth file of the environment may have loaded them
    sys.meta_path.insert(0, _Finder(names))
