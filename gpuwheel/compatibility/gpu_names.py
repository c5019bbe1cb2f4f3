"""`load_gpu_names`: which compute capability a GPU of some name has, from `gpus.toml`.

Apart from the other tables: only who chooses a wheel from texts needs it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.model.archs import Arch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VENDOR_WORDS", "gpu_named", "gpus_beside", "load_gpu_names", "name_words"]

VENDOR_WORDS = ("nvidia", "geforce", "tesla", "grid")
"""Words that tell no GPU from another."""
_WORD = re.compile(r"[a-z]+\d*[a-z0-9]*|\d+[a-z]*")


def load_gpu_names() -> Mapping[str, Arch]:
    """Name, without the vendor's words -> compute capability.

    Raises:
        DataError: the table is damaged, or has a name twice.
    """
    return _table()[0]


@cache
def gpus_beside(machine: str) -> Mapping[Arch, tuple[str, ...]]:
    """GPUs on sale that a machine ("x86_64", "aarch64") may have: compute capability -> names.

    Raises:
        DataError: the table is damaged.
    """
    names, arm_only = _table()
    found: dict[Arch, tuple[str, ...]] = {}
    for name, arch in names.items():
        if machine == "aarch64" or arch not in arm_only:
            found[arch] = (*found.get(arch, ()), name)
    return found


@cache
def _table() -> tuple[Mapping[str, Arch], frozenset[Arch]]:
    names: dict[str, Arch] = {}
    with read_table("gpus.toml") as file:
        file.text("source")
        arm_only = frozenset(map(Arch.parse, file.texts("arm-only")))
        with file.table("names") as rows:
            for capability in rows.names():
                arch = Arch.parse(capability)
                for name in rows.texts(capability):
                    if name in names or not name_words(name):
                        rows.fail(f"has a wrong {capability} ({name!r} is there twice, or is no name)")
                    names[name] = arch
    return names, arm_only


def name_words(name: str) -> tuple[str, ...]:
    """The words of a GPU's name that tell it apart: "NVIDIA A100-SXM4-80GB" is a100, sxm4, 80gb."""
    words = _WORD.findall(name.lower())
    return tuple(word for word in words if word not in VENDOR_WORDS)


def gpu_named(name: str) -> Arch | None:
    """The compute capability of a GPU, from its name as tools write it, cut with dots or not; `None`: not known."""
    wanted = name_words(name)
    known = {words: arch for text, arch in load_gpu_names().items() if (words := name_words(text))}
    found = [words for words in known if words == wanted[: len(words)]]
    if found:
        return known[max(found, key=len)]
    if not wanted or not name.rstrip().endswith("..."):
        return None
    *whole, last = wanted
    begun = {
        arch
        for words, arch in known.items()
        if words[: len(whole)] == tuple(whole) and len(words) > len(whole) and words[len(whole)].startswith(last)
    }
    return begun.pop() if len(begun) == 1 else None
