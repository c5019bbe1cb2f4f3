"""One converter per type of value: how it is written, how it is read, what its JSON schema is."""

from __future__ import annotations

import difflib
import keyword
import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from gpuwheel.config.model import (
    ByteSize,
    ExtraName,
    Glob,
    GroupName,
    ImportPath,
    LibraryName,
    LocalLabel,
    Machine,
    PackageFolder,
    PlatformTag,
    PythonVersion,
    ReleaseFloor,
    Requirement,
    Toolkit,
    TorchRange,
)
from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.cells import CellName
from gpuwheel.model.versions import POLICY_PATTERN, DriverVersion, MinorVersion, VersionPolicy, meant_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Converter", "choices_of", "converter_for", "parse_size"]

T = TypeVar("T")

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(rf"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>{'|'.join(_UNITS)})")
_FLOOR = re.compile(r">=\s*(?P<version>\d+\.\d+)")
_ONE_MINOR = re.compile(r"==\s*(?P<version>\d+\.\d+)\.\*")
_RELEASE_FLOOR = re.compile(r">=\s*(?P<version>\d+\.\d+(?:\.\d+)?)")
_DRIVER_FLOOR = re.compile(r">=\s*(?P<version>\d+(?:\.\d+){0,2})")
_LOOSE_ARCH = re.compile(
    r"(?:sm_?|compute_?)?(?P<digits>[1-9]\d{0,2})(?:\.(?P<minor>\d))?(?P<suffix>[af])?(?P<ptx>[+-]?ptx)?", re.IGNORECASE
)
_FIRST_TWO_DIGIT_NUMBER = 30  # "90" is sm_90, "12" is 12.0: below sm_30 there is nothing that a toolkit of today knows
_TRUTH = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


@dataclass(frozen=True)
class Converter:
    """How one type of value is written and read."""

    expected: str
    """For a message and the reference page: "a size such as '100 MB'"."""
    parse: Callable[[str], object]
    """From text; raises ValueError, which the caller turns into a ConfigError that names the key and its source."""
    native: type = str
    """The TOML type it is written as: `str`, `int` or `bool`."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """JSON schema of a single value, less its `type`."""
    hint: str | None = None
    """What to do when the value is wrong, where the expected form does not say it."""
    suggest: Callable[[str], str | None] = lambda _text: None
    """The right spelling of text that `parse` refuses, where it is clear what was meant."""
    filled: bool = False
    """Whether a list of these must hold something."""
    distinct: bool = False
    """Whether a list of these must not name anything twice."""

    def from_toml(self, value: object) -> object:
        """From a value as TOML types it.

        Raises:
            ValueError: another TOML type, or text that `parse` refuses.
        """
        # Not isinstance: to Python True is an int, and TOML keeps them apart.
        if type(value) is not self.native:
            raise ValueError(value)
        return self.parse(str(value))


def parse_size(text: str) -> int:
    """Bytes, from "100 MB" (powers of 1000) or "100 MiB" (powers of 1024; IEC 80000-13).

    Raises:
        ValueError: `text` is not a number and a unit, or not a whole number of bytes above zero.
    """
    msg = f"{text!r} is not a size (expected for example '100 MB')"
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(msg)
    whole, _, fraction = match["number"].partition(".")
    # In whole numbers: 0.1 MB as a float is not a whole number of bytes.
    divisor: int = 10 ** len(fraction)
    scaled, rest = divmod(int(whole + fraction) * _UNITS[match["unit"]], divisor)
    if rest or scaled == 0:
        raise ValueError(msg)
    return scaled


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError(text)
    return _TRUTH[text.lower()]


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError(text)
    return number


def _matching(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(text)
        return text

    return parse


def _torch_range(text: str) -> SpecifierSet:
    if match := _FLOOR.fullmatch(text):
        return SpecifierSet(f">={match['version']}")
    if match := _ONE_MINOR.fullmatch(text):
        return SpecifierSet(f"=={match['version']}.*")
    raise ValueError(text)


def _release_floor(text: str) -> SpecifierSet:
    match = _RELEASE_FLOOR.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return SpecifierSet(f">={match['version']}")


def _driver_floor(text: str) -> DriverVersion:
    match = _DRIVER_FLOOR.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return DriverVersion.parse(match["version"])


def _toolkit(text: str) -> MinorVersion:
    version = MinorVersion.parse(text)
    # "12.9.1" and "012.9" parse, and name no row of the tables.
    if str(version) != text:
        raise ValueError(text)
    return version


def _or_policy(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Versions, or a policy that chooses them."""
    return lambda text: VersionPolicy.parse(text) if _reads(VersionPolicy.parse, text) else parse(text)


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise ValueError(text) from error


def _local_label(text: str) -> str:
    label = _version(f"0+{text}").local
    # "1+a" would be read as a label behind a label.
    if label is None or "+" in text or text != text.strip() or not text.isascii():
        raise ValueError(text)
    return label


def _requirement(text: str) -> str:
    try:
        Pep508(text)
    except InvalidRequirement as error:
        raise ValueError(text) from error
    return text


def _glob(text: str) -> str:
    path = PurePosixPath(text)
    # Outside of the project nothing goes into an sdist; a backslash is a folder's end on one system and a letter on
    # others.
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError(text)
    return text


def _package_folder(text: str) -> str:
    if not _glob(text).partition("/")[2]:
        raise ValueError(text)
    return text


def _import_path(text: str) -> str:
    parts = text.split(".")
    # It becomes a file name, a CMake target and a C function (PyInit_NAME), where only ASCII is the same for all.
    if not all(part.isidentifier() and part.isascii() and not keyword.iskeyword(part) for part in parts):
        raise ValueError(text)
    return text


def _choice(values: Mapping[str, T]) -> Converter:
    def parse(text: str) -> T:
        if text not in values:
            raise ValueError(text)
        return values[text]

    return Converter(
        expected=" or ".join(f"{value!r}" for value in values),
        parse=parse,
        schema={"enum": list(values)},
        suggest=lambda text: next(iter(difflib.get_close_matches(text, values, n=1)), None),
    )


def _suggest_arch(text: str) -> str | None:
    words = re.split(r"[\s,]+", text)
    if len(words) > 1:
        meant = [word if _reads(ArchTarget.parse, word) else _suggest_arch(word) for word in words]
        return ";".join(word for word in meant if word) if all(meant) else None
    match = _LOOSE_ARCH.fullmatch(text)
    if match is None:
        return None
    digits = match["digits"]
    if match["minor"] is None and int(digits) >= _FIRST_TWO_DIGIT_NUMBER:
        digits, minor = digits[:-1], digits[-1]
    else:
        minor = match["minor"] or "0"
    return f"{digits}.{minor}{(match['suffix'] or '').lower()}{'+PTX' if match['ptx'] else ''}"


def _reads(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


_GROUP = r"[A-Za-z_][A-Za-z0-9_]*"
_EXTRA = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_LIBRARY = r"[A-Za-z][A-Za-z0-9_+-]*"
_MACHINE = r"[a-z][a-z0-9_]*"
_PLATFORM = r"(manylinux_2_[1-9]\d*|system)"

_CONVERTERS: dict[object, Converter] = {
    str: Converter("a string", parse=str),
    bool: Converter("true or false", parse=_truth, native=bool),
    int: Converter("a number above zero", parse=_positive, native=int, schema={"minimum": 1}),
    ArchTarget: Converter(
        "for example '9.0', '9.0a' or '10.0+PTX'",
        parse=ArchTarget.parse,
        schema={"pattern": r"^\d{1,2}\.\d[af]?(\+PTX)?$"},
        suggest=_suggest_arch,
        filled=True,
        distinct=True,
    ),
    MinorVersion: Converter(
        "a toolkit as a string such as '12.9'",
        parse=_toolkit,
        schema={"pattern": r"^(0|[1-9]\d*)\.(0|[1-9]\d*)$"},
        filled=True,
        distinct=True,
    ),
    Toolkit: Converter(
        "a toolkit as a string such as '12.9', or a policy such as 'last 2 majors'",
        parse=_or_policy(_toolkit),
        schema={"pattern": rf"^((0|[1-9]\d*)\.(0|[1-9]\d*)|{POLICY_PATTERN})$"},
        suggest=meant_policy,
        filled=True,
        distinct=True,
    ),
    PythonVersion: Converter(
        "a Python as a string such as '3.12', or a policy such as 'last 4 minors'",
        parse=_or_policy(_toolkit),
        schema={"pattern": rf"^(3\.[1-9]\d*|{POLICY_PATTERN})$"},
        # "3.14t": modules of free-threaded builds are not planned.
        suggest=lambda text: text.removesuffix("t") if _reads(_toolkit, text.removesuffix("t")) else meant_policy(text),
        filled=True,
        distinct=True,
    ),
    Machine: Converter(
        "a CPU architecture such as 'x86_64'",
        parse=_matching(_MACHINE),
        schema={"pattern": f"^{_MACHINE}$"},
        filled=True,
        distinct=True,
    ),
    CellName: Converter(
        "the identifier of a wheel as `gpuwheel plan` gives it, such as 'nvcc-cu13.0-torch2.13-linux_x86_64'",
        parse=CellName.parse,
        schema={"pattern": r"^[a-z]+(-cu\d+\.\d+)?(-torch\d+\.\d+)?(-cp\d+)?-[a-z0-9_]+$"},
    ),
    DriverVersion: Converter(
        "a floor such as '>=525'", parse=_driver_floor, schema={"pattern": r"^>=\s*\d+(\.\d+){0,2}$"}
    ),
    Version: Converter("a version such as '0.1'", parse=_version, schema={"pattern": r"^v?\d+(\.\d+)*([a-z].*)?$"}),
    TorchRange: Converter(
        "a floor such as '>=2.10', one minor such as '==2.13.*', or a policy such as 'last 3 minors'",
        parse=_or_policy(_torch_range),
        schema={"pattern": rf"^(>=\s*\d+\.\d+|==\s*\d+\.\d+\.\*|{POLICY_PATTERN})$"},
        suggest=meant_policy,
        hint="one wheel serves every torch from the floor on; bounds and exclusions belong to the installing side",
        filled=True,
        distinct=True,
    ),
    ReleaseFloor: Converter(
        "a floor such as '>=1.0'", parse=_release_floor, schema={"pattern": r"^>=\s*\d+\.\d+(\.\d+)?$"}
    ),
    ExtraName: Converter(
        "a normalised name such as 'test'", parse=_matching(_EXTRA), schema={"pattern": f"^{_EXTRA}$"}
    ),
    ByteSize: Converter(
        "a size such as '100 MB' or '1 GiB'",
        parse=parse_size,
        schema={"pattern": rf"^(?=.*[1-9])\d+(\.\d+)?\s*({'|'.join(_UNITS)})$"},
    ),
    Glob: Converter(
        "a pattern below the project such as 'csrc/*.cu'",
        parse=_glob,
        schema={"pattern": r"^(?!/)(?!(.*/)?\.\.(/|$))[^\\]+$"},
        filled=True,
        distinct=True,
    ),
    GroupName: Converter(
        "a C identifier such as 'fused'",
        parse=_matching(_GROUP),
        schema={"pattern": f"^{_GROUP}$"},
        distinct=True,
    ),
    ImportPath: Converter(
        "an import path such as 'fused_ops._C'",
        parse=_import_path,
        schema={"pattern": rf"^{_GROUP}(\.{_GROUP})*$"},
    ),
    LibraryName: Converter(
        "a name as after -l, such as 'cublasLt'",
        parse=_matching(_LIBRARY),
        schema={"pattern": f"^{_LIBRARY}$"},
        suggest=lambda text: text.removeprefix("-l").removeprefix("lib").partition(".")[0] or None,
        distinct=True,
    ),
    LocalLabel: Converter(
        "letters and digits between dots such as 'torch2.14.cu13.0' (PEP 440)",
        parse=_local_label,
        schema={"pattern": r"^[A-Za-z0-9]+([-_.][A-Za-z0-9]+)*$"},
    ),
    PackageFolder: Converter(
        "a distribution and a folder in it such as 'nvidia-cutlass/cutlass_library/source/include'",
        parse=_package_folder,
        schema={"pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]*/.+$"},
        distinct=True,
    ),
    PlatformTag: Converter(
        "a glibc platform such as 'manylinux_2_28', or 'system'",
        parse=_matching(_PLATFORM),
        schema={"pattern": f"^{_PLATFORM}$"},
    ),
    Requirement: Converter("a requirement such as 'numpy>=1.26'", parse=_requirement, distinct=True),
}


def choices_of(kind: object) -> tuple[object, ...]:
    """The values of an enum or a Literal; of other types none."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


def converter_for(kind: object) -> Converter:
    """The converter of one type as the model writes it: a class, an annotated alias, an enum or a Literal.

    Raises:
        KeyError: no such type is part of the model.
    """
    choices = choices_of(kind)
    if choices:
        return _choice({str(one.value if isinstance(one, Enum) else one): one for one in choices})
    return _CONVERTERS[kind]
