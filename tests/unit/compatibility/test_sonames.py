"""Who brings which library: laws of the table."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.sonames import load_sonames, stem


def test_libraries_that_mode_nvcc_links_are_known_under_the_same_distribution() -> None:
    table = load_sonames()
    for toolkit in load_tables().cuda.values():
        for pin in toolkit.libraries:
            missing = {soname for _, soname in pin.sonames} - table.distributions[pin.name]
            assert not missing, (toolkit.version, pin.name)


def test_what_torch_requires_is_known() -> None:
    table = load_sonames()
    majors = {version.major for version in load_tables().cuda}
    assert majors <= table.toolkit.keys()
    for build in load_tables().torch.values():
        requirement = Requirement(f"torch=={build.release}")
        brought = table.brought([requirement], "x86_64", load_tables())
        assert {"libtorch.so", f"libcudart.so.{build.cuda.major}", "libcudnn.so.9", "libnccl.so.2"} <= brought.keys()
        assert not {f"libcudart.so.{major}" for major in majors - {build.cuda.major}} & brought.keys()


@pytest.mark.parametrize(
    "soname", ["libcuda.so.1", "libcuda.so", "libnvidia-ml.so.1", "libcublasLt.so.12", "libc10.so"]
)
def test_no_copy_is_ever_made_of_what_belongs_to_a_driver_or_a_distribution(soname: str) -> None:
    assert load_sonames().is_never_copied(soname)


@pytest.mark.parametrize("soname", ["libgomp.so.1", "libcudaish.so.1", "libc.so.6", "libnccl-net.so", "libfftw3.so.3"])
def test_names_that_only_look_like_theirs_are_others(soname: str) -> None:
    assert not load_sonames().is_never_copied(soname)


def test_a_stem_is_the_name_without_its_version() -> None:
    assert [stem(name) for name in ("libx.so", "libx.so.1.2", "libx-y.z.so.3")] == ["libx.so", "libx.so", "libx-y.z.so"]
