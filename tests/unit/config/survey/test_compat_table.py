"""Laws of `gpuwheel/data/compat.toml`: what it says of torch, of our headers and of itself."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from gpuwheel._resources import resource
from gpuwheel._toml import own_table
from gpuwheel.compatibility import load_tables
from gpuwheel.config.survey import load_facts

TABLE = own_table("compat.toml")
FACTS = load_facts()
FORMER = {"THC/THCAtomics.cuh"}
"""Headers that torch had once, and sources still name where they are for both."""


def torch_headers() -> set[str]:
    """Names of the headers in the installed torch."""
    spec = importlib.util.find_spec("torch")  # which does not import it
    if spec is None or spec.origin is None:
        pytest.skip("torch is not installed")
    folder = Path(spec.origin).parent / "include"
    roots = (folder, folder / "torch" / "csrc" / "api" / "include")  # both are searched (torch.utils.cpp_extension)
    return {path.relative_to(root).as_posix() for root in roots for path in root.rglob("*") if path.is_file()}


def test_every_header_is_one_of_torchs() -> None:
    known = torch_headers()
    assert set(FACTS.headers) - known == {*FORMER, "Python.h"}
    plain = {name for api in FACTS.apis for name in api.headers if "*" not in name}
    outside = {name for name in plain if not name.startswith(("structmember.h", "numpy/", "nanobind/"))}
    assert outside - known == set()
    for pattern in {name for api in FACTS.apis for name in api.headers if "*" in name}:
        assert pattern.startswith(("numpy/", "nanobind/")) or any(fnmatchcase(name, pattern) for name in known), pattern


def test_each_header_has_one_stand_in_which_is_there() -> None:
    names = [name for listed in TABLE["headers"].values() for name in listed]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    folder = resource("include", "compat", "gpuwheel_compat")
    assert [ours for ours in TABLE["headers"] if not (folder / ours).is_file()] == []


def included(name: str, roots: list[Path]) -> set[str]:
    """A header and all that it includes, of those that lie in the folders."""
    found: set[str] = set()
    left = [name]
    while left:
        path = next((root / left[-1] for root in roots if (root / left[-1]).is_file()), None)
        if (header := left.pop()) not in found and path is not None:
            found.add(header)
            left += re.findall(r"^#\s*include [<\"]([^>\"]+)", path.read_text("utf-8"), re.MULTILINE)
    return found


def test_a_stand_in_gives_names_without_a_namespace_only_where_torch_does() -> None:
    torch_headers()  # skips without torch
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    torchs, ours = Path(spec.origin).parent / "include", resource("include", "compat")
    own = {"gpuwheel_compat/atomics.h": "ATen/cuda/Atomic.cuh", "gpuwheel_compat/warps.h": "ATen/cuda/DeviceUtils.cuh"}
    for stand_in, names in TABLE["headers"].items():
        given = {own[each] for each in included(f"gpuwheel_compat/{stand_in}", [Path(str(ours))]) & own.keys()}
        for name in set(names) - FORMER if given else ():
            assert given <= included(name, [torchs, torchs / "torch" / "csrc" / "api" / "include"]), name


def test_no_header_is_both_covered_and_refused() -> None:
    refused = {name for api in FACTS.apis for name in api.headers if "*" not in name}
    assert refused & FACTS.headers.keys() == set()


def test_words_are_whole() -> None:
    for api in FACTS.apis:
        assert api.match or api.headers, api.name
        for words in (api.why, api.edit or "x"):
            assert words == words.strip().rstrip(".")
            assert words[0].islower() or words.startswith("Torch"), words
    names = [api.name for api in FACTS.apis]
    assert len(set(names)) == len(names)


def test_macros_of_versions_are_those_of_the_headers_that_are_compiled_with() -> None:
    major, minor = load_tables().torch_sdk.version.split(".")[:2]
    assert (FACTS.defined["TORCH_VERSION_MAJOR"], FACTS.defined["TORCH_VERSION_MINOR"]) == (int(major), int(minor))
    assert not FACTS.undefined & FACTS.defined.keys()


def test_given_names_are_in_headers_of_the_stable_abi() -> None:
    known = torch_headers()
    folder = Path(importlib.util.find_spec("torch").origin).parent / "include"  # type: ignore[union-attr, arg-type]
    words: set[str] = set()
    for name in known:
        if name.startswith(FACTS.stable):
            words.update(re.findall(r"\w+", (folder / name).read_text(encoding="utf-8")))
    # Set on the command line; and enumerators that macros put together: k##Float.
    pasted = {name for name in FACTS.given if name[1:] in words and name.startswith("k")}
    assert FACTS.given - words - pasted == {"TORCH_EXTENSION_NAME"}
