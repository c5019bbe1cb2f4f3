"""What jobs of every service do: commands, and texts with words to replace.

Tests are started by `pytest`: `python -m pytest` would import a package beside the tests from the sources, where what
was built is not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.model.choices import Mode
from gpuwheel.workflows.quoting import word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.workflows.work import Work

__all__ = [
    "PUBLIC_TORCH",
    "SBOM",
    "install_launch_tests",
    "install_on_gpu",
    "launch_tests",
    "manual_toolkits",
    "replaced",
]

PUBLIC_TORCH = "https://download.pytorch.org/whl/cpu"
"""Where torch has builds without CUDA, of a twentieth of the size."""

SBOM = """\
<<python>> - <<'EOF'
import pathlib, zipfile
for wheel in pathlib.Path(<<literal dist>>).glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        bills = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        archive.extractall(pathlib.Path("sbom", wheel.stem), bills)
EOF"""

_ALONE = re.compile(r"( *)(?:- )?<<([a-z -]+)>>")
_WORD = re.compile(r"<<([a-z -]+)>>")
# What torch imports, without NVIDIA's libraries.
_TORCH_NEEDS = "filelock fsspec jinja2 networkx setuptools sympy typing-extensions"


def replaced(text: str, values: Mapping[str, str]) -> str:
    """`text` with every <<word>> replaced. One that is alone on its line may stand for several lines, or for none."""
    out = []
    for line in text.splitlines():
        match = _ALONE.fullmatch(line)
        if match and "- <<" not in line:
            out += [f"{match[1]}{each}" if each else "" for each in values[match[2]].splitlines()]
        else:
            out.append(_WORD.sub(lambda word: values[word[1]], line))
    return "\n".join(out) + "\n"


def install_on_gpu(work: Work, python: str) -> str:
    """What was built, with the torch that it asks for, by a pip that knows `--group`."""
    extra = work.facts.extra
    wheel = f'"$(echo {work.usual.wheels}){extra}"' if extra else work.usual.wheels
    return f"{python} -m pip install --upgrade pip\n{python} -m pip install {wheel} --group test"


def install_launch_tests(work: Work, python: str) -> str:
    """A CUDA build of torch without NVIDIA's libraries, which the pretend GPU stands in for."""
    major = work.torch_driver.partition(".")[0]
    cuda = f' "cuda-core>=1,<2" "cuda-bindings=={major}.*"' if Mode.KERNELS in work.modes else ""
    lines = (
        "--upgrade pip",
        f'--no-deps "{work.usual.torch or "torch"}" # the pretend GPU stands in for its NVIDIA libraries',
        _TORCH_NEEDS,
        f"--no-deps {work.usual.wheels}",
        f'"gpuwheel=={work.version}" --group test{cuda}',
    )
    return "\n".join(f"{python} -m pip install {words}" for words in lines)


def launch_tests(work: Work) -> str:
    """All tests, those for a GPU executed on their PTX; where there is none, the tests that look at launches."""
    pretend = f"pytest --fake-gpu --fake-gpu-driver {work.torch_driver}"
    if work.facts.executable:
        # Of grids as large as the device, each block does several turns at the sizes of tests. Libraries of tiles, as
        # CUTLASS, take small ones where large ones are fewer than multiprocessors: than 1 there are none.
        return f"{pretend} --fake-gpu-multiprocessors {2 if Mode.NVCC in work.modes else 1}"
    return f"{pretend} --fake-gpu-record {' '.join(map(word, work.facts.launch_tests))}"


def manual_toolkits(work: Work) -> str:
    """What a person has to do, as comments."""
    if not work.manual:
        return ""
    names = " and ".join(map(str, work.manual))
    return f"# No index has nvcc of CUDA {names}: install it in the place below, or see `gpuwheel ci cibuildwheel`."
