"""One operator of torch for CUDA tensors, called by the dispatcher: it runs for the CPU, on the same memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.testing.torch_operators import generators
from gpuwheel.testing.torch_operators.device_memory import DeviceMemory
from gpuwheel.testing.torch_operators.gpu_dtypes import not_on_gpus
from gpuwheel.testing.torch_operators.graph_nodes import capture, shapes_of
from gpuwheel.testing.torch_operators.pretend_driver import driver
from gpuwheel.testing.torch_operators.refused_operators import refused_dtype, refused_on_gpus, tensors_in
from gpuwheel.testing.torch_operators.wider_numbers import in_wider_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Operator"]

_CPU = torch.device("cpu")
_WAITS = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}
"""Operators whose results the host looks at: they wait for the stream, and cannot be captured."""
_TAKES_TENSORS_OF_THE_CPU = {
    "_ctc_loss",
    "_ctc_loss_backward",
    "_foreach_copy_",
    "_index_put_impl_",
    "_pack_padded_sequence",
    "_use_cudnn_ctc_loss",
    "_use_miopen_ctc_loss",
    "copy_",
    "index",
    "index_put_",
}
_COPIES = {"copy_", "_foreach_copy_"}
_CANNOT_RESIZE = "storage that is not resizable"


class Operator:
    """What the dispatcher calls. `run` takes tensors of the CPU: torch's kernel for it, or another one."""

    def __init__(self, name: str, operator: Any, run: Callable[..., Any]) -> None:
        self._name = name
        self._not_on_gpus = not_on_gpus(name)
        self._operator = operator
        self._run = run
        arguments = operator._schema.arguments
        names = [argument.name for argument in arguments]
        self._outs = {argument.name for argument in arguments if argument.is_out}
        self._written = {
            index: argument.name
            for index, argument in enumerate(arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        }
        self._generator = names.index("generator") if "generator" in names else None
        self._random = self._generator is not None or torch.Tag.nondeterministic_seeded in operator.tags
        self._base = name.partition(".")[0]
        self._waits = bool(set(operator.tags) & _WAITS)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run it, or have the graph run it that the stream is captured into."""
        # Modes such as that of torch.set_default_device are not for what is done here.
        with torch._C.DisableTorchFunction():
            tensors = tensors_in([arguments, named])
            device = self._device(tensors, arguments, named)
            if self._waits and (self._base != "index" or any(t.dtype in (torch.bool, torch.uint8) for t in tensors)):
                torch.cuda.current_stream(device).synchronize()
            if self._not_on_gpus and tensors and tensors[0].dtype in self._not_on_gpus and tensors[0].numel():
                raise refused_on_gpus(self._name, self._not_on_gpus[tensors[0].dtype], tensors[0])
            if driver().is_capturing(device):
                return capture(self, device, arguments, named)
            result = self._now(device, arguments, named)
            if self._base in _COPIES and _host_waits(tensors, arguments, named):
                torch.cuda.current_stream(device).synchronize()
            return result

    def call(
        self,
        device: torch.device,
        arguments: Any,
        named: Any,
        draw: Callable[[Any], Any] = generators.of_the_cpu,
    ) -> Any:
        """Call the kernel with tensors of the CPU. `draw` gives it a generator, in the place of the device's."""
        if not self._random:
            return self._run(*arguments, **named)
        if self._generator is None:
            with generators.in_place_of_the_default(draw(generators.default_generator(device))):
                return self._run(*arguments, **named)
        given = arguments[self._generator] if self._generator < len(arguments) else named.get("generator")
        own = given
        if given is None or given.device.type == "cuda":
            own = draw(generators.default_generator(device) if given is None else given)
        if self._generator < len(arguments):
            arguments = [*arguments[: self._generator], own, *arguments[self._generator + 1 :]]
        else:
            named = {**named, "generator": own}
        return self._run(*arguments, **named)

    def on_shapes(self, arguments: Any, named: Any) -> Any:
        """Call it with tensors without memory.

        Raises:
            NotImplementedError: torch has no kernel for them.
        """
        return self._operator(*arguments, **named)

    def of_the_cpu(self, memory: DeviceMemory, value: Any) -> Any:
        """Arguments as the kernel takes them."""
        if isinstance(value, torch.Tensor):
            return memory.alias(value) if value.device.type == "cuda" else value
        if isinstance(value, dict):
            return {name: self.of_the_cpu(memory, inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.of_the_cpu(memory, inner) for inner in value]
        return _CPU if isinstance(value, torch.device) and value.type == "cuda" else value

    def written(self, arguments: Any, named: Any) -> list[Any]:
        """The tensors among the arguments that it writes."""
        positional = (arguments[index] for index in self._written if index < len(arguments))
        return tensors_in([*positional, *(named.get(name) for name in self._written.values())])

    def _now(self, device: torch.device, arguments: Any, named: Any) -> Any:
        memory = DeviceMemory()
        try:
            result = self.call(device, self.of_the_cpu(memory, arguments), self.of_the_cpu(memory, named))
        except RuntimeError as error:
            if _CANNOT_RESIZE not in str(error):
                return self._of_other_numbers(error, device, arguments, named)
            try:
                return self._into_new_memory(device, arguments, named)
            except RuntimeError as another:
                return self._of_other_numbers(another, device, arguments, named)
        return self._finished(memory, result, device, arguments, named)

    def _finished(self, memory: DeviceMemory, result: Any, device: torch.device, arguments: Any, named: Any) -> Any:
        written = self.written(arguments, named)
        if written:
            memory.resize_as_aliases()
        result = _handed_back(memory, result, device)
        driver().read([tensor for _, tensor in memory.aliases.values()])
        driver().written([*written, *memory.new])
        return result

    def _of_other_numbers(self, error: RuntimeError, device: torch.device, arguments: Any, named: Any) -> Any:
        """What it gives if it is computed in wider numbers, after its kernel for the CPU refused a dtype.

        Raises:
            OperatorRefusedError: they do not help.
            RuntimeError: it was another error.
        """
        refused = refused_dtype(self._name, tensors_in([arguments, named]), error)
        if refused is None:
            raise error
        try:
            shapes = None if self._written or self._waits else shapes_of(self, device, arguments, named)
        except NotImplementedError:
            shapes = None
        memory = DeviceMemory()
        own, own_named = self.of_the_cpu(memory, arguments), self.of_the_cpu(memory, named)
        wider = in_wider_numbers(self._name, partial(self.call, device), shapes, own, own_named)
        if wider is None:
            raise refused from None
        for tensor, value in zip(self.written(arguments, named), wider.of(self.written(own, own_named)), strict=True):
            memory.replace(tensor, value)
        return self._finished(memory, wider.result, device, arguments, named)

    def _into_new_memory(self, device: torch.device, arguments: Any, named: Any) -> Any:
        """Call it with empty tensors for `out=`, since those that are there are too small, and resize these."""
        memory = DeviceMemory()
        outs = {name: value for name, value in named.items() if name in self._outs}
        fresh = {
            name: [_empty(t) for t in value] if isinstance(value, list | tuple) else _empty(value)
            for name, value in outs.items()
        }
        rest = {name: value for name, value in named.items() if name not in outs}
        own, own_named = self.of_the_cpu(memory, arguments), self.of_the_cpu(memory, rest)
        result = self.call(device, own, {**own_named, **fresh})
        for tensor, made in zip(tensors_in(outs), tensors_in(fresh), strict=True):
            memory.replace(tensor, made)
        result = _handed_back(memory, result, device)
        driver().written(tensors_in(outs))
        return result

    def _device(self, tensors: list[Any], arguments: Any, named: Any) -> torch.device:
        """The device that it runs on.

        Raises:
            RuntimeError: tensors of several devices, as torch says it.
        """
        found = [tensor.device for tensor in tensors if tensor.device.type == "cuda"]
        if found:
            if self._base not in _TAKES_TENSORS_OF_THE_CPU:
                _check_devices(found[0], tensors)
            return found[0]
        asked = named.get("device") or next((a for a in arguments if isinstance(a, torch.device)), None)
        index = asked.index if asked is not None and asked.type == "cuda" else None
        return torch.device("cuda", torch.cuda.current_device() if index is None else index)


def _host_waits(tensors: list[Any], arguments: Any, named: Any) -> bool:
    """Whether torch waits for a copy: between host and device, unless it may go on and the host's memory is pinned."""
    of_host = [tensor for tensor in tensors if tensor.device.type == "cpu"]
    non_blocking = named.get("non_blocking", (*arguments, False, False, False)[2])
    return bool(of_host) and not (non_blocking and all(tensor.is_pinned() for tensor in of_host))


def _handed_back(memory: DeviceMemory, result: Any, device: torch.device) -> Any:
    if isinstance(result, torch.Tensor):
        return memory.on_device(result, device)
    if isinstance(result, list):
        return [_handed_back(memory, inner, device) for inner in result]
    if isinstance(result, tuple):
        return tuple(_handed_back(memory, inner, device) for inner in result)
    return result


def _empty(tensor: Any) -> Any:
    return torch.empty(0, dtype=tensor.dtype, device=_CPU)


def _check_devices(first: torch.device, tensors: list[Any]) -> None:
    for tensor in tensors:
        # Numbers may come from the CPU: kernels take them as parameters.
        if tensor.device != first and not (tensor.device.type == "cpu" and tensor.dim() == 0):
            msg = (
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{first} and {tensor.device}!"
            )
            raise RuntimeError(msg)
