"""Torch's C++ API is the same with gpuwheel's headers as with torch's own: one source, compiled against both."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from compat_modules import SOURCES, Built

from gpuwheel._cache import Cache
from gpuwheel.compile.compat.header_tree import compat_headers
from gpuwheel.compile.compat.module_text import operators_name

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch]

DIFFERENCES: frozenset[str] = frozenset({"fake, plain: x.index_put_({Slice(), 1}, 9)"})
"""Calls that may differ: of this one torch raises, as an operator of its own gives an ordinary tensor to a fake one."""
IN_PYTHON = ("fake, ", "observed, ", "two in one, ", "vmap: ")
"""Where Python is asked what an operator does, another exception than what it raises may come: but one does."""


@pytest.fixture(scope="module")
def ours(compat: Callable[..., Built]) -> Built:
    """The module made of our headers."""
    return compat("comparison", "comparison.cpp")


def test_every_call_gives_the_same_values_exceptions_aliases_and_gradients(
    ours: Built, classic: Callable[..., Built]
) -> None:
    expected = classic("comparison", "comparison.cpp", optimise="-O0").outcomes("comparison_cases.py")
    found = ours.outcomes("comparison_cases.py")
    assert len({name.partition(": ")[2] for name in expected}) > 430
    assert expected.keys() == found.keys()
    different = {name: (expected[name], found[name]) for name in expected if expected[name] != found[name]}
    unexplained = {
        name: both
        for name, both in different.items()
        if name not in DIFFERENCES and not (name.startswith(IN_PYTHON) and all(map(_raised, both)))
    }
    assert not unexplained, "\n".join(f"{name}\n  torch: {a}\n  ours:  {b}" for name, (a, b) in unexplained.items())


def _raised(outcome: object) -> bool:
    return isinstance(outcome, list) and isinstance(outcome[0], str)


TWO = """
import sys, torch
sys.path[:0] = sys.argv[1:3]
import other.comparison, comparison
x = torch.ones(2, requires_grad=True)
print([m.text("x.requires_grad(), x.is_leaf()", x, x) for m in (other.comparison, comparison)])
"""


def test_libraries_of_two_gpuwheels_in_one_process_ask_each_its_own_python(ours: Built, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(ours.folder, other)
    name = operators_name()
    module = (other / "comparison.py").read_text(encoding="utf-8")
    changed = module.replace(name, name[:-4] + "0000").replace(
        "lambda x: x.requires_grad", "lambda x: not x.requires_grad"
    )
    (other / "comparison.py").write_text(changed, encoding="utf-8")
    library = (other / "libcomparison.so").read_bytes()
    assert name.encode() in library
    (other / "libcomparison.so").write_bytes(library.replace(name.encode(), name[:-4].encode() + b"0000"))
    done = subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        (sys.executable, "-c", TWO, str(tmp_path), str(ours.folder)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['01', '11']"


def test_nothing_in_the_library_is_named_as_torchs_own(ours: Built) -> None:
    (library,) = ours.folder.glob("**/libcomparison.so")
    undefined = _names("-D", "-u", library)
    own = re.compile(
        r"_ITM_|__gmon_start__|__cxa_|__gxx_|_Unwind_|_ZNS|_ZNKS|_ZS|_ZTVS|_ZTVN10__cxxabiv1|_ZTIS|_ZTINS|_Zn|_Zd"
    )
    foreign = [
        name
        for name in undefined
        if "@" not in name and not name.startswith(("aoti_torch_", "torch_")) and not own.match(name)
    ]
    assert not foreign, "neither torch's C functions nor those of the system"
    typed = re.compile(r"_ZT[ISV]N?(2at|3c10|5torch|6caffe2|8pybind11)")
    assert not [name for name in _names("-a", library) if typed.match(name)], (
        "catch takes types for torch's by their names"
    )
    exported = [
        name for name in _names("-D", "--defined-only", library) if re.match(r"_ZN?K?(2at|3c10|5torch|6caffe2)", name)
    ]
    assert not exported, "the loader would give them to others, or others' to us"


@pytest.mark.heavy
def test_a_hundred_thousand_calls_that_throw_keep_no_memory(ours: Built) -> None:
    assert ours.outcomes("comparison_rounds_cases.py", "100000")["grown"] < 4096


@pytest.mark.heavy
@pytest.mark.parametrize(("script", "words"), [("comparison_cases.py", ()), ("comparison_rounds_cases.py", ("200",))])
def test_sanitizers_find_nothing_in_any_call(
    script: str, words: tuple[str, ...], sanitized: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    _load_sanitizers(monkeypatch)
    assert sanitized.outcomes(script, *words)


def _load_sanitizers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python is not made with them, so they are loaded before it; with the C++ library, whose throw they stand before.
    first = [_said("c++", f"-print-file-name={name}") for name in ("libasan.so", "libubsan.so", "libstdc++.so.6")]
    monkeypatch.setenv("LD_PRELOAD", ":".join(first))
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # of Python's and torch's own: rounds above count memory
    monkeypatch.setenv("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")


def test_no_conversion_that_fails_keeps_memory(compat: Callable[..., Built]) -> None:
    found = compat("conversions", "conversions.cpp").outcomes("conversions_cases.py", "3000")
    assert found["kinds"] > 50
    assert found["raised"] == 3000
    assert found["grown"] < 2000, "bytes, in more than 50 calls of each"


@pytest.mark.heavy
def test_a_hundred_thousand_conversions_that_fail_keep_no_memory_and_no_sanitizer_finds_one(
    compat: Callable[..., Built],
    compat_cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = compat("conversions", "conversions.cpp")
    made = _sanitized(built, "conversions", compat_cache, tmp_path_factory)
    _load_sanitizers(monkeypatch)
    found = made.outcomes("conversions_cases.py", "100000")
    assert found["raised"] == 100_000
    assert found["grown"] < 4000, "bytes, in more than 1,700 calls of each"


@pytest.fixture(scope="module")
def sanitized(ours: Built, compat_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The module whose library is compiled with AddressSanitizer and UndefinedBehaviorSanitizer."""
    return _sanitized(ours, "comparison", compat_cache, tmp_path_factory)


def _sanitized(built: Built, name: str, compat_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    made = Built(tmp_path_factory.mktemp("sanitized") / "installed")
    shutil.copytree(built.folder, made.folder)
    (library,) = made.folder.glob(f"**/lib{name}.so")
    (torch,) = (Path(each) for each in find_spec("torch").submodule_search_locations)  # type: ignore[union-attr]
    # Those of the stable ABI alone, which the build of `ours` has fetched.
    stable = next(
        each.parent for each in compat_cache.glob("v*/sdk/*/include/torch") if not (each.parent / "ATen").exists()
    )
    headers = compat_headers(Cache.from_environment({"GPUWHEEL_CACHE_DIR": str(compat_cache)}))
    _said(
        *("c++", "-std=c++17", "-O1", "-g1", "-fPIC", "-shared", "-fvisibility=hidden"),
        *("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-sanitize=vptr"),
        *("-DTORCH_TARGET_VERSION=0x020a000000000000", "-DUSE_CUDA", f"-DTORCH_EXTENSION_NAME={name}"),
        *(f"-I{headers}", f"-I{stable}", str(SOURCES / f"{name}.cpp"), "-o", str(library)),
        *(f"-L{torch / 'lib'}", "-Wl,--no-as-needed", "-ltorch"),
    )
    return made


def _said(*words: str) -> str:
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: TID251 (a compiler)
    return done.stdout.strip()


def _names(*words: str | Path) -> list[str]:
    done = subprocess.run(  # noqa: TID251 (reads symbols as the linker sees them)
        ["/usr/bin/env", "nm", *map(str, words)], check=True, capture_output=True, text=True
    )
    return [line.split()[-1] for line in done.stdout.splitlines() if line.strip()]
