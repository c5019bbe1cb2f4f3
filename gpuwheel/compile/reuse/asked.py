"""What sources look for without including it: names of `__has_include`, `#embed`, `.incbin`, and quoted includes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compile.includes import IncludeName, has_includes, included_names
from gpuwheel.compile.reuse.tokens import clock, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Asked", "Probe", "probes"]

_INCBIN = re.compile(rb'\.incbin\b(?:\s*\\?"(?P<name>[^"\\\n]+)\\?")?')
_EMBED = re.compile(
    rb'(?:[#%]:?[ \t]*embed\b|\b__has_embed[ \t]*\()[ \t]*(?:"(?P<quoted>[^"\n]+)"|<(?P<angled>[^>\n]+)>)?'
)
_HEADER = re.compile(rb'[ \t]*(?:"(?P<quoted>[^"]+)"|<(?P<angled>[^>]+)>)[ \t\r]*(?://.*|/\*.*)?')
_PARAMETERS = re.compile(rb"[ \t]*[#%]:?[ \t]*define[ \t]+(\w+)\(([^)\n]*)\)")
_DEFINITION = re.compile(rb"^[ \t]*[#%]:?[ \t]*define[ \t]+(\w+)(\([^)\n]*\))?([^\n]*)", re.MULTILINE)
_MOST_ROUNDS = 8


@dataclass(frozen=True)
class Asked:
    """What one file asks for."""

    included: tuple[str, ...] = ()
    """Names that directives have."""
    quoted: tuple[str, ...] = ()
    """Those of `#include "name"`, which are looked for beside the file first."""
    computed: bool = False
    """Whether it includes what a macro names."""
    embedded: tuple[IncludeName, ...] = ()
    """Of `#embed`."""
    assembled: tuple[str, ...] = ()
    """Of `.incbin`."""
    time: str | None = None
    """The macro by which it asks what time it is."""
    unseen: str | None = None
    """What it reads in a way that cannot be followed."""

    @classmethod
    def of(cls, text: bytes) -> Asked:
        """What a file asks for, by its text with lines joined."""
        includes = list(included_names(text))
        embedded, assembled = list(_names(_EMBED, text, b"embed")), list(_names(_INCBIN, text, b"incbin"))
        other = unseen(text)
        if other in {"#embed", ".incbin"}:
            put_together = None in embedded or None in assembled
            other = f"{other} of a name that is put together" if put_together else None
        return cls(
            included=tuple(dict.fromkeys(one.name for one in includes if one is not None)),
            quoted=tuple(dict.fromkeys(one.name for one in includes if one is not None and one.quoted)),
            computed=None in includes,
            embedded=tuple(dict.fromkeys(one for one in embedded if one is not None)),
            assembled=tuple(dict.fromkeys(one.name for one in assembled if one is not None)),
            time=clock(text),
            unseen=other,
        )


@dataclass(frozen=True)
class Probe:
    """One `__has_include`."""

    file: str
    name: str
    quoted: bool


def probes(texts: Mapping[str, bytes]) -> tuple[set[Probe], dict[str, str]]:
    """What texts, lines joined, ask whether it is there; and file -> a macro in it whose value cannot be told.

    A macro may stand between: `#define HAS(x) __has_include(x)` in one file, and `HAS(<a.h>)` in any other.
    """
    found: set[Probe] = set()
    wrappers: set[bytes] = set()
    objects: dict[bytes, str] = {}
    for path, text in texts.items():
        for include, macro, line in has_includes(text):
            if include is not None:
                found.add(Probe(path, include.name, include.quoted))
                continue
            head = _PARAMETERS.match(line)
            if head is None or macro not in _parameters(head[2]):
                objects[macro] = path
            else:
                wrappers.add(head[1])
    _follow(wrappers, texts, found, objects)
    return found, _follow_objects(objects, texts, found)


def _follow(wrappers: set[bytes], texts: Mapping[str, bytes], found: set[Probe], objects: dict[bytes, str]) -> None:
    """Add what macros around `__has_include` are called with; `wrappers` grows by macros around those."""
    done: set[bytes] = set()
    for _ in range(_MOST_ROUNDS):
        waiting = wrappers - done
        if not waiting:
            return
        done |= waiting
        call = re.compile(rb"\b(?:" + b"|".join(sorted(waiting)) + rb')[ \t]*\([ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|(\w+))')
        for path, text in texts.items():
            for match in call.finditer(text) if any(name in text for name in waiting) else ():
                start = text.rfind(b"\n", 0, match.start()) + 1
                head = _PARAMETERS.match(text, start)
                if match[3] is None:
                    name = (match[1] or match[2]).decode(errors="surrogateescape")
                    found.add(Probe(path, name, match[1] is not None))
                elif head is None or match[3] not in _parameters(head[2]):
                    objects[match[3]] = path
                elif head.start(1) != match.start():  # not the definition of this very macro
                    wrappers.add(head[1])


def _follow_objects(objects: Mapping[bytes, str], texts: Mapping[str, bytes], found: set[Probe]) -> dict[str, str]:
    """Add what macros without parameters name; macros of which that cannot be told are returned."""
    unknown = {}
    values: dict[bytes, list[IncludeName | None]] = {macro: [] for macro in objects}
    for text in texts.values() if objects else ():
        for match in _DEFINITION.finditer(text) if any(macro in text for macro in objects) else ():
            if match[1] in values:
                header = _HEADER.fullmatch(match[3])
                values[match[1]].append(None if header is None or match[2] else _named(header))
    for macro, path in objects.items():
        named = values[macro]
        if not named or None in named:
            unknown[path] = macro.decode(errors="replace")
        found |= {Probe(path, one.name, one.quoted) for one in named if one is not None}
    return unknown


def _names(pattern: re.Pattern[bytes], text: bytes, word: bytes) -> Iterator[IncludeName | None]:
    for match in pattern.finditer(text) if word in text else ():
        groups = match.groupdict()
        name = groups.get("name") or groups.get("quoted") or groups.get("angled")
        quoted = groups.get("angled") is None
        yield None if name is None else IncludeName(name.decode(errors="surrogateescape"), quoted, next=False)


def _named(match: re.Match[bytes]) -> IncludeName:
    name = match["quoted"] or match["angled"]
    return IncludeName(name.decode(errors="surrogateescape"), match["quoted"] is not None, next=False)


def _parameters(text: bytes) -> set[bytes]:
    return {one.strip() for one in text.split(b",")}
