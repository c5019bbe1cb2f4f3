"""What is said of sources of torch's C++ ABI, from files on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel.config.survey import survey_sources
from gpuwheel.model.libraries import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpuwheel.model.libraries import Survey

COMPILED = Path(__file__).parents[3] / "build" / "compat"
"""Sources that tests of builds compile."""
CLASSIC = """\
#include <torch/extension.h>

at::Tensor twice(at::Tensor x) {
  TORCH_CHECK(x.is_cpu(), "on the CPU");
  return at::mul(x, 2);
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("twice", &twice); }
"""


@pytest.fixture
def survey(tmp_path: Path) -> Callable[..., Survey]:
    def survey(source: str, headers: dict[str, str] | None = None, defines: Sequence[str] = ()) -> Survey:
        path = tmp_path / "csrc" / "ops.cpp"
        (tmp_path / "include").mkdir()
        path.parent.mkdir()
        path.write_text(source, encoding="utf-8")
        for name, text in (headers or {}).items():
            (tmp_path / "include" / name).write_text(text, encoding="utf-8")
        return survey_sources("ops._C", tmp_path, [path], [tmp_path / "include"], defines)

    return survey


def test_a_classic_source_collapses_as_it_is(survey: Callable[..., Survey]) -> None:
    found = survey(CLASSIC)
    assert found.lines == ()
    assert found.verdict is Verdict.WHOLE


def test_a_line_is_told_with_its_place_its_api_why_and_the_edit(survey: Callable[..., Survey]) -> None:
    found = survey(CLASSIC + "\nauto& all() { return c10::Dispatcher::singleton(); }\n")
    assert found.verdict is Verdict.LINES
    (line,) = found.lines
    assert (line.place, line.uses) == ("csrc/ops.cpp:9", "c10::Dispatcher")
    assert line.why
    assert "torch_call_dispatcher" in (line.edit or "")


@pytest.mark.parametrize(
    "code",
    [
        "void f(c10d::ProcessGroup& group);",
        "torch::class_<Counter> made;",
        'PYBIND11_MODULE(_C, m) { py::class_<Counter>(m, "Counter"); }',
        "struct Net : torch::nn::Module {};",
        "at::no_such_function(x);",
        "TORCH_NO_SUCH_MACRO(x);",
    ],
)
def test_what_no_edit_replaces_keeps_the_exact_abi(survey: Callable[..., Survey], code: str) -> None:
    assert survey(f"#include <torch/extension.h>\n{code}\n").verdict is Verdict.CANNOT


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        ("ATen/native/TensorIterator.h", Verdict.LINES),
        ("torch/csrc/distributed/c10d/ProcessGroup.hpp", Verdict.CANNOT),
        ("torch/csrc/no/such.h", Verdict.LINES),
        ("torch/csrc/stable/tensor.h", Verdict.WHOLE),
        ("vector", Verdict.WHOLE),
        ("cublas_v2.h", Verdict.WHOLE),
    ],
)
def test_a_header_tells_what_is_used(survey: Callable[..., Survey], header: str, verdict: Verdict) -> None:
    found = survey(f"#include <{header}>\n")
    assert found.verdict is verdict
    assert all(line.uses == header and line.place == "csrc/ops.cpp:1" for line in found.lines)


@pytest.mark.parametrize(
    "code",
    [
        "// c10::Dispatcher",
        "/* c10::Dispatcher\n at::native::add */",
        'const char* text = "c10::Dispatcher";',
        'const char* text = R"x(c10::Dispatcher)" at::native::add)x";',
        "#if 0\nc10::Dispatcher d;\n#endif",
        "#ifdef USE_ROCM\nc10::Dispatcher d;\n#endif",
        "#ifndef USE_ROCM\n#else\nc10::Dispatcher d;\n#endif",
        "#if defined(__HIP_PLATFORM_AMD__) || defined(USE_ROCM)\n#include <ATen/native/hip/x.h>\n#endif",
        "#if TORCH_VERSION_MAJOR == 1 && TORCH_VERSION_MINOR < 10\nc10::Dispatcher d;\n#endif",
        "#if TORCH_VERSION_MAJOR > 1 || (1 == 1 && TORCH_VERSION_MINOR > 8)\n#else\nc10::Dispatcher d;\n#endif",
        "#ifdef OLD_GENERATOR_PATH\n#include <ATen/CUDAGeneratorImpl.h>\n#endif",
        "#ifdef WITH_PYTHON\n#include <structmember.h>\n#endif",
    ],
)
def test_what_is_not_compiled_does_not_count(survey: Callable[..., Survey], code: str) -> None:
    assert survey(code + "\n").lines == ()


def test_macros_of_the_build_decide_about_conditions(survey: Callable[..., Survey]) -> None:
    found = survey("#ifdef WITH_PYTHON\n#include <structmember.h>\n#endif\n", defines=["WITH_PYTHON"])
    assert [(line.place, line.conditional) for line in found.lines] == [("csrc/ops.cpp:2", False)]


@pytest.mark.parametrize("condition", ["#ifdef CUDA_VERSION", "#if __CUDA_ARCH__ >= 800", "#if CHOSEN", "#if F(1)"])
def test_a_condition_that_only_the_compiler_knows_is_said(survey: Callable[..., Survey], condition: str) -> None:
    found = survey(f"#define CHOSEN ONE\n{condition}\nc10::Dispatcher d;\n#endif\n")
    assert [line.conditional for line in found.lines] == [True]
    assert found.certain == ()
    assert "below a condition" in found.lines[0].text


def test_headers_of_the_project_are_read_once_and_name_the_way(survey: Callable[..., Survey]) -> None:
    guarded = "#ifndef DEEP_H\n#define DEEP_H\nstatic at::TensorIterator shared;\n#endif\n"
    found = survey(
        '#include "near.h"\n#include "deep.h"\n', {"near.h": '#pragma once\n#include "deep.h"\n', "deep.h": guarded}
    )
    assert [(line.place, line.conditional) for line in found.lines] == [
        ("include/deep.h:3 (from csrc/ops.cpp:2)", False)
    ]


def test_what_a_source_adds_to_torchs_namespaces_is_its_own(survey: Callable[..., Survey]) -> None:
    assert survey("namespace at { void mine_alone(); }\nvoid f() { at::mine_alone(); }\n").lines == ()


def test_a_file_that_is_missing_or_no_text_does_not_stop_the_survey(survey: Callable[..., Survey]) -> None:
    assert survey('#include "gone.h"\n\x00\x01"unclosed\n/* open').lines == ()


def test_a_condition_of_many_brackets_is_unknown(survey: Callable[..., Survey]) -> None:
    found = survey(f"#if {'(' * 150}1{')' * 20}\nc10::Dispatcher d;\n#endif\n")
    assert [line.conditional for line in found.lines] == [True]


@pytest.mark.parametrize("code", ["x.grad_fn()", "x->register_hook(f)", "x.unsafeGetTensorImpl()"])
def test_members_that_our_headers_refuse_are_told(survey: Callable[..., Survey], code: str) -> None:
    found = survey(f"#include <torch/extension.h>\nvoid f(at::Tensor x) {{ {code}; }}\n")
    assert found.verdict is Verdict.LINES
    assert found.lines[0].place == "csrc/ops.cpp:2"
    assert found.certain == ()  # it may be a member of the project's own


def test_what_the_standard_library_has_too_is_left_to_the_compiler(survey: Callable[..., Survey]) -> None:
    assert survey("long f(std::shared_ptr<int> x) { return x.use_count(); }\n").lines == ()


@pytest.mark.parametrize(
    "text", ['R"(', "/*", '"', "'", "at::x ", "x. ", "#if (\n", 'R"a(', "#include <a", "\\\n", "a::"]
)
def test_a_file_full_of_beginnings_is_read_in_time(survey: Callable[..., Survey], text: str) -> None:
    start = time.process_time()
    found = survey(text * (400_000 // len(text)))
    assert time.process_time() - start < 10
    assert len(found.lines) <= 1000


@pytest.mark.parametrize(
    "code",
    [
        "module.register_hook(f); node->grad_fn(); q.quantizer(1);",
        "void gpu_kernel(int); void f() { gpu_kernel(1); }",
        "struct ProcessGroup {}; struct TensorIterator {}; struct TensorImpl {}; struct BoxedKernel {};",
        "template <class T> struct intrusive_ptr {}; intrusive_ptr<int> held;",
        "void* p = c10::cuda::CUDACachingAllocator::raw_alloc(8); c10::cuda::CUDACachingAllocator::raw_delete(p);",
        "auto h = at::cuda::getCurrentCUDABlasLtHandle();",
        "static auto r = torch::jit::RegisterOperators();",
        "__device__ void f() { at::native::fastAtomicAdd(p, 0, 1, x, true); }",
    ],
)
def test_names_of_the_projects_own_and_what_headers_have_are_not_refused(
    survey: Callable[..., Survey], code: str
) -> None:
    assert survey(f"#include <torch/extension.h>\n{code}\n").certain == ()


@pytest.mark.parametrize("source", sorted(COMPILED.glob("*.c*")), ids=lambda path: path.name)
def test_what_is_compiled_with_our_headers_is_not_refused(source: Path) -> None:
    assert survey_sources("compiled", COMPILED, [source], []).certain == ()
