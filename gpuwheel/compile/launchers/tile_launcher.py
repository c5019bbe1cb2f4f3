"""The launcher of one cuTile kernel in the generated Python module of mode `kernels`.

Its parameters are those of the kernel's Python function, without the constants. A block of a tile kernel has the size
that the compiler chose: launches name the grid alone, and (1, 1, 1) for the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gpuwheel.compile.launchers.declarations import usable_names
from gpuwheel.compile.launchers.launcher_types import number_type
from gpuwheel.model.kernels import TileArray, TileConstant, TileScalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.compile.launchers.launcher_types import PythonType
    from gpuwheel.model.kernels import TileFunction

__all__ = ["tile_function_text"]

_Passed: TypeAlias = "TileArray | TileScalar"


def tile_function_text(name: str, symbol: str, source: str, image: str, tile: TileFunction) -> str:
    """The function and what it keeps.

    Args:
        name: of the function.
        symbol: of the kernel.
        source: where the kernel is, for the documentation.
        image: variable of its image.
        tile: the kernel.
    """
    passed = [parameter for parameter in tile.parameters if not isinstance(parameter, TileConstant)]
    pairs = list(zip(usable_names([parameter.name for parameter in passed]), passed, strict=True))
    arrays = [(shown, parameter) for shown, parameter in pairs if isinstance(parameter, TileArray)]
    head = "".join(f"    {shown}: {_annotation(parameter)},\n" for shown, parameter in pairs)
    tensors = ", ".join([f'"{name}"', *(shown for shown, _ in arrays)])
    device = f"_r.device_of({tensors})" if arrays else "-1"
    arguments = "".join(f"            {_argument(name, shown, parameter)},\n" for shown, parameter in pairs)
    kept = "".join(_array(name, shown, parameter) for shown, parameter in arrays)
    return (
        f'_kernel_{name} = _r.Kernel({image}, "{symbol}", "{symbol}")\n{kept}\n\n'
        f"def {name}(\n{head}    *,\n    grid: Dimensions,\n) -> None:\n"
        f"{_docstring(source, tile, pairs)}"
        f"    device = {device}\n"
        f"    _kernel_{name}.launch(\n"
        "        device,\n"
        "        (grid, 1, 0, None, False),\n"
        f"        (\n{arguments}        ),\n"
        "    )\n\n"
    )


def _number(parameter: TileScalar) -> PythonType:
    number = number_type(parameter.dtype)
    assert number is not None  # noqa: S101  (cutile_exports refuses others)
    return number


def _annotation(parameter: _Passed) -> str:
    return "Tensor" if isinstance(parameter, TileArray) else _number(parameter).annotation


def _argument(function: str, shown: str, parameter: _Passed) -> str:
    if isinstance(parameter, TileScalar):
        return f"{_number(parameter).convert}({shown})"
    address = f'_r.address("{function}", "{shown}", {shown}, torch.{parameter.dtype}, device)'
    return f"*_array_{function}_{shown}.arguments({shown}, {address})"


def _array(function: str, shown: str, parameter: TileArray) -> str:
    """What checks one array."""
    dimensions = "".join(f"    _t.Dimension{row},\n" for row in _dimensions(parameter))
    return (
        f'_array_{function}_{shown} = _t.Array(\n    "{function}",\n    "{shown}",\n{dimensions}'
        f'    index="{parameter.index_dtype}",\n    alignment={parameter.alignment},\n'
        f"    expanded={parameter.expanded},\n)\n"
    )


def _dimensions(array: TileArray) -> Iterator[tuple[int | None, int, int | None, int, int | None]]:
    """Length, its divisor, stride, its divisor, the least stride: of each dimension."""
    return zip(array.shape, array.shape_divisor, array.strides, array.stride_divisor, array.least_strides, strict=True)


def _docstring(source: str, tile: TileFunction, pairs: Sequence[tuple[str, _Passed]]) -> str:
    constants = [one for one in tile.parameters if isinstance(one, TileConstant)]
    given = ", compiled for " + ", ".join(f"{one.name} = {one.value}" for one in constants) if constants else ""
    lines = [f"Launch `{tile.name}` of {source}{given}."]
    if tile.documentation:
        lines += ["", *tile.documentation.splitlines()]
    lines += ["", "Args:"]
    for shown, parameter in pairs:
        text = _array_text(parameter) if isinstance(parameter, TileArray) else f"`{parameter.dtype}`"
        lines.append(f"    {shown}: {text}.")
    lines.append("    grid: Blocks, each of which makes a tile.")
    escaped = (line.replace("\\", "\\\\").replace('"""', "'''") for line in lines)
    first, *rest = (f"    {line}".rstrip() for line in escaped)
    return "\n".join([f'    """{first.strip()}', *rest, '    """', ""])


def _array_text(array: TileArray) -> str:
    """Dtype, and what is asked of the layout."""
    rows = list(_dimensions(array))
    parts = [f"`{array.dtype}`, {len(rows)} dimension{'s' * (len(rows) != 1)}"]
    lengths = [_assumed(length, divisor) for length, divisor, _, _, _ in rows]
    strides = [_assumed(stride, divisor) for _, _, stride, divisor, _ in rows]
    for what, texts in (("lengths", lengths), ("strides", strides)):
        if any(text != "any" for text in texts):
            parts.append(f"{what} ({', '.join(texts)})")
    if array.alignment > 1:
        parts.append(f"address a multiple of {array.alignment}")
    return ", ".join(parts)


def _assumed(value: int | None, divisor: int) -> str:
    if value is not None:
        return str(value)
    return f"multiple of {divisor}" if divisor > 1 else "any"
