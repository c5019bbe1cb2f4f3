"""Functions of a library as pybind11 made them: arguments by place and name, defaults, overloads, errors, docs.

The fourth part of `NAME.py`. A call goes to the operator at once; what it was given is looked at when that failed.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import json
import sys
import types
from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.launcher.compat import first_raised
from gpuwheel.launcher.compat_insides import any_overridden, find_operator, untraced, without_overrides
from gpuwheel.launcher.compat_values import Unfit, make_type, pack, unpack

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable, Iterable, Sequence

__all__ = ("Overload", "make_function")

_MISSING = object()
_INT64_MAX = 0x7FFF_FFFF_FFFF_FFFF


class _Refused(Exception):  # noqa: N818 -- it never leaves this module
    """The library, or torch before it, does not take the arguments."""


class Overload:
    """One C++ function under a name of the module."""

    def __init__(
        self, described: dict[str, Any], space: str, library: ctypes.CDLL, raised: Callable[[str], type]
    ) -> None:
        self.library, self.raised = library, raised
        self.name, self.kind, self.doc = described["name"], described["kind"], described["doc"]
        self.types = [make_type(each) for each in described["types"]]
        self.result = make_type(described["result"])
        named = described["arguments"]
        rest = [each for each in described["types"] if each in ("args", "kwargs")]
        self.count = len(self.types) - len(rest)
        self.takes_args, self.takes_kwargs = "args" in rest, "kwargs" in rest
        self.names = [each["name"] for each in named] if named else [""] * self.count
        self.shown = [each.get("shown") for each in named] if named else [None] * self.count
        self.defaults = [unpack(json.dumps(each["default"]), []) if "default" in each else _MISSING for each in named]
        self.defaults = self.defaults or [_MISSING] * self.count
        self.converts = [not each["noconvert"] for each in named] or [True] * self.count
        self.not_none = [each["not_none"] for each in named] or [False] * self.count
        self.places = self.count if described["kw_only"] < 0 else described["kw_only"]
        self.only_by_place = max(described["pos_only"], 0)
        if self.takes_args:
            self.places = min(self.places, described["types"].index("args"))
        self.plain = described["plain"]
        self.operator = find_operator(space, described["operator"], described["overload"])
        # torch converts these as pybind11 did, or refuses them; others are looked at first.
        self.is_direct = (
            not described["packs"]
            and all(self.converts)
            and not any(self.not_none)
            and self.kind in {"one", "none", "tuple"}
            and "Generator" not in str(described["types"])  # torch would take any number for its key
        ) and not self.result.restore
        self.ints = [at for at, each in enumerate(described["types"]) if _is_int(each)]
        self.lists = [at for at, each in enumerate(described["types"]) if _is_list(each)]
        self.upper = [at for at, each in enumerate(described["types"]) if each == ["int", False, 64]]

    def parameters(self) -> inspect.Signature | None:
        """For `inspect.signature`; None where a name is none that Python could write."""
        kinds, parameters = inspect.Parameter, []
        for at, name in enumerate(self.names):
            by_place = at < self.only_by_place or not name
            by_name = kinds.KEYWORD_ONLY if at >= self.places else kinds.POSITIONAL_OR_KEYWORD
            kind = kinds.POSITIONAL_ONLY if by_place else by_name
            default = kinds.empty if self.defaults[at] is _MISSING else self.defaults[at]
            try:
                parameters.append(inspect.Parameter(name or f"arg{at}", kind, default=default))
            except ValueError:
                return None
        if self.takes_args:
            parameters.insert(self.places, inspect.Parameter("args", kinds.VAR_POSITIONAL))
        if self.takes_kwargs:
            parameters.append(inspect.Parameter("kwargs", kinds.VAR_KEYWORD))
        # The first is what the function is bound to.
        return inspect.Signature([inspect.Parameter("_home", kinds.POSITIONAL_ONLY), *parameters])

    @property
    def signature(self) -> str:
        """What pybind11 writes: "(x: torch.Tensor, eps: float = 1e-05) -> torch.Tensor"."""
        parts: list[str] = []
        for at, each in enumerate(self.types):
            if at == self.only_by_place and at:
                parts.append("/")
            if at == self.places and at < self.count and not self.takes_args:
                parts.append("*")
            if each.argument.startswith("*"):
                parts.append(each.argument)
                continue
            index = at if at < len(self.names) else -1
            text = f"{self.names[index] or f'arg{at}'}: {each.argument if self.converts[index] else each.result}"
            if self.defaults[index] is not _MISSING:
                text += f" = {self.shown[index] or repr(self.defaults[index])}"
            parts.append(text)
        return f"({', '.join(parts)}) -> {self.result.result}"

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
        """A value for each argument, in order; None if they cannot be (pybind11's dispatcher, steps 1 to 4)."""
        given, left = len(args), dict(kwargs)
        if given > self.places and not self.takes_args:
            return None
        values = list(args[: self.places])
        for at in range(len(values), self.count):
            value = left.pop(self.names[at], _MISSING) if at >= self.only_by_place and self.names[at] else _MISSING
            value = self.defaults[at] if value is _MISSING else value
            if value is _MISSING:
                return None
            values.append(value)
        if left and not self.takes_kwargs:
            return None
        if self.takes_args:
            values.insert(self.places, tuple(args[self.places :]))
        return [*values, left] if self.takes_kwargs else values

    def load(self, values: list[Any], *, convert: bool) -> list[Any]:
        """Values as pybind11 converts them. Raises `Unfit`."""
        loaded = []
        for at, (each, value) in enumerate(zip(self.types, values)):
            if at < self.count and not self.takes_args and self.not_none[at] and value is None:
                raise Unfit
            loaded.append(each.load(value, convert and (at >= self.count or self.converts[at])))
        return loaded

    def call(self, values: list[Any]) -> Any:
        """The result for loaded values. Raises `_Refused`, or what the function throws."""
        upper = [at for at in self.upper if values[at] > _INT64_MAX]
        for at in upper:
            values[at] -= 1 << 64
        if not all(self.plain):
            text, tensors = pack([each for each, plain in zip(values, self.plain) if not plain])
            values = [*(each for each, plain in zip(values, self.plain) if plain), text, tensors]
        if upper:
            self.library.gpuwheel_compat_upper_half(1)
        try:
            with without_overrides():
                result = self.operator(*values)
        except Exception as error:  # noqa: BLE001 -- told by what the library says of it
            thrown = self.thrown(error)
            if thrown is None:
                raise _Refused from None
            raise thrown from None
        finally:
            if upper:
                self.library.gpuwheel_compat_upper_half(0)
        return self.finished(result)

    def implementing(self, name: str) -> Callable[..., Any]:
        """What an operator is to call that torch's C ABI cannot carry: torch checks its arguments.

        It comes without those that are what they are by default, and with those after a `*` by name.
        """
        space, _, base = name.partition("::")
        base, _, overload = base.partition(".")

        def call(*values: Any, **named: Any) -> Any:
            declared = getattr(getattr(getattr(torch.ops, space), base), overload or "default")._schema.arguments
            rest = (named.get(each.name, each.default_value) for each in declared[len(values) :])
            try:
                return self.call([*values, *rest])
            except _Refused:
                msg = f"{name}: {self.library.gpuwheel_compat_failure_text().decode(errors='replace')}"
                raise TypeError(msg) from None

        return untraced(call)

    def finished(self, result: Any) -> Any:
        """The result, as the function gave it to Python."""
        if self.kind == "packed":
            return unpack(*result)
        if self.kind == "tuple1":
            result = (result,)
        return self.result.restore(result) if self.result.restore else result

    def thrown(self, error: Exception) -> BaseException | None:
        """What the C++ function threw, if it did; an error that comes from elsewhere as it is; None for a refusal."""
        kind = self.library.gpuwheel_compat_failure().decode()
        if not kind:
            return first_raised(error)
        text = self.library.gpuwheel_compat_failure_text().decode(errors="replace")
        if text != str(error):  # of an earlier call, whose exception went elsewhere
            return first_raised(error)
        if kind == "!":
            return None
        wanted = self.raised(kind)
        return first_raised(error if type(error) is wanted and str(error) == text else wanted(text))


def _mismatch(overloads: list[Overload], args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError:
    """pybind11's TypeError."""
    lines = [
        f"{overloads[0].name}(): incompatible function arguments. The following argument types are supported:",
        *(f"    {at}. {each.signature}" for at, each in enumerate(overloads, 1)),
        "",
    ]
    given = ", ".join(map(_shown, args))
    if kwargs:
        named = ", ".join(f"{name}={_shown(value)}" for name, value in kwargs.items())
        given += ("; " if given else "") + f"kwargs: {named}"
    return TypeError("\n".join([*lines, f"Invoked with: {given}"]))


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 -- of whatever class it was handed
        return "<repr raised Error>"


def _slowly(overloads: list[Overload], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The call, with each argument checked and converted as pybind11 does: with overloads first without conversions."""
    for convert in (False, True) if len(overloads) > 1 else (True,):
        for each in overloads:
            values = each.bind(args, kwargs)
            if values is None:
                continue
            try:
                return each.call(each.load(values, convert=convert))
            except (Unfit, _Refused):
                continue
    raise _mismatch(overloads, args, kwargs) from None


def _again(
    overload: Overload, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any], values: Iterable[Any]
) -> Any:
    """After a direct call failed: what the function threw; or torch did not take the arguments, so they are loaded."""
    thrown = overload.thrown(error)
    if thrown is error:  # not from C++: torch refused an argument, or it has another cause
        try:
            loaded = overload.load(list(values), convert=True)
        except Unfit:
            raise _mismatch([overload], args, kwargs) from None
        if all(each is given for each, given in zip(loaded, values)):
            raise error
        return overload.call(loaded)
    if thrown is None:
        return _slowly([overload], args, kwargs)
    raise thrown from None


class _Home:
    """The module of a function, which is bound to it: so a class body that names it makes no method of it."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.module,)


def make_function(overloads: list[Overload], module: str) -> Callable[..., Any]:
    """What the extension module had under the name."""
    first = overloads[0]
    if len(overloads) == 1 and first.is_direct:
        call = _direct(first)
    else:

        def call(_home: _Home, *args: Any, **kwargs: Any) -> Any:
            return _slowly(overloads, args, kwargs)

    call.__name__ = call.__qualname__ = first.name
    call.__module__ = module
    call.__doc__ = _doc(overloads)
    if len(overloads) == 1:
        call.__signature__ = first.parameters()  # type: ignore[attr-defined]
    function = untraced(call)
    function._torchdynamo_disable = True  # type: ignore[attr-defined]  # as pybind11's: the graph ends before the call
    return types.MethodType(function, _Home(module))


def _direct(overload: Overload) -> Callable[..., Any]:
    operator, bind = overload.operator, overload.bind
    count = overload.count if overload.places == overload.count else -1
    ints, lists, overridden = overload.ints, overload.lists, any_overridden

    def call(_home: _Home, *args: Any, **kwargs: Any) -> Any:
        values = args
        if kwargs or len(args) != count:
            bound = bind(args, kwargs)
            if bound is None:
                raise _mismatch([overload], args, kwargs)
            values = bound  # type: ignore[assignment]
        if overridden(*values) or (lists and _any_overridden(values, lists)) or (ints and _any_word(values, ints)):
            return _slowly([overload], args, kwargs)
        try:
            return operator(*values)
        except Exception as error:  # noqa: BLE001 -- told by what the library says of it
            failed = error
        return _again(overload, failed, args, kwargs, values)

    return call


_WORDS = {torch.dtype, torch.layout, torch.memory_format, torch.qscheme}
"""What torch takes for an int, as it has a number, and pybind11 does not."""


def _any_word(values: Sequence[Any], ints: list[int]) -> bool:
    return any(type(values[at]) in _WORDS for at in ints)


def _is_int(described: Any) -> bool:
    return described[0] == "int" or (described[0] == "optional" and _is_int(described[1]))


def _is_list(described: Any) -> bool:
    return described[0] in {"list", "array"} or (described[0] == "optional" and _is_list(described[1]))


def _any_overridden(values: Sequence[Any], lists: list[int]) -> bool:
    """Whether a list is another sequence or an iterator, which torch would use up, or holds what torch would ask."""
    given = [values[at] for at in lists if values[at] is not None]
    return any(type(each) not in {list, tuple} or any_overridden(*each) for each in given)


def _doc(overloads: list[Overload]) -> str:
    if len(overloads) == 1:
        entries = [f"{overloads[0].name}{overloads[0].signature}\n"]
    else:
        entries = [f"{each.name}{each.signature}\n" for each in overloads]
    entries = [entry + (f"\n{each.doc}\n" if each.doc else "") for entry, each in zip(entries, overloads)]
    if len(overloads) == 1:
        return entries[0]
    numbered = "\n".join(f"{at}. {entry}" for at, entry in enumerate(entries, 1))
    return f"{overloads[0].name}(*args, **kwargs)\nOverloaded function.\n\n{numbered}"


def exception_class(name: str, made: dict[str, type]) -> type:
    """The class by the name that the library has: "IndexError", "torch.linalg.LinAlgError", ".Mine" of the module."""
    if name.startswith("."):
        return made[name[1:]]
    if "." in name:
        module, _, last = name.rpartition(".")
        found = getattr(sys.modules.get(module), last, None)
    else:
        found = getattr(builtins, name, None)
    return found if isinstance(found, type) else RuntimeError
