"""Detection, point clouds and rendering: sources by glob, FORCE_CUDA, files that setup.py writes."""

from __future__ import annotations

from shapes.shape import CLASSIC, FILES, KERNEL, OPERATORS, Shape

__all__ = ["SHAPES"]

GLOBS = """\
import glob, os, runpy, sys, warnings
from typing import List, Optional
import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, CppExtension, CUDAExtension, BuildExtension


def get_existing_ccbin(nvcc_args: List[str]) -> Optional[str]:
    return None


def get_extensions():
    no_extension = os.getenv("NO_EXTENSION", "0") == "1"
    if no_extension:
        return []
    this_dir = os.path.dirname(os.path.abspath(__file__))
    extensions_dir = os.path.join(this_dir, "ops", "csrc")
    sources = glob.glob(os.path.join(extensions_dir, "**", "*.cpp"), recursive=True)
    source_cuda = glob.glob(os.path.join(extensions_dir, "**", "*.cu"), recursive=True)
    extension = CppExtension
    compile_args = {"cxx": ["-std=c++17"]}
    define_macros = []
    include_dirs = [extensions_dir]
    force_cuda = os.getenv("FORCE_CUDA", "0") == "1"
    if (torch.cuda.is_available() and CUDA_HOME is not None) or force_cuda:
        extension = CUDAExtension
        sources += source_cuda
        define_macros += [("WITH_CUDA", None), ("THRUST_IGNORE_CUB_VERSION_CHECK", None)]
        cub_home = os.environ.get("CUB_HOME", None)
        nvcc_args = ["-DCUDA_HAS_FP16=1", "-D__CUDA_NO_HALF_OPERATORS__", "-D__CUDA_NO_HALF_CONVERSIONS__"]
        if os.name != "nt":
            nvcc_args.append("-std=c++17")
        nvcc_flags_env = os.getenv("NVCC_FLAGS", "")
        if nvcc_flags_env != "":
            nvcc_args.extend(nvcc_flags_env.split(" "))
        CC = os.environ.get("CC", None)
        if CC is not None:
            nvcc_args.append("-ccbin={}".format(CC))
        compile_args["nvcc"] = nvcc_args
    return [extension("ops._C", sources, include_dirs=include_dirs, define_macros=define_macros, extra_compile_args=compile_args)]


__version__ = runpy.run_path("ops/__init__.py")["__version__"]
trainer = "ops.implicit_trainer"
setup(
    name="ops", version=__version__,
    packages=find_packages(exclude=("configs", "tests", "tests.*", "docs.*", "projects.*")) + [trainer],
    package_dir={trainer: "projects/implicit_trainer"},
    install_requires=["iopath"],
    extras_require={"all": ["matplotlib", "tqdm>4.29.0"], "dev": ["flake8"]},
    entry_points={"console_scripts": [f"ops_runner={trainer}.experiment:main"]},
    ext_modules=get_extensions(),
    cmdclass={"build_ext": BuildExtension},
    package_data={"": ["*.json"]},
)
"""
ZOO = """\
import glob, os, shutil
from os import path
from setuptools import find_packages, setup
from typing import List
import torch
from torch.utils.cpp_extension import CUDA_HOME, CppExtension, CUDAExtension

torch_ver = [int(x) for x in torch.__version__.split(".")[:2]]
assert torch_ver >= [1, 8], "Requires PyTorch >= 1.8"


def get_version():
    init_py_path = path.join(path.abspath(path.dirname(__file__)), "ops", "__init__.py")
    init_py = open(init_py_path, "r").readlines()
    version = [l.strip() for l in init_py if l.startswith("__version__")][0].split("=")[-1].strip().strip("'\\"")
    suffix = os.getenv("VERSION_SUFFIX", "")
    version = version + suffix
    if os.getenv("BUILD_NIGHTLY", "0") == "1":
        new_init_py = [l for l in init_py if not l.startswith("__version__")]
        with open(init_py_path, "w") as f:
            f.write("".join(new_init_py))
    return version


def get_extensions():
    main_source = "csrc/vision.cpp"
    sources = [main_source] + glob.glob("csrc/*/*.cpp")
    from torch.utils.cpp_extension import ROCM_HOME

    is_rocm_pytorch = True if ((torch.version.hip is not None) and (ROCM_HOME is not None)) else False
    if is_rocm_pytorch:
        assert torch_ver >= [1, 8]
    source_cuda = glob.glob("csrc/*/*.cu") + glob.glob("csrc/*.cu")
    extension, args, macros = CppExtension, {"cxx": []}, []
    if (torch.cuda.is_available() and ((CUDA_HOME is not None) or is_rocm_pytorch)) or os.getenv("FORCE_CUDA", "0") == "1":
        extension = CUDAExtension
        sources += source_cuda
        macros += [("WITH_CUDA", None)]
        args["nvcc"] = ["-O3", "-DCUDA_HAS_FP16=1", "-D__CUDA_NO_HALF_OPERATORS__"]
    return [extension("ops._C", sources, include_dirs=["csrc"], define_macros=macros, extra_compile_args=args)]


def get_model_zoo_configs() -> List[str]:
    source_configs_dir = path.join(path.dirname(path.realpath(__file__)), "configs")
    destination = path.join(path.dirname(path.realpath(__file__)), "ops", "model_zoo", "configs")
    if path.exists(source_configs_dir):
        if path.islink(destination):
            os.unlink(destination)
        elif path.isdir(destination):
            shutil.rmtree(destination)
    if not path.exists(destination):
        try:
            os.symlink(source_configs_dir, destination)
        except OSError:
            shutil.copytree(source_configs_dir, destination)
    return glob.glob("configs/**/*.yaml", recursive=True)


setup(
    name="ops", version=get_version(), packages=find_packages(exclude=("configs", "tests*")) + ["ops.projects.point"],
    package_dir={"ops.projects.point": "projects/point"},
    package_data={"ops.model_zoo": get_model_zoo_configs()},
    python_requires=">=3.7",
    install_requires=["Pillow>=7.1", "yacs>=0.1.8", "dataclasses; python_version<'3.7'"],
    ext_modules=get_extensions(), cmdclass={"build_ext": torch.utils.cpp_extension.BuildExtension},
)
"""
MMCV = """\
import glob, os, platform, re
from pkg_resources import DistributionNotFound, get_distribution, parse_version
from setuptools import find_packages, setup

EXT_TYPE = ""
try:
    import torch
    from torch.utils.cpp_extension import BuildExtension

    EXT_TYPE = "parrots" if torch.__version__ == "parrots" else "pytorch"
    cmd_class = {"build_ext": BuildExtension}
except ModuleNotFoundError:
    cmd_class = {}
    print("Skip building ext ops due to the absence of torch.")


def choose_requirement(primary, secondary):
    try:
        get_distribution(re.split(r"[!<>=]", primary)[0])
    except DistributionNotFound:
        return secondary
    return str(primary)


def get_version():
    with open("ops/version.py", encoding="utf-8") as f:
        exec(compile(f.read(), "ops/version.py", "exec"))
    return locals()["__version__"]


def get_extensions():
    if os.getenv("WITH_OPS", "1") == "0":
        return []
    os.environ.setdefault("MAX_JOBS", "4")
    define_macros, extra_compile_args = [], {"cxx": [] if platform.system() == "Windows" else ["-std=c++17"]}
    from torch.utils.cpp_extension import CUDAExtension, CppExtension

    project_dir = "ops/csrc/"
    is_rocm_pytorch = False
    try:
        from torch.utils.cpp_extension import ROCM_HOME

        is_rocm_pytorch = bool(torch.version.hip is not None and ROCM_HOME is not None)
    except ImportError:
        pass
    if is_rocm_pytorch or torch.cuda.is_available() or os.getenv("FORCE_CUDA", "0") == "1":
        define_macros += [("WITH_CUDA", None)]
        cuda_args = os.getenv("CUDA_ARGS")
        extra_compile_args["nvcc"] = [cuda_args] if cuda_args else []
        op_files = glob.glob("./ops/csrc/pytorch/*.cpp") + glob.glob("./ops/csrc/pytorch/cuda/*.cu")
        extension = CUDAExtension
    elif hasattr(torch, "is_mlu_available") and torch.is_mlu_available():
        raise RuntimeError
    if "nvcc" in extra_compile_args and platform.system() != "Windows":
        extra_compile_args["nvcc"] += ["-std=c++17"]
    return [extension(name="ops._ext", sources=op_files, include_dirs=[os.path.abspath("./ops/csrc/common")],
                      define_macros=define_macros, extra_compile_args=extra_compile_args)]


setup(
    name="ops" if os.getenv("WITH_OPS", "1") == "1" else "ops-lite", version=get_version(),
    packages=find_packages(), include_package_data=True, license="Apache License 2.0",
    install_requires=["addict", choose_requirement("opencv-python-headless>=3", "opencv-python>=3"), "regex;sys_platform=='win32'"],
    ext_modules=get_extensions(), cmdclass=cmd_class, zip_safe=False, data_files=[],
)
"""
DINO = """\
import glob, os, subprocess, sys


def install_torch():
    try:
        import torch
    except ImportError:
        subprocess.check_call([sys.executable, "-m", "pip", "install", "torch"])


install_torch()
import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, CppExtension, CUDAExtension

version, sha = "0.1.0", "Unknown"
cwd = os.path.dirname(os.path.abspath(__file__))
try:
    sha = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=cwd).decode("ascii").strip()
except Exception:
    pass


def write_version_file():
    with open(os.path.join(cwd, "ops", "version.py"), "w") as f:
        f.write(f"__version__ = '{version}'\\n")


def parse_requirements(fname="requirements.txt"):
    with open(fname) as f:
        return [line.strip() for line in f if line.strip() and not line.startswith("#")]


if __name__ == "__main__":
    with open("LICENSE", "r", encoding="utf-8") as f:
        license = f.read()
    write_version_file()
    sources = ["csrc/ops.cpp"] + glob.glob("csrc/*.cu")
    print("Compiling with CUDA" if CUDA_HOME else "Compiling without CUDA")
    setup(
        name="ops", version=version, license=license, install_requires=parse_requirements(),
        packages=find_packages(exclude=("configs", "tests")),
        ext_modules=[CUDAExtension("ops._C", sources, include_dirs=["csrc"], define_macros=[("WITH_CUDA", None)],
                     extra_compile_args={"cxx": [], "nvcc": ["-DCUDA_HAS_FP16=1", "-D__CUDA_NO_HALF_OPERATORS__"]})],
        cmdclass={"build_ext": torch.utils.cpp_extension.BuildExtension},
    )
"""
PCDET = """\
import os, subprocess
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension


def get_git_commit_number():
    if not os.path.exists(".git"):
        return "0000000"
    return subprocess.run(["git", "rev-parse", "HEAD"], stdout=subprocess.PIPE).stdout.decode("utf-8")[:7]


def make_cuda_ext(name, module, sources):
    return CUDAExtension(name="%s.%s" % (module, name), sources=[os.path.join(*module.split("."), src) for src in sources])


def write_version_to_file(version, target_file):
    with open(target_file, "w") as f:
        print('__version__ = "%s"' % version, file=f)


if __name__ == "__main__":
    version = "0.6.0+py%s" % get_git_commit_number()
    write_version_to_file(version, "ops/version.py")
    setup(
        name="ops", version=version, install_requires=["numpy", "llvmlite"], author="A", author_email="a@example.org",
        license="Apache License 2.0", packages=find_packages(exclude=["tools", "data", "output"]),
        cmdclass={"build_ext": BuildExtension},
        ext_modules=[make_cuda_ext("iou3d_cuda", "ops.iou3d", ["src/ops.cpp", "src/ops.cu"]),
                     make_cuda_ext("roi_cuda", "ops.roi", ["src/ops.cpp", "src/ops.cu"])],
    )
"""
DEFORMABLE = """\
import os, glob, torch
from torch.utils.cpp_extension import CUDA_HOME, CppExtension, CUDAExtension
from setuptools import find_packages, setup

requirements = ["torch", "torchvision"]


def get_extensions():
    here = os.path.dirname(os.path.abspath(__file__))
    extensions_dir = os.path.join(here, "csrc")
    sources = glob.glob(os.path.join(extensions_dir, "*.cpp"))
    if torch.cuda.is_available() and CUDA_HOME is not None:
        sources += glob.glob(os.path.join(extensions_dir, "*.cu"))
    else:
        raise NotImplementedError("Cuda is not availabel")
    sources = [os.path.join(extensions_dir, s) for s in sources]
    return [CUDAExtension("MultiScaleAttention", sources, include_dirs=[extensions_dir], define_macros=[("WITH_CUDA", None)],
            extra_compile_args={"cxx": [], "nvcc": ["-DCUDA_HAS_FP16=1"]})]


setup(name="ms", version="1.0", packages=find_packages(exclude=("configs", "tests",)), ext_modules=get_extensions(),
      cmdclass={"build_ext": torch.utils.cpp_extension.BuildExtension})
"""
POINTNET = """\
import glob, os, os.path as osp
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

this_dir = osp.dirname(osp.abspath(__file__))
_ext_src_root = osp.join("ops", "_ext-src")
_ext_sources = glob.glob(osp.join(_ext_src_root, "src", "*.cpp")) + glob.glob(osp.join(_ext_src_root, "src", "*.cu"))
exec(open(osp.join("ops", "_version.py")).read())
os.environ["TORCH_CUDA_ARCH_LIST"] = "7.5;8.0;8.6+PTX"
setup(
    name="ops", version=__version__, packages=find_packages(), install_requires=["torch>=1.4"],
    ext_modules=[CUDAExtension(name="ops._ext", sources=_ext_sources,
                 extra_compile_args={"cxx": ["-O3"], "nvcc": ["-O3", "-Xfatbin", "-compress-all"]},
                 include_dirs=[osp.join(this_dir, _ext_src_root, "include")])],
    cmdclass={"build_ext": BuildExtension}, include_package_data=True,
)
"""
GAUSSIAN = """\
from setuptools import setup
from torch.utils.cpp_extension import CUDAExtension, BuildExtension
import os
os.path.dirname(os.path.abspath(__file__))

setup(
    name="ops", packages=["ops"],
    ext_modules=[CUDAExtension(name="ops._C", sources=["csrc/ops.cu", "csrc/ops.cpp"],
                 extra_compile_args={"nvcc": ["-I" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "third_party/glm/")]})],
    cmdclass={"build_ext": BuildExtension},
)
"""
KNN = """\
from setuptools import setup
from torch.utils.cpp_extension import CUDAExtension, BuildExtension
import os

cxx_compiler_flags = []
if os.name == "nt":
    cxx_compiler_flags.append("/wd4624")
setup(name="simple_knn", ext_modules=[CUDAExtension(name="simple_knn._C", sources=["csrc/ops.cpp", "csrc/ops.cu"],
      extra_compile_args={"nvcc": [], "cxx": cxx_compiler_flags})], cmdclass={"build_ext": BuildExtension})
"""
SSIM = """\
from setuptools import setup
from torch.utils.cpp_extension import CUDAExtension, BuildExtension
import torch, sys, logging

logging.basicConfig(level=logging.INFO)
nvcc_args = ["-O3", "--maxrregcount=32", "--use_fast_math"]
detected = None
if torch.cuda.is_available():
    try:
        device = torch.cuda.current_device()
        capability = torch.cuda.get_device_capability(device)
        arch = f"sm_{capability[0]}{capability[1]}"
        nvcc_args.append(f"-arch={arch}")
        detected = f"{torch.cuda.get_device_name(device)} {arch}"
    except Exception as e:
        nvcc_args.extend(["-gencode=arch=compute_75,code=sm_75", "-gencode=arch=compute_89,code=sm_89"])
setup(name="ssim", packages=["ops"], ext_modules=[CUDAExtension(name="ssim_cuda", sources=["csrc/ops.cu", "csrc/ops.cpp"],
      extra_compile_args={"cxx": ["-O3"], "nvcc": nvcc_args})], cmdclass={"build_ext": BuildExtension})
"""
RASTER = """\
import setuptools, os
from torch.utils.cpp_extension import CUDAExtension, BuildExtension

setuptools.setup(
    name="ops", version="0.4.0", packages=setuptools.find_packages(), install_requires=["numpy"],
    ext_modules=[CUDAExtension(
        name="_ops_c", sources=["csrc/common/ops.cpp", "csrc/torch/bind.cpp", "csrc/common/ops.cu"],
        extra_compile_args={"cxx": ["-DNVDR_TORCH"] + (["/wd4067"] if os.name == "nt" else []), "nvcc": ["-DNVDR_TORCH", "-lineinfo"]})],
    cmdclass={"build_ext": BuildExtension},
)
"""
SPLAT = """\
import glob, importlib.util, os, os.path as osp, pathlib, platform, sys
from setuptools import find_packages, setup

exec(open("ops/version.py", "r").read())
BUILD_NO_CUDA = os.getenv("BUILD_NO_CUDA", "0") == "1"
LINE_INFO = os.getenv("LINE_INFO", "0") == "1"


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def get_ext():
    from torch.utils.cpp_extension import BuildExtension

    return BuildExtension.with_options(no_python_abi_suffix=True, use_ninja=True)


def get_extensions():
    if importlib.util.find_spec("torch") is None:
        raise RuntimeError("torch is needed")
    return load("build", "ops/cuda/build.py").extensions(pathlib.Path(__file__).parent)


setup(name="ops", version=__version__, packages=find_packages(), include_package_data=True,
      ext_modules=[] if BUILD_NO_CUDA else get_extensions(), cmdclass={} if BUILD_NO_CUDA else {"build_ext": get_ext()})
"""
SPLAT_BUILD = """\
import glob, os, torch
import torch.utils.cpp_extension as jit

if not hasattr(jit, "_get_build_directory"):
    raise RuntimeError("torch has no _get_build_directory")
try:
    from rich.console import Console
except ImportError:
    Console = None


def extensions(root):
    from torch.__config__ import parallel_info

    sources = glob.glob("ops/cuda/csrc/*.cu") + glob.glob("ops/cuda/*.cpp")
    define_macros, flags = [], ["-O3", "-Wno-attributes"]
    if "backend: OpenMP" in parallel_info() and "OpenMP not found" not in parallel_info():
        flags += ["-DAT_PARALLEL_OPENMP", "-fopenmp"]
    glm = os.path.join(root, "ops", "cuda", "csrc", "third_party", "glm")
    return [jit.CUDAExtension("ops.csrc", sources, include_dirs=[str(root / "ops" / "cuda" / "include"), glm], define_macros=define_macros,
            extra_compile_args={"cxx": flags, "nvcc": ["-O3", "--use_fast_math", "-diag-suppress", "20012,186"]}, extra_link_args=["-s"])]
"""
VISION = """\
import distutils.spawn, distutils.command.clean, glob, os, shlex, subprocess, sys
from pathlib import Path
import torch
from pkg_resources import DistributionNotFound, get_distribution
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDA_HOME, CUDAExtension, ROCM_HOME

ROOT_DIR = Path(__file__).absolute().parent
CSRC = ROOT_DIR / "ops/csrc"
FORCE_CUDA = os.getenv("FORCE_CUDA", "0") == "1"
USE_PNG = os.getenv("USE_PNG", "1") == "1"
NVCC_FLAGS = os.getenv("NVCC_FLAGS", None)


def get_version():
    with open(ROOT_DIR / "version.txt") as f:
        version = f.readline().strip()
    sha = "Unknown"
    try:
        sha = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=str(ROOT_DIR)).decode("ascii").strip()
    except Exception:
        pass
    if os.getenv("BUILD_VERSION"):
        version = os.getenv("BUILD_VERSION")
    elif sha != "Unknown":
        version += "+" + sha[:7]
    return version, sha


def write_version_file(version, sha):
    with open(ROOT_DIR / "ops" / "version.py", "w") as f:
        f.write(f"__version__ = '{version}'\\n")


def find_libpng():
    config = distutils.spawn.find_executable("libpng-config-of-nobody")
    return config is not None


def make_C_extension():
    sources = list(CSRC.glob("*.cpp")) + list(CSRC.glob("cpu/*.cpp"))
    cuda_sources = list(CSRC.glob("cuda/*.cu"))
    flags, macros = {"cxx": ["-g0", "-O3"]}, []
    if FORCE_CUDA or (torch.cuda.is_available() and CUDA_HOME is not None):
        macros += [("WITH_CUDA", None)]
        flags["nvcc"] = ["-DNDEBUG"] + (shlex.split(NVCC_FLAGS) if NVCC_FLAGS else [])
        sources += cuda_sources
    if sys.platform == "win32":
        macros += [("USE_PYTHON", None)]
    return CUDAExtension(name="ops._C", sources=sorted(str(s) for s in sources), include_dirs=[CSRC], define_macros=macros, extra_compile_args=flags)


class clean(distutils.command.clean.clean):
    def run(self):
        import shutil

        for name in Path(".gitignore").read_text().splitlines():
            shutil.rmtree(name, ignore_errors=True)
        distutils.command.clean.clean.run(self)


if __name__ == "__main__":
    version, sha = get_version()
    write_version_file(version, sha)
    setup(name="ops", version=version, packages=find_packages(exclude=("test",)), package_data={"ops": ["*.dll", "*.dylib", "*.so"]},
          zip_safe=False, install_requires=["numpy", "torch", "pillow>=5.3.0, !=8.3.*"], python_requires=">=3.10",
          ext_modules=[make_C_extension()], cmdclass={"build_ext": BuildExtension.with_options(no_python_abi_suffix=True), "clean": clean})
"""
_NESTED = {
    "ops/csrc/ext.cpp": CLASSIC,
    "ops/csrc/knn/knn.cu": KERNEL,
    "ops/csrc/knn/knn.h": "",
    "ops/__init__.py": '__version__ = "0.7.9"\n',
    "ops/data.json": "{}",
    "ops/readme.rst": "",
    "projects/__init__.py": "",
    "projects/nerf/__init__.py": "",
    "projects/nerf/data.json": "{}",
    "projects/implicit_trainer/__init__.py": "",
    "projects/implicit_trainer/tests/__init__.py": "",
}
SHAPES = [
    Shape(
        "pytorch3d",
        GLOBS,
        {"ops._C": {"include-dirs": ["ops/csrc"], "sources": ["ops/csrc/ext.cpp", "ops/csrc/knn/knn.cu"]}},
        wheel={
            "packages": {"ops": "ops", "projects": "projects", "ops/implicit_trainer": "projects/implicit_trainer"},
            "exclude": [
                *("*.cpp", "*.cu", "*.h", "*.rst", "/ops/implicit_trainer/tests/"),
                *("/projects/implicit_trainer/", "/projects/nerf/"),
            ],
        },
        files=_NESTED,
    ),
    Shape(
        "detectron2",
        ZOO,
        {"ops._C": {"include-dirs": ["csrc"], "defines": ["WITH_CUDA"]}},
        left=("writes ops/model_zoo/configs", "ROCm"),
        files={
            "csrc/vision.cpp": CLASSIC,
            "csrc/roi/roi.cu": KERNEL,
            "ops/__init__.py": '__version__ = "0.6"\n',
            "ops/model_zoo/__init__.py": "",
            "projects/point/__init__.py": "",
            "configs/a.yaml": "",
        },
    ),
    Shape(
        "mmcv",
        MMCV,
        {"ops._ext": {"include-dirs": ["ops/csrc/common"], "defines": ["WITH_CUDA"]}},
        {"dependencies": ["addict", "opencv-python>=3", 'regex; sys_platform == "win32"']},
        {"exclude": ["*.mlu"]},
        files={
            "ops/__init__.py": "",
            "ops/version.py": '__version__ = "2.2.0"\n',
            "ops/csrc/pytorch/bind.cpp": CLASSIC,
            "ops/csrc/pytorch/cuda/a.cu": KERNEL,
            "ops/csrc/common/a.hpp": "",
            "ops/csrc/common/b.mlu": "",
            "MANIFEST.in": "recursive-include ops/csrc *.hpp *.cpp *.cu\n",
        },
    ),
    Shape(
        "grounding-dino",
        DINO,
        {"ops._C": {"include-dirs": ["csrc"]}},
        left=("writes ops/version.py",),
        files={**FILES, "LICENSE": "Words.\n" * 1500, "requirements.txt": "torch\nnumpy\n"},
    ),
    Shape(
        "openpcdet",
        PCDET,
        {
            "ops.iou3d.iou3d_cuda": {"sources": ["ops/iou3d/src/ops.cpp", "ops/iou3d/src/ops.cu"]},
            "ops.roi.roi_cuda": {},
        },
        wheel={"exclude": ["*.cpp", "*.cu"]},
        left=("writes ops/version.py", "version +py0000000"),
        files={
            **{f"ops/{name}/src/ops.cpp": CLASSIC for name in ("iou3d", "roi")},
            **{f"ops/{name}/src/ops.cu": KERNEL for name in ("iou3d", "roi")},
            **{f"ops/{name}__init__.py": "" for name in ("", "iou3d/", "roi/")},
        },
    ),
    Shape("deformable-detr", DEFORMABLE, {"MultiScaleAttention": {"include-dirs": ["csrc"]}}),
    Shape(
        "pointnet2",
        POINTNET,
        {"ops._ext": {"include-dirs": ["ops/_ext-src/include"]}},
        {"archs": ["7.5", "8.0", "8.6+PTX"]},
        files={
            "ops/__init__.py": "",
            "ops/_version.py": '__version__ = "3.0.0"\n',
            "ops/_ext-src/src/a.cpp": CLASSIC,
            "ops/_ext-src/src/a.cu": KERNEL,
            "ops/_ext-src/include/a.h": "",
        },
    ),
    Shape(
        "diff-gaussian-rasterization",
        GAUSSIAN,
        {"ops._C": {"include-dirs": ["third_party/glm"]}},
        files={**FILES, "third_party/glm/glm.hpp": ""},
    ),
    Shape(
        "simple-knn", KNN, {"simple_knn._C": {"flags": None}}, files={"csrc/ops.cpp": CLASSIC, "csrc/ops.cu": KERNEL}
    ),
    Shape(
        "fused-ssim",
        SSIM,
        {"ssim_cuda": {"nvcc-flags": ["--maxrregcount=32", "--use_fast_math"]}},
        {"archs": None},
        left=("compiles for the GPU of the machine",),
    ),
    Shape(
        "nvdiffrast",
        RASTER,
        {"_ops_c": {"abi": "compat", "python": None, "defines": ["NVDR_TORCH"]}},
        left=("-lineinfo",),
        files={
            "csrc/common/framework.h": "#pragma once\n#ifdef NVDR_TORCH\n#include <torch/extension.h>\n#endif\n",
            "csrc/common/ops.cpp": '#include "framework.h"\n',
            "csrc/torch/bind.cpp": '#include "../common/framework.h"\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n',
            "csrc/common/ops.cu": KERNEL,
            "ops/__init__.py": "",
        },
    ),
    Shape(
        "gsplat",
        SPLAT,
        {"ops.csrc": {"flags": ["-Wno-attributes", "-fopenmp", "-DAT_PARALLEL_OPENMP"], "link-flags": None}},
        files={
            "ops/__init__.py": "",
            "ops/version.py": '__version__ = "1.5"\n',
            "ops/cuda/build.py": SPLAT_BUILD,
            "ops/cuda/ext.cpp": CLASSIC,
            "ops/cuda/csrc/a.cu": KERNEL,
            "ops/cuda/include/a.h": "",
            "ops/cuda/csrc/third_party/glm/glm.hpp": "",
        },
    ),
    Shape(
        "torchvision",
        VISION,
        {"ops._C": {"abi": "compat", "python": None, "include-dirs": ["ops/csrc"]}},
        left=("writes ops/version.py", "clean by clean"),
        files={
            "ops/__init__.py": "",
            "version.txt": "0.25.0a0\n",
            "ops/csrc/vision.cpp": OPERATORS,
            "ops/csrc/cpu/nms.cpp": "",
            "ops/csrc/cuda/nms.cu": KERNEL,
        },
    ),
]
