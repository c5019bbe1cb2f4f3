"""The release step: what is sealed under a version stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from template_releases import NEW, OLD, make_release

if TYPE_CHECKING:
    from pathlib import Path

    from template_releases import Release


def test_a_sealed_version_takes_no_other_templates(environ: dict[str, str], tmp_path: Path) -> None:
    release = make_release(tmp_path, "0.1.0", OLD, environ)
    bundle = tmp_path / "templates" / "releases.bundle"

    missing = release.seal("--check")
    assert missing.returncode == 1
    assert "the templates are not sealed as v0.1.0" in missing.stderr
    assert not bundle.exists()

    assert release.seal().returncode == 0
    sealed = bundle.read_bytes()
    assert release.seal().returncode == 0
    assert release.seal("--check").returncode == 0

    (tmp_path / "templates" / "embed" / "settings.txt").write_bytes(b"other\n")
    for options in ((), ("--check",)):
        changed = release.seal(*options)
        assert changed.returncode == 1
        assert "not those that are sealed as v0.1.0: raise gpuwheel.__version__" in changed.stderr
    assert bundle.read_bytes() == sealed


def test_templates_that_no_release_has_come_from_a_development_state(
    environ: dict[str, str], old_release: Release, tmp_path: Path
) -> None:
    """Nobody can merge from it later: its version says so, and update names the way out."""
    development = make_release(tmp_path / "next", "0.1.0", NEW, environ, bundle_of=old_release)
    made = development("new", "my-ops", "--defaults", cwd=tmp_path)
    assert made.returncode == 0, made.output
    assert "template embed 0.1.0+" in made.stdout
    refused = old_release("update", "my-ops", cwd=tmp_path)
    assert "from a development state of the templates (found 0.1.0+" in refused.stderr
    assert "releases known to this gpuwheel: v0.1.0)" in refused.stderr
