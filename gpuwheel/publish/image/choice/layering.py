"""Which wheels share a layer: those that are sent together, because they change together.

A heavy wheel has a layer of its own, whose digest depends on nothing but that wheel: every image with it, of whatever
project, has the same one. Light ones share one. What is required lies below what requires it, and the project on top:
engines that know a layer by what is below it (Docker's own store) then keep the longest common part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.publish.image.image_plan import LayerGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.publish.image.image_plan import ImageWheel

__all__ = ["layer_groups", "project_of"]

_OTHERS = 4
"""Layers that are no heavy wheel's own: environment, further large wheels, small ones, project or bill."""


def project_of(wheels: Sequence[ImageWheel], requires: Mapping[str, set[str]]) -> str | None:
    """The distribution that everything else is there for: that nobody requires; `None` where that is not one."""
    required = {need for name, needs in requires.items() for need in needs if need != name}
    roots = [wheel.name for wheel in wheels if wheel.name not in required]
    return roots[0] if len(roots) == 1 else None


def layer_groups(
    wheels: Sequence[ImageWheel], requires: Mapping[str, set[str]], *, project: str | None, heavy: int, budget: int
) -> tuple[LayerGroup, ...]:
    """The wheels in layers, from below to the top.

    Args:
        wheels: all of them.
        requires: distribution -> distributions.
        project: its wheel is alone, on top; `None`: there is none.
        heavy: bytes of a wheel file from which on it has a layer of its own.
        budget: layers at most, at least 4. Of more heavy wheels the smaller ones share a layer.
    """
    others = [wheel for wheel in _required_first(wheels, requires) if wheel.name != project]
    own = {wheel.name for wheel in _largest([wheel for wheel in others if wheel.size >= heavy], budget - _OTHERS)}
    rest = [wheel for wheel in others if wheel.name not in own]
    groups = [LayerGroup(str(wheel), (wheel,)) for wheel in others if wheel.name in own]
    for title, is_heavy in (("further large wheels", True), ("small wheels", False)):
        group = tuple(sorted((one for one in rest if (one.size >= heavy) is is_heavy), key=lambda one: one.name))
        if group:
            groups.append(LayerGroup(str(group[0]) if len(group) == 1 else title, group))
    groups += [LayerGroup(str(one), (one,), is_project=True) for one in wheels if one.name == project]
    return tuple(groups)


def _largest(wheels: Sequence[ImageWheel], count: int) -> list[ImageWheel]:
    return sorted(wheels, key=lambda wheel: (-wheel.size, wheel.name))[: max(count, 0)]


def _required_first(wheels: Sequence[ImageWheel], requires: Mapping[str, set[str]]) -> list[ImageWheel]:
    """What is required before what requires it; of independent ones, that with the larger closure first."""
    by_name = {wheel.name: wheel for wheel in wheels}
    weight = {name: sum(by_name[one].size for one in _closure(name, requires, by_name)) for name in by_name}

    def order(names: set[str]) -> list[str]:
        return sorted(names & by_name.keys(), key=lambda name: (-weight[name], name))

    placed: dict[str, None] = {}
    entered: set[str] = set()
    stack: list[tuple[str, Iterator[str]]] = []
    for root in order(set(by_name)):
        _enter(root, stack, entered, order(requires.get(root, set())))
        while stack:
            name, needs = stack[-1]
            need = next(needs, None)
            if need is None:
                placed[name] = None
                stack.pop()
            else:
                _enter(need, stack, entered, order(requires.get(need, set())))
    return [by_name[name] for name in placed]


def _enter(name: str, stack: list[tuple[str, Iterator[str]]], entered: set[str], needs: list[str]) -> None:
    if name not in entered:
        entered.add(name)
        stack.append((name, iter(needs)))


def _closure(name: str, requires: Mapping[str, set[str]], known: Mapping[str, ImageWheel]) -> set[str]:
    found, waiting = {name}, [name]
    while waiting:
        new = (requires.get(waiting.pop(), set()) & known.keys()) - found
        found |= new
        waiting += new
    return found
