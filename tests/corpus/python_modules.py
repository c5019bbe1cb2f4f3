"""Extension modules and the Pythons that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.cases import case
from corpus.wheels import LIBC, library, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
PLATFORM = "manylinux_2_17_x86_64"
ABI3 = f"cp39-abi3-{PLATFORM}"
FREE = f"cp313-cp313t-{PLATFORM}"
WARNING, NOTE = Severity.WARNING, Severity.NOTE


def module(name: str, *symbols: str, entry: str = "_C", tag: str | None = None, **changes: object) -> WheelFile:
    """A wheel whose one module has this file name, and asks Python for these symbols."""
    imports = {**LIBC, **dict.fromkeys(symbols)}
    data = library(exports=(f"PyInit_{entry}",) if entry else (), imports=imports, **changes)
    given = {"ops/_C.so": None, f"ops/{name}": data}
    return wheel(given) if tag is None else wheel(given, tag=tag)  # type: ignore[arg-type]


@case("extension-suffix")
def a_module_for_another_python() -> Pair:
    return module("_C.cpython-310-x86_64-linux-gnu.so"), module("_C.cpython-311-x86_64-linux-gnu.so")


@case("extension-suffix", sneaky=True)
def a_module_named_for_another_machine() -> Pair:
    return module("_C.cpython-311-aarch64-linux-gnu.so"), module("_C.cpython-311-x86_64-linux-gnu.so")


@case("extension-suffix", sneaky=True)
def a_module_of_one_python_in_a_wheel_for_later_ones() -> Pair:
    return module("_C.cpython-39-x86_64-linux-gnu.so", tag=ABI3), module("_C.abi3.so", tag=ABI3)


@case("extension-suffix", sneaky=True)
def a_module_with_a_lock_in_a_free_threaded_wheel() -> Pair:
    return (
        module("_C.cpython-313-x86_64-linux-gnu.so", tag=FREE),
        module("_C.cpython-313t-x86_64-linux-gnu.so", tag=FREE),
    )


@case("extension-suffix", sneaky=True)
def a_module_named_for_another_c_library() -> Pair:
    return module("_C.cpython-311-x86_64-linux-musl.so"), module("_C.cpython-311-x86_64-linux-gnu.so")


@case("extension-suffix", sneaky=True, severity=WARNING)
def a_library_for_another_python_that_is_no_module() -> Pair:
    return module("_C.cpython-39-x86_64-linux-gnu.so", entry="", tag=ABI3), module("_C.so", entry="", tag=ABI3)


@case("extension-entry-point")
def a_module_that_was_renamed() -> Pair:
    return module("_D.so"), module("_C.so")


@case("extension-entry-point", sneaky=True)
def a_module_that_was_renamed_and_has_a_suffix() -> Pair:
    return module("ops_C.cpython-311-x86_64-linux-gnu.so"), module("_C.cpython-311-x86_64-linux-gnu.so")


@case("extension-entry-point", sneaky=True, severity=NOTE)
def a_suffix_of_a_module_without_an_entry_point() -> Pair:
    return module("_C.abi3.so", entry="", tag=ABI3), module("_C.so", entry="", tag=ABI3)


@case("free-threading")
def a_tag_of_the_stable_abi_for_free_threading() -> Pair:
    return module("_C.so", tag=f"cp313t-abi3-{PLATFORM}"), module("_C.so", tag=FREE)


@case("free-threading", sneaky=True)
def a_module_of_the_stable_abi_in_a_free_threaded_wheel() -> Pair:
    return module("_C.abi3.so", tag=FREE), module("_C.so", tag=FREE)


@case("limited-api")
def a_private_symbol_under_the_stable_abi() -> Pair:
    return (
        module("_C.abi3.so", "_PyObject_GetDictPtr", tag=ABI3),
        module("_C.abi3.so", "PyObject_GetAttr", tag=ABI3),
    )


@case("limited-api", sneaky=True)
def a_public_symbol_that_is_not_stable_in_a_file_without_a_suffix() -> Pair:
    return module("_C.so", "PyUnicode_AsUTF8", tag=ABI3), module("_C.so", "PyUnicode_AsUTF8String", tag=ABI3)


@case("limited-api", sneaky=True)
def a_symbol_that_is_not_stable_in_a_wheel_for_one_python() -> Pair:
    return module("_C.abi3.so", "PyUnicode_AsUTF8"), module("_C.so", "PyUnicode_AsUTF8")


@case("limited-api-version")
def a_symbol_that_is_newer_than_the_tag() -> Pair:
    newer = "PyType_FromMetaclass"
    return module("_C.abi3.so", newer, tag=ABI3), module("_C.abi3.so", newer, tag=f"cp312-abi3-{PLATFORM}")


@case("limited-api-version", sneaky=True, severity=WARNING)
def a_symbol_that_was_there_before_it_was_stable() -> Pair:
    later = "PyObject_GetBuffer"
    return module("_C.abi3.so", later, tag=ABI3), module("_C.abi3.so", later, tag=f"cp311-abi3-{PLATFORM}")


@case("limited-api-version", sneaky=True)
def a_symbol_that_is_newer_than_what_requires_python_admits() -> Pair:
    data = library(imports={**LIBC, "PyType_FromMetaclass": None})
    given = {"ops/_C.so": None, "ops/_C.abi3.so": data}
    return (
        wheel(given, tag=ABI3, fields=("Requires-Python: >=3.11",)),
        wheel(given, tag=ABI3, fields=("Requires-Python: >=3.12",)),
    )


@case("requires-python-tag")
def a_tag_that_requires_python_does_not_admit() -> Pair:
    return wheel(fields=("Requires-Python: >=3.12",)), wheel(fields=("Requires-Python: >=3.11",))


@case("requires-python-tag", sneaky=True)
def a_bound_below_the_tag() -> Pair:
    return wheel(fields=("Requires-Python: >=3.9,<3.11",)), wheel(fields=("Requires-Python: >=3.9,<3.12",))


@case("python-classifier", severity=NOTE)
def a_classifier_of_an_old_python() -> Pair:
    old = "Classifier: Programming Language :: Python :: 3.8"
    return wheel(fields=("Requires-Python: >=3.9", old)), wheel(fields=("Requires-Python: >=3.8", old))


@case("python-classifier", sneaky=True, severity=NOTE)
def a_classifier_of_a_python_that_is_excluded() -> Pair:
    one = "Classifier: Programming Language :: Python :: 3.10"
    return (
        wheel(fields=("Requires-Python: >=3.9,!=3.10.*", one)),
        wheel(fields=("Requires-Python: >=3.9,!=3.10.1", one)),
    )


@case("libpython-needed")
def a_module_that_needs_libpython() -> Pair:
    return module("_C.so", needed=("libc.so.6", "libpython3.11.so.1.0")), module("_C.so")


@case("libpython-needed", sneaky=True)
def a_library_beside_the_module_that_needs_libpython() -> Pair:
    bad = library(exports=(), needed=("libc.so.6", "libpython3.so"), soname="libhelp.so")
    good = library(exports=(), soname="libhelp.so")
    return wheel({"ops/libhelp.so": bad}), wheel({"ops/libhelp.so": good})


@case("python-symbol")
def a_library_that_asks_for_one_python_in_a_wheel_for_all() -> Pair:
    tag = f"py3-none-{PLATFORM}"
    return (
        module("_C.so", "PyErr_Clear", entry="", tag=tag),
        module("_C.cpython-311-x86_64-linux-gnu.so", "PyErr_Clear", tag=tag),
    )


@case("python-symbol", sneaky=True)
def a_library_of_one_python_beside_modules_for_each() -> Pair:
    tag = f"py3-none-{PLATFORM}"
    imports = {**LIBC, "PyErr_Clear": None}
    files = {f"ops/_C.cpython-3{minor}-x86_64-linux-gnu.so": library(imports=imports) for minor in (10, 11)}
    helper = library(imports=imports, exports=())
    broken = {"ops/_C.so": None, **files, "ops/libhelper.so": helper}
    return wheel(broken, tag=tag), wheel({"ops/_C.so": None, **files}, tag=tag)


@case("module-entry-point")
def a_module_without_a_suffix_in_a_wheel_for_every_python() -> Pair:
    tag = f"py3-none-{PLATFORM}"
    return module("_C.so", tag=tag), module("_C.cpython-311-x86_64-linux-gnu.so", tag=tag)


@case("extension-content")
def an_empty_module() -> Pair:
    return wheel({"ops/_D.abi3.so": b""}, tag=ABI3), wheel(
        {"ops/_D.abi3.so": library(exports=("PyInit__D",))}, tag=ABI3
    )


@case("extension-content", sneaky=True)
def a_pointer_in_place_of_a_library() -> Pair:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    return wheel({"ops/libk.so.1": pointer}), wheel({"ops/libk.so.1": library(exports=(), soname="libk.so.1")})


@case("extension-content", sneaky=True)
def a_module_that_is_a_text() -> Pair:
    name = "ops/_D.cpython-311-x86_64-linux-gnu.so"
    # A script of the linker is a text too, under a name that nothing imports.
    script = {"ops/libk.so": b"INPUT(libk.so.1)\n"}
    return wheel({name: b"not a library\n", **script}), wheel({name: library(exports=("PyInit__D",)), **script})


@case("python-api")
def a_symbol_that_is_gone_from_the_python_of_the_tag() -> Pair:
    # Its last Python is 3.11; headers of 3.12 do not declare it.
    def made(python: str) -> WheelFile:
        return module(f"_C.cpython-{python}-x86_64-linux-gnu.so", "PyCode_New", tag=f"cp{python}-cp{python}-{PLATFORM}")

    return made("312"), made("311")


@case("python-api", sneaky=True)
def a_symbol_of_a_later_python_in_a_file_without_a_suffix() -> Pair:
    newer = "PyDict_GetItemRef"
    return module("_C.so", newer, tag=f"cp312-cp312-{PLATFORM}"), module("_C.so", newer, tag=f"cp313-cp313-{PLATFORM}")


@case("python-api", sneaky=True)
def a_module_of_one_python_among_those_of_several() -> Pair:
    def made(asked: str) -> WheelFile:
        files = {
            f"ops/_C.cpython-3{minor}-x86_64-linux-gnu.so": library(imports={**LIBC, symbol: None})
            for minor, symbol in ((12, "PyErr_GetRaisedException"), (11, asked))
        }
        return wheel({"ops/_C.so": None, **files}, tag=f"py3-none-{PLATFORM}")

    return made("PyErr_GetRaisedException"), made("PyErr_Fetch")


@case("python-api", sneaky=True)
def a_name_that_no_python_has() -> Pair:
    return module("_C.so", "PyErr_Clearly"), module("_C.so", "PyErr_Clear")


@case("python-api", sneaky=True)
def a_library_beside_the_module_that_asks_for_another_python() -> Pair:
    def made(symbol: str) -> WheelFile:
        helper = library(imports={**LIBC, symbol: None}, exports=("help_",), soname="libhelp.so")
        return wheel({"ops/libhelp.so": helper})

    return made("PyUnicode_EncodeUTF16"), made("PyUnicode_AsUTF16String")


@case("python-api", sneaky=True, severity=WARNING)
def a_private_symbol_of_a_later_python() -> Pair:
    return module("_C.so", "_PyTime_FromTime"), module("_C.so", "_PyTime_FromTimespec")


@case("requires-python-tag", sneaky=True)
def a_bound_that_no_python_3_meets() -> Pair:
    return (
        wheel(tag=f"py3-none-{PLATFORM}", fields=("Requires-Python: >=4",), files={"ops/_C.so": library(exports=())}),
        wheel(tag=f"py3-none-{PLATFORM}", fields=("Requires-Python: >=3.4",), files={"ops/_C.so": library(exports=())}),
    )


@case("requires-python-tag", sneaky=True)
def bounds_that_exclude_each_other() -> Pair:
    return (
        wheel(fields=("Requires-Python: >=3.12,<3.9",), tag="py3-none-any", files={"ops/_C.so": None}, pure=True),
        wheel(fields=("Requires-Python: >=3.9,<3.12",), tag="py3-none-any", files={"ops/_C.so": None}, pure=True),
    )


@case("requires-python-tag", sneaky=True)
def a_python_2_for_a_wheel_of_python_3() -> Pair:
    return (
        wheel(fields=("Requires-Python: ==2.7.*",), tag="py3-none-any", files={"ops/_C.so": None}, pure=True),
        wheel(fields=("Requires-Python: >=2.7",), tag="py3-none-any", files={"ops/_C.so": None}, pure=True),
    )


@case("requires-python-tag", sneaky=True, severity=WARNING)
def pythons_alone_that_nobody_knows() -> Pair:
    return (
        wheel(fields=("Requires-Python: >=3.30",), tag="py3-none-any", files={"ops/_C.so": None}, pure=True),
        wheel(fields=("Requires-Python: >=3.13",), tag="py3-none-any", files={"ops/_C.so": None}, pure=True),
    )
