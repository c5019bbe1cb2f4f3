"""What stands in for an extension module: the functions of a library on torch's stable C ABI, under the names it had.

Written by gpuwheel as `NAME.py` beside `libNAME.so`.
"""

from __future__ import annotations

import ctypes
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ()

_PATH = Path(__file__).with_name(f"lib{__name__.rpartition('.')[2]}.so")


def _describe() -> dict[str, Any]:
    torch.ops.load_library(str(_PATH))
    library = ctypes.CDLL(str(_PATH))
    library.gpuwheel_compat_describe.restype = ctypes.c_char_p
    described: dict[str, Any] = json.loads(library.gpuwheel_compat_describe())
    if described["error"]:
        msg = f"{__name__}: {described['error']}"
        raise ImportError(msg)
    return described


class _Token:
    def __init__(self, ops: Any, node: int) -> None:
        self.ops, self.node = ops, node

    def __del__(self) -> None:
        self.ops._gwc_free(self.node)


class _Node(torch.autograd.Function):  # type: ignore[misc]  # torch is not there where types are checked
    @staticmethod
    def forward(ctx: Any, namespace: str, node: int, *inputs: torch.Tensor) -> Any:
        del inputs
        ops = getattr(torch.ops, namespace)
        ctx.token = _Token(ops, node)
        out = ops._gwc_forward(node)
        ctx.save_for_backward(*ops._gwc_saved(node))
        flat = ops._gwc_non_differentiable(node)
        if flat:
            ctx.mark_non_differentiable(*[each for each in out if any(each is one for one in flat)])
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> Any:
        token = ctx.token
        return (None, None, *token.ops._gwc_backward(token.node, list(grads), list(ctx.saved_tensors)))


def _philox(device: int, count: int) -> tuple[int, int]:
    generator = torch.cuda.default_generators[device]
    seed, offset = generator.initial_seed(), generator.get_offset()
    generator.set_offset(offset + (count + 3) // 4 * 4)
    return seed, offset


def _helpers(needs: list[str]) -> torch.library.Library:
    """Define what the stable ABI cannot carry (Scalar; global state): C++ calls these by the dispatcher."""
    library = torch.library.Library("gpuwheel_compat", "FRAGMENT")

    def add(schema: str, function: Callable[..., Any]) -> None:
        name = schema.partition("(")[0]
        if not torch._C._dispatch_has_kernel(f"gpuwheel_compat::{name}"):
            library.define(schema)
            library.impl(name, function, "CompositeImplicitAutograd")

    _answers(add)
    add("philox(int device, int n) -> (int, int)", _philox)
    add(
        "autograd_apply(str ns, int id, Tensor[] inputs) -> Tensor[]",
        lambda ns, i, given: list(_Node.apply(ns, i, *given)),
    )
    add("define(str operator) -> ()", lambda operator: add(*_with_numbers(operator)))
    for need in needs:
        add(*_with_numbers(need))
    return library


_FLAGS: dict[str, Callable[[], Any]] = {
    "deterministic": torch.are_deterministic_algorithms_enabled,
    "deterministic_warn_only": torch.is_deterministic_algorithms_warn_only_enabled,
    "fill_uninitialized_memory": lambda: torch.utils.deterministic.fill_uninitialized_memory,
    "cudnn": lambda: torch.backends.cudnn.enabled,
    "cudnn_benchmark": lambda: torch.backends.cudnn.benchmark,
    "cudnn_deterministic": lambda: torch.backends.cudnn.deterministic,
    "cudnn_tf32": lambda: torch.backends.cudnn.allow_tf32,
    "matmul_tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
    "mkldnn": lambda: torch.backends.mkldnn.enabled,
    "has_cuda": torch.backends.cuda.is_built,
    "has_cudnn": torch.backends.cudnn.is_available,
    "has_mkl": torch.backends.mkl.is_available,
    "has_mkldnn": torch.backends.mkldnn.is_available,
    "has_openmp": torch.backends.openmp.is_available,
    "has_mps": torch.backends.mps.is_built,
    "has_xpu": torch.xpu._is_compiled,
}


def _answers(add: Callable[[str, Callable[..., Any]], None]) -> None:
    """Define what C++ asks of tensors and of torch's state that no C function answers."""
    add("flag(str name) -> bool", lambda name: bool(_FLAGS[name]()))
    add("requires_grad(Tensor x) -> bool", lambda x: x.requires_grad)
    add("grad(Tensor x) -> Tensor?", lambda x: x.grad)
    add("is_same(Tensor x, Tensor y) -> bool", lambda x, y: x is y)
    add(
        "is_alias_of(Tensor x, Tensor y) -> bool",
        lambda x, y: x.untyped_storage()._cdata == y.untyped_storage()._cdata,
    )
    add("is_autocast_enabled(str device) -> bool", torch.is_autocast_enabled)
    add("get_autocast_dtype(str device) -> ScalarType", torch.get_autocast_dtype)
    add("set_num_threads(int n) -> ()", torch.set_num_threads)
    add("manual_seed(int seed) -> ()", lambda seed: torch.manual_seed(seed) and None)


def _with_numbers(need: str) -> tuple[str, Callable[..., Any]]:
    """Schema and function of an operator with a Scalar: it comes as a tensor without dimensions."""
    base, _, overload = need.removeprefix("aten::").partition(".")
    operator = getattr(getattr(torch.ops.aten, base), overload or "default")
    schema = operator._schema
    numbers = [at for at, each in enumerate(schema.arguments) if str(each.type) in {"number", "Optional[number]"}]
    head, _, result = str(schema).removeprefix("aten::").partition(") ->")
    text = re.sub(r"\b(Scalar|number)(?=[? ])", "Tensor", head)
    text = re.sub(r"Tensor(\?)? (\w+)=[-\w.]+", r"Tensor\1 \2", text).replace(", *,", ",") + ") ->" + result
    named = [(at, each.name) for at, each in enumerate(schema.arguments) if each.kwarg_only]

    def call(*given: Any) -> Any:
        # torch drops trailing arguments that have their default
        all_given = [*given, *(each.default_value for each in schema.arguments[len(given) :])]
        for at in numbers:
            if isinstance(all_given[at], torch.Tensor):
                all_given[at] = all_given[at].item()
        keywords = {name: all_given[at] for at, name in named}
        return operator(*all_given[: len(all_given) - len(keywords)], **keywords)

    return text, call


def _function(operators: Any, entry: dict[str, Any]) -> Callable[..., Any]:
    """What calls an operator as the function of the extension module was called."""
    operator = getattr(operators, entry["name"])
    direct = operator.default if "." not in entry["op"] and len(operator.overloads()) == 1 else operator

    def call(*args: Any, **kwargs: Any) -> Any:
        result = direct(*args, **kwargs)
        return (result,) if entry["kind"] == "tuple1" else None if entry["kind"] == "none" else result

    function: Callable[..., Any] = torch.compiler.disable(call)
    function.__name__ = function.__qualname__ = entry["name"]
    function.__doc__ = f"{entry['schema']}\n\n{entry['doc']}"
    function.__module__ = __name__
    return function


_DESCRIBED = _describe()
_HELPERS = _helpers(_DESCRIBED["needs"])
_OPERATORS = getattr(torch.ops, _DESCRIBED["ns"])
for _entry in _DESCRIBED["functions"]:
    if not _entry["name"].startswith("_gwc_"):
        globals().setdefault(_entry["name"], _function(_OPERATORS, _entry))
