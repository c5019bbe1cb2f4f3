"""`gpuwheel cache remote` and `gpuwheel cache key`: the remote beneath the cache, and who signs what is in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpuwheel.compile.reuse.remote.finding import PACKAGES
from gpuwheel.compile.reuse.remote.machine_settings import config_path, read_remote, read_secret, signing_secret
from gpuwheel.errors import ConfigError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.compile.reuse.remote.machine_settings import RemoteSettings
    from gpuwheel.compile.reuse.remote.survey import LevelContent

__all__ = ["key_command", "remote_command"]


@click.command("key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--new", is_flag=True, help="Make a pair first, and write its private half into FILE.")
def key_command(*, file: Path | None, new: bool) -> None:
    """Print the public half of a key that entries of a remote are signed with.

    FILE has the private half; without it, that of GPUWHEEL_REMOTE_KEY or GPUWHEEL_REMOTE_KEY_FILE is taken. Whoever is
    to use what it signs names the public half in GPUWHEEL_REMOTE_TRUST.

    \b
    Examples:
      gpuwheel cache key --new ~/.config/gpuwheel/main.key
      gpuwheel cache key ~/.config/gpuwheel/main.key
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    _need_packages()
    from gpuwheel.compile.reuse.remote.signing import SigningKey  # noqa: PLC0415 (of the extra)

    if new:
        if file is None:
            msg = "--new needs FILE"
            raise click.UsageError(msg)
        key = SigningKey.new()
        _write_private(file, key.secret)
    else:
        key = SigningKey.parse(read_secret(file) if file is not None else signing_secret(os.environ))
    click.echo(key.public)


@click.command("remote")
@click.option("--try-write", is_flag=True, help="Write a small file where this machine shares.")
def remote_command(*, try_write: bool) -> None:
    """Ask the remote of this machine: whether it answers, what is read and written, and who signed it.

    \b
    Examples:
      gpuwheel cache remote
      gpuwheel cache remote --try-write
    """  # noqa: D301 (as above)
    settings = read_remote(os.environ)
    if settings is None:
        click.echo(f"no remote is set (GPUWHEEL_REMOTE, or url in {config_path(os.environ)})")
        return
    _need_packages()
    from gpuwheel.compile.reuse.remote.survey import survey, try_to_write  # noqa: PLC0415 (of the extra)

    found = survey(settings, os.environ)
    click.echo(f"remote    {settings.shown} answers")
    click.echo("\n".join(_levels(settings, found)))
    if try_write and settings.writes:
        click.echo(f"wrote     {try_to_write(settings, os.environ)}")


def _levels(settings: RemoteSettings, found: dict[str, LevelContent]) -> Iterator[str]:
    from gpuwheel.compile.reuse.remote.signing import SigningKey  # noqa: PLC0415 (of the extra)
    from gpuwheel.compile.reuse.remote.survey import COUNTED  # noqa: PLC0415

    for level, trusted in settings.trust.items():
        content = found[level]
        more = "at least " if content.entries == COUNTED else ""
        yield f"reads     {level}: {more}{content.entries} entries, {content.size / 1e6:.1f} MB"
        for signer, count in sorted(content.signers.items()):
            verdict = "trusted" if signer in trusted else "not trusted: never used"
            yield f"          {count} of {content.signers.total()} looked at are signed by {signer} ({verdict})"
        yield from (f"          {signer} is trusted" for signer in sorted(trusted - content.signers.keys()))
    if settings.verify:
        yield f"verifies  {settings.verify:.0%} of what is found"
    if settings.write is None:
        yield "writes    nothing"
    elif settings.secret is None:
        yield f"writes    nothing: there is no key to sign {settings.write} with (GPUWHEEL_REMOTE_KEY)"
    else:
        yield f"writes    {settings.write}, signed by {SigningKey.parse(settings.secret).public}"


def _need_packages() -> None:
    """See that the extra is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import gpuwheel.compile.reuse.remote.survey  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in PACKAGES:
            raise
        msg = f"remotes need a package that is not installed (found no {error.name.partition('.')[0]})"
        raise ConfigError(msg, hint="pip install 'gpuwheel[remote]'") from None


def _write_private(file: Path, secret: str) -> None:
    """A new file that its owner alone can read.

    Raises:
        FileError: it is there already, or cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Made with its mode, not changed to it: at no moment can others read it.
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="ascii") as stream:
            stream.write(f"{secret}\n")
    except FileExistsError:
        msg = f"{file} is there already, and may be a key that others trust"
        raise FileError(msg, hint=f"gpuwheel cache key {file} shows its public half; delete it for a new one") from None
    except OSError as error:
        msg = f"{file} cannot be written ({error.strerror})"
        raise FileError(msg, hint="name a file in a folder that you may write") from error
