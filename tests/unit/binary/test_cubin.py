"""Reading cubins: three made by NVRTC (`cubins/kernels.cu`), and damaged ones."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwheel.binary.cubin import ANNOTATIONS, CUDA_API_VERSION, read_cubin, spilled
from gpuwheel.binary.elf_reader import Elf
from gpuwheel.binary.extent import extent
from gpuwheel.errors import CompileError
from gpuwheel.model.kernels import Parameter, Spilled

CUBINS = Path(__file__).parent / "cubins"


# Expected values: cuobjdump -res-usage of the same files.
@pytest.mark.parametrize(
    ("arch", "abi", "framed", "reverse"),
    [("sm_75", 7, 26, (10, 256)), ("sm_90", 7, 28, (10, 1280)), ("sm_100", 8, 27, (10, 1280))],
)
def test_kernels_of_both_abi_versions(arch: str, abi: int, framed: int, reverse: tuple[int, int]) -> None:
    data = (CUBINS / f"kernels.{arch}.cubin").read_bytes()
    assert data[8] == abi
    with_shared, with_frame = read_cubin(data, "the image")
    assert with_frame.symbol == "framed"
    assert with_frame.parameters == (Parameter(0, 8), Parameter(8, 2), Parameter(16, 8))
    assert (with_frame.cost.registers, with_frame.cost.local, with_frame.cost.shared) == (framed, 32, 0)
    assert with_frame.cost.bytes % 16 == 0
    assert with_shared.symbol == "_Z7reverseIfLi64EEvPT_j"
    assert with_shared.parameters == (Parameter(0, 8), Parameter(8, 4))
    assert (with_shared.cost.registers, with_shared.cost.shared) == reverse
    assert with_shared.cost.local == 0
    # An array on the stack is no spill: the compiler notes those.
    assert (with_frame.spilled, with_shared.spilled) == (Spilled(0, 0), Spilled(0, 0))


def test_spills_are_what_the_compiler_said() -> None:
    data = (CUBINS / "spilling.sm_80.cubin").read_bytes()
    (kernel,) = read_cubin(data, "it")
    assert (kernel.cost.local, kernel.spilled) == (40, Spilled(40, 40))
    # The same instructions to shared memory (STS, LDS).
    code = Elf(extent(data)).sections[".text.spilling"]
    at = data.index(bytes(code.data))
    shared = bytearray(data)
    for place in range(at, at + code.size, 16):
        (low,) = struct.unpack_from("<Q", data, place)
        if low & 0xFFF in {0x387, 0x983}:
            struct.pack_into("<Q", shared, place, low + 1)
    assert read_cubin(bytes(shared), "it")[0].spilled == Spilled(40, 40)


def test_an_older_compiler_does_not_say_what_it_spilled() -> None:
    older = struct.pack("<I", 125)
    assert spilled([(CUDA_API_VERSION, older)], b"", 40) is None
    assert spilled([], b"", None) is None
    assert spilled([(CUDA_API_VERSION, older)], b"", 0) == Spilled(0, 0)  # no stack to spill to
    assert spilled([(CUDA_API_VERSION, struct.pack("<I", 126))], b"", 40) == Spilled(0, 0)  # an array
    # A note of another kind, or of an instruction that neither loads nor stores: nothing is said.
    assert spilled([(ANNOTATIONS, struct.pack("<IIII", 0, 0, 1, 0))], bytes(16), 40) is None
    assert spilled([(ANNOTATIONS, struct.pack("<II", 1, 0))], bytes(16), 40) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b".version 8.8\n.target sm_75\n", Path("/proc/self/exe").read_bytes()[:4096]]
)
def test_what_is_not_a_cubin_is_refused(data: bytes) -> None:
    with pytest.raises(CompileError, match=r"the image of a\.cu is not a readable cubin \(.+, expected"):
        read_cubin(data, "the image of a.cu")


@given(st.data())
def test_a_damaged_cubin_is_refused_or_read_never_a_crash(data: st.DataObject) -> None:
    content = bytearray((CUBINS / "kernels.sm_90.cubin").read_bytes())
    if data.draw(st.booleans(), "cut"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(CompileError):
        read_cubin(bytes(content), "it")
