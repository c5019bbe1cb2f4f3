"""A Containerfile with the same result, and lines that run an image: each as the tools that read it want them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from check_jsonschema import builtin_schemas
from small_wheels import small_wheel
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
    assert all(
        words[-1 if words[-2] != "AS" else -3] in {base, "dependencies"} for words in found if words[0] == "FROM"
    )
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


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", ["wheels of mine", "inside", "a file beside", "an edited text", "a file"])
def test_nothing_that_is_not_ours_is_touched(case: str, image: Image, tmp_path: Path) -> None:
    base, build = tiny_base(tmp_path / "base"), tmp_path / "build"
    wheels = _wheels(tmp_path / "given")
    if case == "wheels of mine":
        _wheels(build / "wheels", "0.9")
        (build / "requirements.txt").write_text("mine\n")
    elif case == "inside":
        wheels = _wheels(build)
    elif case == "a file":
        build.write_text("mine\n")
    else:
        _made(image, tmp_path, "--base", base, *wheels)
        (build / ("notes.txt" if case == "a file beside" else "Containerfile")).write_text("mine\n")
    before = _content(build) if build.is_dir() else build.read_bytes()

    result = image("--containerfile", build, "--base", base, *wheels)

    assert result.exit_code in {2, 20}, result.output
    assert (_content(build) if build.is_dir() else build.read_bytes()) == before
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_source_that_is_linked_into_the_folder_stays(image: Image, tmp_path: Path) -> None:
    base, wheels = tiny_base(tmp_path / "base"), _wheels(tmp_path / "given")
    _made(image, tmp_path, "--base", base, *wheels)
    before = _content(tmp_path / "given")

    _made(image, tmp_path, "--base", base, *wheels)

    assert _content(tmp_path / "given") == before


def test_labels_that_describe_the_base_are_emptied(image: Image, tmp_path: Path) -> None:
    labels = {"org.opencontainers.image.vendor": "somebody", "team": "base"}
    base = tiny_base(tmp_path / "base", run={"Labels": labels})

    text = _made(image, tmp_path, "--base", base, *_wheels(tmp_path / "wheels"))

    (row,) = [words for words in _instructions(text) if words[0] == "LABEL"]
    assert "org.opencontainers.image.vendor=" in row
    assert not [word for word in row if word.startswith("team")]


def test_a_base_in_a_folder_is_found_from_anywhere(image: Image, tmp_path: Path) -> None:
    tiny_base(tmp_path / "base")

    text = _made(image, tmp_path, "--base", "oci:base:base", *_wheels(tmp_path / "wheels"))

    assert f"oci:{tmp_path}/base:base\n" in text
    assert "docker buildx" not in text


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


@pytest.mark.parametrize("how", ["kubernetes", "kubernetes-dra"])
@pytest.mark.parametrize("runnable", [GPU, CPU], ids=["gpu", "cpu"])
def test_kubernetes_reads_its_pod(runnable: Runnable, how: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate")
    *claims, pod = yaml.safe_load_all(run_lines(runnable, how))

    for one in (*claims, pod):
        schemas.validate(one, schemas.latest_version(), strict=True)
    (container,) = pod["spec"]["containers"]
    assert container["image"] == runnable.reference
    assert (container.get("resources") == {"limits": {"nvidia.com/gpu": 1}}) is (runnable.gpu and how == "kubernetes")
    assert [one["metadata"]["name"] for one in claims] == (["ops-gpu"] if runnable.gpu and "dra" in how else [])
    if claims:
        (claim,) = pod["spec"]["resourceClaims"]
        assert container["resources"]["claims"] == [{"name": claim["name"]}]
        assert claim["resourceClaimTemplateName"] == "ops-gpu"
    assert pod["spec"].get("securityContext", {}).get("runAsUser") == (65532 if runnable.gpu else None)


@pytest.mark.parametrize("how", ["docker", "docker-cdi", "podman"])
def test_a_gpu_is_asked_for_where_there_is_code_for_one(how: str) -> None:
    with_gpu, without = (shlex.split(run_lines(runnable, how)) for runnable in (GPU, CPU))

    assert with_gpu[-1] == GPU.reference
    assert ("--gpus" in with_gpu, "nvidia.com/gpu=all" in with_gpu) == (how == "docker", how != "docker")
    assert without == [how.removesuffix("-cdi"), "run", "--rm", CPU.reference]


def test_wheels_with_device_code_ask_for_a_gpu(image: Image, tmp_path: Path) -> None:
    (tmp_path / "gpu").mkdir()
    wheel = small_wheel(tmp_path / "gpu", "ops", "1.0", tag="cp310-abi3-manylinux_2_28_x86_64", cuda="12.9")
    base = tiny_base(tmp_path / "base")

    lines = [
        image("--base", base, "--no-deps-check", "--dry-run", "--run-lines", "podman", one).stdout
        for one in (wheel, _wheels(tmp_path / "wheels")[0])
    ]

    assert ["--device nvidia.com/gpu=all" in line for line in lines] == [True, False]


def test_a_layout_comes_to_docker_first(image: Image, tmp_path: Path) -> None:
    words = ("--base", tiny_base(tmp_path / "base"), "-o", "oci:made:2.0", *_wheels(tmp_path / "wheels"))

    everything = image(*words, "--run-lines", "all")
    refused = image(*words, "--run-lines", "kubernetes")

    assert "skopeo copy oci:made:2.0 docker-daemon:ops:2.0\ndocker run --rm ops:2.0\n" in everything.stdout
    assert "podman run --rm oci:made:2.0\n" in everything.stdout
    assert "kind" not in everything.stdout
    assert (
        "podman run --rm 'oci:my made:2.0'\n"
        in image(*words[:2], "-o", "oci:my made:2.0", "--run-lines", "podman", *words[4:]).stdout
    )
    assert refused.exit_code == 20
    assert "--push" in refused.output


@pytest.mark.parametrize("how", HOWS)
def test_every_way_has_words(how: str) -> None:
    assert run_lines(GPU, how).endswith("\n")
