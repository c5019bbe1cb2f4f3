"""C++ text: each operator that crosses torch's stable C ABI as the functions and methods of ATen's headers.

A function holds no conversions: it lists its arguments, and `invoke` of boxed.h does the rest. So thousands of them
cost a source little time to compile.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aten_choice import HAND_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aten_choice import Refusal
    from aten_sources import Operator, Signature

__all__ = ["written"]

_OPTIONS = ("dtype_of", "layout_of", "device_of", "pinned_of")
_HEAD = "// Made by ci/tables/update_aten.py from native_functions.yaml of torch {span}. Do not edit.\n"
# A symbolic integer is a number here: the C ABI has no other.
_NAMES = (
    (r"::std::", "std::"),
    (r"\b(at|c10)::", ""),
    (r" &", "&"),
    (r"std::optional<", "optional<"),
    (r"SymIntArrayRef", "IntArrayRef"),
    (r"SymInt\(", "("),
    (r"SymInt", "int64_t"),
)


def written(
    offered: list[Operator], refused: list[Refusal], direct: dict[str, str], minors: list[str]
) -> dict[str, str]:
    """Name of the file -> its text.

    Args:
        offered: what a library can call.
        refused: what it cannot.
        direct: full name of an operator -> the call of a function of ours that does it, "{}" for its arguments.
        minors: the versions of torch that were read.
    """
    methods: list[str] = []
    functions: list[str] = []
    factories: list[str] = []
    torch_factories: list[tuple[str, str]] = []
    taken: set[tuple[bool, str, tuple[str, ...]]] = set()
    made = {each.name for operator in offered for each in _signatures(operator) if _is_factory(operator, each)}
    for operator in offered:
        for signature in _signatures(operator):
            key = (signature.method, signature.name, tuple(kind for kind, _, _ in signature.parameters))
            if key in taken:
                continue
            taken.add(key)
            if signature.method:
                methods.append(f"{_head(signature)} const;")
                functions.append(f"inline {_head(signature, inside=True)} const {_body(operator, signature, direct)}")
                continue
            line = f"inline {_head(signature)} {_body(operator, signature, direct)}"
            (factories if signature.name in made else functions).append(line)
            if any(kind == "at::TensorOptions" for kind, _, _ in signature.parameters):
                torch_factories.append((signature.name, _with_grad(signature, inside=signature.name in made)))
    lost_functions, lost_methods = _lost(refused, {key[:2] for key in taken})
    span = " to ".join((minors[0], minors[-1]))
    names = sorted({name for name, _ in torch_factories})
    head = _HEAD.format(span=span)
    return {
        "methods.inc": _text(head, [*methods, *lost_methods]),
        "factories.inc": _text(head, factories),
        "functions.inc": _text(head, [*functions, *lost_functions]),
        "torch_factories.inc": _text(head, (line for _, line in torch_factories)),
        "torch_names.inc": _text(head, (f"using gpuwheel_compat::torch_factories::{name};" for name in names)),
        "refused.txt": "".join(f"{each.operator.full_name}: {each.reason}\n" for each in _by_name(refused)),
    }


def _text(head: str, lines: Iterable[str]) -> str:
    return head + "".join(f"{line}\n" for line in lines)


def _by_name(refused: list[Refusal]) -> list[Refusal]:
    return sorted(refused, key=lambda each: each.operator.full_name)


def _signatures(operator: Operator) -> list[Signature]:
    """Those that are not written by hand elsewhere."""
    return [each for each in operator.signatures if not (operator.name in HAND_WRITTEN and each.method)]


def _is_factory(operator: Operator, signature: Signature) -> bool:
    """Whether it takes options and no tensor: its name must not be found by its arguments (see aten.h)."""
    if signature.method:
        return False
    takes_options = any(kind == "TensorOptions" for kind, _, _ in _parameters(signature))
    takes_format = any(name in {"dtype", "options"} for _, name, _ in signature.parameters)
    tensors = any("Tensor" in kind for _, kind, _, _ in operator.arguments)
    return (takes_options or takes_format) and not tensors


def _cpp(text: str) -> str:
    for theirs, ours in _NAMES:
        text = re.sub(theirs, ours, text)
    return text


def _parameters(signature: Signature) -> list[tuple[str, str, str]]:
    return [(_cpp(kind), name, _cpp(default)) for kind, name, default in signature.parameters]


def _head(signature: Signature, *, inside: bool = False) -> str:
    """Result, name and parameters; without defaults where a method that was declared before is defined."""
    listed = ", ".join(
        f"{kind} {name}" + (f" = {default}" if default and not inside else "")
        for kind, name, default in _parameters(signature)
    )
    return f"{_cpp(signature.returns)} {'Tensor::' if inside else ''}{signature.name}({listed})"


def _given(operator: Operator, signature: Signature) -> list[str]:
    """An expression for each argument of the schema, in its order."""
    parameters = {name: kind for kind, name, _ in _parameters(signature)}
    options = iter(_OPTIONS) if "options" in parameters else iter(())
    listed = []
    for name, _, _, _ in operator.arguments:
        if name == "self" and signature.method:
            listed.append("*this")
        elif name in parameters:
            merged = name == "memory_format" and "options" in parameters
            listed.append(f"format_of(options, {name})" if merged else name)
        else:
            listed.append(f"{next(options)}(options)")
    return listed


def _body(operator: Operator, signature: Signature, direct: dict[str, str]) -> str:
    given = ", ".join(_given(operator, signature))
    if not operator.bound and not signature.method and operator.name in HAND_WRITTEN:
        self_, *others = _given(operator, signature)
        return f"{{ return {self_}.{operator.name.removeprefix('sym_')}({', '.join(others)}); }}"
    call = f'"aten::{operator.name}", "{operator.overload}", {{{given}}}'
    result = _cpp(signature.returns)
    ours = direct[operator.full_name].format(given) if operator.full_name in direct else ""
    written_to = [_given(operator, signature)[at] for at, each in enumerate(operator.arguments) if each[3]]
    if "&" not in result:
        return f"{{ return {ours or f'invoke<{result}>({call})'}; }}"
    if result.startswith("std::tuple"):
        outs = written_to[-len(operator.returns) :]
        return f"{{ invoke_into({len(outs)}, {call}); return {result}({', '.join(outs)}); }}"
    changed = f"const_cast<{result}>(*this)" if signature.method else written_to[-1]
    return f"{{ {ours or f'invoke_into(1, {call})'}; return {changed}; }}"


def _with_grad(signature: Signature, *, inside: bool) -> str:
    """The function of `torch`, whose result requires a gradient where the options say so."""
    names = ", ".join("without_grad(options)" if name == "options" else name for _, name, _ in signature.parameters)
    inner = "factories::" if inside else ""
    call = f"gpuwheel_compat::{inner}{signature.name}({names})"
    return f"inline {_head(signature)} {{ return with_grad({call}, options); }}"


def _lost(refused: list[Refusal], offered: set[tuple[bool, str]]) -> tuple[list[str], list[str]]:
    """Functions and methods that say why they cannot be called: names of which no overload is offered."""
    functions, methods, done = [], [], set(offered)
    for each in _by_name(refused):
        for signature in each.operator.signatures:
            key = (signature.method, signature.name)
            if key in done or each.operator.name in HAND_WRITTEN:
                continue
            done.add(key)
            message = f"at::{signature.name} is refused: {each.reason}"
            check = f'{{ static_assert(sizeof...(A) == size_t(-1), "{message}"); }}'
            if signature.method:
                methods.append(f"template <class... A> void {signature.name}(A&&...) const {check}")
            else:
                functions.append(f"template <class... A> void {signature.name}(A&&...) {check}")
    return functions, methods
