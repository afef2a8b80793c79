"""The files that a command line names: read whole, written whole, with errors that name them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from careen.errors import CareenError, SourceError

__all__ = ["check_writable", "read", "write"]

_CEILING = 256 << 20  # bytes; the largest file that a command takes is a plan


def read(name: str, *, hint: str) -> bytes:
    """The file's bytes, `-` for stdin; SourceError with `hint` (what to do) when it is absent."""
    if name == "-":
        return sys.stdin.buffer.read(_CEILING)
    try:
        with Path(name).open("rb") as file:
            raw = file.read(_CEILING + 1)
    except FileNotFoundError as error:
        raise SourceError(f"no such file; {hint}", at=name) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceError(f"cannot be read: {reason(error)}", at=name) from error
    if len(raw) > _CEILING:
        raise SourceError(f"over the limit of {_CEILING} bytes", at=name)
    return raw


def write(name: str, data: bytes) -> None:
    """CareenError when the file cannot be written whole."""
    try:
        Path(name).write_bytes(data)
    except (OSError, ValueError) as error:
        raise CareenError(f"cannot be written: {reason(error)}", at=name) from error


def check_writable(name: str | None) -> None:
    """Refuse a file that could not be written later, before anything was pushed."""
    if name is None:
        return
    path = Path(name)
    place = path if path.exists() else path.parent
    if path.is_dir() or not os.access(place, os.W_OK):
        raise CareenError("cannot be written; name a file in a folder that is there", at=name)


def reason(error: Exception) -> str:
    """Why, without the number and the name."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
