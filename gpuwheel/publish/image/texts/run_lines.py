"""How an image is run: lines for docker and podman, a file for compose, a manifest for Kubernetes.

GPUs come in by NVIDIA's container toolkit, in one of its two ways: as CDI devices
(https://github.com/cncf-tags/container-device-interface), or by the runtime that `--gpus` and Kubernetes' device plugin
ask for. An image without device code is run without either.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpuwheel.publish.image.image_plan import ImagePlan

__all__ = ["HOWS", "Runnable", "run_lines", "runnable"]

_DEVICE = "nvidia.com/gpu"
"""Of the device plugin (a resource) and of CDI (a kind): `nvidia-ctk cdi generate` and the GPU operator name it so."""
_DEVICE_CLASS = "gpu.nvidia.com"
"""Of NVIDIA's DRA driver."""
_LAYOUT = "oci:"


@dataclass(frozen=True)
class Runnable:
    """An image as whoever runs it sees it."""

    reference: str
    """`REGISTRY/REPOSITORY@DIGEST`, or `oci:DIR:TAG`."""
    name: str
    """Of containers: lower case words with dashes."""
    gpu: bool
    """Whether it has device code."""
    user: str = ""
    """`UID[:GID]`, or a name."""

    @property
    def is_local(self) -> bool:
        """Whether it is in a layout on this machine."""
        return self.reference.startswith(_LAYOUT)


def runnable(plan: ImagePlan, reference: str) -> Runnable:
    """The image of a plan, where it was written or pushed to."""
    title = plan.annotations.get("org.opencontainers.image.title", "")
    name = re.sub(r"[^a-z0-9]+", "-", title.lower())[:50].strip("-") or "image"
    base_user = "" if plan.base is None else str(plan.base.run.get("User") or "")
    return Runnable(reference, name, "NVIDIA_VISIBLE_DEVICES" in plan.runtime.env, plan.runtime.user or base_user)


def run_lines(image: Runnable, how: str) -> str:
    """What to type, or the file to write, ending in a line break.

    Args:
        image: what is run.
        how: one of `HOWS`; "all" for each of them, under a comment.

    Raises:
        ImageError: it cannot be run so from where it is.
    """
    if how != "all":
        return _BY_NAME[how](image)
    parts = [f"# {name}\n{make(image)}" for name, make in _BY_NAME.items() if not (image.is_local and make in _REMOTE)]
    return "\n".join(parts)


def _docker(image: Runnable) -> str:
    return _with_docker(image, ["--gpus", "all"])


def _docker_cdi(image: Runnable) -> str:
    return _with_docker(image, ["--device", f"{_DEVICE}=all"])


def _with_docker(image: Runnable, gpu: Sequence[str]) -> str:
    words = ["docker", "run", "--rm", *(gpu if image.gpu else ()), _of_docker(image)]
    return f"{_loaded(image)}{shlex.join(words)}\n"


def _podman(image: Runnable) -> str:
    # SELinux keeps containers from devices that are not labelled for them (NVIDIA Container Toolkit, "CDI").
    gpu = ["--device", f"{_DEVICE}=all", "--security-opt", "label=disable"] if image.gpu else []
    return shlex.join(["podman", "run", "--rm", *gpu, image.reference]) + "\n"


def _compose(image: Runnable) -> str:
    service: dict[str, object] = {"image": _of_docker(image)}
    if image.gpu:
        device = {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
        service["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    head = f"# compose.yaml: docker compose up\n{_loaded(image, '# ')}"
    return head + _yaml({"services": {image.name: service}})


def _kubernetes(image: Runnable) -> str:
    """A pod for NVIDIA's device plugin."""
    head = (
        "# kubectl apply -f pod.yaml, on a cluster with NVIDIA's device plugin or GPU operator\n" if image.gpu else ""
    )
    return head + _yaml(_pod(image, {"resources": {"limits": {_DEVICE: 1}}} if image.gpu else {}, {}))


def _kubernetes_dra(image: Runnable) -> str:
    """A pod for NVIDIA's driver of dynamic resource allocation, which hands devices to engines by CDI."""
    if not image.gpu:
        return _kubernetes(image)
    claim = f"{image.name}-gpu"
    request = {"name": "gpu", "exactly": {"deviceClassName": _DEVICE_CLASS}}
    template = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": claim},
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }
    claims = [{"name": "gpu", "resourceClaimTemplateName": claim}]
    pod = _pod(image, {"resources": {"claims": [{"name": "gpu"}]}}, {"resourceClaims": claims})
    head = "# kubectl apply -f pod.yaml, on Kubernetes 1.34 or newer with NVIDIA's DRA driver: by CDI\n"
    return f"{head}{_yaml(template)}---\n{_yaml(pod)}"


def _pod(image: Runnable, container: Mapping[str, object], spec: Mapping[str, object]) -> dict[str, object]:
    if image.is_local:
        msg = f"Kubernetes pulls images from registries ({image.reference} is a folder)"
        raise ImageError(msg, hint="push it too: --push REGISTRY/REPOSITORY:TAG")
    user, _, group = image.user.partition(":")
    ids = {"runAsUser": int(user)} if user.isdigit() else {}
    ids |= {"runAsGroup": int(group)} if group.isdigit() else {}
    security = {"runAsNonRoot": True, **ids} if user not in {"", "0", "root"} else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": image.name},
        "spec": {
            "restartPolicy": "Never",
            **({"securityContext": security} if security else {}),
            **spec,
            "containers": [{"name": image.name, "image": image.reference, **container}],
        },
    }


def _of_docker(image: Runnable) -> str:
    return f"{image.name}:{image.reference.rpartition(':')[2]}" if image.is_local else image.reference


def _loaded(image: Runnable, ahead: str = "") -> str:
    """What brings a layout to docker, which runs none."""
    words = ["skopeo", "copy", image.reference, f"docker-daemon:{_of_docker(image)}"]
    return f"{ahead}{shlex.join(words)}\n" if image.is_local else ""


def _yaml(value: object, indent: int = 0) -> str:
    """Tables, lists and plain values as YAML 1.2; texts as JSON writes them, which is YAML too."""
    lines = []
    if isinstance(value, dict):
        for key, inner in value.items():
            nested = isinstance(inner, (dict, list))
            lines.append(f"{' ' * indent}{key}:" + ("" if nested else f" {json.dumps(inner)}"))
            lines += [_yaml(inner, indent + 2).rstrip("\n")] if nested else []
    elif isinstance(value, list):
        for inner in value:
            text = _yaml(inner, indent + 2) if isinstance(inner, dict) else json.dumps(inner)
            lines.append(f"{' ' * indent}- {text.strip()}")
    return "\n".join(lines) + "\n"


_BY_NAME: Mapping[str, Callable[[Runnable], str]] = {
    "docker": _docker,
    "docker-cdi": _docker_cdi,
    "podman": _podman,
    "compose": _compose,
    "kubernetes": _kubernetes,
    "kubernetes-dra": _kubernetes_dra,
}
_REMOTE = (_kubernetes, _kubernetes_dra)
HOWS = (*_BY_NAME, "all")
"""What `run_lines` takes."""
