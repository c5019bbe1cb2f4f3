"""Loads, stores and atomics (PTX ISA, section 9.7.9 and 9.7.13)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_TYPES = "b8 u8 s8 b16 u16 s16 b32 u32 s32 b64 u64 s64 f32 f64 b128"
_HINTS = {
    "weak": "weak",
    "order": "relaxed acquire release volatile mmio",
    "scope": "cta cluster gpu sys",
    "cop": "ca cg cs lu cv wb wt",
    "l1": "L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate",
    "l2": "L2::evict_last L2::evict_normal L2::evict_first",
    "hint": "L2::cache_hint",
    "prefetch": "L2::64B L2::128B L2::256B",
}
_ORDERING = "{.weak}{.order}{.scope}"
_CACHING = "{.cop}{.l1}{.l2}{.hint}{.prefetch}"
# The state space, and how an address of it is looked up.
_SPACES = {
    ".global": "at_global",
    ".shared": "at_shared",
    ".shared::cta": "at_shared",
    ".shared::cluster": "at_shared",
    ".local": "at_local",
    ".param": "at_parameter",
    ".param::entry": "at_parameter",
    ".param::func": "at_parameter",
    ".const": "at_global",
    "": "at_generic",
}


def _names(name: str, count: int) -> list[str]:
    return [f"{name}{index}" for index in range(count)] if count > 1 else [name]


def _reads(look_up: str, count: int) -> str:
    names = _names("d", count)
    size = f"{count} * sizeof {names[0]}"
    loads = [f"memcpy(&{name}, at_ + {index} * sizeof {name}, sizeof {name});" for index, name in enumerate(names)]
    there = f"const u8* at_ = {look_up}(w, i, lane, a, {size}, {size}, (Access)(READ | ORDER_{{order}}));"
    return f"{there} if (unlikely(at_ == NULL)) at_ = zeros; {' '.join(loads)}"


def _writes(look_up: str, count: int) -> str:
    names = _names("b", count)
    size = f"{count} * sizeof {names[0]}"
    stores = [f"memcpy(at_ + {index} * sizeof {name}, &{name}, sizeof {name});" for index, name in enumerate(names)]
    there = f"u8* const at_ = {look_up}(w, i, lane, a, {size}, {size}, (Access)(WRITE | ORDER_{{order}}));"
    return f"{there} if (likely(at_ != NULL)) {{{{ {' '.join(stores)} }}}}"


def _moves(space: str, look_up: str, count: int) -> tuple[Row, Row]:
    vector, many = (f".v{count}", f"[{count}]") if count > 1 else ("", "")
    place = look_up if space != ".param" else "at_local"
    caching = _CACHING.replace("{.cop}", "{.cop}{.nc}") if space in {".global", ""} else _CACHING
    return (
        row(
            f"ld{_ORDERING}{space}{caching}{vector}.type d{many}, [a], policy:b64?",
            "9.7.9.8",
            _reads(look_up, count),
            type=_TYPES,
            **_HINTS,
        ),
        row(
            f"st{_ORDERING}{space}{_CACHING}{vector}.type [a], b{many}, policy:b64?",
            "9.7.9.11",
            _writes(place, count),
            type=_TYPES,
            **_HINTS,
        ),
    )


ROWS: tuple[Row, ...] = tuple(
    found for space, look_up in _SPACES.items() for count in (1, 2, 4, 8) for found in _moves(space, look_up, count)
)
