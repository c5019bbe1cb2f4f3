"""What launchers of cuTile kernels pass of an array, and what they refuse."""

from __future__ import annotations

import ctypes
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def tiles() -> ModuleType:
    """The file as packages have it, which needs torch for types alone."""
    spec = importlib.util.spec_from_file_location("tiles", resource("launcher", "tiles.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Layout:
    """Shape and strides, as a tensor has them."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def stride(self) -> tuple[int, ...]:
        return self.strides


def array(tiles: ModuleType, *dimensions: Any, index: str = "int32", expanded: bool = False) -> Any:  # noqa: ANN401
    return tiles.Array("f", "x", *dimensions, index=index, alignment=16, expanded=expanded)


@pytest.mark.parametrize(("index", "kind"), [("int32", ctypes.c_int32), ("uint32", ctypes.c_uint32), ("int64", int)])
def test_address_lengths_strides(tiles: ModuleType, index: str, kind: type) -> None:
    rows = array(tiles, tiles.Dimension(), tiles.Dimension(stride=1), index=index)
    for _ in range(2):
        address, *numbers = rows.arguments(Layout((3, 4), (8, 1)), 4096)
        assert address == 4096
        assert [type(number) for number in numbers] == [kind] * 4
        assert [getattr(number, "value", number) for number in numbers] == [3, 4, 8, 1]


@pytest.mark.parametrize(
    ("dimension", "length", "stride", "message"),
    [
        ({"length": 8}, 9, 1, "f: x has length 9 in dimension 0, 8 is expected"),
        ({"length_divisor": 4}, 9, 1, "f: x has length 9 in dimension 0, a multiple of 4 is expected"),
        ({"stride": 1}, 9, 2, "f: x has stride 2 in dimension 0, 1 is expected"),
        ({"stride_divisor": 8}, 9, 4, "f: x has stride 4 in dimension 0, a multiple of 8 is expected"),
        ({"least_stride": 0}, 9, -1, "f: x has stride -1 in dimension 0, 0 or more is expected"),
        ({}, 9, 0, "f: x is expanded along dimension 0, one place per element is expected"),
    ],
)
def test_promises(tiles: ModuleType, dimension: dict[str, int], length: int, stride: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        array(tiles, tiles.Dimension(**dimension)).arguments(Layout((length,), (stride,)), 0)


def test_what_is_not_promised_passes(tiles: ModuleType) -> None:
    assert array(tiles, tiles.Dimension(), index="int64", expanded=True).arguments(Layout((9,), (0,)), 16) == (16, 9, 0)
    once = array(tiles, tiles.Dimension(stride=1), index="int64")
    assert once.arguments(Layout((1,), (77,)), 16) == (16, 1, 1), "a stride that is never used"


def test_indices_that_are_too_small(tiles: ModuleType) -> None:
    layout = Layout((2, 3), (2**31, 1))
    two = (tiles.Dimension(), tiles.Dimension())
    with pytest.raises(OverflowError, match="do not fit -2147483648 to 2147483647"):
        array(tiles, *two).arguments(layout, 0)
    assert array(tiles, *two, index="int64").arguments(layout, 0) == (0, 2, 3, 2**31, 1)


def test_alignment(tiles: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"f: x begins at an address that 16 does not divide \(0x1008\)"):
        array(tiles, tiles.Dimension()).arguments(Layout((3,), (1,)), 0x1008)
