"""What counts as a comment is one for compilers: two texts that are taken for the same are preprocessed to the same."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.reuse.comments import without_comments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler]

# What begins and ends comments, strings and lines, and what comes near to that.
PIECES = (
    *("//", "/*", "*/", "/", "*", '"', "'", "\\", "\n", "\n", "\\\n", "\\ \n", "\r\n", " ", "\t", 'R"(', ')"', "??/\n"),
    *("#define A ", "#include <", ">", "#if 0\n", "\n#endif\n", "A", "x", "u8", "L", "R", "1", "1'0", "'a'", "'\"'"),
    *(
        '"b"',
        "/* c */",
        "// d\n",
        "int e;\n",
        "__LINE__",
        ";",
        "+",
        "é",
        "$",
        "<f//g>",
        "\n#include <f//g>\n",
        "\f",
        " \\\n",
        "1e+",
    ),
)
COUNT = int(os.environ.get("GPUWHEEL_TEST_COMMENTS", "400"))
COMPILERS = {"g++": (), "clang++": ("--cuda-path=/nonexistent",)}  # else it looks for a toolkit of the machine


def _preprocessed(compiler: str, text: bytes, dialect: str) -> tuple[bool, bytes]:
    """(whether it can be, lines of what is left, without blanks)."""
    done = subprocess.run(  # noqa: TID251 (the compiler, not gpuwheel)
        [compiler, *COMPILERS[compiler], "-E", "-w", f"-std={dialect}", "-x", "c++", "-"],
        input=text,
        capture_output=True,
        check=False,
    )
    lines = (re.sub(rb"[ \t\r\f\v]+", b" ", line).strip() for line in done.stdout.splitlines())
    return done.returncode == 0, b"\n".join(lines)


def _texts(chance: random.Random) -> Iterator[bytes]:
    """Random ones in which something is emptied."""
    while True:
        text = "".join(chance.choices(PIECES, k=chance.randrange(1, 14))).encode()
        if without_comments(text) != text:
            yield text


@pytest.mark.parametrize("compiler", COMPILERS)
def test_an_emptied_text_is_the_same_to_a_preprocessor(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    chance = random.Random(COUNT)  # noqa: S311 (to be repeated, not to be secret)
    texts = list(islice(_texts(chance), COUNT))
    dialects = [chance.choice(["c++17", "gnu++17", "c++14", "gnu++20"]) for _ in texts]

    def same(text: bytes, dialect: str) -> bool:
        return _preprocessed(compiler, text, dialect) == _preprocessed(compiler, without_comments(text), dialect)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(same, texts, dialects))
    assert [text for text, is_same in zip(texts, answers, strict=True) if not is_same] == []


@pytest.mark.network
def test_an_edit_of_a_comment_compiles_nothing(project: Project, tmp_path: Path) -> None:
    first = project.build()
    text = project.write("csrc/told.h", '#define TOLD "one"  // a remark\n').read_text(encoding="utf-8")
    assert project.build().compiled, "a comment more is another text"
    project.write("csrc/told.h", text.replace("a remark", "another remark, longer"))
    again = project.build()
    assert (again.compiled, again.linked) == (False, False)
    assert again.library == project.build({"build-dir": str(tmp_path / "whole")}).library == first.library


@pytest.mark.network
@pytest.mark.parametrize("flag", ["-g", "-Werror"])
def test_an_edit_of_a_comment_counts_where_comments_do(project: Project, flag: str) -> None:
    project.configure(f'flags = ["{flag}"]')
    project.write("csrc/told.h", '#define TOLD "one"  // a remark\n')
    project.build()
    project.write("csrc/told.h", '#define TOLD "one"  // two words\n')
    assert project.build().compiled


@pytest.mark.network
def test_a_source_that_is_embedded_counts_with_its_comments(project: Project) -> None:
    note = project.write("csrc/told.h", '#define TOLD "one"  // one\n')
    source = project.root / "csrc" / "told.cpp"
    embedded = f'asm(".section .rodata\\nembedded_text: .incbin \\"{note}\\"\\n.previous");\n'
    used = 'extern "C" const char embedded_text[];\n'
    used += "__attribute__((constructor)) static void use() { kept = embedded_text; }\n"
    source.write_text(source.read_text(encoding="utf-8") + embedded + used, encoding="utf-8")
    assert b"// one" in project.build().library
    project.write("csrc/told.h", '#define TOLD "one"  // two\n')
    assert b"// two" in project.build().library
