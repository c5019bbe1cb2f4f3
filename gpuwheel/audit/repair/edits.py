"""What can be mended in a wheel beside what it needs: each edit looks at the inspection, and changes files."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel.audit.cases import WheelCase
from gpuwheel.audit.repair.bill import write_bill
from gpuwheel.audit.repair.device_images import Dropping, check_codec, compress_images, without_archs
from gpuwheel.audit.repair.search_paths import mended_path, set_search_path
from gpuwheel.audit.repair.workplace import Edit
from gpuwheel.audit.rules.container.zip_structure import ARCHIVE_RULES, PACKED_ANEW
from gpuwheel.binary.elf import MACHINES
from gpuwheel.binary.stripped import is_debugging, strip_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.audit.repair.needs import Need
    from gpuwheel.audit.repair.workplace import Workplace
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.versions import DriverVersion

__all__ = ["EditsAsked", "apply_edits"]


@dataclass(frozen=True)
class EditsAsked:
    """Which edits are asked for; by default none."""

    runpath: bool = False
    """Have search paths lead to what requirements bring, and to no folder of another machine."""
    strip: bool = False
    """Take debugging sections and symbols of static linkers out of libraries."""
    drop: tuple[str, ...] = ()
    """Architectures whose images are taken out: "sm_86", "8.6", "compute_80"."""
    allow_holes: bool = False
    """Whether GPUs may be left without code that had some."""
    compress: bool = False
    """Compress device code that is not."""
    driver: DriverVersion | None = None
    """The oldest driver that the wheel is for, where it does not say so itself."""
    sbom: bool = False
    """Write what is known of the wheel and its libraries into `.dist-info/sboms`."""
    record: bool = False
    """Write RECORD anew from the files, whatever it said, and the archive where something is wrong with its frame."""


def apply_edits(
    place: Workplace,
    inspection: Inspection,
    asked: EditsAsked,
    tables: Tables,
    found: Sequence[Need],
    environ: Mapping[str, str],
) -> bool:
    """Change the files of a wheel as asked; what needs no change stays untouched.

    Args:
        place: The wheel under repair.
        inspection: Of the same wheel, before.
        asked: What to change.
        tables: What the world allows.
        found: What its libraries need, and who brings that.
        environ: What programs run in.

    Returns:
        Whether RECORD has to be written anew.

    Raises:
        AuditError: a library is damaged, or an edit would make another library of it.
    """
    if asked.runpath:
        for library in inspection.libraries:
            if (entries := mended_path(library, inspection.libraries, found)) is not None:
                edit = partial(set_search_path, library=library, entries=entries, environ=environ)
                place.change(library.name, "runpath", edit, touches={"rpath", "runpath", "search_path"})
    if asked.strip:
        for library in inspection.libraries:
            if library.machine in MACHINES and any(is_debugging(name) for name in library.sections):
                place.change(library.name, "strip", partial(_strip, library.name))
    _edit_images(place, inspection, asked, tables)
    if asked.sbom:
        write_bill(place, inspection, None)
    if not asked.record:
        return False
    wrong = [] if _is_recorded(place, inspection) else [Edit("record", place.source.record, "written anew")]
    if _is_to_be_packed(inspection, tables):
        wrong.append(Edit("record", inspection.name, "packed anew"))
    place.edits += wrong
    return bool(wrong)


def _is_to_be_packed(inspection: Inspection, tables: Tables) -> bool:
    """Whether the audit says something of the archive that is gone once it is written by us."""
    case = WheelCase(inspection, tables)
    return inspection.survey is not None and any(
        True for rule in ARCHIVE_RULES if rule.id in PACKED_ANEW for _ in rule.noticed(case)
    )


def _edit_images(place: Workplace, inspection: Inspection, asked: EditsAsked, tables: Tables) -> None:
    if asked.drop:
        without_archs(place, inspection, Dropping.of(asked.drop, tables, allow_holes=asked.allow_holes))
    if asked.compress and any(image.codec == "none" for image in inspection.images):
        check_codec(inspection, asked.driver, tables)
        compress_images(place, inspection)


def _is_recorded(place: Workplace, inspection: Inspection) -> bool:
    """Whether RECORD lists each file once, with its SHA-256 and size, and itself without, and no signature is there."""
    source = place.source
    if source.record not in source.infos or any(f"{source.record}.{end}" in source.infos for end in ("jws", "p7s")):
        return False
    try:
        rows = list(csv.reader(io.StringIO(source.read(source.record).decode(), newline="")))
    except (csv.Error, UnicodeDecodeError):
        return False
    files = ((name, member) for name, member in inspection.members.items() if name != source.record)
    expected = [[name, member.digest, str(member.size)] for name, member in files]
    return sorted(rows) == sorted([*expected, [source.record, "", ""]])


def _strip(name: str, path: Path) -> tuple[str, int] | None:
    with path.open("r+b") as file, reading(f"{name} is not a readable ELF file", "a shared library"):
        done = strip_file(file)
    if done is None:
        return None
    return f"without {', '.join(done.sections)}", done.size
