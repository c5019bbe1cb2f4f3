"""Operators that are called while their stream is captured: nothing runs, results get their memory, and each launch of
the graph runs the operator again on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.testing.torch_operators.device_memory import DeviceMemory
from gpuwheel.testing.torch_operators.pretend_driver import driver
from gpuwheel.testing.torch_operators.refused_operators import tensors_in

if TYPE_CHECKING:
    from gpuwheel.testing.torch_operators.operator_calls import Operator

__all__ = ["capture", "shapes_of"]


def capture(operator: Operator, device: torch.device, arguments: Any, named: Any) -> Any:
    """What the operator returns, without values yet."""
    shapes = _Shapes(operator, device)
    result = shapes.of_result(arguments, named)
    memory = DeviceMemory()
    own, own_named = operator.of_the_cpu(memory, arguments), operator.of_the_cpu(memory, named)
    targets = [DeviceMemory().alias(made) if made.numel() else None for made in shapes.made]
    written = operator.written(own, own_named)

    def run_again() -> None:
        values = tensors_in(operator.call(device, own, own_named))
        new = [value for value in values if id(value) not in memory.aliases]
        for target, value in zip(targets, new, strict=True):
            if target is not None:
                target.copy_(value)
        driver().written([*written, *(target for target in targets if target is not None)])

    driver().add_node(device, run_again)
    return result


def shapes_of(operator: Operator, device: torch.device, arguments: Any, named: Any) -> Any:
    """What an operator that writes no argument returns, as tensors without memory.

    Raises:
        NotImplementedError: torch has no kernel for such tensors.
    """
    return _Shapes(operator, device).on_stand_ins(arguments, named)


class _Shapes:
    """Which shapes a call's results have, by tensors without memory; torch has such kernels of nearly all operators."""

    def __init__(self, operator: Operator, device: torch.device) -> None:
        self._operator = operator
        self._device = device
        self._given: dict[int, tuple[Any, Any]] = {}
        self.made: list[Any] = []
        """New tensors among the results, in their order."""

    def of_result(self, arguments: Any, named: Any) -> Any:
        """The results, and arguments resized as the operator resizes them."""
        try:
            result = self.on_stand_ins(arguments, named)
        except NotImplementedError:
            self._given.clear()
            result = self._operator.call(
                self._device, self._copied(arguments), self._copied(named), draw=lambda _: torch.Generator(device="cpu")
            )
        for stand_in, tensor in self._given.values():
            if stand_in.shape != tensor.shape:
                tensor.resize_(stand_in.shape)
        return self._on_device(result)

    def on_stand_ins(self, arguments: Any, named: Any) -> Any:
        """The results without memory."""
        return self._operator.on_shapes(self._stand_in(arguments), self._stand_in(named))

    def _stand_in(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if value.device.type != "cuda" and value.dim() == 0:
                return value
            made = torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
            self._given[id(made)] = made, value
            return made
        if isinstance(value, dict):
            return {name: self._stand_in(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._stand_in(inner) for inner in value]
        if isinstance(value, torch.Generator):
            return None
        return torch.device("meta") if isinstance(value, torch.device) else value

    def _copied(self, value: Any) -> Any:
        """For an operator without such a kernel: copies, so that nothing is written. Their values do not matter."""
        if isinstance(value, torch.Tensor) and value.device.type == "cuda":
            made = DeviceMemory().alias(value).clone()
            self._given[id(made)] = made, value
            return made
        if isinstance(value, dict):
            return {name: self._copied(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._copied(inner) for inner in value]
        return torch.device("cpu") if isinstance(value, torch.device) else value

    def _on_device(self, result: Any) -> Any:
        if isinstance(result, torch.Tensor):
            if id(result) in self._given:
                return self._given[id(result)][1]
            made = torch.empty_strided(result.size(), result.stride(), dtype=result.dtype, device=self._device)
            self.made.append(made)
            return made
        if isinstance(result, list | tuple):
            return type(result)(self._on_device(inner) for inner in result)
        return result
