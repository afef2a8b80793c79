"""What stops the work: one small tree, each kind with the exit code that scripts rely on.

    CareenError            1  failed
    ├── UsageError         2  wrong usage
    ├── GateError          3  a gate or a finding says no
    ├── SourceError        4  input missing, unreadable or refused
    │   └── FormatError    4  bytes that break their format; carries the breadcrumb of where
    └── RegistryError      5  registry, authentication or network

A message is one line: what is wrong, where, what to do. Breadcrumbs grow as an error rises:
`raise FormatError("not a sha256", at="digest")` becomes, through `within("layers[2]")`,
`layers[2].digest: not a sha256`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = [
    "CareenError",
    "FormatError",
    "GateError",
    "RegistryError",
    "SourceError",
    "UsageError",
    "printable",
    "within",
]


class CareenError(Exception):
    """Any failure that careen foresees; `str()` of it is one line for the user."""

    exit_code = 1

    def __init__(self, message: str, *, at: str = "") -> None:
        super().__init__(message, at)
        self.message = message
        self.at = at

    def __str__(self) -> str:
        text = f"{self.at}: {self.message}" if self.at else self.message
        return printable(text)


class UsageError(CareenError):
    """The command line asks for something that has no meaning."""

    exit_code = 2


class GateError(CareenError):
    """The work could be done, but a gate or a finding says no."""

    exit_code = 3


class SourceError(CareenError):
    """A named input is missing, cannot be read, or is refused."""

    exit_code = 4


class FormatError(SourceError):
    """Bytes that break the format they claim to be in."""


class RegistryError(CareenError):
    """The registry, the authentication or the network failed."""

    exit_code = 5


@contextlib.contextmanager
def within(place: str) -> Iterator[None]:
    """Prefix the breadcrumb of any CareenError that rises through the block with `place`.

    What is inside joins with a dot, an index (`[2]`) directly, and a blob's digest as a place of
    its own: `oci:app:1: sha256:…: message`.
    """
    try:
        yield
    except CareenError as error:
        if not error.at or error.at.startswith("["):
            error.at = f"{place}{error.at}"
        else:
            joint = ": " if error.at.startswith(("sha256:", "sha512:", "/")) else "."
            error.at = f"{place}{joint}{error.at}"
        raise


def printable(text: str) -> str:
    """`text` on one line, with control characters, lone surrogates and bidi marks escaped.

    Names inside an image are arbitrary bytes; none of them may move a reader's cursor.
    """
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
