"""Device code of a wheel made less: images of an arch taken out, images compressed; what stays is what it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from gpuwheel._endings import reading
from gpuwheel.audit.cases import promised_driver
from gpuwheel.audit.kernel_manifests import MANIFEST
from gpuwheel.audit.repair.auditwheel import INSTALL
from gpuwheel.audit.repair.workplace import read_library
from gpuwheel.binary.elf import MACHINES, MAGIC
from gpuwheel.binary.fatbin import CODE_SECTIONS
from gpuwheel.binary.fatbin_edit import compressed, containers, raw_image, without
from gpuwheel.errors import AuditError, ToolchainError
from gpuwheel.model.archs import Arch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.audit.repair.workplace import Workplace
    from gpuwheel.binary.fatbin_edit import Entry
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.versions import DriverVersion

__all__ = [
    "CODE_FACTS",
    "Dropping",
    "check_codec",
    "code_holders",
    "code_parts",
    "compress_images",
    "without_archs",
]

CODE_FACTS = frozenset(CODE_SECTIONS)
"""What these edits change of a library."""
_CODEC, _LARGER = "zstd", frozenset({"none", "LZ4"})


@dataclass(frozen=True)
class Dropping:
    """Which images are to go."""

    targets: frozenset[str]
    """As images are named: "sm_86", "compute_80"."""
    allow_holes: bool
    """Whether GPUs may be left without code that had some."""
    devices: tuple[Arch, ...]
    """Known GPUs."""

    @classmethod
    def of(cls, words: Iterable[str], tables: Tables, *, allow_holes: bool) -> Dropping:
        """From "sm_86", "8.6" or "compute_86".

        Raises:
            ValueError: a word is no architecture.
        """
        parsed = ((word, Arch.parse(word)) for word in words)
        targets = frozenset(arch.compute if word.startswith("compute_") else arch.sm for word, arch in parsed)
        return cls(targets, allow_holes, tuple(tables.devices))

    def edit(self, member: str, path: Path) -> tuple[str, int] | None:
        """Take the images out of a library or a `.fatbin` file.

        Raises:
            AuditError: a GPU would be left without code, or a fatbin without images.
        """
        with path.open("r+b") as file, _reading(member):
            found = [container for part in code_parts(file, path, member) for container in containers(file, *part)]
            for container in found:
                self._check(member, container)
            before = [_digests(file, kept) for container in found if (kept := self._kept(container))]
            done = [without(file, container, self._goes) for container in found]
            images, saved = sum(one.images for one in done), sum(one.size for one in done)
            if not images:
                return None
            _cut_behind(file, path)
            _check_same(file, path, member, before)
        return f"without {_counted(images)} for {', '.join(sorted(self.targets))}", saved

    def _goes(self, entry: Entry) -> bool:
        return entry.target in self.targets

    def _kept(self, container: Iterable[Entry]) -> list[Entry]:
        return [entry for entry in container if not self._goes(entry)]

    def _check(self, member: str, container: Collection[Entry]) -> None:
        kept = self._kept(container)
        gone = ", ".join(sorted({entry.target for entry in container} & self.targets))
        if container and not kept:
            msg = f"{member} holds a fatbin with nothing but {gone} (expected another image beside it)"
            raise AuditError(msg, hint=f"leave {gone} in: kernels that it alone has could not be launched")
        if self.allow_holes or len(kept) == len(container):
            return
        holes = [device.sm for device in self.devices if _serves(container, device) and not _serves(kept, device)]
        if holes:
            found = f"{', '.join(holes)} without {gone}"
            msg = f"{member} would have no code for {found} (expected some for each GPU that had)"
            raise AuditError(msg, hint="--allow-holes says that the wheel is not for these GPUs")


def _serves(container: Iterable[Entry], device: Arch) -> bool:
    for entry in container:
        name = entry.target
        runs = entry.arch.ptx_runs_on if name.startswith("compute_") else entry.arch.cubin_runs_on
        if name.startswith(("sm_", "compute_")) and runs(device):
            return True
    return False


def without_archs(place: Workplace, inspection: Inspection, dropping: Dropping) -> None:
    """Take images out of all files of a wheel, and out of what its manifests declare; raises what `edit` raises."""
    place.dropped = dropping.targets
    for name in code_holders(inspection, {target.rpartition("_")[2] for target in dropping.targets}):
        place.change(name, "drop-arch", lambda path, name=name: dropping.edit(name, path), touches=CODE_FACTS)  # type: ignore[misc]
    if not place.edits:
        return
    for name, member in inspection.members.items():
        if name.rpartition("/")[2] == MANIFEST and not isinstance(inspection.manifests, ValueError):
            document = json.loads(member.data)
            after = _without(document, dropping.targets)
            if after != document:
                place.write(name, json.dumps(after, indent=1).encode() + b"\n", "drop-arch", "declares what is left")


def _without(value: Any, targets: Collection[str]) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(value, dict):
        return {key: _without(one, targets) for key, one in value.items() if key not in targets}
    if isinstance(value, list):
        return [_without(one, targets) for one in value if one not in targets]
    return value


def code_holders(inspection: Inspection, numbers: Collection[str]) -> Iterator[str]:
    """Files whose device code these edits change: libraries and `.fatbin` that hold some for one of `numbers`."""
    hosts = {library.name for library in inspection.libraries if library.machine in MACHINES}
    for name, images in inspection.images_of.items():
        if (name in hosts or name.endswith(".fatbin")) and any(image.arch.number in numbers for image in images):
            yield name


def compress_images(place: Workplace, inspection: Inspection) -> None:
    """Compress by zstd what is not, or by LZ4, in all files of a wheel.

    Raises:
        AuditError: a file is damaged.
        ToolchainError: zstandard is not installed.
    """
    numbers = {image.arch.number for image in inspection.images if image.codec in _LARGER}
    for name in code_holders(inspection, numbers):
        if any(image.codec in _LARGER for image in inspection.images_of[name]):
            place.change(name, "compress", lambda path, name=name: _compress(name, path), touches=CODE_FACTS)  # type: ignore[misc]


def _compress(member: str, path: Path) -> tuple[str, int] | None:
    try:
        with path.open("r+b") as file, _reading(member):
            found = [container for part in code_parts(file, path, member) for container in containers(file, *part)]
            before = [_digests(file, container) for container in found if container]
            done = [compressed(file, container) for container in found if container]
            images = sum(one.images for one in done)
            if not images:
                return None
            _cut_behind(file, path)
            _check_same(file, path, member, before)
    except ImportError as error:
        msg = "zstandard is not installed (it compresses device code)"
        raise ToolchainError(msg, hint=INSTALL) from error
    return f"{_counted(images)} compressed by {_CODEC}", sum(one.size for one in done)


def check_codec(inspection: Inspection, stated: DriverVersion | None, tables: Tables) -> None:
    """That every driver which the wheel is for reads zstd.

    Args:
        inspection: The wheel: its manifest says the oldest driver, or the CUDA runtime that it needs does.
        stated: The oldest driver, as somebody says.
        tables: What the world allows.

    Raises:
        AuditError: an older driver may load it.
    """
    readable = min(row.driver for row in tables.compression if row.codec == _CODEC)
    floor, by = (stated, "as stated") if stated is not None else promised_driver(inspection, tables)
    if floor is None or floor < readable:
        found = "unknown" if floor is None else f"{floor}, {by}"
        oldest = f"oldest: {found}; expected {readable} or newer"
        msg = f"{inspection.name} may meet drivers that do not read {_CODEC} ({oldest})"
        raise AuditError(msg, hint=f"--driver {readable} says that the wheel is for no older one")


def _counted(images: int) -> str:
    return "1 image" if images == 1 else f"{images} images"


def _reading(member: str) -> Any:  # noqa: ANN401 (a context)
    return reading(f"{member} is not readable device code", "whole fatbins", hint="build the wheel again")


def code_parts(file: BinaryIO, path: Path, member: str) -> Iterator[tuple[int, int]]:
    """`(place, size)` of each part of a file that holds fatbins."""
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        yield 0, path.stat().st_size
        return
    library = read_library(file, path, member)
    for name in CODE_SECTIONS:
        if name in library.sections:
            yield library.sections[name].start, library.sections[name].size


def _cut_behind(file: BinaryIO, path: Path) -> None:
    """Let a file of device code alone end with its last container: where others begin has to stay, and none follows."""
    file.seek(0)
    if file.read(len(MAGIC)) == MAGIC:
        return
    *_, last = containers(file, 0, path.stat().st_size)
    if last:
        file.truncate(last[-1].at + last[-1].size)


def _digests(file: BinaryIO, container: Iterable[Entry]) -> list[tuple[str, str]]:
    """What each image is for, and the SHA-256 of what it is, before compression."""
    return [(entry.target, hashlib.sha256(_image(file, entry)).hexdigest()) for entry in container]


def _image(file: BinaryIO, entry: Entry) -> bytes:
    try:
        return raw_image(file, entry)
    except ValueError:  # compressed by others, and damaged or in a way that is not known: it stays as it is
        return raw_image(file, entry, inflate=False)


def _check_same(file: BinaryIO, path: Path, member: str, before: list[list[tuple[str, str]]]) -> None:
    """That a file holds these images and no others.

    Raises:
        ValueError: it does not, which is a fault of the edit.
    """
    found = (container for part in code_parts(file, path, member) for container in containers(file, *part))
    if [_digests(file, container) for container in found if container] != before:
        msg = "other images than before"
        raise ValueError(msg)
