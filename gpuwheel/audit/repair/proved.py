"""What is proved to be inside of a wheel's libraries, beside their own code: for its bill of materials.

Each is told with the bytes that prove it: machine code of a release of the static CUDA runtime, namespaces that have a
version in them, what compilers wrote into cubins and PTX, names that only some torches export, texts that a library
carries. What leaves no such trace is not told. Confidences are 1 where the bytes can mean nothing else, 0.9 where
somebody could have written the same by hand, 0.8 where it is known by some of its functions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gpuwheel.binary.cubin import compiler_of
from gpuwheel.binary.unpacked import unpacked_image
from gpuwheel.compatibility.exports.copied_libraries import load_copied_libraries
from gpuwheel.compatibility.exports.static_code import load_static_code
from gpuwheel.compatibility.exports.torch_symbols import load_torch_symbols
from gpuwheel.errors import GpuwheelError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.binary.extent import Extent
    from gpuwheel.binary.fatbin import Image

__all__ = ["Proof", "proofs"]

_BLOCK, _OVERLAP = 1 << 23, 1 << 10
_SCANNED = (".rodata", ".text")
_NAMESPACE = re.compile(rb"(?:CUB|THRUST)_(\d{6})_\w{0,200}?NS")
"""Inline namespaces of CCCL: CUB_200302_800_NS is of 2.3.2 (cub/util_namespace.cuh, cub/version.cuh)."""
_CUTLASS = re.compile(rb"_Z\w{0,200}?N7cutlass\d\w{0,60}")
_ZLIB = re.compile(rb"(?:in|de)flate (\d[\w.]{0,15}) Copyright")
_OPENSSL = re.compile(rb"OpenSSL (\d+\.\d+\.\d+[a-z]?) +\d{1,2} [A-Z][a-z]{2} \d{4}")
_RUNTIME = b"CUDA driver version is insufficient for CUDA runtime version"
_OWN = re.compile(r"lib(?:cudart|z|z-ng|ssl|crypto)[.-]")
"""Libraries that are what would be found in them."""


class _Key(NamedTuple):
    name: str
    version: str | None
    """As the bytes have it; `None`: they have none."""
    confidence: float
    value: str
    """What proves it."""


@dataclass(frozen=True)
class Proof:
    """One thing that is inside."""

    name: str
    version: str | None
    confidence: float
    values: tuple[tuple[str, str], ...]
    """Member, and what proves it there."""

    @property
    def component(self) -> dict[str, Any]:
        """As CycloneDX 1.6 has it."""
        known = self.version or self.name
        texts = dict.fromkeys(value for _, value in self.values)
        methods = [{"technique": "binary-analysis", "confidence": self.confidence, "value": text} for text in texts]
        identity = {"field": "version" if self.version else "name", "confidence": self.confidence, "methods": methods}
        return {
            "type": "application" if self.name == "cuda-toolkit" else "library",
            "bom-ref": f"{self.name}@{self.version}" if self.version else self.name,
            "name": self.name,
            **({"version": self.version} if self.version else {}),
            "evidence": {
                "identity": [{**identity, "concludedValue": known}],
                "occurrences": [{"location": member, "additionalContext": value} for member, value in self.values],
            },
        }


def proofs(inspection: Inspection, without: Collection[str] = ()) -> tuple[Proof, ...]:
    """Everything that is proved, sorted; while the wheel is open.

    Args:
        inspection: The wheel.
        without: Targets of device code that does not count: "sm_86".
    """
    found: dict[tuple[str, str | None], dict[tuple[str, str], float]] = defaultdict(dict)

    def keep(member: str, keys: Iterable[_Key]) -> None:
        for key in keys:
            found[key.name, key.version][member, key.value] = key.confidence

    for library in inspection.libraries:
        keep(library.name, _in_code(library))
        keep(library.name, _by_names(library))
    for name, images in inspection.images_of.items():
        keep(name, _compilers(image for image in images if str(image) not in without))
    rows = sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    return tuple(Proof(*key, max(values.values()), tuple(sorted(values))) for key, values in rows)


def _in_code(library: ElfFile) -> Iterator[_Key]:
    """By what stands in the machine code and the constants of a library."""
    if _OWN.match(library.name.rpartition("/")[2]):
        return
    says_runtime, told = False, False
    sections = [(library.sections[name], name) for name in _SCANNED if name in library.sections]
    for section, name in sorted(sections, key=lambda one: one[0].start):
        for at, block in _blocks(section):
            if name == ".rodata":
                yield from _constants(block)
                says_runtime = says_runtime or _RUNTIME in block
            elif not told:
                for key in _runtimes(section, at, block):
                    yield key
                    told = True
    if says_runtime and not told:
        yield _Key("cuda-runtime (static)", None, 0.9, _RUNTIME.decode())


def _constants(block: bytes) -> Iterator[_Key]:
    for match in _NAMESPACE.finditer(block):
        number = int(match[1])
        yield _Key("cccl", f"{number // 100_000}.{number // 100 % 1000}.{number % 100}", 0.9, match[0].decode())
    if kernel := _CUTLASS.search(block):
        yield _Key("cutlass", None, 0.9, f"kernels in namespace cutlass: {kernel[0].decode()}")
    for name, pattern in (("zlib", _ZLIB), ("openssl", _OPENSSL)):
        for match in pattern.finditer(block):
            yield _Key(name, match[1].decode(), 0.9, match[0].decode())


def _runtimes(section: Extent, at: int, block: bytes) -> Iterator[_Key]:
    for release in load_static_code():
        place = block.find(release.run)
        while place >= 0:
            if release.is_at(section.read, at + place - release.at):
                value = f"machine code of libcudart_static.a of {', '.join(release.versions)}"
                yield _Key("cuda-runtime (static)", release.versions[0], 1, value)
                return
            place = block.find(release.run, place + 1)


def _blocks(section: Extent) -> Iterator[tuple[int, bytes]]:
    """Pieces of a section that share some bytes, and where they begin."""
    for at in range(0, len(section), _BLOCK):
        yield at, bytes(section.read(at, _BLOCK + _OVERLAP))


def _by_names(library: ElfFile) -> Iterator[_Key]:
    """By the names that a library imports and exports."""
    exports = set(library.exports)
    for copied in load_copied_libraries():
        if copied.file.match(library.name.rpartition("/")[2]):
            continue
        shown = sorted(exports & copied.functions)
        if len(shown) >= copied.enough:
            yield _Key(copied.name.lower(), None, 0.8, f"exports {', '.join(shown[:3])}")
    table = load_torch_symbols()
    having = [found for symbol in library.imports if not symbol.weak and (found := table.having(symbol.name))]
    if having and (common := frozenset.intersection(*having)):
        span = " ".join(map(str, sorted(common)))
        yield _Key("torch", None, 0.9, f"imports {len(having):,} of its names: exported by each of torch {span}")


def _compilers(images: Iterable[Image]) -> Iterator[_Key]:
    """The toolkits that compiled device code."""
    for image in images:
        if image.kind not in {"cubin", "ptx"}:
            continue
        try:
            told = compiler_of(unpacked_image(image, str(image)))
        except GpuwheelError:
            continue  # the audit tells what cannot be read
        if told is not None:
            yield _Key("cuda-toolkit", told.version, 1, told.text)
