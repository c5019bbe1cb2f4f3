"""`[project]` and what goes into the wheel beside extensions, from the keywords of `setup()` and setup.cfg."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpuwheel.adopt.declared.setup_cfg import declared, read_setup_cfg
from gpuwheel.adopt.leftover import Leftover
from gpuwheel.adopt.lists import line, lines, typed, words
from gpuwheel.adopt.python_packages import renamed_packages, wheel_table
from gpuwheel.config.reading.defaults import oldest_python

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.adopt.declared.recording import SetupRecord

__all__ = ["ProjectTable", "project_table"]

_COMMENT = re.compile(r"(?:^|\s)#.*")
_BUILD_TOOLS = {"cmake", "ninja"}
_LICENCES = {
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "mit": "MIT",
    "the mit": "MIT",
}
"""How projects spell licences, in lower case without "License" behind -> names of SPDX."""
_PROVIDER = (
    "no version was to be read: state it in [project], or let [tool.scikit-build.metadata.version] find it, by "
    'provider = "scikit_build_core.metadata.setuptools_scm" in git, by "scikit_build_core.metadata.regex" in a file'
)
_DECIDED = ("CMAKE_BUILD_TYPE", "CMAKE_CUDA_", "CMAKE_CXX_COMPILER", "CMAKE_C_COMPILER", "Python")
_UNUSED = {
    "data_files": "put them into a package: gpuwheel takes every file of a package folder",
    "headers": "put them into a package: gpuwheel takes every file of a package folder",
    "scripts": "entry_points become [project.scripts]; a script as a file has no place in pyproject.toml",
    "libraries": "gpuwheel builds extensions: add the sources to the extension that needs them",
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
    record: SetupRecord, pyproject: Mapping[str, Any], import_paths: Sequence[str], *, uses_torch: bool
) -> ProjectTable:
    """What `[project]` is to say; an existing one keeps what it says, but for what gpuwheel cannot build with.

    Args:
        record: what setup.py said.
        pyproject: the document as it is now.
        import_paths: extensions.
        uses_torch: whether any extension does: then gpuwheel writes the requirement on torch.
    """
    existing: Mapping[str, Any] | None = pyproject.get("project")
    said = {key: value for key, value in record.keywords.items() if value is not None}
    given, strange = typed({**declared(record.root, pyproject), **read_setup_cfg(record.root), **said})
    facts = _Facts(record, given)
    for key in strange:
        facts.leave(key, "", "it is of a kind that setuptools does not take")
    values = facts.values() if existing is None else facts.missing(existing)
    listed = [str(key) for key in (existing or {}).get("dynamic", [])]
    dynamic = [key for key in listed if key not in values and key != "dependencies"]
    static = (existing or {}).get("dependencies")
    requirements = facts.requirements(static)
    if uses_torch:
        dynamic.append("dependencies")
    elif static is None:
        values["dependencies"] = [str(found) for found in requirements]
    facts.unused()
    for package, folder in renamed_packages(facts.given, record.root).items():
        facts.leave("package_dir", folder, f"the folder of a package has its name: rename it to {package}")
    # Apart from the others: gpuwheel writes this one, from the key `torch`.
    torch = next((found for found in requirements if canonicalize_name(found.name) == "torch"), None)
    name = str((existing or values).get("name", ""))
    wheel = wheel_table(facts.given, name, record.root, import_paths)
    own = "scikit-build" in pyproject.get("tool", {})
    return ProjectTable(
        values=values,
        dynamic=tuple(dynamic),
        remove=("dependencies",) if static is not None and uses_torch else (),
        torch=torch,
        dependencies=tuple(str(found) for found in requirements if found is not torch),
        scikit_build={} if own else {**_defines(facts.given), **({"wheel": wheel} if wheel else {})},
        leftovers=tuple(facts.left),
    )


def _defines(given: Mapping[str, Any]) -> dict[str, Any]:
    """What scikit-build's `setup()` gives to CMake, but for what gpuwheel decides."""
    words = [str(word) for word in given.get("cmake_args") or () if str(word).startswith("-D")]
    pairs = (word[2:].partition("=") for word in words)
    defines = {name.partition(":")[0]: value for name, _, value in pairs if not name.startswith(_DECIDED)}
    return {"cmake": {"define": defines}} if defines else {}


@dataclass(frozen=True)
class _Facts:
    """Keywords of `setup()` in the words of `[project]`."""

    record: SetupRecord
    given: Mapping[str, Any]
    left: list[Leftover] = field(default_factory=list)

    def leave(self, keyword: str, what: str, advice: str) -> None:
        """Note what a keyword of `setup()` says in vain, at its own line or that of the keyword."""
        place = self.record.place_of(what, self.record.place_of_keyword(keyword), quoted=True)
        self.left.append(Leftover(place, f"{keyword} {what}".strip(), advice))

    def values(self) -> dict[str, Any]:
        """Everything that can be said, in the order of the specification."""
        given = self.given
        found = {
            "name": str(given.get("name") or self.record.root.name),
            # The standard wants one (PEP 621); that this is none of the project's, a leftover says.
            "version": self.version() or "0.0.0",
            "description": line(given.get("description")),
            "readme": self.readme(),
            "requires-python": self.requires_python(given.get("python_requires")),
            **self.licence(),
            "authors": _people(given.get("author"), given.get("author_email")),
            "maintainers": _people(given.get("maintainer"), given.get("maintainer_email")),
            "keywords": words(given.get("keywords")),
            "urls": self.urls(),
            "optional-dependencies": self.extras(),
            **self.entry_points(),
        }
        return {key: value for key, value in found.items() if value}

    def missing(self, existing: Mapping[str, Any]) -> dict[str, Any]:
        """What an existing `[project]` leaves to setuptools, and the Pythons that gpuwheel builds for."""
        dynamic = set(existing.get("dynamic", []))
        found = {}
        if dynamic - {"dependencies", "version"}:
            found = {key: value for key, value in self.values().items() if key in dynamic - {"version"}}
        if "version" in dynamic:
            version = self.version()
            found |= {"version": version} if version else {}
        asked = existing.get("requires-python")
        if isinstance(asked, str):
            newer = self.requires_python(asked)
            found |= {"requires-python": newer} if SpecifierSet(newer) != SpecifierSet(asked) else {}
        return found

    def version(self) -> str | None:
        """Without a local part; `None` where there is none."""
        text = line(self.given.get("version"))
        try:
            version = Version(text)
        except InvalidVersion:
            self.leave("version", text, _PROVIDER)
            return None
        if version.local:
            # Indexes take no local versions, either (PEP 440, "Local version identifiers").
            advice = "setup.py makes it for one torch, CUDA or commit; the wheel's name says what it is for"
            self.leave("version", f"+{version.local}", advice)
        return version.public

    def requires_python(self, asked: object) -> str:
        """`requires-python` as asked, from the oldest Python on that gpuwheel builds for."""
        oldest = Version(oldest_python())
        try:
            parts = list(SpecifierSet(str(asked or "")))
        except InvalidSpecifier:
            parts = []
        # Bounds below the oldest say nothing any more, once that is the floor.
        kept = [part for part in parts if Version(part.version.removesuffix(".*")) >= oldest]
        floor = any(part.operator in {">=", ">", "~=", "=="} for part in kept)
        if asked and not floor:
            self.leave("python_requires", str(asked), f"gpuwheel builds for Python {oldest} and newer")
        return str(SpecifierSet(",".join([*map(str, kept), *([] if floor else [f">={oldest}"])])))

    def readme(self) -> str | None:
        """The file that `long_description` was read from."""
        text = self.given.get("long_description")
        if not isinstance(text, str) or not text.strip():
            return None
        file = text.removeprefix("file:").partition(",")[0].strip()
        if text.startswith("file:") and (self.record.root / file).is_file():
            return file
        # setup.py has read the file: what it holds is all that tells which one it was.
        for path in sorted(self.record.root.glob("README*")):
            if path.is_file() and path.read_text(encoding="utf-8", errors="replace").strip() == text.strip():
                return path.name
        self.leave("long_description", "", 'readme = "README.md" in [project] takes a file')
        return None

    def licence(self) -> dict[str, Any]:
        """A licence that has an SPDX name, and classifiers, of which those about licences give way to it."""
        text = line(self.given.get("license"))
        classifiers = lines(self.given.get("classifiers"))
        if not text:
            return {"classifiers": classifiers}
        try:
            expression = canonicalize_license_expression(_LICENCES.get(text.lower().removesuffix(" license"), text))
        except InvalidLicenseExpression:
            if not self.is_licence_file(str(self.given["license"])):
                self.leave("license", text, 'license = "BSD-3-Clause" in [project], for example: a name of SPDX')
            return {"classifiers": classifiers}
        others = [name for name in classifiers if not name.startswith("License ::")]
        return {"license": str(expression), "classifiers": others}

    def is_licence_file(self, text: str) -> bool:
        """Whether it is the text of a file of the project's that goes into the wheel anyway."""
        files = [path for path in self.record.root.glob("LICEN[CS]E*") if path.is_file()]
        return any(path.read_text(encoding="utf-8", errors="replace").split() == text.split() for path in files)

    def urls(self) -> dict[str, str]:
        """`url`, `download_url` and `project_urls`."""
        named = {"Homepage": self.given.get("url"), "Download": self.given.get("download_url")}
        return {**{key: str(value) for key, value in named.items() if value}, **(self.given.get("project_urls") or {})}

    def requirements(self, static: object) -> list[Requirement]:
        """Run-time dependencies, those of `[project]` if it states them, without tools of a build."""
        found = []
        for text in lines(static if isinstance(static, list) else self.given.get("install_requires")):
            plain = _COMMENT.sub("", text).strip()
            if not plain:
                continue
            try:
                requirement = Requirement(plain)
            except InvalidRequirement:
                self.leave("install_requires", text, "write it as PEP 508 does, in dependencies")
                continue
            if canonicalize_name(requirement.name) in _BUILD_TOOLS:
                self.leave("install_requires", text, "a tool of the build, which gpuwheel brings")
            else:
                found.append(requirement)
        return found

    def extras(self) -> dict[str, list[str]]:
        """`extras_require`, but for those with a marker in their name."""
        found = {}
        for name, texts in (self.given.get("extras_require") or {}).items():
            if ":" in name:
                self.leave("extras_require", name, 'write its marker into each requirement: "a; sys_platform == ..."')
            else:
                found[name] = lines(texts)
        return found

    def entry_points(self) -> dict[str, Any]:
        """Scripts have tables of their own."""
        groups = self.given.get("entry_points") or {}
        if not isinstance(groups, dict):
            self.leave("entry_points", "", "write them as [project.scripts] and [project.entry-points]")
            return {}
        tables = {name: dict(map(_pair, lines(texts))) for name, texts in groups.items()}
        found = {"scripts": tables.pop("console_scripts", {}), "gui-scripts": tables.pop("gui_scripts", {})}
        return {**found, "entry-points": tables}

    def unused(self) -> None:
        """Note keywords that have no place."""
        for key, advice in _UNUSED.items():
            if self.given.get(key):
                self.leave(key, "", advice)


def _people(names: object, addresses: object) -> list[dict[str, str]]:
    person = {"name": line(names), "email": line(addresses)}
    found = {key: value for key, value in person.items() if value}
    return [found] if found else []


def _pair(text: str) -> tuple[str, str]:
    name, _, target = text.partition("=")
    return name.strip(), target.strip()
