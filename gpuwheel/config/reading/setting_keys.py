"""The shape of `[tool.gpuwheel]`, read from the dataclasses of `config.model` and the enums of `model.choices`.

The readers, the JSON schema and the reference page all walk these keys: a field is declared once.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import types
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

from gpuwheel.config.model import Settings
from gpuwheel.config.reading.convert import Converter, choices_of, converter_for
from gpuwheel.model.choices import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Array", "Key", "Scalar", "Table", "Tables", "Texts", "choice_docs", "keys_of"]


@dataclass(frozen=True)
class Scalar:
    """A single value."""

    converter: Converter
    type: object


@dataclass(frozen=True)
class Array:
    """A list of values of one type."""

    item: Converter
    single: bool = False
    """Whether a value may stand without a list around it."""


@dataclass(frozen=True)
class Table:
    """A table with fixed keys."""

    fields: type


@dataclass(frozen=True)
class Tables:
    """Tables by name: kernel groups, extensions."""

    name: Converter
    fields: type


@dataclass(frozen=True)
class Texts:
    """A table of values of one type, whose keys are free."""

    item: Converter


@dataclass(frozen=True)
class Key:
    """One key of a table."""

    name: str
    """As TOML writes it: "max-size"."""
    attribute: str
    """As the dataclass names it: "max_size"."""
    value: Scalar | Array | Table | Tables | Texts
    required: bool
    """Whether the dataclass has no default for it."""
    default: object
    """The dataclass's default; `None` where it is required."""
    doc: str


@functools.cache
def keys_of(fields: type) -> Mapping[str, Key]:
    """The keys of a table by their TOML name, in the order of declaration."""
    hints = get_type_hints(fields, include_extras=True)
    docs = _docs()[fields.__name__]
    keys = {}
    for declared in dataclasses.fields(fields):
        name = declared.name.replace("_", "-")
        missing = declared.default is dataclasses.MISSING
        keys[name] = Key(
            name=name,
            attribute=declared.name,
            value=_value(hints[declared.name]),
            required=missing and declared.default_factory is dataclasses.MISSING,
            default=None if missing else declared.default,
            doc=docs[declared.name],
        )
    return keys


def choice_docs(kind: object) -> Mapping[str, str]:
    """What each value of a choice means, where it is one of an enum's; empty for other types."""
    members = [one for one in choices_of(kind) if isinstance(one, Enum)]
    return {str(one.value): _docs()[type(one).__name__][one.name] for one in members}


def _value(hint: Any) -> Scalar | Array | Table | Tables | Texts:  # noqa: ANN401 -- a type hint has no type of its own
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated and get_origin(arguments[0]) is tuple:
        return Array(converter_for(get_args(arguments[0])[0]), single=True)
    if origin in {Union, types.UnionType}:
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _value(hint)
    if origin is tuple:
        return Array(converter_for(arguments[0]))
    if origin is dict:
        is_nested = dataclasses.is_dataclass(arguments[1])
        return Tables(converter_for(arguments[0]), arguments[1]) if is_nested else Texts(converter_for(arguments[1]))
    if isinstance(hint, type) and hint.__module__ == Settings.__module__ and dataclasses.is_dataclass(hint):
        return Table(hint)
    return Scalar(converter_for(hint), hint)


@functools.cache
def _docs() -> Mapping[str, Mapping[str, str]]:
    """Class name -> field name -> the text under the field, on one line."""
    files = (Path(inspect.getfile(kind)) for kind in (Settings, Mode))
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return {node.name: _field_docs(node) for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}


def _field_docs(node: ast.ClassDef) -> Mapping[str, str]:
    docs = {}
    for declared, below in zip(node.body, node.body[1:], strict=False):
        match declared:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                pass
            case _:
                continue
        match below:
            case ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = inspect.cleandoc(text).replace("\n", " ")
            case _:
                pass
    return docs
