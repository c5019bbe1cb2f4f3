"""The laws hold for the shipped tables, and each one notices its breach."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel.compatibility import Tables, laws, load_tables
from gpuwheel.errors import DataError
from gpuwheel.model.archs import Arch
from gpuwheel.model.pins import PinnedFile
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

V = MinorVersion.parse


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_law_holds(law: Callable[[Tables], Iterator[str]]) -> None:
    assert list(law(load_tables())) == []


def _with_toolkit(version: str, **changes: object) -> Tables:
    tables = load_tables()
    row = replace(tables.cuda[V(version)], **changes)  # type: ignore[arg-type]  # the test names real fields
    return replace(tables, cuda={**tables.cuda, V(version): row})


def _with_torch(version: str, **changes: object) -> Tables:
    tables = load_tables()
    row = replace(tables.torch[V(version)], **changes)  # type: ignore[arg-type]  # the test names real fields
    return replace(tables, torch={**tables.torch, V(version): row})


def _with_pin(name: str, **changes: object) -> Tables:
    components = load_tables().cuda[V("12.9")].components
    pins = tuple(
        replace(pin, **changes) if pin.name == name else pin  # type: ignore[arg-type]  # the test names real fields
        for pin in components
    )
    return _with_toolkit("12.9", components=pins)


def _without_runtime_on_arm() -> Tables:
    pins = load_tables().cuda[V("13.0")].nvcc
    kept = tuple(replace(pin, files=tuple(it for it in pin.files if "aarch64" not in it.filename)) for pin in pins)
    return _with_toolkit("13.0", nvcc=kept)


def _with_policy(tag: str, **changes: object) -> Tables:
    tables = load_tables()
    policies = tuple(
        replace(policy, **changes) if policy.tag == tag else policy  # type: ignore[arg-type]  # real fields
        for policy in tables.platforms
    )
    return replace(tables, platforms=policies)


def _with_shim_since(version: str) -> Tables:
    tables = load_tables()
    name = "aoti_torch_zero_"
    return replace(tables, shims={**tables.shims, name: replace(tables.shims[name], since=V(version))})


def _reversed_torch() -> Tables:
    tables = load_tables()
    return replace(tables, torch=dict(reversed([*tables.torch.items()])))


def _without_py310() -> Tables:
    (pin,) = (pin for pin in load_tables().cuda[V("12.9")].components if pin.name == "cuda-bindings")
    return _with_pin("cuda-bindings", files=tuple(file for file in pin.files if "cp310" not in file.filename))


BREACHES = [
    (laws.versions_ascend, _reversed_torch, "torch.toml is out of order"),
    (
        laws.toolkits_say_what_they_drop,
        lambda: _with_toolkit("13.0", dropped=()),
        "cuda 13.0 drops 10.1, 5.0, 5.2, 5.3, 6.0, 6.1, 6.2, 7.0, 7.2 (its row says none)",
    ),
    (
        laws.toolkits_say_what_they_drop,
        lambda: _with_toolkit("12.8", archs=(Arch(9, 0),)),
        "(within major 12, expected none)",
    ),
    (laws.torch_says_what_it_drops, lambda: _with_torch("2.8", dropped=()), "torch 2.8 drops 5.0, 6.0 (its row says"),
    (laws.toolkits_do_not_regress, lambda: _with_toolkit("12.9", ptx_isa=V("8.6")), "an older PTX ISA than 12.8"),
    (laws.toolkits_do_not_regress, lambda: _with_toolkit("12.9", gcc_max=13), "an older gcc than 12.8 (13, expected"),
    (
        laws.toolkits_do_not_regress,
        lambda: _with_toolkit("12.9", driver=DriverVersion.parse("570")),
        "cuda.toml has drivers that go down",
    ),
    (laws.toolkits_are_usable, lambda: _with_toolkit("12.0", clang_min="20.0"), "cuda 12.0 compiles nothing"),
    (
        laws.toolkits_are_usable,
        lambda: _with_toolkit("12.0", driver_floor=DriverVersion.parse("530")),
        "needs a newer driver than its own (530, has 525.60.13)",
    ),
    (
        laws.devices_are_compiled_for,
        lambda: replace(load_tables(), renamed={}),
        "differ from the toolkits' targets (10.1)",
    ),
    (laws.torch_rows_name_known_things, lambda: _with_torch("2.15", cuda=V("13.9")), "an unknown toolkit (13.9)"),
    (laws.torch_rows_name_known_things, lambda: _with_torch("2.15", cuda=V("12.6")), "that cuda 12.6 does not know"),
    (laws.torch_rows_name_known_things, lambda: _with_shim_since("2.99"), "names unknown versions (2.99)"),
    (
        laws.torch_rows_name_known_things,
        lambda: _with_torch("2.13", headers={"aarch64": load_tables().torch[V("2.13")].headers["x86_64"]}),
        "torch 2.13 has headers of another machine (torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl, expected",
    ),
    (laws.pins_fit_every_python, _without_py310, "cuda-bindings==12.9.10 has no file for Python 3.10 on Linux x86_64"),
    (
        laws.nvcc_links_for_every_machine,
        _without_runtime_on_arm,
        "nvidia-cuda-runtime==13.0.96 has no file for aarch64",
    ),
    (
        laws.nvcc_links_for_every_machine,
        lambda: _with_toolkit("13.0", nvcc=load_tables().cuda[V("13.0")].nvcc[:1]),
        "nvcc of cuda 13.0 links nothing",
    ),
    (
        laws.files_have_digests,
        lambda: _with_pin("cuda-pathfinder", files=(PinnedFile("cuda_pathfinder-1.8.3-py3-none-any.whl", "00", 1),)),
        "lacks a digest or a size",
    ),
    (
        laws.files_have_digests,
        lambda: _with_toolkit("12.9", headers=(replace(load_tables().cuda[V("12.9")].headers[0], digest=""),)),
        "the headers of nvidia-cuda-nvcc-cu12==12.9.86 lack a digest",
    ),
    (laws.files_have_digests, lambda: _with_pin("cuda-pathfinder", version="1.8.4"), "is not of version 1.8.4"),
    (
        laws.policies_are_nested,
        lambda: _with_policy("manylinux_2_28_x86_64", newest={"GLIBC": (2, 26)}),
        "manylinux_2_28_x86_64 allows less than manylinux_2_27_x86_64 (CXXABI, GCC, GLIBC, GLIBCXX",
    ),
    (
        laws.policies_are_nested,
        lambda: _with_policy("manylinux_2_28_x86_64", libraries=frozenset({"libc.so.6"})),
        "libz.so.1",
    ),
    (
        laws.compression_is_graded,
        lambda: replace(load_tables(), compression=load_tables().compression[1:]),
        "nothing for the oldest drivers (starts at 550.54)",
    ),
    (
        laws.cubin_formats_name_toolkits,
        lambda: replace(load_tables(), cubins=(replace(load_tables().cubins[0], toolkit=V("99.0")),)),
        "cubins of format 1.8 name CUDA 99.0",
    ),
]


@pytest.mark.parametrize(
    ("law", "broken", "message"),
    BREACHES,
    ids=[f"{law.__name__}-{number}" for number, (law, _, _) in enumerate(BREACHES)],
)
def test_breach_is_noticed(law: Callable[[Tables], Iterator[str]], broken: Callable[[], Tables], message: str) -> None:
    breaches = list(law(broken()))
    assert any(message in breach for breach in breaches), breaches


def test_every_law_has_a_breach() -> None:
    assert {law for law, _, _ in BREACHES} == set(laws.LAWS)


def test_broken_tables_are_a_data_error_that_lists_every_breach() -> None:
    with pytest.raises(DataError) as caught:
        laws.check_laws(_with_toolkit("12.9", gcc_max=13, ptx_isa=V("8.6")))
    assert caught.value.detail is not None
    assert len(caught.value.detail.splitlines()) == 2
    assert caught.value.hint == "reinstall gpuwheel"


@pytest.mark.parametrize("name", ["cuda", "pins", "platforms", "torch", "torch_shims"])
def test_each_file_says_who_reads_it_and_how_to_refresh_it(name: str) -> None:
    lines = resource("data", f"{name}.toml").read_text(encoding="utf-8").splitlines()
    comment = " ".join(line for line in lines if line.startswith("#"))
    assert "Read by:" in comment
    assert "Refresh:" in comment
    assert "ci/tables/update_" in comment
