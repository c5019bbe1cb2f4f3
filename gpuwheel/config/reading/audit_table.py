"""`[tool.gpuwheel.audit]` alone: an audit may be of wheels that gpuwheel does not build."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gpuwheel.config.model import AuditSettings
from gpuwheel.config.project.project_table import read_pyproject
from gpuwheel.config.reading.reader import built_settings, own_table
from gpuwheel.config.reading.sources import from_environ, from_toml
from gpuwheel.config.reading.variables import other_variables
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["read_audit_settings"]

_PLACE = ("audit",)
_VARIABLES = "GPUWHEEL_AUDIT_"


def read_audit_settings(root: Path, environ: Mapping[str, str]) -> AuditSettings:
    """What the project in `root` says, if there is one: any pyproject.toml may have this table.

    Raises:
        ConfigError: the file is not TOML, or the table has something that it must not.
    """
    document = read_pyproject(root) if (root / "pyproject.toml").exists() else {}
    table = own_table(document).get("audit", {})
    if not isinstance(table, dict):
        msg = "tool.gpuwheel.audit in pyproject.toml is not a table (expected [tool.gpuwheel.audit])"
        raise ConfigError(msg)
    # The others are of builds: a mistake in one is no matter of an audit.
    own = {name: value for name, value in environ.items() if name.startswith(_VARIABLES)}
    asked = from_environ(own, other_variables())
    given = from_toml(table, "pyproject.toml", AuditSettings, _PLACE) | asked
    return cast("AuditSettings", built_settings(AuditSettings, given, _PLACE))
