"""Two kernel groups in one library whose kernels have one name and other bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.binary.mangled import parse_signature
from gpuwheel.compile.device.header import EmbeddedImage, Launchable, assembly_text, header_text
from gpuwheel.model.kernels import Parameter

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workshop

pytestmark = pytest.mark.compiler

SYMBOL = "_ZN2fk4kernIfEEvPT_"  # fk::kern<float>(float*), in both groups
NAMES = (SYMBOL, "plain")
SHARED = {"one": 1024, "two": 2048}  # by which their images are told apart


@pytest.fixture(scope="module")
def images(workshop: Workshop) -> list[Path]:
    """The objects of both groups; their headers lie in the workshop's folder."""
    objects = []
    for group, shared in SHARED.items():
        content = workshop.image(dict.fromkeys(NAMES, (8,)), dict.fromkeys(NAMES, shared))
        kernels = tuple(Launchable(name, parse_signature(name), (Parameter(0, 8),)) for name in NAMES)
        image = EmbeddedImage(f"{group}.cu", group, group, 0, len(content), kernels)
        (workshop.folder / f"{group}.fatbin").write_bytes(content)
        (workshop.folder / f"{group}.kernels.h").write_text(header_text(group, [image], ["sm_90"]))
        (workshop.folder / f"{group}.S").write_text(assembly_text(str(workshop.folder / f"{group}.fatbin"), [image]))
        objects.append(workshop.folder / f"{group}.o")
        run(["cc", "-c", workshop.folder / f"{group}.S", "-o", objects[-1]])
    return objects


def test_each_source_launches_the_kernel_of_its_group(workshop: Workshop, images: list[Path]) -> None:
    for group in SHARED:
        text = f'#include "{group}.kernels.h"\nint {group}() {{ return fk::kern<float>.attributes(0).shared_bytes; }}\n'
        text += f"int {group}_plain() {{ return plain.attributes(0).shared_bytes; }}\n"
        done = workshop.compile(f"{text}", "-c", "-Wno-missing-declarations", name=group + "_user")
        assert done.returncode == 0, done.output
    main = "#include <cstdio>\nint one(); int two(); int one_plain(); int two_plain();\n"
    main += 'int main() { std::printf("%d %d %d %d\\n", one(), two(), one_plain(), two_plain()); }\n'
    objects = []
    for group in SHARED:
        objects.append(str(workshop.folder / f"{group}_user.o"))
        (workshop.folder / f"{group}_user").rename(objects[-1])
    program = workshop.build(main, *objects, *map(str, images), name="two_groups")
    assert workshop.run(program) == "1024 2048 1024 2048\n"


def test_one_source_that_includes_both_says_which_it_means(workshop: Workshop, images: list[Path]) -> None:
    text = '#include "one.kernels.h"\n#include "two.kernels.h"\n#include <cstdio>\nint main() {\n'
    text += '  std::printf("%d %d", fk::gpuwheel_one::kern<float>.attributes(0).shared_bytes,'
    text += " fk::gpuwheel_two::kern<float>.attributes(0).shared_bytes);\n  one_preload(); two_preload();\n}\n"
    program = workshop.build(text, *map(str, images), name="both_groups")
    assert workshop.run(program) == "1024 2048"
    unclear = workshop.compile(text.replace("fk::gpuwheel_two::", "fk::"), "-fsyntax-only", name="unclear")
    assert unclear.returncode != 0
    assert "kern" in unclear.stderr
    assert "ambiguous" in unclear.stderr
