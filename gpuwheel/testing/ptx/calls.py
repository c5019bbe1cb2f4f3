"""Which functions call which, and what a call through a register may reach (PTX ISA, sections 9.7.12.5 and 7.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.syntax import Group, Instruction, Register, Symbol

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.syntax import Function, Module, Operand, Variable

__all__ = ["CallGraph", "callees_of"]

_TAKEN = re.compile(r"\bmov\.[bu]64\s+[^,;]+,\s*([A-Za-z_$%][\w$]*)\s*;", re.ASCII)


class CallGraph:
    """Which functions an entry reaches, and by which calls.

    Raises:
        PtxError: the text of one is damaged.
    """

    def __init__(self, module: Module, entry: Function) -> None:
        self._callees: dict[str, set[str]] = {}
        self._reached: dict[str, set[str]] = {}
        waiting = [entry]
        while waiting:
            function = waiting.pop()
            if function.name not in self._callees:
                calls = [of for of in function.body if isinstance(of, Instruction) and of.opcode == "call"]
                called = [each for of in calls for each in callees_of(module, function, of)]
                self._callees[function.name] = {each.name for each in called}
                waiting.extend(called)

    def comes_back(self, caller: str, callee: str) -> bool:
        """Whether this call may come to call its caller again."""
        if callee not in self._reached:
            found: set[str] = set()
            waiting = [callee]
            while waiting:
                name = waiting.pop()
                if name not in found:
                    found.add(name)
                    waiting.extend(self._callees[name])
            self._reached[callee] = found
        return caller in self._reached[callee]


def callees_of(module: Module, caller: Function, of: Instruction) -> tuple[Function, ...]:
    """The functions with a body that a call is for; of a call through a register those that it may be for."""
    called = next((operand for operand in of.operands if not isinstance(operand, Group)), None)
    if isinstance(called, Register):
        return _targets(module, caller, of.operands[-1])
    if isinstance(called, Symbol) and module.aliases.get(called.name, called.name) in module.spans:
        return (reading.function(module, called.name),)
    return ()


def _targets(module: Module, caller: Function, prototype: Operand) -> tuple[Function, ...]:
    """The functions that a call through a register may be for: those that it lists, or all of its kind.

    Of its kind are those with parameters and results of the same sizes, whose address is taken somewhere in the module.
    """
    if not isinstance(prototype, Symbol):
        return ()
    listed = caller.call_targets.get(prototype.name)
    if listed is not None:
        return tuple(
            reading.function(module, name) for name in listed if module.aliases.get(name, name) in module.spans
        )
    kind = caller.prototypes.get(prototype.name)
    if kind is None:
        return ()
    if module.taken is None:
        named = {module.aliases.get(name, name) for name in (*_TAKEN.findall(module.text), *module.in_variables)}
        module.taken = tuple(name for name in module.spans if name in named)
    functions = (reading.function(module, name) for name in module.taken)
    return tuple(
        each for each in functions if not each.entry and _sizes(each.returns, each.parameters) == _sizes(*kind)
    )


def _sizes(*groups: tuple[Variable, ...]) -> list[list[int]]:
    return [[variable.size for variable in group] for group in groups]
