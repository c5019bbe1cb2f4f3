"""How single values are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwheel.config.reading.convert import converter_for, parse_size
from gpuwheel.model.archs import Arch, ArchTarget
from gpuwheel.model.versions import DriverVersion, MinorVersion

archs = st.builds(
    ArchTarget,
    st.builds(Arch, st.integers(1, 99), st.integers(0, 9), st.sampled_from(["", "a", "f"])),
    ptx=st.booleans(),
)


@given(archs)
def test_an_architecture_reads_as_it_is_written(target: ArchTarget) -> None:
    assert converter_for(ArchTarget).parse(str(target)) == target


@given(st.builds(Arch, st.integers(3, 29), st.integers(0, 9), st.sampled_from(["", "a", "f"])), st.booleans())
def test_compiler_spellings_are_recognised(arch: Arch, ptx: bool) -> None:  # noqa: FBT001 -- drawn by hypothesis
    suggest = converter_for(ArchTarget).suggest
    plus = "+PTX" if ptx else ""
    assert suggest(f"sm_{arch.number}{plus}") == f"{arch}{plus}"
    assert suggest(f"compute_{arch.number}{plus.lower()}") == f"{arch}{plus}"
    assert suggest(f"{arch.number}{plus.replace('+', '-')}") == f"{arch}{plus}"


def test_a_list_split_otherwise_is_recognised() -> None:
    suggest = converter_for(ArchTarget).suggest
    assert suggest("8.0 9.0+PTX") == "8.0;9.0+PTX"
    assert suggest("80, sm_90") == "8.0;9.0"
    assert suggest("8.0 Hopper") is None


@pytest.mark.parametrize(("text", "meant"), [("9", "9.0"), ("12", "12.0"), ("9.0A", "9.0a"), ("10+ptx", "10.0+PTX")])
def test_short_architectures_are_recognised(text: str, meant: str) -> None:
    assert converter_for(ArchTarget).suggest(text) == meant


@pytest.mark.parametrize("text", ["Hopper", "", "native", "9.0.0", "1234"])
def test_nothing_is_guessed_of_other_text(text: str) -> None:
    assert converter_for(ArchTarget).suggest(text) is None


@given(st.integers(1, 10**6), st.sampled_from(["B", "kB", "MB", "GB", "KiB", "MiB", "GiB"]), st.sampled_from(["", " "]))
def test_sizes_are_whole_multiples_of_their_unit(number: int, unit: str, blank: str) -> None:
    base = 1024 if "i" in unit else 1000
    power = {"B": 0, "k": 1, "K": 1, "M": 2, "G": 3}[unit[0]]
    assert parse_size(f"{number}{blank}{unit}") == number * base**power


def test_a_size_may_have_a_fraction_that_makes_whole_bytes() -> None:
    assert parse_size("1.5 MB") == 1_500_000
    assert parse_size("0.5 KiB") == 512


@pytest.mark.parametrize("text", ["100", "100 mb", "MB", "-1 MB", "0 MB", "1.5 B", "1e3 MB", "100 MB ", ""])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@given(st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_a_toolkit_reads_as_it_is_written(version: tuple[int, int]) -> None:
    assert converter_for(MinorVersion).parse("{}.{}".format(*version)) == MinorVersion(*version)


@pytest.mark.parametrize(
    ("text", "parts"), [(">=525", (525,)), (">= 550.54", (550, 54)), (">=575.51.03", (575, 51, 3))]
)
def test_a_driver_is_a_floor(text: str, parts: tuple[int, ...]) -> None:
    assert converter_for(DriverVersion).parse(text) == DriverVersion(parts)
