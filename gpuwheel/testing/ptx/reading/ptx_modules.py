"""Text of PTX to values of `syntax`: a module is scanned for its functions, each of which is read when it is asked for.

All that nvcc and NVRTC write (PTX ISA 6.0 to 9.x, sections 4 to 6 and 11). What an instruction means is not known here.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace

from gpuwheel._limits import PTX_INITIAL, PTX_TEXT
from gpuwheel.errors import PtxError
from gpuwheel.testing.ptx.reading.bodies import FUNCTION, NAME, STATEMENT, STRING, read_body
from gpuwheel.testing.ptx.reading.declared_variables import variables
from gpuwheel.testing.ptx.reading.unreadable_text import UnexpectedError, refuse
from gpuwheel.testing.ptx.syntax import Function, Module

__all__ = ["function", "function_address", "read_module"]

_FUNCTIONS, _OF_MODULE = 0xF << 60, (1 << 24) - 1
_IGNORED = re.compile(r'("(?:[^"\\\n]|\\.)*"?)|//[^\n]*|/\*(?:.*?\*/|.*)', re.DOTALL | re.ASCII)
_BRACE = re.compile(rf"{STRING}|[{{}}]", re.ASCII)
_MODULE = re.compile(
    rf"""\s*(?:
    {FUNCTION}
    |\.(?P<linking>visible|weak|extern|common)\b
    |(?P<variable>\.(?:global|const|shared|local|tex)\b{STATEMENT});
    |\.file\s+(?P<file>\d{{1,9}})\s+(?P<path>{STRING})(?:\s*,\s*\d+\s*,\s*\d+)?
    |\.section\s+(?P<section>[.\w]+)\s*(?P<content>\{{)
    |\.version\s+(?P<version>\d+\.\d+)
    |\.target\s+(?P<target>\w+)(?:\s*,\s*\w+)*
    |\.address_size\s+(?P<bits>\d+)
    |\.alias\s+(?P<alias>{NAME})\s*,\s*(?P<aliased>{NAME})\s*;
    |\.pragma\b{STATEMENT};
    |(?P<empty>;)
    |(?P<end>\Z)
    )""",
    re.VERBOSE | re.ASCII,
)


def _without_comments(text: str) -> str:
    """The same lines, at the same numbers."""
    if "//" not in text and "/*" not in text:
        return text
    return _IGNORED.sub(lambda match: match[1] or "\n" * match[0].count("\n"), text)


def _closing(text: str, at: int) -> int:
    """Behind the brace that closes the one at `at`; 0: nothing closes it."""
    depth = 0
    for match in _BRACE.finditer(text, at):
        mark = match[0]
        if mark == "{":
            depth += 1
        elif mark == "}":
            depth -= 1
            if not depth:
                return match.end()
    return 0


def read_module(text: str) -> Module:
    """What a text of PTX declares; bodies of functions are found, not read.

    Raises:
        PtxError: it is no PTX; names the line.
    """
    if len(text) > PTX_TEXT.value:
        msg = f"a text of PTX is too long ({PTX_TEXT.passed(f'{len(text):,} characters')})"
        raise PtxError(msg)
    module = Module("", "", text=_without_comments(text.replace("\0", " ")))
    _Scan(module).whole()
    return module


class _Scan:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.line = 1
        self.initial = 0
        self.linking: set[str] = set()
        self.declared: set[str] = set()
        self.weak: set[str] = set()

    def whole(self) -> None:
        text, at = self.module.text, 0
        while True:
            match = _MODULE.match(text, at)
            if match is None or (match.end() == at and match.lastgroup != "end"):
                start = len(text) - len(text[at:].lstrip())
                self.line += text.count("\n", at, start)
                refuse(self.line, text[start : start + 80].partition("\n")[0], "a directive of a module")
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            self.line += text.count("\n", at, start)
            if match["end"] is not None:
                break
            try:
                end = self.one(match, start)
            except UnexpectedError as error:
                refuse(self.line, match[0].strip(), str(error))
            self.line += text.count("\n", start, end)
            at = end
        if not self.module.version or not self.module.target:
            refuse(1, text[:80].partition("\n")[0], "`.version` and `.target`")
        self.module.declared = frozenset(self.declared - self.module.spans.keys())
        self.addresses()

    def addresses(self) -> None:
        """Those of functions become what variables begin with, e.g. tables of virtual functions."""
        module, found = self.module, set()
        for name, variable in module.variables.items():
            of_functions = [
                each for each in variable.pointers if module.aliases.get(each[1].name, each[1].name) in module.spans
            ]
            if not of_functions:
                continue
            initial = bytearray(variable.initial or b"")
            for at, symbol in of_functions:
                initial[at : at + 8] = function_address(module, symbol.name).to_bytes(8, "little")
                found.add(symbol.name)
            rest = tuple(each for each in variable.pointers if each not in of_functions)
            module.variables[name] = replace(variable, initial=bytes(initial), pointers=rest)
        module.in_variables = frozenset(found)

    def one(self, match: re.Match[str], start: int) -> int:
        """What one directive says; returns where it ends."""
        module, end = self.module, match.end()
        if match["linking"]:
            self.linking.add(match["linking"])
            return end
        if match["function"]:
            end = self.function(match, start)
        elif match["variable"]:
            self.variable(match["variable"])
        elif match["section"]:
            end = self.closed(match.start("content"))
            if match["section"] == ".debug_str":
                module.debug_span = match.end("content"), end - 1
        elif match["file"]:
            module.files[int(match["file"])] = match["path"][1:-1]
        elif match["alias"]:
            module.aliases[match["alias"]] = match["aliased"]
        else:
            module.version = match["version"] or module.version
            module.target = match["target"] or module.target
        self.linking = set()
        return end

    def variable(self, text: str) -> None:
        for variable in variables(text, external="extern" in self.linking):
            self.initial += len(variable.initial or b"")
            if self.initial > PTX_INITIAL.value:
                msg = f"smaller variables ({PTX_INITIAL.passed(f'{self.initial:,} bytes')})"
                raise UnexpectedError(msg)
            if not variable.external or variable.name not in self.module.variables:
                self.module.variables[variable.name] = variable

    def function(self, match: re.Match[str], start: int) -> int:
        name = match["name"]
        if match["opening"] == ";":
            self.declared.add(name)
            return match.end()
        end = self.closed(match.start("opening"))
        if name not in self.module.spans or name in self.weak:
            self.module.spans[name] = start, end, self.line
        if "weak" in self.linking:
            self.weak.add(name)
        else:
            self.weak.discard(name)
        return end

    def closed(self, at: int) -> int:
        end = _closing(self.module.text, at)
        if not end:
            refuse(self.line, self.module.text[at : at + 80].partition("\n")[0], "a `}` that closes this `{`")
        return end


def function_address(module: Module, name: str) -> int:
    """What stands for the address of a function of this text: no address of memory, and the same in each program of it.

    Raises:
        KeyError: it has no such function with a body.
    """
    start, _, _ = module.spans[module.aliases.get(name, name)]
    return _FUNCTIONS | (zlib.crc32(f"{module.target} {len(module.text)}".encode()) & _OF_MODULE) << 34 | start << 1


def function(module: Module, name: str) -> Function:
    """One function of a module, read when it is first asked for.

    Raises:
        PtxError: it has no such function with a body, or a statement that is none; names the line.
    """
    name = module.aliases.get(name, name)
    found = module.functions.get(name)
    if found is None:
        if name not in module.spans:
            msg = f"the PTX has no function `{name}` (found {len(module.spans)} others)"
            raise PtxError(msg)
        found = module.functions[name] = read_body(module, name)
    return found
