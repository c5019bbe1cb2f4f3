"""`[project]` and what goes into the wheel beside extensions, from the keywords of `setup()` and setup.cfg."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpuwheel.adopt.leftover import Leftover
from gpuwheel.adopt.setup_cfg import read_setup_cfg
from gpuwheel.config.defaults import oldest_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from gpuwheel.adopt.recording import SetupRecord

__all__ = ["ProjectTable", "project_table"]

_BUILD_TOOLS = {"cmake", "ninja"}
_NATIVE = (".c", ".cc", ".cpp", ".cu", ".cuh", ".cxx", ".h", ".hpp")
_UNUSED = {
    "data_files": "put them into a package: gpuwheel takes every file of a package folder",
    "headers": "put them into a package: gpuwheel takes every file of a package folder",
    "scripts": "entry_points become [project.scripts]; a script as a file has no place in pyproject.toml",
    "libraries": "gpuwheel builds extensions; add the sources to the extension that needs them",
    "use_scm_version": 'dynamic = ["version"] and provider = "scikit_build_core.metadata.setuptools_scm" in '
    "[tool.scikit-build.metadata.version]",
}


@dataclass(frozen=True)
class ProjectTable:
    """Changes of `[project]`, and `[tool.scikit-build]`."""

    values: Mapping[str, Any]
    """Keys to set."""
    dynamic: tuple[str, ...]
    """`dynamic`, whole."""
    remove: tuple[str, ...]
    """Keys to take out."""
    torch: Requirement | None
    """What the project asked of torch."""
    dependencies: tuple[str, ...]
    """All others."""
    scikit_build: Mapping[str, Any]
    leftovers: tuple[Leftover, ...]


def project_table(
    record: SetupRecord, pyproject: Mapping[str, Any], sources: Iterable[str], *, uses_torch: bool
) -> ProjectTable:
    """What `[project]` is to say; an existing one keeps what it says, but for what gpuwheel cannot build with.

    Args:
        record: what setup.py said.
        pyproject: the document as it is now.
        sources: files that extensions are compiled from.
        uses_torch: whether any extension does: then gpuwheel writes the requirement on torch.
    """
    existing: Mapping[str, Any] | None = pyproject.get("project")
    given = {**read_setup_cfg(record.root), **{key: value for key, value in record.keywords.items() if value}}
    left: list[Leftover] = []
    facts = _Facts(record, given, left)
    requirements = facts.requirements(existing)
    torch = next((found for found in requirements if canonicalize_name(found.name) == "torch"), None)
    dependencies = tuple(str(found) for found in requirements if found is not torch)
    values = facts.values()
    if existing is None:
        dynamic: tuple[str, ...] = ()
    else:
        listed = [str(key) for key in existing.get("dynamic", [])]
        kept = {key: value for key, value in values.items() if key in listed}
        dynamic = tuple(key for key in listed if key not in kept and key != "dependencies")
        name = str(existing.get("name", ""))
        values = {**kept, **_newer_python(existing, facts), "name": name} if name else {**kept, "name": values["name"]}
    static = existing is not None and "dependencies" in existing
    if uses_torch:
        dynamic = (*dynamic, "dependencies")
    elif not static:
        values["dependencies"] = [str(found) for found in requirements]
    packages = _packages(given, str(values["name"]), record.root)
    scikit_build = {**packages, **_excluded(given, sources, record.root)}
    if existing is not None:
        values.pop("name") if existing.get("name") else None
    facts.unused()
    return ProjectTable(
        values=values,
        dynamic=dynamic,
        remove=("dependencies",) if static and uses_torch else (),
        torch=torch,
        dependencies=dependencies,
        scikit_build={} if "scikit-build" in pyproject.get("tool", {}) else scikit_build,
        leftovers=tuple(left),
    )


def _newer_python(existing: Mapping[str, Any], facts: _Facts) -> dict[str, str]:
    asked = existing.get("requires-python")
    newer = facts.requires_python(asked) if isinstance(asked, str) else asked
    return {} if newer == asked or newer is None else {"requires-python": newer}


@dataclass(frozen=True)
class _Facts:
    """Keywords of `setup()` in the words of `[project]`."""

    record: SetupRecord
    given: Mapping[str, Any]
    left: list[Leftover]

    def leave(self, keyword: str, what: str, advice: str) -> None:
        """Note what a keyword of `setup()` says in vain, at its own line or that of the keyword."""
        place = self.record.place_of(what, self.record.place_of_keyword(keyword), quoted=True)
        self.left.append(Leftover(place, f"{keyword} {what}".strip(), advice))

    def values(self) -> dict[str, Any]:
        """Everything that can be said, in the order of the specification."""
        given = self.given
        found = {
            "name": str(given.get("name") or self.record.root.name),
            "version": self.version(),
            "description": _line(given.get("description")),
            "readme": self.readme(),
            "requires-python": self.requires_python(given.get("python_requires")),
            **self.licence(),
            "authors": _people(given.get("author"), given.get("author_email")),
            "maintainers": _people(given.get("maintainer"), given.get("maintainer_email")),
            "keywords": _words(given.get("keywords")),
            "urls": self.urls(),
            "optional-dependencies": self.extras(),
            **self.entry_points(),
        }
        return {key: value for key, value in found.items() if value}

    def version(self) -> str:
        text = str(self.given.get("version") or "")
        try:
            version = Version(text)
        except InvalidVersion:
            self.leave("version", text, 'version = "0.0.0" stands in [project]: give it yours')
            return "0.0.0"
        if version.local:
            advice = "setup.py makes it for one torch, CUDA or commit; the wheel's name says what it is for"
            self.leave("version", f"+{version.local}", advice)
        return version.public

    def requires_python(self, asked: Any) -> str:  # noqa: ANN401 (whatever setup() was given)
        """As asked, from the oldest Python on that gpuwheel builds for."""
        oldest = Version(oldest_python())
        try:
            parts = list(SpecifierSet(str(asked or "")))
        except InvalidSpecifier:
            parts = []
        kept = [part for part in parts if Version(part.version.removesuffix(".*")) >= oldest]
        floor = any(part.operator in {">=", ">", "~=", "=="} for part in kept)
        text = str(SpecifierSet(",".join([*map(str, kept), *([] if floor else [f">={oldest}"])])))
        if asked and not floor:
            self.leave("python_requires", str(asked), f"gpuwheel builds for Python {oldest} and newer")
        return text

    def readme(self) -> str | None:
        text = self.given.get("long_description")
        if not isinstance(text, str) or not text.strip():
            return None
        file = text.removeprefix("file:").partition(",")[0].strip()
        if text.startswith("file:") and (self.record.root / file).is_file():
            return file
        for path in sorted(self.record.root.glob("README*")):
            if path.is_file() and path.read_text(encoding="utf-8", errors="replace").strip() == text.strip():
                return path.name
        self.leave("long_description", "", 'readme = "README.md" in [project] takes a file')
        return None

    def licence(self) -> dict[str, Any]:
        """A licence that has an SPDX name, and classifiers, of which those about licences give way to it."""
        text = self.given.get("license")
        classifiers = _words(self.given.get("classifiers"), separators="\n")
        if not isinstance(text, str) or not text.strip():
            return {"classifiers": classifiers}
        try:
            expression = canonicalize_license_expression(text)
        except InvalidLicenseExpression:
            advice = 'license = "BSD-3-Clause" in [project], for example: a name of SPDX'
            self.leave("license", _line(text), advice)
            return {"classifiers": classifiers}
        return {
            "license": str(expression),
            "classifiers": [name for name in classifiers if not name.startswith("License ::")],
        }

    def urls(self) -> dict[str, str]:
        urls = dict(self.given.get("project_urls") or {})
        named = {"Homepage": self.given.get("url"), "Download": self.given.get("download_url")}
        return {**{key: str(value) for key, value in named.items() if value}, **urls}

    def requirements(self, existing: Mapping[str, Any] | None) -> list[Requirement]:
        """Run-time dependencies, without tools of a build."""
        stated = (existing or {}).get("dependencies")
        texts = stated if isinstance(stated, list) else _words(self.given.get("install_requires"), separators="\n")
        found = []
        for text in texts:
            try:
                requirement = Requirement(str(text))
            except InvalidRequirement:
                self.leave("install_requires", str(text), "write it as PEP 508 does, in dependencies")
                continue
            if canonicalize_name(requirement.name) in _BUILD_TOOLS:
                self.leave("install_requires", str(text), "a tool of the build, which gpuwheel brings")
            else:
                found.append(requirement)
        return found

    def extras(self) -> dict[str, list[str]]:
        extras = self.given.get("extras_require") or {}
        found = {}
        for name, texts in extras.items():
            if ":" in name:
                advice = 'write its marker into each requirement: "a; sys_platform == ..."'
                self.leave("extras_require", name, advice)
            else:
                found[name] = _words(texts, separators="\n")
        return found

    def entry_points(self) -> dict[str, Any]:
        groups = self.given.get("entry_points") or {}
        if not isinstance(groups, dict):
            self.leave("entry_points", "", "write them as [project.scripts] and [project.entry-points]")
            return {}
        tables = {name: dict(_pairs(_words(texts, separators="\n"))) for name, texts in groups.items()}
        found = {"scripts": tables.pop("console_scripts", {}), "gui-scripts": tables.pop("gui_scripts", {})}
        return {**found, "entry-points": tables}

    def unused(self) -> None:
        """Keywords that have no place."""
        for key, advice in _UNUSED.items():
            if self.given.get(key):
                self.leave(key, "", advice)


def _line(text: object) -> str:
    return " ".join(str(text or "").split())


def _people(names: object, addresses: object) -> list[dict[str, str]]:
    person = {"name": _line(names), "email": _line(addresses)}
    found = {key: value for key, value in person.items() if value}
    return [found] if found else []


def _words(value: object, separators: str = ", \n") -> list[str]:
    """A list, or a string that stands for one."""
    if isinstance(value, str):
        return [word.strip() for word in re.split(f"[{separators}]", value) if word.strip()]
    return [str(item) for item in value] if isinstance(value, list) else []


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, target = line.partition("=")
        yield name.strip(), target.strip()


def _packages(given: Mapping[str, Any], name: str, root: Path) -> dict[str, Any]:
    """`wheel.packages`, where scikit-build-core would not find the same folders by the project's name."""
    tops = sorted({package.partition(".")[0] for package in _words(given.get("packages"))})
    places = given.get("package_dir") or {}
    base = PurePosixPath(places.get("", "."))
    folders = {top: PurePosixPath(places.get(top, base / top)).as_posix() for top in tops}
    modules = [(base / f"{module}.py").as_posix() for module in _words(given.get("py_modules"))]
    found = name.replace("-", "_")
    default = next((place for place in (f"src/{found}", f"python/{found}", found) if (root / place).is_dir()), None)
    if not tops and not modules:
        return {"wheel.packages": []} if default and "packages" in given else {}
    if not modules and list(folders.values()) == [default]:
        return {}
    if all(PurePosixPath(folder).name == top for top, folder in folders.items()):
        return {"wheel.packages": [*folders.values(), *modules]}
    return {"wheel.packages": [*folders.values(), *modules]}


def _excluded(given: Mapping[str, Any], sources: Iterable[str], root: Path) -> dict[str, Any]:
    """`wheel.exclude`: sources beside Python's, which setup.py does not ship."""
    places = given.get("package_dir") or {}
    ships = given.get("package_data") or given.get("include_package_data")
    folders = [
        PurePosixPath(places.get(name, PurePosixPath(places.get("", "."), *name.split("."))))
        for name in _words(given.get("packages"))
    ]
    beside = {PurePosixPath(source).parent for source in sources}
    inside = [path for path in beside if any(path.is_relative_to(folder) for folder in folders)]
    if ships or not inside:
        return {}
    suffixes = {file.suffix for path in inside for file in (root / path).iterdir() if file.suffix in _NATIVE}
    return {"wheel.exclude": sorted(f"*{suffix}" for suffix in suffixes)}
