"""What an inspection of a wheel found, as a value that comes back from JSON as it went."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hostile import container, elf_library, entry
from made_wheels import INFO, NEEDED, TAG, Made, importing, made

from gpuwheel.audit import opened
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.publish.wheel_facts import WheelFacts, facts_of, split_variant
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from gpuwheel.audit import Inspection


def _facts(wheel: Made, folder: Path) -> WheelFacts:
    path = folder / wheel.name
    write_wheel(path, wheel.members().values())
    return facts_of(path, load_tables())


def test_what_bytes_and_metadata_say(tmp_path: Path) -> None:
    found = _facts(made(), tmp_path)
    assert (found.name, found.version, found.tags) == ("ops", "1", ("py3-none-manylinux_2_17_x86_64",))
    assert (found.torch, found.cuda, found.driver) == (">=2.10", "12.9", "525")
    assert [(code.members, code.cubins, code.further) for code in found.code] == [(("ops/_C.so",), ("7.5",), False)]
    assert found.size == (tmp_path / found.filename).stat().st_size


def test_symbols_raise_the_floor_that_metadata_states(tmp_path: Path) -> None:
    shim = next(shim for shim in load_tables().shims.values() if str(shim.since) == "2.11")
    assert _facts(importing(shim.name), tmp_path).torch == ">=2.10,>=2.11"


def test_later_toolkits_are_told_apart(tmp_path: Path) -> None:
    files = {"ops/fused.cu13.0.fatbin": container(entry(bytes(64), arch=100))}
    found = _facts(made(files=files), tmp_path)
    assert [(code.cubins, code.driver, code.further) for code in found.code] == [
        (("7.5",), "525", False),
        (("10.0",), "580", True),
    ]
    assert found.driver == "525"


def test_facts_come_back_from_json(tmp_path: Path) -> None:
    found = _facts(made(), tmp_path)
    assert WheelFacts.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"code": [{}]},
        {"code": 3},
        {"code": [{"members": [], "cubins": [8.0], "ptx": [], "driver": None, "further": False}]},
        {"code": [{"members": [], "cubins": [], "ptx": [], "driver": 525, "further": False}]},
        {"code": [{"members": [], "cubins": [], "ptx": [{"arch": "9.0"}], "driver": None, "further": False}]},
        {"code": [{"members": [], "cubins": [], "ptx": [], "driver": "<b>", "further": False}]},
        {"tags": [1]},
        {"tags": ["<script>"]},
        {"tags": []},
        {"tags": "py3-none-any"},
        {"unknown": 1},
        {"requires_dist": None},
        {"size": True},
        {"size": -1},
        {"size": "1"},
        {"filename": "../ops-1-py3-none-any.whl"},
        {"filename": "<b>.whl"},
        {"sha256": "0" * 63},
        {"name": "Ops_X"},
        {"name": "../x"},
        {"version": "<b>"},
        {"torch": "<b>"},
        {"torch_by_python": [{"python": 3, "torch": None}]},
        {"cuda": "13.0 onclick"},
        {"runtimes": ["12"]},
        {"variant": "<b>"},
    ],
)
def test_facts_of_others_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    data = _facts(made(), tmp_path).to_json() | change
    with pytest.raises(AuditError):
        WheelFacts.from_json(data)


_HEAD = "Metadata-Version: 2.2\nName: ops\nVersion: 1\n"


def _repeated(requirement: str, times: int) -> dict[str, bytes]:
    """METADATA that asks for the same many times."""
    lines = f"Requires-Dist: {requirement}\n" * times
    return {f"{INFO}/METADATA": f"{_HEAD}{lines}".encode()}


def _of_others(requires: str, *, tag: str = TAG, needed: tuple[str, ...] = NEEDED, further: str = "") -> Made:
    """A wheel that no gpuwheel made: without a manifest."""
    files = {"ops/_kernels.json": b"remove", f"{INFO}/METADATA": f"{_HEAD}{requires}{further}".encode()}
    return made(files=files, tag=tag, library={"needed": needed})


def test_a_wheel_of_others_has_the_major_that_it_links(tmp_path: Path) -> None:
    found = _facts(_of_others("", needed=("libcudart.so.12", "libc.so.6")), tmp_path)
    assert (found.cuda, found.runtimes, found.driver) == ("12", (12,), "525")


def test_several_majors_are_all_told(tmp_path: Path) -> None:
    needed = ("libcudart.so.12", "libcudart.so.13")
    assert _facts(_of_others("", needed=needed), tmp_path).runtimes == (12, 13)


def test_each_library_has_the_driver_floor_of_the_cuda_that_it_links(tmp_path: Path) -> None:
    code = {".nv_fatbin": container(entry(bytes(64), arch=90))}
    links = {"11": "libcudart.so.11.0", "12": "libcublas.so.12", "13": "libcublasLt.so.13", "none": "libc.so.6"}
    files = {
        f"ops/_{name}.so": elf_library({}, needed=(soname,), search_path="", sections=code)
        for name, soname in links.items()
    }
    wheel = made(files={"ops/_kernels.json": b"remove", "ops/_C.so": b"remove", **files})
    found = _facts(wheel, tmp_path)
    floors = {member: code.driver for code in found.code for member in code.members}
    assert (found.cuda, found.runtimes, found.driver) == ("11", (11, 12, 13), "525")
    assert floors["ops/_12.so"] == "525"
    assert floors["ops/_13.so"] == "580"
    assert floors["ops/_11.so"] == floors["ops/_none.so"]


@pytest.mark.parametrize(
    ("requirement", "runtimes"),
    [
        ("nvidia-cublas-cu12", (12,)),
        ("cuda-toolkit[cudart]==13.*", (13,)),
        ("cuda-toolkit>=13.0,<14", (13,)),
        ("nvidia-cuda-runtime==13.0.48", (13,)),
        ("nvidia-cuda-runtime~=13.0.0", (13,)),
        ("cuda-toolkit>=12", ()),
        ("numpy", ()),
    ],
)
def test_requirements_tell_the_major(requirement: str, runtimes: tuple[int, ...], tmp_path: Path) -> None:
    found = _facts(_of_others(f"Requires-Dist: {requirement}\n"), tmp_path)
    assert found.runtimes == runtimes


def test_torch_under_markers_differs_between_pythons(tmp_path: Path) -> None:
    requires = (
        "Requires-Dist: torch>=2.10; python_version < '3.13'\n"
        "Requires-Dist: torch>=2.12; python_version >= '3.13'\n"
        "Requires-Dist: torch==2.9.*; sys_platform == 'win32'\n"
        "Requires-Dist: torch<1; extra == 'old'\n"
    )
    found = _facts(_of_others(requires), tmp_path)
    assert [found.torch_for(python) for python in ("3.12", "3.13")] == [">=2.10", ">=2.10,>=2.12"]
    assert found.torch == found.torch_for("3.15")


def test_markers_are_asked_only_for_pythons_of_the_wheel(tmp_path: Path) -> None:
    requires = (
        "Requires-Dist: torch>=2.12; python_version < '3.12'\nRequires-Dist: torch>=2.13; python_version > '3.12'\n"
    )
    one = _facts(_of_others(requires, tag="cp311-cp311-manylinux_2_17_x86_64"), tmp_path)
    assert (one.torch, one.torch_by_python) == (">=2.10,>=2.12", ())
    some = _facts(_of_others(requires, further="Requires-Python: >=3.13\n"), tmp_path)
    assert (some.torch, some.torch_by_python) == (">=2.10,>=2.13", ())


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({f"{INFO}/METADATA": b"remove"}, "no METADATA"),
        ({f"{INFO}/WHEEL": b"remove"}, "no WHEEL"),
        ({f"{INFO}/METADATA": b"Name: other\nVersion: 1\n"}, "METADATA is of other 1"),
        ({f"{INFO}/METADATA": b"Name: ops\nVersion: 2\n"}, "METADATA is of ops 2"),
        ({f"{INFO}/METADATA": b"Name: ops\nVersion: <b>\n"}, "<b>"),
        ({f"{INFO}/METADATA": f"{_HEAD}Requires-Python: <script>\n".encode()}, "<script>"),
        ({f"{INFO}/METADATA": f"{_HEAD}Requires-Dist: <script>\n".encode()}, "<script>"),
        (_repeated("x", 5_001), "too many"),
        (_repeated("x" * 4_001, 1), "requirement-text"),
        (_repeated("x" * 200, 2_000), "wheel-facts"),
    ],
)
def test_a_wheel_that_says_something_else_is_refused(files: dict[str, bytes], problem: str, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=problem):
        _facts(made(files=files), tmp_path)


def test_many_requirements_are_taken(tmp_path: Path) -> None:
    assert len(_facts(made(files=_repeated("x>=1.2.3.4.5.6", 5_000)), tmp_path).requires_dist) == 5_000


@pytest.mark.parametrize(
    "name",
    ["ops-1-1<b>-py3-none-any.whl", "ops-1-py3-none-any<b>.whl", "ops-1-py3-none-any\n.whl", "öps-1-py3-none-any.whl"],
)
def test_names_that_packaging_lets_pass_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_wheel(path, made().members().values())
    with pytest.raises(AuditError):
        facts_of(path, load_tables())


def test_a_tag_that_stands_for_thousands_is_refused(tmp_path: Path) -> None:
    parts = [".".join(f"{letter}{number}" for number in range(15)) for letter in "abc"]
    with pytest.raises(AuditError, match="wheel-tags"):
        _facts(made(tag="-".join(parts)), tmp_path)


def test_the_label_of_a_variant_is_no_tag(tmp_path: Path) -> None:
    path = tmp_path / f"ops-1-{TAG}-cu130.whl"
    write_wheel(path, made().members().values())
    found = facts_of(path, load_tables())
    assert (found.variant, found.tags, found.filename) == ("cu130", (TAG,), path.name)
    assert split_variant("ops-1-2build-py3-none-any.whl") == ("ops-1-2build-py3-none-any.whl", None)
    assert split_variant("ops-1-2build-py3-none-any-null.whl") == ("ops-1-2build-py3-none-any.whl", "null")


def test_a_wheel_that_is_written_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / made().name
    write_wheel(path, made().members().values())

    def read_slowly(file: BinaryIO) -> str:
        digest = hashlib.sha256(file.read()).hexdigest()
        write_wheel(path, made(files={"ops/new.py": b""}).members().values())  # somebody puts another file there
        return digest

    with monkeypatch.context() as patch:
        patch.setattr("gpuwheel.publish.wheel_facts.sha256_of", read_slowly)
        with pytest.raises(AuditError, match="changed while it was read"):
            facts_of(path, load_tables())

    # As well before anything is read, by a file of the same size.
    @contextmanager
    def opened_late(name: Path) -> Iterator[Inspection]:
        with opened(name) as wheel:
            write_wheel(path, made(files={"ops/new.py": b""}).members().values())
            yield wheel

    monkeypatch.setattr("gpuwheel.publish.wheel_facts.opened", opened_late)
    with pytest.raises(AuditError, match="changed while it was read"):
        facts_of(path, load_tables())


@pytest.mark.parametrize(
    ("soname", "runtimes"),
    [
        ("libcudart.so.11.0", (11,)),
        ("libcudart-9335f6a2.so.12.4.127", (12,)),
        ("libcublas.so.12", (12,)),
        ("libnvrtc.so.12", (12,)),
        ("libnvrtc-b51b459d.so.12.9.86", (12,)),
        ("libnvrtc.so.11.2", (11,)),
        ("libnvJitLink.so.13", (13,)),
        ("libcufft.so.11", ()),
        ("libcudnn.so.9", ()),
    ],
)
def test_libraries_tell_the_major(soname: str, runtimes: tuple[int, ...], tmp_path: Path) -> None:
    assert _facts(_of_others("", needed=(soname, "libc.so.6")), tmp_path).runtimes == runtimes


@pytest.mark.parametrize(
    ("requirement", "runtimes"),
    [
        ("nvidia-cuda-nvrtc==13.0.*", (13,)),
        ("nvidia-nvjitlink>=13,<14", (13,)),
        ("nvidia-cuda-runtime==13.0.*; sys_platform == 'win32'", ()),
        ("nvidia-cublas-cu12; platform_machine == 'aarch64'", ()),
        ("nvidia-cublas-cu12; sys_platform == 'linux'", (12,)),
        ("nvidia-cublas-cu12; python_version >= '3.12'", (12,)),
        ("nvidia-cublas-cu12; extra == 'cuda'", ()),
    ],
)
def test_requirements_of_other_machines_tell_nothing(
    requirement: str, runtimes: tuple[int, ...], tmp_path: Path
) -> None:
    assert _facts(_of_others(f"Requires-Dist: {requirement}\n"), tmp_path).runtimes == runtimes


def test_code_for_drivers_to_compile_asks_for_a_driver_that_reads_it(tmp_path: Path) -> None:
    ptx = container(entry(b".version 8.8\n.target sm_90\n", kind=1, arch=90))
    library = elf_library({}, needed=("libcudart.so.12",), search_path="", sections={".nv_fatbin": ptx})
    found = _facts(made(files={"ops/_kernels.json": b"remove", "ops/_C.so": library}), tmp_path)
    (code,) = found.code
    assert (code.cubins, code.driver) == ((), "525")
    assert found.driver == code.ptx[0].driver == "575.51.03"
