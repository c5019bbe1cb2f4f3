"""What gpuwheel needs of the rest of pyproject.toml: `[project]` and `[tool.scikit-build]`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel._endings import because, cut, reading
from gpuwheel._toml import read_toml
from gpuwheel.config.laws.nvcc_extensions import uses_torch
from gpuwheel.config.model import ProjectFacts
from gpuwheel.config.reading.defaults import oldest_python
from gpuwheel.errors import ConfigError
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gpuwheel.config.model import Settings

__all__ = [
    "check_dependencies",
    "check_inner_settings",
    "check_python",
    "floor_of_pythons",
    "inner_defaults",
    "inner_table",
    "names_packages",
    "project_facts",
    "read_pyproject",
]

# Keys of scikit-build-core that gpuwheel sets for every build, and what says the same to gpuwheel.
_OWNED = {
    "cmake.source-dir": "gpuwheel writes the CMake project from [tool.gpuwheel.extensions]",
    "build.targets": "gpuwheel builds every extension of [tool.gpuwheel.extensions]",
    "wheel.cmake": "gpuwheel runs CMake for every extension of [tool.gpuwheel.extensions]",
    "wheel.platlib": "gpuwheel derives it from what the wheel holds",
    "wheel.py-api": "gpuwheel derives it from the mode of the extensions",
    "wheel.tags": "gpuwheel derives the tags from the symbols; ask for a platform by [tool.gpuwheel.wheel] platform",
}


def read_pyproject(root: Path) -> dict[str, Any]:
    """The document.

    Raises:
        ConfigError: there is no pyproject.toml, or it is not TOML.
    """
    path = root / "pyproject.toml"
    try:
        with reading("pyproject.toml is not valid TOML", "a table", error=ConfigError, hint="see https://toml.io"):
            return read_toml(path)
    except FileNotFoundError:
        msg = f"pyproject.toml is missing (looked in {root})"
        hint = "run this in the folder of a project, or create one with [build-system]"
        if (root / "setup.py").is_file():
            hint = "gpuwheel init writes one from setup.py"
        raise ConfigError(msg, hint=hint) from None
    except OSError as error:
        msg = f"pyproject.toml cannot be read ({because(error)})"
        raise ConfigError(msg, hint="make it a file that this user may read") from error


def project_facts(root: Path, document: Mapping[str, Any]) -> ProjectFacts:
    """Name, requires-python and static dependencies, as `[project]` states them (PEP 621).

    Raises:
        ConfigError: there is no `[project]` or no name, or neither static nor dynamic dependencies.
    """
    project = document.get("project")
    if not isinstance(project, dict):
        msg = "pyproject.toml has no [project] table (expected one with at least name and version)"
        raise ConfigError(msg, hint='add [project] with name, version and dynamic = ["dependencies"]')
    name = project.get("name")
    if not isinstance(name, str) or not name:
        msg = f"project.name in pyproject.toml is missing or not a string (found {name!r}, expected a name)"
        raise ConfigError(msg, hint='add name = "..." to [project]')
    requires_python = project.get("requires-python")
    if not isinstance(requires_python, str | None):
        msg = f"project.requires-python in pyproject.toml is not a string (found {requires_python!r})"
        raise ConfigError(msg, hint=f'requires-python = ">={oldest_python()}"')
    return ProjectFacts(
        root=root,
        name=name,
        requires_python=requires_python,
        version=_static_version(project),
        dependencies=_static_dependencies(project),
    )


def _static_version(project: Mapping[str, Any]) -> str | None:
    version = project.get("version")
    return version if isinstance(version, str) else None  # what it has to be is the law of the standard


def floor_of_pythons(project: ProjectFacts) -> MinorVersion:
    """The oldest Python that the project admits, and gpuwheel builds for."""
    # Lower bounds of any spelling; "!=" and upper bounds make no Python older.
    floors = re.findall(r"(?:>=|~=|==)\s*(\d+\.\d+)", project.requires_python or "")
    return max(MinorVersion.parse(text) for text in (oldest_python(), *floors))


def check_python(project: ProjectFacts) -> tuple[str, ...]:
    """A warning where `requires-python` is missing.

    Raises:
        ConfigError: it is not a specifier, or admits a Python older than gpuwheel builds for.
    """
    oldest = oldest_python()
    hint = f'requires-python = ">={oldest}"'
    if project.requires_python is None:
        return (
            f"project.requires-python is not set: installers will offer the wheel to Pythons below {oldest}; {hint}",
        )
    try:
        specifier = SpecifierSet(project.requires_python)
    except InvalidSpecifier:
        msg = f"project.requires-python in pyproject.toml is not a specifier (found {project.requires_python!r})"
        raise ConfigError(msg, hint=hint) from None
    floor = MinorVersion.parse(oldest)
    # Specifiers have no lower end to ask for (packaging): first and last releases of each older minor are tried.
    too_old = {"2.7", *(f"{floor.major}.{minor}.{patch}" for minor in range(floor.minor) for patch in (0, 99))}
    # A release between the samples is only admitted alone where the specifier names it.
    named = {part.version.removesuffix(".*") for part in specifier if part.operator != "==="}
    too_old |= {version for version in named if Version(version) < Version(oldest)}
    if any(specifier.contains(version, prereleases=True) for version in too_old):
        msg = (
            f"project.requires-python in pyproject.toml admits Pythons that gpuwheel does not build for "
            f"(found {project.requires_python!r}, expected '>={oldest}' or newer)"
        )
        raise ConfigError(msg, hint=hint)
    return ()


def check_dependencies(project: ProjectFacts, settings: Settings) -> None:
    """The wheel's requirements must be stated once, and hold the torch floor.

    Raises:
        ConfigError: static `[project] dependencies` beside `[tool.gpuwheel] dependencies`, or without a torch floor
            that is at least the configured one; torch among the further dependencies.
    """
    hint = 'leave dependencies out of [project] and add dynamic = ["dependencies"]: gpuwheel writes the torch floor'
    for text in settings.dependencies:
        if canonicalize_name(Requirement(text).name) == "torch":
            msg = f"dependencies of [tool.gpuwheel] names torch (found {text!r}, expected the key torch)"
            raise ConfigError(msg, hint=f'torch = "{settings.torch[0]}"')
    if project.dependencies is None:
        return
    if settings.dependencies:
        msg = "dependencies are stated twice (found in [project] and in [tool.gpuwheel], expected in one of them)"
        raise ConfigError(msg, hint=hint)
    if not uses_torch(settings):
        return
    found = [text for text in project.dependencies if canonicalize_name(_requirement(text).name) == "torch"]
    for torch in settings.torch:
        if not any(_floor_of(_requirement(text), torch) for text in found):
            msg = (
                f"project.dependencies in pyproject.toml has no torch floor of at least the configured one "
                f"(found {found or 'no torch'}, expected 'torch{torch}')"
            )
            raise ConfigError(msg, hint=hint)


def check_inner_settings(
    document: Mapping[str, Any], environ: Mapping[str, str], inner: Mapping[str, str | list[str]]
) -> None:
    """The keys of scikit-build-core that gpuwheel owns must not be set by anybody else.

    Raises:
        ConfigError: one of them is in `[tool.scikit-build]`, in `-C` or in a SKBUILD_* variable.
    """
    for key, instead in _OWNED.items():
        sections = key.split(".")
        # scikit-build-core takes each setting from three places; in any of them it would win over, or fight with,
        # ours.
        variable = "SKBUILD_" + key.upper().replace(".", "_").replace("-", "_")
        where = [
            *(place for place, table in _scikit_build_tables(document) if _holds(table, sections)),
            *(f"-C {name}" for name in inner if name.removeprefix("skbuild.") == key),
            *([f"environment {variable}"] if variable in environ else []),
        ]
        if where:
            msg = f"{key} of scikit-build-core is set by gpuwheel (found in {where[0]}, expected nowhere)"
            raise ConfigError(msg, hint=f"remove it: {instead}")


def inner_table(document: Mapping[str, Any]) -> dict[str, object]:
    """`[tool.scikit-build]`; empty if there is none."""
    table: Any = document.get("tool", {}).get("scikit-build", {})
    return table if isinstance(table, dict) else {}


def inner_defaults(table: Mapping[str, object]) -> dict[str, str | list[str]]:
    """What `[tool.scikit-build]` says of keys that gpuwheel gives a value by `-C`, which would hide it."""
    folder = table.get("build-dir")
    return {"build-dir": folder} if isinstance(folder, str) else {}


def names_packages(
    document: Mapping[str, Any], environ: Mapping[str, str], inner: Mapping[str, str | list[str]]
) -> bool:
    """Whether anybody tells scikit-build-core which packages go into the wheel."""
    tables = (table for _, table in _scikit_build_tables(document))
    return (
        "SKBUILD_WHEEL_PACKAGES" in environ
        or any(name.removeprefix("skbuild.").startswith("wheel.packages") for name in inner)
        or any(_holds(table, ["wheel", "packages"]) for table in tables)
    )


def _scikit_build_tables(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """`[tool.scikit-build]` and its overrides, which may set any key under a condition."""
    tool = document.get("tool")
    table = tool.get("scikit-build", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        msg = f"tool.scikit-build in pyproject.toml is not a table (found {cut(repr(table))})"
        raise ConfigError(msg, hint="[tool.scikit-build]")
    yield "pyproject.toml [tool.scikit-build]", table
    overrides = table.get("overrides", [])
    if not isinstance(overrides, list) or not all(isinstance(override, dict) for override in overrides):
        msg = f"tool.scikit-build.overrides in pyproject.toml is not a list of tables (found {cut(repr(overrides))})"
        raise ConfigError(msg, hint="[[tool.scikit-build.overrides]]")
    for override in overrides:
        yield "pyproject.toml [[tool.scikit-build.overrides]]", override


def _holds(table: Mapping[str, Any], sections: list[str]) -> bool:
    first, *rest = sections
    inside = table.get(first)
    return first in table and (not rest or (isinstance(inside, dict) and _holds(inside, rest)))


def _static_dependencies(project: Mapping[str, Any]) -> tuple[str, ...] | None:
    listed = project.get("dynamic", [])
    # PEP 621: exactly one of the two; scikit-build-core says so, but only after everything is compiled.
    static, dynamic = "dependencies" in project, isinstance(listed, list) and "dependencies" in listed
    if static and dynamic:
        msg = "project.dependencies in pyproject.toml is both static and dynamic (expected one, PEP 621)"
        raise ConfigError(msg, hint="remove dependencies from [project]; further ones go to [tool.gpuwheel]")
    if not static and not dynamic:
        msg = "project.dynamic in pyproject.toml lacks 'dependencies' (expected, for gpuwheel writes the torch floor)"
        raise ConfigError(msg, hint='add dynamic = ["dependencies"] to [project]')
    if dynamic:
        return None
    dependencies = project["dependencies"]
    if not isinstance(dependencies, list) or not all(isinstance(entry, str) for entry in dependencies):
        msg = f"project.dependencies in pyproject.toml is not a list of strings (found {cut(repr(dependencies))})"
        raise ConfigError(msg, hint='dependencies = ["torch>=2.10"], or dynamic = ["dependencies"]')
    return tuple(dependencies)


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement:
        msg = f"project.dependencies in pyproject.toml holds what is not a requirement (found {text!r}, PEP 508)"
        raise ConfigError(msg, hint="for example 'torch>=2.10'") from None


def _floor_of(requirement: Requirement, configured: SpecifierSet) -> bool:
    """Whether a requirement for every environment keeps every torch below the configured floor out."""
    # Under a marker the floor does not hold everywhere.
    if requirement.marker is not None:
        return False
    floors = [part.version for part in requirement.specifier if part.operator in {">=", "==", "~=", ">"}]
    return any(configured.contains(version.removesuffix(".*"), prereleases=True) for version in floors)
