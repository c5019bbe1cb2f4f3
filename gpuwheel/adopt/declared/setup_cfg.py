"""setup.cfg and `[tool.setuptools]`, as the keywords of `setup()` that they stand for."""

from __future__ import annotations

import ast
from configparser import ConfigParser, Error
from typing import TYPE_CHECKING, Any

from gpuwheel.adopt.lists import words
from gpuwheel.adopt.shipped import find_packages
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["declared", "read_setup_cfg"]

_METADATA = (
    *("name", "version", "description", "long_description", "author", "author_email", "maintainer", "maintainer_email"),
    *("url", "download_url", "license", "classifiers", "keywords"),
)
_SPELLINGS = {"home-page": "url", "home_page": "url", "summary": "description", "classifier": "classifiers"}
_SECTIONS = ("extras_require", "entry_points", "package_data", "exclude_package_data")
_OPTIONS = ("python_requires", "install_requires", "packages", "py_modules", "include_package_data")


def read_setup_cfg(root: Path) -> dict[str, Any]:
    """Keyword -> value; empty without a setup.cfg. Lists stay text, as `setup()` takes them.

    Raises:
        ConfigError: it cannot be parsed.
    """
    path = root / "setup.cfg"
    # As setuptools reads it: a "%" is a character like others.
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of scripts keep their case
    try:
        parser.read(path, encoding="utf-8")
    except (Error, UnicodeDecodeError) as error:
        msg = f"setup.cfg cannot be read ({' '.join(str(error).split())})"
        raise ConfigError(msg) from error
    sections = {name: dict(parser[name]) for name in parser.sections()}
    metadata, options = sections.get("metadata", {}), sections.get("options", {})
    found: dict[str, Any] = {}
    for key, value in metadata.items():
        name = _SPELLINGS.get(key, key.replace("-", "_"))
        if name in _METADATA:
            found[name] = value.strip()
    found |= {key: options[key].strip() for key in _OPTIONS if key in options}
    tables = {"project_urls": metadata, "package_dir": options}
    found |= {key: _table(section[key]) for key, section in tables.items() if key in section}
    found |= {key: sections[f"options.{key}"] for key in _SECTIONS if f"options.{key}" in sections}
    version = str(found.get("version", ""))
    if version.startswith(("attr:", "file:")):
        found["version"] = _version(root, version, found.get("package_dir", {}))
    if found.get("packages") in {"find:", "find_namespace:"}:
        find = sections.get("options.packages.find", {})
        lists = (words(find.get("include", "*")), words(find.get("exclude", "")))
        found["packages"] = find_packages(root / find.get("where", "."), *lists, plain=found["packages"] != "find:")
    return found


def declared(root: Path, pyproject: Mapping[str, Any]) -> dict[str, Any]:
    """What `[tool.setuptools]` of pyproject.toml says, keyword -> value."""
    table = pyproject.get("tool", {}).get("setuptools", {})
    names = ("packages", "py-modules", "package-dir", "package-data", "exclude-package-data")
    found = {key.replace("-", "_"): table[key] for key in names if key in table}
    if table or "project" in pyproject:
        found["include_package_data"] = table.get("include-package-data", True)
    packages = found.get("packages")
    if isinstance(packages, dict):
        find = packages.get("find", {})
        where = find.get("where", ["."])[0]
        lists = (find.get("include", ["*"]), find.get("exclude", []))
        found["packages"] = find_packages(root / where, *lists, plain=find.get("namespaces", True))
        found.setdefault("package_dir", {"": where})
    version = table.get("dynamic", {}).get("version", {})
    for kind in ("attr", "file"):
        if isinstance(version.get(kind), str):
            found["version"] = _version(root, f"{kind}: {version[kind]}", found.get("package_dir", {}))
    return found


def _table(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in lines}


def _version(root: Path, directive: str, package_dir: Mapping[str, str]) -> str:
    """The version in a file, or in an assignment of a module, read without importing it; empty if it is not there."""
    kind, _, place = (part.strip() for part in directive.partition(":"))
    if kind == "file":
        path = root / place
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    module, _, name = place.rpartition(".")
    folder = (root / package_dir.get("", ".")).joinpath(*module.split("."))
    for path in (folder / "__init__.py", folder.with_suffix(".py")):
        if path.is_file():
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Assign) and any(getattr(target, "id", None) == name for target in node.targets):
                    return str(node.value.value) if isinstance(node.value, ast.Constant) else ""
    return ""
