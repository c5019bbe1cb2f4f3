"""Files that are yanked (PEP 592): installers pass them over unless somebody pins exactly that version.

What was yanked by a command is kept in `yanked.json` of the index, a table of file names and reasons that people may
edit; what lies beside a file as `NAME.yanked` counts too.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpuwheel._endings import cut, reading
from gpuwheel._files import write_if_changed
from gpuwheel._limits import CONFIG_FILE, YANK_REASON
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gpuwheel.publish.pages.records import Record

__all__ = ["SIDECAR", "one_line", "read_yanks", "reason_beside", "write_yanks", "yanked_files"]

SIDECAR = ".yanked"
_FILE = "yanked.json"


def one_line(reason: str) -> bool | str:
    """A reason as pages state it: one line, not too long; `True` where there is none."""
    text = " ".join("".join(char if char.isprintable() else " " for char in reason).split())
    return text[: YANK_REASON.value] or True


def reason_beside(path: Path) -> bool | str:
    """What lies beside a file: why it is yanked; `False`: it is not.

    Raises:
        OSError: it cannot be read.
    """
    sidecar = path.with_name(path.name + SIDECAR)
    if not sidecar.is_file():
        return False
    with sidecar.open("rb") as file:
        return one_line(file.read(4 * YANK_REASON.value).decode(errors="replace"))


def read_yanks(index: Path) -> dict[str, str]:
    """File name -> reason, as `yanked.json` has it.

    Raises:
        ConfigError: it is no such table.
    """
    path = index / _FILE
    if not path.is_file():
        return {}
    hint = f'{_FILE} is a table of file names and reasons, {{"ops-1.0-py3-none-any.whl": "crashes"}}'
    with reading(f"{path} cannot be read", "a table of texts", error=ConfigError, hint=hint), path.open("rb") as file:
        data = file.read(CONFIG_FILE.value + 1)
        if len(data) > CONFIG_FILE.value:
            raise ValueError(CONFIG_FILE.passed("more"))
        table = json.loads(data)
        odd = [key for key, value in table.items() if not isinstance(value, str)]
        if odd:
            msg = f"the reason of {cut(odd[0])} is no text"
            raise TypeError(msg)
        return dict(table)


def write_yanks(index: Path, yanks: Mapping[str, str]) -> None:
    """Keep them; a table that never was and is empty is not made.

    Raises:
        OSError: it cannot be written.
    """
    path = index / _FILE
    if yanks or path.exists():
        write_if_changed(path, (json.dumps(yanks, indent=2, sort_keys=True) + "\n").encode())


def yanked_files(name: str, files: Mapping[str, Record]) -> Iterable[str]:
    """The files that `name` means: one file's name, or `project==version` for all of that.

    A version without a local part means that with every one, as PEP 440 has it.

    Raises:
        ConfigError: there is none.
    """
    if name in files:
        return [name]
    project, equals, version = name.partition("==")
    if equals:
        with suppress(InvalidVersion):
            wanted = str(canonicalize_name(project.strip())), Version(version.strip())
            found = [file for file, record in files.items() if _is_of(record, *wanted)]
            if found:
                return found
    msg = f"{cut(name)} is not in this index (expected the name of a file, or PROJECT==VERSION)"
    raise ConfigError(msg, hint="the pages in simple/ name what is there")


def _is_of(record: Record, project: str, wanted: Version) -> bool:
    found = record.wheel or record.other
    if found is None or found.name != project:
        return False
    version = Version(found.version)
    return version == wanted or (wanted.local is None and Version(version.public) == wanted)
