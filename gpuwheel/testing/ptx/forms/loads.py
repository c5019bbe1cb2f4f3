"""Loads, stores and atomics (PTX ISA, section 9.7.9 and 9.7.13)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

# Of at most 4 bytes, and more; 32 bytes at once are of global memory alone.
_SHORT = "b32 b8 u8 s8 b16 u16 s16 u32 s32 f32"
_LONG = "b64 u64 s64 f64"
_TYPES = {1: f"{_SHORT} {_LONG} b128", 2: f"{_SHORT} {_LONG}", 4: _SHORT, 8: "b32 u32 s32 f32"}
_SETS = {
    "scope": "cta cluster gpu sys",
    "l1": "L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate",
    "l2": "L2::evict_last L2::evict_normal L2::evict_first",
    "hint": "L2::cache_hint",
}
_LOADS = {
    **_SETS,
    "order": "relaxed acquire volatile",
    "cop": "ca cg cs lu cv",
    "prefetch": "L2::64B L2::128B L2::256B",
}
_STORES = {**_SETS, "order": "relaxed release volatile", "cop": "wb cg cs wt"}
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


def _reads(look_up: str, count: int, order: str) -> str:
    names = _names("d", count)
    size = f"{count} * sizeof {names[0]}"
    loads = [f"memcpy(&{name}, at_ + {index} * sizeof {name}, sizeof {name});" for index, name in enumerate(names)]
    there = f"const u8* at_ = {look_up}(w, i, lane, a, {size}, {size}, (Access)(READ{order}));"
    return f"{there} if (unlikely(at_ == NULL)) at_ = zeros; {' '.join(loads)}"


def _writes(look_up: str, count: int, order: str) -> str:
    names = _names("b", count)
    size = f"{count} * sizeof {names[0]}"
    stores = [f"memcpy(at_ + {index} * sizeof {name}, &{name}, sizeof {name});" for index, name in enumerate(names)]
    there = f"u8* const at_ = {look_up}(w, i, lane, a, {size}, {size}, (Access)(WRITE{order}));"
    return f"{there} if (likely(at_ != NULL)) {{{{ {' '.join(stores)} }}}}"


def _types(space: str, count: int) -> str:
    return f"{_LONG} {_SHORT}" if count == _WIDE and space == ".global" else _TYPES[count]


def _ordering(space: str, count: int) -> str:
    if space in {".global", ""} and count == 1:
        return "{.weak}{.mmio}{.order}{.scope}"
    if space in {".global", ""} or space.startswith(".shared"):
        return "{.weak}{.order}{.scope}"
    return "{.weak}{.volatile}" if space == ".local" else "{.weak}"


def _caching(space: str, count: int) -> str:
    if space not in {".global", ""}:
        return "{.cop}"
    return "{.cop}{.l1}{.l2}{.hint}" if count >= _WIDE and space else "{.cop}{.l1}{.hint}"


def _loads(space: str, look_up: str, count: int) -> Row:
    vector, many = (f".v{count}", f"[{count}]") if count > 1 else ("", "")
    caching = _caching(space, count)
    policy = ""
    if "hint" in caching:
        caching, policy = (
            caching.replace("{.cop}", "{.cop}{.nc}" if space else "{.cop}") + "{.prefetch}",
            ", policy:b64?",
        )
    syntax = f"ld{_ordering(space, count)}{space}{caching}{vector}.type d{many}, [a]{policy}"
    return row(syntax, "9.7.9.8", _reads(look_up, count, _order(space)), type=_types(space, count), **_LOADS)


def _stores(space: str, look_up: str, count: int) -> Row:
    vector, many = (f".v{count}", f"[{count}]") if count > 1 else ("", "")
    caching = _caching(space, count)
    policy = ", policy:b64?" if "hint" in caching else ""
    syntax = f"st{_ordering(space, count)}{space}{caching}{vector}.type [a], b{many}{policy}"
    place = look_up if space != ".param" else "at_local"
    return row(syntax, "9.7.9.11", _writes(place, count, _order(space)), type=_types(space, count), **_STORES)


def _order(space: str) -> str:
    """Memory of one thread has no order."""
    return " | ORDER_{order}" if space in {".global", ""} or "shared" in space else ""


def _uniform(space: str, look_up: str, count: int) -> Row:
    """Loads of what no thread changes: the manual has them as loads by another way."""
    vector, many = (f".v{count}", f"[{count}]") if count > 1 else ("", "")
    return row(f"ldu{space}{vector}.type d{many}, [a]", "9.7.9.10", _reads(look_up, count, ""), type=_TYPES[count])


_READ_ONLY = frozenset((".const", ".param::entry"))
_WIDE = 4
_COUNTS = (1, 2, 4)

ROWS: tuple[Row, ...] = (
    *(_loads(space, look_up, count) for space, look_up in _SPACES.items() for count in _COUNTS),
    *(_stores(space, at, count) for space, at in _SPACES.items() if space not in _READ_ONLY for count in _COUNTS),
    *(made(".global", "at_global", 8) for made in (_loads, _stores)),
    *(_uniform(space, _SPACES[space], count) for space in (".global", "") for count in _COUNTS),
)
