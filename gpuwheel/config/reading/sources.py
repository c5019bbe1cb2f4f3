"""One adapter per source of settings: TOML, the environment, `-C`.

Each turns what its source holds into typed values by path, so that merging is a dictionary update. Text sources split
lists on `;`. Kernel groups and extensions have names of their own, which no environment variable could spell: they are
set in pyproject.toml and changed by `-C gpuwheel.kernels.NAME.KEY=VALUE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.config.model import Settings
from gpuwheel.config.reading.mistakes import bad_value, dotted, unknown
from gpuwheel.config.reading.setting_keys import Array, Key, Scalar, Table, Tables, Texts, keys_of
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.config.reading.convert import Converter

__all__ = ["Given", "from_config_settings", "from_environ", "from_toml", "split_config_settings", "variable_names"]

_PREFIX = "gpuwheel."
_VARIABLE_PREFIX = "GPUWHEEL_"


@dataclass(frozen=True)
class Given:
    """A typed value and where it was given, for example "environment GPUWHEEL_ARCHS"."""

    value: object
    origin: str


KeyPath = tuple[str, ...]


def from_toml(
    table: Mapping[str, object], origin: str, fields: type = Settings, prefix: KeyPath = ()
) -> dict[KeyPath, Given]:
    """The keys of a TOML table and of the tables in it. A named table also gives its own path, for it may be empty.

    Raises:
        ConfigError: an unknown key, or a value of another type or form.
    """
    keys = keys_of(fields)
    given: dict[KeyPath, Given] = {}
    for name, value in table.items():
        path = (*prefix, name)
        if name not in keys:
            subject = f"{dotted(path)} in {origin} is not a key of [{dotted(('tool', 'gpuwheel', *prefix))}]"
            raise unknown(name, keys, subject=subject)
        match keys[name].value:
            case Scalar(converter):
                given[path] = Given(_converted(path, origin, value, converter), origin)
            case Array(item, single):
                listed = [value] if single and not isinstance(value, list) else value
                given[path] = Given(_toml_list(path, origin, listed, item), origin)
            case Table(nested):
                given |= from_toml(_table(path, origin, value), origin, nested, path)
            case Texts(item):
                entries = _table(path, origin, value).items()
                values = {entry: _converted((*path, entry), origin, one, item) for entry, one in entries}
                given[path] = Given(values, origin)
            case Tables(name_converter, nested):
                for entry, body in _table(path, origin, value).items():
                    _check_name(path, origin, entry, name_converter)
                    given |= {(*path, entry): Given(None, origin)}
                    given |= from_toml(_table((*path, entry), origin, body), origin, nested, (*path, entry))
    return given


def variable_names() -> dict[str, KeyPath]:
    """Environment variable -> path of the key it sets: "GPUWHEEL_WHEEL_MAX_SIZE" -> ("wheel", "max-size")."""
    paths: list[KeyPath] = []
    for key in keys_of(Settings).values():
        match key.value:
            case Scalar() | Array():
                paths.append((key.name,))
            case Table(nested):
                simple = (inner.name for inner in keys_of(nested).values() if not isinstance(inner.value, Texts))
                paths.extend((key.name, inner) for inner in simple)
            case Tables() | Texts():
                pass
    return {_VARIABLE_PREFIX + "_".join(path).replace("-", "_").upper(): path for path in paths}


def from_environ(environ: Mapping[str, str], others: Iterable[str]) -> dict[KeyPath, Given]:
    """The `GPUWHEEL_*` variables; an empty one counts as unset.

    Args:
        environ: the environment.
        others: `GPUWHEEL_*` variables that are not settings.

    Raises:
        ConfigError: an unknown variable, or text that its key does not take.
    """
    names = variable_names()
    given = {}
    # Sorted: which of two mistakes is told does not depend on the order of an environment.
    for variable in sorted(environ):
        if not variable.startswith(_VARIABLE_PREFIX) or variable in others:
            continue
        if variable not in names:
            raise unknown(
                variable,
                [*names, *others],
                subject=f"environment {variable} is not a setting of gpuwheel",
                hint="keys of kernel groups and extensions are set by -C gpuwheel.kernels.NAME.KEY=VALUE",
                prefix=_VARIABLE_PREFIX,
            )
        # CI systems set variables that they have no value for to the empty string.
        if environ[variable]:
            path = names[variable]
            origin = f"environment {variable}"
            given[path] = Given(_from_text(path, origin, [environ[variable]]), origin)
    return given


def split_config_settings(
    config_settings: Mapping[str, str | list[str]],
) -> tuple[dict[str, list[str]], dict[str, str | list[str]]]:
    """The settings of gpuwheel without their prefix, and the others as they came."""
    own: dict[str, list[str]] = {}
    inner: dict[str, str | list[str]] = {}
    for name, value in config_settings.items():
        if name.startswith(_PREFIX):
            own[name.removeprefix(_PREFIX)] = [value] if isinstance(value, str) else list(value)
        else:
            inner[name] = value
    return own, inner


def from_config_settings(own: Mapping[str, Sequence[str]]) -> dict[KeyPath, Given]:
    """The `-C gpuwheel.KEY=VALUE` settings, by key without the prefix.

    Raises:
        ConfigError: an unknown key, or text that it does not take.
    """
    given = {}
    for name, texts in own.items():
        path = _path_of(name)
        origin = f"-C {_PREFIX}{name}"
        given[path] = Given(_from_text(path, origin, texts), origin)
    return given


def _path_of(name: str) -> KeyPath:
    """The path that a dotted name means; the name of a table may hold dots: "extensions.fused_ops._C.flags"."""
    first, *rest = name.split(".")
    origin = f"-C {_PREFIX}{name}"
    keys = keys_of(Settings)
    if first not in keys:
        raise unknown(first, keys, subject=f"{origin} is not a setting of gpuwheel")
    match keys[first].value:
        case Tables(converter, fields) if len(rest) > 1:
            # Only the first and the last word are sure: a table's own name may hold dots, and a shell may leave its
            # quotes.
            entry = ".".join(rest[:-1]).strip('"')
            _check_name((first,), origin, entry, converter)
            path: KeyPath = (first, entry, rest[-1])
        case Table(fields) if len(rest) == 1:
            path = (first, rest[0])
        case Scalar() | Array() if not rest:
            return (first,)
        case Scalar() | Array():
            msg = f"{origin} names a key inside {first!r}, which is a value (expected -C {_PREFIX}{first}=VALUE)"
            raise ConfigError(msg)
        case _:
            inside = f"{first}.NAME.KEY" if isinstance(keys[first].value, Tables) else f"{first}.KEY"
            msg = f"{origin} names a table (expected -C {_PREFIX}{inside}=VALUE)"
            raise ConfigError(msg)
    inner = keys_of(fields).get(path[-1])
    if inner is None or isinstance(inner.value, Texts):
        raise unknown(path[-1], keys_of(fields), subject=f"{origin} is not a setting of gpuwheel")
    return path


def _key_at(path: KeyPath) -> Key:
    """The key at a path that is known to exist."""
    key = keys_of(Settings)[path[0]]
    match key.value:
        case Table(fields) | Tables(fields=fields):
            return keys_of(fields)[path[-1]]
        case _:
            return key


def _from_text(path: KeyPath, origin: str, texts: Sequence[str]) -> object:
    """A value from text; a list may be given in several pieces, anything else once."""
    match _key_at(path).value:
        case Array(item):
            # `;`, as CMake and TORCH_CUDA_ARCH_LIST divide lists: a comma stands inside of options (-Wl,x).
            parts = [part.strip() for text in texts for part in text.split(";")]
            return _checked_list(path, origin, [_parsed(path, origin, part, item) for part in parts if part], item)
        case Scalar(converter) if len(texts) == 1:
            return _parsed(path, origin, texts[0], converter)
        case Scalar(converter):
            raise bad_value(path, origin, list(texts), converter)
        case _:  # pragma: no cover -- paths of text sources never end at a table
            raise AssertionError(path)


def _parsed(path: KeyPath, origin: str, text: str, converter: Converter) -> object:
    try:
        return converter.parse(text)
    except ValueError:
        raise bad_value(path, origin, text, converter) from None


def _converted(path: KeyPath, origin: str, value: object, converter: Converter) -> object:
    try:
        return converter.from_toml(value)
    except ValueError:
        raise bad_value(path, origin, value, converter) from None


def _toml_list(path: KeyPath, origin: str, value: object, item: Converter) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise bad_value(path, origin, value, item, many=True)
    return _checked_list(path, origin, [_converted(path, origin, part, item) for part in value], item)


def _checked_list(path: KeyPath, origin: str, values: list[object], item: Converter) -> tuple[object, ...]:
    if item.filled and not values:
        msg = f"{dotted(path)} in {origin} is empty (expected at least one entry, each {item.expected})"
        raise ConfigError(msg)
    if item.distinct:
        twice = next((value for index, value in enumerate(values) if value in values[:index]), None)
        if twice is not None:
            msg = f"{dotted(path)} in {origin} has an entry twice (found {str(twice)!r})"
            raise ConfigError(msg, hint="remove one of them")
    return tuple(values)


def _table(path: KeyPath, origin: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        msg = f"{dotted(path)} in {origin} is not a table (found {value!r}, expected [tool.gpuwheel.{dotted(path)}])"
        raise ConfigError(msg)
    return value


def _check_name(path: KeyPath, origin: str, name: str, converter: Converter) -> None:
    try:
        converter.parse(name)
    except ValueError:
        subject = f"{dotted((*path, name))} in {origin}"
        msg = f"{subject} has a name that is not valid (found {name!r}, expected {converter.expected})"
        raise ConfigError(msg) from None
