"""Stand-ins for setuptools, distutils and wheel: `setup()` writes down, everything else lets be."""

from __future__ import annotations

import fnmatch
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import shlex
import shutil
import sys
import sysconfig
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .notes import Notes

__all__ = ["Command", "Extension", "SetupCalledError", "install_setuptools"]

_STAND_INS = ("setuptools", "distutils", "wheel", "pkg_resources", "numpy.distutils", "skbuild")
_OF_MODULES = {"distutils", "distutils.command", "setuptools", "setuptools.command", "wheel"}
"""Packages whose names in lower case are modules."""
_PACKAGING = ("setuptools.extern", "setuptools._vendor", "pkg_resources.extern", "wheel.vendored")
"""Where copies of the package `packaging` are found."""


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
    include_dirs: list[Any]
    extra_compile_args: Any

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
        for key in ("extra_objects", "runtime_library_dirs", "export_symbols", "swig_opts", "depends"):
            self.__dict__.setdefault(key, [])
        for key in ("language", "optional", "py_limited_api"):
            self.__dict__.setdefault(key, None)


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


class _Compiler(Command):
    """A compiler of distutils', by which a setup.py tries what the machine has: all of it works."""

    compiler_type = "unix"
    compiler = compiler_so = compiler_cxx = linker_so = ("c++",)
    include_dirs: tuple[str, ...] = ()
    library_dirs: tuple[str, ...] = ()

    def has_function(self, *_: object, **__: object) -> bool:
        """Whether a function links."""
        return True

    def compile(self, sources: Sequence[str] = (), *_: object, **__: object) -> list[str]:
        """The objects that there would be."""
        return [f"{os.path.splitext(source)[0]}.o" for source in sources]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def strtobool(text: str) -> int:
    """As distutils had it."""
    return int(text.lower() in {"y", "yes", "t", "true", "on", "1"})


class _Anything(ModuleType):
    """A module of setuptools, in which every name is a class that takes what it is given."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        if self.__name__ in _OF_MODULES and name.islower():
            return importlib.import_module(f"{self.__name__}.{name}")
        error = self.__name__.endswith("errors") or name.endswith("Error")
        made = type(name, (Exception,), {}) if error else type(name, (Command,), {})
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module below the packages that are stood in for."""

    def __init__(self, names: dict[str, dict[str, Any]]) -> None:
        self._names = names

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if not any(fullname == name or fullname.startswith(f"{name}.") for name in _STAND_INS):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Anything(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(self._names.get(module.__name__, {}))
        for copy in _PACKAGING:
            if module.__name__.startswith(f"{copy}.packaging"):
                module.__dict__.update(vars(importlib.import_module(module.__name__[len(copy) + 1 :])))


def _resources() -> dict[str, Any]:
    """Names of pkg_resources."""

    def distribution(name: object) -> Any:  # noqa: ANN401
        return importlib.metadata.distribution(Requirement(str(name)).name)

    def require(*names: str) -> list[Any]:
        return [distribution(name) for name in names]

    return {
        "parse_version": Version,
        "DistributionNotFound": importlib.metadata.PackageNotFoundError,
        "VersionConflict": importlib.metadata.PackageNotFoundError,
        "get_distribution": distribution,
        "require": require,
        "working_set": [],
        "parse_requirements": lambda text: map(Requirement, str(text).splitlines()),
    }


def _deeds(notes: Notes) -> dict[str, dict[str, Any]]:
    """Functions of distutils that do something at once."""

    def writes(_: object, target: object = ".", *__: object, **___: object) -> tuple[str, int]:
        notes.add("writes", os.path.abspath(os.fsdecode(target)))  # type: ignore[arg-type]
        return os.fsdecode(target), 1  # type: ignore[arg-type]

    def runs(words: Sequence[str], *_: object, **__: object) -> None:
        notes.add("runs", shlex.join(words))

    return {
        "distutils.file_util": {"copy_file": writes, "move_file": writes},
        "distutils.dir_util": {"copy_tree": writes},
        "distutils.spawn": {"find_executable": shutil.which, "spawn": runs},
    }


def install_setuptools(notes: Notes, site: str) -> None:
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
    python |= {
        "get_python_inc": lambda *_, **__: sysconfig.get_path("include"),
        "get_python_lib": lambda *_, **__: site,
    }
    python |= {"get_python_version": sysconfig.get_python_version, "customize_compiler": lambda _: None}
    compiler = {"new_compiler": _Compiler, "CCompiler": _Compiler, "get_default_compiler": lambda *_: "unix"}
    names = {
        "setuptools": setuptools,
        "setuptools.extension": {"Extension": Extension},
        "distutils": {"__version__": "80.0.0"},
        "distutils.core": setuptools,
        "distutils.extension": {"Extension": Extension},
        "distutils.ccompiler": {**compiler, "gen_preprocess_options": lambda *_: [], "gen_lib_options": lambda *_: []},
        "distutils.unixccompiler": {"UnixCCompiler": _Compiler},
        "distutils.sysconfig": python,
        "distutils.util": {"strtobool": strtobool, "get_platform": sysconfig.get_platform},
        "distutils.version": {"LooseVersion": Version, "StrictVersion": Version},
        "numpy.distutils.core": setuptools,
        "numpy.distutils.extension": {"Extension": Extension},
        "numpy.distutils.misc_util": {"get_info": lambda *_, **__: {}, "get_numpy_include_dirs": list},
        "numpy.distutils.system_info": {"get_info": lambda name, *_: {"libraries": [str(name)]}},
        "pkg_resources": _resources(),
        "skbuild": setuptools,
        **_deeds(notes),
    }
    for name in [name for name in sys.modules if name.partition(".")[0] in _STAND_INS]:
        del sys.modules[name]  # a .pth file of the environment may have loaded them
    # Ahead of the finders of Python: installed packages of these names are not loaded.
    sys.meta_path.insert(0, _Finder(names))
