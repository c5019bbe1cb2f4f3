"""`gpuwheel which`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel import __version__
from gpuwheel._environment import anchored
from gpuwheel.cli import parameters
from gpuwheel.cli.delivery.told_machine import machine_options, told_machine
from gpuwheel.compatibility import load_tables
from gpuwheel.index.settings import read_index_settings
from gpuwheel.model.archs import Arch
from gpuwheel.publish.selector.install_lines import TOOLS, install_lines
from gpuwheel.publish.selector.judging import FACTS
from gpuwheel.publish.selector.target_machine import SYSTEMS
from gpuwheel.ui import Painter, Terminal, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.publish.selector.catalogue import Catalogue
    from gpuwheel.publish.selector.choosing import Choice
    from gpuwheel.publish.selector.install_lines import Line
    from gpuwheel.publish.selector.judging import Verdict
    from gpuwheel.publish.selector.target_machine import Machine

__all__ = ["which_command"]

_NOTHING_FITS = 1
_SHOWN = 8
"""Wheels that are told unasked."""
_SHELL = ("pip", "uv", "pixi")


@click.command("which")
@click.argument("package", metavar="PKG")
@click.option("--index", metavar="URL|DIR", help="An index, or a folder of wheels.  [default: as for pip and uv]")
@machine_options
@click.option("--all", "everything", is_flag=True, help="Tell of every wheel why it fits or not.")
@click.option("--print", "tool", type=click.Choice(TOOLS), help="Print the lines for that, and nothing else.")
@parameters.as_json
def which_command(
    package: str,
    *,
    index: str | None,
    everything: bool,
    tool: str | None,
    as_json: bool,
    **told: Any,  # noqa: ANN401
) -> None:
    """Say which wheel of PKG fits this machine best, what to type to get it, and why not the others.

    An index by `gpuwheel index` tells what is in each wheel; of any other, names and metadata are known. The exit code
    is 1 if nothing fits: then the nearest wheel is told, and what would have to change.

    \b
    Examples:
      gpuwheel which flash-ops
      gpuwheel which flash-ops --index https://wheels.example.org
      gpuwheel which flash-ops --index dist --elsewhere --python 3.12 --torch 2.14 --driver 580 --gpu H100
      gpuwheel which flash-ops --index https://wheels.example.org --print Containerfile > Containerfile
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    if tool and as_json:
        msg = "--print and --json are two forms (expected one)"
        raise click.UsageError(msg)
    environ = anchored(os.environ, Path.cwd())
    machine = told_machine(told, environ, load_tables())
    catalogue, choice = _choose(package, index, machine, environ)
    lines = install_lines(choice)
    text = next((line.text for line in lines if line.name == tool), None)
    if text is not None:
        click.echo(text.rstrip("\n"))
    elif as_json:
        click.echo(json.dumps(_document(catalogue, choice, lines), indent=2))
    else:
        painter = Painter(sys.stdout, environ)
        for line in _text(catalogue, choice, lines, painter, everything=everything):
            # With --print, output is for a shell or a file: what fits not goes elsewhere.
            click.echo(line, color=painter.colour, err=tool is not None)
    if choice.best is None:
        sys.exit(_NOTHING_FITS)


def _choose(package: str, index: str | None, machine: Machine, environ: Mapping[str, str]) -> tuple[Catalogue, Choice]:
    # HTTP and its libraries take a fifth of a second to load: after the options are understood.
    from gpuwheel.index.context import Traffic  # noqa: PLC0415
    from gpuwheel.index.transport import Transport  # noqa: PLC0415
    from gpuwheel.publish.selector.catalogue import choose_from, read_catalogue  # noqa: PLC0415

    settings, folder = read_index_settings(environ), None
    if index is not None:
        folder = None if "://" in index else Path(index).absolute()
        settings = replace(settings, indexes=(folder.as_uri() if folder else index,), find_links=())
    with closing(Transport(settings, Traffic(), Terminal().info)) as transport:
        catalogue = read_catalogue(package, settings, transport, folder=folder, tables=load_tables())
        return catalogue, choose_from(catalogue, machine, transport)


# ---- what is printed


def _text(
    catalogue: Catalogue, choice: Choice, lines: Sequence[Line], painter: Painter, *, everything: bool
) -> Iterator[str]:
    best, nearest = choice.best, choice.nearest
    if best is not None:
        facts = best.offer.facts
        yield f"{painter.paint('ok', f'{facts.name} {facts.version}')}  {_file(best)}"
    else:
        yield painter.paint("error", f"no wheel of {catalogue.project} fits") + f"  ({', '.join(catalogue.places)})"
    rows = [("machine", machine_text(choice.machine))]
    if best is not None:
        rows += [("code", _code_text(best)), *((line.name, line.text) for line in lines if line.name in _SHELL)]
    meant = nearest or choice.nearest_for_gpu
    if meant is not None:
        rows += [("nearest" if best is None else "for the GPU", _file(meant))]
        rows += [("", f"{FACTS[reason.fact][2]}: {_printable(reason)}") for reason in meant.reasons]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        folded = [text] if name in _SHELL else wrapped(text, indent=width + 4, stream=sys.stdout)
        yield f"  {painter.paint('quiet', f'{name:<{width}}')}  {folded[0]}"
        yield from folded[1:]
    yield from _others(choice, painter, everything=everything)


def _others(choice: Choice, painter: Painter, *, everything: bool) -> Iterator[str]:
    others = choice.verdicts[1:] if choice.best is not None else choice.verdicts
    # What fits is told only in full: it is older, or less.
    told = others if everything else [one for one in others if not one.fits][:_SHOWN]
    if told:
        yield painter.paint("title", "why not the others" if choice.best is not None else "why not")
    for verdict in told:
        reasons = "; ".join(map(_printable, verdict.reasons)) or "fits too"
        yield f"  {_printable(verdict.offer.facts.filename)}"
        yield from (f"    {line}" for line in wrapped(reasons, indent=4, stream=sys.stdout))
    if len(told) < len(others):
        yield painter.paint("quiet", f"  {len(others) - len(told)} more: --all")


def _file(verdict: Verdict) -> str:
    facts = verdict.offer.facts
    name = _printable(facts.filename)
    return f"{name} ({facts.size / 1e6:.1f} MB)" if facts.size else name


def _printable(text: object) -> str:
    """Words of others, which must not move the cursor or colour what follows."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def machine_text(machine: Machine) -> str:
    """A machine in one line; what is not known is left out."""
    release = "" if machine.release is None else " " + ".".join(map(str, machine.release))
    system = SYSTEMS[machine.system] + (release if machine.system == "macos" else "")
    parts = [f"{system} {machine.cpu}"]
    if machine.system == "linux" and release:
        parts.append(machine.libc + release)
    parts.append(f"Python {machine.python}{'t' if machine.free_threaded else ''}")
    parts += [f"torch {machine.torch}"] if machine.torch else []
    parts += [f"driver {machine.driver}"] if machine.driver else []
    if machine.gpus is not None:
        parts.append(f"GPU {', '.join(dict.fromkeys(map(str, machine.gpus)))}" if machine.gpus else "no GPU")
    return ", ".join(parts)


def _code_text(verdict: Verdict) -> str:
    facts = verdict.offer.facts
    if not verdict.offer.inspected:
        return "not known: the index does not say what is in its wheels, and gpuwheel audit FILE would"
    floor = f", driver {verdict.offer.driver} or newer" if verdict.offer.driver else ""
    if not facts.code and facts.runtimes:
        return f"none of its own: it calls libraries of CUDA {' and '.join(map(str, facts.runtimes))}{floor}"
    if not facts.code:
        return "none: it runs on the CPU, with and without a GPU"
    held = map(str, sorted({Arch.parse(cubin) for code in facts.code for cubin in code.cubins}))
    ptx = (f"{arch}+PTX" for arch in sorted({Arch.parse(one.arch) for code in facts.code for one in code.ptx}))
    how = {3: "compiled for this GPU", 2: "compiled by the driver for this GPU", 1: "some of it for this GPU"}
    served = f" ({how[verdict.service]})" if verdict.service in how else ""
    left_out = f"; not on this GPU: {_printable(', '.join(verdict.left_out))}" if verdict.left_out else ""
    return f"{', '.join([*held, *ptx])}{served}{floor}{left_out}"


def _document(catalogue: Catalogue, choice: Choice, lines: Sequence[Line]) -> dict[str, Any]:
    """The answer for machines, schema 1 (`data/which.schema.json`)."""
    return {
        "schema": 1,
        "gpuwheel": __version__,
        "project": catalogue.project,
        "places": list(catalogue.places),
        "machine": choice.machine.to_json(),
        "fits": choice.best is not None,
        "lines": {line.name: line.text for line in lines},
        "wheels": [_row(verdict) for verdict in choice.verdicts],
    }


def _row(verdict: Verdict) -> dict[str, Any]:
    offer = verdict.offer
    return {
        "filename": offer.facts.filename,
        "version": offer.facts.version,
        "url": offer.published.url,
        "sha256": offer.facts.sha256 or None,
        "inspected": offer.inspected,
        "fits": verdict.fits,
        "service": verdict.service,
        "left_out": list(verdict.left_out),
        "reasons": [asdict(reason) for reason in verdict.reasons],
    }
