"""Random numbers: each call draws from a generator of the CPU, seeded by seed and offset of the device's generator.

So `torch.cuda.manual_seed` repeats them, a saved state goes on where it was saved, and a generator of the CPU does not
notice. The numbers are not those of a GPU, whose generator is another one.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["default_generator", "in_place_of_the_default", "of_the_cpu"]

_STEP = 4  # what torch counts offsets in
_MASK = (1 << 64) - 1
_lock = RLock()


def default_generator(device: torch.device) -> Any:
    """That of a device."""
    return torch.cuda.default_generators[device.index]


def of_the_cpu(generator: Any) -> Any:
    """A generator of the CPU for one call; the device's goes on."""
    with _lock:
        seed, offset = generator.initial_seed(), generator.get_offset()
        generator.set_offset(offset + _STEP)
    made = torch.Generator(device="cpu")
    made.manual_seed(_mixed(seed + _mixed(offset)))
    return made


@contextmanager
def in_place_of_the_default(generator: Any) -> Iterator[None]:
    """For operators that take none: they draw from this one, and the CPU's default one is as it was afterwards."""
    default = torch.random.default_generator
    with _lock:
        state = default.get_state()
        default.set_state(generator.get_state())
        try:
            yield
        finally:
            default.set_state(state)


def _mixed(value: int) -> int:
    """The finalizer of splitmix64 (Steele, Lea, Flood 2014): neighbours become strangers. torch takes 32 bits of it."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
