"""What gpuwheel makes of the environment variables of other tools."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel.config.mistakes import unknown
from gpuwheel.config.sources import Given
from gpuwheel.model.archs import Arch, ArchTarget

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["arch_list", "arch_names", "other_variables", "parse_arch_list", "unused_names", "unused_variables"]

_ARCH_LIST = "TORCH_CUDA_ARCH_LIST"


@functools.cache
def _document() -> Mapping[str, Any]:
    return tomllib.loads(resource("data", "environment.toml").read_text(encoding="utf-8"))


def other_variables() -> frozenset[str]:
    """`GPUWHEEL_*` variables that are not settings."""
    return frozenset(_document()["own"])


def unused_names() -> Mapping[str, str]:
    """Variable that gpuwheel does not use -> what it uses instead."""
    names: Mapping[str, str] = _document()["unused"]
    return names


def arch_names() -> Mapping[str, str]:
    """Name that TORCH_CUDA_ARCH_LIST may hold -> the architectures it stands for."""
    names: Mapping[str, str] = _document()["arch-names"]
    return names


def unused_variables(environ: Mapping[str, str], mode: str | None = None) -> tuple[str, ...]:
    """A line for each variable that is set and that a mode does not use, saying what is used instead."""
    used = _document()["used-by"].get(mode, ())
    return tuple(
        f"{name} is not used: {instead}"
        for name, instead in unused_names().items()
        if environ.get(name) and name not in used
    )


def arch_list(environ: Mapping[str, str]) -> dict[tuple[str, ...], Given]:
    """`archs` as TORCH_CUDA_ARCH_LIST gives it; nothing where that is unset or empty.

    Raises:
        ConfigError: an entry is neither an architecture nor a name that torch knows.
    """
    text = environ.get(_ARCH_LIST, "")
    if not text.replace(";", " ").strip():
        return {}
    return {("archs",): Given(parse_arch_list(text), f"environment {_ARCH_LIST}")}


def parse_arch_list(text: str) -> tuple[ArchTarget, ...]:
    """Architectures from the spelling of torch: separated by blanks or `;`, with names such as "Hopper" and "+PTX".

    Source: `_get_cuda_arch_flags` of torch.utils.cpp_extension. An architecture that comes up more than once is kept
    once, with PTX if any of them asks for it.

    Raises:
        ConfigError: an entry is neither an architecture nor a name that torch knows.
    """
    names = arch_names()
    ptx: dict[Arch, bool] = {}
    for word in text.replace(";", " ").split():
        plain = word.removesuffix("+PTX")
        spelled = names.get(word) or (f"{names[plain].removesuffix('+PTX')}+PTX" if plain in names else word)
        for part in spelled.split(";"):
            try:
                target = ArchTarget.parse(part)
            except ValueError:
                subject = f"environment {_ARCH_LIST} has an entry that is not an architecture"
                raise unknown(word, ["9.0", "9.0a", "10.0+PTX", *names], subject=subject) from None
            ptx[target.arch] = ptx.get(target.arch, False) or target.ptx
    return tuple(ArchTarget(arch, ptx=wanted) for arch, wanted in ptx.items())
