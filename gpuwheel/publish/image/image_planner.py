"""From wheels, a base and wishes to plans: all is decided here, and checked, before a byte is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel._endings import cut
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.choice.collisions import check_collisions, check_driver_libraries
from gpuwheel.publish.image.choice.gpu_needs import gpu_environment
from gpuwheel.publish.image.choice.layering import layer_groups, project_of
from gpuwheel.publish.image.choice.requirements_met import check_requirements, required_names
from gpuwheel.publish.image.contents.installed import Place, installed_files, text_file, venv_files
from gpuwheel.publish.image.contents.opened_wheel import open_wheel
from gpuwheel.publish.image.image_bill import bill_path
from gpuwheel.publish.image.image_config import moment
from gpuwheel.publish.image.image_plan import ImagePlan, Runtime
from gpuwheel.publish.image.image_table import image_table
from gpuwheel.wheel.archive import DEFAULT_EPOCH
from gpuwheel.wheel.metadata import field_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.publish.image.choice.fitting import Target
    from gpuwheel.publish.image.image_plan import BaseImage, ImageWheel

__all__ = ["ImageWishes", "plan_image"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What engines set where an image sets nothing."""
_ANNOTATION = "org.opencontainers.image."
_SOURCE_NAMES = ("source", "source code", "repository", "github")
_ROOT = {"", "0", "root"}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_][A-Za-z0-9._-]*){1,3}")
_LONGEST_PREFIX = 100
"""Characters: Linux takes 255 of a script's first line (BINPRM_BUF_SIZE), older kernels 127."""
_NUMERIC_USER = re.compile(r"(?P<user>\d+)(?::\d+)?")
_USER = re.compile(r"[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)?")
_CAPABILITIES, _REQUIRED = "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_REQUIRE_CUDA"
_CUDA = re.compile(r"cuda>=(?P<version>\d+\.\d+)")


@dataclass(frozen=True)
class ImageWishes:
    """What somebody wants of an image."""

    prefix: str = "/opt/venv"
    project: str | None = None
    """The distribution that goes on top; `None`: the one that nobody requires."""
    budget: int = 0
    """Layers over the base; 0: as many as the table says."""
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """`None`: the base's, or one that is not root."""
    workdir: str | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    created: int = DEFAULT_EPOCH
    """Seconds since 1970."""
    check_requirements: bool = True
    compile_bytecode: bool = False


def plan_image(given: Sequence[ImageWheel], target: Target, wishes: ImageWishes, cache: Cache) -> ImagePlan:
    """The image of these wheels for one platform.

    Args:
        given: wheels, of which those that the target takes are installed, one of each distribution.
        target: what they are installed for.
        wishes: what else is wanted.
        cache: keeps what is read of wheels.

    Raises:
        ImageError: wheels do not fit, lack something, or exclude each other.
        AuditError: a wheel is damaged.
    """
    _check_prefix(wishes.prefix, target.base)
    wheels = _chosen(given, target)
    if wishes.check_requirements:
        check_requirements(wheels, target)
    requires = required_names(wheels, target)
    project = _project(wheels, requires, wishes)
    gpu = gpu_environment(wheels, project, load_tables(), cache)
    budget = wishes.budget or image_table().budget
    groups = layer_groups(wheels, requires, project=project, heavy=image_table().heavy, budget=budget)
    top = next((wheel for wheel in wheels if wheel.name == project), None)
    described = {**_described(top), **wishes.annotations}
    annotations = {**described, f"{_ANNOTATION}created": moment(wishes.created)}
    base = target.base
    if base is not None:
        annotations[f"{_ANNOTATION}base.digest"] = base.digest
        if not base.reference.startswith("oci:"):  # a folder of this machine says nothing elsewhere
            annotations[f"{_ANNOTATION}base.name"] = base.reference
    user, home, owner = _user(target, wishes)
    if wishes.workdir is not None and not wishes.workdir.startswith("/"):
        msg = f"{cut(repr(wishes.workdir))} is no folder to start in (expected a path from /)"
        raise ImageError(msg, hint="for example: --workdir /srv")
    env = {
        "PATH": f"{wishes.prefix}/bin:{(base.env.get('PATH') if base else None) or _PATH}",
        "VIRTUAL_ENV": wishes.prefix,
        **({"HOME": home} if home else {}),
        **_gpu_over(base, gpu),
        **wishes.env,
    }
    workdir = home if wishes.workdir is None and (base is None or base.run.get("WorkingDir") in {None, "", "/"}) else ""
    plan = ImagePlan(
        target.platform,
        base,
        target.python,
        wishes.prefix,
        "" if base is not None and home.strip("/") in base.inside else home,
        owner,
        groups,
        Runtime(env, {**described, **wishes.labels}, user, wishes.workdir or workdir, wishes.entrypoint, wishes.cmd),
        annotations,
        wishes.created,
        wishes.compile_bytecode,
    )
    _check_contents(plan)
    return plan


def _check_prefix(prefix: str, base: BaseImage | None) -> None:
    """Make sure that a virtual environment may be there: scripts name it in their first line; nothing is there yet."""
    if _PREFIX.fullmatch(prefix) is None or len(prefix) > _LONGEST_PREFIX:
        expected = f"a path such as /opt/venv, of 1 to 3 folders and {_LONGEST_PREFIX} characters at most"
        msg = f"{cut(repr(prefix))} is no place for a virtual environment (expected {expected})"
        raise ImageError(msg, hint="leave it out: /opt/venv is usual")
    inside = {} if base is None else base.inside
    path = prefix.strip("/")
    taken = path if path in inside else next((one for one in inside if one.startswith(f"{path}/")), None)
    if taken is not None and base is not None:
        msg = (
            f"{base.reference} already has /{cut(taken)}, where the environment would be (expected nothing at {prefix})"
        )
        raise ImageError(msg, hint="choose another place: --prefix /opt/app")
    for above in _above(path):
        if inside.get(above, "").startswith("link "):
            msg = f"{prefix} is below a link of the base (/{above} leads to {cut(inside[above][5:])})"
            raise ImageError(msg, hint="choose another place: --prefix /srv/venv")


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _chosen(given: Sequence[ImageWheel], target: Target) -> list[ImageWheel]:
    """One wheel of each distribution."""
    by_name: dict[str, list[ImageWheel]] = {}
    for wheel in {one.sha256: one for one in given}.values():
        by_name.setdefault(wheel.name, []).append(wheel)
    chosen = []
    for name, wheels in sorted(by_name.items()):
        versions = {wheel.version for wheel in wheels}
        if len(versions) > 1:
            shown = cut(", ".join(sorted(wheel.filename for wheel in wheels)))
            msg = f"{name} is there in {len(versions)} versions (found {shown}, expected one)"
            raise ImageError(msg, hint="leave all but one out")
        best = target.best(wheels)
        if best is None:
            reasons = "; ".join(f"{wheel.filename} {target.refusal(wheel.filename)}" for wheel in wheels)
            msg = f"no wheel of {name} fits the image ({cut(reasons)})"
            raise ImageError(msg, hint="add a wheel that fits, or choose another base: --base, --python, --platform")
        chosen.append(best)
    if not chosen:
        msg = "an image needs wheels (found none)"
        raise ImageError(msg, hint="name them, or a lock file: --lock pylock.toml")
    return chosen


def _project(wheels: Sequence[ImageWheel], requires: Mapping[str, set[str]], wishes: ImageWishes) -> str | None:
    if wishes.project is None:
        return project_of(wheels, requires)
    name = canonicalize_name(wishes.project)
    if name not in {wheel.name for wheel in wheels}:
        msg = f"{cut(wishes.project)} is not among the wheels (found {cut(', '.join(one.name for one in wheels))})"
        raise ImageError(msg, hint="name the distribution that the image is made for")
    return name


def _user(target: Target, wishes: ImageWishes) -> tuple[str, str, int]:
    """(user, home, whose it is); no home where the base says whose it is."""
    table = image_table()
    stated = "" if target.base is None else str(target.base.run.get("User") or "")
    if wishes.user is None:
        if stated.partition(":")[0] not in _ROOT:
            return "", "", 0
        return f"{table.user}:{table.user}", table.home, table.user
    if _USER.fullmatch(wishes.user) is None:
        msg = f"{cut(repr(wishes.user))} is no user of an image (expected UID, UID:GID, or a name of the base)"
        raise ImageError(msg, hint="leave it out: the base's user is taken, or one who is not root")
    number = _NUMERIC_USER.fullmatch(wishes.user)
    if number is None or int(number["user"]) == 0:
        return wishes.user, "", 0
    return wishes.user, table.home, int(number["user"])


def _gpu_over(base: BaseImage | None, gpu: Mapping[str, str]) -> dict[str, str]:
    """What the wheels ask of a GPU, and no less than what the base asks."""
    env = {} if base is None else base.env
    merged = dict(gpu)
    if gpu and (stated := env.get(_CAPABILITIES)):
        words = [*stated.split(","), *gpu[_CAPABILITIES].split(",")]
        merged[_CAPABILITIES] = "all" if "all" in words else ",".join(dict.fromkeys(filter(None, words)))
    if (stated := env.get(_REQUIRED)) and (ours := gpu.get(_REQUIRED)):
        found, wanted = _CUDA.search(stated), _CUDA.fullmatch(ours)
        if found and wanted and Version(found["version"]) >= Version(wanted["version"]):
            merged[_REQUIRED] = stated
    return merged


def _described(wheel: ImageWheel | None) -> dict[str, str]:
    """What the metadata of a wheel says, in the words of image-spec, `annotations.md`."""
    if wheel is None:
        return {}
    found = {"title": wheel.name, "version": str(wheel.version)}
    for name, key in (("description", "Summary"), ("licenses", "License-Expression")):
        found[name] = next(iter(field_values(wheel.metadata, key)), "")
    for text in field_values(wheel.metadata, "Project-URL"):
        label, _, url = (part.strip() for part in text.partition(","))
        if label.lower() in _SOURCE_NAMES:
            found.setdefault("source", url)
        elif label.lower() == "homepage":
            found.setdefault("url", url)
    return {f"{_ANNOTATION}{name}": value for name, value in found.items() if value}


def _check_contents(plan: ImagePlan) -> None:
    place = Place(plan.prefix, plan.python)
    contents = {
        "the virtual environment": venv_files(place, plan.home, plan.home_owner),
        "the bill of materials": [text_file(bill_path(plan), b"")],
    }
    for one in plan.wheels:
        with open_wheel(one.path, one.state) as wheel:
            contents[one.filename] = installed_files(wheel, place)
            check_driver_libraries(wheel, contents[one.filename])
    check_collisions(contents)
