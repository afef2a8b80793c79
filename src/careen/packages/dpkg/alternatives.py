"""update-alternatives' records: which program stands behind a generic name.

`/usr/bin/awk → /etc/alternatives/awk → /usr/bin/mawk`; the record in `alternatives/awk` lists the
links and every choice (update-alternatives(1), FILES and QUERY FORMAT).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from careen.errors import FormatError
from careen.packages.dpkg.names import Names
from careen.packages.text import text
from careen.rootfs.path import Path

__all__ = ["Alternative", "Choice", "best", "dump", "parse", "relinked", "targets", "without"]

_DIRECTORY = "etc/alternatives"
Mode = Literal["auto", "manual"]
_MODES: Mapping[str, Mode] = {"auto": "auto", "manual": "manual"}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A program to choose: `listed` as written, `path` canonical.

    `slaves` are the files behind the alternative's slaves, in their order, "" for none.
    """

    path: Path
    listed: str
    priority: int
    slaves: tuple[str, ...] = ()


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """A generic name: its `link`, the `slaves` (name, link) that follow it, and the choices.

    `current` is where /etc/alternatives/NAME points, as written there; "" when it is no link.
    `links` are the paths of all symlinks that stand for it: the generic ones (`link`, the slaves'
    links) and those under /etc/alternatives.
    """

    name: str
    link: str
    mode: Mode
    slaves: tuple[tuple[str, str], ...]
    choices: tuple[Choice, ...]
    current: str = ""
    links: tuple[Path, ...] = ()


def parse(name: str, content: bytes, names: Names, current: str = "") -> Alternative:
    """Read one record; FormatError when it is not exactly what update-alternatives would write."""
    rows = [text(line) for line in content.split(b"\n")]
    try:
        mode, link, slaves, end = _header(rows)
        choices = _choices(rows[end:], len(slaves), names)
    except (LookupError, ValueError) as error:
        raise FormatError("not a record of update-alternatives") from error
    alternative = Alternative(
        name=name,
        link=link,
        mode=mode,
        slaves=slaves,
        choices=choices,
        current=current,
        links=_links(((name, link), *slaves), names),
    )
    if dump(alternative) != content:
        raise FormatError("not a record of update-alternatives")
    return alternative


def _header(
    rows: list[str],
) -> tuple[Mode, str, tuple[tuple[str, str], ...], int]:
    mode, link = rows[0], rows[1]
    end = rows.index("", 2)
    slaves = tuple(zip(rows[2:end:2], rows[3:end:2], strict=True))
    return _MODES[mode], link, slaves, end + 1


def _choices(rows: list[str], slaves: int, names: Names) -> tuple[Choice, ...]:
    choices = []
    step = 2 + slaves
    while rows[0]:
        listed, priority, *files = rows[:step]
        choices.append(
            Choice(
                path=names.of(listed), listed=listed, priority=int(priority), slaves=tuple(files)
            )
        )
        rows = rows[step:]
    return tuple(choices)


def _links(pairs: tuple[tuple[str, str], ...], names: Names) -> tuple[Path, ...]:
    return tuple(
        path for name, link in pairs for path in (names.of(link), names.of(f"{_DIRECTORY}/{name}"))
    )


def dump(alternative: Alternative) -> bytes:
    """The record as update-alternatives writes it."""
    rows = [alternative.mode, alternative.link]
    for slave in alternative.slaves:
        rows += slave
    rows.append("")
    for choice in alternative.choices:
        rows += [choice.listed, str(choice.priority), *choice.slaves]
    rows.append("")
    return "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape")


def without(alternative: Alternative, dropped: frozenset[Path]) -> Alternative | None:
    """The alternative less the choices that went; None when none is left.

    As `update-alternatives --remove` does: losing the chosen one ends manual mode, and a slave
    that no choice uses goes.
    """
    choices = tuple(choice for choice in alternative.choices if choice.path not in dropped)
    if not choices:
        return None
    if choices == alternative.choices:
        return alternative
    chosen = any(choice.listed == alternative.current for choice in choices)
    used = [
        position
        for position in range(len(alternative.slaves))
        if any(choice.slaves[position] for choice in choices)
    ]
    return msgspec.structs.replace(
        alternative,
        mode=alternative.mode if chosen else "auto",
        slaves=tuple(alternative.slaves[position] for position in used),
        choices=tuple(
            msgspec.structs.replace(
                choice, slaves=tuple(choice.slaves[position] for position in used)
            )
            for choice in choices
        ),
        current=alternative.current if chosen else "",
    )


def best(alternative: Alternative) -> Choice:
    """What auto mode points at: the highest priority, the current choice among equals."""
    return max(
        alternative.choices,
        key=lambda choice: (choice.priority, choice.listed == alternative.current),
    )


def targets(alternative: Alternative) -> dict[Path, str]:
    """Where the symlinks under /etc/alternatives point when the best choice is chosen."""
    choice = best(alternative)
    pairs = [(alternative.name, choice.listed)]
    pairs += [
        (name, file)
        for (name, _), file in zip(alternative.slaves, choice.slaves, strict=True)
        if file
    ]
    return {Path(f"{_DIRECTORY}/{name}"): target for name, target in pairs}


def relinked(
    alternative: Alternative, dropped: frozenset[Path], names: Names
) -> dict[Path, str | None]:
    """Its symlinks once `dropped` is gone: a new target, None for a link that goes.

    Empty while the chosen one stays, or where an administrator has the link lead elsewhere.
    """
    lost = [choice.listed for choice in alternative.choices if choice.path in dropped]
    if alternative.current not in lost and (
        alternative.current or len(lost) < len(alternative.choices)
    ):
        return {}
    pointing = _pointing(alternative, dropped, names)
    changes: dict[Path, str | None] = {}
    for link, inner in zip(alternative.links[::2], alternative.links[1::2], strict=True):
        if inner in pointing:
            changes[inner] = pointing[inner]
        else:
            changes |= {link: None, inner: None}
    return changes


def _pointing(alternative: Alternative, dropped: frozenset[Path], names: Names) -> dict[Path, str]:
    """The links under /etc/alternatives for the best choice that is there, to what is there."""

    def there(listed: str) -> bool:
        path = names.of(listed)
        return names.present(path) and path not in dropped

    left = tuple(choice for choice in alternative.choices if there(choice.listed))
    if not left:
        return {}
    best_left = targets(msgspec.structs.replace(alternative, choices=left))
    return {names.of(link): target for link, target in best_left.items() if there(target)}
