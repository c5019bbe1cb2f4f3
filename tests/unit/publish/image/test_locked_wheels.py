from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from tiny_images import TinyWheel, tiny_base

from gpuwheel.publish.image.descriptors import ImagePlatform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Image = Callable[..., Result]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """On the user's index, which is a folder."""
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "GPUWHEEL_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    made = [TinyWheel("dep", files={"dep.py": b""})]
    made += [
        TinyWheel("native", tag=f"cp311-cp311-manylinux_2_{minor}_{machine}", files={"n.so": b""})
        for minor in (17, 28, 39)
        for machine in ("x86_64", "aarch64")
    ]
    return {path.name: path for path in (one.write(tmp_path / "index") for one in made)}


def _requirements(wheels: dict[str, Path]) -> str:
    hashes = [_sha256(path) for name, path in wheels.items() if name.startswith("native")]
    (dep,) = (_sha256(path) for name, path in wheels.items() if name.startswith("dep"))
    return (
        "# made by hand\n--index-url https://example.com/simple\n"
        f"dep==1.0 \\\n    --hash=sha256:{dep}\n    # via ops\n"
        "colorama==1.0 ; sys_platform == 'win32' --hash=sha256:00\n"
        "native==1.0 ; platform_system == 'Linux'" + "".join(f" \\\n  --hash=sha256:{one}" for one in hashes) + "\n"
    )


def _pylock(wheels: dict[str, Path], *, url: bool = False) -> str:
    text = 'lock-version = "1.0"\ncreated-by = "hand"\n'
    for name in ("dep", "native"):
        text += f'[[packages]]\nname = "{name}"\nversion = "1.0"\nwheels = [\n'
        for filename, path in wheels.items():
            if filename.startswith(name):
                where = f'url = "{path.as_uri()}"' if url else f'path = "index/{filename}"'
                text += f'  {{ name = "{filename}", {where}, hashes = {{ sha256 = "{_sha256(path)}" }} }},\n'
        text += "]\n"
    return text + '[[packages]]\nname = "ops"\ndirectory = { path = "." }\n'


def _installed(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    images = json.loads(result.stdout)["images"]
    return [sorted(name for layer in image["layers"] for name in layer["wheels"]) for image in images]


@pytest.mark.parametrize("form", ["requirements", "pylock", "pylock-url"])
def test_what_a_lock_names_is_installed_for_the_image(
    image: Image, tmp_path: Path, wheels: dict[str, Path], form: str
) -> None:
    both = [ImagePlatform("linux", "amd64"), ImagePlatform("linux", "arm64")]
    base = tiny_base(tmp_path / "base", platforms=both)
    lock = tmp_path / ("requirements.txt" if form == "requirements" else "pylock.toml")
    text = _requirements(wheels) if form == "requirements" else _pylock(wheels, url=form == "pylock-url")
    lock.write_text(text, encoding="utf-8")
    wheel = TinyWheel(requires=["dep", "native"]).write(tmp_path)
    words = ["--platform", "linux/amd64", "--platform", "linux/arm64", "--lock", lock]
    found = _installed(image("--base", base, "--json", *words, wheel))
    assert found == [
        ["dep-1.0-py3-none-any.whl", f"native-1.0-cp311-cp311-manylinux_2_28_{machine}.whl", wheel.name]
        for machine in ("x86_64", "aarch64")
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dep==1.0\n", "does not give a digest of dep"),
        (f"dep==1.0 --hash=sha256:{'0' * 64}\n", "no digest of a wheel of dep==1.0"),
        ("-e .\n", "has an option that no lock file has"),
        ("-r other.txt\n", "has an option that no lock file has"),
        ("what is this --hash=sha256:00\n", "no requirement"),
        ("dep @ https://example.com/dep.tar.gz --hash=sha256:" + "0" * 64, "has no wheel of dep"),
        ("\xff", "no requirement"),
        ("==1.0\n", "no requirement"),
        ("dep==1.0 --hash=sha256:'abc\n", "does not give a digest of dep"),
        (
            f"evil @ http://127.0.0.1:9/..%2F..%2Fevil-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\n",
            "has no wheel of evil",
        ),
        (
            f"evil @ http://127.0.0.1:9/evil-1.0-..%2Fx-py3-none-any.whl --hash=sha256:{'0' * 64}\n",
            "has no wheel of evil",
        ),
        (f"evil @ http://127.0.0.1:9/other-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\n", "has no wheel of evil"),
    ],
)
def test_a_lock_without_digests_or_wheels_is_refused(
    image: Image, tmp_path: Path, wheels: dict[str, Path], text: str, problem: str
) -> None:
    assert wheels
    base = tiny_base(tmp_path / "base")
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    result = image("--base", base, "--lock", "requirements.txt", TinyWheel().write(tmp_path))
    assert result.exit_code == 12, result.output
    assert problem in result.output
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize(
    "text",
    [
        "nothing\n",
        'lock-version = "9.0"\ncreated-by = "x"\npackages = []\n',
        'lock-version = "1.0"\ncreated-by = "x"\nrequires-python = ">=3.14"\npackages = []\n',
        (
            'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\nversion = "1"\n'
            '[packages.sdist]\nurl = "https://example.com/a-1.tar.gz"\nhashes = { sha256 = "00" }\n'
        ),
    ],
)
def test_a_pylock_that_does_not_serve_the_image_is_refused(image: Image, tmp_path: Path, text: str) -> None:
    base = tiny_base(tmp_path / "base")
    (tmp_path / "pylock.toml").write_text(text, encoding="utf-8")
    result = image("--base", base, "--lock", "pylock.toml", TinyWheel().write(tmp_path))
    assert result.exit_code == 12, result.output


def test_another_file_than_the_locked_one_is_refused(image: Image, tmp_path: Path, wheels: dict[str, Path]) -> None:
    base = tiny_base(tmp_path / "base")
    (tmp_path / "pylock.toml").write_text(_pylock(wheels), encoding="utf-8")
    with wheels["dep-1.0-py3-none-any.whl"].open("ab") as file:
        file.write(b"more")
    result = image("--base", base, "--lock", "pylock.toml", TinyWheel().write(tmp_path))
    assert result.exit_code == 6, result.output
    assert "is not the pinned file" in result.output


def test_no_message_shows_a_password(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    for line in (
        "-e https://somebody:secret@example.com/x",
        "x @ https://somebody:secret@example.com/x.whl",
        "? https://a:secret@b",
    ):
        (tmp_path / "requirements.txt").write_text(f"{line} --hash=sha256:{'0' * 64}\n", encoding="utf-8")
        result = image("--base", base, "--lock", "requirements.txt", TinyWheel().write(tmp_path))
        assert result.exit_code == 12, result.output
        assert "secret" not in result.output


def test_a_pylock_cannot_name_a_file_elsewhere(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    name = "../../evil-1.0-py3-none-any.whl"
    text = (
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "evil"\nversion = "1.0"\n'
        f'wheels = [{{ name = "{name}", url = "http://127.0.0.1:9/x.whl", hashes = {{ sha256 = "{"0" * 64}" }} }}]\n'
    )
    (tmp_path / "pylock.toml").write_text(text, encoding="utf-8")
    result = image("--base", base, "--lock", "pylock.toml", TinyWheel().write(tmp_path))
    assert result.exit_code == 12, result.output
