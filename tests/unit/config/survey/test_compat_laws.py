"""`abi = "compat"` in pyproject.toml: what stands beside it, what a source may not use, and which cell it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.config import load_config
from gpuwheel.errors import ConfigError
from gpuwheel.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.model.cells import Decision

TABLES = load_tables()
PROJECT = """
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]
{settings}

[tool.gpuwheel.extensions."ops._C"]
mode = "{mode}"
abi = "compat"
{extension}
{more}
"""
CLASSIC = '#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("f", &f); }\n'
SOURCES = 'sources = ["csrc/ops.cpp"]\n'


@pytest.fixture
def decide(tmp_path: Path) -> Callable[..., Decision]:
    def decide(
        extension: str = "",
        *,
        settings: str = "",
        more: str = "",
        ops: str = CLASSIC,
        mode: str = "nvcc",
        also: str = "",
    ) -> Decision:
        text = PROJECT.format(settings=settings, extension=SOURCES + extension, more=more, mode=mode)
        for name, content in {"pyproject.toml": text, "csrc/ops.cpp": ops, **({also: ""} if also else {})}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content, encoding="utf-8")
        (tmp_path / "CMakeLists.txt").touch()
        return plan(load_config(tmp_path, environ={}), TABLES)[0]

    return decide


def test_a_classic_extension_makes_one_wheel_for_every_torch_and_python(decide: Callable[..., Decision]) -> None:
    decision = decide()
    assert decision.accepted, decision.reason
    assert decision.cell.identifier == "nvcc-cu13.0-torch2.10-linux_x86_64"
    assert decision.cell.python_tag == "py3-none"
    assert decision.reason == "one wheel serves every Python, torch >=2.10 and drivers >=580"
    assert decision.coverage == ()  # no source has device code


OTHER = '\n[tool.gpuwheel.extensions."ops.{name}"]\nmode = "nvcc"\nabi = "{abi}"\nsources = ["csrc/ops.cpp"]\n'


@pytest.mark.parametrize(
    ("written", "says", "hint"),
    [
        (
            {"extension": 'python = "version"'},
            'extensions."ops._C".python in pyproject.toml stands beside',
            "remove it",
        ),
        ({"extension": 'python = "abi3"'}, "whose module serves every Python (found 'abi3'", "remove it"),
        ({"more": OTHER.format(name="_E", abi="exact"), "settings": 'torch = "==2.13.*"'}, "one torch, and", "exact"),
        ({"more": OTHER.format(name="lib_C", abi="stable")}, "both would be the file ops/lib_C.so", "rename"),
        ({"more": OTHER.format(name="_c", abi="compat")}, "differ only in case", "rename"),
        ({"also": "ops/_C.py"}, "ops/_C.py has the name of the module that", "rename"),
        ({"settings": 'cmake = "CMakeLists.txt"'}, "cmake in pyproject.toml compiles 'ops._C'", "without cmake"),
        ({"settings": 'torch = "==2.13.*"'}, "is one minor and no extension needs that", 'torch = ">=2.13"'),
        ({"mode": "embed"}, "is not for mode 'embed'", 'mode = "nvcc"'),
    ],
)
def test_what_cannot_stand_beside_it_is_one_error(
    decide: Callable[..., Decision], written: dict[str, str], says: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        decide(**written)
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")


def test_one_tree_ships_both_ways(tmp_path: Path, decide: Callable[..., Decision]) -> None:
    assert decide().accepted
    settings = {
        'gpuwheel.extensions."ops._C".abi': "exact",
        'gpuwheel.extensions."ops._C".python': "version",
        "gpuwheel.torch": "==2.13.*",
        "gpuwheel.pythons": "3.11",
    }
    (exact,) = plan(load_config(tmp_path, environ={}, config_settings=settings), TABLES)
    assert exact.accepted, exact.reason
    assert (exact.cell.identifier, exact.cell.python_tag) == (
        "nvcc-cu13.0-torch2.13-cp311-linux_x86_64",
        "cp311-cp311",
    )


def test_an_older_torch_is_refused_with_the_floor(decide: Callable[..., Decision]) -> None:
    decision = decide(settings='torch = ">=2.9"')
    assert not decision.accepted
    assert "expected 2.10 or newer" in decision.reason
    assert decision.hint == 'torch = ">=2.10"'


@pytest.mark.parametrize(
    ("code", "uses", "hint"),
    [
        (
            "auto& d = c10::Dispatcher::singleton();",
            "csrc/ops.cpp:3 uses c10::Dispatcher, which",
            "torch_call_dispatcher",
        ),
        (
            "py::class_<T> a;\npy::class_<U> b;",
            "csrc/ops.cpp:3 and 1 more line uses py::class_",
            'set abi = "exact" in',
        ),
        ("#include <torch/custom_class.h>", "uses torch/custom_class.h, which", 'set abi = "exact" in'),
    ],
)
def test_what_no_header_covers_is_refused_with_its_name_line_and_way(
    decide: Callable[..., Decision], code: str, uses: str, hint: str
) -> None:
    decision = decide(ops=f"{CLASSIC}{code}\n")
    assert not decision.accepted
    assert uses in decision.reason
    assert 'abi = "compat" does not cover' in decision.reason
    assert hint in (decision.hint or "")


@pytest.mark.parametrize(
    "code",
    [
        "#if CUDA_VERSION < 12000\nc10::Dispatcher d;\n#endif",
        "#define ALL() c10::Dispatcher::singleton()",
        "at::who();",
    ],
)
def test_what_only_the_compiler_knows_is_left_to_it(decide: Callable[..., Decision], code: str) -> None:
    decision = decide(ops=f"{CLASSIC}{code}\n")
    assert decision.accepted
    assert [note for note in decision.notes if note.endswith("; the compiler decides")]


def test_libraries_of_cuda_tie_to_their_major_and_not_to_a_torch(decide: Callable[..., Decision]) -> None:
    assert decide('libraries = ["cublas"]').accepted
