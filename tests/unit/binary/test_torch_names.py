from __future__ import annotations

import pytest

from gpuwheel.binary.torch_names import StringAbi, is_torch_c, is_torch_cpp, string_abi

NEW = "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"


@pytest.mark.parametrize(
    "name",
    [
        "_ZNK2at10TensorBase8data_ptrEv",
        "_ZN3c105ErrorD1Ev",
        "_ZTVN5torch7LibraryE",
        "_ZTIN2at6TensorE",
        "_ZTSN3c105ErrorE",
        "_ZThn16_N5torch8autograd4NodeD0Ev",
        "_ZTv0_n24_N5torch8autograd4NodeD0Ev",
        "_ZGVN2at6detail4flagE",
        "_ZN6caffe28TypeMetaE",
        "_ZNO2at6Tensor4moveEv",
        "_Z16THPVariable_WrapN2at10TensorBaseE",
    ],
)
def test_names_of_torch(name: str) -> None:
    assert is_torch_cpp(name)


@pytest.mark.parametrize(
    "name",
    [
        "_Z3fooRKN2at6TensorE",  # a function of anybody's that takes a tensor
        "_ZN5mylib2opERKN2at6TensorE",
        "_ZNSt6vectorIN2at6TensorESaIS1_EED1Ev",
        "_ZN5torch6stable6TensorD1Ev",  # inline, of headers alone
        "_ZN5torch10headeronly10ScalarTypeE",
        "_ZNK5torch6stable6Tensor4sizeEl",
        "_ZN3mat3addEv",
        "_ZN10torchaudio3rnnEv",
        "at_something",
        "_ZN3attEv",
    ],
)
def test_names_of_others(name: str) -> None:
    assert not is_torch_cpp(name)


def test_names_of_the_c_api() -> None:
    assert is_torch_c("aoti_torch_delete_tensor_object")
    assert is_torch_c("torch_call_dispatcher")
    assert not is_torch_c("mytorch_call")


@pytest.mark.parametrize(
    ("name", "abi"),
    [
        (f"_ZN3c106detail14torchCheckFailEPKcS2_jRK{NEW}", StringAbi.NEW),
        ("_ZN3c105Error4whatB5cxx11Ev", StringAbi.NEW),
        ("_ZN3c106detail14torchCheckFailEPKcS2_jRKSs", StringAbi.OLD),
        ("_ZN3c108OperatorSsEv", StringAbi.OLD),
        ("_ZN3c109ClassSsRSEv", None),  # "Ss" inside of an identifier
        ("_ZN2at4SsEv", None),
        ("_ZN2at6TensorILi10EE2SsEv", None),
        ("_ZN2at3addERKNS_6TensorES2_", None),
        ("_ZN2at3addERA5_Ss", StringAbi.OLD),
        ("torchSs", None),
        ("_ZN2at999999999999999999999999Ss", None),
        ("_ZN2at" + "9" * 5000 + "Ss", None),
    ],
)
def test_which_string_a_name_speaks_of(name: str, abi: StringAbi | None) -> None:
    assert string_abi(name) is abi
