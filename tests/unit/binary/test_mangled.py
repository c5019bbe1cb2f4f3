"""Symbols taken apart. The mangled names are what NVRTC 12.9 and g++ write."""

from __future__ import annotations

import shutil
import time

import pytest

from gpuwheel.binary.mangled import (
    Signature,
    TemplateArgument,
    demangle_foreign,
    foreign_names,
    function_name,
    parse_signature,
    template_argument,
)
from gpuwheel.errors import CompileError


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("_Z1kPi", Signature("", "k", (), ("int*",))),
        ("_ZN1a6noargsEv", Signature("a", "noargs", (), ())),
        ("_ZN1a1b1c1kEf", Signature("a::b::c", "k", (), ("float",))),
        ("_Z4fptrPFviEPi", Signature("", "fptr", (), ("void (*)(int)", "int*"))),
        (
            "_ZN5fused12add_rms_normI13__nv_bfloat16Li8EEEvPT_PKS2_S5_S5_xf",
            Signature(
                "fused",
                "add_rms_norm",
                ("__nv_bfloat16", "8"),
                ("__nv_bfloat16*", *["__nv_bfloat16 const*"] * 3, "long long", "float"),
            ),
        ),
        (
            "_Z1kIfL4Mode1ELb1ELj3ELln4EEv1PPT_PKPKilh",
            Signature(
                "",
                "k",
                ("float", "(Mode)1", "true", "3u", "-4l"),
                ("P", "float*", "int const* const*", "long", "unsigned char"),
            ),
        ),
        ("_Z4packIJfiEEvDpPT_", Signature("", "pack", ("float", "int"), ("float*", "int*"))),
        (
            "_Z1kI6VectorI4PairIicELi4EEEvPT_",
            Signature("", "k", ("Vector<Pair<int, char>, 4>",), ("Vector<Pair<int, char>, 4>*",)),
        ),
        ("plain", Signature("", "plain", (), None)),
        ("i", Signature("", "i", (), None)),  # not the type int
    ],
)
def test_signatures(symbol: str, expected: Signature) -> None:
    assert parse_signature(symbol) == expected


def test_names_for_people() -> None:
    assert parse_signature("_ZN5fused12add_rms_normIfLi4EEEvPT_PKS1_S4_S4_xf").name == "fused::add_rms_norm<float, 4>"
    assert parse_signature("plain").name == "plain"


@pytest.mark.parametrize(
    ("text", "kind", "spelling"),
    [
        ("4", "int", "4"),
        ("-1", "int", "-1"),
        ("3u", "unsigned", "3u"),
        ("-4l", "long", "-4l"),
        ("7ul", "unsigned long", "7ul"),
        ("5ll", "long long", "5ll"),
        ("6ull", "unsigned long long", "6ull"),
        ("true", "bool", "true"),
        ("(char)65", "char", "static_cast<char>(65)"),
        ("(unsigned char)3", "unsigned char", "static_cast<unsigned char>(3)"),
        ("(fused::Mode)-1", "fused::Mode", "static_cast<fused::Mode>(-1)"),
        ("float", "typename", "float"),
        ("Vector<float, 4>", "typename", "Vector<float, 4>"),
        ("unsigned long", "typename", "unsigned long"),
    ],
)
def test_template_arguments(text: str, kind: str, spelling: str) -> None:
    assert template_argument(text) == TemplateArgument(kind, spelling)


@pytest.mark.parametrize("symbol", ["_Z1kIXadL_Z1xEEEvv", "_Z1kILf3f800000EEvv"])
def test_template_arguments_without_a_host_spelling(symbol: str) -> None:
    (argument,) = parse_signature(symbol).template_arguments
    with pytest.raises(CompileError, match="cannot be written in host code"):
        template_argument(argument)


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        ("_ZN12_GLOBAL__N_11kEPi", "an anonymous namespace"),
        ("_Z1kIN12_GLOBAL__N_11PEEvT_", "an anonymous namespace"),
        ("_Z1kIN1nUlvE_EEvT_", "an unnamed type or lambda"),
        ("_Z1kIZ1fvE1PEvT_", "a type local to a function"),
    ],
)
def test_what_another_file_cannot_name(symbol: str, why: str) -> None:
    with pytest.raises(CompileError, match=f"cannot be launched from another file \\(it involves {why}\\)"):
        parse_signature(symbol)


def test_a_symbol_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(CompileError, match="kernel symbol _Z1kIUlvE_EvT_ cannot be read"):
        parse_signature("_Z1kIUlvE_EvT_")


def test_foreign_names() -> None:
    types = ("Config", "float const*", "ns::Vector<ns::Half, 4u>*", "unsigned long")
    assert foreign_names(types) == ("Config", "ns::Vector", "ns::Half")


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("_ZN5fused5scaleIfLi4EEEvPT_PKS1_lf", "fused::scale<float, 4>"),
        ("_ZN12_GLOBAL__N_11kIiEEvT_", "(anonymous namespace)::k<int>"),
        ("_Z1kILln4EEvSt5arrayIPcLm1EE", "k<-4l>"),
        ("_Z1kIZ1fvEUlfE_EvT_", "k<f()::{lambda(float)#1}>"),
        ("f", "f"),  # not the type float
        ("__nv_static_27__263328b4_6_api_cu_4cf56e19__Z1kPfi", "k"),
        ("__nv_static_9999__263328b4_6", "__nv_static_9999__263328b4_6"),
        ("_Z1kIUlvE_EvT_", "_Z1kIUlvE_EvT_"),
    ],
)
def test_names_of_functions_that_others_wrote(symbol: str, name: str) -> None:
    assert function_name(symbol) == name


@pytest.mark.skipif(shutil.which("c++filt") is None, reason="no c++filt")
def test_names_from_other_files() -> None:
    assert demangle_foreign(["_ZN2at5emptyEv", "memcpy"]) == ["at::empty()", "memcpy"]


@pytest.mark.parametrize("depth", [15, 24])
def test_a_short_name_that_stands_for_a_long_text_stays_as_it_is(depth: int) -> None:
    """Each parameter is a function that takes the one before it twice: a megabyte, and half a gigabyte."""
    places = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    parts = ["_Z1f1X"]
    for index in range(depth):
        number = 2 * index - 1  # a function and the pointer to it have a number each
        before = "S_" if index == 0 else f"S{(number > 35) * '1'}{places[number % 36]}_"
        parts.append(f"PFv{before}{before}E")
    start = time.monotonic()
    assert demangle_foreign(["_Z1gv", "".join(parts)])[1] == "".join(parts)
    assert time.monotonic() - start < 6
