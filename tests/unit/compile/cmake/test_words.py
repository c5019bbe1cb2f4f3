"""Words of the user on their way to the tools: none is dropped, parted from its value, or left relative."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.cmake.user_words import Words, link_words, nvcc_words

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a few files that options name."""
    (tmp_path / "dir").mkdir()
    for name in ("own.h", "link.ld"):
        (tmp_path / name).touch()
    return tmp_path


def _in_file(words: Words) -> list[str]:
    return words.text.replace("\\", "").splitlines()


@pytest.mark.parametrize(
    ("flags", "own", "behind"),
    [
        (["-D", "FOO=1", "-lineinfo"], ["-DFOO=1", "-lineinfo"], []),
        (["-D", 'FOO="a"', "-D", "BAR"], ["-DBAR"], ['-DFOO="a"']),
        (['--define-macro=FOO="a"', "--define-macro", "BAR"], ["-DBAR"], ['-DFOO="a"']),
        (["-DF(x)=x", "-lineinfo"], ["-lineinfo"], ["-DF(x)=x"]),
        (["-Xcompiler", '-DFOO="a"', "-lineinfo"], ["-lineinfo"], ['-DFOO="a"']),
        (["-Xcompiler", '-DFOO="a",-DBAR', "-lineinfo"], ["-lineinfo"], ['-DFOO="a"', "-DBAR"]),
        (["--compiler-options=-Idir", "-Xcompiler", "-g"], [], ["-I{root}/dir", "-g"]),
        (["-Xcompiler", "-include,own.h"], [], ["-include", "{root}/own.h"]),
        (["-Xcompiler", "-fopenmp", "-DFOO"], ["-Xcompiler", "-fopenmp", "-DFOO"], []),
        (["-Xptxas", "-v", "-U", "FOO"], ["-Xptxas", "-v", "-U", "FOO"], []),
    ],
)
def test_words_of_nvcc_and_of_its_host_compiler(
    root: Path, flags: list[str], own: list[str], behind: list[str]
) -> None:
    for_nvcc, for_host = nvcc_words(flags, root)
    assert list(for_nvcc.given) == own
    assert _in_file(for_host) == [word.format(root=root) for word in behind]


@pytest.mark.parametrize(
    ("flags", "driver", "linker"),
    [
        (["-T", "link.ld"], [], ["-T{root}/link.ld"]),
        (["-Wl,-T,link.ld"], [], ["-T", "{root}/link.ld"]),
        (["-T", "beside-the-linker.ld"], [], ["-Tbeside-the-linker.ld"]),
        (["-Wl,-L,dir", "-ldep"], [], ["-L", "{root}/dir", "-ldep"]),
        (["-L", "dir"], [], ["-L{root}/dir"]),
        (["-e", "start", "-ldep"], ["-e", "start"], ["-ldep"]),
        (["-isystem", "dir", "-D", "FOO"], ["-isystem", "{root}/dir", "-D", "FOO"], []),
    ],
)
def test_words_of_the_link(root: Path, flags: list[str], driver: list[str], linker: list[str]) -> None:
    link = link_words(flags, root)
    assert list(link.driver.given) == [word.format(root=root) for word in driver]
    assert _in_file(link.linker) == [word.format(root=root) for word in linker]


def test_a_script_of_the_linker_is_an_input(root: Path) -> None:
    assert link_words(["-T", "link.ld"], root).files == (root / "link.ld",)
    assert link_words(["-Wl,-T,link.ld"], root).files == (root / "link.ld",)


def test_a_word_may_be_longer_than_any_name(root: Path) -> None:
    word = "-Wl,--defsym=a=" + "b" * 5000
    assert "b" * 5000 in link_words([word, "-ldep"], root).linker.text
