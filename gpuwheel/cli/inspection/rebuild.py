"""`gpuwheel rebuild`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel.cli import parameters
from gpuwheel.errors import AuditError
from gpuwheel.matrix.rebuild import RebuildRequest, checked, rebuilt
from gpuwheel.toolchain import Context
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from gpuwheel.matrix.rebuild import Rebuilt

__all__ = ["rebuild_command"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WARNING = "this runs code of {sdist}: its CMake files, build hooks and compiler plugins, as the user who runs this"


@click.command("rebuild")
@click.argument("wheel", type=_FILE)
@click.option("--sdist", type=_FILE, required=True, help="What the wheel was built from.")
@click.option("--lock", type=_FILE, required=True, help="pylock.gpuwheel.toml, which held its build.")
@parameters.settings
@click.option("-w", "--wheel-dir", type=click.Path(file_okay=False, path_type=Path), help="Keep the rebuild here.")
@click.option("--keep-cache", is_flag=True, help="Take compiled code from the cache: fast, and no proof of it.")
@click.option("--yes", is_flag=True, help="Do not ask before code of the sdist runs.")
@parameters.as_json
def rebuild_command(wheel: Path, *, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Build WHEEL again from its sdist and its lock file, and say what differs.

    Both files have to be those that the build wrote down in the wheel, which also has the -C and the variables that
    shaped it. What the lock names is downloaded first; then the build runs in an environment of its own, without an
    index and without credentials.

    Exit code 0: the same bytes, or the same content compressed by another zlib, which is said; 9: other content; 12: a
    file is not what the wheel was built from, or the wheel does not say.

    \b
    Examples:
      gpuwheel rebuild ops-1.0-py3-none-manylinux_2_28_x86_64.whl --sdist ops-1.0.tar.gz --lock pylock.gpuwheel.toml
      gpuwheel rebuild WHEEL --sdist SDIST --lock LOCK --yes --json
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    settings = parameters.config_settings(asked["settings"])
    request = RebuildRequest(wheel, asked["sdist"], asked["lock"], settings, keep_cache=asked["keep_cache"])
    environ = dict(os.environ)
    facts = checked(request, environ)
    warning = _WARNING.format(sdist=asked["sdist"].name)
    click.echo(warning, err=True)
    if not asked["yes"] and not click.confirm("go on?", err=True):
        raise click.Abort
    context = Context(Cache.from_environment(environ), environ, Terminal())
    with tempfile.TemporaryDirectory(prefix="gpuwheel-rebuild-") as work:
        result = rebuilt(request, facts, Path(work), context)
        if asked["wheel_dir"] is not None:
            asked["wheel_dir"].mkdir(parents=True, exist_ok=True)
            shutil.copyfile(result.wheel, asked["wheel_dir"] / result.wheel.name)
    click.echo(json.dumps(_document(wheel, result), indent=2)) if as_json else _tell(wheel, result)
    if not result.same_content:
        sys.exit(AuditError.exit_code)


def _tell(wheel: Path, result: Rebuilt) -> None:
    if not result.differences:
        click.echo(f"{wheel.name}: the rebuild is the same file, byte for byte")
        return
    verdict = "the same content, packed otherwise" if result.same_content else "the rebuild differs"
    click.echo(f"{wheel.name}: {verdict}")
    for one in result.differences:
        place = " ".join(filter(None, (one.member, one.section))) or "archive"
        click.echo(f"  {place}: {one.what}  [{one.cause}]")


def _document(wheel: Path, result: Rebuilt) -> dict[str, Any]:
    """For machines, schema 1 (`data/rebuild.schema.json`)."""
    return {
        "schema": 1,
        "wheel": wheel.name,
        "rebuilt": result.wheel.name,
        "verdict": "content" if not result.same_content else "packing" if result.differences else "same",
        "recorded": {
            "sdist": result.facts.sdist,
            "lock": result.facts.lock,
            "compiler": result.facts.compiler,
            "generators": list(result.facts.generators),
            "settings": list(result.facts.told),
            "environment": list(result.facts.environment),
            "withheld": list(result.facts.withheld),
        },
        "differences": [
            {"member": one.member or None, "section": one.section, "what": one.what, "cause": one.cause}
            for one in result.differences
        ],
    }
