"""`gpuwheel repair`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.audit.repair import Act, EditsAsked, Origin, RepairRequest, repaired
from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.errors import AuditError, GpuwheelError, UnreadableError
from gpuwheel.model.archs import Arch
from gpuwheel.model.findings import Severity
from gpuwheel.model.versions import DriverVersion

if TYPE_CHECKING:
    from gpuwheel.audit.repair import Repaired

__all__ = ["repair_command"]

_EDITS = ("runpath", "strip", "drop", "allow_holes", "compress", "driver", "sbom", "record")
_FOLDER = click.Path(file_okay=False, path_type=Path)


def _arch(text: str) -> str:
    try:
        Arch.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return text


def _driver(text: str) -> DriverVersion:
    try:
        return DriverVersion.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("repair")
@click.argument("wheels", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-w", "--wheel-dir", type=_FOLDER, default="wheelhouse", show_default=True, help="Where the results go.")
@click.option("--plat", metavar="TAG", help="The platform tag to give; by default the oldest that is true.")
@click.option("--lib-path", type=_FOLDER, multiple=True, help="Look here too for libraries to copy.")
@click.option("--exclude", metavar="SONAME", multiple=True, help="Comes from elsewhere: make no copy of it.")
@click.option("--no-graft", is_flag=True, help="Copy no library into it, and do not ask who brings what it needs.")
@click.option("--runpath", is_flag=True, help="Have search paths lead to what Requires-Dist brings, and nowhere else.")
@click.option("--strip", is_flag=True, help="Take debugging sections and .symtab out of libraries.")
@click.option("--drop-arch", "drop", metavar="ARCH", multiple=True, type=_arch, help="Take its device code out: sm_86.")
@click.option("--allow-holes", is_flag=True, help="With --drop-arch, leave GPUs without code that had some.")
@click.option("--compress", is_flag=True, help="Compress device code by zstd that is not, or by LZ4.")
@click.option("--driver", metavar="VERSION", type=_driver, help="The oldest driver that the wheel is for: 550.54.")
@click.option("--sbom", is_flag=True, help="Write a bill of materials: libraries, digests, compilers, device code.")
@click.option("--record", is_flag=True, help="Write RECORD anew where it is not true, and a broken archive.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@parameters.as_json
def repair_command(wheels: tuple[Path, ...], *, wheel_dir: Path, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Put into WHEELS what they need and nobody else brings, and give them the platform tag that is true.

    Libraries of CUDA and torch come with Requires-Dist, the driver's with the driver: of them no copy is made. A wheel
    that needs nothing is copied as it is. The exit code is 9 if a result does not hold what it claims, or if a wheel is
    too broken to be repaired, and 17 if one of WHEELS cannot be read at all, as of gpuwheel audit.

    \b
    Examples:
      gpuwheel repair dist/*.whl
      gpuwheel repair --plat manylinux_2_28 --lib-path /opt/fftw/lib -w wheelhouse dist/*.whl
      gpuwheel repair --dry-run --json dist/*.whl
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    environ = dict(os.environ)
    request = RepairRequest(
        platform=asked["plat"],
        lib_path=asked["lib_path"],
        exclude=asked["exclude"],
        dry_run=asked["dry_run"],
        environ=environ,
        epoch=epoch_of(environ),
        graft=not asked["no_graft"],
        edits=EditsAsked(**{name: asked[name] for name in _EDITS}),
    )
    results, problems = [], list[GpuwheelError]()
    for wheel in wheels:
        try:
            results.append(repaired(wheel, wheel_dir, request, load_tables()))
        except GpuwheelError as error:  # the other wheels have their turn
            problems.append(error)
            continue
        if not as_json:
            _tell(results[-1])
    if as_json:
        click.echo(json.dumps({"schema": 1, "wheels": [_row(result) for result in results]}, indent=2))
    if problems:
        last = max(problems, key=lambda problem: isinstance(problem, UnreadableError))
        for problem in (one for one in problems if one is not last):
            click.echo(problem.render(), err=True)
        raise last
    if any(finding.severity is Severity.ERROR for result in results for finding in result.findings):
        sys.exit(AuditError.exit_code)


def _tell(result: Repaired) -> None:
    outcome = {
        Act.KEPT: "needs no repair",
        Act.RETAGGED: f"gets the platform tag {result.platform}",
        Act.EDITED: "is edited",
        Act.GRAFTED: "gets copies of libraries",
    }[result.act]
    click.echo(f"{result.source.name}: {outcome}")
    for need in result.needs:
        if need.origin not in {Origin.PLATFORM, Origin.WHEEL}:
            is_copied = need.origin is Origin.GRAFTED
            origin = "copied into the wheel" if is_copied else f"comes with {need.by or need.origin.value}"
            click.echo(f"  {need.soname}: {origin}")
    for member in result.grafted:
        click.echo(f"  {member}: a library of this machine")
    for edit in result.edits:
        # What is taken out of device code leaves room, filled with zeros, which a wheel packs to nothing.
        of = " of device code" if edit.kind in {"drop-arch", "compress"} else ""
        saved = f" ({edit.saved:,} bytes{of} less)" if edit.saved else ""
        click.echo(f"  {edit.kind}: {edit.member}: {edit.what}{saved}")
    before = result.source.stat().st_size
    if result.size not in {None, before}:
        click.echo(f"  the file: {before:,} -> {result.size:,} bytes")
    for finding in result.findings:
        click.echo(f"  {finding.severity.value} [{finding.rule}] {finding.place} {finding.problem}")
        click.echo(f"    why: {finding.why}\n    fix: {finding.fix}")
    if result.path is not None:
        click.echo(f"  {result.path}")


def _row(result: Repaired) -> dict[str, Any]:
    """One wheel for machines, schema 1 (`data/repair.schema.json`)."""
    return {
        "file": result.source.name,
        "act": result.act.value,
        "platform": result.platform,
        "size": {"before": result.source.stat().st_size, "after": result.size},
        "written": None if result.path is None else str(result.path),
        "grafted": list(result.grafted),
        "needs": [
            {
                "soname": need.soname,
                "needed_by": list(need.needed_by),
                "origin": need.origin.name.lower(),
                "distribution": need.by,
            }
            for need in result.needs
        ],
        "edits": [
            {"kind": edit.kind, "member": edit.member, "what": edit.what, "saved": edit.saved} for edit in result.edits
        ],
        "findings": [finding.document for finding in result.findings],
    }
