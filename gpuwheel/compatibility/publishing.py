"""`load_publishing`: where wheels are published, and what each place refuses, as typed rows of `publish.toml`.

Apart from the other tables: only what looks into finished wheels needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compatibility.parsing import Reader

__all__ = ["CudaNames", "KernelsLibrary", "KnownTarget", "Publishing", "Refused", "VariantProvider", "load_publishing"]


@dataclass(frozen=True)
class KnownTarget:
    """A package index that has a name."""

    upload: str
    """URL that files are sent to."""
    index: str
    """Simple repository API (PEP 503, PEP 691)."""


@dataclass(frozen=True)
class Refused:
    """What PyPI's server refuses."""

    file: int
    """Bytes of one file, unless more was granted to the project."""
    project: int
    """Bytes of all files of a project, unless more was granted."""
    metadata: MinorVersion
    """Newest core metadata version that it takes."""
    expansion: int
    """How many times an archive may grow when it is unpacked..."""
    expanded_from: int
    """...to this many bytes or more."""


@dataclass(frozen=True)
class KernelsLibrary:
    """What Hugging Face's `kernels` loads."""

    python: MinorVersion
    """Oldest that it runs on: kernels have no axis of Pythons."""
    requires: Mapping[str, str]
    """Distribution that a kernel may require -> its name in metadata.json."""


@dataclass(frozen=True)
class CudaNames:
    """What tells the major of CUDA by its name or version."""

    libraries: frozenset[str]
    """`cudart` for libcudart.so.13."""
    distributions: frozenset[str]
    """Those whose version is that of CUDA."""


@dataclass(frozen=True)
class VariantProvider:
    """Who compares the properties of variants with a machine (PEP 850), and how variant.json says so."""

    schema: str
    namespace: str
    requires: str
    """Requirement whose versions an installer must know."""
    plugin: str
    lower_bound: str
    """Feature: the CUDA version that the driver must have at least."""
    arch: str
    """Feature: targets of device code, "90_real" and "90_virtual"."""


@dataclass(frozen=True)
class Publishing:
    """The table."""

    targets: Mapping[str, KnownTarget]
    refuses: Refused
    kernels: KernelsLibrary
    variants: VariantProvider
    cuda: CudaNames


@cache
def load_publishing() -> Publishing:
    """The table.

    Raises:
        DataError: the file is damaged, or breaks a law.
    """
    with read_table("publish.toml") as file:
        targets = {name: _target(row) for name, row in file.named_tables("targets", str)}
        file.require_sources(file.table("sources").strings(), *targets, "refuses", "kernels", "variants", "cuda")
        return Publishing(
            targets=targets,
            refuses=_refused(file.table("refuses")),
            kernels=_kernels(file.table("kernels")),
            variants=_variants(file.table("variants")),
            cuda=_cuda(file.table("cuda")),
        )


def _target(row: Reader) -> KnownTarget:
    with row:
        target = KnownTarget(row.text("upload"), row.text("index"))
        if not all(url.startswith("https://") and url.endswith("/") for url in (target.upload, target.index)):
            row.fail(f"is not reached safely ({target.upload} {target.index}, expected https://.../)")
        return target


def _refused(row: Reader) -> Refused:
    with row:
        found = Refused(
            file=row.integer("file"),
            project=row.integer("project"),
            metadata=row.parsed("metadata", MinorVersion.parse),
            expansion=row.integer("expansion"),
            expanded_from=row.integer("expanded-from"),
        )
        if not 0 < found.file < found.project or found.expansion <= 1 or found.expanded_from <= 0:
            row.fail("has limits that admit nothing (expected 0 < file < project, expansion > 1, expanded-from > 0)")
        return found


def _kernels(row: Reader) -> KernelsLibrary:
    with row:
        return KernelsLibrary(
            row.parsed("python", MinorVersion.parse), row.table("requires").mapping(canonicalize_name, str)
        )


def _cuda(row: Reader) -> CudaNames:
    with row:
        found = CudaNames(frozenset(row.words("libraries", str)), frozenset(row.words("distributions", str)))
        if odd := [name for name in found.distributions if name != canonicalize_name(name)]:
            row.fail(f"names no distribution ({', '.join(sorted(odd))}, expected names as PyPI writes them)")
        return found


def _variants(row: Reader) -> VariantProvider:
    with row:
        return VariantProvider(
            schema=row.text("schema"),
            namespace=row.text("namespace"),
            requires=row.text("requires"),
            plugin=row.text("plugin"),
            lower_bound=row.text("lower-bound"),
            arch=row.text("arch"),
        )
