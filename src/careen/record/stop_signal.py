"""The signal that ends an application: StopSignal in each form that container runtimes take."""

from __future__ import annotations

import re
import signal

__all__ = ["TERM", "number"]

TERM = int(signal.SIGTERM)
"""Where an image says nothing."""

_LAST = 64
_REAL_TIME = {
    "RTMIN": 34,
    "RTMAX": _LAST,
}  # as runtimes count, whatever a C library keeps for itself
_OFFSET = re.compile(r"(RTMIN|RTMAX)([+-]\d{1,2})?", re.ASCII)


def number(text: str) -> int | None:
    """`SIGQUIT`, `quit`, `3` or `SIGRTMIN+3` → the number; None for what is no signal."""
    word = text.strip().upper().removeprefix("SIG")
    if word.isascii() and word.isdecimal():
        return _valid(int(word[:3]))
    offset = _OFFSET.fullmatch(word)
    if offset is not None:
        found = _valid(_REAL_TIME[offset[1]] + int(offset[2] or 0))
        return found if found is not None and found >= _REAL_TIME["RTMIN"] else None
    named = getattr(signal, f"SIG{word}", None)
    return int(named) if isinstance(named, signal.Signals) else None


def _valid(found: int) -> int | None:
    return found if 0 < found <= _LAST else None
