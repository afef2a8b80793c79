"""What starts a script: its `#!` line as Linux reads it (fs/binfmt_script.c), and env's options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import msgspec

__all__ = ["MAGIC", "WINDOW", "Script", "parse"]

MAGIC = b"#!"
WINDOW = 256  # bytes of a file that Linux looks at; it was 128 before Linux 5.1

_BLANK = re.compile(rb"[ \t]+")
_SPLIT = re.compile(r"(?:-[iv0]*S|--split-string=)(.*)", re.DOTALL)
_ASSIGNMENT = re.compile(r"[^=]+=")


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """`interpreter` as written, and everything after it as the one `argument` that Linux makes.

    Where the interpreter is `env`, `program` is the name that it looks up on PATH (a name with a
    slash is a path); "" otherwise.
    """

    interpreter: str
    argument: str = ""
    program: str = ""


def parse(head: bytes) -> Script | None:
    """The script that starts with `head` (its first `WINDOW` bytes at least, or all of it).

    None where Linux would not run it: no interpreter, or a path longer than the window.
    """
    window = head[:WINDOW].ljust(WINDOW, b"\0")
    line, newline, _ = window.partition(b"\n")
    line, nul, _ = line.partition(b"\0")
    if newline and not nul:
        line = line.rstrip(b" \t")
    elif not nul and not _BLANK.search(line[len(MAGIC) :].lstrip(b" \t")):
        return None
    # Linux puts a NUL where the line ends, at the latest into the window's last byte.
    words = _BLANK.split(line[len(MAGIC) : WINDOW - 1].lstrip(b" \t"), maxsplit=1)
    if not head.startswith(MAGIC) or not words[0]:
        return None
    interpreter, argument = (word.decode("utf-8", "surrogateescape") for word in (*words, b"")[:2])
    program = _program(argument) if interpreter.rpartition("/")[2] == "env" else ""
    return Script(interpreter=interpreter, argument=argument, program=program)


def _program(argument: str) -> str:
    """What `env ARGUMENT` would run: the first word that is neither an option nor NAME=VALUE."""
    words = _words(argument)
    for word in words:
        if word in ("-u", "-C", "--unset", "--chdir"):
            next(words, "")
        elif word == "--":
            return next(words, "")
        elif not word.startswith("-") and not _ASSIGNMENT.match(word):
            return word
    return ""


def _words(argument: str) -> Iterator[str]:
    # Without -S, env sees one word, blanks and all: Linux passes the rest of the line unsplit.
    split = _SPLIT.match(argument)
    if split is None:
        return iter([argument] if argument else [])
    try:
        return iter(shlex.split(split[1]))
    except ValueError:  # a quote that is never closed: env refuses it
        return iter([])
