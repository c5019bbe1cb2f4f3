"""Dataclasses from plain data that may come from anywhere: each value is of the type that its field states, all the way
down, and no key is unknown.
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from gpuwheel._endings import cut

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

__all__ = ["from_plain"]

T = TypeVar("T")


def from_plain(kind: type[T], data: object) -> T:
    """A value of the dataclass `kind`, whose fields are text, numbers, truth values, other such dataclasses, and tuples
    and unions of these.

    Raises:
        ValueError: a key is missing or unknown.
        TypeError: a value is of another type.
    """
    if not isinstance(data, dict):
        msg = f"{cut(repr(data))} is no table"
        raise TypeError(msg)
    hints = _hints(cast("Hashable", kind))
    if data.keys() != hints.keys():
        odd = sorted(map(str, data.keys() ^ hints.keys()))
        msg = f"{cut(', '.join(odd))} missing or unknown"
        raise ValueError(msg)
    return kind(**{name: _value(hint, data[name], name) for name, hint in hints.items()})


@cache
def _hints(kind: Any) -> Mapping[str, Any]:  # noqa: ANN401 (a dataclass)
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _value(hint: Any, value: object, name: str) -> object:  # noqa: ANN401 (a type, or what stands for one)
    if get_origin(hint) is types.UnionType:
        plain = [one for one in get_args(hint) if type(value) is one]
        others = [one for one in get_args(hint) if one not in {bool, int, str, types.NoneType}]
        if plain:
            return value
        if others:
            return _value(others[0], value, name)
    elif get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(get_args(hint)[0], one, name) for one in value)
    elif is_dataclass(hint):
        return from_plain(cast("type[Any]", hint), value)
    # Exactly, for True is an int.
    elif type(value) is hint:
        return value
    msg = f"{name}: {cut(repr(value))} is a {type(value).__name__}"
    raise TypeError(msg)
