"""Files that somebody else's folder, a build or an editor left in the wheel."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from gpuwheel._endings import because, cut
from gpuwheel._limits import MANIFEST_FILE
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.container.names_agree import dist_info_file, wheel_name
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.wheel import Content

__all__ = ["STRAY_RULES"]

_TOP_LEVEL = frozenset(
    {
        *("test", "tests", "testing", "doc", "docs", "src", "build", "dist", "example", "examples", "sample"),
        *("samples", "benchmark", "benchmarks", "scripts", "tools", "csrc", "ci", "utils", "lib", "include"),
        *("setup.py", "conftest.py", "noxfile.py", "tasks.py"),
    }
)
"""Names in site-packages that projects take by mistake, and then of each other."""
_OWNED = {
    **{name: name for name in ("torch", "numpy", "triton", "scipy", "jax", "tensorflow", "cupy", "numba", "pip")},
    **dict.fromkeys(("functorch", "torchgen"), "torch"),
    "torchvision": "torchvision",
    "torchaudio": "torchaudio",
    "setuptools": "setuptools",
    "pkg_resources": "setuptools",
}
"""Modules that GPU extensions have beside them -> the project that installs each."""
_LOOSE = re.compile(r"(?i)(readme|changelog|license|licence|copying|notice|authors|makefile|cmakelists)(\..*)?")
_LOOSE_FILES = frozenset({"pyproject.toml", "setup.cfg", "MANIFEST.in", "requirements.txt", "tox.ini"})
_FOLDERS = frozenset(
    {
        *(".git", ".hg", ".svn", ".github", ".idea", ".vscode", ".vs", ".pytest_cache", ".mypy_cache", ".ruff_cache"),
        *(".ipynb_checkpoints", ".tox", ".nox", ".venv", "CMakeFiles", "_skbuild", "__MACOSX", "node_modules"),
    }
)
_FILES = frozenset(
    {
        *(".DS_Store", "Thumbs.db", "desktop.ini", ".gitignore", ".gitattributes", ".gitmodules", "CMakeCache.txt"),
        *("compile_commands.json", ".ninja_log", ".ninja_deps", "build.ninja", ".coverage", ".env"),
        *("cmake_install.cmake", "core", ".netrc", ".pypirc"),
    }
)
_SECRETS = frozenset({".env", ".netrc", ".pypirc", ".pgpass", ".git-credentials", "id_rsa", "id_ecdsa", "id_ed25519"})
_KEYS = (".pem", ".key")
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
"""RFC 7468, section 10 and 11, and what OpenSSL and OpenSSH write."""
_ENDS = (
    *("~", ".swp", ".swo", ".orig", ".rej", ".bak", ".tmp", ".egg-link", ".gcda", ".gcno", ".nsys-rep", ".ncu-rep"),
    *(".qdrep", ".prof", ".log", ".pdb", ".ilk", ".dSYM"),
    # Of nvcc --keep.
    *(
        ".cudafe1.cpp",
        ".cudafe1.c",
        ".cudafe1.gpu",
        ".cudafe1.stub.c",
        ".cpp1.ii",
        ".cpp4.ii",
        ".module_id",
        ".fatbin.c",
    ),
)
_OBJECTS = (".o", ".obj", ".d", ".cubin.o", ".la", ".lo")
_DEBUG = (".debug", ".dbg", ".dwo", ".dwp")
_SOURCES = (".cu",)
_CORE = re.compile(r"core(\.\d+)?")
_SCRUB = "leave it out: of the build backend's list of files (package-data, MANIFEST.in, wheel.exclude)"
_FOREIGN = {".dll": "Windows", ".pyd": "Windows", ".exe": "Windows", ".dylib": "macOS"}
_HOME = re.compile(r"(?<![\w.-])(?:/home/|/Users/|/root/|[A-Za-z]:\\Users\\)[\w.+-]+[/\\][\w./\\+-]*")
_INSTALLED = {
    "INSTALLER": "installers write it, to say who installed the project",
    "REQUESTED": "installers write it, to say that the user asked for the project",
    "direct_url.json": "installers write it, to say from where they installed the project",
}


_path = lru_cache(maxsize=1 << 15)(PurePosixPath)  # several rules ask of each member


def _packages(case: WheelCase) -> Iterator[tuple[str, PurePosixPath]]:
    """Members outside of .dist-info, with the path at which they are installed in site-packages."""
    for name in case.wheel.members:
        top, _, rest = name.partition("/")
        if top.endswith(".dist-info") and rest:
            continue
        if top.endswith(".data") and rest:
            scheme, _, path = rest.partition("/")
            if scheme in {"purelib", "platlib"} and path:
                yield name, _path(path)
            continue
        yield name, _path(name)


@rule(
    "stray-top-level",
    needs={Part.MEMBERS},
    why="it lies in site-packages beside all projects: others install the same name, and imports find the wrong one",
    fix="let the backend pack the project's package alone (setuptools: packages.find, include)",
    source="Python Packaging User Guide, Package Discovery",
    severity=Severity.WARNING,
)
def _top_level(case: WheelCase) -> Iterator[Found]:
    """The wheel installs a name into site-packages that is not the project's."""
    name = wheel_name(case)
    own = canonicalize_name(name.distribution).replace("-", "_") if name is not None else ""
    told: set[str] = set()
    for member, path in _packages(case):
        top, inside = path.parts[0], len(path.parts) > 1
        if top in told or canonicalize_name(top).replace("-", "_") == own:
            continue
        loose = not inside and (top in _LOOSE_FILES or (bool(_LOOSE.fullmatch(top)) and not top.endswith(".py")))
        if loose or (top in _TOP_LEVEL and (inside or top.endswith(".py"))):
            told.add(top)
            yield Found(cut(member), f"is installed under a name that every project may have ({top}, in site-packages)")


@rule(
    "foreign-package",
    needs={Part.MEMBERS},
    why="it overwrites the other project's files, or is overwritten, in the order of installation",
    fix="leave it out, and require the project (Requires-Dist)",
    source="Recording installed projects: a file belongs to one project; pip and uv overwrite without asking",
    severity=Severity.WARNING,
)
def _foreign_package(case: WheelCase) -> Iterator[Found]:
    """The wheel installs a package or module whose name is another project's."""
    name = wheel_name(case)
    own = canonicalize_name(name.distribution) if name is not None else ""
    for member, path in _packages(case):
        module = path.parts[0].removesuffix(".py")
        owner = _OWNED.get(module)
        # A folder without it is a namespace, or files beside the project's own.
        is_package = str(path) in {f"{module}/__init__.py", f"{module}.py"}
        # pytorch-triton and intel-numpy are those projects by another name.
        if owner is not None and is_package and owner not in own:
            problem = f"is the package {module} of another project (found in {own}, expected in {owner})"
            yield Found(cut(member), problem, facts={"package": module, "project": owner})


@rule(
    "stray-file",
    needs={Part.MEMBERS},
    why="no user needs it, and every user downloads it",
    fix=_SCRUB,
    source="what version control, editors, build tools and systems leave beside sources",
    severity=Severity.WARNING,
)
def _file(case: WheelCase) -> Iterator[Found]:
    """The wheel holds what an editor, a build or a system left behind."""
    for member, path in _packages(case):
        folder = next((part for part in path.parts[:-1] if part in _FOLDERS or part.endswith(".egg-info")), None)
        if path.name in _SECRETS or (path.suffix in _KEYS and _is_private(case.wheel.members[member])):
            why = "such files hold passwords and tokens: whoever downloads the wheel has them"
            fix = "leave it out, and change what was in it"
            yield Found(cut(member), f"is a file for secrets ({path.name})", why, fix, Severity.ERROR)
        elif folder is not None:
            kind = ".egg-info" if folder.endswith(".egg-info") else folder
            yield Found(cut(member), f"is in a folder that belongs to the sources ({kind})")
        elif _CORE.fullmatch(path.name) and case.wheel.members[member].starts_with(b"\x7fELF"):
            why = "a core dump holds the memory of a program: whatever it had read, keys as well"
            yield Found(cut(member), "is a core dump (expected none)", why, severity=Severity.ERROR)
        elif path.name in _FILES - {"core"} or path.name.endswith(_ENDS) or path.name.startswith(("._", ".#")):
            yield Found(cut(member), "is a file that an editor, a build or a system left", cause="left behind")


def _is_private(member: Content) -> bool:
    """Whether a file begins with a private key; certificates, which have the same suffix, do not."""
    return _PRIVATE_KEY.search(bytes(member.read(0, 1 << 12))) is not None


@rule(
    "stray-bytecode",
    needs={Part.MEMBERS},
    why="it is for one Python, holds the paths of the build machine, and installers write their own",
    fix="leave __pycache__ and .pyc out of the wheel",
    source="binary distribution format, Recommended installer features: installers compile; PEP 3147",
    severity=Severity.WARNING,
)
def _bytecode(case: WheelCase) -> Iterator[Found]:
    """The wheel holds bytecode beside its source."""
    members = case.wheel.members
    for member, path in _packages(case):
        if path.suffix not in {".pyc", ".pyo"}:
            continue
        stem = path.name.split(".")[0]
        in_cache = path.parent.name == "__pycache__"
        source = str(PurePosixPath(member).parents[1 if in_cache else 0] / f"{stem}.py")
        if in_cache or source in members:  # without a source it is how the module is shipped
            yield Found(cut(member), "is bytecode (expected its source alone)")


@rule(
    "stray-object",
    needs={Part.MEMBERS},
    why="the library that was linked of it is what users load; this only adds to the size",
    fix=_SCRUB,
    source="what compilers and `objcopy --only-keep-debug` leave",
    severity=Severity.WARNING,
)
def _object(case: WheelCase) -> Iterator[Found]:
    """The wheel holds object files, debug files, or static libraries."""
    for member, path in _packages(case):
        if path.name.endswith(_OBJECTS):
            yield Found(cut(member), "is an object file of a build (expected none)")
        elif path.name.endswith(_DEBUG) and ".so" in path.name:
            yield Found(cut(member), "holds debug information split from a library (expected none)")
        elif path.suffix == ".a":
            why = "only who links against it needs it; if that is its purpose, nothing is wrong"
            yield Found(cut(member), "is a static library", why, severity=Severity.NOTE)


@rule(
    "stray-source",
    needs={Part.MEMBERS},
    why="users need sources only where they are compiled at run time; if that is their purpose, nothing is wrong",
    fix=_SCRUB,
    source="NVIDIA CUDA Compiler Driver: .cu are sources",
    severity=Severity.NOTE,
)
def _source(case: WheelCase) -> Iterator[Found]:
    """The wheel holds CUDA sources."""
    for member, path in _packages(case):
        if path.suffix in _SOURCES:
            yield Found(cut(member), "is a CUDA source")


@rule(
    "foreign-file",
    needs={Part.MEMBERS, Part.NAME},
    why="the system for which the tag is cannot load it, and every user downloads it",
    fix=_SCRUB,
    source="Platform compatibility tags",
    severity=Severity.WARNING,
)
def _foreign(case: WheelCase) -> Iterator[Found]:
    """A wheel for Linux holds libraries of another system."""
    if not all("linux" in platform for platform in case.wheel.tag.platform.split(".")):
        return
    for member, path in _packages(case):
        if system := _FOREIGN.get(path.suffix.lower()):
            yield Found(cut(member), f"is a library or program of {system} (expected those of Linux)")


@rule(
    "build-path-metadata",
    needs={Part.MEMBERS},
    why="it tells where the wheel was built, leads nowhere for its users, and makes builds differ",
    fix="build in a clean checkout, and let no build step write absolute paths",
    source="Reproducible Builds, Build path",
    severity=Severity.WARNING,
)
def _build_path(case: WheelCase) -> Iterator[Found]:
    """A text in .dist-info names a folder of the machine on which the wheel was built."""
    document = dist_info_file(case, "METADATA") or b""
    # The description is prose, and may show any path.
    head = re.split(rb"\r?\n\r?\n", document, maxsplit=1)[0].decode(errors="replace")
    for line in head.splitlines():
        if line.lower().startswith(("description:", " ", "\t", "|")):
            continue
        if match := _HOME.search(line):
            yield Found(f"{case.wheel.dist_info}/METADATA", f"names a folder of the build machine ({cut(match[0])})")
            return


@rule(
    "dist-info-installed",
    needs={Part.MEMBERS},
    why="the wheel was packed from an installation, and says of every installation what was true of that one",
    fix="build the wheel from its sources",
    source="PEP 376, PEP 610, Recording installed projects: installers write these files",
    severity=Severity.WARNING,
)
def _installed(case: WheelCase) -> Iterator[Found]:
    """.dist-info holds a file that installers write."""
    for name, why in _INSTALLED.items():
        path = f"{case.wheel.dist_info}/{name}"
        if path in case.wheel.members:
            yield Found(path, "is a file of an installation (expected none in a wheel)", why)


@rule(
    "sbom",
    needs={Part.MEMBERS},
    why="tools that look for vulnerable parts cannot read it, and report nothing",
    fix="write a valid document of CycloneDX or SPDX into .dist-info/sboms",
    source="PEP 770; CycloneDX, JSON reference; SPDX, clause 6 of 2.3 and 3.0",
    severity=Severity.WARNING,
)
def _sbom(case: WheelCase) -> Iterator[Found]:
    """A bill of materials in .dist-info/sboms cannot be read."""
    folder = f"{case.wheel.dist_info}/sboms/"
    for name, member in case.wheel.members.items():
        if not name.startswith(folder) or not name.endswith(".json"):
            continue
        if member.size > MANIFEST_FILE.value:
            yield Found(cut(name), f"is too large to be read here ({MANIFEST_FILE.passed(f'{member.size:,} bytes')})")
            continue
        try:
            document = json.loads(member.data)
        except (ValueError, RecursionError) as error:
            yield Found(cut(name), f"is not JSON ({because(error)}, expected CycloneDX or SPDX)")
            continue
        known = isinstance(document, dict) and (
            document.get("bomFormat") == "CycloneDX"
            or "spdxVersion" in document
            or "spdx" in str(document.get("@context", "")).lower()
        )
        if not known:
            yield Found(cut(name), "is no bill of materials that is known (expected CycloneDX or SPDX)")


@rule(
    "sbom-missing",
    needs={Part.MEMBERS},
    why="nothing tells which version of these libraries is inside, when one of them turns out to be vulnerable",
    fix="auditwheel writes one since 6.5; `gpuwheel repair` does",
    source="PEP 770: software bundled in a wheel is described in .dist-info/sboms",
    severity=Severity.NOTE,
)
def _sbom_missing(case: WheelCase) -> Iterator[Found]:
    """Libraries of others were grafted into the wheel, and no bill of materials names them."""
    if any(name.startswith(f"{case.wheel.dist_info}/sboms/") for name in case.wheel.members):
        return
    for name in case.wheel.members:
        if re.fullmatch(r"[^/]+\.libs/[^/]+[-.][0-9a-f]{8}(\.[^/]+)*\.so[^/]*", name):
            yield Found(cut(name), "was copied into the wheel, and no bill of materials names it")


STRAY_RULES = (
    _top_level,
    _foreign_package,
    _file,
    _bytecode,
    _object,
    _source,
    _foreign,
    _build_path,
    _installed,
    _sbom,
    _sbom_missing,
)
