"""Whatever a compiler or linker reads, or looks for in vain, decides whether something is taken from the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]


def _rewrite(path: Path, old: str, new: str) -> None:
    """A change of content that keeps the size and the time of modification."""
    state = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


def _grow_old() -> None:
    """Let a file that no option and no include names be old enough before a build for it to be believed."""
    time.sleep(2.1)  # s


def test_headers_that_change_appear_and_go(project: Project) -> None:
    project.configure('include-dirs = ["first", "second"]')
    (project.root / "first").mkdir()
    project.write("csrc/told.h", "#include <deep/word.h>\n")
    header = project.tell("one", "second/deep/word.h")
    assert project.build().told == "one"
    _rewrite(header, "one", "two")
    assert project.build().told == "two"
    _rewrite(header, "two", "one")
    again = project.build()
    assert (again.told, again.linked) == ("one", False), "a revert is nothing new"
    shadow = project.tell("hid", "first/deep/word.h")
    assert project.build().told == "hid"
    shadow.unlink()
    assert project.build().told == "one"
    assert not project.build().linked


def test_headers_of_the_machine_count_as_those_of_the_project(project: Project, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    project.write("csrc/told.h", "#include <word.h>\n")
    (far / "word.h").write_text('#define TOLD "one"\n', encoding="utf-8")
    project.environ["CPLUS_INCLUDE_PATH"] = f"{near}:{far}"
    assert project.build().told == "one"
    assert not project.build().linked
    _rewrite(far / "word.h", "one", "two")
    assert project.build().told == "two"
    (near / "word.h").write_text('#define TOLD "hid"\n', encoding="utf-8")
    assert project.build().told == "hid"


def test_a_header_that_is_asked_for_and_appears(project: Project) -> None:
    project.write(
        "csrc/told.h",
        "#define HAS(name) __has_include(name)\n"
        '#if HAS("maybe.h")\n#include "maybe.h"\n#elif __has_include(<perhaps.h>)\n#include <perhaps.h>\n'
        '#else\n#define TOLD "none"\n#endif\n',
    )
    project.configure('include-dirs = ["include"]')
    (project.root / "include").mkdir()
    assert project.build().told == "none"
    assert not project.build().linked
    project.tell("perhaps", "include/perhaps.h")
    assert project.build().told == "perhaps"
    project.tell("maybe", "csrc/maybe.h")
    assert project.build().told == "maybe"


def test_files_that_options_and_assembly_name(project: Project) -> None:
    project.configure('include-dirs = ["include"]', 'flags = ["-include", "prefix.h"]')
    table = project.write("table.txt", "first")
    project.tell("one", "include/prefix.h")
    project.write(
        "csrc/told.h",
        f'asm(".section .rodata.told\\n.hidden table\\n.globl table\\ntable: .incbin \\"{table}\\"\\n.text");\n'
        'extern "C" const char table[];\nstatic const void* volatile data;\n'
        "__attribute__((constructor)) static void use() { data = table; }\n",
    )
    _grow_old()
    assert project.build().told == "one"
    assert not project.build().linked
    project.tell("two", "include/prefix.h")
    assert project.build().told == "two"
    table.write_text("again", encoding="utf-8")
    assert b"again" in project.build().library


def test_the_time_is_not_kept_unless_it_is_fixed(project: Project) -> None:
    project.write("csrc/told.h", "#define TOLD __DATE__ __TIME__\n")
    for _ in range(2):
        built = project.build()
        assert built.compiled
        assert "not kept for other builds" in built.log
        assert "__DATE__" in built.log
    fixed = project.build(SOURCE_DATE_EPOCH="0")
    assert fixed.told.startswith("Jan  1 1970")
    assert not project.build(SOURCE_DATE_EPOCH="0").linked
    assert project.build(SOURCE_DATE_EPOCH="1").told == "Jan  1 197000:00:01"
    project.tell("one")
    assert project.build(SOURCE_DATE_EPOCH="0").told == "one"
    assert not project.build(SOURCE_DATE_EPOCH="1").linked, "nothing asks for the time any more"


def test_what_changes_while_it_is_compiled_is_not_kept(project: Project, tmp_path: Path) -> None:
    header = project.root / "csrc" / "told.h"
    compiler = tmp_path / "changing"
    compiler.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, subprocess, sys\n"
        f"header, go = pathlib.Path({str(header)!r}), pathlib.Path({str(tmp_path / 'go')!r})\n"
        "changes = go.exists() and any(word.endswith('told.cpp') for word in sys.argv)\n"
        "if changes: header.write_text(header.read_text().replace('one', '666'))\n"
        f"done = subprocess.run([{shutil.which('c++')!r}, *sys.argv[1:]])\n"
        "if changes: header.write_text(header.read_text().replace('666', 'one'))\n"
        "sys.exit(done.returncode)\n",
        encoding="utf-8",
    )
    compiler.chmod(0o755)
    project.environ["CXX"] = str(compiler)
    (tmp_path / "go").touch()
    during = project.build()
    assert during.told == "666"
    assert "changed while the build ran" in during.log
    (tmp_path / "go").unlink()
    after = project.build()
    assert (after.told, after.compiled) == ("one", True)
    assert not project.build().linked


def test_what_the_linker_reads(project: Project, tmp_path: Path, archive: str) -> None:
    near, far, library = tmp_path / "near", tmp_path / "far", tmp_path / "libwhole.a"
    near.mkdir()
    far.mkdir()

    def make(path: Path, word: str) -> None:
        subprocess.run([archive, path, word], check=True)  # noqa: TID251 (a tool of the test)

    make(library, "one")
    whole = f"-Wl,--whole-archive,{library},--no-whole-archive"
    project.configure(f'link-flags = ["{whole}"]')
    assert b"value:one;" in project.build().library
    assert not project.build().linked, "linker options do not keep anything from being kept"
    make(library, "two")
    built = project.build()
    assert b"value:two;" in built.library
    assert not built.compiled

    make(far / "libnamed.a", "far")
    _grow_old()
    named = "-Wl,--whole-archive,-lnamed,--no-whole-archive"
    project.configure(f'link-flags = ["-L{near}", "-L{far}", "{named}"]')
    built = project.build()
    assert b"value:far;" in built.library
    assert not built.compiled, "what only the linker is told reaches no object"
    assert not project.build().linked
    make(near / "libnamed.a", "near")
    assert b"value:near;" in project.build().library

    script = tmp_path / "libscript.a"
    script.write_text(f"INPUT({far / 'libnamed.a'})\n", encoding="utf-8")
    project.configure(f'link-flags = ["-Wl,--whole-archive,{script},--no-whole-archive"]')
    assert b"value:far;" in project.build().library
    script.write_text(f"INPUT({near / 'libnamed.a'})\n", encoding="utf-8")
    assert b"value:near;" in project.build().library


def test_only_the_source_that_changed_is_compiled(project: Project, tmp_path: Path) -> None:
    for name in ("other", "third"):  # three sources share a precompiled header
        project.write(f"csrc/{name}.cpp", f'static_assert(true, "{tmp_path}");\nint {name}() {{ return 1; }}\n')
    assert project.build().told == "one"
    project.tell("two")
    mixed = project.build()
    assert "2 objects are taken from the cache" in mixed.log
    folder = {"build-dir": str(tmp_path / "whole")}  # of which nothing is taken from the cache
    assert project.build(settings=folder).library == mixed.library


def test_a_library_that_was_refused_is_not_kept(project: Project) -> None:
    project.configure('link-flags = ["-Wl,-rpath,/opt/elsewhere"]')
    with pytest.raises(AssertionError, match="/opt/elsewhere"):
        project.build()
    with pytest.raises(AssertionError, match="compiling host code"):
        project.build()
