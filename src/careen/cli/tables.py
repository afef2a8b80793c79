"""The few shapes of a report: a title, a table with so many rows, a bar. Names are escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from careen.cli.units import size
from careen.errors import printable

__all__ = ["ABOUT", "Column", "bar", "comparison", "facts", "note", "table", "title"]

_TOP = 10
_GAP = (0, 2, 0, 0)
_BAR = 20
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim", "gone": "red", "kept": "green"}


class Column(msgspec.Struct, frozen=True):
    """`wrap` is for prose; names and numbers stay on one line."""

    header: str
    right: bool = False
    wrap: bool = False


ABOUT = (Column("rule"), Column("path", wrap=True), Column("message", wrap=True))
"""What a finding says, beside whose it is or how severe."""


def title(text: str) -> Text:
    """A section's heading, with an empty line before it."""
    return Text(f"\n{printable(text)}", style="bold")


def note(text: str) -> Text:
    """A line beside the point."""
    return Text(f"  {printable(text)}", style="dim", overflow="fold")


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Words and what they stand for, one a line."""
    grid = Table.grid(padding=_GAP)
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for word, value in rows:
        grid.add_row(word, Text(printable(value)))
    return grid


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, every: bool
) -> list[Table | Text]:
    """`rows` under their headers; the first ten and a count of the rest, unless `every`.

    A cell whose text is the name of a style (`error`, `gone`) is shown in it.
    """
    found = Table(
        box=None, padding=_GAP, pad_edge=False, show_header=any(c.header for c in columns)
    )
    found.add_column("", width=0)
    for column in columns:
        found.add_column(
            column.header,
            justify="right" if column.right else "left",
            no_wrap=not column.wrap,
            overflow="fold" if column.wrap else "ellipsis",
            header_style="dim",
        )
    shown = rows if every else rows[:_TOP]
    for row in shown:
        found.add_row("", *(Text(printable(cell), style=_STYLES.get(cell, "")) for cell in row))
    parts: list[Table | Text] = [found]
    if len(shown) < len(rows):
        parts.append(note(f"… and {len(rows) - len(shown):,} more; -v shows them"))
    return parts


def bar(part: int, whole: int) -> str:
    """How much of `whole` is left, as a bar; at least a mark when anything is."""
    filled = round(_BAR * part / whole) if whole else 0
    filled = min(_BAR, max(filled, 1 if part else 0))
    return "█" * filled + "░" * (_BAR - filled)


def comparison(rows: Iterable[tuple[str, int, int, bool]]) -> Iterator[Table | Text]:
    """Before and after: each row its name, both numbers, and whether they are bytes.

    A row of which there never was anything is left out.
    """
    shown = [_compared(*row) for row in rows if row[1] or row[2]]
    if shown:
        yield title("Summary")
        columns = [Column(""), Column("before", right=True), Column("after", right=True),
                   Column("change", right=True), Column("what is left")]  # fmt: skip
        yield from table(columns, shown, every=True)


def _compared(word: str, before: int, after: int, is_size: bool) -> tuple[str, ...]:
    change = f"{100 * (after - before) / before:+.0f} %" if before else ""
    told = [size(number) if is_size else f"{number:,}" for number in (before, after)]
    return word, *told, change, bar(after, before)
