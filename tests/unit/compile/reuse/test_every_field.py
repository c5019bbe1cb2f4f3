"""Whatever a model holds that reaches a build changes the key of what is kept, or stands here with the reason why not.

A field that somebody adds to a model fails these tests until it is in a key, or in a list with its reason.
"""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._cache import Cache
from gpuwheel._environment import Does, load_variables, tool_environment
from gpuwheel.compile.cmake.embed_project import HostProject
from gpuwheel.compile.cmake.keys import Given, host_recipe, nvcc_recipe
from gpuwheel.compile.cmake.nvcc_project import NvccProject
from gpuwheel.compile.device import keys
from gpuwheel.compile.device.keys import plan_group
from gpuwheel.compile.reuse.linked import LibraryStore
from gpuwheel.errors import ConfigError
from gpuwheel.model.archs import Arch, ArchTarget
from gpuwheel.model.choices import PythonAbi, TorchAbi
from gpuwheel.model.kernels import BuiltGroup, KernelGroup
from gpuwheel.model.libraries import HostLibrary, NvccLibrary, NvccSource
from gpuwheel.model.toolchain import (
    CudaLibrary,
    CudaToolchain,
    DeviceCompiler,
    HostCompiler,
    LinkStubs,
    NvccToolchain,
    PythonHeaders,
    TorchSdk,
)
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gpuwheel._environment import Variable
    from gpuwheel.compile.reuse.linked import Recipe

# Model -> field -> why another value gives the same bytes, or another key by other means.
WHERE = "a folder is named in keys by what it is, wherever it lies; its content counts"
TOLD = "said to people, never to a compiler"
DIGEST = "its digest is in the key"
EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "HostLibrary": {},
    "HostProject": {
        "root": WHERE,
        "headers": f"{WHERE}: the digest of gpuwheel's own headers is in the key",
        "manifests": "no library holds one: each wheel gets its own beside the libraries",
        "objects": "the answer that keys lead to",
    },
    "NvccLibrary": {"declared": "of a CMake project of the user's own, of which nothing is kept"},
    "NvccSource": {},
    "NvccProject": {
        "root": WHERE,
        "headers": f"{WHERE}: the digest of gpuwheel's own headers is in the key",
        "manifests": "no library holds one: each wheel gets its own beside the libraries",
        "objects": "the answer that keys lead to",
        "package_dirs": f"{WHERE}; their headers are noted beside what is kept",
        "jobs": "how many compilers run at once reaches no object",
        "pool": "how many compilers run at once reaches no object",
    },
    "KernelGroup": {"root": WHERE},
    "HostCompiler": {
        "found_via": TOLD,
        "launcher": "ccache and its like give what the compiler behind them gives",
        "script": "it starts the command, which is in the key",
    },
    "TorchSdk": {
        "version": DIGEST,
        "include_dir": WHERE,
        "found_via": TOLD,
    },
    "CudaToolchain": {
        "root": f"{WHERE}: of programs in the key, of headers beside what is kept",
        "found_via": TOLD,
        "machine": "follows from the compiler's target, which is in the key",
    },
    "CudaLibrary": {
        "soname": "of the library that is linked, which is read when it is linked",
        "requirement": "goes into the metadata of the wheel, and into no library",
    },
    "NvccToolchain": {},
    "LinkStubs": {
        "platform": "goes into the name of the wheel; which symbols are there is in the name of the folder",
        "machine": "follows from the compiler's target, which is in the key",
        "glibc": "which symbols are there is in the name of the folder",
        "digest": "is in the name of the folder",
        "found_via": TOLD,
    },
    "PythonHeaders": {
        "include_dir": f"{WHERE}: of what tells Pythons apart in the key, of all that is read beside what is kept",
        "version": "follows from its headers, which are noted beside what is kept",
    },
    "DeviceCompiler": {
        "cuda": DIGEST,
        "pins": DIGEST,
        "python_path": DIGEST,
        "nvrtc": DIGEST,
        "nvfatbin": DIGEST,
        "include_dirs": DIGEST,
        "found_via": TOLD,
        "environ": "the worker sees of it what reaches no image",
    },
}
A80, A90 = Arch(8, 0, ""), Arch(9, 0, "")


class World:
    """Models that hold something in every field, and what else each field could hold."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file("project/other.cpp", "int other;\n")
        self._folder("project/include")
        self.sdk = TorchSdk(
            "2.15.0", self._folder("sdk/include"), self._file("sdk/libtorch.so"), "a" * 64, "cache", None
        )
        self.stubs = LinkStubs("manylinux_2_28", "x86_64", MinorVersion(2, 28), self._folder("stubs-1"), "b" * 64, "x")
        compiler = self._file("tools/compiler", "#!/bin/sh\n")
        compiler.chmod(0o755)
        for name in ("cmake", "ninja"):
            self._file(f"tools/{name}", "#!/bin/sh\n").chmod(0o755)
        self.host = HostCompiler(compiler, "compiler 1.0", "x86_64-linux-gnu", "PATH")
        group = BuiltGroup(
            name="k",
            fatbin=self._file("out/k.fatbin", "1"),
            header=self._file("out/k.kernels.h", "1"),
            assembly=self._file("out/k.S", "1"),
            kernels={},
            cubin_archs=(A80,),
            ptx_archs=(),
            images=(),
        )
        self.library = HostLibrary(
            "ops._C", (), ("A=1",), ("-O2",), (), "c++17", (self._file("project/ops.cpp", "int one;\n"),), ("k",)
        )
        self.embed = HostProject(
            root=root / "project",
            libraries=(self.library,),
            groups={"k": group},
            headers=self._folder("headers"),
            sdk=self.sdk,
            torch_floor=MinorVersion(2, 10),
            stubs=self.stubs,
            manifests={},
        )
        self.cuda_library = CudaLibrary(
            "cublas", "libcublas.so.13", self._file("cuda/lib64/libcublas.so"), self._folder("cublas"), "nvidia-cublas"
        )
        cuda = CudaToolchain(
            MinorVersion(13, 0), root / "cuda", (self.cuda_library,), ("nvcc==13.0",), "c" * 64, "x", "x86_64"
        )
        python = PythonHeaders(self._folder("python"), MinorVersion(3, 11), ".cpython-311.so")
        self.toolchain = NvccToolchain(cuda, self.host, self.sdk, python, self.stubs)
        self.source = NvccSource(self._file("project/a.cu", "\n"), cuda=True, targets=(ArchTarget(A80),), flags=())
        self.nvcc_library = NvccLibrary(
            import_path="ops._C",
            sources=(self.source,),
            include_dirs=(),
            defines=("A=1",),
            flags=("-O2",),
            nvcc_flags=(),
            link_flags=(),
            std="c++17",
            rdc=False,
            torch=TorchAbi.STABLE,
            python=PythonAbi.VERSION,
            libraries=("cublas",),
            include_packages=("package/include",),
            exports=(),
        )
        self.nvcc = NvccProject(
            root=root / "project",
            libraries=(self.nvcc_library,),
            toolchain=self.toolchain,
            package_dirs={"package/include": self._folder("package"), "other/include": self._folder("other")},
            headers=root / "headers",
            torch_floor=MinorVersion(2, 10),
            cxx_standard=0,
            limited_api=None,
            weak_symbols=("weak",),
            compression=("-compress-all",),
            manifests={},
            jobs=2,
            pool=1,
        )
        self.device = DeviceCompiler(
            MinorVersion(12, 9), ("nvrtc==12.9",), (), root / "nvrtc", root / "nvfatbin", (), "d" * 64, "cache"
        )
        self.group = KernelGroup(
            name="k",
            sources=(self._file("project/k.cu", "\n"),),
            include_dirs=(root / "project/include",),
            defines=("A=1",),
            flags=(),
            std="c++17",
            cubin_archs=(A80,),
            ptx_archs=(A80,),
            lineinfo=False,
            compression=(),
            root=root / "project",
        )

    def _file(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def _folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def given(self, environ: Mapping[str, str] | None = None, settings: Mapping[str, object] | None = None) -> Given:
        path = {"PATH": str(self.root / "tools")}  # a CMake of some megabytes would be read for each key
        return Given(
            Cache(self.root / "cache"), self.host, settings or {}, tool_environment({**path, **(environ or {})})
        )

    def key_of_embed(self, project: HostProject, settings: Mapping[str, object] | None = None) -> str:
        return host_recipe(project, self.given(settings=settings)).linked

    def key_of_nvcc(self, project: NvccProject) -> str:
        given = self.given()
        given.host = project.toolchain.host
        return nvcc_recipe(project, given).linked

    def key_of_library(self, library: HostLibrary) -> str:
        return self.key_of_embed(replace(self.embed, libraries=(library,)))

    def key_of_nvcc_library(self, library: NvccLibrary) -> str:
        return self.key_of_nvcc(replace(self.nvcc, libraries=(library,)))

    def key_of_source(self, source: NvccSource) -> str:
        return self.key_of_nvcc_library(replace(self.nvcc_library, sources=(source,)))

    def key_of_toolchain(self, toolchain: NvccToolchain) -> str:
        return self.key_of_nvcc(replace(self.nvcc, toolchain=toolchain))

    def key_of_host(self, host: HostCompiler) -> str:
        return self.key_of_toolchain(replace(self.toolchain, host=host))

    def key_of_sdk(self, sdk: TorchSdk) -> str:
        # torch's C++ ABI takes the library of its Python module too.
        library = replace(self.nvcc_library, torch=TorchAbi.EXACT)
        toolchain = replace(self.toolchain, torch=sdk)
        return self.key_of_nvcc(replace(self.nvcc, toolchain=toolchain, libraries=(library,)))

    def key_of_cuda(self, cuda: CudaToolchain) -> str:
        return self.key_of_toolchain(replace(self.toolchain, cuda=cuda))

    def key_of_cuda_library(self, library: CudaLibrary) -> str:
        return self.key_of_cuda(replace(self.toolchain.cuda, libraries=(library,)))

    def key_of_stubs(self, stubs: LinkStubs) -> str:
        return self.key_of_toolchain(replace(self.toolchain, stubs=stubs))

    def key_of_python(self, python: PythonHeaders) -> str:
        return self.key_of_toolchain(replace(self.toolchain, python=python))

    def key_of_group(self, group: KernelGroup) -> str:
        return plan_group(group, self.device).key

    def key_of_device(self, device: DeviceCompiler) -> str:
        return plan_group(self.group, device).key

    def models(self) -> dict[str, tuple[Any, Callable[[Any], str], dict[str, Any]]]:
        """Name -> (a value, what its key is, other values of its fields)."""
        root = self.root
        other = root / "project/other.cpp"
        narrow = replace(self.nvcc_library, import_path="ops._E", torch=TorchAbi.EXACT, python=PythonAbi.ABI3)
        other_group = replace(self.embed.groups["k"], fatbin=self._file("out/other.fatbin", "2"))
        return {
            "HostLibrary": (
                self.library,
                self.key_of_library,
                {
                    "import_path": "ops._D",
                    "sources": (other,),
                    "include_dirs": (root / "project/include",),
                    "defines": ("A=2",),
                    "flags": ("-O1",),
                    "link_flags": ("-Wl,-z,now",),
                    "std": "c++20",
                    "kernels": (),
                },
            ),
            "HostProject": (
                self.embed,
                self.key_of_embed,
                {
                    "libraries": (self.library, replace(self.library, import_path="ops._D")),
                    "groups": {"k": other_group},
                    "sdk": replace(self.sdk, digest="e" * 64),
                    "torch_floor": MinorVersion(2, 11),
                    "stubs": None,
                    "names_link_inputs": True,
                },
            ),
            "NvccLibrary": (
                self.nvcc_library,
                self.key_of_nvcc_library,
                {
                    "import_path": "ops._D",
                    "sources": (self.source, NvccSource(other, cuda=False, targets=(), flags=())),
                    "include_dirs": (root / "project/include",),
                    "defines": ("A=2",),
                    "flags": ("-O1",),
                    "nvcc_flags": ("-lineinfo",),
                    "link_flags": ("-Wl,-z,now",),
                    "std": "c++20",
                    "rdc": True,
                    "torch": TorchAbi.NONE,
                    "python": PythonAbi.NONE,
                    "libraries": (),
                    "include_packages": ("other/include",),
                    "exports": ("one",),
                },
            ),
            "NvccSource": (
                self.source,
                self.key_of_source,
                {"path": other, "cuda": False, "targets": (ArchTarget(A90),), "flags": ("-O1",)},
            ),
            "NvccProject": (
                replace(self.nvcc, libraries=(self.nvcc_library, narrow)),
                self.key_of_nvcc,
                {
                    "libraries": (self.nvcc_library, replace(self.nvcc_library, import_path="ops._D")),
                    "toolchain": replace(self.toolchain, stubs=None),
                    "torch_floor": MinorVersion(2, 11),
                    "cxx_standard": 20,
                    "limited_api": MinorVersion(3, 10),
                    "weak_symbols": ("weak", "weaker"),
                    "compat": self.root / "compat-other",
                    "compression": (),
                    "names_link_inputs": True,
                    "guarded": "ops",
                },
            ),
            "KernelGroup": (
                self.group,
                self.key_of_group,
                {
                    "name": "l",
                    "sources": (self._file("project/l.cu", "// other\n"),),
                    "include_dirs": (),
                    "defines": ("A=2",),
                    "flags": ("--use_fast_math",),
                    "std": "c++20",
                    "cubin_archs": (A90,),
                    "ptx_archs": (A90,),
                    "lineinfo": True,
                    "compression": ("-compress-all",),
                },
            ),
            "HostCompiler": (
                self.host,
                self.key_of_host,
                {
                    "path": self._other_compiler(),
                    "identity": "compiler 2.0",
                    "target": "aarch64-linux-gnu",
                    "arguments": ("-DVAL=7",),
                },
            ),
            "TorchSdk": (
                self.sdk,
                self.key_of_sdk,
                {
                    "library": self._file("elsewhere/libother.so"),
                    "digest": "e" * 64,
                    "python_library": self._file("sdk/libtorch_python.so"),
                },
            ),
            "CudaToolchain": (
                self.toolchain.cuda,
                self.key_of_cuda,
                {"version": MinorVersion(13, 5), "libraries": (), "pins": (), "digest": "e" * 64},
            ),
            "CudaLibrary": (
                self.cuda_library,
                self.key_of_cuda_library,
                {
                    "name": "cufft",
                    "path": self._file("cuda/lib64/libother.so"),
                    "include_dir": self._folder("cufft"),
                    "installed": "nvidia/cufft/lib",
                },
            ),
            "NvccToolchain": (
                self.toolchain,
                self.key_of_toolchain,
                {
                    "cuda": replace(self.toolchain.cuda, digest="e" * 64),
                    "host": replace(self.host, identity="compiler 2.0"),
                    "torch": replace(self.sdk, digest="e" * 64),
                    "python": replace(self.toolchain.python, suffix=".other.so") if self.toolchain.python else None,
                    "stubs": None,
                },
            ),
            "LinkStubs": (self.stubs, self.key_of_stubs, {"folder": self._folder("stubs-2")}),
            "PythonHeaders": (
                self.toolchain.python,
                self.key_of_python,
                {"suffix": ".other.so"},
            ),
            "DeviceCompiler": (self.device, self.key_of_device, {"digest": "e" * 64}),
        }

    def _other_compiler(self) -> Path:
        path = self._file("tools/another", "#!/bin/sh\n:\n")
        path.chmod(0o755)
        return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("model", EXCEPTIONS)
def test_every_field_changes_the_key_or_has_a_reason(world: World, model: str) -> None:
    value, key_of, others = world.models()[model]
    names = {field.name for field in fields(value)}
    assert others.keys().isdisjoint(EXCEPTIONS[model])
    assert names == others.keys() | EXCEPTIONS[model].keys()
    key = key_of(value)
    assert key_of(value) == key, "a key is a function of what it is made from"
    same = [name for name, other in others.items() if key_of(replace(value, **{name: other})) == key]
    assert same == []


def test_every_model_is_here(world: World) -> None:
    assert world.models().keys() == EXCEPTIONS.keys()


def test_the_content_of_files_changes_the_key(tmp_path: Path) -> None:
    world = World(tmp_path)
    keys = {world.key_of_embed(world.embed)}
    images = {world.key_of_group(world.group)}
    for text in ("int one;\n", "int two;\n"):
        (world.root / "project/k.cu").write_text(text, encoding="utf-8")
        images.add(world.key_of_group(world.group))
    assert len(images) == 3
    for text in ("int two;  // a kernel\n", "int two;  // another\n"):
        (world.root / "project/k.cu").write_text(text, encoding="utf-8")
        images.add(world.key_of_group(world.group))
    assert len(images) == 5, "kernels are described by the comments above them"
    for name in ("project/ops.cpp", "out/k.fatbin", "out/k.kernels.h", "tools/compiler"):
        path = world.root / name
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        key = world.key_of_embed(world.embed)
        assert key not in keys, name
        keys.add(key)
    nvcc = world.key_of_nvcc(world.nvcc)
    (world.root / "project/a.cu").write_text("// another\n", encoding="utf-8")
    assert world.key_of_nvcc(world.nvcc) != nvcc


@pytest.mark.parametrize("room", ["compile", "binary"])
def test_another_reader_or_writer_of_gpuwheels_makes_a_group_anew(
    room: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.key_of_group(world.group)
    digest = keys.tree_digest
    monkeypatch.setattr(
        keys, "tree_digest", lambda folder, ending="": digest(folder, ending) + "edited" * (folder.name == room)
    )
    assert world.key_of_group(world.group) != before


def test_what_comments_say_changes_no_key_of_what_is_compiled(tmp_path: Path) -> None:
    world = World(tmp_path)

    def keys(comment: str) -> list[object]:
        for name in ("k.cu", "ops.cpp", "a.cu"):
            (world.root / "project" / name).write_text(f"int {name[0]};  // {comment}\n", encoding="utf-8")
        (program,) = plan_group(world.group, world.device).programs
        debug = replace(world.group, flags=(*world.group.flags, "--device-debug"))
        (other,) = plan_group(debug, world.device).programs
        return [program.key, world.key_of_embed(world.embed), world.key_of_nvcc(world.nvcc), other.key]

    one, two = keys("one"), keys("two")
    assert one[:3] == two[:3]
    assert one[3] != two[3], "debug information may have sums of the sources"


def test_what_comments_say_counts_in_headers_that_are_one_but_for_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    for folder in "ab":
        (world.root / "project" / f"{folder}.h").write_text("#pragma once  // one\n", encoding="utf-8")
    (world.root / "project/ops.cpp").write_text('#include "a.h"\n#include "b.h"\n', encoding="utf-8")
    before = world.key_of_embed(world.embed)
    (world.root / "project/b.h").write_text("#pragma once  // two\n", encoding="utf-8")
    assert world.key_of_embed(world.embed) != before, "GCC takes files of the same bytes for one"


def test_settings_of_the_inner_backend_change_the_key(world: World) -> None:
    assert world.key_of_embed(world.embed, settings={"strip": "false"}) != world.key_of_embed(world.embed)


# Variables that gpuwheel reads and tools see too -> how tools are told what it chose, ahead of the variable.
TAKEN = {
    "CXX": "CMAKE_CXX_COMPILER names the compiler, and the key has it",
    "CUDAHOSTCXX": "CMAKE_CUDA_HOST_COMPILER names the compiler, and the key has it",
    "CUDACXX": "CMAKE_CUDA_COMPILER names nvcc, and the key has its toolkit",
    "CUDA_HOME": "CUDAToolkit_ROOT is given to CMake, and the key has the toolkit",
    "CUDA_PATH": "CUDAToolkit_ROOT is given to CMake, and the key has the toolkit",
    "CUDAToolkit_ROOT": "CMake is given the variable of its own of this name, and the key has the toolkit",
    "MAX_JOBS": "how many compilers run at once reaches no object",
    "TORCH_CUDA_ARCH_LIST": "sets archs, which the key has; only torch's own builds read it otherwise",
    "CONDA_PREFIX": "may hold the toolkit, which the key has",
}
NOTED = {"SOURCE_DATE_EPOCH"}
"""In the facts beside objects whose sources ask for the time, and in keys where options do."""
# A value that any rule of the table can read.
VALUES = {
    "SOURCE_DATE_EPOCH": "1700000000",
    "CMAKE_ARGS": "-DCMAKE_BUILD_TYPE=Release",
    **{variable.name: "ccache" for variable in load_variables() if variable.rewrite == "program"},
}


@pytest.mark.parametrize("variable", load_variables(), ids=lambda variable: variable.name)
def test_every_variable_is_in_the_key_or_does_not_reach_a_byte(world: World, variable: Variable) -> None:
    """What is passed on changes no byte, as the table says with its source; all else is keyed, kept away or refused."""
    if variable.device:
        return  # of the workers alone, which never see it
    name = variable.name.replace("*", "EXAMPLE")
    environ = {name: VALUES.get(name, "/somewhere/else")}
    try:
        given = world.given(environ)
    except ConfigError:
        assert variable.does in {Does.REFUSE, Does.HONOUR}, "only a build that does not begin needs no key"
        return
    plain = world.given()
    assert bool(given.tools.uncovered) is variable.opaque
    recipe, before = host_recipe(world.embed, given), host_recipe(world.embed, plain)
    assert recipe.refusal is not None or not variable.opaque
    if name in given.tools.variables and given.tools.variables.get(name) != plain.tools.variables.get(name):
        covered = recipe.linked != before.linked or recipe.refusal is not None
        assert covered or variable.does is Does.THROUGH or variable.name in {*TAKEN, *NOTED}
    else:
        assert variable.does is not Does.HONOUR or recipe.linked != before.linked or recipe.refusal is not None


LAUNCHER = "CMAKE_CUDA_COMPILER_LAUNCHER"


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [
        ("ccache", True),
        ("/opt/sccache", True),
        ("ccache;distcc", True),
        ("env;X=1;ccache", False),
        ("./any", False),
    ],
)
def test_a_launcher_that_may_do_anything_ends_keeping(world: World, value: str, *, is_kept: bool) -> None:
    """By the environment, CMAKE_ARGS, a setting or a table: a cache of compilers gives what the compiler gives."""
    setting = f"cmake.define.{LAUNCHER}"
    for given in (
        world.given({LAUNCHER: value}),
        world.given({"CMAKE_ARGS": f"'-D{LAUNCHER}={value}'"}),
        replace(world.given(), settings={setting: value}),
        replace(world.given(), settings={f"skbuild.{setting}": value}),
        replace(world.given(), settings={"cmake": {"define": {LAUNCHER: value}}}),
    ):
        recipe = host_recipe(world.embed, given)
        assert (recipe.refusal is None) is is_kept
        assert recipe.linked != host_recipe(world.embed, world.given()).linked
    other = replace(world.given(), settings={"cmake": {"define": {LAUNCHER: "ccache", "OTHER": "1"}}})
    assert host_recipe(world.embed, other).refusal is not None


def test_the_epoch_is_in_keys_where_options_ask_for_the_time(world: World) -> None:
    (world.root / "project/opts.txt").write_text("-DTIME=__TIME__", encoding="utf-8")
    follows = world.root / "tools/of-the-epoch"
    follows.write_text("#!/bin/sh\necho '\"Jan  1 1970\"'\n", encoding="utf-8")
    follows.chmod(0o755)

    def recipe(epoch: str | None, library: HostLibrary, path: Path = follows) -> Recipe:
        given = world.given({"SOURCE_DATE_EPOCH": epoch} if epoch else {})
        given.host = replace(world.host, path=path)
        return host_recipe(replace(world.embed, libraries=(library,)), given)

    plain = world.library
    assert recipe("1", plain).linked == recipe("2", plain).linked == recipe(None, plain).linked
    for asking in (
        replace(plain, defines=("T=__DATE__",)),
        replace(plain, flags=("-DT=__DATE__",)),
        replace(plain, flags=("@opts.txt",)),
    ):
        assert "asks what time it is" in (recipe(None, asking).refusal or "")
        assert "asks what time it is" in (recipe("1", asking, world.host.path).refusal or ""), "it has its own time"
        assert recipe("1", asking).refusal is None
        assert recipe("1", asking).linked != recipe("2", asking).linked


def test_macros_of_a_kernel_group_that_ask_for_the_time(world: World) -> None:
    assert plan_group(world.group, world.device).refusal is None
    for asking in (replace(world.group, defines=("T=__TIME__",)), replace(world.group, flags=("-DT=__TIME__",))):
        assert plan_group(asking, world.device).refusal is not None


def test_options_in_files_ask_this_machine_as_others_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for cpu in ("one", "two"):
        monkeypatch.setattr("gpuwheel.compile.cmake.keys.machine_identity", lambda cpu=cpu: [cpu])
        (world.root / "project/opts.txt").write_text("-march=native", encoding="utf-8")
        library = replace(world.library, flags=("@opts.txt",))
        keys.add(world.key_of_library(library))
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"cmake": {"build-type": "Debug", "version": ">=3.27"}}, True),
        ({"cmake.build-type": "Debug"}, True),
        ({"skbuild.build.verbose": "true", "install": {"strip": False}}, True),
        ({"cmake": {"build-type": "Debug", "define": {"A": "/a/file"}}}, False),
        ({"skbuild.cmake.args": "-C/a/file"}, False),
        ({"overrides": [{"if": {}}]}, False),
    ],
)
def test_settings_that_are_words_alone_do_not_switch_reuse_off(
    world: World, settings: dict[str, object], *, kept: bool
) -> None:
    recipe = host_recipe(world.embed, world.given(settings=settings))
    assert (recipe.refusal is None) is kept
    assert recipe.linked != world.key_of_embed(world.embed)


def test_nothing_is_kept_where_the_clock_was_set_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = host_recipe(world.embed, world.given())
    for seconds, expected in ((-5, "the clock was set back"), (5, "not made by Ninja")):  # ahead: the machine slept
        store = LibraryStore(Cache(world.root / "cache"), recipe)
        now = time.time_ns() + seconds * 10**9
        with monkeypatch.context() as patch:
            patch.setattr("gpuwheel.compile.reuse.linked.time.time_ns", lambda now=now: now)
            assert expected in store.save([], world.root)[0]
