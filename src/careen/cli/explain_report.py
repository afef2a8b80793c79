"""Why things stay or go: a chain a line a step for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from rich.console import RenderableType
from rich.text import Text

from careen.cli.tables import Column, facts, note, table, title
from careen.cli.units import count, size
from careen.errors import printable
from careen.finding import some
from careen.formats import strict_json
from careen.plan.blame import Suspect
from careen.plan.explain import Answer

__all__ = ["Kept", "answers_json", "answers_table", "kept", "suspects_json", "suspects_table"]

_FEW = 5
_STYLES = {"stays": "green", "partial": "yellow", "changes": "yellow", "goes": "red"}


def answers_json(image: str, answers: Sequence[Answer]) -> bytes:
    """The image's name, and each answer with its chain."""
    return strict_json.dump({"image": image, "answers": msgspec.to_builtins(tuple(answers))})


def answers_table(answers: Sequence[Answer], *, every: bool) -> Iterator[RenderableType]:
    """Each answer: what it is about, the verdict, and why."""
    for answer in answers:
        heading = title(answer.what)
        heading.append(f"  {_verdict(answer)}", style=_STYLES[answer.decision])
        yield heading
        yield note(", ".join(_about(answer)))
        if answer.chain:
            yield _chain(answer)
        if answer.reason:
            yield Text(f"  {printable(answer.reason)}", overflow="fold")
        yield from _beside(answer, every=every)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile must keep: names of packages, and paths."""

    packages: tuple[str, ...]
    paths: tuple[str, ...]


def kept(suspects: Sequence[Suspect], *, by_file: bool) -> Kept:
    """What brings back all that is missing: its packages, and what is no package's.

    `by_file` is the granularity: then a path alone comes back, and nothing else of its package.
    """
    owned = [one for one in suspects if one.package and not by_file]
    return Kept(
        packages=tuple(sorted({name for one in owned for name in one.package.split(", ")})),
        paths=tuple(sorted({one.path for one in suspects if one not in owned})),
    )


def suspects_json(image: str, suspects: Sequence[Suspect], keep: Kept) -> bytes:
    """The image's name, each suspect, and what would keep all of them."""
    return strict_json.dump(
        {
            "image": image,
            "suspects": msgspec.to_builtins(tuple(suspects)),
            "keep": msgspec.to_builtins(keep),
        }
    )


def suspects_table(
    suspects: Sequence[Suspect], keep: Kept, *, every: bool
) -> Iterator[RenderableType]:
    """Line by line what is missing, and the lines of a profile that bring it back."""
    if not suspects:
        yield Text("Nothing in the log points at what the plan removes.")
        return
    columns = [
        Column("line", right=True),
        Column("asks for", wrap=True),
        Column("removed", wrap=True),
    ]
    columns += [Column("package"), Column("the log says", wrap=True)]
    rows = [
        (str(one.line), one.asked, one.path, one.package or "none", one.text) for one in suspects
    ]
    yield from table(columns, rows, every=every)
    yield title("To bring it back, in the profile")
    yield Text("\n".join(["keep:", *_listed("packages", keep.packages),
                          *_listed("paths", keep.paths)]))  # fmt: skip


def _listed(key: str, names: Sequence[str]) -> list[str]:
    return [f"  {key}:", *(f"    - {printable(name)}" for name in names)] if names else []


def _verdict(answer: Answer) -> str:
    if answer.decision == "partial":
        return f"stays on record, {answer.dropped} of {answer.files} files go"
    return answer.decision


def _about(answer: Answer) -> Iterator[str]:
    if answer.kind == "package":
        yield f"package {answer.version}"
        yield count(answer.files, "file")
    else:
        yield f"of {some(answer.package)}" if answer.package else "of no package"
        if answer.leads_to:
            yield f"a link to {answer.leads_to}"
            return
    yield size(answer.bytes)


def _chain(answer: Answer) -> RenderableType:
    """`redis-server → libssl.so.3 → package libssl3`, one below the other."""
    rows = [
        (f"  {'→ ' if i else '  '}{link.what}", link.why) for i, link in enumerate(answer.chain)
    ]
    return facts(rows)


def _beside(answer: Answer, *, every: bool) -> Iterator[RenderableType]:
    for words, names in (
        ("loaded by", answer.loaded_by),
        ("declared as a dependency by", answer.declared_by),
    ):
        if names:
            shown = names if every else names[:_FEW]
            rest = len(names) - len(shown)
            more = f" and {rest} more; -v shows them" if rest else ""
            yield note(f"{words} {', '.join(shown)}{more}")
    if answer.decision == "goes":
        yield note(f"to keep it: --keep {answer.what}, or the same under `keep` in the profile")
