"""stdout and stderr: whether they are terminals, how wide, with colours or without."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from typing import TextIO

from rich.console import Console, RenderableType

from careen.cli.choice import chosen
from careen.cli.files import reason
from careen.errors import CareenError, printable

__all__ = ["colored", "is_terminal", "print_bytes", "print_json", "print_table", "warn"]

_PIPE = 500  # columns of what is no terminal: rows stay on their line, for grep and cut


def is_terminal(stream: TextIO | None) -> bool:
    """Whether someone is looking; a closed stream is None."""
    return stream is not None and stream.isatty()


def colored(stream: TextIO | None, color: str) -> bool:
    """Whether `stream` takes colours, by `--color`, NO_COLOR (no-color.org) and TERM."""
    choice = chosen("--color", color, ("auto", "always", "never"))
    if choice != "auto":
        return choice == "always"
    dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return is_terminal(stream) and not dumb


def print_table(*parts: RenderableType, color: str) -> None:
    """Lay `parts` out for the width of stdout and print them."""
    with_color = colored(sys.stdout, color)
    console = Console(
        file=io.StringIO(),
        force_terminal=with_color,
        color_system="standard" if with_color else None,
        width=_width(),
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    with console.capture() as captured:
        for part in parts:
            console.print(part, crop=False)  # what must not be wrapped is whole
    text = captured.get()
    _write(text if with_color else re.sub(r" +$", "", text, flags=re.MULTILINE))


def print_json(raw: bytes) -> None:
    """One JSON document on a line of stdout."""
    _write(f"{raw.decode('ascii')}\n")


def print_bytes(raw: bytes) -> None:
    """A document in UTF-8 on stdout, as it is."""
    _write(raw.decode("utf-8"))


def warn(text: str) -> None:
    """A line on stderr beside a result that has no place for it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody reads it
            print(f"careen: {printable(text)}", file=sys.stderr)  # noqa: T201


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return max(40, int(columns))
    if not is_terminal(sys.stdout):
        return _PIPE
    try:
        return max(40, os.get_terminal_size(sys.stdout.fileno()).columns)
    except OSError:
        return 80


def _write(text: str) -> None:
    """To stdout; whoever closed it has read enough, and the exit code stands."""
    if sys.stdout is None:
        return
    encoding = sys.stdout.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # as Python does for a closed descriptor
    except OSError as error:
        raise CareenError(f"the result cannot be written: {reason(error)}", at="stdout") from error
