"""pyproject.toml with a proposal or a table in it, and everything else in it as it was. The only user of tomlkit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit

from gpuwheel._endings import reading
from gpuwheel._toml import parse_toml
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.adopt.proposal import Proposal

__all__ = ["parse_pyproject", "render_pyproject", "with_table"]

_WIDTH = 100
_BACKEND = "gpuwheel.backend"


def parse_pyproject(text: str) -> dict[str, Any]:
    """The document as plain values.

    Raises:
        ConfigError: it is not TOML, or has `[tool.gpuwheel]` already.
    """
    with reading("pyproject.toml is not valid TOML", "a table", error=ConfigError, hint="see https://toml.io"):
        document = parse_toml(text.encode())
    tool = document.get("tool", {})
    if not isinstance(tool, dict) or "gpuwheel" in tool:
        msg = "pyproject.toml has [tool.gpuwheel] already (expected none: init does not write over your choices)"
        raise ConfigError(msg, hint="remove [tool.gpuwheel] and the tables below it to have them written anew")
    return document


def render_pyproject(text: str, proposal: Proposal) -> str:
    """The new text of pyproject.toml.

    `[build-system]` and `[project]` are changed where they stand; new tables follow after everything else.

    Args:
        text: what it holds now; empty if there is none.
        proposal: what it is to say.
    """
    document = tomlkit.parse(text)
    build_system = {"requires": list(proposal.build_requires), "build-backend": _BACKEND}
    change = proposal.project
    project = {**change.values, **({"dynamic": list(change.dynamic)} if change.dynamic else {})}
    before, after = [], []
    if "build-system" in document:
        # backend-path leads to a backend inside of the project, which gpuwheel is not (PEP 517).
        _change(document["build-system"], build_system, ("backend-path",))
    else:
        before.append(_table("build-system", build_system))
    if "project" in document:
        _change(document["project"], project, (*change.remove, *(() if change.dynamic else ("dynamic",))))
    else:
        after.append(_table("project", project))
    parts = [*before, document.as_string().strip("\r\n"), *after, *_own_tables(proposal)]
    new = "\n\n".join(part for part in parts if part) + "\n"
    parse_toml(new.encode())  # a mistake of ours must not reach the disk
    # A file with Windows' line ends keeps them: else git shows every line as changed.
    return new.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in text else new


def with_table(text: str, name: str, values: Mapping[str, Any], *, owned: Iterable[str], comment: str) -> str:
    """The new text of pyproject.toml with these values in `[tool.NAME]`; keys that are not `owned` stay as they are.

    Args:
        text: what it holds now.
        name: of the table.
        values: by key, which is one of `owned`.
        owned: keys that go where they have no value.
        comment: a line above the table.

    Raises:
        ConfigError: `text` is not TOML.
    """
    with reading("pyproject.toml is not valid TOML", "a table", error=ConfigError, hint="see https://toml.io"):
        document = tomlkit.parse(text)
    table = document.get("tool", {}).get(name)
    if table is None:
        new = f"{text.rstrip()}\n\n{comment}\n{_table(f'tool.{name}', values)}\n"
    else:
        _change(table, values, tuple(key for key in owned if key not in values))
        new = document.as_string()
        if comment not in new:
            new = new.replace(f"[tool.{name}]", f"{comment}\n[tool.{name}]", 1)
    parse_toml(new.encode())  # a mistake of ours must not reach the disk
    return new


def _change(table: Any, values: Mapping[str, Any], remove: tuple[str, ...]) -> None:  # noqa: ANN401 (any table of tomlkit's)
    for key in remove:
        table.pop(key, None)
    for key, value in values.items():
        if table.get(key) != value:
            table[key] = _item(value)


def _own_tables(proposal: Proposal) -> Iterator[str]:
    if proposal.project.scikit_build:
        yield _table("tool.scikit-build", proposal.project.scikit_build)
    if proposal.settings:
        yield _table("tool.gpuwheel", proposal.settings)
    for extension in proposal.extensions:
        yield _table(f'tool.gpuwheel.extensions."{extension.import_path}"', extension.table)
    for source, values in proposal.sources.items():
        yield _table(f"tool.gpuwheel.sources.{_quoted(source)}", values)


def _table(header: str, values: Mapping[str, Any]) -> str:
    """A table as text, with tables below it for values that are such."""
    lines = [f"[{header}]"]
    below = []
    for key, value in values.items():
        if isinstance(value, dict):
            below.append(_table(f"{header}.{_key(key)}", value))
        else:
            lines.append(f"{_key(key)} = {_item(value).as_string()}")
    if len(lines) == 1 and below:
        lines = []
    return "\n\n".join(part for part in ("\n".join(lines), *below) if part)


def _item(value: object) -> Any:  # noqa: ANN401 (any item of tomlkit's)
    """A value of TOML; a list over several lines where one would be too long."""
    if not isinstance(value, list):
        return tomlkit.item(value)
    array = tomlkit.array()
    for entry in value:
        if isinstance(entry, dict):
            inline = tomlkit.inline_table()
            inline.update(entry)
            array.append(inline)
        else:
            array.append(entry)
    array.multiline(len(array.as_string()) > _WIDTH)
    return array


def _key(name: str) -> str:
    return tomlkit.key(name).as_string()


def _quoted(text: str) -> str:
    return tomlkit.item(text).as_string()
