"""Licences: what METADATA says of them, and whether their texts are there."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel._endings import cut
from gpuwheel._limits import METADATA_FILE
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.container.core_metadata import fields
from gpuwheel.audit.rules.container.names_agree import wheel_name
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["LICENCE_RULES"]

_PEP_639 = Version("2.4")
"""The Metadata-Version from which licence files lie in .dist-info/licenses."""
_NVIDIA = re.compile(
    r"lib(cudart|cublas|cublasLt|cufft|cufftw|curand|cusolver|cusolverMg|cusparse|cusparseLt|cudnn\w*|nvrtc[\w-]*"
    r"|nvJitLink|nvjpeg|npp\w+|nvToolsExt|cupti|nvvm|nvptxcompiler|nvfatbin|cufile|nvinfer\w*|cutensor\w*)"
    r"([.-][0-9a-f.]+)?\.so(\.\d+)*"
)
"""Libraries under NVIDIA's own terms, under their name or with the digest that auditwheel puts into it."""
_TEXTS = re.compile(r"(?i)(licen[cs]e|copying|notice|eula|third.?party|copyright)")


@rule(
    "license-expression",
    needs={Part.METADATA},
    why="PyPI refuses the wheel",
    fix='write an SPDX expression, for example license = "Apache-2.0", and nothing else about the licence',
    source="PEP 639, as `packaging.licenses` reads it",
)
def _expression(case: WheelCase) -> Iterator[Found]:
    """License-Expression is not a valid SPDX expression, or License or a classifier says it again."""
    known, subject = fields(case), f"{case.wheel.dist_info}/METADATA"
    expression = known.get("license_expression")
    if expression is None:
        return
    try:
        canonicalize_license_expression(str(expression))
    except (InvalidLicenseExpression, ValueError) as error:
        yield Found(subject, f"has no valid License-Expression ({cut(str(error))}, expected SPDX)")
    if known.get("license"):
        yield Found(subject, "has License and License-Expression (expected the latter alone)")
    if any(str(one).startswith("License ::") for one in known.get("classifiers", ())):
        yield Found(subject, "has License-Expression and a classifier of a licence (expected the former alone)")


@rule(
    "license-file",
    needs={Part.METADATA, Part.MEMBERS},
    why="PyPI refuses the wheel, and who receives it does not receive its licence",
    fix="list files that exist in license-files, and build again",
    source="PEP 639: files named by License-File are in .dist-info/licenses",
)
def _file(case: WheelCase) -> Iterator[Found]:
    """A file that License-File names is not in the wheel."""
    known, folder = fields(case), case.wheel.dist_info
    try:
        in_licenses = Version(str(known.get("metadata_version"))) >= _PEP_639
    except ValueError:  # InvalidVersion, and numbers of thousands of digits
        return
    for name in known.get("license_files", ()):
        path = PurePosixPath(str(name))
        if path.is_absolute() or {"..", "*"} & set(path.parts):
            yield Found(
                f"{folder}/METADATA", f"has a License-File that is no path inside the project ({cut(str(name))})"
            )
            continue
        places = [f"{folder}/licenses/{name}"]
        # Before, backends put them beside METADATA, by their last part (setuptools until 77).
        places += [] if in_licenses else [f"{folder}/{name}", f"{folder}/{path.name}", f"{folder}/licenses/{path.name}"]
        if not any(place in case.wheel.members for place in places):
            why = None if in_licenses else "who receives the wheel does not receive its licence"
            severity = Severity.ERROR if in_licenses else Severity.WARNING
            problem = f"is named by License-File and not in the wheel (expected {cut(places[0])})"
            yield Found(cut(str(name)), problem, why, severity=severity)


@rule(
    "license-nvidia",
    needs={Part.MEMBERS},
    why="who receives the wheel receives these files without the terms under which they may be used",
    fix="put NVIDIA's licence (EULA.txt of the toolkit, or License.txt of the nvidia-* wheel) among the licence files",
    source="CUDA Toolkit EULA, Distribution requirements: the terms go with the libraries",
    severity=Severity.NOTE,
)
def _nvidia(case: WheelCase) -> Iterator[Found]:
    """The wheel holds libraries under NVIDIA's terms, and no text of them."""
    name = wheel_name(case)
    if name is not None and canonicalize_name(name.distribution).startswith("nvidia-"):
        return  # its own
    found = [one for one in case.wheel.members if _NVIDIA.fullmatch(one.rpartition("/")[2])]
    if not found or any(_of_nvidia(case, one) for one in case.wheel.members if _TEXTS.search(one)):
        return
    for library in found:
        yield Found(library, "is under NVIDIA's terms, and no licence text in the wheel names NVIDIA")


def _of_nvidia(case: WheelCase, name: str) -> bool:
    if "nvidia" in name.rpartition("/")[2].lower():
        return True
    member = case.wheel.members[name]
    # Modules and headers are called so as well, and are no text of a licence.
    if PurePosixPath(name).suffix in {".py", ".pyi", ".so", ".h"} or member.size > METADATA_FILE.value:
        return False
    return b"nvidia" in member.data.lower()


LICENCE_RULES = (_expression, _file, _nvidia)
