from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import importlib.util
import io
import json
import marshal
import os
import shutil
import sys
import tarfile
import time
import zipfile
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hostile import container, entry
from made_wheels import manifest as kernel_manifest
from tiny_images import TinyWheel, layer_members, named_image, recorded, tiny_base

from gpuwheel._resources import resource
from gpuwheel.binary.stub import stub_library
from gpuwheel.publish.image import image_costs, image_planner
from gpuwheel.publish.image.contents import making
from gpuwheel.publish.image.descriptors import ImagePlatform
from gpuwheel.publish.image.image_table import image_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Image = Callable[..., Result]

NAME = "nonroot"
SITE = "opt/venv/lib/python3.11/site-packages"
SCRATCH = ("--base", "scratch", "--python", "3.11=/usr/bin/python3.11", "--platform", "linux/amd64")
GOLDEN = "sha256:7736ce3b93fb90a6c5dbadc6d555b7bbf1955bcf3385750c6ff2b5cbd2e5da98"


def _ok(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def _refused(result: Result, code: int = 20) -> str:
    assert result.exit_code == code, result.output
    return result.output


def _files(folder: Path, tag: str = "latest") -> dict[str, bytes]:
    """Everything in the layers of an image over its base."""
    manifest, _ = named_image(folder, tag)
    found: dict[str, bytes] = {}
    for layer in manifest["layers"]:
        found |= {name: data for name, (_, data) in layer_members(folder, layer["digest"]).items()}
    return found


def test_a_wheel_is_installed_as_an_installer_would(image: Image, tmp_path: Path) -> None:
    wheel = TinyWheel(
        files={
            "ops/__init__.py": b"",
            "ops/native": b"native" + bytes(5000),
            "ops-1.0.data/scripts/ops-bench": b"#!python\nprint(1)\n",
            "ops-1.0.data/scripts/ops-window": b"#!pythonw -E\r\nprint(2)\r\n",
            "ops-1.0.data/scripts/ops-three": b"#!python3\nprint(3)\n",
            "ops-1.0.data/data/lib64/plugin.so": b"5\n",
            "ops-1.0.data/scripts/native": b"native",
            "ops-1.0.data/purelib/pure.py": b"1\n",
            "ops-1.0.data/platlib/plat.py": b"2\n",
            "ops-1.0.data/headers/ops.h": b"3\n",
            "ops-1.0.data/data/share/ops.txt": b"4\n",
        },
        entry_points="[console_scripts]\nops-run = ops.cli:main.run [all]\n[gui_scripts]\nOpsWindow = ops:show\n",
        executable=["ops/native"],
    ).write(tmp_path / "wheels")
    _ok(image(*SCRATCH, wheel))
    manifest, _ = named_image(tmp_path / "image")
    members = layer_members(tmp_path / "image", manifest["layers"][-1]["digest"])
    content = {name: data for name, (_, data) in members.items()}
    assert content["opt/venv/bin/ops-bench"] == b"#!/opt/venv/bin/python\nprint(1)\n"
    assert content["opt/venv/bin/native"] == b"native"
    assert content["opt/venv/bin/ops-window"] == b"#!/opt/venv/bin/python\r\nprint(2)\r\n"
    assert content["opt/venv/bin/ops-three"] == b"#!/opt/venv/bin/python\nprint(3)\n"
    assert content["opt/venv/lib/plugin.so"] == b"5\n"
    assert b"from ops.cli import main\n" in content["opt/venv/bin/ops-run"]
    assert b"sys.exit(main.run())" in content["opt/venv/bin/ops-run"]
    assert content["opt/venv/bin/OpsWindow"].startswith(b"#!/opt/venv/bin/python\n")
    assert (content[f"{SITE}/pure.py"], content[f"{SITE}/plat.py"]) == (b"1\n", b"2\n")
    assert content["opt/venv/include/site/python3.11/ops/ops.h"] == b"3\n"
    assert content["opt/venv/share/ops.txt"] == b"4\n"
    assert content[f"{SITE}/ops-1.0.dist-info/INSTALLER"] == b"gpuwheel\n"
    assert not [name for name in content if name.endswith(".pyc")]
    modes = {name: member.mode for name, (member, _) in members.items()}
    assert modes[f"{SITE}/ops/native"] == modes["opt/venv/bin/native"] == modes["opt/venv/bin/ops-run"] == 0o755
    assert modes[f"{SITE}/pure.py"] == 0o644
    assert {(member.uid, member.gid, member.uname, member.mtime) for member, _ in members.values()} == {
        (0, 0, "", 315532800)
    }
    assert list(members) == sorted(members)


def test_record_lists_what_is_there_sorted_with_digests(image: Image, tmp_path: Path) -> None:
    wheel = TinyWheel(
        files={"ops/b.py": b"b" * 3000, "ops/a.py": b"", "ops-1.0.data/scripts/x": b"#!python\n"},
        entry_points="[console_scripts]\nrun = ops:main\n",
    ).write(tmp_path)
    _ok(image(*SCRATCH, wheel))
    files = _files(tmp_path / "image")
    rows = list(csv.reader(io.StringIO(files[f"{SITE}/ops-1.0.dist-info/RECORD"].decode())))
    assert rows == sorted(rows)
    for path, digest, size in rows:
        if path.endswith("/RECORD"):
            assert (digest, size) == ("", "")
            continue
        where = os.path.normpath(f"{SITE}/{path}")
        assert int(size) == len(files[where]), path
        assert digest == recorded(files[where]), path
    assert {"../../../bin/x", "../../../bin/run", "ops-1.0.dist-info/INSTALLER"} <= {row[0] for row in rows}


def test_the_environment_is_one_of_the_bases_python(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    _ok(image("--base", base, TinyWheel().write(tmp_path)))
    manifest, config = named_image(tmp_path / "image")
    members = layer_members(tmp_path / "image", manifest["layers"][1]["digest"])
    assert members["opt/venv/bin/python"][0].linkname == "/usr/bin/python3.11"
    assert members["opt/venv/pyvenv.cfg"][1].startswith(b"home = /usr/bin\n")
    home = members["home/nonroot"][0]
    assert (home.uid, home.gid, home.mode) == (65532, 0, 0o770)
    run = config["config"]
    assert run["User"] == "65532:65532"
    assert run["WorkingDir"] == f"/home/{NAME}"
    assert "PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in run["Env"]
    assert "VIRTUAL_ENV=/opt/venv" in run["Env"]
    assert manifest["annotations"]["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == len(manifest["layers"])


def test_diff_ids_are_the_digests_of_the_unpacked_layers(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    big = TinyWheel("big", files={"big/data": os.urandom(5000) * 3, "big/text": b"x" * 5000})
    wheel = TinyWheel(requires=["big"])
    _ok(image("--base", base, wheel.write(tmp_path), big.write(tmp_path)))
    manifest, config = named_image(tmp_path / "image")
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        data = (tmp_path / "image/blobs/sha256" / layer["digest"].removeprefix("sha256:")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == layer["digest"].removeprefix("sha256:")
        assert f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}" == diff_id
        assert len(data) == layer["size"]


@pytest.mark.parametrize("compression", ["deflate", "gzip", "gzip:1", "zstd", "zstd:9"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_every_compression_holds_the_same_files(image: Image, tmp_path: Path, compression: str, method: int) -> None:
    if compression.startswith("zstd"):
        pytest.importorskip("zstandard")
    content = {"ops/big": b"abc" * 1_000_000, "ops/noise": os.urandom(200_000), "ops/empty": b"", "ops/é/ü.py": b"1"}
    content["ops/" + "long/" * 40 + "name.py"] = b"2"
    wheel = TinyWheel(files=content, compression=method).write(tmp_path)
    _ok(image(*SCRATCH, "--compression", compression, wheel))
    files = _files(tmp_path / "image")
    assert {name: files[f"{SITE}/{name}"] for name in content} == content


def test_the_bytes_depend_on_the_inputs_alone(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_base(tmp_path / "base")
    wheels = [TinyWheel(requires=["dep"]).write(tmp_path), TinyWheel("dep", files={"dep.py": b"1"}).write(tmp_path)]
    first = _ok(image("--base", base, "-o", f"oci:{tmp_path / 'one'}", *wheels)).stdout.splitlines()[-1]
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "another"))
    former = os.umask(0o077)
    try:
        for wheel in wheels:
            os.utime(wheel, (1, 1))
        second = _ok(image("--base", base, "-o", f"oci:{tmp_path / 'two'}", *reversed(wheels))).stdout.splitlines()[-1]
    finally:
        os.umask(former)
        monkeypatch.undo()
        time.tzset()
    assert first == second
    assert first.startswith("sha256:")


def test_the_digest_is_the_one_that_every_machine_has_made(image: Image, tmp_path: Path) -> None:
    wheels = [
        TinyWheel(requires=["dep"], entry_points="[console_scripts]\nrun = ops:main\n", compression=zipfile.ZIP_STORED),
        # Level 0: one stored block, of any zlib.
        TinyWheel("dep", files={"dep.py": b"1" * 10_000}, level=0),
    ]
    digest = _ok(image(*SCRATCH, *(wheel.write(tmp_path) for wheel in wheels))).stdout.splitlines()[-1]
    assert digest == GOLDEN, "every image that anybody makes would be sent and pulled anew: is that meant?"


def test_a_wheel_has_the_same_layer_in_images_of_other_projects(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_base(tmp_path / "base")
    heavy = TinyWheel("heavy", files={"heavy.bin": os.urandom(9_000_000)}).write(tmp_path)
    digests = []
    for number, name in enumerate(("one", "two")):
        wheel = TinyWheel(name, requires=["heavy"], files={f"{name}.py": name.encode()}).write(tmp_path)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(1_700_000_000 + number))
        _ok(image("--base", base, "-o", f"oci:{tmp_path / 'image'}:{name}", wheel, heavy))
        manifest, config = named_image(tmp_path / "image", name)
        digests.append([layer["digest"] for layer in manifest["layers"]])
        assert config["created"].startswith("2023-11-14T22:13:2")
    assert digests[0][:-1] == digests[1][:-1]
    assert digests[0][-1] != digests[1][-1]


def test_after_a_change_of_the_project_only_its_layer_is_new(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    others = [TinyWheel(name, files={f"{name}.py": name.encode()}).write(tmp_path) for name in ("a", "b")]
    layers = []
    for text in (b"1", b"2"):
        wheel = TinyWheel(requires=["a", "b"], files={"ops.py": text}).write(tmp_path)
        result = _ok(image("--base", base, "--json", wheel, *others))
        layers.append([layer["digest"] for layer in json.loads(result.stdout)["images"][0]["layers"]])
    changed = [one for one, two in zip(*layers, strict=True) if one != two]
    assert changed == [layers[0][-1]]


def test_layers_that_were_made_before_are_not_made_again(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    heavy = TinyWheel("heavy", files={"heavy.bin": os.urandom(1_500_000)}).write(tmp_path)
    reused, digests = [], []
    for folder in ("one", "two"):
        result = _ok(image("--base", base, "--json", "-o", f"oci:{tmp_path / folder}", heavy))
        document = json.loads(result.stdout)
        reused.append(next(one["reused"] for one in document["images"][0]["layers"] if one["wheels"]))
        digests.append(document["digest"])
    assert reused == [False, True]
    assert digests[0] == digests[1]


def test_each_platform_has_its_wheels_and_one_index_names_them(image: Image, tmp_path: Path) -> None:
    both = [ImagePlatform("linux", "amd64"), ImagePlatform("linux", "arm64")]
    base = tiny_base(tmp_path / "base", platforms=both)
    wheels = [
        TinyWheel(tag=f"cp311-cp311-manylinux_2_28_{machine}", files={"ops.so": machine.encode()}, requires=["pure"])
        for machine in ("x86_64", "aarch64")
    ]
    pure = TinyWheel("pure", files={"pure.py": b""})
    result = _ok(image("--base", base, "--json", *(one.write(tmp_path) for one in (*wheels, pure))))
    document = json.loads(result.stdout)
    assert [one["platform"] for one in document["images"]] == ["linux/amd64", "linux/arm64"]
    index, _ = json.loads((tmp_path / "image/blobs/sha256" / document["digest"][7:]).read_bytes()), None
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    for one, content in zip(document["images"], (b"x86_64", b"aarch64"), strict=True):
        manifest = json.loads((tmp_path / "image/blobs/sha256" / one["digest"][7:]).read_bytes())
        members = layer_members(tmp_path / "image", manifest["layers"][-1]["digest"])
        assert members[f"{SITE}/ops.so"][1] == content


def test_of_several_wheels_the_best_is_installed(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    tags = ("py3-none-any", "cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_28_x86_64")
    wheels = [TinyWheel(tag=tag, files={"ops.py": tag.encode()}).write(tmp_path) for tag in tags]
    result = _ok(image("--base", base, *wheels))
    assert f"{wheels[0].name} is left out: another wheel of ops fits better" in result.output
    assert _files(tmp_path / "image")[f"{SITE}/ops.py"] == tags[2].encode()
    shutil.rmtree(tmp_path / "image")
    document = json.loads(_ok(image("--base", base, "--json", "--dry-run", wheels[2])).stdout)
    assert document["images"][0]["layers"][-1]["wheels"] == [wheels[2].name]
    assert document["digest"] is None
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("cp312-cp312-manylinux_2_28_x86_64", "is for Python cp312-cp312, and the image has cp311"),
        ("cp311-cp311t-manylinux_2_28_x86_64", "is for Python cp311-cp311t"),
        ("cp311-cp311-manylinux_2_39_x86_64", "is for manylinux_2_39_x86_64, and the image is linux/amd64 with glibc"),
        ("cp311-cp311-musllinux_1_2_x86_64", "is for musllinux_1_2_x86_64"),
        ("cp311-cp311-manylinux_2_28_aarch64", "is for manylinux_2_28_aarch64"),
        ("cp311-cp311-win_amd64", "is for win_amd64"),
    ],
)
def test_a_wheel_that_does_not_fit_is_refused_with_the_reason(
    image: Image, tmp_path: Path, tag: str, reason: str
) -> None:
    base = tiny_base(tmp_path / "base")
    output = _refused(image("--base", base, TinyWheel(tag=tag).write(tmp_path)))
    assert reason in output
    assert not (tmp_path / "image").exists()


def test_what_is_required_has_to_be_there(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    wheel = TinyWheel(
        requires=["missing>=2", "old>=2", "win; sys_platform=='win32'", "side[x]", "no; extra == 'never'"]
    ).write(tmp_path)
    others = [
        TinyWheel("old", files={}).write(tmp_path),
        TinyWheel("side", requires=["deep; extra == 'x'"], files={}).write(tmp_path),
    ]
    output = _refused(image("--base", base, wheel, *others))
    for text in ("ops requires missing>=2, which is not there", "ops requires old>=2, and 1.0 is there"):
        assert text in output
    assert "side requires deep" in output
    assert "win" not in output
    _ok(image("--base", base, "--no-deps-check", wheel, *others))


def test_wheels_that_overwrite_each_other_are_both_named(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    one = TinyWheel("one", files={"shared/x.py": b"1", "same/__init__.py": b""}).write(tmp_path)
    two = TinyWheel("two", files={"shared/x.py": b"2", "same/__init__.py": b""}).write(tmp_path)
    output = _refused(image("--base", base, one, two))
    assert one.name in output
    assert two.name in output
    assert "shared/x.py" in output
    three = TinyWheel("three", files={"same/__init__.py": b""}).write(tmp_path)
    _ok(image("--base", base, one, three))
    below = TinyWheel("below", files={"same": b"a file"}).write(tmp_path)
    assert "both install" in _refused(image("--base", base, one, below))


@pytest.mark.parametrize(
    "name",
    [
        "ops-1.0.data/scripts/python",
        "ops-1.0.data/data/pyvenv.cfg",
        "ops-1.0.data/data/share/sbom",
        "ops-1.0.data/data/share/sbom/image.cdx.json",
        "ops-1.0.data/data/lib64",
        "ops-1.0.data/data/bin",
    ],
)
def test_a_wheel_cannot_replace_the_environment(image: Image, tmp_path: Path, name: str) -> None:
    output = _refused(image(*SCRATCH, TinyWheel(files={name: b"#!sh"}).write(tmp_path)))
    assert "the virtual environment" in output or "the bill of materials" in output


@pytest.mark.parametrize(
    "files",
    [
        {"../../etc/passwd": b""},
        {"/etc/passwd": b""},
        {"ops/.wh.__init__.py": b""},
        {"ops-1.0.data/data/.wh..wh..opq": b""},
        {"ops-1.0.data/elsewhere/x": b""},
        {"ops-1.0.data/scripts": b""},
        {"ops-1.0.data/purelib/x.py": b"1", "x.py": b"1"},
    ],
)
def test_a_hostile_wheel_is_refused(image: Image, tmp_path: Path, files: dict[str, bytes]) -> None:
    _refused(image(*SCRATCH, TinyWheel(files=files).write(tmp_path)), 9)
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[console_scripts]\n../../evil = ops:main\n",
        "[console_scripts]\n.. = ops:main\n",
        "[console_scripts]\nx = ops:main(__import__('os').system('true'))\n",
        "[console_scripts]\nx = ops\n",
        "[console_scripts]\nx = ops:a\nx = ops:b\n",
        "no section\n",
        "[console_scripts]\nx = os;import:main\n",
    ],
)
def test_hostile_entry_points_are_refused(image: Image, tmp_path: Path, text: str) -> None:
    output = _refused(image(*SCRATCH, TinyWheel(entry_points=text).write(tmp_path)), 9)
    assert "damaged entry points" in output


@pytest.mark.parametrize(
    "record",
    [
        "",
        "ops/__init__.py,,\n",
        "a,b\n",
        '"',
        "ops/__init__.py,sha256=AAAA,12\nops-1.0.dist-info/METADATA,sha256=A,1\n",
    ],
)
def test_a_record_that_does_not_fit_is_refused(image: Image, tmp_path: Path, record: str) -> None:
    assert "RECORD" in _refused(image(*SCRATCH, TinyWheel(record=record).write(tmp_path)), 9)


def test_a_file_with_another_digest_than_recorded_leaves_no_image(image: Image, tmp_path: Path) -> None:
    path = TinyWheel(files={"ops.py": b"good" * 500}).write(tmp_path / "good")
    record = zipfile.ZipFile(path).read("ops-1.0.dist-info/RECORD").decode()
    bad = TinyWheel(files={"ops.py": b"evil" * 500}, record=record).write(tmp_path / "bad")
    output = _refused(image(*SCRATCH, bad), 9)
    assert "another digest than its RECORD says" in output
    assert json.loads((tmp_path / "image/index.json").read_bytes())["manifests"] == []
    assert not [one for one in (tmp_path / "image/blobs/sha256").iterdir() if one.name.endswith(".part")]


@pytest.mark.parametrize("name", ["libcuda.so.1", "libcuda.so", "libnvidia-ml.so.1", "libcuda-1a2b3c4d.so.570.86"])
def test_libraries_of_the_driver_are_never_included(image: Image, tmp_path: Path, name: str) -> None:
    output = _refused(image(*SCRATCH, TinyWheel(files={f"ops.libs/{name}": b""}).write(tmp_path)))
    assert f"ops.libs/{name}" in output
    _ok(image(*SCRATCH, TinyWheel(files={f"ops/lib/stubs/{name}": b""}).write(tmp_path)))


@pytest.mark.parametrize("name", ["_C.abi3.so", "data.bin"])
def test_libraries_of_the_driver_are_known_by_their_sonames_too(image: Image, tmp_path: Path, name: str) -> None:
    driver, own = (stub_library(soname, "x86_64") for soname in ("libcuda.so.1", "libops.so"))
    output = _refused(image(*SCRATCH, TinyWheel(files={f"ops/{name}": driver}).write(tmp_path)))
    assert f"ops/{name}, whose SONAME is libcuda.so.1" in output
    damaged = TinyWheel(name="dep", files={f"dep/{name}": driver[:80]}).write(tmp_path)
    _ok(image(*SCRATCH, TinyWheel(files={f"ops/{name}": own}, requires=["dep"]).write(tmp_path), damaged))


def test_a_base_with_a_toolkit_is_only_taken_when_it_is_wanted(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base", run={"Env": ["CUDA_VERSION=12.8.1", "PATH=/usr/local/cuda/bin:/usr/bin"]})
    wheel = TinyWheel().write(tmp_path)
    assert "CUDA_VERSION=12.8.1" in _refused(image("--base", base, wheel))
    _ok(image("--base", base, "--cuda-base", wheel))
    _, config = named_image(tmp_path / "image")
    assert "PATH=/opt/venv/bin:/usr/local/cuda/bin:/usr/bin" in config["config"]["Env"]


def test_what_the_base_says_of_itself_is_not_said_of_the_image(image: Image, tmp_path: Path) -> None:
    run = {
        "Labels": {"org.opencontainers.image.title": "debian", "maintainer": "somebody"},
        "User": "app",
        "Entrypoint": ["/old"],
        "Cmd": ["old"],
        "WorkingDir": "/srv",
        "ExposedPorts": {"80/tcp": {}},
    }
    base = tiny_base(tmp_path / "base", run=run)
    wheel = TinyWheel(
        further="Summary: Fast\nLicense-Expression: MIT\nProject-URL: Source, https://example.com/ops\n"
    ).write(tmp_path)
    words = ["--entrypoint", "python -m 'ops'", "--label", "team=x", "--env", "A=b=c", "--annotation", "k=v"]
    _ok(image("--base", base, *words, wheel))
    manifest, config = named_image(tmp_path / "image")
    found = config["config"]
    assert found["Labels"]["org.opencontainers.image.title"] == "ops"
    assert found["Labels"]["maintainer"] == "somebody"
    assert found["Labels"]["team"] == "x"
    assert (found["User"], found["WorkingDir"], found["ExposedPorts"]) == ("app", "/srv", {"80/tcp": {}})
    assert found["Entrypoint"] == ["python", "-m", "ops"]
    assert "Cmd" not in found
    assert "A=b=c" in found["Env"]
    notes = manifest["annotations"]
    assert notes["org.opencontainers.image.source"] == "https://example.com/ops"
    assert (notes["org.opencontainers.image.licenses"], notes["k"]) == ("MIT", "v")


def test_the_bill_of_materials_is_inside_and_beside_the_image(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    dep = TinyWheel("dep", files={}, version="2.0+cu13").write(tmp_path)
    _ok(image("--base", base, TinyWheel(requires=["dep"]).write(tmp_path), dep))
    manifest, _ = named_image(tmp_path / "image")
    inside = layer_members(tmp_path / "image", manifest["layers"][-1]["digest"])["opt/venv/share/sbom/image.cdx.json"][
        1
    ]
    bill: dict[str, Any] = json.loads(inside)
    found = {one["name"]: one for one in bill["components"]}
    assert found["dep"]["purl"] == "pkg:pypi/dep@2.0%2Bcu13"
    assert found["dep"]["hashes"][0]["content"] == hashlib.sha256(dep.read_bytes()).hexdigest()
    assert {"ref": "pkg:pypi/ops@1.0", "dependsOn": ["pkg:pypi/dep@2.0%2Bcu13"]} in bill["dependencies"]
    index = json.loads((tmp_path / "image/index.json").read_bytes())
    image_entry, bill_entry = sorted(index["manifests"], key=lambda one: "artifactType" in one)
    assert bill_entry["artifactType"] == "application/vnd.cyclonedx+json"
    artifact = json.loads((tmp_path / "image/blobs/sha256" / bill_entry["digest"][7:]).read_bytes())
    assert artifact["subject"]["digest"] == image_entry["digest"]
    content = (tmp_path / "image/blobs/sha256" / artifact["layers"][0]["digest"][7:]).read_bytes()
    assert content == inside


def test_a_bill_goes_with_the_image_that_it_is_of(image: Image, tmp_path: Path) -> None:
    for text in (b"1", b"2"):
        _ok(image(*SCRATCH, "-o", "oci:image:a", TinyWheel(files={"ops.py": text}).write(tmp_path)))
    _ok(image(*SCRATCH, "-o", "oci:image:b", TinyWheel(files={"ops.py": b"3"}).write(tmp_path)))
    index = json.loads((tmp_path / "image/index.json").read_bytes())
    assert sorted("artifactType" in one for one in index["manifests"]) == [False, False, True, True]


def test_the_python_of_the_base_is_found_in_its_layers(image: Image, tmp_path: Path) -> None:
    layers: list[dict[str, bytes | str]] = [
        {"usr/bin/python3.11": b"", "usr/bin/python3": "python3.11", "usr/local/bin/python3.13": b""},
        {"usr/local/bin/.wh.python3.13": b"", "usr/local/bin/python3.12": b"", "usr/local/bin/python3": "python3.12"},
        {"usr/local/bin/python3.14t": b""},
    ]
    base = tiny_base(tmp_path / "base", layers=layers)
    wheel = TinyWheel().write(tmp_path)

    def python(*words: str) -> str:
        result = _ok(image("--base", base, "--json", "--dry-run", *words, wheel))
        found: str = json.loads(result.stdout)["images"][0]["python"]
        return found

    assert python() == "3.12"
    assert python("--python", "3.11") == "3.11"
    assert python("--python", "3.14t") == "3.14t"
    assert "has no Python 3.13 on its PATH" in _refused(image("--base", base, "--python", "3.13", wheel))
    assert python("--python", "3.12=/usr/local/bin/python3") == "3.12"
    for path in ("3.10=/opt/py/bin/python", "/usr/local/bin/python3.13", "3.11=/usr/bin/ls"):
        assert "has no Python at" in _refused(image("--base", base, "--python", path, wheel))


def test_a_wheel_that_changes_while_it_is_read_is_an_error(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = TinyWheel().write(tmp_path)
    other = TinyWheel(files={"ops/__init__.py": b"ANSWER = 43\n"}).write(tmp_path / "other")
    right = making.LayerMaker.make

    def replaced(*arguments: Any) -> making.MadeLayer:  # noqa: ANN401 (as it is called)
        with suppress(FileNotFoundError):  # in another thread
            other.replace(wheel)
        return right(*arguments)

    monkeypatch.setattr(making.LayerMaker, "make", replaced)
    assert "was changed while it was read" in _refused(image(*SCRATCH, wheel), 9)
    assert json.loads((tmp_path / "image/index.json").read_bytes())["manifests"] == []


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_the_document_follows_its_schema(image: Image, tmp_path: Path, words: tuple[str, ...]) -> None:
    base = tiny_base(tmp_path / "base")
    document = json.loads(_ok(image("--base", base, "--json", *words, TinyWheel().write(tmp_path))).stdout)
    jsonschema.validate(document, json.loads(resource("data", "image.schema.json").read_text(encoding="utf-8")))


def test_two_images_say_what_they_share(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    dep = TinyWheel("dep", files={"dep.py": os.urandom(20_000)}).write(tmp_path)
    for tag in ("a", "b"):
        wheel = TinyWheel(requires=["dep"], files={"ops.py": tag.encode()}).write(tmp_path)
        _ok(image("--base", base, "-o", f"oci:image:{tag}", wheel, dep))
    document = json.loads(_ok(image("--json", "--compare", "oci:image:a", "oci:image:b")).stdout)
    jsonschema.validate(document, json.loads(resource("data", "image_sharing.schema.json").read_text(encoding="utf-8")))
    (row,) = document["platforms"]
    assert [one["title"] for one in row["shared"]] == [None, "virtual environment", "dep 1.0"]
    assert [one["title"] for one in row["only_first"]] == [one["title"] for one in row["only_second"]] == ["ops 1.0"]
    assert row["both"] == sum(one["size"] for key in ("shared", "only_first", "only_second") for one in row[key])
    assert "for both together" in _ok(image("--compare", "oci:image:a", "oci:image:b")).stdout
    arm = tiny_base(tmp_path / "arm", platforms=[ImagePlatform("linux", "arm64")])
    assert "no platform in common" in _refused(image("--compare", base, arm))


def test_a_docker_archive_has_the_layers_unpacked(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    wheel = TinyWheel().write(tmp_path)
    bytes_of = []
    for name in ("one.tar", "two.tar"):
        _ok(image("--base", base, "-o", f"docker-archive:{name}:ops:1", wheel))
        bytes_of.append((tmp_path / name).read_bytes())
    assert bytes_of[0] == bytes_of[1]
    with tarfile.open(tmp_path / "one.tar") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (listed,) = json.loads(files["manifest.json"])
    assert listed["RepoTags"] == ["ops:1"]
    config = json.loads(files[listed["Config"]])
    assert len(listed["Layers"]) == len(config["rootfs"]["diff_ids"]) == 3
    for name, diff_id in zip(listed["Layers"], config["rootfs"]["diff_ids"], strict=True):
        assert f"sha256:{hashlib.sha256(files[name]).hexdigest()}" == diff_id
    both = tiny_base(tmp_path / "both", platforms=[ImagePlatform(), ImagePlatform("linux", "arm64")])
    words = ["--platform", "linux/amd64", "--platform", "linux/arm64", "-o", "docker-archive:three.tar"]
    assert "several platforms" in _refused(image("--base", both, *words, wheel))
    assert not (tmp_path / "three.tar").exists()


def test_a_base_whose_layer_is_gone_or_damaged_is_an_error(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    wheel = TinyWheel().write(tmp_path)
    manifest, _ = named_image(tmp_path / "base", "base")
    blob = tmp_path / "base/blobs/sha256" / manifest["layers"][0]["digest"][7:]
    good = blob.read_bytes()
    blob.write_bytes(good[:50])
    assert "lacks" in _refused(image("--base", base, wheel))
    blob.write_bytes(b"\x1f\x8b" + bytes(len(good) - 2))
    assert "damaged" in _refused(image("--base", base, wheel))
    blob.unlink()
    assert "lacks" in _refused(image("--base", base, wheel))
    assert not (tmp_path / "image").exists()


def test_warnings_name_what_registries_may_refuse(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(image_table(), slow_layer=3000, large_layer=9000, layers=2)
    monkeypatch.setattr(image_costs, "image_table", lambda: small)
    base = tiny_base(tmp_path / "base")
    wheels = [
        TinyWheel(files={"ops.bin": os.urandom(5000)}, requires=["dep"]).write(tmp_path),
        TinyWheel("dep", files={"dep.bin": os.urandom(20_000)}).write(tmp_path),
    ]
    output = _ok(image("--base", base, *wheels)).output
    assert "the layer dep 1.0 has" in output
    assert "many registries refuse" in output
    assert "some registries fail at" in output
    assert "the image has 4 layers: engines take 2" in output


def _env(folder: Path) -> dict[str, str]:
    _, config = named_image(folder)
    return dict(word.split("=", 1) for word in config["config"]["Env"] if word.startswith("NVIDIA"))


@pytest.mark.parametrize(
    ("requirement", "floor"),
    [
        ("nvidia-cublas-cu12>=12.8", "cuda>=12.0"),
        ("nvidia-cudnn-cu13", "cuda>=13.0"),
        ("cuda-toolkit==13.0.*", "cuda>=13.0"),
    ],
)
def test_libraries_of_cuda_ask_for_a_gpu_and_a_driver(
    image: Image, tmp_path: Path, requirement: str, floor: str
) -> None:
    wheel = TinyWheel(requires=[requirement]).write(tmp_path)
    _ok(image(*SCRATCH, "--no-deps-check", wheel))
    assert _env(tmp_path / "image") == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": floor,
    }
    _ok(image(*SCRATCH, "--no-deps-check", "--env", "NVIDIA_REQUIRE_CUDA=cuda>=12.6", wheel))
    assert _env(tmp_path / "image")["NVIDIA_REQUIRE_CUDA"] == "cuda>=12.6"


def test_device_code_says_which_driver_it_needs(image: Image, tmp_path: Path) -> None:
    files = {
        "ops/fused.cu12.9.fatbin": container(entry(bytes(64), arch=75)),
        "ops/_kernels.json": kernel_manifest(archs=("sm_75",), driver="550.54"),
    }
    _ok(image(*SCRATCH, TinyWheel(files=files).write(tmp_path)))
    assert _env(tmp_path / "image")["NVIDIA_REQUIRE_CUDA"] == "cuda>=12.4"


def test_an_image_without_device_code_asks_for_no_gpu(image: Image, tmp_path: Path) -> None:
    wheel = TinyWheel(requires=["nvidia-cublas-cu12; extra == 'cuda'"]).write(tmp_path)
    _ok(image(*SCRATCH, wheel))
    assert _env(tmp_path / "image") == {}


HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_bytecode_is_taken_by_python_and_is_the_same_twice(image: Image, tmp_path: Path) -> None:
    files = {
        "ops/__init__.py": b"NAMES = frozenset({'a', 'b', 'c'})\ndef call(x):\n    return x in {'d', 'e'}\n",
        "ops/broken.py": b"print 'of another time'\n",
        "ops/data.txt": b"",
    }
    wheel = TinyWheel(files=files).write(tmp_path)
    words = ["--base", "scratch", "--python", f"{HERE}=/usr/bin/python{HERE}", "--platform", "linux/amd64"]
    digests = [
        _ok(image(*words, "--compile-bytecode", "-o", f"oci:{place}", wheel)).stdout.splitlines()[-1]
        for place in ("one", "two")
    ]
    assert digests[0] == digests[1]
    manifest, _ = named_image(tmp_path / "one")
    content = layer_members(tmp_path / "one", manifest["layers"][-1]["digest"])
    compiled = {name: data for name, (_, data) in content.items() if name.endswith(".pyc")}
    tag = sys.implementation.cache_tag
    site = f"opt/venv/lib/python{HERE}/site-packages/ops"
    assert list(compiled) == [f"{site}/__pycache__/__init__.{tag}.pyc"]
    (data,) = compiled.values()
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\x01\0\0\0", "PEP 552: by hash, and unchecked"
    code = marshal.loads(data[16:])  # noqa: S302 (it was made above)
    assert code.co_filename == f"/{site}/__init__.py"
    assert not [
        name
        for name in _files(tmp_path / "one")
        if name.endswith("RECORD") and b".pyc" in _files(tmp_path / "one")[name]
    ]


def test_bytecode_of_another_python_is_left_out_and_that_is_said(image: Image, tmp_path: Path) -> None:
    words = ["--base", "scratch", "--python", "3.99=/usr/bin/python3.99", "--platform", "linux/amd64"]
    result = _ok(image(*words, "--compile-bytecode", TinyWheel().write(tmp_path)))
    assert "no bytecode is made: the image has Python 3.99" in result.output
    assert not [name for name in _files(tmp_path / "image") if name.endswith(".pyc")]


def test_which_wheel_is_on_top_can_be_said(image: Image, tmp_path: Path) -> None:
    wheels = [TinyWheel(name, files={f"{name}.py": b""}).write(tmp_path) for name in ("one", "two")]
    result = _ok(image(*SCRATCH, "--dry-run", "--json", *wheels))
    assert "--project NAME says which" in result.stderr
    titles = [layer["title"] for layer in json.loads(result.stdout)["images"][0]["layers"]]
    assert titles == ["virtual environment", "small wheels", "bill of materials"]
    result = _ok(image(*SCRATCH, "--dry-run", "--json", "--project", "One", *wheels))
    assert "says which" not in result.stderr
    titles = [layer["title"] for layer in json.loads(result.stdout)["images"][0]["layers"]]
    assert titles == ["virtual environment", "two 1.0", "one 1.0"]
    assert "three is not among the wheels" in _refused(image(*SCRATCH, "--project", "three", *wheels))


def test_a_budget_of_layers_is_kept(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_planner, "image_table", lambda: replace(image_table(), heavy=1000))
    names = [f"heavy{number}" for number in range(6)]
    wheels = [TinyWheel(requires=[*names, "light"], files={}).write(tmp_path)]
    wheels += [
        TinyWheel(name, files={f"{name}.bin": os.urandom(3000 + 1000 * number)}).write(tmp_path)
        for number, name in enumerate(names)
    ]
    wheels.append(TinyWheel("light", files={}).write(tmp_path))
    result = _ok(image(*SCRATCH, "--dry-run", "--json", "--layers", "6", *wheels))
    titles = [layer["title"] for layer in json.loads(result.stdout)["images"][0]["layers"]]
    assert titles == [
        *("virtual environment", "heavy5 1.0", "heavy4 1.0", "further large wheels", "light 1.0", "ops 1.0")
    ]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--user", ""), "is no user of an image"),
        (("--user", "a b"), "is no user of an image"),
        (("--workdir", "app"), "is no folder to start in"),
    ],
)
def test_what_no_engine_takes_is_refused(image: Image, tmp_path: Path, words: tuple[str, str], problem: str) -> None:
    assert problem in _refused(image(*SCRATCH, *words, TinyWheel().write(tmp_path)))


def test_any_user_who_is_not_root_has_a_home(image: Image, tmp_path: Path) -> None:
    _ok(image(*SCRATCH, "--user", "1000:100", TinyWheel().write(tmp_path)))
    manifest, config = named_image(tmp_path / "image")
    home = layer_members(tmp_path / "image", manifest["layers"][0]["digest"])["home/nonroot"][0]
    assert (home.uid, home.gid, home.mode) == (1000, 0, 0o770)
    assert f"HOME=/home/{NAME}" in config["config"]["Env"]
    _ok(image(*SCRATCH, "--user", "0", TinyWheel().write(tmp_path)))
    assert not any(word.startswith("HOME=") for word in named_image(tmp_path / "image")[1]["config"]["Env"])


def test_a_base_that_asks_more_of_a_gpu_is_heard(image: Image, tmp_path: Path) -> None:
    stated = {"NVIDIA_DRIVER_CAPABILITIES": "compute,video", "NVIDIA_REQUIRE_CUDA": "cuda>=13.1 brand=tesla"}
    run = {"Env": ["CUDA_VERSION=13.1", *(f"{name}={value}" for name, value in stated.items())]}
    base = tiny_base(tmp_path / "base", run=run)
    wheel = TinyWheel(requires=["nvidia-cublas-cu12"]).write(tmp_path)
    _ok(image("--base", base, "--cuda-base", "--no-deps-check", wheel))
    env = _env(tmp_path / "image")
    assert env["NVIDIA_DRIVER_CAPABILITIES"] == "compute,video,utility"
    assert env["NVIDIA_REQUIRE_CUDA"] == "cuda>=13.1 brand=tesla"


def test_a_wheel_whose_metadata_is_of_another_version_is_refused(image: Image, tmp_path: Path) -> None:
    path = TinyWheel().write(tmp_path / "right")
    data = path.read_bytes()
    changed = tmp_path / "ops-2.0-py3-none-any.whl"
    changed.write_bytes(data)
    assert "holds the metadata of ops 1.0" in _refused(image(*SCRATCH, changed), 9)


def test_of_two_builds_the_later_is_installed(image: Image, tmp_path: Path) -> None:
    wheels = []
    for build in ("2", "10"):
        wheel = TinyWheel(files={"ops.py": build.encode()}).write(tmp_path / build)
        wheels.append(wheel.rename(tmp_path / f"ops-1.0-{build}-py3-none-any.whl"))
    _ok(image(*SCRATCH, *wheels))
    assert _files(tmp_path / "image")[f"{SITE}/ops.py"] == b"10"
    again = tmp_path / "again" / wheels[1].name
    again.parent.mkdir()
    shutil.copyfile(wheels[1], again)
    _ok(image(*SCRATCH, wheels[1], again))


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "oci:image:a b;c"),
        ("-o", "docker-archive:x.tar:Not A Name"),
        ("--env", "A B=c"),
        ("--env", "=c"),
        ("--label", "x"),
        ("--platform", "windows/amd64"),
        ("--platform", "linux/amd64/v1/x"),
    ],
)
def test_words_that_no_engine_takes_are_refused(image: Image, tmp_path: Path, words: tuple[str, str]) -> None:
    result = image(*SCRATCH, *words, TinyWheel().write(tmp_path))
    assert result.exit_code in {2, 3, 20}, result.output
    assert not (tmp_path / "image").exists()


def test_platforms_are_said_in_any_spelling_once(image: Image, tmp_path: Path) -> None:
    words = ["--platform", "linux/amd64/v1", *SCRATCH, "--json", TinyWheel().write(tmp_path)]
    assert [one["platform"] for one in json.loads(_ok(image(*words)).stdout)["images"]] == ["linux/amd64"]


def test_a_requirement_that_is_none_names_its_wheel(image: Image, tmp_path: Path) -> None:
    wheel = TinyWheel(requires=["what is this"]).write(tmp_path)
    assert f"{wheel.name}: " in _refused(image(*SCRATCH, wheel), 9)


def test_other_content_in_the_output_is_mended(image: Image, tmp_path: Path) -> None:
    heavy = TinyWheel("heavy", files={"heavy.bin": os.urandom(1_500_000)}).write(tmp_path)
    base = tiny_base(tmp_path / "base")
    words = ["--base", base, TinyWheel(requires=["heavy"]).write(tmp_path), heavy]
    digest = _ok(image(*words)).stdout.splitlines()[-1]
    blobs = {path.name: path for path in (tmp_path / "image/blobs/sha256").iterdir()}
    for path in blobs.values():
        other = bytes(path.stat().st_size)
        path.unlink()  # the cache and the base have second names of some
        path.write_bytes(other)
    (tmp_path / "image/index.json").write_bytes(b'{"schemaVersion": 2, "manifests": []}')
    assert _ok(image(*words)).stdout.splitlines()[-1] == digest
    for name, path in blobs.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name


def test_a_record_may_have_stronger_digests(image: Image, tmp_path: Path) -> None:
    content = b"x" * 3000
    usual = TinyWheel(files={"ops.py": content}).write(tmp_path / "usual")
    record = zipfile.ZipFile(usual).read("ops-1.0.dist-info/RECORD").decode()
    strong = base64.urlsafe_b64encode(hashlib.sha512(content).digest()).rstrip(b"=").decode()
    stated = record.replace(recorded(content), f"sha512={strong}")
    wheel = TinyWheel(files={"ops.py": content}, record=stated).write(tmp_path)
    _ok(image(*SCRATCH, wheel))
    assert recorded(content) in _files(tmp_path / "image")[f"{SITE}/ops-1.0.dist-info/RECORD"].decode()
    wheel = TinyWheel(files={"ops.py": b"y" * 3000}, record=stated).write(tmp_path)
    assert "another digest" in _refused(image(*SCRATCH, wheel), 9)
    weak = TinyWheel(files={"ops.py": content}, record=record.replace("sha256=", "md5=")).write(tmp_path)
    assert "records" in _refused(image(*SCRATCH, weak), 9)


def test_without_zstandard_the_extra_is_named(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    output = _refused(image(*SCRATCH, "--compression", "zstd", TinyWheel().write(tmp_path)))
    assert "gpuwheel[image]" in output
