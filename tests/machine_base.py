"""A base image with Python, made of this machine's own files: no registry and no mirror is asked.

It holds the Python that runs this, a shell and the few programs that a Containerfile starts, with their libraries.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sys
import sysconfig
import tarfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run
from gpuwheel.publish.image.descriptors import CONFIG, MANIFEST, REF_NAME, Descriptor, ImagePlatform
from gpuwheel.publish.image.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["CONTAINERS", "container_environment", "machine_base"]

_PROGRAMS = ("sh", "install", "mkdir", "rm", "ls", "cat", "env", "true", "id")
_NOT_NEEDED = {"__pycache__", "idlelib", "site-packages", "test", "tests", "tkinter", "turtledemo"}
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""What podman is told where no service manager and no network of its own is there."""


def machine_base(folder: Path, *, tag: str = "python", further: Iterable[Path] = ()) -> str:
    """`oci:DIR:TAG`; its Python is on PATH as `python3`.

    Args:
        folder: of the layout.
        tag: of the image.
        further: files of this machine that are in it too, with what they are linked to.
    """
    layout = Layout.create(folder)
    with layout.incoming() as blob:
        packed = _Gzip(blob.write)
        with tarfile.open(fileobj=packed, mode="w|") as archive:  # type: ignore[call-overload]
            _fill(archive, further)
        packed.close()
    layer = Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob.digest, blob.size)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    config = layout.put_json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"], "Cmd": ["python3"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{packed.digest.hexdigest()}"]},
            "history": [{"created_by": "files of this machine"}],
        },
        CONFIG,
    )
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.to_json(), "layers": [layer.to_json()]}
    platform = ImagePlatform("linux", architecture)
    layout.name(layout.put_json(document, MANIFEST, annotations={REF_NAME: tag}, platform=platform))
    return f"oci:{folder}:{tag}"


class _Gzip:
    """A stream that is compressed on its way, and its digest before that."""

    def __init__(self, write: object) -> None:
        self._write, self.digest = write, hashlib.sha256()
        self._engine = zlib.compressobj(1, wbits=31)

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self._write(self._engine.compress(data))  # type: ignore[operator]
        return len(data)

    def close(self) -> None:
        self._write(self._engine.flush())  # type: ignore[operator]


def _fill(archive: tarfile.TarFile, further: Iterable[Path]) -> None:
    done: set[str] = set()

    def link(name: str, target: str) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        archive.addfile(info)
        done.add(name)

    def put(source: Path, name: str) -> None:
        name = re.sub(r"^(bin|sbin|lib|lib64)/", r"usr/\1/", name.lstrip("/"))
        if name not in done:
            done.add(name)
            info = archive.gettarinfo(str(source.resolve()), name)
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            with source.open("rb") as file:
                archive.addfile(info, file)

    for name in ("bin", "sbin", "lib", "lib64"):
        folder = tarfile.TarInfo(f"usr/{name}")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        link(name, f"usr/{name}")
    for name, mode in (
        ("tmp", 0o1777),
        ("root", 0o755),
        ("etc", 0o755),
        ("proc", 0o755),
        ("sys", 0o755),
        ("dev", 0o755),
    ):
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, mode
        archive.addfile(folder)
    _text(archive, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    _text(archive, "etc/group", "root:x:0:\n")
    programs = [Path(found) for name in _PROGRAMS if (found := shutil.which(name, path="/usr/bin:/bin"))]
    python = _python()
    for file in [*programs, *python, *further]:
        put(file, str(file))
    for library in _libraries([*programs, *python, *further]):
        put(library, str(library))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    executable = Path(sys.base_prefix, "bin", version)
    if str(executable) != f"/usr/local/bin/{version}":
        link(f"usr/local/bin/{version}", str(executable))
    link("usr/local/bin/python3", version)


def _python() -> list[Path]:
    """The files of the Python that runs this."""
    prefix, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    files = [prefix / "bin" / version]
    library = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("LDLIBRARY") or "")
    files += [one for one in library.parent.glob(f"lib{version}*.so*") if library.suffix == ".so"]
    files += _below(Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})))
    return files


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NOT_NEEDED and not name.startswith("config-"))
        yield from (Path(root, name) for name in sorted(names) if not name.endswith((".pyc", ".a")))


def _libraries(files: Iterable[Path]) -> list[Path]:
    """What programs and modules are linked to."""
    linked = [file for file in files if file.suffix == ".so" or ".so." in file.name or os.access(file, os.X_OK)]
    elves = [file for file in linked if _is_elf(file)]
    said = run(["ldd", *elves], check=False, env={"PATH": os.environ["PATH"]}).stdout
    return sorted({Path(found) for found in _LIBRARY.findall(said)})


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _text(archive: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(text)
    archive.addfile(info, io.BytesIO(text.encode()))


def container_environment(folder: Path) -> dict[str, str]:
    """Variables for podman and buildah: storage of their own, and what works without a service manager."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "containers.conf").write_text(CONTAINERS)
    storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
    (folder / "storage.conf").write_text(storage)
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }
