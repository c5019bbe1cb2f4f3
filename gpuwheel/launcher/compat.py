"""What a library on torch's stable C ABI asks of Python: operators that C++ calls by the dispatcher.

The third part of `NAME.py`. Libraries in one process that are of one gpuwheel share the operators: the first that is
imported defines them.
"""

from __future__ import annotations

import ctypes
import re
import struct
import threading
from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.launcher.compat_insides import SPACE, is_defined, is_transformed, untraced
from gpuwheel.launcher.compat_values import generator_of_key

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("HELPERS", "first_raised")

_FAILED = vars(getattr(torch.ops, SPACE)).setdefault("failed", threading.local())
"""The exception that Python raised last where C++ had called it: of each thread. Shared, as the operators are."""


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        _FAILED.__dict__.clear()  # one that nobody asked for, with all that its frames hold
        try:
            return function(*args)
        except BaseException as error:
            _FAILED.error = error
            raise

    return untraced(call)


def first_raised(raised: Exception) -> BaseException:
    """What Python raised where an exception of C++ only repeats it: C++ keeps its text at most, and not its type."""
    error: BaseException | None = _FAILED.__dict__.pop("error", None)
    repeated = {str(error) or "<EMPTY MESSAGE>", "torch: a call of Python failed"}
    return error if error is not None and str(raised) in repeated else raised


def _autograd(add: Callable[[str, Callable[..., Any]], None]) -> None:
    """Define Python's side of `torch::autograd::Function`: it makes the nodes of the graph, C++ does their work."""
    functions: dict[int, type[torch.autograd.Function]] = {}
    running = threading.local()

    def announce(kind: int, backward: int, acquire: int, release: int, name: str) -> None:
        operator = getattr(torch.ops.gpuwheel_autograd, f"backward_{backward}").default
        functions[kind] = _function_class(name, _owner(acquire, release), operator, running)

    def apply(kind: int, node: int, inputs: list[Any], *marks: Any) -> list[Any]:
        if is_transformed():
            msg = "cannot use C++ torch::autograd::Function with functorch transforms (vmap, grad, vjp, etc)"
            raise RuntimeError(msg)
        return list(functions[kind].apply(node, marks, *inputs))

    def needs(at: int) -> bool:
        node = running.context.next_functions[at][0]
        try:
            return node is not None and torch._C._will_engine_execute_node(node)
        except RuntimeError:  # a leaf whose gradient autograd.grad asks for
            return True

    add("autograd_function(int kind, int backward, int acquire, int release, str name) -> ()", announce)
    add(
        "autograd_apply(int kind, int node, Tensor[] inputs, Tensor[] outputs, Tensor[] saved, Tensor[] dirty, "
        "Tensor[] non_differentiable, bool materialize_grads) -> Tensor?[]",
        apply,
    )
    add("autograd_needs(int at) -> bool", needs)
    add(
        "autograd_grad(Tensor[] outputs, Tensor[] inputs, Tensor?[] grads, bool? retain, bool create, bool unused) "
        "-> Tensor?[]",
        lambda outputs, inputs, grads, *flags: list(
            torch.autograd.grad(outputs, inputs, grads or None, *flags[:2], allow_unused=flags[2])
        ),
    )
    add(
        "autograd_backward(Tensor[] tensors, Tensor?[] grads, bool? retain, bool create, Tensor[] inputs) -> ()",
        lambda tensors, grads, retain, create, inputs: torch.autograd.backward(
            tensors, grads or None, retain, create, inputs=inputs or None
        ),
    )
    add("increment_version(Tensor tensor) -> ()", _increment_version)


def _increment_version(tensor: torch.Tensor) -> None:
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        msg = (
            "Inplace update to inference tensor outside InferenceMode is not allowed."
            "You can make a clone to get a normal tensor before doing inplace update."
            "See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
        raise RuntimeError(msg)
    torch.autograd.graph.increment_version(tensor)


def _owner(acquire: int, release: int) -> type:
    """A class whose values keep a node of C++ alive; C++ gives the addresses of what counts its owners."""
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    take, drop = prototype(acquire), prototype(release)

    class Owner:
        __slots__ = ("node",)

        def __init__(self, node: int) -> None:
            self.node = node
            take(node)

        def __del__(self, drop: Callable[[int], None] = drop) -> None:
            drop(self.node)

    return Owner


def _function_class(name: str, owner: type, operator: Any, running: Any) -> type[torch.autograd.Function]:
    """The class of one kind of nodes, which are called what the classic nodes are."""

    def forward(ctx: Any, node: int, marks: tuple[Any, ...], *_inputs: Any) -> tuple[Any, ...]:
        outputs, saved, dirty, non_differentiable, materialize_grads = marks
        ctx.gpuwheel_owner = owner(node)
        ctx.save_for_backward(*saved)
        ctx.mark_dirty(*dirty)
        ctx.mark_non_differentiable(*(each for each in non_differentiable if each is not None))
        ctx.set_materialize_grads(materialize_grads)
        return tuple(outputs)

    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        try:
            saved, error = ctx.saved_tensors, ""
        except RuntimeError as failed:  # freed, or modified since: said where C++ asks for them
            saved, error = (), str(failed)
        before = getattr(running, "context", None)
        running.context = ctx
        try:
            return (None, None, *operator(ctx.gpuwheel_owner.node, grads, saved, error))
        except RuntimeError as raised:
            raise first_raised(raised) from None
        finally:
            running.context = before

    methods = {"forward": staticmethod(forward), "backward": staticmethod(untraced(backward))}
    made: Any = type(name, (torch.autograd.Function,), methods)
    # `grad_fn.name()` is the name of the class; `type(grad_fn).__name__` that of all nodes of C++: torch prints by both
    base = getattr(made, "_backward_cls", None)  # set by the metaclass
    if base is not None:
        named = type("Named", (type(base),), {"__name__": property(lambda _: "CppFunction")})
        made._backward_cls = named(name, (base,), {"__module__": "builtins", "__qualname__": "CppFunction"})
    function_class: type[torch.autograd.Function] = made
    return function_class


_ADVANCING = threading.Lock()


def _philox(key: int, count: int) -> tuple[int, int]:
    """Seed and offset of a generator, which goes on by `count` rounded up to blocks of four (CUDAGeneratorImpl)."""
    generator = generator_of_key(key)
    if generator.device.type != "cuda":
        msg = f"Expected a 'cuda' device type for generator but found '{generator.device.type}'"
        raise RuntimeError(msg)
    if count and torch.cuda.is_current_stream_capturing():
        msg = (
            'random numbers of an extension with abi = "compat" cannot be captured in a CUDA graph: each replay would '
            'repeat them; capture without dropout, or build the extension with abi = "exact"'
        )
        raise RuntimeError(msg)
    with _ADVANCING:
        seed, offset = generator.initial_seed(), generator.get_offset()
        if count:
            generator.set_offset(offset + (count + 3) // 4 * 4)
    return _signed(seed), _signed(offset)


def _signed(number: int) -> int:
    return (number & 0xFFFF_FFFF_FFFF_FFFF ^ 1 << 63) - (1 << 63)


def _cuda(add: Callable[[str, Callable[..., Any]], None]) -> None:
    """Define what C++ asks of torch.cuda, where the stable ABI has nothing."""
    add("philox(int generator, int count) -> (int, int)", _philox)
    add("cuda_device_count() -> int", torch.cuda.device_count)
    add("cuda_empty_cache() -> ()", torch.cuda.empty_cache)
    add(
        "record_stream(Tensor tensor, int stream, int device) -> ()",
        lambda tensor, stream, device: tensor.record_stream(torch.cuda.ExternalStream(stream, device=device)),
    )


def _helpers() -> torch.library.Library:
    """Define what the stable ABI cannot carry (Scalar; global state): C++ calls these by the dispatcher."""
    library = torch.library.Library(SPACE, "FRAGMENT")

    def add(schema: str, function: Callable[..., Any]) -> None:
        name = schema.partition("(")[0]
        if not is_defined(f"{SPACE}::{name}"):
            library.define(schema)
            library.impl(name, _remembered(function), "CompositeImplicitAutograd")

    _answers(add)
    add("define(str operator) -> ()", lambda operator: add(*_with_numbers(operator)))
    _autograd(add)
    add("define_explanation(str operator) -> ()", lambda operator: add(*_explanation(operator)))
    _cuda(add)
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
    "has_xpu": lambda: bool(torch.xpu._is_compiled()),
    "inference_mode": torch.is_inference_mode_enabled,
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


def _explanation(operator: str) -> tuple[str, Callable[..., str]]:
    """Schema and function of what says what an operator throws, a type and a text on lines of their own."""
    schema, call = _with_numbers(operator)
    base, _, overload = operator.partition(".")
    arguments = getattr(getattr(torch.ops.aten, base), overload or "default")._schema.arguments
    written = [at for at, each in enumerate(arguments) if each.alias_info is not None and each.alias_info.is_write]

    def copied(value: Any) -> Any:
        if isinstance(value, list):
            return [copied(each) for each in value]
        # a leaf stays one: what is done to it in place fails for that
        return value.detach().clone().requires_grad_() if value.is_leaf and value.requires_grad else value.clone()

    def explain(*given: Any) -> str:
        try:
            call(*(copied(each) if at in written else each for at, each in enumerate(given)))
        except Exception as error:  # noqa: BLE001 - whatever it is, C++ throws the like of it
            kind = type(error)
            named = (
                "torch.linalg.LinAlgError"
                if kind is torch.linalg.LinAlgError
                else f"{kind.__module__}.{kind.__qualname__}"
            )
            return f"{named.removeprefix('builtins.')}\n{error}"
        return ""

    return f"explain_{schema.rpartition(' ->')[0]} -> str", explain


def _number(words: list[int]) -> bool | complex:
    """A Scalar, from `words_of` in boxed.h: integer, floating point, bool, complex, or an integer beyond int64."""
    kind, first, second = words
    if kind in {1, 3}:
        real, imaginary = struct.unpack("dd", struct.pack("qq", first, second))
        return real if kind == 1 else complex(real, imaginary)
    return bool(first) if kind == 2 else first if kind == 0 else first & 0xFFFF_FFFF_FFFF_FFFF  # noqa: PLR2004


def _with_numbers(need: str) -> tuple[str, Callable[..., Any]]:
    """Schema and function of an operator with a Scalar, which comes as words, or with a generator, as its key."""
    base, _, overload = need.removeprefix("aten::").partition(".")
    operator = getattr(getattr(torch.ops.aten, base), overload or "default")
    schema = operator._schema
    numbers = [at for at, each in enumerate(schema.arguments) if str(each.type) in {"number", "Optional[number]"}]
    generators = [at for at, each in enumerate(schema.arguments) if "Generator" in str(each.type)]
    head, _, result = str(schema).removeprefix("aten::").partition(") ->")
    head = re.sub(r"=(\[[^\]]*\]|\"[^\"]*\"|'[^']*'|[^,)]+)", "", head)  # every argument comes
    # Without overloads: torch 2.13 ends badly where a name has several.
    head = head.replace(f"{base}.{overload}(", f"{base}__{overload}(", 1)
    text = re.sub(r"\b(Scalar|number)(?=[? ])", "int[]", head).replace(", *,", ",") + ") ->" + result
    text = re.sub(r"\bGenerator(?=[? ])", "int", text)
    named = [each.name for each in schema.arguments if each.kwarg_only]

    def call(*given: Any) -> Any:
        values = list(given)
        for at in numbers:
            if values[at] is not None:
                values[at] = _number(values[at])
        for at in generators:
            if values[at] is not None:
                values[at] = generator_of_key(values[at])
        first = len(values) - len(named)
        return operator(*values[:first], **dict(zip(named, values[first:], strict=True)))

    return text, call


HELPERS = _helpers()
"""Keeps the operators."""
