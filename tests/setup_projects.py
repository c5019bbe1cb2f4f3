"""Projects with a setup.py, and what `gpuwheel init` makes of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import jsonschema
from click.testing import CliRunner

from gpuwheel._resources import resource
from gpuwheel._toml import read_toml
from gpuwheel.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

CLASSIC = "#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n"
OPERATORS = "#include <torch/library.h>\nTORCH_LIBRARY(ops, m) {}\n"
STABLE = "#include <torch/csrc/stable/library.h>\nSTABLE_TORCH_LIBRARY(ops, m) {}\n"
KERNEL = "__global__ void k() {}\n"

SIMPLE = """\
from setuptools import setup
from torch.utils import cpp_extension

setup(
    name="ops",
    version="1.2",
    packages=["ops"],
    install_requires=["torch", "numpy>=1.20"],
    ext_modules=[cpp_extension.CUDAExtension("ops._C", ["csrc/ops.cpp", "csrc/ops.cu"])],
    cmdclass={"build_ext": cpp_extension.BuildExtension},
)
"""


@dataclass(frozen=True)
class Project:
    """A folder with a setup.py."""

    root: Path

    def write(self, name: str, text: str) -> None:
        """Add a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dedent(text).encode())

    def init(self, *options: str) -> Result:
        """Call the command."""
        return CliRunner().invoke(main, ["init", str(self.root), *options])

    def adopted(self, *options: str) -> dict[str, Any]:
        """Call the command, which must succeed, and read pyproject.toml; the plan must accept it."""
        result = self.init(*options)
        assert result.exit_code == 0, result.output
        planned = CliRunner().invoke(main, ["plan", str(self.root)])
        assert planned.exit_code == 0, planned.output
        return read_toml(self.root / "pyproject.toml")

    def report(self, *options: str) -> dict[str, Any]:
        """What the command says to machines, without writing."""
        result = self.init("--json", "--dry-run", *options)
        assert result.exit_code == 0, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        jsonschema.validate(document, json.loads(resource("data", "init.schema.json").read_text(encoding="utf-8")))
        return document

    def left(self, *options: str) -> dict[str, str]:
        """What is not carried over -> its place."""
        return {row["what"]: row["place"] for row in self.report(*options)["left"]}
