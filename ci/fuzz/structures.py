"""Hypothesis strategies: files that have the form of honest ones, with fields as nobody writes them."""

from __future__ import annotations

import gzip
import json
import zipfile
from typing import TYPE_CHECKING, Any

from hostile import RawMember, container, cubin, elf_library, entry, raw_zip
from hypothesis import strategies as st
from targets import HTML, INFO, LOCK, MANIFEST, METADATA, PYPROJECT, TARGETS, WHEEL

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STRUCTURES"]

_EDGES = (0, 1, 2, 7, 8, 15, 16, 64, 255, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**63 + 64, 2**64 - 1)
_numbers = st.one_of(st.sampled_from(_EDGES), st.integers(0, 2**64 - 1))
_words = st.text(st.characters(codec="utf-8"), max_size=12)


def _patched(honest: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A file in which some fields of 1 to 8 bytes have edge values, and which may be cut."""

    def patched(draw: Any) -> bytes:  # noqa: ANN401  # Hypothesis's own
        data = bytearray(draw(honest))
        for _ in range(draw(st.integers(0, 4))):
            size = draw(st.sampled_from((1, 2, 4, 8)))
            at = draw(st.integers(0, max(0, len(data) - size)))
            data[at : at + size] = (draw(_numbers) & (1 << 8 * size) - 1).to_bytes(size, "little")
        return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 0 else data)

    patches: st.SearchStrategy[bytes] = st.composite(patched)()
    return patches


_members = st.builds(
    RawMember,
    name=st.one_of(
        st.sampled_from((b"a", b"a/b", b"../a", b"/a", b"a//b", b"\xff", f"{INFO}/METADATA".encode(), b"a.fatbin")),
        st.binary(max_size=20),
    ),
    stream=st.one_of(st.binary(max_size=200), st.just(bytes(2000))),
    method=st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 12, 14, 93, 99)),
    size=st.none() | st.integers(0, 2**32 - 1),
    crc=st.none() | st.integers(0, 2**32 - 1),
    compressed=st.none() | st.integers(0, 2**32 - 1),
    flags=st.sampled_from((0, 1, 8, 0x800, 0x801, 0xFFFF)),
    offset=st.none() | st.integers(0, 2**32 - 1),
    extra=st.one_of(st.just(b""), st.binary(max_size=30), st.binary(max_size=30).map(lambda data: b"\1\0" + data)),
    local_extra_size=st.sampled_from((0, 0, 0, 1, 0xFFFF)),
)
_archives = _patched(st.lists(_members, max_size=5).map(raw_zip))

_versions = st.none() | st.tuples(_words, _words)
_libraries = _patched(
    st.builds(
        lambda imports, needed, exports, section: elf_library(
            {name.replace("\0", ""): value for name, value in imports.items()},
            needed=needed,
            exports=exports,
            sections={".nv_fatbin": section},
        ),
        st.dictionaries(_words, _versions, max_size=6),
        st.lists(_words, max_size=4),
        st.lists(_words, max_size=3),
        st.binary(max_size=40),
    )
)
_entries = st.builds(
    entry,
    st.binary(max_size=64),
    kind=st.integers(0, 0xFFFF),
    arch=st.integers(0, 2**32 - 1) | st.sampled_from((75, 80, 90, 120)),
    flags=_numbers,
    header=st.just(64) | st.integers(0, 2**32 - 1),
)
_containers = st.builds(
    container,
    st.lists(_entries, max_size=4).map(b"".join),
    header=st.just(16) | st.integers(0, 0xFFFF),
    size=st.none() | _numbers,
)
_fatbins = _patched(st.lists(_containers | st.binary(max_size=16), max_size=4).map(b"".join))
_cubins = _patched(
    st.dictionaries(
        _words, st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0x3FFF)), max_size=4), max_size=4
    ).map(cubin)
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=12,
)


def _documents(honest: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    """JSON with the right keys and some wrong values, on every level."""

    def changed(value: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401  # any JSON
        if isinstance(value, dict):
            inside: st.SearchStrategy[Any] = st.fixed_dictionaries(
                {}, optional={k: changed(v) for k, v in value.items()}
            )
        elif isinstance(value, list):
            inside = st.lists(st.one_of([changed(item) for item in value]), max_size=3)
        else:
            inside = st.just(value)
        return st.one_of(inside, st.just(value), st.just(value), _json)

    return changed(dict(honest)).map(lambda value: json.dumps(value).encode())


def _texts(honest: bytes, *pieces: bytes) -> st.SearchStrategy[bytes]:
    """Lines of a text, repeated, left out, exchanged, with pieces of its grammar between them."""
    lines = honest.splitlines(keepends=True)
    part = st.sampled_from([*lines, *lines, *pieces]) | st.binary(max_size=12) | _words.map(str.encode)
    some = st.lists(part, max_size=12).map(b"".join)
    return st.one_of(
        some,
        st.tuples(st.integers(0, len(lines)), some).map(
            lambda at: b"".join(lines[: at[0]]) + at[1] + b"".join(lines[at[0] :])
        ),
        st.tuples(st.sampled_from(pieces), st.integers(1, 3000)).map(lambda many: many[0] * many[1]),
    )


_TOML = (
    b"[",
    b"]",
    b"[[",
    b"{a=",
    b"a.",
    b'"',
    b"'''",
    b"= ",
    b"1979-05-27T07:32:00Z\n",
    b"9" * 5000,
    b"\n",
    b"#",
    b"[tool.",
)
_KEYS = (
    b"cuda = 1\n",
    b"abi = 'none'\n",
    b"python = 'abi3'\n",
    b"mode = 'nvcc'\n",
    b"link-flags = ['x']\n",
    b"nvmath = '1'\n",
)
_HTML = (
    b"<a ",
    b"<a href='",
    b'<a href="',
    b"<!--",
    b"-->",
    b"<![",
    b"&#",
    b";",
    b"<base href=",
    b">",
    b"#sha256=",
    b"http://[",
)
_METADATA = (
    b"Requires-Dist: ",
    b"(",
    b")",
    b"; extra == 'a'",
    b" ",
    b"\r\n",
    b"\n ",
    b"\n",
    b"@ http://",
    b">=",
    b",",
    b"Tag: ",
)
_RECORD = (b",", b'"', b"\r", b"\n", b"sha256=", b"a,b,c\n", b'""')


def _plain_tar() -> bytes:
    """Not packed, so that a change reaches its headers."""
    return gzip.decompress(TARGETS["base-layer"].seeds[0])


_PTX = (
    *(b"{", b"}", b"(", b")", b"[", b"]", b";", b'"', b"/*", b"//", b"@!%p1 ", b"!", b"-", b"|", b",", b":", b"{" * 99),
    *(
        b".reg .b32 %r<999999999>;",
        b".global .b8 a[0xFFFFFFFFFFFFFFFF] = {1};",
        b".local .v4 .f64 a[9][9] = {{1}, {f}};",
    ),
    *(
        b"0f7FFFFFFF",
        b"1e999",
        b"(" * 99,
        b"~" * 99,
        b"9" * 5000,
        b"generic(a)-",
        b"0xFF00(f)",
        b"L: .branchtargets L;",
    ),
    *(b".entry k {", b".func (.reg .b32 a) g", b'.pragma "a;', b".loc 1 2", b".alias k, k;", b".section .debug_str {"),
)
STRUCTURES = {
    "zip": _archives,
    "record": _texts(TARGETS["record"].seeds[0], *_RECORD),
    "metadata": _texts(METADATA, *_METADATA) | _texts(WHEEL, *_METADATA),
    "elf": _libraries,
    "exports": _patched(st.just(TARGETS["exports"].seeds[0])) | _libraries,
    "stored-members": _archives,
    "device-code": st.tuples(st.binary(max_size=40), _fatbins, st.binary(max_size=40), _fatbins).map(b"".join),
    "device-files": _cubins | _texts(TARGETS["device-files"].seeds[1], b".version 8.8\n", b".target sm_90\n", b".loc "),
    "fatbin": _fatbins,
    "cubin": _cubins,
    "manifest": _documents(MANIFEST),
    "index-html": _texts(HTML, *_HTML),
    "index-json": _documents(json.loads(TARGETS["index-json"].seeds[0])),
    "ranges": _archives,
    "wheel-facts": _archives,
    "installed": _patched(st.sampled_from(TARGETS["installed"].seeds)) | _archives,
    "image-manifest": _documents(json.loads(TARGETS["image-manifest"].seeds[0])),
    "base-layer": _patched(st.just(TARGETS["base-layer"].seeds[0])) | _patched(st.just(_plain_tar())),
    "wheels-json": _documents(json.loads(TARGETS["wheels-json"].seeds[0])),
    "sdist-head": _patched(st.just(TARGETS["sdist-head"].seeds[0])),
    "releases": _texts(TARGETS["releases"].seeds[0], *_HTML) | _documents(json.loads(TARGETS["releases"].seeds[1])),
    "index-state": _documents(json.loads(TARGETS["index-state"].seeds[1])),
    "pyproject": _texts(PYPROJECT.encode(), *_TOML, *_KEYS),
    "ptx": _texts(TARGETS["ptx"].seeds[0], *_PTX),
    "lock": _texts(LOCK.encode(), *_TOML),
}
"""Reader -> files for it."""
