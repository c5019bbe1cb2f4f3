"""Bodies of PTX functions, statement by statement: instructions, labels, places, and the names of each scope."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel._limits import PTX_DEPTH
from gpuwheel.testing.ptx.reading.declared_variables import parameters, type_and_size, variables
from gpuwheel.testing.ptx.reading.operands import OperandReader, is_special, split
from gpuwheel.testing.ptx.reading.source_places import PlaceReader
from gpuwheel.testing.ptx.reading.unreadable_text import UnexpectedError, refuse
from gpuwheel.testing.ptx.syntax import Function, Instruction, Label, Register, Symbol, Vector

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.syntax import Module, Operand, Place

__all__ = ["FUNCTION", "NAME", "STATEMENT", "STRING", "read_body"]

NAME = r"[A-Za-z_$%][\w$]*"
STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
STATEMENT = rf'[^;"]*(?:{STRING}[^;"]*)*'
"""Up to a semicolon."""
FUNCTION = rf"""
    \.(?P<function>entry|func)\b\s*(?:\.attribute\s*\([^)]*\)\s*)?(?:\((?P<returns>[^()]*)\)\s*)?(?P<name>{NAME})\s*
    (?:\((?P<parameters>[^()]*)\)\s*)?(?P<directives>(?:\.pragma\s+{STATEMENT};|[^{{;])*)(?P<opening>[{{;])"""
"""The beginning of a function, up to its body, or a declaration (a pattern in verbose form)."""

_FUNCTION = re.compile(FUNCTION, re.VERBOSE | re.ASCII)
_BODY = re.compile(
    rf"""\s*(?:
    (?:@\s*(?P<negated>!)?\s*(?P<guard>{NAME}(?:\.[xyzw])?)\s+)?(?P<opcode>[a-z]\w*(?:\.[\w:]+)*)(?![\w$])(?!\s*:)
        (?P<operands>[^;]*);
    |(?P<label>{NAME})\s*:(?!:)(?:\s*\.(?P<list>branchtargets|calltargets|callprototype)\b(?P<listed>[^;]*);)?
    |\.loc\s+(?P<loc>\d{{1,9}}\s+\d{{1,9}}(?:\s+\d{{1,9}})?(?:\s*,\s*(?:function_name\s+{NAME}(?:\s*\+\s*\d+)?
        |inlined_at\s+\d{{1,9}}\s+\d{{1,9}}(?:\s+\d{{1,9}})?))*)
    |(?P<brace>[{{}}])
    |\.reg\b(?P<registers>[^;]*);
    |(?P<variable>\.(?:local|shared|global|const|param)\b{STATEMENT});
    |\.(?:pragma|branchtargets|calltargets)\b{STATEMENT};
    |(?P<empty>;)
    )""",
    re.VERBOSE | re.ASCII,
)
_TYPES = re.compile(r"\s*(?:\.(v2|v4|v8)\s*)?\.(\w+)\s+", re.ASCII)
_DECLARED = re.compile(rf"({NAME})(?:\s*<\s*(\d{{1,9}})\s*>)?", re.ASCII)
_DIRECTIVE = re.compile(r"\.(maxntid|reqntid|reqnctapercluster)\s+(\d{1,9}(?:\s*,\s*\d{1,9}){0,2})", re.ASCII)
_BRANCHES = frozenset(("bra", "brx", "call"))
_PROTOTYPE = re.compile(r"\s*(?:\(([^()]*)\)\s*)?_\s*(?:\(([^()]*)\))?", re.ASCII)
_COMPONENTS = "xyzwabcd"
_DIGITS = 10


def read_body(module: Module, name: str) -> Function:
    """The function of that name in `module.spans`.

    Raises:
        PtxError: a statement is none; names the line.
    """
    return _Body(module, name).whole()


class _Scope:
    """Names that are declared between two braces."""

    __slots__ = ("labels", "names", "operands", "pending", "ranges", "suffix")

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.names: dict[str, Operand] = {}
        self.ranges: dict[str, tuple[int, str, int]] = {}
        self.operands: dict[str, Operand] = {}
        self.labels: dict[str, str] = {}
        self.pending: list[int | str] = []


class _Body:
    """Reads the body of one function, statement by statement."""

    def __init__(self, module: Module, name: str) -> None:
        self.module = module
        start, self.end, self.line = module.spans[name]
        header = _FUNCTION.match(module.text, start)
        if header is None or header["opening"] != "{":
            refuse(self.line, module.text[start : start + 80], "a function")
        self.at = header.start("opening")
        try:
            self.found = Function(
                name,
                header["function"] == "entry",
                parameters(header["parameters"] or ""),
                parameters(header["returns"] or ""),
            )
        except UnexpectedError as error:
            refuse(self.line, header[0].strip(), str(error))
        for directive, numbers in _DIRECTIVE.findall(header["directives"]):
            sizes = tuple(int(number) for number in numbers.split(","))
            field = {"maxntid": "most_threads", "reqntid": "required_threads"}.get(directive, "required_cluster")
            setattr(self.found, field, sizes)
        self.line += module.text.count("\n", start, self.at)
        self.scopes = [_Scope("")]
        self.scope_count = 0
        self.body: list[Instruction | Label] = []
        self.opcodes: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.places = PlaceReader(module)
        self.place: Place | None = None
        self.lists: dict[str, tuple[str, ...]] = {}
        self.reader = OperandReader(self.named)
        for variable in (*self.found.parameters, *self.found.returns):
            if variable.space == "reg":
                lanes = variable.size // type_and_size(variable.type)
                self.declare(variable.name, self.register(variable.name, variable.type, lanes))
            else:
                self.declare(variable.name, Symbol(variable.name))

    def whole(self) -> Function:
        text, at, line, depth, stop = self.module.text, self.at, self.line, 0, self.end
        match_at, instruction = _BODY.match, self.instruction
        while True:
            match = match_at(text, at, stop)
            if match is None:
                start = len(text) - len(text[at : self.end].lstrip()) - (len(text) - self.end)
                refuse(
                    line + text.count("\n", at, start),
                    text[start : min(start + 80, self.end)].partition("\n")[0],
                    "a statement",
                )
            kind = match.lastgroup
            end = match.end()
            try:
                if kind == "operands":
                    here = line + text.count("\n", at, match.start("opcode"))
                    instruction(match["guard"], match["negated"], match["opcode"], match["operands"], here)
                elif kind == "brace":
                    depth += 1 if match["brace"] == "{" else -1
                    if not depth:
                        break
                    self.brace(match["brace"], depth)
                else:
                    self.other(match, kind)
            except UnexpectedError as error:
                refuse(
                    line + text.count("\n", at, at + len(match[0]) - len(match[0].lstrip())),
                    match[0].strip(),
                    str(error),
                )
            line += text.count("\n", at, end)
            at = end
        self.found.body = tuple(self.body)
        self.found.branch_targets = self.lists
        return self.found

    def instruction(self, guard_name: str | None, negated: str | None, opcode: str, operands: str, line: int) -> None:
        names = self.opcodes.get(opcode)
        if names is None:
            first, *others = opcode.split(".")
            names = self.opcodes[opcode] = first, tuple(others)
        scope = self.scopes[-1]
        known = scope.operands
        if not operands or operands.isspace():
            values: tuple[Operand, ...] = ()
        else:
            found = []
            of_call = names[0] == "call"
            for part in split(operands):
                operand = known.get(part)
                if operand is None:
                    operand = self.reader.read(part, of_call=of_call)
                    known[part] = operand
                found.append(operand)
            values = tuple(found)
        guard = None
        if guard_name is not None:
            operand = self.reader.known(guard_name)
            if not isinstance(operand, Register):
                msg = f"`{guard_name}` to be a predicate"
                raise UnexpectedError(msg)
            guard = operand
        read = Instruction(names[0], names[1], values, guard, negated is not None, line, self.place)
        if names[0] in _BRANCHES and len(self.scopes) > 1:
            scope.pending.append(len(self.body))
        self.body.append(read)

    def brace(self, mark: str, depth: int) -> None:
        if mark == "}":
            self.leave()
        elif depth > 1:
            self.scope_count += 1
            if len(self.scopes) >= PTX_DEPTH.value:
                msg = f"fewer braces within each other ({PTX_DEPTH.passed('more')})"
                raise UnexpectedError(msg)
            self.scopes.append(_Scope(f"@{self.scope_count}"))

    def leave(self) -> None:
        """A scope ends: branches to its labels go to names of their own; others may be meant outside."""
        scope = self.scopes.pop()
        labels = scope.labels
        for item in scope.pending:
            if isinstance(item, str):
                self.lists[item] = tuple(labels.get(each, each) for each in self.lists[item])
            elif labels and isinstance(branch := self.body[item], Instruction):
                operands = tuple(
                    Symbol(labels[each.name]) if isinstance(each, Symbol) and each.name in labels else each
                    for each in branch.operands
                )
                self.body[item] = replace(branch, operands=operands)
        if len(self.scopes) > 1:
            self.scopes[-1].pending += scope.pending

    def other(self, match: re.Match[str], kind: str | None) -> None:
        if kind in {"label", "listed"}:
            self.label(match)
        elif kind == "loc":
            self.place = self.places.read(match["loc"])
        elif kind == "registers":
            self.registers(match["registers"])
        elif kind == "variable":
            suffix = self.scopes[-1].suffix
            for variable in variables(match["variable"], suffix=suffix):
                self.found.variables[variable.name] = variable
                self.declare(variable.name.removesuffix(suffix), Symbol(variable.name))

    def label(self, match: re.Match[str]) -> None:
        scope = self.scopes[-1]
        name = match["label"] + scope.suffix
        scope.labels[match["label"]] = name
        if match["list"] is None:
            self.body.append(Label(name))
        elif match["list"] == "branchtargets":
            self.lists[name] = tuple(split(match["listed"].strip()))
            scope.pending.append(name)
        elif match["list"] == "calltargets":
            self.found.call_targets[name] = tuple(split(match["listed"].strip()))
        elif kind := _PROTOTYPE.match(match["listed"]):
            self.found.prototypes[name] = parameters(kind[1] or ""), parameters(kind[2] or "")

    def registers(self, text: str) -> None:
        match = _TYPES.match(text)
        if match is None:
            msg = "the type of registers"
            raise UnexpectedError(msg)
        lanes = int(match[1][1:]) if match[1] else 1
        type_and_size(match[2])
        scope = self.scopes[-1]
        for part in split(text[match.end() :].strip()):
            declared = _DECLARED.fullmatch(part)
            if declared is None:
                msg = "the name of a register"
                raise UnexpectedError(msg)
            if declared[2] is not None:
                scope.ranges[declared[1]] = int(declared[2]), match[2], lanes
                scope.operands.clear()
            else:
                self.declare(part, self.register(part + scope.suffix, match[2], lanes))

    def register(self, name: str, type_name: str, lanes: int = 1) -> Operand:
        if lanes > 1:
            return Vector(tuple(self.register(f"{name}.{_COMPONENTS[index]}", type_name) for index in range(lanes)))
        self.found.registers[name] = type_name
        return Register(name, type_name)

    def declare(self, name: str, operand: Operand) -> None:
        scope = self.scopes[-1]
        scope.names[name] = operand
        scope.operands.clear()

    def named(self, name: str) -> Operand | None:
        """What was declared with that name, in the innermost scope that has it."""
        for scope in reversed(self.scopes):
            found = scope.names.get(name) or self.of_range(scope, name)
            if found is not None:
                return found
        base, point, component = name.partition(".")
        if point and len(component) == 1 and not is_special(base[1:]):
            vector = self.named(base)
            at = (_COMPONENTS if component in _COMPONENTS else "rgba").find(component)
            if isinstance(vector, Vector) and 0 <= at < len(vector.elements):
                return vector.elements[at]
        return None

    def of_range(self, scope: _Scope, name: str) -> Operand | None:
        """A register of `%r<10>`, which exists once it is named."""
        prefix = name.rstrip("0123456789")
        for end in range(len(prefix), len(name)) if scope.ranges else ():
            count, type_name, lanes = scope.ranges.get(name[:end], (0, "", 0))
            number = name[end:]
            if count and len(number) < _DIGITS and int(number) < count and (number == "0" or number[0] != "0"):
                found = scope.names[name] = self.register(name + scope.suffix, type_name, lanes)
                return found
        return None
