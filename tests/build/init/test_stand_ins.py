"""What setup.py files ask of torch, of setuptools and of the machine, and what they hear."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from setup_projects import SIMPLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from setup_projects import Project

ASKED = """
importlib.util.find_spec("torch").origin.endswith("torch/__init__.py")
os.path.isdir(importlib.util.find_spec("torch").submodule_search_locations[0])
importlib.util.find_spec("torch.utils.cpp_extension") is not None
importlib.util.find_spec("surely_not_there") is None
importlib.metadata.version("torch") == torch.__version__
importlib.metadata.distribution("setuptools").version
pkg_resources.get_distribution("torch").version == torch.__version__
pkg_resources.parse_version(torch.__version__) >= pkg_resources.parse_version("2.0")
Version(torch.__version__).release[:2] >= (2, 10)
tuple(map(int, torch.__version__.split("+")[0].split(".")[:2])) >= (2, 10)
torch.__version__ >= (2, 4) and not torch.__version__ < "2.4"
torch.__version__.major == 2
torch.torch_version.TorchVersion("2.4") < "2.10"
torch.version.cuda.split(".")[0] == "13" and torch.version.hip is None and torch.version.git_version
torch._C._GLIBCXX_USE_CXX11_ABI is True and torch.compiled_with_cxx11_abi()
torch._C._cuda_getCompiledVersion() == 13000
"CUDA" in torch.__config__.show() and "OpenMP" in torch.__config__.parallel_info()
torch.cuda.is_available() and torch.cuda.device_count() == 1
torch.cuda.get_device_capability(0) >= (8, 0)
torch.cuda.get_device_properties("cuda").multi_processor_count > 0
"sm_90" in torch.cuda.get_arch_list()
torch.cuda.nccl.version() >= (2, 10)
not torch.compiler.is_compiling() and not torch.jit.is_scripting() and torch.distributed.is_available()
torch.backends.cudnn.version() > 8000 and torch.backends.cuda.is_built()
not torch.xpu.is_available() and not torch.backends.mps.is_available()
not hasattr(torch, "npu") and not hasattr(torch, "musa")
torch.utils.cmake_prefix_path.endswith("share/cmake")
type(torch.nn.Module) and type("M", (), {"t": torch.float16})
types.new_class("M", (torch.nn.Module, )).__name__ == "M"
torch.jit.script(lambda: 0) and type(torch.no_grad()) and type(torch.library.Library("a", "DEF"))
cpp_extension.CUDA_HOME == os.environ["CUDA_HOME"] and cpp_extension.ROCM_HOME is None
cpp_extension.IS_HIP_EXTENSION is False and cpp_extension.COMMON_HIP_FLAGS and cpp_extension.LIB_EXT == ".so"
cpp_extension._get_build_directory("a", False).endswith("/a")
cpp_extension._join_cuda_home("bin", "nvcc") == os.path.join(cpp_extension.CUDA_HOME, "bin", "nvcc")
cpp_extension.include_paths(device_type="cuda") and cpp_extension.library_paths("cuda")
cpp_extension.get_cxx_compiler() and cpp_extension._is_cuda_file("a.cu") and not cpp_extension._is_cuda_file("a.cpp")
cpp_extension.check_compiler_ok_for_platform("g++") and cpp_extension.SUBPROCESS_DECODE_ARGS == ()
isinstance(cpp_extension.BuildExtension.with_options(use_ninja=False), type)
os.path.isfile(os.path.join(cpp_extension.CUDA_HOME, "bin", "nvcc"))
json.load(open(os.path.join(cpp_extension.CUDA_HOME, "version.json")))["cuda"]["version"].startswith("13.0")
"CUDA_VERSION 13000" in open(os.path.join(cpp_extension.CUDA_HOME, "include", "cuda.h")).read()
"release 13.0" in subprocess.check_output([cpp_extension.CUDA_HOME + "/bin/nvcc", "-V"], text=True)
"V13.0" in subprocess.run("nvcc --version", shell=True, capture_output=True, text=True).stdout
"release" in subprocess.getoutput("nvcc --version 2>/dev/null | grep release | cut -d, -f2")
subprocess.check_output(["nvcc", "--list-gpu-arch"], text=True).split()[-1].startswith("compute_")
subprocess.check_output(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"], text=True).strip() == "9.0"
float(subprocess.check_output("nvidia-smi --query-gpu=compute_cap --format=csv | tail -1", shell=True)) >= 8
"CUDA Version" in os.popen("nvidia-smi").read()
int(subprocess.check_output(["g++", "-dumpversion"]).decode().split(".")[0]) >= 9
"GCC" in subprocess.check_output(["g++", "--version"]).decode()
"clang version" in subprocess.check_output(["clang++-18", "--version"]).decode()
re.match(r"[\\d.]+", subprocess.check_output(["ninja", "--version"], text=True))
"cmake version" in subprocess.check_output(["cmake", "--version"], text=True)
subprocess.check_output([sys.executable, "-c", "import torch; print(torch.version.cuda)"], text=True) == "13.0\\n"
subprocess.check_output([sys.executable, "-c", "import sys; print(sys.argv[1])", "x"], text=True) == "x\\n"
"Python 3" in subprocess.check_output([sys.executable, "--version"], text=True)
subprocess.run(["which", "nvcc"], capture_output=True, text=True).stdout.endswith("/bin/nvcc\\n")
subprocess.call("hipcc --version", shell=True) == 127
multiprocessing.Pool(2).map(abs, [-1, -2]) == [1, 2]
list(concurrent.futures.ProcessPoolExecutor(1).map(abs, [-3])) == [3]
multiprocessing.get_context("spawn").Process and multiprocessing.set_start_method("spawn") is None
tempfile.TemporaryDirectory().cleanup() is None
[os.makedirs(os.path.join(own, "a", "b")), open(os.path.join(own, "a", "b", "c"), "w").close(), shutil.rmtree(own)]
not os.path.exists(own)
sysconfig.get_python_lib() and sysconfig.get_config_var("EXT_SUFFIX") and sysconfig.get_python_inc()
ccompiler.new_compiler().has_function("f") and ccompiler.new_compiler().compile(["a.c"]) == ["a.o"]
np_misc.get_info("npymath") == {} and np_info.get_info("openblas")["libraries"]
numpy.get_include() and pybind11.get_include() and pybind11.get_cmake_dir()
ninja.BIN_DIR and cmake.CMAKE_BIN_DIR
Cython.Build.cythonize([setuptools.Extension("a", ["a.pyx"])])[0].name == "a"
setuptools_scm.get_version() == ""
versions.Version("2.0") > versions.Version("1.0")
os.uname().sysname and platform.machine() and platform.python_version() and shutil.which("nvcc")
util.strtobool("yes") and spawn.find_executable("nvcc")
"""
HEAD = """\
import concurrent.futures, importlib.metadata, importlib.util, json, multiprocessing, os, platform, re, shutil
import subprocess, sys, tempfile, types
import Cython.Build, cmake, ninja, numpy, pkg_resources, pybind11, setuptools, setuptools_scm, torch, torch.nn
import numpy.distutils.misc_util as np_misc, numpy.distutils.system_info as np_info
import torch.cuda.nccl, torch.torch_version
from distutils import ccompiler, spawn, sysconfig, util
from packaging.version import Version
from setuptools.extern.packaging import version as versions
from torch.utils import cpp_extension

own = os.path.join(tempfile.mkdtemp(), "own")
"""


def test_what_setup_files_ask_is_answered(project: Callable[..., Project]) -> None:
    lines = [line for line in ASKED.replace("\\\\", "\\").splitlines() if line]
    asking = "".join(
        f"try:\n    wrong += [] if ({line}) else [{line!r}]\nexcept BaseException as error:\n"
        f"    wrong.append({line!r} + repr(error))\n"
        for line in lines
    )
    made = project(f"{HEAD}wrong = []\n{asking}{SIMPLE.replace('setup(', 'setup(keywords=wrong,')}")
    document = made.report()
    assert "keywords" not in document["pyproject"], document["pyproject"]
    assert len(lines) > 70
    left = {row["what"] for row in document["left"]}
    assert {what.partition(" ")[0] for what in left} == {"ROCm", "compiles", "version"}, left


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_every_name_of_cpp_extension_is_stood_in_for(project: Callable[..., Project]) -> None:
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "utils" / "cpp_extension.py"
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    # What only `BuildExtension` itself uses, while it compiles.
    inner = {"__all__", "__getattr__", "_LazyBuildExt", "BUILT_FROM_SOURCE_VERSION_PATTERN", "JIT_EXTENSION_VERSIONER"}
    inner |= {name for name in names if name.startswith(("_BUILD_EXTENSION", "_get_build_extension", "_HERE"))}
    inner |= {
        name for name in names if "sycl" in name.lower() or "icpx" in name or "windows" in name or "vc_env" in name
    }
    inner |= {"logger", "VersionMap", "VersionRange", "_check_and_build_extension_h_precompiler_headers"}
    asked = f"missing = [n for n in {sorted(names - inner)} if not hasattr(cpp_extension, n)]\n"
    code = f"from torch.utils import cpp_extension\n{asked}"
    made = project(code + SIMPLE.replace("setup(", "setup(keywords=missing,"))
    assert "keywords" not in made.report()["pyproject"], made.report()["pyproject"]


ESCAPES = [
    "subprocess.run(['git', '--git-dir', 'status', 'init', 'made'])",
    "subprocess.run(['git', '-c', 'core.fsmonitor=touch made; false', 'status'])",
    "subprocess.run(['git', '--exec-path=.', 'status'])",
    "subprocess.run(['git', 'diff', '--no-index', '--output=made', 'setup.py', 'pyproject.toml'])",
    "subprocess.run(['git', 'branch', 'made'])",
    "subprocess.run('git status; touch made', shell=True)",
    "subprocess.run('nvcc --version > made', shell=True)",
    "subprocess.run('nvcc --version | tee made', shell=True)",
    "subprocess.run('echo $(touch made)', shell=True)",
    "subprocess.run(['env', 'touch', 'made'])",
    "subprocess.run([sys.executable, '-c', 'open(\"made\", \"w\")'])",
    "subprocess.run([sys.executable, '-c', 'import os; os.system(\"touch made\")'])",
    "subprocess.run([sys.executable, 'other.py'])",
    "os.mkfifo('made')",
    "__import__('posix').mkdir('made')",
    "sqlite3.connect('made')",
    "ctypes.CDLL('libc.so.6').system(b'touch made')",
    "ctypes.CDLL(None).system(b'touch made')",
    "os.fork() or os.execv('/usr/bin/touch', ['touch', 'made'])",
    "pathlib.Path('made').mkdir()",
    "pathlib.Path('made').symlink_to('setup.py')",
    "os.mkdir('made', dir_fd=os.open('.', os.O_RDONLY))",
    "os.kill(os.getppid(), 15)",
    "multiprocessing.Pool(1).apply(open, ('made', 'w'))",
]


def test_usual_ways_to_change_something_are_held_back(project: Callable[..., Project]) -> None:
    tried = "".join(
        f"try:\n    {line.replace('made', f'made{number}')}\nexcept Exception as error:\n    print(error)\n"
        for number, line in enumerate(ESCAPES)
    )
    head = "import ctypes, multiprocessing, os, pathlib, sqlite3, subprocess, sys\n"
    made = project(head + tried + SIMPLE)
    made.write("other.py", "open('made', 'w').close()")
    before = {path.name for path in made.root.rglob("*")}
    assert made.init("--dry-run").exit_code == 0
    assert {path.name for path in made.root.rglob("*")} - before == set()


def test_the_help_says_that_it_is_no_sandbox(project: Callable[..., Project]) -> None:
    help_text = " ".join(project(SIMPLE).init("--help").stdout.split())
    assert "no sandbox" in help_text
    page = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "build-an-existing-extension.md"
    assert "no sandbox" in page.read_text(encoding="utf-8")


OPTIONS = """\
import os, sys
flags = []
if "--cuda_ext" in sys.argv:
    sys.argv.remove("--cuda_ext")
    flags.append("-DWITH_CUDA")
if os.getenv("FORCE_CUDA", "0") == "1":
    flags.append("-DFORCED")
"""


def test_arguments_and_environment_are_passed_on(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = OPTIONS + SIMPLE.replace('"csrc/ops.cu"]', '"csrc/ops.cu"], extra_compile_args=flags')
    setup = setup.replace("ext_modules=[", "ext_modules=[] if not flags else [")
    made = project(setup)
    result = made.init()
    assert result.exit_code == 3
    hint = "hint: set what makes setup.py build its extensions, for example gpuwheel init -- --cuda_ext"
    assert f"{hint} (it looks for --cuda_ext, FORCE_CUDA)" in result.stderr
    monkeypatch.setenv("FORCE_CUDA", "1")
    document = json.loads(made.init("--json", "--", "--cuda_ext").stdout)
    assert 'defines = ["WITH_CUDA", "FORCED"]' in document["pyproject"]
