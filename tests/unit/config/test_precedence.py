"""Where values come from, and which source wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuwheel.config.model import Extension, Kernels
from gpuwheel.errors import ConfigError
from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.choices import Mode
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from conftest import Project

    from gpuwheel.config import LoadedConfig


def archs(text: str) -> tuple[ArchTarget, ...]:
    return tuple(ArchTarget.parse(part) for part in text.split())


def test_a_minimal_project_gets_the_defaults(project: Project) -> None:
    config = project.load()
    settings = config.settings
    assert settings.cuda == (MinorVersion(12, 9),)
    assert settings.driver == DriverVersion((525,))
    assert settings.torch == (SpecifierSet(">=2.10"),)
    assert settings.archs == archs("7.5 8.0 9.0 10.0+PTX 12.0")
    assert settings.kernels == {"fused": Kernels(sources=("csrc/kernels/*.cu",))}
    assert settings.extensions == {
        "fused_ops._C": Extension(sources=("csrc/ops.cpp",), mode=Mode.EMBED, kernels=("fused",))
    }
    assert config.project.name == "fused-ops"
    assert config.project.dependencies is None
    assert config.warnings == ()


def test_every_key_of_pyproject_is_read(project: Project) -> None:
    settings = (
        project.write(
            keys="""
            minimum-version = "0.1"
            cuda = "12.8"
            driver = ">=550.54"
            archs = ["9.0a", "10.0+PTX"]
            torch = ">=2.11"
            dependencies = ["numpy>=1.26"]
            wheel = { platform = "manylinux_2_28", max-size = "100 MB" }
            """,
            group="""
            include-dirs = ["csrc/include"]
            defines = ["A", "B=1"]
            flags = ["--use_fast_math"]
            std = "c++20"
            archs = ["9.0"]
            lineinfo = true
            budget = 128
            """,
            extension="""
            mode = "embed"
            link-flags = ["-Wl,-z,now"]
            """,
        )
        .load()
        .settings
    )
    assert settings.minimum_version == Version("0.1")
    assert settings.cuda == (MinorVersion(12, 8),)
    assert settings.driver == DriverVersion((550, 54))
    assert settings.archs == archs("9.0a 10.0+PTX")
    assert settings.torch == (SpecifierSet(">=2.11"),)
    assert settings.dependencies == ("numpy>=1.26",)
    assert (settings.wheel.platform, settings.wheel.max_size) == ("manylinux_2_28", 100_000_000)
    assert settings.kernels["fused"] == Kernels(
        sources=("csrc/kernels/*.cu",),
        include_dirs=("csrc/include",),
        defines=("A", "B=1"),
        flags=("--use_fast_math",),
        std="c++20",
        archs=archs("9.0"),
        lineinfo=True,
        budget=128,
    )
    assert settings.extensions["fused_ops._C"].link_flags == ("-Wl,-z,now",)


def test_each_source_wins_over_the_one_before(project: Project) -> None:
    project.write(keys='archs = ["8.0"]')
    torch, own = {"TORCH_CUDA_ARCH_LIST": "8.6"}, {"GPUWHEEL_ARCHS": "8.9"}
    assert project.load().settings.archs == archs("8.0")
    assert project.load(torch).settings.archs == archs("8.6")
    assert project.load(torch | own).settings.archs == archs("8.9")
    assert project.load(torch | own, archs="9.0;12.0").settings.archs == archs("9.0 12.0")


def test_origins_name_the_source(project: Project) -> None:
    project.write(keys='archs = ["8.0"]\ntorch = ">=2.10"')
    origins = project.load({"GPUWHEEL_ARCHS": "8.9"}, kernels__fused__std="c++20").origins
    assert origins["archs"] == "environment GPUWHEEL_ARCHS"
    assert origins["torch"] == "pyproject.toml"
    assert origins["kernels.fused.std"] == "-C gpuwheel.kernels.fused.std"
    assert "cuda" not in origins


def test_settings_reach_into_tables(project: Project) -> None:
    settings = project.load(
        kernels__fused__flags="--use_fast_math; -lineinfo",
        kernels__fused__lineinfo="yes",
        kernels__fused__budget="64",
        wheel__max_size="1.5 MB",
    ).settings
    assert settings.kernels["fused"].flags == ("--use_fast_math", "-lineinfo")
    assert settings.kernels["fused"].lineinfo is True
    assert settings.kernels["fused"].budget == 64
    assert settings.wheel.max_size == 1_500_000


def test_an_import_path_in_a_setting_may_be_quoted(project: Project) -> None:
    for name in ("fused_ops._C", '"fused_ops._C"'):
        config = project.load_with({f"gpuwheel.extensions.{name}.std": "c++20"})
        assert config.settings.extensions["fused_ops._C"].std == "c++20"


def test_a_list_may_be_given_in_pieces(project: Project) -> None:
    assert project.load(archs=["8.0;9.0", "12.0"]).settings.archs == archs("8.0 9.0 12.0")


def test_an_empty_list_in_a_setting_empties_it(project: Project) -> None:
    project.write(keys='dependencies = ["numpy"]')
    assert project.load(dependencies="").settings.dependencies == ()


def test_an_empty_variable_counts_as_unset(project: Project) -> None:
    settings = project.load({"GPUWHEEL_CUDA": "", "TORCH_CUDA_ARCH_LIST": " ", "GPUWHEEL_CACHE_DIR": "/c"}).settings
    assert settings.cuda == (MinorVersion(12, 9),)


def test_variables_reach_the_wheel_table(project: Project) -> None:
    wheel = project.load(
        {"GPUWHEEL_WHEEL_MAX_SIZE": "2 MiB", "GPUWHEEL_WHEEL_PLATFORM": "manylinux_2_28"}
    ).settings.wheel
    assert (wheel.max_size, wheel.platform) == (2 * 2**20, "manylinux_2_28")


def handed_on(config: LoadedConfig) -> dict[str, str | list[str]]:
    """Beside what gpuwheel excludes from every sdist."""
    return {name: value for name, value in config.inner.items() if name != "sdist.exclude"}


def test_other_settings_are_handed_on(project: Project) -> None:
    config = project.load_with({"cmake.build-type": "Debug", "gpuwheel.cuda": "12.8", "build-dir": ["a", "b"]})
    assert handed_on(config) == {"cmake.build-type": "Debug", "build-dir": ["a", "b"]}


def test_the_build_folder_of_scikit_build_core_is_kept(project: Project) -> None:
    project.write(tables='[tool.scikit-build]\nbuild-dir = "build/{wheel_tag}"\n')
    assert handed_on(project.load()) == {"build-dir": "build/{wheel_tag}"}
    assert handed_on(project.load_with({"build-dir": "other"})) == {"build-dir": "other"}


PRODUCTS = ["**/fused_ops/_C.so", "**/fused_ops/_C.*.so", "**/fused_ops/_kernels.json"]


def test_compiled_files_beside_the_sources_are_no_sources(project: Project) -> None:
    """Those of an editable install: they would go into the next wheel, whatever became of the sources."""
    assert project.load().inner["sdist.exclude"] == PRODUCTS
    project.write(tables='[tool.scikit-build]\nsdist.exclude = ["notes"]\n')
    assert project.load().inner["sdist.exclude"] == ["notes", *PRODUCTS]
    assert project.load({"SKBUILD_SDIST_EXCLUDE": "a;b"}).inner["sdist.exclude"] == ["a", "b", *PRODUCTS]
    assert project.load_with({"sdist.exclude": "c"}).inner["sdist.exclude"] == ["c", *PRODUCTS]


def test_what_is_excluded_under_a_condition_is_left_to_it(project: Project) -> None:
    project.write(tables='[[tool.scikit-build.overrides]]\nif.platform-system = "linux"\nsdist.exclude = ["notes"]\n')
    assert "sdist.exclude" not in project.load().inner


@pytest.mark.parametrize(
    ("text", "label"), [("torch2.14.cu13.0", "torch2.14.cu13.0"), ("Torch2.14-CU13_0", "torch2.14.cu13.0")]
)
def test_a_local_version_is_spelled_as_versions_are(project: Project, text: str, label: str) -> None:
    assert project.load(local=text).settings.local == label
    assert project.load(environ={"GPUWHEEL_LOCAL": text}).settings.local == label


@pytest.mark.parametrize("text", ["", "torch2.14+cu13", "a..b", "cu 13", " cu13", "-", "cu13.", "ünd", "1!2"])
def test_a_label_that_is_no_local_version_is_refused(project: Project, text: str) -> None:
    with pytest.raises(ConfigError, match=r"local in -C gpuwheel\.local is not valid .* expected letters and digits"):
        project.load(local=text)


def test_a_local_version_in_the_file_would_be_in_wheels_that_installers_build(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"local in pyproject\.toml would be in every wheel \(found 'cu13'"):
        project.write(keys='local = "cu13"').load()
