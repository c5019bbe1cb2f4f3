"""Instructions without a meaning end the launch, and are named with their kernel and their place in the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuwheel.testing.ptx.executor import Configuration, Executor

MANUAL = Path(__file__).resolve().parents[3] / "ci" / "ptx_forms" / "manual.txt"
# Of each line that is to be refused its first form: no alternative but the first one.
REFUSED = [
    "".join(
        part.split("/")[0] if index % 2 else part for index, part in enumerate(line[2:].replace(">", "<").split("<"))
    )
    for line in MANUAL.read_text(encoding="utf-8").splitlines()
    if line.startswith("! ")
]
# Forms that are not done, of instructions that are.
UNKNOWN = [
    "fma.rn.oob.f16 %h0, %h1, %h2, %h3",
    "vmad.u32.s32.u32.shr7 %r0, %r1, %r2, %r3",
    "multimem.red.relaxed.gpu.global.add.u32 [%d0], %r0",
    "ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r0, %r1}, [%d0]",
    "add.f32.nothing %f0, %f1, %f2",
    "ld.global.sideways.u32 %r0, [%d0]",
    "mov.u32 %r0, %pm0",
]


@pytest.fixture(scope="module")
def executor() -> Executor:
    return Executor()


@pytest.mark.compiler
@pytest.mark.parametrize("text", [*REFUSED, *UNKNOWN], ids=lambda text: text.split(maxsplit=1)[0])
def test_what_has_no_meaning_is_named_where_it_stands(executor: Executor, text: str) -> None:
    loaded = executor.load(f"""
.version 9.0
.target sm_100a
.address_size 64
.visible .entry refusing() {{
.reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<16>; .reg .b64 %d<8>; .reg .f32 %f<16>;
.loc 1 7 3
mov.u32 %r0, 0;
.loc 1 42 5
{text};
ret;
}}
.file 1 "/csrc/source.cu"
""")
    result = executor.launch(loaded, "refusing", Configuration((1,), (32,)), ())
    (mistake,) = result.mistakes
    assert (result.code, mistake.kind, mistake.kernel) == (801, "no-meaning", "refusing")
    assert mistake.instruction.startswith(text.split(maxsplit=1)[0])
    assert [(place.file, place.line) for place in mistake.places] == [("/csrc/source.cu", 42)]
