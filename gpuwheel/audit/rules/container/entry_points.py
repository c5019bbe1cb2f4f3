"""Programs that installers make, and those that are in the wheel."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from gpuwheel._endings import because, cut
from gpuwheel._limits import SCRIPT_FILE
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.container.names_agree import dist_info_file
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["PROGRAM_RULES"]

_SCRIPTS = ("console_scripts", "gui_scripts")
# Entry points specification: a module, an object in it, and extras, which are deprecated.
_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<object>[\w.]+)\s*)?(\[.*\]\s*)?")
_MODULES = (".py", "/__init__.py", "/__init__.pyi", ".pyc")


@rule(
    "entry-points",
    needs={Part.MEMBERS},
    why="uv and installer refuse to install the wheel",
    fix="correct it in [project.scripts] or [project.entry-points], and build again",
    source="entry points specification; tried with pip, uv and installer",
)
def _entry_points(case: WheelCase) -> Iterator[Found]:
    """entry_points.txt cannot be read, or a program in it is not one."""
    document = dist_info_file(case, "entry_points.txt")
    if document is None:
        return
    subject = f"{case.wheel.dist_info}/entry_points.txt"
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(document.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        yield Found(subject, f"cannot be read ({because(error)}, expected sections of NAME = MODULE:OBJECT)")
        return
    for section in parser.sections():
        for name, reference in parser.items(section):
            yield from _program(case, section, name, reference)


def _program(case: WheelCase, section: str, name: str, reference: str) -> Iterator[Found]:
    subject = f"{case.wheel.dist_info}/entry_points.txt"
    match, script = _REFERENCE.fullmatch(reference), section in _SCRIPTS
    told = f"{cut(name)} = {cut(reference)}"
    if script and ("/" in name or "\\" in name or name in {".", ".."}):
        yield Found(subject, f"has a program outside of the folder of programs ({told})", "pip and uv refuse the wheel")
    elif not match:
        yield Found(subject, f"has an entry that is no reference ({told}, expected MODULE:OBJECT)")
    elif script and not match["object"]:
        why = "pip and uv refuse to install the wheel"
        yield Found(subject, f"has a program without a function ({told}, expected MODULE:OBJECT)", why)
    elif not _is_there(case, match["module"]):
        why = "the program ends with ModuleNotFoundError" if script else "who loads it gets a ModuleNotFoundError"
        yield Found(subject, f"has an entry whose module is not in the wheel ({told})", why)


def _is_there(case: WheelCase, module: str) -> bool:
    """Whether a module is in the wheel; one of another project may be anywhere."""
    members, path = case.wheel.members, module.replace(".", "/")
    top = module.partition(".")[0]
    ours = any(name.startswith((f"{top}/__init__.py", f"{top}.py")) for name in members)
    if not ours:
        return True
    # Extension modules have a suffix of their Python; packages of namespaces no __init__.
    return any(f"{path}{end}" in members for end in _MODULES) or any(
        name.startswith((f"{path}/", f"{path}.")) for name in members
    )


_VERSIONED = re.compile(r"^/(?:usr/)?bin/(?:env(?: -S)? )?(python[23]\.\d+)(?: |$)")


@rule(
    "script-interpreter",
    needs={Part.MEMBERS},
    why="installers put the user's Python in place of `#!python` alone: elsewhere the script does not start",
    fix="let the first line be #!python, or declare the program in [project.scripts]",
    source="binary distribution format, Recommended installer features; tried with pip, uv and installer",
)
def _interpreter(case: WheelCase) -> Iterator[Found]:
    """A script names the Python of the machine on which it was built."""
    for name, member in case.wheel.members.items():
        if ".data/scripts/" not in name or member.size > SCRIPT_FILE.value or not member.starts_with(b"#!"):
            continue
        first = member.data.partition(b"\n")[0][2:].strip().decode(errors="replace")
        program = first.partition(" ")[0]
        python = "python" in program.rpartition("/")[2]
        if python and program.startswith("/") and not program.startswith(("/usr/bin/", "/bin/")):
            yield Found(cut(name), f"starts with the Python of another machine (#!{cut(first)}, expected #!python)")
        elif versioned := _VERSIONED.search(first):
            problem = f"starts with one version of Python, wherever that is (#!{cut(first)}, expected #!python)"
            why = f"installers put the user's Python in place of `#!python` alone, and that may be no {versioned[1]}"
            yield Found(cut(name), problem, why, severity=Severity.WARNING)


_CUSTOM = frozenset({"sitecustomize.py", "usercustomize.py"})
"""Modules that `site` imports."""


@rule(
    "startup-file",
    needs={Part.MEMBERS},
    why="Python reads it at every start of the environment, for whichever program",
    fix="leave it out, unless the project cannot work without it",
    source="Python documentation, site: path configuration files",
    severity=Severity.WARNING,
)
def _startup(case: WheelCase) -> Iterator[Found]:
    """The wheel holds a file that runs at every start of Python."""
    for name, member in case.wheel.members.items():
        path = re.sub(r"^[^/]*\.data/(purelib|platlib)/", "", name)
        if path in _CUSTOM:
            why = "Python imports it at every start, and of several in one environment the first alone"
            yield Found(cut(name), "runs at every start of Python, and hides that of others", why)
        if "/" in path or not path.endswith((".pth", ".start")) or member.size > SCRIPT_FILE.value:
            continue
        lines = [line.strip() for line in member.data.decode(errors="replace").splitlines()]
        absolute = [line for line in lines if line.startswith("/") or re.match(r"[A-Za-z]:[\\/]", line)]
        if absolute:
            why = "no other machine has this folder: what an editable installation leaves behind"
            problem = f"adds a folder of the build machine to the path ({cut(absolute[0])}, expected none)"
            yield Found(name, problem, why, severity=Severity.ERROR)
        else:
            yield Found(name, "runs or adds folders at every start of Python", severity=Severity.NOTE)


PROGRAM_RULES = (_entry_points, _interpreter, _startup)
