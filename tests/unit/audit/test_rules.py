"""Each rule by its identifier: a wheel that breaks it alone, from its bytes; and the wheel that breaks none."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from corpus.cases import CASES, load
from hostile import container, cubin, elf_library, entry
from made_wheels import BUILT, FOLDER, IMPORTS, INFO, NEEDED, Made, describing, door, importing, made, manifest

from gpuwheel.audit import RULES, WheelCase, audit_wheel, judge, opened
from gpuwheel.audit.cases import code_cases, library_cases
from gpuwheel.audit.rules import DEVICE_CODE_RULES, LIBRARY_RULES
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Found, Part, Rule, Severity
from gpuwheel.model.promises import Claims
from gpuwheel.wheel import write_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compatibility import Tables

load()
ROOT = Path(__file__).resolve().parents[3]
PTX = container(entry(bytes(64), arch=75) + entry(b".version 8.8", kind=1, arch=100))
KERNEL = container(entry(cubin({"k": [(0, 8)]}), arch=75))


def describes(*, registers: int, arch: str = "sm_75") -> bytes:
    """A manifest with one kernel, whose machine code has 128 bytes."""
    document = json.loads(manifest(archs=["sm_75"]))
    cost = {"bytes": 128, "registers": registers, "shared": 0, "local": 0}
    document["groups"]["fused"]["kernels"] = {"k": {arch: cost}}
    return json.dumps(document).encode()


EIGHTY = container(entry(bytes(64), arch=80))
ZSTD = container(entry(bytes(64), arch=75, flags=0x8000))
NEWEST = max(load_tables().shims.values(), key=lambda shim: (shim.since, shim.library == "libtorch_cpu.so"))
BROKEN: dict[str, Made] = {
    "record": made(files={"ops/__init__.py": b"edited"}, resealed=False),
    "tag-mismatch": made(told="py3-none-any"),
    "platform-tag": made(tag="py3-none-manylinux_2_5_x86_64"),
    "platform-local": made(tag="py3-none-linux_x86_64"),
    "vendored-driver": made(files={"ops/libcuda.so.1": b"stub"}),
    "torch-requirement": made(requires="torch"),
    "torch-floor": importing(NEWEST.name),
    "strong-cuda-shim": importing("aoti_torch_get_current_cuda_stream"),
    "torch-unknown-symbol": importing("torch_not_a_function"),
    "torch-unstable-abi": importing("_ZN3c105ErrorD1Ev"),
    "python-symbol": importing("PyErr_Clear"),
    "cuda-symbol": importing("cudaGetLastError"),
    "unresolved-symbol": importing("forgotten"),
    "needed-library": made(library={"needed": (*NEEDED, "libother.so.1")}),
    "torch-not-needed": made(library={"needed": ("libc.so.6",)}),
    "executable-stack": made(library={"executable_stack": True}),
    "search-path": made(library={"search_path": "/opt/lib"}),
    "exported-symbol": made(library={"exports": ["shown"]}),
    "missing-device-code": made(code=b"", archs=()),
    "build-path": made(library={"sections": {".rodata": f"{FOLDER}/ops.cpp".encode()}}),
    "torch-symbol-exported": made(library={"exports": ["_ZN2at6Tensor3addEv"]}),
    "compat-module": made(files={"ops/libE.so": describing(), "ops/E.py": b"", "ops/E.so": door("PyInit_E")}),
    "module-entry-point": made(library={"exports": ["PyInit__C"]}),
    "manifest-missing": made(files={"ops/_kernels.json": b"remove"}),
    "manifest": made(files={"ops/_kernels.json": b"{}"}),
    "arch-missing": made(archs=("sm_75", "sm_80")),
    "arch-undeclared": made(archs=(), ptx=()),
    "manifest-kernels": made(code=KERNEL, files={"ops/_kernels.json": describes(registers=33)}),
    "arch-library": made(
        archs=("sm_75", "sm_80"),
        files={
            "ops/fused.so": elf_library(IMPORTS, needed=NEEDED, search_path="", sections={".nv_fatbin": EIGHTY}),
        },
    ),
    "compression-driver": made(code=ZSTD),
    "ptx-driver": made(code=PTX, ptx=("compute_100",)),
    "size-budget": made(max_size=10_000),
}
COMPAT = {"ops/libE.so": describing(), "ops/E.py": b"", "ops/E.pyi": b"", "ops/E.so": door("PyInit_E")}
UNREADABLE = {
    "a library": made(files={"ops/other": b"\x7fELF\2\1 and no more"}),
    "a file that is called a library, in a build": made(files={"ops/other.so": b"text"}),
    "device code": made(files={"ops/other.fatbin": b"no container"}),
}


def test_each_rule_is_documented_and_has_a_wheel_that_breaks_it() -> None:
    identifiers = [rule.id for rule in RULES]
    assert len(set(identifiers)) == len(identifiers)
    assert {*BROKEN, "unreadable"} | {case.rule for case in CASES} == set(identifiers)
    page = (ROOT / "docs" / "reference" / "audit-rules.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert f"\n### {rule.id}\n" in page
        assert rule.id.replace("-", "").islower()
        for text in (rule.summary, rule.why, rule.fix, rule.source):
            assert text in page
            assert text
            assert "\n" not in text


def test_the_wheel_that_is_not_broken_breaks_no_rule(tables: Tables) -> None:
    assert judge(made().case(tables)) == ()


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_is_broken_alone(tables: Tables, rule: str) -> None:
    found = judge(BROKEN[rule].case(tables))
    registered = next(one for one in RULES if one.id == rule)
    assert [finding.rule for finding in found] == [rule]
    assert found[0].severity is registered.severity
    assert found[0].problem
    assert found[0].why
    assert found[0].fix


@pytest.mark.parametrize(
    ("wheel", "rule"),
    [
        (made(requires="numpy"), "torch-requirement"),
        (made(requires="torch<3"), "torch-requirement"),
        (made(requires="torch>=2.10; extra == 'gpu'\nProvides-Extra: gpu"), "torch-requirement"),
        (made(requires="torch>=2.9"), "torch-floor"),
        (made(requires="torch>=2.11,!=2.12.0"), None),
        (made(requires="torch==2.13.*"), None),
        (made(requires="Torch~=2.12"), None),
        (made(tag="py3-none-manylinux_2_28_s390x"), "platform-tag"),
        (made(tag="py3-none-manylinux_2_40"), "platform-tag"),
        (made(tag="py3-none-any"), "platform-tag"),
        (made(tag="cp310-abi3-manylinux_2_17_x86_64", library={"imports": {**IMPORTS, "PyErr_Clear": None}}), None),
        (made(files={"ops.libs/libcuda-0123abcd.so.1": b"stub"}), "vendored-driver"),
        (made(files={"ops/late.py": b""}, resealed=False), "record"),
        (made(files={f"{INFO}/RECORD": b"remove"}, resealed=False), "record"),
        (made(files={"ops/_kernels.json": b"[]"}), "manifest"),
        (made(files={"other/_kernels.json": manifest(driver="x")}), "manifest"),
        (made(files={"other/_kernels.json": manifest(schema=2)}), "manifest"),
        (made(files={"other/_kernels.json": manifest(driver="575")}, code=ZSTD), "compression-driver"),
        (made(files={"ops/_kernels.json": manifest(driver="575", archs=["sm_75"])}, code=ZSTD), None),
        (made(code=PTX), "arch-undeclared"),
        (importing("pidfd_getpid"), "unresolved-symbol"),
        (importing("dlsym"), None),
        (made(code=KERNEL, files={"ops/_kernels.json": describes(registers=32)}), None),
        (made(code=KERNEL, files={"ops/_kernels.json": describes(registers=32, arch="sm_80")}), "manifest-kernels"),
        (made(ptx=("compute_75",)), "arch-missing"),
        (made(library={"search_path": "$ORIGIN/../torch/lib"}), "search-path"),
        (made(files=COMPAT), None),
        (made(library={"exports": ["_ZN15gpuwheel_compat6TensorC1Ev"]}), "torch-symbol-exported"),
        (made(files={**COMPAT, "ops/E.so": b"remove"}), "compat-module"),
        (made(files={**COMPAT, "ops/E.so": door("PyInit_F")}), "module-entry-point"),
        (made(files={**COMPAT, "ops/F.so": door("PyInit_F")}), "module-entry-point"),
        (made(files={"ops/E.so": describing(), "ops/E.py": b"", "ops/E.pyi": b""}), "compat-module"),
        (made(tag="cp310-cp310-manylinux_2_17_x86_64", library={"exports": ["PyInit__C"]}), None),
    ],
)
def test_further_ways_to_break_a_rule_or_none(tables: Tables, wheel: Made, rule: str | None) -> None:
    case = replace(wheel.case(tables), expected=None)
    found = [finding.rule for finding in judge(case) if finding.severity is not Severity.NOTE]
    assert sorted(set(found) - {"ptx-driver"}) == ([rule] if rule else [])


def test_errors_come_before_warnings(tables: Tables) -> None:
    wheel = made(tag="py3-none-linux_x86_64", files={"ops/_kernels.json": b"remove"}, requires="numpy")
    assert [(finding.rule, finding.severity.value) for finding in judge(wheel.case(tables))] == [
        ("torch-requirement", "error"),
        ("platform-local", "warning"),
        ("manifest-missing", "warning"),
    ]


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_said_by_the_reader(tables: Tables, case: str) -> None:
    try:
        found = judge(UNREADABLE[case].case(tables))
    except AuditError as error:  # of what a build cannot load
        assert case == "a file that is called a library, in a build"
        assert "is not a " in error.message  # noqa: PT017
    else:
        (told,) = [it.problem for it in found if it.rule == "unreadable"]
        assert "is not a readable" in told


@pytest.mark.parametrize("rule", [*BROKEN, "nothing"])
def test_a_file_is_judged_as_what_was_built_is(tmp_path: Path, tables: Tables, rule: str) -> None:
    wheel = BROKEN.get(rule, made())
    path = tmp_path / wheel.name
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in wheel.members().items():
            archive.writestr(name, member.data)
    built = judge(replace(wheel.case(tables), expected=None, max_size=None))
    assert audit_wheel(path, tables) == built
    of_build = {one.id for one in RULES if Part.BUILD in one.needs} | {"size-budget"}
    assert [finding.rule for finding in built] == ([] if rule in {"nothing", *of_build} else [rule])


class _Shown:
    """Shows a rule what it says it needs, and nothing else."""

    def __init__(self, value: object, parts: Mapping[str, set[Part]], needs: frozenset[Part]) -> None:
        self._value, self._parts, self._needs = value, parts, needs

    def __getattr__(self, name: str) -> object:
        assert self._parts.get(name, set()) <= self._needs, f"{name} is not among {self._needs}"
        value = getattr(self._value, name)
        return _Shown(value, self._parts, self._needs) if name == "wheel" else value


PARTS = {
    "tag": {Part.NAME},
    "tags": {Part.METADATA},
    "requirements": {Part.METADATA},
    "members": {Part.MEMBERS},
    "libraries": {Part.LIBRARIES},
    "images": {Part.IMAGES},
    "images_of": {Part.IMAGES},
    "manifests": {Part.MANIFESTS},
    "size": {Part.SIZE},
    "library": {Part.LIBRARIES},
    "imports": {Part.LIBRARIES},
    "claims": {Part.NAME, Part.METADATA},
    "expected": {Part.BUILD},
    "content": {Part.BUILD},
    "targets": {Part.IMAGES},
    "declared": set(),
    "driver": {Part.IMAGES},
}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.id in BROKEN], ids=lambda rule: rule.id)
def test_a_rule_looks_at_nothing_that_it_does_not_need(tables: Tables, rule: Any) -> None:  # noqa: ANN401
    case = BROKEN[rule.id].case(tables)
    in_library, in_code = rule in LIBRARY_RULES, rule in DEVICE_CODE_RULES
    subjects = library_cases(case) if in_library else code_cases(case) if in_code else (case,)
    found = [one for subject in subjects for one in rule.check(_Shown(subject, PARTS, rule.needs))]
    assert found


def test_what_a_rule_needs_and_nobody_knows_leaves_it_out(tables: Tables) -> None:
    def noticed(case: WheelCase) -> list[Found]:
        return [Found(case.wheel.name, "is there")]

    case = made().case(tables)
    eager = Rule("x", "", "", "", "", frozenset({Part.BUILD, Part.NAME}), noticed)
    assert [finding.problem for finding in eager.findings(case)] == ["is there"]
    assert list(eager.findings(replace(case, expected=None))) == []
    case = BROKEN["build-path"].case(tables)
    assert judge(replace(case, expected=None)) == ()
    case = BROKEN["size-budget"].case(tables)
    assert judge(replace(case, wheel=replace(case.wheel, size=None))) == ()


def test_one_cause_is_one_finding_however_it_is_put(tables: Tables) -> None:
    def noticed(case: WheelCase) -> list[Found]:
        name = case.wheel.name
        return [Found(name, "lacks 1", cause="same"), Found("b", "lacks 2", cause="same"), Found("c", "lacks 1")]

    rule = Rule("x", "", "", "", "", frozenset(), noticed)
    assert [finding.where for finding in rule.findings(made().case(tables))] == [(made().name, "b"), ("c",)]


def test_one_fault_by_two_promises_is_told_once(tables: Tables) -> None:
    case = importing("cudaGetLastError").case(tables)
    other = replace(BUILT, claims=replace(BUILT.claims, provided=frozenset({"libcublas.so.13"})))
    assert len(judge(replace(case, expected=other))) == 1


def test_a_promise_of_the_build_counts_as_much_as_the_wheels_own(tables: Tables) -> None:
    case = replace(importing(NEWEST.name), requires=f"torch>={NEWEST.since}").case(tables)
    assert [finding.rule for finding in judge(case)] == ["torch-floor"]
    assert judge(replace(case, expected=None)) == ()
    newer = replace(BUILT, claims=Claims(NEWEST.since))
    case = importing(NEWEST.name).case(tables)
    assert [finding.rule for finding in judge(replace(case, expected=newer))] == ["torch-floor"]


def test_what_takes_the_space_is_named(tables: Tables) -> None:
    code = container(entry(bytes(400_000), arch=75) + entry(bytes(800_000), arch=80))
    case = made(code=code, archs=("sm_75", "sm_80"), max_size=10_000).case(tables)
    (finding,) = judge(case)
    assert "device code: sm_80 0.80 MB, sm_75 0.40 MB" in finding.problem


def test_a_large_wheel_takes_the_memory_of_its_largest_file(tmp_path: Path, tables: Tables) -> None:
    size, count = 2_000_000, 12
    library = elf_library(IMPORTS, needed=NEEDED, search_path="", sections={".rodata": bytes(size)})
    members = made(archs=()).members()
    files = {f"ops/_{number}.so": library for number in range(count)} | {"ops/table.bin": bytes(4 * size)}
    path = tmp_path / made().name
    with zipfile.ZipFile(path, "w") as archive:  # stored: what is read is what is there
        for name, data in files.items():
            archive.writestr(name, data)
        for name, member in members.items():
            archive.writestr(name, member.data)
    del library, files
    tracemalloc.start()
    try:
        with opened(path) as wheel:
            judge(WheelCase(wheel, tables))
            assert len(wheel.libraries) == count + 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * size


def test_members_are_read_once(tables: Tables) -> None:
    """A library is parsed when a rule first asks, for all rules together."""
    case = made().case(tables)
    judge(case)
    assert case.wheel.libraries is case.wheel.libraries
    assert replace(case.wheel, size=1).libraries is case.wheel.libraries


def test_a_wheel_is_written_as_it_was_judged(tmp_path: Path, tables: Tables) -> None:
    path = tmp_path / made().name
    write_wheel(path, made().members().values())
    assert audit_wheel(path, tables) == ()


def test_an_emptied_file_of_a_further_toolkit_is_missing_code(tables: Tables) -> None:
    emptied = made(files={"ops/fused.cu13.0.fatbin": b""})
    assert [finding.rule for finding in judge(emptied.case(tables))] == ["arch-missing"]
