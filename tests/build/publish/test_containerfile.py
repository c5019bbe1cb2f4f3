"""A builder makes of the Containerfile what `gpuwheel image` makes: the same distributions, started in the same way."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from local_podman import cdi_device
from machine_base import container_environment, machine_base
from registries import require_programs
from small_wheels import small_wheel
from tiny_images import TinyWheel

from gpuwheel._run import run
from gpuwheel.cli.app import main
from gpuwheel.publish.image.descriptors import Descriptor
from gpuwheel.publish.image.layout import Layout
from gpuwheel.testing.environment import FakeSettings, build_fake_driver
from gpuwheel.testing.native_code import find_c_compiler

pytestmark = pytest.mark.heavy

DISTRIBUTIONS = """
import hashlib, importlib.metadata as metadata, json, sys
def digests(found):
    # Scripts of entry points are each installer's own words.
    kept = [one for one in found.files if one.hash and ".dist-info" not in str(one) and one.name != "ops-run"]
    return sorted((str(one), one.hash.value) for one in kept)
names = {one.name: (one.version, digests(one)) for one in metadata.distributions()}
print(json.dumps({"distributions": names, "prefix": sys.prefix, "executable": sys.executable}))
"""


@pytest.fixture
def podman(tmp_path: Path) -> Any:  # noqa: ANN401
    require_programs("podman", "runc")
    environment = container_environment(tmp_path / "podman")

    def call(*words: object) -> str:
        return run(["podman", *map(str, words)], env=environment).stdout

    yield call
    call("system", "reset", "--force")


def _wheels(folder: Path, answer: int) -> list[Path]:
    scripts = {"dep/__init__.py": b"VALUE = 2\n", "dep-2.0.data/scripts/dep-script": b"#!python\nprint(1)\n"}
    source = f"import dep\ndef main():\n    print('answer', dep.VALUE * {answer})\n".encode()
    files = {"ops/__init__.py": source, "ops-1.0.data/data/share/ops.txt": b"text\n"}
    dep = TinyWheel(name="dep", version="2.0", files=scripts)
    ops = TinyWheel(files=files, requires=["dep"], entry_points="[console_scripts]\nops-run = ops:main\n")
    return [dep.write(folder), ops.write(folder)]


def _config(config: dict[str, Any]) -> dict[str, Any]:
    labels = {name: value for name, value in (config.get("Labels") or {}).items() if not name.startswith("io.buildah.")}
    kept = {key: config.get(key) for key in ("User", "WorkingDir", "Entrypoint", "Cmd")}
    return {**kept, "Labels": labels, "Env": sorted(config["Env"])}


def test_a_containerfile_gives_the_same_image(podman: Any, tmp_path: Path) -> None:  # noqa: ANN401
    os.environ.setdefault("GPUWHEEL_CACHE_DIR", str(tmp_path / "cache"))
    base = machine_base(tmp_path / "base")
    words = [
        "image",
        "--base",
        base,
        "--entrypoint",
        "ops-run",
        "--cmd",
        "--x 'y z'",
        "--env",
        'X=a "b" $c',
        "--label",
        "l=m n",
    ]
    layers = []
    for answer in (21, 22):
        wheels = list(map(str, _wheels(tmp_path / f"wheels{answer}", answer)))
        for further in (["-o", f"oci:{tmp_path}/image"], ["--containerfile", str(tmp_path / "build")]):
            done = CliRunner().invoke(main, [*words, *further, *wheels])
            assert done.exit_code == 0, done.output
        signature = ["--signature-policy", tmp_path / "podman" / "policy.json"]
        podman("build", "-q", "--layers", *signature, "-t", f"built:{answer}", tmp_path / "build")
        names = [f"localhost/built:{answer}", f"oci:{tmp_path}/image:latest"]
        seen = [json.loads(podman("run", "--rm", "--entrypoint", "python", one, "-c", DISTRIBUTIONS)) for one in names]
        built = json.loads(podman("image", "inspect", names[0]))[0]
        layout = Layout.open(tmp_path / "image")
        own = layout.read_json(Descriptor.from_json(layout.read_json(layout.find("latest"))["config"]))

        assert seen[0] == seen[1]
        assert sorted(seen[0]["distributions"]) == ["dep", "ops"]
        assert {podman("run", "--rm", one) for one in names} == {f"answer {2 * answer}\n"}
        assert _config(built["Config"]) == _config(own["config"])
        layers.append(built["RootFS"]["Layers"])
    shared = [one for one, other in zip(*layers, strict=True) if one == other]
    # All but the project's wheel and the bill of materials.
    assert len(shared) == len(layers[0]) - 2


CUBIN = Path(__file__).resolve().parents[2] / "unit" / "binary" / "cubins" / "kernels.sm_90.cubin"
PROGRAM = b"""
import ctypes
from importlib.resources import files
CODE = files("ops").joinpath("kernels.cubin").read_bytes()
driver = ctypes.CDLL("libcuda.so.1")
def call(name, *arguments):
    status = getattr(driver, name)(*arguments)
    assert status == 0, (name, status)
def main():
    context, library, kernel, count = (ctypes.c_void_p() for _ in range(4))
    code = ctypes.create_string_buffer(CODE)
    call("cuInit", 0)
    call("cuDeviceGetCount", ctypes.byref(count))
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxSetCurrent", context)
    call("cuLibraryLoadData", ctypes.byref(library), code, None, None, 0, None, None, 0)
    call("cuLibraryGetKernel", ctypes.byref(kernel), library, b"framed")
    values = [ctypes.c_void_p(0) for _ in range(8)]
    parameters = (ctypes.c_void_p * 8)(*(ctypes.addressof(value) for value in values))
    call("cuLaunchKernel", kernel, 1, 1, 1, 32, 1, 1, 0, None, parameters, None)
    print("devices", count.value, "launches", driver.gpuwheel_fake_launch_count())
"""


@pytest.mark.compiler
def test_a_gpu_that_cdi_mounts_is_launched_on(podman: Any, tmp_path: Path) -> None:  # noqa: ANN401
    os.environ.setdefault("GPUWHEEL_CACHE_DIR", str(tmp_path / "cache"))
    base = machine_base(tmp_path / "base")
    driver = build_fake_driver(tmp_path, find_c_compiler(os.environ))
    libraries = f"/usr/lib/{os.uname().machine}-linux-gnu"
    mount = {"hostPath": str(driver), "containerPath": f"{libraries}/libcuda.so.1", "options": ["ro", "bind"]}
    edits = {"mounts": [mount], "env": [f"GPUWHEEL_FAKE_GPU={FakeSettings(devices=2)}"]}
    (tmp_path / "gpu").mkdir()
    with_code = small_wheel(tmp_path / "gpu", "code", "1.0", cuda="12.9")
    entry = "[console_scripts]\nops-run = ops:main\n"
    content = {"ops/__init__.py": PROGRAM, "ops/kernels.cubin": CUBIN.read_bytes()}
    ops = TinyWheel(files=content, requires=["code"], entry_points=entry).write(tmp_path / "wheels")
    words = ["image", "--base", base, "--entrypoint", "ops-run", "-o", f"oci:{tmp_path}/image", "--run-lines", "podman"]
    done = CliRunner().invoke(main, [*words, str(with_code), str(ops)])
    assert done.exit_code == 0, done.output
    *_, line = done.stdout.splitlines()
    with cdi_device(edits) as kind:
        # The line that is printed, but for whose devices they are.
        said = podman(*shlex.split(line.replace("nvidia.com/gpu", kind))[1:])

    assert said == "devices 2 launches 1\n"
