"""cuTile kernels, compiled ahead of time: the wheel, its operator, its launches, and what is said of mistakes."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from cutile_project import FILES, MIXED_FILES, TILES, written

from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.binary.fatbin import read_fatbin
from gpuwheel.compatibility import load_tables
from gpuwheel.compile.tiles.tile_group import compile_tile_group
from gpuwheel.errors import CompileError
from gpuwheel.model.archs import Arch
from gpuwheel.model.kernels import KernelGroup
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.pipeline import Build
from gpuwheel.toolchain import Context, find_tile_compiler

if TYPE_CHECKING:
    from conftest import MakeProject, Project

    from gpuwheel.model.kernels import CompiledGroup
    from gpuwheel.model.toolchain import TileCompiler

pytestmark = [pytest.mark.network, pytest.mark.slow]

TOOLKIT = load_tables().cuda[MinorVersion(13, 4)]

ON_THE_CPU = """
import sys
import torch, tile_ops
x, weight, bias = torch.randn(3, 5), torch.randn(5, 7), torch.randn(7)
exact = torch.nn.functional.gelu(x.double() @ weight.double() + bias.double(), approximate="tanh")
torch.testing.assert_close(tile_ops.linear_gelu(x, weight, bias).double(), exact, rtol=1e-5, atol=1e-5)
torch.library.opcheck(tile_ops.linear_gelu, (x, weight, bias), test_utils=("test_schema", "test_faketensor"))
assert not {"cuda.core", "cuda.tile", "tile_ops.tiles"} & set(sys.modules), "the CPU needs nothing of NVIDIA's"
print("ok")
"""


@pytest.fixture(scope="session")
def compiler() -> TileCompiler:
    context = Context(Cache.from_environment(os.environ), os.environ, SilentReporter())
    return find_tile_compiler(TOOLKIT, context=context)


# --- The wheel --------------------------------------------------------------------------------------------------------


def test_a_wheel_of_cutile_kernels(tile_wheel: Path, tile_project: Project) -> None:
    assert tile_wheel.name == "tile_ops-1.0-py3-none-any.whl"
    with zipfile.ZipFile(tile_wheel) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    generated = ("__init__.py", "_runtime.py", "_tiles.py", "tiles.fatbin")
    package = ("__init__.py", "_kernels.json", "shapes.py", "tiles.py", *(f"_kernels/{name}" for name in generated))
    assert {name for name in inside if ".dist-info/" not in name} == {f"tile_ops/{name}" for name in package}

    manifest = json.loads(inside["tile_ops/_kernels.json"])
    jsonschema.validate(manifest, json.loads(resource("data", "kernels.schema.json").read_text(encoding="utf-8")))
    assert (manifest["toolkit"], manifest["driver_floor"]) == ("13.4", "580")
    group = manifest["groups"]["tiles"]
    assert (group["archs"], group["ptx"]) == (["sm_90a"], [])
    assert set(group["kernels"]) == {"linear_gelu_half", "linear_gelu_bfloat16", "every_number"}

    assert audit_wheel(tile_wheel, load_tables()) == ()
    images = read_fatbin(inside["tile_ops/_kernels/tiles.fatbin"], "tiles.fatbin")
    assert [(image.kind, image.arch.sm, image.codec) for image in images] == [("cubin", "sm_90a", "zstd")] * 3
    text = b"".join(inside.values())
    assert os.fsencode(tile_project.root) not in text
    assert b"/proc/self" not in text

    sbom = json.loads(inside["tile_ops-1.0.dist-info/sboms/gpuwheel.cdx.json"])
    assert {part["name"] for part in sbom["components"]} == {pin.name for pin in TOOLKIT.cutile}
    metadata = BytesParser().parsebytes(inside["tile_ops-1.0.dist-info/METADATA"])
    assert [str(text).partition(";")[0] for text in metadata.get_all("Requires-Dist", [])] == [
        "torch>=2.10",
        "cuda-core<2,>=1.0",
    ]


def test_the_launchers_are_typed_and_documented(tile_wheel: Path) -> None:
    with zipfile.ZipFile(tile_wheel) as archive:
        module = ast.parse(archive.read("tile_ops/_kernels/__init__.py"))
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    arguments = functions["every_number"].args
    found = {argument.arg: ast.unparse(argument.annotation) for argument in arguments.args if argument.annotation}
    numbers = {"a": "int", "b": "float", "c": "int", "d": "float", "e": "float", "f": "int", "on": "bool"}
    assert found == {"out": "Tensor", **numbers}
    assert [argument.arg for argument in arguments.kwonlyargs] == ["grid"]
    text = ast.get_docstring(functions["linear_gelu_half"]) or ""
    assert text.startswith(
        "Launch `linear_gelu` of tile_ops/tiles.py, compiled for tm = 128, tn = 64, tk = 32.\n\nout ="
    )
    assert "x: `float16`, 2 dimensions, strides (multiple of 8, 1), address a multiple of 16." in text


def test_nothing_is_asked_of_the_build_environment(tile_project: Project) -> None:
    """A lock holds the build to the files that only the cache has."""
    assert ast.literal_eval(tile_project.hook("get_requires_for_build_wheel")) == []
    inputs = Build(tile_project.root, os.environ, {}, SilentReporter()).inputs
    assert (inputs.pins, inputs.headers, inputs.host) == ((), (), None)
    assert inputs.digests == {file.filename: file.sha256 for pin in TOOLKIT.cutile for file in pin.files}


def test_the_same_bytes_from_another_folder(tile_wheel: Path, tmp_path: Path, make_project: MakeProject) -> None:
    """And with an empty cache of images: only the toolchain is shared."""
    cache = Cache.from_environment(os.environ).root
    (tmp_path / "cache" / "v1").mkdir(parents=True)
    (tmp_path / "cache" / "v1" / "toolchains").symlink_to(cache / "v1" / "toolchains")
    project = make_project(tmp_path / "elsewhere", FILES)
    out = tmp_path / "out"
    again = out / project.hook("build_wheel", out, GPUWHEEL_CACHE_DIR=str(tmp_path / "cache"))
    assert again.read_bytes() == tile_wheel.read_bytes()
    assert not list(project.root.rglob("__pycache__")), "nothing appears beside the sources"


def test_cuda_and_cutile_in_one_wheel(tmp_path: Path, make_project: MakeProject) -> None:
    """Each group is compiled by the toolkits that can; the manifest says which one that was."""
    project, out = make_project(tmp_path / "project", MIXED_FILES), tmp_path / "out"
    wheel = out / project.hook("build_wheel", out)
    with zipfile.ZipFile(wheel) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
        manifest = json.loads(archive.read("tile_ops/_kernels.json"))
        module = archive.read("tile_ops/_kernels/__init__.py").decode()
    assert {"fill.fatbin", "tiles.fatbin"} <= names
    assert manifest["toolkit"] == "12.9"
    assert {name: group.get("toolkit") for name, group in manifest["groups"].items()} == {"fill": None, "tiles": "13.4"}
    assert re.search(r'"fill\.fatbin", 0, \d+, driver=\(12, 0\)', module)
    assert re.search(r'"tiles\.fatbin", 0, \d+, driver=\(13, 0\)', module)
    assert audit_wheel(wheel, load_tables()) == ()


# --- Running it -------------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_the_operator_on_the_cpu(tile_wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tile_wheel) as archive:
        archive.extractall(tmp_path)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ON_THE_CPU}"
    done = subprocess.run(  # noqa: TID251 (a user's program)
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


# --- Compiling --------------------------------------------------------------------------------------------------------


def compiled(
    root: Path, compiler: TileCompiler, text: str, cache: Cache | None = None, **changes: object
) -> CompiledGroup:
    """One source, for compute capability 9.0, without line info."""
    shadow = {"kernels/logging.py": "raise RuntimeError('this is not the one of the standard library')\n"}
    written(root, {"kernels/tiles.py": text, "kernels/shapes.py": FILES["tile_ops/shapes.py"], **shadow})
    group = KernelGroup(
        name="tiles",
        sources=(root / "kernels" / "tiles.py",),
        include_dirs=(),
        defines=(),
        flags=(),
        std="c++17",
        cubin_archs=(Arch.parse("9.0a"),),
        ptx_archs=(),
        lineinfo=False,
        compression=("-compress-all", "-compress-mode=size"),
        root=root,
    )
    return compile_tile_group(
        replace(group, **changes),  # type: ignore[arg-type]  # fields of the group
        compiler,
        cache=cache or Cache(root / "cache"),
        out=root / "out",
        reporter=SilentReporter(),
        jobs=2,
    )


TINY = MIXED_FILES["tile_ops/tiles.py"]


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("import cuda.tile as ct\n", "import cuda.tile as ct\nimport torch\n", ":4 cannot be imported", "include-dirs"),
        ("numbers = [", "numbers = 1 / 0, [", r":53 cannot be imported \(ZeroDivisionError: division by zero\)", None),
        ("exports = {", "exports = {{", r":57 cannot be imported \(SyntaxError: '{' was never closed\)", None),
        ("exports = {", "kernels = {", r"tiles\.py exports no kernel \(found no such name", "exports = {kernel:"),
        ("    linear_gelu: [", "    rows: [", r"tiles\.py exports what is no kernel \(found <fun", "exports = "),
        ("shape=(tm, tk)", "shape=(3, tk)", r":14 does not compile for sm_90 \(Invalid argument", None),
        ("*TILE]", "*TILE, 3]", r":9 has a signature for 8 parameters \(expected 7: x, weight", None),
        ('"linear_gelu_bfloat16"', '"linear_gelu_half"', r":9 exports a kernel as 'linear_gelu_half', as", "symbol of"),
        ('"linear_gelu_half"', '"linear gelu"', r":9 exports a kernel under a name that Python cannot use", None),
        ("[vector, *(", "[(vector, vector), *(", r":25 takes what a launcher cannot pass \(out is a TupleCon", None),
        ("[ct.int32", "[ct.float8_e5m2", ":25 takes a number of dtype float8_e5m2, which a launcher", "a as float32"),
        ("*TILE]", "*TILE[:2], vector]", r":9 does not compile for sm_90 \(Invalid kernel parameter 'tk'", None),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, compiler: TileCompiler, old: str, new: str, message: str, hint: str | None) -> None:
    """The user's file and line come first."""
    assert old in TILES
    with pytest.raises(CompileError, match=rf"^kernels/tiles\.py{message}" if message[0] == ":" else message) as caught:
        compiled(tmp_path, compiler, TILES.replace(old, new, 1))
    assert (hint or "") in (caught.value.hint or "")
    assert "/proc/self" not in caught.value.render()


def test_the_example_of_the_guide(tmp_path: Path, compiler: TileCompiler) -> None:
    guide = Path(__file__).parents[3] / "docs" / "how-to" / "pure-python-kernels.md"
    (example,) = re.findall(r"```python\n(# fused_ops/tiles\.py\n.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    (image,) = compiled(tmp_path, compiler, example).images
    assert image.kernels[0].symbol == "linear_gelu_half"


def test_flags_and_line_info(tmp_path: Path, compiler: TileCompiler) -> None:
    plain = compiled(tmp_path, compiler, TINY)
    assert compiled(tmp_path, compiler, TINY).kernels == plain.kernels
    size = plain.images[0].size
    assert compiled(tmp_path, compiler, TINY, lineinfo=True).images[0].size > size
    with pytest.raises(CompileError, match=r"tiles\.py:6 does not compile for sm_90a \(.*--wrong") as caught:
        compiled(tmp_path, compiler, TINY, flags=("--wrong",))
    assert caught.value.hint == "correct flags of the kernel group"


def test_an_image_is_compiled_once(tmp_path: Path, compiler: TileCompiler) -> None:
    """Under what was compiled, not where it lies: a comment changes nothing, a number does."""
    cache = Cache(tmp_path / "cache")
    compiled(tmp_path / "one", compiler, TINY, cache)
    images = sorted(path.name for path in (tmp_path / "cache" / "v1" / "images").rglob("*") if path.is_file())
    assert len(images) == 1
    without_tileiras = replace(compiler, tileiras=tmp_path / "nothing")
    compiled(tmp_path / "two", without_tileiras, f"{TINY}# the end\n", cache)
    with pytest.raises(FileNotFoundError):
        compiled(tmp_path / "three", without_tileiras, TINY.replace("128", "64"), cache)


def test_the_table_knows_the_targets_of_tileiras(compiler: TileCompiler) -> None:
    known = set(re.findall(r"=(sm_\d+)", run([compiler.tileiras, "--help"]).stdout))
    assert {arch.sm.rstrip("a") for arch in TOOLKIT.cutile_archs} == known
