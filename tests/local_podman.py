"""podman with a storage of its own, for root in a machine where nothing is configured for it; and a base for images.

The base is an almost empty root folder with links into /usr, which is mounted as the running Python is: no registry is
asked, and all that happens in the engine is real.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from machine_base import CONTAINERS

from gpuwheel._run import Completed, run
from gpuwheel.publish.image.descriptors import CONFIG, MANIFEST, REF_NAME, ImagePlatform
from gpuwheel.publish.image.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["HERE", "LocalPodman", "cdi_device", "host_base", "local_podman"]

HERE = f"3.{sys.version_info.minor}={Path(sys.base_prefix) / 'bin' / f'python3.{sys.version_info.minor}'}"
"""`--python` of images on `host_base`."""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


class LocalPodman:
    """An engine."""

    def __init__(self, folder: Path) -> None:
        """Everything it keeps is in `folder`."""
        (folder / "containers.conf").write_text(CONTAINERS, encoding="utf-8")
        (folder / "storage.conf").write_text(_STORAGE.format(folder=folder), encoding="utf-8")
        (folder / "policy.json").write_text(_POLICY, encoding="utf-8")
        self.environ = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        self.environ |= {"CONTAINERS_CONF": str(folder / "containers.conf")}
        self.environ |= {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
        self._folder = folder

    def __call__(self, *words: object, check: bool = True) -> Completed:
        """`podman WORDS`."""
        return run(["podman", *map(str, words)], env=self.environ, check=check)

    def pull(self, source: str, *words: str) -> str:
        """The id of an image, pulled."""
        policy = f"--signature-policy={self._folder / 'policy.json'}"
        return self("pull", "--quiet", policy, *words, source).stdout.strip()

    def inside(self, image: str, *words: str) -> str:
        """What a command in a new container prints."""
        mounts = ["/usr", *({sys.base_prefix} if not sys.base_prefix.startswith("/usr") else ())]
        volumes = [f"--volume={path}:{path}:ro" for path in mounts]
        return self("run", "--rm", *volumes, image, *words).stdout


@contextmanager
def local_podman(folder: Path) -> Iterator[LocalPodman]:
    """An engine that works here, or the test is skipped."""
    missing = [name for name in ("podman", "runc", "skopeo") if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)} (apt install podman runc skopeo)")
    engine = LocalPodman(folder)
    try:
        yield engine
    finally:
        engine("rm", "--all", "--force", check=False)
        engine("rmi", "--all", "--force", check=False)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def cdi_device(edits: Mapping[str, Any]) -> Iterator[str]:
    """The kind of a device `all` that this machine has within the block, as NVIDIA has `nvidia.com/gpu`.

    Args:
        edits: what it brings into a container (the Container Device Interface, `containerEdits`).
    """
    if os.geteuid() != 0:
        pytest.skip("only root may name devices in /etc/cdi")
    kind, specs = "gpuwheel.test/gpu", Path("/etc/cdi")
    spec = {"cdiVersion": "0.5.0", "kind": kind, "devices": [{"name": "all", "containerEdits": edits}]}
    made, file = not specs.exists(), specs / "gpuwheel-test.json"
    specs.mkdir(exist_ok=True)
    try:
        file.write_text(json.dumps(spec), encoding="utf-8")
        yield kind
    finally:
        file.unlink(missing_ok=True)
        if made:
            specs.rmdir()


def host_base(folder: Path) -> str:
    """`oci:DIR:host`."""
    links = {name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")}
    files = ("etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ld.so.cache")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("tmp", "proc", "sys", "dev", "run", "usr", "etc"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(info)
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        # What is mounted in its place: --python names a file of the base.
        archive.addfile(tarfile.TarInfo(HERE.partition("=/")[2]))
        for name in filter(lambda name: Path("/", name).exists(), files):
            archive.add(f"/{name}", name)
    layout = Layout.create(folder)
    tar = out.getvalue()
    layer = layout.put(gzip.compress(tar, 1), "application/vnd.oci.image.layer.v1.tar+gzip")
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]}
    config = layout.put_json({**ImagePlatform().to_json(), "config": {}, "rootfs": rootfs}, CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json()],
    }
    layout.name(layout.put_json(document, MANIFEST, annotations={REF_NAME: "host"}))
    return f"oci:{folder}:host"
