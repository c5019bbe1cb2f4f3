"""The law of the page is that of `gpuwheel which`: both answer for the same machines and wheels."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from machine_texts import MACHINE_TEXTS
from offered import offered, random_machine, random_wheels

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.gpu_names import gpu_named, load_gpu_names
from gpuwheel.publish.selector.choosing import choose
from gpuwheel.publish.selector.install_lines import install_lines
from gpuwheel.publish.selector.judging import admits
from gpuwheel.publish.selector.offers import Offer
from gpuwheel.publish.selector.page_data import page_data
from gpuwheel.publish.selector.selector_page import LAW

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.publish.published import PublishedWheel
    from gpuwheel.publish.selector.choosing import Choice

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")
BASE = "https://wheels.example.org/choose/ops/"


def script(tmp_path: Path, asked: Any, answer: str) -> Any:  # noqa: ANN401  # plain data
    """What `answer`, a JavaScript expression over `asked`, gives beside the law of the page."""
    law = "".join(resource("publish", "selector", "page_parts", name).read_text(encoding="utf-8") for name in LAW)
    (tmp_path / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    tail = (
        f'const asked = JSON.parse(require("fs").readFileSync("asked.json"));\nconsole.log(JSON.stringify({answer}));\n'
    )
    (tmp_path / "law.js").write_text(law + tail, encoding="utf-8")
    return json.loads(run([str(NODE), "law.js"], cwd=tmp_path, env={}, timeout=120).stdout)


ANSWER = """asked.map(({ machine, data }) => {
  const release = machine.release && machine.release.split(".").map(Number);
  const choice = choose(data, { ...machine, release, driver: machine.driver && parseDriver(machine.driver) });
  const reasons = (i) => choice.reasons(i).map(({ fact, found, expected }) => [fact, found, expected]);
  const row = (i) => [data.wheels.file[i], choice.service(i), choice.leftOut(i), reasons(i)];
  const installer = choice.installer === null ? null : data.wheels.file[choice.installer];
  const forGpu = choice.forGpu === null ? null : data.wheels.file[choice.forGpu];
  const rows = choice.order.map(row), lines = installLines(data, choice, "%s");
  return { index: choice.index, installer, forGpu, rows, lines };
})"""


def expected(choice: Choice) -> dict[str, Any]:
    return {
        "index": choice.index,
        "installer": choice.installer and choice.installer.facts.filename,
        "forGpu": choice.nearest_for_gpu and choice.nearest_for_gpu.offer.facts.filename,
        "rows": [
            [
                one.offer.facts.filename,
                one.service,
                list(one.left_out),
                [[reason.fact, reason.found, reason.expected] for reason in one.reasons],
            ]
            for one in choice.verdicts
        ],
        "lines": {line.name: line.text for line in install_lines(choice)},
    }


@pytest.mark.parametrize("seed", [11, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(100, 120))])
def test_both_answer_alike_for_200_machines(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # the same ones each time
    cases = [(random_machine(chance), random_wheels(chance, 20)) for _ in range(200)]
    # Absolute, for who installs; the page makes them so by its own address.
    here = [[absolute(wheel) for wheel in wheels] for _, wheels in cases]
    asked = [
        {"machine": one.to_json(), "data": page_data("ops", wheels, load_tables())}
        for (one, _), wheels in zip(cases, here, strict=True)
    ]
    found = script(tmp_path, asked, ANSWER % BASE)
    for (machine, _), wheels, answer in zip(cases, here, found, strict=True):
        assert answer == expected(choose(machine, [Offer(wheel) for wheel in wheels])), machine
    assert sum(bool(answer["lines"]) for answer in found) > 10, "some machines have an answer"


def absolute(wheel: PublishedWheel) -> PublishedWheel:
    indexes = tuple(urljoin(BASE, index) for index in wheel.indexes)
    return replace(wheel, url=urljoin(BASE, wheel.url), indexes=indexes)


CLAUSES = [
    "",
    ">=2.10",
    "==2.10",
    "==2.10.*",
    "!=2.10.*",
    "~=2.10",
    "~=2.10.1",
    "<2.10",
    "<=2.10",
    ">2.10",
    "===2.10.0",
    "==2.14.0+cu128",
    "==2.14.0.post1",
    "===2.14.0+cu128",
    "==2.14.0rc1",
]
CLAUSES += [
    ">=2.10rc1",
    "<2.10rc1",
    "==2.10+cu130",
    ">=1!2",
    "~=2",
    ">=2.10+x",
    "==2.*",
    "nonsense",
    ">2.10.post1",
    ">=2.10,<3,!=2.11",
]
VERSIONS = [
    "2.10",
    "2.10.0",
    "2.9.1",
    "2.10rc1",
    "2.10.0rc1",
    "2.10.0a1.dev3",
    "2.10.0.dev20261101",
    "2.10.0.post1",
    "2.10.0+cu130",
]
VERSIONS += [
    "2.10.1+cu130",
    "1!2.0",
    "2.11",
    "2.10.0+cu130.torch2",
    "3.0.0",
    "2.10.0.post2+x",
    "2.0.0a0+ec3941ad.nv23.02",
    "2.14",
]


def test_both_read_ranges_alike(tmp_path: Path) -> None:
    found = script(
        tmp_path, [CLAUSES, VERSIONS], "asked[0].map((one) => asked[1].map((version) => admits(one, version)))"
    )
    assert found == [[admits(clause, version) for version in VERSIONS] for clause in CLAUSES]


def test_both_know_gpus_by_name(tmp_path: Path) -> None:
    names = [*load_gpu_names(), "NVIDIA A100-SXM4-80GB", "GeForce RTX 208...", "NVIDIA GeForce ...", "Radeon VII", ""]
    data = page_data("ops", [], load_tables())
    found = script(tmp_path, {"data": data, "names": names}, "asked.names.map((name) => gpuNamed(asked.data, name))")
    assert found == [None if (arch := gpu_named(name)) is None else str(arch) for name in names]


def test_outputs_of_real_machines_are_understood(tmp_path: Path) -> None:
    data = page_data("ops", [offered()], load_tables())
    texts = {name: text for name, (text, _) in MACHINE_TEXTS.items()}
    answer = "asked.texts.map((text) => readMachineText(asked.data, text).told)"
    found = script(tmp_path, {"data": data, "texts": list(texts.values())}, answer)
    assert dict(zip(texts, found, strict=True)) == {name: told for name, (_, told) in MACHINE_TEXTS.items()}
