"""The architectures that the environment names, and the variables of gpuwheel that are no settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel._environment.table import document
from gpuwheel.config.reading.convert import converter_for
from gpuwheel.config.reading.mistakes import unknown
from gpuwheel.config.reading.sources import Given
from gpuwheel.errors import ConfigError
from gpuwheel.model.archs import Arch, ArchTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["arch_list", "arch_names", "epoch_of", "other_variables", "parse_arch_list"]

_ARCH_LIST = "TORCH_CUDA_ARCH_LIST"
_LAST_EPOCH = 253402300799  # the year 9999: later ones have no date


def other_variables() -> frozenset[str]:
    """`GPUWHEEL_*` variables that are not settings."""
    return frozenset(document()["own"])


def arch_names() -> Mapping[str, str]:
    """Name that TORCH_CUDA_ARCH_LIST may hold -> the architectures it stands for."""
    names: Mapping[str, str] = document()["arch-names"]
    return names


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
                raise _unknown(word, text) from None
            ptx[target.arch] = ptx.get(target.arch, False) or target.ptx
    return tuple(ArchTarget(arch, ptx=wanted) for arch, wanted in ptx.items())


def _unknown(word: str, text: str) -> ConfigError:
    """For an entry that torch would not read either, what was probably meant."""
    subject = f"environment {_ARCH_LIST} has an entry that is not an architecture"
    if word.lower() == "native":
        hint = "a wheel is for the GPUs of those who install it: name them, or leave the list to archs"
        return ConfigError(f"{subject} (found {word!r}, expected for example '9.0')", hint=f"{hint} of the project")
    meant = converter_for(ArchTarget).suggest(text if "," in text else word)
    if meant is None:
        return unknown(word, ["9.0", "9.0a", "10.0+PTX", *arch_names()], subject=subject)
    msg = f"{subject} (found {word!r}, expected architectures separated by blanks or ;)"
    return ConfigError(msg, hint=f"{_ARCH_LIST}={meant!r}")


def epoch_of(environ: Mapping[str, str]) -> int | None:
    """SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), if it is set.

    Raises:
        ConfigError: it is not a number of seconds.
    """
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LAST_EPOCH)) or int(text) > _LAST_EPOCH:
        msg = f"SOURCE_DATE_EPOCH is not a number of seconds (found {cut(repr(text))}, expected 0 to {_LAST_EPOCH})"
        raise ConfigError(msg, hint="export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct), or unset it")
    return int(text)
