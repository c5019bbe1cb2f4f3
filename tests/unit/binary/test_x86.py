"""Instructions one by one, and what is executed when a library is loaded."""

from __future__ import annotations

import pytest
from elf_files import Library

from gpuwheel.binary.extent import extent
from gpuwheel.binary.x86.at_load import vector_at_load
from gpuwheel.binary.x86.instructions import Flow, Instruction, decode

ON, BRANCH, JUMP, CALL, END = Flow.ON, Flow.BRANCH, Flow.JUMP, Flow.CALL, Flow.END
RETURN, AVX, AVX512 = b"\xc3", bytes.fromhex("c5f857c0"), bytes.fromhex("62f17c4857c0")


@pytest.mark.parametrize(
    ("code", "expected"),
    # As `objdump -d` tells them of libraries that compilers made.
    [
        ("55", Instruction(1)),  # push %rbp
        ("f30f1efa", Instruction(4)),  # endbr64
        ("4883ec08", Instruction(4)),  # sub $0x8,%rsp
        ("488b0425e8030000", Instruction(8)),  # mov 0x3e8,%rax
        ("48b88877665544332211", Instruction(10)),  # movabs
        ("66b83412", Instruction(4)),  # mov $0x1234,%ax
        ("48c7442408ffffffff", Instruction(9)),  # movq $-1,0x8(%rsp)
        ("66c704243412", Instruction(6)),  # movw $0x1234,(%rsp)
        ("f6c301", Instruction(3)),  # test $0x1,%bl
        ("f7d8", Instruction(2)),  # neg %eax
        ("66f7c30100", Instruction(5)),  # test $0x1,%bx
        ("660f6fc1", Instruction(4)),  # movdqa
        ("660f3a0fc108", Instruction(6)),  # palignr
        ("660f1f840000000000", Instruction(9)),  # nopw
        ("0fa2", Instruction(2)),  # cpuid
        ("e810000000", Instruction(5, CALL, 16)),
        ("e9fbffffff", Instruction(5, JUMP, -5)),
        ("ebfe", Instruction(2, JUMP, -2)),
        ("7405", Instruction(2, BRANCH, 5)),
        ("0f85fcffffff", Instruction(6, BRANCH, -4)),
        ("ff15aabbccdd", Instruction(6)),  # call *...(%rip): somebody else's, which comes back
        ("ff25aabbccdd", Instruction(6, END)),
        ("c3", Instruction(1, END)),
        ("0f0b", Instruction(2, END)),
        ("c5f857c0", Instruction(4, ON, 0, "AVX")),
        ("c5f877", Instruction(3, ON, 0, "AVX")),  # vzeroupper
        ("c4e37d19c101", Instruction(6, ON, 0, "AVX")),  # vextractf128
        ("c4e2f8f2c1", Instruction(5, ON, 0, "AVX")),  # andn
        ("c5f970c8ee", Instruction(5, ON, 0, "AVX")),  # vpshufd
        ("62f17c4857c0", Instruction(6, ON, 0, "AVX-512")),
        ("62f37d4839c101", Instruction(7, ON, 0, "AVX-512")),  # vextracti32x4
        ("06", None),
        ("8fe878c2ec0e", None),  # XOP
        ("e81000", None),  # cut short
        ("", None),
        ("6666666666666666666666666666666690", None),  # longer than any
    ],
)
def test_an_instruction_is_as_long_as_it_is(code: str, expected: Instruction | None) -> None:
    assert decode(bytes.fromhex(code)) == expected
    if expected is not None:
        assert decode(bytes.fromhex(code) + bytes(15)) == expected


def found(*constructors: bytes, **changes: object) -> tuple[str, str] | None:
    library = bytes(Library(constructors=constructors, **changes))  # type: ignore[arg-type]
    at = vector_at_load(extent(library))
    if at is None:
        return None
    assert library[at.place : at.place + 1] in {b"\xc5", b"\x62"}
    return at.function, at.extension


@pytest.mark.parametrize(
    ("constructors", "expected"),
    [
        ((RETURN,), None),
        ((AVX + RETURN,), ("constructor", "AVX")),
        ((RETURN, AVX512 + RETURN), ("constructor", "AVX-512")),
        ((bytes.fromhex("eb01 cc") + AVX,), ("constructor", "AVX")),
        ((RETURN + AVX,), None),  # behind its end
        ((bytes.fromhex("7404") + AVX + RETURN,), None),  # not on the other way
        ((bytes.fromhex("7402 7500") + AVX + RETURN,), ("constructor", "AVX")),  # both ways meet again
        ((bytes.fromhex("ebfe") + AVX,), None),  # never reached
        ((bytes.fromhex("7500 75fc") + RETURN,), None),  # a loop
        ((bytes.fromhex("ff25 00000000") + AVX,), None),  # through memory
        ((bytes.fromhex("06") + AVX,), None),  # unknown
        ((bytes.fromhex("e9 00000070") + AVX,), None),  # out of the file
        ((bytes.fromhex("e8 3b000000") + AVX, RETURN), ("constructor", "AVX")),  # after a call
        ((bytes.fromhex("e8 fbffffff") + RETURN,), None),  # calls itself
    ],
)
def test_what_every_cpu_executes_is_found(constructors: tuple[bytes, ...], expected: tuple[str, str] | None) -> None:
    assert found(*constructors) == expected
    assert found(*constructors, written=False) == expected


def test_what_chooses_a_function_is_followed_too() -> None:
    assert found(resolvers=(RETURN, AVX + RETURN)) == ("resolver", "AVX")
    assert found(resolvers=(RETURN,)) is None


def test_other_machines_and_damaged_files_prove_nothing() -> None:
    assert found(AVX, machine="aarch64") is None
    whole = bytes(Library(constructors=(AVX,)))
    assert vector_at_load(extent(whole[:300])) is None
    assert vector_at_load(extent(b"")) is None
