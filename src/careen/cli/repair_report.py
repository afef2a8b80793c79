"""What a repair did: rounds, what came back, and the difference of the profiles."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec
from rich.console import RenderableType
from rich.text import Text

from careen.cli.tables import Column, facts, note, table, title
from careen.cli.units import count
from careen.errors import printable
from careen.finding import some
from careen.formats import strict_json
from careen.profile import profile as profiles
from careen.repair import Repaired, Round

__all__ = ["repaired_json", "repaired_table"]

_Parts = Iterator[RenderableType]
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def repaired_json(result: Repaired) -> bytes:
    """Each round with what it brought back, the packages, both digests, the difference."""
    return strict_json.dump(
        {
            "before": profiles.digest(result.before),
            "after": profiles.digest(result.after),
            "rounds": msgspec.to_builtins(result.rounds),
            "packages": list(result.packages),
            "needless": list(result.needless),
            "diff": list(_difference(result)),
        }
    )


def repaired_table(result: Repaired, output: str | None, *, every: bool) -> _Parts:
    """The same for people."""
    for number, one in enumerate(result.rounds, 1):
        yield from _round(number, one, every=every)
    yield title("Result")
    rows = [("test", "green" if result.rounds[-1].passed else "red")]
    rows.append(("kept now", some(result.packages, 20) if result.packages else "no package more"))
    if result.needless:
        rows.append(("not needed", some(result.needless, 20)))
    if output is not None:
        rows.append(("profile", output))
    yield facts(rows)
    lines = list(_difference(result))
    if lines:
        yield title("The profile")
        for line in lines:
            yield Text(printable(line), _STYLES.get(line[:1], ""), no_wrap=True, overflow="ignore")


def _round(number: int, one: Round, *, every: bool) -> _Parts:
    yield title(f"Round {number}: {'green' if one.passed else 'red'}")
    if one.message:
        yield note(one.message)
    if one.found:
        yield note(f"{count(len(one.found), 'path')} came back")
        columns = [Column("path", wrap=True), Column("how"), Column("by", wrap=True)]
        columns += [Column("package"), Column("in vain")]
        rows = [
            (f.path, f.how, f.process, f.package or "none", "yes" if f.in_vain else "")
            for f in one.found
        ]
        yield from table(columns, rows, every=every)


def _difference(result: Repaired) -> Iterator[str]:
    """A unified difference of the two manifests."""
    before, after = (
        profiles.dump(one).decode("utf-8", "replace").splitlines()
        for one in (result.before, result.after)
    )
    yield from difflib.unified_diff(before, after, "before", "after", lineterm="", n=2)
