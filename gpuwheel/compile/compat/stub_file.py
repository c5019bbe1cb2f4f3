"""`NAME.pyi`: what an extension with `abi = "compat"` holds, for type checkers and editors."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Any

from gpuwheel.model.libraries import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["stub_text", "unknown_stub"]

_MARK = f"# {WRITTEN}\n"
_HEAD = f"{_MARK}from collections.abc import Mapping, Sequence, Set\nfrom typing import Any, overload\n\nimport torch\n"
_SIMPLE = {
    "Tensor": "torch.Tensor",
    "dtype": "torch.dtype",
    "device": "torch.device",
    "layout": "torch.layout",
    "memory_format": "torch.memory_format",
    "Scalar": "int | float | bool | complex",
    "object": "Any",
    "args": "Any",
    "kwargs": "Any",
    "None": "None",
}
_FIXED_LENGTH = "array"


def unknown_stub() -> bytes:
    """For a library that this machine cannot load, as it is for another one: any name is there."""
    return f"{_MARK}from typing import Any\n\ndef __getattr__(name: str) -> Any: ...\n".encode()


def stub_text(described: Mapping[str, Any]) -> bytes:
    """For what the library says of its module. Submodules are objects with any attribute."""
    lines = [f"class {name}({base}): ..." for name, base in described["exceptions"]]
    top = {path for path in described["submodules"] if "." not in path}
    lines += [f"{name}: Any" for name in sorted(top)]
    lines += [
        f"{name}: {_of_value(value)}" for path, name, value in described["attributes"] if not path and name != "__doc__"
    ]
    functions: dict[str, list[Mapping[str, Any]]] = {}
    for each in described["functions"]:
        # A name that Python cannot write in a `def` is reached by getattr, which needs no stub.
        if not each["module"] and each["name"].isidentifier() and not keyword.iskeyword(each["name"]):
            functions.setdefault(each["name"], []).append(each)
    for overloads in functions.values():
        for each in overloads:
            lines += ["@overload"] if len(overloads) > 1 else []
            lines.append(f"def {each['name']}({_parameters(each)}) -> {_type(each['result'], is_result=True)}: ...")
    return "\n".join([_HEAD, *lines, ""]).encode()


def _parameters(function: Mapping[str, Any]) -> str:
    parts: list[str] = []
    named, keyword_only = function["arguments"], function["kw_only"]
    for at, described in enumerate(function["types"]):
        if described in ("args", "kwargs"):
            parts.append(f"{'*' if described == 'args' else '**'}{described}: Any")
            continue
        name = named[at]["name"] if at < len(named) else ""
        writable = name.isidentifier() and not keyword.iskeyword(name)
        if at == keyword_only:
            parts.append("*")
        text = f"{name if writable else f'_{at}'}: {_type(described)}"
        parts.append(text + (" = ..." if at < len(named) and "default" in named[at] else ""))
        if (not writable and (at + 1 == len(function["types"]) or not named)) or at + 1 == function["pos_only"]:
            parts = [part for part in parts if part != "/"] + ["/"]
    return ", ".join(parts)


def _type(described: object, *, is_result: bool = False) -> str:
    if not isinstance(described, list):
        return _SIMPLE.get(str(described), str(described).removeprefix("py_"))
    kind, *inner = described
    if kind == "int":
        return "int"
    texts = [_type(each, is_result=is_result) for each in (inner[:1] if kind == _FIXED_LENGTH else inner)]
    if kind == "optional":
        return f"{texts[0]} | None"
    if kind == "variant":
        return " | ".join(texts)
    names = {
        "list": ("Sequence", "list"),
        "array": ("Sequence", "list"),
        "set": ("Set", "set"),
        "dict": ("Mapping", "dict"),
    }
    name = names.get(kind, ("tuple", "tuple"))[is_result]
    return f"{name}[{', '.join(texts) or '()'}]"


def _of_value(value: object) -> str:
    return "None" if value is None else type(value).__name__ if not isinstance(value, dict) else "Any"
