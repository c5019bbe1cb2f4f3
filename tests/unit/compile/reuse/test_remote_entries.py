"""Entries of a remote: used where somebody signed them who is trusted for their level, else as good as none."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel.compile.reuse.remote.envelope import sealed_envelope
from gpuwheel.compile.reuse.remote.finding import find_remote
from gpuwheel.compile.reuse.remote.signing import SigningKey
from gpuwheel.compile.reuse.store import ContentStore, Stored
from gpuwheel.errors import AuditError
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.wheel import with_origins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAIN, PULL, OTHER = SigningKey.new(), SigningKey.new(), SigningKey.new()
OBJECT = Stored({"read": {}}, b"machine code")


class Heard(SilentReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Machine:
    """One with an empty cache, and what it says of the remote in `folder`."""

    def __init__(self, folder: Path, name: str, **said: str) -> None:
        self.heard = Heard()
        self.remote = folder / "remote"
        self.remote.mkdir(exist_ok=True)
        variables = {f"GPUWHEEL_REMOTE_{key.upper()}": value for key, value in said.items()}
        self.environ = {"HOME": str(folder), "GPUWHEEL_REMOTE": self.remote.as_uri(), **variables}
        self.cache = Cache(folder / name)
        self.again()

    def again(self, **changed: str) -> Machine:
        """The next build here."""
        self.environ |= {f"GPUWHEEL_REMOTE_{key.upper()}": value for key, value in changed.items()}
        self.tier = find_remote(self.environ, self.heard)
        self.cache.tier = self.tier
        self.store = ContentStore(self.cache, "libraries", self.tier)
        return self

    def makes(self, contents: Mapping[str, Stored]) -> None:
        for key, stored in contents.items():
            self.store.save(key, stored)
        assert self.tier is not None
        self.tier.share(self.cache)

    def finds(self, *keys: str) -> dict[str, bytes]:
        return {key: stored.content for key, stored in self.store.find(keys).items()}


def _writer(folder: Path, level: str = "main", key: SigningKey = MAIN, **said: str) -> Machine:
    return Machine(folder, f"writer-{level}", write=level, key=key.secret, **said)


def _reader(folder: Path, trust: str = f"main={MAIN.public}", **said: str) -> Machine:
    return Machine(folder, "reader", trust=trust, **said)


def test_what_one_machine_made_another_uses(tmp_path: Path) -> None:
    _writer(tmp_path).makes({"a": OBJECT, "b": Stored({}, b"other code")})
    reader = _reader(tmp_path)
    assert reader.finds("a", "b", "c") == {"a": b"machine code", "b": b"other code"}
    assert reader.heard.warnings == []
    assert reader.tier is not None
    assert {(origin.key, origin.level, origin.signer) for origin in reader.tier.used} == {
        ("a", "main", MAIN.public),
        ("b", "main", MAIN.public),
    }
    shutil.rmtree(reader.remote)
    reader.remote.mkdir()
    assert reader.again().finds("a") == {"a": b"machine code"}, "it is in the cache now"


def test_nothing_is_written_unless_that_is_said(tmp_path: Path) -> None:
    machine = _reader(tmp_path)
    machine.makes({"a": OBJECT})
    assert list(machine.remote.iterdir()) == []


def test_what_was_made_before_is_shared_once(tmp_path: Path) -> None:
    alone = Machine(tmp_path, "writer-main", trust=f"main={MAIN.public}")
    alone.makes({"a": OBJECT})
    writer = _writer(tmp_path)
    assert writer.finds("a")
    writer.makes({})
    entry = _at(writer, "main", "a")
    assert _reader(tmp_path).finds("a") == {"a": b"machine code"}
    written = entry.stat().st_mtime_ns
    writer.again().finds("a")
    writer.makes({})
    assert entry.stat().st_mtime_ns == written


def test_what_came_from_a_remote_is_not_signed_again(tmp_path: Path) -> None:
    _writer(tmp_path, "pr-7", PULL).makes({"a": OBJECT})
    main = _writer(tmp_path, trust=f"main={MAIN.public} pr-7={PULL.public}")
    assert main.finds("a")
    main.makes({})
    assert main.again().finds("a")
    main.makes({})
    assert not _at(main, "main", "a").exists()


def _at(machine: Machine, level: str, key: str) -> Path:
    return machine.remote / level / "v1" / "libraries" / key


def _hostile(folder: Path) -> bytes:
    """An entry that is whole in itself, and as long as the one that it takes the place of."""
    cache = Cache(folder / "hostile")
    ContentStore(cache, "libraries").save("a", Stored(OBJECT.facts, b"hostile code"))
    entry = cache.read("libraries", "a")
    assert entry is not None
    return entry


def _forged(entry: Path) -> None:
    """As somebody would who can write the whole remote, and has no key that counts."""
    entry.write_bytes(sealed_envelope(_hostile(entry.parents[4]), ("main", "libraries", "a"), OTHER))


def _edited(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes().partition(b"\n")[0] + b"\n" + _hostile(entry.parents[4]))


def _claimed(entry: Path) -> None:
    """Under the name of one who is trusted, with the signature of another."""
    _forged(entry)
    entry.write_bytes(entry.read_bytes().replace(OTHER.public.encode(), MAIN.public.encode()))


def _unsigned(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes().partition(b"\n")[2])


def _cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-3])


def _emptied(entry: Path) -> None:
    entry.write_bytes(b"")


def _of_another_key(entry: Path) -> None:
    shutil.copy(entry.with_name("b"), entry)


def _of_another_level(entry: Path) -> None:
    """Signed by one who is trusted for this level too."""
    shutil.copy(entry.parents[3] / "pr-7" / "v1" / "libraries" / "a", entry)


@pytest.mark.parametrize(
    "harm",
    [_forged, _edited, _claimed, _unsigned, _cut, _emptied, _of_another_key, _of_another_level],
    ids=lambda harm: harm.__name__.strip("_"),
)
def test_what_is_not_signed_for_its_place_is_as_good_as_none(tmp_path: Path, harm: object) -> None:
    _writer(tmp_path, "pr-7").makes({"a": Stored({}, b"code of a pull request")})
    writer = _writer(tmp_path)
    writer.makes({"a": OBJECT, "b": Stored({}, b"other code")})
    assert callable(harm)
    harm(_at(writer, "main", "a"))
    reader = _reader(tmp_path)
    assert reader.finds("a", "b") == {"b": b"other code"}
    assert len(reader.heard.warnings) == 1
    assert "main/v1/libraries/a" in reader.heard.warnings[0]
    assert not (tmp_path / "reader" / "v1" / "libraries" / "a").exists()


def test_a_job_that_writes_everywhere_reaches_no_level_but_its_own(tmp_path: Path) -> None:
    pull = _writer(tmp_path, "pr-7", PULL)
    pull.makes({"a": OBJECT})
    for level in ("main", "release"):
        _at(pull, level, "a").parent.mkdir(parents=True)
        _at(pull, level, "a").write_bytes(
            sealed_envelope(_at(pull, "pr-7", "a").read_bytes().partition(b"\n")[2], (level, "libraries", "a"), PULL)
        )
    release = Machine(tmp_path, "release", trust=f"release={MAIN.public} main={MAIN.public}")
    assert release.finds("a") == {}
    both = Machine(tmp_path, "pull", trust=f"main={MAIN.public} pr-7={PULL.public}")
    assert both.finds("a") == {"a": b"machine code"}


def test_what_was_taken_from_a_level_counts_only_where_that_is_read(tmp_path: Path) -> None:
    _writer(tmp_path, "pr-7", PULL).makes({"a": OBJECT})
    machine = _reader(tmp_path, f"main={MAIN.public} pr-7={PULL.public}")
    assert machine.finds("a")
    assert machine.again(trust=f"main={MAIN.public}").finds("a") == {}, "of a level that is not read"
    assert machine.again(trust=f"main={MAIN.public} pr-7={OTHER.public}").finds("a") == {}, "the key was replaced"
    machine.environ["GPUWHEEL_REMOTE"] = "off"
    assert machine.again().finds("a") == {}
    assert machine.tier is None


def test_what_was_linked_from_a_level_carries_it_on(tmp_path: Path) -> None:
    _writer(tmp_path, "pr-7", PULL).makes({"a": OBJECT})
    main = _writer(tmp_path, trust=f"main={MAIN.public} pr-7={PULL.public}")
    found = main.store.load("a")
    assert found is not None
    main.makes({"library": Stored({}, b"linked", found.origins)})
    assert _reader(tmp_path).finds("library") == {}, "signed for main, and made of what is not"
    allowed = Machine(tmp_path, "allowed", trust=f"main={MAIN.public} pr-7={PULL.public}")
    assert allowed.finds("library") == {"library": b"linked"}


def test_facts_are_checked_as_those_of_the_cache_are(tmp_path: Path) -> None:
    _writer(tmp_path, "old").makes({"a": Stored({"header": 1}, b"of an old header")})
    _writer(tmp_path).makes({"a": Stored({"header": 2}, b"of the new header")})
    reader = _reader(tmp_path, f"old={MAIN.public} main={MAIN.public}")
    found = reader.store.find(["a"], lambda _, stored: stored.facts["header"] == 2)
    assert found["a"].content == b"of the new header"
    other = Machine(tmp_path, "other", trust=f"main={MAIN.public}")
    assert other.store.find(["a"], lambda _, stored: stored.facts["header"] == 3) == {}
    assert other.heard.warnings == []


def test_signed_nonsense_is_as_good_as_none(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    writer.makes({"a": OBJECT})
    for key, entry in {"b": b"no entry", "c": b""}.items():
        _at(writer, "main", key).write_bytes(sealed_envelope(entry, ("main", "libraries", key), MAIN))
    reader = _reader(tmp_path)
    assert reader.store.find(["a", "b", "c"], lambda _, stored: stored.facts["sizes"] == []) == {}
    assert len(reader.heard.warnings) == 4, "three entries, and that the remote is left alone"


def test_a_share_is_made_here_and_compared(tmp_path: Path) -> None:
    _writer(tmp_path).makes({"a": OBJECT})
    reader = _reader(tmp_path, verify="1")
    assert reader.finds("a") == {}
    assert reader.tier is not None
    with pytest.raises(AuditError) as left:
        reader.tier.check_compared()
    assert "libraries/a" in left.value.message
    reader.store.save("a", OBJECT)
    reader.tier.check_compared()
    assert reader.finds("a") == {"a": b"machine code"}, "made here: nothing to compare"


def test_a_difference_names_the_entry_and_who_signed_it(tmp_path: Path) -> None:
    _writer(tmp_path).makes({"a": Stored({}, b"hostile code")})
    reader = _reader(tmp_path, verify="1")
    reader.finds("a")
    with pytest.raises(AuditError) as caught:
        reader.store.save("a", OBJECT)
    assert "libraries/a" in caught.value.message
    assert f"{MAIN.public} for main" in caught.value.message


def test_what_is_made_of_parts_is_made_again_where_parts_are_verified(tmp_path: Path) -> None:
    _writer(tmp_path).makes({"library": OBJECT})
    reader = _reader(tmp_path)
    assert reader.store.load("library", of_parts=True) is not None
    assert reader.again(verify="0.000001").store.load("library", of_parts=True) is None, "from the cache neither"


def test_the_bill_of_materials_names_what_came_from_a_remote(tmp_path: Path) -> None:
    _writer(tmp_path).makes({"a": OBJECT})
    reader = _reader(tmp_path)
    reader.finds("a")
    assert reader.tier is not None
    bill = {"components": [{"bom-ref": "torch"}], "dependencies": [{"ref": "wheel", "dependsOn": ["torch"]}]}
    document = json.loads(with_origins(json.dumps(bill).encode(), reader.tier.used))
    (origin,) = reader.tier.used
    (component,) = (one for one in document["components"] if one.get("type") == "file")
    assert component["name"] == "libraries/a"
    assert component["hashes"] == [{"alg": "SHA-256", "content": origin.sha256}]
    assert {"name": "gpuwheel:signer", "value": MAIN.public} in component["properties"]
    assert component["bom-ref"] in document["dependencies"][0]["dependsOn"]


def test_a_cache_that_may_only_be_read_does_not_keep_a_remote_from_serving(tmp_path: Path) -> None:
    _writer(tmp_path).makes({"a": OBJECT})
    reader = _reader(tmp_path)
    (tmp_path / "reader").write_bytes(b"")  # no folder: nothing can be published
    assert reader.finds("a") == {"a": b"machine code"}


def test_without_its_packages_a_build_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("gpuwheel.compile.reuse.remote.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    heard = Heard()
    environ = {"HOME": str(tmp_path), "GPUWHEEL_REMOTE": "s3://bucket", "GPUWHEEL_REMOTE_TRUST": f"main={MAIN.public}"}
    assert find_remote(environ, heard) is None
    assert "pip install 'gpuwheel[remote]'" in heard.warnings[0]
