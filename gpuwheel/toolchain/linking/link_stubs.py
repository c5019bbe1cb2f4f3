"""Stand-ins for the C and C++ libraries of an older system, for the linker alone.

A library runs on old systems if it asks for no symbol that they lack. Which symbols it asks for is decided when it is
linked, by the libraries that the linker sees. So the linker is shown libraries with the symbols of the old system and
no code: `libc.so` and its like from `data/glibc.toml`, `libstdc++.so` and its like from the compiler's own with what is
newer than the platform's policy left out. What newer headers still refer to comes from two archives, and is hidden:
the compiler's `libstdc++.a` (which is how Red Hat's newer compilers for older systems work) and the polyfills. The
compiler, its headers and its flags stay as they are.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._environment import tool_variables
from gpuwheel._resources import resource
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.binary.stub import stub_library
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.glibc import glibc_libraries
from gpuwheel.compatibility.platforms import allows, glibc_of
from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import LinkStubs
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain.compiler_answers import ask_about_files, ask_about_headers
from gpuwheel.toolchain.linking.system_libraries import as_older, exported_symbols

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from gpuwheel.compatibility import PlatformPolicy
    from gpuwheel.index.context import Context
    from gpuwheel.model.toolchain import HostCompiler

__all__ = ["find_link_stubs"]

_LAYOUT = "1"
"""Changes with what this module writes, so that folders of an older one are not taken for its own."""
_OLDEST = (2, 17)
"""Older systems have a libstdc++ without the ABI of C++11."""
_CXX, _STATIC_CXX, _NONSHARED = "libstdc++.so.6", "libstdc++.a", "libc_nonshared.a"
_FROM_COMPILER = (_CXX, "libgcc_s.so.1", "libmvec.so.1", "libatomic.so.1")
"""Derived from the compiler's own, where it has them and the platform promises them."""
_CXX11_STRINGS = (3, 4, 21)
"""GLIBCXX version of the first libstdc++ with the strings and locales that every compiler since GCC 5 uses."""
_POLYFILLS = ("glibc", "libstdcxx")


@dataclass(frozen=True)
class _Wanted:
    """Everything that the contents of the folder depend on."""

    policy: PlatformPolicy
    glibc: tuple[int, int]
    host: HostCompiler
    environ: Mapping[str, str]
    libraries: dict[str, bytes]
    """SONAME -> contents of the compiler's own."""
    static_cxx: Path
    nonshared: Path | None
    """What belongs to every program that is linked with this glibc."""
    polyfills: dict[str, bytes]
    """Path in `gpuwheel/polyfills` -> source."""

    @property
    def digest(self) -> str:
        """sha256: two that are equal lead to the same folder."""
        text = repr(
            (
                *(_LAYOUT, self.policy.tag, self.glibc, self.host.identity, self.host.target, self.static_cxx),
                *(self.nonshared, sorted(self.policy.newest.items()), sorted(self.policy.also)),
                *self.host.arguments,
            )
        )
        digest = hashlib.sha256(text.encode())
        parts = {**self.libraries, **self.polyfills, "table": resource("data", "glibc.toml").read_bytes()}
        for name, data in sorted(parts.items()):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()


def find_link_stubs(platform: str, host: HostCompiler, *, context: Context) -> LinkStubs:
    """What to show the linker so that the result runs on `platform`, from the cache or made in about a second.

    Args:
        platform: "manylinux_2_17" or newer, without the machine, which is the compiler's target.
        host: the compiler that will link; GCC or Clang, native or cross, with libstdc++.
        context: cache, environment, reporter.

    Raises:
        ToolchainError: the platform is unknown or too old, the compiler is for another C library, or its static
            libstdc++ is not installed.
        CacheError: the cache cannot be written.
    """
    wanted = _wanted(_policy(platform, host), host, tool_variables(context.environ))
    digest = wanted.digest
    key = f"stubs-{wanted.policy.tag}-{digest[:32]}"
    found_via = "cache"

    def fill(folder: Path) -> None:
        nonlocal found_via
        found_via = "made for this compiler"
        _fill(folder, wanted)

    def on_damage(problem: str) -> None:
        context.reporter.warn(f"link-time libraries in the cache are damaged ({problem}): making them again")

    folder = context.cache.publish_tree("toolchains", key, fill, on_damage=on_damage)
    return LinkStubs(
        platform=wanted.policy.name,
        machine=wanted.policy.machine,
        glibc=MinorVersion(*wanted.glibc),
        folder=folder,
        digest=digest,
        found_via=found_via,
    )


def _policy(platform: str, host: HostCompiler) -> PlatformPolicy:
    policies = [policy for policy in load_tables().platforms if policy.machine == host.machine]
    if not policies or "linux" not in host.target or "musl" in host.target:
        msg = f"the C++ compiler is for {host.target} (expected Linux with glibc on a machine with platform tags)"
        raise ToolchainError(msg, hint="set CXX to a compiler for such a machine, for example aarch64-linux-gnu-g++")
    known = [policy for policy in policies if glibc_of(policy.name) >= _OLDEST]
    for policy in known:
        if platform in {policy.name, *policy.aliases}:
            return policy
    expected = ", ".join(policy.name for policy in known)
    msg = f"there are no link-time stubs for platform {platform!r} on {host.machine} (expected one of {expected})"
    raise ToolchainError(msg, hint=f'platform = "{known[0].name}"')


def _wanted(policy: PlatformPolicy, host: HostCompiler, environ: Mapping[str, str]) -> _Wanted:
    sonames = [soname for soname in _FROM_COMPILER if soname in policy.libraries]
    said = ask_about_files(host.command, [_STATIC_CXX, _NONSHARED, *sonames], environ)
    files = {name: Path(path).resolve() for name, path in said.items() if Path(path).is_absolute()}
    static = files.get(_STATIC_CXX)
    if static is None:
        msg = f"the static C++ library of {host.path} is not installed (libstdc++.a, for {policy.name})"
        hint = 'install it (dnf install libstdc++-static), or set `platform = "system"` in [tool.gpuwheel.wheel]'
        raise ToolchainError(msg, hint=hint)
    if _CXX not in files:
        msg = f"{host.path} has no shared C++ library ({_CXX}, which {policy.name} promises)"
        raise ToolchainError(msg, hint="set CXX to a compiler with libstdc++: g++, or clang++ on a system that has g++")
    folder = resource("polyfills")
    return _Wanted(
        policy=policy,
        glibc=min(glibc_of(policy.name), _glibc_of(host, environ)),
        host=host,
        environ=environ,
        libraries={soname: files[soname].read_bytes() for soname in sonames if soname in files},
        static_cxx=static,
        nonshared=files.get(_NONSHARED),
        polyfills={
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.[ch]") if path.is_file()
        },
    )


def _glibc_of(host: HostCompiler, environ: Mapping[str, str]) -> tuple[int, int]:
    """The glibc whose headers the compiler reads.

    Older ones than the platform's exist, in containers and in conda: nothing newer is then worth linking against.
    """
    try:
        macros = ask_about_headers(
            host.command, ["-E", "-dM", "-x", "c", "-include", "features.h", "/dev/null"], environ
        )
    except ProcessFailedError as error:
        msg = f"the C library's headers of {host.path} are not found (features.h)"
        raise ToolchainError(
            msg, hint="apt install libc6-dev, or dnf install glibc-devel", detail=error.detail
        ) from error
    numbers = [re.search(rf"^#define {name} (\d+)$", macros, re.MULTILINE) for name in ("__GLIBC__", "__GLIBC_MINOR__")]
    if None in numbers:
        msg = f"the C library of {host.path} is not glibc (features.h says no __GLIBC__)"
        raise ToolchainError(msg, hint="set CXX to a compiler that is for glibc")
    major, minor = (int(number[1]) for number in numbers if number)
    return major, minor


def _fill(folder: Path, wanted: _Wanted) -> None:
    """Write the stubs, the scripts under the names that `-lc` and its like look for, and the polyfills."""
    machine = wanted.policy.machine
    libraries = dict(glibc_libraries(machine, wanted.glibc))
    for soname, data in wanted.libraries.items():
        older = as_older(exported_symbols(data, soname), lambda version: allows(wanted.policy, version))
        # A library none of whose versions the platform has does not exist there: no file, no stub.
        if older:
            libraries[soname] = older
    for soname, symbols in libraries.items():
        (folder / soname).write_bytes(stub_library(soname, machine, symbols))
    for name, text in _scripts(wanted, libraries):
        (folder / name).write_text(f"/* Made by gpuwheel for {wanted.policy.tag}. */\n{text}\n", encoding="utf-8")
    for group in _POLYFILLS:
        _compile(group, wanted, folder)


def _scripts(wanted: _Wanted, libraries: Collection[str]) -> Iterator[tuple[str, str]]:
    """What `-lNAME` finds: linker scripts, which GNU ld, gold, lld and mold read.

    Own files are named without a folder (the linker searches where it found the script, or in its `-L`), so that the
    folder can be moved; the compiler's by their full path, so that no other of that name is taken.
    """
    # Before glibc 2.34 they are libraries of their own, which builds on newer systems do not name any more.
    apart = [soname for soname in ("libpthread.so.0", "libdl.so.2", "librt.so.1") if soname in libraries]
    # Thread-local variables are found by __tls_get_addr, which the loader exports.
    loader = next(soname for soname in libraries if soname.startswith("ld-linux"))
    nonshared = f' "{wanted.nonshared}"' if wanted.nonshared else ""
    yield (
        "libc.so",
        f"GROUP ( libc.so.6 libgpuwheel_glibc.a{nonshared} AS_NEEDED ( {' '.join([*apart, loader])} ) )",
    )
    vector = " AS_NEEDED ( libmvec.so.1 )" if "libmvec.so.1" in libraries else ""
    yield "libm.so", f"GROUP ( libm.so.6{vector} )"
    for name in ("pthread", "dl", "rt", "util", "resolv"):
        own = next((soname for soname in libraries if soname.startswith(f"lib{name}.so.")), None)
        yield f"lib{name}.so", f"INPUT ( {own} )" if own else "INPUT ( AS_NEEDED ( libc.so.6 ) )"
    # Half of a locale from the shared library and half from the static one does not work: then all of it is linked in.
    if wanted.policy.newest["GLIBCXX"] < _CXX11_STRINGS:
        yield "libstdc++.so", f'INPUT ( "{wanted.static_cxx}" )'
    else:
        yield "libstdc++.so", f'INPUT ( libstdc++.so.6 libgpuwheel_libstdcxx.a "{wanted.static_cxx}" )'
    if "libgcc_s.so.1" in libraries:
        yield "libgcc_s.so", "GROUP ( libgcc_s.so.1 -lgcc )"
    if "libatomic.so.1" in libraries:
        yield "libatomic.so", "INPUT ( libatomic.so.1 )"


def _compile(group: str, wanted: _Wanted, folder: Path) -> None:
    """`libgpuwheel_GROUP.a` of the polyfills in that folder."""
    host, environ = wanted.host, wanted.environ
    objects = []
    try:
        for source in sorted(resource("polyfills", group).glob("*.c")):
            objects.append(folder / f"{source.stem}.o")
            # -fno-builtin: a compiler that knows what a function does may turn its body into a call of itself.
            # -fno-lto: objects for any linker. -ffunction-sections: what is not called stays out.
            options = ["-std=gnu11", "-O2", "-fPIC", "-fno-builtin", "-fno-lto", "-ffunction-sections", "-c"]
            run([*host.command, "-x", "c", *options, source, "-o", objects[-1]], env=environ)
        # The compiler's own: a cross compiler has an ar for its target.
        archiver = run([*host.command, "-print-prog-name=ar"], env=environ).stdout.strip()
        # D: no times and owners in the archive (ar(1), deterministic mode).
        run([archiver, "rcsD", folder / f"libgpuwheel_{group}.a", *objects], env=environ)
    except (ProcessFailedError, FileNotFoundError) as error:
        msg = f"{host.path} does not compile the functions that {wanted.policy.name} lacks"
        detail = error.detail if isinstance(error, ProcessFailedError) else str(error)
        raise ToolchainError(msg, hint="install the whole compiler: apt install g++ binutils", detail=detail) from error
    for path in objects:
        path.unlink()
