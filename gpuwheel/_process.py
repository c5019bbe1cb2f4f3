"""What a build changes of the process that it runs in, and puts back: the only place that touches any of it.

gpuwheel's own code reads neither the current folder nor `os.environ` (a test holds that): both are handed to it. Others
cannot be told: scikit-build-core works on both, as PEP 517 says, and `requests`, platformdirs and tempfile read the
environment. They are called in here. As a process has one of each, threads take turns.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["environment", "lent"]

_TURN = threading.RLock()
_NO_READING = getattr(os, "O_PATH", os.O_RDONLY)  # of Linux: for folders that this user may pass but not list, too


@contextmanager
def environment(environ: Mapping[str, str] | None) -> Iterator[None]:
    """Let `os.environ` hold what `environ` holds (`None`: what it does), for code that cannot be handed it."""
    with _TURN:
        before, temporary = dict(os.environ), tempfile.tempdir
        if environ is None or before == dict(environ):
            yield
            return
        try:
            _let_be(environ)
            tempfile.tempdir = None  # it follows TMPDIR, but only the first time that it is asked for
            yield
        finally:
            _let_be(before)
            tempfile.tempdir = temporary


@contextmanager
def lent(root: Path, environ: Mapping[str, str], package: str) -> Iterator[None]:
    """Lend the process to `package`, which works on the current folder and on `os.environ`.

    Afterwards the process is as it was, and `package` remembers nothing of this project: neither its log level and what
    it has warned of, nor answers that it took from this environment, nor modules of the project (providers of dynamic
    metadata), for the next project may have others of the same name.
    """
    with environment(environ), warnings.catch_warnings(), _in_folder(root), _forgotten(root, package):
        yield


def _let_be(environ: Mapping[str, str]) -> None:
    """Name by name: at no moment is the environment empty."""
    for name in set(os.environ) - set(environ):
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextmanager
def _in_folder(root: Path) -> Iterator[None]:
    """Work in `root`; relative entries of `sys.path` (`python -c` has one) would name its folders, and rest."""
    path = list(sys.path)
    before = os.open(os.curdir, _NO_READING | os.O_DIRECTORY)  # unlike its path, this stays right if it is renamed
    try:
        os.chdir(root)
        sys.path[:] = [entry for entry in path if os.path.isabs(entry)]  # noqa: PTH117  # entries are text
        yield
    finally:
        sys.path[:] = path
        os.fchdir(before)
        os.close(before)


@contextmanager
def _forgotten(root: Path, package: str) -> Iterator[None]:
    """What `package` remembers of a call is forgotten."""
    known = set(sys.modules)
    logger = logging.getLogger(package)
    handlers, level = list(logger.handlers), logger.level
    try:
        yield
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        for name in [name for name in sys.modules if name not in known and _is_of(root, sys.modules[name])]:
            del sys.modules[name]
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == package:
                for value in list(vars(module).values()):
                    if isinstance(value, functools._lru_cache_wrapper):  # noqa: SLF001  # the type has no other name
                        value.cache_clear()


def _is_of(root: Path, module: object) -> bool:
    """Whether a module lies in the project, and not in an environment inside of it."""
    file = getattr(module, "__file__", None)
    inside = f"{root}{os.sep}"
    installed = tuple(f"{entry}{os.sep}" for entry in sys.path if entry.startswith(inside))
    return isinstance(file, str) and file.startswith(inside) and not file.startswith(installed)
