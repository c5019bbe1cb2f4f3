"""What to type to get one wheel: for pip, uv and pixi, in a Containerfile, and in pyproject.toml.

No line names an extra index: with two indexes, whoever registers the name on the other one decides what is installed.
A wheel is named by its URL and digest, or its index is pinned to it (uv, "Pinning a package to an index").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuwheel.publish.selector.choosing import Choice
    from gpuwheel.publish.selector.target_machine import Machine

__all__ = ["TOOLS", "Line", "install_lines", "quoted_url"]

TOOLS = ("pip", "uv", "pixi", "Containerfile", "pyproject.toml")
"""What lines are for."""
# Between double quotes an interactive shell replaces "!" by lines of its history.
_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@&()*+,;=%]")
_IMAGES = {
    ("glibc", False): "docker.io/library/python:{}-slim",
    ("glibc", True): "ghcr.io/astral-sh/uv:debian-slim",
    ("musl", False): "docker.io/library/python:{}-alpine",
    ("musl", True): "ghcr.io/astral-sh/uv:alpine",
}
"""By C library, and whether Python is free-threaded."""


@dataclass(frozen=True)
class Line:
    """One way to get the wheel."""

    name: str
    """One of `TOOLS`."""
    text: str
    """Lines to type, or to put into that file."""


def quoted_url(url: str) -> str:
    """A URL that means itself between double quotes, in a shell and in TOML."""
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), url)


def install_lines(choice: Choice) -> tuple[Line, ...]:
    """The lines for the best wheel of a choice, whose URLs are absolute; none where nothing fits."""
    best = choice.best
    if best is None:
        return ()
    facts, machine, url = best.offer.facts, choice.machine, best.offer.published.url
    local = url.lower().startswith("file:")
    digest = f"#sha256={facts.sha256}" if facts.sha256 else ""
    wheel = f"{facts.name} @ {quoted_url(url)}{digest}"
    torch = None if facts.torch is None else _torch_of(machine)
    words = _quoted(torch, wheel)
    python = f" --python {machine.python}t" if machine.free_threaded else ""
    lines = [
        # torch too, where it is known: no line gives somebody another one unasked.
        Line("pip", f"python -m pip install {words}"),
        Line("uv", f"uv pip install{python} {words}"),
        Line("pixi", f"pixi add --pypi {words}"),
    ]
    if machine.system == "linux":
        copied = f"{facts.name} @ file:///wheels/{quoted_url(facts.filename)}{digest}"
        file = json.dumps(facts.filename, ensure_ascii=False)  # names of others end no word and no line
        copy = f'# Its context is the folder with the wheel.\nCOPY [{file}, "/wheels/"]\n' if local else ""
        within = copy, _quoted(torch, copied) if local else words
        lines.append(Line("Containerfile", _containerfile(machine, *within, with_gpu=best.offer.asks_gpu)))
    pinned = wheel if choice.index is None else f"{facts.name}=={facts.version}"
    dependencies = "".join(f'    "{word}",\n' for word in (torch, pinned) if word)
    source = "" if choice.index is None else _source(facts.name, choice.index)
    lines.append(Line("pyproject.toml", f"[project]\ndependencies = [\n{dependencies}]\n{source}"))
    return tuple(lines)


def _quoted(*words: str | None) -> str:
    return " ".join(f'"{word}"' for word in words if word)


def _torch_of(machine: Machine) -> str | None:
    if machine.torch is None:
        return None
    public = machine.torch.partition("+")[0]
    return f"torch=={public}.*" if public.count(".") == 1 else f"torch=={public}"


def _containerfile(machine: Machine, copy: str, words: str, *, with_gpu: bool) -> str:
    minor = ".".join(machine.python.split(".")[:2])
    gpu = "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility\n" if with_gpu else ""
    base = f"FROM {_IMAGES[machine.libc, machine.free_threaded].format(minor)}\n{gpu}{copy}"
    if not machine.free_threaded:
        return f"{base}RUN python -m pip install --no-cache-dir {words}"
    # The official images have no free-threaded Python.
    path = "ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH\n"
    return f"{base}RUN uv venv --python {minor}t /venv\n{path}RUN uv pip install --no-cache {words}"


def _source(name: str, index: str) -> str:
    """For uv, which takes this wheel from there; elsewhere the file is named, whose digest a source cannot have."""
    return (
        f'\n[tool.uv.sources]\n{name} = {{ index = "{name}-index" }}\n\n'
        f'[[tool.uv.index]]\nname = "{name}-index"\nurl = "{quoted_url(index)}"\nexplicit = true\n'
    )
