"""twine and uv, which upload: as programs. Credentials are their own business, and no word of a command line."""

from __future__ import annotations

import configparser
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._endings import because, cut
from gpuwheel._environment import of_strangers
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.audit.cases import rule
from gpuwheel.errors import PublishError
from gpuwheel.index.pages import without_credentials
from gpuwheel.model.findings import Found, Profile
from gpuwheel.toolchain.probes.programs import find_uv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.model.findings import Finding, Part
    from gpuwheel.publish.upload.destinations import Destination
    from gpuwheel.publish.upload.release_files import ReleaseFile

__all__ = ["DESCRIPTION", "TOOLS", "Uploader", "check_pypirc", "description_findings", "find_uploader"]

TOOLS = ("twine", "uv")
_INSTALL = "pip install 'gpuwheel[publish]', or install uv"
_SECRETS = ("TWINE_PASSWORD", "TWINE_USERNAME", "UV_PUBLISH_PASSWORD", "UV_PUBLISH_TOKEN", "UV_PUBLISH_USERNAME")
# Where to send is decided here, and was checked: variables that would lead elsewhere are not handed on.
_PLACES = {"TWINE_REPOSITORY", "TWINE_REPOSITORY_URL"}
_OF_UV = "UV_PUBLISH_"
_SHORTEST = 4  # characters of what is hidden: shorter ones are in every word
_HIDDEN = "[hidden]"
# What servers and tools say -> what to do.
_HINTS = (
    (r"\b401\b|\b403\b|[Cc]redential|[Uu]nauthorized|[Aa]uthentication", "check TWINE_USERNAME and TWINE_PASSWORD, ~/.pypirc, UV_PUBLISH_TOKEN or the keyring"),  # noqa: E501
    (r"\b409\b|already exist", "another file of this name is there: raise the version; --check-url lets gpuwheel see what is there"),  # noqa: E501
    (r"\b413\b|too large", "the server takes smaller files alone: ask its owner, or make the wheel smaller"),
    (r"[Cc]ould not connect|[Cc]onnection|timed out|[Tt]imeout|\b50[0-9]\b", "run the same command again: what is there already is not sent twice"),  # noqa: E501
)  # fmt: skip


@dataclass(frozen=True)
class Uploader:
    """A program that uploads."""

    name: str
    command: tuple[str, ...]

    def send(self, file: Path, to: Destination, environ: Mapping[str, str]) -> None:
        """Upload one file.

        Raises:
            PublishError: it was not taken, or ~/.pypirc has another place for it.
        """
        check_pypirc(to, environ)
        try:
            run([*self.command, *self._words(to), _argument(file)], env=_surroundings(environ))
        except ProcessFailedError as error:
            said = _without_secrets(error.completed.output, environ)
            hint = next(
                (hint for pattern, hint in _HINTS if re.search(pattern, said)), "see what the server said above"
            )
            msg = f"{file.name} was not uploaded to {to.text} ({self.name} ended with {error.completed.returncode})"
            raise PublishError(msg, hint=hint, detail=said) from None

    def _words(self, to: Destination) -> list[str]:
        url = to.upload or ""
        if self.name == "uv":
            return ["publish", "--quiet", "--no-progress", "--publish-url", url]
        # By its name twine finds the section of ~/.pypirc, by a URL none.
        place = ["--repository-url", url] if "://" in to.text else ["--repository", to.text]
        return ["upload", "--non-interactive", "--disable-progress-bar", *place]


def _surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """Credentials stay; what names another place goes."""
    return {
        name: value
        for name, value in of_strangers(environ).items()
        if name not in _PLACES and (not name.startswith(_OF_UV) or name in _SECRETS)
    }


def check_pypirc(to: Destination, environ: Mapping[str, str]) -> None:
    """The section of ~/.pypirc from which twine takes credentials is for the place that was asked for.

    Raises:
        PublishError: it names another URL, or cannot be read.
    """
    if "://" in to.text or to.upload is None or not environ.get("HOME"):
        return
    path = Path(environ["HOME"]) / ".pypirc"
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
        url = parser.get(to.text, "repository", fallback=to.upload)
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        msg = f"~/.pypirc cannot be read ({because(error)})"
        raise PublishError(msg, hint="correct it: twine takes credentials from it") from error
    if url.strip().rstrip("/") != to.upload.rstrip("/"):
        msg = f"[{to.text}] in ~/.pypirc is another place (found {cut(without_credentials(url))}, expected {to.upload})"
        raise PublishError(msg, hint=f"remove `repository` from [{to.text}], or publish with --to URL")


def find_uploader(wanted: str | None, environ: Mapping[str, str]) -> Uploader:
    """The program asked for; else twine beside this interpreter, else uv.

    Raises:
        PublishError: there is none.
    """
    for name in (wanted,) if wanted else TOOLS:
        command = _twine() if name == "twine" else _uv(environ)
        if command is not None:
            return Uploader(name, command)
    msg = f"{wanted or ' or '.join(TOOLS)} is not installed (expected one that uploads)"
    raise PublishError(msg, hint=_INSTALL)


def _argument(file: Path) -> str:
    """A path that no program takes for an option."""
    return str(file) if file.is_absolute() else f"./{file}"


def _twine() -> tuple[str, ...] | None:
    return (sys.executable, "-m", "twine") if importlib.util.find_spec("twine") is not None else None


def _uv(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    found = find_uv(environ)
    return None if found is None else (str(found),)


def _without_secrets(text: str, environ: Mapping[str, str]) -> str:
    """What a tool said, should it ever repeat what it was trusted with."""
    for name in _SECRETS:
        value = environ.get(name, "")
        if len(value) >= _SHORTEST and value != "__token__":
            text = text.replace(value, _HIDDEN)
    return text


@rule(
    "description",
    needs=(),
    why="the page of the project would show its source in place of it; PyPI refuses the file",
    fix="`twine check` on the file names the line; Markdown needs its content-type in `readme` of pyproject.toml",
    source="packaging.python.org, Making a PyPI-friendly README",
)
def _description(found: _Told) -> Iterator[Found]:
    """The description does not render, by `twine check`."""
    yield Found(found.file, f"has a description that does not render ({found.said})")


DESCRIPTION = _description


@dataclass(frozen=True)
class _Told:
    file: str
    said: str
    parts: frozenset[Part] = frozenset()
    profile: Profile = Profile.OWN


def description_findings(files: Iterable[ReleaseFile], environ: Mapping[str, str]) -> tuple[Finding, ...] | None:
    """What `twine check` finds, which renders as PyPI does; `None`: there is no twine here to ask.

    Raises:
        PublishError: twine does not run.
    """
    twine = _twine()
    if twine is None:
        return None
    found: list[Finding] = []
    seen: set[bytes] = set()
    for file in files:
        description = file.metadata.partition(b"\n\n")[2] + file.value("Description-Content-Type").encode()
        if description in seen:
            continue  # a second of work each, and one text in all files of a release
        seen.add(description)
        done = run([*twine, "check", _argument(file.path)], env=of_strangers(environ), check=False)
        if done.returncode and "FAILED" not in done.output:
            msg = f"twine cannot look at {file.path.name} (exit status {done.returncode}, expected a verdict)"
            raise PublishError(msg, hint=_INSTALL, detail=done.output)
        if done.returncode:
            said = " ".join(line.strip() for line in done.output.splitlines() if line.strip())
            found += DESCRIPTION.findings(_Told(file.path.name, said[:300]))
    return tuple(found)
