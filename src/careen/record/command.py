"""A command line that the user gives: of the host (--exercise) or of the image (--exec)."""

from __future__ import annotations

import re
import shlex

import msgspec

from careen.errors import UsageError

__all__ = ["Command", "plain"]

_FOR_A_SHELL = re.compile(r"[\n;&|<>()$`\\\"'*?\[\]#~=%{}!]")
_QUOTED = re.compile(r"""'[^']*'|"[^"$`\\]*\"""")


class Command(msgspec.Struct, frozen=True):
    """`text` as it was given, and its words; no shell is between them."""

    text: str
    argv: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, option: str) -> Command:
        """UsageError naming the option for an unclosed quote and for no words at all."""
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"{text!r}: {str(error).lower()}", at=option) from error
        if not words:
            raise UsageError("an empty command", at=option)
        return cls(text, tuple(words))


def plain(command: str) -> tuple[str, ...]:
    """The words of a command line that takes no shell to run; () when it does.

    A shell is for what is special outside of quotes, and for `$` and the like in double ones.
    """
    if _FOR_A_SHELL.search(_QUOTED.sub("", command)):
        return ()
    return tuple(shlex.split(command))
