"""What a runtime starts from an image's config: the programs named there, as words to look up.

Entrypoint and Cmd (image-spec, config.md), Docker's Healthcheck, and the shell form of each:
`/bin/sh -c "exec redis-server --port 1"` starts the shell and every simple command in its text.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence

import msgspec

from careen.oci.config import Execution
from careen.plan.closure import Scene, located
from careen.plan.rules import BUILTINS, SHELLS, WRAPPERS

__all__ = ["Word", "started", "words"]

_SEPARATORS = frozenset(";&|()\n")
_KEYWORDS = frozenset(
    [
        "!",
        "{",
        "}",
        "if",
        "then",
        "elif",
        "else",
        "fi",
        "while",
        "until",
        "for",
        "do",
        "done",
        "case",
        "esac",
        "in",
        "exec",
        "command",
        "time",
    ]
)


class Word(msgspec.Struct, frozen=True):
    """A program's name as written, and the config's field that starts it.

    `needs_shell` marks a word that a shell text names: it may be a function.
    """

    text: str
    field: str
    needs_shell: bool = False


def started(scene: Scene) -> Iterator[tuple[Word, str]]:
    """Every program that the config names and where it is found, "" for nowhere.

    A word of a shell text that is nowhere is left out: a function, or what another shell builds in.
    """
    rootfs, execution = scene.rootfs, scene.execution
    first = (execution.entrypoint or ("",))[0]
    begins = rootfs.resolve(located(first, rootfs, execution) or first).path
    for word in words(execution, is_script=begins not in scene.facts.elf):
        found = located(word.text, rootfs, execution)
        if found or not word.needs_shell:
            yield word, found


def words(execution: Execution, *, is_script: bool) -> tuple[Word, ...]:
    """Every program that the config names. `is_script`: Entrypoint[0] is a script or unknown.

    Cmd[0] is a program only without an Entrypoint, or behind one that hands over to it: a script
    or a known wrapper; else Cmd is an argument.
    """
    found: list[Word] = []
    if execution.entrypoint:
        found += _commands(execution.entrypoint, "Entrypoint")
        hands_over = is_script or _base(execution.entrypoint[0]) in WRAPPERS
        if execution.command and hands_over:
            found += _commands(execution.command, "Cmd")
    elif execution.command:
        found += _commands(execution.command, "Cmd")
    kind, *test = execution.healthcheck or ("",)
    if kind == "CMD" and test:
        found += _commands(test, "Healthcheck")
    elif kind == "CMD-SHELL":
        shell = execution.shell or ("/bin/sh", "-c")
        found += _commands([*shell, *test], "Healthcheck")
    return tuple(dict.fromkeys(found))


def _commands(argv: Sequence[str], field: str) -> Iterator[Word]:
    """The program of `argv`, those that it wraps, and those in a shell's `-c` text."""
    rest = list(argv)
    while rest:
        program = rest.pop(0)
        yield Word(program, field)
        base = _base(program)
        if base in SHELLS:
            yield from _shell_text(rest, field)
            return
        if base not in WRAPPERS:
            return
        rest = _wrapped(base, rest)


def _wrapped(wrapper: str, arguments: list[str]) -> list[str]:
    """What a wrapper starts: after its options, its `VAR=value` words and its own arguments."""
    before, with_value = WRAPPERS[wrapper]
    rest = list(arguments)
    while rest and (rest[0].startswith("-") or "=" in rest[0]):
        word = rest.pop(0)
        if word == "--":
            break
        if word in with_value:
            del rest[:1]
    return rest[before:]


def _shell_text(arguments: Sequence[str], field: str) -> Iterator[Word]:
    for option, text in itertools.pairwise(arguments):
        if option.startswith("-") and "c" in option and not option.startswith("--"):
            for name in _simple_commands(text):
                yield Word(name, field, needs_shell=True)
            return
    scripts = [argument for argument in arguments if not argument.startswith("-")]
    if scripts:
        yield Word(scripts[0], field)


def _simple_commands(text: str) -> Iterator[str]:
    """The first word of each simple command; text that is not plain words yields what it can."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    expecting = True
    try:
        for token in lexer:
            if set(token) <= _SEPARATORS:
                expecting = True
            elif expecting and token not in _KEYWORDS and not _assigns(token):
                expecting = False
                if token not in BUILTINS and "$" not in token and "`" not in token:
                    yield token
    except ValueError:  # an unclosed quote: the shell would refuse the text as well
        return


def _assigns(token: str) -> bool:
    name, equals, _ = token.partition("=")
    return bool(equals) and name.isidentifier()


def _base(program: str) -> str:
    return program.rpartition("/")[2]
