# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel"]
# ///
"""Refresh `gpuwheel/data/ci.toml`, and actions in templates: images from cibuildwheel, commits from GitHub.

What cannot be asked keeps its row, and is named. `GPUWHEEL_GITHUB_API` and `GPUWHEEL_IMAGE_REGISTRY` name other hosts
than api.github.com and quay.io; `GITHUB_TOKEN` is sent to the former, where there is one.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from update_index import files_of, open_wheel
from update_table import DATA, Table, as_table, as_text, command_line, dump, finish, read

if TYPE_CHECKING:
    from collections.abc import Iterator

_GITHUB = os.environ.get("GPUWHEEL_GITHUB_API", "https://api.github.com").rstrip("/")
_REGISTRY = os.environ.get("GPUWHEEL_IMAGE_REGISTRY", "https://quay.io").rstrip("/")
_TIMEOUT_S = 30
_RELEASE = re.compile(r"refs/tags/v(\d+)\.(\d+)\.(\d+)")
_PINNED_IMAGES = "cibuildwheel/resources/pinned_docker_images.cfg"
_MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"  # fmt: skip # noqa: E501


def main() -> int:
    """Take what has moved."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("ci.toml")
    missing = [*_update_images(table), *_update_actions(table), *_update_cuda_images(table)]
    stale = _update_templates(table, check=asked.check)
    return finish("ci.toml", dump(comment, table), check=asked.check, missing=missing) or stale


def _update_templates(table: Table, *, check: bool) -> int:
    """Name the same actions in what templates put into workflows; 1 if `check` and a template names another."""
    pins = {as_text(as_table(row)["uses"]): as_table(row) for row in as_table(table["actions"]).values()}

    def pinned(match: re.Match[str]) -> str:
        row = pins.get(match[1])
        return f"uses: {match[1]}@{row['commit']} # {row['version']}" if row else match[0]

    stale = 0
    for path in sorted((DATA.parents[1] / "templates").glob("*/.github/workflows/*.yml*")):
        before = path.read_text(encoding="utf-8")
        after = re.sub(r"uses: (\S+)@\w+ # \S+", pinned, before)
        if after != before:
            print(f"{path.name} of {path.parts[-4]}: {'stale' if check else 'written'}")
            stale = int(check)
            if not check:
                path.write_text(after, encoding="utf-8")
    return stale


def _update_images(table: Table) -> Iterator[str]:
    newest = max(files_of("cibuildwheel"), key=lambda file: file.version)
    with open_wheel(newest) as wheel:
        text = wheel.read(_PINNED_IMAGES).decode()
    pinned = configparser.ConfigParser(inline_comment_prefixes=None)
    pinned.read_string(text)
    for platform, row in as_table(table["images"]).items():
        image = as_table(row)
        for machine in [key for key in image if key != "version"]:
            if not pinned.has_option(machine, platform):
                yield f"cibuildwheel {newest.version} has no image of {platform} for {machine} any more"
                continue
            image[machine], _, tag = (part.strip() for part in pinned[machine][platform].partition("#"))
            image["version"] = tag
    as_table(table["sources"])["images"] = f"resources/pinned_docker_images.cfg of cibuildwheel {newest.version}"


def _update_actions(table: Table) -> Iterator[str]:
    """The newest release of each, within the major that the pipelines are written for; a newer major is named."""
    for name, row in as_table(table["actions"]).items():
        action = as_table(row)
        repository = "/".join(as_text(action["uses"]).split("/")[:2])
        try:
            found = _releases(repository)
        except (OSError, ValueError) as error:
            yield f"releases of {repository}, which could not be asked for ({error})"
            continue
        major = int(as_text(action["version"]).removeprefix("v").partition(".")[0])
        same = {version: ref for version, ref in found.items() if version[0] == major}
        if not same:
            yield f"{repository} v{major}, of which it has no release (expected one)"
            continue
        newest = max(same)
        action["version"] = "v" + ".".join(map(str, newest))
        action["commit"] = _commit(repository, same[newest])
        later = max(found)
        if later[0] > major:
            yield f"{name} v{'.'.join(map(str, later))} (pinned: {action['version']}; see what its major changes)"


def _releases(repository: str) -> dict[tuple[int, int, int], dict[str, Any]]:
    found = _json(f"{_GITHUB}/repos/{repository}/git/matching-refs/tags/v")
    matches = ((_RELEASE.fullmatch(entry["ref"]), entry["object"]) for entry in found)
    return {(int(match[1]), int(match[2]), int(match[3])): ref for match, ref in matches if match}


def _commit(repository: str, ref: dict[str, Any]) -> str:
    """What a tag means: an annotated one is an object of its own, which names the commit."""
    while ref["type"] == "tag":
        ref = _json(f"{_GITHUB}/repos/{repository}/git/tags/{ref['sha']}")["object"]
    return str(ref["sha"])


def _update_cuda_images(table: Table) -> Iterator[str]:
    for rows in as_table(table["cuda-images"]).values():
        for row in as_table(rows).values():
            image = as_table(row)
            for machine in [key for key in image if key != "version"]:
                name = re.split("[@:]", as_text(image[machine]))[0]
                path, tag = name.partition("/")[2], as_text(image["version"])
                try:
                    digest = _digest(f"{_REGISTRY}/v2/{path}/manifests/{tag}")
                except OSError as error:
                    yield f"the digest of {name}:{tag}, which could not be asked for ({error})"
                    continue
                image[machine] = f"{name}@{digest}"


def _digest(url: str) -> str:
    request = urllib.request.Request(url, method="HEAD", headers={"Accept": _MANIFESTS})  # noqa: S310 - https, or a test's own
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        digest = response.headers.get("Docker-Content-Digest", "")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        msg = f"no digest ({digest!r})"
        raise OSError(msg)
    return str(digest)


def _json(url: str) -> Any:  # noqa: ANN401 - a document
    headers = {"Accept": "application/vnd.github+json"}
    token = os.environ.get("GITHUB_TOKEN")
    if token and url.startswith("https://api.github.com/"):
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - https, or a test's own
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        return json.load(response)


if __name__ == "__main__":
    sys.exit(main())
