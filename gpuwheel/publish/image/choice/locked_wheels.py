"""Wheels that a lock file names, for what is in an image and not for what runs here: by digest, from where it says.

`pylock.toml` (PEP 751), and requirements files with `--hash`, as pip, pip-tools and uv write them.
"""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.pylock import (
    Pylock,
    PylockSelectError,
    PylockUnsupportedVersionError,
    PylockValidationError,
    is_valid_pylock_path,
)
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from gpuwheel._cache import index_problem
from gpuwheel._endings import cut, reading
from gpuwheel._files import sha256_of
from gpuwheel._limits import CONFIG_FILE
from gpuwheel._toml import parse_toml
from gpuwheel.errors import AuditError, LockError
from gpuwheel.index.download import download
from gpuwheel.index.pages import without_credentials
from gpuwheel.index.pinned import FoundFile, PackageIndex
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import Transport, local_path
from gpuwheel.model.pins import PinnedFile
from gpuwheel.publish.image.choice.reading_wheels import image_wheel
from gpuwheel.publish.image.choice.requirements_met import marker_environment
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from packaging.markers import Environment

    from gpuwheel.index.context import Context
    from gpuwheel.publish.image.choice.fitting import Target
    from gpuwheel.publish.image.image_plan import ImageWheel

__all__ = ["locked_wheels"]

_AGAIN = "write it again for this Python and platform: uv export --format pylock.toml"
_HASH = re.compile(r"sha256:(?P<hex>[0-9a-f]{64})")
_COMMENT = re.compile(r"(^|\s)#.*$")
# Where the files come from is for the settings of pip and uv, here as everywhere; the digests decide what they are.
_OF_INDEXES = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host")
_WITHOUT_MEANING = ("--only-binary", "--no-binary", "--prefer-binary", "--require-hashes", "--pre")


def locked_wheels(path: Path, target: Target, context: Context, given: Collection[str]) -> list[ImageWheel]:
    """The wheels of a lock file that are installed in an image, downloaded where they are not in the cache.

    Args:
        path: of the lock file.
        target: what they are installed for.
        context: cache, indexes, reporter.
        given: distributions whose wheels are there: the project itself is in its lock, as a folder.

    Raises:
        LockError: it is no lock file, has no digests, or has nothing for this Python and platform.
        NetworkError: a file cannot be had, or is not the locked one.
    """
    with path.open("rb") as file:
        data = file.read(CONFIG_FILE.value + 1)
    settings = read_index_settings(context.environ)
    with closing(Transport(settings, context.traffic, context.reporter.info)) as transport:
        index = PackageIndex(settings, transport)
        if is_valid_pylock_path(path):
            rows = _of_pylock(data, path, target, given)
        else:
            rows = _of_requirements(data, path, target, index, given)
        return [image_wheel(*_fetched(name, found, context, transport, index)) for name, found in rows]


def _fetched(
    name: str, found: FoundFile, context: Context, transport: Transport, index: PackageIndex
) -> tuple[Path, str]:
    file = found.file
    if not found.url:
        found = index.find(name, [file])
    local = local_path(found.url)
    if local is not None:
        return download(found, local.parent, transport=transport, reporter=context.reporter), file.sha256

    def fill(folder: Path) -> None:
        # Beside and not inside: a download that was cut is gone on with.
        downloads = folder.with_name(f"{folder.name}.downloads")
        downloads.mkdir(exist_ok=True)
        download(found, downloads, transport=transport, reporter=context.reporter).rename(folder / file.filename)
        shutil.rmtree(downloads)

    folder = context.cache.publish_tree("wheels", file.sha256, fill, check=index_problem)
    return folder / file.filename, file.sha256


def _of_pylock(data: bytes, path: Path, target: Target, given: Collection[str]) -> Iterator[tuple[str, FoundFile]]:
    environment: Environment = marker_environment(target)  # type: ignore[assignment]  # all of its keys
    with reading(f"{path} is not a lock file", "PEP 751", error=LockError, hint=_AGAIN):
        try:
            pylock = Pylock.from_dict(parse_toml(data))
            chosen = list(pylock.select(environment=environment, tags=target.tags()))
        except (PylockValidationError, PylockUnsupportedVersionError) as error:
            raise ValueError(cut(error)) from error
        except PylockSelectError as error:
            msg = f"{path} has nothing for Python {target.python} on {target.platform} ({cut(error)})"
            raise LockError(msg, hint=_AGAIN) from error
    for package, one in chosen:
        if package.name in given:
            continue
        if (digest := getattr(one, "hashes", {}).get("sha256")) is None or not hasattr(one, "filename"):
            raise _no_wheel(path, package.name, type(one).__name__)
        name: str = one.filename
        _check_name(path, package.name, name)
        file = PinnedFile(name, digest.lower(), getattr(one, "size", None) or 0)
        stated, url = getattr(one, "path", None), getattr(one, "url", None) or ""
        url = (path.absolute().parent / stated).as_uri() if stated else url
        yield package.name, FoundFile(file, url, without_credentials(url) if url else "")


def _check_name(path: Path, name: str, filename: str) -> None:
    """Make sure that it is a wheel's name, of this project: a URL may hold anything, a way out of a folder too."""
    try:
        parse_wheel_name(filename)
        is_right = parse_wheel_filename(filename)[0] == canonicalize_name(name)
    except (AuditError, ValueError):
        is_right = False
    if not is_right:
        raise _no_wheel(path, name, ascii(filename))


def _shown(text: str) -> str:
    """For a message, without what stands before "@" in a URL."""
    return cut(re.sub(r"//[^/@\s]*@", "//", text))


def _no_wheel(path: Path, name: str, found: str) -> LockError:
    msg = f"{path} has no wheel of {name} with its sha256 (found {_shown(found)}, expected a wheel)"
    return LockError(msg, hint="build its wheel and name it beside the lock file; nothing is built inside of an image")


def _of_requirements(
    data: bytes, path: Path, target: Target, index: PackageIndex, given: Collection[str]
) -> Iterator[tuple[str, FoundFile]]:
    environment = marker_environment(target)
    for text, digests in _lines(data, path):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # which shows the line, and with it passwords
            msg = f"{path} has a line that is no requirement ({_shown(text)}, expected name==version --hash=sha256:...)"
            raise LockError(msg, hint=_AGAIN) from None
        if requirement.marker is not None and not requirement.marker.evaluate({**environment, "extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        if name in given:
            continue
        if not digests:
            msg = f"{path} does not give a digest of {name} (expected --hash=sha256:...)"
            raise LockError(msg, hint=_AGAIN)
        if requirement.url is not None:
            filename = unquote(urlsplit(requirement.url).path.rpartition("/")[2])
            if len(digests) != 1:
                raise _no_wheel(path, name, f"{len(digests)} digests")
            _check_name(path, name, filename)
            file = PinnedFile(filename, digests[0], 0)
            yield name, FoundFile(file, requirement.url, without_credentials(requirement.url))
            continue
        yield name, _listed(path, requirement, digests, target, index)


def _lines(data: bytes, path: Path) -> Iterator[tuple[str, list[str]]]:
    """(requirement, digests) of each."""
    with reading(f"{path} is not a requirements file", "lines of UTF-8", error=LockError, hint=_AGAIN):
        text = data.decode()
        if len(data) > CONFIG_FILE.value:
            raise ValueError(CONFIG_FILE.passed("more"))
    joined = re.sub(r"\\\r?\n", " ", text)
    for raw in joined.splitlines():
        line = _COMMENT.sub("", raw).strip()
        option = re.split(r"[=\s]", line, maxsplit=1)[0]
        if not line or option in (*_OF_INDEXES, *_WITHOUT_MEANING):
            continue
        if option.startswith("-"):
            msg = (
                f"{path} has an option that no lock file has ({_shown(line)}, expected name==version --hash=sha256:...)"
            )
            raise LockError(msg, hint=_AGAIN)
        requirement, *options = re.split(r"\s+(?=--hash)", line)
        digests = []
        for one in options:
            found = _HASH.fullmatch(one.removeprefix("--hash").lstrip("= \t").strip("\"' \t"))
            if found is not None:
                digests.append(found["hex"])
        yield requirement.strip(), digests


def _listed(path: Path, requirement: Requirement, digests: list[str], target: Target, index: PackageIndex) -> FoundFile:
    """The best of the files that are listed with one of these digests."""
    name = canonicalize_name(requirement.name)
    offered: list[tuple[tuple[int, ...], str, FoundFile]] = []
    for listing in index.listings(name):
        for link in listing.links:
            if not link.filename.endswith(".whl"):
                continue
            try:
                project, version = parse_wheel_filename(link.filename)[:2]
                rank = target.preference(link.filename)
            except (ValueError, AuditError):
                continue  # an index may list anything
            if project != name or rank is None or not requirement.specifier.contains(version, prereleases=True):
                continue
            digest = link.sha256 or _digest_of(link.url)
            if digest in digests:
                file = PinnedFile(link.filename, digest, 0)
                offered.append((rank, link.filename, FoundFile(file, link.url, listing.place)))
        if offered:
            return min(offered, key=lambda one: one[:2])[2]
    where = f"Python {target.python} on {target.platform}"
    msg = f"{path} has no digest of a wheel of {_shown(str(requirement))} that fits {where} and is listed"
    raise LockError(msg, hint=f"correct the index (GPUWHEEL_INDEX_URL), or {_AGAIN}")


def _digest_of(url: str) -> str | None:
    local = local_path(url)
    if local is None or not local.is_file():
        return None
    with local.open("rb") as file:
        return sha256_of(file)
