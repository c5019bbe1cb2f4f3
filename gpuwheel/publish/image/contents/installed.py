"""A wheel as it is installed into a virtual environment (binary distribution format, "Installing a wheel"; PEP 376).

Nothing is run and nothing unpacked: each file is a place in the image and where its bytes come from. Of two installs of
one wheel into one place every byte is the same: RECORD is sorted, and there is no time, no user and no bytecode.
"""

from __future__ import annotations

import configparser
import csv
import io
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import cut, reading
from gpuwheel._limits import SCRIPT_FILE
from gpuwheel.errors import AuditError
from gpuwheel.wheel.archive import record_digest
from gpuwheel.wheel.metadata import field_values

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

    from gpuwheel.publish.image.contents.opened_wheel import OpenWheel
    from gpuwheel.publish.image.image_plan import ImagePython

__all__ = ["ImageFile", "Place", "folder", "installed_files", "link", "text_file", "venv_files"]

_SCRIPT = """\
#!{python}
import sys

from {module} import {name}

if __name__ == "__main__":
    sys.exit({call}())
"""
_SHEBANG = re.compile(rb"#!python[^\r\n]*")
"""How a script in a wheel starts, for the installer to replace the line (binary distribution format, as pip does)."""
_OBJECT = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*:\s*(?P<call>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")
_EXTRAS = re.compile(r"\s*\[[^\]]*\]\s*$")
_SCRIPT_NAME = re.compile(r"\w[\w.+ -]*")
_INSTALLER = b"gpuwheel\n"
_WHITEOUT = ".wh."
"""How the name of a file begins that deletes another one, in a layer (image-spec, `layer.md`, "Whiteouts")."""


@dataclass(frozen=True)
class ImageFile:
    """One path of an image."""

    path: str
    """Without the leading slash."""
    mode: int = 0o644
    member: zipfile.ZipInfo | None = None
    """Of the wheel, where its bytes are those of a member."""
    data: bytes = b""
    digest: str = ""
    """As RECORD writes it: what the bytes of a member have to be; of files alone."""
    target: str | None = None
    """Of a symbolic link."""
    is_folder: bool = False
    owner: int = 0
    """User."""
    group: int = 0


def folder(path: str, mode: int = 0o755, owner: int = 0, group: int = 0) -> ImageFile:
    """A folder."""
    return ImageFile(path, mode, is_folder=True, owner=owner, group=group)


def link(path: str, target: str) -> ImageFile:
    """A symbolic link."""
    return ImageFile(path, 0o777, target=target)


def text_file(path: str, data: bytes, mode: int = 0o644) -> ImageFile:
    """A file that is made here."""
    return ImageFile(path, mode, data=data, digest=record_digest(data))


@dataclass(frozen=True)
class Place:
    """A virtual environment in an image."""

    prefix: str
    """"/opt/venv"."""
    python: ImagePython

    @property
    def root(self) -> str:
        """The prefix without its leading slash."""
        return self.prefix.strip("/")

    @property
    def site(self) -> str:
        """Of purelib and platlib."""
        return f"{self.root}/lib/python{self.python}/site-packages"

    @property
    def interpreter(self) -> str:
        """What scripts start with."""
        return f"{self.prefix}/bin/python"


def venv_files(place: Place, home: str, owner: int) -> list[ImageFile]:
    """What makes a folder a virtual environment of the base's Python (PEP 405), and a home for who is not root."""
    python, root = place.python, place.root
    lines = {
        "home": python.executable.rpartition("/")[0] or "/",
        "include-system-site-packages": "false",
        "version": f"{python.version[0]}.{python.version[1]}",
    }
    config = "".join(f"{key} = {value}\n" for key, value in lines.items()).encode()
    made = [
        text_file(f"{root}/pyvenv.cfg", config),
        link(f"{root}/bin/python", python.executable),
        *(link(f"{root}/bin/{name}", "python") for name in ("python3", f"python{python}")),
        link(f"{root}/lib64", "lib"),
        folder(place.site),
    ]
    # For group 0 too: OpenShift runs images as users of any number, whose group it is.
    return [*made, folder(home.strip("/"), 0o770, owner)] if home else made


def installed_files(wheel: OpenWheel, place: Place) -> list[ImageFile]:
    """Every file that installing a wheel makes, sorted by path; parents are left to who writes them.

    Raises:
        AuditError: RECORD, WHEEL or an entry point is damaged, or a file would lie where none may.
    """
    _check_version(wheel)
    recorded, rows = wheel.record(), list[tuple[str, str, int]]()
    files: list[ImageFile] = []
    for row, file, size in _files(wheel, place, recorded):
        rows.append((row, file.digest, size))
        files.append(file)
    own = f"{wheel.dist_info}/RECORD"
    files.append(text_file(f"{place.site}/{own}", _record(rows, own)))
    files.sort(key=lambda file: file.path)
    for before, after in itertools.pairwise(files):
        if before.path == after.path:
            msg = f"{wheel.name} would install {cut(after.path)} twice (each path must occur once)"
            raise AuditError(msg, hint="remove one of the two from the wheel: a script, or a file in .data")
    for file in files:
        if any(part.startswith(_WHITEOUT) for part in file.path.split("/")):
            msg = f"{wheel.name} holds {cut(file.path)} (expected no name that begins with {_WHITEOUT})"
            raise AuditError(msg, hint="do not use this wheel: in a layer, such a file deletes others")
    return files


def _check_version(wheel: OpenWheel) -> None:
    version = next(iter(field_values(wheel.read("WHEEL"), "Wheel-Version")), "")
    # "Installing a wheel": warn of a later minor, refuse another major.
    if version.partition(".")[0] != "1":
        msg = f"{wheel.name} is a wheel of version {cut(version) or 'none'} (expected 1.0)"
        raise AuditError(msg, hint="build it again, with a current tool")


def _files(wheel: OpenWheel, place: Place, recorded: dict[str, str]) -> Iterator[tuple[str, ImageFile, int]]:
    """(row of RECORD, file, size) for all but RECORD."""
    info, data = wheel.dist_info, f"{wheel.dist_info.removesuffix('.dist-info')}.data"
    for name, digest in recorded.items():
        if name == f"{info}/INSTALLER":
            continue
        member = wheel.members[name]
        # Of a mode, installers keep whether the file is executable (as pip does).
        mode = 0o755 if member.external_attr >> 16 & 0o111 else 0o644
        if not name.startswith(f"{data}/"):
            yield name, ImageFile(f"{place.site}/{name}", mode, member, digest=digest), member.file_size
            continue
        scheme, _, rest = name.removeprefix(f"{data}/").partition("/")
        if rest and scheme == "scripts":
            yield _script(wheel, member, digest, rest, place)
            continue
        row, path = _in_scheme(scheme, rest, wheel, place)
        yield row, ImageFile(path, mode, member, digest=digest), member.file_size
    for row, content, mode in _made(wheel, place):
        path = f"{place.root}/{row.removeprefix('../../../')}" if row.startswith("../") else f"{place.site}/{row}"
        yield row, text_file(path, content, mode), len(content)


def _in_scheme(scheme: str, rest: str, wheel: OpenWheel, place: Place) -> tuple[str, str]:
    """(row of RECORD, path in the image) of a file in `.data`."""
    if rest and scheme in {"purelib", "platlib"}:
        return rest, f"{place.site}/{rest}"
    if rest and scheme == "data":
        # A link in every environment: what lies behind it is in lib.
        rest = rest.replace("lib64/", "lib/", 1) if rest.startswith("lib64/") else rest
        return f"../../../{rest}", f"{place.root}/{rest}"
    if rest and scheme == "headers":
        # Where `sysconfig` has no path for them, as pip puts them.
        project = wheel.dist_info.partition("-")[0]
        inside = f"include/site/python{place.python}/{project}/{rest}"
        return f"../../../{inside}", f"{place.root}/{inside}"
    msg = f"{wheel.name} holds {cut(f'.data/{scheme}/{rest}')} (expected purelib, platlib, headers, scripts or data)"
    raise AuditError(msg, hint="build the wheel again, with a tool that keeps to the standard")


def _script(
    wheel: OpenWheel, member: zipfile.ZipInfo, digest: str, rest: str, place: Place
) -> tuple[str, ImageFile, int]:
    row, path = f"../../../bin/{rest}", f"{place.root}/bin/{rest}"
    head = next(wheel.archive.open(member), b"")
    found = _SHEBANG.match(head)
    if found is None:
        return row, ImageFile(path, 0o755, member, digest=digest), member.file_size
    if member.file_size > SCRIPT_FILE.value:
        found_size = SCRIPT_FILE.passed(f"{member.file_size:,} bytes")
        msg = f"holds a script that is too large ({cut(member.filename)}: {found_size})"
        raise wheel.archive.refuse(msg)
    data = wheel.archive.read(member)
    if record_digest(data) != digest:
        msg = f"{wheel.name} holds {cut(member.filename)} with another digest than its RECORD says"
        raise AuditError(msg, hint="download or build the file again")
    data = b"#!" + place.interpreter.encode() + data[found.end() :]
    return row, text_file(path, data, 0o755), len(data)


def _made(wheel: OpenWheel, place: Place) -> Iterator[tuple[str, bytes, int]]:
    """(row of RECORD, content, mode) of what an installer writes itself."""
    yield f"{wheel.dist_info}/INSTALLER", _INSTALLER, 0o644
    text = wheel.read("entry_points.txt")
    parser = configparser.RawConfigParser(delimiters=("=",), default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    with reading(f"{wheel.name} has damaged entry points", "the entry points specification", hint="build it again"):
        try:
            parser.read_string(text.decode())
        except configparser.Error as error:
            raise ValueError(cut(error)) from error
        for section in ("console_scripts", "gui_scripts"):
            for name, target in parser[section].items() if parser.has_section(section) else ():
                found = _OBJECT.fullmatch(_EXTRAS.sub("", target).strip())
                if found is None or _SCRIPT_NAME.fullmatch(name) is None:
                    msg = f"script {cut(repr(name))} = {cut(repr(target))}"
                    raise ValueError(msg)
                call = found["call"]
                script = _SCRIPT.format(
                    python=place.interpreter, module=found["module"], name=call.partition(".")[0], call=call
                )
                yield f"../../../bin/{name}", script.encode(), 0o755


def _record(rows: list[tuple[str, str, int]], own: str) -> bytes:
    out = io.StringIO()
    every: list[tuple[str, str, int | str]] = [*rows, (own, "", "")]
    every.sort(key=lambda row: row[0])
    csv.writer(out, lineterminator="\n").writerows(every)
    return out.getvalue().encode()
