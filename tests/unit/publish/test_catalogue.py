"""The wheels of a project, from indexes of ours and of others, and from folders."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from made_wheels import made
from offered import offered

from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError, GpuwheelError, NetworkError
from gpuwheel.index.context import Traffic
from gpuwheel.index.settings import IndexSettings
from gpuwheel.index.transport import Transport
from gpuwheel.publish.selector.catalogue import Catalogue, choose_from, read_catalogue
from gpuwheel.publish.selector.install_lines import install_lines
from gpuwheel.publish.selector.target_machine import Machine
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.publish.selector.choosing import Choice


def read(*indexes: Path, project: str = "ops", folder: Path | None = None) -> Catalogue:
    settings = IndexSettings(tuple(index.as_uri() for index in indexes))
    with closing(Transport(settings, Traffic())) as transport:
        return read_catalogue(project, settings, transport, folder=folder, tables=load_tables())


def chosen(catalogue: Catalogue, machine: Machine) -> Choice:
    with closing(Transport(IndexSettings(()), Traffic())) as transport:
        return choose_from(catalogue, machine, transport)


@pytest.mark.parametrize("below", ["simple/ops", "ops"])
def test_an_index_of_ours_tells_what_is_in_its_wheels(tmp_path: Path, below: str) -> None:
    rows = [offered("1.0").to_json(), offered("1.1+cu130").to_json()]
    (tmp_path / below).mkdir(parents=True)
    (tmp_path / below / "wheels.json").write_text(json.dumps(rows), encoding="utf-8")
    found = read(tmp_path, project="Ops")
    assert [offer.facts.version for offer in found.offers] == ["1.0", "1.1+cu130"]
    assert all(offer.inspected and offer.published.url.startswith("file:///") for offer in found.offers)
    assert found.offers[0].published.indexes == (f"{(tmp_path / below).parent.as_uri()}/",)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"schema": 1}]', "[" * 100_000])
def test_a_damaged_document_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/wheels.json").write_text(text, encoding="utf-8")
    with pytest.raises((AuditError, NetworkError)):
        read(tmp_path)


def test_an_index_in_its_folder_of_wheels_is_believed(tmp_path: Path) -> None:
    (tmp_path / "simple/ops").mkdir(parents=True)
    (tmp_path / "simple/ops/wheels.json").write_text(json.dumps([offered("1.0").to_json()]), encoding="utf-8")
    (tmp_path / "ops-1.0-py3-none-any.whl").write_bytes(b"not looked at")
    assert [offer.facts.version for offer in read(tmp_path, folder=tmp_path).offers] == ["1.0"]


def test_wheels_in_a_folder_are_looked_into(tmp_path: Path) -> None:
    wheel = made()
    write_wheel(tmp_path / wheel.name, wheel.members().values())
    (tmp_path / "other-1-py3-none-any.whl").write_bytes(b"not looked at")
    (offer,) = read(folder=tmp_path).offers
    assert offer.inspected
    assert offer.facts.code


def page(tmp_path: Path, *links: str) -> Path:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/index.html").write_text("\n".join(links), encoding="utf-8")
    return tmp_path


def test_of_any_other_index_names_and_attributes_are_known(tmp_path: Path) -> None:
    found = read(
        page(
            tmp_path,
            '<a href="ops-1.0-py3-none-any.whl#sha256=ab" data-requires-python="&gt;=3.12">x</a>',
            '<a href="ops-1.1-py3-none-any.whl" data-yanked="broken">x</a>',
            '<a href="ops-1.2-py3-none-any.whl" data-yanked>x</a>',
            '<a href="ops-2.0.tar.gz">x</a> <a href="other-3-py3-none-any.whl">x</a> <a href="ops-x.whl">x</a>',
        )
    )
    told = {one.facts.version: (one.facts.requires_python, one.published.yanked, one.inspected) for one in found.offers}
    assert told == {"1.0": (">=3.12", False, False), "1.1": (None, "broken", False), "1.2": (None, True, False)}
    assert chosen(found, Machine("3.12")).best is not None
    assert chosen(found, Machine("3.11")).best is None


def test_what_is_no_digest_stands_in_no_line(tmp_path: Path) -> None:
    for number, digest in enumerate(["ab", "$(id)" + "0" * 59, '"; id; "', "A" * 64, "0" * 64]):
        (tmp_path / str(number)).mkdir()
        found = read(page(tmp_path / str(number), f"<a href='ops-1.0-py3-none-any.whl#sha256={digest}'>x</a>"))
        (line, *_) = install_lines(chosen(found, Machine("3.12")))
        assert set(line.text) <= set('abcdefghijklmnopqrstuvwxyz0123456789 -@:/._#="A')
        assert ("#sha256=" in line.text) is (len(digest) == 64 and digest.isalnum())


def test_metadata_beside_a_wheel_is_read_before_it_is_chosen(tmp_path: Path) -> None:
    index = page(
        tmp_path,
        '<a href="ops-1.0-py3-none-any.whl" data-core-metadata="true">x</a>',
        '<a href="ops-1.1-py3-none-any.whl" data-core-metadata="true">x</a>',
    )
    for version, torch in (("1.0", ">=2.10"), ("1.1", ">=2.14")):
        text = f"Metadata-Version: 2.1\nName: ops\nVersion: {version}\nRequires-Dist: torch{torch}\n"
        (tmp_path / f"ops/ops-{version}-py3-none-any.whl.metadata").write_text(text, encoding="utf-8")
    best = chosen(read(index), Machine("3.12", torch="2.13")).best
    assert best is not None
    assert (best.offer.facts.version, best.offer.facts.torch) == ("1.0", ">=2.10")


def test_who_has_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="no wheel there") as caught:
        read(tmp_path)
    assert tmp_path.name in str(caught.value)
    assert isinstance(caught.value, GpuwheelError)
