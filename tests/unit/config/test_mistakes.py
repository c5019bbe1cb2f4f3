"""Each mistake is told with its key, its source and the close match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from conftest import Project

PLACES = pytest.mark.parametrize(
    ("place", "text", "message", "hint"),
    [
        (
            "keys",
            'arch = ["8.0"]',
            r"^arch in pyproject.toml is not a key of \[tool.gpuwheel\]",
            "did you mean 'archs'?",
        ),
        ("keys", 'numpy = ">=1.0"', r"^numpy in pyproject.toml is not a key of \[tool.gpuwheel\]", None),
        (
            "keys",
            "wheel = { max_size = 1 }",
            r"^wheel.max_size in .* \[tool.gpuwheel.wheel\]",
            "did you mean 'max-size'?",
        ),
        ("group", "flag = []", r"^kernels.fused.flag in .* \[tool.gpuwheel.kernels.fused\]", "did you mean 'flags'?"),
        ("extension", "link_flags = []", r'^extensions."fused_ops._C".link_flags in', "did you mean 'link-flags'?"),
        ("keys", "archs = []", r"^archs in pyproject.toml is empty", None),
        ("keys", 'archs = "8.0"', r"^archs in pyproject.toml is not valid \(found '8.0', expected a list", None),
        ("keys", 'archs = ["8.0", "8.0"]', r"^archs in pyproject.toml has an entry twice \(found '8.0'\)", None),
        (
            "keys",
            'archs = ["8.0", "8.0+PTX"]',
            r"^archs in pyproject.toml names an architecture twice",
            "keep '8.0+PTX'",
        ),
        (
            "keys",
            'archs = ["sm_90a"]',
            r"^archs in pyproject.toml is not valid \(found 'sm_90a'",
            "did you mean '9.0a'?",
        ),
        ("keys", "archs = [8.0]", r"^archs in .*found the number 8.0, expected for example '9.0'", None),
        ("keys", "cuda = []", r"^cuda in .* is empty", None),
        ("keys", "cuda = 12.9", r"^cuda in .*found the number 12.9, expected a toolkit as a string", None),
        ("keys", 'cuda = "12.9.1"', r"^cuda in .*found '12.9.1'", None),
        ("keys", 'driver = "525"', r"^driver in .*found '525', expected a floor such as '>=525'", None),
        ("keys", 'torch = ">=2.10,<3"', r"^torch in .*found '>=2.10,<3', expected a floor", "one wheel serves"),
        ("keys", 'torch = "==2.10"', r"^torch in .*found '==2.10'", None),
        ("keys", 'torch = ">=2.10.1"', r"^torch in .*found '>=2.10.1'", None),
        ("keys", 'dependencies = ["numpy>>1"]', r"^dependencies in .*found 'numpy>>1', expected a requirement", None),
        ("keys", 'dependencies = ["torch>=2.11"]', r"^dependencies of .* names torch", 'torch = ">=2.10"'),
        ("keys", 'minimum-version = "99.0"', r"^minimum-version in pyproject.toml is newer", "gpuwheel>=99.0"),
        ("keys", 'minimum-version = "99.0"\nsince-99 = 1', r"^minimum-version in pyproject.toml is newer", None),
        ("keys", 'minimum-version = "new"', r"^minimum-version in .*found 'new', expected a version", None),
        ("keys", 'wheel = { max-size = "100" }', r"^wheel.max-size in .*expected a size such as '100 MB'", None),
        ("keys", 'wheel = { platform = "manylinux2014" }', r"^wheel.platform in .*'manylinux_2_28'", None),
        ("keys", "wheel = 1", r"^wheel in pyproject.toml is not a table", None),
        ("group", "lineinfo = 1", r"^kernels.fused.lineinfo in .*found the number 1, expected true or false", None),
        ("group", "budget = 0", r"^kernels.fused.budget in .*expected a number above zero", None),
        ("group", "budget = true", r"^kernels.fused.budget in .*found the boolean true", None),
        ("group", 'std = "c++71"', r"^kernels.fused.std in .*'c\+\+17' or 'c\+\+20'", "did you mean 'c++17'?"),
        ("group", 'include-dirs = ["csrc/inc"]', r"^kernels.fused.include-dirs in .*'csrc/inc'", "'csrc/include'?"),
        ("extension", 'mode = "embedd"', r"mode in .*found 'embedd', expected 'embed'", "did you mean 'embed'?"),
        ("extension", 'mode = "nvrtc"', r"mode in .*found 'nvrtc', expected 'embed' or 'kernels' or 'nvcc'", None),
    ],
)


@PLACES
def test_a_wrong_key_in_pyproject(project: Project, place: str, text: str, message: str, hint: str | None) -> None:
    project.write(**{place: text})
    with pytest.raises(ConfigError, match=message) as caught:
        project.load()
    if hint is not None:
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("variable", "value", "message", "hint"),
    [
        ("GPUWHEEL_ARCSH", "8.0", r"^environment GPUWHEEL_ARCSH is not a setting", "did you mean 'GPUWHEEL_ARCHS'?"),
        ("GPUWHEEL_CACHEDIR", "/c", r"^environment GPUWHEEL_CACHEDIR", "did you mean 'GPUWHEEL_CACHE_DIR'?"),
        ("GPUWHEEL_KERNELS_FUSED_STD", "c++20", r"^environment GPUWHEEL_KERNELS_FUSED_STD", "-C gpuwheel.kernels."),
        ("GPUWHEEL_ARCHS", "90", r"^archs in environment GPUWHEEL_ARCHS is not valid", "did you mean '9.0'?"),
        ("GPUWHEEL_ARCHS", ";", r"^archs in environment GPUWHEEL_ARCHS is empty", None),
        ("GPUWHEEL_CUDA", "12.9;12.9", r"^cuda in environment GPUWHEEL_CUDA has an entry twice", "remove one"),
        ("GPUWHEEL_MINIMUM_VERSION", "99", r"^minimum-version in environment GPUWHEEL_MINIMUM_VERSION", None),
        ("SKBUILD_WHEEL_PY_API", "cp310", r"^wheel.py-api .*found in environment SKBUILD_WHEEL_PY_API", "remove it"),
    ],
)
def test_a_wrong_variable(project: Project, variable: str, value: str, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        project.load({variable: value})
    if hint is not None:
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        ("gpuwheel.cuad", "12.9", r"^-C gpuwheel.cuad is not a setting", "did you mean 'cuda'?"),
        ("gpuwheel.cuda", "twelve", r"^cuda in -C gpuwheel.cuda is not valid", None),
        ("gpuwheel.cuda", ["12.8", "new"], r"^cuda in -C gpuwheel.cuda is not valid", None),
        ("gpuwheel.wheel.maxsize", "1 MB", r"^-C gpuwheel.wheel.maxsize is not a setting", "did you mean 'max-size'?"),
        ("gpuwheel.wheel", "1", r"^-C gpuwheel.wheel names a table", None),
        ("gpuwheel.kernels", "1", r"^-C gpuwheel.kernels names a table", None),
        ("gpuwheel.kernels.fused", "1", r"^-C gpuwheel.kernels.fused names a table", None),
        ("gpuwheel.kernels.fused.flag", "1", r"^-C gpuwheel.kernels.fused.flag is not", "did you mean 'flags'?"),
        ("gpuwheel.kernels.fusde.flags", "-G", r"^kernels.fusde in -C .* has no sources", "did you mean 'fused'?"),
        ("gpuwheel.kernels.fused.lineinfo", "maybe", r"^kernels.fused.lineinfo in -C .*expected true or false", None),
        ("gpuwheel.archs.first", "8.0", r"^-C gpuwheel.archs.first names a key inside 'archs'", None),
        (
            "cmake.source-dir",
            "x",
            r"^cmake.source-dir of scikit-build-core .*found in -C cmake.source-dir",
            "remove it",
        ),
        ("skbuild.wheel.tags", "x", r"^wheel.tags of scikit-build-core .*found in -C skbuild.wheel.tags", "remove it"),
    ],
)
def test_a_wrong_setting(project: Project, name: str, value: str | list[str], message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        project.load_with({name: value})
    if hint is not None:
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "table",
    [
        '[tool.scikit-build]\ncmake.source-dir = "src"',
        '[tool.scikit-build]\nwheel.py-api = "cp310"',
        "[tool.scikit-build.wheel]\nplatlib = false",
        "[tool.scikit-build.wheel]\ncmake = false",
        '[tool.scikit-build.wheel]\ntags = ["py3-none-any"]',
        '[tool.scikit-build.build]\ntargets = ["x"]',
        '[[tool.scikit-build.overrides]]\nif.platform-system = "linux"\nwheel.py-api = "cp310"',
    ],
)
def test_what_gpuwheel_owns_of_scikit_build(project: Project, table: str) -> None:
    project.write(tables=table)
    with pytest.raises(ConfigError, match=r"of scikit-build-core is set by gpuwheel \(found in pyproject.toml \[+tool"):
        project.load()


def test_other_keys_of_scikit_build_pass(project: Project) -> None:
    project.write(tables='[tool.scikit-build]\ncmake.build-type = "Debug"\nwheel.packages = ["src/x"]')
    assert project.load().settings.extensions


@pytest.mark.parametrize(
    ("place", "text", "message", "hint"),
    [
        ("sources", "csrc/kernel/*.cu", r"found 'csrc/kernel/\*.cu'", "did you mean 'csrc/kernels'?"),
        ("sources", "csrc/kernels/ad.cu", r"found 'csrc/kernels/ad.cu'", "did you mean 'csrc/kernels/add.cu'?"),
        ("sources", "csrc/kernels/*.cxx", r"matches no file", "csrc/kernels holds: add.cu, norm.cu"),
        ("sources", "csrc/kernels", r"matches no file", "csrc/kernels is a folder: the files in it are csrc/kernels/*"),
        ("sources", "csrc/*.cpp", r"matches a file that is not device code \(found 'csrc/ops.cpp'", "of an extension"),
        ("sources", ".", r"expected a pattern below the project", None),
        ("sources", "/csrc/*.cu", r"expected a pattern below the project", None),
        ("sources", "../*.cu", r"expected a pattern below the project", None),
        ("extension", "csrc/**/*", r"matches device code|matches a file", "kernel group"),
        ("extension", "ops.cpp", r"matches no file", "the project folder holds: csrc, pyproject.toml"),
    ],
)
def test_sources_that_are_not_there(project: Project, place: str, text: str, message: str, hint: str | None) -> None:
    key = "gpuwheel.kernels.fused.sources" if place == "sources" else "gpuwheel.extensions.fused_ops._C.sources"
    with pytest.raises(ConfigError, match=message) as caught:
        project.load_with({key: text})
    assert f"in -C {key}" in str(caught.value)
    if hint is not None:
        assert hint in (caught.value.hint or "")


def test_a_glob_twice(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"has an entry twice \(found 'csrc/kernels/\*.cu'\)"):
        project.load(kernels__fused__sources="csrc/kernels/*.cu;csrc/kernels/*.cu")


def test_a_kernel_group_that_does_not_exist(project: Project) -> None:
    project.write(tables='[tool.gpuwheel.extensions.other]\nsources = ["csrc/ops.cpp"]\nkernels = ["fusd"]')
    with pytest.raises(ConfigError, match=r"^extensions.other.kernels in pyproject.toml .*found 'fusd'") as caught:
        project.load()
    assert caught.value.hint == "did you mean 'fused'?"


def test_a_kernel_group_that_nobody_uses_is_a_warning(project: Project) -> None:
    project.write(tables='[tool.gpuwheel.kernels.spare]\nsources = ["csrc/kernels/add.cu"]')
    assert project.load().warnings == ("kernels.spare is compiled into no extension; add it to kernels of one",)


def test_an_empty_kernel_group(project: Project) -> None:
    project.write(tables="[tool.gpuwheel.kernels.spare]")
    with pytest.raises(ConfigError, match=r"^kernels.spare in pyproject.toml has no sources"):
        project.load()


@pytest.mark.parametrize("name", ["fused-ops._C", "fused_ops.", "fused_ops/_C", "fused_ops.class", "1ops", "o.é"])
def test_a_key_that_is_no_import_path(project: Project, name: str) -> None:
    project.write(tables=f'[tool.gpuwheel.extensions."{name}"]\nsources = ["csrc/ops.cpp"]')
    with pytest.raises(ConfigError, match=r"has a name that is not valid .*import path such as 'fused_ops._C'"):
        project.load()


@pytest.mark.parametrize("name", ["fused-x", "1x", "a.b"])
def test_a_group_that_is_no_c_identifier(project: Project, name: str) -> None:
    project.write(tables=f'[tool.gpuwheel.kernels."{name}"]\nsources = ["csrc/kernels/add.cu"]')
    with pytest.raises(ConfigError, match=r"has a name that is not valid .*C identifier such as 'fused'"):
        project.load()


@pytest.mark.parametrize("name", ["fused_ops._C.more", "fused_ops._c", "fused_ops__C", "fused_ops"])
def test_extensions_that_collide(project: Project, name: str) -> None:
    project.write(tables=f'[tool.gpuwheel.extensions."{name}"]\nsources = ["csrc/ops.cpp"]')
    with pytest.raises(ConfigError, match=r"^extensions 'fused_ops\S* and 'fused_ops\S* collide"):
        project.load()


def test_no_extension(project: Project) -> None:
    project.replace('[project]\nname = "x"\ndynamic = ["dependencies"]\n[tool.gpuwheel]\n')
    with pytest.raises(ConfigError, match=r"^tool.gpuwheel in pyproject.toml has no extension"):
        project.load()
