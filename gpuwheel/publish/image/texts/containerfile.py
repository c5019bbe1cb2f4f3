"""The Containerfile that a person would have written for an image, with all that it copies, in one folder.

It gives the same distributions, user, variables, labels and entrypoint as the image of the same plan. It needs of a
builder what buildah 1.28 and BuildKit both have: several stages and mounts, no heredocs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel._files import atomic_file, sha256_of
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.choice.fitting import Target
from gpuwheel.publish.image.choice.requirements_met import required_names
from gpuwheel.publish.image.image_bill import bill_path, image_bill
from gpuwheel.publish.image.texts.own_folder import own_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.publish.image.image_plan import BaseImage, ImagePlan, ImageWheel

__all__ = ["ContainerfileFolder", "base_name", "containerfile", "write_containerfile"]

_FILE, _REQUIREMENTS, _BILL = "Containerfile", "requirements.txt", "image.cdx.json"
_DEPENDENCIES, _PROJECT = "wheels", "project"
_OWN_LABELS = "org.opencontainers.image."
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


@dataclass(frozen=True)
class ContainerfileFolder:
    """What was written."""

    path: Path
    """The Containerfile."""
    wheels: int
    """Files of wheels beside it."""


def write_containerfile(plan: ImagePlan, folder: Path) -> ContainerfileFolder:
    """Write the Containerfile of an image, and beside it the wheels that it installs, as a folder of their own.

    Raises:
        ImageError: a Containerfile cannot make this image, or the folder holds what was not written here.
        OSError: the folder cannot be written.
    """
    dependencies, project = _split(plan)
    contents = {
        _FILE: containerfile(plan).encode(),
        _REQUIREMENTS: "".join(_requirement(wheel) for wheel in dependencies).encode(),
        _BILL: image_bill(plan, required_names(plan.wheels, Target(plan.platform, plan.python, plan.base))),
    }
    with own_folder(folder, tuple(contents), [wheel.path for wheel in plan.wheels]) as fresh:
        for name, wheels in ((_DEPENDENCIES, dependencies), (_PROJECT, project)):
            (fresh / name).mkdir()
            for wheel in wheels:
                _place(wheel, fresh / name / wheel.filename)
        for name, content in contents.items():
            with atomic_file(fresh / name) as file:
                file.write(content)
    return ContainerfileFolder(folder / _FILE, len(dependencies) + len(project))


def containerfile(plan: ImagePlan) -> str:
    """The text of the Containerfile of an image.

    Raises:
        ImageError: there is no base for it to start from.
    """
    if plan.base is None:
        msg = "a Containerfile needs a base in which pip runs (found scratch)"
        raise ImageError(msg, hint="name an image with Python: --base python:3.12-slim")
    return "\n".join([*_header(plan), *_build_stages(plan, plan.base), "", *_final_stage(plan, plan.base)]) + "\n"


def _split(plan: ImagePlan) -> tuple[list[ImageWheel], list[ImageWheel]]:
    """Dependencies, and what changes with every commit."""
    project = [wheel for group in plan.groups if group.is_project for wheel in group.wheels]
    return [wheel for wheel in plan.wheels if wheel not in project], project


def _requirement(wheel: ImageWheel) -> str:
    return f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"


def _header(plan: ImagePlan) -> Iterator[str]:
    yield "# syntax=docker/dockerfile:1"
    title = plan.annotations.get("org.opencontainers.image.title", "image")
    yield f"# {cut(title)} for {plan.platform}, as `gpuwheel image` makes it. In this folder:"
    yield f"#   podman build --timestamp {plan.created} -t {_tag(title)} ."
    if plan.base is not None and _is_folder(plan.base):
        yield f"# The base is a folder of this machine, which podman and buildah read: {plan.base.digest}"
    else:
        yield f"#   SOURCE_DATE_EPOCH={plan.created} docker buildx build -f {_FILE} -t {_tag(title)} ."
    if _split(plan)[0]:
        yield f"# Dependencies are in {_DEPENDENCIES}/. To download them instead: --build-arg PIP_NO_INDEX=0"


def _tag(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "image"


def base_name(base: BaseImage) -> str:
    """A base as FROM takes it: by its digest, unless it is a folder of this machine."""
    name = base.reference.partition("@")[0]
    if _is_folder(base):
        path, _, tag = name.removeprefix("oci:").rpartition(":")
        path, tag = (path, f":{tag}") if path and "/" not in tag else (name.removeprefix("oci:"), "")
        # Builders look for it from where they run.
        return f"oci:{Path(path).resolve()}{tag}"
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}@{base.digest}"


def _is_folder(base: BaseImage) -> bool:
    return base.reference.startswith("oci:")


def _from(base: BaseImage, plan: ImagePlan, stage: str = "") -> str:
    return f"FROM --platform={plan.platform} {base_name(base)}{f' AS {stage}' if stage else ''}"


def _build_stages(plan: ImagePlan, base: BaseImage) -> Iterator[str]:
    """Stages with pip, which the image has not: what changes with every commit stands alone."""
    python, prefix = plan.python.executable, plan.prefix
    compiled = "" if plan.compile_bytecode else " --no-compile"
    tools, quiet = "/tmp/pip", "--no-warn-script-location"  # noqa: S108 (in the container of a builder)
    pip = f"{tools}/bin/python -m pip --python {prefix}/bin/python install --no-deps {quiet}{compiled}"
    dependencies, project = _split(plan)
    yield ""
    yield _from(base, plan, "dependencies")
    if str(base.run.get("User") or ""):
        yield "USER 0"
    yield f"RUN {python} -m venv {tools} && {python} -m venv --without-pip {prefix}"
    if dependencies:
        yield "ARG PIP_NO_INDEX=1"
        yield f"COPY {_REQUIREMENTS} /tmp/{_REQUIREMENTS}"
        yield "RUN --mount=type=cache,target=/var/cache/pip \\"
        yield f"    --mount=type=bind,source={_DEPENDENCIES},target=/tmp/{_DEPENDENCIES} \\"
        yield f"    {pip} --cache-dir /var/cache/pip \\"
        yield f"    --require-hashes --find-links /tmp/{_DEPENDENCIES} -r /tmp/{_REQUIREMENTS}"
    if project:
        names = " ".join(f"{wheel.name}=={wheel.version}" for wheel in project)
        yield ""
        yield "FROM dependencies AS project"
        yield f"COPY {_PROJECT} /tmp/{_PROJECT}"
        yield f"RUN {pip} \\"
        yield f"    --no-index --find-links /tmp/{_PROJECT} --root /tmp/root {names}"


def _final_stage(plan: ImagePlan, base: BaseImage) -> Iterator[str]:
    runtime, project = plan.runtime, _split(plan)[1]
    yield _from(base, plan)
    base_user = str(base.run.get("User") or "")
    if plan.home:
        if base_user not in {"", "0", "root"}:
            yield "USER 0"
        yield f"RUN install -d -m 0770 -o {plan.home_owner} -g 0 {plan.home}"
    yield f"COPY --from=dependencies {plan.prefix} {plan.prefix}"
    if project:
        yield "COPY --from=project /tmp/root/ /"
    yield f"COPY {_BILL} /{bill_path(plan)}"
    yield from _pairs("ENV", runtime.env)
    # What the base says of itself is not true of this image; no instruction takes a label away.
    stale = [name for name in base.run.get("Labels") or {} if str(name).startswith(_OWN_LABELS)]
    yield from _pairs("LABEL", {**dict.fromkeys(map(str, stale), ""), **runtime.labels})
    if runtime.user or plan.home:
        yield f"USER {runtime.user or base_user or '0'}"
    if runtime.workdir:
        yield f"WORKDIR {_quoted(runtime.workdir)}"
    if runtime.entrypoint is not None:
        yield f"ENTRYPOINT {json.dumps(list(runtime.entrypoint))}"
    if runtime.cmd is not None:
        yield f"CMD {json.dumps(list(runtime.cmd))}"


def _pairs(instruction: str, values: Mapping[str, str]) -> Iterator[str]:
    """One instruction for all, a line for each."""
    rows = [f"{_quoted(name)}={_quoted(value)}" for name, value in values.items()]
    if rows:
        yield f"{instruction} " + " \\\n    ".join(rows)


def _quoted(text: str) -> str:
    """A word of an instruction, in which nothing is a variable or the end of a line."""
    if _PLAIN.fullmatch(text):
        return text
    if "\n" in text or "\r" in text:
        msg = f"a Containerfile cannot set {cut(repr(text))} (found a line break)"
        raise ImageError(msg, hint="leave the line break out, or make the image without a Containerfile")
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _place(wheel: ImageWheel, place: Path) -> None:
    """A wheel by a second name where the disk allows it, else as a copy."""
    try:
        os.link(wheel.path.resolve(), place)
    except OSError:
        with wheel.path.open("rb") as source, atomic_file(place) as file:
            shutil.copyfileobj(source, file, 1 << 20)
    with place.open("rb") as file:
        if (place.stat().st_size, sha256_of(file)) == (wheel.size, wheel.sha256):
            return
    msg = f"{wheel.filename} changed while it was read (expected sha256 {wheel.sha256})"
    raise ImageError(msg, hint="try again when nobody writes it")
