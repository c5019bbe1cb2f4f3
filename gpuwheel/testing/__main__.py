"""`python -m gpuwheel.testing run -- COMMAND`: a command that sees a pretend GPU.
`python -m gpuwheel.testing stubs SITE_PACKAGES --output FOLDER`: stub NVIDIA libraries for a CUDA build of torch.
`python -m gpuwheel.testing environment VERSION`: the Python of a kept environment with that torch, without NVIDIA's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._cache import Cache
from gpuwheel.errors import ConfigError, GpuwheelError
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment, find_torch, package_folders
from gpuwheel.testing.native_code import find_c_compiler
from gpuwheel.testing.stubs import extension_libraries, write_stubs
from gpuwheel.testing.torch_environments import torch_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    defaults = FakeSettings()
    parser = argparse.ArgumentParser(prog="python -m gpuwheel.testing", description="Test GPU code without a GPU.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a command that sees a pretend GPU")
    run.add_argument("--devices", type=int, default=2, metavar="N", help="how many (default: %(default)s)")
    run.add_argument("--capability", metavar="X.Y", help="default: 12.0, which takes any PTX; with --record: 9.0")
    run.add_argument("--driver", default=defaults.driver, metavar="X.Y", help="the CUDA version that it supports")
    run.add_argument("--multiprocessors", type=int, default=defaults.multiprocessors, metavar="N", help="of a device")
    run.add_argument("--site-packages", type=Path, help="where torch is (default: the torch of this Python)")
    run.add_argument("--no-torch", action="store_true", help="the command uses no torch, whatever is installed here")
    run.add_argument(
        "--also", type=Path, action="append", default=[], metavar="LIBRARY", help="what else needs NVIDIA's"
    )
    run.add_argument("--record", action="store_true", help="record launches, and execute none")
    run.add_argument("--checks", default="all", metavar="NAMES", help="all, none, or names such as shared,global")
    run.add_argument("--newer-ptx", action="store_true", help="execute PTX that is for a newer GPU as well")
    run.add_argument(
        "--patience",
        type=int,
        default=defaults.patience,
        metavar="N",
        help="instructions of warps after which a launch is ended (default: %(default)s; 0: never)",
    )
    run.add_argument("--report", type=Path, metavar="FILE", help="write what the checks found there, as JSON")
    run.add_argument(
        "--coverage", type=Path, metavar="FOLDER", help="tell which device code was executed, with files there"
    )
    run.add_argument("words", nargs="+", metavar="COMMAND")
    stubs = commands.add_parser("stubs", help="write stub NVIDIA libraries, for LD_LIBRARY_PATH")
    stubs.add_argument("site_packages", type=Path)
    stubs.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    made = commands.add_parser("environment", help="make an environment with one torch, or find it; print its Python")
    made.add_argument("version")
    made.add_argument("--python", default="3.11", metavar="X.Y")
    made.add_argument("--interpreter", type=Path, metavar="PROGRAM", help="of that Python (default: from PATH)")
    options = parser.parse_args(argv)
    try:
        if options.command == "stubs":
            write_stubs(options.site_packages, options.output, find_c_compiler(os.environ))
        elif options.command == "environment":
            about = {"environ": os.environ, "interpreter": options.interpreter}
            sys.stdout.write(f"{torch_environment(options.version, options.python, **about)}\n")
        else:
            return _run(options)
    except GpuwheelError as error:
        sys.stderr.write(error.render() + "\n")
        return error.exit_code
    return 0


def _run(options: argparse.Namespace) -> int:
    program = shutil.which(options.words[0])
    if program is None:
        msg = f"there is no program {options.words[0]}"
        raise ConfigError(msg)
    folders = [options.site_packages] if options.site_packages else package_folders()
    settings = FakeSettings.chosen(
        devices=options.devices,
        capability=options.capability,
        driver=options.driver,
        multiprocessors=options.multiprocessors,
        execute=not options.record,
        newer_ptx=options.newer_ptx,
        checks=options.checks,
        patience=options.patience,
    )
    environ = fake_gpu_environment(
        os.environ,
        cache=Cache.from_environment(os.environ),
        site_packages=None if options.no_torch else options.site_packages or find_torch(),
        settings=settings,
        also=dict.fromkeys([*options.also, *extension_libraries(folders)]),
    )
    if options.coverage is not None and not settings.execute:
        msg = "--coverage tells what was executed, and --record executes nothing"
        raise ConfigError(msg, hint="leave one of them out")
    if not settings.execute:
        os.execve(program, options.words, environ)  # noqa: S606 - the command takes this process's place
    from gpuwheel.testing.watched_commands import run_watched  # noqa: PLC0415 - only what executes needs it

    if options.coverage is None:
        return run_watched(program, options.words, environ, options.report)
    from gpuwheel.testing.coverage.covered_run import covered_command  # noqa: PLC0415 - the same

    with covered_command(environ, Path(), options.coverage) as counting:
        return run_watched(program, options.words, counting, options.report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
