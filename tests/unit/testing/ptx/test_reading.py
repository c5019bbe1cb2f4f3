"""Texts of PTX as the reader makes values of them."""

from __future__ import annotations

import pytest

from gpuwheel.errors import PtxError
from gpuwheel.testing.ptx.reading import function, read_module
from gpuwheel.testing.ptx.syntax import (
    Address,
    Function,
    Group,
    Immediate,
    Instruction,
    Label,
    Module,
    Negated,
    Operand,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
    Variable,
    Vector,
)

HEAD = ".version 8.7\n.target sm_90a\n.address_size 64\n"
REGISTERS = ".reg .b32 %r<9>; .reg .pred %p<5>; .reg .b64 %rd<9>; .reg .f32 %f<9>; .reg .v4 .f32 %v; .reg .b16 x;"


def module(text: str) -> Module:
    return read_module(HEAD + text)


def body(text: str, *, outside: str = "") -> Function:
    return function(module(f"{outside}\n.visible .entry k(.param .u64 a)\n{{\n{REGISTERS}\n{text}\n}}"), "k")


def instructions(text: str, *, outside: str = "") -> list[Instruction]:
    return [each for each in body(text, outside=outside).body if isinstance(each, Instruction)]


def operands(text: str, *, outside: str = "") -> tuple[Operand, ...]:
    (only,) = instructions(text, outside=outside)
    return only.operands


def variable(text: str, name: str = "a") -> Variable:
    return module(text).variables[name]


def r(number: int) -> Register:
    return Register(f"%r{number}", "b32")


def test_the_head_of_a_module() -> None:
    found = read_module(
        "// made by a compiler\n.version 9.0\n.target sm_100a, debug\n.address_size 64\n"
        '.file 1 "/src/a;{b.cu", 12, 34\n.file\t2 "c.h"\n'
        ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b)\n;\n"
        ".section .debug_info { .b8 1\n.b32 .debug_abbrev\n}\n"
    )
    assert (found.version, found.target) == ("9.0", "sm_100a")
    assert found.files == {1: "/src/a;{b.cu", 2: "c.h"}
    assert found.declared == {"vprintf"}
    assert not found.spans


def test_functions_are_found_and_read_once() -> None:
    found = module(
        ".weak .func (.param .b32 r) twice(.param .b32 a);\n"
        ".weak .func (.param .b32 r) twice(.param .b32 a)\n.noreturn\n{ ret; }\n"
        ".visible .entry k(.param .u64 .ptr .global .align 16 p, .param .align 8 .b8 s[24])\n"
        ".maxntid 128, 1, 1\n.minnctapersm 2\n.maxnreg 64\n{ { ret; } }\n"
        '.entry bare .reqntid 32 .reqnctapercluster 2, 1, 1 .pragma "nounroll"; { ret; }\n.alias again, twice;'
    )
    assert list(found.spans) == ["twice", "k", "bare"]
    assert not found.declared
    kernel = function(found, "k")
    assert kernel is function(found, "k")
    assert kernel.entry
    assert not function(found, "twice").entry
    assert kernel.most_threads == (128, 1, 1)
    assert [(each.name, each.size, each.align) for each in kernel.parameters] == [("p", 8, 8), ("s", 24, 8)]
    assert [each.size for each in function(found, "again").returns] == [4]
    assert function(found, "bare").required_threads == (32,)
    assert function(found, "bare").required_cluster == (2, 1, 1)


def test_a_strong_function_takes_the_place_of_a_weak_one_of_its_name() -> None:
    found = module(".weak .func f { trap; ret; }\n.visible .func f { ret; }\n.weak .func f { exit; }")
    assert [each.name for each in function(found, "f").body if isinstance(each, Instruction)] == ["ret"]


def test_registers_as_parameters() -> None:
    found = function(module(".func (.reg .b32 out) f(.reg .b32 in) { add.s32 out, in, 1; ret; }"), "f")
    first = found.body[0]
    assert isinstance(first, Instruction)
    assert first.operands == (Register("out", "b32"), Register("in", "b32"), Immediate(1))
    assert [each.space for each in (*found.parameters, *found.returns)] == ["reg", "reg"]
    vector = function(module(".func f(.reg .v2 .u32 in) { add.u32 in.x, in.x, in.y; }"), "f").body[0]
    assert isinstance(vector, Instruction)
    assert vector.operands[2] == Register("in.y", "u32")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add.s32 %r1, %r2, -1;", (r(1), r(2), Immediate(2**64 - 1))),
        ("and.b32 %r1, %r2, 0xFFU;", (r(1), r(2), Immediate(255))),
        ("or.b32 %r1, 010, 0b101;", (r(1), Immediate(8), Immediate(5))),
        (
            "add.f32 %f1, 0f3F800000, -0f3F800000;",
            (Register("%f1", "f32"), Immediate(0x3F800000, "f32"), Immediate(0xBF800000, "f32")),
        ),
        ("mov.f64 %rd1, 0d3FF0000000000000;", (Register("%rd1", "b64"), Immediate(0x3FF0000000000000, "f64"))),
        ("mov.f32 %f1, 1.5e0;", (Register("%f1", "f32"), Immediate(0x3FF8000000000000, "f64"))),
        ("mov.u32 %r1, (1+2)*4 - WARP_SZ/2;", (r(1), Immediate(2**64 - 4))),
        ("mov.u32 %r1, WARP_SZ;", (r(1), Immediate(32))),
        ("mov.u32 %r1, %tid.x;", (r(1), Special("tid.x"))),
        ("mov.u32 %r1, %envreg3;", (r(1), Special("envreg3"))),
        ("ld.global.f32 %f1, [%rd1+-4];", (Register("%f1", "f32"), Address(Register("%rd1", "b64"), -4))),
        ("ld.param.u64 %rd1, [ a + 0x8 ];", (Register("%rd1", "b64"), Address(Symbol("a"), 8))),
        ("ld.shared.u32 %r1, [16];", (r(1), Address(Immediate(16)))),
        ("mov.b64 {%r1, _}, %rd1;", (Vector((r(1), Sink())), Register("%rd1", "b64"))),
        (
            "setp.lt.and.s32 %p1|%p2, %r1, 0, !%p3;",
            (
                Pair(Register("%p1", "pred"), Register("%p2", "pred")),
                r(1),
                Immediate(0),
                Negated(Register("%p3", "pred")),
            ),
        ),
        (
            "shfl.sync.idx.b32 %r1|%p1,%r2,0,31,-1;",
            (Pair(r(1), Register("%p1", "pred")), r(2), Immediate(0), Immediate(31), Immediate(2**64 - 1)),
        ),
        (
            "ld.v4.f32 %v, [%rd1];",
            (Vector(tuple(Register(f"%v.{c}", "f32") for c in "xyzw")), Address(Register("%rd1", "b64"))),
        ),
        ("mov.f32 %f1, %v.y;", (Register("%f1", "f32"), Register("%v.y", "f32"))),
        (
            "cp.async.bulk.tensor.2d.shared::cluster.global.tile [%r1], [%rd2, {%r3, %r4}], [%r5+8];",
            (Address(r(1)), Address(Register("%rd2", "b64"), 0, (Vector((r(3), r(4))),)), Address(r(5), 8)),
        ),
        ("call.uni (%r1), f, (%r2, 3);", (Group((r(1),)), Symbol("f"), Group((r(2), Immediate(3))))),
        (
            "call (x), %rd1, (), proto;",
            (Group((Register("x", "b16"),)), Register("%rd1", "b64"), Group(()), Symbol("proto")),
        ),
        ("mov.u64 %rd1, a+4;", (Register("%rd1", "b64"), Symbol("a", 4))),
        ("bar.sync 0;", (Immediate(0),)),
        ("ret;", ()),
    ],
)
def test_operands(text: str, expected: tuple[Operand, ...]) -> None:
    assert operands(text) == expected


def test_opcodes_guards_and_lines() -> None:
    first, second, third = instructions(
        "@!%p1 bra.uni L;\nL:\n\n@%p2 ld.global.L2::128B.v2.f32 {%f1,%f2}, [%rd1];\n ret;"
    )
    assert (first.opcode, first.modifiers, first.negated, first.line) == ("bra", ("uni",), True, 8)
    assert second.guard == Register("%p2", "pred")
    assert not second.negated
    assert second.name == "ld.global.L2::128B.v2.f32"
    assert (second.line, third.line) == (11, 12)


def test_comments_hide_what_is_in_them_and_keep_the_lines() -> None:
    (only,) = instructions('/* } \n ; */ // { " \n ret;')
    assert only.line == 10


def test_names_of_inner_scopes_are_their_own() -> None:
    scope = "{ .reg .pred p; .reg .b32 %r1; T: setp.ne.s32 p, %r1, %r2; @p bra D; bra T; bra OUT; D: }\n"
    found = body(f"OUT:\n{scope}{scope}mov.u32 %r1, 0;")
    labels = [each.name for each in found.body if isinstance(each, Label)]
    assert len(set(labels)) == len(labels) == 5
    reads = [each for each in found.body if isinstance(each, Instruction)]
    assert reads[0].operands[0] != reads[4].operands[0]
    assert reads[0].operands[1] != reads[-1].operands[0] == r(1)
    assert reads[0].operands[2] == reads[4].operands[2] == r(2)
    assert reads[1].operands == (Symbol(labels[2]),)
    assert reads[2].operands == (Symbol(labels[1]),)
    assert reads[3].operands == (Symbol("OUT"),)


def test_arguments_of_calls_in_their_scopes() -> None:
    call = "{ .param .b64 param0; st.param.b64 [param0+0], %rd1; call.uni f, (param0); }\n"
    found = body(call + call)
    first, second = (each.name for each in found.variables.values())
    reads = [each for each in found.body if isinstance(each, Instruction)]
    assert reads[0].operands[0] == Address(Symbol(first))
    assert reads[1].operands[1] == Group((Symbol(first),))
    assert reads[3].operands[1] == Group((Symbol(second),))


def test_tables_of_branches() -> None:
    found = body(
        "T: .branchtargets A, B;\nA:\nbrx.idx %r1, T;\n{ U: .branchtargets C, A;\nC: brx.idx.uni %r1, U; }\nB: ret;"
    )
    assert found.branch_targets["T"] == ("A", "B")
    (_, second, _) = (each for each in found.body if isinstance(each, Instruction))
    table = second.operands[1]
    assert isinstance(table, Symbol)
    inner, outer = found.branch_targets[table.name]
    assert Label(inner) in found.body
    assert outer == "A"


def test_places_with_what_was_inlined() -> None:
    text = (
        "{REST}\n.loc 1 20 5\nadd.s32 %r1, %r1, 1;\n"
        ".loc\t2 7 3, function_name $L__info_string0, inlined_at 1 21 9\nadd.s32 %r1, %r1, 1;"
    ).replace("{REST}", "")
    section = ".section .debug_str {\n$L__info_string0:\n.b8 95,90,51,102,118,0\n$L__info_string1:\n.b8 65\n.b8 0\n}"
    first, second = instructions(text, outside=section)
    assert first.place is not None
    assert (first.place.file, first.place.line, first.place.column, first.place.inlined_at) == (1, 20, 5, None)
    assert second.place is not None
    assert (second.place.line, second.place.function) == (7, "_Z3fv")
    assert second.place.inlined_at is not None
    assert second.place.inlined_at.line == 21


@pytest.mark.parametrize(
    ("text", "size", "align", "initial"),
    [
        (".global .align 4 .b8 a[8] = {1, 0, 255};", 8, 4, bytes((1, 0, 255, 0, 0, 0, 0, 0))),
        (".global .u32 a = 0x10;", 4, 4, b"\x10\0\0\0"),
        (".const .s16 a[2] = {-1, 010};", 4, 2, b"\xff\xff\x08\0"),
        (".global .f32 a[3] = {0f3F800000, 2.0, -1};", 12, 4, b"\0\0\x80\x3f\0\0\0\x40\0\0\x80\xbf"),
        (".global .f64 a = 0d3FF0000000000000;", 8, 8, b"\0\0\0\0\0\0\xf0\x3f"),
        (".global .u8 a[2][3] = {{1}, {2, 3}};", 6, 1, bytes((1, 0, 0, 2, 3, 0))),
        (".global .v4 .u8 a[2] = {{1, 2}, {3}};", 8, 4, bytes((1, 2, 0, 0, 3, 0, 0, 0))),
        (".global .u8 a[] = {1, 2, 3};", 3, 1, bytes((1, 2, 3))),
        (".visible .global .attribute(.managed) .align 4 .u32 a = 4;", 4, 4, b"\4\0\0\0"),
        (".shared .align 16 .b8 a[48];", 48, 16, None),
        (".extern .shared .align 16 .b8 a[];", 0, 16, None),
        (".common .global .u64 b, a;", 8, 8, None),
        (".global .texref a;", 8, 8, None),
    ],
)
def test_variables(text: str, size: int, align: int, initial: bytes | None) -> None:
    found = variable(text)
    assert (found.size, found.align, found.initial) == (size, align, initial)
    assert found.external == text.startswith(".extern")


def test_addresses_in_variables() -> None:
    found = variable(".global .u64 a[4] = {f, generic(t)+4, 120, generic(t)-8};")
    assert found.pointers == ((0, Symbol("f")), (8, Symbol("t", 4)), (24, Symbol("t", -8)))
    assert found.initial == bytes(16) + b"\x78" + bytes(15)
    masks = ", ".join(f"0x{0xFF << 8 * index:X}(generic(t)+4)" for index in range(8))
    assert variable(f".global .b8 a[16] = {{1, 0, 0, 0, 0, 0, 0, 0, {masks}}};").pointers == ((8, Symbol("t", 4)),)


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("nonsense", 4, "a directive of a module"),
        (".entry k {\nret;\n", 4, "a `}` that closes this `{`"),
        (".global .u99 a;", 4, "a type in place of `.u99`"),
        (".global .u32 a = b+;", 4, "constant"),
        (".global .u32 a = f;", 4, "an address in a variable of 8 bytes"),
        (".global .b8 a[1] = {1, 2};", 4, "at most 1 bytes"),
        (".global .b8 a[9999999999];", 4, "ptx-variable"),
        (".global .b8 a[999999999] = {1};", 4, "ptx-initial"),
        (".global .b8 a[1] = {256};", 4, "numbers of the variable's type"),
        (".func f .maxntid 12\x1c, 1 { ret; }\n\u0663", 5, "a directive of a module"),
    ],
)
def test_what_is_no_module_is_refused_by_its_line(text: str, line: int, expected: str) -> None:
    with pytest.raises(PtxError) as caught:
        module(text)
    assert f"line {line} of the PTX" in caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ret", "a statement"),
        ("add.s32 %r1, %r9, 1;", "a name that is declared"),
        ("add.s32 %r1, %r01, 1;", "a name that is declared"),
        ("add.s32 %r1, , 1;", "an operand"),
        ("mov.u32 %r1, 1+;", "a constant"),
        ("mov.u32 %r1, 1/0;", "a divisor that is not zero"),
        ("mov.u32 %r1, 99999999999999999999;", "an integer of 64 bits"),
        ("ld.u32 %r1, [%rd1;", "`]`"),
        ("ld.u32 %r1, [%rd1);", "no `)`"),
        ("@%r77 ret;", "`%r77` to be a predicate"),
        (".reg .b32;", "the type of registers"),
        ("mov.u32 %r1, " + "-" * 100 + "1;", "ptx-depth"),
        ("mov.u32 %r1, " + "(" * 100 + "1" + ")" * 100 + ";", "ptx-depth"),
        ("{" * 100 + "}" * 100, "ptx-depth"),
    ],
)
def test_what_is_no_statement_is_refused_by_its_line(text: str, expected: str) -> None:
    with pytest.raises(PtxError) as caught:
        body(text)
    assert "line 8 of the PTX" in caught.value.message
    assert expected in caught.value.message
    assert len(caught.value.message) < 500


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(PtxError, match="no function `g`"):
        function(module(".entry k { ret; }"), "g")
