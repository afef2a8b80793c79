"""What differs between two images, as tables and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from rich.console import RenderableType

from careen.cli.tables import ABOUT, Column, comparison, facts, note, table, title
from careen.cli.units import count, size
from careen.difference import Change, Difference, PackageChange, PathChange, PathSide, Side
from careen.formats import strict_json
from careen.oci.difference import Field

__all__ = ["difference_json", "difference_table"]

_Parts = Iterator[RenderableType]
_NONE = "(none)"
_LONG = 200  # characters of a value on its line; JSON has all of it


def difference_json(references: tuple[str, str], found: Difference) -> bytes:
    """Every field of the difference, whether there is any, and the images' names."""
    document = msgspec.to_builtins(found)
    for side, reference in zip(("before", "after"), references, strict=True):
        document[side] = {"reference": reference, **document[side]}
    return strict_json.dump({"differs": found.differs, **document})


def difference_table(references: tuple[str, str], found: Difference, *, every: bool) -> _Parts:
    """From the whole to the details; a section that would be empty is left out."""
    yield facts(_head(references, found))
    yield from comparison(_sides(found.before, found.after))
    yield from _packages(found, every=every)
    yield from _fields("Config", found.config, every=every)
    yield from _fields("Annotations", found.annotations, every=every)
    yield from _paths(found, every=every)
    yield from _notes(found, every=every)


def _head(references: tuple[str, str], found: Difference) -> list[tuple[str, str]]:
    sides = list(zip(("before", "after"), references, (found.before, found.after), strict=True))
    rows = [(word, f"{reference} ({side.digest})") for word, reference, side in sides]
    titles = [f"{side.platform}, {side.system}".removesuffix(", ") for _, _, side in sides]
    rows.append(("platform", " → ".join(dict.fromkeys(titles))))
    if found.before.media_type != found.after.media_type:
        rows.append(("manifest", f"{found.before.media_type} → {found.after.media_type}"))
    if found.shared_layers:
        rows.append(("shared", f"{count(found.shared_layers, 'layer')} from the bottom"))
    rows.append(("differs", _counted(found)))
    return rows


def _counted(found: Difference) -> str:
    """`74 packages removed, 3 paths changed`: one line for a reader in a hurry."""
    counts = found.counts
    words = [
        (counts.packages_added, "package", "added"),
        (counts.packages_removed, "package", "removed"),
        (counts.packages_changed, "package", "changed"),
        (counts.packages_refilled, "package", "with other files"),
        (counts.config, "config field", ""),
        (counts.annotations, "annotation", ""),
        (counts.paths_added, "path", "added"),
        (counts.paths_removed, "path", "removed"),
        (counts.paths_changed, "path", "changed"),
        (counts.paths_touched, "path", "with another mtime alone"),
    ]
    told = [f"{count(number, noun)} {end}".rstrip() for number, noun, end in words if number]
    if told:
        return ", ".join(told)
    same = found.before.digest == found.after.digest
    return "in nothing, the images are one" if same else "in nothing that a container would see"


def _sides(before: Side, after: Side) -> Iterator[tuple[str, int, int, bool]]:
    for word, field, is_size in (
        ("packages", "packages", False),
        ("shells", "shells", False),
        ("setuid or setgid", "setuid", False),
        ("files", "files", False),
        ("content", "bytes", True),
        ("compressed", "compressed", True),
        ("layers", "layers", False),
        ("history", "history", False),
    ):
        yield word, getattr(before, field), getattr(after, field), is_size


# -- packages


def _packages(found: Difference, *, every: bool) -> _Parts:
    packages = found.packages
    yield from _one_sided("Packages added", packages.added, every=every)
    yield from _one_sided("Packages removed", packages.removed, every=every)
    yield from _changed_packages(packages.changed, every=every)
    yield from _refilled(packages.refilled, every=every)


def _one_sided(heading: str, found: Sequence[PackageChange], *, every: bool) -> _Parts:
    sides = [(item.id, side) for item in found if (side := item.after or item.before)]
    if sides:
        yield title(f"{heading}: {len(sides)}, {size(sum(side.bytes for _, side in sides))}")
        columns = [Column("package"), Column("version"), Column("size", right=True),
                   Column("files", right=True), Column("database")]  # fmt: skip
        rows = [
            (id, side.version, size(side.bytes), f"{side.files:,}", side.database)
            for id, side in sorted(sides, key=lambda item: (-item[1].bytes, item[0]))
        ]
        yield from table(columns, rows, every=every)


def _changed_packages(found: Sequence[PackageChange], *, every: bool) -> _Parts:
    if found:
        yield title(f"Packages changed: {len(found)}")
        columns = [Column("package"), Column("before"), Column("after"),
                   Column("size", right=True), Column("database")]  # fmt: skip
        rows = [
            (item.id, *_versions(item), _grown(item), item.after.database if item.after else "")
            for item in found
        ]
        yield from table(columns, rows, every=every)


def _versions(item: PackageChange) -> tuple[str, str]:
    """The versions, with whatever else of the two records is not the same."""
    before, after = item.before, item.after
    if before is None or after is None:
        return "", ""
    more = [
        field
        for field in ("architecture", "status", "database")
        if getattr(before, field) != getattr(after, field)
    ]
    told = [" ".join([side.version, *(getattr(side, field) for field in more)])
            for side in (before, after)]  # fmt: skip
    return told[0], told[1]


def _refilled(found: Sequence[PackageChange], *, every: bool) -> _Parts:
    if found:
        yield title(f"Packages of the same version with other files: {len(found)}")
        columns = [Column("package"), Column("files before", right=True),
                   Column("after", right=True), Column("size", right=True)]  # fmt: skip
        rows = [
            (item.id, f"{item.before.files:,}", f"{item.after.files:,}", _grown(item))
            for item in found
            if item.before and item.after
        ]
        yield from table(columns, rows, every=every)


def _grown(item: PackageChange) -> str:
    before, after = (side.bytes if side else 0 for side in (item.before, item.after))
    return _signed(after - before)


def _signed(number: int) -> str:
    return f"+{size(number)}" if number > 0 else size(number)


# -- config


def _fields(heading: str, found: Sequence[Field], *, every: bool) -> _Parts:
    if found:
        yield title(f"{heading}: {len(found)}")
        columns = [Column("field"), Column("before", wrap=True), Column("after", wrap=True)]
        rows = [(item.name, _value(item.before), _value(item.after)) for item in found]
        yield from table(columns, rows, every=every)


def _value(value: object) -> str:
    if value is None:
        return _NONE
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


# -- paths


def _paths(found: Difference, *, every: bool) -> _Parts:
    paths = found.paths
    yield from _places(found, every=every)
    yield from _changed_paths("Paths changed", paths.changed, every=every)
    yield from _sided_paths("Paths added", paths.added, every=every)
    yield from _sided_paths("Paths removed", paths.removed, every=every)
    if every:
        yield from _changed_paths("Paths with another mtime alone", paths.touched, every=True)
    elif paths.touched:
        yield note(
            f"… and {count(len(paths.touched), 'path')} with another mtime alone; -v shows them"
        )


def _places(found: Difference, *, every: bool) -> _Parts:
    """Where in the tree it is, two folders deep."""
    paths = found.paths
    added, removed = _by_place(paths.added), _by_place(paths.removed)
    changed = Counter(_place(item.path) for item in paths.changed)
    grown: Counter[str] = Counter()
    for item in paths.added:
        grown[_place(item.path)] += item.bytes
    for item in paths.removed:
        grown[_place(item.path)] -= item.bytes
    total = added + removed + changed
    if total:
        yield title(f"Paths: {total.total():,}")
        columns = [Column("in"), *(Column(word, right=True) for word in
                   ("added", "removed", "changed", "bytes"))]  # fmt: skip
        rows = [
            (place, *(f"{counter[place]:,}" if counter[place] else "" for counter in
             (added, removed, changed)), _signed(grown[place]) if grown[place] else "")
            for place, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))
        ]  # fmt: skip
        yield from table(columns, rows, every=every)


def _by_place(found: Iterable[PathSide]) -> Counter[str]:
    return Counter(_place(item.path) for item in found)


def _place(path: str) -> str:
    """`/usr/share` for everything below it, `/etc` for a file right there, `/` at the top."""
    folders = path.split("/")[1:-1]
    return "/" + "/".join(folders[:2])


def _changed_paths(heading: str, found: Sequence[PathChange], *, every: bool) -> _Parts:
    if found:
        yield title(f"{heading}: {len(found):,}")
        columns = [Column("path"), Column("what", wrap=True), Column("package")]
        rows = [(item.path, "; ".join(map(_change, item.changes)), item.package) for item in found]
        yield from table(columns, rows, every=every)


def _change(change: Change) -> str:
    """`mode 0755 → 4755`, `content 1.2 kB → 1.4 kB`."""
    if change.what == "content":
        sizes = [size(int(side or 0)) for side in (change.before, change.after)]
        grown = "other bytes" if change.before == change.after else " → ".join(sizes)
        return f"content {grown}"
    word = f"{change.what} {change.name}".rstrip()
    return f"{word} {_value(change.before)} → {_value(change.after)}"


def _sided_paths(heading: str, found: Sequence[PathSide], *, every: bool) -> _Parts:
    """The largest first, or all in path order."""
    if found:
        yield title(f"{heading}: {len(found):,}")
        shown = found if every else sorted(found, key=lambda item: (-item.bytes, item.path))
        columns = [Column("path"), Column("kind"), Column("size", right=True), Column("package")]
        rows = [
            (item.path, item.kind, size(item.bytes) if item.kind == "file" else "", item.package)
            for item in shown
        ]
        yield from table(columns, rows, every=every)


# -- notes


def _notes(found: Difference, *, every: bool) -> _Parts:
    """What was odd about reading one or the other; what they share is told once."""
    sides: dict[tuple[str, str, str], list[str]] = {}
    for word, side in (("before", found.before), ("after", found.after)):
        for item in side.notes:
            sides.setdefault((item.rule, item.path, item.message), []).append(word)
    if sides:
        yield title(f"Notes: {len(sides)}")
        columns = [Column("image"), *ABOUT]
        rows = [(" and ".join(dict.fromkeys(words)), *key) for key, words in sides.items()]
        yield from table(columns, rows, every=every)
