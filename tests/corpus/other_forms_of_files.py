"""Faults of the container in further forms: RECORD, METADATA, WHEEL, names of files, and what was left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus._zips import patched
from corpus.archives import pure
from corpus.cases import CASES, Case
from corpus.metadata_files import fields, told
from corpus.records import ROW, digest, edited, replaced
from corpus.strays import entries
from corpus.wheels import TAG, wheel
from gpuwheel.model.findings import Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
INFO = "ops-1.0.dist-info"
TELLS = f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: {TAG}\n"
UTF_8 = 0x800
KEY = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"


def row(rule: str, name: str, make: Callable[[], Pair], severity: Severity = ERROR, *, sneaky: bool = True) -> None:
    """Make it a case."""
    CASES.append(Case(name, rule, make, sneaky, Profile.ANY, severity))


def _with(name: str, data: bytes = b"x") -> Callable[[], Pair]:
    return lambda: (wheel({name: data}), wheel())


def _requires(broken: str | tuple[str, ...], twin: str | tuple[str, ...]) -> Callable[[], Pair]:
    def made(asked: str | tuple[str, ...]) -> WheelFile:
        texts = (asked,) if isinstance(asked, str) else asked
        return fields(*(f"Requires-Dist: {text}" for text in texts))

    return lambda: (made(broken), made(twin))


def _tells(old: str, new: str) -> Callable[[], Pair]:
    return lambda: (told(TELLS.replace(old, new)), told(TELLS))


row("record-hash", "the name of a digest in capitals", lambda: replaced(ROW.replace("sha256", "SHA256")))
row("record-hash", "a digest of blake2b", lambda: replaced(f"ops/a.txt,blake2b={digest('blake2b')},6"))
row("record", "a size below zero", lambda: replaced(f"{ROW.rsplit(',', 1)[0]},-6"))
row("record-row", "a row for a folder", lambda: (edited(lambda text: f"ops/,,\n{text}"), edited(str)), WARNING)
row(
    "metadata-requirement",
    "a marker that nobody knows",
    _requires("numpy; python == '3'", "numpy; python_version >= '3'"),
)
row("metadata-requirement", "a bound without a version", _requires("numpy>=1,<", "numpy>=1,<2"))
row("metadata-requirement", "a name with a slash", _requires("a/b", "a_b"))
row("metadata-requirement", "two names in one requirement", _requires("numpy scipy", "numpy"))
row("requirement-conflict", "a requirement of another release of itself", _requires("ops>=2", "ops[x]==1.0"))
row("requirement-empty", "a text and a bound below it", _requires("rich===13.0,>14", "rich===13.0,<14"))
row("requirement-empty", "a compatible release and a bound below it", _requires("rich~=13.4,<13.4", "rich~=13.4,<13.5"))
row(
    "requirement-empty",
    "two local versions at once",
    _requires(("torch==2.13.0+cpu", "torch==2.13.0+cu128"), "torch==2.13.0+cpu"),
)
row(
    "requirement-empty",
    "three lines that leave nothing together",
    _requires(("torch>=2.10", "torch<2.12", "torch!=2.10.*,!=2.11.*"), ("torch>=2.10", "torch<2.12")),
)
row(
    "requires-python",
    "a python compatible with a major",
    lambda: (wheel(fields=("Requires-Python: ~=3",)), wheel(fields=("Requires-Python: ~=3.9",))),
)
row(
    "requires-python",
    "a python with its name",
    lambda: (wheel(fields=("Requires-Python: Python>=3.9",)), wheel(fields=("Requires-Python: >=3.9",))),
)
row("metadata-extra", "an extra with a space", lambda: (fields("Provides-Extra: a b"), fields("Provides-Extra: ab")))
row("purelib", "perhaps pure", _tells("false", "maybe"), WARNING)
row("tag-mismatch", "no tags in wheel", _tells(f"Tag: {TAG}\n", ""), WARNING)
row("wheel-file", "two wheel versions", _tells("Wheel-Version: 1.0\n", "Wheel-Version: 1.9\nWheel-Version: 1.0\n"))
row("wheel-file", "a wheel file in utf 16", lambda: (wheel({f"{INFO}/WHEEL": TELLS.encode("utf-16")}), told(TELLS)))
row(
    "tag-impossible",
    "an abi of another python",
    lambda: (wheel(tag=TAG.replace("-cp311", "-cp312")), wheel()),
    sneaky=False,
)
row(
    "tag-impossible",
    "the stable abi for any python",
    lambda: (
        wheel({"ops/_C.so": None}, tag=TAG.replace("cp311-cp311", "py3-abi3")),
        wheel({"ops/_C.so": None}, tag=TAG.replace("cp311-cp311", "py3-none")),
    ),
)
row("archive-name", "a drive in front", lambda: (wheel({"C:/x.py": b""}), wheel({"ops/x.py": b""})))
row("archive-name", "a folder that is a dot", lambda: (wheel({"ops/./x.py": b""}), wheel({"ops/x.py": b""})), WARNING)
row("archive-name", "two slashes", lambda: (wheel({"ops//x.py": b""}), wheel({"ops/x.py": b""})), WARNING)
row("archive-name", "a name of 300 letters", lambda: (wheel({f"ops/{'a' * 300}.py": b""}), wheel()))
row(
    "archive-name",
    "a name that turns its direction",
    lambda: (patched(pure({"ops/\u202egnp.py": b""}), "ops/\u202egnp.py", flags=UTF_8), pure()),
)
row(
    "archive-name-portable",
    "a device with a suffix",
    lambda: (pure({"ops/aux.py": b""}), pure({"ops/auxi.py": b""})),
    WARNING,
)
row(
    "archive-name-portable",
    "a space at the end",
    lambda: (pure({"ops/data ": b""}), pure({"ops/data": b""})),
    WARNING,
)
row("archive-name-portable", "a printer", lambda: (pure({"ops/LPT1": b""}), pure()), WARNING)
row("archive-name-portable", "a colon", lambda: (pure({"ops/a:b.txt": b""}), pure()), WARNING)
row(
    "stray-file",
    "a private key",
    lambda: (wheel({"ops/server.key": KEY}), wheel({"ops/server.pem": CERTIFICATE})),
)
row("stray-file", "a key for logins", _with("ops/id_ed25519", KEY))
row("stray-file", "what macos leaves in a folder", _with("ops/.DS_Store"), WARNING)
row("stray-file", "what macos leaves in an archive", _with("__MACOSX/ops/._x"), WARNING)
row("stray-file", "what nvcc keeps", _with("ops/k.cudafe1.cpp"), WARNING)
row("stray-file", "what profilers write", _with("ops/report.nsys-rep"), WARNING)
row("stray-file", "what ninja writes", _with("ops/.ninja_log"), WARNING)
row("stray-file", "the egg info of the sources", _with("ops/ops.egg-info/PKG-INFO"), WARNING)
row("stray-file", "what an editor has open", _with("ops/.a.py.swp"), WARNING)
row("stray-file", "what was not measured", _with("ops/k.gcda"), WARNING)
row("stray-object", "an object file of nvcc", _with("ops/k.cu.o"), WARNING)
row("stray-object", "what libtool leaves", _with("ops/libk.la"), WARNING)
row("stray-top-level", "the build file of the project", _with("setup.py"), WARNING)
row("startup-file", "a module that site imports", _with("sitecustomize.py", b"x = 1\n"), WARNING)
row(
    "script-interpreter",
    "one version of python wherever it is",
    lambda: (
        wheel({"ops-1.0.data/scripts/t": b"#!/usr/bin/env python3.11\n"}),
        wheel({"ops-1.0.data/scripts/t": b"#!/usr/bin/env python3\n"}),
    ),
    WARNING,
)
row(
    "script-interpreter",
    "the python of a conda environment",
    lambda: (
        wheel({"ops-1.0.data/scripts/t": b"#!/opt/conda/bin/python\n"}),
        wheel({"ops-1.0.data/scripts/t": b"#!python\n"}),
    ),
)


def _programs(text: str) -> Callable[[], Pair]:
    return lambda: (entries(text), entries("[console_scripts]\nops = ops:main\n"))


row("entry-points", "a section without an end", _programs("[console_scripts\nops = ops:main\n"))
row("entry-points", "a program without an equals sign", _programs("[console_scripts]\nops\n"))
row("entry-points", "a function with a dash", _programs("[console_scripts]\nops = ops:main-it\n"))
row("entry-points", "a window of a module that is not there", _programs("[gui_scripts]\nops = ops.gone:main\n"))
