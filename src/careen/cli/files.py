"""The files that a command line names: read whole, written whole, with errors that name them."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from careen.errors import CareenError, SourceError

__all__ = ["check_writable", "opened", "read", "replace", "write"]

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


def replace(name: str, data: bytes) -> None:
    """The same in one step: whoever reads the file sees the old bytes or the new, never some.

    What is no regular file (a pipe, /dev/stdout) is written as it is; a link's target is replaced.
    """
    path = Path(os.path.realpath(name))
    if path.exists() and not path.is_file():
        write(name, data)
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        beside.write_bytes(data)
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o7777)
        beside.replace(path)
    except (OSError, ValueError) as error:
        raise CareenError(f"cannot be written: {reason(error)}", at=name) from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            beside.unlink()


@contextlib.contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The file to read from, `-` for stdin; SourceError when it cannot be opened."""
    if name == "-" and sys.stdin is not None:
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115  # what fails inside the block is another matter
    except FileNotFoundError as error:
        raise SourceError("no such file", at=name) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceError(f"cannot be read: {reason(error)}", at=name) from error
    with file:
        yield file


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
