"""Dataclasses from plain data that may come from anywhere: each value is of the type that its field states, all the way
down, and no key is unknown.
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from gpuwheel._endings import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

__all__ = ["from_plain"]

T = TypeVar("T")
_Converter: TypeAlias = "Callable[[Any, str], Any]"


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
    converters = _converters(cast("Hashable", kind))
    if data.keys() != converters.keys():
        odd = sorted(map(str, data.keys() ^ converters.keys()))
        msg = f"{cut(', '.join(odd))} missing or unknown"
        raise ValueError(msg)
    return kind(*(convert(data[name], name) for name, convert in converters.items()))


@cache
def _converters(kind: Any) -> Mapping[str, _Converter]:  # noqa: ANN401 (a dataclass)
    """For each field; made once, for an index has thousands of rows."""
    hints = get_type_hints(kind)
    return {field.name: _converter(hints[field.name]) for field in fields(kind)}


def _converter(hint: Any) -> _Converter:  # noqa: ANN401 (a type, or what stands for one)
    if get_origin(hint) is types.UnionType:
        plain = frozenset(one for one in get_args(hint) if one in {bool, int, float, str, types.NoneType})
        others = [_converter(one) for one in get_args(hint) if one not in plain]
        return lambda value, name: (
            value if type(value) in plain else others[0](value, name) if others else _odd(value, name)
        )
    if get_origin(hint) is tuple:
        convert = _converter(get_args(hint)[0])
        return lambda value, name: (
            tuple([convert(one, name) for one in value]) if isinstance(value, (list, tuple)) else _odd(value, name)
        )
    if is_dataclass(hint):
        return lambda value, _: from_plain(cast("type[Any]", hint), value)
    # Exactly, for True is an int.
    return lambda value, name: value if type(value) is hint else _odd(value, name)


def _odd(value: object, name: str) -> object:
    msg = f"{name}: {cut(repr(value))} is a {type(value).__name__}"
    raise TypeError(msg)
