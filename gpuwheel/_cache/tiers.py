"""What may be beneath a cache: where entries are looked for that it lacks, and shared that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from gpuwheel.model.pins import Origin

__all__ = ["Tier"]


class Tier(Protocol):
    """A remote, as stores of compiled content see it. Nothing of it raises because the remote fails."""

    @property
    def verifies(self) -> bool:
        """Whether a share of what is found is made here all the same, and compared."""

    @property
    def writes(self) -> bool:
        """Whether what is offered is shared."""

    def trusts(self, origins: Iterable[Origin]) -> bool:
        """Whether all of these may be in what is built here."""

    def fetch(
        self, kind: str, keys: Collection[str], fits: Callable[[str, bytes, Origin], bool]
    ) -> dict[str, tuple[bytes, Origin]]:
        """Entries under these keys, signatures checked.

        Args:
            kind: of the entries.
            keys: of the entries.
            fits: says whether an entry may be used; may raise ValueError, KeyError, TypeError or AttributeError of a
                damaged one.
        """

    def take(self, kind: str, key: str, content: bytes, origins: Iterable[Origin]) -> bool:
        """Note that content of these origins is used; `False`: it was drawn, and is to be made here and compared."""

    def compare(self, kind: str, key: str, content: bytes) -> None:
        """See that what was drawn was made here as it was there; of what was not drawn nothing is asked.

        Raises:
            AuditError: it was not.
        """

    def offer(self, kind: str, key: str, entry: bytes) -> None:
        """Note an entry that was made here, now or before, to be shared when the wheel is there."""
