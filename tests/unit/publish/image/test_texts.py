"""A Containerfile with the same result, and lines that run an image: each as the tools that read it want them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from check_jsonschema import builtin_schemas
from tiny_images import TinyWheel, tiny_base

from gpuwheel.publish.image.descriptors import ImagePlatform
from gpuwheel.publish.image.image_plan import BaseImage
from gpuwheel.publish.image.texts.containerfile import base_name
from gpuwheel.publish.image.texts.run_lines import HOWS, Runnable, run_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Image = Callable[..., Result]

NAME = "nonroot"
DIGEST = "sha256:" + "0" * 64
GPU = Runnable(f"ghcr.io/team/ops@{DIGEST}", "ops", gpu=True, user="65532:65532")
CPU = Runnable("localhost:5000/ops:1", "ops", gpu=False, user="")


def _wheels(folder: Path, version: str = "1.0") -> list[Path]:
    summary = 'Summary: Fast "ops" for $5'
    ops = TinyWheel(
        name="ops",
        version=version,
        requires=["dep"],
        further=summary,
        entry_points="[console_scripts]\nrun = ops:main\n",
    )
    return [TinyWheel(name="dep", version="2.0").write(folder), ops.write(folder)]


def _instructions(text: str) -> list[list[str]]:
    """Instruction and words, as a builder reads them."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [shlex.split(line.replace(r"\$", "$")) for line in lines]  # shells know no \$ between quotes


def _made(image: Image, tmp_path: Path, *words: object) -> str:
    result = image("--containerfile", tmp_path / "build", *words)
    assert result.exit_code == 0, result.output
    return (tmp_path / "build" / "Containerfile").read_text(encoding="utf-8")


def test_a_containerfile_has_what_the_image_has(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base", run={"Env": ["PATH=/usr/bin", "A=b"]})

    text = _made(
        image,
        tmp_path,
        *(
            "--base",
            base,
            "--env",
            'X=a "b" $c \\',
            "--label",
            "team=x y",
            "--cmd",
            "serve --fast",
            "--entrypoint",
            "run",
        ),
        *_wheels(tmp_path / "wheels"),
    )

    found = _instructions(text)
    by_name = {words[0]: words[1:] for words in found}
    assert [words[-1] for words in found if words[0] == "FROM"] == ["dependencies", "project", base]
    assert by_name["ENV"] == [
        "PATH=/opt/venv/bin:/usr/bin",
        "VIRTUAL_ENV=/opt/venv",
        f"HOME=/home/{NAME}",
        'X=a "b" $c \\',
    ]
    assert 'org.opencontainers.image.description=Fast "ops" for $5' in by_name["LABEL"]
    assert "team=x y" in by_name["LABEL"]
    assert (by_name["USER"], by_name["WORKDIR"]) == (["65532:65532"], [f"/home/{NAME}"])
    assert ('ENTRYPOINT ["run"]' in text, 'CMD ["serve", "--fast"]' in text) == (True, True)
    assert "type=cache" in text
    assert "<<" not in text


def test_all_that_a_containerfile_copies_is_beside_it(image: Image, tmp_path: Path) -> None:
    dep, ops = _wheels(tmp_path / "wheels")

    text = _made(image, tmp_path, "--base", tiny_base(tmp_path / "base"), dep, ops)

    build = tmp_path / "build"
    assert (build / "wheels" / dep.name).read_bytes() == dep.read_bytes()
    assert (build / "project" / ops.name).read_bytes() == ops.read_bytes()
    assert (build / "requirements.txt").read_text().startswith("dep==2.0 --hash=sha256:")
    assert json.loads((build / "image.cdx.json").read_text())["bomFormat"] == "CycloneDX"
    copied = [words[-2] for words in _instructions(text) if words[0] == "COPY" and not words[1].startswith("--from")]
    assert all((build / name).exists() for name in copied)
    assert "ops==1.0" in text


def test_another_call_leaves_no_old_wheel(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    _made(image, tmp_path, "--base", base, *_wheels(tmp_path / "one"))

    _made(image, tmp_path, "--base", base, *_wheels(tmp_path / "two", "1.1"))

    assert [path.name for path in (tmp_path / "build" / "project").iterdir()] == ["ops-1.1-py3-none-any.whl"]


def test_a_dry_run_shows_it_and_writes_nothing(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")

    shown = image("--containerfile", tmp_path / "build", "--dry-run", "--base", base, *_wheels(tmp_path / "wheels"))

    assert shown.stdout.startswith("# syntax=docker/dockerfile:1\n")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("case", ["scratch", "two platforms", "line break"])
def test_what_a_containerfile_cannot_do_is_said(case: str, image: Image, tmp_path: Path) -> None:
    two = (ImagePlatform("linux", "amd64"), ImagePlatform("linux", "arm64"))
    words = {
        "scratch": ["--base", "scratch", "--python", "3.11=/usr/bin/python3.11", "--platform", "linux/amd64"],
        "two platforms": [
            *("--base", tiny_base(tmp_path / "base", platforms=two)),
            *("--platform", "linux/amd64", "--platform", "linux/arm64"),
        ],
        "line break": ["--base", tiny_base(tmp_path / "one", tag="one"), "--env", "X=a\nb"],
    }[case]

    result = image("--containerfile", tmp_path / "build", *words, *_wheels(tmp_path / "wheels"))

    assert result.exit_code in {2, 20}
    assert "found" in result.output
    assert not (tmp_path / "build" / "Containerfile").exists()


@pytest.mark.parametrize(
    ("reference", "start"),
    [
        ("docker.io/library/python:3.12-slim", f"docker.io/library/python@{DIGEST}"),
        (f"localhost:5000/base@{DIGEST}", f"localhost:5000/base@{DIGEST}"),
        ("localhost:5000/a/base", f"localhost:5000/a/base@{DIGEST}"),
    ],
)
def test_a_base_in_a_registry_is_named_by_its_digest(reference: str, start: str) -> None:
    assert base_name(BaseImage(reference, DIGEST, (), {})) == start


# ---- how it is run


@pytest.fixture(scope="module")
def compose_schema() -> Any:  # noqa: ANN401 (JSON)
    return builtin_schemas.get_builtin_schema("vendor.compose-spec")


@pytest.mark.parametrize("runnable", [GPU, CPU], ids=["gpu", "cpu"])
def test_compose_reads_its_file(runnable: Runnable, compose_schema: Any) -> None:  # noqa: ANN401
    document = yaml.safe_load(run_lines(runnable, "compose"))

    jsonschema.validate(document, compose_schema)
    service = document["services"]["ops"]
    assert service["image"] == runnable.reference
    assert ("deploy" in service) is runnable.gpu
    if runnable.gpu:
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


@pytest.mark.parametrize("how", ["kubernetes", "kubernetes-cdi"])
@pytest.mark.parametrize("runnable", [GPU, CPU], ids=["gpu", "cpu"])
def test_kubernetes_reads_its_pod(runnable: Runnable, how: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate")
    pod = yaml.safe_load(run_lines(runnable, how))

    schemas.validate(pod, schemas.latest_version(), strict=True)
    (container,) = pod["spec"]["containers"]
    assert container["image"] == runnable.reference
    assert (container.get("resources") == {"limits": {"nvidia.com/gpu": 1}}) is (runnable.gpu and how == "kubernetes")
    assert ("annotations" in pod["metadata"]) is (runnable.gpu and how == "kubernetes-cdi")
    assert pod["spec"].get("securityContext", {}).get("runAsUser") == (65532 if runnable.gpu else None)


@pytest.mark.parametrize("how", ["docker", "docker-cdi", "podman"])
def test_a_gpu_is_asked_for_where_there_is_code_for_one(how: str) -> None:
    with_gpu, without = (shlex.split(run_lines(runnable, how)) for runnable in (GPU, CPU))

    assert with_gpu[-1] == GPU.reference
    assert ("--gpus" in with_gpu, "nvidia.com/gpu=all" in with_gpu) == (how == "docker", how != "docker")
    assert without == [how.removesuffix("-cdi"), "run", "--rm", CPU.reference]


def test_a_layout_comes_to_docker_first(image: Image, tmp_path: Path) -> None:
    words = ("--base", tiny_base(tmp_path / "base"), "-o", "oci:made:2.0", *_wheels(tmp_path / "wheels"))

    everything = image(*words, "--run-lines", "all")
    refused = image(*words, "--run-lines", "kubernetes")

    assert "skopeo copy oci:made:2.0 docker-daemon:ops:2.0\ndocker run --rm ops:2.0\n" in everything.stdout
    assert "podman run --rm oci:made:2.0\n" in everything.stdout
    assert "kind" not in everything.stdout
    assert refused.exit_code == 20
    assert "--push" in refused.output


@pytest.mark.parametrize("how", HOWS)
def test_every_way_has_words(how: str) -> None:
    assert run_lines(GPU, how).endswith("\n")
