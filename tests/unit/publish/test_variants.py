"""Variant wheels: properties from what the bytes say, streams as they were, one file of all labels for the index."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner
from hostile import container, entry
from made_wheels import INFO, METADATA, made

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.errors import AuditError
from gpuwheel.publish.variants.properties import variant_of
from gpuwheel.publish.variants.variant_wheels import VariantRequest, plan_variants, write_variant
from gpuwheel.publish.wheel_facts import Ptx, facts_of
from gpuwheel.wheel import Member, read_members, write_wheel
from gpuwheel.wheel.archive import check_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from click.testing import Result

    from gpuwheel.publish.wheel_facts import WheelFacts

SCHEMA = json.loads(resource("data", "variants.schema.json").read_text(encoding="utf-8"))
TAGS = "py3-none-manylinux_2_17_x86_64"


def _wheel(
    folder: Path,
    cuda: str | None = "12.9",
    *,
    version: str = "1",
    driver: str = "525",
    archs: Sequence[int] = (75,),
    ptx: Sequence[int] = (),
) -> Path:
    """A wheel by a toolkit, for a driver; without device code where `cuda` is `None`."""
    folder.mkdir(exist_ok=True)
    images = [*(entry(bytes(64), arch=arch) for arch in archs), *(entry(bytes(64), arch=arch, kind=1) for arch in ptx)]
    code = container(b"".join(images))
    groups = {"fused": {"archs": [f"sm_{arch}" for arch in archs], "ptx": [f"compute_{arch}" for arch in ptx]}}
    declared = {"schema": 1, "toolkit": cuda, "driver_floor": driver, "groups": groups}
    wheel = made(code=code if cuda else b"", files={} if cuda else {"ops/_kernels.json": b"remove"})
    members = {member.name: member for member in wheel.members().values()}
    if cuda:
        members["ops/_kernels.json"] = Member("ops/_kernels.json", json.dumps(declared).encode())
    renamed = [Member(name.replace(INFO, f"ops-{version}.dist-info"), member.data) for name, member in members.items()]
    final = [
        Member(member.name, member.data.replace(b"Version: 1\n", f"Version: {version}\n".encode()))
        if member.name.endswith("METADATA")
        else member
        for member in renamed
    ]
    assert METADATA.endswith("Version: 1\n")
    path = folder / f"ops-{version}-{TAGS}.whl"
    write_wheel(path, final)
    return path


def _run(*words: object) -> Result:
    return CliRunner().invoke(main, ["variants", *map(str, words)])


def _rows(*words: object) -> list[dict[str, Any]]:
    done = _run("--json", *words)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    rows: list[dict[str, Any]] = document["wheels"]
    return rows


@pytest.mark.parametrize(
    ("driver", "version"),
    [("525", "12.0"), ("530", "12.1"), ("550", "12.4"), ("550.54", "12.4"), ("580", "13.0"), ("581", "13.1")],
)
def test_the_floor_is_that_of_the_cuda_a_driver_came_with(driver: str, version: str, tmp_path: Path) -> None:
    facts = facts_of(_wheel(tmp_path, "12.9", driver=driver), load_tables())
    variant = variant_of(facts, load_publishing().variants, load_tables())
    assert variant.properties == {"cuda_version_lower_bound": (version,)}
    assert variant.label == f"cu{version.replace('.', '')}"


def test_a_driver_that_no_toolkit_came_with_is_refused(tmp_path: Path) -> None:
    facts = facts_of(_wheel(tmp_path, "13.0", driver="99999"), load_tables())
    with pytest.raises(AuditError, match="99999"):
        variant_of(facts, load_publishing().variants, load_tables())


def test_wheels_by_two_toolkits_and_one_without_become_variants_of_one_version(tmp_path: Path) -> None:
    wheels = [
        _wheel(tmp_path / "a", "12.9", version="1+cu12.9"),
        _wheel(tmp_path / "b", "13.0", version="1+cu13.0", driver="580"),
        _wheel(tmp_path / "c", None),
    ]
    rows = _rows(*wheels, "-w", tmp_path / "out")
    assert [row["label"] for row in rows] == ["cu120", "cu130", "null"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    labels = ("cu120", "cu130", "null")
    assert names == [*(f"ops-1-{TAGS}-{label}.whl" for label in labels), "ops-1-variants.json"]
    index = json.loads((tmp_path / "out" / "ops-1-variants.json").read_text(encoding="utf-8"))
    assert index["variants"] == {
        "cu120": {"nvidia": {"cuda_version_lower_bound": ["12.0"]}},
        "cu130": {"nvidia": {"cuda_version_lower_bound": ["13.0"]}},
        "null": {},
    }


def test_a_variant_is_the_wheel_and_says_what_it_is(tmp_path: Path) -> None:
    source = _wheel(tmp_path / "a", "13.0", version="1+own.cu13.0", driver="580")
    _rows(source, "-w", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.whl")
    assert path.name == f"ops-1+own-{TAGS}-cu130.whl"
    members, before = read_members(path), read_members(source)
    assert check_record(members) == []
    assert b"Version: 1+own\n" in members["ops-1+own.dist-info/METADATA"].data
    assert json.loads(members["ops-1+own.dist-info/variant.json"].data)["variants"].keys() == {"cu130"}
    same = {name for name in before if not name.startswith("ops-1")}
    assert {name: members[name].data for name in same} == {name: before[name].data for name in same}
    assert facts_of(path, load_tables()).variant == "cu130"


def test_streams_are_copied_and_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    source = _wheel(tmp_path / "a")
    stored = tmp_path / source.name  # members that nobody would store: a second compression would show
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(stored, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    for out in ("x", "y"):
        _rows(stored, "-w", tmp_path / out)
    (one,), (other,) = (tuple((tmp_path / out).glob("*.whl")) for out in ("x", "y"))
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.getinfo("ops/_C.so").compress_type == zipfile.ZIP_STORED


def test_gpus_are_stated_where_that_is_asked_for(tmp_path: Path) -> None:
    source = _wheel(tmp_path / "a", archs=(75, 80), ptx=(90,))
    done = _run(source, "--sm-arch", "-w", tmp_path / "out")
    assert "9.0" in done.stderr  # PTX, which the choice passes over
    (row,) = _rows(source, "--sm-arch", "-w", tmp_path / "out")
    assert row["properties"]["sm_arch"] == ["90_virtual", "80_real", "75_real"]
    assert row["label"] == "cu120_sm90_80_75"


def _other_tool(folder: Path, label: str = "x86_64_v3") -> Path:
    """A variant by another tool, for another provider."""
    document = {
        "$schema": load_publishing().variants.schema,
        "default-priorities": {"namespace": ["x86_64"]},
        "providers": {"x86_64": {"builtin": "x86_64"}},
        "variants": {label: {"x86_64": {"level": ["v3"]}}},
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"ops-1-{TAGS}-{label}.whl"
    members = {f"{INFO}/variant.json": json.dumps(document).encode(), f"{INFO}/METADATA": METADATA.encode()}
    write_wheel(path, [Member(name, data) for name, data in members.items()])
    return path


def test_variants_of_other_tools_and_labels_of_wheels_elsewhere_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _other_tool(out)
    _rows(_wheel(tmp_path / "a"), "-w", out)
    (out / f"ops-1-{TAGS}-x86_64_v3.whl").unlink()
    _rows(_wheel(tmp_path / "b", "13.0", driver="580"), "-w", out)
    index = json.loads((out / "ops-1-variants.json").read_text(encoding="utf-8"))
    assert set(index["variants"]) == {"cu120", "cu130", "x86_64_v3"}
    assert set(index["providers"]) == set(index["default-priorities"]["namespace"]) == {"nvidia", "x86_64"}


def test_a_provider_that_two_wheels_define_differently_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = _other_tool(out, "mine")
    text = read_members(path)[f"{INFO}/variant.json"].data.replace(b'"x86_64"', b'"nvidia"')
    write_wheel(path, [Member(f"{INFO}/variant.json", text), Member(f"{INFO}/METADATA", METADATA.encode())])
    done = _run(_wheel(tmp_path / "a"), "-w", out)
    assert (done.exit_code, "nvidia" in done.stderr) == (9, True)


def test_ptx_alone_needs_the_driver_that_reads_it(tmp_path: Path) -> None:
    path = _wheel(tmp_path / "a", "12.9", archs=(), ptx=(90,))
    facts = facts_of(path, load_tables())
    (code,) = facts.code
    needing = replace(facts, code=(replace(code, ptx=(Ptx("9.0", "575.51.03"),)),))
    assert _bound(needing) == "12.9"
    unknown = replace(facts, code=(replace(code, ptx=(Ptx("9.0", None),)),))
    with pytest.raises(AuditError):
        _bound(unknown)


def test_of_several_libraries_the_one_that_needs_most_decides(tmp_path: Path) -> None:
    facts = facts_of(_wheel(tmp_path / "a"), load_tables())
    (code,) = facts.code
    assert _bound(replace(facts, code=(code, replace(code, driver="550.54")))) == "12.4"
    # By a further toolkit: who has no driver for it does without.
    assert _bound(replace(facts, code=(code, replace(code, driver="580", further=True)))) == "12.0"


def test_what_needs_libraries_of_cuda_is_no_null_variant(tmp_path: Path) -> None:
    facts = facts_of(_wheel(tmp_path / "a", None), load_tables())
    assert variant_of(facts, load_publishing().variants, load_tables()).label == "null"
    assert _bound(replace(facts, runtimes=(13,))) == "13.0"
    assert _bound(replace(facts, runtimes=(12,))) == "12.0"


def _bound(facts: WheelFacts) -> str:
    (value,) = variant_of(facts, load_publishing().variants, load_tables()).properties["cuda_version_lower_bound"]
    return value


@pytest.mark.parametrize(
    ("version", "shared"),
    [
        ("1+cu129", "1"),
        ("1+cu1210", "1"),
        ("1+cu12.9", "1"),
        ("1+torch2.14.cu130", "1+torch2.14"),
        ("1+cu12", "1+cu12"),
    ],
)
def test_the_toolkit_goes_out_of_a_version_however_it_is_spelled(version: str, shared: str, tmp_path: Path) -> None:
    _rows(_wheel(tmp_path / "a", version=version), "-w", tmp_path / "out")
    assert (tmp_path / "out" / f"ops-{shared}-{TAGS}-cu120.whl").is_file()


def test_what_lies_there_already_stays_in_the_index(tmp_path: Path) -> None:
    _rows(_wheel(tmp_path / "a"), "-w", tmp_path / "out")
    _rows(_wheel(tmp_path / "b", "13.0", driver="580"), "-w", tmp_path / "out")
    index = json.loads((tmp_path / "out" / "ops-1-variants.json").read_text(encoding="utf-8"))
    assert set(index["variants"]) == {"cu120", "cu130"}


def test_a_wheel_that_changed_meanwhile_becomes_no_variant(tmp_path: Path) -> None:
    source, provider = _wheel(tmp_path / "a"), load_publishing().variants
    request = VariantRequest([source], tmp_path / "out")
    (planned,) = plan_variants(request, provider, load_tables())
    _wheel(tmp_path / "a", archs=(80,))
    with pytest.raises(AuditError, match="changed"):
        write_variant(planned, request, provider)
    assert not (tmp_path / "out").exists()


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert _rows(_wheel(tmp_path / "a"), "--dry-run", "-w", tmp_path / "out")[0]["written"] is None
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_a_variant_is_told(tmp_path: Path) -> None:
    first, second = _wheel(tmp_path / "a", "12.8"), _wheel(tmp_path / "b", "12.9")
    same = _run(first, second, "-w", tmp_path / "out")
    assert (same.exit_code, "cu120" in same.stderr) == (9, True)
    assert not (tmp_path / "out").exists()
    _rows(first, "-w", tmp_path / "out")
    (made_one,) = (tmp_path / "out").glob("*.whl")
    again = _run(made_one, "-w", tmp_path / "more")
    assert (again.exit_code, "already" in again.stderr) == (9, True)


def test_one_label_means_one_thing_in_an_index(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _rows(_wheel(tmp_path / "a"), "-w", out)
    (path,) = out.glob("*.whl")
    other = out / path.name.replace("py3-", "py32-")
    document = json.loads(read_members(path)[f"{INFO}/variant.json"].data)
    document["variants"]["cu120"] = {}
    members = {f"{INFO}/variant.json": json.dumps(document).encode(), f"{INFO}/METADATA": METADATA.encode()}
    write_wheel(other, [Member(name, data) for name, data in members.items()])
    done = _run(_wheel(tmp_path / "b", "13.0", driver="580"), "-w", out)
    assert (done.exit_code, "cu120" in done.stderr) == (9, True)


@pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b'{"variants": {"other": {}}}', b'{"variants": 3}'])
def test_a_damaged_variant_in_the_folder_is_named(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    bad = tmp_path / "out" / f"ops-1-{TAGS}-cu121.whl"
    write_wheel(bad, [Member(f"{INFO}/variant.json", text), Member(f"{INFO}/METADATA", METADATA.encode())])
    done = _run(_wheel(tmp_path / "a"), "-w", tmp_path / "out")
    assert done.exit_code == 9
    assert bad.name in done.stderr
    assert not (tmp_path / "out" / "ops-1-variants.json").exists()
