"""What of an environment another machine is told: words for compilers, and no secret whatever its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwheel._environment import arrived, load_variables, staying, tool_environment, travelling
from gpuwheel._environment.table import document

MARK = "marked-secret"
SECRETS = [
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN"),
    *("TWINE_PASSWORD", "TWINE_USERNAME", "HATCH_INDEX_AUTH", "UV_PUBLISH_TOKEN", "UV_INDEX_OURS_PASSWORD", "NETRC"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "GPUWHEEL_INDEX_URL", "HTTPS_PROXY"),
    *("SSH_AUTH_SOCK", "GPG_KEY", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"),
    *(
        "CCACHE_REMOTE_STORAGE",
        "SCCACHE_REDIS",
        "SCCACHE_GCS_KEY_PATH",
        "HF_TOKEN",
        "PASSWORD",
        "cxxflags",
        "CXXFLAGS_",
    ),
    *("PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "GPUWHEEL_CACHE_DIR", "NINJA_STATUS", "MAX_JOBS"),
]


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_travels(name: str) -> None:
    assert MARK not in str(travelling({name: f"https://user:{MARK}@index", "CXXFLAGS": "-O2"}))


@given(st.dictionaries(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", min_size=1, max_size=30), st.just(MARK)))
def test_what_the_table_does_not_know_never_travels(environ: dict[str, str]) -> None:
    known = {variable.name.rstrip("*") for variable in load_variables()} | {"GPUWHEEL_"}
    unknown = {name: value for name, value in environ.items() if not name.startswith(tuple(known))}
    assert travelling(unknown) == {}


def test_what_travels_is_written_down_one_by_one() -> None:
    assert [variable.name for variable in load_variables() if variable.travels] == [
        *("CFLAGS", "CXXFLAGS", "ASMFLAGS", "LDFLAGS", "CUDAFLAGS", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"),
        *("SOURCE_DATE_EPOCH", "CMAKE_ARGS"),
        *("CMAKE_BUILD_TYPE", "CMAKE_POLICY_VERSION_MINIMUM", "CMAKE_DISABLE_PRECOMPILE_HEADERS"),
        *("CSFLAGS", "FFLAGS", "HIPFLAGS", "ISPCFLAGS", "OBJCFLAGS", "OBJCXXFLAGS", "RCFLAGS", "CMAKE_*", "SKBUILD_*"),
        "TORCH_CUDA_ARCH_LIST",
    ]


def test_no_variable_of_gpuwheel_that_is_no_setting_travels() -> None:
    own = document()["own"]
    assert "GPUWHEEL_INDEX_URL" in own
    assert travelling(dict.fromkeys(own, MARK)) == {}


def test_words_for_compilers_and_settings_travel() -> None:
    words = {
        "CXXFLAGS": "-O3",
        "LDFLAGS": "-Wl,--as-needed",
        "NVCC_APPEND_FLAGS": "-lineinfo",
        "SOURCE_DATE_EPOCH": "1700000000",
        "TORCH_CUDA_ARCH_LIST": "9.0",
        "GPUWHEEL_ARCHS": "9.0",
        "GPUWHEEL_WHEEL_MAX_SIZE": "1 GB",
    }
    assert travelling({**words, "CXX": "clang++", "EMPTY": "", "CFLAGS": ""}) == words


def test_there_it_means_what_it_means_here() -> None:
    here = {"CXXFLAGS": "-O3", "CPATH": "/opt/include", "CXX": "/opt/clang++"}
    there = {"CXXFLAGS": "-O0", "CFLAGS": "-g", "GPUWHEEL_ARCHS": "7.5", "CXX": "g++", "PATH": "/bin", "TOKEN": MARK}
    environ = arrived(there, travelling(here))
    assert environ == {"CXXFLAGS": "-O3", "CXX": "g++", "PATH": "/bin", "TOKEN": MARK}
    # Read once more on the other side, words are as they were.
    assert tool_environment(environ).key == {"CXXFLAGS": "-O3"}


def test_what_another_machine_should_not_say_is_not_taken_from_it() -> None:
    forged = {
        "LD_PRELOAD": "/home/somebody/evil.so",
        "PATH": "/home/somebody",
        "CXX": "/home/somebody/cxx",
        "PYTHONPATH": "/home/somebody",
        "CXXFLAGS": "-O3",
    }
    assert arrived({"PATH": "/bin"}, forged) == {"PATH": "/bin", "CXXFLAGS": "-O3"}


def test_what_stays_is_named() -> None:
    environ = {
        "CXX": "clang++",
        "CUDA_HOME": "/opt/cuda",
        "C_INCLUDE_PATH": "/opt/include",
        "LD_PRELOAD": "x",
        "CC": "",
    }
    assert staying({**environ, "CXXFLAGS": "-O3", "HOME": "/"}) == ["CUDA_HOME", "CXX", "C_INCLUDE_PATH"]
