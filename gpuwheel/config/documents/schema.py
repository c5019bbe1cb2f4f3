"""JSON schema of `[tool.gpuwheel]`, from the dataclasses (draft 7, which TOML editors read)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from gpuwheel.config.model import Settings
from gpuwheel.config.reading.defaults import default_texts
from gpuwheel.config.reading.setting_keys import Array, Key, Scalar, Table, Tables, Texts, keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.config.reading.convert import Converter

__all__ = ["json_schema"]

_TYPES = {str: "string", int: "integer", bool: "boolean"}


def json_schema() -> dict[str, Any]:
    """The document that `data/gpuwheel.schema.json` stores.

    It holds what is true of one key at a time; laws between keys and files are the loader's alone.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "[tool.gpuwheel] of pyproject.toml",
        **_object(Settings, default_texts()),
    }


def _object(fields: type, defaults: Mapping[str, object]) -> dict[str, Any]:
    """A table; `defaults` by the names of its keys, those of tables in it with dots."""
    keys = keys_of(fields).values()
    # A key without a default in the code may have one in `defaults.toml`: to a project it is optional.
    required = [key.name for key in keys if key.required and key.name not in defaults]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _property(key, defaults) for key in keys},
        **({"required": required} if required else {}),
    }


def _property(key: Key, defaults: Mapping[str, object]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": key.doc}
    match key.value:
        case Scalar(converter):
            described |= _single(converter)
        case Array(item, single=True):
            described |= {"anyOf": [_single(item), _list_of(item)]}
        case Array(item):
            described |= _list_of(item)
        case Texts(item):
            described |= {"type": "object", "additionalProperties": _single(item)}
        case Table(fields):
            inner = {
                name.partition(".")[2]: value for name, value in defaults.items() if name.startswith(f"{key.name}.")
            }
            described |= _object(fields, inner)
        case Tables(name, fields):
            # Names of tables are free: JSON schema knows such keys by a pattern alone.
            pattern = name.schema["pattern"]
            described |= {
                "type": "object",
                "additionalProperties": False,
                "patternProperties": {pattern: _object(fields, {})},
            }
    if key.name in defaults:
        described["default"] = defaults[key.name]
    # What is frozen by `minimum-version` stands in `defaults`; this is for keys whose default is in the code.
    elif isinstance(key.default, bool | int | str):
        described["default"] = key.default
    elif isinstance(key.default, Enum):
        described["default"] = key.default.value
    return described


def _single(converter: Converter) -> dict[str, Any]:
    return {"type": _TYPES[converter.native], **converter.schema}


def _list_of(item: Converter) -> dict[str, Any]:
    return {
        "type": "array",
        "items": _single(item),
        **({"minItems": 1} if item.filled else {}),
        **({"uniqueItems": True} if item.distinct else {}),
    }
