"""What becomes of environment variables on their way to compilers, linkers and CMake."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._environment import (
    Does,
    anchored,
    device_environment,
    load_variables,
    reaching,
    tool_environment,
    tool_variables,
    uncovered,
)
from gpuwheel._environment.table import check_table, document
from gpuwheel.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONDA = "/opt/conda"
# As activate-gcc.sh, activate-g++.sh and activate.sh of cuda-nvcc set them on x86_64, for the prefix above.
CONDA_ACTIVATED = {
    "CONDA_PREFIX": CONDA,
    "CC": f"{CONDA}/bin/x86_64-conda-linux-gnu-cc",
    "CXX": f"{CONDA}/bin/x86_64-conda-linux-gnu-c++",
    "AR": f"{CONDA}/bin/x86_64-conda-linux-gnu-ar",
    "LD": f"{CONDA}/bin/x86_64-conda-linux-gnu-ld",
    "HOST": "x86_64-conda-linux-gnu",
    "CFLAGS": f"-march=nocona -mtune=haswell -O2 -isystem {CONDA}/include  -I{CONDA}/targets/x86_64-linux/include",
    "CXXFLAGS": "-fvisibility-inlines-hidden -fmessage-length=0 -march=nocona -mtune=haswell -ftree-vectorize -fPIC "
    f"-fstack-protector-strong -fno-plt -O2 -ffunction-sections -pipe -isystem {CONDA}/include "
    f" -I{CONDA}/targets/x86_64-linux/include -I{CONDA}/targets/x86_64-linux/include/cccl",
    "CPPFLAGS": f"-DNDEBUG -D_FORTIFY_SOURCE=2 -O2 -isystem {CONDA}/include",
    "LDFLAGS": "-Wl,-O2 -Wl,--sort-common -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,--disable-new-dtags "
    f"-Wl,--gc-sections -Wl,--allow-shlib-undefined -Wl,-rpath,{CONDA}/lib -Wl,-rpath-link,{CONDA}/lib -L{CONDA}/lib "
    f" -L{CONDA}/targets/x86_64-linux/lib -L{CONDA}/targets/x86_64-linux/lib/stubs",
    "LDFLAGS_LD": f"-O2 -rpath {CONDA}/lib",
    "CMAKE_PREFIX_PATH": f"{CONDA}:{CONDA}/x86_64-conda-linux-gnu/sysroot/usr",
    "CMAKE_ARGS": f"-DCMAKE_AR={CONDA}/bin/x86_64-conda-linux-gnu-ar -DCMAKE_CXX_COMPILER_AR={CONDA}/bin/gcc-ar "
    f"-DCMAKE_RANLIB={CONDA}/bin/ranlib -DCMAKE_C_COMPILER_RANLIB={CONDA}/bin/gcc-ranlib "
    f"-DCMAKE_LINKER={CONDA}/bin/ld -DCMAKE_STRIP={CONDA}/bin/strip -DCMAKE_BUILD_TYPE=Release",
    "CONDA_BUILD_SYSROOT": f"{CONDA}/x86_64-conda-linux-gnu/sysroot",
    "NVCC_PREPEND_FLAGS": f" -ccbin={CONDA}/bin/x86_64-conda-linux-gnu-c++",
    "NVCC_APPEND_FLAGS": "",
}


def test_each_variable_has_a_source_a_reader_and_what_follows() -> None:
    assert len(load_variables()) > 150
    for variable in load_variables():
        assert variable.source
        assert variable.read_by
        assert variable.follows


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda table: table["variables"][0].pop(key)


@pytest.mark.parametrize(
    ("spoil", "law"),
    [
        (_without("names"), "has no name"),
        (_without("read-by"), "has no reader"),
        (_without("source"), "has no known source"),
        (lambda table: table["variables"][0].update(source="hearsay"), "has no known source"),
        (_without("follows"), "does not say what follows"),
        (lambda table: table["variables"][0].update(does="ignore"), "does 'ignore'"),
        (lambda table: table["variables"][0].update(rewrite="upper"), "unknown rewrite"),
        (lambda table: table["variables"][0].update(modes=["debug"]), "unknown mode"),
        (lambda table: table["variables"][0].update(elsewhere="x"), "no mode"),
        (lambda table: table["variables"].append(table["variables"][0]), "twice"),
        (lambda table: table["variables"][0].update(names=["A*B"]), "inside of A*B"),
        (lambda table: table["variables"].insert(0, {**table["variables"][0], "names": ["C*"]}), "comes after C*"),
        (lambda table: table["variables"][0].update(secret=True), "shows a secret"),
        (lambda table: table["words"][0].update(follows=" "), "does not say what follows"),
    ],
)
def test_a_table_that_breaks_a_law_is_refused(spoil: Callable[[dict[str, Any]], object], law: str) -> None:
    table = copy.deepcopy(dict(document()))
    spoil(table)
    with pytest.raises(DataError) as caught:
        check_table(table)
    assert law in caught.value.message


@pytest.mark.parametrize("variable", [v for v in load_variables() if v.rewrite is None], ids=lambda v: v.name)
def test_the_table_is_what_happens(variable: Any) -> None:  # noqa: ANN401 (a row, named by its id)
    name = variable.name.replace("*", "ANY_OTHER") if variable.name != "LC_*" else "LC_TIME"
    environ = {name: "something"}
    if variable.device:
        assert name not in device_environment(environ)
    elif variable.does is Does.REFUSE:
        with pytest.raises(ConfigError) as caught:
            tool_environment(environ)
        assert caught.value.hint == variable.follows
    else:
        tools = tool_environment(environ)
        kept = variable.does is not Does.NEUTRALISE and not variable.hidden
        assert tools.variables.get(name) == ("something" if kept else document()["fixed"].get(name))
        assert (name in tools.key) == (variable.does is Does.HONOUR)
        said = [line for line in (*tools.notes, *tools.warnings) if line.startswith(f"{name} ")]
        expected = 0 if variable.quiet or variable.does in {Does.TAKE, Does.THROUGH} else 1
        assert len(said) == expected


def test_conda_activated_needs_no_edit() -> None:
    tools = tool_environment(CONDA_ACTIVATED, "nvcc")
    assert tools.variables["LDFLAGS"].split() == [
        word for word in CONDA_ACTIVATED["LDFLAGS"].split() if word != f"-Wl,-rpath,{CONDA}/lib"
    ]
    assert tools.variables["CXXFLAGS"].split() == CONDA_ACTIVATED["CXXFLAGS"].replace(" -I", " -isystem ").split()
    assert tools.variables["CMAKE_ARGS"] == CONDA_ACTIVATED["CMAKE_ARGS"]
    assert "NVCC_PREPEND_FLAGS" not in tools.variables
    assert "CPPFLAGS" not in tools.variables
    assert tools.uncovered == (), "what is built under conda is kept"
    assert tools.key.keys() == {
        *("CC", "CFLAGS", "CXXFLAGS", "LDFLAGS", "CMAKE_PREFIX_PATH", "CMAKE_ARGS", "CONDA_BUILD_SYSROOT")
    }
    assert len(tools.warnings) == 2
    assert any(line.startswith(f"-rpath {CONDA}/lib of LDFLAGS is left out: ") for line in tools.warnings)
    assert any(line.startswith("CPPFLAGS is not used: CMake does not read it") for line in tools.warnings)


@pytest.mark.parametrize("name", ["LDFLAGS", "CXXFLAGS"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("-Wl,-rpath,/a -L/b", "-L/b"),
        ("-Wl,-rpath=/a", ""),
        ("-Wl,-rpath -Wl,/a -O1", "-O1"),
        ("-Wl,-O2,-rpath,/a,--sort-common", "-Wl,-O2,--sort-common"),
        ("-Wl,-R,/a -Wl,-R/b -Wl,--rpath,/c", ""),
        ("-Xlinker -rpath -Xlinker /a -lz", "-lz"),
        ("-Xlinker -O1", "-Wl,-O1"),
        ("-rpath /a", ""),
        ("-Wl,-rpath,'$ORIGIN/../lib'", ""),
        ("-Wl,-rpath-link,/a -Wl,--enable-new-dtags", "-Wl,-rpath-link,/a -Wl,--enable-new-dtags"),
        ("-Wl,-rpath", ""),
        ("  -O2   -DA='b c'", "  -O2   -DA='b c'"),
    ],
)
def test_folders_that_libraries_would_remember_are_left_out(name: str, given: str, kept: str) -> None:
    tools = tool_environment({name: given})
    assert tools.variables.get(name, "") == kept
    assert bool(tools.warnings) == (given not in {kept, "-Xlinker -O1"})


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("CXXFLAGS", "-I/a -I /b -isystem /c -iquote /d", "-isystem /a -isystem /b -isystem /c -isystem /d"),
        ("CXXFLAGS", "-I/usr/include -O2", "-O2"),
        ("CUDAFLAGS", "--include-path=/a -Xptxas -O1", "-isystem /a -Xptxas -O1"),
        ("NVCC_APPEND_FLAGS", "-gencode arch=compute_80,code=sm_80 -arch=sm_90 -lineinfo", "-lineinfo"),
        ("NVCC_PREPEND_FLAGS", "-ccbin /usr/bin/g++-12 --compiler-bindir=/x -O1", "-O1"),
        (
            "CMAKE_ARGS",
            "-DCMAKE_CXX_FLAGS:STRING=-I/a -D CMAKE_AR=/ar",
            "'-DCMAKE_CXX_FLAGS:STRING=-isystem /a' -DCMAKE_AR=/ar",
        ),
        ("CMAKE_ARGS", "-DCMAKE_INSTALL_RPATH=/a -DCMAKE_CUDA_ARCHITECTURES=80 -DCMAKE_AR=/ar", "-DCMAKE_AR=/ar"),
    ],
)
def test_options_that_would_bend_a_build_are_left_out_or_come_last(name: str, given: str, kept: str) -> None:
    assert tool_variables({name: given})[name].startswith(kept)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"CXXFLAGS": "-O2 -stdlib=libc++"}, "environment CXXFLAGS has -stdlib=libc++"),
        ({"LDFLAGS": "-stdlib=libc++"}, "environment LDFLAGS has -stdlib=libc++"),
        ({"CMAKE_ARGS": "-DCMAKE_CXX_FLAGS=-stdlib=libc++"}, "environment CMAKE_ARGS has -stdlib=libc++"),
        ({"CMAKE_ARGS": "-DCMAKE_CXX_COMPILER=clang++"}, "environment CMAKE_ARGS has -DCMAKE_CXX_COMPILER"),
        ({"CMAKE_ARGS": "-DCMAKE_CUDA_HOST_COMPILER=g++"}, "environment CMAKE_ARGS has -DCMAKE_CUDA_HOST"),
        ({"CMAKE_TOOLCHAIN_FILE": "/a.cmake"}, "environment CMAKE_TOOLCHAIN_FILE is set"),
        ({"LDFLAGS": "-L'/a"}, "environment LDFLAGS cannot be read"),
    ],
)
def test_what_cannot_be_built_with_is_refused_with_the_way_out(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tool_environment(environ)
    assert caught.value.message.startswith(named)
    assert caught.value.hint


def test_folders_of_cpath_come_after_those_of_every_option() -> None:
    tools = tool_environment(
        {"CPATH": "/old/cuda/include::/usr/include/", "CPLUS_INCLUDE_PATH": "/mine:/old/cuda/include"}
    )
    assert "CPATH" not in tools.variables
    assert tools.variables["CPLUS_INCLUDE_PATH"] == "/old/cuda/include:/mine"
    assert tools.variables["C_INCLUDE_PATH"] == "/old/cuda/include"
    assert tools.key == {name: tools.variables[name] for name in ("C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")}
    assert any(line.startswith("CPATH reaches no compiler as it is: ") for line in tools.warnings)


def test_folders_ahead_of_all_options_of_nvcc_come_after_them() -> None:
    tools = tool_environment({"NVCC_PREPEND_FLAGS": "-I/a -O1 -isystem '/b c'", "NVCC_APPEND_FLAGS": "-lineinfo"})
    assert tools.variables["NVCC_PREPEND_FLAGS"] == "-O1"
    assert tools.variables["NVCC_APPEND_FLAGS"] == "-lineinfo -isystem /a -isystem '/b c'"
    assert tools.key["NVCC_APPEND_FLAGS"] == tools.variables["NVCC_APPEND_FLAGS"]
    assert tool_variables(tools.variables) == tools.variables


def test_what_was_made_once_stays_as_it_is() -> None:
    once = tool_variables({**CONDA_ACTIVATED, "CPATH": "/a", "LANG": "de_DE.UTF-8"})
    assert tool_variables(once) == once
    assert reaching(once) == reaching({**CONDA_ACTIVATED, "CPATH": "/a"})


def test_an_empty_variable_is_none() -> None:
    tools = tool_environment({"CMAKE_TOOLCHAIN_FILE": "", "CXXFLAGS": "", "CPATH": ""})
    assert (tools.key, tools.warnings, tools.notes) == ({}, (), ())


def test_settings_of_a_build_that_no_key_covers_are_named() -> None:
    assert uncovered({"CMAKE_ARGS": "-DCMAKE_BUILD_TYPE=Release"}) == ()
    assert uncovered({"CMAKE_ARGS": "-C cache.cmake"}) == ("CMAKE_ARGS",)
    assert uncovered({"CMAKE_ARGS": "-DFoo_DIR=/opt/foo"}) == ("CMAKE_ARGS",)
    assert uncovered({"SKBUILD_CMAKE_DEFINE": "A=1", "CMAKE_SOMETHING": "x"}) == (
        "CMAKE_SOMETHING",
        "SKBUILD_CMAKE_DEFINE",
    )


def test_the_device_compilers_see_nothing_that_could_reach_an_image() -> None:
    given = {
        "NVRTC_APPEND_FLAGS": "-G",
        "CUDA_CACHE_PATH": "/a",
        "CUTILE_X": "1",
        "HOME": "/h",
        "LD_LIBRARY_PATH": "/l",
    }
    assert device_environment(given) == {"HOME": "/h", "LD_LIBRARY_PATH": "/l", "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        ("GPUWHEEL_CACHE_DIR", "cache", "{root}/cache"),
        ("GPUWHEEL_CACHE_DIR", "~/cache", "~/cache"),
        ("CUDA_HOME", "/usr/local/cuda", "/usr/local/cuda"),
        ("PATH", "bin:/usr/bin::tools/bin", "{root}/bin:/usr/bin:{root}/:{root}/tools/bin"),
        ("PIP_CONSTRAINT", "held.txt  https://host/c.txt absent.txt", "{root}/held.txt  https://host/c.txt absent.txt"),
        ("UV_FIND_LINKS", "wheels,/opt/wheels", "{root}/wheels,/opt/wheels"),
        ("CXX", "ccache ./tools/g++ -Itools", "ccache {root}/tools/g++ -Itools"),
        ("CXX", "my tools/g++", "{root}/my tools/g++"),
        ("CXX", "g++ -DVAL=7", "g++ -DVAL=7"),
        ("CMAKE_CXX_COMPILER_LAUNCHER", "tools/g++;--flag", "{root}/tools/g++;--flag"),
        ("CXXFLAGS", "-Itools", "-Itools"),
        ("CUDA_HOME", "", ""),
    ],
)
def test_a_relative_path_means_a_file_of_the_project(name: str, given: str, meant: str, tmp_path: Path) -> None:
    for folder in ("tools", "my tools", "wheels"):
        (tmp_path / folder).mkdir()
    for file in ("tools/g++", "my tools/g++", "held.txt", "g++"):
        (tmp_path / file).touch()
    once = anchored({name: given, "OTHER": "tools/g++"}, tmp_path)
    assert once[name].replace("/./", "/").replace(f"{tmp_path}:", f"{tmp_path}/:") == meant.format(root=tmp_path)
    assert once["OTHER"] == "tools/g++"
    assert anchored(once, tmp_path / "tools") == once
