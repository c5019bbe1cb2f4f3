"""Which edits of a source are edits of its comments alone."""

from __future__ import annotations

import time

import pytest

from gpuwheel.compile.reuse.comments import comments_count, judges_by_comments, without_comments

COMMENTS = {
    "to the end of a line": (b"int a; // one\nint b;\n", b"int a; // another\nint b;\n"),
    "at the end of a file": (b"int a; // one", b"int a; //"),
    "in a line, of the same length": (b"int /* one */ a;", b"int /* two */ a;"),
    "in a line, longer, nothing behind": (b"int a; /* one */\n", b"int a; /* another */  \n".replace(b"  ", b"")),
    "over lines": (b"/* one\n * two */\nint a;", b"/* 1\n * 2, 3 */\nint a;"),
    "over many lines": (b"/*\n * one\n */ int a;", b"/*\n * two\n */ int a;"),
    "over lines with returns": (b"/* one\r\n two */\r\nint a;", b"/* 1\r\n 2 */\r\nint a;"),
    "with quotes": (b"// it's\nint a = '\\'';", b"// \"its\nint a = '\\'';"),
    "after a number with separators": (b"long a = 1'000'000; // one", b"long a = 1'000'000; // two"),
    "after a macro over lines": (b"#define F(x) f(x); \\\n  g(x)  // one", b"#define F(x) f(x); \\\n  g(x)  // two"),
    "after a comparison": (b"for (i = t % 32; i < n; ++i) {}  // one", b"for (i = t % 32; i < n; ++i) {}  // two"),
    "after a literal with a prefix": (b"auto a = u8'x', b = L'y';  // it's", b"auto a = u8'x', b = L'y';  // two"),
    "after a string": (b'f("// no \\" /*"); // one', b'f("// no \\" /*"); // two'),
    "with directives": (b"// #include <a.h>\n", b"// #include <b.h>\n"),
}
TOKENS = {
    "a line more": (b"// a\nint b;", b"// a\n//\nint b;"),
    "a string": (b'f("// one");', b'f("// two");'),
    "a string that goes on": (b'f("a\\\n// one");', b'f("a\\\n// two");'),
    "a literal of one character": (b"'\"' // \"'one'", b"'\"' ; \"'one'"),
    "code behind a comment": (b"/**/ one", b"/**/ two"),
    "a column behind a comment": (b"/* a */ one", b"/* aaa */ one"),
    "no comment any more": (b"// one\nb", b"\nb"),
    "another kind of comment": (b"// one", b"/* one */"),
    "a line after a backslash": (b"a \\ // one\nb", b"a \\\nb"),
    "a comment that goes on or not": (b"/* a \n b */ __LINE__", b"/* a \\\n b */ __LINE__"),
}
DOUBTFUL = {
    "a raw string": (b'R"(\n// one)"', b'R"(\n// two)"'),
    "a raw string of another width": (b'u8R"x(\n// one)x"', b'u8R"x(\n// two)x"'),
    "a raw string over a continued line": (b'R\\\n"(// one\n)"', b'R\\\n"(// two\n)"'),
    "a comment that goes on": (b"// a \\\none", b"// a \\\ntwo"),
    "a comment that goes on after blanks": (b"// a \\ \none", b"// a \\ \ntwo"),
    "a trigraph at the end of a comment": (b"// a ??/\none", b"// a ??/\ntwo"),
    "a comment of two lines that is one": (b"/\\\n/ one\n", b"/\\\n/ two\n"),
    "the end of a comment over two lines": (b"/* *\\\n/ one /**/", b"/* *\\\n/ two /**/"),
    "a string that is never closed": (b"#error it's // one", b"#error it's // two"),
    "a comment that is never closed": (b"a /* one", b"a /* two"),
    "a header of such a name": (b"#include <a//one>\n", b"#include <a//two>\n"),
    "a header of such a name, asked for": (
        b"#if __has_include(<a/*one>) //*/\n",
        b"#if __has_include(<a/*two>) //*/\n",
    ),
    "a header with a quote": (b"#include <it's> // 'one\n", b"#include <it's> // 'two\n"),
    "a number that goes on in the next line": (b"1\\\n'0 \"a' // one\"", b"1\\\n'0 \"a' // two\""),
    "a name that goes on in the next line": (b"L\\ \n1'0 // one'", b"L\\ \n1'0 // two'"),
    "a return in a comment": (b"// a\rone", b"// a\rtwo"),
    "a nought": (b"// a\0one", b"// a\0two"),
    "a trigraph that is a quote or not": (b"int x = 1 ??' '// one';", b"int x = 1 ??' '// two';"),
    "a separator at the end of a line": (b"g(1'\\\n0,\"a' // one\");", b"g(1'\\\n0,\"a' // two\");"),
    "a prefix over two lines": (b'u\\\n8R"x( " // one)x"', b'u\\\n8R"x( " // two)x"'),
    "a directive over two lines": (b"#inc\\\nlude <sys//one.h>\n", b"#inc\\\nlude <sys//two.h>\n"),
    "a directive over two lines, with a blank": (b"# \\\ninclude <a//one>\n", b"# \\\ninclude <a//two>\n"),
    "a header that a macro asks for": (b"#if HAS(<sys//one.h>)\n#endif", b"#if HAS(<sys//two.h>)\n#endif"),
    "a header that is asked for behind a comment": (b"/**/ # if HAS(<a//one>)\n", b"/**/ # if HAS(<a//two>)\n"),
    "a number with an exponent": (b"S(1e+a'0 '// one'\n)", b"S(1e+a'0 '// two'\n)"),
    "a number that ends in an exponent": (b"1e+'a'// one'", b"1e+'a'// two'"),
    "a number with a letter": ("S(1éa'0 '// one'\n)".encode(), "S(1éa'0 '// two'\n)".encode()),
    "a number with a dollar": (b"S(1$a'0 '// one'\n)", b"S(1$a'0 '// two'\n)"),
    "a number that old dialects end": (b"S(1'a' '// one'\n)", b"S(1'a' '// two'\n)"),
    "a comment of a continued line": (b"/* a \\\n one */ __LINE__", b"/* a \\\n two */ __LINE__"),
    "what is no UTF-8": ("// моя".encode("cp1251"), "// мой".encode("cp1251")),
    "a very long line": (b"//" + b"a" * 5000 + b"\n", b"//" + b"a" * 5001 + b"\n"),
}


@pytest.mark.parametrize(("one", "other"), COMMENTS.values(), ids=COMMENTS)
def test_what_comments_say_does_not_count(one: bytes, other: bytes) -> None:
    assert one != other
    assert without_comments(one) == without_comments(other)


@pytest.mark.parametrize(("one", "other"), (TOKENS | DOUBTFUL).values(), ids=TOKENS | DOUBTFUL)
def test_everything_else_counts(one: bytes, other: bytes) -> None:
    assert without_comments(one) != without_comments(other)


@pytest.mark.parametrize("text", [pair[0] for pair in DOUBTFUL.values()], ids=DOUBTFUL)
def test_a_text_of_two_readings_stays(text: bytes) -> None:
    assert without_comments(text) == text


@pytest.mark.parametrize("text", [pair[0] for pair in (COMMENTS | TOKENS).values()])
def test_lines_stay_where_they_are_and_nothing_is_left_to_empty(text: bytes) -> None:
    emptied = without_comments(text)
    assert emptied.count(b"\n") == text.count(b"\n")
    assert without_comments(emptied) == emptied


@pytest.mark.parametrize(
    "text", [b"/" * 100_000, b"/*" * 100_000, b"'" * 100_000, b"include<" * 50_000, b"\\" * 100_000]
)
def test_no_text_takes_long(text: bytes) -> None:
    started = time.process_time()
    without_comments(text)
    assert time.process_time() - started < 2


HOST = "-DA=1 -I/a -isystem /b -O3 -DNDEBUG -std=c++17 -fPIC -ffile-prefix-map=/a=b -Wall -Wno-error -pthread"
CONDA = (
    "-fvisibility-inlines-hidden -fmessage-length=0 -march=nocona -mtune=haswell -ftree-vectorize -fPIC -O2 -pipe"
    " -fstack-protector-strong -fno-plt -ffunction-sections -isystem /conda/include -D_FORTIFY_SOURCE=2"
)
NVCC = (
    "-forward-unknown-to-host-compiler -ccbin=g++ -DA -I/a -isystem=/b -O3 -std=c++17"
    " --generate-code=arch=compute_80,code=[sm_80] -Xcompiler=-fPIC,-Wall -Xcompiler=@/b/a.options"
    " --expt-relaxed-constexpr -Xptxas -v -x cu -rdc=true -dc a.cu -o a.cu.o --options-file a.options --threads=2"
    " -static-global-template-stub=false -Xcudafe=--orig_src_path_name=csrc/a.cu"
)
NVRTC = (
    "--gpu-architecture=sm_80 --std=c++17 --frandom-seed=a.cu --include-path=/a --define-macro=A=1"
    " --ptxas-options=-v --use_fast_math --maxrregcount=64"
)


@pytest.mark.parametrize("command", [f"{HOST} -o a.o -c a.cpp", f"{CONDA} -c a.cpp", NVCC, NVRTC])
def test_most_commands_make_the_same_of_any_comment(command: str) -> None:
    assert not comments_count(command.split())


@pytest.mark.parametrize(
    "words",
    [
        *("-g", "-g1", "-ggdb", "-gdwarf-5", "-Werror", "-Werror=comment", "-pedantic-errors", "-Wp,-C", "-C", "-CC"),
        *("--coverage", "-fprofile-arcs", "-ftest-coverage", "-fcoverage-mapping", "-fplugin=a.so", "-trigraphs"),
        *(
            "-finput-charset=sjis",
            "-std=c89",
            "-ansi",
            "-traditional-cpp",
            "-x assembler-with-cpp",
            "-x c",
            "-save-temps",
        ),
        *("a.c", "a.S", "a.m", "-Xcompiler=-fPIC,-g", "-Xcompiler -g", "--compiler-options=-g", "-what-is-this"),
        *("-lineinfo", "--generate-line-info", "-G", "--device-debug", "-src-in-ptx", "--source-in-ptx"),
        *("-Xcudafe --diag_error=9", "--Werror all-warnings", "-specs=a", "-Xpreprocessor -C", "-Wfatal-errors"),
        *(
            "-Xcompiler -fPIC,-Werror",
            "-Xcompiler=-x -Xcompiler=c",
            "-Xcompiler='-Werror'",
            "-Xcompiler=-DA='1'",
            "-ObjC++",
        ),
        *("-std=c++11", "-std=gnu++98", "-fno-dollars-in-identifiers", "-fsanitize-ignorelist=/a/b", "-Wp,-C", "a.F90"),
        *("-fcs-profile-generate", "-Xptxas -Xptxas -g", "-Wa,-a"),
    ],
)
def test_comments_count_with_any_other_option(words: str) -> None:
    assert comments_count([*HOST.split(), *words.split()])


@pytest.mark.parametrize("words", [["-Xcompiler", "-O2 -Werror"], ["-Xcompiler= -Werror"], [" -lineinfo"], ["\t-G"]])
def test_blanks_hide_no_option(words: list[str]) -> None:
    assert comments_count([*NVCC.split(), *words])


def test_a_pragma_may_judge_by_comments() -> None:
    assert judges_by_comments(b"#define P(x) _Pragma(#x)\n#define D(sev, what) P(GCC diagnostic sev what)\n")
    assert judges_by_comments(b'#pragma GCC diagnostic /**/ error "-Wcomment"\n')
    assert not judges_by_comments(b"#pragma GCC diagnostic push\nTensor diag_embed(Tensor);\n")
    assert judges_by_comments(b'#pragma GCC diagnostic error "-Wimplicit-fallthrough"\n')
    assert judges_by_comments(b'_Pragma("nv_diag_error 9")')
    assert not judges_by_comments(b'#pragma GCC diagnostic ignored "-Wcomment"\n// no error')
