"""Requirements of extras in core metadata: the extra is provided, once, and nothing stays dynamic."""

from __future__ import annotations

from packaging.metadata import Metadata

from gpuwheel.wheel.metadata import add_requirements, field_values

DOCUMENT = b"""\
Metadata-Version: 2.2
Name: fused-ops
Version: 1.0
Dynamic: Requires-Dist
Dynamic: Provides-Extra
Requires-Python: >=3.10

Body
"""
EXTRAS = [
    'nvmath-python[cu12]>=1.0; extra == "cu12"',
    'nvmath-python[cu13]>=1.0; extra == "cu13"',
    "x; extra == 'cu13'",
]


def test_extras_are_provided_where_their_first_requirement_is() -> None:
    document = add_requirements(DOCUMENT, ["torch>=2.10", *EXTRAS])
    assert (
        document
        == b"""\
Metadata-Version: 2.2
Name: fused-ops
Version: 1.0
Requires-Python: >=3.10
Requires-Dist: torch>=2.10
Provides-Extra: cu12
Requires-Dist: nvmath-python[cu12]>=1.0; extra == "cu12"
Provides-Extra: cu13
Requires-Dist: nvmath-python[cu13]>=1.0; extra == "cu13"
Requires-Dist: x; extra == 'cu13'

Body
"""
    )
    assert add_requirements(document, EXTRAS) == document
    parsed = Metadata.from_email(document)
    assert parsed.provides_extra == ["cu12", "cu13"]


def test_an_extra_that_is_there_is_not_provided_twice() -> None:
    document = DOCUMENT.replace(b"Requires-Python", b"Provides-Extra: cu12\nRequires-Python")
    assert field_values(add_requirements(document, EXTRAS), "Provides-Extra") == ("cu12", "cu13")
