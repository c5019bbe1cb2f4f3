"""Quantization, large models and graph libraries: builders of extensions, arguments, commands that write files."""

from __future__ import annotations

from shapes.shape import CLASSIC, FILES, KERNEL, OPERATORS, STABLE, Shape

__all__ = ["SHAPES"]

APEX = """\
import sys, warnings, os, threading, glob
from packaging.version import parse, Version
from setuptools import setup, find_packages
import subprocess
import torch
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension, CUDA_HOME, load

this_dir = os.path.dirname(os.path.abspath(__file__))


def get_cuda_bare_metal_version(cuda_dir):
    raw_output = subprocess.check_output([cuda_dir + "/bin/nvcc", "-V"], universal_newlines=True)
    output = raw_output.split()
    return raw_output, parse(output[output.index("release") + 1].split(",")[0])


def check_cuda_torch_binary_vs_bare_metal(cuda_dir):
    raw_output, bare_metal_version = get_cuda_bare_metal_version(cuda_dir)
    if bare_metal_version != parse(torch.version.cuda):
        raise RuntimeError("Cuda extensions are being compiled with a version of Cuda that does not match")


def raise_if_cuda_home_none(global_option):
    if CUDA_HOME is None:
        raise RuntimeError(global_option + " was requested, but nvcc was not found.")


def append_nvcc_threads(nvcc_extra_args):
    _, bare_metal_version = get_cuda_bare_metal_version(CUDA_HOME)
    return nvcc_extra_args + ["--threads", "4"] if bare_metal_version >= Version("11.2") else nvcc_extra_args


if not torch.cuda.is_available():
    print("Warning: Torch did not find available GPUs on this system.")
TORCH_MAJOR, TORCH_MINOR = (int(x) for x in torch.__version__.split(".")[:2])
cmdclass, ext_modules, extras = {}, [], {}
if "--cpp_ext" in sys.argv or "--cuda_ext" in sys.argv:
    cmdclass["build_ext"] = BuildExtension
if "--cpp_ext" in sys.argv:
    sys.argv.remove("--cpp_ext")
    ext_modules.append(CppExtension("ops_C", ["csrc/flatten.cpp"]))
if "--cuda_ext" in sys.argv:
    sys.argv.remove("--cuda_ext")
    raise_if_cuda_home_none("--cuda_ext")
    check_cuda_torch_binary_vs_bare_metal(CUDA_HOME)
    ext_modules.append(CUDAExtension(name="amp_C", sources=["csrc/ops.cpp", "csrc/ops.cu"],
        extra_compile_args={"cxx": ["-O3"], "nvcc": append_nvcc_threads(["-lineinfo", "-O3", "--use_fast_math"])}))
generator_flag = []
if os.path.exists(os.path.join(torch.__path__[0], "include", "ATen", "CUDAGenerator.h")):
    generator_flag = ["-DOLD_GENERATOR"]
if "--parallel" in sys.argv:
    idx = sys.argv.index("--parallel")
    parallel = int(sys.argv[idx + 1])
    sys.argv.pop(idx + 1)
    sys.argv.pop(idx)
setup(name="ops", version="0.1", packages=find_packages(exclude=("build", "csrc", "tests")), install_requires=["packaging>20.6"],
      ext_modules=ext_modules, cmdclass=cmdclass, extras_require=extras)
"""
NATTEN = """\
import filecmp, multiprocessing, os, shutil, subprocess, sys, tempfile
from os import path
from pathlib import Path
import torch
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from torch.utils.cpp_extension import LIB_EXT

tmp_dir = tempfile.TemporaryDirectory()
arch = os.getenv("CUDA_ARCH", "")
if not arch and torch.cuda.is_available():
    device = torch.cuda.get_device_properties(torch.cuda.current_device())
    arch = f"{device.major + device.minor * 0.1}"


class BuildExtension(build_ext):
    def build_extension(self, ext):
        cmake_args = [f"-DPYTHON_PATH={sys.executable}", f"-DOUTPUT_FILE_NAME={ext.name}", f"-DCUDA_ARCH_LIST={arch}"]
        build_dir = self.get_ext_fullpath(ext.name).replace(LIB_EXT, "")
        os.makedirs(build_dir, exist_ok=True)
        subprocess.check_call(["cmake", "csrc", *cmake_args], cwd=build_dir)
        subprocess.check_call(["cmake", "--build", build_dir, "-j", str(multiprocessing.cpu_count())])


setup(name="natten_ops", version="0.21", ext_modules=[Extension("ops.lib", [])] if arch else [], packages=["ops"],
      cmdclass={"build_ext": BuildExtension})
"""
NATTEN_CMAKE = """\
cmake_minimum_required(VERSION 3.20 FATAL_ERROR)
project(natten LANGUAGES CXX CUDA)  # one library
find_package(Torch REQUIRED)
file(GLOB_RECURSE SOURCES src/*.cpp src/*.cu)
add_library(natten SHARED ${SOURCES})
"""
EXLLAMA = """\
from setuptools import setup, Extension
import importlib.util, os

if torch := importlib.util.find_spec("torch") is not None:
    from torch.utils import cpp_extension
    from torch import version as torch_version

extension_name = "ops_ext"
precompile = "NOCOMPILE" not in os.environ
verbose = "VERBOSE" in os.environ
windows = os.name == "nt"
extra_cflags = ["/Ox"] if windows else ["-O3"]
extra_cuda_cflags = ["-lineinfo", "-O3"]
if torch and torch_version.hip:
    extra_cuda_cflags += ["-DHIPBLAS_USE_HIP_HALF"]
extra_compile_args = {"cxx": extra_cflags, "nvcc": extra_cuda_cflags}
setup_kwargs = {
    "ext_modules": [cpp_extension.CUDAExtension(extension_name, ["csrc/ops.cpp", "csrc/ops.cu"], extra_compile_args=extra_compile_args,
                    libraries=["cublas"] if windows else [])],
    "cmdclass": {"build_ext": cpp_extension.BuildExtension},
} if precompile and torch else {}
version_py = {}
with open("ops/version.py", encoding="utf8") as fp:
    exec(fp.read(), version_py)
version = version_py["__version__"]
print("Version:", version)
with open("requirements.txt") as file:
    requires = [line.split("#")[0].strip() for line in file if line.strip()]
setup(name="ops", version=version, packages=["ops", "ops.generator"], license="MIT", install_requires=requires,
      include_package_data=True, package_data={"": ["py.typed"]}, verbose=verbose, **setup_kwargs)
"""
AWQ = """\
import os, torch
from pathlib import Path
from setuptools import setup, find_packages
from distutils.sysconfig import get_python_lib
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

os.environ.setdefault("CC", "g++")
os.environ.setdefault("CXX", "g++")
CAPABILITIES = os.getenv("COMPUTE_CAPABILITIES", "75,80,86,87,89,90")
CUDA_VERSION = os.getenv("CUDA_VERSION", None) or torch.version.cuda
version = "0.0.9"
if os.getenv("PYPI_BUILD", "0") != "1":
    version += f"+cu{''.join(CUDA_VERSION.split('.'))[:3]}"


def include_dirs():
    found = []
    conda = os.path.join(get_python_lib(), "nvidia/cuda_runtime/include")
    if os.path.isdir(conda):
        found.append(conda)
    return found + [os.path.dirname(os.path.abspath(__file__))]


def flags():
    result = ["-O3", "-std=c++17", "-DENABLE_BF16", "--expt-extended-lambda"]
    for cap in CAPABILITIES.split(","):
        result += ["-gencode", f"arch=compute_{cap},code=sm_{cap}"]
    return result


setup(name="ops", version=version, packages=find_packages(), license="MIT", python_requires=">=3.8.0", platforms=["linux", "windows"],
      long_description=(Path(__file__).parent / "README.md").read_text(encoding="UTF-8"), long_description_content_type="text/markdown",
      install_requires=[f"torch>={torch.__version__.split('+', maxsplit=1)[0]}"],
      ext_modules=[CUDAExtension("ops_ext", ["csrc/ops.cpp", "csrc/ops.cu"], extra_compile_args={"cxx": ["-g", "-O3", "-fopenmp", "-lgomp", "-std=c++17"], "nvcc": flags()})],
      include_dirs=include_dirs(), cmdclass={"build_ext": BuildExtension})
"""
DEEPSPEED = """\
import os, pathlib, subprocess, sys, time, typing
from setuptools import setup, find_packages
from setuptools.command import egg_info
import torch
from op_builder.all_ops import ALL_OPS

egg_info.manifest_maker.template = "MANIFEST.in"
build_default = int(os.environ.get("BUILD_OPS", "0"))
result = subprocess.check_output("type git", shell=True)


def command_exists(cmd):
    return subprocess.Popen(f"type {cmd}", stdout=subprocess.PIPE, shell=True).wait() == 0


git_hash = "unknown"
if command_exists("git") and os.path.isdir(".git"):
    git_hash = subprocess.check_output("git rev-parse --short HEAD", shell=True).decode("utf-8").strip()
ext_modules = [builder.builder() for name, builder in ALL_OPS.items() if build_default and builder.is_compatible()]
version_str = open("version.txt", "r").read().strip() + (f"+{git_hash}" if git_hash != "unknown" else "")
torch_version = ".".join(torch.__version__.split(".")[:2])
nccl = ".".join(map(str, torch.cuda.nccl.version()[:2])) if hasattr(torch.cuda, "nccl") else None
with open("ops/git_version_info_installed.py", "w") as fd:
    fd.write(f"version='{version_str}'\\ntorch='{torch_version}'\\nnccl='{nccl}'\\n")
setup(name="ops", version=version_str, packages=find_packages(include=["ops", "ops.*"]), include_package_data=True,
      scripts=["bin/run"], ext_modules=ext_modules, cmdclass={"build_ext": torch.utils.cpp_extension.BuildExtension.with_options(use_ninja=False)})
"""
BUILDER = """\
import os, shutil, subprocess, tempfile, distutils.ccompiler, distutils.log, distutils.sysconfig
from distutils.errors import CompileError, LinkError
import torch, torch.utils.cpp_extension


def installed_cuda_version():
    out = subprocess.check_output([torch.utils.cpp_extension.CUDA_HOME + "/bin/nvcc", "-V"], universal_newlines=True).split()
    release = out[out.index("release") + 1].replace(",", "").split(".")
    return int(release[0]), int(release[1][:1])


class Builder:
    def has_function(self, funcname, libraries):
        tempdir = None
        try:
            tempdir = tempfile.mkdtemp()
            filename = os.path.join(tempdir, "test.c")
            with open(filename, "w") as f:
                f.write("int main(void) { return 0; }")
            compiler = distutils.ccompiler.new_compiler(verbose=distutils.log.DEBUG)
            distutils.sysconfig.customize_compiler(compiler)
            objs = compiler.compile([filename], output_dir=os.path.join(*os.path.split(tempdir)))
            compiler.link_executable(objs, os.path.join(tempdir, "a.out"), libraries=libraries)
            return True
        except (CompileError, LinkError):
            return False
        finally:
            if tempdir is not None:
                shutil.rmtree(tempdir)

    def is_compatible(self):
        lscpu = subprocess.check_output(["lscpu"]).decode()
        return self.has_function("io_submit", ("aio",)) and "rchitecture" in lscpu

    def archs(self):
        ccs = [f"{a[3:-1]}.{a[-1]}" for a in torch.cuda.get_arch_list() if a.startswith("sm_")][:2]
        return [flag for cc in ccs for flag in ("-gencode", f"arch=compute_{cc.replace('.', '')},code=sm_{cc.replace('.', '')}")]

    def builder(self):
        from torch.utils.cpp_extension import CUDAExtension

        assert installed_cuda_version()[0] == int(torch.version.cuda.split(".")[0])
        return CUDAExtension(name="ops.fused_op", sources=["csrc/ops.cpp", "csrc/ops.cu"], include_dirs=["csrc/includes"],
                             extra_compile_args={"cxx": ["-O3", "-std=c++17"], "nvcc": ["-O3", "--use_fast_math"] + self.archs()})
"""
TINY = """\
import os, re, subprocess, torch
from pkg_resources import parse_version
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

SCRIPT_DIR = os.path.dirname(os.path.abspath(__file__))
ROOT_DIR = os.path.dirname(os.path.dirname(SCRIPT_DIR))
bundled = ["dependencies", "dependencies/cutlass/include"]
if "CUDA_ARCHITECTURES" in os.environ and os.environ["CUDA_ARCHITECTURES"]:
    capabilities = [int(x) for x in os.environ["CUDA_ARCHITECTURES"].replace(";", ",").split(",")]
else:
    capabilities = [major * 10 + minor for major, minor in [torch.cuda.get_device_capability()]]
out, _ = subprocess.Popen(["nvcc", "--version"], stdout=subprocess.PIPE).communicate()
cuda = parse_version(re.findall(r"\\b[\\d.]+\\b", re.findall(r"release (\\S+),", out.decode())[0])[0])
nvcc_flags = ["-std=c++17", "--extended-lambda", "--expt-relaxed-constexpr", "-U__CUDA_NO_HALF_OPERATORS__", "-Xcompiler=-fPIC"]
sources = ["ops/bindings.cpp", "../../src/common.cu", "../../src/encoding.cu"]
setup(name="ops", version="1.7", packages=["ops"],
      ext_modules=[CUDAExtension(name=f"ops._{c}_C", sources=sources, include_dirs=[f"{ROOT_DIR}/include"],
                   extra_compile_args={"cxx": ["-std=c++17"], "nvcc": nvcc_flags + [f"-gencode=arch=compute_{c},code=sm_{c}"]}, libraries=["cuda"])
                   for c in capabilities],
      cmdclass={"build_ext": BuildExtension})
"""
XFORMERS = """\
import ast, datetime, glob, json, os, platform, re, shlex, shutil, subprocess, sys
from collections import namedtuple
from typing import List, Optional
import setuptools, torch
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDA_HOME, CUDAExtension, ROCM_HOME
from wheel.bdist_wheel import bdist_wheel

this_dir = os.path.dirname(os.path.abspath(__file__))


def fetch_requirements():
    with open("requirements.txt") as f:
        return f.read().strip().split("\\n")


def get_local_version_suffix():
    if not os.path.isdir(os.path.join(this_dir, ".git")):
        return ""
    return "+" + subprocess.check_output(["git", "rev-parse", "--short", "HEAD"]).decode("ascii")[:-1]


def get_cuda_version(cuda_dir):
    nvcc_bin = "nvcc" if cuda_dir is None else cuda_dir + "/bin/nvcc"
    raw_output = subprocess.check_output([nvcc_bin, "-V"], universal_newlines=True)
    version = re.compile(r"^.*release (\\d+)\\.(\\d+).*$", re.MULTILINE).match(raw_output.replace("\\n", " "))
    return int(version.group(1)) * 100 + int(version.group(2))


class BuildExtensionWithExtraFiles(BuildExtension):
    def __init__(self, *args, **kwargs):
        self.xformers_build_metadata = kwargs.pop("extra_files")
        self.pkg_name = "ops"
        super().__init__(*args, **kwargs)

    def build_extensions(self) -> None:
        super().build_extensions()
        for filename, content in self.xformers_build_metadata.items():
            with open(os.path.join(self.build_lib, self.pkg_name, filename), "w+") as fp:
                fp.write(content)

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()


class bdist_wheel_abi_none(bdist_wheel):
    def get_tag(self):
        python, abi, plat = super().get_tag()
        return "py39", "none", plat


if get_cuda_version(CUDA_HOME) < 1208:
    raise RuntimeError("CUDA 12.8")
flags = ["-DHAS_PYTORCH", "--use_fast_math", "-U__CUDA_NO_HALF_OPERATORS__", "--extended-lambda", "-D_ENABLE_EXTENDED_ALIGNED_STORAGE", "-std=c++17"]
ext_modules = [CUDAExtension("ops._C", sorted(glob.glob("ops/csrc/*.cpp") + glob.glob("ops/csrc/*.cu")),
               include_dirs=[os.path.abspath(p) for p in ["ops/csrc"]], extra_compile_args={"cxx": ["-O3", "-std=c++17", "-fopenmp"], "nvcc": flags})]
metadata = {"version": {"cuda": get_cuda_version(CUDA_HOME), "torch": torch.__version__, "python": platform.python_version()},
            "env": {k: os.environ.get(k) for k in ["TORCH_CUDA_ARCH_LIST", "NVCC_FLAGS"]}}
setuptools.setup(name="ops", version="0.0.35" + get_local_version_suffix(), install_requires=fetch_requirements(),
    packages=setuptools.find_packages(exclude=("tests*", "benchmarks*")), ext_modules=ext_modules, python_requires=">=3.9",
    cmdclass={"build_ext": BuildExtensionWithExtraFiles.with_options(no_python_abi_suffix=True, extra_files={"cpp_lib.json": json.dumps(metadata)}),
              "bdist_wheel": bdist_wheel_abi_none})
"""
BNB = """\
from distutils.errors import DistutilsModuleError
import os
from warnings import warn
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution


class BinaryDistribution(Distribution):
    def has_ext_modules(self):
        return True


class ExtBuildPy(build_py):
    def run(self):
        try:
            self.run_command("build_cmake")
        except DistutilsModuleError:
            warn("scikit-build-core not installed")
        super().run()


setup(version="0.50", packages=find_packages(), distclass=BinaryDistribution, cmdclass={"build_py": ExtBuildPy}, cmake_source_dir=".")
"""
BNB_CMAKE = """\
cmake_minimum_required(VERSION 3.22.1)
project(bitsandbytes LANGUAGES CXX)
set(CPP_FILES csrc/cpu.cpp csrc/interface.cpp)
find_package(CUDAToolkit REQUIRED)
set(CMAKE_CUDA_ARCHITECTURES 80 90)
add_library(bnb_cuda SHARED csrc/cpu.cpp csrc/interface.cpp csrc/ops.cu)
target_link_libraries(bnb_cuda PUBLIC CUDA::cudart CUDA::cublas)
"""
VLLM = """\
import ctypes, importlib.util, json, logging, os, re, subprocess, sys
from pathlib import Path
from shutil import which
import torch
from packaging.version import Version, parse
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools_scm import get_version
from torch.utils.cpp_extension import CUDA_HOME, ROCM_HOME


def load_module_from_path(module_name, path):
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


ROOT_DIR = Path(__file__).parent
envs = load_module_from_path("envs", os.path.join(ROOT_DIR, "ops", "envs.py"))


class CMakeExtension(Extension):
    def __init__(self, name: str, cmake_lists_dir: str = ".", **kwa) -> None:
        super().__init__(name, sources=[], py_limited_api=True, **kwa)
        self.cmake_lists_dir = os.path.abspath(cmake_lists_dir)


class cmake_build_ext(build_ext):
    did_config: dict[str, bool] = {}

    def configure(self, ext: CMakeExtension) -> None:
        subprocess.check_call(["cmake", ext.cmake_lists_dir], cwd=self.build_temp)

    def build_extensions(self) -> None:
        subprocess.check_output(["cmake", "--version"])
        os.makedirs(self.build_temp, exist_ok=True)


def get_nvcc_cuda_version():
    nvcc_output = subprocess.check_output([CUDA_HOME + "/bin/nvcc", "-V"], universal_newlines=True).split()
    return parse(nvcc_output[nvcc_output.index("release") + 1].split(",")[0])


def is_cuda():
    return torch.version.cuda is not None and envs.DEVICE == "cuda"


version = get_version(write_to="ops/_version.py")
ext_modules = [CMakeExtension(name="ops._C"), CMakeExtension(name="ops._moe_C")] if is_cuda() and get_nvcc_cuda_version() >= Version("12.3") else []
setup(version=version, ext_modules=ext_modules, package_data={"ops": ["py.typed"]}, packages=["ops"], cmdclass={"build_ext": cmake_build_ext})
"""
VLLM_CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(ops_extensions LANGUAGES CXX CUDA)
find_package(Torch REQUIRED)
define_extension_target(_C DESTINATION ops LANGUAGE CUDA SOURCES csrc/ops.cpp csrc/ops.cu USE_SABI 3)
define_extension_target(_moe_C DESTINATION ops LANGUAGE CUDA SOURCES csrc/ops.cpp)
"""
DEEPGEMM = """\
import ast, os, re, setuptools, shutil, subprocess, sys, torch, platform, urllib
from setuptools import find_packages
from setuptools.command.build_py import build_py
from pathlib import Path
from torch.utils.cpp_extension import CUDAExtension, CUDA_HOME
from wheel.bdist_wheel import bdist_wheel as _bdist_wheel

cxx_flags = ["-std=c++17", "-O3", "-fPIC", "-Wno-psabi", "-Wno-deprecated-declarations", f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"]
current_dir = os.path.dirname(os.path.realpath(__file__))
sources = ["csrc/ops.cpp"]
build_include_dirs = [f"{CUDA_HOME}/include", f"{CUDA_HOME}/include/cccl", "csrc/include"]
build_libraries = ["cudart", "nvrtc"]
build_library_dirs = [f"{CUDA_HOME}/lib64", f"{CUDA_HOME}/lib64/stubs"]


def get_package_version():
    revision = ""
    try:
        subprocess.run(["git", "status", "--porcelain"], stdout=subprocess.PIPE)
        revision = "+" + subprocess.check_output(["git", "rev-parse", "--short", "HEAD"]).decode("ascii").rstrip()
    except Exception:
        revision = "+local"
    return "2.1.0" + revision


class CustomBuildPy(build_py):
    def run(self):
        self.prepare_includes()
        self.generate_default_envs()
        build_py.run(self)

    def generate_default_envs(self):
        code = "# Pre-installed environment variables\\n"
        with open(os.path.join(self.build_lib, "ops", "envs.py"), "w") as f:
            f.write(code)

    def prepare_includes(self):
        shutil.copytree("third-party/include", os.path.join(self.build_lib, "ops/include"))


setuptools.setup(name="ops", version=get_package_version(), packages=find_packages("."), package_data={"ops": ["include/**/*"]},
    ext_modules=[CUDAExtension(name="ops._C", sources=sources, include_dirs=build_include_dirs, libraries=build_libraries,
                 library_dirs=build_library_dirs, extra_compile_args=cxx_flags)],
    zip_safe=False, cmdclass={"build_py": CustomBuildPy})
"""
KITTENS = """\
import subprocess, os, sys
from setuptools import setup, find_packages
from torch.utils.cpp_extension import BuildExtension, CUDAExtension
import config_kernels

target = config_kernels.target.lower()
kernels = config_kernels.kernels
cuda_flags = ["-DNDEBUG", "-Xcompiler=-Wno-psabi", "-Xcompiler=-fno-strict-aliasing", "--expt-extended-lambda", "-forward-unknown-to-host-compiler",
              "--use_fast_math", "-std=c++20", "-O3", "-Xnvlink=--verbose", "-Xptxas=--verbose", "-lineinfo"]
python_include = subprocess.check_output(["python3-config", "--includes"]).decode().strip().split()
torch_include = subprocess.check_output([sys.executable, "-c", "import torch; from torch.utils.cpp_extension import include_paths; print(' '.join('-I' + p for p in include_paths()))"]).decode().strip().split()
if target == "h100":
    cuda_flags += ["-DKITTENS_HOPPER", "-arch=sm_90a"]
cuda_flags += [f"-DCOMPILE_{k.upper()}" for k in kernels]
setup(name="ops", ext_modules=[CUDAExtension("ops_C", sources=["csrc/ops.cpp"] + [f"csrc/{k}.cu" for k in kernels],
      extra_compile_args={"cxx": ["-std=c++20", "-O3"] + [f"-DCOMPILE_{k.upper()}" for k in kernels], "nvcc": cuda_flags + torch_include + python_include},
      include_dirs=["include"], libraries=["cuda"])], cmdclass={"build_ext": BuildExtension})
"""
SCATTER = """\
import glob, os, os.path as osp, platform, sys
from itertools import product
import torch
from setuptools import find_packages, setup
from torch.__config__ import parallel_info
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

__version__ = "2.1.2"
WITH_CUDA = False
if torch.cuda.is_available():
    WITH_CUDA = CUDA_HOME is not None or torch.version.hip
suffices = ["cpu", "cuda"] if WITH_CUDA else ["cpu"]
if os.getenv("FORCE_CUDA", "0") == "1":
    suffices = ["cuda", "cpu"]
if os.getenv("FORCE_ONLY_CUDA", "0") == "1":
    suffices = ["cuda"]
WITH_SYMBOLS = os.getenv("WITH_SYMBOLS", "0") == "1"


def get_extensions():
    extensions = []
    extensions_dir = osp.join("csrc")
    for main, suffix in product(glob.glob(osp.join(extensions_dir, "*.cpp")), suffices):
        define_macros, extra_compile_args = [("WITH_PYTHON", None)], {"cxx": ["-O3"]}
        if not os.name == "nt":
            extra_compile_args["cxx"] += ["-Wno-sign-compare"]
        extra_link_args = [] if WITH_SYMBOLS else ["-s"]
        info = parallel_info()
        if "backend: OpenMP" in info and "OpenMP not found" not in info and sys.platform != "darwin":
            extra_compile_args["cxx"] += ["-DAT_PARALLEL_OPENMP", "-fopenmp"]
        if suffix == "cuda":
            define_macros += [("WITH_CUDA", None)]
            nvcc_flags = os.getenv("NVCC_FLAGS", "")
            nvcc_flags = [] if nvcc_flags == "" else nvcc_flags.split(" ")
            extra_compile_args["nvcc"] = nvcc_flags + ["-O3"]
        name = main.split(os.sep)[-1][:-4]
        sources = [main]
        for path in (osp.join(extensions_dir, "cpu", f"{name}_cpu.cpp"), osp.join(extensions_dir, "cuda", f"{name}_cuda.cu")):
            if osp.exists(path) and (suffix == "cuda" or "cpu" in path):
                sources += [path]
        Extension = CppExtension if suffix == "cpu" else CUDAExtension
        extensions += [Extension(f"ops._{name}_{suffix}", sources, include_dirs=[extensions_dir], define_macros=define_macros,
                                 undef_macros=["NDEBUG"], extra_compile_args=extra_compile_args, extra_link_args=extra_link_args)]
    return extensions


include_package_data = True
setup(name="ops", version=__version__, packages=find_packages(), install_requires=[], extras_require={"test": ["pytest"]},
      ext_modules=get_extensions(), cmdclass={"build_ext": BuildExtension.with_options(no_python_abi_suffix=True, use_ninja=False)},
      include_package_data=include_package_data)
"""
SPARSE = SCATTER.replace(
    "include_dirs=[extensions_dir]",
    'include_dirs=[extensions_dir, osp.join(osp.dirname(osp.abspath(__file__)), "third_party", "parallel-hashmap")]',
).replace(
    'if suffix == "cuda":',
    'define_macros += [("WITH_METIS", None)] if os.getenv("WITH_METIS") else []\n        if suffix == "cuda":',
)
MINKOWSKI = """\
import sys, codecs, os, re, subprocess, warnings
from pathlib import Path
from sys import argv, platform
from setuptools import setup
import torch
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

if platform == "win32":
    raise ImportError("Windows is currently not supported.")


def _argparse(pattern, argv, is_flag=True, is_list=False):
    if is_flag:
        found = pattern in argv
        if found:
            argv.remove(pattern)
        return found, argv
    arr = [arg for arg in argv if pattern == arg.split("=")[0]]
    if is_list:
        return (arr[0].split("=")[1].split(","), argv) if arr else (False, argv)
    return (arr[0].split("=")[1], argv) if arr else (False, argv)


def uname():
    return os.uname().sysname


CPU_ONLY, argv = _argparse("--cpu_only", argv)
FORCE_CUDA, argv = _argparse("--force_cuda", argv)
BLAS, argv = _argparse("--blas", argv, False)
if not torch.cuda.is_available() and not FORCE_CUDA:
    CPU_ONLY = True
BLAS_LIST = ["flexiblas", "openblas", "mkl", "blas"]
libraries, CC_FLAGS, NVCC_FLAGS = [], [], []
if not BLAS:
    import numpy.distutils.system_info as sysinfo

    for blas in BLAS_LIST:
        if "libraries" in sysinfo.get_info(blas):
            libraries += sysinfo.get_info(blas)["libraries"]
            break
    else:
        raise ImportError("BLAS not found")
if "darwin" in platform:
    raise RuntimeError
CC_FLAGS += ["-fopenmp"]
COMPILE = {"cxx": CC_FLAGS, "nvcc": NVCC_FLAGS + ["--expt-relaxed-constexpr", "--expt-extended-lambda"]}
setup(name="ops", version="0.5.4", packages=["ops"], package_dir={"ops": "./ops"}, install_requires=["torch", "numpy"],
      ext_modules=[CUDAExtension(name="ops_backend._C", sources=["csrc/ops.cpp", "csrc/ops.cu"], include_dirs=["./csrc", "./csrc/3rdparty"],
                   extra_compile_args=COMPILE, libraries=libraries)],
      include_dirs=["./"], cmdclass={"build_ext": BuildExtension.with_options(use_ninja=True)}, include_package_data=True)
"""
FAIRSEQ = """\
import os, subprocess, sys
from setuptools import Extension, find_packages, setup
from torch.utils import cpp_extension


def write_version_py():
    with open(os.path.join("ops", "version.txt")) as f:
        version = f.read().strip()
    with open(os.path.join("ops", "version.py"), "w") as f:
        f.write('__version__ = "{}"\\n'.format(version))
    return version


version = write_version_py()
extra_compile_args = ["-stdlib=libc++", "-O3"] if sys.platform == "darwin" else ["-std=c++17", "-O3"]


class NumpyExtension(Extension):
    def __init__(self, *args, **kwargs):
        self.__include_dirs = []
        super().__init__(*args, **kwargs)

    @property
    def include_dirs(self):
        import numpy

        return self.__include_dirs + [numpy.get_include()]

    @include_dirs.setter
    def include_dirs(self, dirs):
        self.__include_dirs = dirs


extensions = [Extension("ops.libbleu", sources=["csrc/bleu.cpp"], extra_compile_args=extra_compile_args),
              NumpyExtension("ops.data_utils_fast", sources=["ops/data_utils_fast.pyx"], language="c++", extra_compile_args=extra_compile_args)]
if "CUDA_HOME" in os.environ:
    extensions += [cpp_extension.CppExtension("ops.libnat_cuda", sources=["csrc/ops.cu", "csrc/ops.cpp"])]
cmdclass = {"build_ext": cpp_extension.BuildExtension}
if "clean" in sys.argv[1:]:
    print("deleting Cython files...")
    subprocess.run(["rm -f ops/*.so"], shell=True)
try:
    if "build_ext" not in sys.argv[1:]:
        ops_examples = os.path.join("ops", "examples")
        if not os.path.exists(ops_examples):
            os.symlink(os.path.join("..", "examples"), ops_examples)
    setup(name="ops", version=version, setup_requires=["cython", "setuptools>=18.0"], install_requires=["cffi", "cython", "numpy>=1.21.3"],
          packages=find_packages(exclude=["examples", "examples.*", "scripts"]), ext_modules=extensions, test_suite="tests", cmdclass=cmdclass)
finally:
    if os.path.islink(ops_examples):
        os.unlink(ops_examples)
"""
KAOLIN = """\
import copy, os, sys, logging, warnings, glob
from setuptools import setup, find_packages
from pkg_resources import parse_version

TORCH_MAX_VER = "2.12.99"
if not os.getenv("IGNORE_TORCH_VER"):
    import torch

    if parse_version(torch.__version__.split("+")[0]) > parse_version(TORCH_MAX_VER):
        raise ImportError(f"needs PyTorch <= {TORCH_MAX_VER}, but found version {torch.__version__}.")
import importlib.util

cython_missing = importlib.util.find_spec("Cython") is None
import numpy as np
from Cython.Build import cythonize
from torch.utils.cpp_extension import BuildExtension, CUDAExtension, CppExtension, CUDA_HOME

if not torch.cuda.is_available() and os.getenv("FORCE_CUDA", "0") != "1":
    logging.warning("no GPU")
try:
    cuda_capability = torch.cuda._is_compiled()
except Exception:
    raise
cwd = os.path.dirname(os.path.abspath(__file__))
bare = torch.utils.cpp_extension._find_cuda_home()
ext_modules = [CUDAExtension(name="ops._C", sources=sorted(glob.glob("csrc/**/*.c*", recursive=True)), include_dirs=[os.path.join(cwd, "csrc")],
               define_macros=[("WITH_CUDA", None)], extra_compile_args={"cxx": ["-O3"], "nvcc": ["-O3", "-DWITH_CUDA", "-DTHRUST_IGNORE_CUB_VERSION_CHECK"]})]
ext_modules += cythonize([__import__("setuptools").Extension("ops.tri", sources=["ops/tri.pyx"], include_dirs=[np.get_include()])])
setup(name="ops", version="0.19", packages=find_packages(exclude=("docs", "tests", "examples")), zip_safe=False,
      ext_modules=ext_modules, cmdclass={"build_ext": BuildExtension})
"""
SPCONV = """\
import os
from pathlib import Path
import pccm
from pccm.extension import ExtCallback, PCCMBuild, PCCMExtension
from setuptools import setup

if pccm.constants.USE_CUDA:
    cus = [1]
setup(name="ops", version="2.3", ext_modules=[PCCMExtension(cus, "ops/core_cc", Path("ops"))], cmdclass={"build_ext": PCCMBuild})
"""
TRT = """\
import os, sys, platform, torch
import tensorrt
from setuptools import setup, find_packages
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

base = tensorrt.ICudaEngine


def trt_inc_dir():
    return "/usr/include/aarch64-linux-gnu" if platform.machine() == "aarch64" else "/usr/include/x86_64-linux-gnu"


plugins_ext_module = CUDAExtension(name="plugins", sources=["csrc/ops.cpp", "csrc/ops.cu"], include_dirs=[trt_inc_dir()],
    library_dirs=["/usr/lib/x86_64-linux-gnu"], libraries=["nvinfer"],
    extra_compile_args={"cxx": ["-DUSE_DEPRECATED"] if False else [], "nvcc": []})
setup(name="ops", version="0.5.0", description="TensorRT plugins", packages=find_packages(), ext_package="ops", ext_modules=[plugins_ext_module],
      cmdclass={"build_ext": BuildExtension})
"""
TORCHSPARSE = """\
import glob, os, torch, torch.cuda
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

version_file = open("./ops/version.py")
version = version_file.read().split("'")[1]
if (torch.cuda.is_available() and CUDA_HOME is not None) or (os.getenv("FORCE_CUDA", "0") == "1"):
    device = "cuda"
    pybind_fn = f"pybind_{device}.cu"
else:
    device = "cpu"
    pybind_fn = f"pybind_{device}.cpp"
sources = [os.path.join("csrc", pybind_fn)]
for fpath in glob.glob(os.path.join("csrc", "**", "*")):
    if (fpath.endswith("_cpu.cpp") and device in ["cpu", "cuda"]) or (fpath.endswith("_cuda.cu") and device == "cuda"):
        sources.append(fpath)
extension_type = CUDAExtension if device == "cuda" else CppExtension
setup(name="ops", version=version, packages=find_packages(), install_requires=["numpy", "backports.cached_property", "typing-extensions"],
      ext_modules=[extension_type("ops.backend", sources, extra_compile_args={"cxx": ["-g", "-O3", "-fopenmp", "-lgomp"], "nvcc": ["-O3", "-std=c++17"]})],
      cmdclass={"build_ext": BuildExtension}, zip_safe=False, dependency_links=[])
"""
GPTQ = """\
import os, subprocess, sys, torch
from pathlib import Path
from distutils.sysconfig import get_python_lib
from setuptools import find_packages, setup
from torch.utils import cpp_extension

os.environ["CC"] = "g++"
BUILD_CUDA_EXT = int(os.environ.get("BUILD_CUDA_EXT", "1")) == 1
if os.environ.get("GENERATE", "0") == "1":
    subprocess.check_output([sys.executable, "./csrc/generate.py", "--module"])
if BUILD_CUDA_EXT and torch.version.hip is None and not torch.cuda.is_available():
    sys.exit("no GPU")
include_dirs = ["csrc"]
conda_cuda_include_dir = os.path.join(get_python_lib(), "nvidia/cuda_runtime/include")
if os.path.isdir(conda_cuda_include_dir):
    include_dirs.append(conda_cuda_include_dir)
p = int(subprocess.run("cat /proc/cpuinfo | grep cores | head -1", shell=True, check=True, text=True, stdout=subprocess.PIPE).stdout.split(" ")[-1] or 1)
setup(name="ops", version="0.8.0", packages=find_packages(), install_requires=["accelerate>=0.26.0", "tqdm"], include_dirs=include_dirs,
      extras_require={"triton": ["triton==2.0.0"]}, ext_modules=[cpp_extension.CUDAExtension("ops_cuda_64", ["csrc/ops.cpp", "csrc/ops.cu"])],
      cmdclass={"build_ext": cpp_extension.BuildExtension})
"""
LLM_AWQ = """\
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension, CppExtension

extra_compile_args = {"cxx": ["-g", "-O3", "-fopenmp", "-lgomp", "-std=c++17", "-DENABLE_BF16"],
                      "nvcc": ["-O3", "-std=c++17", "-DENABLE_BF16", "-U__CUDA_NO_HALF_OPERATORS__", "--expt-relaxed-constexpr", "--threads=8"]}
setup(name="inference_engine", packages=find_packages(), ext_modules=[CUDAExtension(name="inference_engine", sources=["csrc/ops.cpp", "csrc/ops.cu"],
      extra_compile_args=extra_compile_args)], cmdclass={"build_ext": BuildExtension}, install_requires=["torch"])
"""
TORCHAO = """\
import glob, os, subprocess, sys, time
from setuptools import Extension, find_packages, setup
import torch
from torch.utils.cpp_extension import CUDA_HOME, IS_WINDOWS, ROCM_HOME, BuildExtension, CppExtension, CUDAExtension, _get_cuda_arch_flags

cwd = os.path.abspath(os.path.curdir)
folders = [os.path.join(cwd, "third_party", "cutlass")]
if all(not os.path.exists(f) or not os.listdir(f) for f in folders):
    subprocess.check_call(["git", "submodule", "update", "--init", "--recursive"], cwd=cwd)
for folder in folders:
    if not os.path.exists(os.path.join(folder, "LICENSE.txt")):
        print("Did you run 'git submodule update --init --recursive'?")
        sys.exit(1)


class TorchAOBuildExt(BuildExtension):
    def build_extensions(self):
        super().build_extensions()


flags = _get_cuda_arch_flags()
sources = sorted(glob.glob(os.path.join("csrc", "*.cpp")) + glob.glob(os.path.join("csrc", "*.cu")))
setup(name="ops", version="0.15", packages=find_packages(exclude=["benchmarks", "benchmarks.*"]), include_package_data=True,
      ext_modules=[CUDAExtension("ops._C", sources, py_limited_api=True, include_dirs=[os.path.join(folders[0], "include")], extra_link_args=[],
                   extra_compile_args={"cxx": ["-DPy_LIMITED_API=0x030A0000", "-O3", "-fdiagnostics-color=always"], "nvcc": ["-O3", "-t=0", "-std=c++17"] + flags})],
      cmdclass={"build_ext": TorchAOBuildExt}, options={"bdist_wheel": {"py_limited_api": "cp310"}})
"""
MODERN = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(ext_modules=[CUDAExtension("ops._C", ["csrc/ops.cpp", "csrc/ops.cu"])], cmdclass={"build_ext": BuildExtension})
"""
MODERN_PYPROJECT = """\
[build-system]
requires = ["setuptools>=64", "setuptools_scm>=8", "torch", "ninja"]
build-backend = "setuptools.build_meta"

[project]
name = "ops"
dynamic = ["version"]
requires-python = ">=3.10"
dependencies = ["torch", "numpy"]

[tool.setuptools]
include-package-data = false

[tool.setuptools.packages.find]
where = ["src"]
exclude = ["ops.testing*"]

[tool.setuptools.package-data]
ops = ["*.json"]

[tool.setuptools.dynamic]
version = { attr = "ops.__version__" }
"""
PYBIND = """\
from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

ParallelCompile("NPY_NUM_BUILD_JOBS").install()
setup(name="ops", version="0.0.1", packages=["ops"], ext_modules=[Pybind11Extension("ops._core", ["csrc/main.cpp"], define_macros=[("VERSION_INFO", "1")], cxx_std=17)],
      extras_require={"test": "pytest"}, cmdclass={"build_ext": build_ext}, zip_safe=False)
"""
GENERATED = """\
import os
from multiprocessing import Pool
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension


def write(size):
    os.makedirs("csrc/generated", exist_ok=True)
    path = f"csrc/generated/kernel_{size}.cu"
    with open(path, "w") as file:
        file.write(f"template void launch<{size}>();")
    return path


if __name__ == "__main__":
    with Pool(2) as pool:
        sources = pool.map(write, [32, 64, 128])
    setup(name="ops", version="1", ext_modules=[CUDAExtension("ops._C", sources)], cmdclass={"build_ext": BuildExtension})
"""
SKBUILD = """\
from skbuild import setup
from setuptools import find_packages

setup(name="ops", version="2.0", packages=find_packages(), cmake_install_dir="ops", cmake_args=["-DWITH_FP8=ON", "-DCMAKE_BUILD_TYPE=Release"],
      cmake_source_dir="cpp", python_requires=">=3.10")
"""
MODULE_CMAKE = """\
cmake_minimum_required(VERSION 3.18)
project(ops LANGUAGES CXX CUDA)
# pybind11_add_module(_old old.cpp)
find_package(pybind11 CONFIG REQUIRED)
pybind11_add_module(_C
  module.cpp
  kernels.cu)
install(TARGETS _C DESTINATION ops)
"""
CMAKE_PYPROJECT = """\
[build-system]
requires = ["scikit-build-core", "pybind11"]
build-backend = "scikit_build_core.build"

[project]
name = "ops"
version = "1.0"
requires-python = ">=3.10"
"""
VERSIONEER = """\
import versioneer
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

commands = versioneer.get_cmdclass()
commands["build_ext"] = BuildExtension
setup(version=versioneer.get_version(), cmdclass=commands, ext_modules=[CUDAExtension("ops._C", ["csrc/ops.cpp", "csrc/ops.cu"])])
"""
VERSIONEER_MODULE = """\
import subprocess


def get_version():
    done = subprocess.Popen(["git", "describe", "--tags", "--dirty", "--always", "--long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, _ = done.communicate()
    return "1.2.3"


def get_cmdclass():
    from setuptools import Command
    from setuptools.command.build_py import build_py as _build_py
    from setuptools.command.sdist import sdist as _sdist

    class cmd_build_py(_build_py):
        def run(self):
            _build_py.run(self)
            with open(self.build_lib + "/ops/_version.py", "w") as f:
                f.write("x")

    class cmd_sdist(_sdist):
        pass

    return {"build_py": cmd_build_py, "sdist": cmd_sdist, "version": type("cmd_version", (Command,), {})}
"""
VERSIONEER_CFG = """\
[metadata]
name = ops
[options]
packages = find:
package_dir =
    = src
[options.packages.find]
where = src
exclude =
    ops.tests*
[options.package_data]
ops = *.json
"""
CMAKE_FILES = {
    "cpp/CMakeLists.txt": MODULE_CMAKE,
    "cpp/module.cpp": "#include <pybind11/pybind11.h>\nPYBIND11_MODULE(_C, m) {}\n",
    "cpp/kernels.cu": KERNEL,
    "ops/__init__.py": "",
}
SHAPES = [
    Shape(
        "apex",
        APEX,
        {"amp_C": {"nvcc-flags": ["--use_fast_math"]}, "ops_C": {"abi": "compat"}},
        left=("-lineinfo",),
        files={**FILES, "csrc/flatten.cpp": CLASSIC},
        arguments=("--cpp_ext", "--cuda_ext", "--parallel", "2"),
    ),
    Shape(
        "natten",
        NATTEN,
        {"ops.lib": {"sources": None}},
        {"cmake": "csrc/CMakeLists.txt"},
        left=("add_library(natten)", "find_package(Torch)", "build_ext by BuildExtension"),
        files={
            "csrc/CMakeLists.txt": NATTEN_CMAKE,
            "csrc/src/a.cpp": OPERATORS,
            "csrc/src/a.cu": KERNEL,
            "ops/__init__.py": "",
        },
    ),
    Shape(
        "exllamav2",
        EXLLAMA,
        {"ops_ext": {"libraries": None}},
        files={
            **FILES,
            "ops/version.py": '__version__ = "0.2.7"\n',
            "ops/generator/__init__.py": "",
            "requirements.txt": "pandas\nninja\n",
        },
    ),
    Shape(
        "autoawq-kernels",
        AWQ,
        {"ops_ext": {"nvcc-flags": ["--expt-extended-lambda", "-DENABLE_BF16"]}},
        {"archs": ["7.5", "8.0", "8.6", "8.7", "8.9", "9.0"]},
        left=("version +cu130", "-g"),
        files={**FILES, "README.md": "# ops\n"},
    ),
    Shape(
        "deepspeed",
        DEEPSPEED,
        {"ops.fused_op": {"include-dirs": ["csrc/includes"]}},
        left=("writes ops/git_version_info_installed.py", "scripts"),
        files={
            **FILES,
            "version.txt": "0.16\n",
            "op_builder/__init__.py": "",
            "op_builder/all_ops.py": 'from op_builder.builder import Builder\n\nALL_OPS = {"fused": Builder()}\n',
            "op_builder/builder.py": BUILDER,
            "csrc/includes/a.h": "",
            "bin/run": "",
        },
        environ={"BUILD_OPS": "1"},
    ),
    Shape(
        "tiny-cuda-nn",
        TINY,
        left=("src/common.cu", "src/encoding.cu"),
        files={
            "bindings/torch/ops/__init__.py": "",
            "bindings/torch/ops/bindings.cpp": "",
            "src/common.cu": KERNEL,
            "src/encoding.cu": KERNEL,
            "include/a.h": "",
            ".git/HEAD": "",
        },
        folder="bindings/torch",
        refused="",
    ),
    Shape(
        "xformers",
        XFORMERS,
        {"ops._C": {"abi": None, "python": None}},
        wheel={"exclude": ["*.cpp", "*.cu"]},
        left=("build_ext by BuildExtensionWithExtraFiles", "cpp_lib.json, which a command of setup.py writes"),
        files={
            "ops/__init__.py": "",
            "ops/_cpp_lib.py": 'import json\n\nFILE = "cpp_lib.json"\n',
            "ops/csrc/a.cpp": STABLE,
            "ops/csrc/a.cu": KERNEL,
            "requirements.txt": "# needed\ntorch >= 2.10\nnumpy\n",
        },
    ),
    Shape(
        "bitsandbytes",
        BNB,
        {"ops.bnb_cuda": {"abi": "none"}},
        {"cmake": "CMakeLists.txt"},
        left=("add_library(bnb_cuda)", "set(CMAKE_CUDA_ARCHITECTURES)", "build_py by ExtBuildPy"),
        files={
            "CMakeLists.txt": BNB_CMAKE,
            "csrc/cpu.cpp": "",
            "csrc/interface.cpp": "",
            "csrc/ops.cu": KERNEL,
            "ops/__init__.py": "",
        },
    ),
    Shape(
        "vllm",
        VLLM,
        {"ops._C": {"sources": None}, "ops._moe_C": {}},
        {"cmake": "CMakeLists.txt"},
        left=("define_extension_target(_C)", "find_package(Torch)", "version by setuptools_scm"),
        files={
            "CMakeLists.txt": VLLM_CMAKE,
            "csrc/ops.cpp": OPERATORS,
            "csrc/ops.cu": KERNEL,
            "ops/__init__.py": "",
            "ops/envs.py": 'DEVICE = "cuda"\n',
        },
    ),
    Shape(
        "deepgemm",
        DEEPGEMM,
        {"ops._C": {"abi": "compat", "include-dirs": ["csrc/include"]}},
        left=("build_py by CustomBuildPy", "envs.py, which a command of setup.py writes"),
        files={
            "csrc/ops.cpp": '#include "api.h"\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n',
            "csrc/include/api.h": "",
            "csrc/api.h": "#include <torch/python.h>\n",
            "ops/__init__.py": 'ENVS = "envs.py"\n',
            "third-party/include/a.h": "",
        },
    ),
    Shape(
        "thunderkittens",
        KITTENS,
        {"ops_C": {"std": "c++20"}},
        {"archs": ["9.0a+PTX"]},
        left=("-lineinfo",),
        files={
            "csrc/ops.cpp": CLASSIC,
            "csrc/attn.cu": KERNEL,
            "include/kittens.cuh": "",
            "config_kernels.py": 'target = "h100"\nkernels = ["attn"]\n',
        },
    ),
    Shape(
        "torch-scatter",
        SCATTER,
        {
            "ops._version_cuda": {"defines": ["WITH_PYTHON", "WITH_CUDA", "AT_PARALLEL_OPENMP"]},
            "ops._scatter_cuda": {
                "sources": ["csrc/cpu/scatter_cpu.cpp", "csrc/cuda/scatter_cuda.cu", "csrc/scatter.cpp"]
            },
            "ops._scatter_cpu": {},
            "ops._version_cpu": {},
        },
        files={
            "csrc/version.cpp": OPERATORS,
            "csrc/scatter.cpp": OPERATORS,
            "csrc/cpu/scatter_cpu.cpp": "",
            "csrc/cuda/scatter_cuda.cu": KERNEL,
            "ops/__init__.py": "",
        },
    ),
    Shape(
        "torch-sparse",
        SPARSE,
        {"ops._spmm_cuda": {"include-dirs": ["csrc"]}, "ops._spmm_cpu": {}},
        left=("third_party/parallel-hashmap",),
        files={"csrc/spmm.cpp": OPERATORS, "csrc/cuda/spmm_cuda.cu": KERNEL, "ops/__init__.py": ""},
        environ={"FORCE_CUDA": "1"},
    ),
    Shape(
        "minkowski-engine",
        MINKOWSKI,
        {"ops_backend._C": {"include-dirs": ["csrc", "csrc/3rdparty"]}},
        left=("library flexiblas",),
        files={**FILES, "csrc/3rdparty/a.h": ""},
        arguments=("--force_cuda",),
    ),
    Shape(
        "fairseq",
        FAIRSEQ,
        {"ops.libbleu": {"abi": "none"}, "ops.libnat_cuda": {"abi": "compat"}},
        left=("writes ops/version.py", "writes ops/examples", "ops/data_utils_fast.pyx"),
        files={
            **FILES,
            "csrc/bleu.cpp": 'extern "C" int bleu() { return 1; }\n',
            "ops/version.txt": "0.12\n",
            "ops/data_utils_fast.pyx": "",
            "examples/__init__.py": "",
        },
    ),
    Shape(
        "kaolin",
        KAOLIN,
        {"ops._C": {"include-dirs": ["csrc"]}},
        {"torch": "==2.12.*"},
        left=("torch newer than 2.12", "ops/tri.pyx"),
        files={**FILES, "ops/tri.pyx": ""},
    ),
    Shape("spconv", SPCONV, refused="install pccm"),
    Shape(
        "torch2trt",
        TRT,
        {"ops.plugins": {"libraries": None}},
        left=("imports tensorrt", "library nvinfer", "/usr/include/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"),
    ),
    Shape(
        "torchsparse",
        TORCHSPARSE,
        {"ops.backend": {"sources": ["csrc/conv/conv_cpu.cpp", "csrc/conv/conv_cuda.cu", "csrc/pybind_cuda.cu"]}},
        files={
            "csrc/pybind_cuda.cu": CLASSIC,
            "csrc/conv/conv_cpu.cpp": "",
            "csrc/conv/conv_cuda.cu": KERNEL,
            "ops/__init__.py": "",
            "ops/version.py": "__version__ = '2.1.0'\n",
        },
    ),
    Shape("auto-gptq", GPTQ, {"ops_cuda_64": {"abi": "compat"}}),
    Shape(
        "llm-awq",
        LLM_AWQ,
        {"inference_engine": {"defines": ["ENABLE_BF16"]}},
        files={"csrc/ops.cpp": CLASSIC, "csrc/ops.cu": KERNEL},
    ),
    Shape(
        "torchao",
        TORCHAO,
        {"ops._C": {"python": None, "include-dirs": ["third_party/cutlass/include"]}},
        left=("build_ext by TorchAOBuildExt",),
        files={
            "csrc/a.cpp": STABLE,
            "csrc/a.cu": KERNEL,
            "ops/__init__.py": "",
            "third_party/cutlass/LICENSE.txt": "",
            "third_party/cutlass/include/a.h": "",
        },
    ),
    Shape(
        "pyproject-and-setup-py",
        MODERN,
        {"ops._C": {}},
        {"dependencies": ["numpy"]},
        {"exclude": ["*.txt", "/ops/testing/"]},
        ("build-system.requires setuptools_scm>=8",),
        {
            **FILES,
            "pyproject.toml": MODERN_PYPROJECT,
            "src/ops/__init__.py": '__version__ = "4.2"\n',
            "src/ops/testing/__init__.py": "",
            "src/ops/a.json": "{}",
            "src/ops/a.txt": "",
        },
    ),
    Shape(
        "pybind11",
        PYBIND,
        {
            "ops._core": {
                "abi": "none",
                "python": "version",
                "defines": ["VERSION_INFO=1"],
                "include-packages": ["pybind11/pybind11/include"],
            }
        },
        files={
            "csrc/main.cpp": "#include <pybind11/pybind11.h>\nPYBIND11_MODULE(_core, m) {}\n",
            "ops/__init__.py": "",
        },
    ),
    Shape("generated-sources", GENERATED, refused="there is no such file"),
    Shape(
        "skbuild",
        SKBUILD,
        {"ops._C": {"abi": "none", "python": "version"}},
        {"cmake": "cpp/CMakeLists.txt"},
        left=("pybind11_add_module(_C)",),
        files=CMAKE_FILES,
    ),
    Shape(
        "cmake-alone",
        None,
        {"ops._C": {"abi": "none", "python": "version"}},
        {"cmake": "CMakeLists.txt"},
        left=("pybind11_add_module(_C)", "no find_package(GpuWheel)"),
        files={
            "CMakeLists.txt": MODULE_CMAKE,
            "pyproject.toml": CMAKE_PYPROJECT,
            "module.cpp": CMAKE_FILES["cpp/module.cpp"],
            "kernels.cu": KERNEL,
            "ops/__init__.py": "",
        },
    ),
    Shape(
        "versioneer",
        VERSIONEER,
        {"ops._C": {}},
        wheel={"exclude": ["/ops/tests/"]},
        left=("build_py by cmd_build_py",),
        files={
            "csrc/ops.cpp": CLASSIC,
            "csrc/ops.cu": KERNEL,
            "versioneer.py": VERSIONEER_MODULE,
            "setup.cfg": VERSIONEER_CFG,
            "src/ops/__init__.py": "",
            "src/ops/tests/__init__.py": "",
        },
    ),
]
