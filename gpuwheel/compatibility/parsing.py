"""Strict reading of a table: every key is asked for by name and type, and a key that nobody asked for is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from gpuwheel._toml import own_table
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Reader", "read_table"]

K = TypeVar("K")
T = TypeVar("T")


class Reader:
    """One table of a file. Use as a context manager: leaving it checks that every key was read.

    Raises:
        DataError: A key is missing, has the wrong type, cannot be parsed, or is not known. The message starts with
            the file and the path of the key.
    """

    def __init__(self, where: str, table: dict[str, object]) -> None:
        self._where = where
        self._table = table
        # A key that is misspelled would else be a default, in silence.
        self._left = set(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # While another error is on its way, keys that nobody came to are no finding.
        if error is None and self._left:
            self.fail(f"has keys nobody reads ({', '.join(sorted(self._left))}, expected none)")

    def text(self, key: str) -> str:
        """A string."""
        return self._typed(key, str)

    def integer(self, key: str) -> int:
        """A whole number."""
        return self._typed(key, int)

    def truth(self, key: str) -> bool:
        """A boolean."""
        return self._typed(key, bool)

    def parsed(self, key: str, parse: Callable[[str], T]) -> T:
        """A string turned into a value by `parse`, which raises ValueError."""
        return self._parse(key, self.text(key), parse)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(self._check(key, item, str) for item in self._typed(key, list))

    def words(self, key: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """A string of words between blanks, each turned into a value; empty where the key is absent."""
        if key not in self._table:
            return ()
        return tuple(self._parse(key, word, parse) for word in self.text(key).split())

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._table

    def tables(self, key: str) -> Iterator[Reader]:
        """A list of tables."""
        for number, item in enumerate(self._typed(key, list)):
            yield Reader(f"{self._where}: {key}[{number}]", self._check(key, item, dict))

    def table(self, key: str) -> Reader:
        """A table."""
        return Reader(f"{self._where}: {key}", self._typed(key, dict))

    def named_tables(self, key: str, parse: Callable[[str], K]) -> Iterator[tuple[K, Reader]]:
        """The sub-tables of a table, by their names, each turned into a value."""
        with self.table(key) as table:
            for name in table.names():
                yield table._parse(name, name, parse), table.table(name)  # noqa: SLF001 - of this class

    def mapping(self, parse_key: Callable[[str], K], parse: Callable[[str], T]) -> dict[K, T]:
        """This whole table, where all its values are strings."""
        with self:
            return {self._parse(name, name, parse_key): self.parsed(name, parse) for name in self.names()}

    def strings(self) -> dict[str, str]:
        """This whole table, where all its values are strings, as they are."""
        return self.mapping(str, str)

    def sources(self, defaults: Mapping[str, str]) -> dict[str, str]:
        """Key -> how its value was established: this table's own `sources` over `defaults`.

        Raises:
            DataError: A key of this table has no source.
        """
        sources = {**defaults, **(self.table("sources").strings() if self.has("sources") else {})}
        self.require_sources(sources, *(key for key in self._table if key != "sources"))
        return sources

    def require_sources(self, sources: Mapping[str, str], *keys: str) -> None:
        """Refuse this table where one of `keys` has no source."""
        bare = [key for key in keys if key not in sources]
        if bare:
            self.fail(f"has values without a source ({', '.join(bare)}, expected one each in `sources`)")

    def names(self) -> tuple[str, ...]:
        """The keys not read so far, in the file's order."""
        return tuple(key for key in self._table if key in self._left)

    def fail(self, problem: str, cause: Exception | None = None) -> NoReturn:
        """Refuse this table."""
        raise DataError(f"{self._where} {problem}") from cause  # noqa: EM102, TRY003 - the one place of this message

    def _typed(self, key: str, kind: type[T]) -> T:
        if key not in self._table:
            self.fail(f"lacks a key ({key}, expected {kind.__name__})")
        self._left.discard(key)
        return self._check(key, self._table[key], kind)

    def _check(self, key: str, value: object, kind: type[T]) -> T:
        # To Python a bool is an int; to TOML it is not.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.fail(f"has a wrong {key} ({value!r}, expected {kind.__name__})")
        return value

    def _parse(self, key: str, text: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(text)
        except ValueError as error:
            self.fail(f"has a wrong {key} ({error})", error)


def read_table(name: str) -> Reader:
    """The file `gpuwheel/data/NAME`.

    Raises:
        DataError: The file is missing or is not TOML.
    """
    try:
        return Reader(name, own_table(name))
    except (OSError, ValueError) as error:
        msg = f"{name} cannot be read ({error}, expected a table of gpuwheel)"
        raise DataError(msg, hint="reinstall gpuwheel") from error
