"""Which index packages a build environment gets: uv or pip resolves, and answers with a PEP 751 document."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import Marker, default_environment
from packaging.pylock import Package, Pylock, PylockValidationError
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from gpuwheel._run import ProcessFailedError, run
from gpuwheel._toml import read_toml
from gpuwheel.errors import ToolchainError
from gpuwheel.index.settings import read_index_settings
from gpuwheel.toolchain.probes.programs import find_uv, has_pip, own_distribution

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gpuwheel.index.context import Context

__all__ = ["index_environment", "own_requirements", "resolve"]

_PIP_WITH_LOCK = Version("25.1")


def resolve(requirements: Sequence[str], *, machines: Collection[str], oldest_python: str, context: Context) -> Pylock:
    """The packages that satisfy `requirements`, with every wheel for the Linux machines that gpuwheel builds on.

    uv resolves for every Python from `oldest_python` on; pip, the second choice, for the running one.

    Args:
        requirements: as in `[build-system] requires`.
        machines: CPU architectures whose wheels are kept.
        oldest_python: for example "3.10".
        context: environment, cache (for scratch space), reporter.

    Raises:
        ToolchainError: there is neither uv nor a pip that can lock, or nothing satisfies the requirements.
    """
    environ = index_environment(context.environ)
    with context.cache.scratch() as scratch:
        wanted, out = scratch / "requirements.in", scratch / "pylock.toml"
        wanted.write_text("\n".join([*requirements, ""]), encoding="utf-8")
        words, whole = _command(wanted, out, oldest_python, environ)
        context.reporter.command([Path(words[0]).name, *words[1:]])
        try:
            run(words, env=environ, cwd=scratch)
            return _kept(Pylock.from_dict(read_toml(out)), machines, whole=whole)
        except ProcessFailedError as error:
            msg = f"no set of packages satisfies what a build requires ({', '.join(requirements)})"
            raise ToolchainError(msg, hint="the messages above say what is in the way", detail=error.detail) from error
        except (PylockValidationError, ValueError, RecursionError, FileNotFoundError) as error:
            msg = f"{words[0]} wrote no lock file that PEP 751 allows ({error})"
            raise ToolchainError(msg, hint="pip install --upgrade uv") from error


def own_requirements() -> list[str]:
    """What installs this gpuwheel from an index: its version; or what it needs, if it was installed from elsewhere.

    Source: PEP 610; `direct_url.json` is there for what came from a folder, a repository or a file.

    Raises:
        ToolchainError: gpuwheel is not installed.
    """
    distribution = own_distribution()
    if distribution.read_text("direct_url.json") is None:
        return [f"gpuwheel=={distribution.version}"]
    return [text for text in distribution.requires or () if "extra ==" not in text]


def _command(wanted: Path, out: Path, oldest_python: str, environ: Mapping[str, str]) -> tuple[list[str], bool]:
    """The resolver's words, and whether it resolves for every Python and machine."""
    uv = find_uv(environ)
    if uv is not None:
        # One lock for every Python and machine; markers say which packages are for which.
        target = ["--universal", f"--python-version={oldest_python}", f"--python={sys.executable}"]
        # To resolve an sdist is to run its code.
        options = ["--quiet", "--only-binary=:all:", "--format=pylock.toml", f"--output-file={out}"]
        options += ["--no-index"] if "UV_NO_INDEX" in environ else []  # uv reads no such variable
        return [str(uv), "pip", "compile", *target, *options, str(wanted)], True
    if has_pip(_PIP_WITH_LOCK):
        options = ["--quiet", "--only-binary=:all:", f"--output={out}", f"--requirement={wanted}"]
        return [sys.executable, "-m", "pip", "lock", *options], False
    msg = f"nothing here resolves requirements (looked for uv, and for pip {_PIP_WITH_LOCK} or newer)"
    raise ToolchainError(msg, hint="pip install uv")


def index_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's index, told to uv and to pip in the same words, in place of what each would read by itself."""
    settings = read_index_settings(environ)
    # Anything of these may change what is found (prereleases, constraints, exclude-newer): a lock depends on the
    # index alone.
    own = {name: value for name, value in environ.items() if not name.startswith(("PIP_", "UV_"))}
    kept = {name: environ[name] for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR") if name in environ}
    own |= kept | {
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    if settings.indexes:
        first, *others = settings.indexes
        own |= {"PIP_INDEX_URL": first, "UV_DEFAULT_INDEX": first}
        # Like pip: the best version of any index, not the first index that has the name.
        own |= {"PIP_EXTRA_INDEX_URL": " ".join(others), "UV_INDEX": " ".join(others)}
        own["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    else:
        own |= {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"}
    if settings.find_links:
        own |= {"PIP_FIND_LINKS": " ".join(settings.find_links), "UV_FIND_LINKS": ",".join(settings.find_links)}
    if settings.ca_bundle:
        own |= {"PIP_CERT": settings.ca_bundle, "SSL_CERT_FILE": settings.ca_bundle}
    if settings.proxy:
        own |= {"HTTPS_PROXY": settings.proxy, "HTTP_PROXY": settings.proxy}
    if settings.trusted_hosts:
        hosts = sorted(settings.trusted_hosts)
        own |= {"PIP_TRUSTED_HOST": " ".join(hosts), "UV_INSECURE_HOST": " ".join(hosts)}
    return own


def _kept(found: Pylock, machines: Collection[str], *, whole: bool) -> Pylock:
    """A resolver's lock as gpuwheel writes it: no sdists, which run code to build, and no wheels for other systems."""
    here = default_environment()
    facts = {
        "python_full_version": here["python_full_version"],
        "sys_platform": here["sys_platform"],
        "platform_machine": here["platform_machine"],
    }
    marker = Marker(" and ".join(f"{name} == '{value}'" for name, value in facts.items()))
    packages = (_with_linux_wheels(package, machines) for package in found.packages)
    return Pylock(
        lock_version=found.lock_version,
        environments=None if whole else [marker],
        requires_python=found.requires_python,
        created_by="gpuwheel",
        packages=sorted((package for package in packages if package.wheels), key=lambda package: package.name),
    )


def _with_linux_wheels(package: Package, machines: Collection[str]) -> Package:
    wheels = [wheel for wheel in package.wheels or () if _is_for_linux(wheel.filename, machines)]
    return Package(
        name=package.name,
        version=package.version,
        marker=package.marker,
        requires_python=package.requires_python,
        wheels=wheels,
    )


def _is_for_linux(filename: str, machines: Collection[str]) -> bool:
    """Whether some CPython on Linux with glibc takes the wheel."""
    tags = parse_wheel_filename(filename)[3]
    platforms = tuple(f"_{machine}" for machine in machines)
    return any(
        tag.interpreter.startswith(("cp3", "py3"))
        and (
            tag.platform == "any"
            or (tag.platform.startswith(("linux", "manylinux")) and tag.platform.endswith(platforms))
        )
        for tag in tags
    )
