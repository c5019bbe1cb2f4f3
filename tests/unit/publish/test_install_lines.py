"""What to type to get a wheel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from offered import offered

from gpuwheel._toml import parse_toml
from gpuwheel.model.archs import Arch
from gpuwheel.publish.selector.choosing import choose
from gpuwheel.publish.selector.install_lines import install_lines, quoted_url
from gpuwheel.publish.selector.offers import Offer
from gpuwheel.publish.selector.target_machine import Machine

URL = "https://wheels.example.org/ops-1.1%2Bcu126-cp310-abi3-manylinux_2_28_x86_64.whl"
INDEX = "https://wheels.example.org/simple/"


def lines(machine: Machine, *versions: str, index: str | None = INDEX) -> dict[str, str]:
    wheels = [replace(offered(version, indexes=[index] if index else []), url=URL) for version in versions]
    return {line.name: line.text for line in install_lines(choose(machine, [Offer(wheel) for wheel in wheels]))}


def test_a_wheel_is_named_by_its_url_and_digest() -> None:
    told = lines(Machine("3.12"), "1.1+cu126")
    digest = offered("1.1+cu126").facts.sha256
    wheel = f'"ops @ {URL}#sha256={digest}"'
    assert told["pip"] == f"python -m pip install {wheel}"
    assert told["uv"] == f"uv pip install {wheel}"
    assert told["pixi"] == f"pixi add --pypi {wheel}"
    assert told["Containerfile"].endswith(f"RUN python -m pip install --no-cache-dir {wheel}")


def test_no_line_names_a_second_index() -> None:
    for machine in (
        Machine("3.12"),
        Machine("3.14", free_threaded=True, torch="2.14"),
        Machine("3.12", system="windows"),
    ):
        assert "extra-index" not in "".join(lines(machine, "1.1+cu126").values())


def test_pyproject_pins_the_index_to_the_package() -> None:
    document = parse_toml(lines(Machine("3.12", torch="2.13"), "1.0", "1.1+cu126")["pyproject.toml"].encode())
    assert document == {
        "project": {"dependencies": ["torch==2.13.*", "ops==1.1+cu126"]},
        "tool": {
            "uv": {
                "sources": {"ops": {"index": "ops-index"}},
                "index": [{"name": "ops-index", "url": INDEX, "explicit": True}],
            }
        },
    }


def test_without_an_index_that_gives_it_the_file_is_the_source() -> None:
    document = parse_toml(lines(Machine("3.12"), "1.1+cu126", index=None)["pyproject.toml"].encode())
    # Not a source of uv's: that may have no digest.
    wheel = f"ops @ {URL}#sha256={offered('1.1+cu126').facts.sha256}"
    assert document == {"project": {"dependencies": [wheel]}}


def test_an_image_is_of_this_python_and_sees_the_gpu() -> None:
    text = lines(Machine("3.12.4", gpus=(Arch(9, 0),), torch="2.13.0+cu130"), "1.0")["Containerfile"]
    assert text.startswith("FROM docker.io/library/python:3.12-slim\nENV NVIDIA_VISIBLE_DEVICES=all ")
    assert '"torch==2.13.0"' in text
    threaded = lines(Machine("3.14", free_threaded=True), "1.0")
    assert threaded == {}, "a wheel of the stable ABI is not for it"


def test_an_image_has_the_c_library_of_the_wheel() -> None:
    for threads, tag in ((False, "cp314-cp314"), (True, "cp314-cp314t")):
        machine = Machine("3.14", libc="musl", free_threaded=threads)
        choice = choose(machine, [Offer(offered(tags=[f"{tag}-musllinux_1_2_x86_64"]))])
        text = next(line.text for line in install_lines(choice) if line.name == "Containerfile")
        assert text.splitlines()[0].endswith("-alpine" if not threads else "/uv:alpine")


def test_a_wheel_of_this_machine_is_copied_into_the_image() -> None:
    wheel = offered("1.0+cu126")
    url = f"file:///somewhere/dist/{wheel.facts.filename.replace('+', '%2B')}"
    choice = choose(Machine("3.12", torch="2.14"), [Offer(replace(wheel, url=url))])
    text = next(line.text for line in install_lines(choice) if line.name == "Containerfile")
    assert "/somewhere" not in text
    assert text.splitlines()[-2] == f'COPY ["{wheel.facts.filename}", "/wheels/"]'
    assert f'"torch==2.14.*" "ops @ file:///wheels/{wheel.facts.filename}#sha256=' in text


def test_an_image_for_libraries_of_cuda_sees_the_gpu() -> None:
    for runtimes, sees in (((13,), True), ((), False)):
        choice = choose(Machine("3.12"), [Offer(offered(code=[], runtimes=runtimes))])
        text = next(line.text for line in install_lines(choice) if line.name == "Containerfile")
        assert ("NVIDIA_VISIBLE_DEVICES" in text) is sees


def test_containers_are_linux() -> None:
    choice = choose(Machine("3.12", system="windows"), [Offer(offered(tags=["cp310-abi3-win_amd64"]))])
    assert "Containerfile" not in {line.name for line in install_lines(choice)}


@pytest.mark.parametrize(
    "hostile", ['https://x/"; rm -rf /', "https://x/$(id)", "https://x/`id`", "https://x/a\\b\n'<é", "https://x/!!/a!b"]
)
def test_an_url_means_itself_in_every_shell(hostile: str) -> None:
    quoted = quoted_url(hostile)
    assert not set(quoted) & set("\"'`$\\<>|^! \n")
    assert quoted_url(quoted) == quoted
