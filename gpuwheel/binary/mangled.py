"""Mangled names (Itanium C++ ABI, section 5.1), and a kernel's taken apart: namespace, template arguments and types.

Names that our own compilers wrote are demangled by `__cxa_demangle` of the C++ run time: cuda.bindings, without which
there is no symbol to read, is itself C++ and needs libstdc++.so.6, so it is there wherever NVRTC ran. Names out of a
file that anybody may have made go to a process of their own.
"""

from __future__ import annotations

import ctypes
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._limits import SHOWN_NAME, SHOWN_NAMES_TIME
from gpuwheel._run import run
from gpuwheel.errors import CompileError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Signature",
    "TemplateArgument",
    "demangle",
    "demangle_foreign",
    "foreign_names",
    "function_name",
    "parse_signature",
    "template_argument",
]

_OPEN, _CLOSE = "(<[{", ")>]}"
# How the demangler writes literals (Itanium C++ ABI, 5.1.6 expr-primary): 4, 4u, 4ul; other types get a cast.
_INTEGER_SUFFIXES = {"": "int", "u": "unsigned", "l": "long", "ul": "unsigned long", "ll": "long long",
                     "ull": "unsigned long long"}  # fmt: skip
_INTEGER = re.compile(r"(-?\d+)([a-z]*)")
_CAST = re.compile(r"\((?P<type>[\w: ]+)\)(?P<value>-?\d+)")
# The spellings of GNU's demangler and of LLVM's.
_NAMELESS = re.compile(r"\(anonymous (?:namespace|class)\)|\{lambda|\{unnamed|'lambda|'unnamed|\bunnamed\b")
# What follows a list of parameters is local to that function: "f(int)::Local".
_LOCAL = re.compile(r"\)(?: const)?::")
_BUILTIN = frozenset(
    "void bool char short int long float double signed unsigned const volatile true false".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Signature:
    """One kernel as C++ names it."""

    namespace: str
    """For example `fused::detail`; empty for the global namespace."""
    base: str
    template_arguments: tuple[str, ...]
    parameters: tuple[str, ...] | None
    """Types, or `None` for an `extern "C"` kernel, whose symbol does not carry them."""

    @property
    def name(self) -> str:
        """For people, and the key in the manifest: `fused::add_rms_norm<float, 4>`."""
        arguments = f"<{', '.join(self.template_arguments)}>" if self.template_arguments else ""
        return f"{self.namespace}::{self.base}{arguments}" if self.namespace else f"{self.base}{arguments}"


@dataclass(frozen=True)
class TemplateArgument:
    """A template argument as host C++ spells it, and the kind of template parameter that takes it."""

    kind: str
    """"typename" for a type, else the type of the value: "int", "unsigned long", "fused::Mode"."""
    text: str


def demangle_foreign(symbols: Sequence[str]) -> list[str]:
    """The C++ names of symbols from anybody's file, by `c++filt` where there is one; else the symbols as they are.

    Not in this process, and not for long: 250 bytes can stand for gigabytes (each parameter a function of the one
    before it, twice), and demanglers have overflowed their stacks on less.
    """
    if not any(symbol.startswith("_Z") for symbol in symbols):
        return list(symbols)
    try:
        plain = run(
            ["c++filt"], stdin="\n".join(symbols), check=False, timeout=SHOWN_NAMES_TIME.value
        ).stdout.splitlines()
    except (FileNotFoundError, TimeoutError):
        return list(symbols)
    # A name that holds a newline: which line belongs to whom cannot be said any more.
    if len(plain) != len(symbols):
        return list(symbols)
    return [name if len(name) <= SHOWN_NAME.value else symbol for symbol, name in zip(symbols, plain, strict=True)]


def demangle(symbol: str) -> str:
    """The C++ name of a mangled symbol of our own; another symbol is returned as it is.

    Raises:
        ToolchainError: there is no C++ run time.
    """
    return _demangler()(symbol)


@functools.cache
def _demangler() -> Callable[[str], str]:
    try:
        library = ctypes.CDLL("libstdc++.so.6")
    except OSError as error:
        msg = f"the C++ run time libstdc++.so.6 cannot be loaded ({error})"
        raise ToolchainError(msg, hint="install a C++ compiler (apt-get install g++, dnf install gcc-c++)") from error
    # char* abi::__cxa_demangle(const char* symbol, char* buffer, size_t* length, int* status); the result is malloc'ed.
    cxa_demangle, free = library["__cxa_demangle"], ctypes.CDLL(None)["free"]
    cxa_demangle.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    cxa_demangle.restype = ctypes.c_void_p
    free.argtypes, free.restype = (ctypes.c_void_p,), None

    def call(symbol: str) -> str:
        if not symbol.startswith("_Z"):
            return symbol  # an extern "C" name; a bare "i" would be read as the type int
        status = ctypes.c_int()
        pointer = cxa_demangle(symbol.encode(), None, None, ctypes.byref(status))
        if not pointer:
            return symbol
        try:
            return ctypes.string_at(pointer).decode()
        finally:
            free(pointer)

    return call


_STATIC = re.compile(r"__nv_static_(\d{1,4})__")
"""What nvcc puts before the name of a kernel that is local to its source, for relocatable device code."""


def function_name(symbol: str) -> str:
    """A function's C++ name without return type and parameters: `fused::add_rms_norm<float, 4>`.

    Other symbols, and what cannot be read, are returned as they are.

    Raises:
        ToolchainError: there is no C++ run time.
    """
    static = _STATIC.match(symbol)
    # The length counts the underscore between the two: "__nv_static_27__263328b4_6_api_cu_4cf56e19__ZN...".
    inner = symbol[static.end() + int(static[1]) :] if static is not None else symbol
    text = demangle(inner)
    try:
        return symbol if text == inner else _parted(text)[0]
    except CompileError:
        return text


@functools.cache
def parse_signature(symbol: str) -> Signature:
    """Take a kernel's symbol apart.

    Raises:
        CompileError: the kernel cannot be named from another file (it is in an anonymous namespace, or its template
            arguments or parameters have types that are), or its name cannot be read.
    """
    text = demangle(symbol)
    if text == symbol:
        if symbol.startswith("_Z"):
            msg = f"kernel symbol {symbol} cannot be read (the C++ run time does not know it)"
            raise CompileError(msg, hint='report this kernel\'s declaration, or declare it extern "C"')
        return Signature("", symbol, (), None)
    _refuse_unnameable(text)
    head, parameters = _parted(text)
    arguments: tuple[str, ...] = ()
    if head.endswith(">"):
        start = _matching_open(head, len(head) - 1)
        # From the right: the namespace may be a template's too, and the kernel's own arguments come last.
        arguments, head = _split(head[start + 1 : -1]), head[:start]
    namespace, _, base = head.rpartition("::")
    return Signature(namespace, base, arguments, tuple(p for p in _split(parameters) if p != "void"))


def _parted(text: str) -> tuple[str, str]:
    """A demangled kernel's name without its return type, and its parameters."""
    opening = _matching_open(text, len(text) - 1)
    head = text[:opening]
    # Only the symbol of a template carries its return type, which for a kernel is void.
    return head.removeprefix("void ") if head.endswith(">") else head, text[opening + 1 : -1]


def template_argument(text: str) -> TemplateArgument:
    """What a demangled template argument is.

    Raises:
        CompileError: it has no spelling on the host (the address of a device variable, a floating-point value).
    """
    if text in {"true", "false"}:
        return TemplateArgument("bool", text)
    if (match := _INTEGER.fullmatch(text)) and match[2] in _INTEGER_SUFFIXES:
        return TemplateArgument(_INTEGER_SUFFIXES[match[2]], text)
    if match := _CAST.fullmatch(text):
        return TemplateArgument(match["type"], f"static_cast<{match['type']}>({match['value']})")
    if text.startswith(("&", "(", "-")) or text[:1].isdigit():
        msg = f"template argument {text} of a kernel cannot be written in host code"
        raise CompileError(msg, hint="use integers, bool, enumerators or types as template arguments of kernels")
    return TemplateArgument("typename", text)


def foreign_names(types: tuple[str, ...]) -> tuple[str, ...]:
    """The class and enumeration names in `types`: what host code must have declared to use them."""
    found: dict[str, None] = {}
    for text in types:
        for name in re.findall(r"\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*", text):
            if name not in _BUILTIN:
                found[name] = None
    return tuple(found)


def _refuse_unnameable(text: str) -> None:
    if match := _NAMELESS.search(text):
        what = "an anonymous namespace" if "namespace" in match[0] else "an unnamed type or lambda"
        msg = f"kernel {text} cannot be launched from another file (it involves {what})"
        raise CompileError(msg, hint="give the namespace or type a name, in a header that both sides include")
    if _LOCAL.search(text):
        msg = f"kernel {text} cannot be launched from another file (it involves a type local to a function)"
        raise CompileError(msg, hint="move the type to namespace scope, in a header that both sides include")


def _matching_open(text: str, closing: int) -> int:
    """The index of the bracket that `text[closing]` closes."""
    depth = 0
    for index in range(closing, -1, -1):
        # The arrow of a dependent type (`decltype (x->y)`) closes nothing.
        if text[index] in _CLOSE and text[index - 1 : index + 1] != "->":
            depth += 1
        elif text[index] in _OPEN:
            depth -= 1
            if depth == 0:
                return index
    msg = f"kernel name {text!r} has unbalanced brackets"
    raise CompileError(msg, hint="report this name: gpuwheel's parser does not know it")


def _split(text: str) -> tuple[str, ...]:
    """At the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    parts.append(text[start:].strip())
    return tuple(part for part in parts if part)
