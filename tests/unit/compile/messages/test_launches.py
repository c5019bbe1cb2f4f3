"""Launches that do not fit their kernel, as GCC 12 and clang 14 say it: one ending for all element types."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuwheel.compile.messages import Place, build_failure

DATA = Path(__file__).parents[1] / "data" / "messages"

KERNEL = """#include <gpuwheel/device.h>
namespace tiny {
template <typename T>
__global__ void scale(T* out, const T* x, int64_t n, float factor) {}
template <typename T>
__global__ void add(T* out, const T* x, int64_t n, float factor) {}
}
"""
GCC_LAUNCH = (
    "\n" * 22
    + """  gpuwheel::dispatch<gpuwheel::Floats>("scale", x, [&](auto zero) {
    using T = decltype(zero);
    tiny::scale<T>.launch(config, out, x, n);
  });
"""
)
CLANG_LAUNCH = "\n\n\n  small::add<T>\n      .launch(c, ARGS);\n"


GCC, CLANG = "csrc/ops.cpp:25: kernel tiny::scale<T>", "csrc/ops.cpp:5: kernel small::add<T>"


@pytest.mark.parametrize(
    ("file", "message", "hint"),
    [
        ("gcc-count", f"{GCC} takes 4 arguments (found 3: float*, const float*, const long&)", "one argument for each"),
        ("gcc-type", f"{GCC}: argument 2 has another type (found const int*, expected const float*)", "a const float*"),
        ("gcc-const", f"{GCC}: argument 1 points to const (found const float*, expected float*)", "mutable_data_ptr"),
        (
            "gcc-swapped",
            (
                f"{GCC}: argument 3 would be narrowed (found float, expected long); "
                "argument 4 would be narrowed (found long, expected float)"
            ),
            "static_cast<long>",
        ),
        ("clang-count", f"{CLANG} takes 4 arguments (found 3: float*&, const float*&, long&)", "one argument for each"),
        ("clang-narrow", f"{CLANG}: argument 4 would be narrowed (found double, expected float)", "static_cast<float>"),
        ("clang-const", f"{CLANG}: argument 1 points to const (found const float*, expected float*)", "mutable_data"),
    ],
)  # fmt: skip
def test_the_argument_is_named_with_the_parameters_of_the_kernel(
    tmp_path: Path, file: str, message: str, hint: str
) -> None:
    clang = file.startswith("clang")
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "ops.cpp").write_text(CLANG_LAUNCH if clang else GCC_LAUNCH)
    (tmp_path / "csrc" / "scale.cu").write_text(KERNEL)
    output = (DATA / f"{file}.txt").read_text(encoding="utf-8").replace("{root}", str(tmp_path))
    error = build_failure(output, Place(tmp_path, "embed", tmp_path / "build"), "build failed")
    first, second = error.message.splitlines()
    assert first == message
    assert second == f"  {'add' if clang else 'scale'}(T* out, const T* x, int64_t n, float factor)"
    assert hint in str(error.hint)


def test_an_instantiation_that_is_not_in_the_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "ops.cpp").write_text(GCC_LAUNCH)
    output = (DATA / "gcc-notinst.txt").read_text(encoding="utf-8").replace("{root}", str(tmp_path))
    error = build_failure(output, Place(tmp_path, "embed", tmp_path / "build"), "build failed")
    assert error.message == "csrc/ops.cpp:25: kernel tiny::scale<T> is not in the image for gpuwheel::half"
    assert "GPUWHEEL_INSTANTIATE(scale<gpuwheel::half>);" in str(error.hint)
