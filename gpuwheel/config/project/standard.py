"""`[project]` of pyproject.toml as the standard defines it (https://packaging.python.org/specifications, PEP 621, 639).

scikit-build-core reads it too, but only after everything is compiled.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import DAMAGE, because, cut
from gpuwheel._limits import METADATA_FILE
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["check_standard"]

_HINT = "see https://packaging.python.org/en/latest/specifications/pyproject-toml/"


def check_standard(root: Path, document: Mapping[str, Any]) -> None:
    """Name, version, description, licence and everything else that becomes METADATA.

    Raises:
        ConfigError: something in `[project]` is not as the standard says, or names a file that is not there.
    """
    from pyproject_metadata import StandardMetadata  # noqa: PLC0415 (a hundredth of a second)

    _check_readme(root, document)
    problems: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fields of later versions; the build shows them
            # The library that scikit-build-core has a copy of: what passes here passes there.
            StandardMetadata.from_pyproject(document, root, all_errors=True)
    except OSError as error:
        problems = [f"{cut(error.filename)} cannot be read, {because(error)}"]
    except DAMAGE as error:
        problems = [because(error)]
    except Exception as error:
        # all_errors gives an ExceptionGroup, which Python has from 3.11 on and the library brings its own of before.
        inside = list(getattr(error, "exceptions", ()))
        if not inside:
            raise
        problems = [cut(one) for one in inside]
    if problems:
        first, *others = problems
        more = f", and {len(others)} more, listed above" if others else ""
        msg = f"[project] in pyproject.toml is not as the standard says (found: {first}{more})"
        raise ConfigError(msg, hint=_HINT, detail="\n".join(problems) if others else None)


def _check_readme(root: Path, document: Mapping[str, Any]) -> None:
    """A regular file of a size that METADATA can hold; what else it must be, others check."""
    readme = document["project"].get("readme")
    name = readme.get("file") if isinstance(readme, dict) else readme
    if not isinstance(name, str):
        return
    try:
        path = root / name
        is_other, size = path.exists() and not path.is_file(), path.stat().st_size if path.is_file() else 0
    except (OSError, ValueError) as error:
        msg = f"project.readme in pyproject.toml is not a path (found {cut(repr(name))}: {because(error)})"
        raise ConfigError(msg, hint=_HINT) from error
    if is_other or size > METADATA_FILE.value:
        found = METADATA_FILE.passed(f"{size:,}") if size else "found a folder or a device, expected a file"
        msg = f"project.readme in pyproject.toml cannot become a description ({cut(repr(name))}: {found})"
        raise ConfigError(msg, hint=_HINT)
