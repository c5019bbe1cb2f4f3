"""A wheel, opened once: the value that every rule looks at.

`opened` takes a wheel file, whose members are read one at a time, in pieces that are let go, so that a wheel of
gigabytes takes some megabytes of memory; `inspect` takes a wheel in memory, before it is written. Each part is read
when a rule first asks for it.
"""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from gpuwheel._endings import because
from gpuwheel.audit.kernel_manifests import MANIFEST, read_manifest
from gpuwheel.binary.device_files import cubin_image, file_images, is_cubin
from gpuwheel.binary.elf import MAGIC, read_elf
from gpuwheel.binary.extent import Extent
from gpuwheel.binary.fatbin import find_containers
from gpuwheel.binary.vector_code import vector_code
from gpuwheel.binary.x86.at_load import vector_at_load
from gpuwheel.errors import AuditError
from gpuwheel.model.wheels import WheelTag
from gpuwheel.wheel.archive import stored_members
from gpuwheel.wheel.metadata import field_values, valid_requirements
from gpuwheel.wheel.naming import parse_wheel_name
from gpuwheel.wheel.zip_survey import survey_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from gpuwheel.audit.kernel_manifests import KernelManifest
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.binary.fatbin import Image
    from gpuwheel.wheel import Content, Wheel
    from gpuwheel.wheel.zip_survey import ZipSurvey

__all__ = ["Code", "Inspection", "inspect", "opened"]

_TEXT = ".text"


class _Read(NamedTuple):
    libraries: tuple[ElfFile, ...]
    images_of: Mapping[str, tuple[Image, ...]]
    damaged: Mapping[str, AuditError]


@dataclass(frozen=True)
class Code:
    """The machine code in a wheel, and the device code."""

    members: Mapping[str, Content]

    @property
    def libraries(self) -> tuple[ElfFile, ...]:
        """Every ELF file for a host that can be read, whatever its name."""
        return self._read.libraries

    @property
    def images_of(self) -> Mapping[str, tuple[Image, ...]]:
        """Device code by the member that holds it: a library, or a file of its own; libraries without are there too."""
        return self._read.images_of

    @property
    def damaged(self) -> Mapping[str, AuditError]:
        """What cannot be read, by member: of these, nothing else is known."""
        return self._read.damaged

    @cached_property
    def _read(self) -> _Read:
        """All members, in one pass over each."""
        libraries: list[ElfFile] = []
        images_of: dict[str, tuple[Image, ...]] = {}
        damaged: dict[str, AuditError] = {}
        for member in self.members.values():
            found = _tried(member)
            if isinstance(found, AuditError):
                damaged[member.name] = found
            elif found.library is not None or found.images:
                libraries += [found.library] if found.library is not None else []
                images_of[member.name] = found.images
        return _Read(tuple(libraries), images_of, damaged)


class _Member(NamedTuple):
    library: ElfFile | None
    images: tuple[Image, ...]


def _tried(member: Content) -> _Member | AuditError:
    """What is in a member, or what is wrong with it."""
    try:
        found = _read_member(member)
        _ = member.digest  # which meets the damage that is behind what was read
    except AuditError as error:
        return error
    return found


def _read_member(member: Content) -> _Member:
    file = Extent(member.read, 0, member.size)
    # By content: executables and libraries come under any name, and ".so" is none of ELF's business.
    if not member.starts_with(MAGIC):
        return _Member(None, file_images(file, member.name))
    if is_cubin(file):
        return _Member(None, (cubin_image(file, member.name),))
    # Device code is looked for from front to back, and what the loader reads lies in few places: in this order a large
    # library is unpacked once.
    search = find_containers(file, member.name)
    library = read_elf(file, member.name)
    vectors = vector_code(library.sections[_TEXT]) if _TEXT in library.sections else None
    library = replace(library, vectors=vectors, at_load=vector_at_load(file))
    return _Member(library, search.images(library.sections))


@dataclass(frozen=True)
class Inspection:
    """One wheel."""

    name: str
    """Of the file."""
    members: Mapping[str, Content]
    """Every file in it, by name."""
    code: Code
    """Of the same members."""
    size: int | None = None
    """Bytes of the file; `None`: it is not yet written."""
    survey: ZipSurvey | None = None
    """What its archive says of itself; `None`: it is not yet written."""
    sealed: frozenset[str] = frozenset()
    """Names of files that are in it and that no installer can unpack: they are not among the members."""

    @cached_property
    def tag(self) -> WheelTag:
        """The tag in the name, which may stand for several; of a file that has no wheel's name, that in WHEEL.

        Raises:
            AuditError: neither tells.
        """
        try:
            return parse_wheel_name(self.name).tag
        except AuditError:
            told = [tag.split("-") for tag in self.tags]
            if not told or any(len(parts) != len(WheelTag.__match_args__) for parts in told):
                raise
            python, abi, platform = (".".join(dict.fromkeys(parts)) for parts in zip(*told, strict=True))
            return WheelTag(python, abi, platform)

    @cached_property
    def dist_infos(self) -> tuple[str, ...]:
        """Its `.dist-info` folders, of which it should have one."""
        tops = {top for top, slash, _ in (name.partition("/") for name in self.members) if slash}
        return tuple(sorted(top for top in tops if top.endswith(".dist-info")))

    @cached_property
    def dist_info(self) -> str | None:
        """The folder of its metadata: of several, the one that its name tells; `None` where there is none."""
        found = self.dist_infos
        if len(found) == 1:
            return found[0]
        return next((one for one in found if self.name.startswith(f"{one.removesuffix('.dist-info')}-")), None)

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Tags as WHEEL lists them."""
        return field_values(self._text("WHEEL"), "Tag")

    @cached_property
    def made_by_gpuwheel(self) -> bool:
        """Whether WHEEL says so."""
        return any(line.partition(" ")[0] == "gpuwheel" for line in field_values(self._text("WHEEL"), "Generator"))

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """Requires-Dist, without those of extras, which promise nothing, and those that are not valid (PEP 508).

        Raises:
            AuditError: there are too many.
        """
        return tuple(it for it in self.every_requirement if "extra" not in str(it.marker))

    @cached_property
    def every_requirement(self) -> tuple[Requirement, ...]:
        """Requires-Dist, with those of extras.

        Raises:
            AuditError: there are too many.
        """
        return valid_requirements(self._text("METADATA"))

    @property
    def extras(self) -> tuple[str, ...]:
        """Provides-Extra, normalised (PEP 685)."""
        return tuple(canonicalize_name(name) for name in field_values(self._text("METADATA"), "Provides-Extra"))

    @property
    def requires_python(self) -> str | None:
        """Requires-Python, as it is written."""
        return next(iter(field_values(self._text("METADATA"), "Requires-Python")), None)

    @property
    def libraries(self) -> tuple[ElfFile, ...]:
        """Every ELF file for a host that can be read, in the order of the members."""
        return self.code.libraries

    @property
    def images_of(self) -> Mapping[str, tuple[Image, ...]]:
        """Device code by the member that holds it: a library, or a file of its own; libraries without are there too."""
        return self.code.images_of

    @property
    def damaged(self) -> Mapping[str, AuditError]:
        """What cannot be read, by member: of these, nothing else is known."""
        return self.code.damaged

    def check_whole(self) -> None:
        """For who wants all of it or nothing.

        Raises:
            AuditError: a member cannot be read.
        """
        for error in self.damaged.values():
            raise error

    @property
    def images(self) -> tuple[Image, ...]:
        """Every piece of device code."""
        return tuple(image for images in self.images_of.values() for image in images)

    @cached_property
    def manifests(self) -> tuple[KernelManifest, ...] | ValueError:
        """The kernel manifests; what is wrong with one of them, where something is."""
        try:
            return tuple(
                read_manifest(member)
                for name, member in self.members.items()
                if name.rpartition("/")[2] == MANIFEST and name not in self.damaged
            )
        # Kept as a value, for a rule to tell: other rules go on without manifests.
        except ValueError as error:
            return error

    def document(self, name: str) -> bytes | None:
        """A file of `.dist-info`; `None` where it or the folder is missing."""
        member = self.members.get(f"{self.dist_info}/{name}")
        return member.data if member else None

    @cached_property
    def record(self) -> Sequence[Sequence[str]] | str:
        """The rows of RECORD; or why there are none."""
        name = f"{self.dist_info}/RECORD"
        if name not in self.members:
            return "is missing (expected a list of the files)"
        try:
            # newline="": the csv module wants line ends as they are, for a name may hold one.
            return list(csv.reader(io.StringIO(self.members[name].data.decode(), newline="")))
        except (csv.Error, UnicodeDecodeError) as error:
            return f"cannot be read ({because(error)}, expected lines of path,hash,size in UTF-8)"

    def _text(self, name: str) -> bytes:
        return self.document(name) or b""


def inspect(wheel: Wheel, *, code: Code | None = None) -> Inspection:
    """A wheel in memory; `code` is what was read of the same libraries before, if it was."""
    return Inspection(str(wheel.name), wheel.members, code or Code(wheel.members))


@contextmanager
def opened(path: Path, *, strict: bool = True) -> Iterator[Inspection]:
    """A wheel file, to be looked at while it is open.

    Args:
        path: The file.
        strict: Whether to refuse archives that readers may take differently. Rules say more of them than a refusal
            could; but nothing in such a wheel may be unpacked to disk, or believed to be what is installed.

    Raises:
        AuditError: not a ZIP archive, or a bound is passed. A damaged member is found when it is read.
    """
    with stored_members(path, strict=strict) as members:
        survey = survey_zip(path)
        sealed = frozenset(member.name for member in survey.members if member.is_sealed) if survey else frozenset()
        readable = {name: member for name, member in members.items() if name not in sealed}
        yield Inspection(path.name, readable, Code(readable), path.stat().st_size, survey, sealed)
