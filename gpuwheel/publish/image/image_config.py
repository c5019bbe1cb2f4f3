"""The documents of an image: its configuration and its manifest (image-spec, `config.md`, `manifest.md`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gpuwheel.publish.image.descriptors import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.image.image_plan import ImagePlan

__all__ = ["configuration", "manifest", "moment"]

_OWN_LABELS = "org.opencontainers.image."
"""What a base says of itself with these is not true of what is built on it."""


def moment(epoch: int) -> str:
    """RFC 3339, in UTC, of seconds since 1970."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def configuration(plan: ImagePlan, layers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """How the image is run, and what its layers unpack to.

    Args:
        plan: the image.
        layers: (diff_id, title) of each layer over the base.
    """
    base = {} if plan.base is None else plan.base.config
    created = moment(plan.created)
    history = [{"created": created, "created_by": f"gpuwheel image: {title}"} for _, title in layers]
    diff_ids = [*(base.get("rootfs") or {}).get("diff_ids", ()), *(diff_id for diff_id, _ in layers)]
    return {
        **plan.platform.to_json(),
        "created": created,
        "config": _run(plan),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [*(base.get("history") or ()), *history],
    }


def _run(plan: ImagePlan) -> dict[str, Any]:
    runtime = plan.runtime
    run = dict({} if plan.base is None else plan.base.run)
    env = {**({} if plan.base is None else plan.base.env), **runtime.env}
    run["Env"] = [f"{name}={value}" for name, value in env.items()]
    inherited = {name: value for name, value in (run.get("Labels") or {}).items() if not name.startswith(_OWN_LABELS)}
    labels = {**inherited, **runtime.labels}
    run |= {"Labels": labels} if labels else {}
    run |= {"User": runtime.user} if runtime.user else {}
    run |= {"WorkingDir": runtime.workdir} if runtime.workdir else {}
    if runtime.entrypoint is not None:
        # As docker does: a base's Cmd was meant for its own Entrypoint.
        run.pop("Cmd", None)
        run["Entrypoint"] = list(runtime.entrypoint)
    if runtime.cmd is not None:
        run["Cmd"] = list(runtime.cmd)
    return run


def manifest(config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> dict[str, Any]:
    """What the image is made of."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
        "annotations": dict(annotations),
    }
