"""What `libraries` and `link-flags` name, judged before anything compiles: each library has one key that links it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.model.choices import Mode
from gpuwheel.plan.checks import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import Extension, LoadedConfig

__all__ = ["library_problems"]

_DRIVER = "cuda"
_RUNTIMES = ("cudart", "cudart_static")
# What lies in torch/lib of its wheels.
_TORCHS = ("c10", "c10_cuda", "torch", "torch_cpu", "torch_cuda", "torch_python", "caffe2", "shm")


def library_problems(config: LoadedConfig, tables: Tables) -> Iterator[Problem]:
    """Names that the key they stand in does not link, with the one that does."""
    known = {_DRIVER, *(name for row in tables.cuda.values() for pin in row.libraries for name, _ in pin.sonames)}
    for name, extension in config.settings.extensions.items():
        key = f'extensions."{name}"'
        for library in extension.libraries:
            problem = _named(key, library)
            if problem is not None:
                yield problem
        for word in extension.link_flags:
            problem = _linked(key, word, extension, known)
            if problem is not None:
                yield problem


def _named(key: str, library: str) -> Problem | None:
    if library in _TORCHS:
        return Problem(
            f"{key}.libraries names {library!r}, which is of torch and not of the CUDA toolkit",
            "remove it: `abi` links what the extension needs of torch",
        )
    if library == "cudart_static":
        return Problem(f"{key}.libraries names {library!r}, which is linked without being named", "remove it")
    return None


def _linked(key: str, word: str, extension: Extension, known: set[str]) -> Problem | None:
    # By commas too: "-Wl,-lcublas" names a library as well.
    library = next((part[2:] for part in word.split(",") if part.startswith("-l")), "")
    if library in _TORCHS:
        return Problem(f"{key}.link-flags links torch (found {word!r})", "remove it: gpuwheel links torch by itself")
    if library not in known and library not in _RUNTIMES:
        return None
    subject = f"{key}.link-flags links a library of CUDA (found {word!r})"
    if extension.mode is not Mode.NVCC:
        return Problem(
            f"{subject}, which mode {extension.mode.value!r} does without",
            f'launch through <gpuwheel/launch.h>, or set mode = "nvcc" and libraries = ["{library}"]',
        )
    if library == "cudart_static":
        return Problem(f"{subject}, which is linked already", "remove it")
    return Problem(subject, f'libraries = ["{library}"]: it is found with its headers, and at run time')
