"""What sources look for without including it, and what options name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.device.keys import DeviceOptions
from gpuwheel.compile.includes import joined_lines
from gpuwheel.compile.reuse.asked import Asked, Probe, probes
from gpuwheel.compile.reuse.named_files import (
    NATIVE,
    folders_in,
    machine_identity,
    named_paths,
    refusal,
    with_response_files,
)
from gpuwheel.compile.reuse.tokens import clock, unseen

if TYPE_CHECKING:
    from pathlib import Path


def _probed(*texts: str) -> tuple[set[tuple[str, bool]], dict[str, str]]:
    found, unknown = probes({str(number): joined_lines(text.encode()) for number, text in enumerate(texts)})
    assert all(isinstance(one, Probe) for one in found)
    return {(one.name, one.quoted) for one in found}, unknown


@pytest.mark.parametrize(
    "text",
    [
        "#if __has_include(<a.h>)\n#endif",
        "#if defined(__has_include) && __has_include( <a.h> )",
        "#define HAS(x) __has_include(x)\n#if HAS(<a.h>)",
        "#define HAS(x) __has_include(x)\n#define HAS2(y) HAS(y)\n#if HAS2( <a.h>)",
        "#define NAME <a.h>\n#if __has_include(NAME)",
        "#define HAS(x) __has_include(x)\n#define NAME <a.h>\n#if HAS(NAME)",
        "#if __has_\\\ninclude(<a.h>)",
        "??=if __has_include(<a.h>)",
    ],
)
def test_every_spelling_of_has_include_counts(text: str) -> None:
    assert _probed(text) == ({("a.h", False)}, {})


def test_a_macro_around_has_include_may_be_in_another_file() -> None:
    assert _probed("#define HAS(x) __has_include(x)", '#if HAS("b.h")') == ({("b.h", True)}, {})


@pytest.mark.parametrize(
    "text",
    [
        "#if __has_include(NAME)",
        "#define NAME OTHER(a)\n#if __has_include(NAME)",
        "#define HAS(x) __has_include(x)\n#if HAS(NAME)",
    ],
)
def test_a_name_that_cannot_be_told_is_said(text: str) -> None:
    assert _probed(text) == (set(), {"0": "NAME"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int a = __TIME__;", "__TIME__"),
        ("#define WHEN __DATE__", "__DATE__"),
        ("x(__TIMESTAMP__)", "__TIMESTAMP__"),
        ("// __TIME__\n/* __DATE__ */ int a;", None),
        ('const char* s = "__TIME__";', None),
        ('const char* s = "// "; x(__TIME__);', "__TIME__"),
        ("int MY__TIME__X;", None),
        ("x(__TIME__, __TIMESTAMP__, __DATE__)", "__TIMESTAMP__"),
        ('auto s = R"(\n/* \n)";\nx(__TIME__);', "__TIME__"),
        ('auto s = R"(")"; x(__TIME__);', "__TIME__"),
        ("char c = '\"'; x(__TIME__);", "__TIME__"),
        ("char c = '\\\"'; x(__TIME__);", "__TIME__"),
        ("int c = '//'; x(__TIME__);", "__TIME__"),
    ],
)
def test_the_clock(text: str, expected: str | None) -> None:
    assert clock(text.encode()) == expected
    assert Asked.of(text.encode()) == Asked(time=expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('asm(".incbin \\"t.txt\\"");', ".incbin"),
        ('asm(".include \\"t.inc\\"");', ".include of the assembler"),
        ('asm(".include " NAME);', ".include of the assembler"),
        ('asm(".include\\t\\"t.inc\\"");', ".include of the assembler"),
        ('asm(R"(.include "t.inc")");', ".include of the assembler"),
        ("torch.include(x); // see torch.include", None),
        ('#embed "t.txt"', "#embed"),
        ('#if __has_embed("t.txt")', "#embed"),
        ("??=embed <t.txt>", None),  # of this text; of the other reading of it, see `joined_lines`
        ('import "h";', "import"),
        ("export import <h>;", "import"),
        ("import std.core;", "import"),
        ("module this_one;", "import"),
        ("int import = 1; // import x;", None),
        ("/*\nimport x;\n*/", None),
    ],
)
def test_what_no_list_of_files_shows(text: str, expected: str | None) -> None:
    assert unseen(text.encode()) == expected


def test_embedded_and_assembled_files_have_names() -> None:
    text = joined_lines(b'??=embed <t.txt>\n#embed "u.txt"\nasm(".incbin \\"v.txt\\"");\n')
    asked = Asked.of(text)
    assert ({one.name for one in asked.embedded}, asked.assembled, asked.unseen) == (
        {"t.txt", "u.txt"},
        ("v.txt",),
        None,
    )
    assert Asked.of(b'asm(".incbin " NAME);').unseen == ".incbin of a name that is put together"
    assert Asked.of(b"#embed NAME").unseen == "#embed of a name that is put together"
    assert Asked.of(b'#include "a.h"\n#include NAME\n') == Asked(("a.h",), ("a.h",), computed=True)


def test_files_that_options_name(tmp_path: Path) -> None:
    for name in ("a.map", "b.spec", "c.h", "d.so", "e.txt", "dir/f.a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("-DX @e.txt", encoding="utf-8")
    words = [
        f"-Wl,--version-script={tmp_path}/a.map", "-specs=b.spec", "-include", "c.h", f"-fplugin={tmp_path}/d.so",
        "@e.txt", "-Wl,-T,dir/f.a", f"-L{tmp_path}/dir", "-I", f"{tmp_path}/dir", "-Wl,--retain=sub/missing.txt",
    ]  # fmt: skip
    files, absent, unknown = named_paths(words, [str(tmp_path)])
    names = {"a.map", "b.spec", "c.h", "d.so", "e.txt", "dir/f.a"}
    assert files == {f"{tmp_path}/{name}" for name in names}
    assert absent == {f"{tmp_path}/sub/missing.txt"}
    assert unknown is None
    assert named_paths([f"-fprofile-use={tmp_path}/dir"], [])[2] is None
    assert named_paths([f"-fprofile-use={tmp_path}/dir"], [str(tmp_path)])[2] == f"-fprofile-use={tmp_path}/dir"


@pytest.mark.parametrize(
    "words",
    [
        ["@e.txt"],
        ["-Wl,-v,@e.txt"],
        ["-Xcompiler=@e.txt"],
        ["--options-file=e.txt"],
        ["--options-file", "e.txt"],
        ["-optf=f.txt,e.txt"],
        ["@e.txt", "@loop.txt"],
    ],
)
def test_words_in_files_that_options_name(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("-DX '-DY=a b'", encoding="utf-8")
    (tmp_path / "loop.txt").write_text("@loop.txt", encoding="utf-8")
    found = list(with_response_files(words, [str(tmp_path)]))
    assert {"-DX", "-DY=a b", *words} == set(found)
    assert list(with_response_files(["--options-file", "-O2", "e.txt"], [str(tmp_path)])).count("-DX") == 0


def test_folders_that_options_have_searched() -> None:
    words = ["-I/a", "-isystem", "/b", "-L", "c", "-Wl,-L/d", "-I=e", "-Xcompiler=-I/f", "-iquote/g", "-O2", "-lz"]
    assert folders_in(words, "/w") == ["/a", "/b", "/w/c", "/d", "/w/e", "/f", "/g"]


@pytest.mark.parametrize("word", ["-arch=native", "--gpu-architecture=native", "-fmodules-ts", "-fmodule-file=x"])
def test_options_with_which_nothing_is_kept(word: str) -> None:
    assert refusal([word]) is not None
    assert refusal(["-march=native", "-O2", "--generate-code=arch=compute_80,code=[sm_80]"]) is None


@pytest.mark.parametrize("word", ["-march=native", "-mtune=native", "-Xcompiler=-march=native", "-mcpu=native"])
def test_options_that_ask_this_machine(word: str, tmp_path: Path) -> None:
    assert NATIVE.search(word)
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("processor : 0\nmodel name : A\ncpu MHz : 1.0\nflags : avx2\n", encoding="utf-8")
    one = machine_identity(cpu)
    assert one == ["flags: avx2", "model name: A"]
    assert machine_identity(tmp_path / "missing")


def test_options_of_kernel_groups(tmp_path: Path) -> None:
    flags = ("--pre-include=a.h", "-include", "b.h", "-Iinc", "-I", "other", "--include-path=third", "--use_fast_math")
    options = DeviceOptions.of(flags, tmp_path)
    assert options.first == ("a.h", "b.h")
    assert options.include_dirs == (tmp_path / "inc", tmp_path / "other", tmp_path / "third")
    assert options.unseen is None
    assert DeviceOptions.of(("--use-pch=x",), tmp_path).unseen == "--use-pch=x"
