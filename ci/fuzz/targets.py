"""Every reader of outside bytes, as the fuzzer calls it, and honest files to begin with."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from elf_files import Library  # noqa: E402
from hostile import container, cubin, deflated, elf_library, entry, raw_zip  # noqa: E402  (shared with the tests)

from gpuwheel._archives import Archive  # noqa: E402
from gpuwheel._cache import Cache  # noqa: E402
from gpuwheel.audit import audit_wheel  # noqa: E402
from gpuwheel.audit.cases import LibraryCase  # noqa: E402
from gpuwheel.audit.rules import LIBRARY_RULES  # noqa: E402
from gpuwheel.binary.cubin import read_cubin  # noqa: E402
from gpuwheel.binary.device_files import cubin_image, file_images, is_cubin  # noqa: E402
from gpuwheel.binary.elf import MAGIC, read_elf  # noqa: E402
from gpuwheel.binary.extent import extent  # noqa: E402
from gpuwheel.binary.fatbin import find_containers, read_fatbin  # noqa: E402
from gpuwheel.binary.stub import stub_library  # noqa: E402
from gpuwheel.binary.unpacked import unpacked_image  # noqa: E402
from gpuwheel.binary.x86.at_load import vector_at_load  # noqa: E402
from gpuwheel.compatibility import load_tables  # noqa: E402
from gpuwheel.config import load_config  # noqa: E402
from gpuwheel.errors import GpuwheelError, NetworkError  # noqa: E402
from gpuwheel.index.context import Context  # noqa: E402
from gpuwheel.index.pages import html_links, json_links  # noqa: E402
from gpuwheel.index.ranges import SparseFile, member_spans  # noqa: E402
from gpuwheel.lock.file import parse_lock  # noqa: E402
from gpuwheel.model.promises import Claims  # noqa: E402
from gpuwheel.model.reporter import SilentReporter  # noqa: E402
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind  # noqa: E402
from gpuwheel.publish.image.compression import Compression  # noqa: E402
from gpuwheel.publish.image.contents.base_layers import rows_of  # noqa: E402
from gpuwheel.publish.image.contents.installed import Place, installed_files  # noqa: E402
from gpuwheel.publish.image.contents.layer_tar import write_tar  # noqa: E402
from gpuwheel.publish.image.contents.opened_wheel import open_wheel  # noqa: E402
from gpuwheel.publish.image.descriptors import descriptors_of, parse_document  # noqa: E402
from gpuwheel.publish.image.image_plan import ImagePython  # noqa: E402
from gpuwheel.publish.pages.offered import Offered  # noqa: E402
from gpuwheel.publish.pages.recorded_files import recorded  # noqa: E402
from gpuwheel.publish.pages.records import loaded, reader, state_path  # noqa: E402
from gpuwheel.publish.pages.release_list import ReleaseList  # noqa: E402
from gpuwheel.publish.pages.yanks import read_yanks  # noqa: E402
from gpuwheel.publish.published import PublishedWheel  # noqa: E402
from gpuwheel.publish.wheel_facts import facts_of  # noqa: E402
from gpuwheel.testing.ptx.reading import function, read_module  # noqa: E402
from gpuwheel.toolchain.linking.system_libraries import exported_symbols  # noqa: E402
from gpuwheel.wheel import read_members  # noqa: E402
from gpuwheel.wheel.archive import Member, check_record, pack_wheel, sealed_members, stored_members  # noqa: E402
from gpuwheel.wheel.metadata import add_requirements, field_values, parsed_requirements, set_field  # noqa: E402
from gpuwheel.wheel.naming import expand_tag, parse_wheel_name  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from gpuwheel.compatibility import Tables

__all__ = [
    "HTML",
    "INFO",
    "LOCK",
    "MANIFEST",
    "METADATA",
    "PYPROJECT",
    "ROOT",
    "TARGETS",
    "WHEEL",
    "Target",
    "clean_up",
]

INFO = "ops-1.dist-info"
METADATA = b"""Metadata-Version: 2.4
Name: ops
Version: 1
Requires-Python: >=3.10
Requires-Dist: torch>=2.10
Requires-Dist: numpy>=1; extra == "all"
Provides-Extra: all
Dynamic: Requires-Dist

A description.
"""
WHEEL = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
MANIFEST = {
    "schema": 1,
    "toolkit": "12.9",
    "driver_floor": "525",
    "groups": {"g": {"archs": ["sm_80"], "ptx": ["compute_90"], "kernels": {}}},
}
PYPROJECT = """[project]
name = "tiny"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
readme = "README.md"

[tool.gpuwheel]
archs = ["8.0", "9.0a", "10.0+PTX"]
torch = ">=2.10"

[tool.gpuwheel.kernels.k]
sources = ["csrc/*.cu"]
flags = ["-lineinfo"]
include-dirs = ["csrc"]

[tool.gpuwheel.extensions."tiny._C"]
sources = ["csrc/*.cpp"]
kernels = ["k"]
defines = ["A=1"]

[tool.gpuwheel.wheel]
max-size = "10 MB"
platform = "manylinux_2_28"
"""
LOCK = """lock-version = "1.0"
created-by = "gpuwheel"
[[packages]]
name = "ops"
version = "1"
marker = "python_version >= '3.10'"
wheels = [{ name = "ops-1-py3-none-any.whl", url = "https://index/ops.whl", size = 10, hashes = { sha256 = "ab" } }]
[tool.gpuwheel]
schema = 1
version = "0.1.0"
[tool.gpuwheel.headers]
"torch==2.13" = "ab"
[tool.gpuwheel.digests]
[tool.gpuwheel.host-compiler]
identity = "g++"
target = "x86_64-linux-gnu"
"""
HTML = b'<!DOCTYPE html><base href="/x/"><!-- c --><a href="a-1.whl#sha256=ab" data-x=\'1\'>a</a><a href=b>&amp;</a>'
JSON = {"meta": {}, "files": [{"filename": "a.whl", "url": "../a.whl", "hashes": {"sha256": "ab"}}]}


@dataclass(frozen=True)
class Target:
    """One reader."""

    read: Callable[[bytes], object]
    """Returns, or raises an error of ours."""
    seeds: tuple[bytes, ...]


@cache
def _folder() -> Path:
    """Where readers of files find theirs: in memory, if there is such a place."""
    shared = Path("/dev/shm")  # noqa: S108  # a folder of our own in it
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if os.access(shared, os.W_OK) else None))
    project = folder / "project"
    (project / "csrc").mkdir(parents=True)
    for name in ("README.md", "csrc/a.cu", "csrc/a.cpp"):
        (project / name).write_text("", encoding="utf-8")
    return folder


def clean_up() -> None:
    """Remove what the readers were given."""
    shutil.rmtree(_folder(), ignore_errors=True)


@cache
def _tables() -> Tables:
    return load_tables()


def _wheel(data: bytes) -> Path:
    path = _folder() / "ops-1-py3-none-any.whl"
    path.write_bytes(data)
    return path


def _with_members(**files: bytes) -> bytes:
    told = {f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": WHEEL} | files
    return raw_zip([deflated(name, data) for name, data in told.items()])


def _zip(data: bytes) -> object:
    return audit_wheel(_wheel(data), _tables()) if len(data) % 2 else read_members(_wheel(data))


def _record(data: bytes) -> object:
    members = {name: Member(name, b"x") for name in ("ops/__init__.py", f"{INFO}/METADATA")}
    record = f"{INFO}/RECORD"
    return check_record({**members, record: Member(record, data)})


def _metadata(data: bytes) -> object:
    for tag in field_values(data, "Tag")[:3]:
        expand_tag(parse_wheel_name(f"ops-1-{tag}.whl").tag)
    return parsed_requirements(data), add_requirements(data, ["torch>=2.10"]), set_field(data, "Tag", ["a"])


def _elf(data: bytes) -> object:
    vector_at_load(extent(data))
    case = LibraryCase(read_elf(data, "a.so"), Claims(_tables().torch_floor), _tables())
    return [finding for rule in LIBRARY_RULES for finding in rule.findings(case)]


def _stored(data: bytes) -> object:
    """Each member, from its end to its beginning, and then in one go."""
    read: list[object] = []
    with stored_members(_wheel(data)) as members:
        for member in list(members.values())[:4]:
            places = range(max(0, min(member.size, 5 << 20)), -1, -(1 << 19))
            read.append(_refused(lambda member=member, places=places: [member.read(at, 7) for at in places]))  # type: ignore[misc]
            read.append(_refused(lambda member=member: member.digest))  # type: ignore[misc]
    return read


def _refused(read: Callable[[], object]) -> object:
    """What is read, or the error of ours."""
    try:
        return read()
    except GpuwheelError as error:
        return error


def _device_code(data: bytes) -> object:
    """Looked for anywhere, with a section in the middle that holds nothing else; and unpacked."""
    file = extent(data)
    search = find_containers(file, "a.so")
    images = search.images({})
    unpacked = [_refused(lambda image=image: unpacked_image(image, "it")) for image in images[:8]]  # type: ignore[misc]
    return unpacked, search.images({".nv_fatbin": file.part(16, len(data) // 2)})


def _device_file(data: bytes) -> object:
    file = extent(data)
    if data[:4] == MAGIC and is_cubin(file):
        return cubin_image(file, "a.cubin")
    return file_images(file, "a.ptx"), _refused(lambda: file_images(file, "a.bin"))


def _manifest(data: bytes) -> object:
    return audit_wheel(_wheel(_with_members(**{"ops/_kernels.json": data})), _tables())


def _ranges(data: bytes) -> object:
    with SparseFile(lambda start, stop: data[start:stop], len(data)) as file:
        archive = Archive(cast("IO[bytes]", file), "a.whl", len(data), error=NetworkError, hint="try again")
        wanted = archive.members[:4]
        file.prefetch(member_spans(archive.members, wanted, archive.directory_at))
        return [archive.read(member) for member in wanted]


def _pyproject(data: bytes) -> object:
    project = _folder() / "project"
    (project / "pyproject.toml").write_bytes(data)
    return load_config(project, environ={})


def _row(data: bytes) -> object:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return PublishedWheel.from_json(document)


def _sdist(data: bytes) -> object:
    path = _folder() / "ops-1.tar.gz"
    path.write_bytes(data)
    return recorded(path, Offered(path.name, "", 0.0, path.name), _tables())


def _releases(data: bytes) -> object:
    path = _folder() / "releases"
    path.write_bytes(data)
    return list(ReleaseList(path, Context(Cache(_folder() / "cache"), {}, SilentReporter())).offered())


def _index_state(data: bytes) -> object:
    index = _folder() / "site"
    state_path(index).parent.mkdir(parents=True, exist_ok=True)
    state_path(index).write_bytes(data)
    (index / "yanked.json").write_bytes(data)
    return loaded(index), read_yanks(index)


def _installed(data: bytes) -> object:
    with open_wheel(_wheel(data)) as wheel:
        files = installed_files(wheel, Place("/opt/venv", ImagePython((3, 11), "/usr/bin/python3.11")))
        return write_tar([(wheel, files)], Compression().packer(len))


def _installable(**files: bytes) -> bytes:
    """With a RECORD."""
    told = {f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": WHEEL} | files
    sealed = sealed_members([Member(name, data) for name, data in told.items()], "ops")
    return b"".join(pack_wheel(sealed.values()).chunks)


def _encoded(document: object) -> bytes:
    return json.dumps(document).encode()


_LIBRARY = elf_library(
    {"memcpy": ("libc.so.6", "GLIBC_2.14"), "pow": ("libm.so.6", "GLIBC_2.29"), "own": None},
    needed=["libc.so.6", "libm.so.6"],
    exports=["shown"],
    sections={".nv_fatbin": container(entry(b"image"))},
)
_LOADING = bytes(Library(constructors=(bytes.fromhex("7404 e8 3a000000 c5f857c0"), b"\xc3"), resolvers=(b"\xc3",)))
_VERSIONED = stub_library(
    "a.so", "x86_64", [LibrarySymbol("f", version, SymbolKind.FUNCTION) for version in ("V_1", "V_2")]
)
_ROW = {
    "schema": 1,
    "filename": "ops-1-py3-none-any.whl",
    "size": 1,
    "sha256": "0" * 64,
    "metadata_sha256": "0" * 64,
    "name": "ops",
    "version": "1",
    "variant": None,
    "tags": ["py3-none-any"],
    "requires_python": ">=3.10",
    "requires_dist": ["torch>=2.10"],
    "summary": "",
    "torch": ">=2.10",
    "torch_by_python": [{"python": "3.12", "torch": None}],
    "cuda": "12.9",
    "runtimes": [12],
    "driver": "525",
    "url": "../../a.whl",
    "yanked": False,
    "indexes": ["../"],
    "code": [
        {
            "members": ["a"],
            "cubins": ["8.0"],
            "ptx": [{"arch": "9.0", "driver": None}],
            "driver": "525",
            "further": False,
        }
    ],
}
_STATE = {
    "schema": 1,
    "read_by": reader(),
    "written": {"simple/index.html": "0" * 64},
    "retired": ["files/a"],
    "files": {
        "ops-1-py3-none-any.whl": {
            "identity": "1 2 3",
            "uploaded": 1.5,
            "metadata_size": 3,
            "serves_metadata": False,
            "other": None,
            "wheel": {key: _ROW[key] for key in _ROW if key not in {"url", "yanked", "indexes"}},
            "refused": None,
            "hint": None,
        }
    },
}
_IMAGE_MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "layers": [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": f"sha256:{'0' * 64}",
            "size": 5,
            "annotations": {"a": "b"},
            "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
        }
    ],
}
_RELEASES = f"https://index/ops-1-py3-none-any.whl#sha256={'0' * 64}\n{'0' * 64}  nowhere/ops-1.tar.gz\n".encode()


def _ptx(data: bytes) -> None:
    module = read_module(data.decode("utf-8", "replace"))
    for name in module.spans:
        function(module, name)


def _packed(data: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        member = tarfile.TarInfo("ops-1/PKG-INFO")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return held.getvalue()


_PTX = b'//\n.version 8.8\n.target sm_90a, debug\n.address_size 64\n.file 1 "a.cu"\n.loc 1 2 3\n'
_PTX_MODULE = b"""// made by hand
.version 9.0
.target sm_90a
.address_size 64
.file 1 "a.cu", 1, 2
.extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
.global .align 4 .b8 t[8] = {1, 0, 255};
.global .u64 s[3] = {f, generic(t)+4, 120};
.global .f32 m[2][2] = {{0f3F800000, 1.5}, {-2}};
.extern .shared .align 16 .b8 dyn[];
.weak .func (.param .b32 r) f(.reg .b32 a) .noreturn { ret; }
.visible .entry k(.param .u64 .ptr .global .align 16 p, .param .align 8 .b8 q[24])
.maxntid 128, 1, 1 .minnctapersm 2
{
.reg .pred %p<3>; .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .v4 .f32 %v; .shared .align 4 .b8 a[64];
.loc 1 2 3, function_name $L__info_string0, inlined_at 1 4 5
ld.param.u64 %rd1, [p+8]; /* a comment */
setp.lt.and.s32 %p1|%p2, %r1, -(1+2)*4, !%p0;
@!%p1 bra L;
{ .reg .pred p; .param .b64 param0; T: mbarrier.try_wait.shared::cta.b64 p, [%rd1], %rd2; @p bra T;
call (param0), f, (%r1, 0x10U); }
mov.b64 {%r1, _}, %rd1; ld.v4.f32 %v, [%rd1+-16]; cp.async.bulk.tensor.2d [a], [%rd2, {%r3, %r4}], [%r5];
U: .branchtargets L, L; P: .callprototype (.param .b32 _) _ (.param .b64 _);
brx.idx %r1, U;
L: ret;
}
.section .debug_str { $L__info_string0: .b8 95,90,0 }
.alias again, f;
"""
_LZ4 = b"\x8fabcdefgh\x08\x00\x20\x50vwxyz"
_PACKED = container(
    entry(_LZ4, flags=0x2000) + entry(bytes.fromhex("28b52ffd2004210000") + b"code", flags=0x8000) + entry(b"x" * 64)
)
_FATBIN = container(entry(b"image") + entry(b".version 8.8", kind=1, flags=0x2000)) + bytes(8) + container(entry(b""))

TARGETS = {
    "zip": Target(_zip, (_with_members(), _with_members(**{"ops/a.so": _LIBRARY, "a.fatbin": _FATBIN}))),
    "record": Target(_record, (f"ops/__init__.py,sha256=ab,1\n{INFO}/RECORD,,\n".encode(), b'"a,b",,\r\n')),
    "metadata": Target(_metadata, (METADATA, WHEEL)),
    "elf": Target(_elf, (_LIBRARY, elf_library({}), _LOADING)),
    "exports": Target(lambda data: exported_symbols(data, "a.so"), (_VERSIONED,)),
    "stored-members": Target(_stored, (_with_members(**{"ops/a.so": bytes(3 << 20)}), _with_members(a=_FATBIN * 999))),
    "device-code": Target(_device_code, (bytes(16) + _FATBIN + bytes(99) + _PACKED, _PACKED)),
    "device-files": Target(_device_file, (cubin({"f": [(0, 8)]}), _PTX, _FATBIN)),
    "fatbin": Target(lambda data: read_fatbin(data, "a.fatbin"), (_FATBIN,)),
    "cubin": Target(lambda data: read_cubin(data, "it"), (cubin({"f": [(0, 8), (8, 4)], "g": []}),)),
    "manifest": Target(_manifest, (_encoded(MANIFEST),)),
    "index-html": Target(lambda data: html_links(data, "https://index/simple/ops/"), (HTML,)),
    "index-json": Target(lambda data: json_links(data, "https://index/simple/ops/"), (_encoded(JSON),)),
    "ranges": Target(_ranges, (_with_members(), _with_members(**{"ops/a.h": b"// a\n" * 100}))),
    "pyproject": Target(_pyproject, (PYPROJECT.encode(),)),
    "wheel-facts": Target(
        lambda data: facts_of(_wheel(data), _tables()), (_with_members(), _with_members(**{"ops/a.so": _LIBRARY}))
    ),
    "installed": Target(
        _installed,
        (
            _installable(**{"ops/__init__.py": b"x" * 999}),
            _installable(
                **{f"{INFO}/entry_points.txt": b"[console_scripts]\na = ops:b\n", "ops.data/scripts/c": b"#!python"}
            ),
        ),
    ),
    "image-manifest": Target(
        lambda data: descriptors_of(parse_document(data, "it"), "layers", "it"), (_encoded(_IMAGE_MANIFEST),)
    ),
    "base-layer": Target(lambda data: rows_of(iter([data]), "it"), (_packed(METADATA), _packed(b""))),
    "wheels-json": Target(_row, (_encoded(_ROW),)),
    "sdist-head": Target(_sdist, (_packed(METADATA),)),
    "releases": Target(_releases, (_RELEASES, _encoded({"files": [{"url": "nowhere/a.whl"}]}))),
    "index-state": Target(_index_state, (b'{"ops-1-py3-none-any.whl": "crashes"}', _encoded(_STATE))),
    "ptx": Target(_ptx, (_PTX_MODULE, _PTX)),
    "lock": Target(lambda data: parse_lock(data, "lock"), (LOCK.encode(),)),
}
"""Reader -> how it is called."""
