"""Attention and state-space kernels: flags by the version of nvcc, wheels that may be fetched, packages left out."""

from __future__ import annotations

from shapes.shape import FILES, KERNEL, STABLE, Shape

__all__ = ["SHAPES"]

_VERSION = """\
import os, re, subprocess, sys, platform, shutil, warnings, urllib.request, urllib.error, ast, functools
from pathlib import Path
import torch
from packaging.version import Version, parse
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from torch.utils import cpp_extension
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension, CUDA_HOME
from wheel.bdist_wheel import bdist_wheel as _bdist_wheel

here = os.path.dirname(os.path.abspath(__file__))


def nvcc_version(folder):
    raw = subprocess.check_output([folder + "/bin/nvcc", "-V"], universal_newlines=True).split()
    return parse(raw[raw.index("release") + 1].split(",")[0])


class CachedWheel(_bdist_wheel):
    def run(self):
        try:
            urllib.request.urlretrieve("https://example.org/a.whl", "a.whl")
            shutil.move("a.whl", self.dist_dir)
        except urllib.error.HTTPError:
            super().run()


class Ninja(BuildExtension):
    def __init__(self, *arguments, **keywords):
        if not os.environ.get("MAX_JOBS"):
            import psutil

            os.environ["MAX_JOBS"] = str(psutil.cpu_count())
        super().__init__(*arguments, **keywords)

"""
FLASH = (
    _VERSION
    + """
if os.path.isdir(".git"):
    subprocess.run(["git", "submodule", "update", "--init", "csrc/cutlass"], check=True)
else:
    assert os.path.exists("csrc/cutlass/include/cutlass/cutlass.h"), "csrc/cutlass is missing"
gencode = ["-gencode", "arch=compute_80,code=sm_80"]
if nvcc_version(CUDA_HOME) >= Version("11.8"):
    gencode += ["-gencode", "arch=compute_90,code=sm_90"]
if nvcc_version(CUDA_HOME) >= Version("12.9"):
    gencode += ["-gencode", "arch=compute_120f,code=sm_120", "-gencode", "arch=compute_120,code=compute_120"]
generator = "1.0.post1"
setup(
    name="flash_ops",
    version=generator + os.getenv("LOCAL_VERSION", ""),
    packages=find_packages(exclude=("build", "csrc", "tests", "benchmarks", "ops.cute", "ops.cute.*")),
    long_description=open("README.md").read(),
    ext_modules=[CUDAExtension(
        name="flash_ops_cuda",
        sources=["csrc/ops.cpp", "csrc/ops.cu"],
        extra_compile_args={
            "cxx": ["-O3", "-std=c++17"],
            "nvcc": ["-O3", "-std=c++17", "-U__CUDA_NO_HALF_OPERATORS__", "--expt-extended-lambda", "--use_fast_math",
                     "--threads", os.getenv("NVCC_THREADS") or "4"] + gencode,
        },
        include_dirs=[Path(here) / "csrc" / "cutlass" / "include"],
    )],
    cmdclass={"bdist_wheel": CachedWheel, "build_ext": Ninja},
    python_requires=">=3.9",
    install_requires=["torch", "einops"],
    setup_requires=["packaging", "psutil", "ninja"],
)
"""
)
HOPPER = """\
import os, sys, torch
from setuptools import setup, find_packages
from torch.utils.cpp_extension import (
    IS_HIP_EXTENSION, COMMON_HIP_FLAGS, SUBPROCESS_DECODE_ARGS, IS_WINDOWS, get_cxx_compiler, _join_rocm_home,
    _join_cuda_home, _is_cuda_file, _maybe_write, BuildExtension, CUDAExtension)

NO_FP8 = os.getenv("DISABLE_FP8", "FALSE") == "TRUE"


def _write_ninja_file(path, cflags, post_cflags, *rest):
    _maybe_write(path, "\\n".join(cflags))


torch.utils.cpp_extension._write_ninja_file = _write_ninja_file
with open("ops/config.py", "w") as file:
    file.write(f"CONFIG = {dict(fp8=not NO_FP8)!r}\\n")
sources = [f"csrc/fwd_hdim{d}_sm90.cu" for d in (64, 128)] + ["csrc/api.cpp"]
setup(
    name="ops", version="3.0", packages=["ops"],
    ext_modules=[CUDAExtension(
        "ops._C", sources, py_limited_api=True,
        extra_compile_args={
            "cxx": ["-O3", "-std=c++17", "-DPy_LIMITED_API=0x03090000"],
            "nvcc": ["-std=c++17", "--ftemplate-backtrace-limit=0", "-DNDEBUG", "-DCUTLASS_ENABLE_GDC_FOR_SM90",
                     "-gencode", "arch=compute_90a,code=sm_90a"] + (["-DNO_FP8"] if NO_FP8 else []),
        })],
    cmdclass={"build_ext": BuildExtension}, options={"bdist_wheel": {"py_limited_api": "cp39"}},
)
"""
CONV = (
    _VERSION
    + """
generator_flag = []
torch_dir = torch.__path__[0]
if os.path.exists(os.path.join(torch_dir, "include", "ATen", "CUDAGeneratorImpl.h")):
    generator_flag = ["-DOLD_GENERATOR_PATH"]
arch = []
for version, number in (("11.8", 90), ("12.8", 100), ("12.8", 120)):
    if nvcc_version(CUDA_HOME) >= Version(version):
        arch += ["-gencode", f"arch=compute_{number},code=sm_{number}"]
if torch._C._GLIBCXX_USE_CXX11_ABI:
    torch._C._GLIBCXX_USE_CXX11_ABI = True


def version():
    with open(Path(here) / "ops" / "__init__.py") as file:
        return ast.literal_eval(re.search(r"^__version__\\s*=\\s*(.*)$", file.read(), re.MULTILINE).group(1))


setup(
    name="ops", version=version(), packages=find_packages(exclude=("build", "csrc", "tests")),
    ext_modules=[CUDAExtension(name="ops_cuda", sources=["csrc/ops.cpp", "csrc/ops.cu"],
                 extra_compile_args={"cxx": ["-O3"], "nvcc": ["-O3", "--ptxas-options=-v", "-lineinfo"] + arch},
                 include_dirs=[Path(here) / "csrc"])],
    cmdclass={"bdist_wheel": CachedWheel, "build_ext": BuildExtension},
)
"""
)
STATE = (
    CONV.replace(
        "setup(\n",
        'if os.getenv("KEEP_CUDA_BUILD", "FALSE") != "TRUE":\n    CUDAExtension = lambda **_: None\nsetup(\n',
    )
    .replace("ext_modules=[CUDAExtension(", "ext_modules=[e for e in [CUDAExtension(")
    .replace('/ "csrc"])],', '/ "csrc"])] if e],')
)
MLA = """\
import os, subprocess, sys, torch
from datetime import datetime
from pathlib import Path
from setuptools import setup, find_packages
from torch.utils.cpp_extension import BuildExtension, CUDAExtension, CUDA_HOME, IS_WINDOWS


def is_set(flag):
    return os.getenv(flag, "FALSE").lower() in ["true", "1", "y", "yes"]


subprocess.run(["git", "submodule", "update", "--init", "csrc/cutlass"])
nvcc = subprocess.check_output([os.path.join(CUDA_HOME, "bin", "nvcc"), "--version"], stderr=subprocess.STDOUT).decode()
major, minor = map(int, nvcc.split("release ")[1].split(",")[0].strip().split("."))
flags = [] if is_set("NO_SM90") else ["-gencode", "arch=compute_90a,code=sm_90a"]
if (major, minor) >= (12, 8) and not is_set("NO_SM100"):
    flags += ["-gencode", "arch=compute_100f,code=sm_100f"]
try:
    rev = "+" + subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent).decode().rstrip()
except Exception:
    rev = "+" + datetime.now().strftime("%Y-%m-%d-%H-%M-%S").replace("-", "")
setup(
    name="ops", version="1.0.0" + rev, packages=find_packages(include=["ops"]),
    ext_modules=[CUDAExtension(name="ops.cuda", sources=["csrc/ops.cpp", "csrc/ops.cu"],
                 extra_compile_args={"cxx": ["-O3", "-std=c++20", "-DNDEBUG", "-Wno-deprecated-declarations"],
                                     "nvcc": ["-O3", "-std=c++20", "-DNDEBUG", "--ptxas-options=-v,--register-usage-level=10"] + flags})],
    cmdclass={"build_ext": BuildExtension},
)
"""
SAGE = """\
import os, subprocess, threading, torch, warnings
from packaging.version import parse
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension, CUDA_HOME

capabilities = set()
for i in range(torch.cuda.device_count()):
    major, minor = torch.cuda.get_device_capability(i)
    if major < 8:
        warnings.warn("skipped")
        continue
    capabilities.add(f"{major}.{minor}")
if not capabilities:
    raise RuntimeError("no GPU")
flags = ["-O3", "--use_fast_math", "-Xptxas=-v"]
names = {"8.0": "80", "8.9": "89", "9.0": "90a", "10.0": "100a", "12.0": "120a"}
for capability in capabilities:
    flags += ["-gencode", f"arch=compute_{names[capability]},code=sm_{names[capability]}"]
modules = [CUDAExtension("ops._sm80", ["csrc/ops.cpp", "csrc/ops.cu"], extra_compile_args={"nvcc": flags})]
if "9.0" in capabilities:
    modules.append(CUDAExtension("ops._sm90", ["csrc/sm90.cpp", "csrc/sm90.cu"], extra_compile_args={"nvcc": flags}, extra_link_args=["-lcuda"]))
setup(name="ops", version="2.2.0", packages=find_packages(), ext_modules=modules, cmdclass={"build_ext": BuildExtension})
"""
BLACKWELL = """\
import torch
from setuptools import setup, find_packages
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

major, minor = torch.cuda.get_device_capability()
if (major, minor) == (10, 0):
    number = "100a"
elif major == 12:
    number = f"12{minor}a"
else:
    raise RuntimeError("Unsupported GPU")
setup(
    name="ops", version="1", packages=["ops"],
    ext_modules=[CUDAExtension("ops.fp4", ["csrc/ops.cpp", "csrc/ops.cu"],
                 extra_compile_args={"nvcc": ["-gencode", f"arch=compute_{number},code=sm_{number}"]})],
    cmdclass={"build_ext": BuildExtension},
)
"""
HADAMARD = CONV.replace("ops_cuda", "hadamard_cuda").replace('">=3.9"', '">=3.7"')
FFT = """\
import subprocess, torch
from setuptools import setup
from torch.utils.cpp_extension import CUDAExtension, BuildExtension, CUDA_HOME


def version(folder):
    out = subprocess.check_output([folder + "/bin/nvcc", "-V"], universal_newlines=True)
    release = out.split()[out.split().index("release") + 1].split(".")
    return out, release[0], release[1][0]


_, major, minor = version(CUDA_HOME)
flags = ["-gencode", "arch=compute_80,code=sm_80"]
if int(major) >= 11 and int(minor) > 0 or int(major) > 11:
    flags += ["-gencode", "arch=compute_90,code=sm_90"]
setup(
    name="monarch_ops", py_modules=["single"],
    ext_modules=[CUDAExtension("monarch_ops", ["csrc/ops.cpp", "csrc/ops.cu"],
                 extra_compile_args={"cxx": ["-O3"], "nvcc": ["-O3", "--threads", "4", "-lineinfo", "--use_fast_math", "-std=c++17"] + flags})],
    cmdclass={"build_ext": BuildExtension}, version="0.0.0",
)
"""
_PACKAGES = {
    **FILES,
    "README.md": "# flash\n",
    "csrc/cutlass/include/cutlass/cutlass.h": "",
    "csrc/cutlass/python/__init__.py": "",
    "ops/cute/__init__.py": "",
    "ops/cute/kernel.py": "",
    "ops/notes.txt": "",
    "tests/__init__.py": "",
}
SHAPES = [
    Shape(
        "flash-attention",
        FLASH,
        {"flash_ops_cuda": {"include-dirs": ["csrc/cutlass/include"], "abi": "compat", "python": None}},
        {"archs": ["8.0", "9.0", "12.0+PTX", "12.0f"], "dependencies": ["einops"]},
        {"packages": ["ops"], "exclude": ["*.txt", "/ops/cute/"]},
        ("bdist_wheel by CachedWheel", "build_ext by Ninja", "python_requires >=3.9"),
        _PACKAGES,
    ),
    Shape(
        "flash-attention-hopper",
        HOPPER,
        {
            "ops._C": {
                "abi": None,
                "python": None,
                "nvcc-flags": [
                    "--expt-relaxed-constexpr",
                    "--ftemplate-backtrace-limit=0",
                    "-DCUTLASS_ENABLE_GDC_FOR_SM90",
                ],
            }
        },
        {"archs": ["9.0a"]},
        None,
        ("writes ops/config.py",),
        {
            "csrc/api.cpp": STABLE,
            "csrc/fwd_hdim64_sm90.cu": KERNEL,
            "csrc/fwd_hdim128_sm90.cu": KERNEL,
            "ops/__init__.py": "",
        },
    ),
    Shape(
        "causal-conv1d",
        CONV,
        {"ops_cuda": {"include-dirs": ["csrc"], "nvcc-flags": None}},
        {"archs": ["9.0", "10.0", "12.0"]},
        None,
        ("bdist_wheel by CachedWheel", "-lineinfo"),
        {**FILES, "ops/__init__.py": '__version__ = "1.6.1"\n'},
    ),
    Shape(
        "mamba",
        STATE,
        {"ops_cuda": {"include-dirs": ["csrc"]}},
        {"archs": ["9.0", "10.0", "12.0"]},
        files={**FILES, "ops/__init__.py": '__version__ = "2.3"\n'},
        environ={"KEEP_CUDA_BUILD": "TRUE"},
    ),
    Shape(
        "flash-mla",
        MLA,
        {"ops.cuda": {"std": "c++20", "nvcc-flags": ["--ptxas-options=-v,--register-usage-level=10"]}},
        {"archs": ["9.0a", "10.0f"]},
        None,
        ("runs git submodule update --init csrc/cutlass", "version +"),
    ),
    Shape(
        "sage-attention",
        SAGE,
        {"ops._sm80": {"sources": ["csrc/ops.cpp", "csrc/ops.cu"]}, "ops._sm90": {"link-flags": None}},
        {"archs": ["8.0", "8.9", "9.0a", "10.0a", "12.0a"], "sources": {"csrc/sm90.cu": {"archs": ["9.0a"]}}},
        None,
        ("compiles for the GPU of the machine",),
        {**FILES, "csrc/sm90.cpp": FILES["csrc/ops.cpp"], "csrc/sm90.cu": KERNEL},
    ),
    Shape(
        "sage-attention-blackwell",
        BLACKWELL,
        {"ops.fp4": {}},
        {"archs": ["10.0a", "12.0a"]},
        None,
        ("compiles for the GPU of the machine",),
    ),
    Shape(
        "fast-hadamard-transform",
        HADAMARD,
        {"hadamard_cuda": {}},
        {"archs": ["9.0", "10.0", "12.0"]},
        files={**FILES, "ops/__init__.py": '__version__ = "1.1"\n'},
    ),
    Shape(
        "flash-fft-conv",
        FFT,
        {"monarch_ops": {"nvcc-flags": ["--use_fast_math"]}},
        {"archs": ["8.0", "9.0"]},
        {"packages": ["single.py"]},
        files={"csrc/ops.cpp": FILES["csrc/ops.cpp"], "csrc/ops.cu": KERNEL, "single.py": ""},
    ),
]
