from __future__ import annotations

import email.parser
import email.policy
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.metadata import Metadata

from gpuwheel.errors import AuditError
from gpuwheel.wheel.metadata import add_requirements, field_values, parsed_requirements, requirements, set_field

DOCUMENT = b"""\
Metadata-Version: 2.2
Name: fused-ops
Version: 1.0
License: first line
        second line
Dynamic: Requires-Dist
dynamic: Description
Requires-Dist: numpy >= 1.26
Requires-Python: >=3.10

Body

Requires-Dist: not a field
"""


def test_new_requirements_follow_the_present_ones() -> None:
    assert add_requirements(DOCUMENT, ["torch>=2.10"]) == (
        DOCUMENT.replace(b"Dynamic: Requires-Dist\n", b"").replace(
            b"numpy >= 1.26\n", b"numpy >= 1.26\nRequires-Dist: torch>=2.10\n"
        )
    )


def test_without_requirements_they_go_to_the_end_of_the_headers() -> None:
    assert add_requirements(b"Name: x\n\nBody", ["torch"]) == b"Name: x\nRequires-Dist: torch\n\nBody"
    assert add_requirements(b"Name: x\n", ["torch"]) == b"Name: x\nRequires-Dist: torch\n"


def test_the_same_requirement_in_another_spelling_is_not_added() -> None:
    document = add_requirements(DOCUMENT, ["NumPy>=1.26", "torch >=2.10, <3", "torch<3,>=2.10"])
    assert requirements(document) == ("numpy >= 1.26", "torch >=2.10, <3")


def test_line_endings_are_kept() -> None:
    document = DOCUMENT.replace(b"\n", b"\r\n")
    assert add_requirements(document, ["torch"]).count(b"\n") == document.count(b"\n")
    assert b"\r\nRequires-Dist: torch\r\nRequires-Python" in add_requirements(document, ["torch"])


def test_metadata_stays_valid() -> None:
    metadata = Metadata.from_email(add_requirements(DOCUMENT, ["torch>=2.10", "nvmath-python ; extra == 'math'"]))
    assert [str(requirement) for requirement in metadata.requires_dist or []] == [
        "numpy>=1.26",
        "torch>=2.10",
        'nvmath-python; extra == "math"',
    ]
    assert metadata.dynamic == ["description"]
    assert metadata.description == "Body\n\nRequires-Dist: not a field\n"


@pytest.mark.parametrize("bad", ["torch>=", "torch 2.10", "", "==1"])
def test_an_invalid_requirement_is_refused(bad: str) -> None:
    with pytest.raises(AuditError, match="is not a requirement"):
        add_requirements(DOCUMENT, [bad])
    with pytest.raises(AuditError, match="is not a requirement"):
        parsed_requirements(b"Requires-Dist: " + bad.encode() + b"\n")


def test_set_field_replaces_every_value_in_place() -> None:
    document = b"A: 1\nTag: x\nB: 2\ntag: y\n\nTag: body"
    assert set_field(document, "Tag", ["z", "w"]) == b"A: 1\nTag: z\nTag: w\nB: 2\n\nTag: body"
    assert set_field(document, "C", ["3"]) == b"A: 1\nTag: x\nB: 2\ntag: y\nC: 3\n\nTag: body"


names = st.sampled_from(["Name", "Version", "Requires-Dist", "Classifier", "License", "X-Own"])
line = st.text(string.ascii_letters + " .,:;é", max_size=20).map(str.strip)
projects = st.sampled_from(["torch", "numpy", "a.b_c", "Pillow"])
asked = st.builds(lambda name, version: f"{name}>={version}", projects, st.integers(0, 3))
fields = st.one_of(
    st.tuples(names.filter(lambda name: name != "Requires-Dist"), line),
    st.tuples(st.just("Requires-Dist"), asked),
)
documents = st.tuples(st.lists(fields, min_size=1), st.binary(max_size=80)).map(
    lambda parts: "".join(f"{name}: {value}\n" for name, value in parts[0]).encode() + b"\n" + parts[1]
)


@given(document=documents, wanted=st.lists(asked))
def test_laws_of_adding(document: bytes, wanted: list[str]) -> None:
    changed = add_requirements(document, wanted)
    assert add_requirements(changed, wanted) == changed, "twice is once"
    assert changed.partition(b"\n\n")[2] == document.partition(b"\n\n")[2], "the description is kept"
    assert set(requirements(changed)) == {*requirements(document), *wanted}
    assert len(set(requirements(changed))) == len(requirements(changed)), "each once"

    def others(text: bytes) -> list[tuple[str, str]]:
        parsed = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(text.partition(b"\n\n")[0] + b"\n\n")
        return [(name, str(value)) for name, value in parsed.items() if name != "Requires-Dist"]

    assert others(changed) == others(document), "all other fields are kept, in order"


def test_field_values_join_continuation_lines() -> None:
    assert field_values(DOCUMENT, "license") == ("first line second line",)
