"""From what a build read to what is noted, on folders made by hand: no compiler runs."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._cache.file_state import YOUNG, state_of
from gpuwheel.compile.reuse.evidence import Evidence, NotKeptError, Setting
from gpuwheel.compile.reuse.facts import Places
from gpuwheel.compile.reuse.index import FileIndex
from gpuwheel.compile.reuse.made import Made

if TYPE_CHECKING:
    from pathlib import Path


class Build:
    """A finished CMake folder in which one target was compiled."""

    def __init__(self, tmp_path: Path) -> None:
        self.root, self.work = tmp_path / "project", tmp_path / "work"
        (self.work / "build").mkdir(parents=True)
        self.include = tmp_path / "first", tmp_path / "second"
        for folder in (self.root, *self.include):
            folder.mkdir()
        self.cache = Cache(tmp_path / "cache")
        words = ["false", *(f"-I{folder}" for folder in self.include)]
        self.made = Made(
            build=self.work / "build",
            objects={},
            read={"target": set()},
            commands={"target": [words]},
            link_commands=[],
            link_read=set(),
            scripts=set(),
            variables={},
        )
        self.setting = Setting(
            root=self.root,
            places=Places.of({str(self.root): "."}),
            host=("false",),
            toolkit=None,
            library_dirs=(),
            environ=dict(os.environ),
            adds_options=False,
            before={},
            start=time.time_ns() + 2 * YOUNG,  # what the test wrote is old by then
            sealed=str(tmp_path / "cache") + os.sep,
        )

    def write(self, path: Path, text: str = "") -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def reads(self, *paths: str) -> None:
        self.made.read["target"] |= set(paths)

    def facts(self) -> tuple[set[str], set[str]]:
        evidence = Evidence(self.made, self.setting, FileIndex(self.cache, "test"))
        evidence.look(["target"])
        facts = evidence.compiled(["target"])
        return set(facts.read) | set(facts.sources), set(facts.absent)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_a_folder_that_is_searched_before_is_noted_with_the_name(build: Build) -> None:
    first, second = build.include
    header = build.write(second / "deep" / "a.h")
    source = build.write(build.root / "a.cpp")
    build.reads(header, source)
    read, absent = build.facts()
    assert {header, "<.>/a.cpp"} <= read
    assert str(first / "deep") in absent
    (first / "deep").mkdir()
    assert str(first / "deep" / "a.h") in build.facts()[1]


def test_quoted_includes_are_looked_for_beside_the_file(build: Build) -> None:
    header = build.write(build.include[1] / "a.h")
    build.reads(header, build.write(build.root / "csrc" / "a.cpp", '#include "a.h"\n#include "../b.h"\n'))
    assert {"<.>/csrc/a.h", "<.>/csrc/../b.h"} <= build.facts()[1]


def test_what_a_macro_includes_is_looked_for_beside_the_file(build: Build) -> None:
    header = build.write(build.include[1] / "deep" / "a.h")
    build.reads(header, build.write(build.root / "csrc" / "a.cpp", "#include NAME\n"))
    assert "<.>/csrc/deep" in build.facts()[1]


def test_a_header_that_is_asked_for_counts_there_or_not(build: Build) -> None:
    here = build.write(build.include[1] / "here.h")
    text = "#if __has_include(<here.h>) || __has_include(<gone.h>)\n#endif\n"
    build.reads(build.write(build.root / "a.cpp", text))
    read, absent = build.facts()
    assert here in read
    assert {str(folder / "gone.h") for folder in build.include} <= absent


def test_headers_behind_links_count_by_the_name_that_was_searched(build: Build, tmp_path: Path) -> None:
    real = build.write(tmp_path / "store" / "a.h")
    link = build.include[1] / "deep" / "a.h"
    link.parent.mkdir()
    link.symlink_to(real)
    build.reads(real, build.write(build.root / "a.cpp", "#include <deep/a.h>\n"))
    read, absent = build.facts()
    assert {real, str(link)} <= read
    assert str(build.include[0] / "deep") in absent


def test_a_file_that_changed_meanwhile(build: Build) -> None:
    path = build.root / "a.cpp"
    build.reads(build.write(path))
    before = state_of(str(path))
    build.setting = replace(build.setting, before={str(path): before}, start=time.time_ns())
    assert build.facts()[0] == {"<.>/a.cpp"}, "known before, however young"
    time.sleep(0.02)  # a tick of the clock of file systems
    build.write(path)
    with pytest.raises(NotKeptError, match=r"a\.cpp changed while the build ran"):
        build.facts()
    build.setting = replace(build.setting, before={})
    with pytest.raises(NotKeptError, match="or just before"):
        build.facts()


def test_a_file_that_appeared_meanwhile_where_it_was_looked_for(build: Build) -> None:
    build.reads(build.write(build.include[1] / "a.h"))
    build.setting = replace(build.setting, before={str(build.include[1] / "a.h"): state_of(f"{build.include[1]}/a.h")})
    build.setting = replace(build.setting, start=time.time_ns())
    build.write(build.include[0] / "a.h")
    with pytest.raises(NotKeptError, match="appeared while the build ran"):
        build.facts()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("int a = __LINE__; char b[] = __TIME__;", "__TIME__"),
        ("#if __has_include(NAME)\n#endif", r"__has_include\(NAME\)"),
        ('asm(".incbin \\"missing\\"");', "missing, which is not found"),
        ("import thing;", "import"),
        ('asm(".include \\"a.inc\\"");', ".include of the assembler"),
    ],
)
def test_what_cannot_be_followed_is_not_kept(build: Build, text: str, why: str) -> None:
    build.reads(build.write(build.root / "a.cpp", text))
    with pytest.raises(NotKeptError, match=why):
        build.facts()


def test_a_file_that_is_named_by_its_whole_path_is_looked_at_alone(build: Build, tmp_path: Path) -> None:
    table = build.write(tmp_path / "a-folder-with-a-long-name" / "deep" / "table.txt", "1")
    build.reads(build.write(build.root / "a.cpp", f'asm(".incbin \\"{table}\\"");'))
    time.sleep(0.02)  # a tick of the clock of file systems
    start = time.time_ns()
    time.sleep(0.02)
    (tmp_path / "a-folder-with-a-long-name" / "deep" / "another").touch()
    build.setting = replace(build.setting, start=start + YOUNG)
    assert table in build.facts()[0]


@pytest.mark.parametrize(
    ("says", "text", "epoch"),
    [
        ("Jan  1 1970", "char b[] = __TIME__;", "1"),
        ("Jan  1 1970", "// __TIME__", None),
        ("Jan  1 1970", "char b[] = __TIME__ __TIMESTAMP__;", "not kept"),
        ("Nov 30 2026", "char b[] = __DATE__;", "not kept"),
    ],
)
def test_the_time_that_is_fixed_is_noted_where_a_source_asks(
    build: Build, tmp_path: Path, says: str, text: str, epoch: str | None
) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\necho '\"{says}\"'\n", encoding="utf-8")
    compiler.chmod(0o755)
    environ = {**build.setting.environ, "SOURCE_DATE_EPOCH": "1"}
    build.setting = replace(build.setting, host=(str(compiler),), environ=environ)
    build.reads(build.write(build.root / "a.cpp", text))
    evidence = Evidence(build.made, build.setting, FileIndex(build.cache, "test"))
    evidence.look(["target"])
    if epoch == "not kept":
        with pytest.raises(NotKeptError, match=r"a\.cpp has __"):
            evidence.compiled(["target"])
    else:
        assert evidence.compiled(["target"]).epoch == epoch


def test_what_options_name_counts(build: Build) -> None:
    script = build.write(build.root / "a.spec")
    build.made.commands["target"][0].append(f"-specs={script}")
    build.reads(build.write(build.root / "a.cpp"))
    assert "<.>/a.spec" in build.facts()[0]
    build.made.commands["target"][0].append(f"-fprofile-use={build.root}/csrc")
    (build.root / "csrc").mkdir()
    with pytest.raises(NotKeptError, match="-fprofile-use="):
        build.facts()


def test_a_file_outside_that_may_have_been_found_from_inside_binds_to_the_place(build: Build, tmp_path: Path) -> None:
    build.reads(build.write(build.root / "a.cpp", '#include "../beside.h"'), build.write(tmp_path / "beside.h"))
    evidence = Evidence(build.made, build.setting, FileIndex(build.cache, "test"))
    evidence.look(["target"])
    assert evidence.compiled(["target"]).root == str(build.root)


def test_libraries_are_looked_for_in_every_folder(build: Build, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    found = build.write(far / "libz.a")
    made = replace(build.made, link_read={found}, link_commands=[["false", f"-L{near}", f"-L{far}", "-lz"]])
    facts = Evidence(made, build.setting, FileIndex(build.cache, "test")).linked()
    assert set(facts.read) == {found}
    assert {str(near / "libz.so"), str(near / "libz.a"), str(far / "libz.so")} <= facts.absent
    of_the_compiler = replace(made, link_read={found, f"{tempfile.gettempdir()}/ccAbCdEf.ltrans0.ltrans.o"})
    assert set(Evidence(of_the_compiler, build.setting, FileIndex(build.cache, "test")).linked().read) == {found}
    gone = replace(made, link_read={found, str(near / "libgone.a")})
    with pytest.raises(NotKeptError, match=r"libgone\.a is gone"):
        Evidence(gone, build.setting, FileIndex(build.cache, "test")).linked()
    silent = replace(made, link_read=None)
    with pytest.raises(NotKeptError, match="does not say what it reads"):
        Evidence(silent, build.setting, FileIndex(build.cache, "test")).linked()


def _of_sources(build: Build) -> set[str]:
    evidence = Evidence(build.made, build.setting, FileIndex(build.cache, "test"))
    evidence.look(["target"])
    return set(evidence.compiled(["target"]).sources)


def test_of_the_sources_of_the_project_tokens_count(build: Build) -> None:
    header = build.write(build.include[1] / "a.h")
    build.reads(header, build.write(build.root / "a.cpp", "#include <a.h>\n"))
    assert _of_sources(build) == {"<.>/a.cpp"}
    build.made.commands["target"][0].append("-g")
    assert _of_sources(build) == set()


@pytest.mark.parametrize("text", ['#pragma GCC diagnostic error "-Wcomment"\n', 'asm(".incbin \\"a.cpp\\"");\n'])
def test_where_a_source_says_so_all_of_it_counts(build: Build, text: str) -> None:
    build.reads(build.write(build.root / "a.cpp", text))
    assert _of_sources(build) == set()


def test_where_an_object_has_lines_of_its_sources_all_of_them_counts(build: Build) -> None:
    build.write(build.work / "a.o", "a section .debug_line")
    build.made.objects[("target", "a.cpp")] = build.work / "a.o"
    build.reads(build.write(build.root / "a.cpp"))
    assert _of_sources(build) == set()
    build.write(build.work / "a.o", "no such section")
    assert _of_sources(build) == {"<.>/a.cpp"}


def test_options_in_files_and_variables_count_as_others(build: Build, tmp_path: Path) -> None:
    build.reads(build.write(build.root / "a.cpp"))
    named = build.write(tmp_path / "words", "-Wall -Werror")
    build.made.commands["target"][0].append(f"@{named}")
    assert _of_sources(build) == set()
    build.write(tmp_path / "words", "-Wall")
    assert _of_sources(build) == {"<.>/a.cpp"}
    build.setting = replace(build.setting, environ={**build.setting.environ, "NVCC_APPEND_FLAGS": "-lineinfo"})
    assert _of_sources(build) == set()


def test_where_a_driver_may_add_options_all_of_it_counts(build: Build) -> None:
    build.reads(build.write(build.root / "a.cpp"))
    build.setting = replace(build.setting, adds_options=True)
    assert _of_sources(build) == set()
