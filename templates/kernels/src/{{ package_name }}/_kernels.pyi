# Types of the package that gpuwheel generates from csrc/ when the project is built or installed. It has a function for
# each kernel, named after the template's arguments (swiglu<float, 4>: swiglu_float_4), with types and documentation.

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from torch import Tensor

Dimensions: TypeAlias = int | tuple[int, ...]
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

class Launcher(Protocol):
    def __call__(
        self,
        *arguments: Tensor | float | None,
        grid: Dimensions,
        block: Dimensions = ...,
        shared_bytes: int = 0,
        cluster: Dimensions | None = None,
        cooperative: bool = False,
    ) -> None: ...

class Operators:
    namespace: str
    def __init__(self, namespace: str) -> None: ...
    def register(
        self,
        schema: str,
        *,
        cuda: Callable[_Parameters, _Result],
        cpu: Callable[_Parameters, _Result],
        fake: Callable[_Parameters, _Result],
        backward: Callable[..., Any] | None = None,
        setup_context: Callable[..., None] | None = None,
    ) -> Callable[_Parameters, _Result]: ...

def preload() -> None: ...
def __getattr__(kernel: str) -> Launcher: ...
