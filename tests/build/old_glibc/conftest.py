"""Libraries linked against stubs, and the systems that they run on."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from old_system import OldSystem, fetch_old_system, without_preload

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context, find_host_compiler
from gpuwheel.toolchain.linking.link_stubs import find_link_stubs

if TYPE_CHECKING:
    from gpuwheel.model.toolchain import HostCompiler, LinkStubs

HERE = Path(__file__).parent


@dataclass
class Workshop:
    """One compiler, and what it made."""

    host: HostCompiler
    context: Context
    folder: Path
    objects: dict[tuple[str, ...], Path] = field(default_factory=dict)
    emulator: str | None = None
    """Of the machine that is compiled for, where it is another one."""

    def stubs(self, platform: str) -> LinkStubs:
        return find_link_stubs(platform, self.host, context=self.context)

    def compile(self, source: Path | str, *options: str) -> Path:
        """An object of a file here, or of C++ text; compiled once."""
        key = (str(source), *options)
        if key not in self.objects:
            path = HERE / source if isinstance(source, str) and source.endswith((".cpp", ".c")) else None
            if path is None:
                path = self.folder / f"text-{len(self.objects)}.cpp"
                path.write_text(str(source), encoding="utf-8")
            made = self.folder / f"{path.stem}-{len(self.objects)}.o"
            language = ["-x", "c"] if path.suffix == ".c" else ["-std=c++17", "-fvisibility-inlines-hidden"]
            run(
                [*self.host.command, *language, "-O0", "-fPIC", "-fvisibility=hidden", *options, "-c", path, "-o", made]
            )
            self.objects[key] = made
        return self.objects[key]

    def link(self, made: Path, platform: str | None, *options: str, shared: bool = True) -> Path:
        """A library, or a program, for an old platform, or for this system."""
        stubs = self.stubs(platform).link_options if platform else ()
        out = self.folder / f"{made.stem}-{platform}-{abs(hash(options))}{'.so' if shared else ''}"
        kind = ["-shared", "-Wl,-z,defs"] if shared else []
        run([*self.host.command, *kind, made, "-o", out, *stubs, "-Wl,--as-needed", *options])
        return out

    @cache  # noqa: B019 - lives as long as the session
    def driver(self) -> Path:
        return self.link(self.compile("driver.c"), "manylinux_2_17", "-ldl", shared=False)

    def call(self, library: Path, *functions: str, system: OldSystem | None = None) -> dict[str, int]:
        """What functions of a library return, in a process of its own: on this system, or on an old one."""
        command = [self.driver(), library, *functions]
        words = [self.emulator] if self.emulator else []
        if system:
            said = system.run(command, *words)
        elif self.emulator:
            libc = run([*self.host.command, "-print-file-name=libc.so.6"]).stdout.strip()
            said = run([*words, "-L", Path(libc).resolve().parents[1], *command], env=without_preload(), check=False)
        else:
            said = run(command, check=False)
        assert said.returncode == 0, said.output
        lines = (line.rpartition(" ") for line in said.stdout.splitlines())
        return {name: int(result) for name, _, result in lines if name}

    def __hash__(self) -> int:
        return id(self)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("old-glibc")
    context = Context(Cache(folder / "cache"), os.environ, SilentReporter())
    return Workshop(find_host_compiler(os.environ), context, folder)


@pytest.fixture(scope="session")
def old_system(tmp_path_factory: pytest.TempPathFactory) -> OldSystem:
    return fetch_old_system(tmp_path_factory.mktemp("bullseye"), platform.machine())


@pytest.fixture(scope="session")
def cross_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("cross")
    context = Context(Cache(folder / "cache"), os.environ, SilentReporter())
    host = find_host_compiler({**os.environ, "CXX": "aarch64-linux-gnu-g++"})
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    return Workshop(host, context, folder, emulator=emulator)
