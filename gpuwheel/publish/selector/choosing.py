"""The wheel that fits a machine best; where none does, the nearest. A page has the same law in JavaScript."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel.publish.selector.judging import Judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

    from gpuwheel.publish.selector.judging import Verdict
    from gpuwheel.publish.selector.offers import Offer
    from gpuwheel.publish.selector.target_machine import Machine

__all__ = ["Choice", "choose"]

_FIXED = frozenset({"gpu", "cpu", "system", "libc"})
"""What nobody changes for a wheel."""
_UNSEEN = frozenset({"torch", "driver", "gpu"})
"""What pip and uv do not look at when they take a file from an index."""
_UNSEEN_WHEN_PINNED = _UNSEEN | {"yanked"}  # PEP 592


@dataclass(frozen=True)
class Choice:
    """The answer."""

    machine: Machine
    verdicts: tuple[Verdict, ...]
    """Of every wheel: those that fit first, best first; then the others, nearest first."""
    installer: Offer | None
    """What pip and uv take from the index when they are told the project's name alone; `None`: nothing."""
    index: str | None
    """The first index of the best wheel from which they take it when they are told its version too; `None`: none."""

    @property
    def best(self) -> Verdict | None:
        """The wheel that fits best; `None`: none fits."""
        return self.verdicts[0] if self.verdicts and self.verdicts[0].fits else None

    @property
    def nearest_for_gpu(self) -> Verdict | None:
        """Where the best wheel leaves the GPU alone: the nearest one with code for it, on this system."""
        if self.best is None or self.best.offer.asks_gpu or not self.machine.gpus:
            return None
        coded = (one for one in self.verdicts if one.offer.facts.code and not one.fits)
        return next((one for one in coded if not _FIXED.intersection(reason.fact for reason in one.reasons)), None)

    @property
    def nearest(self) -> Verdict | None:
        """The wheel that would fit after the least change, where none fits."""
        return self.verdicts[0] if self.verdicts and not self.verdicts[0].fits else None


def choose(machine: Machine, offers: Sequence[Offer]) -> Choice:
    """Compare every wheel of one project with a machine.

    Of the wheels that fit, those with code for the GPUs come first, where there are some. Of these the newest release
    wins; of its wheels, the one whose code is compiled for the GPUs; then the one of the toolkit that torch was built
    with, the newest toolkit, the newest local version, and the tag that installers prefer (PEP 425, PEP 600).

    Args:
        machine: where the wheel is to run.
        offers: the wheels; their order makes no difference.
    """
    judge = Judge(machine)
    finals = [judge.of(offer, pre_releases=True) for offer in offers if not offer.version.is_prerelease]
    # As installers: a pre-release counts where there is no final release that they could take.
    pre_releases = machine.pre_releases or not any(_seen_by_installers(verdict) for verdict in finals)
    verdicts = [judge.of(offer, pre_releases=pre_releases) for offer in offers]
    fitting = sorted((one for one in verdicts if one.fits), key=_name)
    fitting.sort(key=lambda one: _preference(machine, one), reverse=True)
    others = sorted((one for one in verdicts if not one.fits), key=_name)
    others.sort(key=lambda one: (one.offer.version, one.offer.build), reverse=True)
    others.sort(key=lambda one: one.cost)
    seen = [one for one in verdicts if _seen_by_installers(one)]
    index = _index_of(fitting[0].offer, verdicts) if fitting else None
    return Choice(machine, (*fitting, *others), _taken(seen), index)


def _index_of(best: Offer, verdicts: Sequence[Verdict]) -> str | None:
    # ==1.0 admits 1.0+cu129 too (PEP 440), which sorts higher: uv locks it even where it is for other systems alone.
    further = [one.offer for one in verdicts if _public(one.offer) == best.version != one.offer.version]
    pinned = [one for one in verdicts if all(reason.fact in _UNSEEN_WHEN_PINNED for reason in one.reasons)]
    same = [one for one in pinned if one.offer.version == best.version]
    for index in best.published.indexes:
        if any(index in offer.published.indexes for offer in further):
            continue
        if _taken([one for one in same if index in one.offer.published.indexes]) is best:
            return index
    return None


def _public(offer: Offer) -> Version:
    return offer.version.__replace__(local=None)


def _name(verdict: Verdict) -> str:
    return verdict.offer.facts.filename


def _preference(machine: Machine, verdict: Verdict) -> tuple[Any, ...]:
    offer = verdict.offer
    cuda = tuple(int(part) for part in (offer.facts.cuda or "").split(".") if part) or offer.facts.runtimes[-1:]
    majors = {*offer.facts.runtimes, *cuda[:1]}
    with_torch = machine.torch_cuda is not None and int(machine.torch_cuda.split(".")[0]) in majors
    on_gpu = bool(machine.gpus) and verdict.service > 0
    return on_gpu, _public(offer), verdict.service, with_torch, cuda, offer.version, _descending(verdict), offer.build


def _descending(verdict: Verdict) -> tuple[int, ...]:
    """Higher for a tag that installers prefer."""
    return tuple(-part for part in verdict.tag_rank or ())


def _seen_by_installers(verdict: Verdict) -> bool:
    return all(reason.fact in _UNSEEN for reason in verdict.reasons)


def _taken(verdicts: Sequence[Verdict]) -> Offer | None:
    """The newest version, then the best tag, then the build number: pip and uv alike."""
    ordered = sorted(verdicts, key=_name)
    best = max(ordered, key=lambda one: (one.offer.version, _descending(one), one.offer.build), default=None)
    return None if best is None else best.offer
