"""Types of C++ as pybind11 takes and gives them: what is accepted, how it is written in signatures, how it travels.

The second part of `NAME.py`: it knows nothing of the library. Facts are those of pybind11 3.0
(detail/type_caster_base.h, cast.h, stl.h) and of torch's casters (torch/csrc/utils/pybind.h).
"""

from __future__ import annotations

import ctypes
import json
import operator
import types
from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.launcher.compat_insides import SPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("Type", "Unfit", "generator_of_key", "make_type", "pack", "unpack")


_WIDEST = 64
"""Bits of an int of C++."""


class Unfit(Exception):  # noqa: N818 -- it never leaves this module
    """A value is not what an argument takes."""


class Type:
    """A type of C++: `load` checks and converts as pybind11 does, and raises `Unfit`; texts are those of signatures."""

    def __init__(
        self, argument: str, result: str, load: Callable[[Any, bool], Any], restore: Callable[[Any], Any] | None = None
    ) -> None:
        self.argument, self.result, self.load = argument, result, load
        self.restore = restore
        """What is to be done with a result of this type; None: nothing."""


def _is_sequence(value: Any) -> bool:
    return bool(ctypes.pythonapi.PySequence_Check(ctypes.py_object(value)))


def _is_number(value: Any) -> bool:
    return bool(ctypes.pythonapi.PyNumber_Check(ctypes.py_object(value)))


def _integer(signed: bool, bits: int) -> Type:  # noqa: FBT001
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def load(value: Any, convert: bool) -> int:  # noqa: FBT001
        exact = isinstance(value, int)
        if isinstance(value, float) or (not convert and not exact and (not signed or not hasattr(value, "__index__"))):
            raise Unfit
        try:
            number = operator.index(value)
        except Exception:  # noqa: BLE001 -- of whatever class it was handed
            if not convert or not _is_number(value):
                raise Unfit from None
            number = _tried(int, value)
        if not low <= number <= high:
            raise Unfit
        return number

    # What is beyond int64 comes as a negative number.
    restore = None if signed or bits < _WIDEST else lambda value: value & 0xFFFF_FFFF_FFFF_FFFF
    return Type("typing.SupportsInt | typing.SupportsIndex", "int", load, restore)


def _tried(function: Callable[[Any], Any], value: Any) -> Any:
    try:
        return function(value)
    except Exception:  # noqa: BLE001 -- of whatever class it was handed
        raise Unfit from None


def _load_float(value: Any, convert: bool) -> float:  # noqa: FBT001
    if isinstance(value, float):
        return float(value)
    if not convert or not _is_number(value):
        raise Unfit
    number: float = _tried(float, value)
    return number


def _load_complex(value: Any, convert: bool) -> complex:  # noqa: FBT001
    if not isinstance(value, complex) and (not convert or not _is_number(value)):
        raise Unfit
    number: complex = _tried(complex, value)
    return number


def _load_bool(value: Any, convert: bool) -> bool:  # noqa: FBT001
    if isinstance(value, bool):
        return value
    numpy = type(value).__module__ == "numpy" and type(value).__name__ in {"bool", "bool_"}
    if convert and value is None:
        return False
    if (not convert and not numpy) or not hasattr(type(value), "__bool__"):
        raise Unfit
    truth: bool = _tried(bool, value)
    return truth


def _load_str(value: Any, convert: bool) -> Any:  # noqa: FBT001
    del convert
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, str):
        _tried(str.encode, value)
        return value
    if not isinstance(value, bytes):
        raise Unfit
    return value


def _instance(name: str, *classes: type) -> Type:
    def load(value: Any, convert: bool) -> Any:  # noqa: FBT001
        del convert
        if not isinstance(value, classes):
            raise Unfit
        return value

    return Type(name, name, load)


def _any(value: Any, convert: bool) -> Any:  # noqa: FBT001
    del convert
    return value


def _load_none(value: Any, convert: bool) -> None:  # noqa: FBT001
    del convert
    if value is not None:
        raise Unfit


_LISTS_OF_OTHERS: tuple[type, ...] = (
    types.GeneratorType,
    set,
    frozenset,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
    map,
    zip,
)


def _elements(value: Any, convert: bool) -> Sequence[Any]:  # noqa: FBT001
    """The elements of what pybind11 takes for a std::vector."""
    if _is_sequence(value):
        if isinstance(value, (str, bytes)):
            raise Unfit
        return [value[at] for at in range(len(value))] if not isinstance(value, (list, tuple)) else value
    if not convert or not isinstance(value, _LISTS_OF_OTHERS):
        raise Unfit
    elements: tuple[Any, ...] = tuple(value)  # type: ignore[arg-type]
    return elements


def _restored(restore: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    return restore and (lambda value: [restore(each) for each in value])


def _list(inner: Type, length: int | None = None) -> Type:
    def load(value: Any, convert: bool) -> list[Any]:  # noqa: FBT001
        elements = _elements(value, convert)
        if length is not None and len(elements) != length:
            raise Unfit
        return [inner.load(each, convert) for each in elements]

    argument, result = f"collections.abc.Sequence[{inner.argument}]", f"list[{inner.result}]"
    if length is not None:
        argument, result = (f'typing.Annotated[{text}, "FixedSize({length})"]' for text in (argument, result))
    return Type(argument, result, load, _restored(inner.restore))


def _set(inner: Type) -> Type:
    def load(value: Any, convert: bool) -> set[Any]:  # noqa: FBT001
        if not isinstance(value, (set, frozenset)) and not (convert and isinstance(value, type({}.keys()))):
            raise Unfit
        return {inner.load(each, convert) for each in value}

    return Type(f"collections.abc.Set[{inner.argument}]", f"set[{inner.result}]", load)


def _dict(key: Type, item: Type) -> Type:
    def load(value: Any, convert: bool) -> dict[Any, Any]:  # noqa: FBT001
        if not isinstance(value, dict):
            if (
                not convert
                or not hasattr(value, "items")
                or not ctypes.pythonapi.PyMapping_Check(ctypes.py_object(value))
            ):
                raise Unfit
            value = dict(_tried(lambda given: given.items(), value))
        return {key.load(each, convert): item.load(of, convert) for each, of in value.items()}

    argument = f"collections.abc.Mapping[{key.argument}, {item.argument}]"
    return Type(argument, f"dict[{key.result}, {item.result}]", load)


def _tuple(*inner: Type) -> Type:
    def load(value: Any, convert: bool) -> tuple[Any, ...]:  # noqa: FBT001
        if not _is_sequence(value) or len(value) != len(inner):
            raise Unfit
        return tuple(each.load(value[at], convert) for at, each in enumerate(inner))

    def restore(value: Any) -> tuple[Any, ...]:
        return tuple(each.restore(of) if each.restore else of for each, of in zip(inner, value))

    texts = [", ".join(texts) or "()" for texts in ([each.argument for each in inner], [each.result for each in inner])]
    restores = restore if any(each.restore for each in inner) else None
    return Type(f"tuple[{texts[0]}]", f"tuple[{texts[1]}]", load, restores)


def _optional(inner: Type) -> Type:
    def load(value: Any, convert: bool) -> Any:  # noqa: FBT001
        return None if value is None else inner.load(value, convert)

    restore = inner.restore and (lambda value: None if value is None else inner.restore(value))  # type: ignore[misc]
    return Type(f"{inner.argument} | None", f"{inner.result} | None", load, restore)


def _variant(*inner: Type) -> Type:
    def load(value: Any, convert: bool) -> tuple[int, Any]:  # noqa: FBT001
        for converts in (False, True) if convert else (False,):
            for at, each in enumerate(inner):
                try:
                    return at, each.load(value, converts)
                except Unfit:  # noqa: PERF203 -- a few alternatives
                    continue
        raise Unfit

    return Type(" | ".join(each.argument for each in inner), " | ".join(each.result for each in inner), load)


# All modules in a process share the operator that C++ asks for numbers, and so what it looks up.
_GENERATORS: dict[int, torch.Generator] = vars(getattr(torch.ops, SPACE)).setdefault("generators", {})
_MOST_GENERATORS = 256
"""The latest are kept: no weak reference to one can be made in torch 2.10, and a call is done before so many others."""
_DEFAULT_GENERATORS = 4096
"""Keys below are devices, whose default generators they name."""


def _load_generator(value: Any, convert: bool) -> int:  # noqa: FBT001
    """The key by which C++ names a generator: torch 2.10 to 2.12 cannot hand it over."""
    del convert
    if not isinstance(value, torch.Generator):
        raise Unfit
    _GENERATORS.pop(id(value), None)
    _GENERATORS[id(value)] = value
    if len(_GENERATORS) > _MOST_GENERATORS:
        _GENERATORS.pop(next(iter(_GENERATORS)), None)
    return id(value)


def generator_of_key(key: int) -> torch.Generator:
    """The generator that C++ has by its key."""
    default: torch.Generator = torch.cuda.default_generators[key] if key < _DEFAULT_GENERATORS else _GENERATORS[key]
    return default


_NUMBER = "Union[Number, torch.SymInt, torch.SymFloat, torch.SymBool]"
_SIMPLE = {
    "Tensor": _instance("torch.Tensor", torch.Tensor),
    "bool": Type("bool", "bool", _load_bool),
    "float": Type("typing.SupportsFloat | typing.SupportsIndex", "float", _load_float),
    "complex": Type("typing.SupportsComplex | typing.SupportsFloat | typing.SupportsIndex", "complex", _load_complex),
    "str": Type("str", "str", _load_str),
    "dtype": _instance("torch.dtype", torch.dtype),
    "device": _instance("torch.device", torch.device),
    "layout": _instance("torch.layout", torch.layout),
    "memory_format": _instance("torch.memory_format", torch.memory_format),
    "Generator": Type("torch._C.Generator", "torch._C.Generator", _load_generator),
    "Scalar": Type(_NUMBER, _NUMBER, _any),
    "None": Type("None", "None", _load_none),
    "object": Type("object", "object", _any),
    "args": Type("*args", "tuple", _any),
    "kwargs": Type("**kwargs", "dict", _any),
    "py_str": _instance("str", str),
    "py_bytes": _instance("bytes", bytes),
    "py_int": _instance("int", int),
    "py_float": _instance("float", float),
    "py_bool": _instance("bool", bool),
    "py_list": _instance("list", list),
    "py_tuple": _instance("tuple", tuple),
    "py_set": _instance("set", set, frozenset),
    "py_dict": _instance("dict", dict),
}


def make_type(described: Any) -> Type:
    """The type that the library describes by a name, or by a list of a name and what it is made of."""
    if isinstance(described, str):
        return _SIMPLE[described]
    kind, *rest = described
    if kind == "int":
        return _integer(*rest)
    if kind == "array":
        return _list(make_type(rest[0]), rest[1])
    makers: dict[str, Callable[..., Type]] = {
        "list": _list,
        "set": _set,
        "dict": _dict,
        "tuple": _tuple,
        "optional": _optional,
        "variant": _variant,
    }
    return makers[kind](*map(make_type, rest))


def pack(values: list[Any]) -> tuple[str, list[torch.Tensor]]:
    """Values as one text and their tensors (see value.h, which reads it)."""
    tensors: list[torch.Tensor] = []
    return json.dumps(_packed(values, tensors), separators=(",", ":")), tensors


def _packed(value: Any, tensors: list[torch.Tensor]) -> Any:  # noqa: C901, PLR0911, PLR0912 -- one line for each kind
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        value.encode()  # UnicodeEncodeError for what C++ has no text for
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"t": len(tensors) - 1}
    if isinstance(value, (bytes, bytearray)):
        return {"b": value.decode("latin-1")}
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    if isinstance(value, dict):
        return {"d": [[_packed(key, tensors), _packed(item, tensors)] for key, item in value.items()]}
    for kind, tag in (((list,), ""), ((tuple,), "u"), ((set, frozenset), "s")):
        if isinstance(value, kind):
            items = [_packed(each, tensors) for each in value]
            return {tag: items} if tag else items
    if isinstance(value, torch.device):
        return {"p": str(value)}
    for kind, tag in ((torch.dtype, "k"), (torch.layout, "l"), (torch.memory_format, "m")):
        if isinstance(value, kind):
            return {tag: str(value).rpartition(".")[2]}
    msg = f'abi = "compat": a value of type {type(value).__name__} cannot be handed to C++'
    raise TypeError(msg)


def unpack(text: str, tensors: list[torch.Tensor]) -> Any:
    """What `Writer` in value.h wrote."""
    return _unpacked(json.loads(text), tensors)


def _unpacked(value: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag in "usd":
        items = _unpacked(content, tensors)
        return {"u": tuple, "s": set, "d": dict}[tag](items)
    if tag in "klm":
        return getattr(torch, content)
    readers: dict[str, Callable[[Any], Any]] = {
        "t": tensors.__getitem__,
        "b": lambda latin: latin.encode("latin-1"),
        "c": lambda parts: complex(*parts),
        "p": torch.device,
    }
    return readers[tag](content)
